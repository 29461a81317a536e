"""Whether two snapshots publish the same."""

from __future__ import annotations

from pathlib import Path

import duckdb

# What names the run and the moment, not the week.
OF_THE_RUN = {"run_id", "published_at", "snapshot_file", "suppression_checked_at"}


def find_differences(one: Path, other: Path) -> dict[str, str]:
    """Table of schema recs -> how the two differ: in their columns, or in how many rows. Empty: they are equal."""
    with duckdb.connect() as connection:
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
                _count(connection, f"select {names} from {a}.recs.{table} except all select {names} from {b}.recs.{table}")
                for a, b in (("one", "other"), ("other", "one"))
            ]  # fmt: skip
            if any(lacking):
                found[table] = f"{lacking[0]} rows are in the first alone, {lacking[1]} in the other alone"
    return found


def count_rows(snapshot: Path) -> dict[str, int]:
    """Rows per table of schema recs."""
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'recs' order by 1"
        ).fetchall()
        return {name: _count(connection, f'select * from recs."{name}"') for (name,) in tables}


def _list_columns(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, list[tuple[str, str]]]:
    tables: dict[str, list[tuple[str, str]]] = {}
    for table, column, type_ in connection.execute(
        "select table_name, column_name, data_type from information_schema.columns "
        "where table_catalog = $1 and table_schema = 'recs' order by table_name, ordinal_position",
        [name],
    ).fetchall():
        tables.setdefault(table, []).append((column, type_))
    return tables


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    [(rows,)] = connection.execute(f"select count(*) from ({query})").fetchall()
    return rows
