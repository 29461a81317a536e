"""The learned ranker as assets: trained, tested and refitted at the week's anchors."""

import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg
import numpy as np
import pandas as pd

from recs_assets.defs.deployment import RANKER, Deployment, week_of
from recs_assets.defs.metadata import inline_png, markdown_table, numbers
from recs_assets.defs.recommenders import FEATURES as MARTS
from recs_assets.defs.recommenders import lists_path, model_path, recommender_key
from recs_assets.interactions import Known
from recs_assets.ranking.calibration import (
    Calibrator,
    brier,
    calibrate,
    expected_calibration_error,
    reliability_plot,
)
from recs_assets.ranking.candidates import Candidates, merge
from recs_assets.ranking.features import selected
from recs_assets.ranking.ranker import Ranker, negative_rate, sample_negatives
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.artefacts import read_lists, write_lists
from recs_assets.recommenders.base import VIEWS
from recs_assets.warehouse import Warehouse

FEATURE_TABLES = [
    dg.AssetKey(["features", name])
    for name in (
        "customer_features",
        "product_features",
        "customer_product_features",
        "customer_category_features",
        "product_promotions",
    )
]
RANKER_KEY = dg.AssetKey(["recommenders", "ranker"])
SOURCES = tuple(name for name in REGISTRY if name not in RANKER.without_sources)
NAMES = tuple(feature.name for feature in selected(SOURCES, RANKER.without_features))
# Customers merged, joined and scored at once: 200 candidates x 150 features x 4 bytes x 4,000 = 480 MB.
BLOCK = 4_000


def blocks(known: Known) -> Iterator[tuple[int, int]]:
    """Ranges of customer codes `[first, last)`."""
    for first in range(0, known.n_customers, BLOCK):
        yield first, min(first + BLOCK, known.n_customers)


def candidates_of(
    warehouse: Warehouse, week: date, anchor: date, known: Known, first: int, last: int
) -> Candidates:
    """The merged candidates of customer codes `[first, last)` at an anchor."""
    lists = {}
    for name in SOURCES:
        for view, listed in (("all", name), ("new", f"{name}:new")):
            lists[listed] = read_lists(lists_path(warehouse, week, name, anchor, view), known, first, last)
    return merge(lists, known, RANKER.pool.own, RANKER.pool.new)


def every_candidate(warehouse: Warehouse, week: date, anchor: date) -> Candidates:
    """The candidates of all customers that have lists at an anchor."""
    known = warehouse.known(week, anchor)
    parts = [candidates_of(warehouse, week, anchor, known, first, last) for first, last in blocks(known)]
    return Candidates.concat([part for part in parts if len(part)] or parts[:1])


def frames(warehouse: Warehouse, week: date, anchor: date, candidates: Candidates) -> Iterator[np.ndarray]:
    """The candidates' features, a block of customers at a time."""
    edges = np.searchsorted(
        candidates.customer, np.arange(0, int(candidates.customer.max(initial=0)) + BLOCK + 1, BLOCK)
    )
    for start, stop in zip(edges, edges[1:], strict=False):
        if stop > start:
            yield warehouse.frame(week, anchor, candidates.take(np.arange(start, stop)), NAMES)


def score(
    ranker: Ranker, warehouse: Warehouse, week: date, anchor: date, candidates: Candidates
) -> np.ndarray:
    """float64[len(candidates)]: the ranker's raw scores, block by block."""
    parts = [ranker.score(X) for X in frames(warehouse, week, anchor, candidates)]
    return np.concatenate(parts) if parts else np.empty(0)


class Lesson:
    """What one anchor teaches: sampled candidates with labels and weights."""

    def __init__(
        self, deployment: Deployment, warehouse: Warehouse, week: date, anchor: date, rows: int | None
    ) -> None:
        known = warehouse.known(week, anchor)
        candidates = every_candidate(warehouse, week, anchor)
        label = candidates.labels(warehouse.truth(week, anchor, deployment.horizon_days))
        self.positives, self.candidates = int(label.sum()), len(label)
        if rows is None:
            keep, weight = np.arange(len(label)), np.ones(len(label), dtype=np.float32)
        else:
            keep, weight = sample_negatives(
                label,
                known.customers["customer_id"].to_numpy()[candidates.customer],
                known.products["product_id"].to_numpy()[candidates.product],
                anchor,
                negative_rate(self.positives, len(label) - self.positives, rows),
                deployment.settings.seed,
            )
        taken = candidates.take(keep)
        self.group = taken.customer
        self.label, self.weight = label[keep], weight
        self.frame = np.concatenate(list(frames(warehouse, week, anchor, taken)))


