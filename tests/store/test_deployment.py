"""A home knows its lakes, and deletes in no other."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers.lake import list_lake, move_to_lake
from recs_assets.schema import WarehouseError
from recs_assets.store.deployment import FILE, list_lakes, name_deployment
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.share import open_job

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


def test_a_lost_file_keeps_its_own_lake_only(house: Warehouse, tmp_path: Path) -> None:
    other = Warehouse(house.home, lake=tmp_path / "other")
    with other.build(date(2024, 3, 11)).write() as connection:
        connection.execute("create schema raw; create table raw.orders as select 'o2' as order_id")
    move_to_lake(other, date(2024, 3, 11))
    for lake in (house.lake, other.lake):
        (lake / "left.parquet").write_bytes(b"PAR1 half")
    with other.build(date(2024, 3, 11)).write() as connection:
        connection.execute(
            "insert into lake.files (relation, path) select 'raw.lost', replace(path, '0.parquet', '1.parquet') from lake.files"
        )
    assert other.drop_unnamed_files() == [house.lake / "left.parquet"]


def test_the_lake_of_a_job_is_known_before_its_folder_is_there(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "home", lake=tmp_path / "lake")
    week = SimpleNamespace(warehouse=warehouse, as_of=WEEK)
    with open_job(week) as folder:
        assert list_lakes(warehouse.home) == [warehouse.lake]
        killed = folder.with_name("killed")
        killed.mkdir()
        (killed / "build.duckdb").write_bytes(b"names and addresses")
    assert warehouse.drop_unnamed_files() == [killed / "build.duckdb"]


def test_a_copy_under_the_same_path_deletes_nothing_until_somebody_says_what_it_is(
    house: Warehouse, tmp_path: Path
) -> None:
    shutil.copytree(house.home, tmp_path / "copy")
    lake = house.lake
    (lake / "of_the_first.parquet").write_bytes(b"PAR1 half")
    house.home.rename(tmp_path / "first")
    (tmp_path / "copy").rename(house.home)
    copy = Warehouse(house.home, lake=tmp_path / "lake")
    file = house.home / FILE
    assert copy.drop_unnamed_files() == []
    for ask in (copy.remember_lake, lambda: copy.lake, lambda: list_lakes(copy.home)):
        with pytest.raises(WarehouseError) as caught:
            ask()
        assert str(caught.value) == (
            f"{file} was written in another folder of that path, or on another machine: where this home is a copy, delete the file, and "
            "a lake of its own begins; where it was restored or moved, and the first one is used no more, set 'place' in "
            "it to null."
        )
    assert (lake / "of_the_first.parquet").exists()
    about = json.loads(file.read_text())
    file.unlink()
    assert copy.drop_unnamed_files() == []
    assert copy.lake != lake
    file.write_text(json.dumps(about | {"place": None}))
    assert copy.lake == lake
    assert copy.drop_unnamed_files() == [lake / "of_the_first.parquet"]
    assert json.loads(file.read_text())["place"] not in ("", None, about["place"])
    file.write_text(json.dumps(about | {"place": ""}))
    copy.remember_lake()
    assert json.loads(file.read_text())["place"] == ""


def test_a_home_that_is_started_again_or_was_made_before_places_stays_itself(
    house: Warehouse, tmp_path: Path
) -> None:
    lake, file = house.lake, house.home / FILE
    about = json.loads(file.read_text())
    house.home.rename(tmp_path / "mounted")
    (tmp_path / "mounted").rename(house.home)
    assert Warehouse(house.home, lake=tmp_path / "lake").lake == lake
    del about["place"]
    file.write_text(json.dumps(about))
    assert Warehouse(house.home, lake=tmp_path / "lake").lake == lake
    house.remember_lake()
    assert json.loads(file.read_text())["place"]
