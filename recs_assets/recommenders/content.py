"""Products that read like what the customer bought."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import find_largest, multiply_grid, one_blas_thread, rank_within, round_to_grid
from recs_assets.known.interactions import Known
from recs_assets.recommenders.association import mark_recently_sold
from recs_assets.recommenders.base import BLOCK_VALUES, Recommender, require_fitted
from recs_assets.recommenders.because import find_strongest_factor
from recs_assets.recommenders.carry import ArrayAxes
from recs_assets.recommenders.facets import band_prices, encode_one_hot

TEXTS = ("name", "attributes", "description")
FACETS = ("brand", "category", "vertical")
ATTRIBUTE_KEY = re.compile(r'"[^"]*"\s*:')
WORD = re.compile(r"\w\w")

# `neighbours` looks at so many times k products in the reduced space before it compares exactly.
POOL = 4

# Inner products of float32 unit vectors that should be zero are some 1e-7.
ROUNDING = 1e-6


class Content(Recommender):
    """Content-based similarity.

    A product is the TF-IDF vector (sublinear counts, unit length; Salton and Buckley, 1988) of the
    words of its name, attributes and description and of its brand, category, vertical and price
    band, reduced to `dimensions` by truncated SVD where there are more words than that (latent
    semantic analysis, Deerwester et al., 1990) and scaled to unit length again. A customer's
    profile is the decayed mean of the products they gave a signal for;
    score(customer, p) = cosine(profile, p) * (1 + popularity(p)) ** popularity_power, popularity in
    decayed purchase days. With power 0 it is the plain cosine, which on a catalogue of 92,331
    products finds the dead twin of what sells (MAP@12 0.001 on Complete Journey); the mild prior
    keeps products nobody bought yet in the running with factor 1. Products whose cosine is not
    above zero are no candidates; customers without signal get an empty list.

    Products x dimensions float32 are kept (92,331 x 128: 47 MB). Scoring and `neighbours` are
    matrix products of that width; sensible to some 3e5 products.

    Args:
        dimensions: of the reduced vectors.
        max_words: the most frequent words kept.
        half_life_days: age at which an event counts half in the profile.
        popularity_power: how much popularity counts; 0 not at all.
        popularity_half_life_days: age at which a purchase counts half in popularity.
        seed: of the randomised SVD.

    Raises:
        NotFittedError: from `recommend`, `neighbours` before `fit`.
    """

    name = "content"
    learned: ClassVar = {
        "words_": ArrayAxes(("product", "")),
        "vectors_": ArrayAxes(("product", ""), unknown=0),
    }
    attached = ("weights_",)
    reasons = ("similar_product", "new_for_you_close_to")

    def __init__(
        self,
        dimensions: int = 128,
        max_words: int = 20_000,
        half_life_days: float = 90.0,
        popularity_power: float = 0.25,
        popularity_half_life_days: float = 28.0,
        seed: int = 0,
    ) -> None:
        self.dimensions = dimensions
        self.max_words = max_words
        self.half_life_days = half_life_days
        self.popularity_power = popularity_power
        self.popularity_half_life_days = popularity_half_life_days
        self.seed = seed

    def ask_facts(self, known: Known) -> None:
        """See `Recommender.ask_facts`."""
        known.popularity(self.popularity_half_life_days)

    def _learn(self, known: Known) -> None:
        """Keeps `words_` csr float32[n_products, words and facets] (TF-IDF, unit length) and
        `vectors_` float32[n_products, dimensions] (unit length; both zero where a product has no text)."""
        self.words_ = self.words_and_facets(known.products)
        self.vectors_ = self._reduce(self.words_)

    def words_and_facets(self, products: pd.DataFrame) -> sparse.csr_matrix:
        """csr float32[len(products), words and facets]: TF-IDF, unit length; empty rows without text."""
        from sklearn.feature_extraction.text import TfidfTransformer

        counts = sparse.hstack(
            [
                count_words(
                    *(tuple(products[text].astype("string").fillna("")) for text in TEXTS), self.max_words
                ),
                *(encode_one_hot(products[facet]) for facet in FACETS),
                encode_one_hot(band_prices(products["price"])),
            ],
            format="csr",
            dtype=np.float32,
        )
        return TfidfTransformer(sublinear_tf=True).fit_transform(counts) if counts.nnz else counts

    def _reduce(self, words: sparse.csr_matrix) -> np.ndarray:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.preprocessing import normalize

        if min(words.shape) <= self.dimensions:
            return round_to_grid(words.toarray())
        with one_blas_thread():
            reduced = TruncatedSVD(self.dimensions, random_state=self.seed).fit_transform(words)
        return round_to_grid(normalize(reduced))

    def _count(self, known: Known) -> None:
        """Keeps `popularity_` float64[n_products]."""
        self.popularity_ = np.nan_to_num(known.popularity(self.popularity_half_life_days))

    def _attach(self, known: Known) -> None:
        """Keeps `weights_` csr float32[n_customers, n_products]."""
        self.weights_ = known.signal(self.half_life_days)

    def _scores(self, customers: np.ndarray) -> np.ndarray:
        profile = self.weights_[customers] @ self.vectors_
        length = np.linalg.norm(profile, axis=1, keepdims=True)
        scores = multiply_grid(round_to_grid(profile / np.where(length > 0, length, 1)), self.vectors_)
        scores[scores <= ROUNDING] = np.nan
        scores *= ((1 + self.popularity_) ** self.popularity_power).astype(np.float32)
        return scores

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """See `Recommender.because`; exact: the largest term of the profile's inner product."""
        return find_strongest_factor(self.weights_, self.vectors_, customers, products)

    def neighbours(
        self, k: int, products: np.ndarray | None = None, sold_within_weeks: int = 26, threads: int = 1
    ) -> pd.DataFrame:
        """Products most similar to each product, best first.

        The 4 k nearest in the reduced space, ordered by the exact TF-IDF cosine (4 decimals).

        Args:
            k: at most this many neighbours per product.
            products: codes to find neighbours of; all sold in the last weeks if None.
            sold_within_weeks: neighbours, and by default products, sold in so many weeks.
            threads: blocks of products worked on at once; the rows are the same.

        Returns:
            Columns product int32, neighbour int32, rank int16, score float32 (cosine above 0),
            sorted by product (in the order given), rank; ties to the neighbour that sold on more
            purchase days, then to the smaller code; without the product itself and unavailable ones.
        """
        known = require_fitted(self)
        texted = self.vectors_.any(axis=1)
        recent = mark_recently_sold(known, sold_within_weeks)
        if products is None:
            products = np.flatnonzero(recent & texted)
        products = np.asarray(products, dtype=np.int64)
        candidates = np.flatnonzero(recent & texted & known.available)
        # Position in this order decides among equals: twins are common (3,000 greeting cards).
        candidates = candidates[np.lexsort((candidates, -self.popularity_[candidates]))]
        block = max(1, BLOCK_VALUES // max(1, len(candidates)))
        blocks = [
            products[start : start + block]
            for start in range(0, len(products) if len(candidates) else 0, block)
        ]
        with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(lambda some: self._find_nearest(some, candidates, k), blocks))
        nothing = np.empty(0)
        return pd.concat([_frame_pairs(nothing, nothing, nothing, nothing), *parts], ignore_index=True)

    def _find_nearest(self, products: np.ndarray, candidates: np.ndarray, k: int) -> pd.DataFrame:
        cosine = self.vectors_[products] @ self.vectors_[candidates].T
        # Rounded, because the last bits of equal cosines differ with the column.
        np.rint(cosine * np.float32(10_000), out=cosine)
        # Less than one rounding step in all: without it, 3,000 twins would all tie with the k-th.
        cosine -= np.arange(len(candidates), dtype=np.float32) / np.float32(len(candidates) + 1)
        cosine[candidates[None, :] == products[:, None]] = -np.inf
        rows, columns = find_largest(cosine, POOL * k)
        # Reduced vectors find the pool; what differs in one rare word only they cannot tell apart.
        exact = self.words_[products[rows]].multiply(self.words_[candidates[columns]]).sum(axis=1)
        exact = np.rint(np.asarray(exact).ravel() * 10_000)
        order = np.lexsort((columns, -exact, rows))
        order = order[exact[order] > 0]
        rank = rank_within(rows[order])
        order, rank = order[rank <= k], rank[rank <= k]
        return _frame_pairs(products[rows[order]], candidates[columns[order]], exact[order] / 10_000, rank)


@lru_cache(maxsize=1)
def count_words(
    names: tuple[str, ...], attributes: tuple[str, ...], descriptions: tuple[str, ...], most: int
) -> sparse.csr_matrix:
    """float32 csr[products, words]: how often each of the most frequent words stands in a product's texts.

    The latest counts are kept, because products read the same at every anchor of a week. Do not change them.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    # The keys of JSON attributes stand in every product and say nothing.
    values = (ATTRIBUTE_KEY.sub(" ", text) for text in attributes)
    texts = [" ".join(parts) for parts in zip(names, values, descriptions, strict=True)]
    if not any(WORD.search(text) for text in texts):  # CountVectorizer refuses an empty vocabulary
        return sparse.csr_matrix((len(texts), 0), dtype=np.float32)
    return CountVectorizer(max_features=most, dtype=np.float32).fit_transform(texts)


def _frame_pairs(
    product: np.ndarray, neighbour: np.ndarray, score: np.ndarray, rank: np.ndarray
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "product": product.astype(np.int32),
            "neighbour": neighbour.astype(np.int32),
            "rank": rank.astype(np.int16),
            "score": score.astype(np.float32),
        }
    )
