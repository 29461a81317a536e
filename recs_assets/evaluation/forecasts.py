"""What a list is expected to sell, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date
from itertools import pairwise
from typing import Any

# Two-sided 95 % of a normal distribution.
Z95 = 1.96


def interval(pairs: int, promised: float, variance: float, ratios: Iterable[float]) -> tuple[float, float]:
    """95 % interval of the number of purchases that is forecast.

    On the log scale, from two sources: which of the pairs buy (`variance`, as if each bought by itself), and how far
    forecasts of windows that are over were from what was bought, which is the larger part: people change from one
    anchor to the next. No pair buys twice, so no more are bought than there are.

    Args:
        pairs: of a customer and a product, that are forecast.
        promised: sum of the probabilities, above 0.
        variance: sum of p * (1 - p).
        ratios: purchases made divided by purchases promised, of windows that are over, and `measure_demand_changes`; none
            is no doubt.

    >>> [round(end) for end in interval(1200, 100.0, 100.0, [])]
    [82, 122]
    >>> [round(end) for end in interval(1200, 100.0, 0.0, [1.1, 1 / 1.1])]
    [83, 121]
    >>> [round(end) for end in interval(12, 0.006, 0.006, [])]
    [0, 12]
    """
    drift = [math.log(ratio) ** 2 for ratio in ratios if ratio > 0]
    spread = math.sqrt(variance / promised**2 + (sum(drift) / len(drift) if drift else 0.0))
    return promised * math.exp(-Z95 * spread), min(float(pairs), promised * math.exp(Z95 * spread))


def measure_demand_changes(
    connection: Any, week: date, days: int, horizon_days: int, most: int = 12
) -> list[float]:
    """Products bought per window of so many days, divided by those one anchor before: the ratios of the last `most`
    pairs of whole windows before the week, one horizon apart as the anchors are.

    A forecast is calibrated at one anchor and made for the next: it knows nothing of how demand changes between them.

    Args:
        connection: to the published file.
        week: of the forecast.
        days: of its window.
        horizon_days: from anchor to anchor.
        most: pairs.
    """
    counts = connection.execute(
        """
        with lines as (
            select customer_id, product_id, ordered_at::date as day, $week - ordered_at::date - 1 as ago,
                greatest($horizon, $days) as step
            from recs.order_lines where learned_from and ordered_at < $week
        )
        select ago // step as anchor, count(distinct (customer_id, product_id))
        from lines
        where ago % step >= step - $days
          and (ago // step + 1) * step <= (select $week - min(day) from lines)
        group by anchor having anchor <= $most order by anchor
        """,
        {"week": week, "days": days, "horizon": horizon_days, "most": most},
    ).fetchall()
    return [later / earlier for (ago, later), (before, earlier) in pairwise(counts) if before == ago + 1]
