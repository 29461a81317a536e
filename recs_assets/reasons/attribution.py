"""Why the ranker put a row where it is: its own SHAP contributions, summed by family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from recs_assets.ranking.features import find_feature, list_families
from recs_assets.ranking.ranker import BLOCK_ROWS, Ranker
from recs_assets.schema import RecsError

# Contributions and base add up to the score but for rounding; more than this is an error.
TOLERANCE = 1e-6

# Features kept per row, largest contribution first, for whoever traces a row.
TOP_FEATURES = 5


class AttributionError(RecsError):
    """The contributions do not explain the score."""


@dataclass(frozen=True)
class Attribution:
    """What pulled each row up or down, in log-odds (binary objective).

    Attributes:
        score: float64[n], the ranker's raw score.
        base: float64[n], the score of a row of which nothing is known.
        contribution: float64[n, families], columns as `list_families` of the ranker's features; base + sum = score.
        order: int8[n, families]: columns by contribution, largest first, ties by column.
        feature: int16[n, TOP_FEATURES]: the ranker's features with the largest contributions by
            size of either sign, -1 where there are fewer.
        feature_contribution: float64[n, TOP_FEATURES], theirs; 0 where there are fewer.
    """

    score: np.ndarray
    base: np.ndarray
    contribution: np.ndarray
    order: np.ndarray
    feature: np.ndarray
    feature_contribution: np.ndarray

    def __len__(self) -> int:
        return len(self.score)

    @classmethod
    def concat(cls, parts: list[Self]) -> Self:
        """Blocks of rows as one.

        Raises:
            ValueError: no parts.
        """
        if not parts:
            raise ValueError("There are no attributions to put together.")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__annotations__))


def find_families(features: tuple[str, ...]) -> np.ndarray:
    """int64 column of `list_families(features)` per feature.

    Raises:
        AttributionError: a feature that is not in `FEATURES`.
    """
    found, families = [find_feature(name) for name in features], list_families(features)
    if unknown := [name for name, feature in zip(features, found, strict=True) if feature is None]:
        raise AttributionError(
            f"The ranker uses {', '.join(unknown)}, which the feature list lacks: train it again."
        )
    return np.array(
        [families.index(feature.family) for feature in found if feature is not None], dtype=np.int64
    )


def attribute(ranker: Ranker, X: np.ndarray) -> Attribution:
    """Attribute rows of the frame, in blocks: only the sums by family stay in memory.

    Args:
        ranker: fitted.
        X: float32[n, f], the rows as they were scored.

    Raises:
        AttributionError: a row whose contributions do not add up to its score.
    """
    member, families = find_families(ranker.features_), len(list_families(ranker.features_))
    parts = [
        _block(ranker, X[start : start + BLOCK_ROWS], member, families)
        for start in range(0, max(1, len(X)), BLOCK_ROWS)
    ]
    return Attribution.concat(parts)


def _block(ranker: Ranker, X: np.ndarray, member: np.ndarray, families: int) -> Attribution:
    values = ranker.contributions(X)
    score, base = ranker.score(X), values[:, -1].copy()
    values = values[:, :-1]
    off = np.abs(values.sum(axis=1) + base - score)
    if len(off) and not off.max() <= TOLERANCE:
        raise AttributionError(
            f"Contributions miss the score by {off.max():.2g} at row {off.argmax()}, more than {TOLERANCE:g}."
        )
    contribution = np.zeros((len(X), families))
    for column, family in enumerate(member):
        contribution[:, family] += values[:, column]
    kept = min(TOP_FEATURES, values.shape[1])
    feature = np.full((len(X), TOP_FEATURES), -1, dtype=np.int16)
    largest = np.zeros((len(X), TOP_FEATURES))
    # The largest one by one, the first column of equals: sorting all of a row's features costs ten times as much.
    left, rows = np.abs(values), np.arange(len(X))
    for place in range(kept):
        feature[:, place] = best = left.argmax(axis=1)
        largest[:, place] = values[rows, best]
        left[rows, best] = -1
    order = np.argsort(-contribution, axis=1, kind="stable").astype(np.int8)
    return Attribution(score, base, contribution, order, feature, largest)
