"""Recommenders that the week does not have: what `benchmarks.gains --tried` measures beside the signals.

Each is fitted at every anchor, and its lists become candidates and features as those of any other. What gained moved to
`recs_assets/recommenders`; what is here was tried and is off (docs/gains.md#signals).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.linalg import svds

from recs_assets.arrays import one_blas_thread
from recs_assets.known.interactions import Known
from recs_assets.recommenders.association import AssociationRules
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.content import Content
from recs_assets.recommenders.follow_ups import FollowUps, LateFollowUps
from recs_assets.recommenders.transition import Transition

FACTORS = 64


def factorise(matrix: sparse.csr_matrix, factors: int = FACTORS) -> tuple[np.ndarray, np.ndarray]:
    """(U * s, V): the truncated SVD, from a fixed start."""
    most = min(matrix.shape)
    start = np.random.default_rng(0).normal(size=most)
    with one_blas_thread():
        left, strength, right = svds(matrix.astype(np.float64), k=min(factors, most - 1), v0=start)
    return left * strength, right.T


class PureSVD(Recommender):
    """Cremonesi, Koren and Turrin 2010: the truncated SVD of the customers' decayed signals; score = R V V'."""

    name = "pure_svd"

    def _attach(self, known: Known) -> None:
        signal = known.signal(90.0)
        signal.data = np.log1p(np.maximum(signal.data, 0)).astype(np.float32)
        there = np.flatnonzero(np.bincount(signal.indices, minlength=known.n_products) >= 3)
        self.signal_, self.factors_ = signal, np.zeros((known.n_products, 0))
        if len(there) > FACTORS:
            _, right = factorise(signal[:, there].tocsr())
            self.factors_ = np.zeros((known.n_products, right.shape[1]))
            self.factors_[there] = right

    def _scores(self, customers: np.ndarray) -> np.ndarray:
        scores = (self.signal_[customers] @ self.factors_) @ self.factors_.T
        return np.where(scores > 0, scores, np.nan).astype(np.float32)


class ItemVectors(Recommender):
    """Products as vectors: the truncated SVD of the positive pointwise mutual information of baskets (Levy and Goldberg
    2014: what word2vec factorises); a customer is the sum of what they bought, newer weighing more."""

    name = "item_vectors"

    def _attach(self, known: Known) -> None:
        baskets = known.baskets(200).tocsr().astype(np.float32)
        baskets.data[:] = 1
        there = np.flatnonzero(np.asarray(baskets.sum(axis=0)).ravel() >= 5)
        self.recency_, self.vectors_ = known.recency(14.0), np.zeros((known.n_products, 0))
        self.popularity_ = np.nan_to_num(known.popularity(28.0))
        if len(there) <= FACTORS:
            return
        met = (baskets[:, there].T @ baskets[:, there]).tocoo()
        keep = (met.row != met.col) & (met.data >= 2)
        row, column, count = met.row[keep], met.col[keep], met.data[keep]
        total = np.bincount(row, count, minlength=len(there))
        context = total**0.75 / np.maximum((total**0.75).sum(), 1e-9)
        information = np.log(count / np.maximum(total[row] * context[column], 1e-9))
        positive = information > 0
        shape = (len(there), len(there))
        matrix = sparse.csr_matrix((information[positive], (row[positive], column[positive])), shape=shape)
        left, right = factorise(matrix)
        vectors = left / np.sqrt(
            np.maximum(np.linalg.norm(left, axis=0) / np.linalg.norm(right, axis=0), 1e-9)
        )
        self.vectors_ = np.zeros((known.n_products, vectors.shape[1]))
        self.vectors_[there] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    def _scores(self, customers: np.ndarray) -> np.ndarray:
        scores = (self.recency_[customers] @ self.vectors_) @ self.vectors_.T
        scores = np.where(scores > 0, scores, np.nan) * (1 + self.popularity_) ** 0.25
        return scores.astype(np.float32)


class TransitionFactors(Transition):
    """`transition` with every transition instead of those seen three times, smoothed by a truncated SVD (the factorisation of
    Rendle, Freudenthaler and Schmidt-Thieme 2010 without the customers)."""

    name = "transition_factors"
    learned: ClassVar = {}
    attached = ()

    def _learn(self, known: Known) -> None:
        return

    def _attach(self, known: Known) -> None:
        self.recency_ = known.recency(self.memory_days)
        self.left_ = self.right_ = np.zeros((known.n_products, 0))
        before, after, age = self._pair_days(known)
        weight = np.power(0.5, age / self.half_life_days).astype(np.float32)
        after = (after - after.multiply(before)).tocsr()
        rows, columns = (
            np.flatnonzero(np.asarray(part.sum(axis=0)).ravel() >= self.min_transitions)
            for part in (before, after)
        )
        if min(len(rows), len(columns)) <= FACTORS:
            return
        weighted = sparse.diags(weight) @ after[:, columns]
        seen = np.asarray(before[:, rows].T @ weight).ravel()
        shares = sparse.diags(1 / (seen + self.damping)) @ (before[:, rows].T @ weighted)
        left, right = factorise(shares.tocsr())
        self.left_ = np.zeros((known.n_products, left.shape[1]))
        self.left_[rows] = left
        self.right_ = np.zeros((known.n_products, right.shape[1]))
        self.right_[columns] = right

    def _scores(self, customers: np.ndarray) -> np.ndarray:  # type: ignore[override]
        scores = (self.recency_[customers] @ self.left_) @ self.right_.T
        return np.where(scores > 1e-9, scores, np.nan).astype(np.float32)


class RareTransitions(Transition):
    """`transition` with what was seen once, in place of the week's."""

    name = "transition"

    def __init__(self) -> None:
        super().__init__(min_transitions=1)


