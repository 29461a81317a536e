"""What every customer is expected to order and to spend: the weekly table, and how each way of predicting it did."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from recs_assets.audit.segments import TIERS, place_values, score_places
from recs_assets.campaigns.blocks import join_tables
from recs_assets.contracts import model_columns
from recs_assets.evaluation.evaluate import sample_customers
from recs_assets.known.facts import as_array
from recs_assets.lifetime.history import QUARTER_DAYS, YEAR_DAYS, summarise
from recs_assets.lifetime.judge import NO_NUMBER, NOTHING_TO_LEARN, TOP_PAYS_LESS, Judgement, judge_methods
from recs_assets.lifetime.load import list_customers, load_orders
from recs_assets.lifetime.methods import METHODS, SpendModel
from recs_assets.rules.context import TIER_CUSTOMERS
from recs_assets.rules.worth import Worth
from recs_assets.week.blocks import map_blocks
from recs_assets.week.week import Week

# What is used for the first is used for the others, too, unless another is proven to beat it there.
HORIZONS = (YEAR_DAYS, QUARTER_DAYS)
# Learned from and judged on at most so many: the parameters are few.
SAMPLE = 20_000
# Facts of the shop.
LEARNED, ORDERED = "worth/learned", "worth/ordered"
# The rest of the sentence that a way of predicting is refused.
REFUSALS = {
    TOP_PAYS_LESS: (
        ", whatever its error: the tenth of customers of whom it expects most paid less of the spend than that of {first} "
        "({top_difference:+.3f}, {top_ci_low:+.3f} to {top_ci_high:+.3f}); it {errors}"
    ),
    NOTHING_TO_LEARN: ": the shop's orders are nothing to learn it from",
    NO_NUMBER: ": not everything that it predicts is a number",
}


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
    day = count_days(week.as_of)
    judged = judge_values(week, day)
    values = pd.DataFrame(columns=list(model_columns("customer_values")))
    if learned := write_learned(judged):
        values = join_tables(list(map_blocks(value_block, week, learned, day))).assign(as_of=week.as_of)
        spend = values[f"expected_spend_{YEAR_DAYS}"].to_numpy(dtype=float)
        values["value_tier"] = score_places(place_values(spend, np.sort(spend)), len(spend))
    methods = [_tabulate(week, days, judgement) for days, judgement in judged.items()]
    return CustomerValues(
        values[list(model_columns("customer_values"))],
        pd.concat(methods, ignore_index=True)[list(model_columns("value_methods"))],
        [explain_judgement(days, judgement) for days, judgement in judged.items()],
    )


def judge_values(week: Week, day: int, horizons: Sequence[int] = HORIZONS) -> dict[int, Judgement]:
    """Of a seeded sample of the customers, what was learned before an anchor of the week (days since 1970-01-01) for every
    number of days to come, and how it did; worked out once. The method of the first number holds for the others until one is
    proven to beat it, so that a customer's figures are of one kind."""
    key = ("values", day, tuple(horizons))
    if key not in week.build.cache:
        with week.build.read() as connection:
            ids = list_customers(connection, day)
            sample = ids[sample_customers(ids, SAMPLE, week.settings.seed)]
            orders = load_orders(connection, sample)
        judged: dict[int, Judgement] = {}
        model, method = None, METHODS[0]
        for days in horizons:
            judged[days] = judge_methods(orders, day, days, week.settings.seed, model, method)
            model, method = judged[days].model, judged[horizons[0]].method
        week.build.cache[key] = judged
    return week.build.cache[key]


def write_learned(judged: Mapping[int, Judgement]) -> dict[str, Any]:
    """Days -> method, and the model (`SpendModel.to_json`); nothing where nobody ordered."""
    return {
        str(days): {"method": judgement.method, "model": judgement.model.to_json()}
        for days, judgement in judged.items()
        if judgement.model is not None
    }


