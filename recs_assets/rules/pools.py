"""Where products come from that no recommender proposed for a customer."""

from __future__ import annotations

import numpy as np

from recs_assets.arrays import list_entries, rank_within
from recs_assets.rules.context import Context

# A customer's largest categories that the ladder looks at, and products of each.
FILL_CATEGORIES = 5
FILL_DEPTH = 12


class Pools:
    """Products that pass the product rules, in the order of their popularity; only sold ones.

    Args:
        context: gives popularity.
        passed: bool[n_products].
    """

    def __init__(self, context: Context, passed: np.ndarray) -> None:
        self._context, self._passed = context, passed
        self._top: dict[int, np.ndarray] = {}
        self._by_segment: dict[int, np.ndarray] = {-1: np.empty(0, dtype=np.int64)}
        self.everywhere = context.best_sellers[passed[context.best_sellers]]

    def rank_segment(self, segment: int) -> np.ndarray:
        """int64 product codes, best first; none for segment -1."""
        if segment not in self._by_segment:
            row = self._context.segment_popularity[segment]
            codes, weight = row.indices.astype(np.int64), row.data
            keep = self._passed[codes] & (weight > 0)
            codes, weight = codes[keep], weight[keep]
            self._by_segment[segment] = codes[np.lexsort((codes, -weight))]
        return self._by_segment[segment]

    def find_top_of_categories(self, most: int) -> np.ndarray:
        """int64[n_categories, most]: the most popular products of each, -1 where there are no more."""
        if most not in self._top:
            code, names = self._context.category
            codes = self.everywhere[code[self.everywhere] >= 0]
            codes = codes[np.argsort(code[codes], kind="stable")]  # popularity stays within
            rank = rank_within(code[codes])
            top = np.full((len(names), most), -1, dtype=np.int64)
            top[code[codes[rank <= most]], rank[rank <= most] - 1] = codes[rank <= most]
            self._top[most] = top
        return self._top[most]

    def rank_own_categories(self, customers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Position in `customers` and product, ascending by position, best first: popular products of
        the categories that the customer buys most, by their share of the category times the product's share of
        its sales (as `CategoryPopularity`)."""
        context = self._context
        code, names = context.category
        taste = context.tastes[customers]
        local, category = list_entries(taste)
        order = np.lexsort((category, -taste.data, local))
        order = order[rank_within(local[order]) <= FILL_CATEGORIES]
        local, category, share = local[order], category[order], taste.data[order].astype(np.float64)
        product = self.find_top_of_categories(FILL_DEPTH)[category]
        coded = code >= 0
        sold = np.bincount(code[coded], weights=context.popularity[coded], minlength=len(names))
        weight = share[:, None] * context.popularity[product] / np.where(sold > 0, sold, 1)[category, None]
        there = product >= 0
        local = np.broadcast_to(local[:, None], product.shape)[there]
        product, weight = product[there], weight[there]
        order = np.lexsort((product, -weight, local))
        return local[order], product[order]
