"""Tables of a DuckDB file whose rows lie in the lake: views over Parquet files (docs/scale.md).

A DuckDB file, be it of a week or a version of the snapshot, says in `lake.files` which files its views read. A file of the
lake never changes. Who needs other rows writes another file and names that one; so a reader sees a table as it was or as
it is, a killed run leaves nothing but files that nobody names, and those may be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from recs_assets.locations import (
    delete_empty_folders,
    delete_files,
    list_files,
    list_parquet,
    locate,
    write_whole_file,
)
from recs_assets.sql_text import quote_text

if TYPE_CHECKING:
    from recs_assets.locations import Location

# Rows of a group of rows in a file: a block of customers is some of them.
GROUP_ROWS = 122_880


@dataclass(frozen=True)
class LakeFile:
    """A Parquet file that a view reads.

    Attributes:
        path: absolute, or a URL.
        as_of: the week of its rows, in the weekly tables of a snapshot.
        rows: how many; None: not counted yet.
        content: sum of the rows' hashes as the view shows them; None: not computed yet.
    """

    path: str
    as_of: date | None = None
    rows: int | None = None
    content: int | None = None


def load_files(
    connection: duckdb.DuckDBPyConnection, database: str | None = None, shown: bool = True
) -> dict[str, list[LakeFile]]:
    """`<schema>.<table>` -> the files of its rows.

    Args:
        connection: to the database, or to one that it is attached to.
        database: its name; None: the one that is open.
        shown: whether only relations count that are views over their files; the others are tables again, or views that
            DuckDB made, whose rows the engine wrote, too.
    """
    [(name, there)] = connection.execute(
        "select coalesce($1, current_database()), exists (select 1 from duckdb_tables() where schema_name = 'lake' "
        "and table_name = 'files' and database_name = coalesce($1, current_database()))",
        [database],
    ).fetchall()
    files: dict[str, list[LakeFile]] = {}
    if there:
        views = (
            "where shown and relation in (select schema_name || '.' || view_name from duckdb_views() where database_name = $1)"
            if shown
            else "where $1 <> ''"
        )
        for relation, *values in connection.execute(
            f'select relation, path, as_of, row_count, content from "{name}".lake.files {views} order by rowid',
            [name],
        ).fetchall():
            files.setdefault(relation, []).append(LakeFile(*values))
    return files


def name_files(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    files: Iterable[LakeFile],
    database: str | None = None,
    shown: bool = True,
) -> None:
    """Write down which files hold the rows of a relation, in place of those before."""
    [(name,)] = connection.execute("select coalesce($1, current_database())", [database]).fetchall()
    connection.execute(f'create schema if not exists "{name}".lake')
    connection.execute(
        f'create table if not exists "{name}".lake.files '
        "(relation varchar, path varchar, as_of date, row_count bigint, content hugeint, shown boolean)"
    )
    connection.execute(f'delete from "{name}".lake.files where relation = $1', [relation])
    rows = [[relation, file.path, file.as_of, file.rows, file.content, shown] for file in files]
    if rows:
        values = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(rows))
        connection.execute(
            f'insert into "{name}".lake.files values {values}', [value for row in rows for value in row]
        )


def read_files(paths: Iterable[str | Location]) -> str:
    """SQL of all rows of files with the same columns, in the order of the files."""
    return f"read_parquet([{', '.join(quote_text(str(path)) for path in paths)}])"


def describe_file(connection: duckdb.DuckDBPyConnection, path: str | Location) -> dict[str, str]:
    """Column -> its type, of a file."""
    rows = connection.execute(f"describe select * from {read_files([path])}").fetchall()
    return {name: kind for name, kind, *_ in rows}


def select_as(
    stored: Mapping[str, str], declared: Mapping[str, str], old_names: Mapping[str, str] | None = None
) -> str:
    """The select list that turns the columns of a file into those of a table.

    A column that the file lacks is read under the name it had in `old_names`, else it is null. An instant becomes a time
    in UTC, whatever zone the reader's session has.
    """
    selected = []
    for name, kind in declared.items():
        there = name if name in stored else (old_names or {}).get(name, name)
        if there not in stored:
            selected.append(f'null::{kind} as "{name}"')
        elif stored[there] == kind.upper():
            selected.append(f'"{there}"' if there == name else f'"{there}" as "{name}"')
        elif stored[there] == "TIMESTAMP WITH TIME ZONE" and kind.upper() == "TIMESTAMP":
            selected.append(f'make_timestamp(epoch_us("{there}")) as "{name}"')
        else:
            selected.append(f'cast("{there}" as {kind}) as "{name}"')
    return ", ".join(selected)


def drop_view(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> None:
    """Drop a view of the open database where there is one: a table cannot replace it."""
    _drop(connection, schema, name, "view")


def _drop(connection: duckdb.DuckDBPyConnection, schema: str, name: str, kind: str) -> None:
    [(there,)] = connection.execute(
        f"select count(*) from duckdb_{kind}s() where schema_name = $1 and {kind}_name = $2 "
        "and database_name = current_database()",
        [schema, name],
    ).fetchall()
    if there:
        connection.execute(f'drop {kind} "{schema}"."{name}"')


def give_tables(connection: duckdb.DuckDBPyConnection, folder: Location) -> dict[str, Location]:
    """Copy the relations of a build file that are not in the lake yet into it.

    Those are what Python wrote since. A raw table gets its rows' numbers, because Spark keeps no order.

    Args:
        connection: to the build file; nothing is written to it.
        folder: below which the copies are made, `<schema>.<table>/0.parquet`.

    Returns:
        `<schema>.<table>` -> folder of its copy.
    """
    there = load_files(connection, shown=False)
    given = {}
    for schema, table, kind in connection.execute(
        "select schema_name, table_name, 'table' from duckdb_tables() where not internal and schema_name <> 'lake' "
        "union all select schema_name, view_name, 'view' from duckdb_views() where not internal order by all"
    ).fetchall():
        relation = f"{schema}.{table}"
        if kind == "table" or relation not in there:
            numbered = ", row_number() over () as file_row" if schema == "raw" else ""
            given[relation] = folder / relation
            write_file(
                connection, f'select *{numbered} from "{schema}"."{table}"', given[relation] / "0.parquet"
            )
    return given


def show_tables(connection: duckdb.DuckDBPyConnection, given: Mapping[str, Location]) -> None:
    """Let a build file read its tables from their copies in the lake, and keep them there only."""
    tables = {
        f"{schema}.{table}": comment
        for schema, table, comment in connection.execute(
            "select schema_name, table_name, comment from duckdb_tables() where not internal"
        ).fetchall()
    }
    for relation, folder in given.items():
        if relation in tables:
            schema, table = relation.split(".")
            columns = connection.execute(
                "select column_name, data_type, comment from duckdb_columns() where schema_name = $1 and table_name = $2 "
                "and database_name = current_database() order by column_index",
                [schema, table],
            ).fetchall()
            show_table(
                connection,
                relation,
                list_parquet(folder),
                {name: kind for name, kind, _ in columns},
                tables[relation],
                {name: text for name, _, text in columns},
            )
        else:
            name_made(connection, relation, list_parquet(folder))


def name_made(connection: duckdb.DuckDBPyConnection, relation: str, paths: Iterable[Location]) -> None:
    """Write down where an engine finds the rows of a view that DuckDB makes."""
    name_files(connection, relation, [LakeFile(str(path)) for path in paths], shown=False)


def unname_files(connection: duckdb.DuckDBPyConnection, relations: Collection[str]) -> None:
    """Forget which files held the rows of relations that DuckDB has made anew: they are not in the lake any more."""
    if load_files(connection, shown=False):
        connection.execute("delete from lake.files where list_contains($1, relation)", [list(relations)])


def list_landed_files(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Raw table, and the names of the files that it was landed from, as landing left them in its comment."""
    return connection.execute(
        "select table_name, comment from duckdb_tables() where schema_name = 'raw' and not internal union all "
        "select view_name, comment from duckdb_views() where schema_name = 'raw' and not internal order by all"
    ).fetchall()


