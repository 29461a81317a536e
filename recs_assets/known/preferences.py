"""What customers can say that they like, and which products carry it."""

from __future__ import annotations

import numpy as np

from recs_assets.known.interactions import Known
from recs_assets.names import fold

# Facets of products of which customers can say what they like.
ANSWERED = ("category", "brand")


def join_label(facet: str, value: str) -> str:
    """What an answer and a product's facet are compared by: as `names.fold` has them, here as in the server's answers."""
    return f"{fold(facet)}:{fold(value)}"


def label_facets(known: Known, facet: str) -> np.ndarray:
    """object[n_products]: the product's value of a facet that can be answered, as `join_label` has it; "" without one."""
    values = known.products[facet].astype("string").fillna("").tolist()
    return np.array([join_label(facet, value) if fold(value) else "" for value in values], dtype=object)


def find_answered(known: Known) -> np.ndarray:
    """int[n]: codes of the customers who answered something that products of the shop carry, ascending."""
    said, there = known.preferences, np.flatnonzero(known.available)
    if said.empty:
        return np.empty(0, dtype=np.int64)
    labels = {label for facet in ANSWERED for label in np.unique(label_facets(known, facet)[there])}
    names = [join_label(*row) in labels for row in zip(said["facet"], said["value"], strict=True)]
    return np.unique(said["customer"].to_numpy()[names])
