"""From a query to its prediction: plan, learn, test, learn again, predict."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.queries.parser import parse
from recs_assets.queries.syntax import Query, QueryError
from recs_assets.queries.validation import item_column, validate
from recs_assets.ranking.ranker import Ranker
from recs_assets.recommenders.base import View
from recs_assets.schema import ArtefactError
from recs_assets.settings import Settings
from recs_assets.shop import Shop
from recs_assets.training import cache
from recs_assets.training.cache import Outcome
from recs_assets.training.models import Learned
from recs_assets.training.plans import Plan
from recs_assets.training.prepare import (
    explain_nobody,
    find_build,
    find_limits,
    list_unknown_names,
    prepare_query,
    refuse_other_dates,
)
from recs_assets.training.products import Products
from recs_assets.training.rows import list_sheet, name_rows
from recs_assets.training.tasks import RATE, Dated, Task
from recs_assets.training.train import ProductTest, learn_models, learn_own_ranker, score_sheet
from recs_assets.training.week_ranker import list_week_ranker, use_week_ranker
from recs_assets.week.blocks import map_in_order
from recs_assets.week.week import Week


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
        limits: what a predicted number can be.
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
    task: Products | Dated
    learned: Learned | None
    chosen: str = "query"
    notes: tuple[str, ...] = ()
    limits: tuple[float, float] = (-np.inf, np.inf)

    def describe(self, most: int = 40) -> str:
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
    asked = validate(parse(query) if isinstance(query, str) else query, week.shop.catalogue)
    with find_build(asked, week).build.hold():
        return answer_task(*prepare_query(query, week, view), depth, say, keep=True)


def answer_task(
    plan: Plan,
    task: Products | Dated,
    depth: int | None = None,
    say: Callable[[str], None] = lambda message: None,
    keep: bool = False,
    listing: bool = True,
) -> Prediction:
    """`answer`, of what is prepared.

    Without `listing` nothing is predicted, only learned and tested: blocks of customers predict (`training.blocks`).
    With `keep` what is learned is kept under the week, and taken from there where the same was asked before, of
    whomever; then what only campaigns need of the test anchor stays empty: tested, truth and compared.
    """
    started = time.monotonic()
    if not task.eligible(plan.as_of).any():
        raise explain_nobody(plan)
    note = task.widen((plan.test, plan.train[0]))
    limits, notes = ((-np.inf, np.inf), []) if isinstance(task, Products) else find_limits(plan, task)
    weekly = task.weekly if isinstance(task, Products) else None
    outcome, test, place = None, ProductTest(), cache.find_place(plan, task) if keep else None
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
        if not isinstance(task, Products):
            outcome = learn_models(plan, task, limits, say)
        elif weekly is not None:
            outcome, test = use_week_ranker(plan, task, weekly, depth, keep)
        else:
            outcome, test = learn_own_ranker(plan, task, depth, say, keep)
        if place is not None:
            _keep(place, outcome, weekly, say)
    learned = outcome.learned
    rows = list_rows(plan, task, learned, limits, depth, say) if listing else pd.DataFrame()
    if rows.empty and listing:
        raise explain_nobody(plan)
    return Prediction(
        plan=plan,
        item=item_column(plan.query) if plan.query.mode else None,
        rows=rows,
        table=name_rows(task, rows) if listing else rows,
        metrics=outcome.metrics,
        by_value=outcome.by_value,
        eligible=int(task.eligible(plan.as_of).sum()),
        features=() if learned is None else learned.used,
        seconds=time.monotonic() - started,
        task=task,
        learned=learned,
        chosen=outcome.chosen,
        notes=tuple(sentence for sentence in (note, *notes, outcome.why) if sentence),
        limits=limits,
        tested=test.rows,
        truth=test.truth,
        compared=test.compared,
    )


def _keep(place: Path, outcome: Outcome, weekly: Ranker | None, say: Callable[[str], None]) -> None:
    try:
        cache.write(place, outcome, weekly)
    except OSError as error:
        say(f"What was learned is not kept, so the next query learns it again ({error}).")


def list_rows(
    plan: Plan,
    task: Products | Dated,
    learned: Learned | None,
    limits: tuple[float, float],
    depth: int | None,
    say: Callable[[str], None],
) -> pd.DataFrame:
    """`Prediction.rows`; without columns where there are none."""
    if isinstance(task, Products) and task.weekly is not None and learned is not None:
        return list_week_ranker(plan, task, plan.as_of, learned, depth)
    return predict_rows(plan, task, learned, limits, depth, say)


def predict_rows(
    plan: Plan,
    task: Task,
    final: Learned | None,
    limits: tuple[float, float],
    depth: int | None,
    say: Callable[[str], None],
) -> pd.DataFrame:
    """`Prediction.rows`: what the model says at the week; without one the formula does."""
    as_of = plan.as_of
    say(f"Predicting at {as_of}.")

    def predict_block(block: tuple[int, int]) -> pd.DataFrame | None:
        sheet = task.sheet(as_of, *block)
        if len(sheet) == 0:
            return None
        score = task.formulas(sheet, as_of)[RATE] if final is None else score_sheet(final.score, sheet)
        return list_sheet(task, sheet, np.clip(score, *limits), final, depth)

    size = len(task.ids(as_of))
    ranges = [(first, min(first + task.block, size)) for first in range(0, size, task.block)]
    parts = [
        part for part in map_in_order(predict_block, ranges, task.week.settings.threads) if part is not None
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


# -- the shell and the notebook ---------------------------------------------------------------


def open_query(query: str, as_of: date | None) -> tuple[Query, Week]:
    """The shop of the environment, and the week: `as_of`, the query's own, or the newest published.

    Raises:
        QueryError: the query cannot be read.
        WarehouseError: nothing is published, or the week has no build.
        SettingsError: see `Settings`.
    """
    shop = Shop.from_settings(Settings())
    parsed = validate(parse(query), shop.catalogue)
    warehouse = shop.warehouse()
    week = Week(shop, warehouse, as_of or parsed.as_of or warehouse.newest_published())
    refuse_other_dates(parsed, week.as_of)
    find_build(parsed, week)
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
        RecsError: one plain sentence; see `answer` and `open_query`.
    """
    try:
        day = date.fromisoformat(as_of) if isinstance(as_of, str) else as_of
    except ValueError:
        raise QueryError(f"as_of is {as_of!r}, which is no date; write it like 2024-12-30.") from None
    parsed, week = open_query(query, day)
    for sentence in list_unknown_names(parsed, week):
        warnings.warn(sentence, stacklevel=2)
    return answer(parsed, week, view).table
