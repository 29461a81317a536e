"""From exports of many shapes to shops that land, without a line written by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from helpers import exports, invoices
from helpers.sources import TECHHEAVEN, TINY
from recs_assets.discovery.shop import Report, make_shop, name_shop
from recs_assets.schema import RAW_TABLES, SettingsError, SourceError
from recs_assets.sources import land, load_source


def land_all(folder: Path, data: Path) -> duckdb.DuckDBPyConnection:
    """Every table of a shop in a database of its own."""
    con = duckdb.connect()
    source = load_source(folder)
    for table in RAW_TABLES:
        land(con, source, table, data)
    return con


def start(data: Path, shops: Path) -> tuple[Report, duckdb.DuckDBPyConnection]:
    report = make_shop(data, shops)
    assert report.problem is None
    assert report.folder == shops / data.name
    return report, land_all(report.folder, data)


@pytest.fixture(scope="module")
def invoice_shops(tmp_path_factory):
    """The same made-up invoices as CSV, as a spreadsheet and renamed to German, and the shops that read them."""
    root = tmp_path_factory.mktemp("invoices")
    shops = {}
    for name, write, file in (
        ("plain", invoices.write_csv, "online_retail.csv"),
        ("sheet", invoices.write_spreadsheet, "Online Retail.xlsx"),
        ("german", invoices.write_german_csv, "Rechnungen 2011.csv"),
    ):
        (root / name).mkdir()
        write(root / name / file, 6000)
        shops[name] = start(root / name, root / "shops")
    yield shops
    for _, con in shops.values():
        con.close()


@pytest.mark.parametrize("name", ["plain", "sheet", "german"])
def test_flat_invoices_become_a_shop(invoice_shops, name):
    report, con = invoice_shops[name]
    lines = invoices.list_lines(6000)
    [(landed, money, units)] = con.execute(
        "select count(*), round(sum(amount), 2), sum(quantity) from raw.order_items"
    ).fetchall()
    assert landed == 6000
    assert money == pytest.approx(
        sum(round(units * price, 2) for _, _, _, units, _, price, _, _ in lines), abs=0.01
    )
    assert units == sum(units for _, _, _, units, *_ in lines)
    orders = con.execute(
        "select count(*), count(distinct order_id), count(customer_id) from raw.orders"
    ).fetchall()
    with_customer = {line[0] for line in lines if line[6] is not None}
    assert orders == [(len({line[0] for line in lines}),) * 2 + (len(with_customer),)]
    [(customers,)] = con.execute(
        "select count(*) from raw.customers where regexp_full_match(customer_id, '[0-9]{5}')"
    ).fetchall()
    assert customers == len({line[6] for line in lines if line[6] is not None})
    cancelled = con.execute("select count(*) from raw.orders where status = 'cancelled'").fetchall()
    assert cancelled == [(len({line[0] for line in lines if line[0].startswith("C")}),)]
    assert con.execute("select min(ordered_at) from raw.orders").fetchall() == [(lines[0][4],)]
    # A product has the name of most of its lines, not the remark of one.
    remarks = con.execute(
        "select count(*) from raw.products where name in ('damaged', '?', 'found', 'check')"
    ).fetchall()
    assert remarks == [(0,)]
    assert con.execute("select name from raw.products where product_id = 'POST'").fetchall() == [("POSTAGE",)]
    source = load_source(report.folder)
    assert {"POST", "DOT", "M"} <= set(source.words.not_products.products)
    assert (source.timezone, source.currency) == (
        ("Europe/Berlin", "EUR") if name == "german" else ("Europe/London", "GBP")
    )


def test_the_same_invoices_are_the_same_shop(invoice_shops):
    tables = {
        name: con.execute(
            "select order_id, product_id, quantity, amount from raw.order_items order by all"
        ).fetchall()
        for name, (_, con) in invoice_shops.items()
    }
    assert tables["plain"] == tables["sheet"] == tables["german"]
    customers = {
        name: con.execute("select customer_id, joined_at from raw.customers order by all").fetchall()
        for name, (_, con) in invoice_shops.items()
    }
    assert customers["plain"] == customers["sheet"] == customers["german"]


def test_what_is_guessed_is_said(invoice_shops):
    report, _ = invoice_shops["german"]
    toml = (report.folder / "source.toml").read_text("utf-8")
    assert 'delimiter = ";"' in toml
    assert 'encoding = "cp1252"' in toml
    assert 'Rechnungsdatum = "TIMESTAMP" # 1.00 sure: every value reads as %d.%m.%Y %H:%M' in toml
    items = (report.folder / "order_items.sql").read_text("utf-8")
    assert (
        '-- 0.93 sure: "Einzelpreis" is per unit: of one product it stays the same with the units.' in items
    )
    orders = (report.folder / "orders.sql").read_text("utf-8")
    assert "numbers that begin with C are cancellations" in orders
    assert (
        "may everybody be written to? Nothing in the files says who agreed, so nobody may and emails are empty; the line to change "
        "if everybody agreed stands at email_eligible in customers.sql."
    ) in report.unsure


def test_german_tables(tmp_path):
    _, con = start(exports.write_german_shop(tmp_path / "laden"), tmp_path / "shops")
    rows = exports.make_shop_rows()
    counts = {table: con.execute(f"select count(*) from raw.{table}").fetchone()[0] for table in RAW_TABLES}
    assert {table: count for table, count in counts.items() if count} == {
        "customers": 40, "products": 25, "orders": 120, "order_items": 300, "inventory": 25,
    }  # fmt: skip
    assert con.execute("select sum(amount) from raw.order_items").fetchone()[0] == pytest.approx(
        sum(head["total"] for head in rows["orders"])
    )
    assert con.execute(
        "select customer_id, email_eligible, country, email from raw.customers order by 1 limit 2"
    ).fetchall() == [
        ("5000", False, "AT", "k0@example.com"),
        ("5001", True, "DE", "k1@example.com"),
    ]
    assert con.execute("select status, count(*) from raw.orders group by 1 order by 1").fetchall() == [
        ("storniert", 12),
        ("versandt", 108),
    ]
    assert con.execute("select * from raw.products where product_id = 'A101'").df().iloc[0][["name", "category", "price"]].tolist() == [
        "Tee Sorte 1", "Tee", 3.25,
    ]  # fmt: skip
    # Stock without a date is known from the last order's day on.
    assert con.execute("select distinct counted_at::date from raw.inventory").fetchall() == [
        (rows["orders"][-1]["when"].date(),)
    ]


def test_orders_with_their_items_in_them(tmp_path):
    _, con = start(exports.write_embedded_orders(tmp_path / "api"), tmp_path / "shops")
    assert con.execute("select count(*), sum(quantity) from raw.order_items").fetchall() == [
        (300, float(sum(line["units"] for line in exports.make_shop_rows()["lines"])))
    ]
    assert con.execute("select name from raw.products where product_id = 'A101'").fetchall() == [
        ("Tee Sorte 1",)
    ]


def test_files_of_months_with_totals(tmp_path):
    report, con = start(exports.write_monthly_lines(tmp_path / "monthly"), tmp_path / "shops")
    assert [file.name for file in load_source(report.folder).files] == ["products.csv", "sales_*.csv"]
    rows = exports.make_shop_rows()
    assert con.execute("select sum(amount) from raw.order_items").fetchone()[0] == pytest.approx(
        sum(head["total"] for head in rows["orders"])
    )
    assert con.execute("select count(*) from raw.customers").fetchall() == [
        (len({head["customer"] for head in rows["orders"]}),)
    ]


@pytest.mark.skipif(not TECHHEAVEN.is_dir(), reason=f"{TECHHEAVEN} is not there")
def test_techheaven_from_init_alone(tmp_path):
    data = tmp_path / "electronics"
    shutil.copytree(TECHHEAVEN, data)
    _, con = start(data, tmp_path / "shops")
    counts = {table: con.execute(f"select count(*) from raw.{table}").fetchone()[0] for table in RAW_TABLES}
    assert {table: count for table, count in counts.items() if count} == {
        "customers": 1000, "products": 291, "orders": 5000, "order_items": 15000, "reviews": 5000, "inventory": 291,
    }  # fmt: skip


def test_a_canonical_folder_needs_nothing(tmp_path):
    report = make_shop(TINY, tmp_path / "shops")
    assert report.folder is None
    assert report.taken == ["The files are the canonical tables already, so no shop is needed."]
    assert not (tmp_path / "shops").exists()


def test_nothing_is_overwritten(tmp_path):
    data = exports.write_monthly_lines(tmp_path / "monthly")
    (tmp_path / "shops" / "monthly").mkdir(parents=True)
    with pytest.raises(
        SettingsError, match=r"shops/monthly is there, and nothing in it is overwritten: edit it, give"
    ):
        make_shop(data, tmp_path / "shops")
    with pytest.raises(SettingsError, match=r"^--name techheaven: a shop of this name comes with the code"):
        make_shop(data, tmp_path / "shops", "techheaven")
    with pytest.raises(SettingsError, match=r"^--name 'My Shop': a shop's name is lower-case letters"):
        make_shop(data, tmp_path / "shops", "My Shop")


def test_what_is_no_shop(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    with pytest.raises(
        SourceError, match=r"notes: it holds no table that can be read; put the exported files there."
    ):
        make_shop(folder, tmp_path / "shops")
    (folder / "people.csv").write_text("name,born\nAnn,1990-01-01\n")
    with pytest.raises(
        SourceError, match=r"notes: no file was understood as lines of orders, with a product"
    ):
        make_shop(folder, tmp_path / "shops")
    (folder / "people.csv").unlink()
    baskets = {str(customer): [[1, 2, 3], [2, 5]] for customer in range(30)}
    (folder / "baskets.json").write_text(json.dumps(baskets))
    with pytest.raises(
        SourceError, match=r"notes: no file has a date, so nothing says when an order was placed"
    ):
        make_shop(folder, tmp_path / "shops")
    assert list((tmp_path / "shops").iterdir()) == []


def test_what_cannot_be_read_is_named_and_left_out(tmp_path):
    data = exports.write_monthly_lines(tmp_path / "monthly")
    (data / "contract.pdf").write_bytes(b"%PDF")
    (data / "empty.csv").touch()
    report, con = start(data, tmp_path / "shops")
    con.close()
    assert load_source(report.folder).words.ignored_files == ("contract.pdf", "empty.csv")
    assert "contract.pdf: files of this kind are not read; it is named in ignored_files." in report.unsure


@pytest.mark.parametrize(
    ("folder", "name"), [("My Shop 2024", "my_shop_2024"), ("2024", "shop_2024"), ("Übersee", "bersee")]
)
def test_names_of_shops(folder, name):
    assert name_shop(Path(folder)) == name
