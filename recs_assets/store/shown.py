"""Tables of the snapshot that are views over files of the lake: what an engine made is published where it lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import duckdb

from recs_assets.store.lake import (
    LakeFile,
    describe_file,
    leave_out,
    name_files,
    read_files,
    select_as,
    write_file,
)
from recs_assets.store.tables import Comments, comment_on, list_tables, list_types

if TYPE_CHECKING:
    from recs_assets.locations import Location

# Columns of weekly tables that an earlier version called by another name: a week that is carried over keeps them.
OLD_NAMES = {
    "email_recommendations": {"title": "product_name", "sent_before": "repeat"},
}


def show_published(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    origin: str,
    files: Sequence[LakeFile],
    comments: Mapping[str, Comments],
) -> None:
    """Create a view of schema recs in the snapshot, with the columns that the table has in an attached database.

    Args:
        connection: that has `snapshot` and the origin attached.
        table: its name.
        origin: the database.
        files: of all its weeks; `lake.files` of the snapshot says of each how many rows it has and their hash.
        comments: of the database (`load_comments`).
    """
    declared = list_types(connection, origin, table)
    selected, described, parts = {}, [], []
    for week in dict.fromkeys(file.as_of for file in files):
        of_week = [file for file in files if file.as_of == week]
        stored = describe_file(connection, of_week[0].path)
        selected[week] = select_as(stored, declared, OLD_NAMES.get(table))
        parts.append(f"select {selected[week]} from {read_files(file.path for file in of_week)}")
        described += [_describe(connection, file, selected[week]) for file in of_week]
    connection.execute(f'create view snapshot.recs."{table}" as {" union all ".join(parts)}')
    comment_on(connection, "view", table, comments)
    name_files(connection, f"recs.{table}", described, "snapshot")


def _describe(connection: duckdb.DuckDBPyConnection, file: LakeFile, selected: str) -> LakeFile:
    """The file with the count and the hash of its rows."""
    if file.content is not None:
        return file
    [(rows, content)] = connection.execute(
        f"select count(*), sum(hash(t)::hugeint) from (select {selected} from {read_files([file.path])}) as t"
    ).fetchall()
    return replace(file, rows=rows, content=content or 0)


def _list_weeks(
    connection: duckdb.DuckDBPyConnection, origin: str, table: str, files: Sequence[LakeFile]
) -> list[date]:
    """The weeks of which a weekly table of an attached database, which may be a view over files, has rows."""
    if files:
        return sorted({file.as_of for file in files if file.as_of is not None and file.rows})
    return [
        week
        for (week,) in connection.execute(
            f'select distinct as_of from {origin}.recs."{table}" order by as_of'
        ).fetchall()
    ]


def choose_weeks(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    week: date,
    last: date,
    others: int,
    origins: Sequence[str],
    lake: Callable[[str], Mapping[str, Sequence[LakeFile]]],
) -> dict[date, str]:
    """The newest `others` weeks of a table besides `week`, and which version has them: what the first of `origins`
    holds, and of the weeks before `last` what only another does."""
    found: dict[date, str] = {}
    for origin in origins:
        if table in list_tables(connection, origin):
            for one in _list_weeks(connection, origin, table, lake(origin).get(table, [])):
                if one != week and (origin == origins[0] or one < last):
                    found.setdefault(one, origin)
    return {one: found[one] for one in sorted(sorted(found, reverse=True)[:others])}


def take_weeks(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    weeks: Mapping[date, str],
    lake: Callable[[str], Mapping[str, Sequence[LakeFile]]],
    is_still: str | None,
    folder: Location,
) -> list[LakeFile]:
    """The files of weeks of a table that other versions hold.

    Args:
        connection: that has the versions attached, and `build`, which makes the newest week.
        table: a weekly one.
        weeks: week -> the version that has it.
        lake: version -> its tables that are views over files.
        is_still: condition of the rows that stay, of a table with a customer_id.
        folder: into which weeks that lie in a version itself are written, and files without some of their rows: those that
            are there may lie in the lake of the home that this one is a copy of.
    """
    taken = []
    shape = list_types(connection, "build", table)
    for week, origin in sorted(weeks.items()):
        there = list_types(connection, origin, table)
        if files := lake(origin).get(table):
            of_week = [file for file in files if file.as_of == week]
            if there != shape:
                of_week = [replace(file, content=None) for file in of_week]
        else:
            path = folder / f"recs.{table}" / f"{week}.parquet"
            write_file(
                connection, f"select * from {origin}.recs.\"{table}\" where as_of = date '{week}'", path
            )
            of_week = [LakeFile(str(path), week)]
        kept = is_still if "customer_id" in there else None
        taken += keep_rows(connection, of_week, kept, folder / f"recs.{table}" / str(week))
    return taken


def keep_rows(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[LakeFile],
    kept: str | None,
    folder: Location | None = None,
) -> list[LakeFile]:
    """The files, and in place of those that hold rows which fail a condition others without these rows (`leave_out`)."""
    replaced = leave_out(connection, files, kept, folder) if kept else {}
    return [replaced.get(file.path, file) for file in files]
