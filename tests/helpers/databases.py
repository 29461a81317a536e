"""Shops whose tables lie on real servers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recs_assets.sources import Source, land, load_source

# Of databases and users, which a server keeps for all tests.
NUMBERS = itertools.count()
HEAD = 'description = "x"\ntimezone = "Europe/Berlin"\nhorizon_days = 28\ncurrency = "EUR"\n'
ORDERS_SQL = "select id::varchar as order_id, 'c' || customer as customer_id, placed as ordered_at, state as status from files.orders"
ORDERS_COLUMNS = {"id": "BIGINT", "customer": "BIGINT", "placed": "TIMESTAMPTZ", "state": "VARCHAR"}


@dataclass
class Database:
    """A database of a test's own.

    `run` executes statements; `url` is its address.
    """

    kind: str
    url: str
    run: Callable[[str], object]


def declare(
    folder: Path, name: str, columns: dict[str, str], more: str = "", sql: str = ORDERS_SQL
) -> Source:
    """A shop with one file or table, read by `orders.sql`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = "".join(f'{column} = "{kind}"\n' for column, kind in columns.items())
    (folder / "source.toml").write_text(f'{HEAD}[files."{name}"]\n{more}[files."{name}".columns]\n{written}')
    (folder / "orders.sql").write_text(sql)
    return load_source(folder)


def land_orders(con: duckdb.DuckDBPyConnection, source: Source, folder: Path) -> list[tuple]:
    """The landed orders, in the order that they lie in."""
    land(con, source, "orders", folder)
    return con.execute("select order_id, customer_id, ordered_at, status from raw.orders").fetchall()
