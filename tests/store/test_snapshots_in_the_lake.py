"""Snapshots of weeks that an engine made: the rows stay in the lake, and everything else is as of other snapshots."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path

import duckdb
import pytest

from helpers.lake import list_lake, list_own_tables, move_to_lake
from helpers.warehouse import (
    EMAILS,
    FIRST,
    FOURTH,
    NOW,
    SECOND,
    THIRD,
    Email,
    build,
    emails,
    list_published,
    publish,
    rows,
)  # fmt: skip
from recs_assets.schema import WarehouseError
from recs_assets.store.warehouse import Warehouse


def build_in_lake(
    house: Warehouse, week: date, rows_of_week: list[Email] = EMAILS, customers: str = ""
) -> None:
    build(house, week, rows_of_week)
    if customers:
        with house.build(week).write() as connection:
            connection.execute(
                f"create table recs.customers as select unnest(string_split('{customers}', ' ')) as customer_id"
            )
    move_to_lake(house, week)


def list_files(house: Warehouse, table: str) -> list[str]:
    return [
        path
        for (path,) in rows(
            house, f"select path from lake.files where relation = 'recs.{table}' order by rowid"
        )
    ]


def test_it_holds_views_and_says_of_their_rows_what_a_copy_would(house: Warehouse, tmp_path: Path) -> None:
    other = Warehouse(tmp_path / "other", threads=1)
    build(other, FIRST)
    build_in_lake(house, FIRST)
    copied, shown = publish(other, FIRST), publish(house, FIRST)
    assert (shown.rows, shown.hashes) == (copied.rows, copied.hashes)
    assert list_own_tables(shown.path) == ["files", "publish_log"]
    assert emails(house) == emails(other)
    for sql in (
        "select comment from duckdb_views() where view_name = 'email_recommendations'",
        "select comment from duckdb_columns() where table_name = 'email_recommendations' and column_name = 'slot'",
    ):
        [(comment,)] = rows(house, sql)
        assert [(comment,)] == rows(other, sql.replace("views", "tables").replace("view_name", "table_name"))


def test_earlier_weeks_are_the_same_files_and_go_with_their_last_version(house: Warehouse) -> None:
    for week in (FIRST, SECOND, THIRD, FOURTH):
        build_in_lake(house, week)
        publish(house, week)
        if week == FIRST:
            [first] = list_files(house, "email_recommendations")
        elif week == THIRD:
            assert first in list_files(house, "email_recommendations")
    # Three weeks are kept, and two build files.
    assert sorted({week for week, *_ in emails(house)}) == [SECOND, THIRD, FOURTH]
    assert len(list_published(house) - {"recs.duckdb"}) == 3
    for week in (date(2024, 4, 1), date(2024, 4, 8)):
        # The oldest version that is kept is of the third week or of the second, and reads the first.
        assert Path(first).exists()
        build_in_lake(house, week)
        publish(house, week)
    assert not Path(first).exists()
    # Of a week that no version is of only what is published weekly stays.
    [name] = [name for name in list_lake(house) if "2024-03-18" in name]
    assert re.fullmatch(r"weeks/2024-03-18/1-\w+/made/recs.email_recommendations/0.parquet", name)


def test_a_version_counts_and_hashes_a_carried_week_but_once(
    house: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_in_lake(house, FIRST)
    publish(house, FIRST)
    build_in_lake(house, SECOND, [("c1", 1, "p2")])
    done = publish(house, SECOND)
    assert done.rows["email_recommendations"] == 4
    [(count, content)] = rows(
        house, "select count(*), sum(hash(t)::hugeint) from recs.email_recommendations as t"
    )
    assert done.hashes["email_recommendations"] == f"{count}:{content:x}"


def test_a_new_column_is_empty_in_the_weeks_before_it(house: Warehouse) -> None:
    build_in_lake(house, FIRST)
    publish(house, FIRST)
    build(house, SECOND, [("c9", 1, "p1")])
    with house.build(SECOND).write() as connection:
        connection.execute("alter table recs.email_recommendations add column price double default 1.5")
    move_to_lake(house, SECOND)
    publish(house, SECOND)
    assert rows(house, "select customer_id, price from recs.email_recommendations order by all") == [
        ("c1", None), ("c1", None), ("c2", None), ("c9", 1.5),
    ]  # fmt: skip


@pytest.mark.parametrize("engine_first", [True, False])
def test_weeks_of_an_engine_and_of_duckdb_stand_side_by_side(house: Warehouse, engine_first: bool) -> None:
    steps = (build_in_lake, build) if engine_first else (build, build_in_lake)
    for week, step in zip((FIRST, SECOND), steps, strict=True):
        step(house, week)
        publish(house, week)
    assert len(emails(house)) == 6
    # The same again: what was carried over is not written twice.
    steps[1](house, THIRD)
    publish(house, THIRD)
    assert [week for week, *_ in emails(house)] == [FIRST] * 3 + [SECOND] * 3 + [THIRD] * 3


def test_a_backfill_replaces_its_week_and_leaves_the_newest_tables(house: Warehouse) -> None:
    for week in (FIRST, SECOND):
        build_in_lake(house, week)
        publish(house, week)
    build_in_lake(house, FIRST, [("c7", 1, "p1")])
    publish(house, FIRST, "run-2222-2222")
    assert [row for row in emails(house) if row[0] == FIRST] == [(FIRST, "c7", 1, "p1")]
    assert rows(house, "select distinct seen_on from recs.products") == [(SECOND,)]


def test_going_back_reads_the_files_of_then(house: Warehouse) -> None:
    for week in (FIRST, SECOND):
        build_in_lake(house, week)
        publish(house, week)
    house.snapshots.rollback(None, NOW, "1.2.3")
    assert {week for week, *_ in emails(house)} == {FIRST}
    assert rows(house, "select distinct seen_on from recs.products") == [(FIRST,)]
    build_in_lake(house, THIRD)
    publish(house, THIRD)
    assert {week for week, *_ in emails(house)} == {FIRST, SECOND, THIRD}


def test_whoever_is_no_customer_any_more_leaves_the_files_of_earlier_weeks(house: Warehouse) -> None:
    build_in_lake(house, FIRST, customers="c1 c2")
    publish(house, FIRST)
    [before] = list_files(house, "email_recommendations")
    build_in_lake(house, SECOND, [("c1", 1, "p1")], customers="c1")
    publish(house, SECOND)
    assert emails(house) == [(FIRST, "c1", 1, "p1"), (FIRST, "c1", 2, "p2"), (SECOND, "c1", 1, "p1")]
    # The version of then still reads the file of then.
    assert Path(before).exists()
    # The other is in the folder of the week that leaves them out: a copied home writes nothing beside the first one's files.
    assert re.fullmatch(
        r".*/weeks/2024-03-11/1-\w+/carried/recs.email_recommendations/2024-03-04/0.1.parquet",
        list_files(house, "email_recommendations")[1],
    )


def test_a_killed_build_leaves_the_week_readable_and_its_files_to_the_next_one(house: Warehouse) -> None:
    build_in_lake(house, FIRST)
    publish(house, FIRST)
    killed = house.prepare_lake(house.build(FIRST)) / "made" / "recs.products"
    killed.mkdir(parents=True)
    (killed / "part-0.parquet").write_bytes(b"PAR1 half")
    with house.build(FIRST).read() as connection:
        assert connection.execute("select count(*) from recs.products").fetchall() == [(2,)]
    house.drop_unnamed_files()
    assert not killed.exists()
    assert len(emails(house)) == 3


def test_a_query_reads_the_files_of_the_snapshot_and_no_others(house: Warehouse, tmp_path: Path) -> None:
    build_in_lake(house, FIRST)
    publish(house, FIRST)
    assert house.ask("select count(*) from recs.email_recommendations")[1] == [(3,)]
    secret = tmp_path / "secret.parquet"
    shutil.copyfile(list_files(house, "products")[0], secret)
    with pytest.raises(WarehouseError, match="cannot be answered"):
        house.ask(f"select * from read_parquet('{secret}')")


def test_an_analyst_in_another_time_zone_and_folder_reads_it(
    house: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    build_in_lake(house, FIRST)
    publish(house, FIRST)
    monkeypatch.chdir(tmp_path)
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"attach '{house.snapshot_path}' as shop (read_only)")
        assert connection.execute("select count(*) from shop.recs.email_recommendations").fetchall() == [(3,)]


def test_a_file_that_is_not_there_is_not_published(house: Warehouse) -> None:
    build_in_lake(house, FIRST)
    publish(house, FIRST)
    before = house.snapshot_path.resolve()
    build_in_lake(house, SECOND)
    for path in house.lake.glob("weeks/2024-03-11/*/made/recs.products/*"):
        path.unlink()
    with pytest.raises(WarehouseError):
        publish(house, SECOND)
    assert house.snapshot_path.resolve() == before


def test_a_lake_that_is_not_there_is_said(house: Warehouse) -> None:
    build_in_lake(house, FIRST)
    publish(house, FIRST)
    house.lake.rename(house.lake.with_name("elsewhere"))
    with pytest.raises(WarehouseError, match="make RECS_LAKE's folder available"):
        emails(house)
    with pytest.raises(WarehouseError) as caught:
        house.ask("select count(*) from recs.products")
    assert str(caught.value) == (
        f"{house.snapshot_path} reads files that are not there ({house.lake}): make RECS_LAKE's folder available under the "
        "path that it had when the week was built, or run the week again."
    )
    assert house.ask("select count(*) from recs.publish_log")[1] == [(1,)]
    with (
        pytest.raises(WarehouseError, match="make RECS_LAKE's folder available"),
        house.build(FIRST).read() as connection,
    ):
        connection.execute("select * from recs.products")


def test_nobody_goes_back_to_files_that_are_not_there(house: Warehouse) -> None:
    for week in (FIRST, SECOND):
        build_in_lake(house, week)
        publish(house, week)
    before = {path.name for path in house.published_dir.iterdir()}
    house.lake.rename(house.lake.with_name("elsewhere"))
    with pytest.raises(WarehouseError, match="make RECS_LAKE's folder available"):
        house.snapshots.rollback(None, NOW, "1.2.3")
    assert {path.name for path in house.published_dir.iterdir()} == before


def test_a_copy_that_cannot_be_read_is_not_left(house: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    for week in (FIRST, SECOND):
        build_in_lake(house, week)
        publish(house, week)
    before = {path.name for path in house.published_dir.iterdir()}
    # The lake goes after the look at its files.
    monkeypatch.setattr("recs_assets.store.snapshots.find_absent", lambda _: None)
    house.lake.rename(house.lake.with_name("elsewhere"))
    with pytest.raises(WarehouseError, match="reads files that are not there"):
        house.snapshots.rollback(None, NOW, "1.2.3")
    assert {path.name for path in house.published_dir.iterdir()} == before


def test_no_two_builds_have_the_same_folder(house: Warehouse) -> None:
    build_in_lake(house, FIRST)
    unfinished = house.prepare_lake(house.build(FIRST))
    unfinished.rmdir()
    again = house.prepare_lake(house.build(FIRST))
    assert unfinished.name.startswith("2-")
    assert again.name.startswith("2-")
    assert again != unfinished
