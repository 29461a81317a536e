"""Numbers and conditions: one row per customer or product."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from recs_assets.queries.compiler import compile_labels, compile_spans
from recs_assets.queries.syntax import aggregates
from recs_assets.shop import RANKER
from recs_assets.training.plans import window_days
from recs_assets.training.tasks import PREVIOUS, RATE, Dated, Sheet, make_empty_sheet

QUARTER = 91
SPANS = (28, QUARTER, 364)


class Entities(Dated):
    """One row per eligible customer (or product); the label is a number or a truth value."""

    @cached_property
    def _spans(self) -> tuple[int, ...]:
        """Days over which the target is looked up before an anchor: its own window, a quarter, a year."""
        return tuple(dict.fromkeys((math.ceil(window_days(self.query, self.as_of)), *SPANS)))

    @cached_property
    def names(self) -> tuple[str, ...]:
        many = len(dict.fromkeys(aggregates(self.query.target)))
        return (
            *(
                f"target_{part}_{days}d" if many > 1 else f"target_{days}d"
                for part in range(many)
                for days in self._spans
            ),
            *self.activity.names,
        )

    def sample(self, sheet: Sheet, anchor: date, anchors: int) -> tuple[np.ndarray, np.ndarray]:
        """All rows, or of many an even sample: there is one per customer."""
        rows, weight = self.take_all(sheet)
        step = max(1, -(-len(rows) * anchors // RANKER.training_rows))
        return rows[::step], weight[::step]

    def sheet(self, anchor: date, first: int, last: int) -> Sheet:
        entity = first + np.flatnonzero(self.eligible(anchor)[first:last])
        if len(entity) == 0:
            return make_empty_sheet()
        spans = self._load_spans(anchor)
        X = np.column_stack([spans, self.activity.features(anchor)])[entity].astype(np.float32)
        label = np.full(len(entity), np.nan)
        if anchor != self.as_of:
            rows = self.week.build.query(*compile_labels(self.wide_query, anchor))
            label = self._place_values(anchor, rows.iloc[:, 0], rows["label"])[entity]
        return Sheet(
            entity.astype(np.int32),
            np.zeros(len(entity), dtype=np.int32),
            label,
            lambda rows: iter((X[rows],)),
        )

    def _place_values(self, anchor: date, ids: pd.Series, values: pd.Series) -> np.ndarray:
        """float64[n]: values by code; NaN where there is none."""
        found = np.full(len(self.ids(anchor)), np.nan)
        place = self.codes(anchor, ids)
        found[place[place >= 0]] = values.to_numpy(dtype=float, na_value=np.nan)[place >= 0]
        return found

    def _load_spans(self, anchor: date) -> np.ndarray:
        """float64[n, ...]: the target's aggregations over windows that end at the anchor."""
        with self._making:
            if anchor not in self._spans_at:
                rows = self.week.build.query(*compile_spans(self.wide_query, anchor, self._spans))
                columns = [
                    self._place_values(anchor, rows.iloc[:, 0], rows[name]) for name in rows.columns[1:]
                ]
                self._spans_at = {anchor: np.column_stack(columns)}
            return self._spans_at[anchor]

    def formulas(self, sheet: Sheet, anchor: date) -> dict[str, np.ndarray]:
        """The target as it was over the window of equal length that ended at the anchor; of a number also what 91
        days come to in that window, where they add up."""
        spans = self._load_spans(anchor)[sheet.customer]
        if self.query.task != "regression":
            before = anchor - timedelta(days=self._spans[0])
            rows = self.week.build.query(*compile_labels(replace(self.wide_query, where=None), before))
            return {
                PREVIOUS: np.nan_to_num(
                    self._place_values(anchor, rows.iloc[:, 0], rows["label"])[sheet.customer]
                )
            }
        adds_up = self.query.aggregate.function in ("SUM", "COUNT")
        share = self._spans[0] / QUARTER if adds_up else 1.0
        quarter = spans[:, self._spans.index(QUARTER)]
        return {PREVIOUS: np.nan_to_num(spans[:, 0]), RATE: np.nan_to_num(quarter * share)}
