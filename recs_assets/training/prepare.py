"""From the text of a query to its anchors and its task."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd

from recs_assets.queries.catalogue import Catalogue
from recs_assets.queries.compiler import compile_seen, explain
from recs_assets.queries.filters import explain_unknown_values
from recs_assets.queries.parser import parse
from recs_assets.queries.syntax import Aggregate, Column, Query, QueryError, operands
from recs_assets.queries.validation import item_column, validate
from recs_assets.ranking.ranker import Ranker
from recs_assets.recommenders.base import View
from recs_assets.schema import WarehouseError
from recs_assets.shop import RANKER
from recs_assets.training.activity import EPOCH
from recs_assets.training.entities import Entities
from recs_assets.training.plans import LOOK_BACK, Plan, plan_at, plan_weekly, window_days
from recs_assets.training.products import Products
from recs_assets.training.tasks import Dated
from recs_assets.training.values import Values
from recs_assets.week.ranked import lacks_offers, load_ranker
from recs_assets.week.week import Week


def prepare_query(query: str | Query, week: Week, view: View = "all") -> tuple[Plan, Products | Dated]:
    """The anchors of a query, and what makes its rows at each of them; raises as `answer` does."""
    asked = _validate_for(query, week.as_of, view, week.shop.catalogue)
    build, as_of = find_build(asked, week), week.as_of
    if asked.mode is None or item_column(asked) != "product_id":
        task = (Entities if asked.mode is None else Values)(build, as_of, asked, view)
        first = task.activity.first_day
        if first is None:
            raise QueryError(f"nothing is known of anybody before {as_of}: there is nothing to learn from.")
        start = EPOCH + timedelta(days=first)
        if any(operand.parts[-1] == "price" for operand in _list_columns(asked)):
            start = max(start, min(build.anchors) - LOOK_BACK)  # prices are known at the build's anchors
        return plan_weekly(asked, as_of, start, task.most_anchors), task
    plan = plan_at(asked, as_of, week.anchors, RANKER.train_anchors, week.shop.horizon_days)
    task = Products(week, as_of, plan.query, view)
    task.weekly = find_week_ranker(plan, task)
    if lacks_offers(week, as_of, [plan.test, *plan.train]):
        task.names = week.names_without_offers
    return plan, task


def refuse_other_dates(query: Query, as_of: date) -> None:
    if query.as_of not in (None, as_of):
        raise QueryError(f"the query is AS OF {query.as_of}, but it is asked for {as_of}; leave one out.")


def _list_columns(query: Query) -> list[Column]:
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


def find_build(query: Query, week: Week) -> Week:
    """The week whose build answers at a date: its own, or for what needs no lists the first later one.

    Raises:
        QueryError: products are ranked, and the date is not a week that was run.
        WarehouseError: no build knows everything before the date.
    """
    builds, as_of, home = week.warehouse.list_builds(), week.as_of, week.warehouse.home
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


def _validate_for(query: str | Query, as_of: date, view: View, catalogue: Catalogue | None = None) -> Query:
    query = validate(parse(query) if isinstance(query, str) else query, catalogue)
    refuse_other_dates(query, as_of)
    if view != "all" and not (query.task == "rank" and item_column(query) == "product_id"):
        raise QueryError(f"only a ranking of products can be about {view} purchases; use the view all.")
    return query


def find_week_ranker(plan: Plan, task: Products) -> Ranker | None:
    """The week's own ranker where it was trained for this: what will be bought of all products, in at
    least half of its label window, at the same anchors. On Complete Journey it is level with a ranker of the
    query's own at 14 of 28 days (docs/research/queries.md), and costs nothing."""
    query, horizon_days = plan.query, task.week.shop.horizon_days
    target = query.aggregate
    bought = target.column.parts[0] in ("order_lines", "orders") and target.where is None
    days = window_days(query, plan.as_of)
    if not (bought and target.window.start == 0 and horizon_days <= 2 * days <= 2 * horizon_days):
        return None
    published = load_ranker(task.week)
    if published is None:
        return None
    kept, *_, test = map(date.fromisoformat, published.ranker.facts_["anchors"])
    return published.ranker if (kept, test) == (plan.train[0], plan.test) else None


def explain_query(query: str | Query, week: Week, view: View = "all") -> str:
    """The query in its normal form, the SQL of its labels, who is eligible, the anchors, the features.

    Nothing is learned; raises as `answer` does.
    """
    plan, task = prepare_query(query, week, view)
    as_of = week.as_of
    kept, *fitted = plan.train
    whose = (
        "of the week's own ranker" if isinstance(task, Products) and task.weekly else "of a model of its own"
    )
    return (
        f"{explain(plan.query, as_of)}\n"
        f"-- eligible at {as_of}\n{int(task.eligible(as_of).sum())} of {len(task.ids(as_of))} {plan.query.entity[0].parts[0]}\n\n"
        f"-- anchors\nfit {', '.join(map(str, fitted))}; stop and calibrate {kept}; test {plan.test}; predict {as_of}\n"
        + (f"{plan.note}\n" if plan.note else "")
        + f"\n-- features {whose} ({len(task.names)}; the trees take up to {RANKER.features_kept} of them)\n{', '.join(task.names)}\n"
    )


def list_unknown_names(query: Query, week: Week) -> list[str]:
    """One sentence per text that the query's filters name and no row of the shop had before the week."""
    return explain_unknown_values(query, week.as_of, find_build(query, week).build.query)


def find_limits(plan: Plan, task: Dated) -> tuple[tuple[float, float], list[str]]:
    """What the target's number can be, and a sentence per table that is asked about and empty.

    Raises:
        QueryError: a table of the target is empty.
    """
    query, limits = plan.query, (-np.inf, np.inf)
    empty = []

    def count_values(node: Aggregate) -> pd.Series:
        return task.week.build.query(*compile_seen(query, node, plan.as_of)).iloc[0]

    ahead = operands(query.target)
    for node in [*ahead, *operands(query.where)]:
        if not isinstance(node, Aggregate):
            continue
        table = node.column.parts[0]
        if count_values(replace(node, column=Column((table, "*")), where=None))["rows"] > 0:
            continue
        if any(node is other for other in ahead):
            raise QueryError(
                f"{table} holds no rows before {plan.as_of}, so there is nothing to learn from; ask about another table.",
                query.text,
                node.at,
            )
        empty.append(
            f"{table} holds no rows before {plan.as_of}: its aggregations in the WHERE are of nothing."
        )
    if query.task == "regression":
        rows = count_values(query.aggregate)
        least, most = (float(rows[name]) if pd.notna(rows[name]) else np.nan for name in ("least", "most"))
        function = query.aggregate.function
        if function in ("COUNT", "COUNT_DISTINCT"):
            limits = (0.0, np.inf if function == "COUNT" else float(rows["distinct_values"]))
        elif function == "SUM":
            limits = (0.0 if least >= 0 else -np.inf, 0.0 if most <= 0 else np.inf)
        elif np.isfinite(least):
            limits = (least, most)
    return limits, list(dict.fromkeys(empty))


def explain_nobody(plan: Plan) -> QueryError:
    entity = plan.query.entity[0].parts[0]
    who = "nobody" if entity == "customers" else "nothing"
    only = "; none of the ids is known then, or they do not pass the WHERE" if plan.query.only else ""
    return QueryError(
        f"{who} is eligible at {plan.as_of}{only or '; loosen the WHERE of the query'}.", plan.query.text, 0
    )
