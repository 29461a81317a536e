"""The recommenders' settings of a week: of a search, or by rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from recs_assets.evaluation.tuning import Search
from recs_assets.files import write_whole
from recs_assets.recommenders.shape import Parameters, Shape, choose_settings
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.week import Week

SEARCH = "recommender_search.json"


@dataclass(frozen=True)
class ParameterChoice:
    """The recommenders' settings of a week.

    Attributes:
        parameters: what replaces the defaults.
        why: one sentence: by which search or rule.
        stale: why the newest search is not used; None where it is, or where there is none.
    """

    parameters: Parameters
    why: str
    stale: str | None = None


def search_path(week: Week) -> Path:
    """Where the week's search is kept."""
    return week.model_path(SEARCH)


def choose_parameters(week: Week) -> ParameterChoice:
    """The settings that every recommender is fitted with at every anchor of the week.

    Those of the newest search that has seen nothing of a label window in which the week's models are tested,
    as long as the shop is still like the one it was made for; else those of the rule
    (`recommenders.shape`), by the shape at the week's earliest anchor. The search is kept with this
    week's models, too, so that it outlives the folder of its own week.
    """
    shape = Shape.of(week.known(min(week.anchors)))
    by_rule = f"settings by rule: density {shape.density:.2g}, repeat share {shape.repeat_share:.2f}"
    search = _find_newest_search(week.warehouse, min(week.test_anchors))
    if search is None:
        return ParameterChoice(choose_settings(shape), by_rule)
    if difference := search.shape.explain_difference(shape):
        return ParameterChoice(
            choose_settings(shape),
            by_rule,
            f"the search of {search.anchor} is not used: {difference}; run the job `research` again",
        )
    write_whole(search_path(week), search.to_json())
    return ParameterChoice(search.parameters, f"settings by the search of {search.anchor}")


def _find_newest_search(warehouse: Warehouse, before: date) -> Search | None:
    """Of the searches kept with any week's models, that with the latest window that ends at or before a date."""
    paths = sorted((warehouse.home / "weeks").glob(f"*/models/{SEARCH}"))
    searches = [Search.from_json(path.read_text("utf-8"), path) for path in paths]
    return max(
        (search for search in searches if search.until <= before),
        key=lambda search: search.until,
        default=None,
    )
