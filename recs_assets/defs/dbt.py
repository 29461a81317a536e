"""dbt as Dagster assets: the models before the recommenders, and the published ones after."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import psutil
from dagster_dbt import DagsterDbtTranslator, DbtProject, dbt_assets

from recs_assets.audit.sentences import (
    explain_money,
    explain_not_products,
    explain_wholesale,
    landing_sentences,
)
from recs_assets.contracts import columns
from recs_assets.dbt_process import DbtProcess, Result
from recs_assets.declared_tables.dbt import write_project
from recs_assets.defs.audit import AUDIT
from recs_assets.defs.deployment import OWNERS, WRITER_POOL, Deployment
from recs_assets.defs.metadata import list_hidden, table_metadata
from recs_assets.exports.load import CONSENT_VIEWS
from recs_assets.locations import delete_folder, list_parquet, locate
from recs_assets.schema import GateError, WarehouseError
from recs_assets.settings import PROJECT_ROOT
from recs_assets.shop import Shop
from recs_assets.store.deployment import name_deployment
from recs_assets.store.lake import (
    give_tables,
    list_landed_files,
    load_files,
    name_made,
    show_table,
    show_tables,
    unname_files,
)
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.week import Week

DBT_DIR = PROJECT_ROOT / "dbt_project"
PROJECT_FILES = ("*.yml", "models/**/*", "macros/*", "tests/**/*")
PUBLISHED = "fqn:recs.published"
QUARANTINE_SHARES = ("intermediate", "int_quarantine_shares")
# The models that tell how the landed rows were judged.
JUDGED = {QUARANTINE_SHARES, ("intermediate", "int_order_states")}


def dbt_project(shop: Shop | None = None) -> DbtProject:
    """The dbt project with its manifest, which is written anew where a file of the project is newer.

    Args:
        shop: whose tables of its own are part of it, in a copy under its home; None: of no shop in particular.
    """
    # The dbt of this environment, also where nobody activated it (`.venv/bin/python -m ...`).
    own = str(Path(sys.executable).parent)
    if own not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([own, os.environ["PATH"]])
    folder = find_project(shop)
    project = DbtProject(project_dir=folder, profiles_dir=DBT_DIR)
    written = project.manifest_path.stat().st_mtime if project.manifest_path.exists() else 0.0
    files = [path for pattern in PROJECT_FILES for path in DBT_DIR.glob(pattern)]
    if folder != DBT_DIR:
        # The folders too: a model that is gone leaves its trace there alone.
        files += [
            path
            for kind in ("macros", "models/declared")
            for path in (folder / kind, *folder.glob(f"{kind}/*"))
        ]
    if any(path.stat().st_mtime > written for path in files):
        project.preparer.prepare(project)
    return project


def find_project(shop: Shop | None) -> Path:
    """The folder of the dbt project that a shop's weeks are built with."""
    if shop is None or not shop.source.tables:
        return DBT_DIR
    return write_project(DBT_DIR, shop.settings.home / "dbt" / "project", shop.source.tables)


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
    project = dbt_project(deployment)
    return [
        _dbt_step(deployment, project, "prepare_features", select="fqn:*", exclude=PUBLISHED),
        _dbt_step(deployment, project, "prepare_published", select=PUBLISHED, exclude=""),
    ]


@cache
def shared_dbt(project: Path = DBT_DIR, engine: tuple[tuple[str, str], ...] = ()) -> DbtProcess:
    """The dbt of this Python process; every run of the project in it uses the same."""
    return DbtProcess(project, dict(engine))


