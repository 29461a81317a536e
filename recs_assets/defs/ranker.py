"""The learned ranker as assets: trained, tested and refitted at the week's anchors."""

import shutil
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from recs_assets.defs.deployment import Deployment, week_of
from recs_assets.defs.metadata import inline_png, markdown_table, numbers
from recs_assets.defs.recommenders import FEATURES as MARTS
from recs_assets.defs.recommenders import recommender_key
from recs_assets.learning import (
    NAMES,
    SOURCES,
    WITHOUT_OFFERS,
    Anchor,
    Lesson,
    blocks,
    candidates_of,
    lists_path,
    model_path,
    ranked_lists,
    score,
    side_by_side,
    together,
    without_calendar,
    write_ranked,
)
from recs_assets.ranking.calibration import brier, calibrate, expected_calibration_error, reliability_plot
from recs_assets.ranking.features import TABLES
from recs_assets.ranking.ranker import Ranker
from recs_assets.recommenders.base import View
from recs_assets.shop import RANKER
from recs_assets.warehouse import Warehouse

FEATURE_TABLES = [dg.AssetKey(["features", model]) for model, _ in TABLES.values()]
RANKER_KEY = dg.AssetKey(["recommenders", "ranker"])
CALENDAR_SHORT = "left out: it has less than half the usual offers for the label window"


def ranker_asset(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.asset(
        key=RANKER_KEY,
        deps=[*(recommender_key(name) for name in SOURCES), *MARTS, *FEATURE_TABLES],
        **deployment.weekly,
        group_name="hybrid",
        kinds={"python", "lightgbm"},
        description="Gradient-boosted trees over every recommender's candidates: fitted on the training "
        "anchors, stopped and calibrated on the latest of them, tested, and refitted with the test anchor.",
    )
    def ranker(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week = week_of(context)
        # What an earlier run of the week left must not pass for this one's.
        shutil.rmtree(model_path(warehouse, week, "ranker"), ignore_errors=True)
        for stale in lists_path(warehouse, week, "", week, "all").parent.glob("ranker*.parquet"):
            stale.unlink()
        found = None
        for test in reversed(deployment.test_anchors(week)):
            found = _fold(deployment, warehouse, week, test, context.log.info)
        if found is None:
            # An honest end: the decision falls to the simpler models, and the run says so.
            return dg.MaterializeResult(
                metadata={
                    "trained": False,
                    "why": "No candidate was bought in a label window: nothing to learn.",
                }
            )
        model, facts, lessons, probability, label, quality = found
        started = time.monotonic()
        final = Ranker(RANKER, deployment.settings.seed, deployment.settings.threads).fit(
            **together(lessons), rounds=model.rounds_, used=model.used_
        )
        digest = final.save(model_path(warehouse, week, "ranker"), **facts)
        refitted = time.monotonic()
        known, settings = warehouse.known(week, week), deployment.settings

        def listed(block: tuple[int, int]) -> dict[View, pd.DataFrame]:
            candidates = candidates_of(warehouse, week, week, known, *block)
            return ranked_lists(
                candidates, score(final, warehouse, week, week, candidates), settings.candidates
            )

        # Blocks side by side: merging and joining leave the other core idle.
        write_ranked(warehouse, week, week, side_by_side(listed, blocks(known), settings.threads))
        gains = final.importance().head(15)
        picture = reliability_plot(probability, label)
        return dg.MaterializeResult(
            metadata={
                **numbers(
                    {
                        **{name: value for name, value in facts.items() if isinstance(value, float | int)},
                        "rounds": model.rounds_,
                        "training_rows": sum(len(one.label) for one in lessons),
                        "seconds_refit": refitted - started,
                        "seconds_lists": time.monotonic() - refitted,
                        "sha256": digest,
                    }
                ),
                "promotion_calendar": facts["promotion_calendar"],
                "features_that_matter": dg.MetadataValue.md(
                    markdown_table(
                        ["feature", "share of gain"], list(gains.itertuples(index=False, name=None))
                    )
                ),
                "calibration": dg.MetadataValue.json(quality),
                "reliability": dg.MetadataValue.md(inline_png(picture, "Reliability at the test anchor")),
            }
        )

    return ranker


def _fold(
    deployment: Deployment, warehouse: Warehouse, week: date, test: date, say: Callable[[str], None]
) -> tuple[Ranker, dict[str, Any], list[Lesson], np.ndarray, np.ndarray, dict[str, float]] | None:
    """Train before the test anchor and write the ranker's lists there; None without any purchase.

    Returns:
        The ranker, facts for its file, the lessons of all its anchors (the test's last), the
        test's probabilities and labels, and how well the calibrations did.
    """
    settings, anchors = deployment.settings, deployment.train_anchors(test)
    started = time.monotonic()
    rows = RANKER.training_rows // len(anchors)
    kept, *earlier = (Anchor(deployment, warehouse, week, anchor) for anchor in anchors)
    if not (any(one.label.any() for one in earlier) and kept.label.any()):
        return None
    # One fold is the week's: what is tested is what will be published, so its calendar decides. A
    # backtest publishes nothing: each fold does with the calendar that its test anchor had.
    weekly = settings.backtest_folds == 1
    without = without_calendar(
        warehouse, week, week if weekly else test, [test, *anchors] if weekly else anchors
    )
    names, calendar = (WITHOUT_OFFERS, CALENDAR_SHORT) if without else (NAMES, "used")
    lessons, whole = [one.lesson(rows).only(names) for one in earlier], kept.lesson(None).only(names)
    say(f"The frames at {', '.join(map(str, anchors))} took {time.monotonic() - started:.1f} s.")
    started = time.monotonic()
    model = Ranker(RANKER, settings.seed, settings.threads).fit(
        **together(lessons), valid=(whole.frame, whole.label, whole.group)
    )
    raw = model.score(whole.frame)
    calibrator, quality = calibrate(raw, whole.label, whole.group)
    say(f"{model.rounds_} trees and their calibration took {time.monotonic() - started:.1f} s.")
    started = time.monotonic()
    tested = Anchor(deployment, warehouse, week, test)
    scores, lesson = tested.examined(model, rows)
    for one, its in ((kept, raw), (tested, scores)):
        lists = ranked_lists(one.candidates, its, settings.candidates)
        write_ranked(warehouse, week, one.anchor, [lists])
    probability = calibrator.probability(scores)
    say(f"The test at {test} took {time.monotonic() - started:.1f} s.")
    facts = {
        "anchors": [anchor.isoformat() for anchor in (*anchors, test)],
        "calibration": calibrator.to_json(),
        "quality": quality,
        "promotion_calendar": calendar,
        "test_brier": brier(probability, tested.label),
        "test_ece": expected_calibration_error(probability, tested.label),
        "test_forecast_purchases": float(probability.sum()),
        "test_actual_purchases": int(tested.label.sum()),
    }
    again = whole.take(*kept.sample(rows))
    return model, facts, [*lessons, again, lesson], probability, tested.label, quality