class Trending(Recommender):
    """What sells more in the last week than in the last half year, among what sells at all."""

    name = "trending_products"

    def _attach(self, known: Known) -> None:
        new, old = (np.nan_to_num(known.popularity(days)) for days in (7.0, 182.0))
        self.score_ = np.where(new > 0, (new + 0.5) / (old + 5) * np.sqrt(new), np.nan).astype(np.float32)

    def _scores(self, customers: np.ndarray) -> np.ndarray:
        return np.tile(self.score_, (len(customers), 1))


class CategoryRules(Recommender):
    """From the categories of the customer's purchases to others by what is in one basket, and there what sells."""

    name = "category_rules_products"

    def _attach(self, known: Known) -> None:
        category, labels = pd.factorize(known.products["category"].astype("string"))
        rows = np.flatnonzero(category >= 0)
        member = sparse.csr_matrix(
            (np.ones(len(rows)), (rows, category[rows])), shape=(known.n_products, len(labels))
        )
        baskets = (known.baskets(200) @ member).tocsr()
        baskets.data[:] = 1
        met = (baskets.T @ baskets).toarray()
        seen = np.diag(met).copy()
        np.fill_diagonal(met, 0)
        popularity = np.nan_to_num(known.popularity(28.0))
        of_category = member.T @ popularity
        self.share_ = np.zeros(known.n_products)
        self.share_[rows] = popularity[rows] / np.maximum(of_category[category[rows]], 1e-9)
        self.rules_, self.category_ = met / (seen[:, None] + 10), category
        self.taste_ = (known.recency(28.0) @ member).tocsr()

    def _scores(self, customers: np.ndarray) -> np.ndarray:
        taste = np.minimum(self.taste_[customers].toarray(), 1)
        scores = (taste @ self.rules_)[:, self.category_] * self.share_
        return np.where(scores > 0, scores, np.nan).astype(np.float32)


class InheritedTogether(Recommender):
    """For products in fewer than five baskets, what the rules say of the five products that read most like them."""

    name = "inherited_together"

    def _attach(self, known: Known) -> None:
        rules, content = AssociationRules().fit(known), Content().fit(known)
        baskets = np.bincount(known.baskets(200).indices, minlength=known.n_products)
        thin = np.flatnonzero((baskets < 5) & known.available)
        alike = content.neighbours(5, thin)
        weight = alike["score"].to_numpy() / 5
        shape = (known.n_products, known.n_products)
        heirs = sparse.csr_matrix((weight, (alike["neighbour"], alike["product"])), shape=shape)
        self.rules_, self.recency_ = (rules._confidence() @ heirs).tocsr(), known.recency(14.0)

    def _scores(self, customers: np.ndarray) -> sparse.csr_matrix:
        return (self.recency_[customers] @ self.rules_).tocsr().astype(np.float32)


# One with the name of a recommender of the week takes its place.
PROPOSERS: dict[str, type[Recommender]] = {
    "pure_svd": PureSVD,
    "item_vectors": ItemVectors,
    "transition_factors": TransitionFactors,
    "rare_transitions": RareTransitions,
    "trending_products": Trending,
    "category_rules_products": CategoryRules,
    "inherited_together": InheritedTogether,
    "follow_ups": FollowUps,
    "late_follow_ups": LateFollowUps,
}
