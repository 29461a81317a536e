"""Write the store that the server answers from, of the published week and what is in stock at this moment."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from recs_assets import __version__
from recs_assets.exports.load import load_erased, load_erased_accounts, load_shelf
from recs_assets.operations.rollback import serving_servers
from recs_assets.serving import publish
from recs_assets.serving.servers import copy_version
from recs_assets.shop import Shop

if TYPE_CHECKING:
    import duckdb


def write_serving_store(
    shop: Shop,
    as_of: date,
    run_id: str,
    tables: AbstractContextManager[duckdb.DuckDBPyConnection] | None = None,
    refreshes: date | None = None,
) -> dict[str, Any]:
    """Write the store of the published week, or of a day after it, and switch to it; the manifest.

    Args:
        shop: of the deployment.
        as_of: the week, or the day.
        run_id: of the run that made it.
        tables: opens what holds the tables of schema `recs`; None: the published snapshot.
        refreshes: the week whose models made the lists of a day.

    Raises:
        SourceError, SettingsError: a file of the shop cannot be read.
        ExportError, WarehouseError: the store cannot be written, a server refuses its copy, or nothing is published.
    """
    warehouse, now = shop.warehouse(), datetime.now(UTC)
    here = now.astimezone(ZoneInfo(shop.timezone)).replace(tzinfo=None)
    with warehouse.scratch() as scratch:
        shelf = load_shelf(scratch, shop.land, here)
        erased = load_erased(scratch, shop.land)
    build = warehouse.build(as_of) if refreshes is None else warehouse.night_build(as_of)
    if build.path.exists():
        with build.read() as connection:
            erased |= load_erased_accounts(connection)
    with tables or warehouse.snapshot() as snapshot:
        manifest = publish.publish(
            snapshot,
            shelf,
            shop.sensitive,
            warehouse.home / publish.FOLDER,
            as_of=as_of,
            run_id=run_id,
            version=__version__,
            timezone=shop.timezone,
            keep=shop.settings.retention_weeks,
            now=now,
            refreshes=refreshes,
            erased=erased,
        )
    for server in serving_servers(shop.settings).values():
        copy_version(warehouse.home / publish.FOLDER, manifest["version"], server)
    return manifest
