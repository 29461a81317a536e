"""Weeks whose tables lie in the lake, written by DuckDB in an engine's place."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb

from recs_assets.locations import list_files
from recs_assets.store.lake import give_tables, show_tables
from recs_assets.store.warehouse import Warehouse


def move_to_lake(house: Warehouse, week: date) -> dict[str, Path]:
    """What a week's build file has alone, moved to the lake; `<schema>.<table>` -> folder."""
    build = house.build(week)
    folder = house.prepare_lake(build)
    with build.read() as connection:
        given = give_tables(connection, folder / "made")
    with build.write() as connection:
        show_tables(connection, given)
    return given


def list_lake(house: Warehouse) -> list[str]:
    """The files of the lake."""
    return sorted(str(path).removeprefix(f"{house.lake}/") for path in list_files(house.lake))


def list_own_tables(path: Path) -> list[str]:
    """The tables whose rows a DuckDB file holds itself."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return [
            name
            for (name,) in connection.execute("select table_name from duckdb_tables() order by 1").fetchall()
        ]
