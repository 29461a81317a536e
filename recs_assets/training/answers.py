"""From a query to its prediction: plan, learn, test, learn again, predict."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import is_stored, rank_within
from recs_assets.evaluation.evaluate import truths
from recs_assets.queries.compiler import explain, horizon, seen_sql
from recs_assets.queries.filters import unknown_values
from recs_assets.queries.parser import parse
from recs_assets.queries.syntax import Aggregate, Column, Query, QueryError, operands
from recs_assets.queries.validation import item_column, validate
from recs_assets.ranking.calibration import calibrate
from recs_assets.ranking.ranker import Ranker
from recs_assets.ranking.strata import strata_of
from recs_assets.recommenders.base import View
from recs_assets.schema import ArtefactError, WarehouseError
from recs_assets.settings import Settings
from recs_assets.shop import RANKER, Shop
from recs_assets.training import cache
from recs_assets.training.activity import EPOCH
from recs_assets.training.cache import Outcome
from recs_assets.training.models import Learned, learn, learn_ranking
from recs_assets.training.plans import LOOK_BACK, Plan, midnight, plan, weekly, window_days
from recs_assets.training.tasks import MOST_VALUES, RATE, Dated, Entities, Products, Sheet, Task, Values
from recs_assets.training.verdicts import (
    compare_products,
    judge_boolean,
    judge_classes,
    judge_number,
    judge_products,
    judge_values,
)
from recs_assets.week.blocks import map_in_order
from recs_assets.week.lessons import Lesson
from recs_assets.week.ranked import WITHOUT_OFFERS, lacks_offers, load_ranker
from recs_assets.week.week import SOURCES, Week

# Products that a customer never bought, beyond the depth of a campaign's rows: what discovery looks among.
NEW_ROWS = 50


@dataclass(frozen=True)
class Prediction:
    """What a query predicts at its week, and how well it did at the test anchor.

    Attributes:
        plan: anchors and the query as it was answered.
        item: "product_id", "category", "brand" or "vertical"; None for a number or a boolean.
        rows: customer int32 (code of `known(week)`), and for a list product or value int32, rank
            int32 from 1, score float32 (log-odds), probability float32, for products also source
            (the recommender that ranks it highest); with a depth, also the first `NEW_ROWS` products beyond it
            that the customer never bought; for a boolean score, probability; for a number
            prediction float64. Sorted by customer, rank.
        tested: for a campaign's products, the same at the test anchor (codes of `known(test)`), otherwise None.
        truth: for a campaign's products, csr of what was really bought there, otherwise None.
        table: as `rows` with ids instead of codes, at most k per customer: what `predict` returns.
        metrics: metric, model ("query", "linear" or a baseline), value and its interval low, high; for models
            but the query difference (query less model), ci_low, ci_high (paired bootstrap); NaN where there is none.
        by_value: per category, brand or vertical: value, customers (with it), auroc and average
            precision of every model; None for other targets.
        eligible: customers at the week.
        compared: for a campaign's products, model -> float64[customers], MAP@12 at the test anchor of every customer who was
            asked for and bought something, the same customers for every model; otherwise empty.
        features: names that the trees used.
        seconds: wall time.
        task: makes candidates and features of any anchor of the plan.
        learned: the model that made `rows`: scores, calibration and, of products, the ranker itself; None where a
            formula made them.
        chosen: which of the models of `metrics` made `rows`.
        notes: what else there is to know, a sentence each.
    """

    plan: Plan
    item: str | None
    rows: pd.DataFrame
    tested: pd.DataFrame | None
    truth: sparse.csr_matrix | None
    table: pd.DataFrame
    metrics: pd.DataFrame
    by_value: pd.DataFrame | None
    compared: dict[str, np.ndarray]
    eligible: int
    features: tuple[str, ...]
    seconds: float
    task: Task
    learned: Learned | None
    chosen: str = "query"
    notes: tuple[str, ...] = ()

    def shown(self, most: int = 40) -> str:
        """The table's first rows, and the test, as text."""
        lines = [self.table.head(most).to_string(index=False)] if most else []
        if len(self.table) > most > 0:
            lines.append(f"... and {len(self.table) - most:,} more rows (--output FILE writes them all).")
        lines.append(
            f"\n{self.eligible:,} eligible {self.plan.query.entity[0].parts[0]} at {self.plan.as_of}, {len(self.table):,} rows, {self.seconds:.0f} s."
        )
        lines += [note for note in (self.plan.note, *self.notes) if note]
        if len(self.metrics):
            best_first = self.metrics.sort_values(["metric", "value"], ascending=[True, False], kind="stable")
            lines.append(
                f"\nTest at {self.plan.test}; difference: query less baseline, with its 95 % bootstrap interval.\n"
                + best_first.to_string(index=False, float_format="{:.4f}".format)
            )
        return "\n".join(lines)


