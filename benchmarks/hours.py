"""At which hour, and on which weekday, customers order: their own habit beside everybody's (`recs_assets.repeats.hours`).

    python -m benchmarks.gains --home .recs --as-of 2018-01-01 --hours

Strength and spread are those of the largest likelihood at a validation anchor, which lies as many days before the test anchor
as that before the week; strength without end is everybody's distribution. At the test anchor a customer's value is the mean
logarithm of the probability of their later orders' hours. Beside it, what a sender does with it: the share of later orders
within three hours from the hour on that has the largest share of such orders, the customer's own or everybody's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pandas as pd

from recs_assets.evaluation.bootstrap import compare_pairs
from recs_assets.repeats.hours import (
    EVERYBODY,
    HOURS,
    REACH,
    SPREADS,
    WINDOW_DAYS,
    Habit,
    choose_habit,
    estimate_cells,
    keep_both,
    measure_likelihood,
    sum_ahead,
)
from recs_assets.week.week import Week

WEEKDAYS = 7
# Orders before the anchor, from so many on; the last has no end.
DEPTHS = (1, 10, 30, 100)


def measure_reach(earlier: np.ndarray, later: np.ndarray, habit: Habit) -> np.ndarray:
    """float64[customers]: share of their later orders in the `REACH` hours from the one on that `estimate_cells` finds best; of
    equals the first."""
    best = sum_ahead(estimate_cells(earlier, habit)).argmax(axis=1)
    return sum_ahead(later)[np.arange(len(later)), best] / later.sum(axis=1)


def count_orders(
    orders: pd.DataFrame, cell: str, cells: int, anchor: pd.Timestamp
) -> tuple[np.ndarray, np.ndarray]:
    """float64[customers, cells] of orders before the anchor and in the `WINDOW_DAYS` days from it on, of customers with both."""
    customer, names = pd.factorize(orders["customer_id"], sort=True)
    place = customer * cells + orders[cell].to_numpy()
    at = orders["ordered_at"]
    sides = (at < anchor, (at >= anchor) & (at < anchor + timedelta(days=WINDOW_DAYS)))
    earlier, later = (
        np.bincount(place[side.to_numpy()], minlength=len(names) * cells).reshape(-1, cells).astype(float)
        for side in sides
    )
    return keep_both(earlier, later)


def load_orders(week: Week) -> pd.DataFrame:
    """customer_id, ordered_at in the shop's time zone, hour (null of a day without a time) and weekday (0: Monday) of every
    order before the week."""
    with week.build.read() as connection:
        return connection.execute(
            """
            select customer_id, ordered_at, isodow(ordered_at) - 1 as weekday,
                case when ordered_at <> date_trunc('day', ordered_at) then hour(ordered_at) end as hour
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
        everybody = measure(earlier, later, EVERYBODY)
        difference, low, high = compare_pairs(measure(earlier, later, habit), everybody, seed)
        yield f"{everybody.mean():.4f}"
        yield f"{difference:+.4f} ({low:+.4f} to {high:+.4f})"


def tabulate(week: Week) -> str:
    """The result as a Markdown table: hours, by how many orders a customer had, and weekdays."""
    every, seed = load_orders(week), week.settings.seed
    test = pd.Timestamp(week.as_of) - timedelta(days=WINDOW_DAYS)
    lines = [
        f"| habit | strength, spread | customers | log-likelihood, everybody's | their own | orders within {REACH} h, everybody's | their own |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for cell, cells, spreads in (("hour", HOURS, SPREADS), ("weekday", WEEKDAYS, SPREADS[:1])):
        orders = every.dropna(subset=[cell]).astype({cell: int})
        if orders.empty:
            lines.append(f"| {cell} | the orders of this shop have none | | | | | |")
            continue
        habit = choose_habit(*count_orders(orders, cell, cells, test - timedelta(days=WINDOW_DAYS)), spreads)
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
    return f"Tested on {WINDOW_DAYS} days from {test.date()} on\n\n" + "\n".join(lines)
