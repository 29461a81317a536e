"""The tables of a week as Parquet files, which DuckDB and Spark both read and write, while an engine builds."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recs_assets.contracts import columns
from recs_assets.sql_text import quote_text

# Beside the raw tables: the files that each of them was landed from, for the sentences of the gates.
LANDED_FROM = "landed_from"


@dataclass(frozen=True)
class Lake:
    """The tables that one build reads and writes.

    Args:
        folder: a path under which this machine and every worker of the engine find the same files.
    """

    folder: Path

    @property
    def given(self) -> dict[str, Path]:
        """`<schema>.<table>` -> its folder, of what the build can read."""
        return {path.name: path for path in sorted((self.folder / "given").glob("*.*"))}

    def find_made(self, relation: str) -> Path:
        """The folder into which the build writes a table, `<schema>.<table>`."""
        return self.folder / "made" / relation

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Copy all tables and views of a build file.

        A raw table gets its rows' numbers, because Spark keeps no order.
        """
        there = connection.execute(
            "select schema_name, table_name, comment from duckdb_tables() where not internal union all "
            "select schema_name, view_name, comment from duckdb_views() where not internal order by all"
        ).fetchall()
        for schema, table, _ in there:
            numbered = ", row_number() over () as file_row" if schema == "raw" else ""
            self._copy(connection, f"{schema}.{table}", f'select *{numbered} from "{schema}"."{table}"')
        landed = [(table, comment or "") for schema, table, comment in there if schema == "raw"]
        values = ", ".join(
            f"({quote_text(table)}, nullif({quote_text(names)}, ''))" for table, names in landed
        )
        self._copy(
            connection, f"raw.{LANDED_FROM}", f"select * from (values {values}) as t (source_table, names)"
        )

    def read(self, connection: duckdb.DuckDBPyConnection, models: Mapping[str, str]) -> None:
        """Take the tables that the build made into a build file, published ones with the types of their contracts.

        Args:
            connection: to the build file.
            models: `<schema>.<table>` -> name of the model.
        """
        connection.execute("set TimeZone = 'UTC'")  # as Spark's instants are
        for relation, model in models.items():
            schema, table = relation.split(".")
            files = f"read_parquet({quote_text(str(self.find_made(relation) / '*.parquet'))})"
            names = [name for name, *_ in connection.execute(f"describe select * from {files}").fetchall()]
            declared = columns(model) if schema == "recs" else {}
            selected = ", ".join(
                f'cast("{name}" as {declared[name]}) as "{name}"' if name in declared else f'"{name}"'
                for name in names
            )
            connection.execute(f'create schema if not exists "{schema}"')
            # Files are written side by side, in any order.
            order = " order by all" if schema == "recs" else ""
            connection.execute(
                f'create or replace table "{schema}"."{table}" as select {selected} from {files}{order}'
            )

    def _copy(self, connection: duckdb.DuckDBPyConnection, relation: str, select: str) -> None:
        folder = self.folder / "given" / relation
        folder.mkdir(parents=True)
        connection.execute(f"copy ({select}) to {quote_text(str(folder / '0.parquet'))} (format parquet)")


@contextmanager
def open_lake(folder: Path) -> Iterator[Lake]:
    """An empty lake, which is gone at the end: it holds what the build file holds, names and addresses too."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield Lake(folder.resolve())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def name_schemas(home: Path) -> str:
    """What the names of a deployment's schemas begin with, on an engine that others use, too."""
    return f"recs_{hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:8]}_"


def find_lakes(home: Path, root: Path) -> Path:
    """Where the lakes of a deployment are below `RECS_LAKE`, which several may share."""
    return root / name_schemas(home).strip("_")
