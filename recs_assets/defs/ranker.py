"""The learned ranker as assets: trained, tested and refitted at the week's anchors."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from recs_assets.defs.deployment import Deployment, week_of
from recs_assets.defs.metadata import inline_png, markdown_table, numbers
from recs_assets.defs.recommenders import FEATURES as MARTS
from recs_assets.defs.recommenders import recommender_key
from recs_assets.evaluation import gates
from recs_assets.evaluation.gates import Verdict
from recs_assets.evaluation.promotion import customer_values
from recs_assets.ranking.calibration import (
    Calibrator,
    brier,
    calibrate,
    expected_calibration_error,
    reliability_plot,
)
from recs_assets.ranking.features import BY_NAME, TABLES
from recs_assets.ranking.ranker import Ranker
from recs_assets.ranking.strata import strata_of
from recs_assets.recommenders.base import View
from recs_assets.schema import ArtefactError
from recs_assets.shop import RANKER
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.lessons import (
    NAMES,
    SOURCES,
    WITHOUT_OFFERS,
    Anchor,
    Lesson,
    blocks,
    candidates_of,
    listed_customers,
    lists_path,
    model_path,
    ranked_lists,
    score,
    side_by_side,
    together,
    without_calendar,
    write_ranked,
)

FEATURE_TABLES = [dg.AssetKey(["features", model]) for model, _ in TABLES.values()]
RANKER_KEY = dg.AssetKey(["recommenders", "ranker"])
BEFORE_REFIT = "ranker_before_refit"  # the model as it was tested, which a later week's gate compares with
RANKER_GATES = "gates_ranker"  # the table of its verdicts
MAP_AT = 12
NOTHING_LEARNED = "No candidate was bought in a label window: nothing to learn"
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
        for name in ("ranker", BEFORE_REFIT):
            shutil.rmtree(model_path(warehouse, week, name), ignore_errors=True)
        for stale in lists_path(warehouse, week, "", week, "all").parent.glob("ranker*.parquet"):
            stale.unlink()
        last = _last_good(deployment, warehouse, week)
        found = None
        for test in reversed(deployment.test_anchors(week)):
            found = _fold(deployment, warehouse, week, test, last, context.log.info)
        verdicts = [gates.incomparable(NOTHING_LEARNED)] if found is None else found.verdicts
        warehouse.replace_table(week, RANKER_GATES, gates.table(verdicts), gates.COLUMNS)
        for one in verdicts:
            if not one.passed:
                way = f"is overridden ({one.reason})" if one.overridden else "refuses the new ranker"
                context.log.warning(f"Gate {one.gate} {way}: {one.sentence}")
        if found is None:
            # An honest end: the decision falls to the simpler models, and the run says so.
            return dg.MaterializeResult(metadata={"trained": False, "why": f"{NOTHING_LEARNED}."})
        if found.refused is not None:
            shown = _kept(warehouse, week, last, found.refused, context.log.warning)
            if last.ranker is not None:
                _list_week(deployment, warehouse, week, last.ranker)
            return dg.MaterializeResult(metadata=shown)
        started = time.monotonic()
        final = Ranker(RANKER, deployment.settings.seed, deployment.settings.threads).fit(
            **together(found.lessons), rounds=found.model.rounds_, used=found.model.used_
        )
        facts = found.facts
        found.model.save(model_path(warehouse, week, BEFORE_REFIT), anchors=facts["anchors"])
        digest = final.save(model_path(warehouse, week, "ranker"), **facts)
        refitted = time.monotonic()
        _list_week(deployment, warehouse, week, final)
        gains = final.importance().head(15)
        picture = reliability_plot(found.probability, found.label)
        return dg.MaterializeResult(
            metadata={
                **numbers(
                    {
                        **{name: value for name, value in facts.items() if isinstance(value, float | int)},
                        "rounds": found.model.rounds_,
                        "training_rows": sum(len(one.label) for one in found.lessons),
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
                "calibration": dg.MetadataValue.json(facts["quality"]),
                "reliability": dg.MetadataValue.md(inline_png(picture, "Reliability at the test anchor")),
            }
        )

    return ranker


@dataclass(frozen=True)
class LastGood:
    """The ranker of the newest earlier published week.

    Attributes:
        ranker: as published, refitted with its own test anchor; None where there is none.
        before_refit: as it was tested: it has learned from nothing after its own test anchor.
        week: whose they are.
        why: why one of them is missing.
    """

    ranker: Ranker | None
    before_refit: Ranker | None
    week: date | None
    why: str = ""

    def comparable(self, test: date) -> Ranker | None:
        """The model that has seen no day from `test` on, if there is one."""
        one = self.before_refit
        return one if one is not None and date.fromisoformat(one.facts_["anchors"][-1]) <= test else None


def _last_good(deployment: Deployment, warehouse: Warehouse, week: date) -> LastGood:
    earlier, _ = warehouse.verdicts_before(week)
    if earlier is None:
        return LastGood(None, None, None, "ranker: no earlier week is published to compare with")
    folder = model_path(warehouse, earlier, "ranker")
    if not folder.exists():
        return LastGood(None, None, earlier, f"ranker: week {earlier} has none, or it is no longer kept")
    try:
        found = Ranker.load(folder, deployment.settings.threads)
        Calibrator.from_json(found.facts_["calibration"])
    except ArtefactError as error:
        return LastGood(None, None, earlier, f"ranker: that of week {earlier} cannot be used ({error})")
    if unknown := sorted(set(found.features_) - set(BY_NAME)):
        why = f"ranker: that of week {earlier} knows features that are gone ({', '.join(unknown)})"
        return LastGood(None, None, earlier, why)
    try:
        tested = Ranker.load(model_path(warehouse, earlier, BEFORE_REFIT), deployment.settings.threads)
    except ArtefactError:
        tested = None
    why = "" if tested else f"ranker: week {earlier} keeps none as it was before its refit"
    return LastGood(found, tested, earlier, why)


def _kept(
    warehouse: Warehouse, week: date, last: LastGood, why: str, warn: Callable[[str], None]
) -> dict[str, Any]:
    """Put the last good ranker into this week's place, or none; what the run shows of it."""
    if last.ranker is None:
        warn("There is no earlier ranker to keep: this week has none, and a simpler model makes the lists.")
        return {"trained": False, "why": why}
    origin = last.ranker.facts_.get("kept_from", {}).get("week", last.week.isoformat())
    facts = last.ranker.facts_ | {"kept_from": {"week": origin, "why": why}}
    digest = last.ranker.save(model_path(warehouse, week, "ranker"), **facts)
    if last.before_refit is not None:
        last.before_refit.save(model_path(warehouse, week, BEFORE_REFIT), **last.before_refit.facts_)
    warn(f"The ranker of week {origin} is kept for week {week}.")
    return {"trained": False, "kept_from": origin, "why": why, **numbers({"sha256": digest})}


