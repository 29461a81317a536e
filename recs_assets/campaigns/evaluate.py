"""Every model of a week against what was bought, the email as it is sent among them, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd

from recs_assets.arrays import is_stored
from recs_assets.campaigns.context import build_context
from recs_assets.campaigns.due import add_due_list
from recs_assets.campaigns.file import Campaign
from recs_assets.campaigns.lists import AS_SENT
from recs_assets.campaigns.load import load_past_forecasts
from recs_assets.campaigns.measure import apply_rules_at_test
from recs_assets.campaigns.storefront import BLEND, POOL
from recs_assets.evaluation.backtest import Fold, backtest, pool_folds
from recs_assets.evaluation.evaluate import BOOTSTRAPPED, evaluate
from recs_assets.evaluation.gates import TEST_ANCHOR
from recs_assets.evaluation.promotion import Decision, decide
from recs_assets.evaluation.waterfall import trace_purchases
from recs_assets.ranking.blend import blend
from recs_assets.ranking.strata import find_strata
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.base import VIEWS
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context
from recs_assets.rules.items import WEIGHING
from recs_assets.rules.pipeline import select
from recs_assets.rules.rehearsal import admit_everybody, rehearse
from recs_assets.week.ranked import PublishedRanker, load_ranker
from recs_assets.week.week import Week

# Rows of the ranker's lists at the test anchor whose probabilities are summed up.
SLOTS = 12


class Email(NamedTuple):
    """The email whose rules the evaluation follows: name of its campaign, "" in a shop that has none, and rules."""

    campaign: str = ""
    rules: Rules = Rules()


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a week.

    Attributes:
        anchor: the latest test anchor.
        chosen: the model that makes this week's lists.
        tables: name in schema `model` -> rows: metrics, backtest, decisions, waterfall, forecasts.
    """

    anchor: date
    chosen: str
    tables: dict[str, pd.DataFrame]

    @property
    def newest(self) -> pd.DataFrame:
        """The metrics at the latest test anchor."""
        metrics = self.tables["metrics"]
        return metrics[metrics["anchor"] == self.anchor]


def evaluate_week(week: Week, main: Campaign | None) -> Evaluation:
    """Judge every model at the week's test anchors, and decide which makes this week's lists.

    Args:
        week: with all its lists.
        main: the main email (`Folder.main`); a shop that has none gets the rules' defaults.
    """
    seed, ranker = week.settings.seed, load_ranker(week)
    email = Email() if main is None else Email(main.name, main.rule_set.on(week.as_of))
    folds = [build_fold(week, anchor) for anchor in week.test_anchors]
    decision = _decide(folds, seed)
    chosen = decision.chosen
    folds = [add_due_list(week, fold, chosen) for fold in folds]
    contexts = [build_context(week, fold.known.as_of, email.campaign, email.rules) for fold in folds]
    folds = [
        _add_email(week, email, context, fold, chosen, ranker)
        for context, fold in zip(contexts, folds, strict=True)
    ]
    latest, comparisons = folds[0], decision.comparisons
    metrics = [
        evaluate(fold.models, fold.known, fold.truth, as_of=week.as_of, customers=fold.customers, seed=seed)
        for fold in folds
    ]
    tables = {
        "metrics": pd.concat(metrics, ignore_index=True),
        "backtest": backtest(folds, tuple(REGISTRY), seed=seed).assign(as_of=week.as_of),
        "decisions": comparisons.assign(
            as_of=week.as_of, anchor=latest.known.as_of, step=range(1, len(comparisons) + 1)
        ),
        "waterfall": _follow_purchases(week, email, contexts[0], latest, chosen),
        "forecasts": _count_forecasts(week, latest, ranker),
    }
    return Evaluation(latest.known.as_of, chosen, tables)


def _add_email(
    week: Week, email: Email, context: Context, fold: Fold, chosen: str, ranker: PublishedRanker | None
) -> Fold:
    """The fold with the email as it would have been sent at its anchor."""
    sent = _list_as_sent(week, email, context, fold, chosen, ranker)
    return replace(fold, models={**fold.models, AS_SENT: {"all": sent}})


def build_fold(week: Week, anchor: date) -> Fold:
    """Every model's lists at a test anchor."""
    known = week.known(anchor)
    ranked = week.lists_path("ranker", anchor, "all").exists()
    models: dict[str, dict[str, pd.DataFrame]] = {
        name: {view: week.lists(name, anchor, view) for view in VIEWS}
        for name in (*REGISTRY, *(["ranker"] if ranked else []))
    }
    models["blend"] = {
        view: blend({name: models[name][view] for name in BLEND.needed}, known.order_counts, BLEND, POOL)
        for view in VIEWS
    }
    truth = week.truth(anchor)
    return Fold(known, truth, week.find_customers_with_lists(anchor), models)


def _decide(folds: Sequence[Fold], seed: int) -> Decision:
    """The simplest model that no other is proven to beat over the folds, by MAP@12."""
    models = sorted(set.intersection(*(set(fold.models) for fold in folds)))
    values = pool_folds(folds, "all", models)[:, :, BOOTSTRAPPED.index(("map", 12))]
    return decide({name: values[:, place] for place, name in enumerate(models)}, seed=seed)


def _list_as_sent(
    week: Week, email: Email, context: Context, fold: Fold, chosen: str, ranker: PublishedRanker | None
) -> pd.DataFrame:
    """The chosen model's lists as the main email's rules would cut and turn them, for every customer.

    Without probabilities there is no floor for discovery, so it is left out.
    """
    rows, left_out = fold.models[chosen]["all"], (*WEIGHING, "discovery")
    if chosen == "ranker" and ranker is not None:
        strata = find_strata(fold.known, rows["customer"].to_numpy(), rows["product"].to_numpy())
        likely = ranker.before_test.probability(rows["score"].to_numpy(dtype=float), strata)
        rows, left_out = rows.assign(p_purchase=likely.astype(np.float32)), WEIGHING
    threads = week.settings.threads
    context = rehearse(rows, admit_everybody(context), email.rules, fold.customers, threads=threads)
    choice = select(rows, context, email.rules, fold.customers, left_out, threads=threads)
    return choice.rows.rename(columns={"slot": "rank"})[["customer", "product", "rank"]]


def _follow_purchases(week: Week, email: Email, context: Context, fold: Fold, chosen: str) -> pd.DataFrame:
    """The chosen model's way through the rules of the main email to its slots, at the test anchor."""
    anchor, lists = fold.known.as_of, fold.models[chosen]["all"]
    sent, removed = apply_rules_at_test(lists, context, email.rules, week.settings.threads)
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


def _count_forecasts(week: Week, fold: Fold, ranker: PublishedRanker | None) -> pd.DataFrame:
    """Sums of probabilities against purchases: the ranker's first rows at the test anchor, and the
    emails that earlier weeks published."""
    with week.read_with_snapshot() as connection:
        parts = [load_past_forecasts(connection, week.as_of)]
    if ranker is not None:
        rows = fold.models["ranker"]["all"]
        rows = rows[(rows["rank"] <= SLOTS).to_numpy()]
        customer, product = rows["customer"].to_numpy(), rows["product"].to_numpy()
        # Calibrated without the test anchor, which the published calibration has seen.
        likely = ranker.before_test.probability(
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
