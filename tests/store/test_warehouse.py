"""The snapshot's promises, on build files small enough to write by hand."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from recs_assets.campaigns.load import load_past_forecasts
from recs_assets.known.load import load_planned_offers
from recs_assets.reasons.offers import load_offers
from recs_assets.rules.facts import load_facts
from recs_assets.schema import WarehouseError
from recs_assets.store.lock import writer_lock
from recs_assets.store.snapshots import OTHER_NAME, Published, Snapshots
from recs_assets.store.warehouse import Warehouse

WEEKS = [date(2024, 3, 4), date(2024, 3, 11), date(2024, 3, 18), date(2024, 3, 25)]
FIRST, SECOND, THIRD, FOURTH = WEEKS
NOW = datetime(2024, 3, 25, 6, 0, 0)

Email = tuple[str, int, str]  # customer, slot, product
EMAILS: list[Email] = [("c1", 1, "p1"), ("c1", 2, "p2"), ("c2", 1, "p2")]


def load(function, house, *arguments):
    """What a package reads from a build file with the snapshot beside it."""
    with house.build(arguments[0]).read() as connection:
        house.attach_snapshot(connection)
        wanted = arguments[1:] if function in (load_facts, load_planned_offers) else arguments
        return function(connection, *wanted)


@pytest.fixture
def house(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "home", threads=1, memory_limit="512MB", retention=3)


def build(house: Warehouse, week: date, emails: list[Email] = EMAILS, products: int = 2) -> None:
    """Write a build file as dbt leaves it: schema recs, one weekly table, one that is not."""
    with house.build(week).write() as connection:
        connection.execute("drop schema if exists recs cascade")
        connection.execute("create schema recs")
        connection.execute(
            "create table recs.email_recommendations (as_of date, customer_id varchar, slot integer, product_id varchar)"
        )
        for customer, slot, product in emails:
            connection.execute(
                "insert into recs.email_recommendations values (?, ?, ?, ?)", [week, customer, slot, product]
            )
        connection.execute(
            f"create table recs.products as select 'p' || n as product_id, date '{week}' as seen_on "
            f"from range(1, {products + 1}) as t(n)"
        )
        connection.execute(
            "comment on table recs.email_recommendations is 'One row per week, customer''s slot.'"
        )
        connection.execute("comment on column recs.email_recommendations.slot is 'Place, from 1.'")


def publish(house: Warehouse, week: date, run_id: str = "run-0000-1111") -> Published:
    return house.publish(week, run_id, NOW, "1.2.3")


def rows(house: Warehouse, sql: str) -> list[tuple]:
    with house.snapshot() as connection:
        return connection.execute(sql).fetchall()


def emails(house: Warehouse) -> list[tuple]:
    return rows(
        house, "select as_of, customer_id, slot, product_id from recs.email_recommendations order by all"
    )


def left_in(house: Warehouse) -> set[str]:
    return {path.name for path in house.published_dir.iterdir()} - {OTHER_NAME}


def python(code: str, *arguments: object, **pipes: int) -> subprocess.Popen[str]:
    """Another process, as analysts and second runs are."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=Path(__file__).resolve().parents[2],
        text=True,
        stdout=subprocess.PIPE,
        **pipes,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


# -- one snapshot ---------------------------------------------------------------------------


def test_the_snapshot_is_one_read_only_file_behind_a_link(house: Warehouse) -> None:
    build(house, FIRST)
    done = publish(house, FIRST)

    assert done.path.name == "analytics-2024-03-04-run-0000.duckdb"
    assert house.snapshot_path.is_symlink()
    assert house.snapshot_path.readlink() == Path("analytics-2024-03-04-run-0000.duckdb")
    assert stat.S_IMODE(done.path.stat().st_mode) == 0o444
    assert left_in(house) == {"recs.duckdb", "analytics-2024-03-04-run-0000.duckdb"}  # no .wal, no .tmp
    assert done.rows == {"email_recommendations": 3, "products": 2}
    assert emails(house) == [(FIRST, "c1", 1, "p1"), (FIRST, "c1", 2, "p2"), (FIRST, "c2", 1, "p2")]


def test_clients_from_1_0_on_can_open_it(house: Warehouse) -> None:
    build(house, FIRST)
    publish(house, FIRST)
    with house.snapshot() as connection:
        tags = connection.execute(
            "select tags from duckdb_databases() where database_name = current_database()"
        ).fetchall()
    assert tags == [({"storage_version": "v1.0.0+"},)]


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
    analyst = python(
        "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True);"
        "print(c.execute('select count(*) from recs.email_recommendations').fetchall())",
        house.snapshot_path,
    )
    assert line_of(analyst) == "[(3,)]"
    analyst.communicate()
    assert left_in(house) == {"recs.duckdb", "analytics-2024-03-04-run-0000.duckdb"}


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


