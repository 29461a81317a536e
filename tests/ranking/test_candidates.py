import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from helpers.ranking import LISTS, rows
from recs_assets.arrays import rank_within
from recs_assets.ranking import candidates
from recs_assets.ranking.candidates import Candidates, merge


def pairs(found):
    return list(zip(found.customer.tolist(), found.product.tolist(), strict=True))


def test_reciprocal_rank_fusion_by_hand(shop):
    found = merge(LISTS, shop, own_limit=10, new_limit=10)
    # p4: 1/62 + 1/61; p2: 1/61 + 1/63; p5: 1/62; for c6 p5: 1/61.
    assert pairs(found) == [(0, 3), (0, 1), (0, 4), (5, 4)]
    np.testing.assert_allclose(
        found.rrf, [1 / 62 + 1 / 61, 1 / 61 + 1 / 63, 1 / 62, 1 / 61], rtol=1e-6
    )  # fmt: skip
    assert found.own.tolist() == [False, True, False, False]
    rank, score = found.sources["a"]
    np.testing.assert_array_equal(rank, [2, 1, np.nan, 1])
    np.testing.assert_array_equal(score, np.float32([8.0, 9.0, np.nan, 7.0]))
    rank, score = found.sources["b"]
    np.testing.assert_array_equal(rank, [1, 3, 2, np.nan])
    np.testing.assert_array_equal(score, np.float32([0.3, 0.1, 0.2, np.nan]))


def test_own_and_new_products_have_limits_of_their_own(shop):
    assert pairs(merge(LISTS, shop, own_limit=0, new_limit=1)) == [(0, 3), (5, 4)]
    assert pairs(merge(LISTS, shop, own_limit=1, new_limit=0)) == [(0, 1)]


def test_equal_votes_go_to_the_smaller_product(shop):
    lists = {"a": rows((0, 5, 1.0)), "b": rows((0, 4, 1.0)), "c": rows((0, 3, 1.0))}
    assert pairs(merge(lists, shop, 10, 2)) == [(0, 3), (0, 4)]


def test_the_order_of_rows_changes_nothing(shop):
    shuffled = {name: rows.sample(frac=1, random_state=3) for name, rows in LISTS.items()}
    one, other = merge(LISTS, shop, 10, 10), merge(shuffled, shop, 10, 10)
    assert one.rrf.tobytes() == other.rrf.tobytes()
    assert pairs(one) == pairs(other)
    assert one.sources["b"][1].tobytes() == other.sources["b"][1].tobytes()


def test_blocks_change_nothing(random_shop, monkeypatch):
    rng = np.random.default_rng(1)
    lists = {
        name: rows(
            *(
                (customer, product, 1.0 - rank / 20)
                for customer in range(0, 40, 3)
                for rank, product in enumerate(rng.permutation(60)[:20])
            )
        )
        for name in ("a", "b", "b:new")
    }
    whole = merge(lists, random_shop, 8, 9)
    monkeypatch.setattr(candidates, "BLOCK_ROWS", 70)
    blocks = merge(lists, random_shop, 8, 9)
    assert pairs(whole) == pairs(blocks)
    assert whole.rrf.tobytes() == blocks.rrf.tobytes()
    for name in lists:
        np.testing.assert_array_equal(whole.sources[name], blocks.sources[name])
    count = pd.Series(whole.customer).groupby([whole.customer, whole.own]).count()
    assert count.xs(True, level=1).max() <= 8
    assert count.xs(False, level=1).max() <= 9


def test_no_rows_at_all(shop):
    found = merge({"a": rows()}, shop, 5, 5)
    assert len(found) == 0
    assert list(found.sources) == ["a"]


def test_refusals(shop):
    with pytest.raises(ValueError, match="no lists"):
        merge({}, shop, 5, 5)
    with pytest.raises(ValueError, match="0 or more"):
        merge(LISTS, shop, -1, 5)
    with pytest.raises(ValueError, match="list of a holds a score that is not finite"):
        merge({"a": rows((0, 1, np.inf))}, shop, 5, 5)


def test_labels(shop):
    truth = sparse.csr_matrix((np.ones(2), ([0, 5], [3, 1])), shape=(6, 8))
    assert merge(LISTS, shop, 10, 10).labels(truth).tolist() == [1, 0, 0, 0]


def made(customer, product, own=None):
    size = len(customer)
    return Candidates(
        np.array(customer, dtype=np.int32),
        np.array(product, dtype=np.int32),
        np.ones(size, dtype=np.float32),
        np.zeros(size, dtype=bool) if own is None else np.array(own),
        {},
        rank_within(np.array(customer)).astype(np.float32),
    )


def test_ranked_lists_by_score_then_product_within_a_view():
    some = made([0, 0, 0, 2], [7, 5, 6, 1], own=[True, False, False, True])
    lists = some.rank(np.array([0.5, 0.5, 0.9, 0.1]), k=2)
    assert lists[["customer", "product", "rank", "row"]].to_numpy().tolist() == [
        [0, 6, 1, 2],
        [0, 5, 2, 1],
        [2, 1, 1, 3],
    ]
    new = some.rank(np.array([0.5, 0.5, 0.9, 0.1]), k=5, keep=~some.own)
    assert new["product"].tolist() == [6, 5]
    with pytest.raises(ValueError, match="not finite"):
        some.rank(np.array([np.nan, 0, 0, 0]), k=2)
    with pytest.raises(ValueError, match="k is 0"):
        some.rank(np.zeros(4), k=0)


def test_take_and_concat_give_the_whole_back(shop):
    whole = merge(LISTS, shop, 10, 10)
    again = Candidates.concat([whole.take(np.arange(3)), whole.take(np.arange(3, 4))])
    assert pairs(again) == pairs(whole)
    np.testing.assert_array_equal(again.sources["a"], whole.sources["a"])
    with pytest.raises(ValueError, match="different lists"):
        Candidates.concat([whole, made([9], [1])])
