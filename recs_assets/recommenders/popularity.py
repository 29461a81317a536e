"""What sells: the same list for everybody, or within the categories a customer buys."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recs_assets.arrays import list_entries, rank_within
from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender


class Popularity(Recommender):
    """Time-decayed popularity: one order of products, the same for every customer.

    score(p) = sum over (customer, purchase day) of p of 0.5 ** (age in days / half_life_days):
    counted per customer and day, so that neither a bulk order nor a repeated line counts twice.
    Products nobody bought are no candidates; without any purchase every list is empty.

    Cost is one sort of the products whatever the number of customers; no size limit in practice.

    Args:
        half_life_days: age at which a purchase counts half.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "popularity"

    def __init__(self, half_life_days: float = 28.0) -> None:
        self.half_life_days = half_life_days

    def ask_facts(self, known: Known) -> None:
        """See `Recommender.ask_facts`."""
        known.popularity(self.half_life_days)

    def _count(self, known: Known) -> None:
        """Keeps `popularity_` float32[n_products], NaN for products nobody bought."""
        self.popularity_ = known.popularity(self.half_life_days).astype(np.float32)

    def _scores(self, customers: np.ndarray) -> sparse.csr_matrix:
        return sparse.csr_matrix((len(customers), self.known_.n_products), dtype=np.float32)

    def _fill(self, customers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.popularity_, np.ones(len(customers))


class CategoryPopularity(Recommender):
    """Popularity within the categories a customer buys.

    score(customer, p) = share(customer, category of p) * popularity(p) / popularity(category of p),
    both time-decayed: the chance that the customer's next line is in the category times the chance
    that a line of the category is p. Customers without purchases get the round-robin of the
    `top_categories` most popular categories (first the best product of each, then the second of
    each, ...), scored 1/1, 1/2, 1/3, ..., so that a first email shows more than one shelf.

    A product without category belongs to one category of its own kind, "". Scoring gathers
    customers x products values; sensible to about 1e10 of them.

    Args:
        half_life_days: age at which a purchase counts half, for popularity and for shares.
        top_categories: how many categories the round-robin visits.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "category_popularity"
    attached = ("share_", "favourite_")

    def __init__(self, half_life_days: float = 28.0, top_categories: int = 24) -> None:
        self.half_life_days = half_life_days
        self.top_categories = top_categories

    def ask_facts(self, known: Known) -> None:
        """See `Recommender.ask_facts`."""
        known.popularity(self.half_life_days)

    def _count(self, known: Known) -> None:
        """Keeps `category_` int64[n_products], `within_` float32[n_products] (NaN: never sold) and `first_list_`
        float32[n_products]."""
        labels, self.category_ = np.unique(
            known.products["category"].fillna("").to_numpy(dtype=str), return_inverse=True
        )
        popularity = known.popularity(self.half_life_days)
        total = np.bincount(self.category_, weights=np.nan_to_num(popularity), minlength=len(labels))
        # A category whose sales all decayed to zero in float32 still has an order: none.
        self.within_ = (popularity / np.maximum(total, np.finfo(np.float32).tiny)[self.category_]).astype(
            np.float32
        )
        self.first_list_ = self._take_turns(known, popularity, total)

    def _attach(self, known: Known) -> None:
        """Keeps `share_` csr[n_customers, n_categories] and `favourite_` csr with its pattern (1 + the product the
        customer buys most in the category)."""
        categories = int(self.category_.max(initial=-1)) + 1
        spent = known.frequency(self.half_life_days)
        member = sparse.csr_matrix(
            (np.ones(known.n_products, np.float32), (np.arange(known.n_products), self.category_)),
            shape=(known.n_products, categories),
        )
        share = (spent @ member).tocsr()
        weight = np.asarray(share.sum(axis=1)).ravel()
        share.data /= np.repeat(np.where(weight > 0, weight, 1), np.diff(share.indptr))
        self.share_ = share
        self.favourite_ = self._find_favourites(spent)

    def _find_favourites(self, spent: sparse.csr_matrix) -> sparse.csr_matrix:
        rows, products = list_entries(spent)
        order = np.lexsort((products, -spent.data, self.category_[products], rows))
        rows, products = rows[order], products[order]
        first = rank_within(rows * self.share_.shape[1] + self.category_[products]) == 1
        return sparse.csr_matrix(
            ((products[first] + 1).astype(np.int32), (rows[first], self.category_[products[first]])),
            shape=self.share_.shape,
        )

    def _take_turns(self, known: Known, popularity: np.ndarray, total: np.ndarray) -> np.ndarray:
        """1 / position in the round-robin, NaN outside it; unavailable products take no turn."""
        scores = np.full(known.n_products, np.nan, dtype=np.float32)
        category_rank = np.empty(len(total), dtype=np.int64)
        category_rank[np.argsort(-total, kind="stable")] = np.arange(len(total))
        codes = np.flatnonzero(
            np.isfinite(popularity) & known.available & (category_rank[self.category_] < self.top_categories)
        )
        order = codes[np.lexsort((codes, -popularity[codes], self.category_[codes]))]
        turn = rank_within(self.category_[order])
        order = order[np.lexsort((category_rank[self.category_[order]], turn))]
        scores[order] = 1.0 / np.arange(1, len(order) + 1)
        return scores

    def _scores(self, customers: np.ndarray) -> np.ndarray:
        share = self.share_[customers]
        scores = share.toarray().take(self.category_, axis=1)
        scores[scores == 0] = np.nan
        scores *= self.within_
        scores[np.diff(share.indptr) == 0] = self.first_list_
        return scores

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """The product of the same category that the customer buys most (decayed), -1 without one."""
        if len(customers) == 0:
            return np.empty(0, dtype=np.int32)
        favourite = self.favourite_[np.asarray(customers), self.category_[np.asarray(products)]]
        return np.asarray(favourite).ravel().astype(np.int32) - np.int32(1)
