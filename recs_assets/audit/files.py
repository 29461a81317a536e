"""Findings on files: how large those of a source are, and what lies in a folder that no source fits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recs_assets.audit.findings import SHOP, Finding
from recs_assets.audit.words import count
from recs_assets.sources.declared import list_some

if TYPE_CHECKING:
    from recs_assets.discovery.found import FoundColumn, FoundTable

COLUMNS_NAMED = 8


def write_size(size: float) -> str:
    """Bytes for people.

    >>> write_size(999), write_size(1_500), write_size(12_300_000)
    ('999 bytes', '1.5 kB', '12.3 MB')
    """
    if size < 1_000:
        return f"{size:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        size /= 1_000
        if size < 1_000 or unit == "GB":
            break
    return f"{size:.1f} {unit}"


def describe_landed(folder: Path, names: Sequence[str]) -> str:
    """The files of a landed table with their size together."""
    sizes = [(folder / name).stat().st_size for name in names if (folder / name).is_file()]
    # Tables of a database have no size here.
    return ", ".join([list_some(names, 3), *([write_size(sum(sizes))] if sizes else [])]) if names else ""


def list_found(folder: Path, tables: Iterable[FoundTable], problems: Iterable[str]) -> list[Finding]:
    """One finding per table that was found in the files of a folder, and per file that is none.

    Args:
        folder: that no source fits.
        tables: that were found there.
        problems: sentences on files that are no table.
    """
    findings = [
        Finding(
            "inventory", table.name, "rows", table.rows, "rows", "good", f"{_describe_table(folder, table)}."
        )
        for table in tables
    ]
    findings += [
        Finding("inventory", problem.split(":")[0], "rows", None, "rows", "look", problem)
        for problem in problems
    ]
    if not findings:
        findings.append(
            Finding("inventory", SHOP, "files", 0, "files", "stop", "The folder holds no file of data.")
        )
    return findings


def _describe_table(folder: Path, table: FoundTable) -> str:
    size = write_size(sum((folder / name).stat().st_size for name in table.files))
    parts = f"{len(table.files)} files, {size}" if len(table.files) > 1 else size
    text = f"{table.name} ({parts}): {count(table.rows, 'row')}"
    if (time := _find_period(table.columns)) is not None:
        text += f" from {str(time.least)[:10]} to {str(time.most)[:10]} by {time.name}"
    names = list_some([column.name for column in table.columns], COLUMNS_NAMED)
    return f"{text}, {count(len(table.columns), 'column')}: {names}"


def _find_period(columns: Iterable[FoundColumn]) -> FoundColumn | None:
    """The time column that most rows fill, of several the first."""
    times = [column for column in columns if column.is_time and column.least is not None]
    return max(times, key=lambda column: column.filled, default=None)


def report_unreadable(table: str, error: object) -> Finding:
    """A table whose file cannot be read: the reader's own sentence."""
    return Finding("inventory", table, "readable", 0, "files", "stop", str(error))
