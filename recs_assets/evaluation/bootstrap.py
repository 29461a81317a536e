"""Percentile bootstrap over customers (Efron 1979): how far a mean would move with other customers.

One resample draws as many customers as there are, with replacement: multinomial counts. The
counts times the values are all resampled means at once, so that metrics and recommenders share
the same resamples and their differences are paired.
"""

from __future__ import annotations

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95
# Customers of whom one side has more, at least, before an interval may leave out 0: that five of five chance upon the same side
# happens in 1 of 16 cases (2 * 0.5 ** 5), of six in 1 of 32. Resamples of one or two of them never show the other side.
FEWEST_DIFFERENT = 6

# One block of counts holds at most this many values (float64: 32 MB).
BLOCK_VALUES = 4_000_000


def resample_means(values: np.ndarray, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """Means of `values` over resampled customers.

    Args:
        values: float64[customers] or float64[customers, columns], finite.
        seed: the same seed draws the same customers whatever the columns.
        resamples: how many.

    Returns:
        float64[resamples] or float64[resamples, columns].

    Raises:
        ValueError: no customers, or a value that is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) == 0:
        raise ValueError("There are no customers to resample.")
    if not np.isfinite(values).all():
        raise ValueError("A value to resample is not finite.")
    generator = np.random.default_rng(seed)
    size = len(values)
    means = np.empty((resamples, *values.shape[1:]))
    # A block draws row by row from one stream: the block size changes nothing.
    block = max(1, BLOCK_VALUES // size)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = generator.integers(0, size, size=(rows, size))
        drawn += np.arange(rows)[:, None] * size
        counts = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)
        means[start : start + rows] = counts.astype(np.float64) @ values / size
    return means


def find_interval(
    values: np.ndarray, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of the percentile interval of the mean.

    Args:
        values: float64[customers] or float64[customers, columns].
        seed: see `resample_means`.
        resamples: see `resample_means`.
        level: coverage of the interval, within 0..1.

    Returns:
        Two float64 scalars, or two float64[columns].

    Raises:
        ValueError: see `resample_means`.
    """
    low, high = np.quantile(
        resample_means(values, seed, resamples), [(1 - level) / 2, (1 + level) / 2], axis=0
    )
    return low, high


def compare_pairs(
    a: np.ndarray, b: np.ndarray, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> tuple[float, float, float]:
    """Mean of a - b over the same customers, and its percentile interval.

    Args:
        a: float64[customers].
        b: float64[customers], the same customers in the same order.
        seed: see `find_interval`.
        resamples: see `find_interval`.
        level: see `find_interval`.

    Returns:
        (difference, low, high); an interval without 0 says the two differ (`hold_at_zero`).

    Raises:
        ValueError: different lengths, or see `resample_means`.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"Paired values need equal lengths, got shapes {a.shape} and {b.shape}.")
    low, high = hold_at_zero(a - b, *find_interval(a - b, seed, resamples, level))
    return float(np.mean(a - b)), float(low), float(high)


def hold_at_zero(
    differences: np.ndarray, low: np.ndarray | float, high: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the interval of a mean (or sum) of paired differences, or 0 in place of an end beyond it where fewer than
    `FEWEST_DIFFERENT` customers differ: so few prove nothing, however alike they are.

    Args:
        differences: float64[customers] or float64[customers, columns].
        low: its lower end, per column.
        high: its upper end.
    """
    few = np.count_nonzero(differences, axis=0) < FEWEST_DIFFERENT
    return np.where(few, np.minimum(low, 0.0), low), np.where(few, np.maximum(high, 0.0), high)
