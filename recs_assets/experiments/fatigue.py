"""How much less a product is clicked each further time that the same customer is shown it.

Only lists with a click are read, and each is a choice among its own rows: was a row that is shown for the third time
passed over more often than the rows beside it that are new? Customers who click more, emails that were never opened
and good weeks are the same for all rows of a list and fall out (McFadden, *Conditional logit analysis of qualitative
choice behavior*, 1974). What the list itself knew, its slots and `p_purchase`, is part of the choice.

Two things are left that would mislead. Who likes a product clicks it, and is then not shown it any more: those who
still are shown it like it less. And what is shown again and again is what somebody likes. Both are the taste of a
customer for a product beyond what `p_purchase` knows, a number that the row's own past tells something about: it is
gamma distributed, and a row counts with its mean after y clicks where x were expected, (1 + v y) / (1 + v x) (the
gamma frailty of Clayton, *A model for association in bivariate life tables*, 1978). Its variance v is estimated, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recs_assets.experiments import words
from recs_assets.experiments.analysis import ONCE

# Fewer lists with a click, whose rows differ in how often they were shown, are too few for an interval.
LEAST_LISTS = 30
# From this showing on all count as one: few products are shown so often.
MOST_TIMES = 10
GROUPS = 10  # of p_purchase, of equal size
# What is assumed of the variance of tastes before anything is seen, and its limits.
TASTE, DOUBT, MOST_TASTE = 1.0, 1.0, 8.0
LEAST_CHANCE = 1e-9
STEPS, CLOSE = 50, 1e-4


@dataclass(frozen=True)
class Fatigue:
    """What a further showing does.

    Attributes:
        factor: by which the chance of a click is multiplied each further time; nan where it cannot be known.
        low: the lower end of its 95 % interval.
        high: the upper end.
        sentence: the same in words.
        clicks_by_times: columns times, shown, clicks, click_rate, as they are: nothing is taken out.
    """

    factor: float
    low: float
    high: float
    sentence: str
    clicks_by_times: pd.DataFrame

    @property
    def proven(self) -> bool:
        """Whether people tire."""
        return self.high < 1


def measure_fatigue(shown: pd.DataFrame) -> Fatigue:
    """What each further showing of a product does to the chance that the same customer clicks it.

    Args:
        shown: a row per product in a list that a customer was shown, clicked or not: customer, product, week (anything
            that sorts by time), slot, p_purchase (may be missing), times (1: the first showing), clicked. The rows of
            one customer and week are one list.
    """
    clicks_by_times = _count(shown)
    choices = _Choices(shown)
    if choices.telling < LEAST_LISTS:
        sentence = (
            f"Whether people tire cannot be known yet: {choices.telling} lists with a click hold products that were shown "
            f"more and less often, and {LEAST_LISTS} are needed."
        )
        return Fatigue(math.nan, math.nan, math.nan, sentence, clicks_by_times)
    estimate, error = choices.fit()
    factor, low, high = (float(np.exp(estimate + side * ONCE * error)) for side in (0, -1, 1))
    return Fatigue(factor, low, high, _tell(factor, low, high), clicks_by_times)


def _count(shown: pd.DataFrame) -> pd.DataFrame:
    times = shown["times"].clip(upper=MOST_TIMES)
    counts = shown.groupby(times)["clicked"].agg(shown="size", clicks="sum").reset_index()
    return counts.assign(click_rate=counts["clicks"] / counts["shown"])


def _tell(factor: float, low: float, high: float) -> str:
    if high < 1:
        return (
            f"People tire: each further showing of a product takes {words.percent(1 - factor)} off the chance that it is "
            f"clicked ({words.percent(1 - high)} to {words.percent(1 - low)})."
        )
    if low > 1:
        return (
            f"People do not tire: each further showing of a product raises the chance that it is clicked by "
            f"{words.percent(factor - 1)} ({words.percent(low - 1)} to {words.percent(high - 1)})."
        )
    return (
        f"Whether people tire cannot be told: each further showing of a product changes the chance that it is clicked by "
        f"{words.percent(low - 1)} to {words.percent(high - 1)}."
    )


class _Choices:
    """The lists with a click, sorted by customer, week and slot."""

    def __init__(self, shown: pd.DataFrame) -> None:
        chance, gap = _look_back(shown)
        shown = shown.assign(chance=chance, gap=gap)
        rows = shown[shown.groupby(["customer", "week"])["clicked"].transform("any")]
        rows = rows.sort_values(["customer", "week", "slot", "product"], kind="stable")
        self._clicked = rows["clicked"].to_numpy(np.float64)
        customer = pd.factorize(rows["customer"])[0]
        week = pd.factorize(rows["week"], sort=True)[0]
        # Sorted by customer and week: a list is a run of rows.
        self._first = _find_first(customer, week)
        self._list = np.cumsum(self._first) - 1
        self._starts = np.flatnonzero(self._first)
        self._clicks = self._add_lists(self._clicked)
        self._customer_starts = np.flatnonzero(_find_first(customer[self._starts]))
        product = pd.factorize(rows["product"])[0]
        self._past = _Past(customer * (product.max(initial=0) + 1) + product, week)
        times = rows["times"].clip(upper=MOST_TIMES).to_numpy(np.float64) - 1
        known = rows[["chance", "gap"]].to_numpy()
        self._columns = np.column_stack(
            [times, known, _spread(rows["slot"]), _spread(_group(rows["p_purchase"]))]
        )
        apart = (
            np.maximum.reduceat(times, self._starts) > np.minimum.reduceat(times, self._starts)
            if len(times)
            else times
        )
        self.telling = int(apart.sum())

    def fit(self) -> tuple[float, float]:
        """Logarithm of the factor, and its standard error, clustered by customer."""
        # Newton's method; the last coefficient is the variance of tastes.
        coefficients = np.zeros(self._columns.shape[1] + 1)
        coefficients[-1] = TASTE
        seen = self._past.add_up(self._clicked)
        expected = np.zeros(len(seen))
        for _ in range(STEPS):
            variance = coefficients[-1]
            offset = np.log1p(variance * seen) - np.log1p(variance * expected)
            share = self._share(self._columns @ coefficients[:-1] + offset)
            slope = seen / (1 + variance * seen) - expected / (1 + variance * expected)
            columns = np.column_stack([self._columns, slope])
            # What is apart from the mean of its list.
            mean = self._add_lists(share[:, None] * columns)
            apart = columns - mean[self._list]
            of_list = self._clicks[self._list]
            weight = share * of_list
            information = (apart * weight[:, None]).T @ apart
            information[-1, -1] += 1 / DOUBT**2
            score = apart * (self._clicked - weight)[:, None]
            gradient = score.sum(axis=0)
            gradient[-1] -= (variance - TASTE) / DOUBT**2
            # A slot that is in every list once, at the same place, cannot be told from the others.
            inverse = np.linalg.pinv(information, hermitian=True)
            change = inverse @ gradient
            moved = coefficients + change
            moved[-1] = np.clip(moved[-1], 0.0, MOST_TASTE)
            close = np.abs(moved - coefficients).max() < CLOSE
            coefficients = moved
            expected = self._past.add_up(weight)
            if close:
                break
        lists = np.add.reduceat(score, self._starts, axis=0)
        customers = np.add.reduceat(lists, self._customer_starts, axis=0)
        spread = customers.T @ customers
        spread[-1, -1] += 1 / DOUBT**2
        # The customers have moved the coefficients towards themselves, each by a little.
        free = len(customers) - len(coefficients)
        covariance = inverse @ spread @ inverse * len(customers) / max(free, 1)
        return float(coefficients[0]), float(np.sqrt(covariance[0, 0]))

    def _share(self, value: np.ndarray) -> np.ndarray:
        """Of a list's clicks that a row is expected to have."""
        top = np.maximum.reduceat(value, self._starts)
        raised = np.exp(value - top[self._list])
        return raised / self._add_lists(raised)[self._list]

    def _add_lists(self, values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, self._starts, axis=0) if len(values) else values


