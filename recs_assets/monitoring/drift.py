"""How far two distributions lie apart, and how a distribution is kept in few numbers.

The population stability index: sum over bins of (p - q) ln(p / q), the symmetric Kullback-Leibler divergence. Of two samples of
one distribution it is about chi-squared, (bins - 1) degrees of freedom times 1/n + 1/m (Yurdakul, *Statistical properties of
population stability index*, 2018): what chance explains is known, and no alert.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

# Names of bins: of numbers by their place from 1, of text the value itself.
MISSING, OTHER = "(missing)", "(other)"
# One-sided 99.9 % of a normal distribution: some hundred columns are looked at every week.
SURE = 3.09
# Added to every bin, as if so many rows more had been seen: none is empty.
PRIOR = 0.5


@dataclass(frozen=True)
class Distribution:
    """A column in few numbers.

    Attributes:
        names: of the bins.
        edges: float64[bins], where a bin of numbers begins (the first: -inf); None of text.
        counts: int64[bins].
    """

    names: tuple[str, ...]
    edges: np.ndarray | None
    counts: np.ndarray

    @property
    def rows(self) -> int:
        return int(self.counts.sum())


def psi(counts: np.ndarray, before: np.ndarray) -> float:
    """The population stability index of two counts over the same bins.

    >>> round(psi(np.array([500, 500]), np.array([800, 200])), 3)
    0.415
    """
    p, q = (
        (np.asarray(values, dtype=float) + PRIOR) / (np.sum(values) + PRIOR * len(values))
        for values in (counts, before)
    )
    return float(((p - q) * np.log(p / q)).sum())


def find_chance(bins: int, rows: int, before: int) -> float:
    """The PSI that two samples of one distribution hardly exceed (1 in 1,000).

    >>> round(find_chance(10, 1000, 1000), 4)
    0.0561
    """
    free = max(bins - 1, 1)
    # Quantile of chi-squared by Wilson and Hilferty.
    quantile = free * (1 - 2 / (9 * free) + SURE * np.sqrt(2 / (9 * free))) ** 3
    return float(quantile * (1 / max(rows, 1) + 1 / max(before, 1)))


def describe_numbers(values: np.ndarray, bins: int, min_rows: int) -> Distribution:
    """Quantile bins of numbers; those that hold fewer than `min_rows` join the one below.

    Args:
        values: float[n], NaN where there is none.
        bins: at most.
        min_rows: of a bin.
    """
    there = values[~np.isnan(values)]
    at = np.linspace(0, 1, bins + 1)[1:-1]
    edges = np.unique(np.quantile(there, at, method="higher")) if len(there) else np.empty(0)
    edges = np.concatenate([[-np.inf], edges])
    while len(edges) > 1:
        counts = _count(there, edges)
        if counts.min() >= min_rows:
            break
        small = max(1, int(counts.argmin()))
        edges = np.delete(edges, small)
    return count_numbers(values, edges, min_rows)


def _count(there: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(edges, there, side="right") - 1, minlength=len(edges))


def count_numbers(values: np.ndarray, edges: np.ndarray, min_rows: int = 0) -> Distribution:
    """The numbers in given bins, those that are missing in one of their own; of bins with fewer than `min_rows` none."""
    empty = np.isnan(values)
    counts = np.append(_count(values[~empty], edges), empty.sum())
    names = (*(f"{number:02d}" for number in range(1, len(edges) + 1)), MISSING)
    return Distribution(names, np.append(edges, np.nan), np.where(counts >= min_rows, counts, 0))


def describe_values(values: pd.Series, most: int, min_rows: int) -> Distribution:
    """The most frequent values of a text column; those of fewer than `min_rows` rows are one."""
    counts = values.value_counts(dropna=True)
    frequent = sorted(zip(-counts.to_numpy(), counts.index.astype(str), strict=True))
    kept = [(name, -count) for count, name in frequent if -count >= min_rows][:most]
    missing = int(values.isna().sum())
    other = len(values) - missing - sum(count for _, count in kept)
    rest = [(OTHER, other if other >= min_rows else 0), (MISSING, missing if missing >= min_rows else 0)]
    names, numbers = zip(*kept, *rest, strict=True)
    return Distribution(tuple(map(str, names)), None, np.array(numbers, dtype=np.int64))


def match_values(now: Distribution, names: tuple[str, ...]) -> Distribution:
    """A text column's counts by the bins of another; what is not there is among the others."""
    counts = dict.fromkeys(names, 0)
    for name, count in zip(now.names, now.counts, strict=True):
        counts[name if name in counts else OTHER] += int(count)
    return Distribution(names, None, np.array([counts[name] for name in names], dtype=np.int64))


def find_unseen(now: Distribution, names: tuple[str, ...]) -> dict[str, int]:
    """Values, with their rows, that are no bin of the other: it had none of them, or too few to tell."""
    known = {*names, OTHER, MISSING}
    return {name: int(count) for name, count in zip(now.names, now.counts, strict=True) if name not in known}


def compare(now: Distribution, before: Distribution) -> tuple[float, float]:
    """PSI of two distributions over the same bins, and what chance explains; bins that both leave empty do not count."""
    used = (now.counts + before.counts) > 0
    if not used.any():
        return 0.0, 0.0
    value = psi(now.counts[used], before.counts[used])
    return value, find_chance(int(used.sum()), now.rows, before.rows)
