"""The weekly ranker: trained before a test anchor, judged at it, refitted with it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from recs_assets.evaluation import gates
from recs_assets.evaluation.promotion import measure_models
from recs_assets.evaluation.verdict import Verdict, overrule
from recs_assets.queries.parser import parse
from recs_assets.queries.syntax import Query
from recs_assets.queries.validation import validate
from recs_assets.ranking.calibration import Calibrator, brier, calibrate, expected_calibration_error
from recs_assets.ranking.ranker import Ranker
from recs_assets.ranking.strata import find_strata
from recs_assets.recommenders.base import VIEWS, View
from recs_assets.schema import ArtefactError
from recs_assets.training.models import fit_ranker, refit_ranker
from recs_assets.training.products import Products
from recs_assets.training.table_gains import WithoutTables, measure_gains
from recs_assets.training.tasks import CandidateSheet
from recs_assets.training.train import load_lessons, score_and_sample
from recs_assets.week.blocks import blocks, map_blocks, map_in_order
from recs_assets.week.lessons import Lesson
from recs_assets.week.ranked import (
    lacks_offers,
    rank_candidates,
    score_candidates,
)
from recs_assets.week.week import Week

BEFORE_REFIT = "ranker_before_refit"  # the model as it was tested, which a later week's gate compares with
MAP_AT = 12
CALENDAR_SHORT = "left out: it has less than half the usual offers for the label window"


@dataclass(frozen=True)
class LastGood:
    """The ranker of the newest earlier published week.

    Attributes:
        week: that published it.
        ranker: as published, refitted with its own test anchor.
        before_refit: as it was tested: it has learned from nothing after its own test anchor. None where it is
            no longer there.
    """

    week: date
    ranker: Ranker
    before_refit: Ranker | None

    def find_comparable(self, test: date) -> Ranker | None:
        """The model that has seen no day from `test` on, if there is one."""
        ranker = self.before_refit
        if ranker is None or date.fromisoformat(ranker.facts_["anchors"][-1]) > test:
            return None
        return ranker


@dataclass(frozen=True)
class NoLastGood:
    """There is no ranker of an earlier week to compare with or to keep; `why` says so in a sentence."""

    why: str


def find_last_good(week: Week) -> LastGood | NoLastGood:
    """The ranker of the newest earlier published week that has verdicts."""
    earlier, _ = week.load_earlier_verdicts()
    if earlier is None:
        return NoLastGood("ranker: no earlier week is published to compare with")
    before, threads = Week(week.shop, week.warehouse, earlier), week.settings.threads
    if not before.model_path("ranker").exists():
        return NoLastGood(f"ranker: week {earlier} has none, or it is no longer kept")
    try:
        ranker = Ranker.load(before.model_path("ranker"), threads)
        Calibrator.from_json(ranker.facts_["calibration"])
    except ArtefactError as error:
        return NoLastGood(f"ranker: that of week {earlier} cannot be used ({error})")
    if unknown := sorted(set(ranker.features_) - set(week.all_names)):
        why = f"ranker: that of week {earlier} knows features that are gone ({', '.join(unknown)})"
        return NoLastGood(why)
    if ranker.facts_.get("own_values", []) != week.own_values:
        why = f"ranker: that of week {earlier} counts other values of the shop's own tables"
        return NoLastGood(why)
    try:
        tested = Ranker.load(before.model_path(BEFORE_REFIT), threads)
    except ArtefactError:
        tested = None
    return LastGood(earlier, ranker, tested)


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
        label: float64[candidates].
    """

    model: Ranker
    verdicts: list[Verdict]
    refused: str | None
    facts: dict[str, Any] = field(default_factory=dict)
    lessons: list[Lesson] = field(default_factory=list)
    probability: np.ndarray | None = None
    label: np.ndarray | None = None


def week_query(week: Week) -> Query:
    """What the weekly ranker answers: which products does each customer buy within the horizon?"""
    days = week.shop.horizon_days
    return validate(
        parse(
            f"PREDICT LIST_DISTINCT(order_lines.product_id, 0, {days}, days) RANK TOP {MAP_AT} "
            "FOR EACH customers.customer_id"
        )
    )


