"""From a query to its prediction: plan, learn, test, learn again, predict."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.campaigns.compiler import explain
from recs_assets.campaigns.filters import unknown_values
from recs_assets.campaigns.parser import parse
from recs_assets.campaigns.syntax import Query, QueryError, operands
from recs_assets.campaigns.validation import item_column, validate
from recs_assets.evaluation.evaluate import truths
from recs_assets.learning import (
    SOURCES,
    WITHOUT_OFFERS,
    Lesson,
    blocks,
    lists_path,
    side_by_side,
    trained,
    without_calendar,
)
from recs_assets.predictions.fitting import Learned, learn_ranking, learn_trees
from recs_assets.predictions.judging import (
    compare_products,
    judge_boolean,
    judge_number,
    judge_products,
    judge_values,
)
from recs_assets.predictions.planning import Plan, plan, window_days
from recs_assets.predictions.tasks import MOST_VALUES, PREVIOUS, Customers, Products, Sheet, Task, Values
from recs_assets.ranking.calibration import calibrate
from recs_assets.ranking.ranker import Ranker
from recs_assets.recommenders.artefacts import read_lists
from recs_assets.recommenders.base import View, rank_within, stored
from recs_assets.schema import WarehouseError
from recs_assets.settings import Settings
from recs_assets.shop import RANKER, Shop
from recs_assets.warehouse import Warehouse

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
        tested: for products, the same at the test anchor (codes of `known(test)`), otherwise None.
        truth: for products, csr of what was really bought there, otherwise None.
        table: as `rows` with ids instead of codes, at most k per customer: what `predict` returns.
        metrics: metric, model ("query" or a baseline), value, and for baselines difference (query
            less baseline), ci_low, ci_high (paired bootstrap); NaN where there is none.
        by_value: per category, brand or vertical: value, customers (with it), auroc and average
            precision of the query and both baselines; None for other targets.
        eligible: customers at the week.
        compared: for products, model -> float64[customers], MAP@12 at the test anchor of every customer who was
            asked for and bought something, the same customers for every model; otherwise empty.
        features: names that the trees used.
        seconds: wall time.
        task: makes candidates and features of any anchor of the plan.
        learned: the model that made `rows`: scores, calibration and, of products, the ranker itself.
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
    learned: Learned

    def shown(self, most: int = 40) -> str:
        """The table's first rows, and the test, as text."""
        lines = [self.table.head(most).to_string(index=False)]
        if len(self.table) > most:
            lines.append(
                f"... and {len(self.table) - most:,} more rows (recs_assets.predict returns them all)."
            )
        lines.append(
            f"\n{self.eligible:,} eligible customers at {self.plan.week}, {len(self.table):,} rows, {self.seconds:.0f} s."
        )
        if self.plan.note:
            lines.append(self.plan.note)
        if len(self.metrics):
            best_first = self.metrics.sort_values(["metric", "value"], ascending=[True, False], kind="stable")
            lines.append(
                f"\nTest at {self.plan.test}; difference: query less baseline, with its 95 % bootstrap interval.\n"
                + best_first.to_string(index=False, float_format="{:.4f}".format)
            )
        return "\n".join(lines)