def dbt_resource(deployment: Deployment) -> dg.ResourceDefinition:
    project = find_project(deployment)
    engine = tuple(engine_environment(deployment).items())

    @dg.resource(
        description="dbt in a process of its own, which reads the project while the raw tables are landed."
    )
    def dbt() -> DbtProcess:
        if engine:
            from recs_assets.engine.session import require_engine

            # Before the first step: landing a large shop takes long.
            require_engine(dict(engine)["RECS_DBT_ENGINE"])
            deployment.warehouse().require_lake()
        process = shared_dbt(project, engine)
        process.start()
        return process

    return dbt


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
        context: dg.AssetExecutionContext,
        dbt: dg.ResourceParam[DbtProcess],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Iterator[Any]:
        week = deployment.week(warehouse, context)
        if context.is_subset:
            arguments = ["--select", *_selected_nodes(context, project), "--indirect-selection", "empty"]
        else:
            arguments = ["--select", select, *(["--exclude", exclude] if exclude else [])]
        succeeded, results = run_dbt(dbt, week, arguments)
        hidden = {column for table in deployment.source.tables.values() for column in list_hidden(table.raw)}
        with week.build.read() as connection:
            tables = set(
                connection.execute(
                    "select table_schema, table_name from information_schema.tables"
                ).fetchall()
            )
            # Where a test failed, the asset of the audit does not come to say it.
            failed = tables >= JUDGED and name == "prepare_features" and not succeeded
            audit = landing_sentences(connection) if failed else []
            for text in audit:
                context.log.warning(text)
            checks = {key.name: key for key in context.selected_asset_check_keys}
            for result in results:
                if result.is_table:
                    key = dg.AssetKey(result.relation.split("."))
                    metadata = {
                        "Execution Duration": result.seconds,
                        **table_metadata(connection, *key.path, hidden=hidden),
                    }
                    if tuple(key.path) == QUARANTINE_SHARES and audit:
                        metadata[AUDIT] = dg.MetadataValue.json(audit)
                    yield dg.MaterializeResult(asset_key=key, metadata=metadata)
                elif result.name in checks and result.status != "skipped":
                    yield dg.AssetCheckResult(
                        asset_key=checks[result.name].asset_key,
                        check_name=result.name,
                        passed=result.status == "pass",
                        severity=dg.AssetCheckSeverity.WARN
                        if result.status == "warn"
                        else dg.AssetCheckSeverity.ERROR,
                        description=result.message or None,
                        metadata={"Execution Duration": result.seconds},
                    )
            if ("recs", "not_products") in tables and name == "prepare_published":
                for text in explain_money(connection, deployment.source):
                    context.log.info(text)
                for text in [
                    *explain_not_products(connection, deployment.source),
                    *explain_wholesale(connection, deployment.source),
                ]:
                    context.log.warning(text)
        # Raised last, so that Dagster shows which models were built and which tests failed.
        if not succeeded:
            raise GateError(explain_failures(results))
        # Dagster goes on without the result of a check, and what was not checked would be published.
        if missing := checks.keys() - {result.name for result in results}:
            raise GateError(
                f"dbt did not run the tests {', '.join(sorted(missing))}: nothing is published; this is a fault of the "
                "program, please report it."
            )

    return dbt_step


def run_dbt(
    dbt: DbtProcess, week: Week, arguments: list[str], anchors: Sequence[date] | None = None
) -> tuple[bool, list[Result]]:
    """Build models and run their tests on a week's build file.

    Args:
        dbt: in its own process.
        week: of the run.
        arguments: of `dbt build`, which models.
        anchors: at which features and prices are computed; None: at all of the week's.

    Returns:
        Whether all succeeded, and what became of each.

    Raises:
        GateError: dbt or its engine stopped.
    """
    variables = dbt_vars(week, anchors)
    common = ["build", "--exclude-resource-type", "unit_test", "--vars", variables]
    warehouse = week.warehouse
    environment = dbt_environment(warehouse, week_path=week.build.path) | engine_environment(week.shop)

    def build(more: Mapping[str, str]) -> tuple[bool, list[Result]]:
        try:
            # Ends before this process opens the build file again: DuckDB admits one process at a time.
            return dbt.run([*common, *arguments], environment | more, target=warehouse.home / "dbt")
        except RuntimeError as error:
            raise GateError(f"dbt stopped: {error}") from error

    if week.settings.engine:
        succeeded, results = build_on_engine(week, build, variables)
    else:
        succeeded, results = build({})
        if warehouse.list_lakes_read():
            with week.build.write() as connection:
                unname_files(connection, [result.relation for result in results if result.is_table])
    week.build.forget_cached()
    return succeeded, results