@dataclass(frozen=True)
class Tested:
    """A ranker at its test anchor.

    Attributes:
        model: as fitted before the anchor.
        verdicts: of the gates.
        refused: why the gates refuse it; None where they do not, and only then the rest is there.
        facts: for its file.
        lessons: of all its anchors, the test's last.
        probability: float64[candidates] at the anchor.
        label: int8[candidates].
    """

    model: Ranker
    verdicts: list[Verdict]
    refused: str | None
    facts: dict[str, Any] = field(default_factory=dict)
    lessons: list[Lesson] = field(default_factory=list)
    probability: np.ndarray | None = None
    label: np.ndarray | None = None


def _fold(
    deployment: Deployment,
    warehouse: Warehouse,
    week: date,
    test: date,
    last: LastGood,
    say: Callable[[str], None],
) -> Tested | None:
    """Train before the test anchor, judge, and write the lists of the ranker that stays; None without
    any purchase."""
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
    say(f"{model.rounds_} trees took {time.monotonic() - started:.1f} s.")
    started = time.monotonic()
    raw = model.score(whole.frame)
    tested = Anchor(deployment, warehouse, week, test)
    scores, lesson = tested.examined(model, rows)
    verdicts = _judged(deployment, warehouse, tested, raw, scores, last)
    if refused := [one.sentence for one in verdicts if one.blocks]:
        # What the refitted one scores here it has partly learned: its figures would be no test.
        if (before := last.comparable(test)) is not None:
            for one in (kept, tested):
                _write_lists(deployment, warehouse, one, _scored(warehouse, one, before))
        return Tested(model, verdicts, " ".join(refused))
    _write_lists(deployment, warehouse, kept, raw)
    _write_lists(deployment, warehouse, tested, scores)
    strata = [strata_of(one.known, one.candidates.customer, one.candidates.product) for one in (kept, tested)]
    calibrator, quality = calibrate(raw, whole.label, whole.group, strata[0])
    probability = calibrator.probability(scores, strata[1])
    # What is published is calibrated at both: the later anchor is nearer to the week, and neither was learned from.
    published, _ = calibrate(
        np.concatenate([raw, scores]),
        np.concatenate([whole.label, tested.label]),
        np.concatenate([whole.group, tested.candidates.customer]),
        np.concatenate(strata),
    )
    say(f"The test at {test} took {time.monotonic() - started:.1f} s.")
    facts = {
        "anchors": [anchor.isoformat() for anchor in (*anchors, test)],
        "calibration": published.to_json(),
        "calibration_before_test": calibrator.to_json(),
        "quality": quality,
        "promotion_calendar": calendar,
        "test_brier": brier(probability, tested.label),
        "test_ece": expected_calibration_error(probability, tested.label),
        "test_forecast_purchases": float(probability.sum()),
        "test_actual_purchases": int(tested.label.sum()),
    }
    again = whole.take(*kept.sample(rows))
    return Tested(model, verdicts, None, facts, [*lessons, again, lesson], probability, tested.label)


