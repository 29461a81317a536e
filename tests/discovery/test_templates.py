"""Templates of platforms, tables of a database, and nested columns become shops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.exports import make_shop_rows
from helpers.platforms.tables import Table, write_database
from helpers.platforms.woocommerce import make_woocommerce
from helpers.platforms.world import make_world
from helpers.servers import MariaDB
from recs_assets.discovery.shop import make_shop
from recs_assets.schema import RAW_TABLES
from recs_assets.sources import land, load_source


def count_rows(shop: Path, data: Path) -> dict[str, int]:
    source = load_source(shop)
    with duckdb.connect() as con:
        counts = {table: land(con, source, table, data).rows for table in RAW_TABLES}
    return {table: rows for table, rows in counts.items() if rows}


def test_a_platform_of_ones_own(tmp_path):
    platform = tmp_path / "platforms" / "till"
    platform.mkdir(parents=True)
    (platform / "source.toml").write_text(
        'description = "A till."\ntimezone = "UTC"\nhorizon_days = 28\ncurrency = "EUR"\n'
        '[files."receipts_*.csv"]\nas = "receipts"\n[files."receipts_*.csv".columns]\n'
        'receipt = "VARCHAR"\nrung_up = "TIMESTAMP"\nplu = "VARCHAR"\npaid = "DOUBLE"\n'
    )
    (platform / "orders.sql").write_text(
        "select receipt as order_id, null::varchar as customer_id, min(rung_up) as ordered_at, 'paid' as status "
        "from files.receipts group by receipt"
    )
    (platform / "order_items.sql").write_text(
        "select receipt as order_id, plu as line_id, plu as product_id, 1::double as quantity, paid as amount from files.receipts"
    )
    data = tmp_path / "data"
    data.mkdir()
    (data / "Kasse.csv").write_text("receipt;rung_up;plu;paid\n1;2024-05-01 10:00:00;7;2,50\n")
    report = make_shop(data, tmp_path / "shops", platforms=platform.parent)
    assert report.problem is None
    assert report.taken == ["Kasse.csv: receipts_*.csv of till."]
    assert count_rows(report.folder, data) == {"orders": 1, "order_items": 1}
    toml = (report.folder / "source.toml").read_text("utf-8")
    assert 'delimiter = ";"' in toml
    assert 'decimal = ","' in toml


def test_nested_columns_of_parquet_are_tables(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    orders = [
        {"order_id": n, "customer_id": 100 + n % 3, "ordered_at": f"2024-05-{1 + n:02} 10:00:00",
         "lines": [{"product_id": "a", "quantity": 1, "price": 2.5}, {"product_id": "b", "quantity": n, "price": 4.0}]}
        for n in range(1, 9)
    ]  # fmt: skip
    for part in (0, 1):
        folder = data / f"sales/year={2023 + part}"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(orders[part * 4 : part * 4 + 4]), folder / "part-0.parquet")
    report = make_shop(data, tmp_path / "shops")
    assert report.problem is None
    assert [file.name for file in load_source(report.folder).files] == ["sales/year=*/*.parquet"]
    assert count_rows(report.folder, data) == {"customers": 3, "products": 2, "orders": 8, "order_items": 16}


@pytest.mark.slow
def test_a_known_system_in_a_database(mariadb_server: MariaDB, tmp_path, monkeypatch):
    world = make_world()
    _, tables = make_woocommerce(replace(world, orders=world.orders[:60]))
    write_database(mariadb_server, "init_woocommerce", tables)
    monkeypatch.setenv("RECS_DATABASE_LIVE", mariadb_server.address("init_woocommerce"))
    report = make_shop(None, tmp_path / "shops", databases=["live"])
    assert report.problem is None
    assert "live:wp_wc_orders: shop:wp_wc_orders of woocommerce." in report.taken
    assert '[files."live:wp_wc_orders"]' in (report.folder / "source.toml").read_text("utf-8")
    (tmp_path / "empty").mkdir()
    counts = count_rows(report.folder, tmp_path / "empty")
    assert counts["orders"] >= 60


@pytest.mark.slow
def test_any_tables_of_a_database(mariadb_server: MariaDB, tmp_path, monkeypatch):
    rows = make_shop_rows()
    tables = {
        "bestellungen": Table(
            {
                "bestellnr": "varchar(20)",
                "kundennr": "int",
                "bestelldatum": "datetime",
                "status": "varchar(20)",
            },
            [
                {
                    "bestellnr": head["id"],
                    "kundennr": head["customer"],
                    "bestelldatum": head["when"],
                    "status": head["state"],
                }
                for head in rows["orders"]
            ],
        ),
        "positionen": Table(
            {
                "bestellnr": "varchar(20)",
                "artikelnr": "varchar(20)",
                "menge": "int",
                "einzelpreis": "decimal(10,2)",
            },
            [
                {
                    "bestellnr": line["order"],
                    "artikelnr": line["product"],
                    "menge": line["units"],
                    "einzelpreis": line["price"],
                }
                for line in rows["lines"]
            ],
        ),
    }
    write_database(mariadb_server, "init_laden", tables)
    monkeypatch.setenv("RECS_DATABASE_LADEN", mariadb_server.address("init_laden"))
    report = make_shop(None, tmp_path / "shops", databases=["laden"])
    assert report.problem is None
    assert report.folder.name == "laden"
    (tmp_path / "empty").mkdir()
    counts = count_rows(report.folder, tmp_path / "empty")
    assert counts == {"customers": 38, "products": 25, "orders": 120, "order_items": 300}