def answer(
    query: str | Query,
    week: Week,
    view: View = "all",
    depth: int | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Prediction:
    """Learn what the query asks, test it, and predict it at the week.

    Args:
        query: text, or parsed.
        week: of the date of the answer. Products are ranked from its own lists; anything else is answered from
            the first build that knows everything before the date.
        view: for products: "new" ranks what the customer never bought, "repeat" what they did; labels
            and test likewise.
        depth: rows per customer in `rows` (a campaign's rules take some out); None: k of the query.
        say: is told about the progress.

    Raises:
        QueryError: the query is not valid, is for another date, needs other anchors, or there is
            nothing to learn from.
        WarehouseError: the week has no complete build.
        ArtefactError: its lists are missing.
    """
    with _find_build(validate(parse(query) if isinstance(query, str) else query), week).build.hold():
        return answered(*prepared(query, week, view), depth, say, keep=True)


def answered(
    found: Plan,
    task: Task,
    depth: int | None = None,
    say: Callable[[str], None] = lambda message: None,
    keep: bool = False,
) -> Prediction:
    """`answer`, of what is prepared.

    With `keep` what is learned is kept under the week, and taken from there where the same was asked before, of
    whomever; then what only campaigns need of the test anchor stays empty: tested, truth and compared.
    """
    started = time.monotonic()
    if not task.eligible(found.as_of).any():
        raise _nobody(found)
    note = task.widen((found.test, found.train[0]))
    limits, notes = ((-np.inf, np.inf), []) if isinstance(task, Products) else _limits(found, task)
    weekly = task.weekly if isinstance(task, Products) else None
    outcome, more, place = None, {}, cache.place_of(found, task) if keep else None
    if place is not None:
        try:
            outcome = cache.read(place, task.week.settings.threads, weekly)
        except ArtefactError as error:
            say(f"{error} It is learned again.")
    if weekly is not None:
        say("The week's own ranker answers.")
    if outcome is not None:
        say("What was learned when this was asked before answers.")
    else:
        if weekly is not None:
            outcome, more = _of_the_week(found, task, weekly, depth, keep)
        elif isinstance(task, Products):
            outcome, more = _of_a_ranker(found, task, depth, say, keep)
        else:
            outcome = _of_models(found, task, limits, say)
        if place is not None:
            _keep(place, outcome, weekly, say)
    if weekly is None:
        rows = _predicted(found, task, outcome.learned, limits, depth, say)
    else:
        rows = _likely(found, task, found.as_of, outcome.learned, depth)
    if rows.empty:
        raise _nobody(found)
    return Prediction(
        plan=found,
        item=item_column(found.query) if found.query.mode else None,
        rows=rows,
        table=_with_ids(task, rows),
        metrics=outcome.metrics,
        by_value=outcome.by_value,
        eligible=int(task.eligible(found.as_of).sum()),
        features=() if outcome.learned is None else outcome.learned.used,
        seconds=time.monotonic() - started,
        task=task,
        learned=outcome.learned,
        chosen=outcome.chosen,
        notes=tuple(one for one in (note, *notes, outcome.why) if one),
        **{"tested": None, "truth": None, "compared": {}, **more},
    )


def _keep(place: Path, outcome: Outcome, weekly: Ranker | None, say: Callable[[str], None]) -> None:
    try:
        cache.write(place, outcome, weekly)
    except OSError as error:
        say(f"What was learned is not kept, so the next query learns it again ({error}).")


def _nobody(found: Plan) -> QueryError:
    entity = found.query.entity[0].parts[0]
    who = "nobody" if entity == "customers" else "nothing"
    only = "; none of the ids is known then, or they do not pass the WHERE" if found.query.only else ""
    return QueryError(
        f"{who} is eligible at {found.as_of}{only or '; loosen the WHERE of the query'}.", found.query.text, 0
    )


def _lesson(task: Task, found: Plan, anchor: date, sheet: Sheet, anchors: int) -> Lesson:
    """What an anchor gives to the trees."""
    return task.lesson(sheet, *task.picked(sheet, anchor, anchors))


def _labelled(task: Task, found: Plan, anchor: date, say: Callable[[str], None]) -> Sheet:
    """The rows of an anchor whose label is known."""
    sheet = _with_labels(task.whole(anchor))
    say(f"{anchor}: {len(sheet):,} rows, {sheet.label.mean() if len(sheet) else 0:.4g} on average.")
    return sheet


def _of_a_ranker(
    found: Plan, task: Products, depth: int | None, say: Callable[[str], None], brief: bool
) -> tuple[Outcome, dict[str, object]]:
    """Products, by a ranker of the query's own; and unless `brief` what a `Prediction` has of the test anchor."""
    query, settings = found.query, task.week.settings
    lessons: list[Lesson] = []
    for anchor in found.train:
        sheet = _labelled(task, found, anchor, say)
        _teaches(sheet.label, query, anchor)
        if anchor == found.train[0]:
            kept = task.lesson(sheet, *task.every(sheet))
            again = kept.take(*task.picked(sheet, anchor, len(found.train)))
        else:
            lessons.append(_lesson(task, found, anchor, sheet, len(found.train)))
    try:
        model = learn_ranking(lessons, kept, settings.seed, settings.threads)
    except ValueError as error:
        raise _unlearnable(query, found.train[0], str(error)) from error
    del kept
    say(f"Learnt; testing at {found.test}.")
    sheet = _with_labels(task.whole(found.test))
    if len(sheet) == 0:
        raise _unlearnable(query, found.test, "no rows")
    score = _scored(model.score, sheet)
    known = task.known(found.test)
    truth = truths(task.truth(found.test, known.products["product_id"]), known.history)[task.view]
    lists = {"query": sheet.candidates.ranked(score, max(12, query.top))}
    for name, baseline in task.formulas(sheet, found.test).items():
        there = np.isfinite(baseline)
        lists[name] = sheet.candidates.ranked(np.where(there, baseline, 0), max(12, query.top), there)
    customers = np.flatnonzero(task.eligible(found.test))
    verdict = judge_products(lists, truth, customers, query.top, settings.seed)
    more = {}
    if not brief:
        more = {
            "tested": _listed(task, sheet, score, model, depth),
            "truth": truth,
            "compared": compare_products(lists, truth, customers),
        }
    # The anchors that stopped, calibrated and tested are learnt from only now.
    final = model.refit([*lessons, again, _lesson(task, found, found.test, sheet, len(found.train))])
    return Outcome(final, "query", "", verdict.table), more


def _of_models(found: Plan, task: Dated, limits: tuple[float, float], say: Callable[[str], None]) -> Outcome:
    """A number, a condition, or values: the simplest of a formula, a linear model and its mean with trees that no
    other is proven to beat at the test anchor."""
    query, settings = found.query, task.week.settings
    number = query.task == "regression"
    lessons: dict[date, Lesson] = {}

    def lesson(anchor: date) -> Lesson:
        if anchor not in lessons:
            lessons[anchor] = _lesson(
                task, found, anchor, _labelled(task, found, anchor, say), len(found.train)
            )
        return lessons[anchor]

    latest = found.train[0]
    sheet = _labelled(task, found, latest, say)
    if not number:
        _teaches(sheet.label, query, latest)
    kept = task.lesson(sheet, *task.every(sheet))
    lessons[latest] = kept.take(*task.picked(sheet, latest, len(found.train)))
    rest = found.train[1:]
    over = [anchor for anchor in rest if horizon(query, anchor) <= midnight(latest)]
    labels = np.concatenate([lesson(anchor).label for anchor in found.train])
    if len(labels) == 0 or np.ptp(labels) == 0:
        same = "no rows" if len(labels) == 0 else f"every label is {labels[0]:g}"
        raise _unlearnable(query, latest, same)
    additive = number and query.target.function in ("SUM", "COUNT", "COUNT_DISTINCT")
    objective = "binary" if not number else "tweedie" if additive and limits[0] >= 0 else "regression"
    try:
        models = learn(
            objective,
            [lesson(anchor) for anchor in over or rest],
            lessons[latest],
            kept,
            [lesson(anchor) for anchor in found.train],
            settings.seed,
            settings.threads,
        )
    except ValueError as error:
        raise _unlearnable(query, latest, str(error)) from error
    del kept
    say(f"Learnt; testing at {found.test}.")
    sheet = _labelled(task, found, found.test, say)
    if len(sheet) == 0:
        raise _unlearnable(query, found.test, "no rows")
    lessons[found.test] = _lesson(task, found, found.test, sheet, len(found.train))
    scores = task.formulas(sheet, found.test)
    by_value = None
    for name, model in models.items():
        score = _scored(model.score, sheet)
        scores[name] = score if number else _probability(task, sheet, model, score)
    if isinstance(task, Values):
        truth = task.truth_of(found.test)
        cell = (sheet.customer, sheet.item)
        matrices = {
            name: sparse.csr_matrix((values, cell), shape=truth.shape)
            for name, values in scores.items()
            if name != "popularity"
        }
        customers = np.flatnonzero(task.pick_customers(found.test))
        if query.picks_one:
            frequency = np.asarray(task.truth_of(latest).sum(axis=0)).ravel()
            verdict = judge_classes(customers, truth, matrices, frequency, settings.seed)
        else:
            popularity = task.history(found.test).popularity
            verdict, by_value = judge_values(
                customers, truth, matrices, popularity, list(task.values), settings.seed
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
        final = models[chosen].refit([lesson(anchor) for anchor in found.again])
    return Outcome(final, chosen, why, verdict.table, by_value)


def _limits(found: Plan, task: Dated) -> tuple[tuple[float, float], list[str]]:
    """What the target's number can be, and a sentence per table that is asked about and empty.

    Raises:
        QueryError: a table of the target is empty.
    """
    query, limits = found.query, (-np.inf, np.inf)
    empty = []

    def seen(node: Aggregate) -> pd.Series:
        return task.week.build.query(*seen_sql(query, node, found.as_of)).iloc[0]

    ahead = operands(query.target)
    for node in [*ahead, *operands(query.where)]:
        if not isinstance(node, Aggregate):
            continue
        table = node.column.parts[0]
        if seen(replace(node, column=Column((table, "*")), where=None))["rows"] > 0:
            continue
        if any(node is one for one in ahead):
            raise QueryError(
                f"{table} holds no rows before {found.as_of}, so there is nothing to learn from; ask about another table.",
                query.text,
                node.at,
            )
        empty.append(
            f"{table} holds no rows before {found.as_of}: its aggregations in the WHERE are of nothing."
        )
    if query.task == "regression":
        rows = seen(query.target)
        least, most = (float(rows[name]) if rows[name] is not None else np.nan for name in ("least", "most"))
        function = query.target.function
        if function in ("COUNT", "COUNT_DISTINCT"):
            limits = (0.0, np.inf if function == "COUNT" else float(rows["distinct_values"]))
        elif function == "SUM":
            limits = (0.0 if least >= 0 else -np.inf, 0.0 if most <= 0 else np.inf)
        elif np.isfinite(least):
            limits = (least, most)
    return limits, list(dict.fromkeys(empty))


def _scored(score: Callable[[np.ndarray], np.ndarray], sheet: Sheet) -> np.ndarray:
    """float64[n]: a model's raw score of every row, chunk by chunk."""
    return np.concatenate([np.empty(0), *(score(X) for X in sheet.chunks(np.arange(len(sheet))))])


def _predicted(
    found: Plan,
    task: Task,
    final: Learned | None,
    limits: tuple[float, float],
    depth: int | None,
    say: Callable[[str], None],
) -> pd.DataFrame:
    """`Prediction.rows`: what the model says at the week; without one the formula does."""
    as_of = found.as_of
    say(f"Predicting at {as_of}.")

    def rows_of(block: tuple[int, int]) -> pd.DataFrame | None:
        sheet = task.sheet(as_of, *block)
        if len(sheet) == 0:
            return None
        score = task.formulas(sheet, as_of)[RATE] if final is None else _scored(final.score, sheet)
        return _listed(task, sheet, np.clip(score, *limits), final, depth)

    size = len(task.ids(as_of))
    ranges = [(first, min(first + task.block, size)) for first in range(0, size, task.block)]
    parts = [part for part in map_in_order(rows_of, ranges, task.week.settings.threads) if part is not None]
    if not parts:
        raise _nobody(found)
    return pd.concat(parts, ignore_index=True)


def prepared(query: str | Query, week: Week, view: View = "all") -> tuple[Plan, Task]:
    """The anchors of a query, and what makes its rows at each of them; raises as `answer` does."""
    asked = _checked(query, week.as_of, view)
    build, as_of = _find_build(asked, week), week.as_of
    if asked.mode is None or item_column(asked) != "product_id":
        task = (Entities if asked.mode is None else Values)(build, as_of, asked, view)
        first = task.activity.first_day
        if first is None:
            raise QueryError(f"nothing is known of anybody before {as_of}: there is nothing to learn from.")
        start = EPOCH + timedelta(days=first)
        if any(operand.parts[-1] == "price" for operand in _columns(asked)):
            start = max(start, min(build.anchors) - LOOK_BACK)  # prices are known at the build's anchors
        return weekly(asked, as_of, start, task.most_anchors), task
    found = plan(asked, as_of, week.anchors, RANKER.train_anchors, week.shop.horizon_days)
    task = Products(week, as_of, found.query, view)
    task.weekly = _ranker_of_the_week(found, task)
    if lacks_offers(week, as_of, [found.test, *found.train]):
        task.names = WITHOUT_OFFERS
    return found, task


def _refuse_other_dates(query: Query, as_of: date) -> None:
    if query.as_of not in (None, as_of):
        raise QueryError(f"the query is AS OF {query.as_of}, but it is asked for {as_of}; leave one out.")


def _columns(query: Query) -> list[Column]:
    """Every column that a query names, in filters of aggregations too."""
    waiting = [*operands(query.target), *operands(query.where)]
    found = []
    for operand in waiting:
        if isinstance(operand, Aggregate):
            found.append(operand.column)
            waiting += operands(operand.where)
        else:
            found.append(operand)
    return found


def _find_build(query: Query, week: Week) -> Week:
    """The week whose build answers at a date: its own, or for what needs no lists the first later one.

    Raises:
        QueryError: products are ranked, and the date is not a week that was run.
        WarehouseError: no build knows everything before the date.
    """
    builds, as_of, home = week.warehouse.builds(), week.as_of, week.warehouse.home
    if as_of in builds:
        return week
    monday = as_of - timedelta(days=as_of.weekday())
    if query.mode is not None and item_column(query) == "product_id":
        earlier = [build for build in builds if build <= as_of]
        advice = [f"ask as of {earlier[-1]}"] if earlier else []
        if monday not in builds:
            advice.append(f"run it first (python -m recs_assets run --as-of {monday})")
        raise WarehouseError(
            f"The week {as_of} has no build in {home}, and products are ranked from the lists of a week: "
            f"{', or '.join(advice)}."
        )
    later = [build for build in builds if build > as_of]
    if not later:
        monday = as_of if as_of == monday else monday + timedelta(days=7)
        raise WarehouseError(
            f"The week {as_of} has no build in {home}, and no later week that was run knows what happened "
            f"before it: run it first (python -m recs_assets run --as-of {monday})."
        )
    return Week(week.shop, week.warehouse, later[0])


def _checked(query: str | Query, as_of: date, view: View) -> Query:
    query = validate(parse(query) if isinstance(query, str) else query)
    _refuse_other_dates(query, as_of)
    if view != "all" and not (query.task == "rank" and item_column(query) == "product_id"):
        raise QueryError(f"only a ranking of products can be about {view} purchases; use the view all.")
    return query


def _ranker_of_the_week(found: Plan, task: Products) -> Ranker | None:
    """The week's own ranker where it was trained for this: what will be bought of all products, in at
    least half of its label window, at the same anchors. On Complete Journey it is level with a ranker of the
    query's own at 14 of 28 days (docs/research/queries.md), and costs nothing."""
    query, horizon_days = found.query, task.week.shop.horizon_days
    (target,) = operands(query.target)
    bought = target.column.parts[0] in ("order_lines", "orders") and target.where is None
    days = window_days(query, found.as_of)
    if not (bought and target.window.start == 0 and horizon_days <= 2 * days <= 2 * horizon_days):
        return None
    published = load_ranker(task.week)
    if published is None:
        return None
    kept, *_, test = map(date.fromisoformat, published.ranker.facts_["anchors"])
    return published.ranker if (kept, test) == (found.train[0], found.test) else None


def _of_the_week(
    found: Plan, task: Products, ranker: Ranker, depth: int | None, brief: bool
) -> tuple[Outcome, dict[str, object]]:
    """The answer of the week's own ranker, calibrated for the query's window: at both anchors for what is published,
    where the later one is nearer to the week and neither was learned from; and unless `brief` at the kept anchor for
    what a `Prediction` has of the test."""
    query, seed = found.query, task.week.settings.seed

    def lesson(anchor: date) -> tuple[np.ndarray, ...]:
        """Scores, labels, customers and strata of the ranker's list at an anchor."""
        rows, known = _weekly_lists(task, "ranker", anchor), task.known(anchor)
        customer, product = rows["customer"].to_numpy(), rows["product"].to_numpy()
        bought = is_stored(happened[anchor], customer, product)
        score = rows["score"].to_numpy(dtype=float)
        return score, bought.astype(np.int8), customer, strata_of(known, customer, product)

    anchors = (found.train[0], found.test)
    happened = {one: task.truth(one, task.known(one).products["product_id"]) for one in anchors}
    kept, tested = map(lesson, anchors)
    _teaches(kept[1], query, found.train[0])
    both = [np.concatenate(parts) for parts in zip(kept, tested, strict=True)]
    published = Learned(ranker, calibrate(*both)[0], ranker.used_)
    lists = {name: _weekly_lists(task, name, found.test) for name in SOURCES}
    truth = truths(happened[found.test], task.known(found.test).history)[task.view]
    customers = np.flatnonzero(task.eligible(found.test))
    lists = {"query": _weekly_lists(task, "ranker", found.test), **lists}
    verdict = judge_products(lists, truth, customers, query.top, seed)
    more = {}
    if not brief:
        learned = Learned(ranker, calibrate(*kept)[0], ranker.used_)
        more = {
            "tested": _likely(found, task, found.test, learned, depth),
            "truth": truth,
            "compared": compare_products(lists, truth, customers),
        }
    return Outcome(published, "query", "", verdict.table), more


def _likely(found: Plan, task: Products, anchor: date, model: Learned, depth: int | None) -> pd.DataFrame:
    """`Prediction.rows` of an anchor, out of the lists of the week's own ranker."""
    rows = _weekly_lists(task, "ranker", anchor)
    rows = rows[(rows["rank"] <= (depth or found.query.top)).to_numpy()].reset_index(drop=True)
    if depth and task.view == "all":
        rows = _with_new(rows, _weekly_lists(task, "ranker", anchor, "new"), depth)
    strata = strata_of(task.known(anchor), rows["customer"].to_numpy(), rows["product"].to_numpy())
    probability = model.probability(rows["score"].to_numpy(dtype=float), strata).astype(np.float32)
    return rows.assign(rank=rows["rank"].astype(np.int32), probability=probability)[
        ["customer", "product", "rank", "score", "probability", "source"]
    ]


def _with_new(rows: pd.DataFrame, new: pd.DataFrame, depth: int) -> pd.DataFrame:
    """The rows and, ranked after them, the first `NEW_ROWS` of `new` (customer, product, rank, ...) that are not
    among them."""
    new = new[(new["rank"] <= NEW_ROWS).to_numpy()]
    new = new.assign(rank=new["rank"].astype(np.int32) + depth)
    both = pd.concat([rows, new], ignore_index=True)
    both = both[~both.duplicated(["customer", "product"])]
    return both.sort_values(["customer", "rank"], kind="stable", ignore_index=True)


def _weekly_lists(task: Products, name: str, anchor: date, view: View | None = None) -> pd.DataFrame:
    """A model's lists at an anchor, of who is eligible there."""
    rows = task.week.lists(name, anchor, view or task.view)
    return rows[task.eligible(anchor)[rows["customer"].to_numpy()]]


def _with_labels(sheet: Sheet) -> Sheet:
    """Without rows whose label is unknown: an average of nothing."""
    keep = np.flatnonzero(~np.isnan(sheet.label))
    if len(keep) == len(sheet):
        return sheet
    return Sheet(
        sheet.customer[keep], sheet.item[keep], sheet.label[keep], lambda rows: sheet.chunks(keep[rows])
    )


def _teaches(label: np.ndarray, query: Query, anchor: date) -> None:
    if not 0 < label.sum() < len(label):
        said = "no rows" if len(label) == 0 else f"{int(label.sum())} of {len(label)} labels true"
        raise _unlearnable(query, anchor, said)


def _unlearnable(query: Query, anchor: date, why: str) -> QueryError:
    return QueryError(
        f"there is nothing to learn from at {anchor} ({why.rstrip('.')}); widen the target or the WHERE.",
        query.text,
        operands(query.target)[0].at,
    )


def _probability(task: Task, sheet: Sheet, model: Learned, score: np.ndarray) -> np.ndarray:
    """float64[n]; of values of which one comes true they add up to 1 for everybody."""
    probability = model.probability(score)
    if task.query.picks_one:
        probability = probability / np.bincount(sheet.customer, weights=probability)[sheet.customer]
    return probability


def _listed(
    task: Task, sheet: Sheet, score: np.ndarray, model: Learned | None, depth: int | None
) -> pd.DataFrame:
    """`Prediction.rows` of one sheet."""
    if model is None or model.calibrator is None:
        return pd.DataFrame({"customer": sheet.customer, "prediction": score})
    probability = _probability(task, sheet, model, score).astype(np.float32)
    if isinstance(task, Entities):
        return pd.DataFrame(
            {"customer": sheet.customer, "score": score.astype(np.float32), "probability": probability}
        )
    item = "product" if isinstance(task, Products) else "value"
    most = depth or task.query.top or MOST_VALUES
    order = np.lexsort((sheet.item, -score, sheet.customer))
    rank = rank_within(sheet.customer[order])
    keep = rank <= most
    if depth and sheet.candidates is not None and task.view == "all":
        new = ~sheet.candidates.own[order]
        keep[np.flatnonzero(new)[rank_within(sheet.customer[order][new]) <= NEW_ROWS]] = True
    order, rank = order[keep], rank[keep]
    rows = pd.DataFrame(
        {
            "customer": sheet.customer[order],
            item: sheet.item[order],
            "rank": rank.astype(np.int32),
            "score": score[order].astype(np.float32),
            "probability": probability[order],
        }
    )
    if sheet.candidates is not None:
        rows["source"] = pd.Categorical(sheet.candidates.take(order).best_source())
    return rows


def _with_ids(task: Task, rows: pd.DataFrame) -> pd.DataFrame:
    table = rows[rows["rank"] <= task.query.top] if task.query.top else rows
    ids = {task.query.entity[0].parts[1]: task.ids(task.as_of)[table["customer"]]}
    for code in ("product", "value"):
        if code in table:
            name = item_column(task.query)
            ids[name] = task.item_ids(task.as_of)[table[code]]
    if "product_id" in ids:
        names = task.week.build.query("select product_id, name from marts.products", {})
        ids["product_name"] = (
            names.set_index("product_id")["name"].reindex(ids["product_id"]).to_numpy(dtype=object)
        )
    rest = table.drop(columns=["customer", "product", "value"], errors="ignore").reset_index(drop=True)
    return pd.concat([pd.DataFrame(ids), rest], axis=1)


def explained(query: str | Query, week: Week, view: View = "all") -> str:
    """The query in its normal form, the SQL of its labels, who is eligible, the anchors, the features.

    Nothing is learnt; raises as `answer` does.
    """
    found, task = prepared(query, week, view)
    as_of = week.as_of
    kept, *fitted = found.train
    whose = "of the week's own ranker" if getattr(task, "weekly", False) else "of a model of its own"
    return (
        f"{explain(found.query, as_of)}\n"
        f"-- eligible at {as_of}\n{int(task.eligible(as_of).sum())} of {len(task.ids(as_of))} {found.query.entity[0].parts[0]}\n\n"
        f"-- anchors\nfit {', '.join(map(str, fitted))}; stop and calibrate {kept}; test {found.test}; predict {as_of}\n"
        + (f"{found.note}\n" if found.note else "")
        + f"\n-- features {whose} ({len(task.names)}; the trees take up to {RANKER.features_kept} of them)\n{', '.join(task.names)}\n"
    )


def unknown_names(query: Query, week: Week) -> list[str]:
    """One sentence per text that the query's filters name and no row of the shop had before the week."""
    return unknown_values(query, week.as_of, _find_build(query, week).build.query)


# -- the shell and the notebook ---------------------------------------------------------------


def opened(query: str, as_of: date | None) -> tuple[Query, Week]:
    """The shop of the environment, and the week: `as_of`, the query's own, or the newest published.

    Raises:
        QueryError: the query cannot be read.
        WarehouseError: nothing is published, or the week has no build.
        SettingsError: see `Settings`.
    """
    parsed = validate(parse(query))
    shop = Shop.from_settings(Settings())
    warehouse = shop.warehouse()
    week = Week(shop, warehouse, as_of or parsed.as_of or warehouse.newest_published())
    _refuse_other_dates(parsed, week.as_of)
    _find_build(parsed, week)
    return parsed, week


def predict(query: str, as_of: date | str | None = None, view: View = "all") -> pd.DataFrame:
    """What a predictive query (docs/queries.md) predicts, from the build of that week under RECS_HOME.

    Args:
        query: the text.
        as_of: a date or "2018-01-01"; for a ranking of products a Monday that was run, for anything else any
            date before the newest week that was run. Default: the query's AS OF, else the newest published week.
        view: for a ranking of products: "all", "new" (never bought by the customer) or "repeat".

    Returns:
        One row per customer and item with rank, score, probability and (products) name and source; for a
        boolean one row per customer or product with probability, for a number with prediction.

    Warns:
        UserWarning: a filter names what the shop does not have.

    Raises:
        RecsError: one plain sentence; see `answer` and `opened`.
    """
    try:
        day = date.fromisoformat(as_of) if isinstance(as_of, str) else as_of
    except ValueError:
        raise QueryError(f"as_of is {as_of!r}, which is no date; write it like 2024-12-30.") from None
    parsed, week = opened(query, day)
    for sentence in unknown_names(parsed, week):
        warnings.warn(sentence, stacklevel=2)
    return answer(parsed, week, view).table
