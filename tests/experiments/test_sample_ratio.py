"""Arms that do not have the customers they should have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recs_assets.experiments.sample_ratio import check_sample_ratio

HALVES = {"a": 0.5, "b": 0.5}


def test_an_uneven_draw():
    counts = {"a": 1100, "b": 900}
    found = check_sample_ratio(HALVES, counts, counts)
    # Chi-square of 10 + 10 with one degree of freedom.
    assert found.drawn == pytest.approx(7.744e-6, rel=1e-3)
    assert found.problem == "1,100 a, 900 b were assigned where 1,000 a, 1,000 b were expected"


def test_an_arm_that_loses_customers_on_the_way():
    found = check_sample_ratio(HALVES, {"a": 500, "b": 500}, {"a": 490, "b": 450})
    assert found.drawn == 1.0
    # 20 of 60 and 10 of 60 more and fewer lost than 30 each: 20^2/30 * 2 + 20^2/470 * 2.
    assert found.lost == pytest.approx(1.0e-7, rel=0.1)
    assert found.problem == "of the assigned, 490 a, 450 b of 500 a, 500 b are in the analysis"


def test_chance_is_no_problem():
    assert check_sample_ratio(HALVES, {"a": 1030, "b": 970}, {"a": 1010, "b": 955}).problem is None


def test_nobody_is_a_problem():
    assert check_sample_ratio(HALVES, {}, {}).problem == "no customers were assigned"
    assert (
        check_sample_ratio(HALVES, {"a": 5, "b": 5}, {}).problem == "no assigned customer is in the analysis"
    )


def test_an_arm_without_anybody():
    counts = {"a": 200}
    assert "were expected" in str(check_sample_ratio(HALVES, counts, counts).problem)


def test_more_than_were_assigned_is_refused():
    with pytest.raises(ValueError, match="Arm b has more customers"):
        check_sample_ratio(HALVES, {"a": 5, "b": 5}, {"a": 5, "b": 6})


@given(st.integers(1, 10_000), st.floats(0.05, 0.95))
def test_arms_as_they_should_be_are_never_a_problem(customers, share):
    first = round(customers * share)
    counts = {"a": first, "b": customers - first}
    found = check_sample_ratio({"a": share, "b": 1 - share}, counts, counts)
    assert found.problem is None or min(counts.values()) == 0
