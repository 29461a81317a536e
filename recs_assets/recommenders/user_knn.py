"""What this customer buys again and again, and what customers with the same habits buy."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy import sparse

from recs_assets.arrays import is_stored
from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.carry import ArrayAxes


class UserKNN(Recommender):
    """Personal decayed frequency blended with that of the most similar customers.

    score(customer, p) = own_share * f(customer, p)
                       + (1 - own_share) * sum over neighbours n of s(n) * f(n, p) / sum of s(n)

    with f the decayed frequency of `Repurchase` and s the cosine of two customers' f, over the
    `neighbours` most similar customers. After Hu, He, Gao and Zhang, Modeling Personalized Item
    Frequency Information for Next-basket Recommendation (TIFU-KNN), 2020, with one exponential
    decay instead of two nested ones.

    Learning costs the sum over products of (buyers)^2. The most bought products are left out of
    the similarity (not of the scores) until that sum is at most `max_work`: they say least about
    who resembles whom, and 100,000 buyers of one product alone would be 1e10. Sensible to some
    5e5 customers.

    Args:
        neighbours: similar customers that count.
        own_share: weight of the customer's own frequency, 0 to 1.
        half_life_days: age at which a purchase counts half.
        max_work: bound of the learning cost.
        threads: threads of the fit; 0 for all cores. The result does not depend on it.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "user_knn"
    learned: ClassVar = {"similar_": ArrayAxes(("customer", "fit_customer"))}
    attached = ("own_",)

    def __init__(
        self,
        neighbours: int = 100,
        own_share: float = 0.7,
        half_life_days: float = 90.0,
        max_work: float = 5e9,
        threads: int = 1,
    ) -> None:
        self.neighbours = neighbours
        self.own_share = own_share
        self.half_life_days = half_life_days
        self.max_work = max_work
        self.threads = threads

    def _learn(self, known: Known) -> None:
        """Keeps `similar_` csr float32[n_customers, n_customers] (row: the neighbours' weights, sum 1)."""
        self.similar_ = self._find_similar(known.frequency(self.half_life_days))

    def _find_similar(self, frequency: sparse.csr_matrix) -> sparse.csr_matrix:
        buyers = np.bincount(frequency.indices, minlength=frequency.shape[1])
        order = np.argsort(buyers, kind="stable")
        affordable = np.cumsum(buyers[order].astype(np.float64) ** 2) <= self.max_work
        informative = frequency[:, np.sort(order[affordable & (buyers[order] > 1)])].tocsr()
        informative.eliminate_zeros()
        active = np.flatnonzero(np.diff(informative.indptr))
        shape = (frequency.shape[0],) * 2
        if len(active) == 0:
            return sparse.csr_matrix(shape, dtype=np.float32)
        from implicit.nearest_neighbours import ItemItemRecommender, normalize

        # implicit finds the nearest columns; here customers are the columns. One more, because everybody is nearest to themselves.
        model = ItemItemRecommender(K=min(self.neighbours + 1, len(active)), num_threads=self.threads)
        model.fit(normalize(informative[active].astype(np.float64)).T.tocsr(), show_progress=False)
        nearest = sparse.coo_matrix(model.similarity)
        other = (nearest.row != nearest.col) & (nearest.data > 0)
        similar = sparse.csr_matrix(
            (nearest.data[other], (active[nearest.row[other]], active[nearest.col[other]])), shape=shape
        )
        similar.sort_indices()
        total = np.asarray(similar.sum(axis=1)).ravel()
        similar.data /= np.repeat(total, np.diff(similar.indptr))
        return similar.astype(np.float32)

    def _count(self, known: Known) -> None:
        """Keeps `frequency_` csr float32[n_customers, n_products]: of whoever may be a neighbour."""
        self.frequency_ = known.frequency(self.half_life_days)

    def _attach(self, known: Known) -> None:
        """Keeps `own_` csr float32[n_customers, n_products]."""
        self.own_ = known.frequency(self.half_life_days)

    def _scores(self, customers: np.ndarray) -> sparse.csr_matrix:
        others = self.similar_[customers] @ self.frequency_
        own = self.own_[customers]
        return (np.float32(self.own_share) * own + np.float32(1 - self.own_share) * others).tocsr()

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """The product itself where the customer bought it, -1 where only others did."""
        own = is_stored(self.known_.history, np.asarray(customers), np.asarray(products))
        return np.where(own, products, -1).astype(np.int32)
