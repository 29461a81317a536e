"""Bought after: what customers bought on the shopping day that followed."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy import sparse

from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.because import find_strongest
from recs_assets.recommenders.carry import ArrayAxes
from recs_assets.recommenders.item_knn import keep_strongest

# Multiply-adds of one block of the transition product; its result holds at most that many (240 MB).
BLOCK_PRODUCTS = 20_000_000


class Transition(Recommender):
    """Decayed first-order transitions between consecutive shopping days of a customer.

    A shopping day is the set of products a customer bought on one day; two orders of a day are
    one visit. T(a, b) = sum over customers and consecutive days (s, t) with a bought on s and b on
    t, b not on s, of 0.5 ** (age of t / half_life_days); n(a) the same sum over the days s with a
    that have a following day. Then

        p(b after a) = T(a, b) / (n(a) + damping)
        score(customer, b) = sum over a of 0.5 ** (days since a was last bought / memory_days) * p(b after a)

    The Markov chain of Rendle, Freudenthaler and Schmidt-Thieme, Factorizing Personalized Markov
    Chains for Next-Basket Recommendation, 2010, section 4.1, without the factorisation; directed,
    unlike `rules` (a printer's cartridges follow the printer).

    Learning costs the sum over consecutive days of products x products; days with more than
    `max_day_products` products are passed over, and the next one follows the one before.
    Transitions seen less than `min_transitions` times are left out, and of the rest the
    `neighbours` strongest of each antecedent are kept. Sensible to some 1e9 pairs.

    Args:
        half_life_days: age at which a transition counts half.
        memory_days: age of the antecedent's last purchase at which it counts half.
        min_transitions: fewer observations make no transition.
        damping: observations of doubt.
        neighbours: transitions kept per antecedent.
        max_day_products: days with more distinct products are not a shopper's.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "transition"
    learned: ClassVar = {"transitions_": ArrayAxes(("product", "product"))}
    # It counts customers in common, not baskets: "often bought with" would claim too much.
    attached = ("recency_",)
    reasons = ("also_bought",)

    def __init__(
        self,
        half_life_days: float = 91.0,
        memory_days: float = 14.0,
        min_transitions: int = 3,
        damping: float = 10.0,
        neighbours: int = 100,
        max_day_products: int = 200,
    ) -> None:
        self.half_life_days = half_life_days
        self.memory_days = memory_days
        self.min_transitions = min_transitions
        self.damping = damping
        self.neighbours = neighbours
        self.max_day_products = max_day_products

    def _learn(self, known: Known) -> None:
        """Keeps `transitions_` csr float32[n_products, n_products] (row a: p(b after a))."""
        before, after, age = self._pair_days(known)
        self.transitions_ = self._count_transitions(before, after, np.power(0.5, age / self.half_life_days))

    def _pair_days(self, known: Known) -> tuple[sparse.csr_matrix, sparse.csr_matrix, np.ndarray]:
        """Ones csr[transitions, n_products] of the day before and of the day after, and the age of
        the day after in days."""
        bought = known.purchased
        customer, day = known.events.customer[bought].astype(np.int64), known.events.day[bought]
        visit, row = np.unique(customer << 32 | day.astype(np.int64), return_inverse=True)
        baskets = sparse.csr_matrix(
            (np.ones(len(row), np.float32), (row, known.events.product[bought])),
            shape=(len(visit), known.n_products),
        )
        baskets.data[:] = 1
        fits = np.diff(baskets.indptr) <= self.max_day_products
        baskets, visit = baskets[fits], visit[fits]
        # Sorted by customer, then day: the row above is the visit before, if it is the same customer's.
        follows = np.flatnonzero(visit[1:] >> 32 == visit[:-1] >> 32)
        age = known.anchor_day - (visit[follows + 1] & 0xFFFFFFFF)
        return baskets[follows], baskets[follows + 1], age.astype(np.float64)

    def _count_transitions(
        self, before: sparse.csr_matrix, after: sparse.csr_matrix, weight: np.ndarray
    ) -> sparse.csr_matrix:
        n_products = before.shape[1]
        after = (after - after.multiply(before)).tocsr()
        after.eliminate_zeros()
        seen = np.asarray(before.sum(axis=0)).ravel()
        total = np.asarray(before.T @ weight).ravel()
        # What was seen less often than a transition must be can be in none.
        left = np.flatnonzero(seen >= self.min_transitions)
        right = np.flatnonzero(np.asarray(after.sum(axis=0)).ravel() >= self.min_transitions)
        after = after[:, right].tocsr()
        # Counts and their weighted sums come out of one product, as real and imaginary parts.
        after = after.astype(np.complex64)
        after.data.imag = np.repeat(weight.astype(np.float32), np.diff(after.indptr))
        antecedents = before.T.tocsr()[left]
        work = np.asarray(antecedents @ np.diff(after.indptr).astype(np.float64)).ravel()
        block = (np.cumsum(work) // BLOCK_PRODUCTS).astype(np.int64)
        parts = [sparse.csr_matrix((0, len(right)), dtype=np.float32)]
        for number in np.unique(block):
            rows = np.flatnonzero(block == number)
            both = (antecedents[rows] @ after).tocsr()
            weighted = np.where(both.data.real < self.min_transitions, np.float32(0), both.data.imag)
            score = sparse.csr_matrix((weighted, both.indices, both.indptr), shape=both.shape)
            score.eliminate_zeros()
            share = (score.data / np.repeat(total[left[rows]] + self.damping, np.diff(score.indptr))).astype(
                np.float32
            )
            score = sparse.csr_matrix((share, score.indices, score.indptr), shape=score.shape)
            parts.append(keep_strongest(score, self.neighbours))
        kept = sparse.vstack(parts, format="coo")
        transitions = sparse.csr_matrix(
            (kept.data.astype(np.float32), (left[kept.row], right[kept.col])), shape=(n_products, n_products)
        )
        transitions.sort_indices()
        return transitions

    def _attach(self, known: Known) -> None:
        """Keeps `recency_` csr float32[n_customers, n_products]."""
        self.recency_ = known.recency(self.memory_days)

    def _scores(self, customers: np.ndarray) -> sparse.csr_matrix:
        return self.recency_[customers] @ self.transitions_

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """See `Recommender.because`; exact: the largest term of the sum above."""
        return find_strongest(self.recency_, self.transitions_.T.tocsr(), customers, products)
