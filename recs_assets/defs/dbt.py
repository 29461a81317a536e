"""dbt as Dagster assets: the models before the recommenders, and the published ones after."""

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import psutil
from dagster_dbt import DagsterDbtTranslator, DbtCliInvocation, DbtCliResource, DbtProject, dbt_assets

from recs_assets.defs.deployment import OWNERS, WRITER_POOL, Deployment
from recs_assets.defs.metadata import table_metadata
from recs_assets.schema import GateError, WarehouseError
from recs_assets.settings import PROJECT_ROOT
from recs_assets.sources.audit import (
    landing_sentences,
    money_sentences,
    not_product_sentences,
    wholesale_sentences,
)
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.week import Week

DBT_DIR = PROJECT_ROOT / "dbt_project"
PUBLISHED = "fqn:recs.published"
QUARANTINE_SHARES = ("intermediate", "int_quarantine_shares")
# The models that tell how the landed rows were judged.
JUDGED = {QUARANTINE_SHARES, ("intermediate", "int_order_states")}
# Name of the metadata of `QUARANTINE_SHARES` that says it in sentences; the command line shows them.
AUDIT = "audit"


def dbt_project() -> DbtProject:
    """The dbt project with its manifest.

    The manifest is written by `make setup` (a clean checkout has none); under
    `dagster dev` it is refreshed when the code loads.
    """
    # The dbt of this environment, also where nobody activated it (`.venv/bin/python -m ...`).
    own = str(Path(sys.executable).parent)
    if own not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([own, os.environ["PATH"]])
    project = DbtProject(project_dir=DBT_DIR, profiles_dir=DBT_DIR)
    project.prepare_if_dev()
    if not project.manifest_path.exists():
        project.preparer.prepare(project)
    return project


