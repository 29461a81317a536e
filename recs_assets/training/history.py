"""Purchase days per customer and value, as features of one anchor."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from recs_assets.arrays import encode_pairs, find_runs, find_sorted, mark_starts, sum_runs

HALF_LIVES = (14.0, 30.0, 90.0, 365.0)
POPULARITY_HALF_LIFE = 28.0
PAIR_FEATURES = (
    "value_days",
    "value_days_28d",
    "value_days_91d",
    *(f"value_decayed_days_{half:.0f}" for half in HALF_LIVES),
    "value_share",
    "value_days_since_last",
    "value_days_since_first",
    "value_mean_gap_days",
    "value_due_ratio",
    "value_popularity",
    "value_buyer_share",
    "value_buyer_share_28d",
    "customer_values",
    "customer_decayed_days",
    "value_alike",
)
# Values that speak for each other: the matrix of so many is inverted in seconds.
MOST_ALIKE, ALIKE_RIDGE = 2_000, 0.005


# What a history says of the values, whoever the customers are.
FIGURES = ("popularity", "buyer_share", "recent_share", "alike")


class History:
    """Purchase days per (customer, value) of one anchor.

    Args:
        customer, product, day: int[n] each, what was bought before the anchor.
        group: int[n_products], value of each product, -1 none.
        size: numbers of customers and of values.
        now: the anchor as days since 1970-01-01.
        figures: of a block of customers, what the history of the whole shop says of the values (`figures`); None: these
            are all customers.
    """

    def __init__(
        self,
        customer: np.ndarray,
        product: np.ndarray,
        day: np.ndarray,
        group: np.ndarray,
        size: tuple[int, int],
        now: int,
        figures: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        customers, count = size
        self.group, self.count = group, count
        value = group[product]
        there = value >= 0
        key = encode_pairs(customer[there], value[there], count)
        # A day fits 20 bits until the year 4840; one sort replaces a unique over three columns.
        packed = np.sort(key << 20 | day[there])
        packed = packed[mark_starts(packed)]
        key, day = packed >> 20, (packed & 0xFFFFF)
        starts, length = find_runs(key)
        self.keys = key[starts]
        age = (now - day).astype(np.float64)

        def sum_by_pair(values: np.ndarray) -> np.ndarray:
            return sum_runs(values, starts)

        self.days = sum_by_pair(np.ones(len(age)))
        self.recent = [sum_by_pair((age <= days).astype(np.float64)) for days in (28, 91)]
        self.decayed = [sum_by_pair(0.5 ** (age / half)) for half in HALF_LIVES]
        self.since_first, self.since_last = age[starts], age[starts + length - 1]
        owner, of = self.keys // count, self.keys % count
        self.total = np.bincount(owner, weights=self.decayed[2], minlength=customers)
        self.width = np.bincount(owner, minlength=customers)
        liked = np.log1p(self.decayed[3])
        length = np.sqrt(np.bincount(owner, weights=liked**2, minlength=customers))
        self._taste = sparse.csr_matrix(
            (liked / np.maximum(length[owner], 1e-12), (owner, of)), shape=(customers, count)
        )
        if figures is None:
            now_ = sum_by_pair(0.5 ** (age / POPULARITY_HALF_LIFE))
            recent = np.flatnonzero(self.recent[0] > 0)
            recent_buyers = max(1, len(np.unique(owner[recent])))
            figures = {
                "popularity": np.bincount(of, weights=now_, minlength=count),
                "buyer_share": np.bincount(of, minlength=count) / max(1, int((self.width > 0).sum())),
                "recent_share": np.bincount(of[recent], minlength=count) / recent_buyers,
                "alike": self._learn_alike(self._taste),
            }
        self.figures = figures
        self.popularity, self.buyer_share, self.recent_share, alike = (figures[name] for name in FIGURES)
        self._alike = alike if len(alike) else None

    def _learn_alike(self, taste: sparse.csr_matrix) -> np.ndarray:
        """float64[values, values]: the weights with which values speak for each other, EASE (Steck 2019,
        https://arxiv.org/abs/1905.03375); empty where so many values would cost too much.

        Args:
            taste: what each customer buys, at unit length.
        """
        customers = taste.shape[0]
        if self.count > MOST_ALIKE:
            return np.empty((0, 0))
        gram = (taste.T @ taste).toarray() + ALIKE_RIDGE * max(1, customers) * np.eye(self.count)
        inverse = np.linalg.inv(gram)
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        return weights

    def score_alike(self, customer: np.ndarray, value: np.ndarray) -> np.ndarray:
        """float64[n]: how much what the customer buys speaks for the value; NaN where it was not worked out."""
        if self._alike is None:
            return np.full(len(customer), np.nan)
        some, place = np.unique(customer, return_inverse=True)
        return (self._taste[some] @ self._alike)[place, value]

    def take(
        self, customer: np.ndarray, value: np.ndarray, values: np.ndarray, otherwise: float
    ) -> np.ndarray:
        """float64[n]: a value per own pair (`keys`) at these pairs; `otherwise` where nothing was bought."""
        return self._take_at(self._find(customer, value), values, otherwise)

    def _find(self, customer: np.ndarray, value: np.ndarray) -> np.ndarray:
        """int64[n]: place of these pairs among `keys`, -1 where nothing was bought."""
        return find_sorted(self.keys, encode_pairs(customer, value, self.count))

    @staticmethod
    def _take_at(place: np.ndarray, values: np.ndarray, otherwise: float) -> np.ndarray:
        found = np.full(len(place), float(otherwise))
        found[place >= 0] = values[place[place >= 0]]
        return found

    def features(self, customer: np.ndarray, value: np.ndarray) -> np.ndarray:
        """float32[n, len(PAIR_FEATURES)]; 0 days and NaN recency where they never bought from the value."""
        place = self._find(customer, value)

        def take(values: np.ndarray, otherwise: float) -> np.ndarray:
            return self._take_at(place, values, otherwise)

        days, decayed = take(self.days, 0), [take(values, 0) for values in self.decayed]
        last, first = take(self.since_last, np.nan), take(self.since_first, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = np.where(days > 1, (first - last) / (days - 1), np.nan)
            share = np.where(self.total[customer] > 0, decayed[2] / self.total[customer], np.nan)
            due = last / gap
        columns = [
            days, *(take(values, 0) for values in self.recent), *decayed, share, last, first, gap, due,
            self.popularity[value], self.buyer_share[value], self.recent_share[value], self.width[customer],
            self.total[customer], self.score_alike(customer, value),
        ]  # fmt: skip
        return np.column_stack(columns).astype(np.float32)
