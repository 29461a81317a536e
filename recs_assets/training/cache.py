"""What a query learned, on disk under its week: asked again, of others or into another file, it answers at once.

`weeks/<week>/models/queries/<name>/` holds `outcome.json` (sealed) and, for trees, LightGBM's text, whose sha256 the
description has. The name is a digest of all that the outcome depends on, so what was learned by another version,
with other settings or from another build is not plan. Nothing in it is executed, and no id of a customer is in it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recs_assets import __version__
from recs_assets.files import replace_folder, seal, sha256, unseal
from recs_assets.ranking.calibration import Calibrator
from recs_assets.ranking.ranker import Ranker
from recs_assets.schema import ArtefactError
from recs_assets.shop import RANKER
from recs_assets.training.models import Learned, Linear, Mean, Trees
from recs_assets.training.plans import Plan
from recs_assets.training.products import Products
from recs_assets.training.tasks import Task
from recs_assets.training.values import Values

FORMAT = 1
# Outcomes of one week; the least recently written goes first.
MOST_KEPT = 100
DESCRIPTION, TREES, OWN_RANKER = "outcome.json", "trees.txt", "ranker"
_ARRAYS, _NUMBERS = ("fill_", "mean_", "scale_", "slope_"), ("base_",)


@dataclass(frozen=True)
class Outcome:
    """What learning and testing came to.

    Attributes:
        learned: makes the predictions; None where a formula does.
        chosen: which of the models of `metrics` that is.
        why: one sentence; empty where there was no choice.
        metrics: see `Prediction`.
        by_value: see `Prediction`.
    """

    learned: Learned | None
    chosen: str
    why: str
    metrics: pd.DataFrame
    by_value: pd.DataFrame | None = None


def find_place(plan: Plan, task: Task) -> Path:
    """The folder for what is learned of a query, whoever is asked for.

    Files count by size and time: to read them all would take longer than many an answer.
    """
    settings, build = task.week.settings, task.week.build
    files = [build.path]
    if isinstance(task, Products):
        files += [
            *sorted((build.folder / "candidates").glob("*.parquet")),
            build.folder / "models" / "ranker" / "ranker.json",
        ]
    learned = replace(task.wide_query, as_of=None)
    if isinstance(task, Values):  # learned and tested on all values, however many are shown
        learned = replace(learned, mode="classify", top=None)
    states = [(path.name, path.stat()) for path in files if path.exists()]
    depends = {
        "format": FORMAT,
        "version": __version__,
        "query": str(learned),
        "view": task.view,
        "anchors": [str(anchor) for anchor in (plan.as_of, plan.test, *plan.train, "again", *plan.again)],
        "build": [str(build.week), *([name, state.st_size, state.st_mtime_ns] for name, state in states)],
        "features": list(task.names),
        "settings": [settings.seed, settings.evaluation_customers, settings.candidates],
        "ranker": RANKER.model_dump(mode="json"),
    }
    name = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:32]
    return build.folder / "models" / "queries" / name


def write(folder: Path, outcome: Outcome, weekly: Ranker | None = None) -> None:
    """Keep an outcome; the oldest beyond `MOST_KEPT` are deleted.

    Args:
        folder: of `find_place`.
        outcome: what is kept.
        weekly: the week's own ranker, of which no copy is kept.

    Raises:
        OSError: the disk refuses.
    """
    learned = outcome.learned
    model = None if learned is None else learned.model
    description: dict[str, Any] = {
        "format": FORMAT,
        "model": type(model).__name__,
        "chosen": outcome.chosen,
        "why": outcome.why,
        "metrics": _list_columns(outcome.metrics),
        "by_value": None if outcome.by_value is None else _list_columns(outcome.by_value),
    }
    if learned is not None:
        calibrator = learned.calibrator
        description |= {
            "calibration": None if calibrator is None else calibrator.to_json(),
            "calibrated_on": learned.calibrated_on,
            "used": list(learned.used),
        }
    with replace_folder(folder) as aside:
        if isinstance(model, Linear | Mean):
            linear = model.linear if isinstance(model, Mean) else model
            description["linear"] = {
                "boolean": linear.boolean,
                **{name: getattr(linear, name).tolist() for name in _ARRAYS},
                **{name: float(getattr(linear, name)) for name in _NUMBERS},
            }
        if isinstance(model, Mean):
            trees = model.trees
            (aside / TREES).write_text(trees.booster_.model_to_string(), "utf-8")
            description["trees"] = {
                "objective": trees.objective,
                "seed": trees.seed,
                "rounds": trees.rounds_,
                "sha256": sha256(aside / TREES),
            }
        if isinstance(model, Ranker) and model is not weekly:
            model.save(aside / OWN_RANKER)
            description["ranker"] = OWN_RANKER
        (aside / DESCRIPTION).write_text(seal(description), "utf-8")
    written = [(path.stat().st_mtime, path) for path in folder.parent.iterdir() if path != folder]
    for _, old in sorted(written, reverse=True)[MOST_KEPT - 1 :]:
        shutil.rmtree(old, ignore_errors=True)


def read(folder: Path, threads: int, weekly: Ranker | None = None) -> Outcome | None:
    """What was kept; None where nothing is.

    Args:
        folder: of `find_place`.
        threads: of LightGBM.
        weekly: the week's own ranker, which is kept with the week.

    Raises:
        ArtefactError: it is not what was written.
    """
    if not (folder / DESCRIPTION).exists():
        return None
    try:
        description = unseal((folder / DESCRIPTION).read_text("utf-8"))
        if description["format"] != FORMAT:
            raise ValueError("another format")
        learned = None
        if description["model"] != "NoneType":
            calibration = description["calibration"]
            learned = Learned(
                _load_model(folder, description, threads, weekly),
                None if calibration is None else Calibrator.from_json(calibration),
                tuple(description["used"]),
                calibrated_on=description["calibrated_on"],
            )
        by_value = description["by_value"]
        return Outcome(
            learned,
            description["chosen"],
            description["why"],
            _make_table(description["metrics"]),
            None if by_value is None else _make_table(by_value),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"The model of a query in {folder} is not what was written ({error}).") from error


def _load_model(
    folder: Path, description: dict[str, Any], threads: int, weekly: Ranker | None
) -> Ranker | Linear | Mean:
    if description["model"] == Ranker.__name__:
        if "ranker" in description:
            return Ranker.load(folder / OWN_RANKER, threads)
        if weekly is None:
            raise ValueError("the week's own ranker is gone")
        return weekly
    values = description["linear"]
    linear = Linear(values["boolean"])
    for name in _ARRAYS:
        setattr(linear, name, np.asarray(values[name], dtype=np.float64))
    for name in _NUMBERS:
        setattr(linear, name, values[name])
    if "trees" not in description:
        return linear
    import lightgbm as lgb

    grown = description["trees"]
    if sha256(folder / TREES) != grown["sha256"]:
        raise ValueError(f"{TREES} was changed")
    trees = Trees(grown["objective"], grown["seed"], threads)
    trees.booster_ = lgb.Booster(model_str=(folder / TREES).read_text("utf-8"))
    trees.rounds_ = grown["rounds"]
    return Mean(linear, trees)


def _list_columns(table: pd.DataFrame) -> list[list[Any]]:
    """Name, type and values of each column, as JSON; NaN is null there."""
    return [
        [name, str(values.dtype), [None if value != value else value for value in values.tolist()]]
        for name, values in table.items()
    ]


def _make_table(columns: list[list[Any]]) -> pd.DataFrame:
    table = pd.DataFrame({name: values for name, _, values in columns})
    return table.astype({name: kind for name, kind, _ in columns})
