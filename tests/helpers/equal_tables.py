"""Whether two snapshots publish the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
from upath import UPath

from recs_assets.store.connect import read_stores

# What names the run and the moment, not the week.
OF_THE_RUN = {"run_id", "published_at", "snapshot_file", "suppression_checked_at"}


def find_differences(one: Path, other: Path, stores: Sequence[UPath] = ()) -> dict[str, str]:
    """`recs.<table>` -> how the two differ: in their columns, or in how many rows. Empty: they are equal.

    Args:
        one: a snapshot.
        other: likewise.
        stores: lakes in object stores that one of them reads.
    """
    with duckdb.connect() as connection:
        read_stores(connection, stores)
        connection.execute(f"attach '{one}' as one (read_only)")
        connection.execute(f"attach '{other}' as other (read_only)")
        shapes = [_list_columns(connection, name) for name in ("one", "other")]
        found = {}
        for table in sorted(shapes[0].keys() | shapes[1].keys()):
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


def count_rows(file: Path, stores: Sequence[UPath] = ()) -> dict[str, int]:
    """Rows per table."""
    with duckdb.connect(str(file), read_only=True) as connection:
        read_stores(connection, stores)
        [(name,)] = connection.execute("select current_database()").fetchall()
        return {
            table: _count(connection, f"select * from {table}") for table in _list_columns(connection, name)
        }


def _list_columns(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, list[tuple[str, str]]]:
    tables: dict[str, list[tuple[str, str]]] = {}
    for table, column, type_ in connection.execute(
        "select concat(schema_name, '.', table_name), column_name, data_type from duckdb_columns() "
        "where database_name = ? and schema_name = 'recs' and not internal order by 1, column_index",
        [name],
    ).fetchall():
        tables.setdefault(table, []).append((column, type_))
    return tables


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    [(rows,)] = connection.execute(f"select count(*) from ({query})").fetchall()
    return rows
