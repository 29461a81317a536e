"""Bounds of weekly looks, beside tables in the literature, SciPy's normal distribution and drawn paths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from recs_assets.experiments.sequential import find_bounds, find_drift, find_power

# Jennison and Turnbull, Group Sequential Methods with Applications to Clinical Trials, 2000, tables 2.1 and 2.3: two sides, 5 %.
POCOCK = {1: 1.960, 2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 8: 2.512, 10: 2.555}
OBRIEN_FLEMING = {1: 1.960, 2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 10: 2.087}


@pytest.mark.parametrize("looks", POCOCK)
def test_pococks_constants_make_an_error_of_five_percent(looks):
    assert find_power(range(1, looks + 1), [POCOCK[looks]] * looks, 0.0) == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize("looks", OBRIEN_FLEMING)
def test_so_do_those_of_obrien_and_fleming(looks):
    steps = np.arange(1, looks + 1)
    bounds = OBRIEN_FLEMING[looks] * np.sqrt(looks / steps)
    assert find_power(steps, bounds, 0.0) == pytest.approx(0.05, abs=1e-4)


def test_the_power_of_pococks_five_looks():
    # Table 2.2: 90 % power takes 1.207 times the customers of one look, whose effect is 1.960 + 1.282 errors.
    drift = np.sqrt(1.207) * (1.9600 + 1.2816)
    assert find_power(range(1, 6), [2.413] * 5, drift) == pytest.approx(0.9, abs=1e-3)


def test_one_look_is_the_usual_interval():
    assert find_bounds([4], [7.0], 4).tolist() == pytest.approx([1.959964], abs=1e-6)


def test_what_the_bounds_of_three_looks_spend():
    information = [1.0, 1.5, 4.0]
    bounds = find_bounds([1, 2, 4], information, 4)
    correlation = np.sqrt([[min(a, b) / max(a, b) for a in information] for b in information])
    for looks, spent in ((1, 0.05 / 16), (2, 0.05 / 4), (3, 0.05)):
        inside = multivariate_normal(cov=correlation[:looks, :looks], abseps=1e-8, maxpts=10**6).cdf(
            bounds[:looks], lower_limit=-bounds[:looks]
        )
        assert 1 - inside == pytest.approx(spent, abs=2e-6)


def test_eight_weekly_looks():
    bounds = find_bounds(range(1, 9), range(1, 9), 8)
    paths = np.cumsum(np.random.default_rng(5).normal(size=(200_000, 8)), axis=1) / np.sqrt(np.arange(1, 9))
    crossed = (np.abs(paths) > bounds).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 200_000))
    assert bounds[0] > 3.3
    assert 1.96 < bounds[-1] < 2.2


def test_what_a_look_shows_changes_no_bound_before_it():
    early = find_bounds([1, 2], [1.0, 2.0], 8)
    late = find_bounds([1, 2, 5], [1.0, 2.0, 3.7], 8)
    np.testing.assert_allclose(late[:2], early, rtol=1e-9)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=12), st.sampled_from([0.05, 0.025, 0.01]))
def test_bounds_spend_what_they_may(growth, level):
    information = np.cumsum(growth)
    looks = range(1, len(growth) + 1)
    bounds = find_bounds(looks, information, len(growth), level)
    assert find_power(information, bounds, 0.0) == pytest.approx(level, rel=1e-4)
    # Other units of information change nothing.
    np.testing.assert_allclose(find_bounds(looks, information * 7, len(growth), level), bounds, rtol=1e-6)


@pytest.mark.parametrize("looks", [[], [2, 1], [0, 1], [1, 9]])
def test_looks_beyond_the_plan_are_refused(looks):
    with pytest.raises(ValueError, match="must rise within"):
        find_bounds(looks, [1.0] * len(looks), 8)


def test_weekly_looks_cost_little():
    # Against 2.802 for one look at the end.
    assert find_drift([1.0], 0.8) == pytest.approx(2.8016, abs=1e-4)
    assert 2.85 < find_drift(list(range(1, 9)), 0.8) < 2.95
