"""What models learn from at an anchor of the week: candidates, with features and labels.

The ranker, its search and the predictive queries (`training`) share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from recs_assets.ranking.ranker import Ranker, negative_rate, sample_negatives
from recs_assets.week.ranked import load_frames
from recs_assets.week.week import NAMES, Week


@dataclass(frozen=True)
class Lesson:
    """What one anchor teaches: rows with their features, labels and weights.

    Attributes:
        group: int32[n], the customer's code.
        label: int8[n], bought within the label window; for a query float64[n], what it asks.
        weight: float32[n], the inverse of a negative's chance to be here.
        frame: float32[n, len(names)].
        names: of the frame's columns.
    """

    group: np.ndarray
    label: np.ndarray
    weight: np.ndarray
    frame: np.ndarray
    names: tuple[str, ...]

    def only(self, names: Sequence[str]) -> Lesson:
        """The same rows with these features, in this order; itself where nothing changes."""
        if tuple(names) == self.names:
            return self
        columns = [self.names.index(name) for name in names]
        return replace(self, frame=self.frame[:, columns], names=tuple(names))

    def take(self, rows: np.ndarray, weight: np.ndarray) -> Lesson:
        """The rows at these positions, with weights of their own."""
        return replace(
            self, group=self.group[rows], label=self.label[rows], weight=weight, frame=self.frame[rows]
        )


class Anchor:
    """The candidates of one anchor with what became of them."""

    def __init__(self, week: Week, anchor: date) -> None:
        self.week, self.anchor = week, anchor
        self.known = week.known(anchor)
        self.candidates = week.all_candidates(anchor)
        self.truth = week.truth(anchor)
        self.label = self.candidates.labels(self.truth)

    def sample(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions of every positive and of as many negatives as `rows` leaves room for, and weights."""
        positives = int(self.label.sum())
        return sample_negatives(
            self.label,
            self.known.customers["customer_id"].to_numpy()[self.candidates.customer],
            self.known.products["product_id"].to_numpy()[self.candidates.product],
            self.anchor,
            negative_rate(positives, len(self.label) - positives, rows),
            self.week.settings.seed,
        )

    def lesson(self, rows: int | None) -> Lesson:
        """About `rows` rows to learn from; None for all."""
        if rows is None:
            keep, weight = np.arange(len(self.label)), np.ones(len(self.label), dtype=np.float32)
        else:
            keep, weight = self.sample(rows)
        taken = self.candidates.take(keep)
        frame = [
            np.empty((0, len(NAMES)), dtype=np.float32),
            *load_frames(self.week, self.anchor, taken),
        ]
        return Lesson(taken.customer, self.label[keep], weight, np.concatenate(frame), NAMES)

    def score_and_sample(self, model: Ranker, rows: int) -> tuple[np.ndarray, Lesson]:
        """float64 score of every candidate, and out of the same frames `lesson(rows)`, as the model sees it."""
        keep, weight = self.sample(rows)
        names = model.features_
        scores, kept, start = [np.empty(0)], [np.empty((0, len(names)), dtype=np.float32)], 0
        for X in load_frames(self.week, self.anchor, self.candidates, names):
            scores.append(model.score(X))
            kept.append(X[keep[slice(*np.searchsorted(keep, [start, start + len(X)]))] - start])
            start += len(X)
        group, label = self.candidates.customer[keep], self.label[keep]
        return np.concatenate(scores), Lesson(group, label, weight, np.concatenate(kept), names)


def join_lessons(lessons: Sequence[Lesson]) -> dict[str, Any]:
    """The arguments of `Ranker.fit` for several anchors with the same features; groups stay apart."""
    offset, groups = 0, []
    for lesson in lessons:
        groups.append(lesson.group.astype(np.int64) + offset)
        offset += int(lesson.group.max(initial=0)) + 1
    return {
        "X": np.concatenate([lesson.frame for lesson in lessons]),
        "y": np.concatenate([lesson.label for lesson in lessons]),
        "group": np.concatenate(groups),
        "weight": np.concatenate([lesson.weight for lesson in lessons]),
        "features": lessons[0].names,
    }
