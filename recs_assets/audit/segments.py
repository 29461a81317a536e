"""Segments of customers by recency, frequency and money (RFM).

Each of the three is scored in fifths from 1 to 5. Customers with equal values share the middle of their places, so
they have equal scores whatever the order of the rows, which quintiles cut by counting do not promise. The mean of
the places by frequency and by money is scored in fifths again: the value score. The segment follows from recency
and value; who ordered for the first time lately is new.
"""

from __future__ import annotations

from collections.abc import Mapping

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

# Tiers of `recs.customer_values`, by their numbers, as a campaign's file names them.
TIERS = {
    "no_tier": "have no order, or objected: nothing is expected of them",
    "tier_1": "are expected to spend least",
    "tier_2": "are expected to spend less than most",
    "tier_3": "are in the middle",
    "tier_4": "are expected to spend more than most",
    "tier_5": "are expected to spend most",
}


def order_values(customers: pd.DataFrame) -> dict[str, np.ndarray]:
    """What customers are compared with: recency, frequency, money and value of all who are scored, each float64[n] ascending.

    Args:
        customers: as for `segment_customers`, all of the shop.
    """
    people = customers[_find_scored(customers)]
    values = {name: np.sort(own) for name, own in _measure(people).items()}
    places = (place_values(_measure(people)[name], values[name]) for name in ("frequency", "money"))
    return {**values, "value": np.sort(sum(places)).astype(float)}


def segment_customers(
    customers: pd.DataFrame, ordered: Mapping[str, np.ndarray] | None = None
) -> pd.DataFrame:
    """Every customer in exactly one segment.

    Args:
        customers: customer_id, learned_from, orders, days_since_first and days_since_last (NaN without orders), revenue.
        ordered: of the whole shop (`order_values`), where these are some of its customers.

    Returns:
        customer_id (ascending), segment, recency_score, frequency_score, monetary_score, value_score (1 to 5; NA where
        nobody is scored), days_since_last, orders, revenue.
    """
    rows = customers.sort_values("customer_id", kind="stable").reset_index(drop=True)
    scored = _find_scored(rows)
    people = rows[scored]
    ordered = order_values(rows) if ordered is None else ordered
    places = {name: place_values(own, ordered[name]) for name, own in _measure(people).items()}
    places["value"] = place_values((places["frequency"] + places["money"]).astype(float), ordered["value"])
    size = len(ordered["recency"])
    scores = {
        "recency_score": score_places(places["recency"], size),
        "frequency_score": score_places(places["frequency"], size),
        "monetary_score": score_places(places["money"], size),
        "value_score": score_places(places["value"], size),
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


def _find_scored(customers: pd.DataFrame) -> np.ndarray:
    return (customers["learned_from"] & (customers["orders"] > 0)).to_numpy(dtype=bool)


def _measure(people: pd.DataFrame) -> dict[str, np.ndarray]:
    """float64[n] each, more is better."""
    return {
        "recency": -people["days_since_last"].to_numpy(dtype=float),
        "frequency": people["orders"].to_numpy(dtype=float),
        "money": people["revenue"].fillna(0.0).to_numpy(dtype=float),
    }


def place_values(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """int64[n]: twice the number of smaller values among the ordered ones and once that of equal ones, itself included."""
    return np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")


def score_places(places: np.ndarray, size: int) -> np.ndarray:
    """int64[n]: 1 (worst) to 5 (best), of places among so many."""
    return 1 + SCORES * places // (2 * max(1, size))
