"""What is bought within some days after what: counted of customers' first purchases, with what chance would give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import (
    encode_pairs,
    find_sorted,
    list_entries,
    mark_starts,
    rank_within,
    split_blocks,
)

# Multiply-adds of one block of a sparse product; its result holds at most that many (240 MB).
BLOCK_PRODUCTS = 20_000_000
# Days count below this in a sorted key of pair and day.
DAY_BITS = 20


@dataclass(frozen=True)
class Horizon:
    """Days after a purchase in which another one follows it.

    Attributes:
        first_day: the first of them; 1 is the day after.
        last_day: the last of them.
    """

    first_day: int
    last_day: int


@dataclass(frozen=True)
class FollowUpCounts:
    """Pairs of items of which the second follows the first.

    An item is a product, or whatever else purchases are counted by, such as a category.

    Attributes:
        customers: int32 csr[n_items, n_items], row A, column B: who bought B in the horizon after their first purchase
            of A.
        median_days: float64 csr of the same pattern, the median of the days between.
        buyers: int64[n_items], whose first purchase of A is old enough.
        expected: float64[n_items], the share of all shopping days as old that were followed by B.
    """

    customers: sparse.csr_matrix
    median_days: sparse.csr_matrix
    buyers: np.ndarray
    expected: np.ndarray


def count_follow_ups(
    purchases: tuple[np.ndarray, np.ndarray, np.ndarray],
    n_items: int,
    anchor_day: int,
    horizon: Horizon,
    min_customers: int,
    damping: float,
    most: int,
    max_day_items: int,
) -> FollowUpCounts:
    """Which items are bought in a horizon after an item, by more customers than chance would give.

    A customer counts once per item, from their first purchase of it on, and only if the last day of the horizon after
    it lies before the anchor: whoever had less time is in neither number. What they bought on the day itself does not
    follow. Chance is what follows any shopping day: of all customers' shopping days that are as old, the share with
    a purchase of the second item in the horizon after them. Whoever shops more often weighs more there, so that what
    regular customers buy anyway does not seem to follow everything.

    Args:
        purchases: customer, item and day, int[n] each, in any order, all before the anchor; a repeated one changes nothing.
        n_items: how many there are.
        anchor_day: from which on nothing is known.
        horizon: see above.
        min_customers: fewer make no pair.
        damping: as `score_pairs` takes it.
        most: pairs kept per item, by score; of a score of 0 or less none is.
        max_day_items: days with more items are not a shopper's, and left out.
    """
    visits = _Visits(*purchases, n_items, max_day_items)
    # What fewer customers bought can be in no pair.
    usable = np.flatnonzero(np.bincount(visits.first_item, minlength=n_items) >= min_customers)
    old = np.flatnonzero(visits.day + horizon.last_day < anchor_day)
    followed = _list_followed(visits, old, usable, horizon)
    expected, buyers = np.zeros(n_items), np.zeros(n_items, dtype=np.int64)
    expected[usable] = np.bincount(followed.indices, minlength=len(usable)) / max(1, len(old))
    # First purchases of items on old shopping days.
    at, which = find_sorted(old, visits.first_visit), find_sorted(usable, visits.first_item)
    there = (at >= 0) & (which >= 0)
    first = sparse.csr_matrix(
        (np.ones(int(there.sum()), np.int32), (which[there], at[there])), shape=(len(usable), len(old))
    )
    buyers[usable] = np.diff(first.indptr)
    left, right, count = _count_pairs(first, followed, min_customers)
    left, right = usable[left], usable[right]
    score = score_pairs(count, buyers[left], expected[right], damping)
    kept = np.flatnonzero(score > 0)
    order = kept[np.lexsort((right[kept], -score[kept], left[kept]))]
    order = order[rank_within(left[order]) <= most]
    left, right = left[order], right[order]
    days = _find_median_days(visits, left, right, anchor_day, horizon)
    customers, median_days = (
        sparse.csr_matrix((values, (left, right)), shape=(n_items, n_items))
        for values in (count[order].astype(np.int32), days)
    )
    return FollowUpCounts(customers, median_days, buyers, expected)


def score_pairs(count: np.ndarray, buyers: np.ndarray, expected: np.ndarray, damping: float) -> np.ndarray:
    """float64[n]: the share of buyers beyond chance, as if `damping` more had been seen who followed by chance alone."""
    return (count - buyers * expected) / (buyers + damping)


def tabulate_pairs(counts: FollowUpCounts, damping: float) -> pd.DataFrame:
    """One row per pair, by item and rank.

    Returns:
        item, follow_up (codes), rank from 1, customers, buyers, share (customers / buyers), expected_share,
        lift (share / expected_share), median_days, score.
    """
    left, right = list_entries(counts.customers)
    count, buyers, expected = counts.customers.data, counts.buyers[left], counts.expected[right]
    score = score_pairs(count, buyers, expected, damping)
    order = np.lexsort((right, -score, left))
    share = count / np.maximum(buyers, 1)
    return pd.DataFrame(
        {
            "item": left[order],
            "follow_up": right[order],
            "rank": rank_within(left[order]),
            "customers": count[order],
            "buyers": buyers[order],
            "share": share[order],
            "expected_share": expected[order],
            "lift": (share / expected)[order],
            "median_days": counts.median_days.data[order],
            "score": score[order],
        }
    )


class _Visits:
    """Shopping days of customers, and what was bought on them.

    Attributes:
        customer, day: int64[n_visits], by customer, then day.
        key: int64[n_visits], ascending, of both.
        bought: int32 csr[n_visits, n_items] of ones.
        first_visit, first_item: int64, the visit on which the customer bought the item for the first time.
    """

    def __init__(
        self, customer: np.ndarray, item: np.ndarray, day: np.ndarray, n_items: int, max_day_items: int
    ) -> None:
        key, row = np.unique(encode_days(customer, day), return_inverse=True)
        bought = sparse.csr_matrix((np.ones(len(row), np.int32), (row, item)), shape=(len(key), n_items))
        bought.sum_duplicates()
        bought.data[:] = 1
        fits = np.flatnonzero(np.diff(bought.indptr) <= max_day_items)
        self.key, self.bought = key[fits], bought[fits]
        self.customer, self.day = self.key >> DAY_BITS, self.key & ((1 << DAY_BITS) - 1)
        visit, items = list_entries(self.bought)
        order = np.lexsort((visit, items, self.customer[visit]))
        visit, items = visit[order], items[order]
        starts = mark_starts(self.customer[visit], items)
        self.first_visit, self.first_item = visit[starts], items[starts]
        # Purchases by customer and item, then day: where the next one of the same item stands.
        self._pair = np.cumsum(starts) - 1
        self._purchase = encode_days(self._pair, self.day[visit])
        self._pair_key = encode_pairs(self.customer[visit][starts], items[starts], n_items)
        self._n_items = n_items

    def find_windows(self, visits: np.ndarray, horizon: Horizon) -> tuple[np.ndarray, np.ndarray]:
        """int64 per visit: the customer's visits in the horizon after it, from and up to."""
        return (
            np.searchsorted(self.key, self.key[visits] + horizon.first_day),
            np.searchsorted(self.key, self.key[visits] + horizon.last_day, side="right"),
        )

    def find_days_until(self, visits: np.ndarray, items: np.ndarray, horizon: Horizon) -> np.ndarray:
        """int64 per visit and item: days until the customer's first purchase of the item in the horizon after the
        visit; -1 without one."""
        days = np.full(len(visits), -1, dtype=np.int64)
        if len(self._purchase) == 0:
            return days
        pair = find_sorted(self._pair_key, encode_pairs(self.customer[visits], items, self._n_items))
        wanted = encode_days(pair, self.day[visits] + horizon.first_day)
        place = np.minimum(np.searchsorted(self._purchase, wanted), len(self._purchase) - 1)
        gap = (self._purchase[place] & ((1 << DAY_BITS) - 1)) - self.day[visits]
        found = (pair >= 0) & (self._pair[place] == pair)
        found &= (gap >= horizon.first_day) & (gap <= horizon.last_day)
        days[found] = gap[found]
        return days


