"""Every model against what was bought, and what follows from it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import NamedTuple

import dagster as dg
import numpy as np
import pandas as pd

from recs_assets.arrays import is_stored
from recs_assets.campaigns.context import build_context
from recs_assets.campaigns.lists import AS_SENT
from recs_assets.campaigns.load import load_past_forecasts
from recs_assets.campaigns.measure import apply_rules_at_test
from recs_assets.defs.buy_it_again import with_buy_it_again
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import inline_png, markdown_table
from recs_assets.defs.ranker import RANKER_KEY
from recs_assets.defs.recommenders import recommender_key
from recs_assets.defs.results import (
    BLEND,
    POOL,
    model_key,
    model_tables,
    write_model_table,
)
from recs_assets.evaluation.backtest import Fold, backtest, pool_folds
from recs_assets.evaluation.evaluate import BOOTSTRAPPED, evaluate, plot_metrics, summarise
from recs_assets.evaluation.gates import TEST_ANCHOR
from recs_assets.evaluation.promotion import Decision, decide
from recs_assets.evaluation.waterfall import trace_purchases
from recs_assets.ranking.blend import blend
from recs_assets.ranking.strata import find_strata
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.base import VIEWS
from recs_assets.rules.config import Rules
from recs_assets.rules.pipeline import select
from recs_assets.rules.rehearsal import admit_everybody, rehearse
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.ranked import PublishedRanker, load_ranker
from recs_assets.week.week import Week

# Rows of the ranker's lists at the test anchor whose probabilities are summed up.
SLOTS = 12

TABLES = {
    "metrics": "Every recommender, the blend and the ranker at the test anchors: what they proposed "
    "against what was bought after it.",
    "backtest": "Every model over all test anchors beside the best single recommender, with paired intervals.",
    "decisions": "Which model makes this week's lists: the simplest one that no other is proven to beat.",
    "waterfall": "Where the purchases of the test's label window were lost on the way to the email.",
    "forecasts": "What the probabilities promised, for the test anchor and for emails of earlier weeks, "
    "against what was bought.",
}


def evaluation_asset(deployment: Deployment) -> dg.AssetsDefinition:
    deps = [*(recommender_key(name) for name in REGISTRY), RANKER_KEY]

    @model_tables(deployment, "evaluation", "evaluation", deps, TABLES)
    def evaluation(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        week, seed = deployment.week(warehouse, context), deployment.settings.seed
        folds = [fold_at(week, anchor) for anchor in week.test_anchors]
        decision = _decision(folds, seed)
        folds = [with_buy_it_again(week, fold, decision.chosen) for fold in folds]
        learned, email = load_ranker(week), _main_email(deployment)
        folds = [
            replace(
                fold,
                models={
                    **fold.models,
                    AS_SENT: {"all": _as_sent(week, email, fold, decision.chosen, learned)},
                },
            )
            for fold in folds
        ]
        latest = folds[0]

        def result(table: str, rows: pd.DataFrame, **more: object):
            metadata = write_model_table(week, table, rows)
            return dg.MaterializeResult(asset_key=model_key(table), metadata={**metadata, **more})

        table = pd.concat(
            [
                evaluate(
                    fold.models, fold.known, fold.truth, as_of=week.as_of, customers=fold.customers, seed=seed
                )
                for fold in folds
            ],
            ignore_index=True,
        )
        newest = table[table["anchor"] == latest.known.as_of]
        picture = week.build.folder / "evaluation.png"
        picture.write_bytes(plot_metrics(newest))
        end = latest.known.as_of + timedelta(days=deployment.horizon_days)
        yield result(
            "metrics",
            table,
            evaluation=dg.MetadataValue.md(
                f"Label window [{latest.known.as_of}, {end}).\n\n{summarise(newest)}"
            ),
            plot=dg.MetadataValue.md(inline_png(picture.read_bytes(), "MAP@12 by recommender")),
            plot_file=dg.MetadataValue.path(str(picture)),
        )
        rolled = backtest(folds, tuple(REGISTRY), seed=seed).assign(as_of=week.as_of)
        best = rolled[(rolled["metric"] == "map")].sort_values(["view", "value"], ascending=[True, False])
        yield result(
            "backtest",
            rolled,
            map_at_12=dg.MetadataValue.md(
                markdown_table(
                    ["view", "model", "MAP@12", "baseline", "difference", "low", "high"],
                    list(
                        best[
                            ["view", "recommender", "value", "baseline", "difference", "ci_low", "ci_high"]
                        ].itertuples(index=False, name=None)
                    ),
                )
            ),
        )
        record = decision.comparisons.assign(
            as_of=week.as_of, anchor=latest.known.as_of, step=range(1, len(decision.comparisons) + 1)
        )
        yield result("decisions", record, chosen=decision.chosen)
        yield result("waterfall", _waterfall(week, email, latest, decision.chosen))
        yield result("forecasts", _forecasts(week, latest, learned))

    return evaluation


def fold_at(week: Week, anchor: date) -> Fold:
    """Every model's lists at a test anchor."""
    known = week.known(anchor)
    learned = week.lists_path("ranker", anchor, "all").exists()
    models: dict[str, dict[str, pd.DataFrame]] = {
        name: {view: week.lists(name, anchor, view) for view in VIEWS}
        for name in (*REGISTRY, *(["ranker"] if learned else []))
    }
    models["blend"] = {
        view: blend({name: models[name][view] for name in BLEND.needed}, known.order_counts, BLEND, POOL)
        for view in VIEWS
    }
    truth = week.truth(anchor)
    return Fold(known, truth, week.listed_customers(anchor), models)


