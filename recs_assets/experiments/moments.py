"""From customers to a lift with its standard error.

Everything follows from means and covariances of four columns per customer: amount and divisor since the start, and
both before it. A mean per customer is the ratio whose divisor is 1. Variances of ratios and of lifts are by the delta
method (Deng, Knoblich and Lu, *Applying the delta method in metric analytics*, 2018); the values before the start take
out noise as in CUPED (Deng, Xu, Kohavi and Walker, *Improving the sensitivity of online controlled experiments*, 2013).
A lift is estimated as a difference of logarithms, so that no interval reaches below -100 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement, pairwise

import numpy as np

from recs_assets.experiments.metrics import Metric

# Of the customers with anything at all: amounts above this quantile count as the quantile.
CAP = 0.99
# Fewer customers with anything, in an arm, are too few for the normal distribution.
LEAST_EXPECTED = 10.0


@dataclass(frozen=True)
class Values:
    """What n customers did.

    Attributes:
        amounts: float64[n, weeks], per week since the start.
        per: float64[n, weeks], the divisors of a ratio; None for a mean per customer.
        before: float64[n], the amount of the weeks before the start; None where it is not known.
        before_per: float64[n], the divisors of those weeks.
    """

    amounts: np.ndarray
    per: np.ndarray | None = None
    before: np.ndarray | None = None
    before_per: np.ndarray | None = None

    def take(self, order: np.ndarray) -> Values:
        """The same of other customers."""

        def pick(part: np.ndarray | None) -> np.ndarray | None:
            return None if part is None else part[order]

        return Values(self.amounts[order], pick(self.per), pick(self.before), pick(self.before_per))


@dataclass(frozen=True)
class Moments:
    """Of groups of customers.

    Attributes:
        n: float64[g] customers.
        active: float64[g] customers whose amount is not 0.
        ratio: float64[g, 2], amount / divisor since the start and before it.
        covariance: float64[g, 2, 2] of the two estimates.
    """

    n: np.ndarray
    active: np.ndarray
    ratio: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """One group beside another, as arrays over the pairs.

    Attributes:
        estimate: log(1 + lift), or the difference; nan where it cannot be judged.
        error: its standard error.
        narrowed: the share of the width that the weeks before the start took off.
        in_logs: whether the estimate is a logarithm.
    """

    estimate: np.ndarray
    error: np.ndarray
    narrowed: np.ndarray
    in_logs: bool

    def find_interval(self, bound: float | np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lift or difference, and the ends of its interval, `bound` standard errors away."""
        ends = (self.estimate, self.estimate - bound * self.error, self.estimate + bound * self.error)
        low_mid_high = [np.expm1(end) if self.in_logs else end for end in ends]
        return low_mid_high[0], low_mid_high[1], low_mid_high[2]


def add_up(values: Values, metric: Metric, weeks: slice) -> tuple[np.ndarray, float | None]:
    """float64[4, n]: amounts and divisors of some weeks and of those before the start, and the cap of a capped metric."""
    amounts = values.amounts[:, weeks].sum(axis=1, dtype=np.float64)
    before = values.before
    cap = None
    if metric.ever:
        amounts = (amounts > 0).astype(np.float64)
        before = None if before is None else (before > 0).astype(np.float64)
    if metric.capped:
        cap = find_cap(amounts)
        amounts = np.clip(amounts, -cap, cap)
        if before is not None:
            limit = find_cap(before)
            before = np.clip(before, -limit, limit)
    rows = np.ones((4, len(amounts)))
    rows[0] = amounts
    if metric.per is not None:
        if values.per is None:
            raise ValueError(f"The metric of {metric.words} needs its divisors.")
        rows[1] = values.per[:, weeks].sum(axis=1)
    if before is not None and metric.per is None:
        rows[2] = before
    elif before is not None and values.before_per is not None:
        rows[2:] = before, values.before_per
    return rows, cap


