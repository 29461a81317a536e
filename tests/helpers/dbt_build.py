"""A build file on which dbt runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import yaml

from helpers.dbt_model_rows import DYNAMIC, MODEL, MODEL_COLUMNS
from helpers.dbt_rows import RAW
from recs_assets.contracts import model_columns, model_tables
from recs_assets.dbt_process import LOG, DbtProcess
from recs_assets.schema import RAW_TABLES

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "dbt_project"
WEEK, TEST = date(2024, 3, 4), date(2024, 2, 5)
VARS = {
    "as_of": str(WEEK),
    "anchors": [str(WEEK), str(TEST)],
    "horizon_days": 28,
    "loaded_at": "2024-03-05 10:00:00",
}
DBT = DbtProcess(PROJECT)


def properties(kind: str, layer: str = "**") -> Iterator[dict[str, Any]]:
    """What the properties files beside the models of a layer say: `kind` is models, unit_tests, sources, exposures."""
    for path in sorted(PROJECT.glob(f"models/{layer}/*.yml")):
        yield from yaml.safe_load(path.read_text("utf-8")).get(kind, [])


@dataclass(frozen=True)
class Warehouse:
    """A build file, and dbt running on it with the session's vars."""

    path: Path
    target: Path

    def sql(self, query: str) -> list[tuple]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def execute(self, *statements: str) -> None:
        with duckdb.connect(str(self.path)) as connection:
            for statement in statements:
                connection.execute(statement)

    def dbt(self, *arguments: str, fails: bool = False, **more: object) -> str:
        """Run dbt as the weekly run does, with `more` vars; what it printed."""
        log = self.target / LOG
        log.unlink(missing_ok=True)
        environment = {"RECS_BUILD_DB": str(self.path), "RECS_MEMORY_LIMIT": "1GB"}
        options = ["--no-use-colors", "--vars", json.dumps(VARS | more)]
        succeeded, _ = DBT.run([*arguments, *options], environment, self.target)
        output = log.read_text("utf-8")
        assert succeeded != fails, output
        return output

    def copy_to(self, folder: Path) -> Warehouse:
        """A copy under the same file name: DuckDB names the catalogue after it, and views store that."""
        folder.mkdir(exist_ok=True)
        return Warehouse(Path(shutil.copy(self.path, folder)), self.target)

    def move_to(self, folder: Path) -> Warehouse:
        folder.mkdir(exist_ok=True)
        return Warehouse(self.path.rename(folder / self.path.name), self.target)


def create_raw(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("create schema raw")
    for table in RAW_TABLES.values():
        columns = ", ".join(f"{c.name} {c.type.replace('TIMESTAMPTZ', 'TIMESTAMP')}" for c in table.columns)
        connection.execute(f"create table raw.{table.name} ({columns})")
        for row in RAW[table.name]:
            places = ", ".join("?" * len(row))
            connection.execute(
                f"insert into raw.{table.name} ({', '.join(row)}) values ({places})", list(row.values())
            )


def create_model(connection: duckdb.DuckDBPyConnection) -> None:
    """The tables Python writes, with the declared types."""
    connection.execute("create schema model")
    for table in model_tables():
        types = model_columns(table) | DYNAMIC.get(table, {})
        columns = ", ".join(f'"{name}" {type_}' for name, type_ in types.items())
        connection.execute(f"create table model.{table} ({columns})")
        for row in MODEL[table]:
            names = [f'"{name}"' for name in MODEL_COLUMNS.get(table, tuple(types))][: len(row)]
            connection.execute(
                f"insert into model.{table} ({', '.join(names)}) values ({', '.join('?' * len(row))})",
                list(row),
            )
