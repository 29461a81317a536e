"""One asset per canonical raw table: the shop's files, typed, in schema `raw`."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from recs_assets.defs.deployment import Deployment
from recs_assets.defs.metadata import list_hidden, numbers, period_metadata, table_metadata
from recs_assets.defs.quality import SUITE, check_results
from recs_assets.schema import Table
from recs_assets.sources import LandingResult, list_some
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.landing import land
from recs_assets.week.week import Week

# Metadata: what people must be told of the files that a table was landed from.
NOTES = "notes"


def raw_key(table: str) -> dg.AssetKey:
    return dg.AssetKey(["raw", table])


def raw_assets(deployment: Deployment) -> list[dg.AssetsDefinition]:
    return [_raw_asset(deployment, table) for table in deployment.source.raw_tables.values()]


def _raw_asset(deployment: Deployment, table: Table) -> dg.AssetsDefinition:
    key = raw_key(table.name)

    @dg.asset(
        key=key,
        description=f"{table.description} Landed from source `{deployment.source.name}` with declared types.",
        **deployment.weekly,
        group_name="ingest",
        kinds={"duckdb"},
        check_specs=[
            dg.AssetCheckSpec(
                SUITE, asset=key, blocking=True, description="Great Expectations suite of the raw table."
            )
        ],
    )
    def raw_table(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        week, folder = deployment.week(warehouse, context), warehouse.home / "quality" / context.run.run_id
        landed, checked = land_table(week, table, key, folder)
        for note in landed.notes:
            context.log.warning(note)
        with week.build.read() as connection:
            metadata = table_metadata(connection, "raw", table.name, hidden=list_hidden(table))
            metadata |= period_metadata(connection, "raw", table.name, table.event_at)
        yield dg.MaterializeResult(
            metadata={
                **metadata,
                **numbers({"seconds": landed.seconds, "files": list_some(landed.files) or "none"}),
                **({NOTES: list(landed.notes)} if landed.notes else {}),
            }
        )
        yield checked

    return raw_table


def land_table(
    week: Week, table: Table, key: dg.AssetKey, folder: Path
) -> tuple[LandingResult, dg.AssetCheckResult]:
    """Land a raw table in a week's build file and judge it by its suite.

    Args:
        week: of the run.
        table: one of the source's `raw_tables`.
        key: whose check it is.
        folder: of the run's results of suites.
    """
    landed, results = land(week, table)
    where = list_some(landed.files) or f"no file of {table.name}"
    return landed, check_results(key, folder, f"raw_{table.name}", results, where)
