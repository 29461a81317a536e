"""Facts of the whole shop, and some of its customers who know them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from helpers.known import make_known
from recs_assets.known.facts import load_facts, save_facts
from recs_assets.known.interactions import Known, TableRows
from recs_assets.recommenders.association import mark_recently_sold
from recs_assets.recommenders.shape import Shape
from recs_assets.schema import ArtefactError, FactError

ORDERS = [
    ("o1", "c1", 56, ["p1"]),
    ("o2", "c2", 28, ["p1", "p2"]),
    ("o3", "c4", 28, ["p2"]),
    ("o4", None, 84, ["p3"]),
]


@pytest.fixture
def whole() -> Known:
    known = make_known(ORDERS)
    rows = TableRows(
        *(np.array(part, dtype=np.int32) for part in ([-1, 0, 1, 3], [5, 6, 6, 7], [-1, 1, 2, 3]))
    )
    return replace(known, own_tables={"tickets": rows})


def test_some_customers_are_a_shop_of_their_own(whole: Known) -> None:
    some = whole.take_customers(np.array([1, 3]))
    assert some.customers["customer_id"].tolist() == ["c2", "c4"]
    assert some.customers.index.tolist() == [0, 1]
    assert (some.events.customer.tolist(), some.events.product.tolist()) == ([0, 0, 1], [0, 1, 1])
    assert some.history.toarray()[:, :3].tolist() == [[1, 1, 0], [0, 1, 0]]
    assert some.guests.product.tolist() == [2]
    tickets = some.own_tables["tickets"]
    assert (tickets.customer.tolist(), tickets.product.tolist()) == ([-1, 0, 1], [5, 6, 7])
    nobody = whole.take_customers(np.array([], dtype=np.int64))
    assert (nobody.n_customers, len(nobody.events), nobody.own_tables["tickets"].product.tolist()) == (
        0,
        0,
        [5],
    )


def test_they_know_of_products_what_the_whole_shop_does(whole: Known) -> None:
    whole.popularity(28)
    facts = whole.first_sold, mark_recently_sold(whole, 5), Shape.of(whole)
    some = whole.take_customers(np.array([3]))
    assert some.popularity(28.0)[:3].tolist() == [0.75, 1.0, 0.125]
    assert some.first_sold[:4].tolist() == [19730, 19758, 19702, -1]
    assert mark_recently_sold(some, 5)[:3].tolist() == [True, True, False]
    assert Shape.of(some) == facts[2] == Shape(customers=3, products=2, pairs=4, repeat_share=0.0)
    again = some.take_customers(np.array([0]))
    assert again.popularity(28)[:3].tolist() == [0.75, 1.0, 0.125]
    # What the whole counts later, those know who were cut before.
    whole.popularity(7)
    assert some.popularity(7)[1] == 0.125


def test_a_fact_is_counted_once(whole: Known) -> None:
    assert whole.popularity(28) is whole.popularity(28.0)
    later = replace(whole, as_of=whole.as_of.replace(day=11))
    assert later.popularity(28)[1] < whole.popularity(28)[1]


def test_what_was_not_counted_is_an_error(whole: Known) -> None:
    some = whole.take_customers(np.array([3]))
    with pytest.raises(FactError, match="'first_sold' of the whole shop was not counted"):
        some.first_sold  # noqa: B018 - it is what raises


def test_facts_come_back_as_they_were(tmp_path: Path, whole: Known) -> None:
    facts = {
        "popularity/28.0": whole.popularity(28),
        "shape": np.array([1.0, 2.0]),
        "names": np.array(["Öl", ""]),
        "similar": sparse.csr_matrix(np.array([[0, 1.5], [0, 0]], dtype=np.float32)),
    }
    digest = save_facts(facts, tmp_path / "facts")
    assert save_facts(facts, tmp_path / "again") == digest
    found = load_facts(tmp_path / "facts")
    assert found.keys() == facts.keys()
    for name in ("popularity/28.0", "shape", "names"):
        assert found[name].dtype == facts[name].dtype
        np.testing.assert_array_equal(found[name], facts[name])
    assert found["similar"].toarray().tolist() == [[0, 1.5], [0, 0]]
    block = replace(whole, facts=found)
    assert block.popularity(28).tobytes() == whole.popularity(28).tobytes()


def test_changed_facts_are_refused(tmp_path: Path) -> None:
    save_facts({"shape": np.arange(3)}, tmp_path / "facts")
    (tmp_path / "facts" / "facts.npz").write_bytes(b"other")
    with pytest.raises(ArtefactError, match="are not what was written"):
        load_facts(tmp_path / "facts")
    with pytest.raises(ArtefactError, match="cannot be read"):
        load_facts(tmp_path / "nothing")
    with pytest.raises(ArtefactError, match="'who' holds Python objects"):
        save_facts({"who": np.array([None])}, tmp_path / "facts")
