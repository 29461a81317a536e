"""The snapshot's promises, on build files small enough to write by hand."""

from __future__ import annotations

import stat
import subprocess
from datetime import date
from pathlib import Path

import duckdb
import pytest

from helpers.warehouse import (
    EMAILS,
    FIRST,
    FOURTH,
    FULL_DISK,
    NOW,
    SECOND,
    THIRD,
    WEEKS,
    Email,
    assert_old_clients_open,
    build,
    emails,
    list_published,
    publish,
    read_line,
    rows,
    start_python,
)
from recs_assets.schema import WarehouseError
from recs_assets.store.snapshots import Snapshots
from recs_assets.store.warehouse import Warehouse

# -- one snapshot --------------------------------------------------------------------------------


def test_the_snapshot_is_one_read_only_file_behind_a_link(house: Warehouse) -> None:
    build(house, FIRST)
    done = publish(house, FIRST)

    assert done.path.name == "analytics-2024-03-04-run-0000.duckdb"
    assert house.snapshot_path.is_symlink()
    assert house.snapshot_path.readlink() == Path("analytics-2024-03-04-run-0000.duckdb")
    assert stat.S_IMODE(done.path.stat().st_mode) == 0o444
    assert list_published(house) == {
        "recs.duckdb",
        "analytics-2024-03-04-run-0000.duckdb",
    }  # no .wal, no .tmp
    assert done.rows == {"email_recommendations": 3, "products": 2}
    assert emails(house) == [(FIRST, "c1", 1, "p1"), (FIRST, "c1", 2, "p2"), (FIRST, "c2", 1, "p2")]


def test_clients_from_1_0_on_can_open_it(house: Warehouse) -> None:
    build(house, FIRST)
    publish(house, FIRST)
    assert_old_clients_open(house)


def test_older_clients_find_it_under_a_name_that_is_no_schema(house: Warehouse) -> None:
    """DuckDB before 1.5 calls the database after its file, and refuses `recs.<table>` in one called recs."""
    for week in (FIRST, SECOND):
        build(house, week)
        publish(house, week)
        other = house.published_dir / "analytics.duckdb"
        assert str(other.readlink()) == "recs.duckdb"
        with duckdb.connect(str(other), read_only=True) as connection:
            assert connection.execute("select max(as_of) from recs.email_recommendations").fetchall() == [
                (week,)
            ]


def test_another_process_opens_it_read_only(house: Warehouse) -> None:
    build(house, FIRST)
    publish(house, FIRST)
    analyst = start_python(
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True);"
        "print(c.execute('select count(*) from recs.email_recommendations').fetchall())",
        house.snapshot_path,
    )
    assert read_line(analyst) == "[(3,)]"
    analyst.communicate()
    assert list_published(house) == {"recs.duckdb", "analytics-2024-03-04-run-0000.duckdb"}


def test_comments_of_tables_and_columns_survive(house: Warehouse) -> None:
    build(house, FIRST)
    publish(house, FIRST)
    assert rows(house, "select comment from duckdb_tables() where table_name = 'email_recommendations'") == [
        ("One row per week, customer's slot.",)
    ]
    assert rows(
        house,
        "select column_name, comment from duckdb_columns() "
        "where table_name = 'email_recommendations' and comment is not null",
    ) == [("slot", "Place, from 1.")]
    [(log,)] = rows(house, "select comment from duckdb_tables() where table_name = 'publish_log'")
    assert log.startswith("One row per switch")


def test_a_view_goes_with_its_tables(house: Warehouse) -> None:
    """Whatever name the file is opened under, and once it was written again without somebody."""
    build(house, FIRST)
    with house.build(FIRST).write() as connection:
        connection.execute(
            'create view recs.slots as select customer_id, slot from "build"."recs"."email_recommendations" '
            "union all select product_id, 0 from build.recs.products"
        )
        connection.execute("comment on view recs.slots is 'One row per customer''s slot.'")
        connection.execute("comment on column recs.slots.slot is 'Place, from 1.'")
    done = publish(house, FIRST)
    everybody = [("c1", 1), ("c1", 2), ("c2", 1), ("p1", 0), ("p2", 0)]
    assert rows(house, "select * from recs.slots order by all") == everybody
    with duckdb.connect() as connection:
        connection.execute(f"attach '{done.path}' as other (read_only)")
        assert connection.execute("select * from other.recs.slots order by all").fetchall() == everybody
    house.snapshots.purge([done.path], "c1", [], "false", NOW, "1.2.3")
    assert rows(house, "select * from recs.slots order by all") == everybody[2:]
    assert rows(house, "select comment from duckdb_views() where view_name = 'slots'") == [
        ("One row per customer's slot.",)
    ]
    assert rows(house, "select comment from duckdb_columns() where table_name = 'slots'") == [
        (None,), ("Place, from 1.",),
    ]  # fmt: skip