def encode_days(group: np.ndarray, day: np.ndarray) -> np.ndarray:
    """int64, ascending by group, then day."""
    return (np.asarray(group).astype(np.int64) << DAY_BITS) + day


def _list_followed(
    visits: _Visits, old: np.ndarray, usable: np.ndarray, horizon: Horizon
) -> sparse.csr_matrix:
    """int32 csr[len(old), len(usable)] of ones: what was bought in the horizon after each old visit."""
    start, stop = visits.find_windows(old, horizon)
    bought = visits.bought[:, usable].tocsr()
    lines = np.concatenate([[0], np.cumsum(np.diff(bought.indptr))])
    parts = [sparse.csr_matrix((0, len(usable)), dtype=np.int32)]
    for first, end in split_blocks(np.maximum(lines[stop] - lines[start], 1), BLOCK_PRODUCTS):
        length = (stop - start)[first:end]
        indptr = np.concatenate([[0], np.cumsum(length)])
        columns = np.repeat(start[first:end] - indptr[:-1], length) + np.arange(indptr[-1])
        window = sparse.csr_matrix(
            (np.ones(len(columns), np.int32), columns, indptr), shape=(end - first, bought.shape[0])
        )
        part = (window @ bought).tocsr()
        part.data[:] = 1
        parts.append(part)
    return sparse.vstack(parts, format="csr")