def choose_names(week: Week, test: date) -> tuple[tuple[str, ...], str]:
    """The features that the ranker tested at an anchor learns from, and what became of the promotion calendar."""
    settings, anchors = week.settings, week.shop.train_anchors(test)
    # One fold is the week's: what is tested is what will be published, so its calendar decides. A
    # backtest publishes nothing: each fold does with the calendar that its test anchor had.
    weekly = settings.backtest_folds == 1
    if lacks_offers(week, week.as_of if weekly else test, [test, *anchors] if weekly else anchors):
        return week.names_without_offers, CALENDAR_SHORT
    return week.names, "used"


def train_ranker(
    week: Week, test: date, last: LastGood | NoLastGood, say: Callable[[str], None]
) -> RankerTest | None:
    """Train before the test anchor, judge, and write the lists of the ranker that stays; None without
    any purchase."""
    settings, anchors = week.settings, week.shop.train_anchors(test)
    task = Products(week, week.as_of, week_query(week), "all")
    task.names, calendar = choose_names(week, test)
    started = time.monotonic()
    lessons = load_lessons(task, anchors, say)
    if not (any(lesson.label.any() for lesson in lessons.earlier) and lessons.kept.label.any()):
        return None
    say(f"The frames at {', '.join(map(str, anchors))} took {time.monotonic() - started:.1f} s.")
    started = time.monotonic()
    # The trees of one anchor keep one core busy; the other makes the candidates of the test meanwhile.
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(task.label_sheet, test)
        model = fit_ranker(lessons, settings)
        # Nothing to fit where the shop has no tables of its own.
        without = WithoutTables(lessons, settings)
        sheet = waiting.result()
    say(f"{model.rounds_} trees took {time.monotonic() - started:.1f} s.")
    started = time.monotonic()
    kept_sheet, kept_scores = lessons.sheet, model.score(lessons.kept.frame)
    # All rows of an anchor, and the largest frame: from here on only their labels count.
    kept = replace(lessons.kept, frame=lessons.kept.frame[:0].copy())
    lessons = replace(lessons, kept=kept)
    scores, tested = score_and_sample(task, without.watch(model.score), sheet, test, len(anchors))
    before = last.find_comparable(test) if isinstance(last, LastGood) else None
    verdicts = _judge(week, test, sheet, kept_scores, scores, last, before)
    if refused := [verdict.sentence for verdict in verdicts if verdict.blocks]:
        # What the refitted one scores here it has partly learned: its figures would be no test.
        if before is not None:
            for anchor, rows in ((anchors[0], kept_sheet), (test, sheet)):
                _write_lists(week, anchor, rows, _score(week, anchor, rows, before))
        return RankerTest(model, verdicts, " ".join(refused))
    _write_lists(week, anchors[0], kept_sheet, kept_scores)
    _write_lists(week, test, sheet, scores)
    strata = [
        find_strata(week.known(anchor), rows.customer, rows.item)
        for anchor, rows in ((anchors[0], kept_sheet), (test, sheet))
    ]
    calibrator, quality = calibrate(kept_scores, kept.label, kept.group, strata[0])
    probability = calibrator.probability(scores, strata[1])
    # What is published is calibrated at both: the later anchor is nearer to the week, and neither was learned from.
    published, _ = calibrate(
        np.concatenate([kept_scores, scores]),
        np.concatenate([kept.label, sheet.label]),
        np.concatenate([kept.group, sheet.customer]),
        np.concatenate(strata),
    )
    say(f"The test at {test} took {time.monotonic() - started:.1f} s.")
    facts = {
        "anchors": [anchor.isoformat() for anchor in (*anchors, test)],
        "calibration": published.to_json(),
        "calibration_before_test": calibrator.to_json(),
        "quality": quality,
        "promotion_calendar": calendar,
        "own_values": week.own_values,
        "table_gains": measure_gains(week, test, sheet, model, scores, without.scores),
        "test_brier": brier(probability, sheet.label),
        "test_ece": expected_calibration_error(probability, sheet.label),
        "test_forecast_purchases": float(probability.sum()),
        "test_actual_purchases": int(sheet.label.sum()),
    }
    learned_from = [*lessons.earlier, lessons.again, tested]
    return RankerTest(model, verdicts, None, facts, learned_from, probability, sheet.label)


