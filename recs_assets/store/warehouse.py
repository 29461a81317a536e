"""The files of one deployment: a build file per week, the published snapshots, the lock of the one writer.

Two kinds of file live under `home`:

* `weeks/<as_of>/build.duckdb`, private to the run of that week (`build.py`). Nobody else opens it.
* `published/`, the versions of the snapshot and the link to the current one (`snapshots.py`).
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from recs_assets.locations import (
    explain_refusal,
    find_absent,
    find_away,
    is_within,
    locate,
    make_folder,
    require_usable,
)
from recs_assets.schema import WarehouseError
from recs_assets.store.block import Block, cut_build, cut_published
from recs_assets.store.build import Build
from recs_assets.store.connect import Connect, explain_missing, is_missing
from recs_assets.store.deployment import (
    is_elsewhere,
    list_lakes,
    list_lakes_read,
    name_deployment,
    remember_lakes,
)
from recs_assets.store.lake import drop_unnamed, load_files
from recs_assets.store.people import SNAPSHOT, show_by_person
from recs_assets.store.snapshots import Published, Snapshots
from recs_assets.store.text import quote

if TYPE_CHECKING:
    from recs_assets.locations import Location


class Warehouse:
    """The files of one deployment.

    Args:
        home: folder of build files, snapshots and locks.
        threads: DuckDB threads.
        memory_limit: DuckDB memory limit, such as "4GB".
        retention: weeks and snapshot versions kept.
        lake: folder, or part of an object store, that deployments may share, in which this one has Parquet files where an
            engine builds; None: `lake` in the home.
    """

    def __init__(
        self,
        home: Path,
        threads: int = 2,
        memory_limit: str = "4GB",
        retention: int = 8,
        lake: str | Location | None = None,
    ) -> None:
        self.home = Path(home)
        self.shared_lake = None if lake is None else locate(lake)
        self.threads = threads
        self.memory_limit = memory_limit
        self._connect = Connect(threads, memory_limit, self.home / "tmp", self.list_lakes_read)
        self.snapshots = Snapshots(self.published_dir, self._connect, retention)
        self._builds: dict[date, Build] = {}

    # -- places ---------------------------------------------------------------------------

    def build(self, week: date) -> Build:
        """The build file of a week, whether or not it is there."""
        if week not in self._builds:
            self._builds[week] = Build(week, self.home / "weeks" / week.isoformat(), self._connect)
        return self._builds[week]

    def night_build(self, day: date) -> Build:
        """The build file of a day's refresh, which is deleted when the day is served."""
        return Build(day, self.nights / day.isoformat(), self._connect)

    def block_build(self, week: date, folder: Path) -> Build:
        """The build file of a block of customers, which is deleted when the block's work is done."""
        return Build(week, folder, self._connect)

    @property
    def nights(self) -> Path:
        """A folder per day that was refreshed: its lists, and while it runs its build file."""
        return self.home / "nights"

    def list_builds(self) -> list[date]:
        """The weeks that have a build file, in order."""
        return sorted(
            date.fromisoformat(path.parent.name) for path in (self.home / "weeks").glob("*-*-*/build.duckdb")
        )

    @property
    def published_dir(self) -> Path:
        return self.home / "published"

    @property
    def snapshot_path(self) -> Path:
        return self.snapshots.link

    @property
    def lock_path(self) -> Path:
        return self.home / "writer.lock"

    # -- the lake -------------------------------------------------------------------------

    @property
    def lake(self) -> Location:
        """The deployment's folder of Parquet files."""
        if self.shared_lake is None:
            return (self.home / "lake").resolve()
        return self.shared_lake.resolve() / name_deployment(self.home)

    def list_lakes_read(self) -> list[Location]:
        """The lakes that the deployment's files may read."""
        own = [] if self.shared_lake is None else [self.shared_lake]
        return own + list_lakes_read(self.home)

    def prepare_lake(self, build: Build) -> Location:
        """A new folder of the lake for what an engine makes of a build file.

        Raises:
            WarehouseError: the lake cannot be used.
        """
        place = self.lake / build.folder.relative_to(self.home)
        self.remember_lake()
        with explain_refusal(self.lake):
            taken = [
                int(number) for path in place.glob("*-*") if (number := path.name.partition("-")[0]).isdigit()
            ]
            # No two builds have the same: the workers of one that ended may write for a while.
            folder = place / f"{max(taken, default=0) + 1}-{secrets.token_hex(3)}"
            make_folder(folder)
        return folder

    def remember_lake(self) -> None:
        """Keep that files of the home lie in the lake; before any is written."""
        remember_lakes(self.home, {*list_lakes(self.home), self.lake})

    def require_lake(self) -> None:
        """Raise a WarehouseError where an engine's files cannot be written in the lake."""
        require_usable(self.lake)

    def drop_unnamed_files(self) -> list[Location]:
        """Delete the files of the lakes that no build file and no version of the snapshot names: what a killed run left, and
        what only files read that are gone; what was deleted.

        Nothing is deleted in a lake while a file of it is missing that is named, and nothing at all while a lake is away that
        files are named of: where it was moved, what lies in another one is no leftover. Neither is anything where the home may
        be a copy of another one.
        """
        if is_elsewhere(self.home):
            return []
        lakes = list_lakes(self.home)
        if not lakes:  # nothing was ever built on an engine
            return []
        named = self.list_lake_files()
        used = {lake: [path for path in named if is_within(path, lake)] for lake in lakes}
        there = [lake for lake in lakes if find_away([lake]) is None]
        if any(used[lake] and (lake not in there or not lake.exists()) for lake in lakes):
            return []
        dropped = [
            file for lake in there if find_absent(used[lake]) is None for file in drop_unnamed(lake, named)
        ]
        # What is empty is gone; what was away before may come back.
        remember_lakes(self.home, [lake for lake in lakes if lake not in there or lake.exists()])
        return dropped

    def list_lake_files(self) -> dict[Location, list[Path]]:
        """Every file that is named, and the build files and versions that name it."""
        naming: dict[Location, list[Path]] = {}
        builds = [*self.home.glob("weeks/*/build.duckdb"), *self.nights.glob("*/build.duckdb")]
        for path in sorted([*builds, *self.published_dir.glob("analytics-*.duckdb")]):
            with self.open(path) as connection:
                for files in load_files(connection, shown=False).values():
                    for file in files:
                        naming.setdefault(locate(file.path), []).append(path)
        return naming

    # -- connections ----------------------------------------------------------------------

    def open(self, path: Path) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A short read-only connection to any DuckDB file."""
        return self._connect.read(path)

    def snapshot(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A short read-only connection to the published snapshot.

        Raises:
            WarehouseError: nothing is published.
        """
        return self.open(self.snapshots.find_current().path)

    def attach_snapshot(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the published snapshot the database `published` of a connection to a build file, where there is one: by
        the people of the build file's week (`show_by_person`)."""
        if self.snapshot_path.exists():
            connection.execute(f"attach '{quote(self.snapshot_path.resolve())}' as {SNAPSHOT} (read_only)")
            show_by_person(connection)

    def cut_block(self, whole: Build, block: Block, target: Build) -> None:
        """Write the build file of a block of customers (`cut_build`).

        Raises:
            WarehouseError: there is no build file to cut it from.
        """
        whole.require()
        cut_build(self._connect, whole.path, block, whole.week, target.path)

    def cut_published(self, whole: Build, block: Block, target: Path) -> None:
        """Write what was published about the customers of a block (`store.block.cut_published`)."""
        cut_published(self._connect, whole.path, self.attach_snapshot, block, target)

    @contextmanager
    def scratch(self) -> Generator[duckdb.DuckDBPyConnection]:
        """An in-memory database, for looking at a shop's files without writing anything."""
        connection = self._connect(":memory:", read_only=False)
        try:
            yield connection
        finally:
            connection.close()

    # -- the snapshot ---------------------------------------------------------------------

    def newest_published(self) -> date:
        """The newest week that the snapshot describes."""
        return self.snapshots.find_current().week

    def require_published(self, week: date) -> None:
        """Raise a WarehouseError where a week was never published, or was taken back since."""
        newest = self.newest_published()
        if week > newest or not self.snapshots.was_published(week):
            raise WarehouseError(
                f"The week {week} is not published in {self.published_dir}: run it first (python -m recs_assets run --as-of {week}), or "
                f"ask for a week that is; the newest is {newest}."
            )

    def ask(self, sql: str) -> tuple[list[str], list[tuple[object, ...]]]:
        """Names of the columns and rows of a query on the published snapshot; it can write and read nothing else.

        Raises:
            WarehouseError: nothing is published, a file of the lake that is asked for is not there, or DuckDB refuses the
                query.
        """
        with self.snapshot() as connection:
            paths = [file.path for files in load_files(connection).values() for file in files]
            connection.execute("set allowed_paths = $1", [paths])
            connection.execute("set enable_external_access = false")
            try:
                answer = connection.execute(sql)
                return [column[0] for column in answer.description or []], answer.fetchall()
            except duckdb.Error as error:
                # DuckDB says of a file that is not there that it may not be read.
                if absent := find_absent(path for path in paths if path in str(error)):
                    raise explain_missing(self.snapshot_path, absent) from None
                if is_missing(error):  # of a store
                    raise explain_missing(self.snapshot_path, error) from None
                reason = " ".join(str(error).split("LINE ")[0].split()).rstrip(".")
                raise WarehouseError(
                    f"The query cannot be answered ({reason}): correct it; the tables are those of schema recs."
                ) from None

    def publish(self, week: date, run_id: str, now: datetime, version: str, builds: int = 2) -> Published:
        """Publish schema `recs` of the week's build file (`Snapshots.publish`) and drop build folders
        that are neither of the newest weeks, so many as `builds`, nor of this one.

        Raises:
            WarehouseError: when there is nothing to publish, the disk refuses, or the written copy differs.
        """
        build = self.build(week)
        build.require()
        published = self.snapshots.publish(build.path, week, run_id, now, version)
        weeks = sorted(path for path in (self.home / "weeks").iterdir() if path.is_dir())
        for folder in weeks[:-builds]:
            if folder != build.folder:
                shutil.rmtree(folder)
        self.drop_unnamed_files()
        return published
