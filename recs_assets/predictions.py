"""A predictive query -> predictions: labels, candidates, a model of its own, its test, the result.

The anchors are those of the week's build, so that nothing is computed a second time. One model per
query learns at the training anchors, is stopped and calibrated on the latest of them, tested at the
test anchor, grown again with it, and asked at the week. A label window never reaches past the test
anchor (training) or the week (test). Labels as SQL over a time window: Robinson et al. 2024,
RelBench (https://arxiv.org/abs/2407.20060).

    rank on products        the weekly candidates and features, restricted to the query's items
    rank or classify on     (customer, value) pairs: what she bought, and the most popular values
    category, brand, vertical
    binary, regression      the customer's features and the target over the window before the anchor

This module is arrays in and frames out; SQL comes from `campaigns.compiler` and is run by the warehouse.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from datetime import time as midnight
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.campaigns.compiler import entities_sql, explain, horizon, items_sql, labels_sql
from recs_assets.campaigns.parser import parse
from recs_assets.campaigns.syntax import (
    Aggregate,
    And,
    Comparison,
    Condition,
    Not,
    Or,
    Query,
    QueryError,
    Window,
    operands,
)
from recs_assets.campaigns.validation import item_column, validate
from recs_assets.defs.deployment import RANKER, Deployment
from recs_assets.defs.ranker import (
    BLOCK,
    NAMES,
    SOURCES,
    WITHOUT_OFFERS,
    Lesson,
    blocks,
    candidates_of,
    frames,
    together,
    without_calendar,
)
from recs_assets.defs.recommenders import listed_customers, lists_path, make
from recs_assets.evaluation.bootstrap import paired_difference
from recs_assets.evaluation.evaluate import truths
from recs_assets.evaluation.metrics import per_customer
from recs_assets.interactions import Known
from recs_assets.ranking.calibration import Calibrator, calibrate
from recs_assets.ranking.candidates import Candidates, merge
from recs_assets.ranking.features import CATEGORY, CUSTOMER, CUSTOMER_BRAND, CUSTOMER_CATEGORY
from recs_assets.ranking.ranker import LEAVES, Ranker, negative_rate, sample_negatives
from recs_assets.recommenders.artefacts import read_lists
from recs_assets.recommenders.base import Recommender, rank_within, stored
from recs_assets.schema import WarehouseError
from recs_assets.settings import Settings
from recs_assets.warehouse import Warehouse

View = Literal["all", "new", "repeat"]

# A window may be cut to what the week's anchors allow if so much of it is left.
LEAST_KEPT = 0.9
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
# AUROC of a value needs so many customers with it and so many without.
LEAST_EVENTS = 10

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


# -- which anchors ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """The query with windows that fit, and the anchors that serve it.

    Attributes:
        query: validated.
        week: predict.
        test: test, refit.
        train: latest first; the first one stops and calibrates, the others fit.
        note: one sentence where the query was cut, otherwise empty.
    """

    query: Query
    week: date
    test: date
    train: tuple[date, ...]
    note: str = ""


def plan(query: Query, week: date, anchors: Sequence[date], train_anchors: int, horizon_days: int) -> Plan:
    """The latest anchors whose label windows are over in time.

    A target up to a tenth longer than the week's own label window is cut to it (30 days where
    weeks are built for 28) and the plan says so.

    Args:
        query: validated.
        week: where predictions are made.
        anchors: at which the build holds features and lists.
        train_anchors: at most so many, at least 2.
        horizon_days: label window that the anchors were laid out for.

    Raises:
        QueryError: no such anchors: the window is too long for the build.
    """
    earlier = sorted((one for one in anchors if one < week), reverse=True)
    for test in earlier:
        if horizon(query, test) > _start(week):
            continue
        train = [one for one in earlier if one < test and horizon(query, one) <= _start(test)]
        if len(train) >= 2:
            return Plan(query, week, test, tuple(train[:train_anchors]))
    days = math.ceil((horizon(query, week) - _start(week)) / timedelta(days=1))
    at = operands(query.target)[0].window.at
    if horizon_days < days <= horizon_days / LEAST_KEPT:
        cut = plan(_cut(query, horizon_days), week, anchors, train_anchors, horizon_days)
        note = f"Labels cover the first {horizon_days} of the {days} days: the anchors of the week are laid out for that."
        return replace(cut, note=note)
    longer = math.ceil(days / 7) * 7
    raise QueryError(
        f"the target looks {days} days ahead, but the anchors of the week {week} are laid out for {horizon_days}; "
        f"shorten the window, or run the week with RECS_HORIZON_DAYS={longer}.",
        query.text,
        at,
    )


def _start(day: date) -> datetime:
    return datetime.combine(day, midnight())


def _cut(query: Query, days: int) -> Query:
    """The query with no target window that ends after so many days."""
    per_day = {"days": 1, "hours": 24, "minutes": 1440}

    def window(one: Window) -> Window:
        if one.unit in per_day:
            return replace(one, end=min(one.end, days * per_day[one.unit]))
        return replace(one, end=days, unit="days") if one.start == 0 else one

    def node(one: Aggregate | Condition) -> Aggregate | Condition:
        if isinstance(one, Aggregate):
            return replace(one, window=window(one.window))
        if isinstance(one, Comparison):
            return replace(one, operand=node(one.operand))
        if isinstance(one, Not):
            return Not(node(one.item))
        return type(one)(tuple(node(item) for item in one.items)) if isinstance(one, And | Or) else one

    return replace(query, target=node(query.target))


# -- what comes out ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Prediction:
    """What a query predicts at its week, and how well it did at the test anchor.

    Attributes:
        plan: anchors and the query as it was answered.
        item: "product_id", "category", "brand" or "vertical"; None for a number or a boolean.
        rows: customer int32 (code of `known(week)`), and for a list product or value int32, rank
            int32 from 1, score float32 (log-odds), probability float32, for products also source
            (the recommender that ranks it highest); for a boolean score, probability; for a number
            prediction float64. Sorted by customer, rank.
        tested: for products, the same at the test anchor (codes of `known(test)`), otherwise None.
        truth: for products, csr of what was really bought there, otherwise None.
        table: as `rows` with ids instead of codes, at most k per customer: what `predict` returns.
        metrics: metric, model ("query" or a baseline), value, and for baselines difference (query
            less baseline), ci_low, ci_high (paired bootstrap); NaN where there is none.
        by_value: per category, brand or vertical: value, customers (with it), auroc and average
            precision of the query and both baselines; None for other targets.
        eligible: customers at the week.
        features: names that the trees used.
        seconds: wall time.
    """

    plan: Plan
    item: str | None
    rows: pd.DataFrame
    tested: pd.DataFrame | None
    truth: sparse.csr_matrix | None
    table: pd.DataFrame
    metrics: pd.DataFrame
    by_value: pd.DataFrame | None
    eligible: int
    features: tuple[str, ...]
    seconds: float

    def shown(self, most: int = 40) -> str:
        """The table's first rows, and the test, as text."""
        lines = [self.table.head(most).to_string(index=False)]
        if len(self.table) > most:
            lines.append(
                f"... and {len(self.table) - most:,} more rows (recs_assets.predict returns them all)."
            )
        lines.append(
            f"\n{self.eligible:,} eligible customers at {self.plan.week}, {len(self.table):,} rows, {self.seconds:.0f} s."
        )
        if self.plan.note:
            lines.append(self.plan.note)
        if len(self.metrics):
            best_first = self.metrics.sort_values(["metric", "value"], ascending=[True, False], kind="stable")
            lines.append(
                f"\nTest at {self.plan.test}; difference: query less baseline, with its 95 % bootstrap interval.\n"
                + best_first.to_string(index=False, float_format="{:.4f}".format)
            )
        return "\n".join(lines)


