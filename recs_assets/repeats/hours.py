"""At which hour of the day customers order: their own habit, shrunk towards everybody's.

    p(hour) = (sum over the customer's orders of K(hour - hour of the order) + strength * share of everybody's orders at the hour)
              / (the customer's orders + strength)

K spreads an order over the hours around it (a circular normal). How much, and how much everybody counts, is chosen on four
weeks of the shop's own orders, and held against everybody's hours on the four weeks after: a habit that is not proven to say
more there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from recs_assets.evaluation.bootstrap import compare_pairs
from recs_assets.evaluation.evaluate import sample_customers

HOURS = 24
# Days of the orders that choose the habit, and of those that prove it.
WINDOW_DAYS = 28
# Hours after the hour of a send that it is chosen by.
REACH = 3
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, np.inf)
SPREADS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
# Customers by whose orders a habit is chosen and proven.
MOST_JUDGED = 20_000
# Customers whose hours are found at once (float64 cells: 19 MB each).
BLOCK = 100_000


@dataclass(frozen=True)
class Habit:
    """How much a customer's own orders count.

    Attributes:
        strength: orders that everybody's distribution counts as.
        spread: cells (standard deviation) over which an order is spread.
    """

    strength: float
    spread: float = 0.0


EVERYBODY = Habit(np.inf)


def spread_cells(cells: int, spread: float) -> np.ndarray:
    """float64[cells, cells]: share of an order in the one cell that counts for the other; rows sum up to 1."""
    if spread == 0:
        return np.eye(cells)
    apart = np.abs(np.subtract.outer(np.arange(cells), np.arange(cells)))
    apart = np.minimum(apart, cells - apart)
    weight = np.exp(-0.5 * np.square(apart / spread))
    return weight / weight.sum(axis=1, keepdims=True)


def estimate_cells(earlier: np.ndarray, habit: Habit, everybody: np.ndarray | None = None) -> np.ndarray:
    """float64[customers, cells]: probability of a cell for each customer's next order.

    Args:
        earlier: float64[customers, cells], how many orders each had.
        habit: how much they count.
        everybody: float64[cells], the shop's orders; the sum of these customers' where None.
    """
    share = (earlier.sum(axis=0) if everybody is None else everybody) + 1.0  # what was never seen may come
    share = share / share.sum()
    if np.isinf(habit.strength):
        return np.tile(share, (len(earlier), 1))
    own = earlier @ spread_cells(earlier.shape[1], habit.spread) + habit.strength * share
    return own / (earlier.sum(axis=1, keepdims=True) + habit.strength)


def measure_likelihood(earlier: np.ndarray, later: np.ndarray, habit: Habit) -> np.ndarray:
    """float64[customers]: mean logarithm of the probability of their later orders' cells; each has some of both."""
    return (later * np.log(estimate_cells(earlier, habit))).sum(axis=1) / later.sum(axis=1)


def choose_habit(earlier: np.ndarray, later: np.ndarray, spreads: Sequence[float] = SPREADS) -> Habit:
    """The habit of the largest mean likelihood; of equals the first."""
    habits = [Habit(*pair) for pair in product(STRENGTHS, spreads)]
    return max(habits, key=lambda habit: measure_likelihood(earlier, later, habit).mean())


def keep_both(earlier: np.ndarray, later: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of customers who have orders in both."""
    both = (earlier.sum(axis=1) > 0) & (later.sum(axis=1) > 0)
    return earlier[both], later[both]


def sum_ahead(values: np.ndarray) -> np.ndarray:
    """float64[customers, cells]: the sum of the `REACH` cells from each one on, midnight passed."""
    return np.sum([np.roll(values, -step, axis=1) for step in range(REACH)], axis=0)


@dataclass(frozen=True)
class OrderHours:
    """At which hours the customers of a shop ordered, and whether that is a habit of each.

    Attributes:
        codes: customer_id -> row.
        counts: float32[customers, 24], orders.
        everybody: float64[24], orders of all.
        habit: how much a customer's own count; None: nothing is proven of them.
    """

    codes: pd.Index
    counts: np.ndarray
    everybody: np.ndarray
    habit: Habit | None

    @classmethod
    def learn(cls, rows: pd.DataFrame, seed: int) -> OrderHours:
        """From counts of orders.

        Args:
            rows: of orders with a time of day: customer_id, hour (0 to 23), and how many there are `before` the last 2 * `WINDOW_DAYS` days, in the first half of these
                (`chosen`), and in the second (`proven`).
            seed: of the sample and the bootstrap.
        """
        row, names = pd.factorize(rows["customer_id"], sort=True)
        place = row * HOURS + rows["hour"].to_numpy(dtype=np.int64)
        before, chosen, proven = (
            np.bincount(place, weights=rows[name].to_numpy(dtype=float), minlength=len(names) * HOURS)
            .reshape(-1, HOURS)
            .astype(np.float32)
            for name in ("before", "chosen", "proven")
        )
        some = sample_customers(np.asarray(names, dtype=object), MOST_JUDGED, seed)
        parts = [part[some].astype(np.float64) for part in (before, chosen, proven)]
        counts = before + chosen + proven
        habit = prove_habit(*parts, seed=seed)
        return cls(pd.Index(names), counts, counts.sum(axis=0, dtype=np.float64), habit)

    def find_hours(self, customers: pd.Series, first: int) -> np.ndarray | None:
        """int64: the hour, not before `first` (0 to 23), from which on the most of their next orders are expected within `REACH`
        hours; of equals the first. Whoever has no orders has everybody's. None where no habit is proven.

        Args:
            customers: ids.
            first: hour of the day.
        """
        if self.habit is None:
            return None
        rows = self.codes.get_indexer(pd.Index(customers))
        hours = np.empty(len(rows), dtype=np.int64)
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            own = np.zeros((len(block), HOURS))
            own[block >= 0] = self.counts[block[block >= 0]]
            ahead = sum_ahead(estimate_cells(own, self.habit, self.everybody))
            # Sums of equal parts in another order differ in the last digits: a tie is the first one's.
            hours[start : start + BLOCK] = first + ahead[:, first:].round(9).argmax(axis=1)
        return hours


def prove_habit(before: np.ndarray, chosen: np.ndarray, proven: np.ndarray, *, seed: int) -> Habit | None:
    """The habit that the orders of one time choose, where those of the next prove that it says more than everybody's hours.

    Args:
        before: float64[customers, cells], orders.
        chosen: the same of the time after it.
        proven: the same of the time after that.
        seed: of the bootstrap.
    """
    earlier, later = keep_both(before, chosen)
    if len(earlier) == 0:
        return None
    habit = choose_habit(earlier, later)
    earlier, later = keep_both(before + chosen, proven)
    if len(earlier) == 0 or np.isinf(habit.strength):
        return None
    values = (measure_likelihood(earlier, later, one) for one in (habit, EVERYBODY))
    _, low, _ = compare_pairs(*values, seed)
    return habit if low > 0 else None
