"""When a product is bought again: the model by hand, its properties, and what is shown of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from helpers.known import make_known
from recs_assets.repeats.cadence import (
    LONGEST_GAP_DAYS,
    find_replacements,
    fit_cadence,
    list_due_again,
    predict,
    shrink_share,
)

ONE = [("c1", None, None)]


def product(name, category="dairy", brand="Mill", price=3.0, available=True):
    return (name, name.title(), brand, category, None, price, available)


def known_of(lines, customers=None, products=None):
    """`lines`: (customer, product, ages in days)."""
    orders = [
        (f"{customer}-{name}-{age}", customer, age, [name]) for customer, name, ages in lines for age in ages
    ]
    customers = customers or sorted({(customer, None, None) for customer, _, _ in lines})
    products = products or [product(name) for name in sorted({name for _, name, _ in lines})]
    return make_known(orders, customers=customers, products=products)


# The prediction


def test_predict_by_hand():
    # Prior: one gap in 10 days. Three gaps in 30 days, 10 days of silence.
    gap, alive, p = predict(3.0, 30.0, 10.0, 0.1, 1.0, 0.2, 28.0)
    assert gap == pytest.approx(10.0)  # (10 + 30) / (1 + 3)
    # Odds of a drop 0.2 / 0.8 * (50 / 40)^4 = 0.25 * 2.44140625
    assert alive == pytest.approx(1 / (1 + 0.6103515625))
    # (50 / 78)^4 is the chance of no purchase in 28 days.
    assert p == pytest.approx((1 - (50 / 78) ** 4) / 1.6103515625)


def test_one_purchase_expects_the_gap_of_the_product():
    for silence in (1.0, 50.0):
        assert predict(0.0, 0.0, silence, 0.05, 0.3, 0.1, 28.0)[0] == pytest.approx(20.0)


@given(
    gaps=st.integers(0, 50),
    span=st.floats(1, 500),
    mean=st.floats(0.001, 1),
    shape=st.floats(0.05, 100),
)
def test_the_rate_rises_with_purchases(gaps, span, mean, shape):
    before, after = (predict(n, span, 5.0, mean, shape, 0.1, 28.0)[0] for n in (gaps, gaps + 1))
    assert after < before


@given(
    gaps=st.integers(0, 50),
    span=st.floats(0, 500),
    silence=st.floats(1, 400),
    mean=st.floats(0.001, 1),
    shape=st.floats(0.05, 100),
    factor=st.floats(0.1, 10),
)
def test_time_has_no_unit(gaps, span, silence, mean, shape, factor):
    one = predict(gaps, span, silence, mean, shape, 0.1, 28.0)
    other = predict(gaps, span * factor, silence * factor, mean / factor, shape, 0.1, 28.0 * factor)
    assume(max(one[0], one[0] * factor) < LONGEST_GAP_DAYS)  # the cap has a unit
    assert other[0] == pytest.approx(one[0] * factor)
    assert other[1:] == pytest.approx(one[1:])


@given(silence=st.floats(1, 400), more=st.floats(1, 400))
def test_a_longer_silence_makes_a_purchase_less_likely(silence, more):
    short, long = (predict(4.0, 40.0, days, 0.1, 0.5, 0.1, 28.0) for days in (silence, silence + more))
    assert long[0] == short[0]
    assert long[1] < short[1]
    assert long[2] < short[2]


# Shares


def test_a_share_without_trials_is_half_and_without_overdispersion_the_shop_s():
    assert shrink_share(np.zeros(2), np.zeros(2), np.zeros(2, dtype=int)).tolist() == [0.5, 0.5]
    # 0.5 of 10 twice: no overdispersion, so each prior counts for 1,000 trials.
    assert shrink_share(np.full(2, 5.0), np.full(2, 10.0), np.zeros(2, dtype=int)).tolist() == [0.5, 0.5]


def test_a_rare_product_lies_nearer_to_its_category_than_a_common_one():
    # Milk-like and lamp-like categories; the last product of each has one buyer, who did the opposite.
    successes = np.array([80.0, 70.0, 0.0, 2.0, 4.0, 1.0])
    trials = np.array([100.0, 100.0, 1.0, 100.0, 100.0, 1.0])
    found = shrink_share(successes, trials, np.array([0, 0, 0, 1, 1, 1]))
    assert found[2] > 0.5 > found[5]
    assert np.abs(found - successes / np.maximum(trials, 1))[[0, 1, 3, 4]].max() < 0.06


# The whole model


def test_pairs_count_distinct_days():
    known = make_known(
        [("a", "c1", 30, ["p1"]), ("b", "c1", 30, ["p1"]), ("c", "c1", 10, ["p1", "p2"])],
        customers=ONE,
        products=[product("p1"), product("p2")],
    )
    found = fit_cadence(known, 28)
    anchor = known.anchor_day
    assert found.product.tolist() == [0, 1]
    assert found.order_days.tolist() == [2, 1]
    assert (anchor - found.first_day).tolist() == [30, 10]
    assert (anchor - found.last_day).tolist() == [10, 10]
    assert found.due_ratio == pytest.approx((10 + 28) / found.expected_gap)


def test_pairs_are_those_of_the_history(shop):
    found = fit_cadence(shop, 28)
    assert found.product.tolist() == shop.history.indices.tolist()
    assert found.order_days.tolist() == shop.history.data.tolist()
    assert found.last_day.tolist() == shop.last_bought.data.tolist()


def test_rates_that_made_the_data_are_found():
    # 300 customers; two products bought at 1 in 7 and 1 in 70 days, Gamma shape 2 around it, for 400 days.
    generator = np.random.default_rng(1)
    lines = []
    for name, gap in (("p1", 7.0), ("p2", 70.0)):
        for customer, rate in enumerate(generator.gamma(2.0, 1 / (2.0 * gap), 300)):
            days = np.cumsum(np.r_[generator.uniform(1, 60), generator.exponential(1 / rate, 400)])
            lines.append((f"c{customer:03d}", name, sorted({400 - int(day) for day in days if day < 399})))
    found = fit_cadence(known_of(lines), 28)
    for code, gap in ((0, 7.0), (1, 70.0)):
        here = found.product == code
        exposure = (found.last_day[here] - found.first_day[here]).sum()
        assert exposure / (found.order_days[here] - 1).sum() == pytest.approx(gap, rel=0.3)
        assert np.median(found.expected_gap[here]) == pytest.approx(gap, rel=0.35)
        assert found.alive[here].mean() > 0.8


def test_regular_purchases_are_due_when_the_gap_is_over():
    lines = [(f"c{number}", "milk", range(7, 350, 7)) for number in range(20)]
    lines += [(f"c{number}", "lamp", [100 + number]) for number in range(20)]
    found = fit_cadence(known_of(lines), 28)
    milk, lamp = found.product == 1, found.product == 0
    assert found.expected_gap[milk] == pytest.approx(np.full(20, 7.0), rel=0.02)
    assert found.due_ratio[milk] == pytest.approx(np.full(20, 5.0), rel=0.02)  # (7 + 28) / 7
    assert found.p_repeat[milk].min() > 0.9
    assert found.p_repeat[lamp].max() < 0.1
    assert found.repeat_share[1] > 0.8 > 0.2 > found.repeat_share[0]
    rows, removed = list_due_again(known_of(lines), found)
    assert set(rows["product"]) == {1}
    assert removed == {"durable": 20, "not_due": 0, "unavailable": 0, "doubled": 0}


@pytest.mark.parametrize(
    "lines",
    [
        [("c1", "p1", [5])],
        [("c1", "p1", [5]), ("c2", "p1", [90]), ("c2", "p2", [400])],
        [("c1", "p1", [5, 12, 19])],
    ],
)
def test_little_data_gives_finite_figures(lines):
    found = fit_cadence(known_of(lines), 28)
    for values in (found.expected_gap, found.alive, found.due_ratio, found.p_repeat, found.repeat_share):
        assert np.isfinite(values).all()
        assert (values > 0).all()
    assert found.p_repeat.max() < 1


def test_nobody_came_back():
    lines = [(f"c{number:02d}", f"p{number % 5}", [30 + number]) for number in range(50)]
    found = fit_cadence(known_of(lines), 28)
    assert found.repeat_share.max() < 0.1
    rows, removed = list_due_again(known_of(lines), found)
    assert rows.empty
    assert removed["durable"] == 50


def test_no_purchase_at_all():
    known = make_known([], customers=ONE, products=[product("p1")])
    found = fit_cadence(known, 28)
    assert len(found) == 0
    rows, removed = list_due_again(known, found)
    assert rows.empty
    assert removed == {"durable": 0, "not_due": 0, "unavailable": 0, "doubled": 0}
    with pytest.raises(ValueError, match="horizon is 0 days"):
        fit_cadence(known, 0)


# What is shown


def test_a_product_that_is_not_due_by_the_end_of_the_horizon_is_left_out():
    # Bought every 100 days, today 1 day ago: (1 + 28) / 100. A year ago it was due.
    lines = [(f"c{number}", "tea", [1, 101, 201, 301]) for number in range(9)]
    lines += [("c9", "tea", [60, 160, 260, 360])]
    known = known_of(lines)
    found = fit_cadence(known, 28)
    assert found.due_ratio[0] == pytest.approx(0.29, rel=0.1)
    rows, removed = list_due_again(known, found)
    assert rows["customer"].tolist() == [9]
    assert rows["usual_gap"].tolist() == [100.0]
    assert removed["not_due"] == 9
    assert len(list_due_again(known, found, due_ratio=0.0)[0]) == 10
    assert list_due_again(known, found, due_ratio=0.0, limit=1)[0]["customer"].tolist() == list(range(10))


def test_replacements():
    # Gone: a (variants b, c, d), f (f1 has another brand), g (twice the price), h (no brand).
    rows = [
        product("a", price=4.0, available=False),
        product("b", price=4.0),
        product("c", price=9.0),
        product("d", price=9.5),
        product("f", "tea", "Leaf", 2.0, available=False),
        product("f1", "tea", "Mill", 2.0),
        product("f2", "tea", "Leaf", 3.0),
        product("f3", "tea", "Leaf", 1.5),
        product("g", "oil", "Leaf", 2.0, available=False),
        product("g1", "oil", "Leaf", 4.2),
        product("h", "oil", None, 2.0, available=False),
    ]
    known = make_known([], customers=ONE, products=rows)
    known.products["parent_id"] = ["m", "m", "m", "m"] + [None] * 7
    start = date(2024, 1, 1)
    known.products["start_at"] = pd.to_datetime(
        [start, start - timedelta(days=9), start + timedelta(days=9), start + timedelta(days=9)] + [start] * 7
    )
    instead, same_parent = find_replacements(known)
    # c came later and is nearer in price than d; f3 is nearer to f by ratio (1.33) than f2 (1.5).
    assert instead.tolist() == [2, -1, -1, -1, 7, -1, -1, -1, -1, -1, -1]
    assert same_parent.tolist() == [True] + [False] * 10


def test_what_cannot_be_had_is_shown_as_its_replacement_once():
    rows = [
        product("new", "tea", "Leaf", 2.0),
        product("old1", "tea", "Leaf", 2.1, available=False),
        product("old2", "tea", "Leaf", 2.2, available=False),
        product("lost", "oil", "Leaf", 2.2, available=False),
    ]
    ages = list(range(10, 300, 10))
    lines = [("c1", "old1", ages), ("c1", "old2", ages[:9]), ("c1", "lost", ages)]
    lines += [("c2", "old1", ages), ("c2", "new", ages[:5])]
    known = known_of(lines, products=rows)
    shown, removed = list_due_again(known, fit_cadence(known, 28))
    assert shown[["customer", "product", "replaces", "kind"]].to_numpy().tolist() == [
        [0, 1, 2, "same_brand"],
        [1, 1, -1, "own"],
    ]
    assert shown["order_days"].tolist() == [29, 5]
    assert removed == {"durable": 0, "not_due": 0, "unavailable": 1, "doubled": 2}


@pytest.mark.parametrize("size", [1, 7, 40])
def test_blocks_of_customers_are_due_what_the_shop_is(random_shop, size):
    shop = replace(random_shop)  # with facts of its own
    whole = fit_cadence(shop, 28)
    rows, removed = list_due_again(shop, whole, due_ratio=0.2, repeat_share=0.0)
    assert len(rows) > 100
    parts, counts = [], []
    for first in range(0, shop.n_customers, size):
        part = shop.take_customers(np.arange(first, min(first + size, shop.n_customers)))
        own, out = list_due_again(part, fit_cadence(part, 28), due_ratio=0.2, repeat_share=0.0)
        parts.append(own.assign(customer=own["customer"] + first))
        counts.append(out)
    pd.testing.assert_frame_equal(
        pd.concat(parts, ignore_index=True), rows, check_dtype=False, check_exact=True
    )
    assert {name: sum(count[name] for count in counts) for name in removed} == removed
