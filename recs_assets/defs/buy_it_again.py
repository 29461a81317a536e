"""What a customer bought before and is due to buy again: the weekly list, and its test."""

import dataclasses
from datetime import date

import dagster as dg
import numpy as np
import pandas as pd

from recs_assets.arrays import is_stored, rank_within
from recs_assets.campaigns.context import build_storefront_context, find_citable, list_due
from recs_assets.contracts import model_columns
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import numbers
from recs_assets.defs.ranker import RANKER_KEY
from recs_assets.defs.recommenders import recommender_key
from recs_assets.defs.results import (
    chosen_model,
    model_key,
    taken_out,
    write_model_table,
)
from recs_assets.evaluation.backtest import Fold
from recs_assets.known.interactions import Known
from recs_assets.ranking.calibration import calibrate, log_odds
from recs_assets.ranking.strata import find_strata
from recs_assets.reasons.explain import explain_again
from recs_assets.recommenders import REGISTRY
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context
from recs_assets.rules.pipeline import select
from recs_assets.rules.selection import Selection
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.ranked import PublishedRanker, load_ranker
from recs_assets.week.week import Week

LENGTH = 50


def buy_it_again_asset(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.asset(
        key=model_key("buy_it_again"),
        deps=[*(recommender_key(name) for name in REGISTRY), RANKER_KEY, model_key("decisions")],
        **deployment.weekly,
        group_name="ranking",
        kinds={"python", "duckdb"},
        description=f"Up to {LENGTH} products that each customer bought before and is due to buy again.",
    )
    def buy_it_again(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week = deployment.week(warehouse, context)
        known = week.known()
        rules = deployment.storefront.rule_set(LENGTH)
        facts = build_storefront_context(week, week.as_of, rules)
        rows, removed = list_due(deployment, known)
        rows, choice = _apply_rules(rows, facts, rules)
        ranker = load_ranker(week)
        learned = ranker is not None and chosen_model(week) == "ranker"
        context.log.info(f"Ordered by {'the ranker' if learned else 'the cadence alone'}.")
        rows["p_repeat"] = _calibrated(week, known, rows)
        rows["p_purchase"] = _probability(week, known, ranker, rows)
        rows["score"] = rows["p_purchase"] if learned else rows["p_repeat"]
        rows = explain_again(
            _ordered(rows, -rows["score"].to_numpy()), known, find_citable(facts, rules), deployment.sentences
        )
        return dg.MaterializeResult(
            metadata={
                **write_model_table(week, "buy_it_again", _named(rows, known, week.as_of)),
                **numbers(
                    {
                        "customers": int(rows["customer"].nunique()),
                        "replaced": int((rows["replaces"] >= 0).sum()),
                        **{f"without_{reason}": count for reason, count in removed.items()},
                    }
                ),
                **taken_out([choice]),
            }
        )

    return buy_it_again


def with_buy_it_again(week: Week, fold: Fold, chosen: str) -> Fold:
    """The fold with the list as it would have been published at its anchor, in view "repeat".

    Where the ranker was chosen its list gives the order (`in_order`).
    """
    rules = week.shop.storefront.rule_set(LENGTH)
    facts = build_storefront_context(week, fold.known.as_of, rules)
    rows, _ = _apply_rules(list_due(week.shop, fold.known)[0], facts, rules)
    rows = in_order(rows, fold.models["ranker"]["repeat"] if chosen == "ranker" else None)
    return dataclasses.replace(fold, models={**fold.models, "buy_it_again": {"repeat": rows}})


def _apply_rules(rows: pd.DataFrame, context: Context, rules: Rules) -> tuple[pd.DataFrame, Selection]:
    """The due rows that the storefront's rules let pass, the most probable ones per customer, in their order.

    What stands for a product that the customer sent back or rated badly goes with it.
    """
    customer, replaces = rows["customer"].to_numpy(), rows["replaces"].to_numpy()
    if rules.items.not_rejected and context.rejected is not None:
        rows = rows[(replaces < 0) | ~is_stored(context.rejected, customer, np.maximum(replaces, 0))]
    pairs = ["customer", "product"]
    choice = select(rows[pairs].assign(score=rows["p_repeat"].to_numpy()), context, rules, placement="page")
    return rows.merge(choice.rows[pairs], on=pairs), choice


def in_order(rows: pd.DataFrame, ranked: pd.DataFrame | None) -> pd.DataFrame:
    """Due rows in the order of a ranking (customer, product, rank); what it does not hold comes after
    it, by `p_repeat`, which alone decides without a ranking."""
    if ranked is None:
        return _ordered(rows, -rows["p_repeat"].to_numpy())
    both = rows[["customer", "product"]].merge(
        ranked[["customer", "product", "rank"]], on=["customer", "product"], how="left"
    )
    return _ordered(rows, both["rank"].to_numpy(dtype=float, na_value=np.inf))


def _ordered(rows: pd.DataFrame, key: np.ndarray) -> pd.DataFrame:
    """Rows by customer, then key, then as they stand; with their rank."""
    rows = rows.iloc[np.lexsort((np.arange(len(rows)), key, rows["customer"]))].reset_index(drop=True)
    return rows.assign(rank=rank_within(rows["customer"].to_numpy()))


def _calibrated(week: Week, known: Known, rows: pd.DataFrame) -> np.ndarray:
    """float64[n]: `p_repeat` of the cadence, calibrated on the list of the latest test anchor and what became
    of it; as it is where that anchor has too little to learn from."""
    anchor = week.test_anchors[0]
    before = week.known(anchor)
    tested, _ = list_due(week.shop, before)
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
        return rows["p_repeat"].to_numpy()
    strata = find_strata(known, rows["customer"].to_numpy(), rows["product"].to_numpy())
    return model.probability(log_odds(rows["p_repeat"].to_numpy()), strata)


def _probability(week: Week, known: Known, ranker: PublishedRanker | None, rows: pd.DataFrame) -> np.ndarray:
    """float64[n]: calibrated probability of a purchase within the horizon; NaN without a ranker.

    The ranker's own lists hold most of them; the others are scored here.
    """
    if ranker is None:
        return np.full(len(rows), np.nan)
    pairs = ["customer", "product"]
    listed = week.lists("ranker", week.as_of, "repeat")
    score = rows[pairs].merge(listed[[*pairs, "score"]], on=pairs, how="left")["score"].to_numpy(dtype=float)
    missing, features = np.flatnonzero(np.isnan(score)), ranker.ranker.features_
    for part, _, X in week.published_frames(rows.iloc[missing], features):
        score[missing[part]] = ranker.ranker.score(X)
    strata = find_strata(known, rows["customer"].to_numpy(), rows["product"].to_numpy())
    return ranker.calibrator.probability(score, strata)


def _named(rows: pd.DataFrame, known: Known, week: date) -> pd.DataFrame:
    """Codes become ids and day numbers become dates."""
    products = known.products["product_id"].to_numpy(dtype=object)
    replaces = rows["replaces"].to_numpy()
    return rows.assign(
        as_of=week,
        customer_id=known.customers["customer_id"].to_numpy()[rows["customer"].to_numpy()],
        product_id=products[rows["product"].to_numpy()],
        replaces_product_id=np.where(replaces >= 0, products[np.maximum(replaces, 0)], None),
        expected_gap_days=rows["expected_gap"],
        expected_next_date=pd.to_datetime(rows["expected_next_day"].to_numpy(), unit="D"),
        reason_code=rows["reason_code"].astype(str),
    )[list(model_columns("buy_it_again"))]
