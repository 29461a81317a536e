"""The rows of a query at one anchor: candidates or customers with their features, labels and baselines."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from threading import RLock

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import encode_pairs, find_runs, find_sorted, is_stored, mark_starts, sum_runs
from recs_assets.evaluation.evaluate import sample_customers
from recs_assets.known.interactions import Known
from recs_assets.queries.compiler import entities_sql, everybody, ids_sql, items_sql, labels_sql, spans_sql
from recs_assets.queries.syntax import Aggregate, Query, QueryError, operands
from recs_assets.queries.validation import item_column
from recs_assets.ranking.candidates import Candidates, merge
from recs_assets.ranking.ranker import Ranker, negative_rate, sample_negatives
from recs_assets.recommenders.base import Recommender, View
from recs_assets.shop import RANKER
from recs_assets.training.activity import Activity, number_of
from recs_assets.training.plans import window_days
from recs_assets.week.blocks import BLOCK, map_in_order
from recs_assets.week.lessons import Lesson
from recs_assets.week.ranked import load_frames
from recs_assets.week.week import NAMES, SOURCES, Week, make_recommender

# Products of a customer's own history that buy-it-again ranks, those of largest decayed frequency.
OWN_LIMIT = 200
# Lists that are made anew where a filter leaves few of the weekly lists: these cost little.
REMADE = ("popularity", "category_popularity", "repurchase")
# Values of one query; each costs an evaluation of its own.
MOST_VALUES = 5_000
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
# Of the customer, whatever the value; more of `Activity` costs time and brings nothing.
RHYTHM = (
    "days_since_last_purchase",
    "purchase_days_7d",
    "purchase_days_28d",
    "purchase_days_91d",
    "mean_gap_days",
)
# Baselines of a number or a condition.
PREVIOUS, RATE = "previous_window", "rate_91d"
QUARTER = 91
SPANS = (28, QUARTER, 364)
# Where fewer pass a WHERE at an anchor, the model is learned from everybody.
LEAST_LEARNT = 100
# Pairs of customer and value that are made at once, and learned from at one anchor at most.
MOST_CELLS = 1_500_000
CHUNK = 250_000
# Values that speak for each other: the matrix of so many is inverted in seconds.
MOST_ALIKE, ALIKE_RIDGE = 2_000, 0.005


@dataclass(frozen=True)
class Sheet:
    """Rows to learn from, to test on or to predict, of one anchor.

    Attributes:
        customer: int32[n] ascending, code.
        item: int32[n], product or value code; 0 where there is no item.
        label: float64[n]; NaN at the week, and where an average had nothing.
        chunks: rows -> their features, float32, a block at a time.
        candidates: of products, otherwise None.
    """

    customer: np.ndarray
    item: np.ndarray
    label: np.ndarray
    chunks: Callable[[np.ndarray], Iterator[np.ndarray]]
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
    block = BLOCK  # customers whose rows are made at once
    most_anchors = 52  # training anchors at most
    most_rows = RANKER.training_rows  # of all training anchors together

    def __init__(self, week: Week, as_of: date, query: Query, view: View) -> None:
        self.week, self.as_of = week, as_of  # the week whose build is read, and the date that is predicted at
        self.query, self.view = query, view
        self._eligible: dict[date, np.ndarray] = {}
        self._making = RLock()

    def known(self, anchor: date) -> Known:
        return self.week.known(anchor)

    @cached_property
    def learnt(self) -> Query:
        """The query that is learned from: asked about everybody whom it could be asked about, and where these are
        too few, about everybody."""
        return everybody(self.query)

    def eligible(self, anchor: date) -> np.ndarray:
        """bool[n_customers]: at the week who is asked about, before it who is learned from and tested on: all whom
        the query could be asked about, in the sample that is learnt from."""
        with self._making:
            if anchor not in self._eligible:
                query = self.query if anchor == self.as_of else self.learnt
                rows = self.week.build.query(*entities_sql(query, anchor))
                mask = np.zeros(len(self.ids(anchor)), dtype=bool)
                place = self.codes(anchor, rows.iloc[:, 0])
                mask[place[place >= 0]] = True
                self._eligible[anchor] = mask & self.listed(anchor)
            return self._eligible[anchor]

    def widen(self, anchors: Sequence[date]) -> str:
        """Learn from everybody where fewer than `LEAST_LEARNT` are eligible at one of the anchors; a sentence if so."""
        if self.learnt.where is None or all(self.eligible(one).sum() >= LEAST_LEARNT for one in anchors):
            return ""
        self.__dict__["learnt"] = replace(self.learnt, where=None)
        self._eligible = {day: mask for day, mask in self._eligible.items() if day == self.as_of}
        return (
            f"Fewer than {LEAST_LEARNT} {self.query.entity[0].parts[0]} pass the WHERE at an anchor, so the model is "
            "learned from, and tested on, all of them."
        )

    def ids(self, anchor: date) -> np.ndarray:
        """object[n]: ids of whom predictions are made for; position = code."""
        return self.known(anchor).customers["customer_id"].to_numpy(dtype=object)

    def listed(self, anchor: date) -> np.ndarray:
        """bool[n]: in the sample that is learnt from at an anchor; everybody at the week."""
        mask = np.zeros(len(self.ids(anchor)), dtype=bool)
        mask[self.week.listed_customers(anchor)] = True
        return mask

    def codes(self, anchor: date, ids: pd.Series) -> np.ndarray:
        """int64: codes of ids, -1 where one is not known."""
        return _places(self.ids(anchor), ids)

    def truth(self, anchor: date, items: pd.Series) -> sparse.csr_matrix:
        """csr[n_customers, len(items)] of ones: the labels of a list."""
        rows = self.week.build.query(*labels_sql(self.learnt, anchor))
        customer, item = self.codes(anchor, rows["customer_id"]), _places(items, rows["item"])
        there = (item >= 0) & (
            customer >= 0
        )  # a value that was listed then may have no admitted product any more
        shape = (len(self.ids(anchor)), len(items))
        ones = np.ones(int(there.sum()), dtype=np.float32)
        return sparse.csr_matrix((ones, (customer[there], item[there])), shape=shape)

    @abstractmethod
    def sheet(self, anchor: date, first: int, last: int) -> Sheet:
        """The rows of the eligible among customer codes `[first, last)`; without labels at the week."""

    @abstractmethod
    def formulas(self, sheet: Sheet, anchor: date) -> dict[str, np.ndarray]:
        """What is known without a model, the baselines of the test: name -> float64[n], larger is likelier (or the
        number itself); NaN where the baseline lists nothing."""

    def whole(self, anchor: date) -> Sheet:
        """All rows of an anchor that is learnt from."""
        return self.sheet(anchor, 0, len(self.ids(anchor)))

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
        rate = negative_rate(positives, len(sheet) - positives, self.most_rows // anchors)
        return sample_negatives(
            sheet.label,
            self.ids(anchor)[sheet.customer],
            self.item_ids(anchor)[sheet.item],
            anchor,
            rate,
            self.week.settings.seed,
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
                rows = self.week.build.query(*items_sql(self.query, anchor))
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
                        name: make_recommender(self.week.shop, name, self.week.parameters(name)).fit(narrow)
                        for name in names
                    }
                }
            return self._remade[anchor]

    def pool(self, anchor: date, first: int, last: int) -> Candidates:
        """The candidates of the eligible among customer codes `[first, last)`."""
        known, eligible = self.known(anchor), self.eligible(anchor)
        if self.weekly is not None:
            found = self.week.candidates(anchor, first, last)
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
                    rows = self.week.lists(name, anchor, view, first, last)
                    keep = eligible[rows["customer"].to_numpy()] & admitted[rows["product"].to_numpy()]
                    lists[name if view == "all" else f"{name}:new"] = rows[keep]
            if name in remade:
                customers = first + np.flatnonzero(eligible[first:last])
                if self.view == "repeat":
                    lists[name] = remade[name].recommend(customers, OWN_LIMIT, "repeat")
                    continue
                made = remade[name].recommend_views(customers, self.week.settings.candidates, views)
                lists |= {name if view == "all" else f"{name}:new": rows for view, rows in made.items()}
        own, new = RANKER.pool.own, RANKER.pool.new
        limits = {"all": (own, new), "new": (0, own + new), "repeat": (OWN_LIMIT, 0)}
        return merge(lists, known, *limits[self.view])

    def sheet(self, anchor: date, first: int, last: int) -> Sheet:
        known = self.known(anchor)
        eligible, threads = self.eligible(anchor), self.week.settings.threads
        starts = [start for start in range(first, last, BLOCK) if eligible[start : start + BLOCK].any()]
        pools = map_in_order(
            lambda start: self.pool(anchor, start, min(start + BLOCK, last)), starts, threads
        )
        parts = list(pools)
        parts = [part for part in parts if len(part)] or parts[:1]
        if not parts:
            return _nothing()
        candidates = Candidates.concat(parts)
        label = np.full(len(candidates), np.nan)
        if anchor != self.as_of:
            label = candidates.labels(self.truth(anchor, known.products["product_id"])).astype(np.float64)
        return Sheet(
            candidates.customer,
            candidates.product,
            label,
            lambda rows: load_frames(self.week, anchor, candidates.take(rows), self.names),
            candidates,
        )

    def formulas(self, sheet: Sheet, anchor: date) -> dict[str, np.ndarray]:
        ranks = sheet.candidates.sources
        listed = {name: ranks[f"{name}:new" if self.view == "new" else name][0] for name in SOURCES}
        return {name: -rank.astype(np.float64) for name, rank in listed.items()}


def _nothing() -> Sheet:
    none = np.empty(0, dtype=np.int32)
    return Sheet(none, none, np.empty(0), lambda rows: iter(()))


class Dated(Task):
    """Tasks whose features come from what everybody did before an anchor, so that any anchor serves them."""

    def __init__(self, *job: object) -> None:
        super().__init__(*job)
        self._spans_at: dict[date, np.ndarray] = {}

    @cached_property
    def activity(self) -> Activity:
        entity, key = self.query.entity[0].parts
        return Activity(self.week, self.as_of, entity, key, self.ids(self.as_of))

    @cached_property
    def _ids(self) -> np.ndarray:
        rows = self.week.build.query(*ids_sql(self.query, self.as_of))
        return rows.iloc[:, 0].to_numpy(dtype=object)

    def ids(self, anchor: date) -> np.ndarray:
        """Of everybody known at the week: who is not known yet at an anchor is not eligible there."""
        return self._ids

    def listed(self, anchor: date) -> np.ndarray:
        ids = self.ids(anchor)
        if anchor == self.as_of:
            return np.ones(len(ids), dtype=bool)
        mask = np.zeros(len(ids), dtype=bool)
        mask[sample_customers(ids, self.most_learnt, self.week.settings.seed)] = True
        return mask

    @property
    def most_learnt(self) -> int:
        """At most so many are learned from at an anchor."""
        return max(self.week.settings.evaluation_customers, RANKER.training_customers)


class Values(Dated):
    """(customer, category, brand or vertical): every value for everybody."""

    most_anchors = 6
    most_rows = RANKER.training_rows // 2

    def __init__(self, *job: object) -> None:
        super().__init__(*job)
        self.column = item_column(self.query)
        self._histories: dict[date, History] = {}
        self._truths: dict[date, sparse.csr_matrix] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        return (*PAIR_FEATURES, *RHYTHM)

    @cached_property
    def values(self) -> pd.Series:
        """What may be listed, sorted: whatever the filter admits at the week."""
        found = self.week.build.query(*items_sql(self.query, self.as_of))["item"]
        if not 1 < len(found) <= MOST_VALUES:
            raise QueryError(
                f"{self.column} has {len(found)} value{'' if len(found) == 1 else 's'} here; a list takes 2 to {MOST_VALUES}, so use another column.",
                self.query.text,
                self.query.mode_at,
            )
        return found

    @property
    def most_learnt(self) -> int:
        return max(LEAST_LEARNT, min(super().most_learnt, MOST_CELLS // len(self.values)))

    @property
    def block(self) -> int:
        """Customers of one block: every one of them has a row per value."""
        return max(1, min(BLOCK, MOST_CELLS // len(self.values)))

    def item_ids(self, anchor: date) -> np.ndarray:
        return self.values.to_numpy(dtype=object)

    @cached_property
    def _group(self) -> np.ndarray:
        """int64[n_products]: the value of each product, -1 none."""
        rows = self.week.build.query(
            f"select {self.column} as value from marts.products order by product_id", {}
        )
        return _places(self.values, rows["value"])

    def history(self, anchor: date) -> History:
        with self._making:
            if anchor not in self._histories:
                bought, now = self.activity.bought, number_of(anchor)
                there = (bought["day"] < now) & (bought["gone"] >= now)
                rows = (bought[name][there] for name in ("customer", "product", "day"))
                size = (len(self.ids(anchor)), len(self.values))
                self._histories = {anchor: History(*rows, self._group, size, now)}
            return self._histories[anchor]

    def pick_customers(self, anchor: date) -> np.ndarray:
        """bool[n]: the eligible; where one value comes true, before the week without those of whom none did."""
        eligible = self.eligible(anchor)
        if anchor == self.as_of or not self.query.picks_one:
            return eligible
        return eligible & (np.diff(self.truth_of(anchor).indptr) > 0)

    def truth_of(self, anchor: date) -> sparse.csr_matrix:
        if anchor not in self._truths:
            self._truths = {anchor: self.truth(anchor, self.values)}
        return self._truths[anchor]

    def sheet(self, anchor: date, first: int, last: int) -> Sheet:
        history, count = self.history(anchor), len(self.values)
        customers = first + np.flatnonzero(self.pick_customers(anchor)[first:last])
        if len(customers) == 0:
            return _nothing()
        customer, value = np.repeat(customers, count), np.tile(np.arange(count), len(customers))
        label = np.full(len(customer), np.nan)
        if anchor != self.as_of:
            label = is_stored(self.truth_of(anchor), customer, value).astype(np.float64)
        places = [self.activity.names.index(name) for name in RHYTHM]
        general = self.activity.features(anchor)[:, places]

        def chunks(rows: np.ndarray) -> Iterator[np.ndarray]:
            for start in range(0, len(rows), CHUNK):
                some = rows[start : start + CHUNK]
                yield np.column_stack(
                    [history.features(customer[some], value[some]), general[customer[some]]]
                ).astype(np.float32)

        return Sheet(
            customer.astype(np.int32),
            value.astype(np.int32),
            label,
            chunks,
        )

    def formulas(self, sheet: Sheet, anchor: date) -> dict[str, np.ndarray]:
        history = self.history(anchor)
        own = history.taken(sheet.customer, sheet.item, history.decayed[HALF_LIVES.index(90.0)], 0)
        return {"own_frequency": own, "popularity": history.popularity[sheet.item]}


class History:
    """Purchase days per (customer, value) of one anchor.

    Args:
        customer, product, day: int[n] each, what was bought before the anchor.
        group: int[n_products], value of each product, -1 none.
        size: numbers of customers and of values.
        now: the anchor as days since 1970-01-01.
    """

    def __init__(
        self,
        customer: np.ndarray,
        product: np.ndarray,
        day: np.ndarray,
        group: np.ndarray,
        size: tuple[int, int],
        now: int,
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

        def summed(values: np.ndarray) -> np.ndarray:
            return sum_runs(values, starts)

        self.days = summed(np.ones(len(age)))
        self.recent = [summed((age <= days).astype(np.float64)) for days in (28, 91)]
        self.decayed = [summed(0.5 ** (age / half)) for half in HALF_LIVES]
        self.since_first, self.since_last = age[starts], age[starts + length - 1]
        owner, of = self.keys // count, self.keys % count
        self.total = np.bincount(owner, weights=self.decayed[2], minlength=customers)
        self.width = np.bincount(owner, minlength=customers)
        now_ = summed(0.5 ** (age / POPULARITY_HALF_LIFE))
        self.popularity = np.bincount(of, weights=now_, minlength=count)
        buyers = max(1, int((self.width > 0).sum()))
        self.buyer_share = np.bincount(of, minlength=count) / buyers
        recent = np.flatnonzero(self.recent[0] > 0)
        self.recent_share = np.bincount(of[recent], minlength=count) / max(1, len(np.unique(owner[recent])))
        self._taste, self._alike = self._learn_alike(owner, of, customers)

    def _learn_alike(
        self, owner: np.ndarray, value: np.ndarray, customers: int
    ) -> tuple[sparse.csr_matrix, np.ndarray | None]:
        """What each customer buys, at unit length, and the weights with which values speak for each other: EASE
        (Steck 2019, https://arxiv.org/abs/1905.03375); None where so many values would cost too much."""
        liked = np.log1p(self.decayed[3])
        length = np.sqrt(np.bincount(owner, weights=liked**2, minlength=customers))
        taste = sparse.csr_matrix(
            (liked / np.maximum(length[owner], 1e-12), (owner, value)), shape=(customers, self.count)
        )
        if self.count > MOST_ALIKE:
            return taste, None
        gram = (taste.T @ taste).toarray() + ALIKE_RIDGE * max(1, customers) * np.eye(self.count)
        inverse = np.linalg.inv(gram)
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        return taste, weights

    def alike(self, customer: np.ndarray, value: np.ndarray) -> np.ndarray:
        """float64[n]: how much what the customer buys speaks for the value; NaN where it was not worked out."""
        if self._alike is None:
            return np.full(len(customer), np.nan)
        some, place = np.unique(customer, return_inverse=True)
        return (self._taste[some] @ self._alike)[place, value]

    def taken(
        self, customer: np.ndarray, value: np.ndarray, values: np.ndarray, otherwise: float
    ) -> np.ndarray:
        """float64[n]: a value per own pair (`keys`) at these pairs; `otherwise` where nothing was bought."""
        place = find_sorted(self.keys, encode_pairs(customer, value, self.count))
        found = np.full(len(place), float(otherwise))
        found[place >= 0] = values[place[place >= 0]]
        return found

    def features(self, customer: np.ndarray, value: np.ndarray) -> np.ndarray:
        """float32[n, len(PAIR_FEATURES)]; 0 days and NaN recency where they never bought from the value."""

        def taken(values: np.ndarray, otherwise: float) -> np.ndarray:
            return self.taken(customer, value, values, otherwise)

        days, decayed = taken(self.days, 0), [taken(one, 0) for one in self.decayed]
        last, first = taken(self.since_last, np.nan), taken(self.since_first, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = np.where(days > 1, (first - last) / (days - 1), np.nan)
            share = np.where(self.total[customer] > 0, decayed[2] / self.total[customer], np.nan)
            due = last / gap
        columns = [
            days, *(taken(one, 0) for one in self.recent), *decayed, share, last, first, gap, due,
            self.popularity[value], self.buyer_share[value], self.recent_share[value], self.width[customer],
            self.total[customer], self.alike(customer, value),
        ]  # fmt: skip
        return np.column_stack(columns).astype(np.float32)


class Entities(Dated):
    """One row per eligible customer (or product); the label is a number or a truth value."""

    @cached_property
    def _spans(self) -> tuple[int, ...]:
        """Days over which the target is looked up before an anchor: its own window, a quarter, a year."""
        return tuple(dict.fromkeys((math.ceil(window_days(self.query, self.as_of)), *SPANS)))

    @cached_property
    def names(self) -> tuple[str, ...]:
        aggregates = [one for one in operands(self.query.target) if isinstance(one, Aggregate)]
        many = len(dict.fromkeys(aggregates))
        return (
            *(
                f"target_{part}_{days}d" if many > 1 else f"target_{days}d"
                for part in range(many)
                for days in self._spans
            ),
            *self.activity.names,
        )

    def picked(self, sheet: Sheet, anchor: date, anchors: int) -> tuple[np.ndarray, np.ndarray]:
        """All rows, or of many an even sample: there is one per customer."""
        rows, weight = self.every(sheet)
        step = max(1, -(-len(rows) * anchors // RANKER.training_rows))
        return rows[::step], weight[::step]

    def sheet(self, anchor: date, first: int, last: int) -> Sheet:
        entity = first + np.flatnonzero(self.eligible(anchor)[first:last])
        if len(entity) == 0:
            return _nothing()
        spans = self._before(anchor)
        X = np.column_stack([spans, self.activity.features(anchor)])[entity].astype(np.float32)
        label = np.full(len(entity), np.nan)
        if anchor != self.as_of:
            rows = self.week.build.query(*labels_sql(self.learnt, anchor))
            label = self._placed(anchor, rows.iloc[:, 0], rows["label"])[entity]
        return Sheet(
            entity.astype(np.int32),
            np.zeros(len(entity), dtype=np.int32),
            label,
            lambda rows: iter((X[rows],)),
        )

    def _placed(self, anchor: date, ids: pd.Series, values: pd.Series) -> np.ndarray:
        """float64[n]: values by code; NaN where there is none."""
        found = np.full(len(self.ids(anchor)), np.nan)
        place = self.codes(anchor, ids)
        found[place[place >= 0]] = values.to_numpy(dtype=float, na_value=np.nan)[place >= 0]
        return found

    def _before(self, anchor: date) -> np.ndarray:
        """float64[n, ...]: the target's aggregations over windows that end at the anchor."""
        with self._making:
            if anchor not in self._spans_at:
                rows = self.week.build.query(*spans_sql(self.learnt, anchor, self._spans))
                columns = [self._placed(anchor, rows.iloc[:, 0], rows[name]) for name in rows.columns[1:]]
                self._spans_at = {anchor: np.column_stack(columns)}
            return self._spans_at[anchor]

    def formulas(self, sheet: Sheet, anchor: date) -> dict[str, np.ndarray]:
        """The target as it was over the window of equal length that ended at the anchor; of a number also what 91
        days come to in that window, where they add up."""
        target, spans = self.query.target, self._before(anchor)[sheet.customer]
        if self.query.task != "regression":
            before = anchor - timedelta(days=self._spans[0])
            rows = self.week.build.query(*labels_sql(replace(self.learnt, where=None), before))
            return {
                PREVIOUS: np.nan_to_num(self._placed(anchor, rows.iloc[:, 0], rows["label"])[sheet.customer])
            }
        share = self._spans[0] / QUARTER if target.function in ("SUM", "COUNT") else 1.0
        quarter = spans[:, self._spans.index(QUARTER)]
        return {PREVIOUS: np.nan_to_num(spans[:, 0]), RATE: np.nan_to_num(quarter * share)}
