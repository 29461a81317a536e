"""What customers (or products) did before an anchor, as features, from one load for all anchors.

Loaded once from the week's build and cut by day: an anchor costs some sums over arrays instead of a query.
A purchase that was wholly returned counts until the day on which it came back.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from recs_assets.arrays import find_runs, sum_runs
from recs_assets.declared_tables.features import list_aggregates, list_models, name_model, render
from recs_assets.declared_tables.file import DeclaredTable
from recs_assets.known.load import load_purchases
from recs_assets.queries.catalogue import CATALOGUE
from recs_assets.queries.compiler import compile_daily
from recs_assets.week.week import Week

WINDOWS = (7, 14, 28, 56, 91, 182, 364)
# Four weeks each, back from the anchor: what changes from one to the next.
LAGS = (28, 56, 84)
HALF_LIVES = (30, 90)
EPOCH = date(1970, 1, 1)
# Their counts depend on when one looks: purchases have an own load, with the day of the return.
BOUGHT = ("order_lines", "orders")
PURCHASE_FEATURES = (
    "days_since_last_purchase",
    "days_since_first_purchase",
    *(f"purchase_days_{days}d" for days in WINDOWS),
    *(f"amount_{days}d" for days in WINDOWS),
    *(f"purchase_days_decayed_{half}" for half in HALF_LIVES),
    *(f"amount_decayed_{half}" for half in HALF_LIVES),
    *(f"purchase_days_{lag}_{lag + 28}d" for lag in LAGS),
    *(f"amount_{lag}_{lag + 28}d" for lag in LAGS),
    "lines_91d",
    "mean_gap_days",
    "due_ratio",
    "amount_per_purchase_day",
)


def count_days_to(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


@dataclass(frozen=True)
class Daily:
    """Counts per entity and day, sorted: code int, day int, rows float."""

    code: np.ndarray
    day: np.ndarray
    rows: np.ndarray


class Activity:
    """Features of customers, or of products, at any anchor up to the week.

    Args:
        week: of the build.
        before: nothing dated on it or later is loaded.
        entity: "customers" or "products".
        key: their id's column.
        ids: all of them, sorted; position = code.
        others: tables that have features though none of these entities may have a row there; None: those with rows.
    """

    def __init__(
        self,
        week: Week,
        before: date,
        entity: str,
        key: str,
        ids: np.ndarray,
        others: Collection[str] | None = None,
    ) -> None:
        with week.build.read() as connection:
            bought = load_purchases(connection, before)
        code = bought["customer" if entity == "customers" else "product"].astype(np.int64)
        # One row per entity, day and day of return.
        order = np.lexsort((bought["gone"], bought["day"], code))
        code, day, gone = code[order], bought["day"][order], bought["gone"][order]
        first, _ = find_runs(code, day, gone)
        self.size = len(ids)
        self.bought = bought
        self.code, self.day, self.gone = code[first], day[first], gone[first]
        self.lines, self.amount = (sum_runs(bought[name][order], first) for name in ("lines", "amount"))
        self.others: dict[str, Daily] = {}
        self.week, self.key, self.ids = week, key, ids
        self.models = [
            (table, of) for table, of in list_models(week.shop.source.tables).values() if of == entity
        ]
        own = week.shop.source.tables
        for name, table in CATALOGUE.tables.items():
            if (
                name in BOUGHT
                or not table.has_events_of(entity)
                or "{known}" in table.sql
                or "$as_of" in table.sql
            ):
                continue
            rows = week.build.query(*compile_daily(table, key, before))
            place = np.searchsorted(ids, rows[key].to_numpy(dtype=object)) if len(rows) else np.empty(0, int)
            here = ids[np.minimum(place, len(ids) - 1)] == rows[key].to_numpy(dtype=object)
            if here.any() if others is None else name in others:
                day, count = (rows[column].to_numpy()[here] for column in ("day", "rows"))
                self.others[name] = Daily(place[here], day, count.astype(np.float64))
        self.names = (
            *PURCHASE_FEATURES,
            *(
                f"{name}_{what}"
                for name in self.others
                for what in ("days_since_last", *(f"{days}d" for days in (28, 91, 364)))
            ),
            *(
                f"{name_model(table.name, of)}.{aggregate.name}"
                for table, of in self.models
                for aggregate in list_aggregates(table, of, own)
            ),
        )

    @property
    def first_day(self) -> int | None:
        """The day of the first purchase, or in a shop without any of the first event; None where there is none."""
        if len(self.day):
            return int(self.day.min())
        return min((int(part.day.min()) for part in self.others.values()), default=None)

    def features(self, anchor: date) -> np.ndarray:
        """float32[entities, len(names)]; NaN where there is nothing to measure."""
        now = count_days_to(anchor)
        there = (self.day < now) & (self.gone >= now)
        code, age, amount = self.code[there], (now - self.day[there]).astype(np.float64), self.amount[there]
        lines = self.lines[there]

        def sum_by_code(keep: np.ndarray, values: np.ndarray) -> np.ndarray:
            return np.bincount(code[keep], weights=values[keep], minlength=self.size)

        ones, every = np.ones(len(code)), np.ones(len(code), dtype=bool)
        last, first = np.full(self.size, np.nan), np.full(self.size, np.nan)
        np.fmin.at(last, code, age)
        np.fmax.at(first, code, age)
        days, total = sum_by_code(every, ones), sum_by_code(every, amount)
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = np.where(days > 1, (first - last) / (days - 1), np.nan)
            due, each = last / np.maximum(gap, 0.5), np.where(days > 0, total / days, np.nan)
        columns = [
            last,
            first,
            *(sum_by_code(age <= window, ones) for window in WINDOWS),
            *(sum_by_code(age <= window, amount) for window in WINDOWS),
            *(sum_by_code(every, 0.5 ** (age / half)) for half in HALF_LIVES),
            *(sum_by_code(every, amount * 0.5 ** (age / half)) for half in HALF_LIVES),
            *(sum_by_code((age > lag) & (age <= lag + 28), ones) for lag in LAGS),
            *(sum_by_code((age > lag) & (age <= lag + 28), amount) for lag in LAGS),
            sum_by_code(age <= 91, lines),
            gap,
            due,
            each,
        ]
        for part in self.others.values():
            known = part.day < now
            ages = (now - part.day[known]).astype(np.float64)
            last = np.full(self.size, np.nan)
            np.fmin.at(last, part.code[known], ages)
            columns.append(last)
            for window in (28, 91, 364):
                here = ages <= window
                columns.append(
                    np.bincount(part.code[known][here], weights=part.rows[known][here], minlength=self.size)
                )
        for table, of in self.models:
            columns += self._load_own(table, of, anchor)
        return np.column_stack(columns).astype(np.float32)

    def _load_own(self, table: DeclaredTable, of: str, anchor: date) -> list[np.ndarray]:
        """Columns of a table of the shop's own at an anchor; NaN where it has no row of them."""
        own = self.week.shop.source.tables
        rows = self.week.build.query(render(table, of, own), {"anchor": anchor})
        place = pd.Index(self.ids).get_indexer(pd.Index(rows[self.key]))
        columns = []
        for aggregate in list_aggregates(table, of, own):
            values = np.full(self.size, np.nan)
            values[place[place >= 0]] = rows[aggregate.name].to_numpy(dtype=float, na_value=np.nan)[
                place >= 0
            ]
            columns.append(values)
        return columns
