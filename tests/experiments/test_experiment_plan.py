"""Plans from a shop's past."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.experiments import make
from recs_assets.experiments.moments import Values
from recs_assets.experiments.plan import plan

HALVES = {"today": {"share": 0.5}, "ranker": {"share": 0.5}}


def past(customers=20_000, weeks=8, seed=3):
    rng = np.random.default_rng(seed)
    rate = rng.gamma(1.0, 0.5, customers)
    orders = rng.poisson(rate[:, None], (customers, weeks)).astype(float)
    return Values(orders, None, rng.poisson(rate * 8).astype(float))


def test_one_week_is_the_textbook():
    # Orders of 0 and 2 in turns: mean 1, variance 1. Of 10,000 customers in two arms the error of a difference of
    # logarithms is sqrt(2 / 10,000 * 2) = 0.02, and 80 % power takes 2.8016 of it: exp(0.056032) - 1.
    amounts = np.tile([0.0, 2.0], 5000)[:, None]
    experiment = make(primary="orders", arms=HALVES, weeks=2, detectable=0.06)
    found = plan(experiment, Values(amounts))
    assert found.table["detectable"].tolist() == pytest.approx([0.057632], abs=1e-5)
    assert found.table["power"].iloc[0] > 0.8


def test_the_past_narrows_and_more_weeks_do():
    table = plan(make(primary="orders"), past()).table
    assert table["weeks"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (np.diff(table["detectable"]) < 0).all()
    assert (np.diff(table["power"]) > 0).all()
    assert (table["detectable"] < table["detectable_without_before"]).all()


def test_enough_customers():
    found = plan(make(primary="orders", arms=HALVES), past())
    assert found.sentence == (
        f"20,000 customers show a lift of 5.0 % in orders per customer within {found.weeks_needed} weeks, with a "
        "probability of 80.0 %."
    )
    assert 2 <= found.weeks_needed <= 8
    assert found.customers_needed < 20_000
    assert found.table["detectable"].iloc[found.weeks_needed - 1] <= 0.05


def test_too_few_customers():
    found = plan(make(primary="orders"), past(2000))
    assert found.sentence.startswith("Within 8 weeks, 2,000 customers show a lift of ")
    assert (
        f"for 5.0 % it takes {found.customers_needed:,} customers, or {found.weeks_needed} weeks."
        in found.sentence
    )
    # A quarter of the lift takes sixteen times the customers.
    more = plan(make(primary="orders", detectable=0.0125), past(2000)).customers_needed
    assert more / found.customers_needed == pytest.approx((np.log(1.05) / np.log(1.0125)) ** 2, rel=1e-3)


def test_half_a_layer_is_half_of_the_customers():
    whole = plan(make(primary="orders"), past()).table["detectable"]
    half = plan(make(primary="orders", layer={"name": "email", "begin": 0.0, "end": 0.5}), past()).table
    np.testing.assert_allclose(np.log1p(half["detectable"]), np.log1p(whole) * np.sqrt(2), rtol=1e-9)


def test_a_past_without_anything():
    found = plan(make(primary="orders"), Values(np.zeros((100, 4))))
    assert (found.weeks_needed, found.customers_needed, len(found.table)) == (None, None, 0)
    assert found.sentence == "The past shows no orders per customer to reckon with."
