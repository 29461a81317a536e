"""The only code that imports Dagster: thin assets, checks, jobs, schedules, one sensor."""

import warnings

import dagster as dg

from recs_assets.defs.attribution import attribution_asset
from recs_assets.defs.audit import audit_asset
from recs_assets.defs.buy_it_again import buy_it_again_asset
from recs_assets.defs.campaigns import (
    campaign_assets,
    campaign_jobs,
    campaign_schedules,
    refuse_bad_files,
)
from recs_assets.defs.dbt import dbt_build_assets, dbt_resource
from recs_assets.defs.deployment import Deployment
from recs_assets.defs.evaluation import evaluation_asset
from recs_assets.defs.experiments import experiment_assets, experiment_check
from recs_assets.defs.exports import export_assets
from recs_assets.defs.gates import gates_asset, landing_gate
from recs_assets.defs.identity import identity_assets
from recs_assets.defs.ingest import raw_assets
from recs_assets.defs.monitor import monitor_assets, monitor_check
from recs_assets.defs.nightly import nightly_assets, nightly_job, nightly_schedule
from recs_assets.defs.publish import cache_assets, published_gate, snapshot_asset
from recs_assets.defs.ranker import ranker_asset
from recs_assets.defs.recommenders import recommender_assets
from recs_assets.defs.resources import warehouse_resource
from recs_assets.defs.results import result_assets
from recs_assets.defs.schedules import (
    backtest_job,
    new_files_sensor,
    research_job,
    weekly_job,
    weekly_schedule,
)
from recs_assets.defs.search import recommender_search_asset, search_asset
from recs_assets.defs.values import values_asset
from recs_assets.settings import Settings

# `backfill_policy` is marked beta; without it dbt's assets and the others would disagree on
# how many weeks one run takes, which the version pin makes safe to rely on.
warnings.filterwarnings("ignore", category=dg.BetaWarning)


def build_definitions(settings: Settings | None = None) -> dg.Definitions:
    """Everything Dagster loads, for one deployment."""
    deployment = Deployment.from_settings(settings or Settings())
    refuse_bad_files(deployment)

    return dg.Definitions(
        assets=[
            *raw_assets(deployment),
            identity_assets(deployment),
            *dbt_build_assets(deployment),
            audit_asset(deployment),
            *recommender_assets(deployment),
            ranker_asset(deployment),
            search_asset(deployment),
            recommender_search_asset(deployment),
            evaluation_asset(deployment),
            *result_assets(deployment),
            *campaign_assets(deployment),
            *experiment_assets(deployment),
            buy_it_again_asset(deployment),
            values_asset(deployment),
            attribution_asset(deployment),
            gates_asset(deployment),
            *monitor_assets(deployment),
            snapshot_asset(deployment),
            *cache_assets(deployment),
            *export_assets(deployment),
            *nightly_assets(deployment),
        ],
        asset_checks=[
            landing_gate(deployment),
            published_gate(deployment),
            experiment_check(deployment),
            monitor_check(deployment),
        ],
        jobs=[
            weekly_job(deployment),
            backtest_job(deployment),
            research_job(deployment),
            nightly_job(deployment),
            *campaign_jobs(deployment),
        ],
        schedules=[
            weekly_schedule(deployment),
            nightly_schedule(deployment),
            *campaign_schedules(deployment),
        ],
        sensors=[new_files_sensor(deployment)],
        resources={"warehouse": warehouse_resource(deployment), "dbt": dbt_resource(deployment)},
        # One process is also the one writer, and 30 small assets take seconds instead of minutes.
        executor=dg.in_process_executor,
    )