def value_block(week: Week, learned: dict[str, Any], day: int) -> pd.DataFrame:
    """The rows of a block of customers, without the week and what compares them with others.

    Args:
        week: of the block.
        learned: of the whole shop before the anchor (`write_learned`), for 364 days at least.
        day: the anchor, days since 1970-01-01.
    """
    with week.build.read() as connection:
        ids = list_customers(connection, day)
        orders = load_orders(connection, ids)
    models = {int(days): SpendModel.from_json(each["model"]) for days, each in learned.items()}
    if orders.empty:
        return pd.DataFrame()
    history = summarise(orders, day, day - models[YEAR_DAYS].watched_days)
    rows = pd.DataFrame(
        {
            "customer_id": ids[history.rows["customer"].to_numpy()],
            "orders": history["orders"].astype(np.int64),
            "spend_last_364": history[f"spend_{YEAR_DAYS}"].round(2),
        }
    )
    for days, model in models.items():
        method = learned[str(days)]["method"]
        spend = model.predict_spend(method, history, days)
        assert spend is not None, method  # `judge_methods` chooses of what is learned at the week
        rows["p_alive"] = model.find_alive(history)
        rows[f"expected_orders_{days}"] = model.predict_orders(history, days).round(4)
        rows[f"expected_spend_{days}"] = spend.round(2)
        rows[f"method_{days}"] = method
    return rows


def count_days(anchor: date) -> int:
    """Days since 1970-01-01."""
    return (anchor - date(1970, 1, 1)).days


def load_worth(week: Week, anchor: date) -> Worth:
    """What the week's customers are expected to spend in the 364 days from an anchor on, made as `recs.customer_values` is, of
    what was known then. What was learned, and what others are expected to spend, are facts of the shop."""
    known, day = week.known(anchor), count_days(anchor)
    none = np.full(known.n_customers, np.nan)
    learned = as_array(
        known.shop_fact(LEARNED, lambda: _pack(write_learned(judge_values(week, day, (YEAR_DAYS,)))))
    )
    values = value_block(week, _unpack(learned), day) if len(learned) else pd.DataFrame()
    spend = none
    if len(values):
        by_customer = values.set_index("customer_id")[f"expected_spend_{YEAR_DAYS}"]
        spend = by_customer.reindex(known.customers["customer_id"]).to_numpy(dtype=np.float64)
    there = ~np.isnan(spend)
    ordered = as_array(known.shop_fact(ORDERED, lambda: np.sort(spend[there])))
    tier = np.zeros(known.n_customers, dtype=np.int64)
    tier[there] = score_places(place_values(spend[there], ordered), len(ordered))
    known.shop_fact(TIER_CUSTOMERS, lambda: np.bincount(tier, minlength=len(TIERS) + 1))
    return Worth(spend, tier)


def _pack(learned: dict[str, Any]) -> np.ndarray:
    """A fact: JSON as bytes; empty where nothing was learned."""
    return np.frombuffer(json.dumps(learned).encode() if learned else b"", dtype=np.uint8)


def _unpack(packed: np.ndarray) -> dict[str, Any]:
    return json.loads(packed.tobytes())


def _tabulate(week: Week, days: int, judgement: Judgement) -> pd.DataFrame:
    anchor = week.as_of - timedelta(days=judgement.days)
    return judgement.rows.assign(as_of=week.as_of, days=days, anchor=anchor, judged_days=judgement.days)


def explain_judgement(days: int, judgement: Judgement) -> str:
    """Which way of predicting is used for so many days, how the others did, and why some are out."""
    if not judgement.days:
        return f"Spend of {days} days is predicted by {judgement.method}: the shop's orders do not go back far enough to judge by."
    rows = judgement.rows.set_index("method")
    text = (
        f"Spend of {days} days is predicted by {judgement.method}, which errs by {rows.loc[judgement.method, 'mae']:.2f} a customer on "
        f"the last {judgement.days} days."
    )
    others = rows[rows["refused"].isna() & ~rows["chosen"]]
    if len(others):
        shown = ", ".join(f"{name} {_write_error(row)}" for name, row in others.iterrows())
        text += f" Of the others {shown}; in brackets what the chosen one errs more, with its interval."
    for name, row in rows[rows["refused"].notna()].iterrows():
        rest = REFUSALS[row["refused"]].format(first=rows.index[0], errors=_write_error(row), **row)
        text += f" {name} is refused{rest}."
    return text


def _write_error(row: pd.Series) -> str:
    return (
        f"errs by {row['mae']:.2f} ({row['difference']:+.2f}, {row['ci_low']:+.2f} to {row['ci_high']:+.2f})"
    )
