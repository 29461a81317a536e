"""The nightly refresh: what the storefront's pages show, as of today, by the models of the published week."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from recs_assets.campaigns.judge import judge_landed, judge_storefront
from recs_assets.campaigns.nightly import make_night_lists
from recs_assets.dbt_process import DbtProcess
from recs_assets.defs.dbt import PUBLISHED, explain_failures, run_dbt
from recs_assets.defs.deployment import OWNERS, WRITER_POOL, Deployment
from recs_assets.defs.gates import ENTRY, EXIT, report_gates
from recs_assets.defs.ingest import land_table
from recs_assets.defs.metadata import numbers
from recs_assets.defs.quality import check_table
from recs_assets.defs.results import count_without, write_model_table
from recs_assets.evaluation.verdict import overrule
from recs_assets.operations.nightly import serve_night
from recs_assets.quality.expectations import published_expectations
from recs_assets.schema import GateError, SettingsError, WarehouseError
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.night import Night
from recs_assets.week.people import keep_people
from recs_assets.week.week import Week

GROUP = "nightly"
FEATURES, LISTS, STORE = (dg.AssetKey([GROUP, name]) for name in ("features", "lists", "serving_store"))
# Published tables of a day, and what they are made of.
TABLES = ("customer_recommendations", "buy_it_again")
MODELS = (*TABLES, "recs_customers", "recs_products", "recs_order_lines")
GATES = {name: EXIT[name] for name in ("finite", "spread", "coverage", "sameness")}
SERVED_FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=2, hours=6))


def nightly_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    """A day's features, lists and store."""
    # A day exists once it has begun.
    days = dg.DailyPartitionsDefinition(
        start_date=deployment.first_week.isoformat(), timezone=deployment.timezone, end_offset=1
    )
    shared: dict[str, Any] = {
        "partitions_def": days,
        "backfill_policy": dg.BackfillPolicy.multi_run(),
        "owners": OWNERS,
        "pool": WRITER_POOL,
        "group_name": GROUP,
    }
    return [_features(deployment, shared), _lists(deployment, shared), _store(deployment, shared)]


def _find_night(deployment: Deployment, warehouse: Warehouse, context: dg.AssetExecutionContext) -> Night:
    week = Week(deployment, warehouse, warehouse.newest_published())
    return Night(week, date.fromisoformat(context.partition_key))


def _build_models(dbt: DbtProcess, night: Night, arguments: list[str]) -> None:
    succeeded, results = run_dbt(dbt, night, arguments)
    if not succeeded:
        raise GateError(explain_failures(results))


