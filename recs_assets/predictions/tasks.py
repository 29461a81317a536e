"""The rows of a query at one anchor: candidates or customers with their features, labels and baselines."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from threading import RLock

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.campaigns.compiler import entities_sql, items_sql, labels_sql
from recs_assets.campaigns.syntax import Query, QueryError
from recs_assets.campaigns.validation import item_column
from recs_assets.interactions import Known
from recs_assets.learning import (
    BLOCK,
    NAMES,
    SOURCES,
    Lesson,
    candidates_of,
    fitted_parameters,
    frames,
    listed_customers,
    lists_path,
    make,
    side_by_side,
)
from recs_assets.predictions.planning import window_days
from recs_assets.ranking.candidates import Candidates, merge
from recs_assets.ranking.features import CATEGORY, CUSTOMER, CUSTOMER_BRAND, CUSTOMER_CATEGORY
from recs_assets.ranking.ranker import Ranker, negative_rate, sample_negatives
from recs_assets.recommenders.artefacts import read_lists
from recs_assets.recommenders.base import Recommender, View, stored
from recs_assets.shop import RANKER, Shop
from recs_assets.warehouse import Warehouse

# Products of a customer's own history that buy-it-again ranks, those of largest decayed frequency.
OWN_LIMIT = 200
# Lists that are made anew where a filter leaves few of the weekly lists: these cost little.
REMADE = ("popularity", "category_popularity", "repurchase")
# Values (categories, brands, verticals) that are candidates for everybody, by recent popularity.
POPULAR_VALUES = 100
# Values of one query; each costs an evaluation of its own.
MOST_VALUES = 5_000
HALF_LIVES = (14.0, 30.0, 90.0, 365.0)
POPULARITY_HALF_LIFE = 28.0

TABLE_FEATURES = {
    "category": (*CUSTOMER_CATEGORY, *CATEGORY),
    "brand": CUSTOMER_BRAND,
    "vertical": (),
}
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
)
LIST_FEATURES = ("lists_rrf_sum", "lists_rrf_best", "lists_products")
PREVIOUS = "previous_window"


@dataclass(frozen=True)
class Sheet:
    """Rows to learn from, to test on or to predict, of one anchor.

    Attributes:
        customer: int32[n] ascending, code.
        item: int32[n], product or value code; 0 where there is no item.
        label: float64[n]; NaN at the week, and where an average had nothing.
        chunks: rows -> their features, float32, a block at a time.
        baselines: name -> float64[n], larger is likelier; NaN where the baseline lists nothing.
        candidates: of products, otherwise None.
    """

    customer: np.ndarray
    item: np.ndarray
    label: np.ndarray
    chunks: Callable[[np.ndarray], Iterator[np.ndarray]]
    baselines: dict[str, np.ndarray] = field(default_factory=dict)
    candidates: Candidates | None = None

    def __len__(self) -> int:
        return len(self.customer)

    def frame(self, rows: np.ndarray, width: int) -> np.ndarray:
        """float32[len(rows), width]: the features of these rows at once."""
        return np.concatenate([np.empty((0, width), dtype=np.float32), *self.chunks(rows)])


class Task(ABC):
    """How the rows of one kind of target are made.

    Sheets may be made in several threads: what they share is made by one of them.
    """

    names: tuple[str, ...]  # the features

    def __init__(self, shop: Shop, warehouse: Warehouse, week: date, query: Query, view: View) -> None:
        self.shop, self.warehouse, self.week = shop, warehouse, week
        self.query, self.view = query, view
        self._eligible: dict[date, np.ndarray] = {}
        self._making = RLock()

    def known(self, anchor: date) -> Known:
        return self.warehouse.known(self.week, anchor)

    def eligible(self, anchor: date) -> np.ndarray:
        """bool[n_customers]: pass the query's WHERE and, before the week, are in the sample that is learnt from."""
        with self._making:
            if anchor not in self._eligible:
                rows = self.warehouse.answer(self.week, *entities_sql(self.query, anchor))
                mask = np.zeros(self.known(anchor).n_customers, dtype=bool)
                mask[self.codes(anchor, rows["customer_id"])] = True
                listed = np.zeros_like(mask)
                listed[listed_customers(self.shop, self.warehouse, self.week, anchor)] = True
                self._eligible[anchor] = mask & listed
            return self._eligible[anchor]

    def codes(self, anchor: date, ids: pd.Series) -> np.ndarray:
        """int64: codes of customer ids, all of whom are known."""
        return _places(self.known(anchor).customers["customer_id"], ids)

    def truth(self, anchor: date, items: pd.Series) -> sparse.csr_matrix:
        """csr[n_customers, len(items)] of ones: the labels of a list."""
        rows = self.warehouse.answer(self.week, *labels_sql(self.query, anchor))
        customer, item = self.codes(anchor, rows["customer_id"]), _places(items, rows["item"])
        there = item >= 0  # a value that was listed then may have no admitted product any more
        shape = (self.known(anchor).n_customers, len(items))
        ones = np.ones(int(there.sum()), dtype=np.float32)
        return sparse.csr_matrix((ones, (customer[there], item[there])), shape=shape)

    @abstractmethod
    def sheet(self, anchor: date, first: int, last: int) -> Sheet:
        """The rows of the eligible among customer codes `[first, last)`; without labels at the week."""

    def whole(self, anchor: date) -> Sheet:
        """All rows of an anchor that is learnt from."""
        return self.sheet(anchor, 0, self.known(anchor).n_customers)

    def item_ids(self, anchor: date) -> np.ndarray:
        """object[n_items]: ids by code."""
        return np.array([""], dtype=object)

    def every(self, sheet: Sheet) -> tuple[np.ndarray, np.ndarray]:
        """Positions of all rows, and weights of one."""
        return np.arange(len(sheet)), np.ones(len(sheet), dtype=np.float32)

    def picked(self, sheet: Sheet, anchor: date, anchors: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the rows that one of so many anchors gives to the trees, and their weights: every
        positive, and as many negatives as there is room for."""
        positives = int(sheet.label.sum())
        rate = negative_rate(positives, len(sheet) - positives, RANKER.training_rows // anchors)
        return sample_negatives(
            sheet.label,
            self.known(anchor).customers["customer_id"].to_numpy()[sheet.customer],
            self.item_ids(anchor)[sheet.item],
            anchor,
            rate,
            self.shop.settings.seed,
        )

    def lesson(self, sheet: Sheet, rows: np.ndarray, weight: np.ndarray) -> Lesson:
        """These rows with their features."""
        frame = sheet.frame(rows, len(self.names))
        return Lesson(sheet.customer[rows], sheet.label[rows], weight, frame, self.names)


def _places(known: pd.Series, wanted: pd.Series) -> np.ndarray:
    return pd.Index(known).get_indexer(pd.Index(wanted))


class Products(Task):
    """Candidates out of the weekly lists, less what the query's filter rules out.

    The lists of the whole shop may hold few products that pass a filter, and none of them holds a
    whole history. So where the query filters, or asks for repeats only, lists that cost little are
    made again from what it admits.

    Attributes:
        weekly: the week's own ranker where it answers, so that its candidates are taken as they are.
    """

    def __init__(self, *job: object) -> None:
        super().__init__(*job)
        self.names = NAMES
        self.weekly: Ranker | None = None
        self._admitted: dict[date, np.ndarray] = {}
        self._remade: dict[date, dict[str, Recommender]] = {}

    def item_ids(self, anchor: date) -> np.ndarray:
        return self.known(anchor).products["product_id"].to_numpy(dtype=object)

    def admitted(self, anchor: date) -> np.ndarray:
        """bool[n_products]: pass the target's filter."""
        with self._making:
            if anchor not in self._admitted:
                rows = self.warehouse.answer(self.week, *items_sql(self.query, anchor))
                mask = np.zeros(self.known(anchor).n_products, dtype=bool)
                mask[_places(self.known(anchor).products["product_id"], rows["item"])] = True
                self._admitted[anchor] = mask
            return self._admitted[anchor]

    def remade(self, anchor: date) -> dict[str, Recommender]:
        """The recommenders whose lists are made again, fitted where only admitted products are available."""
        with self._making:
            if anchor not in self._remade:
                known, admitted = self.known(anchor), self.admitted(anchor)
                names = ("repurchase",) if self.view == "repeat" else () if admitted.all() else REMADE
                narrow = replace(known, products=known.products.assign(available=known.available & admitted))
                self._remade = {
                    anchor: {
                        name: make(self.shop, name, fitted_parameters(self.warehouse, self.week, name)).fit(
                            narrow
                        )
                        for name in names
                    }
                }
            return self._remade[anchor]

    def pool(self, anchor: date, first: int, last: int) -> Candidates:
        """The candidates of the eligible among customer codes `[first, last)`."""
        known, eligible = self.known(anchor), self.eligible(anchor)
        if self.weekly is not None:
            found = candidates_of(self.warehouse, self.week, anchor, known, first, last)
            keep = eligible[found.customer]
            if self.view != "all":
                keep &= found.own == (self.view == "repeat")
            return found.take(np.flatnonzero(keep))
        admitted, remade = self.admitted(anchor), self.remade(anchor)
        lists = {}
        for name in SOURCES:
            views = ("all",) if self.view == "repeat" else ("all", "new")
            for view in views:
                if name not in remade:
                    path = lists_path(self.warehouse, self.week, name, anchor, view)
                    rows = read_lists(path, known, first, last)
                    keep = eligible[rows["customer"].to_numpy()] & admitted[rows["product"].to_numpy()]
                    lists[name if view == "all" else f"{name}:new"] = rows[keep]
            if name in remade:
                customers = first + np.flatnonzero(eligible[first:last])
                if self.view == "repeat":
                    lists[name] = remade[name].recommend(customers, OWN_LIMIT, "repeat")
                    continue
                made = remade[name].recommend_views(customers, self.shop.settings.candidates, views)
                lists |= {name if view == "all" else f"{name}:new": rows for view, rows in made.items()}
        own, new = RANKER.pool.own, RANKER.pool.new
        limits = {"all": (own, new), "new": (0, own + new), "repeat": (OWN_LIMIT, 0)}
        return merge(lists, known, *limits[self.view])

    def sheet(self, anchor: date, first: int, last: int) -> Sheet:
        known = self.known(anchor)
        eligible, threads = self.eligible(anchor), self.shop.settings.threads
        starts = [start for start in range(first, last, BLOCK) if eligible[start : start + BLOCK].any()]
        pools = side_by_side(
            lambda start: self.pool(anchor, start, min(start + BLOCK, last)), starts, threads
        )
        parts = list(pools)
        parts = [part for part in parts if len(part)] or parts[:1]
        if not parts:
            return _nothing()
        candidates = Candidates.concat(parts)
        label = np.full(len(candidates), np.nan)
        if anchor != self.week:
            label = candidates.labels(self.truth(anchor, known.products["product_id"])).astype(np.float64)
        ranks = candidates.sources
        listed = {name: ranks[f"{name}:new" if self.view == "new" else name][0] for name in SOURCES}
        return Sheet(
            candidates.customer,
            candidates.product,
            label,
            lambda rows: frames(self.warehouse, self.week, anchor, candidates.take(rows), self.names),
            {name: -rank.astype(np.float64) for name, rank in listed.items()},
            candidates,
        )


def _nothing() -> Sheet:
    none = np.empty(0, dtype=np.int32)
    return Sheet(none, none, np.empty(0), lambda rows: iter(()))


class Values(Task):
    """(customer, category, brand or vertical): what she bought from, and what is popular now."""

    def __init__(self, *job: object) -> None:
        super().__init__(*job)
        self.column = item_column(self.query)
        self.tables = (*TABLE_FEATURES[self.column], *CUSTOMER)
        self.names = (*PAIR_FEATURES, *LIST_FEATURES, *(one.name for one in self.tables))
        self._histories: dict[date, History] = {}
        self._truths: dict[date, sparse.csr_matrix] = {}

    @cached_property
    def values(self) -> pd.Series:
        """What may be listed, sorted: whatever the filter admits at the week."""
        found = self.warehouse.answer(self.week, *items_sql(self.query, self.week))["item"]
        if not 1 < len(found) <= MOST_VALUES:
            raise QueryError(
                f"{self.column} has {len(found)} value{'' if len(found) == 1 else 's'} here; a list takes 2 to {MOST_VALUES}, so use another column.",
                self.query.text,
                self.query.mode_at,
            )
        return found

    def item_ids(self, anchor: date) -> np.ndarray:
        return self.values.to_numpy(dtype=object)

    def history(self, anchor: date) -> History:
        with self._making:
            if anchor not in self._histories:
                known = self.known(anchor)
                self._histories = {
                    anchor: History(
                        known, _places(self.values, known.products[self.column]), len(self.values)
                    )
                }
            return self._histories[anchor]

    def truth_of(self, anchor: date) -> sparse.csr_matrix:
        if anchor not in self._truths:
            self._truths = {anchor: self.truth(anchor, self.values)}
        return self._truths[anchor]

    def sheet(self, anchor: date, first: int, last: int) -> Sheet:
        history = self.history(anchor)
        customers = first + np.flatnonzero(self.eligible(anchor)[first:last])
        customer, value = history.candidates(customers, POPULAR_VALUES)
        if len(customer) == 0:
            return _nothing()
        pairs = history.features(customer, value)
        X = np.concatenate(
            [pairs, self._lists(anchor, customer, value, first, last), self._joined(anchor, customer, value)],
            axis=1,
        )
        label = np.full(len(customer), np.nan)
        if anchor != self.week:
            label = stored(self.truth_of(anchor), customer, value).astype(np.float64)
        own = pairs[:, PAIR_FEATURES.index("value_decayed_days_90")].astype(np.float64)
        return Sheet(
            customer.astype(np.int32),
            value.astype(np.int32),
            label,
            lambda rows: iter((X[rows],)),
            {"own_frequency": own, "popularity": history.popularity[value]},
        )

    def _joined(self, anchor: date, customer: np.ndarray, value: np.ndarray) -> np.ndarray:
        """dbt's features of the pairs, joined over any product that has the value."""
        codes = self.history(anchor).group
        some = np.zeros(len(self.values), dtype=np.int32)
        some[codes[codes >= 0][::-1]] = np.flatnonzero(codes >= 0)[::-1]
        pairs = _bare(customer, some[value])
        return self.warehouse.frame(self.week, anchor, pairs, [one.name for one in self.tables])

    def _lists(
        self, anchor: date, customer: np.ndarray, value: np.ndarray, first: int, last: int
    ) -> np.ndarray:
        """float32[n, 3]: sum and best of the product candidates' rrf within the value, and their number."""
        known, history = self.known(anchor), self.history(anchor)
        found = np.zeros((len(customer), len(LIST_FEATURES)), dtype=np.float32)
        key = customer.astype(np.int64) * len(self.values) + value

        def merged(start: int) -> Candidates:
            return candidates_of(self.warehouse, self.week, anchor, known, start, min(start + BLOCK, last))

        for pool in side_by_side(merged, range(first, last, BLOCK), self.shop.settings.threads):
            group = history.group[pool.product]
            kept = group >= 0
            cell = pool.customer[kept].astype(np.int64) * len(self.values) + group[kept]
            at = np.minimum(np.searchsorted(key, cell), len(key) - 1)
            here = key[at] == cell
            at, rrf = at[here], pool.rrf[kept][here]
            np.add.at(found[:, 0], at, rrf)
            np.maximum.at(found[:, 1], at, rrf)
            np.add.at(found[:, 2], at, 1)
        return found


class History:
    """Purchase days per (customer, value) of one anchor.

    Args:
        known: events and the anchor.
        group: int[n_products], value of each product, -1 none.
        count: number of values.
    """

    def __init__(self, known: Known, group: np.ndarray, count: int) -> None:
        self.group, self.count = group, count
        events, bought = known.events, known.purchased
        value = group[events.product[bought]]
        there = value >= 0
        key = events.customer[bought][there].astype(np.int64) * count + value[there]
        # A day fits 20 bits until the year 4840; one sort replaces a unique over three columns.
        packed = np.sort(key << 20 | events.day[bought][there])
        packed = packed[np.r_[True, packed[1:] != packed[:-1]][: len(packed)]]
        key, day = packed >> 20, (packed & 0xFFFFF)
        starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]][: len(key)])
        self.keys = key[starts]
        age = (known.anchor_day - day).astype(np.float64)

        def summed(values: np.ndarray) -> np.ndarray:
            return np.add.reduceat(values, starts) if len(starts) else np.empty(0)

        self.days = summed(np.ones(len(age)))
        self.recent = [summed((age <= days).astype(np.float64)) for days in (28, 91)]
        self.decayed = [summed(0.5 ** (age / half)) for half in HALF_LIVES]
        ends = np.r_[starts[1:], len(age)][: len(starts)] - 1
        self.since_first, self.since_last = age[starts], age[ends]
        customer = self.keys // count
        self.total = np.bincount(customer, weights=self.decayed[2], minlength=known.n_customers)
        now = summed(0.5 ** (age / POPULARITY_HALF_LIFE))
        self.popularity = np.bincount(self.keys % count, weights=now, minlength=count)
        buyers = max(1, int((known.order_counts > 0).sum()))
        self.buyer_share = np.bincount(self.keys % count, minlength=count) / buyers

    def candidates(self, customers: np.ndarray, popular: int) -> tuple[np.ndarray, np.ndarray]:
        """Own values of these customers (codes, ascending) and the `popular` most popular ones, sorted."""
        sold = np.flatnonzero(self.popularity > 0)
        best = sold[np.lexsort((sold, -self.popularity[sold]))][:popular]
        every = (customers[:, None] * self.count + best).ravel()
        wanted = np.zeros(len(self.total), dtype=bool)
        wanted[customers] = True
        pairs = np.sort(np.concatenate([self.keys[wanted[self.keys // self.count]], every]))
        pairs = pairs[np.r_[True, pairs[1:] != pairs[:-1]][: len(pairs)]]
        return pairs // self.count, pairs % self.count

    def features(self, customer: np.ndarray, value: np.ndarray) -> np.ndarray:
        """float32[n, len(PAIR_FEATURES)]; 0 days and NaN recency where she never bought from the value."""
        wanted = customer.astype(np.int64) * self.count + value
        here = np.zeros(len(wanted), dtype=bool)
        at = np.zeros(len(wanted), dtype=np.int64)
        if len(self.keys):
            at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
            here = self.keys[at] == wanted

        def taken(values: np.ndarray, otherwise: float) -> np.ndarray:
            found = np.full(len(wanted), float(otherwise))
            found[here] = values[at[here]]
            return found

        days, decayed = taken(self.days, 0), [taken(one, 0) for one in self.decayed]
        last, first = taken(self.since_last, np.nan), taken(self.since_first, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = np.where(days > 1, (first - last) / (days - 1), np.nan)
            share = np.where(self.total[customer] > 0, decayed[2] / self.total[customer], np.nan)
            due = last / gap
        columns = [
            days, *(taken(one, 0) for one in self.recent), *decayed, share, last, first, gap, due,
            self.popularity[value], self.buyer_share[value],
        ]  # fmt: skip
        return np.column_stack(columns).astype(np.float32)


class Customers(Task):
    """One row per eligible customer; the label is a number or a truth value."""

    names = (PREVIOUS, *(one.name for one in CUSTOMER))

    def picked(self, sheet: Sheet, anchor: date, anchors: int) -> tuple[np.ndarray, np.ndarray]:
        """All rows: there is one per customer."""
        return self.every(sheet)

    def sheet(self, anchor: date, first: int, last: int) -> Sheet:
        customer = first + np.flatnonzero(self.eligible(anchor)[first:last])
        if len(customer) == 0:
            return _nothing()
        before = self._before(anchor)[customer]
        joined = self.warehouse.frame(
            self.week, anchor, _bare(customer, np.zeros(len(customer), dtype=np.int32)), self.names[1:]
        )
        X = np.column_stack([before, joined]).astype(np.float32)
        label = np.full(len(customer), np.nan)
        if anchor != self.week:
            label = self._values(anchor, anchor, self.query)[customer]
        return Sheet(
            customer.astype(np.int32),
            np.zeros(len(customer), dtype=np.int32),
            label,
            lambda rows: iter((X[rows],)),
            {PREVIOUS: before},
        )

    def _values(self, anchor: date, at: date, query: Query) -> np.ndarray:
        """float64[n_customers of `anchor`]: the target's value at a date; NaN where nobody is asked for."""
        rows = self.warehouse.answer(self.week, *labels_sql(query, at))
        found = np.full(self.known(anchor).n_customers, np.nan)
        place = self.codes(anchor, rows["customer_id"])
        found[place[place >= 0]] = rows["label"].to_numpy(dtype=float, na_value=np.nan)[place >= 0]
        return found

    def _before(self, anchor: date) -> np.ndarray:
        """The target over the window of equal length that ended at the anchor, whoever was eligible then."""
        days = math.ceil(window_days(self.query, anchor))
        return self._values(anchor, anchor - timedelta(days=days), replace(self.query, where=None))


def _bare(customer: np.ndarray, product: np.ndarray) -> Candidates:
    """Pairs that no list holds: keys for `Warehouse.frame`."""
    n = len(customer)
    return Candidates(
        customer.astype(np.int32), product.astype(np.int32), np.zeros(n, np.float32), np.zeros(n, bool), {}
    )
