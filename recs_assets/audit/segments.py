"""Segments of customers by recency, frequency and money (RFM).

Each of the three is scored in fifths from 1 to 5. Customers with equal values share the middle of their places, so
they have equal scores whatever the order of the rows, which quintiles cut by counting do not promise. The mean of
the places by frequency and by money is scored in fifths again: the value score. The segment follows from recency
and value; who ordered for the first time lately is new.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

SCORES = 5
NEW_DAYS = 91
# Recency score down, value score across. The names are the usual ones.
_GRID = {
    1: ("hibernating", "hibernating", "at_risk", "at_risk", "cannot_lose"),
    2: ("hibernating", "hibernating", "at_risk", "at_risk", "cannot_lose"),
    3: ("about_to_sleep", "about_to_sleep", "need_attention", "loyal", "loyal"),
    4: ("promising", "potential_loyalists", "potential_loyalists", "loyal", "loyal"),
    5: ("promising", "potential_loyalists", "potential_loyalists", "champions", "champions"),
}
# Of these, whose first order is recent is new.
_MAY_BE_NEW = ("promising", "potential_loyalists")
SEGMENTS = {
    "champions": "bought very lately, often and for much",
    "loyal": "buy often and for much, and not long ago",
    "potential_loyalists": "bought lately, and not least of all",
    "new": f"ordered for the first time in the last {NEW_DAYS} days",
    "promising": "bought lately, seldom and for little",
    "need_attention": "are in the middle of everything",
    "about_to_sleep": "buy seldom and for little, and not lately",
    "at_risk": "bought more than most, and have stayed away",
    "cannot_lose": "were among the best, and have stayed away",
    "hibernating": "bought little, long ago",
    "no_purchase": "have no purchase",
    "not_segmented": "are wholesale, or objected: nobody learns from them",
}


def segment_customers(customers: pd.DataFrame) -> pd.DataFrame:
    """Every customer in exactly one segment.

    Args:
        customers: customer_id, learned_from, orders, days_since_first and days_since_last (NaN without orders), revenue.

    Returns:
        customer_id (ascending), segment, recency_score, frequency_score, monetary_score, value_score (1 to 5; NA where
        nobody is scored), days_since_last, orders, revenue.
    """
    rows = customers.sort_values("customer_id", kind="stable").reset_index(drop=True)
    scored = (rows["learned_from"] & (rows["orders"] > 0)).to_numpy(dtype=bool)
    people = rows[scored]
    frequency = _place(people["orders"].to_numpy(dtype=float))
    money = _place(people["revenue"].fillna(0.0).to_numpy(dtype=float))
    scores = {
        "recency_score": _score(_place(-people["days_since_last"].to_numpy(dtype=float))),
        "frequency_score": _score(frequency),
        "monetary_score": _score(money),
        "value_score": _score(_place(frequency + money)),
    }
    new = people["days_since_first"].to_numpy(dtype=float) <= NEW_DAYS
    segment = np.where(rows["learned_from"], "no_purchase", "not_segmented").astype(object)
    segment[scored] = [
        "new" if is_new and name in _MAY_BE_NEW else name
        for is_new, name in zip(
            new,
            (
                _GRID[recency][value - 1]
                for recency, value in zip(scores["recency_score"], scores["value_score"], strict=True)
            ),
            strict=True,
        )
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


def _place(values: np.ndarray) -> np.ndarray:
    """int64[n]: twice the number of smaller values and once that of equal ones, itself included: 1 to 2n - 1."""
    ordered = np.sort(values)
    return np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")


def _score(places: np.ndarray) -> np.ndarray:
    """int64[n]: 1 (worst) to 5 (best)."""
    return 1 + SCORES * places // (2 * max(1, len(places)))
