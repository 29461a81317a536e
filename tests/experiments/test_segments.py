"""Segments drawn towards each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from recs_assets.experiments.segments import shrink


def test_spread_beyond_chance_is_kept_in_part():
    # Q = 2, one more than 1 is expected, over a scale of 1/0.01 * (2 - 1) = 100: a variance of 0.01, so half is kept.
    found = shrink(np.array([0.0, 0.2]), np.array([0.1, 0.1]))
    assert found.spread == pytest.approx(0.1)
    assert found.centre == pytest.approx(0.1)
    assert found.estimate.tolist() == pytest.approx([0.05, 0.15])
    # Half of 0.01, and a quarter of the centre's 0.01.
    assert found.error.tolist() == pytest.approx([np.sqrt(0.0075)] * 2)


def test_a_segment_without_an_estimate_gets_none():
    found = shrink(np.array([0.0, np.nan, 0.2]), np.array([0.1, np.nan, 0.1]))
    assert found.estimate[[0, 2]].tolist() == pytest.approx([0.05, 0.15])
    assert np.isnan(found.estimate[1])


def test_nothing_comes_of_nothing():
    assert np.isnan(shrink(np.array([np.nan]), np.array([np.nan])).centre)
    one = shrink(np.array([0.3]), np.array([0.1]))
    assert (one.estimate[0], one.error[0]) == pytest.approx((0.3, 0.1))


@given(
    arrays.arrays(np.float64, st.integers(2, 20), elements=st.floats(-1, 1)),
    st.integers(0, 1000),
)
def test_every_segment_comes_to_lie_between_its_own_and_the_centre(estimate, seed):
    error = np.random.default_rng(seed).uniform(0.01, 0.5, len(estimate))
    found = shrink(estimate, error)
    low, high = np.minimum(estimate, found.centre), np.maximum(estimate, found.centre)
    assert ((found.estimate >= low - 1e-9) & (found.estimate <= high + 1e-9)).all()
    turned = shrink(estimate[::-1], error[::-1])
    np.testing.assert_allclose(turned.estimate[::-1], found.estimate, atol=1e-12)