def test_the_log_says_what_was_published(house: Warehouse) -> None:
    build(house, FIRST)
    done = publish(house, FIRST)
    assert rows(
        house,
        "select published_at, action, as_of, run_id, version, snapshot_file, row_counts from recs.publish_log",
    ) == [
        (
            NOW,
            "publish",
            FIRST,
            "run-0000-1111",
            "1.2.3",
            "analytics-2024-03-04-run-0000.duckdb",
            '{"email_recommendations": 3, "products": 2}',
        )
    ]
    assert set(done.hashes) == {"email_recommendations", "products"}
    assert house.newest_published() == FIRST


# -- several weeks -------------------------------------------------------------------------------


def test_earlier_weeks_are_carried_over_and_cut_to_the_retention(house: Warehouse) -> None:
    for number, week in enumerate(WEEKS):
        build(house, week, [("c1", 1, f"p{number}")], products=number + 1)
        publish(house, week, f"run-000{number}")
    # Retention is three weeks; the table that is not weekly describes the newest week only.
    assert emails(house) == [(SECOND, "c1", 1, "p1"), (THIRD, "c1", 1, "p2"), (FOURTH, "c1", 1, "p3")]
    assert rows(house, "select distinct seen_on from recs.products") == [(FOURTH,)]
    assert rows(house, "select count(*) from recs.products") == [(4,)]
    assert rows(house, "select as_of from recs.publish_log order by as_of") == [(week,) for week in WEEKS]
    assert len(list(house.published_dir.glob("analytics-*.duckdb"))) == 3
    assert sorted(path.name for path in (house.home / "weeks").iterdir()) == ["2024-03-18", "2024-03-25"]


def test_publishing_a_week_again_replaces_its_rows(house: Warehouse) -> None:
    build(house, FIRST, [("c1", 1, "p1")])
    publish(house, FIRST)
    build(house, SECOND)
    publish(house, SECOND)
    build(house, SECOND, [("c9", 1, "p9")])
    publish(house, SECOND, "run-again")
    assert emails(house) == [(FIRST, "c1", 1, "p1"), (SECOND, "c9", 1, "p9")]
    assert rows(house, "select action, as_of from recs.publish_log") == [
        ("publish", FIRST),
        ("publish", SECOND),
        ("publish", SECOND),
    ]


def test_the_same_run_may_publish_twice(house: Warehouse) -> None:
    build(house, FIRST)
    first = publish(house, FIRST)
    second = publish(house, FIRST)
    assert first.path == second.path
    assert first.hashes == second.hashes
    assert len(emails(house)) == 3


def test_a_backfill_leaves_the_newest_week_alone(house: Warehouse) -> None:
    build(house, FIRST, [("c1", 1, "p1")], products=1)
    publish(house, FIRST)
    build(house, THIRD, [("c1", 1, "p3")], products=3)
    publish(house, THIRD)
    build(house, FIRST, [("c1", 1, "p7")], products=7)
    publish(house, FIRST, "run-back")
    assert emails(house) == [(FIRST, "c1", 1, "p7"), (THIRD, "c1", 1, "p3")]
    assert rows(house, "select count(*), max(seen_on) from recs.products") == [(3, THIRD)]
    assert rows(house, "select action, as_of from recs.publish_log") == [
        ("publish", FIRST),
        ("publish", THIRD),
        ("backfill", FIRST),
    ]
    assert house.newest_published() == THIRD


def test_a_backfill_older_than_the_retention_evicts_no_newer_week(house: Warehouse) -> None:
    for week in (SECOND, THIRD, FOURTH):
        build(house, week, [("c1", 1, "p1")])
        publish(house, week)
    build(house, FIRST, [("c1", 1, "p0")])
    publish(house, FIRST)
    assert [row[0] for row in emails(house)] == [FIRST, SECOND, THIRD, FOURTH]


def test_a_new_column_is_empty_in_the_weeks_before_it(house: Warehouse) -> None:
    build(house, FIRST, [("c1", 1, "p1")])
    publish(house, FIRST)
    build(house, SECOND, [("c1", 1, "p2")])
    with house.build(SECOND).write() as connection:
        connection.execute("alter table recs.email_recommendations add column reason varchar")
        connection.execute("update recs.email_recommendations set reason = 'new'")
    publish(house, SECOND)
    assert rows(house, "select as_of, reason from recs.email_recommendations order by as_of") == [
        (FIRST, None),
        (SECOND, "new"),
    ]


