"""Shallow autoencoder: how much every product of the head speaks for every other."""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy import sparse

from recs_assets.arrays import argmax_rows, list_entries, one_blas_thread
from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender, require_fitted
from recs_assets.recommenders.carry import Codes

# Explained at once; each looks at all of its customer's products of the head.
BLOCK_PAIRS = 20_000


class EASE(Recommender):
    """EASE^R: the linear item-item model with a closed form.

    B = argmin |X - XB|^2 + regularization * |B|^2 with diag(B) = 0, X the binary matrix of
    customers x products bought, has the solution B = I - P / diag(P) with
    P = (X'X + regularization * I)^-1 (columns divided). Source: Steck, Embarrassingly Shallow
    Autoencoders for Sparse Data, 2019. Then score(customer, p) = sum over products h they bought of
    0.5 ** (days since h was last bought / half_life_days) * B[h, p]. Unlike a similarity, B may be
    negative: it subtracts what another product already explains.

    Only the `head` products bought by the most customers take part, as evidence and as candidates.
    The fit holds two head x head float32 matrices at a time (4,000: 0.13 GB), keeps one, and costs
    about head^3 operations (4,000: 2 s on one core), whatever the number of customers. Scoring costs
    head operations per product in a history. Sensible to a head of some 20,000.

    Args:
        head: products that take part.
        regularization: weight of the L2 penalty, in customers.
        half_life_days: age of the last purchase at which it counts half as evidence.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "ease"
    # It counts customers in common, not baskets: "often bought with" would claim too much.
    attached = ("recency_",)
    reasons = ("also_bought",)

    def __init__(
        self, head: int = 4000, regularization: float = 1000.0, half_life_days: float = 90.0
    ) -> None:
        self.head = head
        self.regularization = regularization
        self.half_life_days = half_life_days

    def _learn(self, known: Known) -> None:
        """Keeps `products_` int64[h] (codes of the head, ascending) and `affinity_` float32[h, h] (B: row evidence,
        column candidate)."""
        buyers = np.bincount(known.history.indices, minlength=known.n_products)
        order = np.lexsort((np.arange(known.n_products), -buyers))
        self.products_ = np.sort(order[: min(self.head, int((buyers > 0).sum()))])
        self.affinity_ = learn_weights(known.history[:, self.products_], self.regularization)

    def _attach(self, known: Known) -> None:
        """Keeps `recency_` csr float32[n_customers, h]."""
        self.recency_ = known.recency(self.half_life_days)[:, self.products_].tocsr()

    def carry_over(self, earlier: Self, known: Known) -> Self:
        """As for every recommender; the head is that of the earlier fit, without products that are gone."""
        now = Codes(require_fitted(earlier), known).now("product")[earlier.products_]
        self.known_, self.products_ = known, now[now >= 0]
        self.affinity_ = np.ascontiguousarray(earlier.affinity_[np.ix_(now >= 0, now >= 0)])
        self._attach(known)
        return self

    def _scores(self, customers: np.ndarray) -> np.ndarray:
        scores = np.full((len(customers), self.known_.n_products), np.nan, dtype=np.float32)
        # A sparse row times a dense matrix adds in the order of the row: no BLAS, same bits everywhere.
        evidence = self.recency_[customers] @ self.affinity_
        # What the customer's history says nothing about, or speaks against, is no candidate.
        evidence[evidence <= 0] = np.nan
        scores[:, self.products_] = evidence
        return scores

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """See `Recommender.because`; exact: the largest term of the sum above."""
        customers, products = (np.asarray(codes, dtype=np.int64) for codes in (customers, products))
        best = np.full(len(customers), -1, dtype=np.int32)
        place = np.full(self.known_.n_products, -1, dtype=np.int64)
        place[self.products_] = np.arange(len(self.products_))
        inside = np.flatnonzero(place[products] >= 0)
        for start in range(0, len(inside), BLOCK_PAIRS):
            block = inside[start : start + BLOCK_PAIRS]
            own = self.recency_[customers[block]]
            rows, columns = list_entries(own)
            terms = own.data * self.affinity_[columns, place[products[block]][rows]]
            share = sparse.csr_matrix((np.maximum(terms, 0), own.indices, own.indptr), shape=own.shape)
            share.eliminate_zeros()
            share.sort_indices()
            at = argmax_rows(share)
            best[block[at >= 0]] = self.products_[at[at >= 0]]
        return best


def learn_weights(history: sparse.csr_matrix, regularization: float) -> np.ndarray:
    """float32[products, products]: B (row: evidence, column: candidate), zero diagonal.

    Args:
        history: csr[customers, products]; every stored entry counts as 1.
        regularization: above 0.
    """
    from scipy.linalg import get_lapack_funcs

    if history.shape[1] == 0:
        return np.zeros((0, 0), dtype=np.float32)
    binary = history.astype(np.float32)
    binary.data[:] = 1.0
    gram = np.asfortranarray((binary.T @ binary).toarray())
    gram[np.diag_indices_from(gram)] += regularization
    # The Gram matrix is positive definite: Cholesky costs a third of a general inverse, in place.
    with one_blas_thread():
        factorise, invert = get_lapack_funcs(("potrf", "potri"), (gram,))
        factor, failed = factorise(gram, lower=1, overwrite_a=1)
        inverse, failed_too = invert(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise np.linalg.LinAlgError(
            f"The Gram matrix of {gram.shape[0]} products is not positive definite: regularization is {regularization}."
        )
    # Only the lower triangle was written, and P is symmetric.
    lower = np.tril(inverse, -1)
    weights = lower + lower.T
    weights /= -np.diag(inverse)
    return np.ascontiguousarray(weights)