def _judge(
    week: Week,
    test: date,
    sheet: CandidateSheet,
    kept_scores: np.ndarray,
    scores: np.ndarray,
    last: LastGood | NoLastGood,
    before: Ranker | None,
) -> list[Verdict]:
    """The gates' verdicts on a new ranker: its scores, and the last one's test (`before`)."""
    limits = week.shop.gates
    finite = gates.judge_finite(np.concatenate([kept_scores, scores]), "ranker")
    verdicts = [finite, *gates.judge_spread(sheet.customer, sheet.item, scores, "ranker", limits)]
    if isinstance(last, NoLastGood):
        verdicts.append(gates.skip_successor(last.why))
    elif last.before_refit is None:
        why = f"ranker: week {last.week} keeps none as it was before its refit"
        verdicts.append(gates.skip_successor(why))
    elif before is None:
        why = f"ranker: that of week {last.week} was tested after {test} and has seen its days"
        verdicts.append(gates.skip_successor(why))
    elif not finite.passed:
        verdicts.append(gates.skip_successor("ranker: scores that are not finite cannot be compared"))
    else:
        candidates = sheet.candidates
        lists = {
            "new": candidates.rank(scores, MAP_AT),
            "old": candidates.rank(_score(week, test, sheet, before), MAP_AT),
        }
        listed = week.find_customers_with_lists(test)
        values = measure_models(lists, week.known(test), week.truth(test), listed, k=MAP_AT)
        verdicts.append(
            gates.judge_successor(values["new"], values["old"], last.week, limits, week.settings.seed)
        )
    return overrule(verdicts, week.settings.gate_override)


def _score(week: Week, anchor: date, sheet: CandidateSheet, ranker: Ranker) -> np.ndarray:
    """float64: another ranker's score of every candidate at the anchor."""
    return score_candidates(week, ranker, anchor, sheet.candidates)


def _write_lists(week: Week, anchor: date, sheet: CandidateSheet, scores: np.ndarray) -> None:
    """The ranker's lists at an earlier anchor."""
    week.write_lists("ranker", anchor, [rank_candidates(sheet.candidates, scores, week.settings.candidates)])


def list_week(week: Week) -> None:
    """Write the lists of every customer at the week itself, by the ranker that is written for it."""
    week.write_lists("ranker", week.as_of, map_blocks(rank_customers, week))


def rank_customers(part: Week) -> dict[View, pd.DataFrame]:
    """The ranker's lists of a part's customers, by view, in the whole week's codes."""
    as_of, settings = part.as_of, part.settings
    ranker = Ranker.load(part.model_path("ranker"), settings.threads)

    def rank_block(block: tuple[int, int]) -> dict[View, pd.DataFrame]:
        candidates = part.candidates(as_of, *block)
        scores = score_candidates(part, ranker, as_of, candidates)
        return rank_candidates(candidates, scores, settings.candidates)

    # Blocks side by side: merging and joining leave the other core idle.
    ranked = list(map_in_order(rank_block, blocks(part.known(), settings.threads), settings.threads))
    return {
        view: part.count_from_first(pd.concat([lists[view] for lists in ranked], ignore_index=True))
        for view in VIEWS
    }


def publish_ranker(week: Week, tested: RankerTest) -> tuple[Ranker, str]:
    """Fit the tested ranker again with its test anchor, and write both and the week's lists.

    Returns:
        The ranker and the sha256 of its file.
    """
    ranker = refit_ranker(tested.model, tested.lessons, week.settings)
    tested.model.save(week.model_path(BEFORE_REFIT), anchors=tested.facts["anchors"])
    digest = ranker.save(week.model_path("ranker"), **tested.facts)
    list_week(week)
    return ranker, digest


def delete_ranker(week: Week) -> None:
    """Delete what an earlier run of the week left: it must not pass for this one's."""
    for name in ("ranker", BEFORE_REFIT):
        shutil.rmtree(week.model_path(name), ignore_errors=True)
    for stale in week.lists_path("", week.as_of, "all").parent.glob("ranker*.parquet"):
        stale.unlink()