def test_a_week_of_0_2_0_is_carried_over_under_the_names_of_now(house: Warehouse) -> None:
    """0.2.0 said product_name where the email table says title, and had no table of the holdout."""
    build(house, FIRST, [("c1", 1, "p1")])
    with house.build(FIRST).write() as connection:
        connection.execute(
            "alter table recs.email_recommendations add column product_name varchar default 'Tea'"
        )
    publish(house, FIRST)
    build(house, SECOND, [("c1", 1, "p2")])
    with house.build(SECOND).write() as connection:
        connection.execute("alter table recs.email_recommendations add column title varchar default 'Mug'")
        connection.execute(
            "alter table recs.email_recommendations add column arm varchar default 'treatment'"
        )
        connection.execute("create table recs.email_holdout as from recs.email_recommendations where false")
    publish(house, SECOND)
    assert rows(house, "select as_of, title, arm from recs.email_recommendations order by as_of") == [
        (FIRST, "Tea", None),
        (SECOND, "Mug", "treatment"),
    ]
    assert rows(house, "select count(*) from recs.email_holdout") == [(0,)]


def write_customers(house: Warehouse, week: date, names: list[str]) -> None:
    with house.build(week).write() as connection:
        connection.execute("create table recs.customers (customer_id varchar)")
        connection.executemany("insert into recs.customers values (?)", [[name] for name in names])


def test_an_erased_customer_leaves_the_earlier_weeks_too(house: Warehouse) -> None:
    build(house, FIRST, [("c1", 1, "p1"), ("gone-soon", 1, "p1")])
    write_customers(house, FIRST, ["c1", "gone-soon"])
    publish(house, FIRST)
    assert len(emails(house)) == 2
    build(house, SECOND, [("c1", 1, "p2")])
    write_customers(house, SECOND, ["c1"])
    publish(house, SECOND)
    assert emails(house) == [(FIRST, "c1", 1, "p1"), (SECOND, "c1", 1, "p2")]
    assert b"gone-soon" not in house.snapshot_path.read_bytes()
    # The first week again: as of that date she was a customer, but today she is erased.
    build(house, FIRST, [("c1", 1, "p1"), ("gone-soon", 1, "p1")])
    write_customers(house, FIRST, ["c1", "gone-soon"])
    publish(house, FIRST, "run-back")
    assert emails(house) == [(FIRST, "c1", 1, "p1"), (SECOND, "c1", 1, "p2")]
    assert b"gone-soon" not in house.snapshot_path.read_bytes()


def write_attributions(house: Warehouse, week: date, orders: list[tuple[str, str]]) -> None:
    with house.build(week).write() as connection:
        connection.execute("create table recs.attributions (order_id varchar, customer_id varchar)")
        connection.executemany("insert into recs.attributions values (?, ?)", orders)


def test_attributions_are_the_newest_weeks_and_go_back_with_it(house: Warehouse) -> None:
    """They are of all weeks that are kept, so a week that is run again has nothing to add to them."""
    for week, orders in ((FIRST, [("o0", "c1")]), (SECOND, [("o1", "c1"), ("o2", "gone-soon")])):
        build(house, week)
        write_attributions(house, week, orders)
        publish(house, week)
    publish(house, FIRST, "run-back")
    query = "select order_id from recs.attributions order by 1"
    with house.snapshot() as connection:
        assert connection.execute(query).fetchall() == [("o1",), ("o2",)]
    house.snapshots.purge([house.snapshots.find_current().path], "gone-soon", [], "false", NOW, "1.2.3")
    with house.snapshot() as connection:
        assert connection.execute(query).fetchall() == [("o1",)]
    assert b"gone-soon" not in house.snapshot_path.read_bytes()
    house.snapshots.rollback(FIRST, NOW, "1.2.3")
    with house.snapshot() as connection:
        assert connection.execute(query).fetchall() == [("o0",)]


# -- content hashes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        ([("c2", 1, "p2"), ("c1", 1, "p1"), ("c1", 2, "p2")], True),
        ([*EMAILS, ("c2", 1, "p2")], False),
        ([("c1", 1, "p1"), ("c1", 1, "p1"), ("c2", 1, "p2")], False),
        ([("c1", 1, "p1"), ("c1", 2, "p2"), ("c2", 1, None)], False),
    ],
    ids=["another order", "one row twice", "one row twice, one gone", "a null"],
)
def test_equal_rows_have_equal_hashes(tmp_path: Path, other: list[Email], equal: bool) -> None:
    hashes = []
    for number, written in enumerate((EMAILS, other)):
        house = Warehouse(tmp_path / str(number), threads=1)
        build(house, FIRST, written)
        hashes.append(publish(house, FIRST).hashes["email_recommendations"])
    assert (hashes[0] == hashes[1]) is equal


