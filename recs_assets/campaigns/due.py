"""What a customer bought before and is due to buy again: the weekly list, and its test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from recs_assets.arrays import is_stored, rank_within
from recs_assets.campaigns.blocks import Part, join_tables, map_customers, sum_counts
from recs_assets.campaigns.context import build_storefront_context, find_citable, list_due
from recs_assets.campaigns.storefront import count_removed
from recs_assets.contracts import model_columns
from recs_assets.evaluation.backtest import Fold
from recs_assets.known.interactions import Known
from recs_assets.ranking.calibration import Calibrator, calibrate, log_odds
from recs_assets.ranking.strata import find_strata
from recs_assets.reasons.explain import explain_again
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context
from recs_assets.rules.items import find_dismissed
from recs_assets.rules.pipeline import select
from recs_assets.rules.selection import Selection
from recs_assets.week.ranked import PublishedRanker, find_chosen_model, load_ranker
from recs_assets.week.week import Week

LENGTH = 50
# What takes a pair out before the storefront's rules do (`repeats.cadence.list_due_again`).
STEPS = ("durable", "not_due", "unavailable", "doubled")


@dataclass(frozen=True)
class DueList:
    """What customers are due to buy again.

    Attributes:
        rows: of `model.buy_it_again`.
        customers: who have rows.
        replaced: rows in which another product stands for the one that was bought.
        removed: reason, or rule of the storefront -> pairs that it took out.
    """

    rows: pd.DataFrame
    customers: int
    replaced: int
    removed: dict[str, int]


def make_due_list(week: Week, say: Callable[[str], None]) -> DueList:
    """Up to `LENGTH` products that each customer bought before and is due to buy again."""
    by_ranker = week.model_path("ranker").exists() and find_chosen_model(week) == "ranker"
    say(f"Ordered by {'the ranker' if by_ranker else 'the cadence alone'}.")
    calibrator = _learn_calibration(week)
    parts = map_customers(
        list_customers, week, by_ranker, None if calibrator is None else calibrator.to_json()
    )
    counts = [part.facts for part in parts]
    removed = sum_counts(count["removed"] for count in counts)
    return DueList(
        join_tables([part.tables["rows"] for part in parts]),
        sum(count["customers"] for count in counts),
        sum(count["replaced"] for count in counts),
        {name: count for name, count in removed.items() if count or name in STEPS},
    )


def list_customers(week: Week, by_ranker: bool, calibration: dict[str, Any] | None) -> Part:
    """The rows of `DueList` of a block of customers, and customers, replaced and removed of them.

    Args:
        week: of the block.
        by_ranker: whether the ranker orders the rows.
        calibration: of `p_repeat`, as `Calibrator.to_json` gives it; None: it stays as it is.
    """
    known, rules = week.known(), week.shop.storefront.rule_set(LENGTH)
    facts = build_storefront_context(week, week.as_of, rules)
    rows, removed = list_due(week, week.as_of)
    rows, choice = _apply_rules(rows, facts, rules)
    ranker = load_ranker(week)
    if calibration is not None:
        strata = find_strata(known, rows["customer"].to_numpy(), rows["product"].to_numpy())
        odds = log_odds(rows["p_repeat"].to_numpy())
        rows["p_repeat"] = Calibrator.from_json(calibration).probability(odds, strata)
    rows["p_purchase"] = _estimate_purchases(week, known, ranker, rows)
    rows["score"] = rows["p_purchase"] if by_ranker else rows["p_repeat"]
    rows = explain_again(
        _sort(rows, -rows["score"].to_numpy()), known, find_citable(facts, rules), week.shop.sentences
    )
    counts = {
        "customers": int(rows["customer"].nunique()),
        "replaced": int((rows["replaces"] >= 0).sum()),
        "removed": removed | count_removed([choice]),
    }
    return Part({"rows": _name_rows(rows, known, week.as_of)}, counts)


def add_due_list(week: Week, fold: Fold, chosen: str) -> Fold:
    """The fold with the list of buy-it-again as it would have been published at its anchor, in view "repeat".

    Where the ranker was chosen its list gives the order (`order_rows`).
    """
    rules = week.shop.storefront.rule_set(LENGTH)
    facts = build_storefront_context(week, fold.known.as_of, rules)
    rows, _ = _apply_rules(list_due(week, fold.known.as_of)[0], facts, rules)
    rows = order_rows(rows, fold.models["ranker"]["repeat"] if chosen == "ranker" else None)
    return replace(fold, models={**fold.models, "buy_it_again": {"repeat": rows}})


def _apply_rules(rows: pd.DataFrame, context: Context, rules: Rules) -> tuple[pd.DataFrame, Selection]:
    """The due rows that the storefront's rules let pass, the most probable ones per customer, in their order.

    What stands for a product that the customer sent back, rated badly or dismissed goes with it.
    """
    rejected = context.rejected if rules.items.not_rejected else None
    for unwanted in (rejected, find_dismissed(context, rules)):
        if unwanted is not None:
            customer, replaces = rows["customer"].to_numpy(), rows["replaces"].to_numpy()
            rows = rows[(replaces < 0) | ~is_stored(unwanted, customer, np.maximum(replaces, 0))]
    pairs = ["customer", "product"]
    choice = select(rows[pairs].assign(score=rows["p_repeat"].to_numpy()), context, rules, placement="page")
    return rows.merge(choice.rows[pairs], on=pairs), choice


def order_rows(rows: pd.DataFrame, ranked: pd.DataFrame | None) -> pd.DataFrame:
    """Due rows in the order of a ranking (customer, product, rank); what it does not hold comes after
    it, by `p_repeat`, which alone decides without a ranking."""
    if ranked is None:
        return _sort(rows, -rows["p_repeat"].to_numpy())
    both = rows[["customer", "product"]].merge(
        ranked[["customer", "product", "rank"]], on=["customer", "product"], how="left"
    )
    return _sort(rows, both["rank"].to_numpy(dtype=float, na_value=np.inf))


def _sort(rows: pd.DataFrame, key: np.ndarray) -> pd.DataFrame:
    """Rows by customer, then key, then as they stand; with their rank."""
    rows = rows.iloc[np.lexsort((np.arange(len(rows)), key, rows["customer"]))].reset_index(drop=True)
    return rows.assign(rank=rank_within(rows["customer"].to_numpy()))


def _learn_calibration(week: Week) -> Calibrator | None:
    """Of `p_repeat`, learned from the list of the latest test anchor and what became of it; None where that anchor has
    too little to learn from."""
    week = week.model_week
    anchor = week.test_anchors[0]
    before = week.known(anchor)
    tested, _ = list_due(week, anchor)
    truth = week.truth(anchor)
    customer, product = tested["customer"].to_numpy(), tested["product"].to_numpy()
    try:
        model, _ = calibrate(
            log_odds(tested["p_repeat"].to_numpy()),
            is_stored(truth, customer, product),
            customer,
            find_strata(before, customer, product),
        )
    except ValueError:
        return None
    return model


def _estimate_purchases(
    week: Week, known: Known, ranker: PublishedRanker | None, rows: pd.DataFrame
) -> np.ndarray:
    """float64[n]: calibrated probability of a purchase within the horizon; NaN without a ranker.

    The ranker's own lists hold most of them; the others are scored here.
    """
    if ranker is None:
        return np.full(len(rows), np.nan)
    pairs = ["customer", "product"]
    listed = week.lists("ranker", week.as_of, "repeat")
    score = rows[pairs].merge(listed[[*pairs, "score"]], on=pairs, how="left")["score"].to_numpy(dtype=float)
    missing, features = np.flatnonzero(np.isnan(score)), ranker.ranker.features_
    for part, _, X in week.load_published_frames(rows.iloc[missing], features):
        score[missing[part]] = ranker.ranker.score(X)
    strata = find_strata(known, rows["customer"].to_numpy(), rows["product"].to_numpy())
    return ranker.calibrator.probability(score, strata)


def _name_rows(rows: pd.DataFrame, known: Known, as_of: date) -> pd.DataFrame:
    """Codes become ids and day numbers become dates."""
    products = known.products["product_id"].to_numpy(dtype=object)
    replaces = rows["replaces"].to_numpy()
    return rows.assign(
        as_of=as_of,
        customer_id=known.customers["customer_id"].to_numpy()[rows["customer"].to_numpy()],
        product_id=products[rows["product"].to_numpy()],
        replaces_product_id=np.where(replaces >= 0, products[np.maximum(replaces, 0)], None),
        expected_gap_days=rows["expected_gap"],
        expected_next_date=pd.to_datetime(rows["expected_next_day"].to_numpy(), unit="D"),
        reason_code=rows["reason_code"].astype(str),
    )[list(model_columns("buy_it_again"))]
