"""The shop of the dbt tests with tables of its own, built with dbt once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date

import duckdb
import pytest

from helpers.dbt_build import PROJECT, VARS, Warehouse, create_model, create_raw
from helpers.declared_tables import FILES, ROWS, SHARED_FILES, write_files
from recs_assets.dbt_process import DbtProcess
from recs_assets.declared_tables.dbt import write_project
from recs_assets.declared_tables.file import Tables, load_tables

WEEK, TEST = date(2024, 3, 4), date(2024, 2, 5)


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return load_tables(write_files(tmp_path_factory.mktemp("shop") / "tables", **FILES, **SHARED_FILES))


@pytest.fixture(scope="session")
def build(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Warehouse]]:
    """Function: every model that the declared ones need, on the raw rows after `statements`."""
    folder = tmp_path_factory.mktemp("declared")
    dbt = DbtProcess(write_project(PROJECT, folder / "project", tables))

    def run(name: str, *statements: str, **more: object) -> Warehouse:
        path = folder / name / "build.duckdb"
        path.parent.mkdir()
        with duckdb.connect(str(path)) as connection:
            create_raw(connection)
            create_model(connection)
            # Everybody is one person: no profiles are matched here but those that a test matches.
            connection.execute("delete from model.customer_identities")
            for table in tables.values():
                columns = ", ".join(
                    f"{c.name} {c.type.replace('TIMESTAMPTZ', 'TIMESTAMP')}" for c in table.raw.columns
                )
                connection.execute(f"create table raw.{table.name} ({columns})")
                places = ", ".join("?" * len(table.columns))
                connection.executemany(f"insert into raw.{table.name} values ({places})", ROWS[table.name])
            for statement in statements:
                connection.execute(statement)
        succeeded, results = dbt.run(
            ["build", "--select", "+fqn:recs.declared", "+int_rows_rejected", "+int_quarantine_shares", "+products", "+int_product_prices_anchored",
             "--indirect-selection", "cautious", "--exclude-resource-type", "unit_test", "--vars", json.dumps(VARS | more)],
            {"RECS_BUILD_DB": str(path), "RECS_MEMORY_LIMIT": "1GB"},
            folder / name / "target",
        )  # fmt: skip
        assert succeeded, [result for result in results if result.failed]
        return Warehouse(path, folder / name / "target")

    yield run
    dbt.stop()


@pytest.fixture(scope="session")
def built(build: Callable[..., Warehouse]) -> Warehouse:
    return build("built")
