"""Copies of what a shop's databases hold, for as long as one table is landed; some are kept in the home.

Whatever a landing asks of a database it asks once: who is left out and what is landed come from the same rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
import weakref
from pathlib import Path

from recs_assets.sources.databases import copy_table
from recs_assets.sources.declared import DeclaredFile

# Of the home.
LANDED = "landed"
_SCRATCH = "landing-"
_DAY = 86_400


class Copies:
    """The copies of one landing; deleted with it, but for those in the home.

    Args:
        kept: `landed` of the home; None: nothing is kept.
    """

    def __init__(self, kept: Path | None) -> None:
        self.kept = kept
        if kept is not None:
            kept.mkdir(parents=True, exist_ok=True)
            _remove_old(kept)
        self.folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=kept))
        self._tables: dict[str, Path] = {}
        self._used: set[Path] = set()
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def copy_table(self, file: DeclaredFile) -> Path:
        """A Parquet file with what a table in a database holds, asked once.

        Raises:
            SettingsError, SourceError: as `databases.copy_table`.
        """
        if file.name not in self._tables:
            path = self.folder / f"{len(self._tables)}.parquet"
            kept = self._find_kept(file)
            copy_table(file, path, kept)
            if kept is not None:
                _take_over(path, kept)
                self._used.add(kept)
            self._tables[file.name] = path
        return self._tables[file.name]

    def _find_kept(self, file: DeclaredFile) -> Path | None:
        if self.kept is None or file.database is None or file.database.incremental is None:
            return None
        return self.kept / f"{_digest(file.name)}.parquet"

    def forget(self) -> None:
        """Keep nothing of what this landing has read: it holds somebody who was forgotten."""
        for path in self._used:
            path.unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _take_over(path: Path, kept: Path) -> None:
    """Keep a copy under a second name, whole or not at all: another process may read the old one."""
    aside = kept.with_name(f"{kept.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    try:
        os.link(path, aside)
        aside.replace(kept)
    finally:
        aside.unlink(missing_ok=True)


def _remove_old(kept: Path) -> None:
    """Remove what a killed process left."""
    for folder in kept.glob(f"{_SCRATCH}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime < time.time() - _DAY:
                shutil.rmtree(folder, ignore_errors=True)