# -- one anchor's rows ------------------------------------------------------------------------


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
    """How the rows of one kind of target are made."""

    names: tuple[str, ...]  # the features

    def __init__(
        self, deployment: Deployment, warehouse: Warehouse, week: date, query: Query, view: View
    ) -> None:
        self.deployment, self.warehouse, self.week = deployment, warehouse, week
        self.query, self.view = query, view
        self._eligible: dict[date, np.ndarray] = {}

    def known(self, anchor: date) -> Known:
        return self.warehouse.known(self.week, anchor)

    def eligible(self, anchor: date) -> np.ndarray:
        """bool[n_customers]: pass the query's WHERE and, before the week, are in the sample that is learnt from."""
        if anchor not in self._eligible:
            rows = self.warehouse.answer(self.week, *entities_sql(self.query, anchor))
            mask = np.zeros(self.known(anchor).n_customers, dtype=bool)
            mask[self.codes(anchor, rows["customer_id"])] = True
            listed = np.zeros_like(mask)
            listed[listed_customers(self.deployment, self.warehouse, self.week, anchor)] = True
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
            self.deployment.settings.seed,
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
    """

    def __init__(self, *job: object) -> None:
        super().__init__(*job)
        self.names = NAMES
        self._admitted: dict[date, np.ndarray] = {}
        self._remade: dict[date, dict[str, Recommender]] = {}

    def item_ids(self, anchor: date) -> np.ndarray:
        return self.known(anchor).products["product_id"].to_numpy(dtype=object)

    def admitted(self, anchor: date) -> np.ndarray:
        """bool[n_products]: pass the target's filter."""
        if anchor not in self._admitted:
            rows = self.warehouse.answer(self.week, *items_sql(self.query, anchor))
            mask = np.zeros(self.known(anchor).n_products, dtype=bool)
            mask[_places(self.known(anchor).products["product_id"], rows["item"])] = True
            self._admitted[anchor] = mask
        return self._admitted[anchor]

    def remade(self, anchor: date) -> dict[str, Recommender]:
        """The recommenders whose lists are made again, fitted where only admitted products are available."""
        if anchor not in self._remade:
            known, admitted = self.known(anchor), self.admitted(anchor)
            names = ("repurchase",) if self.view == "repeat" else () if admitted.all() else REMADE
            narrow = replace(known, products=known.products.assign(available=known.available & admitted))
            self._remade = {anchor: {name: make(self.deployment, name).fit(narrow) for name in names}}
        return self._remade[anchor]

    def pool(self, anchor: date, first: int, last: int) -> Candidates:
        """The candidates of the eligible among customer codes `[first, last)`."""
        known, eligible, admitted = self.known(anchor), self.eligible(anchor), self.admitted(anchor)
        remade = self.remade(anchor)
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
                made = remade[name].recommend_views(customers, self.deployment.settings.candidates, views)
                lists |= {name if view == "all" else f"{name}:new": rows for view, rows in made.items()}
        own, new = RANKER.pool.own, RANKER.pool.new
        limits = {"all": (own, new), "new": (0, own + new), "repeat": (OWN_LIMIT, 0)}
        return merge(lists, known, *limits[self.view])

    def sheet(self, anchor: date, first: int, last: int) -> Sheet:
        known = self.known(anchor)
        parts = [
            self.pool(anchor, start, min(start + BLOCK, last))
            for start in range(first, last, BLOCK)
            if self.eligible(anchor)[start : start + BLOCK].any()
        ]
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
                f"{self.column} has {len(found)} values here; a list takes 2 to {MOST_VALUES}, so use another column.",
                self.query.text,
                self.query.mode_at,
            )
        return found

    def item_ids(self, anchor: date) -> np.ndarray:
        return self.values.to_numpy(dtype=object)

    def history(self, anchor: date) -> History:
        if anchor not in self._histories:
            known = self.known(anchor)
            self._histories = {
                anchor: History(known, _places(self.values, known.products[self.column]), len(self.values))
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
        for start in range(first, last, BLOCK):
            pool = candidates_of(self.warehouse, self.week, anchor, known, start, min(start + BLOCK, last))
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
        days = math.ceil((horizon(self.query, anchor) - _start(anchor)) / timedelta(days=1))
        return self._values(anchor, anchor - timedelta(days=days), replace(self.query, where=None))


def _bare(customer: np.ndarray, product: np.ndarray) -> Candidates:
    """Pairs that no list holds: keys for `Warehouse.frame`."""
    n = len(customer)
    return Candidates(
        customer.astype(np.int32), product.astype(np.int32), np.zeros(n, np.float32), np.zeros(n, bool), {}
    )


# -- learning ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Learned:
    """A fitted model: raw scores of a frame, and what they mean."""

    score: Callable[[np.ndarray], np.ndarray]
    calibrator: Calibrator | None
    used: tuple[str, ...]
    refit: Callable[[list[Lesson]], Learned]

    def probability(self, score: np.ndarray) -> np.ndarray:
        return self.calibrator.probability(score)


def learn_ranking(lessons: list[Lesson], kept: Lesson, seed: int, threads: int) -> Learned:
    """The weekly ranker and its calibration on the query's candidates.

    Args:
        lessons: what is fitted on.
        kept: all rows of a later anchor: stops and calibrates.
        seed: of LightGBM.
        threads: of LightGBM.

    Raises:
        ValueError: from `Ranker.fit` and `calibrate`: all labels are equal.
    """
    model = Ranker(RANKER, seed, threads).fit(**together(lessons), valid=(kept.frame, kept.label, kept.group))
    calibrator, _ = calibrate(model.score(kept.frame), kept.label, kept.group)

    def refit(more: list[Lesson]) -> Learned:
        again = Ranker(RANKER, seed, threads).fit(
            **together(more), rounds=max(1, model.rounds_), used=model.used_
        )
        return Learned(again.score, calibrator, again.used_, refit)

    return Learned(model.score, calibrator, model.used_, refit)


def learn_trees(
    objective: Literal["binary", "regression"],
    lessons: list[Lesson],
    stop: Lesson,
    kept: Lesson,
    seed: int,
    threads: int,
) -> Learned:
    """LightGBM where order within a customer's list is not the point: a probability, or a mean.

    Args:
        objective: "binary" stops by AUROC and is calibrated; "regression" by squared error.
        lessons: what is fitted on.
        stop: rows of a later anchor that stop; a sample will do.
        kept: all rows of that anchor, which calibrate.
        seed: of LightGBM.
        threads: of LightGBM.

    Raises:
        ValueError: from `calibrate`: all labels are equal.
    """
    import lightgbm as lgb

    trees, names = RANKER.trees.model_dump(), kept.names  # not kept itself: a closure would hold its frame

    def train(parts: list[Lesson], rounds: int, valid: Lesson | None = None) -> lgb.Booster:
        data = together(parts)
        parameters = {
            **trees,
            "objective": objective,
            "metric": "auc" if objective == "binary" else "l2",
            # A bound made for a million rows would leave a small shop's trees without a split.
            "min_data_in_leaf": min(trees["min_data_in_leaf"], max(20, len(data["y"]) // LEAVES)),
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": threads,
            "verbosity": -1,
        }
        dataset = lgb.Dataset(data["X"], data["y"], weight=data["weight"], params=parameters)
        held, calls = [], []
        if valid is not None:
            held = [dataset.create_valid(valid.frame, valid.label, weight=valid.weight)]
            calls = [lgb.early_stopping(RANKER.patience, verbose=False)]
        return lgb.train(parameters, dataset, rounds, valid_sets=held, callbacks=calls)

    first = train(lessons, RANKER.max_rounds, stop)
    rounds = max(1, first.best_iteration)

    def learned(booster: lgb.Booster, calibrator: Calibrator | None) -> Learned:
        gain = booster.feature_importance("gain")
        used = tuple(name for name, one in zip(names, gain, strict=True) if one > 0)
        return Learned(
            lambda X: booster.predict(X, raw_score=True, num_iteration=rounds, num_threads=threads),
            calibrator,
            used,
            lambda more: learned(train(more, rounds), calibrator),
        )

    model = learned(first, None)
    if objective == "regression":
        return model
    return learned(first, calibrate(model.score(kept.frame), kept.label, kept.group)[0])


# -- judging ----------------------------------------------------------------------------------


def auroc(label: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: chance that a positive scores above a negative, ties count half.

    >>> auroc(np.array([0, 1, 1]), np.array([1.0, 1.0, 2.0]))
    0.75
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(label, score))


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """Mean precision at each positive, without interpolation; equal scores form one step.

    >>> average_precision(np.array([0, 1, 1, 0]), np.zeros(4))
    0.5
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(label, score))


def _metrics(values: dict[tuple[str, str], float | np.ndarray], seed: int) -> pd.DataFrame:
    """(metric, model) -> a number, or a value per customer (or category) whose mean it is."""
    rows = []
    for (metric, model), value in values.items():
        mine = values[metric, "query"]
        difference = low = high = math.nan
        if model != "query":
            difference = float(np.mean(mine) - np.mean(value))
            if isinstance(value, np.ndarray):
                difference, low, high = paired_difference(mine, value, seed)
        rows.append((metric, model, float(np.mean(value)), difference, low, high))
    return pd.DataFrame(rows, columns=["metric", "model", "value", "difference", "ci_low", "ci_high"])


def judge_products(
    lists: dict[str, pd.DataFrame], truth: sparse.csr_matrix, customers: np.ndarray, top: int, seed: int
) -> pd.DataFrame:
    """MAP@12, recall@12 and recall@top of lists, over customers with something true.

    Args:
        lists: "query" and the baselines -> customer, product, rank.
        truth: csr[n_customers, n_products], in the view.
        customers: codes that were asked for.
        top: k of the query.
        seed: of the bootstrap.
    """
    some = customers[np.diff(truth.indptr)[customers] > 0]
    if len(some) == 0:
        return _metrics({}, seed)
    values = {}
    for name, rows in lists.items():
        found = per_customer(rows, truth, some, sorted({12, top}))
        for metric, k in dict.fromkeys([("map", 12), ("recall", 12), ("recall", top)]):
            values[f"{metric}@{k}", name] = found[metric, k]
    return _metrics(values, seed)


def judge_values(
    customers: np.ndarray,
    truth: sparse.csr_matrix,
    scores: dict[str, sparse.csr_matrix],
    popularity: np.ndarray,
    values: Sequence[str],
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """AUROC and average precision within each value, over all customers asked for.

    A pair that was no candidate scores 0. Within a value popularity is the same for everybody:
    AUROC 0.5, and average precision the share of customers with it; so "pooled_*" compares all
    pairs of all values at once, too.

    Args:
        customers: codes asked for.
        truth: csr[n_customers, n_values].
        scores: "query" and "own_frequency" -> csr of that shape, 0 or more.
        popularity: float64[n_values].
        values: their names.
        seed: of the bootstrap, which draws values.

    Returns:
        Metrics, and a row per value with at least `LEAST_EVENTS` customers with and without it.
    """
    columns = {name: matrix[customers].tocsc() for name, matrix in scores.items()}
    wanted = truth[customers].tocsc()
    count = np.diff(wanted.indptr)
    judged = np.flatnonzero((count >= LEAST_EVENTS) & (len(customers) - count >= LEAST_EVENTS))
    rows, pooled = [], {name: [] for name in ("label", *columns, "popularity")}
    for value in judged:
        label = np.asarray(wanted[:, [value]].todense()).ravel() > 0
        dense = {name: np.asarray(matrix[:, [value]].todense()).ravel() for name, matrix in columns.items()}
        dense["popularity"] = np.full(len(customers), popularity[value])
        row = {"value": values[value], "customers": int(count[value])}
        for name, score in dense.items():
            row |= {f"auroc_{name}": auroc(label, score), f"ap_{name}": average_precision(label, score)}
            pooled[name].append(score)
        pooled["label"].append(label)
        rows.append(row)
    table = pd.DataFrame(rows)
    if len(table) == 0:
        return _metrics({}, seed), table
    flat = {name: np.concatenate(parts) for name, parts in pooled.items()}
    found: dict[tuple[str, str], float | np.ndarray] = {}
    for name in ("query", "own_frequency", "popularity"):
        found["auroc", name] = table[f"auroc_{name}"].to_numpy()
        found["average_precision", name] = table[f"ap_{name}"].to_numpy()
        found["pooled_auroc", name] = auroc(flat["label"], flat[name])
        found["pooled_average_precision", name] = average_precision(flat["label"], flat[name])
    return _metrics(found, seed), table.sort_values("customers", ascending=False, ignore_index=True)


def judge_boolean(label: np.ndarray, scores: dict[str, np.ndarray], seed: int) -> pd.DataFrame:
    """AUROC and average precision over customers; nothing where all labels are equal."""
    if not 0 < label.sum() < len(label):
        return _metrics({}, seed)
    measures = {"auroc": auroc, "average_precision": average_precision}
    return _metrics(
        {
            (metric, name): of(label, score)
            for name, score in scores.items()
            for metric, of in measures.items()
        },
        seed,
    )


def judge_number(label: np.ndarray, scores: dict[str, np.ndarray], seed: int) -> pd.DataFrame:
    """Mean absolute error (in the target's unit) and R2 = 1 - squared error / variance, over customers."""
    values: dict[tuple[str, str], float | np.ndarray] = {}
    spread = float(((label - label.mean()) ** 2).sum())
    for name, score in scores.items():
        values["mae", name] = np.abs(label - score)
        if spread > 0:
            values["r2", name] = 1 - float(((label - score) ** 2).sum()) / spread
    return _metrics(values, seed)


# -- answering --------------------------------------------------------------------------------


def answer(
    query: str | Query,
    deployment: Deployment,
    warehouse: Warehouse,
    week: date,
    view: View = "all",
    depth: int | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Prediction:
    """Learn what the query asks, test it, and predict it at the week.

    Args:
        query: text, or parsed.
        deployment: settings and anchors.
        warehouse: whose build file of the week holds features and lists.
        week: the anchor.
        view: for products: "new" ranks what the customer never bought, "repeat" what she did; labels
            and test likewise.
        depth: rows per customer in `rows` (a campaign's rules take some out); None: k of the query.
        say: is told about the progress.

    Raises:
        QueryError: the query is not valid, is for another date, needs other anchors, or there is
            nothing to learn from.
        WarehouseError: the week has no complete build.
        ArtefactError: its lists are missing.
    """
    started = time.monotonic()
    asked = _checked(query, week, view)
    found = plan(asked, week, deployment.anchors(week), RANKER.train_anchors, deployment.horizon_days)
    query, seed, threads = found.query, deployment.settings.seed, deployment.settings.threads
    task = _task_of(found, deployment, warehouse, view)
    number = query.task == "regression"

    lessons: list[Lesson] = []
    for anchor in found.train:
        sheet = _told(task.whole(anchor))
        say(f"{anchor}: {len(sheet):,} rows, {sheet.label.mean() if len(sheet) else 0:.4g} on average.")
        _teaches(sheet.label, number, query, anchor)
        picked = task.picked(sheet, anchor, len(found.train))
        if anchor == found.train[0]:
            kept = task.lesson(sheet, *task.every(sheet))
            again = kept.take(*picked)
        else:
            lessons.append(task.lesson(sheet, *picked))
    try:
        if isinstance(task, Products):
            model = learn_ranking(lessons, kept, seed, threads)
        else:
            objective = "regression" if number else "binary"
            model = learn_trees(objective, lessons, again, kept, seed, threads)
    except ValueError as error:
        raise _untaught(query, found.train[0], str(error)) from error
    del kept
    say(f"Learnt; testing at {found.test}.")
    sheet = _told(task.whole(found.test))
    if len(sheet) == 0:
        raise _untaught(query, found.test, "no rows")
    every = np.arange(len(sheet))
    score = np.concatenate([np.empty(0), *(model.score(X) for X in sheet.chunks(every))])
    metrics, by_value, tested, truth = _judged(task, found, sheet, score, model, depth, seed)
    # The anchors that stopped, calibrated and tested are learnt from only now.
    lessons += [again, task.lesson(sheet, *task.picked(sheet, found.test, len(found.train)))]
    final = model.refit(lessons)
    del lessons, sheet
    say(f"Predicting at {week}.")
    parts = []
    for first, last in blocks(task.known(week)):
        sheet = task.sheet(week, first, last)
        if len(sheet):
            score = np.concatenate([final.score(X) for X in sheet.chunks(np.arange(len(sheet)))])
            parts.append(_listed(task, sheet, score, final, depth))
    if not parts:
        raise QueryError(f"nobody is eligible at {week}; loosen the WHERE of the query.", query.text, 0)
    predicted = pd.concat(parts, ignore_index=True)
    return Prediction(
        found,
        None if isinstance(task, Customers) else item_column(query),
        predicted,
        tested,
        truth,
        _with_ids(task, predicted),
        metrics,
        by_value,
        int(task.eligible(week).sum()),
        final.used,
        time.monotonic() - started,
    )


def _checked(query: str | Query, week: date, view: View) -> Query:
    query = validate(parse(query) if isinstance(query, str) else query)
    if query.as_of not in (None, week):
        raise QueryError(f"the query is AS OF {query.as_of}, but it is asked for {week}; leave one out.")
    if view != "all" and not (query.task == "rank" and item_column(query) == "product_id"):
        raise QueryError(f"only a ranking of products can be about {view} purchases; use the view all.")
    return query


def _task_of(found: Plan, deployment: Deployment, warehouse: Warehouse, view: View) -> Task:
    job = (deployment, warehouse, found.week, found.query, view)
    if found.query.mode is None:
        return Customers(*job)
    if item_column(found.query) != "product_id":
        return Values(*job)
    task = Products(*job)
    if without_calendar(warehouse, found.week, found.week, [found.test, *found.train]):
        task.names = WITHOUT_OFFERS
    return task


def _told(sheet: Sheet) -> Sheet:
    """Without rows whose label is unknown: an average of nothing."""
    keep = np.flatnonzero(~np.isnan(sheet.label))
    if len(keep) == len(sheet):
        return sheet
    return Sheet(
        sheet.customer[keep],
        sheet.item[keep],
        sheet.label[keep],
        lambda rows: sheet.chunks(keep[rows]),
        {name: values[keep] for name, values in sheet.baselines.items()},
    )


def _teaches(label: np.ndarray, number: bool, query: Query, anchor: date) -> None:
    if len(label) == 0 or (not number and not 0 < label.sum() < len(label)):
        said = "no rows" if len(label) == 0 else f"{int(label.sum())} of {len(label)} labels true"
        raise _untaught(query, anchor, said)


def _untaught(query: Query, anchor: date, why: str) -> QueryError:
    return QueryError(
        f"there is nothing to learn from at {anchor} ({why.rstrip('.')}); widen the target or the WHERE.",
        query.text,
        operands(query.target)[0].at,
    )


def _judged(
    task: Task, found: Plan, sheet: Sheet, score: np.ndarray, model: Learned, depth: int | None, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame | None, pd.DataFrame | None, sparse.csr_matrix | None]:
    """Metrics, metrics by value, and for products the test's lists and what came true."""
    customers = np.flatnonzero(task.eligible(found.test))
    if isinstance(task, Products):
        known = task.known(found.test)
        truth = truths(task.truth(found.test, known.products["product_id"]), known.history)[task.view]
        top = task.query.top
        lists = {"query": sheet.candidates.ranked(score, max(12, top))}
        for name, baseline in sheet.baselines.items():
            there = np.isfinite(baseline)
            lists[name] = sheet.candidates.ranked(np.where(there, baseline, 0), max(12, top), there)
        tested = _listed(task, sheet, score, model, depth)
        return judge_products(lists, truth, customers, top, seed), None, tested, truth
    if isinstance(task, Values):
        truth = task.truth_of(found.test)
        cell = (sheet.customer, sheet.item)
        scores = {
            name: sparse.csr_matrix((values, cell), shape=truth.shape)
            for name, values in (
                ("query", model.probability(score)),
                ("own_frequency", sheet.baselines["own_frequency"]),
            )
        }
        popularity = task.history(found.test).popularity
        return (*judge_values(customers, truth, scores, popularity, list(task.values), seed), None, None)
    naive = np.nan_to_num(sheet.baselines[PREVIOUS])
    if model.calibrator is None:
        return judge_number(sheet.label, {"query": score, PREVIOUS: naive}, seed), None, None, None
    return judge_boolean(sheet.label, {"query": score, PREVIOUS: naive}, seed), None, None, None


def _listed(task: Task, sheet: Sheet, score: np.ndarray, model: Learned, depth: int | None) -> pd.DataFrame:
    """`Prediction.rows` of one sheet."""
    if model.calibrator is None:
        return pd.DataFrame({"customer": sheet.customer, "prediction": score})
    probability = model.probability(score).astype(np.float32)
    if isinstance(task, Customers):
        return pd.DataFrame(
            {"customer": sheet.customer, "score": score.astype(np.float32), "probability": probability}
        )
    item = "product" if isinstance(task, Products) else "value"
    most = depth or task.query.top or MOST_VALUES
    order = np.lexsort((sheet.item, -score, sheet.customer))
    rank = rank_within(sheet.customer[order])
    order, rank = order[rank <= most], rank[rank <= most]
    rows = pd.DataFrame(
        {
            "customer": sheet.customer[order],
            item: sheet.item[order],
            "rank": rank.astype(np.int32),
            "score": score[order].astype(np.float32),
            "probability": probability[order],
        }
    )
    if sheet.candidates is not None:
        rows["source"] = pd.Categorical(sheet.candidates.take(order).best_source())
    return rows


def _with_ids(task: Task, rows: pd.DataFrame) -> pd.DataFrame:
    table = rows[rows["rank"] <= task.query.top] if task.query.top else rows
    ids = {"customer_id": task.known(task.week).customers["customer_id"].to_numpy()[table["customer"]]}
    for code in ("product", "value"):
        if code in table:
            name = item_column(task.query)
            ids[name] = task.item_ids(task.week)[table[code]]
    rest = table.drop(columns=["customer", "product", "value"], errors="ignore").reset_index(drop=True)
    return pd.concat([pd.DataFrame(ids), rest], axis=1)


def explained(
    query: str | Query, deployment: Deployment, warehouse: Warehouse, week: date, view: View = "all"
) -> str:
    """The query in its normal form, the SQL of its labels, who is eligible, the anchors, the features.

    Nothing is learnt; raises as `answer` does.
    """
    asked = _checked(query, week, view)
    found = plan(asked, week, deployment.anchors(week), RANKER.train_anchors, deployment.horizon_days)
    task = _task_of(found, deployment, warehouse, view)
    kept, *fitted = found.train
    return (
        f"{explain(found.query, week)}\n"
        f"-- eligible at {week}\n{int(task.eligible(week).sum())} of {task.known(week).n_customers} customers\n\n"
        f"-- anchors\nfit {', '.join(map(str, fitted))}; stop and calibrate {kept}; test {found.test}; predict {week}\n"
        + (f"{found.note}\n" if found.note else "")
        + f"\n-- features ({len(task.names)}; the trees take up to {RANKER.features_kept} of them)\n{', '.join(task.names)}\n"
    )


# -- the shell and the notebook ---------------------------------------------------------------


def opened(query: str, as_of: date | None) -> tuple[Query, Deployment, Warehouse, date]:
    """The deployment of the environment, and the week: `as_of`, the query's own, or the newest published.

    Raises:
        QueryError: the query cannot be read.
        WarehouseError: nothing is published, or the week has no build.
        SettingsError: see `Settings`.
    """
    parsed = validate(parse(query))
    deployment = Deployment.from_settings(Settings())
    warehouse = deployment.warehouse()
    week = as_of or parsed.as_of or warehouse.newest_published()
    if not warehouse.build_path(week).exists():
        raise WarehouseError(
            f"The week {week} has no build in {warehouse.home}: run it first (python -m recs_assets run --as-of {week})."
        )
    return parsed, deployment, warehouse, week


def predict(query: str, as_of: date | str | None = None, view: View = "all") -> pd.DataFrame:
    """What a predictive query (docs/queries.md) predicts, from the build of that week under RECS_HOME.

    Args:
        query: the text.
        as_of: a Monday that was run, as a date or "2018-01-01"; default: the query's AS OF, else the
            newest week that is published.
        view: for a ranking of products: "all", "new" (never bought by the customer) or "repeat".

    Returns:
        One row per customer and item with rank, score, probability and (products) source; for a
        boolean one row per customer with probability, for a number with prediction.

    Raises:
        RecsError: one plain sentence; see `answer` and `opened`.
    """
    try:
        day = date.fromisoformat(as_of) if isinstance(as_of, str) else as_of
    except ValueError:
        raise QueryError(f"as_of is {as_of!r}, which is no date; write it like 2024-12-30.") from None
    parsed, deployment, warehouse, week = opened(query, day)
    return answer(parsed, deployment, warehouse, week, view).table
