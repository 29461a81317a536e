"""The gates of a week: what came in, before anything is built, and the lists, before they are published.

The ranker's own gate stands in `defs.ranker`: it does not block, it keeps the last good model.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from recs_assets.campaigns.judge import LANDING_GATES, judge_landed, judge_week
from recs_assets.campaigns.versions import mark
from recs_assets.defs.deployment import WRITER_POOL, Deployment
from recs_assets.defs.ingest import raw_key
from recs_assets.defs.metadata import markdown_table
from recs_assets.defs.ranker import RANKER_KEY, VERDICT_TYPES
from recs_assets.defs.results import model_key, write_model_table
from recs_assets.evaluation.verdict import Verdict, explain_refusals, tabulate
from recs_assets.store.warehouse import Warehouse

# Name of the step that judges what was landed.
LANDING_GATE = "landing_gate"
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


def landing_gate(deployment: Deployment) -> dg.AssetChecksDefinition:
    """Judges the landed tables as a whole; a failure stops the run before anything is built."""

    @dg.multi_asset_check(
        name=LANDING_GATE,
        specs=[
            dg.AssetCheckSpec(
                name,
                asset=raw_key("orders"),
                additional_deps=[
                    raw_key(table) for table in deployment.source.raw_tables if table != "orders"
                ],
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
        week = deployment.week(warehouse, context)
        verdicts = judge_landed(week)
        week.replace_table(LANDING_GATES, tabulate(verdicts), VERDICT_TYPES)
        yield from report_gates(context, raw_key("orders"), ENTRY, verdicts)

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
        week = deployment.week(warehouse, context)
        verdicts = judge_week(week, deployment.campaigns.campaigns)
        mark(week, verdicts.campaigns, verdicts.lists)
        shown = verdicts.rows[["gate", "subject", "passed", "overridden", "sentence"]]
        yield dg.MaterializeResult(
            metadata={
                **write_model_table(week, "gates", verdicts.rows),
                "verdicts": dg.MetadataValue.md(
                    markdown_table(list(shown), list(shown.itertuples(index=False, name=None)))
                ),
            }
        )
        yield from report_gates(context, key, EXIT, verdicts.lists)
        for verdict in verdicts.forecasts:
            if not verdict.passed:
                context.log.warning(f"Gate {verdict.gate} warns: {verdict.sentence}")
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name="forecast",
            passed=all(verdict.passed for verdict in verdicts.forecasts),
            severity=dg.AssetCheckSeverity.WARN,
            description=" ".join(verdict.sentence for verdict in verdicts.forecasts),
        )

    return verdicts_of_the_week


def report_gates(
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
