"""The command `audit`: a shop's folder, files that cannot be read, and folders that no source fits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from helpers import shops
from recs_assets.cli import audit
from recs_assets.cli.main import main
from recs_assets.schema import RAW_TABLES

TINY = shops.ROOT / "examples" / "tiny_shop"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the deployment, which the command must leave alone."""
    folder = tmp_path / "home"
    monkeypatch.setenv("RECS_HOME", str(folder))
    monkeypatch.delenv("RECS_DATA", raising=False)
    return folder


@pytest.mark.slow
def test_a_folder_is_audited_without_leaving_anything(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Wherever the weeks are built, an audit asks no engine, and makes nothing in the lake.
    monkeypatch.setenv("RECS_ENGINE", "sc://127.0.0.1:1")
    monkeypatch.setenv("RECS_LAKE", str(tmp_path / "lake"))
    data = tmp_path / "data"
    shutil.copytree(TINY, data)
    (data / "searches.csv").write_text("search_id,query\n1,tea\n")  # lacks two columns
    page = tmp_path / "audit.html"
    assert main(["audit", str(data), "--html", str(page)]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("Error: searches.csv")
    assert "'customer_id'" in err
    assert f"Audit of {data}, source canonical, week 2025-06-30" in out
    # The 36 customers of the tiny shop who bought, and what its README plants.
    assert "No: 895 purchases of 36 customers and 28 products are too few to recommend from." in out
    assert "  stop  searches.csv" in out
    assert "        orders: 310 rows from 2024-09-30 to 2025-06-29 (orders.csv, " in out
    assert "(2025-06-10 to 2025-06-28; about 8 % of all rows)" in out
    assert "Missing: searches. With searches, " in out
    assert not home.exists()
    assert not (tmp_path / "lake").exists()
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert "895 purchases of 36 customers" in page.read_text("utf-8")


def test_without_orders_the_rest_is_listed(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(TINY, data)
    lines = (data / "orders.csv").read_text().splitlines()
    (data / "orders.csv").write_text("\n".join([lines[0], "o1,c1,yesterday,completed,EUR,", ""]))
    assert main(["audit", str(data)]) == 1
    out, err = capsys.readouterr()
    assert "  stop  orders.csv" in out
    assert "customers: 40 rows" in out
    assert "reviews: 112 rows" in out
    assert err.startswith("Error: orders.csv")
    assert err.count("\n") == 1


def test_a_folder_that_no_source_fits_is_listed_with_advice(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "exports"
    (data / "2024").mkdir(parents=True)
    (data / "invoices.csv").write_text(
        "invoice;article;price;day\n1;tea;2,50;31.12.2023\n2;mug;9,00;01.02.2024\n"
    )
    (data / "2024" / "baskets.json").write_text(json.dumps([{"basket": 1}, {"basket": 2}, {"basket": 3}]))
    (data / "cut.parquet").write_bytes(b"PAR1")
    (data / "notes.docx").write_bytes(b"x" * 1500)
    assert main(["audit", str(data)]) == 0
    out, err = capsys.readouterr()
    assert f"python -m recs_assets init {data}" in out
    assert "        2024/baskets.json (45 bytes): 3 rows, 1 column: basket.\n" in out
    assert (
        "        invoices.csv (70 bytes): 2 rows from 2023-12-31 to 2024-02-01 by day, 4 columns: invoice, article, price, day.\n"
    ) in out
    assert "  look  notes.docx: files of this kind are not read.\n" in out
    assert "  look  cut.parquet: it is no Parquet file, or is cut off; export it again.\n" in out
    assert err == ""


def test_what_is_asked_wrongly_is_said(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.endswith("there is no such folder; name the one with the shop's files.\n")
    assert main(["audit", str(TINY), "--as-of", "2025-07-01"]) == 1
    assert capsys.readouterr().err == "Error: 2025-07-01 is not a Monday: weeks begin on Mondays.\n"
    (tmp_path / "empty").mkdir()
    assert main(["audit", str(tmp_path / "empty")]) == 0
    assert "The folder holds no file of data." in capsys.readouterr().out


def test_every_table_can_be_left_empty(tmp_path: Path) -> None:
    import duckdb

    connection = duckdb.connect()
    for table in RAW_TABLES.values():
        audit._create_empty(connection, table)
    [(tables,)] = connection.execute(
        "select count(*) from duckdb_tables() where schema_name = 'raw' and estimated_size = 0"
    ).fetchall()
    assert tables == len(RAW_TABLES)
