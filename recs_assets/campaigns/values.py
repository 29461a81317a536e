"""What every customer is expected to order and to spend: the weekly table, and how each way of predicting it did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from recs_assets.audit.segments import place_values, score_places
from recs_assets.campaigns.blocks import join_tables
from recs_assets.contracts import model_columns
from recs_assets.evaluation.evaluate import sample_customers
from recs_assets.lifetime.history import QUARTER_DAYS, YEAR_DAYS, summarise
from recs_assets.lifetime.judge import Judgement, judge_methods
from recs_assets.lifetime.load import list_customers, load_orders
from recs_assets.lifetime.methods import SpendModel
from recs_assets.week.blocks import map_blocks
from recs_assets.week.week import Week

HORIZONS = (QUARTER_DAYS, YEAR_DAYS)
# Learned from and judged on at most so many: the parameters are few.
SAMPLE = 20_000


@dataclass(frozen=True)
class CustomerValues:
    """Rows of `model.customer_values` and of `model.value_methods`, and the sentences for the log."""

    values: pd.DataFrame
    methods: pd.DataFrame
    sentences: list[str]


def value_customers(week: Week) -> CustomerValues:
    """Expected orders and spend of every customer with an order whom models may learn from.

    Everything is learned from, and judged on, a seeded sample of the customers.
    """
    with week.build.read() as connection:
        ids = list_customers(connection)
        sample = ids[sample_customers(ids, SAMPLE, week.settings.seed)]
        orders = load_orders(connection, sample)
    day = _count_days(week)
    judged = {days: judge_methods(orders, day, days, week.settings.seed) for days in HORIZONS}
    values = pd.DataFrame(columns=list(model_columns("customer_values")))
    learned = {
        str(days): {"method": judgement.method, "model": judgement.model.to_json()}
        for days, judgement in judged.items()
        if judgement.model is not None
    }
    if learned:
        values = join_tables(list(map_blocks(value_block, week, learned)))
        spend = values[f"expected_spend_{YEAR_DAYS}"].to_numpy(dtype=float)
        values["value_tier"] = score_places(place_values(spend, np.sort(spend)), len(spend))
    methods = [_tabulate(week, days, judgement) for days, judgement in judged.items()]
    return CustomerValues(
        values[list(model_columns("customer_values"))],
        pd.concat(methods, ignore_index=True)[list(model_columns("value_methods"))],
        [_explain(days, judgement) for days, judgement in judged.items()],
    )


def value_block(week: Week, learned: dict[str, Any]) -> pd.DataFrame:
    """The rows of a block of customers, without what compares them with others.

    Args:
        week: of the block.
        learned: days -> method, and the model (`SpendModel.to_json`).
    """
    with week.build.read() as connection:
        ids = list_customers(connection)
        orders = load_orders(connection, ids)
    models = {int(days): SpendModel.from_json(each["model"]) for days, each in learned.items()}
    day = _count_days(week)
    if orders.empty:
        return pd.DataFrame()
    history = summarise(orders, day, day - models[YEAR_DAYS].watched_days)
    rows = pd.DataFrame(
        {
            "as_of": week.as_of,
            "customer_id": ids[history.rows["customer"].to_numpy()],
            "orders": history["orders"].astype(np.int64),
            "spend_last_364": history[f"spend_{YEAR_DAYS}"].round(2),
        }
    )
    for days, model in models.items():
        method = learned[str(days)]["method"]
        count, alive = model.predict_orders(history, days)
        spend = model.predict_spend(method, history, days)
        assert spend is not None, method  # `judge_methods` chooses of what is learned at the week
        rows["p_alive"] = alive.round(6)
        rows[f"expected_orders_{days}"] = count.round(4)
        rows[f"expected_spend_{days}"] = spend.round(2)
        rows[f"method_{days}"] = method
    return rows


def _count_days(week: Week) -> int:
    return int(np.datetime64(week.as_of).astype("datetime64[D]").astype(np.int64))


def _tabulate(week: Week, days: int, judgement: Judgement) -> pd.DataFrame:
    anchor = week.as_of - timedelta(days=judgement.days)
    return judgement.rows.assign(as_of=week.as_of, days=days, anchor=anchor, judged_days=judgement.days)


def _explain(days: int, judgement: Judgement) -> str:
    if not judgement.days:
        return f"Spend of {days} days is predicted by {judgement.method}: the shop's orders do not go back far enough to judge by."
    left_out = ""
    if judgement.left_out:
        left_out = (
            f" Left out, as the shop's orders are nothing to learn from: {', '.join(judgement.left_out)}."
        )
    rows = judgement.rows.set_index("method")
    others = ", ".join(
        f"{name} errs by {row.mae:.2f} ({row.difference:+.2f}, {row.ci_low:+.2f} to {row.ci_high:+.2f})"
        for name, row in rows.iterrows()
        if name != judgement.method
    )
    return (
        f"Spend of {days} days is predicted by {judgement.method}, which errs by {rows.loc[judgement.method, 'mae']:.2f} a customer on "
        f"the last {judgement.days} days. Of the others {others}; in brackets what the chosen one errs more, with its interval.{left_out}"
    )
