"""The gates of a week: what came in, before anything is built, and the lists, before they are published.

The ranker's own gate stands in `defs.ranker`: it does not block, it keeps the last good model.
"""

from collections.abc import Iterator, Sequence

import dagster as dg
import pandas as pd

from recs_assets.campaigns.made import NOTHING, SELECTED, find_folder, read_facts, read_slots
from recs_assets.defs.deployment import WRITER_POOL, Deployment
from recs_assets.defs.ingest import raw_key
from recs_assets.defs.metadata import markdown_table
from recs_assets.defs.ranker import RANKER_GATES, RANKER_KEY, VERDICT_TYPES
from recs_assets.defs.results import model_key, write_model_table
from recs_assets.evaluation import gates
from recs_assets.evaluation.facts import (
    load_newest_order,
    load_raw_volumes,
    load_unknown_event_types,
    load_withdrawal_counts,
)
from recs_assets.evaluation.promotion import ORDER
from recs_assets.evaluation.thresholds import Gates
from recs_assets.evaluation.verdict import Verdict, explain_refusals, overrule, tabulate
from recs_assets.known.load import load_listed
from recs_assets.rules.selection import TOO_FEW
from recs_assets.schema import RAW_TABLES
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.week import Week

# Name of the step that judges what was landed, and of the table that keeps its verdicts.
LANDING_GATE = "landing_gate"
LANDING_GATES = "gates_landing"
ENTRY = {
    "volume": "Rows of the raw tables against the newest earlier published week.",
    "freshness": "Age of the newest order.",
}
EXIT = {
    "finite": "Every score is a finite number.",
    "spread": "Scores tell products apart.",
    "coverage": "The lists show enough of the catalogue.",
    "fill": "Enough of the eligible customers have a full email.",
    "sameness": "Customers do not all get the same.",
}
WARNINGS = {"forecast": "What earlier weeks promised was bought."}
# The one model that gives everybody the same list on purpose.
IMPERSONAL = ORDER[0]
STOREFRONT = "customer_recommendations"


def landing_gate(deployment: Deployment) -> dg.AssetChecksDefinition:
    """Judges the landed tables as a whole; a failure stops the run before anything is built."""

    @dg.multi_asset_check(
        name=LANDING_GATE,
        specs=[
            dg.AssetCheckSpec(
                name,
                asset=raw_key("orders"),
                additional_deps=[raw_key(table) for table in RAW_TABLES if table != "orders"],
                blocking=True,
                description=text,
            )
            for name, text in ENTRY.items()
        ],
        pool=WRITER_POOL,
    )
    def gate(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.AssetCheckResult]:
        week, limits = deployment.week(warehouse, context), deployment.gates
        before, earlier = week.load_earlier_verdicts()
        with week.build.read() as connection:
            volumes = load_raw_volumes(connection, week.as_of)
            newest, orders = load_newest_order(connection, week.as_of)
        counted = earlier[(earlier["gate"] == "volume").to_numpy()]
        verdicts = overrule(
            [
                *gates.judge_volume(
                    volumes,
                    dict(zip(counted["subject"], counted["value"], strict=True)),
                    before,
                    limits.volume,
                ),
                gates.judge_freshness(newest, orders, week.as_of, limits.freshness),
            ],
            deployment.settings.gate_override,
        )
        week.replace_table(LANDING_GATES, tabulate(verdicts), VERDICT_TYPES)
        yield from _results(context, raw_key("orders"), ENTRY, verdicts)

    return gate


