"""Wanted while it was sold out, and in stock again."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recs_assets.arrays import PairIndex
from recs_assets.known.interactions import WANTING, Known
from recs_assets.recommenders.base import Recommender

# How much each kind of wanting counts, as in `RecentlyViewed`.
STRENGTH = {"add_to_cart": 3.0, "add_to_wishlist": 2.0, "view": 1.0, "search": 1.0}


class BackInStock(Recommender):
    """What a customer wanted while it was sold out, has not bought since, and can buy now.

    score(customer, p) = strength (cart 3, wishlist 2, several views or a search 1) * `variant_share` if it was a variant of p
    that they wanted * 0.5 ** (days since / half_life_days)

    Nothing is learned: `Known.back_in_stock` says who wanted what. A shop that has no counts of stock, or one per
    product, has no lists.

    Args:
        half_life_days: age at which it counts half.
        variant_share: what a variant of the wanted product is worth beside the product itself.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "back_in_stock"
    attached = ("wanted_", "cause_")

    def __init__(self, half_life_days: float = 28.0, variant_share: float = 0.25) -> None:
        self.half_life_days = half_life_days
        self.variant_share = variant_share

    def _attach(self, known: Known) -> None:
        """Keeps `wanted_` float32 csr[n_customers, n_products], the scores, and `cause_` int32 of the same pattern, 1 + the
        product that the customer dealt with."""
        rows = known.back_in_stock
        strength = np.array([STRENGTH[kind] for kind in WANTING])[rows.kind.astype(np.int64)]
        share = np.where(rows.wanted == rows.product, 1.0, self.variant_share)
        age = known.anchor_day - rows.day.astype(np.float64)
        score = strength * share * np.power(0.5, age / self.half_life_days)
        shape, at = (known.n_customers, known.n_products), (rows.customer, rows.product)
        self.wanted_ = sparse.csr_matrix((score.astype(np.float32), at), shape=shape)
        self.cause_ = sparse.csr_matrix((rows.wanted.astype(np.int32) + 1, at), shape=shape)

    def _scores(self, customers: np.ndarray) -> sparse.csr_matrix:
        return self.wanted_[customers]

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """The product that they wanted: the same, or a variant of it."""
        at = PairIndex.of(self.cause_).find(np.asarray(customers), np.asarray(products))
        if self.cause_.nnz == 0:
            return np.full(len(at), -1, dtype=np.int32)
        return np.where(at >= 0, self.cause_.data[at] - 1, -1).astype(np.int32)

    def explain_silence(self) -> str:
        """See `Recommender.explain_silence`."""
        return self.known_.back_in_stock.problem
