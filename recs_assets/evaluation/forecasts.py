"""What a list is expected to sell, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable

# Two-sided 95 % of a normal distribution.
Z95 = 1.96


def interval(promised: float, variance: float, ratios: Iterable[float]) -> tuple[float, float]:
    """95 % interval of the number of purchases that is forecast.

    On the log scale, from two sources: which of the pairs buy (`variance`, as if each bought by itself), and how far
    forecasts of windows that are over were from what was bought, which is the larger part: people change from one
    anchor to the next.

    Args:
        promised: sum of the probabilities, above 0.
        variance: sum of p * (1 - p).
        ratios: purchases made divided by purchases promised, of windows that are over; none is no doubt.

    >>> [round(end) for end in interval(100.0, 100.0, [])]
    [82, 122]
    >>> [round(end) for end in interval(100.0, 0.0, [1.1, 1 / 1.1])]
    [83, 121]
    """
    drift = [math.log(ratio) ** 2 for ratio in ratios if ratio > 0]
    spread = math.sqrt(variance / promised**2 + (sum(drift) / len(drift) if drift else 0.0))
    return promised * math.exp(-Z95 * spread), promised * math.exp(Z95 * spread)
