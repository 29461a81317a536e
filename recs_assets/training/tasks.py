"""The rows of a query at one anchor: candidates or customers with their features, labels and baselines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from threading import RLock
from typing import Generic, TypeVar

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.evaluation.evaluate import sample_customers
from recs_assets.known.interactions import Known
from recs_assets.queries.compiler import compile_entities, compile_ids, compile_labels, drop_ids
from recs_assets.queries.syntax import Query
from recs_assets.ranking.candidates import Candidates
from recs_assets.ranking.ranker import choose_negative_rate, sample_negatives
from recs_assets.recommenders.base import View
from recs_assets.shop import RANKER
from recs_assets.training.activity import Activity
from recs_assets.week.blocks import BLOCK
from recs_assets.week.lessons import Lesson
from recs_assets.week.week import Week

# Where fewer pass a WHERE at an anchor, the model is learned from everybody.
LEAST_ELIGIBLE = 100
# Baselines of a number or a condition.
PREVIOUS, RATE = "previous_window", "rate_91d"


@dataclass(frozen=True)
class Sheet:
    """Rows to learn from, to test on or to predict, of one anchor.

    Attributes:
        customer: int32[n] ascending, code.
        item: int32[n], product or value code; 0 where there is no item.
        label: float64[n]; NaN at the week, and where an average had nothing.
        chunks: rows -> their features, float32, a block at a time.
    """

    customer: np.ndarray
    item: np.ndarray
    label: np.ndarray
    chunks: Callable[[np.ndarray], Iterator[np.ndarray]]

    def __len__(self) -> int:
        return len(self.customer)

    def frame(self, rows: np.ndarray, width: int) -> np.ndarray:
        """float32[len(rows), width]: the features of these rows at once."""
        X, start = np.empty((len(rows), width), dtype=np.float32), 0
        for chunk in self.chunks(rows):
            X[start : start + len(chunk)] = chunk
            start += len(chunk)
        return X


@dataclass(frozen=True)
class CandidateSheet(Sheet):
    """Rows of products: `candidates` has one per row."""

    candidates: Candidates


Rows = TypeVar("Rows", bound=Sheet)


class Task(ABC, Generic[Rows]):
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
    def wide_query(self) -> Query:
        """The query that is learned from: asked about everybody whom it could be asked about, and where these are
        too few, about everybody."""
        return drop_ids(self.query)

    def eligible(self, anchor: date) -> np.ndarray:
        """bool[n_customers]: at the week who is asked about, before it who is learned from and tested on: all whom
        the query could be asked about, in the sample that is wide_query from."""
        with self._making:
            if anchor not in self._eligible:
                query = self.query if anchor == self.as_of else self.wide_query
                rows = self.week.build.query(*compile_entities(query, anchor))
                mask = np.zeros(len(self.ids(anchor)), dtype=bool)
                place = self.codes(anchor, rows.iloc[:, 0])
                mask[place[place >= 0]] = True
                self._eligible[anchor] = mask & self.is_listed(anchor)
            return self._eligible[anchor]

    def widen(self, anchors: Sequence[date]) -> str:
        """Learn from everybody where fewer than `LEAST_ELIGIBLE` are eligible at one of the anchors; a sentence if so."""
        if self.wide_query.where is None or all(
            self.eligible(anchor).sum() >= LEAST_ELIGIBLE for anchor in anchors
        ):
            return ""
        self.__dict__["wide_query"] = replace(self.wide_query, where=None)
        self._eligible = {day: mask for day, mask in self._eligible.items() if day == self.as_of}
        return (
            f"Fewer than {LEAST_ELIGIBLE} {self.query.entity[0].parts[0]} pass the WHERE at an anchor, so the model is "
            "learned from, and tested on, all of them."
        )

    def ids(self, anchor: date) -> np.ndarray:
        """object[n]: ids of whom predictions are made for; position = code."""
        return self.known(anchor).customers["customer_id"].to_numpy(dtype=object)

    def is_listed(self, anchor: date) -> np.ndarray:
        """bool[n]: in the sample that is wide_query from at an anchor; everybody at the week."""
        mask = np.zeros(len(self.ids(anchor)), dtype=bool)
        mask[self.week.find_customers_with_lists(anchor)] = True
        return mask

    def codes(self, anchor: date, ids: pd.Series) -> np.ndarray:
        """int64: codes of ids, -1 where one is not known."""
        return place_ids(self.ids(anchor), ids)

    def truth(self, anchor: date, items: pd.Series) -> sparse.csr_matrix:
        """csr[n_customers, len(items)] of ones: the labels of a list."""
        rows = self.week.build.query(*compile_labels(self.wide_query, anchor))
        customer, item = self.codes(anchor, rows["customer_id"]), place_ids(items, rows["item"])
        there = (item >= 0) & (
            customer >= 0
        )  # a value that was listed then may have no admitted product any more
        shape = (len(self.ids(anchor)), len(items))
        ones = np.ones(int(there.sum()), dtype=np.float32)
        return sparse.csr_matrix((ones, (customer[there], item[there])), shape=shape)

    @abstractmethod
    def sheet(self, anchor: date, first: int, last: int) -> Rows:
        """The rows of the eligible among customer codes `[first, last)`; without labels at the week."""

    @abstractmethod
    def formulas(self, sheet: Rows, anchor: date) -> dict[str, np.ndarray]:
        """What is known without a model, the baselines of the test: name -> float64[n], larger is likelier (or the
        number itself); NaN where the baseline lists nothing."""

    def label_sheet(self, anchor: date) -> Rows:
        """All rows of an anchor that is wide_query from."""
        return self.sheet(anchor, 0, len(self.ids(anchor)))

    def item_ids(self, anchor: date) -> np.ndarray:
        """object[n_items]: ids by code."""
        return np.array([""], dtype=object)

    def take_all(self, sheet: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Positions of all rows, and weights of one."""
        return np.arange(len(sheet)), np.ones(len(sheet), dtype=np.float32)

    def sample(self, sheet: Rows, anchor: date, anchors: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the rows that one of so many anchors gives to the trees, and their weights: every
        positive, and as many negatives as there is room for."""
        positives = int(sheet.label.sum())
        rate = choose_negative_rate(positives, len(sheet) - positives, self.most_rows // anchors)
        return sample_negatives(
            sheet.label,
            self.ids(anchor)[sheet.customer],
            self.item_ids(anchor)[sheet.item],
            anchor,
            rate,
            self.week.settings.seed,
        )

    def lesson(self, sheet: Rows, rows: np.ndarray, weight: np.ndarray) -> Lesson:
        """These rows with their features."""
        frame = sheet.frame(rows, len(self.names))
        return Lesson(sheet.customer[rows], sheet.label[rows], weight, frame, self.names)


def place_ids(known: pd.Series | np.ndarray, wanted: pd.Series) -> np.ndarray:
    return pd.Index(known).get_indexer(pd.Index(wanted))


def make_empty_sheet() -> Sheet:
    none = np.empty(0, dtype=np.int32)
    return Sheet(none, none, np.empty(0), lambda rows: iter(()))


class Dated(Task[Sheet]):
    """Tasks whose features come from what everybody did before an anchor, so that any anchor serves them."""

    def __init__(self, week: Week, as_of: date, query: Query, view: View) -> None:
        super().__init__(week, as_of, query, view)
        self._spans_at: dict[date, np.ndarray] = {}
        self.others: tuple[str, ...] | None = (
            None  # of a block of customers, what `Activity` has in the whole shop
        )

    @cached_property
    def activity(self) -> Activity:
        entity, key = self.query.entity[0].parts
        return Activity(self.week, self.as_of, entity, key, self.ids(self.as_of), self.others)

    @cached_property
    def _ids(self) -> np.ndarray:
        rows = self.week.build.query(*compile_ids(self.query, self.as_of))
        return rows.iloc[:, 0].to_numpy(dtype=object)

    def ids(self, anchor: date) -> np.ndarray:
        """Of everybody known at the week: who is not known yet at an anchor is not eligible there."""
        return self._ids

    def is_listed(self, anchor: date) -> np.ndarray:
        ids = self.ids(anchor)
        if anchor == self.as_of:
            return np.ones(len(ids), dtype=bool)
        mask = np.zeros(len(ids), dtype=bool)
        mask[sample_customers(ids, self.most_customers, self.week.settings.seed)] = True
        return mask

    @property
    def most_customers(self) -> int:
        """At most so many are learned from at an anchor."""
        return max(self.week.settings.evaluation_customers, RANKER.training_customers)
