"""The last gate, the atomic publish, and the caches made from what was published."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg

from recs_assets import __version__
from recs_assets.campaigns.collect import count_slots
from recs_assets.campaigns.versions import drop_before, list_taken
from recs_assets.defs.deployment import FRESH, WRITER_POOL, Deployment, week_of
from recs_assets.defs.metadata import numbers, table_metadata
from recs_assets.defs.quality import SUITE, check_table
from recs_assets.exports.load import load_published_lists
from recs_assets.exports.versions import publish
from recs_assets.operations.rollback import drop_old_records, servers
from recs_assets.operations.serving_store import write_serving_store
from recs_assets.quality.expectations import published_expectations
from recs_assets.store.warehouse import Warehouse

SNAPSHOT = dg.AssetKey(["published", "recs_duckdb"])
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
GATED = (
    "email_recommendations",
    "buy_it_again",
    "customer_recommendations",
    "frequently_bought_together",
    "similar_products",
    "model_metrics",
)
RECS_TABLES = (
    *GATED,
    "assignments",
    "association_rules",
    "attributions",
    "backtest",
    "campaign_customers",
    "campaign_events",
    "campaign_outcomes",
    "campaign_predictions",
    "campaign_tests",
    "campaign_traces",
    "customer_embeddings",
    "customer_identities",
    "customer_matches",
    "customer_segments",
    "customer_values",
    "data_audit",
    "email_holdout",
    "experiment_results",
    "experiment_segments",
    "experiment_weeks",
    "experiments",
    "follow_ups",
    "forecasts",
    "gates",
    "goal_frontier",
    "model_decisions",
    "monitor",
    "monitor_distributions",
    "nightly_recommendations",
    "not_products",
    "order_states",
    "product_embeddings",
    "quarantine",
    "questionnaire",
    "recall_waterfall",
    "recommendation_results",
    "recommendation_traces",
    "recommendations_by_id",
    "recommended_revenue",
    "rule_outcomes",
    "rule_price_tags",
    "shadow_recommendations",
    "shadow_results",
    "table_gains",
    "value_methods",
    "customers",
    "products",
    "order_lines",
    "baskets",
    "interactions",
)


def recs_key(table: str) -> dg.AssetKey:
    return dg.AssetKey(["recs", table])


def published_gate(deployment: Deployment) -> dg.AssetChecksDefinition:
    """The suites over the tables about to be published; a failure keeps the old snapshot."""

    @dg.multi_asset_check(
        name="published_gate",
        specs=[
            dg.AssetCheckSpec(
                SUITE,
                asset=recs_key(table),
                blocking=True,
                description=f"Great Expectations suite of recs.{table}.",
            )
            for table in GATED
        ],
        pool=WRITER_POOL,
        can_subset=True,  # a campaign's own job publishes some of the tables only
    )
    def gate(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.AssetCheckResult]:
        week = deployment.week(warehouse, context)
        folder = warehouse.home / "quality" / context.run.run_id
        selected = {key.asset_key for key in context.selected_asset_check_keys}
        # Of what was made of the week: its tables hold campaigns that have no file any more, too.
        slots = count_slots(list_taken(week))
        with week.build.read() as connection:
            [(writable,)] = connection.execute(
                "select count(*) from recs.customers where email_eligible"
            ).fetchall()
        if not writable:
            # The shop's pages have their lists all the same.
            slots = 0
            context.log.warning(
                "No customer may be written to, so there is no email: say who may in email_eligible of customers."
            )
        for table in GATED:
            if recs_key(table) not in selected:
                continue
            yield check_table(
                recs_key(table), folder, week.build, table, published_expectations(table, slots)
            )

    return gate


def snapshot_asset(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.asset(
        key=SNAPSHOT,
        deps=[recs_key(table) for table in RECS_TABLES],
        **deployment.weekly,
        group_name="publish",
        kinds={"duckdb"},
        freshness_policy=FRESH,
        description="The read-only snapshot `recs.duckdb` that analysts open, switched in whole.",
    )
    def recs_duckdb(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        published = warehouse.publish(
            week_of(context),
            context.run.run_id,
            datetime.now(UTC).replace(tzinfo=None),
            __version__,
            deployment.settings.build_weeks,
        )
        drop_before(deployment.week(warehouse, context))
        drop_old_records(warehouse.home, deployment.settings.retention_weeks)
        drop_old_runs(context.instance, deployment.settings.retention_weeks, datetime.now(UTC))
        with warehouse.snapshot() as connection:
            preview = table_metadata(connection, "recs", "email_recommendations")
        return dg.MaterializeResult(
            metadata={
                **preview,
                "snapshot": dg.MetadataValue.path(str(published.path)),
                "link": dg.MetadataValue.path(str(warehouse.snapshot_path)),
                **numbers({f"rows_{table}": count for table, count in published.rows.items()}),
                "content_hashes": dg.MetadataValue.json(published.hashes),
                "seconds": round(published.seconds, 2),
            }
        )

    return recs_duckdb


def drop_old_runs(instance: dg.DagsterInstance, weeks: int, now: datetime) -> None:
    """Delete finished runs that were made more than `weeks` weeks before `now`, with their events."""
    old = dg.RunsFilter(statuses=FINISHED, created_before=now - timedelta(weeks=weeks))
    for record in instance.get_run_records(old):
        instance.delete_run(record.dagster_run.run_id)


def cache_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    """The per-customer cache as files, and in every server that the settings name; the store of `serve`."""
    settings = deployment.settings

    folder = settings.home / "cache"
    return [
        _cache_asset(
            deployment,
            "user_cache",
            partial(publish, cache_dir=folder, keep=settings.retention_weeks),
            {"parquet", "json"},
            "Every customer's list as sharded JSON Lines and one Parquet file, switched in whole.",
            {"path": dg.MetadataValue.path(str(folder / "current"))},
        ),
        *(
            _cache_asset(
                deployment,
                name,
                server.publish,
                {name.removesuffix("_cache")},
                f"Every customer's list in {name.removesuffix('_cache').title()}, switched in whole.",
                {},
            )
            for name, server in servers(settings).items()
        ),
        _serving_asset(deployment),
    ]


def _serving_asset(deployment: Deployment) -> dg.AssetsDefinition:
    @dg.asset(
        key=dg.AssetKey(["exports", "serving_store"]),
        deps=[SNAPSHOT],
        **deployment.weekly,
        group_name="exports",
        kinds={"sqlite"},
        freshness_policy=FRESH,
        description="What `serve` answers from: lists by customer, neighbours and cards by product, in one read-only file "
        "that is switched in whole.",
    )
    def store(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week, newest = deployment.week(warehouse, context), warehouse.newest_published()
        if week.as_of != newest:
            return dg.MaterializeResult(metadata={"kept": f"The store stays at week {newest}."})
        manifest = write_serving_store(week.shop, week.as_of, context.run.run_id)
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(warehouse.home / "serving" / "current")),
                "dagster/row_count": manifest["rows"],
                "products": manifest["products"],
                "manifest": dg.MetadataValue.json(manifest),
            }
        )

    return store


def _cache_asset(
    deployment: Deployment,
    name: str,
    write: Callable[..., dict[str, Any]],
    kinds: set[str],
    description: str,
    place: dict[str, Any],
) -> dg.AssetsDefinition:
    @dg.asset(
        key=dg.AssetKey(["exports", name]),
        deps=[SNAPSHOT],
        **deployment.weekly,
        group_name="exports",
        kinds=kinds,
        freshness_policy=FRESH,
        description=description,
    )
    def cache(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        week, newest = deployment.week(warehouse, context), warehouse.newest_published()
        if week.as_of != newest:
            # A backfill repairs the record of an old week; the storefront keeps the newest one.
            return dg.MaterializeResult(metadata={"kept": f"The cache stays at week {newest}."})
        with warehouse.snapshot() as connection:
            lists = load_published_lists(connection, week.as_of)
        manifest = write(lists, as_of=week.as_of, run_id=context.run.run_id)
        return dg.MaterializeResult(
            metadata={
                **place,
                "dagster/row_count": manifest["rows"],
                "customers": manifest["customers"],
                "manifest": dg.MetadataValue.json(manifest),
            }
        )

    return cache
