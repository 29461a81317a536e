from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recs_assets.evaluation.waterfall import COLUMNS, trace_purchases

NAN = np.nan


@dataclass
class Pool:
    customer: np.ndarray
    product: np.ndarray
    sources: dict


@pytest.fixture
def known(build_known):
    # c1 has one order, c2 three; p1 to p8 are codes 0 to 7, c1 and c2 codes 0 and 1.
    orders = [("o1", "c1", 9, ["p1"]), *((f"o{n}", "c2", n, ["p2"]) for n in (2, 3, 4))]
    return build_known(orders)


# c1 buys p1 (again), p2, p3; c2 buys p2 (again) and p4; c3 (code 2) buys p8 and is not followed.
TRUTH = sparse.csr_matrix((np.ones(6), ([0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 3, 7])), shape=(6, 8))
POOL = Pool(
    np.array([1, 0, 0, 1, 0]),
    np.array([1, 0, 1, 3, 4]),
    {
        "repurchase": (np.array([1, 1, NAN, NAN, NAN]), np.zeros(5)),
        # Two lists of one source.
        "popularity": (np.array([2, NAN, NAN, 1, NAN]), np.zeros(5)),
        "popularity:new": (np.array([NAN, NAN, 1, 2, 2]), np.zeros(5)),
    },
)
LISTS = pd.DataFrame({"customer": [0, 0, 1], "product": [0, 1, 1], "rank": [1, 3, 1]})


def counts(table, view, segment, source):
    rows = table[(table["view"] == view) & (table["segment"] == segment) & (table["source"] == source)]
    return dict(zip(rows["stage"], rows["purchases"], strict=True))


def test_every_purchase_is_accounted_for(known):
    table = trace_purchases(POOL, LISTS, known, TRUTH, k=2, customers=np.array([0, 1]))
    assert tuple(table.columns) == COLUMNS
    assert set(table["anchor"]) == {known.as_of}
    # p1 to c1 and p2 to c2 stand in the first two; p2 to c1 is third, p4 to c2 nowhere; p3 no source had.
    assert counts(table, "all", "all", "all") == {"listed": 2, "outranked": 2, "not_retrieved": 1}
    assert counts(table, "new", "all", "all") == {"listed": 0, "outranked": 2, "not_retrieved": 1}
    assert counts(table, "repeat", "all", "all") == {"listed": 2, "outranked": 0, "not_retrieved": 0}
    assert counts(table, "all", "depth:1-2", "all") == {"listed": 1, "outranked": 1, "not_retrieved": 1}
    assert counts(table, "all", "depth:3-9", "all") == {"listed": 1, "outranked": 1, "not_retrieved": 0}
    whole = table[table["source"] == "all"].groupby(["view", "segment"])["share"].sum()
    np.testing.assert_allclose(whole, 1, rtol=1e-12)
    assert "depth:10+" not in set(table["segment"])


def test_recall_of_each_source(known):
    table = trace_purchases(POOL, LISTS, known, TRUTH, k=2, customers=np.array([0, 1]))
    assert counts(table, "all", "all", "repurchase") == {"retrieved": 2, "retrieved_alone": 1}
    assert counts(table, "all", "all", "popularity") == {"retrieved": 3, "retrieved_alone": 2}
    row = table[(table["source"] == "popularity") & (table["view"] == "new") & (table["segment"] == "all")]
    assert row["share"].tolist() == pytest.approx([2 / 3, 2 / 3])


def test_removed_by_a_rule(known):
    removed = pd.DataFrame(
        {"customer": [1, 1, 0, 0], "product": [3, 3, 2, 0], "rule": ["brand cap", "stock", "stock", "stock"]}
    )
    table = trace_purchases(POOL, LISTS, known, TRUTH, k=2, customers=np.array([0, 1]), removed=removed)
    # p4 to c2 fell to the first of two rules, p3 to c1 to stock; p1 to c1 stands in the list all the same.
    assert counts(table, "all", "all", "all") == {
        "listed": 2,
        "removed:brand cap": 1,
        "removed:stock": 1,
        "outranked": 1,
        "not_retrieved": 0,
    }


def test_empty_pool_and_all_customers(known):
    nothing = Pool(np.empty(0, int), np.empty(0, int), {"popularity": (np.empty(0), np.empty(0))})
    table = trace_purchases(nothing, LISTS.iloc[:0], known, TRUTH)
    assert counts(table, "all", "all", "all") == {"listed": 0, "outranked": 0, "not_retrieved": 6}
    assert counts(table, "all", "depth:0", "popularity") == {"retrieved": 0, "retrieved_alone": 0}
    with pytest.raises(ValueError, match="truth is"):
        trace_purchases(nothing, LISTS, known, TRUTH[:, :3])