def test_a_null_is_not_the_word_null(tmp_path: Path) -> None:
    hashes = set()
    for number, product in enumerate((None, "NULL", "null", "")):
        house = Warehouse(tmp_path / str(number), threads=1)
        build(house, FIRST, [("c1", 1, product)])
        hashes.add(publish(house, FIRST).hashes["email_recommendations"])
    assert len(hashes) == 4


# -- failures ------------------------------------------------------------------------------------


def test_a_copy_that_differs_is_not_published(
    published_house: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differs(*_: object) -> None:
        raise WarehouseError("the copy differs")

    build(published_house, SECOND)
    with monkeypatch.context() as patched:
        patched.setattr(Snapshots, "_verify", differs)
        with pytest.raises(WarehouseError, match="differs"):
            publish(published_house, SECOND)


def test_verifying_counts_the_rows(published_house: Warehouse) -> None:
    with pytest.raises(WarehouseError, match=r"recs\.products where 7 were written: not publishing"):
        published_house.snapshots._verify(published_house.snapshot_path.resolve(), {"products": 7})


def test_a_build_file_without_published_models(published_house: Warehouse) -> None:
    with published_house.build(SECOND).write() as connection:
        connection.execute("create table nothing_of_ours (n integer)")
    with pytest.raises(WarehouseError, match="no tables in schema recs: run dbt's published models first"):
        publish(published_house, SECOND)


def test_a_week_without_build_file(published_house: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="2024-03-11 has no build file"):
        publish(published_house, SECOND)


def test_a_damaged_build_file(published_house: Warehouse) -> None:
    published_house.build(SECOND).folder.mkdir()
    published_house.build(SECOND).path.write_bytes(b"not a database " * 1000)
    with pytest.raises(WarehouseError, match=r"DuckDB cannot open .*build\.duckdb"):
        publish(published_house, SECOND)


def test_a_full_disk(published_house: Warehouse) -> None:
    build(published_house, SECOND)
    with published_house.build(SECOND).write() as connection:
        connection.execute("create table recs.wide as select md5(n::varchar) as x from range(200000) as t(n)")
    process = start_python(FULL_DISK, published_house.home)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.startswith("The snapshot of 2024-03-11 could not be written")
    assert "what was published before is untouched" in out


def test_what_a_killed_publish_left_is_gone_after_the_next(house: Warehouse) -> None:
    build(house, FIRST)
    house.published_dir.mkdir(parents=True)
    for name in (
        "analytics-2024-03-04-dead0000.tmp",
        "analytics-2024-03-04-dead0000.tmp.wal",
        ".recs.duckdb.next",
    ):
        (house.published_dir / name).write_bytes(b"half")
    publish(house, FIRST)
    assert list_published(house) == {"recs.duckdb", "analytics-2024-03-04-run-0000.duckdb"}


ANALYST = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
for _ in sys.stdin:
    print(connection.execute(
        "select min(as_of), count(*), string_agg(product_id order by product_id) from recs.email_recommendations"
    ).fetchall(), flush=True)
"""


def test_an_analyst_keeps_reading_the_old_snapshot(house: Warehouse) -> None:
    house.snapshots.retention = 1  # not even the old file's name remains
    build(house, FIRST)
    publish(house, FIRST)
    analyst = start_python(ANALYST, house.snapshot_path, stdin=subprocess.PIPE)
    assert analyst.stdin is not None
    try:
        print(file=analyst.stdin, flush=True)
        before = read_line(analyst)
        build(house, SECOND, [("c1", 1, "p9")])
        publish(house, SECOND, "run-next")
        print(file=analyst.stdin, flush=True)
        after = read_line(analyst)
    finally:
        analyst.communicate()
    assert before == after == "[(datetime.date(2024, 3, 4), 3, 'p1,p2,p2')]"
    assert emails(house) == [(SECOND, "c1", 1, "p9")]


def test_reading_what_is_not_there_says_what_to_do(house: Warehouse) -> None:
    with pytest.raises(WarehouseError, match=r"has no build file .*: materialise its raw tables first\."):
        house.build(FIRST).read().__enter__()
    with pytest.raises(
        WarehouseError, match=r"Nothing is published yet at .*recs\.duckdb: run a week first\."
    ):
        house.snapshot().__enter__()
    with pytest.raises(WarehouseError, match="Nothing is published yet"):
        house.newest_published()


def test_a_path_with_a_quote_in_it(tmp_path: Path) -> None:
    house = Warehouse(tmp_path / "ann's home", threads=1)
    build(house, FIRST)
    publish(house, FIRST)
    assert len(emails(house)) == 3
