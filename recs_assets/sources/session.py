"""A DuckDB session in which the files of a source can be read, and nothing else."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from recs_assets.schema import RAW_TABLES, Column, SettingsError, SourceError
from recs_assets.sources.acknowledged import read_acknowledged
from recs_assets.sources.declared import shorten_error
from recs_assets.sources.folder import (
    list_parts,
)
from recs_assets.sources.reader import read_copy, read_files, read_manifest
from recs_assets.sources.source import ACKNOWLEDGED, Source, check_zone, list_event_files
from recs_assets.sources.statement import FILES, list_tables_read
from recs_assets.sql_text import quote, quote_text

# The name under which a source's files are attached belongs to the whole DuckDB instance.
_FILES_LOCK = threading.Lock()


def find_stored_type(column: Column) -> str:
    """Type in the raw table: times are stored local to the shop."""
    return "TIMESTAMP" if column.type == "TIMESTAMPTZ" else column.type


@contextmanager
def open_session(con: duckdb.DuckDBPyConnection, timezone: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A cursor of `con` whose times are the shop's, whatever the operating system's zone is."""
    session = con.cursor()
    try:
        session.execute(f"set TimeZone = {quote_text(check_zone(timezone))}")
        yield session
    finally:
        session.close()


@contextmanager
def keep_nothing_new(source: Source) -> Iterator[None]:
    """Read without leaving anything in the home: nobody looks here for those who were forgotten."""
    try:
        yield
    finally:
        if source.copies is not None:
            source.copies.forget()


@contextmanager
def attach_files(
    session: duckdb.DuckDBPyConnection,
    source: Source,
    sql: str,
    sql_name: str,
    data_dir: Path,
    root: Path | None,
) -> Iterator[tuple[str, ...]]:
    """Read the files that `sql` names as `files.<stem>`; yields their names."""
    by_stem = {file.stem: file for file in source.files}
    columns = {stem: [column.name for column in file.columns] for stem, file in by_stem.items()}
    for table in RAW_TABLES.values():
        if list_event_files(source.events, table.name):
            columns[table.name + ACKNOWLEDGED] = list(table.column_names)
    where = f"source {source.name!r} ({sql_name})"
    stems = sorted(list_tables_read(session, where, sql, columns))
    promised = read_manifest(data_dir)
    read: list[str] = []
    with _FILES_LOCK:
        session.execute(f"attach ':memory:' as {FILES}")
        try:
            for stem in stems:
                if stem.endswith(ACKNOWLEDGED):
                    read += read_acknowledged(session, source.events, stem.removesuffix(ACKNOWLEDGED))
                    continue
                file = by_stem[stem]
                if file.database is not None:
                    assert source.copies is not None, "a landing begins with list_files_now"
                    path = source.copies.copy_table(file)
                    read_copy(session, path, file, f"{FILES}.{quote(stem)}")
                    read.append(file.name)
                    continue
                names = list_parts(data_dir, file)
                if source.mirror is not None:
                    assert source.copies is not None, "a landing begins with list_files_now"
                    source.copies.note_fetched(data_dir, names, source.mirror.fetch(names))
                paths = {name: require_inside(data_dir / name, root or data_dir) for name in names}
                read_files(session, paths, file, f"{FILES}.{quote(stem)}", promised, source.copies)
                read += names
            yield tuple(read)
        finally:
            session.execute(f"detach {FILES}")


def require_inside(path: Path, root: Path) -> Path:
    """Follow links and refuse what leaves the root; DuckDB reads `*?[` in a path as a pattern."""
    real, top = path.resolve(), root.resolve()
    if not real.is_relative_to(top):
        raise SettingsError(
            f"{path.name}: it lies outside {top} (it is a link to {real}); copy the file there, or "
            f"set RECS_DATA_ROOT."
        )
    if re.search(r"[*?\[]", str(real)):
        raise SettingsError(f"{real}: a path with *, ? or [ cannot be read; rename the folder.")
    return real


def strip_semicolon(sql: str) -> str:
    return sql.strip().rstrip(";")


@contextmanager
def run_in_transaction(session: duckdb.DuckDBPyConnection) -> Iterator[None]:
    session.execute("begin")
    try:
        yield
    except BaseException:
        session.execute("rollback")
        raise
    session.execute("commit")


def explain_unreadable(where: str, error: duckdb.Error) -> SourceError:
    return SourceError(f"{where}: it cannot be read ({shorten_error(error)}); correct it or export again.")
