"""What an earlier fit learned, on what is known later."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from helpers.known import ORDERS, PRODUCTS, make_known
from recs_assets.known.interactions import Known
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.carry import ArrayAxes, Codes

EVERY = pytest.mark.parametrize("name", REGISTRY)
# A day after the shop of helpers/known.py: c2 is gone and c7 is new, p4 is gone and p9 new.
LATER_ORDERS = [
    *((order, customer, days, [one for one in products if one != "p4"]) for order, customer, days, products in ORDERS if customer != "c2"),
    ("o16", "c6", 1, ["p2", "p9"]),
    ("o17", "c7", 1, ["p3", "p9"]),
]  # fmt: skip
LATER_CUSTOMERS = [
    ("c1", "family", "DE"),
    ("c3", "single", "DE"),
    ("c4", "single", "FR"),
    ("c5", "family", "FR"),
    ("c6", "single", None),
    ("c7", "single", "FR"),
]
LATER_PRODUCTS = [
    *(row for row in PRODUCTS if row[0] != "p4"),
    ("p9", "White buns", "Mill", "bakery", "fresh", 1.0, True),
]


def make(name: str):
    return REGISTRY[name].make(7, 200, 1)


@pytest.fixture(scope="module")
def later() -> Known:
    orders = [order for order in LATER_ORDERS if order[3]]
    known = make_known(orders, LATER_CUSTOMERS, LATER_PRODUCTS)
    return replace(known, as_of=known.as_of + timedelta(days=1))


@EVERY
def test_on_what_the_fit_knew_the_lists_are_the_same(random_shop: Known, name: str) -> None:
    fitted = make(name).fit(random_shop)
    carried = make(name).carry_over(fitted, random_shop)
    everybody = np.arange(random_shop.n_customers)
    for view, lists in fitted.recommend_views(everybody, 20, ("all", "new", "repeat")).items():
        pd.testing.assert_frame_equal(carried.recommend(everybody, 20, view), lists, check_exact=True)
    because = [
        one.because(lists["customer"].to_numpy(), lists["product"].to_numpy()) for one in (fitted, carried)
    ]
    np.testing.assert_array_equal(*because)


@EVERY
@pytest.mark.filterwarnings("error")
def test_who_and_what_came_and_went_has_lists_and_reasons(shop: Known, later: Known, name: str) -> None:
    carried = make(name).carry_over(make(name).fit(shop), later)
    lists = carried.recommend(np.arange(later.n_customers), 20)
    assert np.isfinite(lists["score"]).all()
    assert later.available[lists["product"]].all()
    because = carried.because(lists["customer"].to_numpy(), lists["product"].to_numpy())
    bought = later.history.toarray() > 0
    named = because >= 0
    assert bought[lists["customer"][named], because[named]].all()


# What needs nobody to have been there at the fit: c7, who is new, is listed by what they bought since.
BY_HISTORY = ("repurchase", "item_knn", "ease", "als", "rules", "content", "graph_filter", "user_knn")


@pytest.mark.parametrize("name", BY_HISTORY)
def test_a_purchase_after_the_fit_counts(shop: Known, later: Known, name: str) -> None:
    fitted = make(name).fit(shop)
    new = [later.customers["customer_id"].tolist().index("c7")]
    assert len(make(name).carry_over(fitted, later).recommend(np.array(new), 20)) > 0


def test_arrays_are_put_in_the_codes_of_now(shop: Known, later: Known) -> None:
    codes = Codes(shop, later)
    assert codes.before("customer").tolist() == [0, 2, 3, 4, 5, -1]
    assert codes.before("product").tolist() == [0, 1, 2, 4, 5, 6, 7, -1]
    assert codes.now("customer").tolist() == [0, -1, 1, 2, 3, 4]
    by_product = codes.carry(np.arange(8.0), ArrayAxes(("product",)))
    assert by_product[:7].tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert np.isnan(by_product[7])
    counts = codes.carry(np.arange(8), ArrayAxes(("product",), unknown=0))
    assert counts.tolist() == [0, 1, 2, 4, 5, 6, 7, 0]
    assert codes.carry(5, ArrayAxes()) == 5
    pairs = sparse.csr_matrix(np.arange(48.0).reshape(6, 8))
    moved = codes.carry(pairs, ArrayAxes(("customer", "product"))).toarray()
    assert moved[0].tolist() == [0, 1, 2, 4, 5, 6, 7, 0]
    assert moved[1].tolist() == [16, 17, 18, 20, 21, 22, 23, 0]
    assert moved[5].tolist() == [0] * 8