def together(lessons: Sequence[Lesson]) -> dict[str, np.ndarray]:
    """The arguments of `Ranker.fit` for several anchors; groups stay apart."""
    offset, groups = 0, []
    for lesson in lessons:
        groups.append(lesson.group.astype(np.int64) + offset)
        offset += int(lesson.group.max(initial=0)) + 1
    return {
        "X": np.concatenate([lesson.frame for lesson in lessons]),
        "y": np.concatenate([lesson.label for lesson in lessons]),
        "group": np.concatenate(groups),
        "weight": np.concatenate([lesson.weight for lesson in lessons]),
    }


class Trained:
    """The week's published ranker and its calibration."""

    def __init__(self, deployment: Deployment, warehouse: Warehouse, week: date) -> None:
        self.ranker = Ranker.load(model_path(warehouse, week, "ranker"), deployment.settings.threads)
        self.calibrator = Calibrator.from_json(self.ranker.facts_["calibration"])


def trained(deployment: Deployment, warehouse: Warehouse, week: date) -> Trained | None:
    """The week's ranker; None where there was nothing to learn from (the ranker asset says why)."""
    if not model_path(warehouse, week, "ranker").exists():
        return None
    return Trained(deployment, warehouse, week)


def published_frame(
    warehouse: Warehouse, week: date, known: Known, rows: pd.DataFrame
) -> Iterator[tuple[slice, Candidates, np.ndarray]]:
    """Published rows (customer ascending, product) as candidates with their features, block by block."""
    customer, product = rows["customer"].to_numpy(), rows["product"].to_numpy()
    for first, last in blocks(known):
        part = slice(*np.searchsorted(customer, [first, last]))
        if part.stop > part.start:
            pool = candidates_of(warehouse, week, week, known, first, last)
            pairs = pool.at(customer[part], product[part], known)
            yield part, pairs, warehouse.frame(week, week, pairs, NAMES)


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
        week, settings = week_of(context), deployment.settings
        test = deployment.test_anchor(week)
        kept, *earlier = deployment.train_anchors(week)
        facts: dict[str, float | int | str] = {}
        started = time.monotonic()

        def mark(stage: str) -> None:
            nonlocal started
            facts[f"seconds_{stage}"] = time.monotonic() - started
            context.log.info(f"The ranker's {stage} took {facts[f'seconds_{stage}']:.1f} s.")
            started = time.monotonic()

        shutil.rmtree(model_path(warehouse, week, "ranker"), ignore_errors=True)
        rows = RANKER.training_rows // len(deployment.train_anchors(week))
        lessons = [Lesson(deployment, warehouse, week, anchor, rows) for anchor in earlier]
        whole = Lesson(deployment, warehouse, week, kept, None)
        mark("frames")
        if not (any(one.positives for one in lessons) and whole.positives):
            # An honest end: the decision falls to the simpler models, and the run says so.
            return dg.MaterializeResult(
                metadata={
                    "trained": False,
                    "why": "No candidate was bought in a label window: nothing to learn.",
                }
            )
        model = Ranker(RANKER, settings.seed, settings.threads).fit(
            **together(lessons), features=NAMES, valid=(whole.frame, whole.label, whole.group)
        )
        mark("fit")
        raw = model.score(whole.frame)
        calibrator, quality = calibrate(raw, whole.label, whole.group)
        mark("calibration")

        tested = every_candidate(warehouse, week, test)
        known = warehouse.known(week, test)
        scores = score(model, warehouse, week, test, tested)
        for view in VIEWS:
            keep = None if view == "all" else (tested.own == (view == "repeat"))
            lists = tested.ranked(scores, settings.candidates, keep).drop(columns="row")
            write_lists(lists, known, lists_path(warehouse, week, "ranker", test, view))
        label = tested.labels(warehouse.truth(week, test, deployment.horizon_days))
        probability = calibrator.probability(scores)
        facts |= {
            "test_brier": brier(probability, label),
            "test_ece": expected_calibration_error(probability, label),
            "test_forecast_purchases": float(probability.sum()),
            "test_actual_purchases": int(label.sum()),
        }
        mark("test")

        again = [*lessons, *(Lesson(deployment, warehouse, week, anchor, rows) for anchor in (kept, test))]
        final = Ranker(RANKER, settings.seed, settings.threads).fit(
            **together(again), features=NAMES, rounds=model.rounds_
        )
        mark("refit")
        digest = final.save(
            model_path(warehouse, week, "ranker"),
            anchors=[anchor.isoformat() for anchor in (*earlier, kept, test)],
            calibration=calibrator.to_json(),
            quality=quality,
        )
        gains = final.importance().head(15)
        facts |= {
            "rounds": model.rounds_,
            "training_rows": sum(len(one.label) for one in again),
            "sha256": digest,
        }
        picture = reliability_plot(probability, label)
        return dg.MaterializeResult(
            metadata={
                **numbers(facts),
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
