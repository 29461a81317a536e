"""Whether two snapshots publish the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
from upath import UPath

from recs_assets.store.connect import read_stores

# What names the run and the moment, not the week.
OF_THE_RUN = {"run_id", "published_at", "snapshot_file", "suppression_checked_at"}


def find_differences(
    one: Path, other: Path, schemas: str = "recs", stores: Sequence[UPath] = ()
) -> dict[str, str]:
    """`<schema>.<table>` -> how the two differ: in their columns, or in how many rows. Empty: they are equal.

    Args:
        one: a snapshot or a build file.
        other: likewise.
        schemas: whose tables are compared, a pattern of SQL's `like`. Views that dbt made in a build file are left
            out: they read it by its name, and it has another here.
        stores: lakes in object stores that one of them reads.
    """
    with duckdb.connect() as connection:
        read_stores(connection, stores)
        connection.execute(f"attach '{one}' as one (read_only)")
        connection.execute(f"attach '{other}' as other (read_only)")
        shapes = [_list_columns(connection, name, schemas) for name in ("one", "other")]
        found = {}
        views = _list_views(connection)
        for table in sorted((shapes[0].keys() | shapes[1].keys()) - views):
            columns = shapes[0].get(table)
            if columns != shapes[1].get(table):
                found[table] = f"columns {columns} and {shapes[1].get(table)}"
                continue
            assert columns is not None
            names = ", ".join(f'"{name}"' for name, _ in columns if name not in OF_THE_RUN)
            lacking = [
                _count(connection, f"select {names} from {a}.{table} except all select {names} from {b}.{table}")
                for a, b in (("one", "other"), ("other", "one"))
            ]  # fmt: skip
            if any(lacking):
                found[table] = f"{lacking[0]} rows are in the first alone, {lacking[1]} in the other alone"
    return found


def count_rows(file: Path, schemas: str = "recs", stores: Sequence[UPath] = ()) -> dict[str, int]:
    """Rows per table."""
    with duckdb.connect(str(file), read_only=True) as connection:
        read_stores(connection, stores)
        [(name,)] = connection.execute("select current_database()").fetchall()
        return {
            table: _count(connection, f"select * from {table}")
            for table in _list_columns(connection, name, schemas).keys() - _list_views(connection)
        }


def _list_columns(
    connection: duckdb.DuckDBPyConnection, name: str, schemas: str
) -> dict[str, list[tuple[str, str]]]:
    tables: dict[str, list[tuple[str, str]]] = {}
    for table, column, type_ in connection.execute(
        "select concat(schema_name, '.', table_name), column_name, data_type from duckdb_columns() "
        "where database_name = $1 and schema_name like $2 and not internal order by 1, column_index",
        [name, schemas],
    ).fetchall():
        tables.setdefault(table, []).append((column, type_))
    return tables


def _list_views(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """`<schema>.<view>` of what is a view of dbt's in some build file, whatever it is in another."""
    found = connection.execute(
        "select concat(schema_name, '.', view_name) from duckdb_views() where sql like '% build.%'"
    ).fetchall()
    return {name for (name,) in found}


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    [(rows,)] = connection.execute(f"select count(*) from ({query})").fetchall()
    return rows
