"""Files that were read already are not parsed again, and give the same rows."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import duckdb
import pytest

from helpers.sources import TINY, Gone, make_source
from recs_assets.schema import RAW_TABLES, SourceError
from recs_assets.sources import copies, find_latest_as_of, land, load_source, reader, resolve_source


@pytest.fixture
def parsed(monkeypatch):
    """Names of the CSV and JSON files that were parsed."""
    names = []
    for function in ("read_csv", "read_json"):
        parse = getattr(reader, function)

        def note(con, path, name, *rest, parse=parse):
            names.append(name)
            return parse(con, path, name, *rest)

        monkeypatch.setattr(reader, function, note)
    monkeypatch.setattr(copies, "_QUIET", 0.0)
    return names


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "home" / "landed"


def land_rows(con, source, table, folder, **more):
    land(con, source, table, folder, **more)
    return con.execute(f'select * from raw."{table}"').fetchall()


def open_shop(folder, kept, name="canonical"):
    return replace(resolve_source(name, folder), kept=kept)


def test_every_table_lands_the_same_rows_in_the_same_order(con, kept, parsed):
    plain, source = resolve_source("canonical", TINY), open_shop(TINY, kept)
    first = {table: land_rows(con, source, table, TINY) for table in RAW_TABLES}
    assert parsed
    parsed.clear()
    second = {table: land_rows(con, source, table, TINY) for table in RAW_TABLES}
    assert parsed == []
    assert first == second == {table: land_rows(con, plain, table, TINY) for table in RAW_TABLES}
    # A Parquet file is read where it lies.
    assert len(list(kept.iterdir())) == len([file for file in source.files if "parquet" not in file.name])


def test_a_file_that_changed_is_read_again(con, shop, kept, parsed):
    def customers(**more):
        parsed.clear()
        return [row[0] for row in land_rows(con, open_shop(shop, kept), "customers", shop, **more)]

    path = shop / "customers.csv"
    assert customers() == ["c1"]
    assert customers() == ["c1"]
    assert parsed == []
    # Of the same size and time of modification: the time of the change of the file's record tells.
    stat = path.stat()
    path.write_text(path.read_text().replace("c1,", "c2,"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert customers() == ["c2"]
    shutil.copy(path, shop / "aside")
    (shop / "aside").replace(path)
    assert (customers(), parsed) == (["c2"], ["customers.csv"])
    # Times without a zone are the shop's.
    assert (customers(timezone="Europe/Berlin"), parsed) == (["c2"], ["customers.csv"])


def test_another_declaration_or_code_reads_again(con, tmp_path, kept, parsed, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    (data / "people.csv").write_text("id,name\n01,Ann\n")
    sql = "select id::varchar as customer_id, true as email_eligible from files.people"
    folder = make_source(data, sql) / "mini"
    source = replace(load_source(folder), kept=kept)
    assert [land_rows(con, source, "customers", data)[0][0] for _ in range(2)] == ["1", "1"]
    assert parsed == ["people.csv"]
    toml = folder / "source.toml"
    toml.write_text(toml.read_text().replace("BIGINT", "VARCHAR"))
    source = replace(load_source(folder), kept=kept)
    assert land_rows(con, source, "customers", data)[0][0] == "01"
    monkeypatch.setattr(copies, "find_code_version", lambda: "next")
    land(con, source, "customers", data)
    assert parsed == ["people.csv"] * 3


def test_what_is_kept_is_bounded_by_what_is_there(con, shop, kept, parsed):
    parts = shop / "customers"
    parts.mkdir()
    text = (shop / "customers.csv").read_text()
    (shop / "customers.csv").unlink()
    for number in range(3):
        (parts / f"{number}.csv").write_text(text.replace("c1", f"c{number}"))
    assert len(land_rows(con, open_shop(shop, kept), "customers", shop)) == 3
    assert len(list(kept.glob("*.parquet"))) == 3
    (parts / "1.csv").unlink()
    parsed.clear()
    assert [row[0] for row in land_rows(con, open_shop(shop, kept), "customers", shop)] == ["c0", "c2"]
    assert (len(list(kept.glob("*.parquet"))), parsed) == (2, [])
    shutil.rmtree(parts)
    (shop / "customers.csv").write_text(text)
    land(con, open_shop(shop, kept), "orders", shop)  # customers/ is declared no more
    assert len(list(kept.iterdir())) == 1


def test_what_is_damaged_or_was_refused_is_read_again(con, shop, kept, parsed):
    (shop / "orders.csv").write_text("order_id,customer_id,ordered_at,status\no1,c1,yesterday,completed\n")
    for _ in range(2):
        with pytest.raises(SourceError, match="'yesterday', which is not a time"):
            land(con, open_shop(shop, kept), "orders", shop)
    assert list(kept.iterdir()) == []
    land(con, open_shop(shop, kept), "customers", shop)
    [copy] = kept.iterdir()
    copy.write_bytes(b"PAR1")
    assert land_rows(con, open_shop(shop, kept), "customers", shop)[0][0] == "c1"
    with duckdb.connect() as other:
        assert other.execute("select customer_id from read_parquet(?)", [str(copy)]).fetchall() == [("c1",)]


def test_a_file_that_was_just_written_is_not_kept(con, shop, kept):
    (shop / "customers.csv").touch()
    land(con, open_shop(shop, kept), "customers", shop)
    assert list(kept.iterdir()) == []


def test_a_manifest_is_looked_at_every_time(con, shop, kept, parsed):
    land(con, open_shop(shop, kept), "customers", shop)
    (shop / "manifest.json").write_text('{"customers.csv": {"rows": 2}}')
    with pytest.raises(SourceError, match=r"it holds 1 rows, manifest.json says 2"):
        land(con, open_shop(shop, kept), "customers", shop)


def test_nothing_is_kept_of_files_that_hold_somebody_forgotten(con, shop, kept, parsed):
    (shop / "customers.csv").write_text((shop / "customers.csv").read_text() + "c2,2024-01-01,true\n")
    for table in ("customers", "order_items"):
        land(con, open_shop(shop, kept), table, shop)
    assert len(list(kept.iterdir())) == 2
    # Their orders are theirs, too: orders.csv is asked whose the lines are.
    assert land(con, open_shop(shop, kept), "order_items", shop, erased=Gone("c1")).rows == 0
    assert land(con, open_shop(shop, kept), "customers", shop, erased=Gone("c1")).rows == 1
    assert list(kept.iterdir()) == []
    land(con, open_shop(shop, kept), "customers", shop, erased=Gone("c9"))
    assert len(list(kept.iterdir())) == 1


def test_somebody_forgotten_is_in_nothing_that_is_kept(con, tmp_path, kept, parsed):
    """Though every file of the tiny shop that has customers holds them, orders, visits and withdrawals too."""

    def holders():
        rows = {
            path: str(con.execute("from read_parquet(?)", [str(path)]).fetchall())
            for path in kept.rglob("*.parquet")
        }
        return [path for path, text in rows.items() if "'c01'" in text or "c01@example.com" in text]

    source = open_shop(TINY, kept)
    for table in RAW_TABLES:
        land(con, source, table, TINY)
    assert len(holders()) >= 5
    for table in RAW_TABLES:
        land(con, source, table, TINY, erased=Gone("c01"))
        find_latest_as_of(con, source, TINY)
    assert holders() == []
    # Tables without people stay.
    assert list(kept.glob("*.parquet"))


def test_a_home_that_may_only_be_read_keeps_nothing(con, shop, tmp_path, monkeypatch):
    (tmp_path / "home").write_text("no folder")
    assert land_rows(con, open_shop(shop, tmp_path / "home" / "landed"), "customers", shop)[0][0] == "c1"


def test_a_disk_without_links_keeps_copies(con, shop, kept, parsed, monkeypatch):
    def refuse(*_):
        raise OSError

    monkeypatch.setattr(copies.os, "link", refuse)
    for _ in range(2):
        assert land_rows(con, open_shop(shop, kept), "customers", shop)[0][0] == "c1"
    assert parsed == ["customers.csv"]