def show_table(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    paths: Sequence[Location],
    declared: Mapping[str, str],
    comment: str | None = None,
    comments: Mapping[str, str | None] | None = None,
) -> None:
    """Make a relation of the open database a view over files, in place of what it was.

    Args:
        connection: to the build file.
        relation: `<schema>.<table>`.
        paths: of the files, all with the same columns.
        declared: column -> type, of the view; empty: all columns as the files have them.
        comment: of the view.
        comments: column -> its comment.
    """
    schema, table = relation.split(".")
    stored = describe_file(connection, paths[0])
    kept = declared or stored
    connection.execute(f'create schema if not exists "{schema}"')
    for kind in ("view", "table"):
        _drop(connection, schema, table, kind)
    connection.execute(
        f'create view "{schema}"."{table}" as select {select_as(stored, kept)} from {read_files(paths)}'
    )
    if comment:
        connection.execute(f'comment on view "{schema}"."{table}" is {quote_text(comment)}')
    for column, text in (comments or {}).items():
        if text and column in kept:
            connection.execute(f'comment on column "{schema}"."{table}"."{column}" is {quote_text(text)}')
    name_files(connection, relation, [LakeFile(str(path)) for path in paths])


def write_file(
    connection: duckdb.DuckDBPyConnection, select: str, path: Location, values: Sequence[object] = ()
) -> None:
    """Write rows as a file of the lake, whole or not at all; `values` are those of the SELECT's parameters."""
    [(scratch,)] = connection.execute("select current_setting('temp_directory')").fetchall()
    with write_whole_file(path, Path(scratch)) as aside:
        connection.execute(
            f"copy ({select}) to {quote_text(str(aside))} "
            f"(format parquet, compression zstd, row_group_size {GROUP_ROWS})",
            list(values),
        )