def answer(
    query: str | Query,
    shop: Shop,
    warehouse: Warehouse,
    week: date,
    view: View = "all",
    depth: int | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Prediction:
    """Learn what the query asks, test it, and predict it at the week.

    Args:
        query: text, or parsed.
        shop: settings and anchors.
        warehouse: whose build file of the week holds features and lists.
        week: the anchor.
        view: for products: "new" ranks what the customer never bought, "repeat" what she did; labels
            and test likewise.
        depth: rows per customer in `rows` (a campaign's rules take some out); None: k of the query.
        say: is told about the progress.

    Raises:
        QueryError: the query is not valid, is for another date, needs other anchors, or there is
            nothing to learn from.
        WarehouseError: the week has no complete build.
        ArtefactError: its lists are missing.
    """
    return answered(*prepared(query, shop, warehouse, week, view), depth, say)


def answered(
    found: Plan, task: Task, depth: int | None = None, say: Callable[[str], None] = lambda message: None
) -> Prediction:
    """`answer`, of what is prepared."""
    started = time.monotonic()
    if isinstance(task, Products) and task.weekly is not None:
        say("The week's own ranker answers.")
        return _of_the_week(found, task, task.weekly, depth, started)
    query, week = found.query, found.week
    seed, threads = task.shop.settings.seed, task.shop.settings.threads
    number = query.task == "regression"

    lessons: list[Lesson] = []
    for anchor in found.train:
        sheet = _told(task.whole(anchor))
        say(f"{anchor}: {len(sheet):,} rows, {sheet.label.mean() if len(sheet) else 0:.4g} on average.")
        _teaches(sheet.label, number, query, anchor)
        picked = task.picked(sheet, anchor, len(found.train))
        if anchor == found.train[0]:
            kept = task.lesson(sheet, *task.every(sheet))
            again = kept.take(*picked)
        else:
            lessons.append(task.lesson(sheet, *picked))
    try:
        if isinstance(task, Products):
            model = learn_ranking(lessons, kept, seed, threads)
        else:
            objective = "regression" if number else "binary"
            model = learn_trees(objective, lessons, again, kept, seed, threads)
    except ValueError as error:
        raise _untaught(query, found.train[0], str(error)) from error
    del kept
    say(f"Learnt; testing at {found.test}.")
    sheet = _told(task.whole(found.test))
    if len(sheet) == 0:
        raise _untaught(query, found.test, "no rows")
    every = np.arange(len(sheet))
    score = np.concatenate([np.empty(0), *(model.score(X) for X in sheet.chunks(every))])
    metrics, by_value, compared, tested, truth = _judged(task, found, sheet, score, model, depth, seed)
    # The anchors that stopped, calibrated and tested are learnt from only now.
    lessons += [again, task.lesson(sheet, *task.picked(sheet, found.test, len(found.train)))]
    final = model.refit(lessons)
    del lessons, sheet
    say(f"Predicting at {week}.")

    def predicted_of(block: tuple[int, int]) -> pd.DataFrame | None:
        sheet = task.sheet(week, *block)
        if len(sheet) == 0:
            return None
        score = np.concatenate([final.score(X) for X in sheet.chunks(np.arange(len(sheet)))])
        return _listed(task, sheet, score, final, depth)

    made = side_by_side(predicted_of, blocks(task.known(week)), threads)
    parts = [part for part in made if part is not None]
    if not parts:
        raise QueryError(f"nobody is eligible at {week}; loosen the WHERE of the query.", query.text, 0)
    predicted = pd.concat(parts, ignore_index=True)
    return Prediction(
        found,
        None if isinstance(task, Customers) else item_column(query),
        predicted,
        tested,
        truth,
        _with_ids(task, predicted),
        metrics,
        by_value,
        compared,
        int(task.eligible(week).sum()),
        final.used,
        time.monotonic() - started,
        task,
        final,
    )


def prepared(
    query: str | Query, shop: Shop, warehouse: Warehouse, week: date, view: View = "all"
) -> tuple[Plan, Task]:
    """The anchors of a query, and what makes its rows at each of them; raises as `answer` does."""
    asked = _checked(query, week, view)
    found = plan(asked, week, shop.anchors(week), RANKER.train_anchors, shop.horizon_days)
    return found, _task_of(found, shop, warehouse, view)


def _checked(query: str | Query, week: date, view: View) -> Query:
    query = validate(parse(query) if isinstance(query, str) else query)
    if query.as_of not in (None, week):
        raise QueryError(f"the query is AS OF {query.as_of}, but it is asked for {week}; leave one out.")
    if view != "all" and not (query.task == "rank" and item_column(query) == "product_id"):
        raise QueryError(f"only a ranking of products can be about {view} purchases; use the view all.")
    return query


def _task_of(found: Plan, shop: Shop, warehouse: Warehouse, view: View) -> Task:
    job = (shop, warehouse, found.week, found.query, view)
    if found.query.mode is None:
        return Customers(*job)
    if item_column(found.query) != "product_id":
        return Values(*job)
    task = Products(*job)
    task.weekly = _ranker_of_the_week(found, task)
    if without_calendar(warehouse, found.week, found.week, [found.test, *found.train]):
        task.names = WITHOUT_OFFERS
    return task


def _ranker_of_the_week(found: Plan, task: Products) -> Ranker | None:
    """The week's own ranker where it was trained for this: what will be bought of all products, in at
    least half of its label window, at the same anchors. On Complete Journey it is level with a ranker of the
    query's own at 14 of 28 days (docs/campaigns.md), and costs nothing."""
    query, shop = found.query, task.shop
    (target,) = operands(query.target)
    bought = target.column.parts[0] in ("order_lines", "orders") and target.where is None
    days = window_days(query, found.week)
    if not (bought and target.window.start == 0 and shop.horizon_days <= 2 * days <= 2 * shop.horizon_days):
        return None
    week = trained(shop, task.warehouse, found.week)
    if week is None:
        return None
    kept, *_, test = map(date.fromisoformat, week.ranker.facts_["anchors"])
    return week.ranker if (kept, test) == (found.train[0], found.test) else None


def _of_the_week(
    found: Plan, task: Products, ranker: Ranker, depth: int | None, started: float
) -> Prediction:
    """The answer of the week's own ranker, calibrated for the query's window at the kept anchor."""
    query, week, seed = found.query, found.week, task.shop.settings.seed
    kept, truth = (
        _weekly_lists(task, "ranker", found.train[0]),
        task.truth(found.train[0], task.known(found.train[0]).products["product_id"]),
    )
    bought = stored(truth, kept["customer"].to_numpy(), kept["product"].to_numpy()).astype(np.int8)
    _teaches(bought, False, query, found.train[0])
    calibrator, _ = calibrate(kept["score"].to_numpy(dtype=float), bought, kept["customer"].to_numpy())
    learned = Learned(ranker.score, calibrator, ranker.used_, None, ranker)

    def likely(anchor: date) -> pd.DataFrame:
        rows = _weekly_lists(task, "ranker", anchor)
        rows = rows[(rows["rank"] <= (depth or query.top)).to_numpy()].reset_index(drop=True)
        if depth and task.view == "all":
            rows = _with_new(rows, _weekly_lists(task, "ranker", anchor, "new"), depth)
        probability = learned.probability(rows["score"].to_numpy(dtype=float)).astype(np.float32)
        return rows.assign(rank=rows["rank"].astype(np.int32), probability=probability)[
            ["customer", "product", "rank", "score", "probability", "source"]
        ]

    known = task.known(found.test)
    lists = {name: _weekly_lists(task, name, found.test) for name in SOURCES}
    tested = _weekly_lists(task, "ranker", found.test)
    truth = truths(task.truth(found.test, known.products["product_id"]), known.history)[task.view]
    customers = np.flatnonzero(task.eligible(found.test))
    lists = {"query": tested, **lists}
    metrics = judge_products(lists, truth, customers, query.top, seed)
    rows = likely(week)
    if rows.empty:
        raise QueryError(f"nobody is eligible at {week}; loosen the WHERE of the query.", query.text, 0)
    return Prediction(
        found,
        item_column(query),
        rows,
        likely(found.test),
        truth,
        _with_ids(task, rows),
        metrics,
        None,
        compare_products(lists, truth, customers),
        int(task.eligible(week).sum()),
        ranker.used_,
        time.monotonic() - started,
        task,
        learned,
    )


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
    path = lists_path(task.warehouse, task.week, name, anchor, view or task.view)
    rows = read_lists(path, task.known(anchor))
    return rows[task.eligible(anchor)[rows["customer"].to_numpy()]]


def _told(sheet: Sheet) -> Sheet:
    """Without rows whose label is unknown: an average of nothing."""
    keep = np.flatnonzero(~np.isnan(sheet.label))
    if len(keep) == len(sheet):
        return sheet
    return Sheet(
        sheet.customer[keep],
        sheet.item[keep],
        sheet.label[keep],
        lambda rows: sheet.chunks(keep[rows]),
        {name: values[keep] for name, values in sheet.baselines.items()},
    )


def _teaches(label: np.ndarray, number: bool, query: Query, anchor: date) -> None:
    if len(label) == 0 or (not number and not 0 < label.sum() < len(label)):
        said = "no rows" if len(label) == 0 else f"{int(label.sum())} of {len(label)} labels true"
        raise _untaught(query, anchor, said)


def _untaught(query: Query, anchor: date, why: str) -> QueryError:
    return QueryError(
        f"there is nothing to learn from at {anchor} ({why.rstrip('.')}); widen the target or the WHERE.",
        query.text,
        operands(query.target)[0].at,
    )


def _judged(
    task: Task, found: Plan, sheet: Sheet, score: np.ndarray, model: Learned, depth: int | None, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame | None, pd.DataFrame | None, sparse.csr_matrix | None]:
    """Metrics, metrics by value, and for products the test's lists and what came true."""
    customers = np.flatnonzero(task.eligible(found.test))
    if isinstance(task, Products):
        known = task.known(found.test)
        truth = truths(task.truth(found.test, known.products["product_id"]), known.history)[task.view]
        top = task.query.top
        lists = {"query": sheet.candidates.ranked(score, max(12, top))}
        for name, baseline in sheet.baselines.items():
            there = np.isfinite(baseline)
            lists[name] = sheet.candidates.ranked(np.where(there, baseline, 0), max(12, top), there)
        tested = _listed(task, sheet, score, model, depth)
        metrics = judge_products(lists, truth, customers, top, seed)
        return metrics, None, compare_products(lists, truth, customers), tested, truth
    if isinstance(task, Values):
        truth = task.truth_of(found.test)
        cell = (sheet.customer, sheet.item)
        scores = {
            name: sparse.csr_matrix((values, cell), shape=truth.shape)
            for name, values in (
                ("query", model.probability(score)),
                ("own_frequency", sheet.baselines["own_frequency"]),
            )
        }
        popularity = task.history(found.test).popularity
        return (*judge_values(customers, truth, scores, popularity, list(task.values), seed), {}, None, None)
    naive = np.nan_to_num(sheet.baselines[PREVIOUS])
    if model.calibrator is None:
        return judge_number(sheet.label, {"query": score, PREVIOUS: naive}, seed), None, {}, None, None
    return judge_boolean(sheet.label, {"query": score, PREVIOUS: naive}, seed), None, {}, None, None


def _listed(task: Task, sheet: Sheet, score: np.ndarray, model: Learned, depth: int | None) -> pd.DataFrame:
    """`Prediction.rows` of one sheet."""
    if model.calibrator is None:
        return pd.DataFrame({"customer": sheet.customer, "prediction": score})
    probability = model.probability(score).astype(np.float32)
    if isinstance(task, Customers):
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
    ids = {"customer_id": task.known(task.week).customers["customer_id"].to_numpy()[table["customer"]]}
    for code in ("product", "value"):
        if code in table:
            name = item_column(task.query)
            ids[name] = task.item_ids(task.week)[table[code]]
    rest = table.drop(columns=["customer", "product", "value"], errors="ignore").reset_index(drop=True)
    return pd.concat([pd.DataFrame(ids), rest], axis=1)


def explained(query: str | Query, shop: Shop, warehouse: Warehouse, week: date, view: View = "all") -> str:
    """The query in its normal form, the SQL of its labels, who is eligible, the anchors, the features.

    Nothing is learnt; raises as `answer` does.
    """
    found, task = prepared(query, shop, warehouse, week, view)
    kept, *fitted = found.train
    whose = "of the week's own ranker" if getattr(task, "weekly", False) else "of a model of its own"
    return (
        f"{explain(found.query, week)}\n"
        f"-- eligible at {week}\n{int(task.eligible(week).sum())} of {task.known(week).n_customers} customers\n\n"
        f"-- anchors\nfit {', '.join(map(str, fitted))}; stop and calibrate {kept}; test {found.test}; predict {week}\n"
        + (f"{found.note}\n" if found.note else "")
        + f"\n-- features {whose} ({len(task.names)}; the trees take up to {RANKER.features_kept} of them)\n{', '.join(task.names)}\n"
    )


def unknown_names(query: Query, warehouse: Warehouse, week: date) -> list[str]:
    """One sentence per text that the query's filters name and no row of the shop had before the week."""
    return unknown_values(query, week, partial(warehouse.answer, week))


# -- the shell and the notebook ---------------------------------------------------------------


def opened(query: str, as_of: date | None) -> tuple[Query, Shop, Warehouse, date]:
    """The shop of the environment, and the week: `as_of`, the query's own, or the newest published.

    Raises:
        QueryError: the query cannot be read.
        WarehouseError: nothing is published, or the week has no build.
        SettingsError: see `Settings`.
    """
    parsed = validate(parse(query))
    shop = Shop.from_settings(Settings())
    warehouse = shop.warehouse()
    week = as_of or parsed.as_of or warehouse.newest_published()
    if not warehouse.build_path(week).exists():
        raise WarehouseError(
            f"The week {week} has no build in {warehouse.home}: run it first (python -m recs_assets run --as-of {week})."
        )
    return parsed, shop, warehouse, week


def predict(query: str, as_of: date | str | None = None, view: View = "all") -> pd.DataFrame:
    """What a predictive query (docs/queries.md) predicts, from the build of that week under RECS_HOME.

    Args:
        query: the text.
        as_of: a Monday that was run, as a date or "2018-01-01"; default: the query's AS OF, else the
            newest week that is published.
        view: for a ranking of products: "all", "new" (never bought by the customer) or "repeat".

    Returns:
        One row per customer and item with rank, score, probability and (products) source; for a
        boolean one row per customer with probability, for a number with prediction.

    Warns:
        UserWarning: a filter names what the shop does not have.

    Raises:
        RecsError: one plain sentence; see `answer` and `opened`.
    """
    try:
        day = date.fromisoformat(as_of) if isinstance(as_of, str) else as_of
    except ValueError:
        raise QueryError(f"as_of is {as_of!r}, which is no date; write it like 2024-12-30.") from None
    parsed, shop, warehouse, week = opened(query, day)
    for sentence in unknown_names(parsed, warehouse, week):
        warnings.warn(sentence, stacklevel=2)
    return answer(parsed, shop, warehouse, week, view).table
