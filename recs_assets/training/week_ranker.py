"""A query that the week's own ranker answers."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from recs_assets.arrays import is_stored
from recs_assets.evaluation.evaluate import split_views
from recs_assets.ranking.calibration import calibrate
from recs_assets.ranking.ranker import Ranker
from recs_assets.ranking.strata import find_strata
from recs_assets.recommenders.base import View
from recs_assets.training.cache import Outcome
from recs_assets.training.models import Learned
from recs_assets.training.plans import Plan
from recs_assets.training.products import Products
from recs_assets.training.rows import NEW_ROWS
from recs_assets.training.train import ProductTest, require_both
from recs_assets.training.verdicts import (
    compare_products,
    judge_products,
)
from recs_assets.week.week import SOURCES


def use_week_ranker(
    plan: Plan, task: Products, ranker: Ranker, depth: int | None, brief: bool
) -> tuple[Outcome, ProductTest]:
    """The answer of the week's own ranker, calibrated for the query's window: at both anchors for what is published,
    where the later one is nearer to the week and neither was learned from; and unless `brief` at the kept anchor for
    what a `Prediction` has of the test."""
    query, seed = plan.query, task.week.settings.seed

    def load_lesson(anchor: date) -> tuple[np.ndarray, ...]:
        """Scores, labels, customers and strata of the ranker's list at an anchor."""
        rows, known = load_week_lists(task, "ranker", anchor), task.known(anchor)
        customer, product = rows["customer"].to_numpy(), rows["product"].to_numpy()
        bought = is_stored(truth_at[anchor], customer, product)
        score = rows["score"].to_numpy(dtype=float)
        return score, bought.astype(np.int8), customer, find_strata(known, customer, product)

    anchors = (plan.train[0], plan.test)
    truth_at = {anchor: task.truth(anchor, task.known(anchor).products["product_id"]) for anchor in anchors}
    kept, tested = map(load_lesson, anchors)
    require_both(kept[1], query, plan.train[0])
    both = [np.concatenate(parts) for parts in zip(kept, tested, strict=True)]
    published = Learned(ranker, calibrate(*both)[0], ranker.used_)
    lists = {name: load_week_lists(task, name, plan.test) for name in SOURCES}
    truth = split_views(truth_at[plan.test], task.known(plan.test).history)[task.view]
    customers = np.flatnonzero(task.eligible(plan.test))
    lists = {"query": load_week_lists(task, "ranker", plan.test), **lists}
    verdict = judge_products(lists, truth, customers, query.list_length, seed)
    test = ProductTest()
    if not brief:
        learned = Learned(ranker, calibrate(*kept)[0], ranker.used_)
        rows = list_week_ranker(plan, task, plan.test, learned, depth)
        test = ProductTest(rows, truth, compare_products(lists, truth, customers))
    return Outcome(published, "query", "", verdict.table), test


def list_week_ranker(
    plan: Plan, task: Products, anchor: date, model: Learned, depth: int | None
) -> pd.DataFrame:
    """`Prediction.rows` of an anchor, out of the lists of the week's own ranker."""
    rows = load_week_lists(task, "ranker", anchor)
    rows = rows[(rows["rank"] <= (depth or plan.query.list_length)).to_numpy()].reset_index(drop=True)
    if depth and task.view == "all":
        rows = add_new(rows, load_week_lists(task, "ranker", anchor, "new"), depth)
    strata = find_strata(task.known(anchor), rows["customer"].to_numpy(), rows["product"].to_numpy())
    probability = model.probability(rows["score"].to_numpy(dtype=float), strata).astype(np.float32)
    return rows.assign(rank=rows["rank"].astype(np.int32), probability=probability)[
        ["customer", "product", "rank", "score", "probability", "source"]
    ]


def add_new(rows: pd.DataFrame, new: pd.DataFrame, depth: int) -> pd.DataFrame:
    """The rows and, ranked after them, the first `NEW_ROWS` of `new` (customer, product, rank, ...) that are not
    among them."""
    new = new[(new["rank"] <= NEW_ROWS).to_numpy()]
    new = new.assign(rank=new["rank"].astype(np.int32) + depth)
    both = pd.concat([rows, new], ignore_index=True)
    both = both[~both.duplicated(["customer", "product"])]
    return both.sort_values(["customer", "rank"], kind="stable", ignore_index=True)


def load_week_lists(task: Products, name: str, anchor: date, view: View | None = None) -> pd.DataFrame:
    """A model's lists at an anchor, of who is eligible there."""
    rows = task.week.lists(name, anchor, view or task.view)
    return rows[task.eligible(anchor)[rows["customer"].to_numpy()]]
