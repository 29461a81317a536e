"""A made-up export, landed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from helpers.platforms.tables import Tables, copy_for_parquet, write_parquet
from helpers.platforms.world import World
from recs_assets.schema import RAW_TABLES
from recs_assets.sources import Source, land, load_source

PLATFORMS = Path(__file__).resolve().parents[3] / "recs_assets" / "platforms"


@dataclass(frozen=True)
class Landed:
    """The raw tables of an export; `counts` has the rows of those that hold any."""

    world: World
    con: duckdb.DuckDBPyConnection
    counts: dict[str, int]

    def sql(self, query: str) -> list[tuple]:
        return self.con.execute(query).fetchall()

    def lines(self, order: str) -> list[tuple]:
        """(product, quantity, amount, discount) of an order's lines, to the cent."""
        return self.con.execute(
            "select product_id, quantity, round(amount, 2), round(discount, 2) from raw.order_items "
            "where order_id = ? order by 1",
            [order],
        ).fetchall()

    def states(self, *orders: str) -> list[tuple]:
        """(order, customer, status) of the rows of some orders."""
        return self.con.execute(
            "select order_id, customer_id, status from raw.orders where list_contains(?, order_id) "
            "order by order_id, updated_at nulls first, status",
            [list(orders)],
        ).fetchall()


def land_export(platform: str, folder: Path, world: World) -> Landed:
    """Land a folder as the platform declares it."""
    return land_source(load_source(PLATFORMS / platform), folder, world)


def land_source(source: Source, folder: Path, world: World) -> Landed:
    con = duckdb.connect()
    counts = {table: land(con, source, table, folder).rows for table in RAW_TABLES}
    return Landed(world, con, {table: rows for table, rows in counts.items() if rows})


def land_shop(shop: Path, folder: Path, world: World) -> Landed:
    """Land a folder as a shop's folder declares it."""
    return land_source(load_source(shop), folder, world)


def land_tables(platform: str, folder: Path, made: tuple[World, Tables]) -> Landed:
    """Land a platform's database tables, as Parquet files in a folder."""
    world, tables = made
    data, shops = folder / "data", folder / "shops"
    data.mkdir()
    write_parquet(data, tables)
    return land_source(load_source(copy_for_parquet(PLATFORMS / platform, shops)), data, world)