class _Past:
    """The earlier rows of the same customer and product."""

    def __init__(self, pair: np.ndarray, week: np.ndarray) -> None:
        self._order = np.lexsort((week, pair))
        self._starts = np.flatnonzero(_find_first(pair[self._order]))
        self._sizes = np.diff(np.append(self._starts, len(pair)))

    def add_up(self, values: np.ndarray) -> np.ndarray:
        """The sum over the rows before each row."""
        ordered = values[self._order]
        before = np.cumsum(ordered) - ordered
        sums = np.empty(len(values))
        sums[self._order] = before - np.repeat(before[self._starts], self._sizes)
        return np.maximum(sums, 0.0)


def _find_first(*keys: np.ndarray) -> np.ndarray:
    """Where a row differs from the one before it."""
    first = np.ones(len(keys[0]), dtype=bool)
    first[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return first


def _look_back(shown: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Logarithm of p_purchase, and how far its mean over the showings so far is from it; 0 where it is missing.

    What is shown for the third time was thought good three times, which tells more than the newest figure.
    """
    ordered = shown.sort_values(["customer", "product", "week", "slot"], kind="stable")
    chance = np.log(ordered["p_purchase"].astype("float64").clip(lower=LEAST_CHANCE))
    of_pair = chance.groupby([ordered["customer"], ordered["product"]])
    gap = (
        of_pair.cumsum() / chance.notna().groupby([ordered["customer"], ordered["product"]]).cumsum() - chance
    )
    return chance.fillna(0.0), gap.fillna(0.0)


def _group(values: pd.Series) -> np.ndarray:
    """Groups of equal size by rank; missing values are a group of their own."""
    place = values.astype("float64").rank(method="average", pct=True)
    return np.ceil(place.fillna(0.0).to_numpy() * GROUPS).astype(np.int64)


def _spread(values: pd.Series | np.ndarray) -> np.ndarray:
    """A column per value but the first: 1 where a row has it."""
    each = np.asarray(values)
    found = np.unique(each)
    return (each[:, None] == found[None, 1:]).astype(np.float64)
