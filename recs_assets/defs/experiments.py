"""Experiments: who takes part, what the arms did, and the verdicts."""

from collections.abc import Iterable

import dagster as dg

from recs_assets.campaigns.arms import collect_assigned, count_slots_by_arm
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import markdown_table
from recs_assets.defs.results import model_key, model_tables, write_model_table
from recs_assets.experiments.report import report
from recs_assets.experiments.shadows import load_shadow_results
from recs_assets.experiments.verdict import HARM, INVALID
from recs_assets.store.warehouse import Warehouse

GROUP = "experiments"
STANDING = "experiments_stand"

TABLES = {
    "assignments": "Who takes part in which experiment, in which arm, since when: written before anything is sent.",
    "experiments": "Every arm of every experiment that runs: its customers and the verdict in words.",
    "experiment_results": "What the arms did up to each week, metric by metric, beside the control and the holdout.",
    "experiment_weeks": "What each week of an experiment did alone.",
    "shadow_results": "How the lists of shadows, which nobody was shown, did beside those that were sent.",
    "experiment_segments": "The primary metric by segment, drawn towards the whole.",
}


def experiment_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    deps = [model_key("email_selection"), model_key("campaign_customers")]

    @model_tables(deployment, "experiment_tables", GROUP, deps, TABLES)
    def experiment_tables(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]):
        week, experiments = deployment.week(warehouse, context), deployment.experiments.experiments
        for error in deployment.experiments.errors:
            context.log.warning(f"Left out: {error}")
        slots = count_slots_by_arm(experiments.values(), deployment.campaigns.campaigns)
        with week.read_with_snapshot() as connection:
            tables = report(connection, week.as_of, experiments, collect_assigned(week), slots)
            tables["shadow_results"] = load_shadow_results(connection, week.as_of).assign(as_of=week.as_of)
        verdicts = tables["experiments"].dropna(subset=["verdict"])
        lines = [(row.experiment, row.arm, row.sentence) for row in verdicts.itertuples()]
        for name, rows in tables.items():
            metadata = write_model_table(week, name, rows)
            if name == "experiments":
                metadata["verdicts"] = dg.MetadataValue.md(
                    markdown_table(["experiment", "arm", "verdict"], lines)
                )
            yield dg.MaterializeResult(asset_key=model_key(name), metadata=metadata)

    return [experiment_tables]


def experiment_check(deployment: Deployment) -> dg.AssetChecksDefinition:
    """A warning where an experiment does harm or cannot be trusted."""

    @dg.asset_check(
        asset=model_key("experiments"),
        name=STANDING,
        description="No experiment does harm, and every arm has the customers that it should have.",
    )
    def experiments_stand(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.AssetCheckResult:
        rows = deployment.week(warehouse, context).table("experiments")
        bad = rows[rows["verdict"].isin([HARM, INVALID])]
        sentences = [f"{row.experiment}, {row.arm}: {row.sentence}" for row in bad.itertuples()]
        for sentence in sentences:
            context.log.warning(sentence)
        return dg.AssetCheckResult(
            passed=bad.empty,
            severity=dg.AssetCheckSeverity.WARN,
            description=" ".join(sentences) or _count(rows["experiment"]),
        )

    return experiments_stand


def _count(names: Iterable[str]) -> str:
    there = sorted(set(names))
    return f"No verdict asks for anything ({', '.join(there)})." if there else "No experiment runs."
