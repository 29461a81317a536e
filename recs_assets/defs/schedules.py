"""When the week runs: one schedule, and a sensor that notices new raw files."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from recs_assets.defs.campaigns import list_other_assets
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.evaluation import TABLES
from recs_assets.defs.ingest import raw_key
from recs_assets.defs.nightly import GROUP as NIGHTLY
from recs_assets.defs.results import model_key
from recs_assets.defs.search import RESEARCH
from recs_assets.schema import SettingsError, SourceError
from recs_assets.sources import fingerprint


def weekly_job(deployment: Deployment):
    return dg.define_asset_job(
        "weekly",
        selection=dg.AssetSelection.all()
        - dg.AssetSelection.groups(RESEARCH, NIGHTLY)
        - dg.AssetSelection.assets(*list_other_assets(deployment)),
        description="The whole week: land, dbt, recommenders, ranker, evaluation, the campaigns of every Monday, "
        "gates, publish, caches.",
        tags={"dagster/max_runtime": str(4 * 3600)},
        executor_def=dg.in_process_executor,
    )


def backtest_job(deployment: Deployment):
    return dg.define_asset_job(
        "backtest",
        # Every raw table, read by a model or not: the landing gates judge them all.
        selection=dg.AssetSelection.assets(*(model_key(table) for table in TABLES))
        .upstream()
        .required_multi_asset_neighbors()
        | dg.AssetSelection.assets(*(raw_key(table) for table in deployment.source.raw_tables)),
        description="The evaluation and what it needs, for as many test anchors as RECS_BACKTEST_FOLDS says; "
        "`make backtest` runs it in a folder of its own.",
        tags={"dagster/max_runtime": str(8 * 3600)},
        executor_def=dg.in_process_executor,
    )


def research_job(deployment: Deployment):
    return dg.define_asset_job(
        "research",
        selection=dg.AssetSelection.groups(RESEARCH),
        description="The searches for better settings, on a week that has run; started by hand.",
        tags={"dagster/max_runtime": str(8 * 3600)},
        executor_def=dg.in_process_executor,
    )


def weekly_schedule(deployment: Deployment) -> dg.ScheduleDefinition:
    """Monday 06:00 in the shop's time zone, for the week that starts on that day."""

    @dg.schedule(
        name="every_monday",
        job_name="weekly",
        cron_schedule=deployment.settings.schedule,
        execution_timezone=deployment.timezone,
        description="Materialises the week that starts on the day of the tick.",
    )
    def every_monday(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = context.scheduled_execution_time.astimezone(ZoneInfo(deployment.timezone)).date()
        monday = day - timedelta(days=day.weekday())
        if monday < deployment.first_week:
            return dg.SkipReason(f"The week {monday} lies before the first one, {deployment.first_week}.")
        week = monday.isoformat()
        return dg.RunRequest(run_key=week, partition_key=week)

    return every_monday


def new_files_sensor(deployment: Deployment) -> dg.SensorDefinition:
    """Runs the newest week again when the shop's files changed (names, sizes, times).

    Files that are still being written change again at the next look, so a run starts only
    once two looks in a row saw the same files.
    """

    @dg.sensor(
        name="new_raw_files",
        job_name="weekly",
        minimum_interval_seconds=60,
        description="Starts a run when raw files changed and have been quiet for one interval.",
    )
    def new_raw_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            seen = fingerprint(deployment.source, deployment.data_dir)
        except (SourceError, SettingsError) as error:  # a server that is down starts no run
            return dg.SkipReason(str(error))
        handled, _, pending = (context.cursor or "").partition(":")
        if seen == handled:
            return dg.SkipReason(f"The files in {deployment.data_dir} have not changed.")
        if seen != pending:
            context.update_cursor(f"{handled}:{seen}")
            return dg.SkipReason(f"The files in {deployment.data_dir} changed; waiting until they are quiet.")
        week = deployment.require_week(deployment.find_newest_week()).isoformat()
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=f"{week}:{seen}", partition_key=week)], cursor=f"{seen}:"
        )

    return new_raw_files
