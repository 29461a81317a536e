"""The learned ranker as assets: trained, tested and refitted at the week's anchors."""

import itertools
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Self

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
from recs_assets.ranking.features import TABLES, selected
from recs_assets.ranking.ranker import Ranker, negative_rate, sample_negatives
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.artefacts import read_lists, write_lists
from recs_assets.recommenders.base import VIEWS
from recs_assets.warehouse import Warehouse

FEATURE_TABLES = [dg.AssetKey(["features", model]) for model, _ in TABLES.values()]
RANKER_KEY = dg.AssetKey(["recommenders", "ranker"])
SOURCES = tuple(name for name in REGISTRY if name not in RANKER.without_sources)
FEATURES = selected(SOURCES, RANKER.without_features)
NAMES = tuple(feature.name for feature in FEATURES)
WITHOUT_OFFERS = tuple(feature.name for feature in FEATURES if feature.family != "promotion")
CALENDAR_SHORT = "left out: it has less than half the usual offers for the label window"
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


def frames(
    warehouse: Warehouse, week: date, anchor: date, candidates: Candidates, names: Sequence[str] = NAMES
) -> Iterator[np.ndarray]:
    """The candidates' features, a block of customers at a time."""
    edges = np.searchsorted(
        candidates.customer, np.arange(0, int(candidates.customer.max(initial=0)) + BLOCK + 1, BLOCK)
    )
    for start, stop in itertools.pairwise(edges):
        if stop > start:
            yield warehouse.frame(week, anchor, candidates.take(np.arange(start, stop)), names)


def score(
    ranker: Ranker, warehouse: Warehouse, week: date, anchor: date, candidates: Candidates
) -> np.ndarray:
    """float64[len(candidates)]: the ranker's raw scores, block by block."""
    parts = [ranker.score(X) for X in frames(warehouse, week, anchor, candidates, ranker.features_)]
    return np.concatenate(parts) if parts else np.empty(0)


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

    def only(self, names: Sequence[str]) -> Self:
        """The same rows with these features, in this order; itself where nothing changes."""
        if tuple(names) == self.names:
            return self
        columns = [self.names.index(name) for name in names]
        return replace(self, frame=self.frame[:, columns], names=tuple(names))

    def take(self, rows: np.ndarray, weight: np.ndarray) -> Self:
        """The rows at these positions, with weights of their own."""
        return replace(
            self, group=self.group[rows], label=self.label[rows], weight=weight, frame=self.frame[rows]
        )


class Anchor:
    """The candidates of one anchor with what became of them."""

    def __init__(self, deployment: Deployment, warehouse: Warehouse, week: date, anchor: date) -> None:
        self.deployment, self.warehouse, self.week, self.anchor = deployment, warehouse, week, anchor
        self.known = warehouse.known(week, anchor)
        self.candidates = every_candidate(warehouse, week, anchor)
        self.truth = warehouse.truth(week, anchor, deployment.horizon_days)
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
            self.deployment.settings.seed,
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
            *frames(self.warehouse, self.week, self.anchor, taken),
        ]
        return Lesson(taken.customer, self.label[keep], weight, np.concatenate(frame), NAMES)

    def examined(self, model: Ranker, rows: int) -> tuple[np.ndarray, Lesson]:
        """float64 score of every candidate, and `lesson(rows)` with the model's features out of the same frames."""
        keep, weight = self.sample(rows)
        names = model.features_
        scores, kept, start = [np.empty(0)], [np.empty((0, len(names)), dtype=np.float32)], 0
        for X in frames(self.warehouse, self.week, self.anchor, self.candidates, names):
            scores.append(model.score(X))
            kept.append(X[keep[slice(*np.searchsorted(keep, [start, start + len(X)]))] - start])
            start += len(X)
        group, label = self.candidates.customer[keep], self.label[keep]
        return np.concatenate(scores), Lesson(group, label, weight, np.concatenate(kept), names)


def together(lessons: Sequence[Lesson]) -> dict[str, Any]:
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


def without_calendar(warehouse: Warehouse, week: date, at: date, anchors: Sequence[date]) -> bool:
    """Whether the label window of `at` has less than half of the offers, of any kind, of every one of `anchors`.

    A promotion calendar that ends, or was not delivered, reads as "nothing is on offer", which is
    not what the trees learned from; they then do better without it.
    """
    planned = warehouse.planned_offers(week)
    usual, now = [planned.get(anchor, {}) for anchor in anchors], planned.get(at, {})
    return any(2 * now.get(kind, 0) < min(one.get(kind, 0) for one in usual) for kind in usual[0])


class Trained:
    """The week's published ranker and its calibration."""

    def __init__(self, deployment: Deployment, warehouse: Warehouse, week: date) -> None:
        self.ranker = Ranker.load(model_path(warehouse, week, "ranker"), deployment.settings.threads)
        self.calibrator = Calibrator.from_json(self.ranker.facts_["calibration"])

    def frame(self, warehouse: Warehouse, week: date, candidates: Candidates) -> np.ndarray:
        """The week's candidates as this ranker sees them."""
        return warehouse.frame(week, week, candidates, self.ranker.features_)


def trained(deployment: Deployment, warehouse: Warehouse, week: date) -> Trained | None:
    """The week's ranker; None where there was nothing to learn from (the ranker asset says why)."""
    if not model_path(warehouse, week, "ranker").exists():
        return None
    return Trained(deployment, warehouse, week)


def published_frame(
    warehouse: Warehouse, week: date, known: Known, ranker: Trained, rows: pd.DataFrame
) -> Iterator[tuple[slice, Candidates, np.ndarray]]:
    """Published rows (customer ascending, product) as candidates with their features, block by block."""
    customer, product = rows["customer"].to_numpy(), rows["product"].to_numpy()
    for first, last in blocks(known):
        part = slice(*np.searchsorted(customer, [first, last]))
        if part.stop > part.start:
            pool = candidates_of(warehouse, week, week, known, first, last)
            pairs = pool.at(customer[part], product[part], known)
            yield part, pairs, ranker.frame(warehouse, week, pairs)


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
        gains = final.importance().head(15)
        picture = reliability_plot(probability, label)
        return dg.MaterializeResult(
            metadata={
                **numbers(
                    {
                        **{name: value for name, value in facts.items() if isinstance(value, float | int)},
                        "rounds": model.rounds_,
                        "training_rows": sum(len(one.label) for one in lessons),
                        "seconds_refit": time.monotonic() - started,
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
    for view in VIEWS:
        keep = None if view == "all" else (tested.candidates.own == (view == "repeat"))
        lists = tested.candidates.ranked(scores, settings.candidates, keep).drop(columns="row")
        write_lists(lists, tested.known, lists_path(warehouse, week, "ranker", test, view))
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
