"""The weekly ranker: trained before a test anchor, judged at it, refitted with it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from recs_assets.evaluation import gates
from recs_assets.evaluation.gates import Verdict
from recs_assets.evaluation.promotion import customer_values
from recs_assets.ranking.calibration import Calibrator, brier, calibrate, expected_calibration_error
from recs_assets.ranking.features import BY_NAME
from recs_assets.ranking.ranker import Ranker
from recs_assets.ranking.strata import strata_of
from recs_assets.recommenders.base import View
from recs_assets.schema import ArtefactError
from recs_assets.shop import RANKER
from recs_assets.week.blocks import blocks, map_in_order
from recs_assets.week.lessons import Anchor, Lesson, join_lessons
from recs_assets.week.ranked import (
    WITHOUT_OFFERS,
    lacks_offers,
    rank_candidates,
    score_candidates,
    write_ranked,
)
from recs_assets.week.week import NAMES, Week

BEFORE_REFIT = "ranker_before_refit"  # the model as it was tested, which a later week's gate compares with
MAP_AT = 12
CALENDAR_SHORT = "left out: it has less than half the usual offers for the label window"


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
        ranker = self.before_refit
        if ranker is None or date.fromisoformat(ranker.facts_["anchors"][-1]) > test:
            return None
        return ranker


def find_last_good(week: Week) -> LastGood:
    """The ranker of the newest earlier published week that has verdicts."""
    earlier, _ = week.load_earlier_verdicts()
    if earlier is None:
        return LastGood(None, None, None, "ranker: no earlier week is published to compare with")
    before, threads = Week(week.shop, week.warehouse, earlier), week.settings.threads
    if not before.model_path("ranker").exists():
        return LastGood(None, None, earlier, f"ranker: week {earlier} has none, or it is no longer kept")
    try:
        ranker = Ranker.load(before.model_path("ranker"), threads)
        Calibrator.from_json(ranker.facts_["calibration"])
    except ArtefactError as error:
        return LastGood(None, None, earlier, f"ranker: that of week {earlier} cannot be used ({error})")
    if unknown := sorted(set(ranker.features_) - set(BY_NAME)):
        why = f"ranker: that of week {earlier} knows features that are gone ({', '.join(unknown)})"
        return LastGood(None, None, earlier, why)
    try:
        tested = Ranker.load(before.model_path(BEFORE_REFIT), threads)
    except ArtefactError:
        tested = None
    why = "" if tested else f"ranker: week {earlier} keeps none as it was before its refit"
    return LastGood(ranker, tested, earlier, why)


def keep_last_good(week: Week, last: LastGood, why: str) -> tuple[str, str]:
    """Put the last good ranker into this week's place.

    Returns:
        The week that it comes from, and the sha256 of its file.
    """
    origin = last.ranker.facts_.get("kept_from", {}).get("week", last.week.isoformat())
    facts = last.ranker.facts_ | {"kept_from": {"week": origin, "why": why}}
    digest = last.ranker.save(week.model_path("ranker"), **facts)
    if last.before_refit is not None:
        last.before_refit.save(week.model_path(BEFORE_REFIT), **last.before_refit.facts_)
    return origin, digest


@dataclass(frozen=True)
class RankerTest:
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


def train_ranker(week: Week, test: date, last: LastGood, say: Callable[[str], None]) -> RankerTest | None:
    """Train before the test anchor, judge, and write the lists of the ranker that stays; None without
    any purchase."""
    settings, anchors = week.settings, week.shop.train_anchors(test)
    started = time.monotonic()
    rows = RANKER.training_rows // len(anchors)
    kept, *earlier = (Anchor(week, anchor) for anchor in anchors)
    if not (any(anchor.label.any() for anchor in earlier) and kept.label.any()):
        return None
    # One fold is the week's: what is tested is what will be published, so its calendar decides. A
    # backtest publishes nothing: each fold does with the calendar that its test anchor had.
    weekly = settings.backtest_folds == 1
    without = lacks_offers(week, week.as_of if weekly else test, [test, *anchors] if weekly else anchors)
    names, calendar = (WITHOUT_OFFERS, CALENDAR_SHORT) if without else (NAMES, "used")
    lessons, whole = [anchor.lesson(rows).only(names) for anchor in earlier], kept.lesson(None).only(names)
    say(f"The frames at {', '.join(map(str, anchors))} took {time.monotonic() - started:.1f} s.")
    started = time.monotonic()
    model = Ranker(RANKER, settings.seed, settings.threads).fit(
        **join_lessons(lessons), valid=(whole.frame, whole.label, whole.group)
    )
    say(f"{model.rounds_} trees took {time.monotonic() - started:.1f} s.")
    started = time.monotonic()
    raw = model.score(whole.frame)
    tested = Anchor(week, test)
    scores, lesson = tested.score_and_sample(model, rows)
    verdicts = _judge(tested, raw, scores, last)
    if refused := [verdict.sentence for verdict in verdicts if verdict.blocks]:
        # What the refitted one scores here it has partly learned: its figures would be no test.
        if (before := last.comparable(test)) is not None:
            for anchor in (kept, tested):
                _write_lists(anchor, _score(anchor, before))
        return RankerTest(model, verdicts, " ".join(refused))
    _write_lists(kept, raw)
    _write_lists(tested, scores)
    strata = [
        strata_of(anchor.known, anchor.candidates.customer, anchor.candidates.product)
        for anchor in (kept, tested)
    ]
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
    return RankerTest(model, verdicts, None, facts, [*lessons, again, lesson], probability, tested.label)


def _judge(tested: Anchor, raw: np.ndarray, scores: np.ndarray, last: LastGood) -> list[Verdict]:
    """The gates' verdicts on a new ranker: its scores (`raw` at the kept anchor), and the last one's test."""
    week, candidates = tested.week, tested.candidates
    limits = week.shop.gates
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
            "old": candidates.ranked(_score(tested, before), MAP_AT),
        }
        listed = week.listed_customers(tested.anchor)
        values = customer_values(lists, tested.known, tested.truth, listed, k=MAP_AT)
        verdicts.append(gates.successor(values["new"], values["old"], last.week, limits, week.settings.seed))
    return gates.overrule(verdicts, week.settings.gate_override)


def _score(tested: Anchor, ranker: Ranker) -> np.ndarray:
    """float64: another ranker's score of every candidate at the anchor."""
    return score_candidates(tested.week, ranker, tested.anchor, tested.candidates)


