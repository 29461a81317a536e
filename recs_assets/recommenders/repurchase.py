"""What this customer buys again and again."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recs_assets.arrays import is_stored
from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender

# Own scores stay at or above this, so that a fill scaled below them is still a normal float32.
SMALLEST = np.float32(1e-30)


class Repurchase(Recommender):
    """Personal decayed frequency, filled up with popularity below every own score.

    score(customer, p) = sum over the customer's distinct purchase days of p of
    0.5 ** (age in days / half_life_days) for products the customer bought; every other product
    sold scores less than half of the customer's smallest own score, in order of popularity
    ("P-Pop" and "GP-Pop" of Li et al., A Next Basket Recommendation Reality Check, 2023). So
    view="all" always fills, view="repeat" holds only the customer's own history.

    Memory and time grow with distinct (customer, product) pairs; sensible to some 1e8 of them.

    Args:
        half_life_days: age at which an own purchase counts half.
        fill_half_life_days: the same for the popularity that fills up.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "repurchase"
    attached = ("own_",)

    def __init__(self, half_life_days: float = 90.0, fill_half_life_days: float = 28.0) -> None:
        self.half_life_days = half_life_days
        self.fill_half_life_days = fill_half_life_days

    def ask_facts(self, known: Known) -> None:
        """See `Recommender.ask_facts`."""
        known.popularity(self.fill_half_life_days)

    def _attach(self, known: Known) -> None:
        """Keeps `own_` csr float32[n_customers, n_products]."""
        self.own_ = known.frequency(self.half_life_days)
        np.maximum(self.own_.data, SMALLEST, out=self.own_.data)

    def _count(self, known: Known) -> None:
        """Keeps `fill_` float32[n_products]."""
        popularity = known.popularity(self.fill_half_life_days)
        largest = np.nanmax(popularity, initial=0.0)
        self.fill_ = (0.5 * popularity / largest if largest > 0 else popularity).astype(np.float32)

    def _scores(self, customers: np.ndarray) -> sparse.csr_matrix:
        return self.own_[customers]

    def _fill(self, customers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        own = self.own_[customers]
        smallest = np.ones(len(customers))
        filled = np.flatnonzero(np.diff(own.indptr))
        if len(filled):
            smallest[filled] = np.minimum.reduceat(own.data, own.indptr[filled])
        return self.fill_, smallest

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """The product itself where the customer bought it, -1 where it only fills the list."""
        own = is_stored(self.known_.history, np.asarray(customers), np.asarray(products))
        return np.where(own, products, -1).astype(np.int32)
