"""Findings on files: how large those of a source are, and what lies in a folder that no source fits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from recs_assets.audit.findings import SHOP, Finding
from recs_assets.audit.words import count
from recs_assets.sources.declared import list_some
from recs_assets.sources.inspect import FoundFile

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


def list_found(files: Iterable[FoundFile]) -> list[Finding]:
    """One finding per file of a folder that no source fits."""
    findings = []
    for file in files:
        if file.rows is None:
            findings.append(
                Finding("inventory", file.name, "rows", None, "rows", "look", f"{file.name} ({write_size(file.bytes)}): {file.problem}.")
            )  # fmt: skip
            continue
        columns = list_some(file.columns, COLUMNS_NAMED)
        findings.append(
            Finding(
                "inventory", file.name, "rows", file.rows, "rows", "good" if file.rows else "look",
                f"{file.name} ({write_size(file.bytes)}): {count(file.rows, 'row')}, {count(len(file.columns), 'column')}: {columns}.",
            )
        )  # fmt: skip
    if not findings:
        findings.append(
            Finding("inventory", SHOP, "files", 0, "files", "stop", "The folder holds no file of data.")
        )
    return findings


def report_unreadable(table: str, error: object) -> Finding:
    """A table whose file cannot be read: the reader's own sentence."""
    return Finding("inventory", table, "readable", 0, "files", "stop", str(error))
