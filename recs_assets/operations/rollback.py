"""What an operator does between two runs: going back to an older version, dropping old records."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from recs_assets.exports import embeddings, versions
from recs_assets.exports.load import load_published_lists
from recs_assets.exports.rows import ExportError
from recs_assets.exports.servers import ServerCache, server_caches
from recs_assets.operations.copy_files import copy_campaigns, list_folders
from recs_assets.operations.embedding_files import write_embeddings
from recs_assets.schema import RecsError
from recs_assets.serving import publish
from recs_assets.serving.servers import Server, copy_version, open_servers
from recs_assets.settings import Settings
from recs_assets.shop import open_warehouse
from recs_assets.store.lock import writer_lock

# Folders under home with one file or folder per run.
RECORDS = ("logs", "quality")


def servers(settings: Settings) -> dict[str, ServerCache]:
    """The caches in servers that the settings name, by asset."""
    addresses = (settings.redis_url, settings.postgres_url)
    return server_caches(*(address and address.get_secret_value() for address in addresses))


def serving_servers(settings: Settings) -> dict[str, Server]:
    """The servers that the settings name and that have a copy of the server's store."""
    addresses = (settings.redis_url, settings.postgres_url)
    return open_servers(*(address and address.get_secret_value() for address in addresses))


# Writes the files of every campaign that was made of a week: week, run -> per campaign its new version, or why
# there is none.
Export = Callable[[date, str], Mapping[str, str | RecsError]]


# Writes the server's store of a week again: week, run -> its new version.
Serve = Callable[[date, str], str]


def rollback(
    settings: Settings,
    version: str,
    to: date | None = None,
    export: Export | None = None,
    serve: Serve | None = None,
) -> str:
    """Switch the snapshot, the caches and the campaigns' files back (`Snapshots.rollback`), under the writer lock.

    A cache version that is no longer kept is written again from the snapshot; caches in servers are
    always, and hold no other version. Of the campaigns' files, those of the week left and of later ones are withdrawn
    (`current` goes, the version stays), and those of the week gone back to are written again: a file of then
    holds people who have withdrawn since.

    Args:
        settings: of the deployment.
        version: of recs_assets, for the log.
        to: a week; None for the one before the current one.
        export: writes the campaigns' files again; without it they are withdrawn only.
        serve: writes the server's store again where its version is no longer kept.

    Returns:
        What is published now and what was before, and a line per campaign whose files changed.

    Raises:
        WarehouseError: there is nothing to go back to, another process holds the lock, or the disk refuses.
        ExportError: a server refuses; snapshot and file cache are back by then.
    """
    warehouse = open_warehouse(settings)
    with writer_lock(warehouse.lock_path, settings.writer_wait_seconds):
        now = datetime.now(UTC).replace(tzinfo=None)
        left, back = warehouse.snapshots.rollback(to, now, version)
        withdrawn = _withdraw(warehouse.home / "exports", back.week)
        cache = warehouse.home / "cache"
        name = versions.switch(cache, back.week, back.run_id)
        others = servers(settings).values()
        lists = None
        if others or name is None:
            with warehouse.snapshot() as connection:
                lists = load_published_lists(connection, back.week)
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
        store = warehouse.home / publish.FOLDER
        stored: str | RecsError | None = publish.switch(store, back.week, back.run_id)
        if isinstance(stored, str):
            for copy in serving_servers(settings).values():
                copy_version(store, stored, copy)
        if stored is None and serve is not None:
            try:
                stored = serve(back.week, back.run_id)
            except RecsError as error:
                stored = error
        try:
            written = {} if export is None else export(back.week, back.run_id)
        except RecsError as error:  # the shop's files, say: no reason to stay where nobody wants to be
            written = dict.fromkeys(withdrawn, error)
        if embeddings.FOLDER in withdrawn:
            withdrawn.remove(embeddings.FOLDER)
            write_embeddings(warehouse, back.week, back.run_id, settings.retention_weeks)
        try:
            copy_campaigns(list_folders(warehouse.home), settings)
            copied = ""
        except ExportError as error:  # the files are back, whatever holds copies of them
            copied = f"Copies of the campaigns' files stay as they were. {error}"
    lines = [
        f"Back to week {back.week}: {warehouse.snapshot_path} -> {back.path.name}, cache -> {name} "
        f"(before: week {left.week}, {left.path.name})."
    ]
    if isinstance(stored, str):
        lines.append(f"The server answers from {stored}.")
    elif stored is not None or (store / "current").is_symlink():
        lines.append(
            f"The server answers from the version before: materialise exports/serving_store. {stored or ''}".strip()
        )
    for campaign in sorted({*withdrawn, *written}):
        made = written.get(campaign, f"The campaign was not made of the week {back.week}.")
        if campaign in written and isinstance(made, str):
            lines.append(f"Files of {campaign} -> {made}, without whoever withdrew since.")
        else:
            lines.append(f"Files of {campaign}: none are current any more. {made}")
    return "\n".join([*lines, *filter(None, [copied])])


def _withdraw(exports: Path, week: date) -> list[str]:
    """Take away `current` of every campaign whose files are of this week or a later one; the campaigns."""
    withdrawn = []
    for link in sorted(exports.glob("*/current")):
        # versions/<as_of>-<run_id>
        if link.is_symlink() and link.readlink().name[:10] >= week.isoformat():
            link.unlink()
            withdrawn.append(link.parent.name)
    return withdrawn


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
