"""Factorisation of customer and product features, for those without history too."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from scipy import sparse

from recs_assets.arrays import multiply_grid, round_to_grid
from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.carry import ArrayAxes
from recs_assets.recommenders.facets import band_prices, encode_one_hot, list_labels
from recs_assets.recommenders.item_knn import keep_strongest

# Of customers, beside their ids.
TRAITS = ("segment", "country")


class LightFMWarp(Recommender):
    """LightFM with the WARP loss.

    Kula, Metadata Embeddings for User and Item Cold-start Recommendations, 2015, with the
    weighted approximate-rank pairwise loss of Weston, Bengio and Usunier, WSABIE, 2011. A customer
    is the sum of the embeddings of their features (id, segment, country), a product of its own (id,
    brand, category, price band); score = inner product + product bias. The id takes part only
    where there is history: an untrained embedding is noise. So customers and products without
    history get scores from their other features, and a customer of whom nothing is known gets
    the products' biases. So do customers whom the fit did not see, whatever they bought: there is no
    exact way to add an id afterwards.

    One thread, because LightFM's threads write over each other and two runs would differ. The
    time is epochs x min(pairs, max_pairs) draws; with the defaults about 7 s for Complete Journey.
    Sensible to some 1e7 pairs.

    Args:
        dimensions: of the embeddings.
        epochs: passes over the pairs.
        max_pairs: (customer, product) pairs that teach; with more, an equal number of the strongest
            of each customer.
        learning_rate: first step of Adagrad.
        max_sampled: draws for a product ranked wrongly, per step.
        half_life_days: age at which an event counts half in the weight of a pair.
        seed: of the embeddings and the draws.
        progress: called with the finished fraction (0 to 1] after each epoch.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "lightfm"
    learned: ClassVar = {
        "customer_vectors_": ArrayAxes(("customer", "")),
        "product_vectors_": ArrayAxes(("product", "")),
        "segments_": ArrayAxes(),
        "countries_": ArrayAxes(),
        "trait_vectors_": ArrayAxes(),
    }

    def __init__(
        self,
        dimensions: int = 16,
        epochs: int = 5,
        max_pairs: int = 3_000_000,
        learning_rate: float = 0.05,
        max_sampled: int = 10,
        half_life_days: float = 90.0,
        seed: int = 0,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        self.dimensions = dimensions
        self.epochs = epochs
        self.max_pairs = max_pairs
        self.learning_rate = learning_rate
        self.max_sampled = max_sampled
        self.half_life_days = half_life_days
        self.seed = seed
        self.progress = progress

    def _learn(self, known: Known) -> None:
        """Keeps `customer_vectors_` float32[n_customers, dimensions + 1] (the last column is
        1) and `product_vectors_` float32[n_products, dimensions + 1] (the last column is the bias),
        NaN without any signal; `segments_` and `countries_` str, and `trait_vectors_` float32[both, dimensions]."""
        signal = self._select_pairs(known)
        self.customer_vectors_ = np.full((known.n_customers, self.dimensions + 1), np.nan, np.float32)
        self.product_vectors_ = np.full((known.n_products, self.dimensions + 1), np.nan, np.float32)
        self.segments_, self.countries_ = (list_labels(known.customers[trait]) for trait in TRAITS)
        self.trait_vectors_ = np.zeros(
            (len(self.segments_) + len(self.countries_), self.dimensions), np.float32
        )
        if signal.nnz == 0:
            return
        from lightfm import LightFM

        ids = _encode_ids(np.diff(signal.indptr) > 0)
        customer_features = sparse.hstack([ids, self._encode_traits(known)], format="csr", dtype=np.float32)
        products = known.products
        product_features = sparse.hstack(
            [
                _encode_ids(np.bincount(signal.indices, minlength=known.n_products) > 0),
                encode_one_hot(products["brand"]),
                encode_one_hot(products["category"]),
                encode_one_hot(band_prices(products["price"])),
            ],
            format="csr",
            dtype=np.float32,
        )
        model = LightFM(
            no_components=self.dimensions,
            loss="warp",
            learning_rate=self.learning_rate,
            max_sampled=self.max_sampled,
            random_state=self.seed,
        )
        weights = signal.tocoo()
        ones = sparse.coo_matrix((np.ones_like(weights.data), (weights.row, weights.col)), weights.shape)
        for epoch in range(self.epochs):
            model.fit_partial(
                ones,
                user_features=customer_features,
                item_features=product_features,
                sample_weight=weights,
                epochs=1,
                num_threads=1,
            )
            if self.progress is not None:
                self.progress((epoch + 1) / self.epochs)
        _, embedded = model.get_user_representations(customer_features)
        self.customer_vectors_ = _append_ones(embedded)
        _, by_feature = model.get_user_representations()
        self.trait_vectors_ = by_feature[ids.shape[1] :].astype(np.float32)
        bias, embedded = model.get_item_representations(product_features)
        self.product_vectors_ = round_to_grid(np.hstack([embedded, bias[:, None]]))

    def _encode_traits(self, known: Known) -> sparse.csr_matrix:
        """float32 csr[n_customers, segments and countries] of the fit."""
        values = self.segments_, self.countries_
        return sparse.hstack(
            [
                encode_one_hot(known.customers[trait], some)
                for trait, some in zip(TRAITS, values, strict=True)
            ],
            format="csr",
            dtype=np.float32,
        )

    def _fold_in(self, known: Known, strangers: np.ndarray) -> None:
        if len(strangers):
            self.customer_vectors_[strangers] = _append_ones(
                self._encode_traits(known)[strangers] @ self.trait_vectors_
            )

    def _select_pairs(self, known: Known) -> sparse.csr_matrix:
        """Decayed log signal of the pairs that teach, scaled to mean 1."""
        signal = known.signal(self.half_life_days)
        signal.data = np.log1p(signal.data)
        if signal.nnz > self.max_pairs:
            # at_least[n - 1] customers have n pairs or more: their running sum is what a limit keeps.
            at_least = np.bincount(np.diff(signal.indptr))[::-1].cumsum()[::-1][1:]
            limit = int(np.searchsorted(at_least.cumsum(), self.max_pairs, side="right"))
            signal = keep_strongest(signal, max(1, limit))
        if signal.nnz:
            signal.data /= signal.data.mean()
        return signal

    def _scores(self, customers: np.ndarray) -> np.ndarray:
        return multiply_grid(self.customer_vectors_[customers], self.product_vectors_)


def _append_ones(embedded: np.ndarray) -> np.ndarray:
    return round_to_grid(np.hstack([embedded, np.ones((len(embedded), 1))]))


def _encode_ids(known: np.ndarray) -> sparse.csr_matrix:
    """float32 csr[len(known), sum(known)]: one column per true row."""
    rows = np.flatnonzero(known)
    return sparse.csr_matrix(
        (np.ones(len(rows), np.float32), (rows, np.arange(len(rows)))), shape=(len(known), len(rows))
    )
