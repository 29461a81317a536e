"""Asking a database only for what changed gives what asking for all of it would give."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.databases import NUMBERS, ORDERS_COLUMNS, declare, land_orders
from helpers.sources import Gone
from recs_assets.schema import SettingsError, SourceError
from recs_assets.sources import forgotten, land
from recs_assets.sources.database_tables import read_table_declaration
from recs_assets.sources.databases import copy_table

# More of them: RECS_STATES=300 python -m pytest tests/sources/test_incremental.py
EXAMPLES = int(os.environ.get("RECS_STATES", "8"))
COLUMNS = {"id": "BIGINT", "part": "BIGINT", "amount": "DOUBLE", "changed": "TIMESTAMPTZ"}
INCREMENTAL = {"updated_at": "changed", "key": ["id", "part"], "overlap_days": 7}
NOW = datetime(2026, 6, 1, tzinfo=UTC)
TABLE = "create table t (id int, part int, amount double precision, changed timestamp null, primary key (id, part))"


def declare_table(**more):
    incremental = {**INCREMENTAL, **more}
    return read_table_declaration("source.toml", "shop:t", {"columns": COLUMNS, "incremental": incremental})


def read(path):
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        rows = con.execute("select id, part, amount, changed from read_parquet(?)", [str(path)]).fetchall()
    return [(*row[:3], row[3] and row[3].strftime("%m-%d")) for row in rows]


class Landings:
    """One table, landed again and again: each landing begins with the copy of the one before."""

    def __init__(self, database, folder, **more):
        self.database, self.folder, self.file = database, folder, declare_table(**more)
        self.folder.mkdir(exist_ok=True)
        self.kept = folder / "kept.parquet"

    def write(self, id_, part, amount, changed):
        if self.database.kind == "postgres":
            again = (
                "on conflict (id, part) do update set amount = excluded.amount, changed = excluded.changed"
            )
        else:
            again = "on duplicate key update amount = values(amount), changed = values(changed)"
        when = "null" if changed is None else f"'{changed}'"
        self.database.run(f"insert into t values ({id_}, {part}, {amount}, {when}) {again}")

    def land(self, now=NOW, file=None):
        path = self.folder / "new.parquet"
        copy_table(file or self.file, path, self.kept, now)
        path.replace(self.kept)
        return read(self.kept)

    def land_all(self):
        copy_table(self.file, self.folder / "all.parquet", now=NOW)
        return read(self.folder / "all.parquet")


@pytest.fixture
def landings(database, tmp_path):
    database.run(TABLE.replace("timestamp null", "timestamptz") if database.kind == "postgres" else TABLE)
    return Landings(database, tmp_path)


def test_late_and_corrected_rows_are_taken_in(landings):
    landings.write(1, 1, 1.0, "2026-05-01")
    landings.write(2, 1, 2.0, "2026-05-20")
    assert landings.land() == [(1, 1, 1.0, "05-01"), (2, 1, 2.0, "05-20")]
    landings.write(2, 1, 2.5, "2026-05-21")  # corrected
    landings.write(3, 1, 3.0, "2026-05-14")  # written late
    landings.write(4, 1, 4.0, None)
    landings.write(1, 1, 9.0, "2026-05-12")  # before the overlap of seven days: not seen
    assert landings.land() == [
        (1, 1, 1.0, "05-01"),
        (2, 1, 2.5, "05-21"),
        (3, 1, 3.0, "05-14"),
        (4, 1, 4.0, None),
    ]
    landings.write(4, 1, 5.0, None)
    assert landings.land()[3] == (4, 1, 5.0, None)


def test_a_number_may_be_declared_as_text_and_be_the_key(landings):
    columns = {**COLUMNS, "id": "VARCHAR"}
    landings.file = read_table_declaration(
        "source.toml", "shop:t", {"columns": columns, "incremental": INCREMENTAL}
    )
    landings.write(1, 1, 1.0, "2026-05-19")
    landings.write(2, 1, 2.0, "2026-05-20")
    landings.land()
    landings.write(2, 1, 2.5, "2026-05-21")
    assert landings.land() == [("1", 1, 1.0, "05-19"), ("2", 1, 2.5, "05-21")]


def test_only_what_changed_is_asked_for(landings):
    landings.write(1, 1, 1.0, "2026-05-01")
    landings.write(2, 1, 2.0, "2026-05-20")
    landings.land()
    landings.database.run("update t set amount = 0")  # without a new time, as no shop should
    assert landings.land() == [(1, 1, 1.0, "05-01"), (2, 1, 0.0, "05-20")]


def test_what_was_deleted_is_seen_when_all_is_read_again(landings):
    landings.write(1, 1, 1.0, "2026-05-01")
    landings.write(2, 1, 2.0, "2026-05-20")
    landings.land()
    landings.database.run("delete from t where id = 1")
    for days in (7, 27):
        assert len(landings.land(NOW + timedelta(days=days))) == 2
    assert landings.land(NOW + timedelta(days=28)) == [(2, 1, 2.0, "05-20")]
    landings.database.run("delete from t where id = 2")
    landings.write(3, 1, 3.0, "2026-05-20")
    assert len(landings.land(NOW + timedelta(days=55))) == 2
    assert len(landings.land(NOW + timedelta(days=56))) == 1
    # A clock that was put back does not make a copy last for ever.
    assert len(landings.land(NOW - timedelta(days=1))) == 1


def test_a_change_dated_in_the_future_hides_nothing(landings):
    landings.write(1, 1, 1.0, "2036-01-01")
    landings.write(2, 1, 2.0, "2026-05-20")
    landings.land()
    landings.write(3, 1, 3.0, "2026-05-21")
    assert [row[0] for row in landings.land()] == [1, 2, 3]


def test_a_copy_of_something_else_is_not_continued(landings, monkeypatch):
    landings.write(1, 1, 1.0, "2026-05-01")
    landings.write(2, 1, 2.0, "2026-05-20")
    landings.land()
    landings.database.run("update t set amount = 7 where id = 1")
    assert landings.land()[0][2] == 1.0
    # Another declaration, another database, a damaged file: all is read again.
    assert landings.land(file=declare_table(overlap_days=8))[0][2] == 7.0
    landings.database.run("update t set amount = 8 where id = 1")
    landings.kept.write_bytes(b"PAR1 is no Parquet file")
    assert landings.land()[0][2] == 8.0
    landings.database.run("update t set amount = 9 where id = 1")
    monkeypatch.setenv("RECS_DATABASE_SHOP", landings.database.url.replace("127.0.0.1", "localhost"))
    assert landings.land()[0][2] == 9.0


def test_a_key_that_is_none(database, tmp_path):
    kind = "timestamptz" if database.kind == "postgres" else "timestamp null"
    database.run(f"create table t (id int, part int, amount double precision, changed {kind})")
    landings = Landings(database, tmp_path)
    database.run(
        "insert into t values (1, 1, 1, '2026-05-01'), (1, 1, 2, '2026-05-02'), (null, 1, 3, '2026-05-02')"
    )
    with pytest.raises(SourceError) as error:
        landings.land()
    assert str(error.value) == (
        "shop:t: id, part is no key: 1 rows share one and 1 have none; name the columns in incremental.key that no two rows share."
    )
    assert not landings.kept.exists()


@pytest.mark.parametrize(
    ("incremental", "sentence"),
    [
        (
            {"key": ["nosuch"]},
            "incremental.key names 'nosuch', which is none of its columns; declare it there too.",
        ),
        (
            {"updated_at": "amount"},
            "incremental.updated_at names 'amount', which is no TIMESTAMP or TIMESTAMPTZ.",
        ),
        ({"key": []}, "incremental.key: List should have at least 1 item after validation, not 0."),
        ({"overlap_days": 0}, "incremental.overlap_days: Input should be greater than or equal to 1."),
    ],
)
def test_an_incremental_that_cannot_be(incremental, sentence):
    with pytest.raises(SettingsError) as error:
        declare_table(**incremental)
    assert str(error.value) == f"source.toml: table 'shop:t': {sentence}"


# -- every sequence ------------------------------------------------------------------------------

DAY = date(2026, 3, 1)
# (key, amount, how many days late it is written), or None: a landing.
CHANGES = st.lists(
    st.one_of(
        st.none(),
        st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(0, 99), st.integers(0, 7)),
    ),
    min_size=3,
    max_size=10,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("landings")


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=CHANGES)
def test_incremental_landings_equal_a_full_one(postgres, folder, changes):
    """Rows come and are corrected a day apart, up to seven days late."""
    postgres.run(f"drop table if exists t; {TABLE.replace('timestamp null', 'timestamptz')}")
    landings = Landings(postgres, folder / str(next(NUMBERS)))
    landings.land()
    for day, change in enumerate(changes):
        if change is None:
            landings.land()
        else:
            id_, part, amount, late = change
            landings.write(id_, part, amount, DAY + timedelta(days=day - late))
    assert landings.land() == landings.land_all()


# -- in the home ---------------------------------------------------------------------------------


def test_the_home_keeps_a_copy_unless_it_holds_somebody_forgotten(database, con, tmp_path):
    kind = "timestamptz" if database.kind == "postgres" else "timestamp null"
    database.run(
        f"create table orders (id bigint primary key, customer int, placed {kind}, state varchar(20))"
    )
    database.run(
        "insert into orders values (1, 7, '2026-03-01 12:00:00', 'paid'), (2, 8, '2026-03-20 12:00:00', 'paid')"
    )
    more = 'incremental = {updated_at = "placed", key = ["id"]}\n'
    kept = tmp_path / "home" / "landed"
    source = replace(declare(tmp_path / "mini", "shop:orders", ORDERS_COLUMNS, more), kept=kept)
    assert [row[0] for row in land_orders(con, source, tmp_path)] == ["1", "2"]
    [copy] = kept.iterdir()  # the landing's own files are gone
    assert copy.suffix == ".parquet"
    database.run("delete from orders where id = 1")
    assert [row[0] for row in land_orders(con, source, tmp_path)] == ["1", "2"]
    assert land(con, source, "orders", tmp_path, erased=Gone("c8")).rows == 1
    assert list(kept.iterdir()) == []
    assert [row[0] for row in land_orders(con, source, tmp_path)] == ["2"]
    assert land(con, source, "orders", tmp_path, erased=Gone("c99")).rows == 1
    assert list(kept.iterdir()) == [copy]
    assert forgotten.FORGOTTEN not in str(con.execute("from raw.orders").fetchall())
