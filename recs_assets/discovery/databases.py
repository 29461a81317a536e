"""The tables of a database, read as those of a folder are."""

from __future__ import annotations

from pathlib import Path

import duckdb

from recs_assets.discovery.folder import Say, name_stem
from recs_assets.discovery.found import FoundColumn, FoundTable
from recs_assets.discovery.value_types import refine_columns
from recs_assets.schema import Column
from recs_assets.sources.database_tables import DatabaseTable
from recs_assets.sources.databases import copy_table, list_database_tables
from recs_assets.sources.declared import DeclaredFile
from recs_assets.sql_text import quote_text


def list_tables(name: str) -> list[FoundTable]:
    """The tables of a database with their columns, not yet read.

    Args:
        name: of the database; its address is `RECS_DATABASE_<NAME>`.

    Raises:
        SettingsError: there is no address.
        SourceError: the server cannot be reached or refuses.
    """
    tables: list[FoundTable] = []
    for table, types in list_database_tables(name).items():
        found = FoundTable(f"{name}:{table}", name_stem(table, [other.stem for other in tables]), [])
        found.columns = [
            FoundColumn(column, type_, how="as the database has it") for column, type_ in types.items()
        ]
        found.header = tuple(types)
        tables.append(found)
    return tables


def read_tables(con: duckdb.DuckDBPyConnection, tables: list[FoundTable], folder: Path, say: Say) -> None:
    """Copy the rows of tables into files and read them as `files.<stem>`.

    Args:
        con: connection with the database `files` attached.
        tables: of `list_tables`.
        folder: for the copies; it stays until the connection is closed.
        say: is told what is being read.

    Raises:
        SourceError: the server cannot be reached, or holds something else than it said.
    """
    for place, table in enumerate(tables):
        if not table.columns:
            continue
        say(f"Reading {table.name}.")
        database, _, own = table.name.partition(":")
        columns = tuple(Column(column.name, column.type, "", True) for column in table.columns)
        path = folder / f"{place}.parquet"
        copy_table(
            DeclaredFile(table.name, columns, True, database=DatabaseTable(database=database, table=own)),
            path,
        )
        con.execute(f"create view {table.relation} as select * from read_parquet({quote_text(str(path))})")
        table.rows = con.execute(f"select count(*) from {table.relation}").fetchone()[0]
        if table.rows:
            refine_columns(con, table.relation, table.columns)
