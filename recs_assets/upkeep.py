"""What an operator does between two runs: going back to an older version, dropping old records."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, date, datetime
from pathlib import Path

from recs_assets.exports import versions
from recs_assets.exports.servers import ServerCache, server_caches
from recs_assets.settings import Settings
from recs_assets.warehouse import Warehouse, writer_lock

# Folders under home with one file or folder per run.
RECORDS = ("logs", "quality")


def open_warehouse(settings: Settings) -> Warehouse:
    """The files of the deployment that the settings describe."""
    return Warehouse(
        settings.home,
        threads=settings.threads,
        memory_limit=settings.memory_limit,
        retention=settings.retention_weeks,
    )


def servers(settings: Settings) -> dict[str, ServerCache]:
    """The caches in servers that the settings name, by asset."""
    addresses = (settings.redis_url, settings.postgres_url)
    return server_caches(*(one and one.get_secret_value() for one in addresses))


def rollback(settings: Settings, version: str, to: date | None = None) -> str:
    """Switch the snapshot and the cache back (`Snapshots.rollback`), under the writer lock.

    A cache version that is no longer kept is written again from the snapshot; caches in servers are
    always, and hold no other version.

    Args:
        settings: of the deployment.
        version: of recs_assets, for the log.
        to: a week; None for the one before the current one.

    Returns:
        One sentence: what is published now and what was before.

    Raises:
        WarehouseError: there is nothing to go back to, another process holds the lock, or the disk refuses.
        ExportError: a server refuses; snapshot and file cache are back by then.
    """
    warehouse = open_warehouse(settings)
    with writer_lock(warehouse.lock_path, settings.writer_wait_seconds):
        now = datetime.now(UTC).replace(tzinfo=None)
        left, back = warehouse.snapshots.rollback(to, now, version)
        cache = warehouse.home / "cache"
        name = versions.switch(cache, back.week, back.run_id)
        others = servers(settings).values()
        lists = warehouse.published_lists(back.week) if others or name is None else None
        if name is None:
            name = versions.publish(
                lists,
                cache,
                as_of=back.week,
                run_id=back.run_id,
                keep=settings.retention_weeks,
            )["version"]
        for server in others:
            server.publish(lists, as_of=back.week, run_id=back.run_id)
    return (
        f"Back to week {back.week}: {warehouse.snapshot_path} -> {back.path.name}, cache -> {name} "
        f"(before: week {left.week}, {left.path.name})."
    )


def drop_old_records(home: Path, weeks: int, now: float | None = None) -> list[Path]:
    """Delete logs and gate results that were last written more than `weeks` weeks ago.

    Args:
        home: folder of the deployment.
        weeks: how long they are kept.
        now: seconds since 1970; None for the clock.

    Returns:
        What was deleted.
    """
    oldest = (time.time() if now is None else now) - weeks * 7 * 86_400
    dropped = []
    for folder in RECORDS:
        for path in sorted((home / folder).glob("*")):
            if path.stat().st_mtime < oldest:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                dropped.append(path)
    return dropped
