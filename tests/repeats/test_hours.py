"""At which hour customers order: what their own orders count beside everybody's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recs_assets.repeats.hours import (
    EVERYBODY,
    HOURS,
    Habit,
    OrderHours,
    choose_habit,
    estimate_cells,
    measure_likelihood,
    prove_habit,
    spread_cells,
)

COLUMNS = ["customer_id", "hour", "before", "chosen", "proven"]


def test_own_orders_are_shrunk_towards_everybodys():
    # Four cells; everybody's share with one more each: 5, 2, 2, 1 of 10.
    earlier = np.array([[3.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    share = [0.5, 0.2, 0.2, 0.1]
    found = estimate_cells(earlier, Habit(6.0))
    assert found[0] == pytest.approx([(3 + 3) / 10, (1 + 1.2) / 10, 1.2 / 10, 0.6 / 10])
    assert found[2] == pytest.approx(share)
    assert estimate_cells(earlier, EVERYBODY).tolist() == [pytest.approx(share)] * 3
    assert found.sum(axis=1) == pytest.approx(1)


def test_an_order_is_spread_over_the_hours_beside_it_and_midnight():
    assert spread_cells(24, 0.0).tolist() == np.eye(24).tolist()
    shares = spread_cells(24, 1.0)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert shares[0, [23, 0, 1, 2]] == pytest.approx([0.24197, 0.39894, 0.24197, 0.05399], abs=1e-4)


def test_the_likelihood_is_a_mean_over_later_orders():
    earlier = np.array([[1.0, 0.0], [0.0, 1.0]])
    later = np.array([[3.0, 1.0], [0.0, 2.0]])
    assert measure_likelihood(earlier, later, EVERYBODY) == pytest.approx(np.log([0.5, 0.5]))
    # 1 own order and 1 of everybody's: 3/4 and 1/4.
    own = [(3 * np.log(0.75) + np.log(0.25)) / 4, np.log(0.75)]
    assert measure_likelihood(earlier, later, Habit(1.0)) == pytest.approx(own)


def draw_orders(habitual: bool, customers: int = 60) -> list[np.ndarray]:
    """Orders of three times: at two hours of each customer's own, or at anybody's."""
    rng = np.random.default_rng(5)
    hours = rng.integers(7, 22, size=customers)
    parts = []
    for size in (12, 4, 4):
        drawn = rng.integers(0, 2, size=(customers, size)) + hours[:, None]
        if not habitual:
            drawn = rng.permutation(drawn.ravel()).reshape(drawn.shape)
        parts.append(np.stack([np.bincount(row, minlength=HOURS) for row in drawn]).astype(float))
    return parts


def test_only_a_habit_that_later_orders_prove_is_used():
    before, chosen, proven = draw_orders(habitual=True)
    habit = prove_habit(before, chosen, proven, seed=1)
    assert habit == choose_habit(before, chosen)
    assert habit.strength <= 3
    assert prove_habit(*draw_orders(habitual=False), seed=1) is None
    # Five customers prove nothing, nor does nobody.
    assert prove_habit(before[:5], chosen[:5], proven[:5], seed=1) is None
    assert prove_habit(before, chosen, proven * 0, seed=1) is None
    assert prove_habit(before * 0, chosen, proven, seed=1) is None


def make_hours(habit: Habit | None) -> OrderHours:
    """Ann orders at 9 and at 20, Bob late in the evening; of everybody most at 12."""
    counts = np.zeros((2, HOURS), dtype=np.float32)
    counts[0, [9, 20]] = 6, 5
    counts[1, 23] = 4
    everybody = np.zeros(HOURS)
    everybody[[9, 12, 20, 23]] = 6, 90, 5, 4
    return OrderHours(pd.Index(["ann", "bob"]), counts, everybody, habit)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        # Three hours from 7 on hold what is at 9; a stranger has everybody's.
        (0, [7, 21, 10]),
        (8, [8, 21, 10]),
        (11, [18, 21, 11]),
        (13, [18, 21, 18]),
        (22, [22, 22, 22]),
    ],
)
def test_the_hour_is_not_before_the_send(first, expected):
    found = make_hours(Habit(1.0)).find_hours(pd.Series(["ann", "bob", "stranger"]), first)
    assert found.tolist() == expected


def test_without_a_habit_there_is_no_hour():
    assert make_hours(None).find_hours(pd.Series(["ann"]), 6) is None
    assert OrderHours.learn(pd.DataFrame(columns=COLUMNS), 0).habit is None


def test_counts_of_the_three_times_are_learned_from():
    before, chosen, proven = draw_orders(habitual=True)
    rows = [
        (f"c{customer:02}", hour, before[customer, hour], chosen[customer, hour], proven[customer, hour])
        for customer in range(60)
        for hour in range(HOURS)
        if before[customer, hour] + chosen[customer, hour] + proven[customer, hour]
    ]
    learned = OrderHours.learn(pd.DataFrame(rows, columns=COLUMNS), seed=1)
    assert learned.codes.tolist()[:2] == ["c00", "c01"]
    np.testing.assert_array_equal(learned.counts, before + chosen + proven)
    assert learned.everybody.sum() == 60 * 20
    assert learned.habit == prove_habit(before, chosen, proven, seed=1)
    own = (before + chosen + proven)[:, :].argmax(axis=1)
    found = learned.find_hours(pd.Series(learned.codes), 0)
    assert (np.abs(found + 1 - own) <= 1).all()  # their two hours are within the three
