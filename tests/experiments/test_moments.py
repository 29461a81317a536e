"""Lifts and their errors, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recs_assets.experiments.metrics import METRICS, Metric
from recs_assets.experiments.moments import Values, add_up, compare, find_cap, measure

PLAIN = Metric("things per customer", "things")
ONE, OTHER = np.array([1]), np.array([0])
# 100 customers of 0 and 2, then 100 of 1 and 3: means 1 and 2, variances 100 / 99.
AMOUNTS = np.tile([0.0, 2.0, 1.0, 3.0], 50)
GROUP = np.tile([0, 0, 1, 1], 50)


def lift_of(values, metric=PLAIN, group=GROUP, **how):
    rows, _ = add_up(values, metric, slice(0, values.amounts.shape[1]))
    return compare(measure(rows, group, 2), ONE, OTHER, **how)


def test_a_lift_by_hand():
    found = lift_of(Values(AMOUNTS[:, None]))
    assert found.estimate[0] == pytest.approx(np.log(2))
    # 1/99 of the control, and 1/99 over 2 squared.
    assert found.error[0] == pytest.approx(np.sqrt(1.25 / 99))
    lift, low, high = found.find_interval(1.96)
    assert (lift[0], low[0], high[0]) == pytest.approx((1.0, 0.60465, 1.49275), abs=1e-5)


def test_a_difference_by_hand():
    found = lift_of(Values(AMOUNTS[:, None]), in_logs=False)
    assert (found.estimate[0], found.error[0]) == pytest.approx((1.0, np.sqrt(2 / 99)))


def test_weeks_are_added_up_before_anything_else():
    weekly = np.stack([AMOUNTS * 0.25, AMOUNTS * 0.75], axis=1)
    assert lift_of(Values(weekly)).error[0] == pytest.approx(np.sqrt(1.25 / 99))


def test_a_ratio_by_the_delta_method():
    # Clicks / shown: 1/2 and 3/4 in turns, and in the other group 2/2 and 2/4: 4/6 in both.
    clicks, shown = np.tile([1.0, 3.0, 2.0, 2.0], 50), np.tile([2.0, 4.0, 2.0, 4.0], 50)
    found = lift_of(Values(clicks[:, None], shown[:, None]), METRICS["click_rate"])
    assert found.estimate[0] == pytest.approx(0.0, abs=1e-12)
    # Residuals clicks - 2/3 shown are -1/3 and 1/3, and 2/3 and -2/3; over a mean of 3 shown and a ratio of 2/3.
    variance = (1 / 9 + 4 / 9) * (100 / 99) / 100 / 9 / (4 / 9)
    assert found.error[0] == pytest.approx(np.sqrt(variance))


def test_what_was_before_takes_out_its_part_of_the_noise():
    # The same before as since, but for the groups' means: all noise is gone, and with it the interval.
    before = np.tile([0.0, 2.0, 0.0, 2.0], 50)
    since = before * np.tile([1.0, 1.0, 1.5, 1.5], 50) + np.tile([0.1, -0.1, 0.1, -0.1], 50)
    found = lift_of(Values(since[:, None], None, before), group=GROUP)
    assert found.estimate[0] == pytest.approx(np.log(1.5))
    assert found.narrowed[0] > 0.9


def test_the_interval_narrows_by_what_the_correlation_promises():
    rng = np.random.default_rng(3)
    taste = rng.gamma(2.0, 1.0, 4000)
    before, since = (taste + rng.gamma(1.0, 1.0, 4000) for _ in range(2))
    group = rng.integers(0, 2, 4000)
    correlation = np.corrcoef(before, since)[0, 1]
    found = lift_of(Values(since[:, None], None, before), group=group)
    assert found.narrowed[0] == pytest.approx(1 - np.sqrt(1 - correlation**2), abs=0.01)


def test_a_past_of_nothing_changes_nothing():
    plain = lift_of(Values(AMOUNTS[:, None]))
    for before in (np.zeros(200), np.ones(200)):
        found = lift_of(Values(AMOUNTS[:, None], None, before))
        assert (found.estimate[0], found.error[0]) == pytest.approx((plain.estimate[0], plain.error[0]))


def test_ever_counts_customers_and_not_their_amounts():
    rows, cap = add_up(Values(np.array([[0.0, 0.0], [3.0, 1.0], [0.0, 2.0]])), METRICS["buyers"], slice(0, 2))
    assert (rows[0].tolist(), cap) == ([0.0, 1.0, 1.0], None)


def test_a_capped_metric_says_its_cap():
    amounts = np.arange(101.0)[:, None]  # of 1 to 100, the 99 % quantile is 99.01
    rows, cap = add_up(Values(amounts), METRICS["revenue"], slice(0, 1))
    assert cap == pytest.approx(99.01)
    assert rows[0, -2:].tolist() == pytest.approx([99.0, 99.01])
    assert find_cap(np.zeros(3)) == np.inf


def test_too_few_events_are_no_estimate():
    few = np.zeros(400)
    few[:19] = 1  # 9.5 are to be expected in each group
    group = np.arange(400) % 2
    assert np.isnan(lift_of(Values(few[:, None]), group=group).estimate[0])
    few[19] = 1
    assert np.isfinite(lift_of(Values(few[:, None]), group=group).estimate[0])


def test_where_a_group_has_none_there_is_a_difference_and_no_lift():
    amounts = np.where(GROUP == 1, AMOUNTS, 0.0)
    assert np.isnan(lift_of(Values(amounts[:, None])).estimate[0])
    assert lift_of(Values(amounts[:, None]), in_logs=False).estimate[0] == pytest.approx(2.0)


def test_divisors_are_asked_for():
    with pytest.raises(ValueError, match="needs its divisors"):
        add_up(Values(np.ones((3, 1))), METRICS["click_rate"], slice(0, 1))


@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_a_lift_knows_no_currency_and_turns_with_its_groups(seed, rate):
    rng = np.random.default_rng(seed)
    before = rng.gamma(2.0, 1.0, 200)
    since = before + rng.gamma(1.0, 1.0, 200)
    group = rng.permutation(GROUP)
    found = lift_of(Values(since[:, None], None, before), group=group)
    other = lift_of(Values(since[:, None] * rate, None, before * rate), group=group)
    turned = lift_of(Values(since[:, None], None, before), group=1 - group)
    assert (other.estimate[0], other.error[0]) == pytest.approx((found.estimate[0], found.error[0]), rel=1e-6)
    assert (turned.estimate[0], turned.error[0]) == pytest.approx(
        (-found.estimate[0], found.error[0]), rel=1e-6
    )
    assert found.error[0] <= lift_of(Values(since[:, None]), group=group).error[0] * (1 + 1e-9)
