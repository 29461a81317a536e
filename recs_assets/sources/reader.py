"""Reading one declared table strictly, from a file or from several: CSV, Parquet, JSON (array), JSON lines, a spreadsheet,
a feed in XML.

Columns and types are declared, never guessed. Whatever does not fit its declaration is a
`SourceError` of one plain sentence with file, column and line (or row) and what to do. A
value is quoted in it only where it cannot be an email address.

CSV and JSON are read as text first and cast by one set of rules, because DuckDB's own casts
are lenient where a shop's export must not be ('1.5' becomes the integer 2, '1_000' becomes
1000, a CSV reader and a JSON reader differ). Parquet carries its types, so it is checked
by its schema and stays a view: nothing is copied before the one landing step.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tempfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import duckdb

from recs_assets.schema import SourceError
from recs_assets.sources.copies import Copies
from recs_assets.sources.declared import DeclaredFile, file_format, shorten_error
from recs_assets.sources.encoding import transcode
from recs_assets.sources.partitions import leave_partitions, list_columns
from recs_assets.sources.reader_csv import read_csv
from recs_assets.sources.reader_feed import read_feed
from recs_assets.sources.reader_json import read_json
from recs_assets.sources.reader_parquet import read_parquet
from recs_assets.sources.reader_spreadsheet import read_spreadsheet
from recs_assets.sql_text import quote


def read_manifest(folder: Path) -> dict[str, dict]:
    """Entries of `manifest.json` by file name; none where there is no manifest.

    Raises:
        SourceError: it is not an object of objects.
    """
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return {}
    try:
        entries = json.loads(manifest.read_text("utf-8-sig"))
    except ValueError:
        entries = None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise SourceError(
            'manifest.json must look like {"orders.csv": {"rows": 123, "sha256": "..."}}: '
            "write it again or remove it."
        )
    return entries


def check_manifest(entry: Mapping[str, object], name: str, path: Path, rows: int | None = None) -> bool:
    """Compare a file with its entry in `manifest.json`.

    A file cut off exactly at the end of a row looks whole; only a promise made by whoever
    wrote it can tell. Without `rows` the sha256 is compared, with `rows` the row count.

    Args:
        entry: of the file; empty where the manifest does not list it.
        name: of the file, for errors.
        path: the file.
        rows: rows read from it.

    Returns:
        Whether the manifest vouches for the file (by either figure).

    Raises:
        SourceError: the entry is not as it must be, or the file does not keep its promise.
    """
    promised_rows, promised_hash = entry.get("rows"), entry.get("sha256")
    unknown = set(entry) - {"rows", "sha256"}
    if unknown or not isinstance(promised_rows, int | None) or not isinstance(promised_hash, str | None):
        raise SourceError(
            f"manifest.json: the entry of {name} may hold only rows (a whole number) and sha256 (text)."
        )
    if rows is None and promised_hash is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != promised_hash.lower():
            raise SourceError(
                f"{name}: its sha256 is {found[:12]}..., manifest.json says {promised_hash[:12]}...: "
                "the file changed or was cut off on its way; copy it again."
            )
    if rows is not None and promised_rows is not None and rows != promised_rows:
        raise SourceError(
            f"{name}: it holds {rows} rows, manifest.json says {promised_rows}: "
            "the file was cut off or written again; copy it again, or correct the manifest."
        )
    return promised_rows is not None or promised_hash is not None


def read_file(con: duckdb.DuckDBPyConnection, path: Path, declared: DeclaredFile, target: str) -> int:
    """Read a table that is one file; its manifest is `manifest.json` in the same folder (`read_files`)."""
    return read_files(con, {declared.name: path}, declared, target, read_manifest(path.parent))


def read_files(
    con: duckdb.DuckDBPyConnection,
    files: Mapping[str, Path],
    declared: DeclaredFile,
    target: str,
    promised: Mapping[str, Mapping[str, object]],
    copies: Copies | None = None,
) -> int:
    """Read the files of one declared table, one after the other, into the table or view `target`.

    Times without an offset are local to the session's `TimeZone`; the caller sets it.

    Args:
        con: connection whose `target` schema exists.
        files: where each file is, by the name that errors and the manifest give it; the caller has made
            sure that they may be read.
        declared: their columns and types.
        target: qualified SQL name to create.
        promised: the manifest's entries by file name.
        copies: of the landing, which may keep what is read, or have it. Default: none are kept.

    Returns:
        Number of rows.

    Raises:
        SourceError: a file is missing, empty, cut off, or not as declared.
    """
    schema, total = target.split(".")[0], 0
    if copies is not None:
        copies.forget_others(declared, files)
    first: tuple[str, list[str]] | None = None
    parts = []
    for number, (name, path) in enumerate(files.items()):
        alone = len(files) == 1 and not declared.dialect.partitions
        part = target if alone else f"{schema}.{quote(f'_{declared.stem}_{number}')}"
        own = leave_partitions(declared)
        rows, present = _read_one(con, path, name, own, part, promised.get(name, {}), copies)
        if first is None:
            first = name, present
        require_alike(declared, name, present, *first)
        total += rows
        parts.append(f"select {list_columns(con, name, declared)} from {part}")
    if parts and not alone:
        con.execute(f"create or replace view {target} as {' union all '.join(parts)}")
    if total == 0 and not declared.may_be_empty:
        raise SourceError(
            f"{declared.name}: it declares columns but holds 0 rows; export it again with its rows."
        )
    return total


def require_alike(
    declared: DeclaredFile, name: str, present: Collection[str], first: str, first_present: Collection[str]
) -> None:
    """Raise a SourceError where a part of a table has other columns than its first one, and that matters."""
    if declared.alike and set(present) != set(first_present):
        column = min(set(present) ^ set(first_present))
        lacks, has = (name, first) if column in first_present else (first, name)
        raise SourceError(
            f"{lacks}: column {column!r} is missing, which {has} has; write all parts of "
            f"{declared.name} with the same columns."
        )


def read_copy(con: duckdb.DuckDBPyConnection, path: Path, declared: DeclaredFile, target: str) -> None:
    """Read the copy of a table in a database into the view `target`.

    Raises:
        SourceError: it holds no rows, or a value that is none.
    """
    rows, _ = read_parquet(con, path, declared.name, declared, target, lambda _: "")
    if rows == 0 and not declared.may_be_empty:
        raise SourceError(
            f"{declared.name}: it holds 0 rows; say may_be_empty = true in source.toml if that may be."
        )


def _read_one(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    name: str,
    declared: DeclaredFile,
    target: str,
    promise: Mapping[str, object],
    copies: Copies | None,
) -> tuple[int, list[str]]:
    """Read one file; its rows, and which of the declared columns it has."""
    _, kind, zipped = file_format(name)
    if not path.is_file():
        raise SourceError(f"{name}: the file is missing in {path.parent}; put it there.")
    if path.stat().st_size == 0:
        raise SourceError(f"{name}: the file is empty (0 bytes); export it again.")
    vouched = check_manifest(promise, name, path)
    stamp = None
    if copies is not None and kind != "parquet":
        zone = con.execute("select current_setting('TimeZone')").fetchone()
        stamp = copies.stamp(path, declared, zone, vouched)
        if (found := copies.find_rows(con, name, declared, stamp, target)) is not None:
            check_manifest(promise, name, path, found[0])
            return found
    try:
        with unzip(path, name) if zipped else nullcontext(path) as readable:
            if kind == "parquet":
                rows, present = read_parquet(con, readable, name, declared, target)
            elif kind == "sheet":
                rows, present = read_spreadsheet(con, readable, name, declared, target)
            elif kind == "xml":
                rows, present = read_feed(con, readable, name, declared, target)
            else:
                with transcode(readable, name, declared.dialect.encoding) as text:
                    if kind in ("json", "jsonl"):
                        rows, present = read_json(
                            con, text, name, kind == "jsonl" or declared.dialect.lines, declared, target
                        )
                    else:
                        rows, present = read_csv(con, text, name, str(kind), declared, target, vouched)
    except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
        raise SourceError(f"{name}: it cannot be read ({shorten_error(error)}); export it again.") from None
    check_manifest(promise, name, path, rows)
    if copies is not None and stamp is not None and stamp == copies.stamp(path, declared, zone, vouched):
        copies.keep_rows(con, name, declared, stamp, target, rows, present)
    return rows, present


@contextmanager
def unzip(path: Path, name: str) -> Iterator[Path]:
    """A copy of a gzip file as the text it holds: errors name its lines."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "unzipped"
        try:
            with gzip.open(path) as packed, copy.open("wb") as out:
                shutil.copyfileobj(packed, out, 1 << 22)
        except EOFError:
            raise SourceError(
                f"{name}: the gzip file is cut off (its end is missing); copy it again."
            ) from None
        except gzip.BadGzipFile:
            raise SourceError(
                f"{name}: it is not a gzip file, or is damaged; compress it again, or leave out .gz."
            ) from None
        except zlib.error:
            raise SourceError(f"{name}: the gzip file is damaged; copy it again.") from None
        if copy.stat().st_size == 0:
            raise SourceError(f"{name}: the file is empty (0 bytes once unpacked); export it again.")
        yield copy
