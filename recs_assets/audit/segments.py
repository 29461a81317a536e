"""Segments of customers by recency, frequency and money (RFM).

Each of the three is scored from 1 to 5: 1 + floor(5 x the share of customers who are worse). Equal values get
equal scores whatever the order of the rows, which quintiles cut by counting do not promise. The segment follows
from the recency and from the mean of frequency and money, rounded up.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

SCORES = 5
# Who is scored: recency down, (frequency + money) / 2 across. The names are the usual ones.
_GRID = {
    1: ("hibernating", "hibernating", "at_risk", "at_risk", "cannot_lose"),
    2: ("hibernating", "hibernating", "at_risk", "at_risk", "cannot_lose"),
    3: ("about_to_sleep", "about_to_sleep", "need_attention", "loyal", "loyal"),
    4: ("promising", "potential_loyalists", "potential_loyalists", "loyal", "loyal"),
    5: ("new", "potential_loyalists", "potential_loyalists", "champions", "champions"),
}
SEGMENTS = {
    "champions": "bought lately, often and for much",
    "loyal": "buy often and for much, and not long ago",
    "potential_loyalists": "bought lately, more than once or for more than most",
    "new": "bought very lately for the first times",
    "promising": "bought lately, seldom and for little",
    "need_attention": "are in the middle of everything",
    "about_to_sleep": "buy seldom and for little, and not lately",
    "at_risk": "bought more than most, and have stayed away",
    "cannot_lose": "were among the best and have stayed away",
    "hibernating": "bought little, long ago",
    "no_purchase": "have no purchase",
    "not_segmented": "are wholesale, or objected: nobody learns from them",
}


def segment_customers(customers: pd.DataFrame) -> pd.DataFrame:
    """Every customer in exactly one segment.

    Args:
        customers: customer_id, learned_from, orders, days_since_last (NaN without orders), revenue.

    Returns:
        customer_id (ascending), segment, recency_score, frequency_score, monetary_score (1 to 5; NA where
        nobody is scored), days_since_last, orders, revenue.
    """
    rows = customers.sort_values("customer_id", kind="stable").reset_index(drop=True)
    scored = (rows["learned_from"] & (rows["orders"] > 0)).to_numpy(dtype=bool)
    people = rows[scored]
    scores = {
        "recency_score": _score(-people["days_since_last"].to_numpy(dtype=float)),
        "frequency_score": _score(people["orders"].to_numpy(dtype=float)),
        "monetary_score": _score(people["revenue"].fillna(0.0).to_numpy(dtype=float)),
    }
    segment = np.where(rows["learned_from"], "no_purchase", "not_segmented").astype(object)
    middle = (scores["frequency_score"] + scores["monetary_score"] + 1) // 2
    segment[scored] = [
        _GRID[recency][place - 1] for recency, place in zip(scores["recency_score"], middle, strict=True)
    ]
    result = pd.DataFrame({"customer_id": rows["customer_id"], "segment": segment})
    for name, values in scores.items():
        column = pd.Series(pd.NA, index=rows.index, dtype="Int64")
        column[scored] = values
        result[name] = column
    for name in ("days_since_last", "orders", "revenue"):
        # Of somebody who objected nothing is derived, not even a sum.
        result[name] = rows[name].where(rows["learned_from"].to_numpy(dtype=bool))
    return result


def _score(values: np.ndarray) -> np.ndarray:
    """int64[n]: 1 (worst) to 5 (best) by the share of values below."""
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    below = np.searchsorted(np.sort(values), values, side="left")
    return np.minimum(SCORES, 1 + SCORES * below // len(values)).astype(np.int64)
