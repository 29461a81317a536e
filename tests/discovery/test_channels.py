"""Files of lines of several channels are one table, in which no order counts twice and no two are one."""

from __future__ import annotations

import duckdb
import pytest

from recs_assets.discovery.shop import make_shop
from recs_assets.sources import land, load_source


def _write(path, first: int, orders: int, day: str, header: str, write) -> None:
    rows = [
        write(
            first + number,
            f"{day}-{1 + number % 28:02d}",
            f"k{number % 6}",
            f"p{(number + place) % 5}",
            1 + place,
        )
        for number in range(orders)
        for place in range(2)
    ]
    path.write_text("\n".join([header, *rows, ""]), "utf-8")


def _write_online(path, first=100, orders=30, day="2024-01") -> None:
    header = "order_id,order_date,customer_id,product_id,product_name,quantity,unit_price"
    _write(path, first, orders, day, header, lambda order, when, customer, product, units: f"{order},{when},{customer},{product},Product {product},{units},{2 + int(product[1:])}.50")  # fmt: skip


def _write_store(path, first=500, orders=30, day="2024-02") -> None:
    header = "Bon-Nr;Datum;Kundennr;Artikelnr;Menge;Betrag;Newsletter abgemeldet"
    _write(path, first, orders, day, header, lambda order, when, customer, product, units: f"{order};{when};{customer};{product};{units};{units * (2 + int(product[1:]))},{units * 5 % 10}0;{'ja' if customer == 'k2' else 'nein'}")  # fmt: skip


def _land(tmp_path):
    report = make_shop(tmp_path / "shop", tmp_path / "shops")
    assert report.problem is None
    con = duckdb.connect()
    for table in ("customers", "products", "orders", "order_items"):
        land(con, load_source(report.folder), table, tmp_path / "shop")
    return report, con


@pytest.fixture
def data(tmp_path):
    (tmp_path / "shop").mkdir()
    return tmp_path / "shop"


def test_lines_of_two_channels_are_read_as_one(tmp_path, data):
    _write_online(data / "online_lines.csv")
    _write_store(data / "store_lines.csv")
    report, con = _land(tmp_path)
    with con:
        # 60 lines each; units 1 and 2 of 30 orders: 90 units each.
        assert con.execute("select count(*), sum(quantity) from raw.order_items").fetchall() == [(120, 180.0)]
        assert con.execute("select order_id, product_id, quantity, amount from raw.order_items where order_id in ('101', '501') order by all").fetchall() == [
            ("101", "p1", 1.0, 3.5), ("101", "p2", 2.0, 9.0), ("501", "p1", 1.0, 3.5), ("501", "p2", 2.0, 8.0),
        ]  # fmt: skip
        assert con.execute("select count(*), count(distinct order_id) from raw.orders").fetchall() == [
            (60, 60)
        ]
        assert con.execute("select name from raw.products where product_id = 'p3'").fetchall() == [
            ("Product p3",)
        ]
        # What the lines of one channel say of consent is not lost; who has not said no there may be written to.
        assert con.execute("select customer_id from raw.customers where not email_eligible").fetchall() == [
            ("k2",)
        ]
    assert load_source(report.folder).words.ignored_files == ()
    assert (
        "are the rows of store_lines.csv sales beside those of online_lines.csv? They are read as further lines of orders."
    ) in report.unsure


def test_one_number_of_two_orders_is_told_apart(tmp_path, data):
    _write_online(data / "online_lines.csv", 100)
    _write_store(data / "store_lines.csv", 120)
    report, con = _land(tmp_path)
    with con:
        assert con.execute("select count(*), count(distinct order_id) from raw.orders").fetchall() == [
            (60, 60)
        ]
        assert con.execute("select order_id, ordered_at::date::varchar, customer_id from raw.orders where order_id like '125%' order by 1").fetchall() == [
            ("125", "2024-01-26", "k1"), ("125-store_lines", "2024-02-06", "k5"),
        ]  # fmt: skip
    assert (
        "-- 10 numbers of orders stand in online_lines.csv and in store_lines.csv and mean different orders, so those of store_lines.csv "
        "end in -store_lines."
    ) in (report.folder / "order_items.sql").read_text("utf-8")


def test_an_order_that_was_exported_twice_counts_once(tmp_path, data):
    _write_online(data / "order_lines_all.csv", 100, 30)
    _write_online(data / "new_order_lines.csv", 100, 40)
    report, con = _land(tmp_path)
    with con:
        assert con.execute("select count(*), count(distinct order_id) from raw.order_items").fetchall() == [
            (80, 40)
        ]
    assert any("exported twice" in sentence for sentence in report.unsure)
