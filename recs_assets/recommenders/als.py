"""Matrix factorisation of implicit feedback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from recs_assets.arrays import multiply_grid, one_blas_thread, round_to_grid
from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.because import find_strongest_factor
from recs_assets.recommenders.carry import ArrayAxes


class ALS(Recommender):
    """Weighted matrix factorisation by alternating least squares.

    Hu, Koren and Volinsky, Collaborative Filtering for Implicit Feedback Datasets, 2008, as
    `implicit.als.AlternatingLeastSquares` computes it: preference 1 with confidence
    c = alpha * log1p(decayed signal) + 1 where a customer gave a signal. After the last sweep the
    customers are solved once more, exactly, against the final products, which makes scores
    reproducible from the products alone and `because` the exact decomposition of section 5 there.
    Customers and products without signal are no candidates (their factors are zero).

    BLAS threads are limited to one around the fit only (implicit spreads rows over its own).
    Memory is (customers + products) x factors float32; sensible to some 1e8 signals.

    Args:
        factors: dimensions.
        regularization: weight of the L2 penalty.
        alpha: confidence per unit of log1p(signal).
        iterations: sweeps over customers and products.
        half_life_days: age at which an event counts half.
        seed: of the first factors.
        threads: threads of the fit; 0 for all cores. The result does not depend on it.
        progress: called with the finished fraction (0 to 1] after each sweep.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "als"
    learned: ClassVar = {"product_factors_": ArrayAxes(("product", ""))}
    attached = ("confidence_", "customer_factors_")

    def __init__(
        self,
        factors: int = 64,
        regularization: float = 30.0,
        alpha: float = 1.0,
        iterations: int = 10,
        half_life_days: float = 90.0,
        seed: int = 0,
        threads: int = 1,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        self.factors = factors
        self.regularization = regularization
        self.alpha = alpha
        self.iterations = iterations
        self.half_life_days = half_life_days
        self.seed = seed
        self.threads = threads
        self.progress = progress

    def _learn(self, known: Known) -> None:
        """Keeps `product_factors_` float32[n_products, factors] (NaN without signal)."""
        confidence = self._weigh_signal(known)
        self.product_factors_ = np.full((known.n_products, self.factors), np.nan, dtype=np.float32)
        active = np.flatnonzero(np.diff(confidence.indptr))
        sold = np.flatnonzero(np.bincount(confidence.indices, minlength=known.n_products))
        if len(active) > 0:

            def report(iteration: int, *_: object) -> None:
                if self.progress is not None:
                    self.progress((iteration + 1) / self.iterations)

            with one_blas_thread():
                model = self._make_model()
                model.fit(confidence[active][:, sold].tocsr(), show_progress=False, callback=report)
            # Rounded to the grid of `multiply_grid` first: the customers are solved against what will score.
            self.product_factors_[sold] = round_to_grid(model.item_factors)

    def _make_model(self) -> Any:
        from implicit.als import AlternatingLeastSquares

        return AlternatingLeastSquares(
            factors=self.factors,
            regularization=self.regularization,
            alpha=1.0,
            iterations=self.iterations,
            num_threads=self.threads,
            random_state=self.seed,
        )

    def _attach(self, known: Known) -> None:
        """Keeps `confidence_` csr and `customer_factors_` float32[n_customers, factors]: every customer is solved against
        the products, exactly, who is new as well; NaN of whom there is no signal about a product with factors."""
        self.confidence_ = self._weigh_signal(known)
        learned = np.isfinite(self.product_factors_[:, 0])
        if not learned[self.confidence_.indices].all():  # sold first after the fit
            self.confidence_ = self.confidence_ @ sparse.diags_array(learned.astype(np.float32), format="csr")
            self.confidence_.eliminate_zeros()
        compact = self.confidence_[:, np.flatnonzero(learned)].tocsr()
        active = np.flatnonzero(np.diff(compact.indptr))
        self.customer_factors_ = np.full((known.n_customers, self.factors), np.nan, dtype=np.float32)
        if len(active) > 0:
            with one_blas_thread():
                model = self._make_model()
                model.item_factors = self.product_factors_[learned]
                customers = model.recalculate_user(np.arange(len(active)), compact[active])
            self.customer_factors_[active] = round_to_grid(customers)

    def _weigh_signal(self, known: Known) -> sparse.csr_matrix:
        confidence = known.signal(self.half_life_days)
        confidence.data = (1.0 + self.alpha * np.log1p(confidence.data)).astype(np.float32)
        return confidence

    def _scores(self, customers: np.ndarray) -> np.ndarray:
        return multiply_grid(self.customer_factors_[customers], self.product_factors_)

    def product_embeddings(self) -> np.ndarray:
        """float32[n_products, factors]: the factors, zero of products without signal. The inner product with a customer's
        is their score."""
        return np.nan_to_num(self.product_factors_)

    def customer_embeddings(self) -> np.ndarray:
        """float32[n_customers, factors]: the factors, zero of customers without signal."""
        return np.nan_to_num(self.customer_factors_)

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """See `Recommender.because`; exact: the largest term of the customer's score."""
        factors = np.nan_to_num(self.product_factors_).astype(np.float64)
        with one_blas_thread():
            gram = factors.T @ factors + self.regularization * np.eye(self.factors)
        return find_strongest_factor(self.confidence_, factors, customers, products, gram)
