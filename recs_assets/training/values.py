"""Rankings of categories, brands or verticals: every value for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cached_property, partial
from hashlib import sha256

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import is_stored
from recs_assets.known.facts import as_array, look_up
from recs_assets.queries.compiler import compile_items
from recs_assets.queries.syntax import Query, QueryError
from recs_assets.queries.validation import item_column
from recs_assets.recommenders.base import View
from recs_assets.shop import RANKER
from recs_assets.training.activity import count_days_to
from recs_assets.training.history import FIGURES, HALF_LIVES, PAIR_FEATURES, History
from recs_assets.training.tasks import LEAST_ELIGIBLE, Dated, Sheet, make_empty_sheet, place_ids
from recs_assets.week.blocks import BLOCK
from recs_assets.week.week import Week

# Of the customer, whatever the value; more of `Activity` costs time and brings nothing.
RHYTHM = (
    "days_since_last_purchase",
    "purchase_days_7d",
    "purchase_days_28d",
    "purchase_days_91d",
    "mean_gap_days",
)
# Values of one query; each costs an evaluation of its own.
MOST_VALUES = 5_000
# Pairs of customer and value that are made at once, and learned from at one anchor at most.
MOST_CELLS = 1_500_000
CHUNK = 250_000


class Values(Dated):
    """(customer, category, brand or vertical): every value for everybody."""

    most_anchors = 6
    most_rows = RANKER.training_rows // 2

    def __init__(self, week: Week, as_of: date, query: Query, view: View) -> None:
        super().__init__(week, as_of, query, view)
        self.column = item_column(self.query)
        self._histories: dict[date, History] = {}
        self._truths: dict[date, sparse.csr_matrix] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        return (*PAIR_FEATURES, *RHYTHM)

    @cached_property
    def values(self) -> pd.Series:
        """What may be listed, sorted: whatever the filter admits at the week."""
        found = self.week.build.query(*compile_items(self.query, self.as_of))["item"]
        if not 1 < len(found) <= MOST_VALUES:
            raise QueryError(
                f"{self.column} has {len(found)} value{'' if len(found) == 1 else 's'} here; a list takes 2 to {MOST_VALUES}, so use another column.",
                self.query.text,
                self.query.mode_at,
            )
        return found

    @property
    def most_customers(self) -> int:
        return max(LEAST_ELIGIBLE, min(super().most_customers, MOST_CELLS // len(self.values)))

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
        return place_ids(self.values, rows["value"])

    def history(self, anchor: date) -> History:
        with self._making:
            if anchor not in self._histories:
                bought, now = self.activity.bought, count_days_to(anchor)
                there = (bought["day"] < now) & (bought["gone"] >= now)
                rows = (bought[name][there] for name in ("customer", "product", "day"))
                size = (len(self.ids(anchor)), len(self.values))
                figures = self._look_up_figures() if self.week.is_block else None
                self._histories = {anchor: History(*rows, self._group, size, now, figures)}
            return self._histories[anchor]

    def count_figures(self) -> None:
        """Count of the whole shop what a block of its customers looks up of the values, as facts."""
        known, name = self.week.known(), self._fact_name
        for figure, values in self.history(self.as_of).figures.items():
            known.shop_fact(f"{name}/{figure}", partial(np.asarray, values))

    def _look_up_figures(self) -> dict[str, np.ndarray]:
        facts = self.week.known().shop_facts
        return {figure: as_array(look_up(facts, f"{self._fact_name}/{figure}")) for figure in FIGURES}

    @property
    def _fact_name(self) -> str:
        return f"values/{sha256(str(self.query).encode()).hexdigest()[:16]}"

    def pick_customers(self, anchor: date) -> np.ndarray:
        """bool[n]: the eligible; where one value comes true, before the week without those of whom none did."""
        eligible = self.eligible(anchor)
        if anchor == self.as_of or not self.query.picks_one:
            return eligible
        return eligible & (np.diff(self.load_truth(anchor).indptr) > 0)

    def load_truth(self, anchor: date) -> sparse.csr_matrix:
        if anchor not in self._truths:
            self._truths = {anchor: self.truth(anchor, self.values)}
        return self._truths[anchor]

    def sheet(self, anchor: date, first: int, last: int) -> Sheet:
        history, count = self.history(anchor), len(self.values)
        customers = first + np.flatnonzero(self.pick_customers(anchor)[first:last])
        if len(customers) == 0:
            return make_empty_sheet()
        customer, value = np.repeat(customers, count), np.tile(np.arange(count), len(customers))
        label = np.full(len(customer), np.nan)
        if anchor != self.as_of:
            label = is_stored(self.load_truth(anchor), customer, value).astype(np.float64)
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
        own = history.take(sheet.customer, sheet.item, history.decayed[HALF_LIVES.index(90.0)], 0)
        return {"own_frequency": own, "popularity": history.popularity[sheet.item]}
