"""What each table of the shop's own brought: the week's ranker with and without its features, at the test anchor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recs_assets.ranking.features import FAMILIES, find_feature, list_families
from recs_assets.ranking.ranker import Ranker
from recs_assets.training.gains import (
    MAP_AT,
    UNPROVEN,
    NarrowRanker,
    compare_gain,
    fit_narrow,
    measure_scores,
    share_gain,
)
from recs_assets.week.week import Week

if TYPE_CHECKING:
    from recs_assets.settings import Settings
    from recs_assets.training.tasks import CandidateSheet
    from recs_assets.training.train import Lessons


class WithoutTables:
    """Rankers that were fitted as the week's, each without the features of one table.

    Args:
        lessons: of the week's ranker.
        settings: of the deployment.
    """

    def __init__(self, lessons: Lessons, settings: Settings) -> None:
        names = lessons.kept.names
        self.rankers: dict[str, NarrowRanker] = {
            table: fit_narrow(lessons, [name for name in names if find_table(name) != table], settings)
            for table in list_families(names)[len(FAMILIES) :]
        }
        self._scores: dict[str, list[np.ndarray]] = {table: [np.empty(0)] for table in self.rankers}

    def watch(self, score: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        """The score of the week's ranker, and beside it those of the others, so that no frame is made twice."""

        def score_all(X: np.ndarray) -> np.ndarray:
            for table, ranker in self.rankers.items():
                self._scores[table].append(ranker.score(X))
            return score(X)

        return score_all

    @property
    def scores(self) -> dict[str, np.ndarray]:
        """Table -> float64 of every row that was scored."""
        return {table: np.concatenate(parts) for table, parts in self._scores.items()}


def find_table(name: str) -> str | None:
    """The shop's own table that a feature comes from; None for any other."""
    feature = find_feature(name)
    return None if feature is None or feature.family in FAMILIES else feature.family


def measure_gains(
    week: Week,
    test: date,
    sheet: CandidateSheet,
    model: Ranker,
    scores: np.ndarray,
    without: Mapping[str, np.ndarray],
) -> list[dict[str, Any]]:
    """One row per table, as `recs.table_gains` has it.

    Args:
        week: of the ranker.
        test: the anchor.
        sheet: its candidates.
        model: the week's ranker as tested.
        scores: float64, its score of every candidate.
        without: table -> the score of the ranker without its features.
    """
    if not without:
        return []
    values = measure_scores(week, test, sheet, {"": scores, **without})
    rows = []
    for table in without:
        if len(values[""]) == 0:
            continue
        gain = compare_gain(values[""], values[table], week.settings.seed)
        of_table = [name for name in model.features_ if find_table(name) == table]
        map_without = float(np.mean(values[table]))
        rows.append(
            {
                "as_of": week.as_of.isoformat(),
                "table_name": table,
                "anchor": test.isoformat(),
                "features": len(of_table),
                "features_used": len(set(of_table) & set(model.used_)),
                "gain_share": share_gain(model, of_table),
                "map_with": float(np.mean(values[""])),
                "map_without": map_without,
                "difference": gain.difference,
                "ci_low": gain.low,
                "ci_high": gain.high,
                "customers": gain.customers,
                "verdict": gain.verdict,
                "sentence": write_gain(table, gain.difference, map_without, gain.verdict),
            }
        )
    return rows


def write_gain(table: str, difference: float, without: float, verdict: str) -> str:
    """What a table brought, in words.

    >>> write_gain("support_tickets", 0.0004, 0.1, "not proven"), write_gain("visits", 0.05, 0.0, "gains")
    ('support tickets: +0.4 % MAP@12, not proven', 'visits: +0.0500 MAP@12, proven')
    """
    change = f"{100 * difference / without:+.1f} %" if without > 0 else f"{difference:+.4f}"
    proven = "not proven" if verdict == UNPROVEN else "proven"
    return f"{table.replace('_', ' ')}: {change} MAP@{MAP_AT}, {proven}"


COLUMNS = (
    "as_of", "table_name", "anchor", "features", "features_used", "gain_share", "map_with", "map_without", "difference",
    "ci_low", "ci_high", "customers", "verdict", "sentence",
)  # fmt: skip


def load_gains(week: Week) -> pd.DataFrame:
    """The gains that the week's ranker was published with; no row without a ranker, or where it was kept from another
    week."""
    path = week.model_path("ranker")
    found = Ranker.load(path, week.settings.threads).facts_.get("table_gains", []) if path.exists() else []
    rows = [row for row in found if row["as_of"] == week.as_of.isoformat()]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in ("as_of", "anchor"):
        table[name] = pd.to_datetime(table[name]).dt.date
    return table