def find_cap(amounts: np.ndarray) -> float:
    """The quantile `CAP` of the amounts above 0; infinite without any.

    >>> find_cap(np.array([0.0, 0.0, 1.0, 2.0, 3.0]))
    2.98
    """
    some = amounts[amounts > 0]
    return float(np.quantile(some, CAP)) if len(some) else np.inf


def measure(rows: np.ndarray, group: np.ndarray, groups: int) -> Moments:
    """Ratios of every group and their covariance.

    Args:
        rows: float64[4, n] of `add_up`.
        group: int[n] within 0..groups - 1; customers sorted by it spare a sort.
        groups: how many.
    """
    if (group[1:] < group[:-1]).any():
        order = np.argsort(group, kind="stable")
        rows, group = rows[:, order], group[order]
    edges = np.searchsorted(group, np.arange(groups + 1))
    n, active = np.diff(edges).astype(np.float64), np.zeros(groups)
    mean, second = np.full((groups, 4), np.nan), np.full((groups, 4, 4), np.nan)
    for place, (begin, end) in enumerate(pairwise(edges)):
        if end - begin < 2:
            continue
        part = rows[:, begin:end]
        active[place] = np.count_nonzero(part[0])
        mean[place] = part.mean(axis=1)
        apart = part - mean[place][:, None]
        second[place] = 0.0
        # Sums by NumPy and not by BLAS, whose last digits depend on its threads.
        for i, j in combinations_with_replacement(np.flatnonzero(apart.any(axis=1)), 2):
            second[place, i, j] = second[place, j, i] = (apart[i] * apart[j]).sum() / (end - begin - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = mean[:, [0, 2]] / mean[:, [1, 3]]
        slopes = np.zeros((groups, 2, 4))
        for place, (above, below) in enumerate([(0, 1), (2, 3)]):
            slopes[:, place, above] = 1 / mean[:, below]
            slopes[:, place, below] = -ratio[:, place] / mean[:, below]
        covariance = slopes @ second @ slopes.transpose(0, 2, 1) / n[:, None, None]
    return Moments(n, active, ratio, covariance)


def compare(
    moments: Moments,
    ours: np.ndarray,
    theirs: np.ndarray,
    *,
    in_logs: bool = True,
    slope: float | None = None,
) -> Comparison:
    """Groups beside others.

    Args:
        moments: of all groups.
        ours: int[pairs], the groups in question.
        theirs: int[pairs], those they are compared with.
        in_logs: a lift; otherwise a difference.
        slope: how much of the difference before the start is taken off; None: as much as narrows the interval most.
    """
    ratios, covariances = [], []
    with np.errstate(divide="ignore", invalid="ignore"):
        for group in (ours, theirs):
            ratio, covariance = moments.ratio[group], moments.covariance[group]
            if in_logs:
                covariance = covariance / (ratio[:, :, None] * ratio[:, None, :])
                ratio = np.log(ratio)
            ratios.append(ratio)
            covariances.append(covariance)
        gap, spread = ratios[0] - ratios[1], covariances[0] + covariances[1]
        post, both, pre = spread[:, 0, 0], spread[:, 0, 1], spread[:, 1, 1]
        known = np.isfinite(gap[:, 1]) & np.isfinite(both) & (pre > 0)
        best = np.where(known, both / np.where(known, pre, 1.0), 0.0)
        taken = best if slope is None else np.where(known, slope, np.nan)
        estimate = gap[:, 0] - taken * np.where(known, gap[:, 1], 0.0)
        variance = post + np.where(known, taken * taken * pre - 2 * taken * both, 0.0)
        narrowed = 1 - np.sqrt(np.maximum(variance, 0) / post)
        total = moments.active[ours] + moments.active[theirs]
        share = np.minimum(moments.n[ours], moments.n[theirs]) / (moments.n[ours] + moments.n[theirs])
        judged = (total * share >= LEAST_EXPECTED) & np.isfinite(estimate) & (variance > 0)
        error = np.sqrt(np.where(judged, variance, np.nan))
    return Comparison(np.where(judged, estimate, np.nan), error, np.where(judged, narrowed, np.nan), in_logs)