def gates_asset(deployment: Deployment) -> dg.AssetsDefinition:
    key = model_key("gates")

    @dg.asset(
        key=key,
        deps=[
            *(
                model_key(table)
                for table in (
                    "recommendations",
                    "email_selection",
                    "campaign_outcomes",
                    "decisions",
                    "forecasts",
                )
            ),
            RANKER_KEY,
            raw_key("orders"),
        ],
        **deployment.weekly,
        group_name="publish",
        kinds={"python", "duckdb"},
        description="Every gate's verdict of the week: what came in, the model, the lists.",
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, blocking=name in EXIT, description=text)
            for name, text in (EXIT | WARNINGS).items()
        ],
    )
    def verdicts_of_the_week(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        week, limits = deployment.week(warehouse, context), deployment.gates
        decisions = week.table("decisions")
        available = int(week.known().available.sum())
        personal = decisions["chosen"].max() != IMPERSONAL
        with week.build.read() as connection:
            lists = load_listed(connection, week.as_of, "recommendations", "rank")
            withdrawals = load_withdrawal_counts(connection)
            unknown_types = load_unknown_event_types(connection, week.as_of)
        codes, scores = (lists[name].to_numpy() for name in ("customer", "score"))
        verdicts = [
            gates.judge_finite(scores, STOREFRONT),
            *gates.judge_spread(codes, lists["product"].to_numpy(), scores, STOREFRONT, limits),
            gates.judge_coverage(lists, available, STOREFRONT, limits, personal),
            gates.judge_sameness(lists, available, STOREFRONT, limits, personal),
        ]
        outcomes = week.table("campaign_outcomes")
        for name in sorted(set(outcomes["campaign"])):
            # Without its file a campaign's lists of this week are there still.
            campaign = deployment.campaigns.campaigns.get(name)
            fills_slots = campaign.lists_products if campaign else read_slots(find_folder(week, name)) > 0
            if fills_slots:
                verdicts += _of_campaign(week, name, outcomes, available, limits, personal)
        verdicts = overrule(verdicts, deployment.settings.gate_override)
        consent = gates.judge_consent(withdrawals, unknown_types)
        forecasts = gates.judge_forecasts(week.table("forecasts"), limits.forecast)
        _, earlier = week.load_earlier_verdicts()
        judged = pd.concat(
            [
                week.table(LANDING_GATES),
                week.table(RANKER_GATES),
                tabulate([gates.record_baselines(decisions), *consent, *forecasts, *verdicts]),
            ],
            ignore_index=True,
        )
        before = earlier.rename(columns={"value": "previous_value"})
        rows = judged.merge(before, on=["gate", "subject"], how="left").assign(as_of=week.as_of)
        metadata = write_model_table(week, "gates", rows)
        shown = judged[["gate", "subject", "passed", "overridden", "sentence"]]
        yield dg.MaterializeResult(
            metadata={
                **metadata,
                "verdicts": dg.MetadataValue.md(
                    markdown_table(list(shown), list(shown.itertuples(index=False, name=None)))
                ),
            }
        )
        yield from _results(context, key, EXIT, verdicts)
        for verdict in forecasts:
            if not verdict.passed:
                context.log.warning(f"Gate {verdict.gate} warns: {verdict.sentence}")
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name="forecast",
            passed=all(verdict.passed for verdict in forecasts),
            severity=dg.AssetCheckSeverity.WARN,
            description=" ".join(verdict.sentence for verdict in forecasts),
        )

    return verdicts_of_the_week


def _of_campaign(
    week: Week,
    name: str,
    outcomes: pd.DataFrame,
    available: int,
    limits: Gates,
    personal: bool,
) -> list[Verdict]:
    """The gates on a campaign's filled slots.

    Eligible is who was to get a list and could not be given one for want of products, or was; a query
    that cannot be answered says so in its own check, and stops no week.
    """
    with week.build.read() as connection:
        lists = load_listed(connection, week.as_of, "email_selection", "slot", name)
    of_campaign = outcomes[(outcomes["campaign"] == name).to_numpy()]
    counts = of_campaign.set_index("outcome")["customers"]
    full = int(counts.get(SELECTED, 0))
    wanted = full + sum(int(counts.get(reason, 0)) for reason in (TOO_FEW, NOTHING))
    facts = read_facts(find_folder(week, name))
    why, personal = facts.get("shortage"), personal and facts.get("chosen") != IMPERSONAL
    return [
        gates.judge_finite(lists["score"].to_numpy(), name),
        gates.judge_fill(full, wanted, name, limits, why),
        gates.judge_sameness(lists, available, name, limits, personal),
    ]


def _results(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
    key: dg.AssetKey,
    names: Sequence[str],
    verdicts: Sequence[Verdict],
) -> Iterator[dg.AssetCheckResult]:
    """One check per gate; what was let through is logged with its reason."""
    refused = explain_refusals(verdicts)
    for verdict in verdicts:
        if verdict.overridden:
            context.log.warning(f"Gate {verdict.gate} is overridden ({verdict.reason}): {verdict.sentence}")
    for name in names:
        of_gate = [verdict for verdict in verdicts if verdict.gate == name]
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=name not in refused,
            severity=dg.AssetCheckSeverity.ERROR,
            description=refused.get(name, " ".join(verdict.sentence for verdict in of_gate)),
            metadata={
                "overridden": any(verdict.overridden for verdict in of_gate),
                "figures": dg.MetadataValue.json(
                    {verdict.subject: verdict.value for verdict in of_gate if verdict.value is not None}
                ),
            },
        )
