"""What every recommender keeps, as one suite over the registry."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recs_assets.recommenders import REGISTRY, base
from recs_assets.recommenders.base import VIEWS
from recs_assets.schema import NotFittedError

EVERY = pytest.mark.parametrize("name", REGISTRY)


def make(name):
    return REGISTRY[name].make(7, 200, 1)


@pytest.fixture(scope="module")
def models(shop_with_browsing):
    """Every recommender, fitted once on the random shop."""
    return {name: make(name).fit(shop_with_browsing) for name in REGISTRY}


def everybody(known):
    return np.arange(known.n_customers, dtype=np.int32)


def check_lists(lists, known, customers, k, view):
    """All that `recommend` promises of one answer."""
    assert list(lists.columns) == ["customer", "product", "score", "rank"]
    assert [str(kind) for kind in lists.dtypes] == ["int32", "int32", "float32", "int16"]
    assert np.isfinite(lists["score"]).all()
    assert not lists.duplicated(["customer", "product"]).any()
    assert lists["product"].between(0, known.n_products - 1).all()
    assert known.available[lists["product"]].all()
    given_order = {customer: position for position, customer in enumerate(customers)}
    position = lists["customer"].map(given_order)
    assert position.is_monotonic_increasing
    by_customer = lists.groupby("customer", sort=False)
    assert (lists["rank"] == by_customer.cumcount() + 1).all()
    assert (lists["rank"] <= k).all()
    ordered = lists.assign(position=position).sort_values(
        ["position", "score", "product"], ascending=[True, False, True], kind="stable"
    )
    assert ordered.index.equals(lists.index)
    bought = known.history.toarray()[lists["customer"], lists["product"]] > 0
    if view == "new":
        assert not bought.any()
    if view == "repeat":
        assert bought.all()


def assert_same(left, right):
    """Bit for bit, not approximately."""
    pd.testing.assert_frame_equal(left, right, check_exact=True)


@EVERY
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("k", [1, 5, 1000])
def test_lists(models, shop_with_browsing, name, view, k):
    customers = everybody(shop_with_browsing)
    lists = models[name].recommend(customers, k, view)
    check_lists(lists, shop_with_browsing, customers, k, view)
    # Who bought a product before has no first list, or nearly.
    assert len(lists) > 0 or (name, view) == ("first_list", "repeat")


@EVERY
@pytest.mark.parametrize("view", VIEWS)
def test_shorter_list_is_the_start_of_the_longer(models, shop_with_browsing, name, view):
    customers = everybody(shop_with_browsing)
    longer = models[name].recommend(customers, 20, view)
    shorter = models[name].recommend(customers, 6, view)
    assert_same(shorter, longer[longer["rank"] <= 6].reset_index(drop=True))


@EVERY
@pytest.mark.parametrize("view", VIEWS)
def test_views_split_the_whole(models, shop_with_browsing, name, view):
    """With k above the number of products, "new" and "repeat" together are "all"."""
    customers = everybody(shop_with_browsing)
    whole = models[name].recommend(customers, 1000)
    part = models[name].recommend(customers, 1000, view)
    merged = part.merge(whole, on=["customer", "product"], suffixes=("", "_all"))
    assert len(merged) == len(part)
    assert (merged["score"] == merged["score_all"]).all()
    if view != "all":
        other = models[name].recommend(customers, 1000, "repeat" if view == "new" else "new")
        assert len(part) + len(other) == len(whole)


@EVERY
@pytest.mark.parametrize("view", VIEWS)
def test_order_and_blocks_of_customers_change_nothing(models, shop_with_browsing, name, view, monkeypatch):
    customers = everybody(shop_with_browsing)
    whole = models[name].recommend(customers, 10, view)
    reverse = models[name].recommend(customers[::-1], 10, view)
    assert_same(reverse.sort_values(["customer", "rank"], ignore_index=True), whole)
    alone = pd.concat(
        [models[name].recommend(customers[[c]], 10, view) for c in customers], ignore_index=True
    )
    assert_same(alone, whole)
    monkeypatch.setattr("recs_assets.recommenders.base.BLOCK_VALUES", 7 * shop_with_browsing.n_products)
    assert_same(models[name].recommend(customers, 10, view), whole)


@EVERY
def test_refit_equals_fresh_fit_and_seed_decides(models, shop_with_browsing, shop, name):
    customers = everybody(shop_with_browsing)
    expected = models[name].recommend(customers, 10)
    refitted = make(name).fit(shop).fit(shop_with_browsing)
    assert_same(refitted.recommend(customers, 10), expected)
    assert set(vars(refitted)) == set(vars(models[name]))


@EVERY
def test_threads_do_not_change_the_result(models, shop_with_browsing, name):
    customers = everybody(shop_with_browsing)
    more = REGISTRY[name].make(7, 200, 2).fit(shop_with_browsing)
    assert_same(more.recommend(customers, 10), models[name].recommend(customers, 10))


@EVERY
def test_init_only_stores(name):
    recommender = make(name)
    parameters = inspect.signature(type(recommender).__init__).parameters
    assert set(vars(recommender)) == set(parameters) - {"self"}
    assert recommender.name == name
    default = type(recommender)()
    assert all(getattr(default, key) == parameters[key].default for key in vars(default))


@EVERY
def test_fit_leaves_the_parameters_alone(models, name):
    fresh = vars(make(name))
    assert {key: vars(models[name])[key] for key in fresh} == fresh
    assert all(key.endswith("_") for key in set(vars(models[name])) - set(fresh))


@EVERY
def test_not_fitted(name):
    with pytest.raises(NotFittedError, match=f"Recommender {name} has no fitted model: call fit"):
        make(name).recommend(np.array([0]), 5)


@EVERY
def test_no_customers_asked_for(models, name):
    lists = models[name].recommend(np.array([], dtype=np.int32), 5)
    assert [str(kind) for kind in lists.dtypes] == ["int32", "int32", "float32", "int16"]
    assert len(lists) == 0


def test_wrong_arguments(models):
    with pytest.raises(ValueError, match="view is 'old'"):
        models["popularity"].recommend(np.array([0]), 5, "old")
    with pytest.raises(ValueError, match="k is 0"):
        models["popularity"].recommend(np.array([0]), 0)


# Every row of their lists has a product that led to it.
CAUSED = (
    "rules",
    "transition",
    "follow_ups",
    "late_follow_ups",
    "item_knn",
    "als",
    "ease",
    "graph_filter",
    "content",
    "recently_viewed",
    "back_in_stock",
)


@EVERY
def test_because_names_a_product_of_the_history(models, shop_with_browsing, name):
    lists = models[name].recommend(everybody(shop_with_browsing), 10)
    because = models[name].because(lists["customer"].to_numpy(), lists["product"].to_numpy())
    assert because.dtype == np.int32
    assert because.shape == (len(lists),)
    named = because >= 0
    # A view or a wish is evidence too; that a sentence calls only purchases such, reasons/ladder.py sees to.
    touched = np.zeros((shop_with_browsing.n_customers, shop_with_browsing.n_products), dtype=bool)
    touched[shop_with_browsing.events.customer, shop_with_browsing.events.product] = True
    assert touched[lists["customer"][named], because[named]].all()
    assert (because[~named] == -1).all()
    assert named.any() == (
        name not in ("random", "popularity", "segment_popularity", "first_list", "lightfm")
    )
    assert named.all() or name not in CAUSED


@EVERY
def test_stored_model_gives_the_same_lists(models, shop_with_browsing, name, tmp_path):
    from recs_assets.recommenders.artefacts import load_model, save_model

    save_model(models[name], tmp_path / name)
    loaded = load_model(make(name), tmp_path / name, shop_with_browsing)
    customers = everybody(shop_with_browsing)
    assert_same(loaded.recommend(customers, 10), models[name].recommend(customers, 10))


@EVERY
def test_known_is_left_as_it_was(shop_with_browsing, name):
    """Later events are cut off before a `Known` exists; recommenders read nothing else and share it."""
    before = [column.copy() for column in vars(shop_with_browsing.events).values()]
    frames = shop_with_browsing.customers.copy(), shop_with_browsing.products.copy()
    make(name).fit(shop_with_browsing).recommend(everybody(shop_with_browsing), 5, "new")
    assert all(
        (old == new).all() for old, new in zip(before, vars(shop_with_browsing.events).values(), strict=True)
    )
    pd.testing.assert_frame_equal(frames[0], shop_with_browsing.customers)
    pd.testing.assert_frame_equal(frames[1], shop_with_browsing.products)


# Shops at the edge: each must give honest, possibly empty, lists.

ONE_PRODUCT = [("p1", "Only thing", "Brand", "kind", "floor", 1.0, True)]
EDGES = {
    "no purchases": {"orders": []},
    "only a view": {"orders": [], "events": [("c1", "p1", 3, "view", 0.1)]},
    "one customer": {
        "orders": [("o1", "c1", 3, ["p1", "p2"]), ("o2", "c1", 9, ["p1"])],
        "customers": [("c1", None, None)],
    },
    "one product": {"orders": [("o1", "c1", 3, ["p1"]), ("o2", "c2", 9, ["p1"])], "products": ONE_PRODUCT},
    "one customer, one product": {
        "orders": [("o1", "c1", 3, ["p1"])],
        "customers": [("c1", None, None)],
        "products": ONE_PRODUCT,
    },
    "nothing may be sold": {
        "orders": [("o1", "c1", 3, ["p1"]), ("o2", "c2", 3, ["p1"])],
        "products": [(*ONE_PRODUCT[0][:-1], False)],
    },
    "no text at all": {
        "orders": [("o1", "c1", 3, ["p1", "p2"]), ("o2", "c2", 3, ["p1"])],
        "products": [("p1", "", None, None, None, np.nan, True), ("p2", "", None, None, None, np.nan, True)],
    },
    "bad rating outweighs the purchase": {
        "orders": [("o1", "c1", 3, ["p1"])],
        "events": [("c1", "p1", 2, "review", -2.0)],
    },
    "purchases of forty years": {
        "orders": [("o1", "c1", 14_000, ["p1"]), ("o2", "c1", 1, ["p2"]), ("o3", "c2", 14_000, ["p3"])]
    },
}


@EVERY
@pytest.mark.parametrize("edge", EDGES)
def test_edges(build_known, name, edge):
    known = build_known(**EDGES[edge])
    recommender = make(name).fit(known)
    for view in VIEWS:
        lists = recommender.recommend(everybody(known), 5, view)
        check_lists(lists, known, everybody(known), 5, view)
    recommender.because(lists["customer"].to_numpy(), lists["product"].to_numpy())
    if name in ("rules", "content"):
        assert recommender.neighbours(5).duplicated(["product", "neighbour"]).sum() == 0


@pytest.fixture(scope="module")
def giant_shop(build_known):
    """One basket of 100,000 lines, one customer with 50,000 orders, and some ordinary ones."""
    products = [(f"p{n:05d}", f"thing {n % 90}", None, f"kind {n % 9}", None, 1.0, True) for n in range(5000)]
    every = [product[0] for product in products]
    orders = [("giant", "c1", 5, every * 20)]
    orders += [(f"many{n}", "c2", 1 + n % 700, [every[n % 50]]) for n in range(50_000)]
    orders += [(f"some{n}", f"c{3 + n % 3}", 1 + n, every[n : n + 3]) for n in range(60)]
    return build_known(orders, products=products)


@EVERY
def test_giant_basket_and_giant_customer(giant_shop, name):
    recommender = make(name).fit(giant_shop)
    for view in VIEWS:
        lists = recommender.recommend(everybody(giant_shop), 5, view)
        check_lists(lists, giant_shop, everybody(giant_shop), 5, view)
    recommender.because(lists["customer"].to_numpy(), lists["product"].to_numpy())


@EVERY
def test_customers_and_products_without_history(shop, name):
    """c6 never ordered, p8 was never sold: who may say something about them, and who is silent."""
    recommender = make(name).fit(shop)
    lists = recommender.recommend(everybody(shop), 100)
    speaks_to_strangers = {
        "random",
        "popularity",
        "category_popularity",
        "segment_popularity",
        "first_list",
        "repurchase",
        "lightfm",
    }
    assert ((lists["customer"] == 5).any()) == (name in speaks_to_strangers)
    proposes_the_unsold = {"random", "content", "lightfm"}
    assert ((lists["product"] == 7).any()) == (name in proposes_the_unsold)


ORDER = st.tuples(st.integers(0, 4), st.integers(1, 60), st.lists(st.integers(0, 5), min_size=1, max_size=4))


@EVERY
@settings(max_examples=15, deadline=timedelta(seconds=20), suppress_health_check=[HealthCheck.too_slow])
@given(orders=st.lists(ORDER, max_size=12), unavailable=st.sets(st.integers(0, 5)), k=st.integers(1, 8))
def test_any_small_shop(build_known, name, orders, unavailable, k):
    products = [
        (f"p{n}", f"thing number{n}", f"brand {n % 2}", f"kind {n % 3}", None, 1.0 + n, n not in unavailable)
        for n in range(6)
    ]
    customers = [(f"c{n}", None, None) for n in range(5)]
    known = build_known(
        [(f"o{n}", f"c{c}", age, [f"p{p}" for p in lines]) for n, (c, age, lines) in enumerate(orders)],
        customers,
        products,
    )
    recommender = make(name).fit(known)
    for view in VIEWS:
        lists = recommender.recommend(everybody(known), k, view)
        check_lists(lists, known, everybody(known), k, view)
        assert_same(make(name).fit(known).recommend(everybody(known), k, view), lists)


@pytest.mark.parametrize("name", REGISTRY)
def test_views_scored_together_in_blocks_side_by_side_equal_views_scored_apart(name, shop, monkeypatch):
    model = REGISTRY[name].make(7, 200, 1).fit(shop)
    customers = np.arange(shop.n_customers)
    with monkeypatch.context() as patch, ThreadPoolExecutor(3) as pool:
        patch.setattr(base, "BLOCK_VALUES", 2 * shop.n_products)
        together = model.recommend_views(customers, 5, VIEWS, pool)
    for view in VIEWS:
        pd.testing.assert_frame_equal(together[view], model.recommend(customers, 5, view))
