"""The same figures by other people's code: tea-tasting and statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tea_tasting
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower

from helpers.experiments import make
from recs_assets.experiments.metrics import METRICS
from recs_assets.experiments.moments import Values, add_up, compare, measure
from recs_assets.experiments.plan import plan
from recs_assets.experiments.sample_ratio import check_sample_ratio
from recs_assets.experiments.segments import shrink
from recs_assets.experiments.sequential import step_down

ONE, OTHER = np.array([1]), np.array([0])


@pytest.fixture(scope="module")
def users():
    """20,000 customers of two arms: orders and revenue, before and since."""
    rng = np.random.default_rng(11)
    variant = rng.integers(0, 2, 20_000)
    rate = rng.gamma(1.0, 2.0, 20_000)
    orders = rng.poisson(rate * (1 + 0.05 * variant)).astype(float)
    before = rng.poisson(rate).astype(float)
    frame = pd.DataFrame({"variant": variant, "orders": orders, "orders_before": before})
    frame["revenue"] = orders * rng.gamma(4.0, 5.0, 20_000)
    frame["revenue_before"] = before * rng.gamma(4.0, 5.0, 20_000)
    return frame


def ours(users, metric, **values):
    rows, _ = add_up(Values(**values), METRICS[metric], slice(0, 1))
    moments = measure(rows, users["variant"].to_numpy(), 2)
    return compare(moments, ONE, OTHER), compare(moments, ONE, OTHER, in_logs=False)


def check(users, metric, theirs, tolerance, **values):
    lift, difference = ours(users, metric, **values)
    result = tea_tasting.Experiment({"it": theirs}).analyze(users)["it"]
    middle, low, high = (float(end[0]) for end in difference.find_interval(1.959964))
    width = high - low
    assert middle == pytest.approx(result.effect_size, abs=tolerance * width)
    assert low == pytest.approx(result.effect_size_ci_lower, abs=tolerance * width)
    assert high == pytest.approx(result.effect_size_ci_upper, abs=tolerance * width)
    middle, low, high = (float(end[0]) for end in lift.find_interval(1.959964))
    width = high - low
    assert middle == pytest.approx(result.rel_effect_size, abs=5 * tolerance * width)
    # Ends of a lift may be found in several ways that agree as the customers grow.
    assert low == pytest.approx(result.rel_effect_size_ci_lower, abs=0.03 * width)
    assert high == pytest.approx(result.rel_effect_size_ci_upper, abs=0.03 * width)


def test_a_mean_is_that_of_tea_tasting(users):
    theirs = tea_tasting.Mean("orders", use_t=False)
    check(users, "orders", theirs, 1e-6, amounts=users[["orders"]].to_numpy())


def test_a_ratio_is_that_of_tea_tasting(users):
    theirs = tea_tasting.RatioOfMeans("revenue", "orders", use_t=False)
    check(
        users, "order_value", theirs, 1e-6,
        amounts=users[["revenue"]].to_numpy(), per=users[["orders"]].to_numpy(),
    )  # fmt: skip


def test_cuped_is_that_of_tea_tasting(users):
    theirs = tea_tasting.Mean("orders", "orders_before", use_t=False)
    check(
        users, "orders", theirs, 0.01,
        amounts=users[["orders"]].to_numpy(), before=users["orders_before"].to_numpy(),
    )  # fmt: skip


def test_cuped_of_a_ratio_is_that_of_tea_tasting(users):
    theirs = tea_tasting.RatioOfMeans("revenue", "orders", "revenue_before", "orders_before", use_t=False)
    check(
        users, "order_value", theirs, 0.01,
        amounts=users[["revenue"]].to_numpy(), per=users[["orders"]].to_numpy(),
        before=users["revenue_before"].to_numpy(), before_per=users["orders_before"].to_numpy(),
    )  # fmt: skip


def test_the_sample_ratio_is_that_of_tea_tasting(users):
    counts = users["variant"].value_counts().to_dict()
    theirs = tea_tasting.Experiment({"it": tea_tasting.SampleRatio(method="norm", correction=False)}).analyze(
        users
    )
    named = {"today": int(counts[0]), "ranker": int(counts[1])}
    found = check_sample_ratio({"today": 0.5, "ranker": 0.5}, named, named)
    assert found.drawn == pytest.approx(theirs["it"].pvalue, rel=1e-6)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=8), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_is_that_of_statsmodels(probabilities, level):
    names = [f"m{place}" for place in range(len(probabilities))]
    by_name = dict(zip(names, probabilities, strict=True))
    theirs = multipletests(probabilities, alpha=level, method="holm")[0]
    expected = {name for name, shown in zip(names, theirs, strict=True) if shown}
    assert step_down(names, lambda name, step: by_name[name] <= step, level) == expected


def test_the_spread_of_segments_is_that_of_statsmodels():
    rng = np.random.default_rng(2)
    error = rng.uniform(0.05, 0.2, 12)
    estimate = rng.normal(0.1, 0.15, 12) + error * rng.normal(size=12)
    found, theirs = shrink(estimate, error), combine_effects(estimate, error**2, method_re="chi2")
    assert found.spread == pytest.approx(np.sqrt(theirs.tau2))
    assert found.centre == pytest.approx(theirs.mean_effect_re)


def test_the_power_of_one_look_is_that_of_statsmodels():
    # One week that the past covers: no look but the last. Mean 1 and variance 1, so a lift of 0.06 is log(1.06) of it.
    amounts = np.tile([0.0, 2.0], 5000)[:, None]
    experiment = make(
        primary="orders",
        arms={"today": {"share": 0.7}, "ranker": {"share": 0.3}},
        detectable=0.06,
        guardrails={},
    )
    theirs = NormalIndPower().power(np.log(1.06), 3000, 0.05, ratio=7 / 3)
    assert plan(experiment, Values(amounts)).table["power"].iloc[0] == pytest.approx(theirs, abs=1e-3)