def _features(deployment: Deployment, shared: dict[str, Any]) -> dg.AssetsDefinition:
    @dg.asset(
        key=FEATURES,
        **shared,
        kinds={"duckdb", "dbt"},
        description="What is new, landed, judged and put into features of one anchor, the day itself.",
        check_specs=[
            dg.AssetCheckSpec(name, asset=FEATURES, blocking=True, description=text)
            for name, text in ENTRY.items()
        ],
    )
    def features(
        context: dg.AssetExecutionContext,
        dbt: dg.ResourceParam[DbtProcess],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        night = _find_night(deployment, warehouse, context)
        folder = warehouse.home / "quality" / context.run.run_id
        for table in deployment.source.raw_tables.values():
            landed, checked = land_table(night, table, FEATURES, folder)
            for note in landed.notes:
                context.log.warning(note)
            if not checked.passed:
                raise GateError(str(checked.description))
        keep_people(night)
        verdicts = judge_landed(night)
        if not any(verdict.blocks for verdict in verdicts):
            _build_models(dbt, night, ["--select", "fqn:*", "--exclude", PUBLISHED])
        yield dg.MaterializeResult(metadata={"week": night.model_week.as_of.isoformat()})
        yield from report_gates(context, FEATURES, ENTRY, verdicts)

    return features


def _lists(deployment: Deployment, shared: dict[str, Any]) -> dg.AssetsDefinition:
    @dg.asset(
        key=LISTS,
        deps=[FEATURES],
        **shared,
        kinds={"python", "duckdb"},
        description="Every customer's list and what they are due to buy again, by the week's recommenders and ranker.",
        check_specs=[
            dg.AssetCheckSpec(name, asset=LISTS, blocking=True, description=text)
            for name, text in GATES.items()
        ],
    )
    def lists(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        night = _find_night(deployment, warehouse, context)
        made = make_night_lists(night, context.log.info)
        write_model_table(night, "recommendations", made.personal.rows)
        write_model_table(night, "buy_it_again", made.due.rows)
        verdicts = overrule(judge_storefront(night), night.settings.gate_override)
        yield dg.MaterializeResult(
            metadata={
                "week": night.model_week.as_of.isoformat(),
                "chosen": made.personal.chosen,
                **numbers(
                    {
                        "dagster/row_count": len(made.personal.rows),
                        "customers_with_something_due": made.due.customers,
                    }
                ),
                **count_without(made.personal.removed),
            }
        )
        yield from report_gates(context, LISTS, GATES, verdicts)

    return lists


def _store(deployment: Deployment, shared: dict[str, Any]) -> dg.AssetsDefinition:
    @dg.asset(
        key=STORE,
        deps=[LISTS],
        **shared,
        kinds={"sqlite", "dbt"},
        freshness_policy=SERVED_FRESH,
        description="What `serve` answers from, of the day: judged as a week's tables are, then switched in whole. "
        "Snapshot and emails stay the week's.",
    )
    def serving_store(
        context: dg.AssetExecutionContext,
        dbt: dg.ResourceParam[DbtProcess],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.MaterializeResult:
        night = _find_night(deployment, warehouse, context)
        _build_models(dbt, night, ["--select", *MODELS, "--indirect-selection", "buildable"])
        folder = warehouse.home / "quality" / context.run.run_id
        for table in TABLES:
            checked = check_table(STORE, folder, night.build, table, published_expectations(table, 0))
            if not checked.passed:
                raise GateError(str(checked.description))
        manifest = serve_night(night, context.run.run_id)
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(warehouse.home / "serving" / "current")),
                "dagster/row_count": manifest["rows"],
                "manifest": dg.MetadataValue.json(manifest),
            }
        )

    return serving_store


def nightly_job(deployment: Deployment):
    return dg.define_asset_job(
        "nightly",
        selection=dg.AssetSelection.groups(GROUP),
        description="A day's refresh of the storefront's lists: land, features, lists by the week's models, gates, store.",
        tags={"dagster/max_runtime": str(3600)},
        executor_def=dg.in_process_executor,
    )


def nightly_schedule(deployment: Deployment) -> dg.ScheduleDefinition:
    """Every morning but Monday's, when the week runs."""

    @dg.schedule(
        name="every_night",
        job_name="nightly",
        cron_schedule=deployment.settings.nightly_schedule,
        execution_timezone=deployment.timezone,
        description="Refreshes what the server answers from, by the models of the newest published week.",
    )
    def every_night(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = context.scheduled_execution_time.astimezone(ZoneInfo(deployment.timezone)).date()
        try:
            week = deployment.warehouse().newest_published()
        except WarehouseError as error:
            return dg.SkipReason(str(error))
        if day <= week:
            return dg.SkipReason(f"The week {week} is newer than the day {day}.")
        return dg.RunRequest(run_key=day.isoformat(), partition_key=day.isoformat())

    return every_night


def choose_day(deployment: Deployment, week: date, wanted: date | None) -> date:
    """The day to refresh: the wanted one, else today where the week is not older than a horizon, else the day
    after the week.

    Raises:
        SettingsError: the wanted day has not begun.
    """
    today = datetime.now(ZoneInfo(deployment.timezone)).date()
    if wanted is not None:
        if wanted > today:
            raise SettingsError(f"The day {wanted} has not begun: refresh it from that day on.")
        return wanted
    fresh = week < today <= week + timedelta(days=deployment.horizon_days)
    return today if fresh else week + timedelta(days=1)
