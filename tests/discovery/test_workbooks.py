"""Files that hold several tables, and files that hold none."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from helpers.spreadsheets import write_xlsx
from recs_assets.discovery.shop import Report, make_shop
from recs_assets.schema import SourceError
from recs_assets.sources import land, load_source

_LINES = [
    (f"R{100 + n // 2}", f"2024-01-{1 + n % 28:02d}", f"0{n // 2 % 6}", f"p{n % 5}", 1 + n % 3)
    for n in range(60)
]
_CUSTOMERS = [(f"0{number}", f"k{number}@example.com", "yes" if number else "no") for number in range(6)]
_PRODUCTS = [(f"p{number}", f"Product {number}", 2.5 + number) for number in range(5)]
_HEADS = {
    "Sales 2023": ("order no", "date", "customer no", "sku", "quantity", "unit price"),
    "Sales 2024": ("order no", "date", "customer no", "sku", "quantity", "unit price"),
    "Customers": ("customer no", "email", "newsletter"),
    "Products": ("sku", "product name", "price"),
}


def _write_workbook(path: Path) -> None:
    rows = [(*line, 2.5 + int(line[3][1:])) for line in _LINES]
    sheets = {
        "Sales 2023": rows[:20],
        "Sales 2024": rows[20:],
        "Customers": _CUSTOMERS,
        "Products": _PRODUCTS,
    }
    written = {name: [_HEADS[name], *cells] for name, cells in sheets.items()}
    # Titles above groups of columns, each in cells that are one: only the first of them holds something.
    written["Customers"].insert(0, ("Who", None, None))
    empty = {"Returns": [("order no", "sku", "reason")], "Sheet7": [], "About": [("Made by",), ("the till",)]}
    write_xlsx(path, written | empty)


def _land(report: Report, data: Path) -> duckdb.DuckDBPyConnection:
    assert report.problem is None
    con = duckdb.connect()
    for table in ("customers", "products", "orders", "order_items"):
        land(con, load_source(report.folder), table, data)
    return con


def _check(con: duckdb.DuckDBPyConnection) -> None:
    assert con.execute("select count(*), sum(quantity), sum(amount) from raw.order_items").fetchall() == [
        (60, 120.0, sum(line[4] * (2.5 + int(line[3][1:])) for line in _LINES))
    ]
    assert con.execute("select count(*), count(distinct customer_id) from raw.orders").fetchall() == [(30, 6)]
    assert con.execute(
        "select customer_id, email, email_eligible from raw.customers order by 1 limit 2"
    ).fetchall() == [("00", "k0@example.com", False), ("01", "k1@example.com", True)]
    assert con.execute("select name, price from raw.products where product_id = 'p4'").fetchall() == [
        ("Product 4", 6.5)
    ]


def test_sheets_are_tables(tmp_path):
    data = tmp_path / "shop"
    data.mkdir()
    _write_workbook(data / "shop.xlsx")
    report = make_shop(data, tmp_path / "shops")
    with _land(report, data) as con:
        _check(con)
    source = load_source(report.folder)
    assert [(file.name, file.stem, file.dialect.sheet) for file in source.files] == [
        ("shop.xlsx", "sales", ("Sales 2023", "Sales 2024")),
        ("shop.xlsx", "customers", ("Customers",)),
        ("shop.xlsx", "products", ("Products",)),
    ]
    assert [sentence for sentence in report.unsure if "sheet" in sentence] == [
        "is sheet 'About' of shop.xlsx needed? It has one column and is no table, so it is not read.",
        "is sheet 'Returns' of shop.xlsx needed? It has a header and no rows, so it is not read; export it again with its rows.",
    ]


def test_lists_of_records_are_tables(tmp_path):
    data = tmp_path / "shop"
    data.mkdir()
    lists = {
        "sales": [
            dict(zip(_HEADS["Sales 2023"], (*line, 2.5 + int(line[3][1:])), strict=True)) for line in _LINES
        ],
        "customers": [dict(zip(_HEADS["Customers"], row, strict=True)) for row in _CUSTOMERS],
        "products": [dict(zip(_HEADS["Products"], row, strict=True)) for row in _PRODUCTS],
    }
    (data / "export.json").write_text(json.dumps({"shop": {"name": "Tea", "version": 3, **lists}}), "utf-8")
    report = make_shop(data, tmp_path / "shops")
    with _land(report, data) as con:
        _check(con)
    assert {file.stem: file.dialect.records for file in load_source(report.folder).files} == {
        "sales": "shop.sales", "customers": "shop.customers", "products": "shop.products",
    }  # fmt: skip


def test_files_without_rows_are_named(tmp_path):
    data = tmp_path / "shop"
    data.mkdir()
    (data / "returns.csv").write_text("order_id,product_id,quantity,returned_at\n", "utf-8")
    (data / "reviews.json").write_text("[]", "utf-8")
    (data / "stock.csv").touch()
    with pytest.raises(
        SourceError,
        match=r"shop: no file holds a row \(returns\.csv\); export them again with their rows\.",
    ):
        make_shop(data, tmp_path / "shops")
    _write_workbook(data / "shop.xlsx")
    report = make_shop(data, tmp_path / "shops")
    with _land(report, data) as con:
        _check(con)
    assert load_source(report.folder).words.ignored_files == ("reviews.json", "stock.csv", "returns.csv")
    assert [sentence for sentence in report.unsure if "ignored_files" in sentence] == [
        "reviews.json: it holds no record, so nothing can be said of it; export it again with its rows. Until then it is named in "
        "ignored_files.",
        "stock.csv: the file is empty (0 bytes); export it again. Until then it is named in ignored_files.",
        "returns.csv: it has a header and no rows, so nothing can be said of it; export it again with its rows. Until then it is named "
        "in ignored_files.",
    ]