# -- several weeks --------------------------------------------------------------------------


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


def with_customers(house: Warehouse, week: date, names: list[str]) -> None:
    with house.build(week).write() as connection:
        connection.execute("create table recs.customers (customer_id varchar)")
        connection.executemany("insert into recs.customers values (?)", [[name] for name in names])


def test_an_erased_customer_leaves_the_earlier_weeks_too(house: Warehouse) -> None:
    build(house, FIRST, [("c1", 1, "p1"), ("gone-soon", 1, "p1")])
    with_customers(house, FIRST, ["c1", "gone-soon"])
    publish(house, FIRST)
    assert len(emails(house)) == 2
    build(house, SECOND, [("c1", 1, "p2")])
    with_customers(house, SECOND, ["c1"])
    publish(house, SECOND)
    assert emails(house) == [(FIRST, "c1", 1, "p1"), (SECOND, "c1", 1, "p2")]
    assert b"gone-soon" not in house.snapshot_path.read_bytes()
    # The first week again: as of that date she was a customer, but today she is erased.
    build(house, FIRST, [("c1", 1, "p1"), ("gone-soon", 1, "p1")])
    with_customers(house, FIRST, ["c1", "gone-soon"])
    publish(house, FIRST, "run-back")
    assert emails(house) == [(FIRST, "c1", 1, "p1"), (SECOND, "c1", 1, "p2")]
    assert b"gone-soon" not in house.snapshot_path.read_bytes()


# -- content hashes -------------------------------------------------------------------------


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
    for number, some in enumerate((EMAILS, other)):
        house = Warehouse(tmp_path / str(number), threads=1)
        build(house, FIRST, some)
        hashes.append(publish(house, FIRST).hashes["email_recommendations"])
    assert (hashes[0] == hashes[1]) is equal


def test_a_null_is_not_the_word_null(tmp_path: Path) -> None:
    hashes = set()
    for number, product in enumerate((None, "NULL", "null", "")):
        house = Warehouse(tmp_path / str(number), threads=1)
        build(house, FIRST, [("c1", 1, product)])
        hashes.add(publish(house, FIRST).hashes["email_recommendations"])
    assert len(hashes) == 4


# -- failures -------------------------------------------------------------------------------


@pytest.fixture
def published(house: Warehouse) -> Iterator[Warehouse]:
    """A house with a snapshot, which must still be there, byte for byte, at the end."""
    build(house, FIRST)
    publish(house, FIRST)
    before, link = house.snapshot_path.read_bytes(), house.snapshot_path.readlink()
    yield house
    assert house.snapshot_path.readlink() == link
    assert house.snapshot_path.read_bytes() == before
    assert emails(house) == [(FIRST, "c1", 1, "p1"), (FIRST, "c1", 2, "p2"), (FIRST, "c2", 1, "p2")]


