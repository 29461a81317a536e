"""What of a ranked list is kept."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recs_assets.interactions import Known
from recs_assets.recommenders.base import rank_within


def recently_bought(known: Known, days: int) -> np.ndarray:
    """Sorted int64 keys customer * n_products + product of pairs bought within so many days
    before the anchor; 1 is the day before the anchor, 0 none."""
    events = known.events
    recent = known.purchased & (events.day >= known.anchor_day - days)
    return np.unique(events.customer[recent].astype(np.int64) * known.n_products + events.product[recent])


def drop_recently_bought(rows: pd.DataFrame, known: Known, days: int) -> pd.DataFrame:
    """The rows (customer, product codes) whose product the customer did not buy within so many
    days before the anchor."""
    keys = rows["customer"].to_numpy().astype(np.int64) * known.n_products + rows["product"].to_numpy()
    return rows[~np.isin(keys, recently_bought(known, days))]


def cap_per_group(rows: pd.DataFrame, group: np.ndarray, most: int) -> pd.DataFrame:
    """Each customer's first `most` rows of every group.

    Args:
        rows: column customer; each customer's rows in the order of preference.
        group: int[len(rows)], e.g. the category of the row's product; -1 is not limited.
        most: at least 1.
    """
    customer = rows["customer"].to_numpy()
    order = np.lexsort((group, customer))  # stable: preference stays within
    key = customer[order].astype(np.int64) * (int(group.max(initial=0)) + 2) + group[order] + 1
    keep = np.ones(len(rows), dtype=bool)
    keep[order] = (rank_within(key) <= most) | (group[order] < 0)
    return rows[keep]


def first_per_customer(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """Each customer's first `most` rows; rows of one customer must be adjacent."""
    return rows[rank_within(rows["customer"].to_numpy()) <= most]
