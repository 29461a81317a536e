"""What models learn from at an anchor: rows with their features, labels and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


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

    def take(self, rows: np.ndarray, weight: np.ndarray) -> Lesson:
        """The rows at these positions, with weights of their own."""
        return replace(
            self, group=self.group[rows], label=self.label[rows], weight=weight, frame=self.frame[rows]
        )


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
