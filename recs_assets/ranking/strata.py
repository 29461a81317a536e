"""How much is known of a customer and of a customer with a product: what a calibration is checked by."""

from __future__ import annotations

import numpy as np

from recs_assets.known.interactions import Known

# Stratum -> its classes, by their lower ends: orders known, days since the last of them, days on which the
# product was bought, days since the last of those. Who never bought is in a class of their own.
STRATA: dict[str, tuple[int, ...]] = {
    "orders": (0, 1, 3, 10, 30),
    "days_since_order": (0, 8, 29, 57),
    "days_bought": (0, 1, 2, 3, 5, 10),
    "days_since_bought": (0, 8, 29, 92),
}
NEVER = {"days_since_order", "days_since_bought"}
# Classes per stratum.
SIZES = tuple(len(ends) + (name in NEVER) for name, ends in STRATA.items())


def find_strata(known: Known, customer: np.ndarray, product: np.ndarray) -> np.ndarray:
    """int8[n, len(STRATA)]: the classes of pairs, known at the anchor.

    Args:
        known: everything before the anchor.
        customer: int[n] codes.
        product: int[n] codes.
    """
    if not len(customer):  # SciPy answers no pairs with a matrix
        return np.empty((0, len(STRATA)), dtype=np.int8)
    last_order = np.full(known.n_customers, -1, dtype=np.int64)
    np.maximum.at(last_order, known.events.customer[known.purchased], known.events.day[known.purchased])
    days = np.asarray(known.history[customer, product]).ravel()
    last = np.asarray(known.last_bought[customer, product]).ravel()
    figures = {
        "orders": known.order_counts[customer],
        "days_since_order": np.where(last_order[customer] < 0, -1, known.anchor_day - last_order[customer]),
        "days_bought": days,
        "days_since_bought": np.where(days == 0, -1, known.anchor_day - last),
    }
    strata = np.empty((len(customer), len(STRATA)), dtype=np.int8)
    for place, (name, ends) in enumerate(STRATA.items()):
        strata[:, place] = np.searchsorted(ends, figures[name], side="right") - 1
        if name in NEVER:
            strata[figures[name] < 0, place] = len(ends)
    return strata
