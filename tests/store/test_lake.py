"""Tables of a build file whose rows lie in the lake, written here by DuckDB in an engine's place."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from helpers.lake import move_to_lake
from recs_assets.schema import WarehouseError
from recs_assets.store.lake import (
    drop_view,
    list_landed_files,
    load_files,
    show_table,
    unname_files,
    write_file,
)
from recs_assets.store.warehouse import Warehouse

WEEK = dt.date(2024, 3, 4)


@pytest.fixture
def build(house: Warehouse) -> Path:
    """A build file as landing leaves it."""
    with house.build(WEEK).write() as connection:
        connection.execute("create schema raw; create schema model")
        connection.execute("create table raw.orders (order_id varchar, ordered_at timestamp)")
        connection.execute(
            "insert into raw.orders values ('b', '2024-03-01 10:00'), ('a', null), (null, null)"
        )
        connection.execute("comment on table raw.orders is 'orders.csv'")
        connection.execute("create table model.lists as select 'c1' as customer_id, 1::tinyint as rank")
    return house.build(WEEK).path


def test_tables_move_to_the_lake_and_read_as_before(house: Warehouse, build: Path) -> None:
    given = move_to_lake(house, WEEK)
    assert given.keys() == {"raw.orders", "model.lists"}
    # An engine keeps no order.
    assert pq.read_table(given["raw.orders"]).column("file_row").to_pylist() == [1, 2, 3]
    with duckdb.connect(str(build), read_only=True) as connection:
        assert connection.execute("select table_name from duckdb_tables()").fetchall() == [("files",)]
        assert connection.execute("from raw.orders").fetchall() == [
            ("b", dt.datetime(2024, 3, 1, 10)),
            ("a", None),
            (None, None),
        ]
        assert connection.execute("select typeof(rank) from model.lists").fetchall() == [("TINYINT",)]
        assert list_landed_files(connection) == [("orders", "orders.csv")]


def test_only_what_python_wrote_since_is_copied_again(house: Warehouse, build: Path) -> None:
    move_to_lake(house, WEEK)
    assert move_to_lake(house, WEEK) == {}
    with house.build(WEEK).write() as connection:
        drop_view(connection, "model", "lists")
        connection.execute("create table model.lists as select 'c2' as customer_id, 2::tinyint as rank")
    assert move_to_lake(house, WEEK).keys() == {"model.lists"}
    with duckdb.connect(str(build), read_only=True) as connection:
        assert connection.execute("from model.lists").fetchall() == [("c2", 2)]


def test_what_duckdb_made_anew_is_given_to_the_engine_again(house: Warehouse, build: Path) -> None:
    move_to_lake(house, WEEK)
    with house.build(WEEK).write() as connection:
        # A week without RECS_ENGINE, between two with it.
        drop_view(connection, "raw", "orders")
        connection.execute("create view raw.orders as select 'new' as order_id")
        unname_files(connection, ["raw.orders", "marts.baskets"])
        assert load_files(connection).keys() == {"model.lists"}
    given = move_to_lake(house, WEEK)
    assert given.keys() == {"raw.orders"}
    assert pq.read_table(given["raw.orders"]).column("order_id").to_pylist() == ["new"]


def test_a_build_file_without_a_lake_has_no_files_to_forget(house: Warehouse, build: Path) -> None:
    with house.build(WEEK).write() as connection:
        unname_files(connection, ["raw.orders"])
        assert load_files(connection, shown=False) == {}


def test_a_build_file_is_attached_elsewhere_and_read_with_its_files(house: Warehouse, build: Path) -> None:
    move_to_lake(house, WEEK)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{build}' as week (read_only)")
        assert connection.execute("select count(*) from week.raw.orders").fetchall() == [(3,)]


def test_files_that_nothing_names_are_dropped(house: Warehouse, build: Path) -> None:
    first = move_to_lake(house, WEEK)
    killed = house.prepare_lake(house.build(WEEK)) / "made" / "marts.baskets" / "0.parquet"
    killed.parent.mkdir(parents=True)
    killed.write_bytes(b"half")
    house.drop_unnamed_files()
    assert [path.name for path in first["raw.orders"].iterdir()] == ["0.parquet"]
    assert not killed.parent.exists()
    build.unlink()
    house.drop_unnamed_files()
    assert not house.lake.exists()


def test_a_published_table_has_the_types_of_its_contract_in_any_time_zone(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        write_file(
            connection,
            "select 1 as rank, timestamptz '2024-03-04 10:00:00+00' as made_at",
            tmp_path / "0.parquet",
        )
        connection.execute("set timezone = 'Asia/Tokyo'")
        declared = {"made_at": "timestamp", "rank": "smallint", "note": "varchar"}
        show_table(connection, "recs.made", [tmp_path / "0.parquet"], declared, "what", {"rank": "its place"})
        assert connection.execute("from recs.made").fetchall() == [(dt.datetime(2024, 3, 4, 10), 1, None)]
        assert connection.execute(
            "select column_name, data_type, comment from duckdb_columns() where schema_name = 'recs'"
        ).fetchall() == [
            ("made_at", "TIMESTAMP", None),
            ("rank", "SMALLINT", "its place"),
            ("note", "VARCHAR", None),
        ]
        assert load_files(connection).keys() == {"recs.made"}


def test_a_lake_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for lake, reason in (
        (tmp_path / "file", r"\((Not a directory|File exists)\)"),
        (tmp_path / "file" / "recs", r"\(Not a directory\)"),
        (Path("/proc/recs"), r"\(.+\)"),  # also root can write nothing there
    ):
        house = Warehouse(tmp_path / "home", lake=lake)
        sentence = rf"^The lake {lake}/recs_\w+ cannot be used {reason}: make it a folder that can be written, or name another \(RECS_LAKE\)\.$"
        with pytest.raises(WarehouseError, match=sentence):
            house.require_lake()
        with pytest.raises(WarehouseError, match=sentence):
            house.prepare_lake(house.build(WEEK))


def test_a_lake_whose_path_reads_as_a_pattern_is_refused(tmp_path: Path) -> None:
    """Sail finds no files there, and says nothing."""
    house = Warehouse(tmp_path / "home", lake=tmp_path / "recs [1]")
    with pytest.raises(WarehouseError, match=r"recs \[1\]/recs_\w+ has one of \*\?\[\]\{\} in its path"):
        house.require_lake()


def test_a_lake_that_can_be_used_is_left_empty(house: Warehouse) -> None:
    house.require_lake()
    assert list(house.lake.iterdir()) == []
