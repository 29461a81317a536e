"""Bought some time after: what follows a purchase within a month, and what follows it three to six months later."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy import sparse

from recs_assets.arrays import (
    PairIndex,
    encode_pairs,
    find_sorted,
    list_entries,
    mark_starts,
    split_blocks,
)
from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.carry import ArrayAxes
from recs_assets.recommenders.chance import find_beyond_chance
from recs_assets.recommenders.follow_up_counts import (
    FollowUpCounts,
    Horizon,
    count_follow_ups,
    score_pairs,
)

# Follow-ups of the customers of one block of pairs.
BLOCK_VALUES = 4_000_000


class FollowUps(Recommender):
    """What customers buy within a month after a product, beyond what they buy anyway.

    f(a, b) = the share of a's buyers, beyond chance, who bought b from `first_day` to `last_day` days after their first
    purchase of a (`follow_up_counts`), 0 where chance alone may well give as many (`find_beyond_chance`). With A the days
    since the customer last bought a:

        score(customer, b) = sum over a, if b was not bought after a, of f(a, b) * w(A)
        w(A) = the share of the coming `ahead_days` days that lie from `first_day` to `last_day` days after a

    Unlike `transition`, which counts what the next shopping day brings, it knows how long ago a was bought, counts
    nothing that had no time to happen, and takes off what would be bought without a.

    Learning costs the sum, over the shopping days of customers, of products bought there for the first time x products
    bought in the days that follow. Sensible to some 1e9 of them.

    Args:
        first_day: the first day after a purchase that counts.
        last_day: the last.
        ahead_days: days that a list is made for.
        min_customers: fewer make no follow-up.
        damping: buyers of doubt.
        neighbours: follow-ups kept per product.
        max_day_products: days with more distinct products are not a shopper's.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "follow_ups"
    learned: ClassVar = {
        "customers_": ArrayAxes(("product", "product")),
        "median_days_": ArrayAxes(("product", "product")),
        "buyers_": ArrayAxes(("product",), unknown=0),
        "expected_": ArrayAxes(("product",), unknown=0),
    }
    attached = ("waiting_",)
    reasons = ("follow_up",)

    def __init__(
        self,
        first_day: int = 1,
        last_day: int = 30,
        ahead_days: int = 14,
        min_customers: int = 3,
        damping: float = 10.0,
        neighbours: int = 30,
        max_day_products: int = 200,
    ) -> None:
        self.first_day = first_day
        self.last_day = last_day
        self.ahead_days = ahead_days
        self.min_customers = min_customers
        self.damping = damping
        self.neighbours = neighbours
        self.max_day_products = max_day_products

    def _learn(self, known: Known) -> None:
        """Keeps the fields of `FollowUpCounts`."""
        counts = self.count(known, np.arange(known.n_products), known.n_products)
        self.customers_, self.median_days_ = counts.customers, counts.median_days
        self.buyers_, self.expected_ = counts.buyers, counts.expected

    def count(self, known: Known, code: np.ndarray, n_items: int) -> FollowUpCounts:
        """Follow-ups in this horizon, by any code of products.

        Args:
            known: whose purchases are counted.
            code: int[n_products], the item of each product; -1: none.
            n_items: how many there are.
        """
        bought = known.purchased
        item = code[known.events.product[bought]]
        there = item >= 0
        purchases = known.events.customer[bought][there], item[there], known.events.day[bought][there]
        return count_follow_ups(
            purchases,
            n_items,
            known.anchor_day,
            Horizon(self.first_day, self.last_day),
            self.min_customers,
            self.damping,
            self.neighbours,
            self.max_day_products,
        )

    @property
    def counts(self) -> FollowUpCounts:
        """What was learned of products."""
        return FollowUpCounts(self.customers_, self.median_days_, self.buyers_, self.expected_)

    def _attach(self, known: Known) -> None:
        """Keeps `waiting_` csr float32[n_customers, n_products]: w of what the customer bought, where it is not 0."""
        last = known.last_bought
        age = known.anchor_day - last.data.astype(np.int64)
        first, end = np.maximum(age, self.first_day), np.minimum(age + self.ahead_days, self.last_day + 1)
        weight = np.maximum(end - first, 0) / self.ahead_days
        there = np.flatnonzero(weight)
        rows, columns = list_entries(last)
        self.waiting_ = sparse.csr_matrix(
            (weight[there].astype(np.float32), (rows[there], columns[there])), shape=last.shape
        )

    def _weigh(self) -> sparse.csr_matrix:
        """float64 csr[n_products, n_products]: f, of the pairs that are beyond chance."""
        left, right = list_entries(self.customers_)
        of_pair = self.customers_.data, self.buyers_[left], self.expected_[right]
        proven = find_beyond_chance(*of_pair)
        score = score_pairs(*of_pair, self.damping)[proven]
        return sparse.csr_matrix((score, (left[proven], right[proven])), shape=self.customers_.shape)

    def _list_terms(
        self, customers: np.ndarray, weights: sparse.csr_matrix
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Place in `customers`, a, b and value of every term of the sum above, by place and a."""
        waiting = self.waiting_[customers]
        row, cause = list_entries(waiting)
        length = np.diff(weights.indptr)[cause]
        term = np.repeat(np.arange(len(row)), length)
        at = np.arange(len(term)) - np.repeat(np.cumsum(length) - length - weights.indptr[cause], length)
        row, cause, product = row[term], cause[term], weights.indices[at].astype(np.int64)
        value = waiting.data[term] * weights.data[at]
        last = self.known_.last_bought[customers]
        bought, day = PairIndex.of(last), last.data
        then, since = (bought.find(row, some) for some in (cause, product))
        waits = np.ones(len(row), dtype=bool)
        waits[since >= 0] = day[since[since >= 0]] <= day[then[since >= 0]]
        return row[waits], cause[waits], product[waits], value[waits]

    def _scores(self, customers: np.ndarray) -> sparse.csr_matrix:
        shape = (len(customers), self.known_.n_products)
        row, _, product, value = self._list_terms(customers, self._weigh())
        pair, place = np.unique(encode_pairs(row, product, shape[1]), return_inverse=True)
        score = np.bincount(place, weights=value, minlength=len(pair)).astype(np.float32)
        return sparse.csr_matrix((score, np.divmod(pair, shape[1])), shape=shape)

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """See `Recommender.because`; exact: the largest term of the sum above."""
        customers, products = np.asarray(customers, np.int64), np.asarray(products, np.int64)
        who, member = np.unique(customers, return_inverse=True)
        asked, place = np.unique(encode_pairs(member, products, self.known_.n_products), return_inverse=True)
        weights, strongest = self._weigh(), np.full(len(asked), -1, dtype=np.int32)
        terms = np.asarray((self.waiting_[who] != 0) @ np.diff(weights.indptr).astype(np.int64)).ravel()
        for start, stop in split_blocks(terms, BLOCK_VALUES):
            row, cause, product, value = self._list_terms(who[start:stop], weights)
            at = find_sorted(asked, encode_pairs(row + start, product, self.known_.n_products))
            at, cause, value = at[at >= 0], cause[at >= 0], value[at >= 0]
            order = np.lexsort((cause, -value, at))
            at, cause = at[order], cause[order]
            first = mark_starts(at)
            strongest[at[first]] = cause[first]
        return strongest[place]

    def explain_silence(self) -> str:
        """See `Recommender.explain_silence`."""
        if self.buyers_.any():
            return ""
        return (
            f"No purchase of the shop is {self.last_day + 1} days old yet, so nobody can have bought anything within "
            f"{self.last_day} days of it: have the shop land older orders, or wait."
        )

    def days_between(self, causes: np.ndarray, products: np.ndarray) -> np.ndarray:
        """See `Recommender.days_between`."""
        days = np.full(len(causes), np.nan)
        if self.median_days_.nnz:
            at = PairIndex.of(self.median_days_).find(causes, products)
            days[at >= 0] = self.median_days_.data[at[at >= 0]]
        return days


class LateFollowUps(FollowUps):
    """What customers buy three to six months after a product, beyond what they buy anyway: refills and wear parts.

    As `FollowUps`, from 91 to 182 days after. Nothing is learned from less than half a year of purchases.

    Args:
        first_day: as of `FollowUps`.
        last_day: as of `FollowUps`.
        ahead_days: as of `FollowUps`.
        min_customers: as of `FollowUps`.
        damping: as of `FollowUps`.
        neighbours: as of `FollowUps`.
        max_day_products: as of `FollowUps`.

    Raises:
        NotFittedError: from `recommend` before `fit`.
    """

    name = "late_follow_ups"
    reasons = ("late_follow_up",)

    def __init__(
        self,
        first_day: int = 91,
        last_day: int = 182,
        ahead_days: int = 14,
        min_customers: int = 3,
        damping: float = 10.0,
        neighbours: int = 30,
        max_day_products: int = 200,
    ) -> None:
        super().__init__(
            first_day, last_day, ahead_days, min_customers, damping, neighbours, max_day_products
        )
