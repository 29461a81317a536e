"""What the API acknowledged since the shop's last export: rows that it appended under the home.

`events/<raw table>/<name>.jsonl` holds one object per line with the columns of the canonical table, times with their zone.
A file is appended to, never changed, by one process; a new process starts a new file, so that a line which a killed one
left half written stays the last of its file. Such rows are landed beside the shop's own, whatever its source.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from recs_assets.files import sync
from recs_assets.schema import RAW_TABLES
from recs_assets.sources.declared import DeclaredFile
from recs_assets.sources.identifiers import identifiers_of
from recs_assets.sources.reader import read_files
from recs_assets.sources.source import ACKNOWLEDGED, FILES, list_event_files
from recs_assets.sources.spellings import normalise_address
from recs_assets.sql_text import quote

# Of the tables that the API may append to, in a home's folder of this name.
EVENTS = "events"
TABLES = ("campaign_events", "browsing_events", "consents", "inventory", "preferences")
# Held while rows are appended, and while files are written again without somebody.
LOCK = ".lock"


def read_acknowledged(session: duckdb.DuckDBPyConnection, folder: Path, table: str) -> list[str]:
    """Read the acknowledged rows of a table as `files."<table> acknowledged"`: of several with one key, the first.

    Args:
        session: with the database of the files attached.
        folder: `events` of the home.
        table: one of `schema.RAW_TABLES`.

    Returns:
        Names of the files.

    Raises:
        SourceError: a line is not as the table is declared.
    """
    declared = RAW_TABLES[table]
    # What the API did not say is empty, as in any row: the row checks judge it.
    columns = tuple(replace(column, required=False) for column in declared.columns)
    file = DeclaredFile(f"{EVENTS}/{table}", columns, True, identifiers=identifiers_of(declared))
    paths = list_event_files(folder, table)
    target = f"{FILES}.{quote(f'_{table}{ACKNOWLEDGED}')}"
    with TemporaryDirectory() as scratch:
        copies = {}
        for number, path in enumerate(paths):
            copy = Path(scratch) / f"{number}.jsonl"
            if _copy_whole_lines(path, copy):
                copies[f"{EVENTS}/{table}/{path.name}"] = copy
        if copies:
            read_files(session, copies, file, target, {})
        else:
            empty = ", ".join(f"{quote(column.name)} {column.type}" for column in columns)
            session.execute(f"create table {target} ({empty})")
    key = ", ".join(map(quote, declared.key))
    # A request that was sent again has the same key; its rows differ in nothing else, or the first by its values stays.
    order = ", ".join(quote(column.name) for column in columns)
    session.execute(
        f"create view {FILES}.{quote(f'{table}{ACKNOWLEDGED}')} as select * from {target} "
        f"qualify {quote(declared.key[0])} is null or row_number() over (partition by {key} order by {order}) = 1"
    )
    return list(copies)


def _copy_whole_lines(path: Path, copy: Path) -> int:
    """Copy a file up to its last line feed: what follows is being written, or was not finished. Bytes copied.

    A copy, because the file grows while it is read.
    """
    whole = _measure_whole(path)
    with path.open("rb") as source, copy.open("wb") as target:
        left = whole
        while left and (block := source.read(min(left, 1 << 22))):
            target.write(block)
            left -= len(block)
    return whole


def _measure_whole(path: Path) -> int:
    """Bytes of a file up to and with its last line feed."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - (1 << 16))
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            end = begin
    return 0


def find_unfinished(folder: Path | None, table: str) -> list[str]:
    """One sentence per file of a table whose last line is not finished, and so is not landed."""
    return [
        f"{EVENTS}/{table}/{path.name}: its last line is not finished and is left out; it is landed once it is."
        for path in list_event_files(folder, table)
        if _measure_whole(path) < path.stat().st_size
    ]


def list_all_event_files(home: Path) -> list[Path]:
    """Every file of events of a home, by table and name."""
    return [path for table in TABLES for path in list_event_files(home / EVENTS, table)]


def list_rows(path: Path) -> Iterator[tuple[bytes, dict]]:
    """The lines of a file of events and what they hold; what is no object is an empty one."""
    with path.open("rb") as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                row = {}
            yield line, row if isinstance(row, dict) else {}


def is_row_of(row: dict, customers: Collection[str], visitors: Collection[str]) -> bool:
    """Whether a row is a person's: under their id or one of their addresses, or of one of their visitors and nobody else's."""
    customer = str(row.get("customer_id") or "").strip()
    if not customer:
        return str(row.get("visitor_id") or "").strip() in visitors
    return customer in customers or ("@" in customer and normalise_address(customer) in customers)


def purge_events(path: Path, customers: Collection[str], visitors: Collection[str]) -> int:
    """Write a file again without a person's rows; how many there were. The caller holds the lock.

    Written aside and renamed: whoever appends opens the file anew under the lock.
    """
    aside = path.with_suffix(".next")
    left_out = 0
    with aside.open("wb") as file:
        for line, row in list_rows(path):
            # Of a line that was never finished nobody can tell more than what it holds.
            broken = not row and any(json.dumps(name)[1:-1].encode() in line for name in customers)
            if broken or is_row_of(row, customers, visitors):
                left_out += 1
            else:
                file.write(line)
    sync(aside)
    aside.replace(path)
    sync(path.parent)
    return left_out
