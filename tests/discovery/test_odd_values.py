"""Totals below a table, guests in words, and single values that are no number."""

from __future__ import annotations

import json
from datetime import datetime

import duckdb
import pytest

from helpers.spreadsheets import write_xlsx
from recs_assets.discovery.shop import make_shop
from recs_assets.schema import SourceError
from recs_assets.sources import land, load_source

_HEAD = "Nº Pedido;Fecha;Cliente;Artículo;Descripción;Unidades;Precio"


def _write(folder, *more: str, units: str = "1"):
    folder.mkdir()
    rows = [
        f"{100 + n // 2};{1 + n % 28:02d}/01/2024;{'Cliente invitado' if n < 4 else 21 + n // 2 % 5};p{n % 4};Producto {n % 4};{units};1.{200 + n % 4},50"
        for n in range(40)
    ]
    (folder / "ventas.csv").write_text("\n".join([_HEAD, *rows, *more, ""]), "utf-8")


def test_totals_are_no_orders_and_guests_no_customers(tmp_path):
    _write(tmp_path / "tienda", "Total;;;;;40;48.060,00")
    report = make_shop(tmp_path / "tienda", tmp_path / "shops")
    assert report.problem is None
    source = load_source(report.folder)
    with duckdb.connect() as con:
        for table in ("orders", "order_items", "customers"):
            land(con, source, table, tmp_path / "tienda")
        assert con.execute("select count(*), count(ordered_at) from raw.orders").fetchall() == [(20, 20)]
        assert con.execute("select count(*), sum(amount) from raw.order_items").fetchall() == [(40, 48080.0)]
        assert con.execute("select list(customer_id order by customer_id) from raw.customers").fetchall() == [
            (["21", "22", "23", "24", "25"],)
        ]


def test_one_value_that_is_no_number_never_makes_all_units_one(tmp_path):
    _write(tmp_path / "tienda", "130;28/01/2024;3;p1;Producto 1;dos;1.201,50")
    with pytest.raises(SourceError) as error:
        make_shop(tmp_path / "tienda", tmp_path / "shops")
    assert str(error.value) == (
        "ventas.csv: column 'Unidades' is needed and not every value in it is a number, such as 'dos'; "
        "correct these rows in the export, or leave them out."
    )
    assert not (tmp_path / "shops" / "tienda").exists()


def test_an_empty_file_is_one_sentence(tmp_path):
    (tmp_path / "ventas.csv").touch()
    with pytest.raises(SourceError) as error:
        make_shop(tmp_path, tmp_path / "shops", "tienda")
    assert str(error.value) == (
        f"{tmp_path}: it holds no table that can be read: ventas.csv: the file is empty (0 bytes); export it again."
    )


def test_objects_are_no_ids(tmp_path):
    folder = tmp_path / "tienda"
    folder.mkdir()
    orders = [
        {
            "order_id": n,
            "created": f"2024-01-{1 + n:02d}T10:00:00",
            "buyer": {"id": n if n % 2 else None},
            "items": [
                {"sku": f"p{n % 3}", "qty": 1 + n % 2, "price": 2.5},
                {"sku": "p9", "qty": 1, "price": 4.0},
            ],
        }
        for n in range(20)
    ]
    (folder / "export.json").write_text(json.dumps(orders), "utf-8")
    report = make_shop(folder, tmp_path / "shops")
    assert report.problem is None
    with duckdb.connect() as con:
        land(con, load_source(report.folder), "orders", folder)
        # Nobody is the customer '{"id":null}'.
        assert con.execute("select count(*), count(customer_id) from raw.orders").fetchall() == [(20, 10)]


def test_lines_above_the_header_of_a_sheet_and_totals_below(tmp_path):
    folder = tmp_path / "tienda"
    folder.mkdir()
    head = ("Order No", "Date", "Customer No", "SKU", "Product", "Qty", "Unit Price")
    sheets: dict[str, list[tuple]] = {"Readme": [("Export of the shop",)]}
    for year in (2023, 2024):
        lines = [
            (
                year + n // 2,
                datetime(year, 1, 1 + n),
                50 + n // 2 % 3,
                f"p{n % 4}",
                f"Product {n % 4}",
                2,
                1.25,
            )
            for n in range(20)
        ]
        total = ("Total", None, None, None, None, 40, None)
        sheets[str(year)] = [("Sales report", None), (None, None), head, *lines, total]
    write_xlsx(folder / "book one.xlsx", sheets)
    report = make_shop(folder, tmp_path / "shops")
    assert report.problem is None
    with duckdb.connect() as con:
        for table in ("orders", "order_items"):
            land(con, load_source(report.folder), table, folder)
        assert con.execute("select count(*), sum(quantity), sum(amount) from raw.order_items").fetchall() == [
            (40, 80.0, 100.0)
        ]
        assert con.execute("select count(*), min(ordered_at)::date::text from raw.orders").fetchall() == [
            (20, "2023-01-01")
        ]


def test_money_in_brackets_is_negative(tmp_path):
    folder = tmp_path / "till"
    folder.mkdir()
    rows = []
    for n in range(60):
        price = (1200.0, 9.9, 15.0, 2300.5)[n % 4]
        total = f"${price * (1 + n % 3):,.2f}"
        rows.append(
            f'{7000 + n // 2},2024-01-{1 + n % 28:02d},{n // 2 % 8:04d},U{n % 4},{1 + n % 3},"${price:,.2f}","{f"({total})" if n == 16 else f"-{total}" if n == 20 else total}"'
        )
    head = "receipt no,sale date,member no,upc,units,price,total"
    (folder / "sales.csv").write_text("\n".join([head, *rows, ""]), "utf-8")
    report = make_shop(folder, tmp_path / "shops")
    assert report.problem is None
    with duckdb.connect() as con:
        land(con, load_source(report.folder), "order_items", folder)
        assert con.execute(
            "select order_id, product_id, quantity, amount from raw.order_items where amount < 0 order by 1"
        ).fetchall() == [("7008", "U0", -2.0, -2400.0), ("7010", "U0", -3.0, -3600.0)]
        assert con.execute(
            "select count(*) from raw.order_items where quantity > 0 and amount > 0"
        ).fetchall() == [(58,)]


def test_months_that_are_spelt_in_other_languages_are_named(tmp_path):
    folder = tmp_path / "laden"
    folder.mkdir()
    rows = [
        f"{n // 2};{1 + n % 28}. {('Januar', 'März')[n % 2]} 2024;{n % 7};A{n % 3};1;2,50" for n in range(40)
    ]
    (folder / "bestellungen.csv").write_text(
        "\n".join(["Bestellnr;Datum;Kunde;Artikelnr;Menge;Preis", *rows, ""]), "utf-8"
    )
    with pytest.raises(
        SourceError,
        match=r"bestellungen\.csv: column 'Datum' spells its months in a language that is not read; export its",
    ):
        make_shop(folder, tmp_path / "shops")
