"""Looked at and not bought yet, and what goes with it."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recs_assets.arrays import encode_pairs, is_stored
from recs_assets.known.facts import as_array
from recs_assets.known.interactions import EVENT_TYPES, Known
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.because import find_strongest
from recs_assets.recommenders.item_knn import find_similar_products, keep_strongest

# How much one event says about intent, before decay.
INTENT = {"view": 1.0, "add_to_wishlist": 2.0, "add_to_cart": 3.0}


class RecentlyViewed(Recommender):
    """What the customer viewed, wished for or put in the cart lately, and its item neighbours.

    seed(customer, i) = sum over the customer's views, wishes and carts of i within `days` of intent (view 1,
    wish 2, cart 3) * 0.5 ** (age / half_life_days), 0 where they bought i on or after the day of the
    last of them: that wish is met.

    score(customer, p) = sum over i of seed(customer, i) * similarity(i, p), similarity the cosine of
    the columns of the signal (`ItemKNN` with weighting "cosine"; 1 for p itself), for the
    `neighbours` most similar products. Empty where there are no browsing events; in a shop without
    any, nothing is learned and nothing costs time.

    Limits as `ItemKNN`; each customer's `max_seeds` strongest seeds count, so that a robot that
    opens every page does not make a list of its own.

    Args:
        days: how far back an event counts.
        half_life_days: age at which it counts half.
        neighbours: similar products per seed, itself included.
        max_history: products per customer that teach similarity.
        max_seeds: seeds per customer.
        threads: threads of the fit; 0 for all cores. The result does not depend on it.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "recently_viewed"
    attached = ("seeds_",)
    reasons = ("viewed_related",)

    def __init__(
        self,
        days: int = 28,
        half_life_days: float = 7.0,
        neighbours: int = 30,
        max_history: int = 3000,
        max_seeds: int = 100,
        threads: int = 1,
    ) -> None:
        self.days = days
        self.half_life_days = half_life_days
        self.neighbours = neighbours
        self.max_history = max_history
        self.max_seeds = max_seeds
        self.threads = threads

    def ask_facts(self, known: Known) -> None:
        """See `Recommender.ask_facts`."""
        self._find_looked_at(known)

    def _count(self, known: Known) -> None:
        """Keeps `similarity_` csr float32[n_products, n_products] (row: a seed's neighbours; empty for what nobody
        looked at)."""
        looked_at = self._find_looked_at(known)
        if not looked_at.any():
            self.similarity_ = sparse.csr_matrix((known.n_products,) * 2, dtype=np.float32)
            return
        similarity = find_similar_products(
            keep_strongest(known.signal(), self.max_history), self.neighbours, "cosine", threads=self.threads
        )
        # The cosine of a product with itself is 1, also where rounding or a missing signal says less.
        itself = sparse.diags_array(looked_at.astype(np.float32), format="csr")
        similarity = sparse.csr_matrix((itself @ similarity).maximum(itself))
        similarity.eliminate_zeros()
        similarity.sort_indices()
        self.similarity_ = similarity

    def _attach(self, known: Known) -> None:
        """Keeps `seeds_` csr float32[n_customers, n_products]."""
        self.seeds_ = keep_strongest(self._weigh_seeds(known), self.max_seeds)

    def _find_intent(self, known: Known) -> tuple[np.ndarray, np.ndarray]:
        """float32[n_events] of intent, and bool[n_events] where there is some that counts."""
        intent = np.array([INTENT.get(name, 0.0) for name in EVENT_TYPES], dtype=np.float32)[
            known.events.kind
        ]
        return intent, (intent > 0) & (known.events.day >= known.anchor_day - self.days)

    def _find_looked_at(self, known: Known) -> np.ndarray:
        """bool[n_products]: somebody looked at it lately. A fact of the shop."""

        def count() -> np.ndarray:
            _, recent = self._find_intent(known)
            return np.bincount(known.events.product[recent], minlength=known.n_products) > 0

        return as_array(known.shop_fact(f"looked_at/{self.days}", count))

    def _weigh_seeds(self, known: Known) -> sparse.csr_matrix:
        events, shape = known.events, (known.n_customers, known.n_products)
        intent, recent = self._find_intent(known)
        customer, product, day = (part[recent] for part in (events.customer, events.product, events.day))
        if len(day) == 0:
            return sparse.csr_matrix(shape, dtype=np.float32)
        pair, place = np.unique(encode_pairs(customer, product, known.n_products), return_inverse=True)
        last = np.zeros(len(pair), dtype=np.int64)
        np.maximum.at(last, place, day)
        seed = np.bincount(place, weights=(intent * known.decay(self.half_life_days))[recent])
        rows, columns = np.divmod(pair, known.n_products)
        bought = is_stored(known.last_bought, rows, columns)
        met = np.zeros(len(pair), dtype=bool)
        met[bought] = np.asarray(known.last_bought[rows[bought], columns[bought]]).ravel() >= last[bought]
        return sparse.csr_matrix((seed[~met].astype(np.float32), (rows[~met], columns[~met])), shape=shape)

    def _scores(self, customers: np.ndarray) -> sparse.csr_matrix:
        return self.seeds_[customers] @ self.similarity_

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """The product they looked at (not necessarily bought) that contributed most."""
        return find_strongest(self.seeds_, self.similarity_.T.tocsr(), customers, products)
