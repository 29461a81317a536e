"""What this customer buys again and again, and what customers with the same habits buy."""

from __future__ import annotations

from threading import Lock
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from recs_assets.arrays import is_stored, list_entries
from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.carry import ArrayAxes

_AT_ONCE = Lock()
# Pairs whose customers' neighbours are looked at at once: 100 MB where each bought 500 products.
PAIRS_AT_ONCE = 200
# So many products in common, beside the one that is spoken of, make the sentence say "purchases like yours".
LIKENESS = 2


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
    5e5 customers; where the fit saw a sample, others find their neighbours in it (`attach`).

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
    reasons = ("similar_customers",)

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

    # Customers whose neighbours nobody has looked for yet.
    _strangers: np.ndarray | None = None

    def _learn(self, known: Known) -> None:
        """Keeps `similar_` csr float32[n_customers, fit customers] (row: the neighbours' weights, sum 1)."""
        self.__dict__.pop("_strangers", None)  # of an earlier block
        self.similar_ = self._find_similar(known.frequency(self.half_life_days))

    def _find_similar(self, frequency: sparse.csr_matrix) -> sparse.csr_matrix:
        informative = frequency[:, self._find_informative(frequency)].tocsr()
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
        return _scale_rows(similar)

    def _find_informative(self, frequency: sparse.csr_matrix) -> np.ndarray:
        """int64, ascending: the products that say who resembles whom."""
        buyers = np.bincount(frequency.indices, minlength=frequency.shape[1])
        order = np.argsort(buyers, kind="stable")
        affordable = np.cumsum(buyers[order].astype(np.float64) ** 2) <= self.max_work
        return np.sort(order[affordable & (buyers[order] > 1)])

    def attach(self, known: Known) -> Self:
        """See `Recommender.attach`; customers whom the fit did not know find their neighbours among those whom it knew, by
        the same measure, when they are listed first."""
        self._find_neighbours()
        return super().attach(known)

    def carry_over(self, earlier: Self, known: Known) -> Self:
        """See `Recommender.carry_over`."""
        earlier._find_neighbours()
        return super().carry_over(earlier, known)

    def _fold_in(self, known: Known, strangers: np.ndarray) -> None:
        self._strangers = strangers

    def _find_neighbours(self, customers: np.ndarray | None = None) -> None:
        """Of those who have none yet; None: of them all. It takes milliseconds for each."""
        with _AT_ONCE:
            if self._strangers is None:
                return
            asked = self._strangers if customers is None else np.intersect1d(self._strangers, customers)
            if len(asked):
                self._add_neighbours(asked)
                self._strangers = np.setdiff1d(self._strangers, asked)

    def _add_neighbours(self, strangers: np.ndarray) -> None:
        from implicit.nearest_neighbours import ItemItemRecommender, NearestNeighboursScorer, normalize

        products = self._find_informative(self.frequency_)
        base, own = (
            normalize(some[:, products].astype(np.float64)).tocsr()
            for some in (self.frequency_, self.own_[strangers])
        )
        asked = np.flatnonzero(np.diff(own.indptr))
        if len(asked) == 0:
            return
        # Scores of "items", which are customers here, by what is bought: implicit wants a square matrix for that.
        model = ItemItemRecommender(K=self.neighbours, num_threads=1)
        model.similarity = _make_square(base.T.tocsr())
        model.scorer = NearestNeighboursScorer(model.similarity)
        found, weight = model.recommend(
            np.arange(len(asked)), own[asked], N=self.neighbours, filter_already_liked_items=False
        )
        rows, places = np.nonzero((found >= 0) & (weight > 0))
        similar = sparse.csr_matrix(
            (weight[rows, places].astype(np.float64), (strangers[asked[rows]], found[rows, places])),
            self.similar_.shape,
        )
        self.similar_ = (self.similar_ + _scale_rows(similar)).tocsr()

    def _count(self, known: Known) -> None:
        """Keeps `frequency_` csr float32[fit customers, n_products]: of whoever may be a neighbour."""
        self.frequency_ = known.frequency(self.half_life_days)

    def _attach(self, known: Known) -> None:
        """Keeps `own_` csr float32[n_customers, n_products]."""
        self.own_ = known.frequency(self.half_life_days)

    def _scores(self, customers: np.ndarray) -> sparse.csr_matrix:
        self._find_neighbours()
        others = self.similar_[customers] @ self.frequency_
        own = self.own_[customers]
        return (np.float32(self.own_share) * own + np.float32(1 - self.own_share) * others).tocsr()

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """The product itself where the customer bought it, -1 where only others did."""
        own = is_stored(self.known_.history, np.asarray(customers), np.asarray(products))
        return np.where(own, products, -1).astype(np.int32)

    def count_similar_buyers(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """See `Recommender.count_similar_buyers`: of the neighbours who bought the product, those who also bought
        `LIKENESS` other products that the customer bought."""
        self._find_neighbours(customers)
        count = np.zeros(len(customers), dtype=np.int64)
        order = np.argsort(customers, kind="stable")
        for start in range(0, len(order), PAIRS_AT_ONCE):
            some = order[start : start + PAIRS_AT_ONCE]
            count[some] = self._count_buyers_alike(customers[some], products[some])
        return count

    def _count_buyers_alike(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        who, place = np.unique(customers, return_inverse=True)
        similar = self.similar_[who]
        row, neighbour = list_entries(similar)
        mine, theirs = self.own_[who][row], self.frequency_[neighbour]
        mine.data[:] = theirs.data[:] = 1
        common = np.asarray(mine.multiply(theirs).sum(axis=1)).ravel()
        number = sparse.csr_matrix((np.arange(len(row)), neighbour, similar.indptr), shape=similar.shape)[
            place
        ]
        pair, line = list_entries(number)[0], number.data
        bought, itself = (is_stored(some, line, products[pair]) for some in (theirs, mine))
        alike = bought & (common[line] - itself >= LIKENESS)
        return np.bincount(pair[alike], minlength=len(customers))


def _scale_rows(similar: sparse.csr_matrix) -> sparse.csr_matrix:
    """float32: the rows with sum 1."""
    total = np.asarray(similar.sum(axis=1)).ravel()
    similar.data /= np.repeat(total, np.diff(similar.indptr))
    return similar.astype(np.float32)


def _make_square(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """With empty rows or columns at the end."""
    size = max(matrix.shape)
    ends = np.full(size - matrix.shape[0], matrix.indptr[-1], dtype=matrix.indptr.dtype)
    return sparse.csr_matrix(
        (matrix.data, matrix.indices, np.concatenate([matrix.indptr, ends])), shape=(size, size)
    )