def _write_lists(anchor: Anchor, scores: np.ndarray) -> None:
    """The ranker's lists at an earlier anchor."""
    lists = rank_candidates(anchor.candidates, scores, anchor.week.settings.candidates)
    write_ranked(anchor.week, anchor.anchor, [lists])


def list_week(week: Week, ranker: Ranker) -> None:
    """Write the ranker's lists of every customer at the week itself."""
    as_of, settings = week.as_of, week.settings

    def rank_block(block: tuple[int, int]) -> dict[View, pd.DataFrame]:
        candidates = week.candidates(as_of, *block)
        scores = score_candidates(week, ranker, as_of, candidates)
        return rank_candidates(candidates, scores, settings.candidates)

    # Blocks side by side: merging and joining leave the other core idle.
    write_ranked(week, as_of, map_in_order(rank_block, blocks(week.known()), settings.threads))


def refit_ranker(week: Week, tested: RankerTest) -> tuple[Ranker, str]:
    """Fit the tested ranker again with its test anchor, and write both and the week's lists.

    Returns:
        The ranker and the sha256 of its file.
    """
    ranker = Ranker(RANKER, week.settings.seed, week.settings.threads).fit(
        **join_lessons(tested.lessons), rounds=tested.model.rounds_, used=tested.model.used_
    )
    tested.model.save(week.model_path(BEFORE_REFIT), anchors=tested.facts["anchors"])
    digest = ranker.save(week.model_path("ranker"), **tested.facts)
    list_week(week, ranker)
    return ranker, digest


def delete_ranker(week: Week) -> None:
    """Delete what an earlier run of the week left: it must not pass for this one's."""
    for name in ("ranker", BEFORE_REFIT):
        shutil.rmtree(week.model_path(name), ignore_errors=True)
    for stale in week.lists_path("", week.as_of, "all").parent.glob("ranker*.parquet"):
        stale.unlink()