def _count_pairs(
    first: sparse.csr_matrix, followed: sparse.csr_matrix, min_customers: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left, right and count of the pairs with `min_customers` at least."""
    work = np.asarray(first @ np.diff(followed.indptr).astype(np.int64)).ravel()
    lists: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for start, stop in split_blocks(work, BLOCK_PRODUCTS):
        counts = (first[start:stop] @ followed).tocoo()
        left = counts.row + start
        keep = (counts.data >= min_customers) & (left != counts.col)
        lists.append((left[keep], counts.col[keep], counts.data[keep]))
    left, right, count = (
        np.concatenate([np.empty(0, np.int64), *(part[place] for part in lists)]) for place in range(3)
    )
    return left, right, count


def _find_median_days(
    visits: _Visits, left: np.ndarray, right: np.ndarray, anchor_day: int, horizon: Horizon
) -> np.ndarray:
    """float64 per pair, by `left`: median of the days between the first purchase of the one and the next of the other."""
    old = visits.day[visits.first_visit] + horizon.last_day < anchor_day
    visit, item = visits.first_visit[old], visits.first_item[old]
    order = np.lexsort((visit, item))
    visit, item = visit[order], item[order]
    start, stop = np.searchsorted(item, left), np.searchsorted(item, left, side="right")
    parts = [
        _take_medians(visits, visit, start[block], stop[block], right[block], horizon)
        for block in _slices(stop - start)
    ]
    return np.concatenate([np.empty(0), *parts])


def _slices(counts: np.ndarray) -> Iterator[slice]:
    for start, stop in split_blocks(counts, BLOCK_PRODUCTS // 4):
        yield slice(start, stop)


def _take_medians(
    visits: _Visits,
    visit: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    right: np.ndarray,
    horizon: Horizon,
) -> np.ndarray:
    length = stop - start
    pair = np.repeat(np.arange(len(length)), length)
    at = np.arange(len(pair)) - np.repeat(np.cumsum(length) - length - start, length)
    # By visit: what is looked up one after the other then lies side by side in memory.
    order = np.argsort(visit[at], kind="stable")
    at, pair = at[order], pair[order]
    days = visits.find_days_until(visit[at], right[pair], horizon)
    pair, days = pair[days >= 0], days[days >= 0]
    days = days[np.lexsort((days, pair))]
    many = np.bincount(pair, minlength=len(length))
    begin = np.cumsum(many) - many
    return (days[begin + (many - 1) // 2] + days[begin + many // 2]) / 2
