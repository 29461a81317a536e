"""A home knows its lakes, and deletes in no other."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from helpers.lake import list_lake, move_to_lake
from recs_assets.store.deployment import FILE, list_lakes, name_deployment
from recs_assets.store.warehouse import Warehouse

WEEK = date(2024, 3, 4)


@pytest.fixture
def house(tmp_path: Path) -> Warehouse:
    """One week of one table in a lake that others share."""
    warehouse = Warehouse(tmp_path / "home", lake=tmp_path / "lake")
    with warehouse.build(WEEK).write() as connection:
        connection.execute("create schema raw; create table raw.orders as select 'o1' as order_id")
    move_to_lake(warehouse, WEEK)
    return warehouse


def test_the_name_stays_and_another_home_has_another(tmp_path: Path) -> None:
    one = name_deployment(tmp_path / "one")
    assert name_deployment(tmp_path / "other" / ".." / "one") == one
    assert name_deployment(tmp_path / "two") != one
    assert len(one) == len("recs_3f9c0d2e")


def test_a_second_home_of_the_same_path_deletes_nothing_of_the_first(
    house: Warehouse, tmp_path: Path
) -> None:
    before = list_lake(house)
    lake = house.lake
    house.home.rename(tmp_path / "first")
    second = Warehouse(house.home, lake=tmp_path / "lake")
    assert second.drop_unnamed_files() == []
    assert second.lake != lake
    assert sorted(str(path.relative_to(lake)) for path in lake.rglob("*.parquet")) == before


def test_nothing_is_deleted_where_the_lake_was_moved(house: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "lake").rename(tmp_path / "moved")
    moved = Warehouse(house.home, lake=tmp_path / "moved")
    assert moved.drop_unnamed_files() == []
    assert len(list_lake(moved)) == 1


def test_a_copied_home_leaves_the_lake_of_the_first_alone(house: Warehouse, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(house.home, copy)
    (copy / "weeks" / "2024-03-04" / "build.duckdb").unlink()
    assert Warehouse(copy, lake=tmp_path / "lake").drop_unnamed_files() == []
    assert len(list_lake(house)) == 1


def test_a_lake_of_before_is_remembered_until_it_is_empty(house: Warehouse) -> None:
    later = Warehouse(house.home)
    assert list_lakes(later.home) == [house.lake]
    house.build(WEEK).path.unlink()
    assert [path.name for path in later.drop_unnamed_files()] == ["0.parquet"]
    assert list_lakes(later.home) == []
    assert (later.home / FILE).exists()
