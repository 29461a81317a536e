"""Build files small enough to write by hand, and the snapshots published of them."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import duckdb

from recs_assets.known.load import load_planned_offers
from recs_assets.rules.facts import load_facts
from recs_assets.store.snapshots import OTHER_NAME, Published
from recs_assets.store.warehouse import Warehouse

WEEKS = [date(2024, 3, 4), date(2024, 3, 11), date(2024, 3, 18), date(2024, 3, 25)]
FIRST, SECOND, THIRD, FOURTH = WEEKS
NOW = datetime(2024, 3, 25, 6, 0, 0)


Email = tuple[str, int, str]  # customer, slot, product
EMAILS: list[Email] = [("c1", 1, "p1"), ("c1", 2, "p2"), ("c2", 1, "p2")]


def build(house: Warehouse, week: date, emails: list[Email] = EMAILS, products: int = 2) -> None:
    """Write a build file as dbt leaves it: schema recs, one weekly table, one that is not."""
    with house.build(week).write() as connection:
        connection.execute("drop schema if exists recs cascade")
        connection.execute("create schema recs")
        connection.execute(
            "create table recs.email_recommendations (as_of date, customer_id varchar, slot integer, product_id varchar)"
        )
        for customer, slot, product in emails:
            connection.execute(
                "insert into recs.email_recommendations values (?, ?, ?, ?)", [week, customer, slot, product]
            )
        connection.execute(
            f"create table recs.products as select 'p' || n as product_id, date '{week}' as seen_on "
            f"from range(1, {products + 1}) as t(n)"
        )
        connection.execute(
            "comment on table recs.email_recommendations is 'One row per week, customer''s slot.'"
        )
        connection.execute("comment on column recs.email_recommendations.slot is 'Place, from 1.'")


def create_identities(connection: duckdb.DuckDBPyConnection) -> None:
    """Whose each profile is: nobody has two."""
    connection.execute("create schema base")
    connection.execute("create table base.base_customer_identities (profile_id varchar, customer_id varchar)")


def publish(house: Warehouse, week: date, run_id: str = "run-0000-1111") -> Published:
    return house.publish(week, run_id, NOW, "1.2.3")


def rows(house: Warehouse, sql: str) -> list[tuple]:
    with house.snapshot() as connection:
        return connection.execute(sql).fetchall()


def emails(house: Warehouse) -> list[tuple]:
    return rows(
        house, "select as_of, customer_id, slot, product_id from recs.email_recommendations order by all"
    )


def list_published(house: Warehouse) -> set[str]:
    return {path.name for path in house.published_dir.iterdir()} - {OTHER_NAME}


def load_beside_snapshot(function, house, *arguments):
    """What a package reads from a build file with the snapshot beside it."""
    with house.build(arguments[0]).read() as connection:
        house.attach_snapshot(connection)
        wanted = arguments[1:] if function in (load_facts, load_planned_offers) else arguments
        return function(connection, *wanted)


def start_python(code: str, *arguments: object, **pipes: int) -> subprocess.Popen[str]:
    """Another process, as analysts and second runs are."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=Path(__file__).resolve().parents[2],
        text=True,
        stdout=subprocess.PIPE,
        **pipes,
    )


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


FULL_DISK = """
import resource, sys
from datetime import date, datetime
from pathlib import Path
from recs_assets.schema import WarehouseError
from recs_assets.store.warehouse import Warehouse

house = Warehouse(Path(sys.argv[1]), threads=1, memory_limit="512MB")
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
try:
    house.publish(date(2024, 3, 11), "run-full", datetime(2024, 3, 25), "1.2.3")
except WarehouseError as error:
    print(error)
else:
    print("published")
"""


def assert_old_clients_open(house: Warehouse) -> None:
    """The storage version of the snapshot is that of DuckDB 1.0, which clients from then on read."""
    with house.snapshot() as connection:
        tags = connection.execute(
            "select tags from duckdb_databases() where database_name = current_database()"
        ).fetchall()
    assert tags == [({"storage_version": "v1.0.0+"},)]
