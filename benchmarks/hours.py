"""At which hour, and on which weekday, customers order: their own habit beside everybody's.

    python -m benchmarks.gains --home .recs --as-of 2018-01-01 --hours

A customer's distribution is that of their earlier orders, shrunk towards everybody's:

    p(hour) = (sum over their orders of K(hour - hour of the order) + strength * share of everybody's orders at the hour)
              / (their orders + strength)

K spreads an order over the hours around it (a circular normal of so many hours; weekdays are not spread). Strength and
spread are those of the largest likelihood at a validation anchor, `WINDOW` days before the test anchor, which lies as many
before the week; strength without end is everybody's distribution. At the test anchor a customer's value is the mean
logarithm of the probability of their later orders' hours. Beside it, what a sender does with it: the share of later orders
within `REACH` hours after the hour of the largest share of such orders, the customer's own or everybody's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import product

import numpy as np
import pandas as pd

from recs_assets.evaluation.bootstrap import compare_pairs
from recs_assets.week.week import Week

WINDOW = 28
HOURS, WEEKDAYS = 24, 7
REACH = 3
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, np.inf)
SPREADS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
# Orders before the anchor, from so many on; the last has no end.
DEPTHS = (1, 10, 30, 100)


@dataclass(frozen=True)
class Habit:
    """How much a customer's own orders count.

    Attributes:
        strength: orders that everybody's distribution counts as.
        spread: hours (standard deviation) over which an order is spread.
    """

    strength: float
    spread: float = 0.0


def spread_cells(cells: int, spread: float) -> np.ndarray:
    """float64[cells, cells]: share of an order in the one cell that counts for the other; rows sum up to 1."""
    if spread == 0:
        return np.eye(cells)
    apart = np.abs(np.subtract.outer(np.arange(cells), np.arange(cells)))
    apart = np.minimum(apart, cells - apart)
    weight = np.exp(-0.5 * np.square(apart / spread))
    return weight / weight.sum(axis=1, keepdims=True)


def estimate(earlier: np.ndarray, habit: Habit) -> np.ndarray:
    """float64[customers, cells]: probability of a cell for each customer's next order.

    Args:
        earlier: float64[customers, cells], how many orders each had.
        habit: how much they count.
    """
    everybody = earlier.sum(axis=0) + 1.0  # what was never seen may come
    everybody /= everybody.sum()
    if np.isinf(habit.strength):
        return np.tile(everybody, (len(earlier), 1))
    own = earlier @ spread_cells(earlier.shape[1], habit.spread) + habit.strength * everybody
    return own / (earlier.sum(axis=1, keepdims=True) + habit.strength)


def measure_likelihood(earlier: np.ndarray, later: np.ndarray, habit: Habit) -> np.ndarray:
    """float64[customers]: mean logarithm of the probability of their later orders' cells; each has some of both."""
    return (later * np.log(estimate(earlier, habit))).sum(axis=1) / later.sum(axis=1)


def measure_reach(earlier: np.ndarray, later: np.ndarray, habit: Habit) -> np.ndarray:
    """float64[customers]: share of their later orders in the `REACH` cells from the one on that `estimate` finds best; of equals
    the first."""

    def sum_ahead(values: np.ndarray) -> np.ndarray:
        return np.sum([np.roll(values, -step, axis=1) for step in range(REACH)], axis=0)

    best = sum_ahead(estimate(earlier, habit)).argmax(axis=1)
    return sum_ahead(later)[np.arange(len(later)), best] / later.sum(axis=1)


def choose_habit(earlier: np.ndarray, later: np.ndarray, spreads: tuple[float, ...]) -> Habit:
    """The habit of the largest mean likelihood; of equals the first."""
    habits = [Habit(*pair) for pair in product(STRENGTHS, spreads)]
    return max(habits, key=lambda habit: measure_likelihood(earlier, later, habit).mean())


def count_orders(orders: pd.DataFrame, cell: str, cells: int, anchor: pd.Timestamp) -> tuple[np.ndarray, np.ndarray]:
    """float64[customers, cells] of orders before the anchor and in the `WINDOW` days from it on, of customers with both."""
    customer, names = pd.factorize(orders["customer_id"], sort=True)
    place = customer * cells + orders[cell].to_numpy()
    at = orders["ordered_at"]
    sides = (at < anchor, (at >= anchor) & (at < anchor + timedelta(days=WINDOW)))
    earlier, later = (
        np.bincount(place[side.to_numpy()], minlength=len(names) * cells).reshape(-1, cells).astype(float)
        for side in sides
    )
    both = (earlier.sum(axis=1) > 0) & (later.sum(axis=1) > 0)
    return earlier[both], later[both]


def load_orders(week: Week) -> pd.DataFrame:
    """customer_id, ordered_at in the shop's time zone, hour and weekday (0: Monday) of every order before the week."""
    with week.build.read() as connection:
        return connection.execute(
            """
            select customer_id, ordered_at, hour(ordered_at) as hour, isodow(ordered_at) - 1 as weekday
            from staging.stg_orders where ordered_at < ? order by all
            """,
            [week.as_of],
        ).df()


def compare(earlier: np.ndarray, later: np.ndarray, habit: Habit, seed: int) -> Iterator[str]:
    """Cells of a table: customers, likelihood of everybody's, difference of their own, and the same of the reach."""
    yield f"{len(earlier):,}"
    for measure in (measure_likelihood, measure_reach):
        if measure is measure_reach and earlier.shape[1] != HOURS:
            yield from ("", "")
            continue
        everybody = measure(earlier, later, Habit(np.inf))
        difference, low, high = compare_pairs(measure(earlier, later, habit), everybody, seed)
        yield f"{everybody.mean():.4f}"
        yield f"{difference:+.4f} ({low:+.4f} to {high:+.4f})"


def tabulate(week: Week) -> str:
    """The result as a Markdown table: hours, by how many orders a customer had, and weekdays."""
    orders, seed = load_orders(week), week.settings.seed
    test = pd.Timestamp(week.as_of) - timedelta(days=WINDOW)
    lines = [
        f"| habit | strength, spread | customers | log-likelihood, everybody's | their own | orders within {REACH} h, everybody's | their own |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for cell, cells, spreads in (("hour", HOURS, SPREADS), ("weekday", WEEKDAYS, SPREADS[:1])):
        if orders[cell].nunique() < 2:
            lines.append(f"| {cell} | the orders of this shop have one alone | | | | | |")
            continue
        habit = choose_habit(*count_orders(orders, cell, cells, test - timedelta(days=WINDOW)), spreads)
        earlier, later = count_orders(orders, cell, cells, test)
        said = f"{habit.strength:g}, {habit.spread:g}"
        lines.append(f"| {cell} | {said} | {' | '.join(compare(earlier, later, habit, seed))} |")
        depth = np.searchsorted(DEPTHS, earlier.sum(axis=1), side="right")
        for number, first in enumerate(DEPTHS, 1):
            some = depth == number
            if some.any():
                row = " | ".join(compare(earlier[some], later[some], habit, seed))
                last = f" to {DEPTHS[number] - 1}" if number < len(DEPTHS) else " or more"
                lines.append(f"| {cell}, {first}{last} orders before | {said} | {row} |")
    return f"Tested on {WINDOW} days from {test.date()} on\n\n" + "\n".join(lines)
