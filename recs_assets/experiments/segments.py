"""Lifts of segments, drawn towards each other as far as chance explains why they differ.

Empirical Bayes (Efron and Morris, *Data analysis using Stein's estimator and its generalizations*, 1975): the true lifts
are taken to be normal around their mean. How far they spread is the method of moments of DerSimonian and Laird (1986).
Of twenty segments without any effect the luckiest looks good; here it looks like the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shrinkage:
    """Attributes:
    estimate: float64[segments], nan where there was none.
    error: float64[segments], of it.
    centre: what all are drawn to.
    spread: standard deviation of the true values; 0 where chance explains all.
    """

    estimate: np.ndarray
    error: np.ndarray
    centre: float
    spread: float


def shrink(estimate: np.ndarray, error: np.ndarray) -> Shrinkage:
    """Draw estimates towards their mean.

    Args:
        estimate: float64[segments], nan where there is none.
        error: float64[segments], their standard errors.

    >>> shrunk = shrink(np.array([0.0, 0.1, 0.2]), np.array([0.1, 0.1, 0.1]))
    >>> shrunk.estimate.round(3).tolist(), shrunk.spread
    ([0.1, 0.1, 0.1], 0.0)
    """
    there = np.isfinite(estimate) & np.isfinite(error) & (error > 0)
    value, variance = estimate[there], error[there] ** 2
    shrunk, remains = np.full(len(estimate), np.nan), np.full(len(estimate), np.nan)
    if not there.any():
        return Shrinkage(shrunk, remains, np.nan, np.nan)
    weight = 1 / variance
    mean = weight @ value / weight.sum()
    surplus = weight @ (value - mean) ** 2 - (len(value) - 1)
    scale = weight.sum() - weight @ weight / weight.sum()
    spread = max(0.0, surplus / scale) if len(value) > 1 else 0.0
    weight = 1 / (variance + spread)
    centre = weight @ value / weight.sum()
    kept = spread / (spread + variance)
    shrunk[there] = centre + kept * (value - centre)
    # What is left of the segment's own noise, and that of the centre.
    remains[there] = np.sqrt(kept * variance + (1 - kept) ** 2 / weight.sum())
    return Shrinkage(shrunk, remains, float(centre), float(np.sqrt(spread)))