def _decision(folds: Sequence[Fold], seed: int) -> Decision:
    """The simplest model that no other is proven to beat over the folds, by MAP@12."""
    models = sorted(set.intersection(*(set(fold.models) for fold in folds)))
    values = pool_folds(folds, "all", models)[:, :, BOOTSTRAPPED.index(("map", 12))]
    return decide({name: values[:, place] for place, name in enumerate(models)}, seed=seed)


class Email(NamedTuple):
    """The email whose rules the evaluation follows: name of its campaign, "" in a shop that has none, and rules."""

    campaign: str
    rules: Rules


def _main_email(deployment: Deployment) -> Email:
    """The main email (`Folder.main`); a shop that has none gets the rules' defaults."""
    campaign = deployment.campaigns.main
    return Email("", Rules()) if campaign is None else Email(campaign.name, campaign.rule_set)


def _as_sent(
    week: Week, email: Email, fold: Fold, chosen: str, learned: PublishedRanker | None
) -> pd.DataFrame:
    """The chosen model's lists as the main email's rules would cut and turn them, for every customer.

    Without probabilities there is no floor for discovery, so it is left out.
    """
    rows, left_out = fold.models[chosen]["all"], ("margin_boost", "discovery")
    if chosen == "ranker" and learned is not None:
        strata = find_strata(fold.known, rows["customer"].to_numpy(), rows["product"].to_numpy())
        likely = learned.before_test.probability(rows["score"].to_numpy(dtype=float), strata)
        rows, left_out = rows.assign(p_purchase=likely.astype(np.float32)), ("margin_boost",)
    context = admit_everybody(build_context(week, fold.known.as_of, email.campaign, email.rules))
    context = rehearse(rows, context, email.rules, fold.customers)
    choice = select(rows, context, email.rules, fold.customers, left_out)
    return choice.rows.rename(columns={"slot": "rank"})[["customer", "product", "rank"]]


def _waterfall(week: Week, email: Email, fold: Fold, chosen: str) -> pd.DataFrame:
    """The chosen model's way through the rules of the main email to its slots, at the test anchor."""
    anchor, lists = fold.known.as_of, fold.models[chosen]["all"]
    context = build_context(week, anchor, email.campaign, email.rules)
    sent, removed = apply_rules_at_test(lists, context, email.rules)
    table = trace_purchases(
        week.all_candidates(anchor),
        sent,
        fold.known,
        fold.truth,
        k=email.rules.slots.k,
        customers=fold.customers,
        removed=removed,
    )
    return table.assign(as_of=week.as_of)


def _forecasts(week: Week, fold: Fold, learned: PublishedRanker | None) -> pd.DataFrame:
    """Sums of probabilities against purchases: the ranker's first rows at the test anchor, and the
    emails that earlier weeks published."""
    with week.read_with_snapshot() as connection:
        parts = [load_past_forecasts(connection, week.as_of)]
    if learned is not None:
        rows = fold.models["ranker"]["all"]
        rows = rows[(rows["rank"] <= SLOTS).to_numpy()]
        customer, product = rows["customer"].to_numpy(), rows["product"].to_numpy()
        # Calibrated without the test anchor, which the published calibration has seen.
        likely = learned.before_test.probability(
            rows["score"].to_numpy(dtype=float), find_strata(fold.known, customer, product)
        )
        price = fold.known.products["price"].to_numpy(dtype=float, na_value=0.0)[product]
        bought = is_stored(fold.truth, customer, product)
        test = {
            "campaign": TEST_ANCHOR,
            "forecast_as_of": fold.known.as_of,
            "window_end": fold.known.as_of + timedelta(days=week.shop.horizon_days),
            "customers": len(np.unique(customer)),
            "rows": len(rows),
            "forecast_purchases": float(likely.sum()),
            "actual_purchases": int(bought.sum()),
            "forecast_revenue": float((likely * price).sum()),
            "actual_revenue": float(price[bought].sum()),
        }
        parts.insert(0, pd.DataFrame([test]))
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True).assign(
        as_of=week.as_of
    )
