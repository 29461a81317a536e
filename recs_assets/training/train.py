"""Train, stop and calibrate, test, refit: one flow for the weekly ranker and for every query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.evaluation.evaluate import split_views
from recs_assets.queries.compiler import find_horizon
from recs_assets.queries.syntax import Query, QueryError, aggregates
from recs_assets.training.cache import Outcome
from recs_assets.training.models import learn, learn_ranking
from recs_assets.training.plans import Plan, midnight
from recs_assets.training.products import Products
from recs_assets.training.rows import calibrate_scores, list_sheet
from recs_assets.training.tasks import RATE, CandidateSheet, Dated, Sheet, Task
from recs_assets.training.values import Values
from recs_assets.training.verdicts import (
    compare_products,
    judge_boolean,
    judge_classes,
    judge_number,
    judge_products,
    judge_values,
)
from recs_assets.week.lessons import Lesson


@dataclass(frozen=True)
class Lessons:
    """What a ranker is fitted on.

    Attributes:
        sheet: rows of the latest training anchor.
        kept: all of them with their features: they stop the trees and calibrate.
        again: their sample, for the refit.
        earlier: samples of the earlier anchors.
        labels: anchor -> its labels.
    """

    sheet: CandidateSheet
    kept: Lesson
    again: Lesson
    earlier: list[Lesson]
    labels: dict[date, np.ndarray]


@dataclass(frozen=True)
class ProductTest:
    """What a campaign needs of its products' test anchor; empty where nobody needs it.

    Attributes:
        rows: `Prediction.tested`.
        truth: csr[n_customers, n_products], what was bought.
        compared: `Prediction.compared`.
    """

    rows: pd.DataFrame | None = None
    truth: sparse.csr_matrix | None = None
    compared: dict[str, np.ndarray] = field(default_factory=dict)


def load_lessons(task: Products, anchors: Sequence[date], say: Callable[[str], None]) -> Lessons:
    """Rows of the training anchors, the latest first."""
    latest, *rest = anchors
    sheet = load_candidates(task, latest, say)
    kept = task.lesson(sheet, *task.take_all(sheet))
    again = kept.take(*task.sample(sheet, latest, len(anchors)))
    labels, earlier = {latest: sheet.label}, []
    for anchor in rest:
        part = load_candidates(task, anchor, say)
        labels[anchor] = part.label
        earlier.append(sample_lesson(task, anchor, part, len(anchors)))
    return Lessons(sheet, kept, again, earlier, labels)


def load_candidates(task: Products, anchor: date, say: Callable[[str], None]) -> CandidateSheet:
    """The candidates of an anchor with their labels."""
    sheet = task.label_sheet(anchor)
    _report_size(sheet, anchor, say)
    return sheet


def load_labelled(task: Dated, anchor: date, say: Callable[[str], None]) -> Sheet:
    """The rows of an anchor whose label is known."""
    sheet = _drop_unlabelled(task.label_sheet(anchor))
    _report_size(sheet, anchor, say)
    return sheet


def _report_size(sheet: Sheet, anchor: date, say: Callable[[str], None]) -> None:
    say(f"{anchor}: {len(sheet):,} rows, {sheet.label.mean() if len(sheet) else 0:.4g} on average.")


def sample_lesson(task: Task, anchor: date, sheet: Sheet, anchors: int) -> Lesson:
    """What one of so many anchors gives to the trees."""
    return task.lesson(sheet, *task.sample(sheet, anchor, anchors))


def score_sheet(score: Callable[[np.ndarray], np.ndarray], sheet: Sheet) -> np.ndarray:
    """float64[n]: a model's raw score of every row, chunk by chunk."""
    return np.concatenate([np.empty(0), *(score(X) for X in sheet.chunks(np.arange(len(sheet))))])


def score_and_sample(
    task: Task, score: Callable[[np.ndarray], np.ndarray], sheet: Sheet, anchor: date, anchors: int
) -> tuple[np.ndarray, Lesson]:
    """float64 score of every row, and out of the same frames what the anchor gives to the trees."""
    keep, weight = task.sample(sheet, anchor, anchors)
    scores, kept, start = [np.empty(0)], [np.empty((0, len(task.names)), dtype=np.float32)], 0
    for X in sheet.chunks(np.arange(len(sheet))):
        scores.append(score(X))
        kept.append(X[keep[slice(*np.searchsorted(keep, [start, start + len(X)]))] - start])
        start += len(X)
    lesson = Lesson(sheet.customer[keep], sheet.label[keep], weight, np.concatenate(kept), task.names)
    return np.concatenate(scores), lesson


def learn_own_ranker(
    plan: Plan, task: Products, depth: int | None, say: Callable[[str], None], brief: bool
) -> tuple[Outcome, ProductTest]:
    """Products, by a ranker of the query's own; its test stays empty where `brief`."""
    query, settings, anchors = plan.query, task.week.settings, plan.train
    lessons = load_lessons(task, anchors, say)
    for anchor, label in lessons.labels.items():
        require_both(label, query, anchor)
    try:
        model = learn_ranking(lessons, settings)
    except ValueError as error:
        raise explain_unlearnable(query, anchors[0], str(error)) from error
    say(f"Learned; testing at {plan.test}.")
    sheet = task.label_sheet(plan.test)
    if len(sheet) == 0:
        raise explain_unlearnable(query, plan.test, "no rows")
    score, tested = score_and_sample(task, model.score, sheet, plan.test, len(anchors))
    known = task.known(plan.test)
    truth = split_views(task.truth(plan.test, known.products["product_id"]), known.history)[task.view]
    length = max(12, query.list_length)
    lists = {"query": sheet.candidates.rank(score, length)}
    for name, baseline in task.formulas(sheet, plan.test).items():
        there = np.isfinite(baseline)
        lists[name] = sheet.candidates.rank(np.where(there, baseline, 0), length, there)
    customers = np.flatnonzero(task.eligible(plan.test))
    verdict = judge_products(lists, truth, customers, query.list_length, settings.seed)
    test = ProductTest()
    if not brief:
        rows = list_sheet(task, sheet, score, model, depth)
        test = ProductTest(rows, truth, compare_products(lists, truth, customers))
    # The anchors that stopped, calibrated and tested are learned from only now.
    final = model.refit([*lessons.earlier, lessons.again, tested])
    return Outcome(final, "query", "", verdict.table), test