class Translator(DagsterDbtTranslator):
    """Asset keys are `<schema>/<table>`, groups are the layers."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey([dbt_resource_props["source_name"], dbt_resource_props["name"]])
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["alias"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return dbt_resource_props["fqn"][1]

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return OWNERS


def dbt_build_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    project = dbt_project()
    return [
        _dbt_step(deployment, project, "prepare_features", select="fqn:*", exclude=PUBLISHED),
        _dbt_step(deployment, project, "prepare_published", select=PUBLISHED, exclude=""),
    ]


def _dbt_step(
    deployment: Deployment, project: DbtProject, name: str, select: str, exclude: str
) -> dg.AssetsDefinition:
    @dbt_assets(
        name=name,
        manifest=project.manifest_path,
        project=project,
        select=select,
        exclude=f"{exclude} resource_type:unit_test".strip(),
        dagster_dbt_translator=Translator(),
        partitions_def=deployment.partitions,
        backfill_policy=deployment.weekly["backfill_policy"],
        pool=WRITER_POOL,
    )
    def dbt_step(
        context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[Any]:
        week = deployment.week(warehouse, context)
        os.environ.update(dbt_environment(warehouse, week_path=week.build.path))
        arguments = [
            "build",
            "--exclude-resource-type",
            "unit_test",
            "--vars",
            dbt_vars(week),
        ]
        # dbt runs as a subprocess and is read to its end before this process opens the
        # build file again: DuckDB admits one process at a time.
        # One target folder per home lets dbt's second half reuse the first half's parsed project.
        target = warehouse.home / "dbt"
        (target / "run_results.json").unlink(missing_ok=True)  # of the dbt run before
        with warnings.catch_warnings():
            # dagster-dbt's own calls; the pin keeps them working, a reader of the run cannot act on them.
            warnings.simplefilter("ignore", DeprecationWarning)
            invocation = dbt.cli(arguments, context=context, target_path=target, raise_on_error=False)
        events = list(invocation.stream())
        week.build.forget_cached()
        with week.build.read() as connection:
            tables = set(
                connection.execute(
                    "select table_schema, table_name from information_schema.tables"
                ).fetchall()
            )
            audit = landing_sentences(connection) if tables >= JUDGED and name == "prepare_features" else []
            for text in audit[:1]:
                context.log.info(text)
            for text in audit[1:]:
                context.log.warning(text)
            for event in events:
                if isinstance(event, dg.Output):
                    key = context.asset_key_for_output(event.output_name)
                    if tuple(key.path) in tables:
                        metadata = table_metadata(connection, *key.path)
                        if tuple(key.path) == QUARANTINE_SHARES and audit:
                            metadata[AUDIT] = dg.MetadataValue.json(audit)
                        context.add_output_metadata(metadata, output_name=event.output_name)
                yield event
            if ("recs", "not_products") in tables and name == "prepare_published":
                for text in money_sentences(connection, deployment.source):
                    context.log.info(text)
                for text in [
                    *not_product_sentences(connection, deployment.source),
                    *wholesale_sentences(connection, deployment.source),
                ]:
                    context.log.warning(text)
        # Raised last, so that Dagster shows which models were built and which tests failed.
        if not invocation.is_successful():
            raise GateError(_failures(invocation)) from invocation.get_error()

    return dbt_step


def _failures(invocation: DbtCliInvocation) -> str:
    """One sentence: what dbt says of every model and test that failed."""
    log = invocation.target_path / "dbt.log"
    try:
        results = invocation.get_artifact("run_results.json")["results"]
    except OSError:
        return f"dbt stopped before its first model: {log} says why."
    failed = []
    for result in results:
        if result["status"] in ("error", "fail", "runtime error"):
            lines = [line.strip() for line in (result["message"] or "failed").splitlines() if line.strip()]
            # dbt's first line repeats the name and DuckDB's starts with its kind of error.
            said = lines[min(1, len(lines) - 1)].removeprefix("Invalid Input Error: ")
            failed.append(f"{result['unique_id'].split('.')[2]}: {said}")
    return "; ".join(failed) or f"dbt failed without saying where: {log} says more."


def outwait_orphans(weeks: Path, seconds: float, say: Callable[[str], None] = lambda message: None) -> None:
    """Wait for a dbt that outlived its killed run and still writes a build file.

    Only for who holds the writer lock: whichever dbt is at work then belongs to nobody.

    Args:
        weeks: folder of the build files.
        seconds: how long at most.
        say: is told once that there is something to wait for.

    Raises:
        WarehouseError: it is still at work after `seconds`.
    """
    orphans = []
    for process in psutil.process_iter():
        try:
            command, target = process.cmdline(), process.environ().get("RECS_BUILD_DB", "")
        except psutil.Error:  # gone, or somebody else's
            continue
        if process.pid == os.getpid() or "build" not in command or not target:
            continue
        if Path(target).resolve().is_relative_to(weeks.resolve()):
            orphans.append(process)
    if not orphans:
        return
    say(f"Waiting for dbt of a killed run, process {orphans[0].pid}.")
    _, alive = psutil.wait_procs(orphans, timeout=seconds)
    if alive:
        raise WarehouseError(
            f"dbt of a killed run, process {alive[0].pid}, still writes below {weeks} after {seconds:.0f} s: stop "
            "that process, then start this run again."
        )


def dbt_vars(week: Week) -> str:
    """The `--vars` of one week, as the JSON text dbt takes."""
    deployment, not_products = week.shop, week.shop.source.words.not_products
    # The end of the shop's day: the same text all day long, so that dbt need not parse again.
    loaded_at = datetime.now(ZoneInfo(deployment.timezone)).strftime("%Y-%m-%d 23:59:59")
    return json.dumps(
        {
            "as_of": week.as_of.isoformat(),
            "anchors": [anchor.isoformat() for anchor in week.anchors],
            "horizon_days": deployment.horizon_days,
            "loaded_at": loaded_at,
            "max_quarantined_share": deployment.settings.max_quarantined_share,
            "buy_again_due_ratio": deployment.settings.buy_again_due_ratio,
            "shop_currency": deployment.source.currency or "",
            "not_products": not_products and not_products.model_dump(mode="json"),
            "order_statuses": deployment.source.words.order_statuses,
            "wholesale": deployment.source.words.wholesale.model_dump(mode="json"),
            "guest_ids": list(deployment.source.words.guest_ids),
            "unmatched_withdrawals": deployment.source.words.unmatched_withdrawals,
        }
    )


def dbt_environment(warehouse: Warehouse, week_path: Path) -> dict[str, str]:
    """What profiles.yml reads."""
    return {
        "RECS_BUILD_DB": str(week_path),
        "RECS_THREADS": str(warehouse.threads),
        "RECS_MEMORY_LIMIT": warehouse.memory_limit,
        "DO_NOT_TRACK": "1",
        # dbt's debug log writes every event of every statement a second time, as JSON.
        "DBT_LOG_LEVEL_FILE": "info",
    }
