"""What may be offered."""

from __future__ import annotations

import numpy as np

from recs_assets.interactions import Known

# Below this a price prints as 0.00.
SMALLEST_PRICE = 0.005


def offerable(known: Known) -> np.ndarray:
    """bool[n_products]: may be sold at the anchor, in stock, not priced at 0.00.

    Fuel booked in millilitres, bags and coupons carry prices that print as 0.00; an email that
    offers something for nothing is wrong whatever its score. An unknown price is no obstacle.
    """
    price = known.products["price"].to_numpy(dtype=float, na_value=np.nan)
    return known.available & (np.isnan(price) | (price >= SMALLEST_PRICE))
