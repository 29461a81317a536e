"""New in the range, near the customer's taste."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import argmax_rows, list_entries
from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.content import Content
from recs_assets.recommenders.item_knn import keep_strongest

# Products of a profile that may be named as the reason: all of a household's 400 cost 10 s per 30,000 rows.
EVIDENCE = 100
BLOCK_PAIRS = 20_000
EPOCH = pd.Timestamp("1970-01-01")


class NewArrivals(Recommender):
    """Products that arrived within the last weeks, by how much they read like the profile.

    A product arrived on the day of its first purchase or, where `known.products` has `start_at`, on
    the later of the two that is known; it is new if that day lies within `weeks` before the anchor.
    A log that is not yet `weeks` old cannot tell new from old: first purchases in its first `weeks`
    do not count as arrivals.

    score(customer, p) = cosine(profile, p) * (1 + popularity(p)) ** popularity_power over the new
    products, profile the decayed mean of the TF-IDF vectors of what they bought (`Content`, which
    keeps its words, facets and price bands; no reduction is needed, because few products are new).
    Customers without purchases get an empty list.

    Cost is customers x words of their products x new products that share them; sensible to some
    20,000 new products.

    Args:
        weeks: how long a product is new.
        half_life_days: age of the last purchase at which it counts half in the profile.
        popularity_power: how much the sales since arrival count; 0 not at all.
        popularity_half_life_days: age at which a purchase counts half in popularity.
        max_words: the most frequent words kept.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "new_arrivals"
    attached = ("weights_",)
    reasons = ("new_for_your_taste",)

    def __init__(
        self,
        weeks: int = 8,
        half_life_days: float = 90.0,
        popularity_power: float = 1.0,
        popularity_half_life_days: float = 28.0,
        max_words: int = 20_000,
    ) -> None:
        self.weeks = weeks
        self.half_life_days = half_life_days
        self.popularity_power = popularity_power
        self.popularity_half_life_days = popularity_half_life_days
        self.max_words = max_words

    def ask_facts(self, known: Known) -> None:
        """See `Recommender.ask_facts`."""
        mark_new(known, self.weeks)
        known.popularity(self.popularity_half_life_days)

    def _count(self, known: Known) -> None:
        """Keeps `words_` csr float32[n_products, words] (TF-IDF, unit length) and `arrivals_`
        csr float32[n_products, words] (its rows of new products, times the popularity factor; empty elsewhere)."""
        new = mark_new(known, self.weeks)
        popularity = np.nan_to_num(known.popularity(self.popularity_half_life_days))
        self.words_ = Content(max_words=self.max_words).words_and_facets(known.products)
        factor = np.where(new, (1 + popularity) ** self.popularity_power, 0.0).astype(np.float32)
        arrivals = (sparse.diags_array(factor) @ self.words_).tocsr()
        arrivals.eliminate_zeros()
        self.arrivals_ = arrivals

    def _attach(self, known: Known) -> None:
        """Keeps `weights_` csr float32[n_customers, n_products] (rows sum to a unit profile)."""
        weights = known.frequency(self.half_life_days)
        profile = (weights @ self.words_).tocsr()
        length = np.sqrt(np.asarray(profile.multiply(profile).sum(axis=1)).ravel())
        scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
        self.weights_ = (sparse.diags_array(scale.astype(np.float32)) @ weights).tocsr()

    def _scores(self, customers: np.ndarray) -> sparse.csr_matrix:
        new = np.flatnonzero(np.diff(self.arrivals_.indptr))
        profile = self.weights_[customers] @ self.words_
        cosine = profile @ self.arrivals_[new].T
        scores = sparse.csr_matrix(
            (cosine.data, new[cosine.indices], cosine.indptr),
            shape=(len(customers), self.arrivals_.shape[0]),
        )
        scores.data[scores.data <= 0] = np.nan
        return scores

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """The product with the largest share of the cosine, among the `EVIDENCE` that weigh most in
        the profile; -1 where none of those shares a word with the new product."""
        customers, products = (np.asarray(codes, dtype=np.int64) for codes in (customers, products))
        best = np.full(len(customers), -1, dtype=np.int32)
        weights = keep_strongest(self.weights_, EVIDENCE)
        for start in range(0, len(customers), BLOCK_PAIRS):
            block = slice(start, start + BLOCK_PAIRS)
            own = weights[customers[block]]
            rows, columns = list_entries(own)
            shared = self.words_[columns].multiply(self.arrivals_[products[block][rows]]).sum(axis=1)
            share = sparse.csr_matrix(
                (own.data * np.asarray(shared).ravel(), own.indices, own.indptr), shape=own.shape
            )
            share.data[share.data <= 0] = 0
            share.eliminate_zeros()
            share.sort_indices()
            best[block] = argmax_rows(share)
        return best


def mark_new(known: Known, weeks: int) -> np.ndarray:
    """bool[n_products]: first sold, or put on sale, within so many weeks before the anchor."""
    first = known.first_sold
    since = known.anchor_day - 7 * weeks
    sold = first >= 0
    new = sold & (first >= since) & (first >= first[sold].min(initial=since) + 7 * weeks)
    if "start_at" in known.products:
        start = pd.to_datetime(known.products["start_at"]).dt.tz_localize(None)
        day = ((start - EPOCH).dt.days).to_numpy(dtype=np.float64, na_value=np.nan)
        # A product that was sold before it officially started is as old as its first sale.
        new |= (day >= since) & (day < known.anchor_day) & (~sold | (first >= since))
        new &= ~(day < since)
    return new
