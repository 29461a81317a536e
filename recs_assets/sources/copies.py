"""Copies of what a shop's files and databases hold, for as long as one table is landed; some are kept in the home.

Whatever a landing asks of a database it asks once: who is left out and what is landed come from the same rows. Kept are
tables of which the next landing asks only what changed, and the rows of files that are text or spreadsheets, which are
not parsed again until the file, its declaration or the code changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import duckdb

from recs_assets.sources.code_version import find_code_version
from recs_assets.sources.databases import copy_table, read_about
from recs_assets.sources.declared import DeclaredFile
from recs_assets.sql_text import quote_text

# Of the home.
LANDED = "landed"
_SCRATCH = "landing-"
_DAY = 86_400
# A file that was written this shortly ago may be written again within the same tick of the clock, unseen.
_QUIET = 2.0


class Copies:
    """The copies of one landing; deleted with it, but for those in the home.

    Args:
        kept: `landed` of the home; None: nothing is kept.
        files: all that the source declares; what is kept of others is deleted.
        keeps: whether this landing may keep anything new: not where nobody looks for those who were forgotten.
    """

    def __init__(self, kept: Path | None, files: Iterable[DeclaredFile] = (), *, keeps: bool = True) -> None:
        self.kept, self.keeps = kept, keeps
        if kept is not None:
            try:
                kept.mkdir(mode=0o700, parents=True, exist_ok=True)
                _remove_old(kept, {_digest(file.key) for file in files})
                folder = tempfile.mkdtemp(prefix=_SCRATCH, dir=kept)
            except OSError:  # whoever may only read the home looks at the files all the same
                self.kept = None
        self.folder = Path(tempfile.mkdtemp(prefix=_SCRATCH) if self.kept is None else folder)
        self._tables: dict[str, Path] = {}
        self._used: set[Path] = set()
        self._number = 0
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def copy_table(self, file: DeclaredFile) -> Path:
        """A Parquet file with what a table in a database holds, asked once.

        Raises:
            SettingsError, SourceError: as `databases.copy_table`.
        """
        assert file.database is not None
        if file.name not in self._tables:
            path = self._name_next()
            kept = self._find_kept(file.key, file.name) if file.database.incremental is not None else None
            copy_table(file, path, kept)
            if kept is not None and self.keeps:
                self._keep(path, kept)
            self._tables[file.name] = path
        return self._tables[file.name]

    def stamp(self, path: Path, declared: DeclaredFile, *others: Any) -> str | None:
        """What the rows of a file depend on: the file, its declaration, the code and `others`.

        None where nothing is kept, or the file was written just now.
        """
        if self.kept is None:
            return None
        stat = path.stat()
        if time.time() - max(stat.st_mtime, stat.st_ctime) < _QUIET:
            return None
        of = [stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, repr(declared), *others]
        return hashlib.sha256(json.dumps([find_code_version(), *of]).encode()).hexdigest()

    def find_rows(
        self,
        con: duckdb.DuckDBPyConnection,
        name: str,
        declared: DeclaredFile,
        stamp: str | None,
        target: str,
    ) -> tuple[int, list[str]] | None:
        """Make the view `target` of what was read of a file before; its rows and columns, or None where it has to be read."""
        kept = self._find_kept(declared.key, name)
        about = read_about(kept)
        if kept is None or stamp is None or about is None or about.get("stamp") != stamp:
            return None
        path = self._name_next()
        _link(kept, path)  # another landing may replace it
        if self.keeps:
            self._used.add(kept)
        con.execute(f"create or replace view {target} as select * from read_parquet({quote_text(str(path))})")
        return about["rows"], about["columns"]

    def keep_rows(
        self,
        con: duckdb.DuckDBPyConnection,
        name: str,
        declared: DeclaredFile,
        stamp: str | None,
        target: str,
        rows: int,
        columns: list[str],
    ) -> None:
        """Keep what was read of a file into `target`."""
        kept = self._find_kept(declared.key, name)
        if kept is None or stamp is None or not self.keeps:
            return
        about = json.dumps({"stamp": stamp, "rows": rows, "columns": columns})
        path = self._name_next()
        con.execute(
            f"copy (select * from {target}) to {quote_text(str(path))} "
            f"(format parquet, kv_metadata {{about: {quote_text(about)}}})"
        )
        self._keep(path, kept)

    def forget_others(self, declared: DeclaredFile, names: Collection[str]) -> None:
        """Delete what is kept of a declared file's parts that are there no more."""
        if self.kept is not None:
            own = {_name(declared.key, name) for name in names}
            for path in self.kept.glob(f"{_digest(declared.key)}-*.parquet"):
                if path.name not in own:
                    path.unlink(missing_ok=True)

    def note_fetched(self, folder: Path, names: Iterable[str], fetched: Collection[str]) -> None:
        """Files in the mirror of object storage that this landing reads.

        Args:
            folder: the mirror's.
            names: of the files.
            fetched: those of them that had no content before.
        """
        self._used.update(folder / name for name in (names if self.keeps else fetched))

    def forget(self) -> None:
        """Keep nothing of what this landing has read: it holds, or may hold, somebody who was forgotten."""
        for path in self._used:
            path.unlink(missing_ok=True)

    def _name_next(self) -> Path:
        self._number += 1
        return self.folder / f"{self._number}.parquet"

    def _find_kept(self, declared: str, name: str) -> Path | None:
        return None if self.kept is None else self.kept / _name(declared, name)

    def _keep(self, path: Path, kept: Path) -> None:
        """Keep a copy under a second name, whole or not at all: another process may read the old one."""
        aside = path.with_suffix(".next")
        _link(path, aside)
        aside.replace(kept)
        self._used.add(kept)


def _link(path: Path, target: Path) -> None:
    """A second name of a file; where the disk knows no such thing, a copy."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def _name(declared: str, name: str) -> str:
    return f"{_digest(declared)}-{_digest(name)}.parquet"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _remove_old(kept: Path, declared: Collection[str]) -> None:
    """Remove what no file declares any more, and what a killed process left."""
    for path in kept.glob("*.parquet"):
        if path.name.split("-")[0] not in declared:
            path.unlink(missing_ok=True)
    for folder in kept.glob(f"{_SCRATCH}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime < time.time() - _DAY:
                shutil.rmtree(folder, ignore_errors=True)
