"""Files of declared tables: where they lie, what is refused, and whose rows are not landed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from pydantic import SecretStr

from helpers.declared_tables import FILES, HOMES, WEATHER, write_files
from helpers.sources import CUSTOMERS, ITEMS, ORDERS, PRODUCTS
from recs_assets.declared_tables.dbt import write_macro
from recs_assets.declared_tables.file import load_tables
from recs_assets.schema import SourceError
from recs_assets.sources import fingerprint, land, resolve_source
from recs_assets.sources.suppression import Suppression

TICKETS = "ticket_id,customer_id,product_id,opened_at,topic,severity,urgent,resolved_at,stars,agent\n"
FILED = {
    "tickets": TICKETS
    + "t1,c1,p1,2024-05-01 10:00:00,size,2,true,,,\n"
    + "t2,gone,p1,2024-05-02 10:00:00,size,2,true,,,\n"
    + "t3,,p1,2024-05-03 10:00:00,size,2,true,,,\n",
    "messages": "message_id,ticket_id,sent_at,length\nm1,t1,2024-05-01,10\nm2,t2,2024-05-02,10\nm3,,2024-05-02,10\n",
    "tags": "product_id,tag\np1,vegan\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    for name, text in {
        "customers": CUSTOMERS,
        "products": PRODUCTS,
        "orders": ORDERS,
        "order_items": ITEMS,
        **FILED,
    }.items():
        (data / f"{name}.{'jsonl' if name == 'products' else 'csv'}").write_text(text)
    return data


def _land(folder: Path, tables: Path, erased: Suppression | None = None) -> dict[str, list[str]]:
    source = resolve_source("auto", folder, tables=tables)
    with duckdb.connect() as connection:
        for name in source.tables:
            land(connection, source, name, folder, erased=erased)
        return {
            name: [
                str(key)
                for (key,) in connection.execute(
                    f"select {table.keys[0]} from raw.{name} order by 1"
                ).fetchall()
            ]
            for name, table in source.tables.items()
        }


def test_a_declared_table_is_landed_beside_the_canonical_ones(folder: Path, tmp_path: Path):
    tables = write_files(tmp_path / "tables")
    assert _land(folder, tables) == {
        "tickets": ["t1", "t2", "t3"],
        "messages": ["m1", "m2", "m3"],
        "tags": ["p1"],
    }
    before = fingerprint(resolve_source("auto", folder, tables=tables), folder)
    (folder / "tags.csv").write_text("product_id,tag\np1,vegan\np1,new\n")
    assert fingerprint(resolve_source("auto", folder, tables=tables), folder) != before


def test_rows_that_lead_to_the_forgotten_are_not_landed(folder: Path, tmp_path: Path):
    erased = Suppression(tmp_path, SecretStr("a secret for tests only"))
    erased.add("gone", datetime(2024, 6, 1))
    # Over one reference and over two; who leads to nobody stays.
    assert _land(folder, write_files(tmp_path / "tables"), erased) == {
        "tickets": ["t1", "t3"],
        "messages": ["m1", "m3"],
        "tags": ["p1"],
    }


def test_a_row_about_a_region_outlives_who_lived_there(folder: Path, tmp_path: Path):
    for name in FILED:
        (folder / f"{name}.csv").unlink()
    (folder / "homes.csv").write_text(
        "customer_id,moved_at,region\nc1,2023-01-01,south\ngone,2023-01-01,north\n"
    )
    (folder / "weather.csv").write_text("region,day,sky,rain\nnorth,2024-05-01,rain,8\n")
    erased = Suppression(tmp_path, SecretStr("a secret for tests only"))
    erased.add("gone", datetime(2024, 6, 1))
    tables = write_files(tmp_path / "tables", homes=HOMES, weather=WEATHER)
    assert _land(folder, tables, erased) == {"homes": ["c1"], "weather": ["north"]}
    assert "'person': false" in write_macro(load_tables(tables)).split("'weather'")[1]


def test_a_file_is_found_by_a_pattern_too(folder: Path, tmp_path: Path):
    (folder / "tickets.csv").rename(folder / "tickets_1.csv")
    (folder / "tickets_2.csv").write_text(TICKETS + "t9,c1,p1,2024-05-09 10:00:00,size,2,true,,,\n")
    tables = write_files(
        tmp_path / "tables", **{**FILES, "tickets": FILES["tickets"] + "file: tickets_*.csv\n"}
    )
    assert _land(folder, tables)["tickets"] == ["t1", "t2", "t3", "t9"]


def test_what_does_not_fit_is_said(folder: Path, tmp_path: Path):
    tables = write_files(tmp_path / "tables")
    (folder / "tags.csv").unlink()
    with pytest.raises(SourceError, match=r"^tags\.csv: tables/tags\.yaml declares it and it is not in"):
        resolve_source("auto", folder, tables=tables)
    (folder / "tags.csv").write_text("product_id\np1\n")
    with pytest.raises(SourceError, match=r"tags\.csv.*'tag'"):
        _land(folder, tables)
    (folder / "tags.csv").write_text(FILED["tags"])
    (folder / "tags.parquet").write_text("")
    with pytest.raises(SourceError, match="both hold the table tags"):
        resolve_source("auto", folder, tables=tables)
    # Without the declaration the file is one that nobody reads.
    (folder / "tags.parquet").unlink()
    with pytest.raises(SourceError, match="it is no canonical table"):
        resolve_source("auto", folder)
