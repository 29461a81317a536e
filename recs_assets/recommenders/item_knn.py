"""Customers who bought this also bought: similarity between products, by shared customers."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from scipy import sparse

from recs_assets.arrays import argsort_best_first, list_entries, rank_within
from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.because import find_strongest
from recs_assets.recommenders.carry import ArrayAxes


class ItemKNN(Recommender):
    """Item-based nearest neighbours.

    similarity(i, j) is the inner product (weighting="bm25") or the cosine (weighting="cosine") of
    the columns of the customers x products signal matrix, kept for the `neighbours` most similar
    products of each i, i itself included, as `implicit.nearest_neighbours` computes it. Then
    score(customer, j) = sum over i of weight(customer, i) * similarity(i, j), weight decayed with
    `half_life_days`. Sources: Sarwar et al., Item-based Collaborative Filtering, 2001; BM25 weights
    as in implicit (BM25Recommender): w * (K1 + 1) / (K1 * length(product) + w) * idf(customer).

    Learning costs the sum over customers of (distinct products)^2; customers with more than
    `max_history` products teach with their `max_history` strongest only, so that one reseller
    with 100,000 products does not take hours. Products x neighbours similarities are kept.
    Sensible to some 1e5 products and 1e7 pairs on one machine.

    Args:
        neighbours: similarities kept per product.
        weighting: "bm25" or "cosine".
        half_life_days: age at which an event counts half in the customer's weights.
        k1: BM25 saturation of repeated signals.
        b: BM25 penalty for products that everybody buys, 0 to 1.
        max_history: products per customer that teach similarity.
        threads: threads of the fit; 0 for all cores. The result does not depend on it.

    Raises:
        ValueError: from `fit`, unknown weighting.
        NotFittedError: from `recommend` before `fit`.
    """

    name = "item_knn"
    learned: ClassVar = {"similarity_": ArrayAxes(("product", "product"))}
    # It counts customers in common, not baskets: "often bought with" would claim too much.
    attached = ("weights_",)
    reasons = ("also_bought", "new_for_you_close_to")

    def __init__(
        self,
        neighbours: int = 50,
        weighting: Literal["bm25", "cosine"] = "bm25",
        half_life_days: float = 30.0,
        k1: float = 1.2,
        b: float = 0.3,
        max_history: int = 3000,
        threads: int = 1,
    ) -> None:
        self.neighbours = neighbours
        self.weighting = weighting
        self.half_life_days = half_life_days
        self.k1 = k1
        self.b = b
        self.max_history = max_history
        self.threads = threads

    def _learn(self, known: Known) -> None:
        """Keeps `similarity_` csr[n_products, n_products] (row i: neighbours of i)."""
        if self.weighting not in ("bm25", "cosine"):
            raise ValueError(f"weighting is {self.weighting!r}; it must be 'bm25' or 'cosine'.")
        self.similarity_ = find_similar_products(
            keep_strongest(known.signal(), self.max_history),
            self.neighbours,
            self.weighting,
            self.k1,
            self.b,
            self.threads,
        )

    def _attach(self, known: Known) -> None:
        """Keeps `weights_` csr float32[n_customers, n_products]."""
        self.weights_ = known.signal(self.half_life_days)

    def _scores(self, customers: np.ndarray) -> sparse.csr_matrix:
        return self.weights_[customers] @ self.similarity_

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """See `Recommender.because`; exact: the largest term of the sum above."""
        return find_strongest(self.weights_, self.similarity_.T.tocsr(), customers, products)


def find_similar_products(
    signal: sparse.csr_matrix,
    neighbours: int,
    weighting: Literal["bm25", "cosine"],
    k1: float = 1.2,
    b: float = 0.3,
    threads: int = 1,
) -> sparse.csr_matrix:
    """float32 csr[n_products, n_products]: row i holds the products most similar to i, i included;
    the formulas and parameters are those of `ItemKNN`."""
    # Only products with a signal take part: BM25's idf counts products, and a long tail that
    # nobody touched would make every customer look selective.
    sold = np.flatnonzero(np.bincount(signal.indices, minlength=signal.shape[1]))
    size = signal.shape[1]
    if len(sold) == 0:
        return sparse.csr_matrix((size, size), dtype=np.float32)
    from implicit.nearest_neighbours import ItemItemRecommender, bm25_weight, normalize

    counts = signal[:, sold].astype(np.float64).T
    weighted = bm25_weight(counts, k1, b) if weighting == "bm25" else normalize(counts)
    model = ItemItemRecommender(K=min(neighbours, len(sold)), num_threads=threads)
    model.fit(weighted.T.tocsr(), show_progress=False)
    learned = sparse.coo_matrix(model.similarity)
    similarity = sparse.csr_matrix(
        (learned.data.astype(np.float32), (sold[learned.row], sold[learned.col])), shape=(size, size)
    )
    similarity.data[similarity.data < 0] = 0
    similarity.eliminate_zeros()
    similarity.sort_indices()
    return similarity


def keep_strongest(matrix: sparse.csr_matrix, limit: int) -> sparse.csr_matrix:
    """The `limit` largest entries of each row, ties to the smaller column."""
    if not len(matrix.indptr) or np.diff(matrix.indptr).max(initial=0) <= limit:
        return matrix
    rows, columns = list_entries(matrix)
    order = argsort_best_first(rows, columns, matrix.data)
    order = order[rank_within(rows[order]) <= limit]
    kept = sparse.csr_matrix((matrix.data[order], (rows[order], columns[order])), shape=matrix.shape)
    kept.sort_indices()
    return kept
