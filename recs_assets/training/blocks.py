"""What a query learned of the whole week, answered for a block of its customers."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from recs_assets.queries.parser import parse
from recs_assets.queries.validation import item_column, validate
from recs_assets.schema import ArtefactError
from recs_assets.training import cache
from recs_assets.training.answers import Prediction, list_rows
from recs_assets.training.cache import Outcome
from recs_assets.training.entities import Entities
from recs_assets.training.plans import Plan
from recs_assets.training.products import Products
from recs_assets.training.rows import name_rows
from recs_assets.training.tasks import Dated, Task
from recs_assets.training.values import Values
from recs_assets.week.ranked import load_ranker
from recs_assets.week.week import Week

# Below the week's models, what its campaigns learned, for as long as blocks answer.
FOLDER = "of_blocks"
# Columns of rows of products, where a block has none.
NO_PRODUCTS = {
    "customer": np.int32, "product": np.int32, "rank": np.int32, "score": np.float32, "probability": np.float32, "source": "str",
}  # fmt: skip


def write_learned(
    name: str, plan: Plan, task: Task, predicted: Prediction | None, depth: int | None
) -> dict[str, Any]:
    """Keep what a query learned beside the week's models, and the facts of the shop that its features need.

    Args:
        name: of the folder.
        plan: of the query.
        task: of the whole week.
        predicted: without rows (`answers.answer_task`); None where nothing was learned.
        depth: as there.

    Returns:
        JSON, which `answer_block` reads.
    """
    week = task.week
    if predicted is not None:
        outcome = Outcome(predicted.learned, predicted.chosen, "", pd.DataFrame())
        cache.write(
            week.model_path(FOLDER) / name, outcome, task.weekly if isinstance(task, Products) else None
        )
    if isinstance(task, Values):
        task.count_figures()
    days = {
        "as_of": plan.as_of,
        "test": plan.test,
        "train": list(plan.train),
        "again": list(plan.again),
    }
    limits = (-np.inf, np.inf) if predicted is None else predicted.limits
    return {
        "name": name,
        "query": str(plan.query),
        "view": task.view,
        **{
            key: [str(day) for day in value] if isinstance(value, list) else str(value)
            for key, value in days.items()
        },
        "note": plan.note,
        "depth": depth,
        "answered": predicted is not None,
        "limits": [None if np.isinf(limit) else limit for limit in limits],
        "names": list(task.names) if isinstance(task, Products) else None,
        "weekly": isinstance(task, Products) and task.weekly is not None,
        "others": list(task.activity.others) if isinstance(task, Dated) else None,
    }


def answer_block(
    week: Week, learned: dict[str, Any], listing: bool = True
) -> tuple[Plan, Products | Dated, Prediction | None]:
    """Plan, task and prediction of a block of customers, with rows of its own; `tested` and `metrics` stay empty.

    Args:
        week: of the block.
        learned: what `write_learned` returned.
        listing: whether there is a prediction.

    Raises:
        ArtefactError: what was learned is gone or changed.
    """
    query = validate(parse(learned["query"]), week.shop.catalogue)
    as_of, test = (date.fromisoformat(learned[name]) for name in ("as_of", "test"))
    train, again = (tuple(map(date.fromisoformat, learned[name])) for name in ("train", "again"))
    plan = Plan(query, as_of, test, train, learned["note"], again)
    task: Products | Dated
    if learned["names"] is not None:
        task = Products(week, plan.as_of, query, learned["view"])
        task.names = tuple(learned["names"])
        ranker = load_ranker(week) if learned["weekly"] else None
        task.weekly = None if ranker is None else ranker.ranker
    else:
        task = (Entities if query.mode is None else Values)(week, plan.as_of, query, learned["view"])
        task.others = tuple(learned["others"])
    if not (learned["answered"] and listing):
        return plan, task, None
    weekly = task.weekly if isinstance(task, Products) else None
    outcome = cache.read(week.model_path(FOLDER) / learned["name"], week.settings.threads, weekly)
    low, high = learned["limits"]
    if outcome is None:
        raise ArtefactError(
            f"What the query of {learned['name']} learned is gone from {week.model_path(FOLDER)}: make the campaign again."
        )
    limits = (-np.inf if low is None else low, np.inf if high is None else high)
    model = outcome.learned
    rows = list_rows(plan, task, model, limits, learned["depth"], lambda message: None)
    if rows.empty and isinstance(task, Products):
        rows = pd.DataFrame({name: np.empty(0) for name in NO_PRODUCTS}).astype(NO_PRODUCTS)
    item = item_column(query) if query.mode else None
    prediction = Prediction(
        plan=plan,
        item=item,
        rows=rows,
        table=name_rows(task, rows)
        if len(rows)
        else pd.DataFrame(columns=["customer_id", *([item] if item else [])]),
        metrics=pd.DataFrame(),
        by_value=None,
        eligible=int(task.eligible(plan.as_of).sum()),
        features=(),
        seconds=0.0,
        task=task,
        learned=model,
        chosen=outcome.chosen,
        tested=None,
        truth=None,
        compared={},
        limits=limits,
    )
    return plan, task, prediction