def build_on_engine(
    week: Week, build: Callable[[Mapping[str, str]], tuple[bool, list[Result]]], variables: str
) -> tuple[bool, list[Result]]:
    """Let dbt build on the engine of `RECS_ENGINE`, from the lake into the lake.

    What is in the build file alone is copied to the lake before. The build file gets views over what was made, and what was
    copied stays in the lake only. The views of consent are made by DuckDB, because the last look before an export replays
    them on newer files.
    """
    from recs_assets.engine.lake import Lake

    project, warehouse = find_project(week.shop), week.warehouse
    warehouse.drop_unnamed_files()
    lake = Lake(warehouse.prepare_lake(week.build))
    try:
        with week.build.read() as connection:
            given = give_tables(connection, lake.folder / "given")
            there = {
                relation: locate(files[0].path).parent
                for relation, files in load_files(connection, shown=False).items()
            }
            lake.give(there | given, list_landed_files(connection))
        succeeded, results = build({"RECS_DBT_LAKE": str(lake.folder)})
    except BaseException:
        delete_folder(lake.folder)
        raise
    made = {result.relation: result.name for result in results if result.is_table}
    models = _load_models(project)
    views = {
        relation: name
        for relation, name in made.items()
        if models[name]["config"]["materialized"] == "view"
        and (relation in CONSENT_VIEWS or relation.startswith("recs."))
    }
    with week.build.write() as connection:
        connection.execute("begin")
        show_tables(connection, given)
        for relation, name in made.items():
            paths = list_parquet(lake.find_made(relation))
            if relation in views:
                name_made(connection, relation, paths)
                continue
            model = models[name]
            show_table(
                connection,
                relation,
                paths,
                columns(name) if relation.startswith("recs.") else {},
                model["description"],
                {column: about["description"] for column, about in model["columns"].items()},
            )
        connection.execute("commit")
    if names := sorted(views.values()):
        there_too, views_made = shared_dbt(project).run(
            ["run", "--select", *names, "--vars", variables],
            dbt_environment(warehouse, week_path=week.build.path),
            target=warehouse.home / "dbt",
        )
        if not there_too:
            raise GateError(explain_failures(views_made))
    return succeeded, results


def _load_models(project: Path) -> dict[str, Any]:
    """Name -> what the manifest of the assets says, of every model."""
    nodes = json.loads(DbtProject(project_dir=project).manifest_path.read_text("utf-8"))["nodes"].values()
    return {node["name"]: node for node in nodes if node["resource_type"] == "model"}


def _selected_nodes(context: dg.AssetExecutionContext, project: DbtProject) -> list[str]:
    """dbt's names of the models and tests that somebody chose by hand."""
    nodes = json.loads(project.manifest_path.read_text("utf-8"))["nodes"].values()
    translator = Translator()
    return [
        *(
            node["name"]
            for node in nodes
            if node["resource_type"] == "model"
            and translator.get_asset_key(node) in context.selected_asset_keys
        ),
        *(key.name for key in context.selected_asset_check_keys),
    ]


def explain_failures(results: list[Result]) -> str:
    """One sentence: what dbt says of every model and test that failed."""
    failed = []
    for result in results:
        if result.failed:
            lines = [line.strip() for line in (result.message or "failed").splitlines() if line.strip()]
            # dbt's first line repeats the name and DuckDB's starts with its kind of error.
            # Spark's begins with that again; of an error in a function of Python the last line says what it is.
            last = any(line.startswith("Traceback") for line in lines)
            said = [line for line in lines[1:] if line != "Runtime Error"] or lines
            sentence = said[-1 if last else 0].removeprefix("Invalid Input Error: ")
            failed.append(f"{result.name}: {sentence}")
    return "; ".join(failed) or "dbt failed without saying where."


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
            is_dbt = any("dbt_process" in word for word in process.cmdline())
            opened = [Path(file.path) for file in process.open_files()] if is_dbt else []
        except psutil.Error:  # gone, or somebody else's
            continue
        if any(path.is_relative_to(weeks.resolve()) for path in opened):
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


def dbt_vars(week: Week, anchors: Sequence[date] | None = None) -> str:
    """The `--vars` of one week, as the JSON text dbt takes."""
    deployment, not_products = week.shop, week.shop.source.words.not_products
    # The end of the shop's day: the same text all day long, so that dbt need not parse again.
    loaded_at = datetime.now(ZoneInfo(deployment.timezone)).strftime("%Y-%m-%d 23:59:59")
    return json.dumps(
        {
            "as_of": week.as_of.isoformat(),
            "anchors": [anchor.isoformat() for anchor in anchors or week.anchors],
            "earliest_anchor": min(week.model_week.anchors).isoformat(),
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


def engine_environment(shop: Shop) -> dict[str, str]:
    """What dbt must know of the engine that it builds on; nothing where that is DuckDB."""
    if not shop.settings.engine:
        return {}
    address = shop.settings.engine.get_secret_value()
    return {"RECS_DBT_ENGINE": address, "RECS_DBT_SCHEMAS": f"{name_deployment(shop.settings.home)}_"}


def dbt_environment(warehouse: Warehouse, week_path: Path) -> dict[str, str]:
    """What profiles.yml reads."""
    return {
        "RECS_BUILD_DB": str(week_path),
        "RECS_DBT_LAKES": "\n".join(str(lake) for lake in warehouse.list_lakes_read()),
        "RECS_THREADS": str(warehouse.threads),
        "RECS_MEMORY_LIMIT": warehouse.memory_limit,
        "DO_NOT_TRACK": "1",
        # dbt's debug log writes every event of every statement a second time, as JSON.
        "DBT_LOG_LEVEL_FILE": "info",
    }