def learn_models(plan: Plan, task: Dated, limits: tuple[float, float], say: Callable[[str], None]) -> Outcome:
    """A number, a condition, or values: the simplest of a formula, a linear model and its mean with trees that no
    other is proven to beat at the test anchor."""
    query, settings = plan.query, task.week.settings
    number = query.task == "regression"
    lessons: dict[date, Lesson] = {}

    def load_lesson(anchor: date) -> Lesson:
        if anchor not in lessons:
            sheet = load_labelled(task, anchor, say)
            lessons[anchor] = sample_lesson(task, anchor, sheet, len(plan.train))
        return lessons[anchor]

    latest = plan.train[0]
    sheet = load_labelled(task, latest, say)
    if not number:
        require_both(sheet.label, query, latest)
    kept = task.lesson(sheet, *task.take_all(sheet))
    lessons[latest] = kept.take(*task.sample(sheet, latest, len(plan.train)))
    rest = plan.train[1:]
    over = [anchor for anchor in rest if find_horizon(query, anchor) <= midnight(latest)]
    labels = np.concatenate([load_lesson(anchor).label for anchor in plan.train])
    if len(labels) == 0 or np.ptp(labels) == 0:
        same = "no rows" if len(labels) == 0 else f"every label is {labels[0]:g}"
        raise explain_unlearnable(query, latest, same)
    additive = number and query.aggregate.function in ("SUM", "COUNT", "COUNT_DISTINCT")
    objective = "binary" if not number else "tweedie" if additive and limits[0] >= 0 else "regression"
    try:
        models = learn(
            objective,
            [load_lesson(anchor) for anchor in over or rest],
            lessons[latest],
            kept,
            [load_lesson(anchor) for anchor in plan.train],
            settings.seed,
            settings.threads,
        )
    except ValueError as error:
        raise explain_unlearnable(query, latest, str(error)) from error
    del kept
    say(f"Learned; testing at {plan.test}.")
    sheet = load_labelled(task, plan.test, say)
    if len(sheet) == 0:
        raise explain_unlearnable(query, plan.test, "no rows")
    lessons[plan.test] = sample_lesson(task, plan.test, sheet, len(plan.train))
    scores = task.formulas(sheet, plan.test)
    by_value = None
    frames = sheet.chunks(np.arange(len(sheet)))
    parts = [[model.score(X) for model in models.values()] for X in frames]
    for (name, model), own in zip(models.items(), zip(*parts, strict=True), strict=True):
        score = np.concatenate(own)
        scores[name] = score if number else calibrate_scores(task, sheet, model, score)
    if isinstance(task, Values):
        truth = task.load_truth(plan.test)
        cell = (sheet.customer, sheet.item)
        matrices = {
            name: sparse.csr_matrix((values, cell), shape=truth.shape)
            for name, values in scores.items()
            if name != "popularity"
        }
        customers = np.flatnonzero(task.pick_customers(plan.test))
        if query.picks_one:
            frequency = np.asarray(task.load_truth(latest).sum(axis=0)).ravel()
            verdict = judge_classes(customers, truth, matrices, frequency, settings.seed)
        else:
            popularity = task.history(plan.test).popularity
            verdict, by_value = judge_values(
                customers, truth, matrices, popularity, list(task.values), settings.seed, settings.threads
            )
    elif number:
        scores = {name: np.clip(values, *limits) for name, values in scores.items()}
        verdict = judge_number(sheet.label, scores, settings.seed)
    else:
        verdict = judge_boolean(sheet.label, scores, settings.seed)
    simple = [RATE] if number else []
    measure = "r2" if number else "log_likelihood" if query.picks_one else "auroc"
    chosen, why = verdict.simplest([*simple, *models], measure)
    if number and (fit := verdict.value("r2", chosen)) < 0:
        why += f" It is worse than saying the mean of all for everybody (r2 {fit:.4f}): do not rely on single values."
    final = None
    if chosen in models:
        final = models[chosen].refit([load_lesson(anchor) for anchor in plan.again])
    return Outcome(final, chosen, why, verdict.table, by_value)


def _drop_unlabelled(sheet: Sheet) -> Sheet:
    """Leave out rows whose label is unknown: an average of nothing."""
    keep = np.flatnonzero(~np.isnan(sheet.label))
    if len(keep) == len(sheet):
        return sheet
    return Sheet(
        sheet.customer[keep], sheet.item[keep], sheet.label[keep], lambda rows: sheet.chunks(keep[rows])
    )


def require_both(label: np.ndarray, query: Query, anchor: date) -> None:
    if not 0 < label.sum() < len(label):
        why = "no rows" if len(label) == 0 else f"{int(label.sum())} of {len(label)} labels true"
        raise explain_unlearnable(query, anchor, why)


def explain_unlearnable(query: Query, anchor: date, why: str) -> QueryError:
    return QueryError(
        f"there is nothing to learn from at {anchor} ({why.rstrip('.')}); widen the target or the WHERE.",
        query.text,
        aggregates(query.target)[0].at,
    )