def leave_out(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[LakeFile],
    kept: str,
    folder: Location | None = None,
) -> dict[str, LakeFile]:
    """Write the files again that hold rows which fail a condition.

    Args:
        connection: any; the condition may name what is attached to it.
        files: with the same columns.
        kept: condition of the rows that stay.
        folder: for the new files; None: each is written beside the one it replaces.

    Returns:
        New file by the path of the old one, of those that were written again.
    """
    if not files:
        return {}
    listed = ", ".join(quote_text(file.path) for file in files)
    held = {
        path
        for (path,) in connection.execute(
            f"select distinct filename from read_parquet([{listed}], filename = true) where not coalesce({kept}, false)"
        ).fetchall()
    }
    replaced = {}
    for file in files:
        if file.path in held:
            old = locate(file.path)
            path = _find_free_name(old if folder is None else folder / old.name)
            write_file(connection, f"select * from {read_files([file.path])} where {kept}", path)
            replaced[file.path] = replace(file, path=str(path), rows=None, content=None)
    return replaced


def _find_free_name(path: Location) -> Location:
    """`<name>.parquet` -> `<name>.1.parquet`, `<name>.2.parquet`, ...: a name that no file of the folder has."""
    stem, _, number = path.stem.rpartition(".")
    if not stem or not number.isdigit():
        stem, number = path.stem, "0"
    taken = int(number)
    while (found := path.with_name(f"{stem}.{taken + 1}.parquet")).exists():
        taken += 1
    return found


def drop_unnamed(root: Location, named: Collection[Location]) -> list[Location]:
    """Delete the files of a lake that no database names, and the folders that are empty then; what was deleted."""
    kept = {path.resolve() for path in named}
    dropped = [path for path in list_files(root) if path.resolve() not in kept]
    delete_files(dropped)
    if isinstance(root, Path):
        delete_empty_folders(root)
    return dropped