def _judged(
    deployment: Deployment,
    warehouse: Warehouse,
    tested: Anchor,
    raw: np.ndarray,
    scores: np.ndarray,
    last: LastGood,
) -> list[Verdict]:
    """The gates' verdicts on a new ranker: its scores (`raw` at the kept anchor), and the last one's test."""
    limits, candidates = deployment.gates, tested.candidates
    finite = gates.finite(np.concatenate([raw, scores]), "ranker")
    verdicts = [finite, *gates.spread(candidates.customer, candidates.product, scores, "ranker", limits)]
    before = last.comparable(tested.anchor)
    if before is None:
        why = (
            last.why
            or f"ranker: that of week {last.week} was tested after {tested.anchor} and has seen its days"
        )
        verdicts.append(gates.incomparable(why))
    elif not finite.passed:
        verdicts.append(gates.incomparable("ranker: scores that are not finite cannot be compared"))
    else:
        lists = {
            "new": candidates.ranked(scores, MAP_AT),
            "old": candidates.ranked(_scored(warehouse, tested, before), MAP_AT),
        }
        listed = listed_customers(deployment, warehouse, tested.week, tested.anchor)
        values = customer_values(lists, tested.known, tested.truth, listed, k=MAP_AT)
        verdicts.append(
            gates.successor(values["new"], values["old"], last.week, limits, deployment.settings.seed)
        )
    return gates.overrule(verdicts, deployment.settings.gate_override)


def _scored(warehouse: Warehouse, tested: Anchor, ranker: Ranker) -> np.ndarray:
    """float64: another ranker's score of every candidate at the anchor."""
    return score(ranker, warehouse, tested.week, tested.anchor, tested.candidates)


def _write_lists(deployment: Deployment, warehouse: Warehouse, anchor: Anchor, scores: np.ndarray) -> None:
    """The ranker's lists at an earlier anchor."""
    lists = ranked_lists(anchor.candidates, scores, deployment.settings.candidates)
    write_ranked(warehouse, anchor.week, anchor.anchor, [lists])


def _list_week(deployment: Deployment, warehouse: Warehouse, week: date, ranker: Ranker) -> None:
    """The lists of every customer at the week itself."""
    known, settings = warehouse.known(week, week), deployment.settings

    def listed(block: tuple[int, int]) -> dict[View, pd.DataFrame]:
        candidates = candidates_of(warehouse, week, week, known, *block)
        return ranked_lists(candidates, score(ranker, warehouse, week, week, candidates), settings.candidates)

    # Blocks side by side: merging and joining leave the other core idle.
    write_ranked(warehouse, week, week, side_by_side(listed, blocks(known), settings.threads))
