"""What is published, in some twenty lines; the long tables are in the Dagster UI and in `recs.model_metrics`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date

import pandas as pd

from recs_assets.audit.sentences import (
    explain_money,
    explain_not_products,
    explain_unknown_states,
    explain_wholesale,
)
from recs_assets.campaigns.context import list_unknown_storefront_names
from recs_assets.campaigns.made import find_folder, read_facts
from recs_assets.campaigns.messages import list_messages, list_warnings
from recs_assets.cli.experiments import list_verdicts
from recs_assets.defs.deployment import Deployment
from recs_assets.evaluation.evaluate import summarise
from recs_assets.evaluation.facts import load_consent_sentences
from recs_assets.evaluation.forecasts import interval, measure_demand_changes
from recs_assets.evaluation.promotion import explain_decision
from recs_assets.exports.email import VARIES, format_money
from recs_assets.settings import Settings
from recs_assets.week.week import Week


def print_summary(evaluation: bool = False) -> None:
    """Print what is sent, by which model and why, what it should sell, what to look at and where it is.

    Below that: what campaigns, prices, wholesale and consent have to say, and three recommendations.

    Args:
        evaluation: print every model's figures at the test anchor, too.
    """
    deployment = Deployment.from_settings(Settings())
    warehouse = deployment.warehouse()
    with warehouse.snapshot() as connection:
        week = warehouse.newest_published()

        def rows(sql: str) -> list[tuple]:
            return connection.execute(sql, {"week": week}).fetchall()

        [people] = rows(
            """
            select (select count(distinct customer_id) from recs.email_recommendations where as_of = $week),
                count(*) filter (where email_eligible), count(*)
            from recs.customers
            """
        )
        failed = rows(
            """
            select gate, sentence, reason from recs.gates
            where as_of = $week and not passed and gate not in ('baselines', 'consent') order by gate, subject
            """
        )
        campaigns = rows(
            """
            select campaign, sum(customers) filter (where outcome = 'selected')
            from recs.campaign_outcomes where as_of = $week group by campaign order by campaign
            """
        )
        promised = rows(
            """
            select campaign, max(window_days), count(*), sum(p_purchase), sum(p_purchase * (1 - p_purchase))
            from recs.email_recommendations where as_of = $week and p_purchase is not null
            group by campaign having sum(p_purchase) > 0 order by campaign
            """
        )
        kept = connection.execute(
            "select actual_purchases / forecast_purchases from recs.forecasts where forecast_purchases > 0"
        ).fetchall()
        ratios = {
            name: [ratio for (ratio,) in kept]
            + measure_demand_changes(connection, week, days, deployment.horizon_days)
            for name, days, *_ in promised
        }
        decisions = connection.execute(
            "select * from recs.model_decisions where as_of = ? order by step", [week]
        ).df()
        metrics = connection.execute("select * from recs.model_metrics where as_of = ?", [week]).df()
        main = deployment.campaigns.main
        samples = connection.execute(
            """
            with places as (
                select campaign, customer_id, row_number() over (order by campaign = $main desc, md5(customer_id)) as place
                from (select distinct campaign, customer_id from recs.email_recommendations where as_of = $week)
            )
            select slot, coalesce(title, email.product_id), price, price_kind, price_from, currency, score,
                reason_text
            from recs.email_recommendations as email join places using (campaign, customer_id)
            where as_of = $week and place <= 3 and slot = place
            order by place
            """,
            {"week": week, "main": "" if main is None else main.name},
        ).fetchall()
        unexplained = explain_unknown_states(connection, "recs.order_states")
        notes = [
            *explain_money(connection, deployment.source),
            *explain_not_products(connection, deployment.source),
            *explain_wholesale(connection, deployment.source),
        ]
        log = connection.execute("select row_counts from recs.publish_log order by rowid").fetchall()
        counts = json.loads(log[-1][0])
        tables, total = len(counts) + 1, sum(counts.values()) + len(log)

    this_week = Week(deployment, warehouse, week)
    folders = {name: find_folder(this_week, name) for name, _ in campaigns}
    facts = {name: read_facts(folder) for name, folder in folders.items() if folder.exists()}
    warnings = [
        f"Campaign {name}: {text}" for name, of_one in facts.items() for text in list_warnings(of_one)
    ]
    warnings += [_describe_gate(*gate) for gate in failed]
    warnings += [unexplained] if unexplained else []

    for line in write_headline(
        week, people, dict(campaigns), explain_verdict(decisions), promised, ratios, warnings
    ):
        print(line)
    print(
        f"Published: {warehouse.snapshot_path} (schema recs; any DuckDB client, read-only): {tables} tables, "
        f"{total:,} rows."
    )
    print(f"Caches:    {warehouse.home / 'cache' / 'current'}\n")
    for text in warnings:
        print(text)
    for text in list_verdicts(warehouse):
        print(text)
    for name, of_one in facts.items():
        for text in list_messages(of_one):
            if text not in list_warnings(of_one):
                print(f"Campaign {name}: {text}")
    for text in [*list_unknown_storefront_names(this_week), *notes]:
        print(text)
    with warehouse.snapshot() as connection:
        sentences = load_consent_sentences(connection, week)
    for sentence in sentences:
        print(f"Consent:   {sentence}")
    if evaluation:
        print(f"\n{summarise(metrics)}")
    print("\nThree recommendations, and why:")
    for sample in samples:  # for whom, no log needs to know
        print(f"  {_describe_sample(*sample)}")
    print("\nLook around:  make dev   (Dagster UI on http://127.0.0.1:3000)")
    print("Every model's figures:  python -m recs_assets summary --evaluation")


def write_headline(
    week: date,
    people: tuple[int, int, int],
    campaigns: Mapping[str, int],
    decision: str,
    promised: Sequence[tuple[str, int, int, float, float]],
    ratios: Mapping[str, Sequence[float]],
    warnings: Sequence[str],
) -> list[str]:
    """What somebody who has ten seconds should know of a week, in four lines.

    Args:
        week: that is published.
        people: customers with an email list, eligible customers, all customers.
        campaigns: name -> customers that it reaches.
        decision: the sentence about the model that makes the lists.
        promised: of every campaign with probabilities its name, window in days, rows, sum of p, sum of p * (1 - p).
        ratios: of every campaign: purchases made divided by purchases promised, of windows that are over, and demand
            divided by demand one horizon before.
        warnings: sentences, the weightiest first.
    """
    listed, eligible, customers = people
    reached = ", ".join(f"{name} ({int(count):,})" for name, count in campaigns.items()) or "none"
    expected = []
    for name, days, pairs, total, variance in promised:
        low, high = interval(pairs, total, variance, ratios.get(name, ()))
        expected.append(f"{name} {total:,.0f} purchases within {days} days ({low:,.0f} to {high:,.0f})")
    more = f" And {len(warnings) - 1} more below." if len(warnings) > 1 else ""
    return [
        f"Sent:      Week {week}: {listed:,} of {eligible:,} eligible customers (of {customers:,}) got an email list. "
        f"Campaigns: {reached}.",
        f"Made by:   {decision}",
        f"Expected:  {'; '.join(expected) or 'no campaign says how likely its products are bought'}.",
        f"Look at:   {warnings[0]}{more}"
        if warnings
        else "Look at:   Nothing: every gate passed, every file fits.",
    ]


def explain_verdict(decisions: pd.DataFrame) -> str:
    """One sentence: which model makes the lists, and what the data say for it.

    Args:
        decisions: one week of recs.model_decisions, by step; at least one row.
    """
    return explain_decision(decisions, decisions["chosen"].iloc[0])


def _describe_gate(gate: str, sentence: str, reason: str | None) -> str:
    what = "warns" if gate == "forecast" else "refused the new ranker"
    what = what if reason is None else f"is overridden ({reason})"
    return f"Gate {gate} {what}: {sentence}"


def _describe_sample(
    slot: int,
    name: str,
    price: float | None,
    kind: str | None,
    lowest: float | None,
    currency: str | None,
    score: float,
    reason: str,
) -> str:
    shown = (
        f" from {format_money(lowest, currency)}"
        if kind == VARIES
        else f" at {format_money(price, currency)}"
    )
    shown = "" if price is None else shown
    return f"slot {slot}: {name}{shown} (score {score:.3f}) - {reason}"
