"""Exports of known platforms become their shops, under the names that the files have."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.platforms.google import write_ga4, write_merchant_feed
from helpers.platforms.landed import land_export
from helpers.platforms.shopify import write_shopify
from helpers.platforms.shopify_bulk import write_shopify_bulk
from helpers.platforms.woocommerce_csv import write_woocommerce_csv
from recs_assets.discovery.shop import make_shop
from recs_assets.discovery.templates import Found, find_platforms
from recs_assets.schema import RAW_TABLES
from recs_assets.sources import land, load_source


def count_rows(shop: Path, data: Path) -> dict[str, int]:
    source = load_source(shop)
    with duckdb.connect() as con:
        counts = {table: land(con, source, table, data).rows for table in RAW_TABLES}
    return {table: rows for table, rows in counts.items() if rows}


@pytest.mark.parametrize(
    ("platform", "write"),
    [
        ("shopify", write_shopify),
        ("shopify_bulk", write_shopify_bulk),
        ("woocommerce_csv", write_woocommerce_csv),
    ],
)
def test_a_platform_is_recognised(tmp_path, platform, write):
    data = tmp_path / "data"
    data.mkdir()
    expected = land_export(platform, data, write(data)).counts
    report = make_shop(data, tmp_path / "shops")
    assert report.problem is None
    assert any(sentence.endswith(f" of {platform}.") for sentence in report.taken)
    assert count_rows(tmp_path / "shops" / "data", data) == expected


def test_files_may_have_other_names(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    world = write_shopify(data)
    expected = land_export("shopify", data, world).counts
    for path in sorted(data.iterdir()):
        if path.name.startswith("orders_export"):
            path.rename(path.with_name(path.name.replace("orders_export", "export-of-march")))
    report = make_shop(data, tmp_path / "shops")
    assert report.problem is None
    assert any(
        file.stem == "orders" and file.name.startswith("export-of-march")
        for file in load_source(report.folder).files
    )
    assert count_rows(report.folder, data) == expected


def test_events_and_a_feed_are_added(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    world = write_shopify(data)
    alone = land_export("shopify", data, world).counts
    write_ga4(data)
    write_merchant_feed(data)
    report = make_shop(data, tmp_path / "shops")
    assert report.problem is None
    counts = count_rows(report.folder, data)
    assert counts["browsing_events"] > 0
    assert counts["order_items"] == alone["order_items"]


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
    assert '[files."Kasse.csv"]\nas = "receipts"\n' not in toml or 'delimiter = ";"' in toml
    assert 'decimal = ","' in toml


def test_tables_of_a_database_are_told_by_name_and_columns():
    tables = {"orders": ("id", "x")}
    assert find_platforms([Found(f"live:{name}", columns) for name, columns in tables.items()]) == []


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
