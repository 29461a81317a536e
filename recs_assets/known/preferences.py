"""What customers can say that they like, and which products carry it."""

from __future__ import annotations

import numpy as np

from recs_assets.known.interactions import Known

# Facets of products of which customers can say what they like.
ANSWERED = ("category", "brand")


def join_label(facet: str, value: str) -> str:
    """What an answer and a product's facet are compared by: without case and blanks around."""
    return f"{facet.strip().lower()}:{value.strip().lower()}"


def label_facets(known: Known, facet: str) -> np.ndarray:
    """object[n_products]: the product's value of a facet that can be answered, as `join_label` has it; "" without one."""
    values = known.products[facet].astype("string").fillna("").tolist()
    return np.array([join_label(facet, value) if value.strip() else "" for value in values], dtype=object)
