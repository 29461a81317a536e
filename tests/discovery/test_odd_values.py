"""Totals below a table, guests in words, and single values that are no number."""

from __future__ import annotations

import json

import duckdb
import pytest

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
        assert con.execute("select count(*), count(customer_id) from raw.orders").fetchall() == [(20, 0)]
