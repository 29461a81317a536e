"""The published snapshot: versions of one read-only DuckDB file, and the link that names the current one.

`published/analytics-<as_of>-<run>.duckdb` are whole files that nobody changes once they are there
(mode 0444); the symlink `recs.duckdb` names one of them. Publishing a week, going back to an older
version and purging a customer are the same three steps: write a new file aside, verify it, rename
the link. A reader sees the old file or the new one, and who holds the old one open keeps it. A plain
`os.replace` over an open file would leave a stale `.wal` beside it and show old data to a second
connection of one process.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from recs_assets.files import drop_on_error, point, sync
from recs_assets.locations import find_absent, locate
from recs_assets.schema import WarehouseError
from recs_assets.store.connect import Connect, explain_missing
from recs_assets.store.lake import LakeFile, leave_out, load_files, select_as
from recs_assets.store.shown import OLD_NAMES, choose_weeks, keep_rows, show_published, take_weeks
from recs_assets.store.tables import (
    LOG,
    LogEntry,
    copy_table,
    copy_views,
    describe_tables,
    is_customer_still,
    list_columns,
    list_lake_tables,
    list_tables,
    list_types,
    load_comments,
    write_kept,
    write_log,
)
from recs_assets.store.text import quote

if TYPE_CHECKING:
    from recs_assets.locations import Location

# Clients from 0.10 on can open the snapshot; newer storage features would lock them out.
STORAGE_VERSION = "v1.0.0"
# A name for clients before 1.5: they call the database after its file, and one that is called `recs` and has
# a schema `recs` makes them refuse `recs.<table>` as ambiguous.
OTHER_NAME = "analytics.duckdb"

# Tables of schema `recs` that keep earlier weeks; all others describe the newest week only.
WEEKLY_TABLES = (
    "email_recommendations",
    "email_holdout",
    "buy_it_again",
    "customer_recommendations",
    "follow_ups",
    "frequently_bought_together",
    "similar_products",
    "model_metrics",
    "model_decisions",
    "campaign_outcomes",
    "campaign_tests",
    "rule_outcomes",
    "rule_price_tags",
    "goal_frontier",
    "gates",
    "data_audit",
    "experiments",
    "experiment_results",
    "experiment_weeks",
    "experiment_segments",
    "monitor",
    "monitor_distributions",
    "shadow_recommendations",
    "shadow_results",
    "table_gains",
    "value_methods",
)
SNAPSHOT_LINK = "recs.duckdb"


@dataclass(frozen=True)
class Published:
    """What one publish did.

    Attributes:
        path: the new snapshot file.
        rows: row count per table of schema `recs`.
        hashes: content hash per table, equal for equal rows in any order; DuckDB may change them with its version.
        seconds: wall time of the publish.
    """

    path: Path
    rows: dict[str, int]
    hashes: dict[str, str]
    seconds: float


# Where a snapshot's log says which week it describes: a backfill and a purge leave that as it was.
_CONTENT = (
    "select as_of, run_id from {log} where action in ('publish', 'rollback') order by rowid desc limit 1"
)


@dataclass(frozen=True)
class Version:
    """One file in `published/`.

    Attributes:
        path: the file.
        week: the newest week it describes.
        run_id: of the run that made that week's tables.
    """

    path: Path
    week: date
    run_id: str


class Snapshots:
    """The folder `published/`.

    Args:
        folder: where the versions and the link are.
        connect: opens a database.
        retention: weeks in the weekly tables, and versions kept.
    """

    def __init__(self, folder: Path, connect: Connect, retention: int) -> None:
        self.folder = folder
        self.retention = retention
        self._connect = connect
        self._open = connect.read

    @property
    def link(self) -> Path:
        return self.folder / SNAPSHOT_LINK

    def find_current(self) -> Version:
        """The version that the link names.

        Raises:
            WarehouseError: nothing is published yet.
        """
        if not self.link.exists():
            raise WarehouseError(f"Nothing is published yet at {self.link}: run a week first.")
        return self._version(self.link.resolve())

    def was_published(self, week: date) -> bool:
        """Whether the log of the current version says that a run of the week was published.

        Raises:
            WarehouseError: nothing is published yet.
        """
        asked = "select count(*) from recs.publish_log where as_of = ? and action in ('publish', 'backfill')"
        with self._open(self.find_current().path) as connection:
            [(count,)] = connection.execute(asked, [week]).fetchall()
        return count > 0

    def versions(self) -> list[Version]:
        """Every version that is kept, in the order written."""
        return [self._version(path) for path in self._list_paths()]

    def _list_paths(self) -> list[Path]:
        return sorted(self.folder.glob("analytics-*.duckdb"), key=lambda path: path.stat().st_mtime_ns)

    def _version(self, path: Path) -> Version:
        with self._open(path) as connection:
            found = connection.execute(_CONTENT.format(log="recs.publish_log")).fetchone()
        if found is None:
            raise WarehouseError(f"{path} says of no week that it was published: delete the file.")
        return Version(path, *found)

    # -- publish --------------------------------------------------------------------------

    def publish(self, build: Path, week: date, run_id: str, now: datetime, version: str) -> Published:
        """Write schema `recs` of a build file as the new snapshot and switch to it.

        Earlier weeks of `WEEKLY_TABLES` are carried over from the current snapshot. A
        backfill of a week older than the current one replaces that week's rows only. Whoever the
        newest week no longer has as a customer (erased since) is in none of them. After a rollback,
        earlier weeks that the current snapshot does not hold come from the versions that do.

        Raises:
            WarehouseError: when there is nothing to publish, the disk refuses, or the written copy differs.
        """
        started = time.monotonic()
        with self._open(build) as check:
            tables = list_tables(check, None)
        if not tables:
            raise WarehouseError(
                f"The build file of {week} has no tables in schema recs: run dbt's published models first."
            )
        previous = self.link.resolve() if self.link.exists() else None
        unfinished = self._prepare_aside(f"analytics-{week.isoformat()}-{run_id[:8]}")
        with self._write_aside(f"The snapshot of {week}", unfinished) as connection:
            connection.execute(
                f"attach '{quote(unfinished)}' as snapshot (storage_version '{STORAGE_VERSION}')"
            )
            connection.execute(f"attach '{quote(build)}' as build (read_only)")
            content, old_tables, older = None, set(), []
            if previous is not None:
                connection.execute(f"attach '{quote(previous)}' as previous (read_only)")
                old_tables = set(list_tables(connection, "previous"))
                content = connection.execute(_CONTENT.format(log="previous.recs.publish_log")).fetchone()
                older = self._attach_older(connection, previous)
            newest = content is None or week >= content[0]
            # Asked of each file once: DuckDB looks into the files of every view for its columns.
            lake = cache(partial(list_lake_tables, connection))
            comments = cache(partial(load_comments, connection))
            origins = ("previous", *older)
            connection.execute("create schema snapshot.recs")
            still = None
            if "customers" in (tables if newest else old_tables):
                origin = "build" if newest else "previous"
                has_ids = "customer_ids" in list_columns(connection, origin, "customers")
                still = is_customer_still(f"{origin}.recs.customers", has_ids)
            for table in tables:
                weekly = table in WEEKLY_TABLES
                origin = "build" if newest or weekly or table not in old_tables else "previous"
                weeks: dict[date, str] = {}
                if weekly and previous is not None:
                    # A backfilled week comes on top: it must not push a newer one out.
                    others = self.retention - 1 if newest else self.retention
                    last = week if newest or content is None else content[0]
                    weeks = choose_weeks(connection, table, week, last, others, origins, lake)
                if files := lake(origin).get(table):
                    if weekly:
                        has_customers = "customer_id" in list_columns(connection, origin, table)
                        own = [replace(file, as_of=week) for file in files]
                        folder = locate(files[0].path).parents[2] / "carried"
                        files = [
                            *keep_rows(connection, own, still if has_customers else None),
                            *take_weeks(connection, table, weeks, lake, still, folder),
                        ]
                    show_published(connection, table, origin, files, comments(origin))
                else:
                    copy_table(connection, origin, table, comments(origin), still if weekly else None)
                    self._carry_over(connection, table, weeks, still)
            copy_views(connection, "build", comments("build"))
            rows, hashes = describe_tables(connection, "snapshot", tables)
            target = unfinished.with_suffix(".duckdb")
            entry = LogEntry(
                now,
                "publish" if newest else "backfill",
                week,
                run_id,
                version,
                None if previous is None else previous.name,
            )
            write_log(connection, entry, target.name, rows, hashes, "previous" if previous else None)
        self._finish(unfinished, target, rows)
        self._switch(target)
        self._prune(target)
        return Published(target, rows, hashes, time.monotonic() - started)

    def _attach_older(self, connection: duckdb.DuckDBPyConnection, previous: Path) -> list[str]:
        """Attach the versions that may hold weeks which a rollback took out of the current one,
        newest first; none where nobody ever went back."""
        went_back = connection.execute(
            "select count(*) from previous.recs.publish_log where action = 'rollback'"
        ).fetchall()[0][0]
        older = []
        for number, path in enumerate(reversed(self._list_paths()) if went_back else ()):
            if path != previous:
                connection.execute(f"attach '{quote(path)}' as older_{number} (read_only)")
                older.append(f"older_{number}")
        return older

    def _carry_over(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: str,
        weeks: Mapping[date, str],
        is_still: str | None,
    ) -> None:
        """Insert the weeks of a table that other versions have."""
        for origin in dict.fromkeys(weeks.values()):
            there = list_types(connection, origin, table)
            declared = list_types(connection, "snapshot", table)
            old_names = OLD_NAMES.get(table, {})
            there_too = [name for name in declared if name in there or old_names.get(name) in there]
            selected = select_as(there, {name: declared[name] for name in there_too}, old_names)
            still = f"and {is_still}" if is_still and "customer_id" in there else ""
            connection.execute(
                f"""
                insert into snapshot.recs."{table}" by name
                select {selected} from {origin}.recs."{table}" where list_contains(?, as_of) {still}
                """,
                [[week for week in weeks if weeks[week] == origin]],
            )

    # -- going back -----------------------------------------------------------------------

    def rollback(self, to: date | None, now: datetime, version: str) -> tuple[Version, Version]:
        """Switch to a copy of an older version whose log says so.

        The copy holds the older version's tables as they are and the current version's log with one
        more row.

        Args:
            to: the week to go back to, its newest version that is not the current one; None for the
                newest version of the week before the current one.
            now: time of the switch, in UTC.
            version: of recs_assets.

        Returns:
            The version left and the one switched to.

        Raises:
            WarehouseError: no such version is kept, a file that it reads is not there, or the disk refuses.
        """
        current = self.find_current()
        others = [kept for kept in self.versions() if kept.path != current.path]
        week = to or max((kept.week for kept in others if kept.week < current.week), default=None)
        same_week = [kept for kept in others if kept.week == week]
        if not same_week:
            raise WarehouseError(
                f"There is nothing to go back to: week {current.week} is published ({current.path.name}) and "
                f"{self.folder} keeps no other version of {f'week {to}' if to else 'an earlier week'}; run the "
                "week you want again with --as-of."
            )
        origin = same_week[-1]
        with self._open(origin.path) as connection:
            files = load_files(connection).values()
        if absent := find_absent(file.path for of_one in files for file in of_one):
            raise explain_missing(origin.path, absent)
        unfinished = self._prepare_aside(f"analytics-{origin.week.isoformat()}-{origin.run_id[:8]}")
        target = self._find_free_name(unfinished.stem)
        with self._write_aside(f"The copy of {origin.path.name}", unfinished) as connection:
            try:
                shutil.copyfile(origin.path, unfinished)
            except OSError as error:
                raise duckdb.IOException(str(error)) from error
            connection.execute(
                f"attach '{quote(unfinished)}' as snapshot (storage_version '{STORAGE_VERSION}')"
            )
            connection.execute(f"attach '{quote(current.path)}' as previous (read_only)")
            rows, hashes = map(
                json.loads,
                connection.execute(
                    "select row_counts, content_hashes from snapshot.recs.publish_log order by rowid desc limit 1"
                ).fetchall()[0],
            )
            connection.execute("drop table snapshot.recs.publish_log")
            entry = LogEntry(
                now, "rollback", origin.week, origin.run_id, version, current.path.name, origin.path.name
            )
            write_log(connection, entry, target.name, rows, hashes, "previous")
        self._finish(unfinished, target, rows)
        self._switch(target)
        self._prune(target)
        return current, Version(target, origin.week, origin.run_id)

    # -- forgetting -----------------------------------------------------------------------

    def purge(
        self,
        paths: Collection[Location],
        customer_id: str,
        visitors: Collection[str],
        rejected: str,
        now: datetime,
        version: str,
    ) -> dict[str, str]:
        """Write versions again without a customer's rows and delete the files that held them.

        A new file is as old as the one it replaces: their order says what a rollback goes back to.

        Args:
            paths: of the files that hold the customer, versions and files of the lake; versions that neither are nor
                read one of them are left alone.
            customer_id: whose rows.
            visitors: whose rows go, too, where a table names visitors.
            rejected: condition of the customer's rows of the quarantine (`select_rejected`).
            now: time of the purge, in UTC.
            version: of recs_assets.

        Returns:
            New name by old name, in the order written.
        """
        renamed, replaced = {}, dict[str, LakeFile]()
        current = self.link.resolve() if self.link.exists() else None
        for kept in self.versions():
            if not self._holds(kept.path, paths):
                continue
            unfinished = self._prepare_aside(f"analytics-{kept.week.isoformat()}-{kept.run_id[:8]}")
            target = self._find_free_name(unfinished.stem)
            with self._write_aside(f"{kept.path.name} without the customer", unfinished) as connection:
                connection.execute(
                    f"attach '{quote(unfinished)}' as snapshot (storage_version '{STORAGE_VERSION}')"
                )
                connection.execute(f"attach '{quote(kept.path)}' as previous (read_only)")
                connection.execute("create schema snapshot.recs")
                tables = [name for name in list_tables(connection, "previous") if name != LOG]
                lake = list_lake_tables(connection, "previous")
                comments = load_comments(connection, "previous")
                for table in tables:
                    columns = list_columns(connection, "previous", table)
                    where, others = write_kept(table, columns, customer_id, visitors, rejected)
                    if table not in lake:
                        copy_table(connection, "previous", table, comments, where, others)
                        continue
                    kept_rows = [where] if "customer_id" in columns else []
                    kept_rows += [others] if others else []
                    held = [
                        file
                        for file in lake[table]
                        if locate(file.path) in paths and file.path not in replaced
                    ]
                    if kept_rows:
                        replaced |= leave_out(connection, held, " and ".join(kept_rows))
                    files = [replaced.get(file.path, file) for file in lake[table]]
                    show_published(connection, table, "previous", files, comments)
                copy_views(connection, "previous", comments)
                rows, hashes = describe_tables(connection, "snapshot", tables)
                entry = LogEntry(now, "forget", kept.week, kept.run_id, version, kept.path.name)
                write_log(connection, entry, target.name, rows, hashes, "previous")
            self._finish(unfinished, target, rows)
            written = kept.path.stat()
            os.utime(target, ns=(written.st_atime_ns, written.st_mtime_ns))
            if kept.path == current:
                self._switch(target)
            kept.path.unlink()
            renamed[kept.path.name] = target.name
        return renamed

    def _holds(self, path: Path, paths: Collection[Location]) -> bool:
        """Whether a version is one of some files, or reads one of them."""
        with self._open(path) as connection:
            files = load_files(connection).values()
        return path in paths or any(locate(file.path) in paths for of_one in files for file in of_one)

    # -- files ----------------------------------------------------------------------------

    def _prepare_aside(self, stem: str) -> Path:
        """An unfinished file for one writer; what a killed one left is removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob("*.tmp*"):
            leftover.unlink()
        return self.folder / f"{stem}.tmp"

    def _find_free_name(self, stem: str) -> Path:
        """`stem`, or `stem-2`, `stem-3`, ...: after every version of that name, so that none is ever reused."""
        taken = [
            int(path.stem.removeprefix(stem).removeprefix("-") or 1)
            for path in self.folder.glob(f"{stem}*.duckdb")
        ]
        return self.folder / (f"{stem}-{max(taken) + 1}.duckdb" if taken else f"{stem}.duckdb")

    @contextmanager
    def _write_aside(self, what: str, unfinished: Path) -> Generator[duckdb.DuckDBPyConnection]:
        """A connection whose database `snapshot`, of the file, is checkpointed and detached at the end; an error leaves
        no file."""
        connection = self._connect(":memory:", False)
        try:
            with drop_on_error(unfinished):
                yield connection
                connection.execute("checkpoint snapshot")
                connection.execute("detach snapshot")
        except duckdb.Error as error:
            raise WarehouseError(
                f"{what} could not be written ({str(error).splitlines()[0]}): "
                "what was published before is untouched; make room on the disk or repair the cause and run again."
            ) from error
        finally:
            connection.close()

    def _finish(self, unfinished: Path, target: Path, rows: Mapping[str, int]) -> None:
        """Check a written file and give it its name."""
        with drop_on_error(unfinished):
            if Path(f"{unfinished}.wal").exists():
                raise WarehouseError(
                    f"{unfinished} still has a write-ahead log after its checkpoint: not publishing it."
                )
            self._verify(unfinished, rows)
            unfinished.chmod(0o444)
            sync(unfinished)
            unfinished.replace(target)

    def _verify(self, path: Path, rows: Mapping[str, int]) -> None:
        with self._open(path) as connection:
            for table, expected in rows.items():
                found = connection.execute(f'select count(*) from recs."{table}"').fetchone()
                if found is None or found[0] != expected:
                    raise WarehouseError(
                        f"{path} holds {found} rows in recs.{table} where {expected} were written: not publishing it."
                    )

    def _switch(self, target: Path) -> None:
        other = self.folder / OTHER_NAME
        if not other.is_symlink():
            other.symlink_to(SNAPSHOT_LINK)  # never touched again: one rename switches both names
        point(self.link, self.folder / target.name)

    def _prune(self, current: Path) -> None:
        """Drop the oldest versions beyond retention, never the current one."""
        for path in self._list_paths()[: -self.retention]:
            if path != current:
                path.unlink()
