"""Smoothing over the graph of customers and products."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy import sparse

from recs_assets.arrays import list_entries, multiply_grid, one_blas_thread, round_to_grid
from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.carry import ArrayAxes

# Customers x customers values at once (float32: 16 MB).
NEAR_VALUES = 4_000_000
# Customers whose baskets are projected at once.
BLOCK = 100_000
# Directions beyond those kept, and passes over the data, of the randomised decomposition.
OVERSAMPLED, PASSES = 20, 4


class GraphFilter(Recommender):
    """Linear graph filter: what close customers bought, and the smooth part of the graph.

    With A = D_c^-1/2 X D_p^-1/2, X the binary matrix of customers x products bought and D the numbers of
    products per customer and of customers per product, and V its first `factors` right singular vectors:

        score(customer, p) = D_p^popularity_power (x A'A [p] + smooth * (x D_p^-1/2) V V' D_p^1/2 [p])

    where x is 0.5 ** (days since last bought / half_life_days) of the customer's products. Source: Shen et al.,
    How Powerful is Graph Convolution for Recommendation?, 2021 (GF-CF); V comes from a seeded randomised
    decomposition (Halko, Martinsson and Tropp, 2011).

    Nothing is trained: learning is one decomposition, 2 * passes * pairs * factors operations. Scoring costs
    as many operations per customer as there are pairs of customers and products. Sensible to some 1e10
    customers scored x pairs (30,000 customers and 800,000 pairs: half a minute).

    Args:
        factors: singular vectors of the smooth part.
        smooth: weight of the smooth part.
        popularity_power: of the number of a product's customers; 0 leaves the scores as in the paper, which prefer
            products with few customers; 0.5 helps where most products have a handful.
        half_life_days: age of the last purchase at which it counts half as evidence.
        seed: of the decomposition.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "graph_filter"
    learned: ClassVar = {
        "normal_": ArrayAxes(("fit_customer", "product")),
        "vectors_": ArrayAxes(("product", ""), unknown=0),
        "degree_": ArrayAxes(("product",), unknown=0),
    }
    attached = ("weights_",)

    def __init__(
        self,
        factors: int = 64,
        smooth: float = 0.3,
        popularity_power: float = 0.0,
        half_life_days: float = 90.0,
        seed: int = 0,
    ) -> None:
        self.factors = factors
        self.smooth = smooth
        self.popularity_power = popularity_power
        self.half_life_days = half_life_days
        self.seed = seed

    def _learn(self, known: Known) -> None:
        """Keeps `normal_` csr float32[n_customers, n_products] (A), `vectors_` float32[n_products, factors] (V) and
        `degree_` float32[n_products] (the root of D_p)."""
        self.__dict__.pop("_common", None)  # of an earlier fit
        bought = known.history
        breadth = np.sqrt(np.diff(bought.indptr).astype(np.float64))
        degree = np.sqrt(np.bincount(bought.indices, minlength=known.n_products).astype(np.float64))
        rows, columns = list_entries(bought)
        values = (1 / (breadth[rows] * degree[columns])).astype(np.float32)
        self.normal_ = sparse.csr_matrix((values, bought.indices, bought.indptr), shape=bought.shape)
        self.degree_ = degree.astype(np.float32)
        self.vectors_ = round_to_grid(find_right_vectors(self.normal_, self.factors, self.seed))

    def _attach(self, known: Known) -> None:
        """Keeps `weights_` csr float32[n_customers, n_products] (x)."""
        self.weights_ = known.recency(self.half_life_days)

    def _scores(self, customers: np.ndarray) -> np.ndarray:
        own = self.weights_[customers]
        scores = self._smooth(own)
        scores += multiply_grid(self._project(own), self.vectors_) * (np.float32(self.smooth) * self.degree_)
        if self.popularity_power:
            scores *= np.power(self.degree_, np.float32(2 * self.popularity_power))
        scores[:, self.degree_ == 0] = np.nan
        scores[scores <= 0] = np.nan
        return scores

    def _smooth(self, own: sparse.csr_matrix) -> np.ndarray:
        """float32[len(own), n_products]: x A^T A. Sparse products add in the order of the sparse row: no BLAS, the same
        bits in every block."""
        customers, products = self.normal_.shape  # of the fit
        if customers > products:
            return (own @ self._common).toarray()
        smooth = np.empty((own.shape[0], products), dtype=np.float32)
        step = max(1, NEAR_VALUES // max(1, customers))
        columns = self.normal_.T.tocsr()
        for start in range(0, len(smooth), step):
            near = np.ascontiguousarray((self.normal_ @ own[start : start + step].T).toarray())
            smooth[start : start + step] = (columns @ near).T
        return smooth

    @cached_property
    def _common(self) -> sparse.csr_matrix:
        """csr float32[n_products, n_products]: A^T A, where customers outnumber products: no step may then look at
        all customers for every customer."""
        common = (self.normal_.T.tocsr() @ self.normal_).tocsr()
        common.sort_indices()
        return common

    @property
    def _divisor(self) -> np.ndarray:
        """The root of D_p, 1 where nobody bought the product before the fit: its direction is none."""
        return np.where(self.degree_ > 0, self.degree_, np.float32(1))

    def _project(self, own: sparse.csr_matrix) -> np.ndarray:
        """float32[len(own), factors]: x D_p^-1/2 V, rounded to the grid of `multiply_grid`."""
        scaled = own.copy()
        scaled.data = own.data / self._divisor[own.indices]
        return round_to_grid(scaled @ self.vectors_)

    def product_embeddings(self) -> np.ndarray:
        """float32[n_products, factors]: D_p^1/2 V S with the singular values S, zero of products that nobody bought.

        Without S a shop of fewer products than factors would have no two that are alike: V is a rotation there.
        """
        strength = np.zeros(self.vectors_.shape[1])
        for first in range(0, self.normal_.shape[0], BLOCK):
            strength += np.square(self.normal_[first : first + BLOCK] @ self.vectors_, dtype=np.float64).sum(
                axis=0
            )
        return round_to_grid(self.vectors_ * np.sqrt(strength) * self.degree_[:, None])

    def customer_embeddings(self) -> np.ndarray:
        """float32[n_customers, factors]: x D_p^-1/2 V, zero of customers who bought nothing. The inner product with a
        product's embedding is a score: what is left of its smooth part when strong directions count more."""
        return self._project(self.weights_)

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """See `Recommender.because`; exact: the largest term of the sum over the customer's products."""
        customers, products = np.asarray(customers, np.int64), np.asarray(products, np.int64)
        best = np.full(len(customers), -1, dtype=np.int32)
        columns = self.normal_.T.tocsr()
        order = np.argsort(customers, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(customers[order])) + 1):
            own = self.weights_[customers[rows[:1]]]
            if own.nnz == 0:
                continue
            bought, asked = own.indices, products[rows]
            terms = (columns[bought] @ columns[asked].T).toarray().astype(np.float64)
            smooth = multiply_grid(self.vectors_[bought], self.vectors_[asked]).astype(np.float64)
            terms += self.smooth * smooth * self.degree_[asked] / self._divisor[bought, None]
            terms *= own.data[:, None]
            strongest = terms.argmax(axis=0)
            named = terms[strongest, np.arange(len(rows))] > 0
            best[rows[named]] = bought[strongest[named]]
        return best


def find_right_vectors(matrix: sparse.csr_matrix, factors: int, seed: int) -> np.ndarray:
    """float64[columns, at most `factors`]: the right singular vectors of the largest singular values, by
    subspace iteration; directions that the matrix has nothing in are left out."""
    if matrix.nnz == 0:
        return np.zeros((matrix.shape[1], 0))
    size = min(factors + OVERSAMPLED, *matrix.shape)
    matrix = matrix.astype(np.float64)
    other = matrix.T.tocsr()
    with one_blas_thread():
        basis = np.random.default_rng(seed).standard_normal((matrix.shape[1], size))
        for _ in range(PASSES):
            basis, _ = np.linalg.qr(other @ (matrix @ basis))
        _, strength, turned = np.linalg.svd(matrix @ basis, full_matrices=False)
        kept = np.flatnonzero(strength > 1e-6 * strength[0])[:factors]
        return basis @ turned[kept].T
