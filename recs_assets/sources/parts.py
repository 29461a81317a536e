"""Landing the files of one table apart from each other, as workers of an engine do it (docs/scale.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd

from recs_assets.locations import copy_here, explain_refusal, is_within, locate
from recs_assets.schema import RAW_TABLES, SourceError, Table
from recs_assets.sources.declared import DeclaredFile, file_format
from recs_assets.sources.folder import list_parts
from recs_assets.sources.forgotten import Erased
from recs_assets.sources.identifiers import BY_ADDRESS
from recs_assets.sources.landing import find_forgotten, leave_out_forgotten, select_declared
from recs_assets.sources.reader import read_files, read_manifest, require_alike
from recs_assets.sources.reader_parquet import require_whole
from recs_assets.sources.session import explain_unreadable, open_session, require_inside
from recs_assets.sources.source import Source, declare_canonical, list_event_files, list_files_now
from recs_assets.sources.statement import FILES
from recs_assets.sql_text import quote, quote_text
from recs_assets.store.build import read_frames
from recs_assets.store.connect import NO_DOWNLOADS, read_stores
from recs_assets.store.lake import read_files as read_lake
from recs_assets.store.lake import write_file

if TYPE_CHECKING:
    from recs_assets.locations import Location


@dataclass(frozen=True)
class Parts:
    """The files of a canonical table, each of which can be landed without the others; plain values, for JSON.

    Attributes:
        table: its name.
        timezone: the shop's.
        ignored: columns that may be there.
        files: of each, its name, its path or URL, how many rows the files before it and it have, and its entry in the manifest.
        gone: columns and their values that lead to somebody forgotten.
        visitors: that somebody forgotten was.
    """

    table: str
    timezone: str
    ignored: Sequence[str]
    files: Sequence[Mapping[str, Any]]
    gone: Sequence[tuple[str, list[str]]]
    visitors: Sequence[str]

    @property
    def names(self) -> list[str]:
        return [file["name"] for file in self.files]

    @property
    def rows(self) -> int:
        """Of all files, before anybody is left out."""
        return self.files[-1]["rows_before"] + self.files[-1]["rows"]


def find_parts(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    table: Table,
    data_dir: Path,
    timezone: str,
    root: Path | None,
    erased: Erased | None,
    shared: Location,
) -> Parts | None:
    """The files of a table that can be landed apart: Parquet that holds a canonical table as it is. None: they cannot be.

    Rows of the shop's SQL may come from any row of its files; what the API acknowledged, and withdrawals by address, are
    compared with other rows.

    Args:
        con: open connection; nothing is written to it.
        source: where the rows come from.
        table: one of the source's `raw_tables`.
        data_dir: as in `land`.
        timezone: as in `land`.
        root: as in `land`.
        erased: as in `land`.
        shared: lake that workers find, too; files elsewhere they may not find.

    Raises:
        SourceError, SettingsError: as `land`, as far as names, columns and the number of rows go.
    """
    if (
        not source.canonical
        or table.name not in RAW_TABLES
        or (table.name, "customer_id") in BY_ADDRESS
        or list_event_files(source.events, table.name)
    ):
        return None
    source = list_files_now(source, data_dir)
    file = next((file for file in source.files if file.stem == table.name), None)
    if file is None or file.database is not None:
        return None
    names = list_parts(data_dir, file)
    if any(file_format(name)[1] != "parquet" for name in names):
        return None
    paths: dict[str, Location]
    if source.mirror is None:
        paths = {name: require_inside(data_dir / name, root or data_dir) for name in names}
    else:
        paths = {name: locate(source.mirror.url) / name for name in names}
    if not all(is_within(path, shared.resolve()) for path in paths.values()):
        return None
    promised, before, files = read_manifest(data_dir), 0, []
    first: tuple[str, set[str]] | None = None
    for name, path in paths.items():
        with explain_refusal(shared):
            rows, present = _read_end(con, name, path, file)
        first = first or (name, present)
        require_alike(file, name, present, *first)
        promise = dict(promised.get(name, {}))
        files.append(
            {"name": name, "path": str(path), "rows_before": before, "rows": rows, "promised": promise}
        )
        before += rows
    if before == 0 and not file.may_be_empty:
        raise SourceError(
            f"{file.name}: it declares columns but holds 0 rows; export it again with its rows."
        )
    sql = source.sql(table.name)
    assert sql is not None, "a canonical file has its SELECT"
    with open_session(con, timezone) as session:
        gone, visitors = find_forgotten(session, source, table, sql, erased, data_dir, root)
    return Parts(table.name, timezone, file.ignored, files, gone, visitors)


def _read_end(
    con: duckdb.DuckDBPyConnection, name: str, path: Location, file: DeclaredFile
) -> tuple[int, set[str]]:
    """What the end of a Parquet file says: how many rows it has, and which of the declared columns."""
    if not path.is_file():
        raise SourceError(f"{name}: the file is missing in {path.parent}; put it there.")
    require_whole(path, name)
    text = quote_text(str(path))
    try:
        [(rows,)] = con.execute(f"select num_rows from parquet_file_metadata({text})").fetchall()
        there = con.execute(
            f"describe select * from read_parquet({text}, hive_partitioning=false)"
        ).fetchall()
    except duckdb.Error as error:
        raise explain_unreadable(name, error) from None
    return rows, {column.name for column in file.columns} & {column for column, *_ in there}


def land_part(parts: Parts, number: int, target: Location) -> None:
    """Write the rows of one of the files that are landed, with their numbers in the table, as a file of the lake.

    Args:
        parts: the table's files.
        number: which of them.
        target: the file, written whole or not at all.

    Raises:
        SourceError: the file or a value is not as declared.
    """
    file, table = parts.files[number], RAW_TABLES[parts.table]
    name = file["name"]
    # Whether the table may be empty was asked of all its files.
    declared = replace(declare_canonical(name, table, tuple(parts.ignored)), may_be_empty=True)
    kept, values = leave_out_forgotten(parts.gone, parts.visitors)
    with (
        copy_here(locate(file["path"])) as path,
        duckdb.connect(config={"threads": 1, "temp_directory": gettempdir(), **NO_DOWNLOADS}) as con,
        open_session(con, parts.timezone) as session,
    ):
        session.execute(f"attach ':memory:' as {FILES}")
        relation = f"{FILES}.{quote(table.name)}"
        read_files(session, {name: path}, declared, relation, {name: file["promised"]})
        rows = select_declared(session, table, name, f"select * from {relation}")
        numbered = f"select *, {file['rows_before']} + row_number() over () as file_row from ({rows}) {kept}"
        try:
            write_file(session, numbered, target, values)
        except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
            raise explain_unreadable(name, error) from None


def read_landed(target: Location, size: int) -> Iterator[pd.DataFrame]:
    """The rows of a file that `land_part` wrote, as the table has them, in frames of so many rows."""
    with duckdb.connect(config={"threads": 1, **NO_DOWNLOADS}) as con:
        read_stores(con, [target])
        yield from read_frames(con, f"(select * exclude (file_row) from {read_lake([target])})", size)
