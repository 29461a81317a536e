"""What may be offered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from recs_assets.interactions import Known

# Below this a price prints as 0.00.
SMALLEST_PRICE = 0.005


def offerable(known: Known, excluded_categories: Sequence[str] = ()) -> np.ndarray:
    """bool[n_products]: may be sold at the anchor, in stock, not priced at 0.00, not excluded.

    Fuel booked in millilitres, bags and coupons carry prices that print as 0.00; an email that
    offers something for nothing is wrong whatever its score. An unknown price is no obstacle.
    """
    price = known.products["price"].to_numpy(dtype=float, na_value=np.nan)
    excluded = known.products["category"].isin(list(excluded_categories)).to_numpy(dtype=bool)
    return known.available & (np.isnan(price) | (price >= SMALLEST_PRICE)) & ~excluded


def keep_offerable(rows: pd.DataFrame, known: Known, excluded_categories: Sequence[str] = ()) -> pd.DataFrame:
    """The rows whose product (code) may be offered."""
    return rows[offerable(known, excluded_categories)[rows["product"].to_numpy()]]