def test_a_copy_that_differs_is_not_published(published: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def differs(*_: object) -> None:
        raise WarehouseError("the copy differs")

    build(published, SECOND)
    with monkeypatch.context() as patched:
        patched.setattr(Snapshots, "_verify", differs)
        with pytest.raises(WarehouseError, match="differs"):
            publish(published, SECOND)


def test_verifying_counts_the_rows(published: Warehouse) -> None:
    with pytest.raises(WarehouseError, match=r"recs\.products where 7 were written: not publishing"):
        published.snapshots._verify(published.snapshot_path.resolve(), {"products": 7})


def test_a_build_file_without_published_models(published: Warehouse) -> None:
    with published.build(SECOND).write() as connection:
        connection.execute("create table nothing_of_ours (n integer)")
    with pytest.raises(WarehouseError, match="no tables in schema recs: run dbt's published models first"):
        publish(published, SECOND)


def test_a_week_without_build_file(published: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="2024-03-11 has no build file"):
        publish(published, SECOND)


def test_a_damaged_build_file(published: Warehouse) -> None:
    published.build(SECOND).folder.mkdir()
    published.build(SECOND).path.write_bytes(b"not a database " * 1000)
    with pytest.raises(WarehouseError, match=r"DuckDB cannot open .*build\.duckdb"):
        publish(published, SECOND)


FULL_DISK = """
import resource, sys
from datetime import date, datetime
from pathlib import Path
from recs_assets.schema import WarehouseError
from recs_assets.store.warehouse import Warehouse

house = Warehouse(Path(sys.argv[1]), threads=1, memory_limit="512MB")
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
try:
    house.publish(date(2024, 3, 11), "run-full", datetime(2024, 3, 25), "1.2.3")
except WarehouseError as error:
    print(error)
else:
    print("published")
"""


def test_a_full_disk(published: Warehouse) -> None:
    build(published, SECOND)
    with published.build(SECOND).write() as connection:
        connection.execute("create table recs.wide as select md5(n::varchar) as x from range(200000) as t(n)")
    process = python(FULL_DISK, published.home)
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
    assert left_in(house) == {"recs.duckdb", "analytics-2024-03-04-run-0000.duckdb"}


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
    analyst = python(ANALYST, house.snapshot_path, stdin=subprocess.PIPE)
    assert analyst.stdin is not None
    try:
        print(file=analyst.stdin, flush=True)
        before = line_of(analyst)
        build(house, SECOND, [("c1", 1, "p9")])
        publish(house, SECOND, "run-next")
        print(file=analyst.stdin, flush=True)
        after = line_of(analyst)
    finally:
        analyst.communicate()
    assert before == after == "[(datetime.date(2024, 3, 4), 3, 'p1,p2,p2')]"
    assert emails(house) == [(SECOND, "c1", 1, "p9")]


# -- one writer -----------------------------------------------------------------------------

HOLDER = """
import sys, time
from pathlib import Path
from recs_assets.store.lock import writer_lock
with writer_lock(Path(sys.argv[1]), 0):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_waits_then_names_its_holder_and_a_kill_frees_it(tmp_path: Path) -> None:
    lock = tmp_path / "home" / "writer.lock"
    holder = python(HOLDER, lock)
    try:
        assert line_of(holder) == "held"
        said: list[str] = []
        begun = time.monotonic()
        with (
            pytest.raises(WarehouseError, match=f"still held by process {holder.pid} since .* after 1 s"),
            writer_lock(lock, 1.0, said.append),
        ):
            pass
        assert time.monotonic() - begun >= 1.0
        assert len(said) == 1  # told once, not at every look
        assert said[0].startswith(f"Waiting for process {holder.pid} since ")
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
    with writer_lock(lock, 0):  # no waiting at all
        assert lock.read_text().startswith(f"process {os.getpid()} since ")


def test_a_waiting_run_gets_the_lock_when_it_is_let_go(tmp_path: Path) -> None:
    lock = tmp_path / "writer.lock"
    with writer_lock(lock, 0):
        waiting = python(HOLDER.replace("(Path(sys.argv[1]), 0)", "(Path(sys.argv[1]), 30)"), lock)
        time.sleep(0.5)
        assert waiting.poll() is None
    try:
        assert line_of(waiting) == "held"
    finally:
        waiting.kill()
        waiting.communicate()


def test_the_lock_is_let_go_after_an_error(tmp_path: Path) -> None:
    lock = tmp_path / "writer.lock"
    with pytest.raises(ZeroDivisionError), writer_lock(lock, 0):
        raise ZeroDivisionError
    with writer_lock(lock, 0):
        pass


# -- tables of models -----------------------------------------------------------------------


def test_replace_table_casts_to_the_declared_types(house: Warehouse) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "score": [1.5, np.nan], "extra": [1, 2]})
    assert house.build(FIRST).replace_table("scores", frame, {"score": "double", "id": "varchar"}) == 2
    assert house.build(FIRST).replace_table("scores", frame, {"score": "double", "id": "varchar"}) == 2
    with house.build(FIRST).read() as connection:
        assert connection.execute("select * from model.scores order by id").fetchall() == [
            (1.5, "a"),
            (None, "b"),
        ]


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64", "Float64"])
def test_replace_table_refuses_infinity(house: Warehouse, value: float, dtype: str) -> None:
    frame = pd.DataFrame({"score": pd.Series([1.0, value], dtype=dtype)})
    with pytest.raises(WarehouseError, match=r"model\.scores\.score holds an infinite number"):
        house.build(FIRST).replace_table("scores", frame, {"score": "double"})
    assert not house.build(FIRST).path.exists()


def test_a_table_that_cannot_be_cast_leaves_the_one_before(house: Warehouse) -> None:
    house.build(FIRST).replace_table("scores", pd.DataFrame({"n": [1]}), {"n": "integer"})
    with pytest.raises(duckdb.ConversionException):
        house.build(FIRST).replace_table("scores", pd.DataFrame({"n": ["one"]}), {"n": "integer"})
    with house.build(FIRST).read() as connection:
        assert connection.execute("select * from model.scores").fetchall() == [(1,)]


# -- paths ----------------------------------------------------------------------------------


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


def test_a_build_file_that_another_process_writes(house: Warehouse) -> None:
    build(house, FIRST)
    writer = python(
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()",
        house.build(FIRST).path,
        stdin=subprocess.PIPE,
    )
    try:
        assert line_of(writer) == "open"
        with pytest.raises(WarehouseError, match="Close whatever holds the file") as raised:
            house.build(FIRST).write().__enter__()
        assert "\n" not in str(raised.value)
    finally:
        writer.kill()
        writer.communicate()


# -- what the ranker asks --------------------------------------------------------------------


def test_planned_offers_by_anchor_and_kind(house: Warehouse) -> None:
    kinds = ("mailer", "display", "coupon", "price", "other")
    with house.build(FIRST).write() as connection:
        connection.execute("create schema features")
        columns = ", ".join(f"{kind}_weeks double" for kind in kinds)
        connection.execute(
            f"create table features.product_promotions (as_of date, product_id varchar, {columns})"
        )
        connection.execute(
            "insert into features.product_promotions values (?, 'p1', 4, 0, 0, 1, 0), (?, 'p2', 2.5, 0, 0, 0, 0), "
            "(?, 'p1', 0, 1, 0, 0, 0)",
            [FIRST, FIRST, SECOND],
        )
    assert load(load_planned_offers, house, FIRST) == {
        FIRST: {"mailer": 6.5, "display": 0, "coupon": 0, "price": 1, "other": 0},
        SECOND: {"mailer": 0, "display": 1, "coupon": 0, "price": 0, "other": 0},
    }


def test_past_forecasts_compare_published_emails_with_purchases(house: Warehouse) -> None:
    """Week one's window of 14 days is over in week three; week two's is not."""
    for week in (FIRST, SECOND):
        build(house, week, [("c1", 1, "p1"), ("c1", 2, "p2"), ("c2", 1, "p2"), ("erased", 1, "p1")])
        with house.build(week).write() as connection:
            connection.execute("alter table recs.email_recommendations add column p_purchase double")
            connection.execute("alter table recs.email_recommendations add column price double")
            connection.execute("alter table recs.email_recommendations add column campaign varchar")
            connection.execute("alter table recs.email_recommendations add column window_days integer")
            connection.execute(
                "update recs.email_recommendations set p_purchase = 0.25 * slot, price = 10 * slot, "
                "campaign = 'mail', window_days = 14"
            )
        house.publish(week, f"run-{week}", NOW, "test")
    with house.build(THIRD).write() as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.order_lines (customer_id varchar, product_id varchar, ordered_at timestamp, "
            "fully_returned_at timestamp)"
        )
        connection.execute("create table marts.customers as select unnest(['c1', 'c2']) as customer_id")
        connection.execute(
            "insert into marts.order_lines values ('c1', 'p2', '2024-03-04 00:00:00', null), "
            "('c1', 'p2', '2024-03-05', null), ('c2', 'p2', '2024-03-18 00:00:00', null), "
            "('c2', 'p1', '2024-03-05', null), ('c1', 'p1', '2024-03-05', '2024-03-10')"
        )
    found = load(load_past_forecasts, house, THIRD)
    assert found.to_dict("records") == [
        {
            "campaign": "mail", "forecast_as_of": pd.Timestamp(FIRST), "window_end": pd.Timestamp(THIRD),
            "customers": 2, "rows": 3,
            "forecast_purchases": 1.0, "actual_purchases": 1, "forecast_revenue": 12.5 + 2.5,
            "actual_revenue": 20.0,
        }
    ]  # fmt: skip


def test_without_a_snapshot_there_is_no_past_forecast(house: Warehouse) -> None:
    with house.build(FIRST).write() as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.customers (customer_id varchar)")
        connection.execute(
            "create table marts.order_lines (customer_id varchar, product_id varchar, ordered_at timestamp, "
            "fully_returned_at timestamp)"
        )
    assert len(load(load_past_forecasts, house, FIRST)) == 0


def test_what_the_rules_look_at_is_known_before_the_anchor(house: Warehouse) -> None:
    """Every row dated at the anchor would change an answer."""
    build(house, FIRST)
    with house.build(FIRST).write() as connection:
        for sql in (
            "alter table recs.email_recommendations add column campaign varchar default 'mail'",
            "alter table recs.email_recommendations add column window_days integer default 14",
            "alter table recs.email_recommendations add column p_purchase double default 0.5",
            "alter table recs.email_recommendations add column price double default 1",
        ):
            connection.execute(sql)
    publish(house, FIRST)
    with house.build(THIRD).write() as connection:
        for sql in (
            "create schema marts; create schema staging; create schema intermediate",
            """create table marts.products as select * from (values
                ('p1', 'https://shop/p1', null, 1.5, null, '{"countries": ["NL", "DE"]}'),
                ('p2', null, 'x.png', null, 'p1', 'blue; small')
            ) t(product_id, url, image_url, cost, parent_id, attributes)""",
            """create table marts.customers as select * from (values
                ('c1', 'subscribed', 'Test ', null), ('c2', 'objected', null, 'objected'),
                ('c3', 'subscribed', 'regular', 'wholesale')
            ) t(customer_id, consent_state, segment, not_learned_from_reason)""",
            """create table intermediate.int_customer_addresses as select * from (values
                ('c1', 'usable', 1), ('c2', 'usable', 1), ('c3', 'unusable', null)
            ) t(customer_id, address_kind, address_group)""",
            """create table staging.stg_campaign_events as select * from (values
                ('mail', 'c1', null, 'bounced', timestamp '2024-03-01 10:00'),
                ('mail', 'c2', null, 'bounced', timestamp '2024-03-01 10:00'),
                ('mail', 'c2', null, 'opened', timestamp '2024-03-02 10:00'),
                ('mail', 'c3', null, 'bounced', timestamp '2024-03-18 00:00'),
                ('mail', 'c1', 'p1', 'sent', timestamp '2024-03-05 10:00'),
                ('mail', 'c3', 'p2', 'sent', timestamp '2024-03-13 10:00'),
                ('other', 'c3', 'p1', 'sent', timestamp '2024-03-14 10:00'),
                ('mail', 'c3', 'p1', 'sent', timestamp '2024-03-18 00:00')
            ) t(campaign, customer_id, product_id, event_type, occurred_at)""",
            """create table intermediate.int_interactions_anchored as select date '2024-03-18' as as_of, * from (values
                ('c1', 'p1', 'add_to_cart', timestamp '2024-03-10 10:00', null),
                ('c1', 'p2', 'add_to_cart', timestamp '2024-03-10 10:00', null),
                ('c1', 'p2', 'purchase', timestamp '2024-03-11 10:00', null),
                ('c2', 'p1', 'add_to_cart', timestamp '2024-02-01 10:00', null),
                ('c3', 'p1', 'review', timestamp '2024-03-01 10:00', 1.0),
                ('c3', 'p1', 'review', timestamp '2024-03-02 10:00', 4.0),
                ('c3', 'p2', 'review', timestamp '2024-03-02 10:00', 2.0)
            ) t(customer_id, product_id, event_type, occurred_at, rating)""",
            """create table intermediate.int_returns_allocated_to_lines as select * from (values
                ('c1', 'p1', timestamp '2024-03-17 23:59', 'return'), ('c1', 'p2', timestamp '2024-03-18 00:00', 'return'),
                ('c1', 'p3', timestamp '2024-03-17 23:59', 'correction'), (null, 'p3', timestamp '2024-03-17 23:59', 'credit'),
                ('c2', 'p1', timestamp '2024-03-01 10:00', 'return') -- objected: shapes no list
            ) t(customer_id, product_id, returned_at, kind)""",
            """create table marts.order_lines as select *, amount > 0 as learned_from from (values
                ('p1', timestamp '2024-03-11 10:00', 0.0, 0.1, 1.0), ('p1', timestamp '2024-02-01 10:00', 10.0, 0.0, 1.0), ('p1', timestamp '2024-02-02 10:00', 5.0, 0.0, 1.0),
                ('p1', timestamp '2024-03-05 10:00', 9.4, 0.0, 1.0), ('p2', timestamp '2024-03-05 10:00', 10.0, 0.0, 1.0),
                ('p3', timestamp '2024-03-05 10:00', 2.0, 0.0, 1.0), ('p3', timestamp '2024-03-12 10:00', 1.0, 0.0, 1.0),
                ('p2', timestamp '2024-03-12 10:00', 5.0, 4.6, 1.0), ('p2', timestamp '2024-03-18 00:00', 1.0, 0.0, 1.0)
            ) t(product_id, ordered_at, amount, discount, quantity)""",
            # A price that varies drops every week.
            """create table intermediate.int_product_prices_anchored as select date '2024-03-18' as as_of, * from (values
                ('p1', 'catalogue'), ('p2', null), ('p3', 'varies')
            ) t(product_id, price_kind)""",
            """create table staging.stg_promotions as select * from (values
                ('p2', 'price', timestamp '2024-03-01', timestamp '2024-03-15'),
                ('p1', 'mailer', timestamp '2024-03-01', timestamp '2024-03-15'),
                ('p1', 'price', timestamp '2024-03-01', timestamp '2024-03-18')
            ) t(product_id, kind, announced_at, start_at)""",
        ):
            connection.execute(sql)
    found = load(load_facts, house, THIRD, THIRD, "mail")

    def rows(name: str) -> list[tuple]:
        frame = found[name]
        days = {column: frame[column].dt.date for column in frame if column == "day"}
        return list(frame.assign(**days).itertuples(index=False, name=None))

    assert found["products"]["countries"].str.split().tolist()[0] == ["NL", "DE"]
    assert found["products"]["countries"].isna().tolist() == [False, True]
    reached = ["no_address", "unusable_address", "address"]
    assert found["customers"][reached].astype(object).where(
        found["customers"][reached].notna(), None
    ).to_numpy().tolist() == [
        [False, False, 1],
        [False, False, 1],
        [False, True, None],
    ]
    found["customers"] = found["customers"].drop(columns=reached)
    assert rows("customers") == [
        ("c1", "subscribed", True, True, False),
        ("c2", "objected", False, False, False),
        ("c3", "subscribed", False, False, True),
    ]
    assert rows("carts") == [("c1", "p1")]
    assert rows("rejected") == [("c1", "p1"), ("c3", "p2")]
    assert set(load(load_facts, house, THIRD, THIRD, "", ("products", "rejected"))) == {
        "products",
        "rejected",
    }
    # The published week and the shop's own events of that week are one send.
    assert rows("sends") == [
        ("c1", "p1", FIRST), ("c1", "p2", FIRST), ("c2", "p2", FIRST), ("c3", "p2", SECOND),
    ]  # fmt: skip
    assert rows("contacts") == [
        ("c1", FIRST), ("c2", FIRST), ("c3", date(2024, 3, 13)), ("c3", date(2024, 3, 14)),
    ]  # fmt: skip
    # 9.4 is 6 % below 10, the week's highest; 9.6 is 4 % below, discount or not.
    assert rows("price_drops") == [("p1", FIRST), ("p2", date(2024, 3, 15))]
    # To its own holdout a campaign counts as sent, so that the arms stay alike; other campaigns did not write there.
    with house.build(FIRST).write() as connection:
        connection.execute(
            "create table recs.email_holdout as select * replace ('c4' as customer_id) "
            "from recs.email_recommendations where customer_id = 'c1'"
        )
    publish(house, FIRST)
    for name, seen in (("mail", True), ("other", False)):
        found = load(load_facts, house, THIRD, THIRD, name)
        assert (("c4", FIRST) in rows("contacts"), ("c4", "p1", FIRST) in rows("sends")) == (seen, seen)


# -- going back -----------------------------------------------------------------------------


def weeks_of(house: Warehouse) -> dict[date, str]:
    """Week -> product of customer c1's slot 1."""
    return {week: product for week, customer, slot, product in emails(house) if (customer, slot) == ("c1", 1)}


def three_weeks(house: Warehouse) -> None:
    house.snapshots.retention = 5
    for number, week in enumerate((FIRST, SECOND, THIRD)):
        build(house, week, [("c1", 1, f"p{number}")], products=number + 1)
        publish(house, week, f"run-000{number}")


def test_a_rollback_brings_the_week_before_back_and_says_so(house: Warehouse) -> None:
    three_weeks(house)
    second = next(one for one in house.snapshots.versions() if one.week == SECOND)
    left, back = house.snapshots.rollback(None, NOW, "1.2.3")
    assert (left.week, back.week, back.run_id) == (THIRD, SECOND, "run-0001")
    assert back.path.name == "analytics-2024-03-11-run-0001-2.duckdb"
    assert house.snapshot_path.resolve() == back.path
    assert stat.S_IMODE(back.path.stat().st_mode) == 0o444
    assert second.path.exists()
    assert weeks_of(house) == {FIRST: "p0", SECOND: "p1"}
    assert rows(house, "select count(*), max(seen_on) from recs.products") == [(2, SECOND)]
    assert house.newest_published() == SECOND
    log = rows(house, "select action, as_of, snapshot_file, from_file, copy_of from recs.publish_log")
    assert [row[:2] for row in log] == [
        ("publish", FIRST),
        ("publish", SECOND),
        ("publish", THIRD),
        ("rollback", SECOND),
    ]
    assert log[3][2:] == (back.path.name, left.path.name, second.path.name)
    hashes = rows(house, "select content_hashes from recs.publish_log")
    assert hashes[3] == hashes[1]
    # Once more, and then there is nothing left.
    assert house.snapshots.rollback(None, NOW, "1.2.3")[1].week == FIRST
    with pytest.raises(WarehouseError) as raised:
        house.snapshots.rollback(None, NOW, "1.2.3")
    assert str(raised.value) == (
        "There is nothing to go back to: week 2024-03-04 is published (analytics-2024-03-04-run-0000-2.duckdb) "
        f"and {house.published_dir} keeps no other version of an earlier week; run the week you want again "
        "with --as-of."
    )
    assert house.newest_published() == FIRST


def test_a_build_of_an_earlier_version_is_one_sentence(house: Warehouse) -> None:
    """A table that it does not have, and a column: what, where, what to do."""
    build(house, FIRST, [("c1", 1, "p1")])
    for sql, what in (
        ("select slot from recs.recommended", "Table with name recommended does not exist!"),
        (
            "select address_group from recs.email_recommendations",
            'Referenced column "address_group" not found in FROM clause!',
        ),
    ):
        with pytest.raises(WarehouseError) as raised, house.build(FIRST).read() as connection:
            connection.execute(sql)
        said = str(raised.value)
        assert said.startswith(
            f"The build file of {FIRST} is not complete, or an earlier version of recs_assets made it ("
        )
        assert what in said
        assert said.endswith(f": run the week again (python -m recs_assets run --as-of {FIRST}).")


def test_the_copy_opens_in_old_clients_too(house: Warehouse) -> None:
    three_weeks(house)
    house.snapshots.rollback(None, NOW, "1.2.3")
    with house.snapshot() as connection:
        tags = connection.execute(
            "select tags from duckdb_databases() where database_name = current_database()"
        ).fetchall()
    assert tags == [({"storage_version": "v1.0.0+"},)]


def test_the_first_version_of_the_same_week_can_be_had_back(house: Warehouse) -> None:
    three_weeks(house)
    build(house, THIRD, [("c1", 1, "p-wrong")])
    publish(house, THIRD, "run-wrong")
    assert weeks_of(house)[THIRD] == "p-wrong"
    assert house.snapshots.rollback(THIRD, NOW, "1.2.3")[1].run_id == "run-0002"
    assert weeks_of(house)[THIRD] == "p2"


def test_the_next_week_after_a_rollback_loses_no_week(house: Warehouse) -> None:
    three_weeks(house)
    house.snapshots.rollback(FIRST, NOW, "1.2.3")
    assert weeks_of(house) == {FIRST: "p0"}
    build(house, FOURTH, [("c1", 1, "p3")])
    publish(house, FOURTH, "run-0003")
    assert weeks_of(house) == {FIRST: "p0", SECOND: "p1", THIRD: "p2", FOURTH: "p3"}
    assert rows(house, "select action from recs.publish_log")[-2:] == [("rollback",), ("publish",)]


def test_the_week_that_was_rolled_back_is_replaced_when_it_is_run_again(house: Warehouse) -> None:
    three_weeks(house)
    house.snapshots.rollback(FIRST, NOW, "1.2.3")
    build(house, SECOND, [("c1", 1, "p-right")])
    publish(house, SECOND, "run-right")
    # Week three was taken back and lies ahead again.
    assert weeks_of(house) == {FIRST: "p0", SECOND: "p-right"}
    build(house, THIRD, [("c1", 1, "p-right-too")])
    publish(house, THIRD, "run-right-too")
    assert weeks_of(house) == {FIRST: "p0", SECOND: "p-right", THIRD: "p-right-too"}


def test_a_backfill_after_a_rollback_keeps_the_week_gone_back_to(house: Warehouse) -> None:
    three_weeks(house)
    house.snapshots.rollback(None, NOW, "1.2.3")
    build(house, FIRST, [("c1", 1, "p-again")])
    publish(house, FIRST, "run-again")
    assert weeks_of(house) == {FIRST: "p-again", SECOND: "p1"}
    assert house.newest_published() == SECOND
    assert rows(house, "select action from recs.publish_log")[-1:] == [("backfill",)]


def test_a_rollback_on_a_full_disk_changes_nothing(published: Warehouse) -> None:
    build(published, SECOND)
    house = published
    publish(house, SECOND, "run-0001")
    before, link = house.snapshot_path.read_bytes(), house.snapshot_path.readlink()
    process = python(
        FULL_DISK.replace("600_000, 600_000", "100_000, 100_000").replace(
            'house.publish(date(2024, 3, 11), "run-full", datetime(2024, 3, 25), "1.2.3")',
            'house.snapshots.rollback(None, datetime(2024, 3, 25), "1.2.3")',
        ),
        house.home,
    )
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.startswith("The copy of analytics-2024-03-04-run-0000.duckdb could not be written")
    assert (house.snapshot_path.read_bytes(), house.snapshot_path.readlink()) == (before, link)
    # The fixture's own look at the first version.
    house.snapshots.rollback(None, NOW, "1.2.3")
    house.snapshots._switch(house.published_dir / "analytics-2024-03-04-run-0000.duckdb")


def offered(
    house: Warehouse, promotions: list[tuple], sent: date = FIRST, kinds: tuple[str, ...] = ()
) -> dict:
    """First and last day of the offers in an email of the first week, whose window ends after 14 days, by
    product. Promotions: product, kind, announced, start, end, reach."""
    with house.build(FIRST).write() as connection:
        for schema in ("marts", "staging"):
            connection.execute(f"create schema {schema}")
        connection.execute(
            "create table marts.products as select 'p' || n as product_id from range(3) as t(n)"
        )
        connection.execute(
            "create table staging.stg_promotions (product_id varchar, kind varchar, announced_at timestamp, "
            "start_at timestamp, end_at timestamp, reach double)"
        )
        connection.executemany("insert into staging.stg_promotions values (?, ?, ?, ?, ?, ?)", promotions)
    found = load(load_offers, house, FIRST, sent, date(2024, 3, 18), kinds)
    days = [pd.to_datetime(values, unit="D").strftime("%m-%d") for values in (found.first, found.last)]
    return {
        f"p{n}": (first, last)
        for n, (first, last) in enumerate(zip(*days, strict=True))
        if found.first[n] >= 0
    }


OFFER = ("p1", "price", "2024-02-20", "2024-03-01", "2024-03-11", None)


@pytest.mark.parametrize(
    ("change", "days"),
    [
        ({}, ("03-04", "03-10")),
        # What only shows a product makes it no cheaper; a kind says so by a word of its name.
        ({1: "display"}, None),
        ({1: "mailer"}, None),
        ({1: "feature_price_cut"}, ("03-04", "03-10")),
        ({1: "wochenangebot"}, None),
        ({1: "coupon"}, ("03-04", "03-10")),
        # Unknown before the week; over when it begins, or on the day of sending; after the window.
        ({2: "2024-03-04"}, None),
        ({4: "2024-03-04"}, None),
        ({4: "2024-03-04 18:00"}, None),
        ({4: "2024-03-05"}, ("03-04", "03-04")),
        ({3: "2024-03-17", 4: "2024-04-01"}, ("03-17", "03-31")),
        ({3: "2024-03-18", 4: "2024-04-01"}, None),
        # Not for everybody.
        ({5: 1.0}, ("03-04", "03-10")),
        ({5: 0.4}, None),
    ],
)
def test_an_offer_is_a_price_advantage_for_everybody_within_the_window(
    house: Warehouse, change: dict[int, object], days: tuple[str, str] | None
) -> None:
    offer = tuple(change.get(place, value) for place, value in enumerate(OFFER))
    assert offered(house, [offer]).get("p1") == days


def test_of_several_offers_the_one_that_runs_longest_is_said(house: Warehouse) -> None:
    assert offered(
        house,
        [
            OFFER,
            ("p1", "coupon", "2024-02-20", "2024-03-02", "2024-03-20", None),
            ("p1", "price", "2024-02-20", "2024-03-10", "2024-03-30", None),
            ("p2", "price", "2024-02-20", "2024-03-12", "2024-03-30", None),
            ("p2", "price", "2024-02-20", "2024-03-10", "2024-03-12", None),
        ],
    ) == {"p1": ("03-04", "03-19"), "p2": ("03-10", "03-11")}


def test_an_email_of_thursday_knows_no_offer_that_ended_on_wednesday(house: Warehouse) -> None:
    ends = ("p1", "price", "2024-02-20", "2024-03-01", "2024-03-07", None)
    own = ("p2", "Wochen-Angebot", "2024-02-20", "2024-03-01", "2024-03-09", None)
    promotions = [ends, (own[0], "wochen_angebot", *own[2:])]
    assert offered(house, promotions, date(2024, 3, 7), ("Wochen-Angebot",)) == {"p2": ("03-07", "03-08")}
