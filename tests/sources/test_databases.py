"""Tables of real servers as sources: what arrives, what is refused, and what is never said."""

from __future__ import annotations

import threading
import time
from datetime import date, datetime

import duckdb
import psycopg
import pytest

from helpers.databases import NUMBERS, ORDERS_COLUMNS, Database, declare, land_orders
from helpers.servers import free_port
from recs_assets.schema import SettingsError, SourceError
from recs_assets.sources import database_server, find_latest_as_of, fingerprint, land, resolve_source
from recs_assets.sources.copies import Copies
from recs_assets.sources.database_tables import read_table_declaration
from recs_assets.sources.databases import copy_table, list_database_tables

PASSWORD = "p@ss/wo:rd 'x\\"
QUOTED = "p%40ss%2Fwo%3Ard%20%27x%5C"


def fetch(tmp_path, name="shop:t", **entry):
    """What a declared table holds, row by row."""
    path = tmp_path / "copy.parquet"
    copy_table(read_table_declaration("source.toml", name, entry), path)
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute("select * from read_parquet(?)", [str(path)]).fetchall()


def refuse(tmp_path, name="shop:t", **entry) -> str:
    with pytest.raises((SourceError, SettingsError)) as error:
        fetch(tmp_path, name, **entry)
    return str(error.value)


def make_orders(database: Database, rows: str) -> None:
    time_type = "timestamptz" if database.kind == "postgres" else "timestamp null"
    database.run(
        f"create table orders (id bigint primary key, customer int, placed {time_type}, state varchar(20), secret varchar(20))"
    )
    zone = "set timezone = 'UTC'" if database.kind == "postgres" else "set time_zone = '+00:00'"
    database.run(f"{zone}; insert into orders values {rows}")


# -- landing -------------------------------------------------------------------------------------


def test_a_table_lands_like_a_file(database, con, tmp_path):
    make_orders(
        database,
        "(2, 7, '2026-03-29 00:30:00', 'paid', 'x'), (1, 7, '2026-03-29 01:30:00', 'Grüße 😀', 'x')",
    )
    source = declare(tmp_path / "mini", "shop:orders", ORDERS_COLUMNS)
    # Berlin's clocks went from 02:00 to 03:00 in between.
    assert land_orders(con, source, tmp_path / "nothing") == [
        ("1", "c7", datetime(2026, 3, 29, 3, 30), "Grüße 😀"),
        ("2", "c7", datetime(2026, 3, 29, 1, 30), "paid"),
    ]
    result = land(con, source, "orders", tmp_path / "nothing")
    assert (result.rows, result.files) == (2, ("shop:orders",))
    assert find_latest_as_of(con, source, tmp_path / "nothing") == date(2026, 3, 30)


def test_a_query_is_run_by_the_server(database, con, tmp_path):
    make_orders(
        database, "(1, 7, '2026-03-01 00:30:00', 'paid', 'x'), (2, 8, '2026-03-01 00:30:00', 'paid', 'x')"
    )
    more = 'query = """select customer as c, count(*) as n from orders where id > 1 group by customer -- and so on\n;"""\n'
    sql = "select 'o' || c as order_id, 'c' || c as customer_id, timestamp '2026-01-01' as ordered_at, n::varchar as status from files.sales"
    source = declare(tmp_path / "mini", "shop:sales", {"c": "BIGINT", "n": "BIGINT"}, more, sql)
    assert land_orders(con, source, tmp_path) == [("o8", "c8", datetime(2026, 1, 1), "1")]


def test_a_shop_of_tables_alone_needs_no_folder_of_files(database, con, tmp_path, monkeypatch):
    make_orders(database, "(1, 7, '2026-03-01 00:30:00', 'paid', 'x')")
    declare(tmp_path / "shops" / "mini", "shop:orders", ORDERS_COLUMNS)
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in ("auto", "mini"):
        assert resolve_source(name, empty, tmp_path / "none", tmp_path / "shops").name == "mini"
    (empty / "notes.txt").write_text("nobody looks here")
    assert resolve_source("mini", empty, tmp_path / "none", tmp_path / "shops").name == "mini"
    monkeypatch.delenv("RECS_DATABASE_SHOP")
    with pytest.raises(SourceError):  # auto: the canonical tables are not there
        resolve_source("auto", empty, tmp_path / "none", tmp_path / "shops")


def test_the_fingerprint_follows_the_rows(database, tmp_path):
    make_orders(database, "(1, 7, '2026-03-01 00:30:00', 'paid', 'x')")
    source = declare(tmp_path / "mini", "shop:orders", ORDERS_COLUMNS)
    before = fingerprint(source, tmp_path)
    assert fingerprint(source, tmp_path) == before
    database.run("insert into orders values (2, 7, '2026-02-01 00:30:00', 'paid', 'x')")
    after = fingerprint(source, tmp_path)
    database.run("update orders set placed = '2026-05-01 00:00:00' where id = 2")
    assert len({before, after, fingerprint(source, tmp_path)}) == 3


def test_a_landing_asks_a_table_once(database, tmp_path):
    make_orders(database, "(1, 7, '2026-03-01 00:30:00', 'paid', 'x')")
    file = read_table_declaration("source.toml", "shop:orders", {"columns": {"id": "BIGINT"}})
    copies = Copies(None)
    first = copies.copy_table(file)
    database.run("insert into orders values (2, 7, '2026-02-01 00:30:00', 'paid', 'x')")
    assert copies.copy_table(file) == first
    folder = copies.folder
    del copies
    assert not folder.exists()


def test_sql_still_reads_declared_tables_only(database, con, tmp_path):
    make_orders(database, "(1, 7, '2026-03-01 00:30:00', 'paid', 'x')")
    for sql in (
        "select * from server.orders",
        f"select * from {database.kind}_query('server', 'select 1')",
        "from duckdb_secrets()",
    ):
        source = declare(tmp_path / "mini", "shop:orders", ORDERS_COLUMNS, sql=f"{sql} -- files.orders")
        with pytest.raises(
            SettingsError, match=r"it may read files.<declared file> only|must be one plain SELECT"
        ):
            land(con, source, "orders", tmp_path)


# -- types ---------------------------------------------------------------------------------------


def test_types_of_postgres(postgres, tmp_path):
    postgres.run(
        """
        create type mood as enum ('glad', 'sad');
        create table t (id bigint, u uuid, price numeric(10, 2), free numeric, whole numeric(18, 0), at timestamptz, naive timestamp,
            day date, ok boolean, feeling mood, j json, jb jsonb, r real, code char(5), small smallint, list int[]);
        insert into t values (9223372036854775807, 'c6539789-8dae-4fce-a0d2-8a2e28a49a52', 12.34, 0.1, 7, '2026-01-01 10:00+02',
            '2026-01-01 10:00', '2026-01-02', true, 'sad', '{"a":1}', '{"b":2}', 1.5, 'ab', 3, array[1]);
        """
    )
    columns = {
        "id": "BIGINT", "u": "VARCHAR", "price": "DOUBLE", "free": "DOUBLE", "whole": "BIGINT", "at": "TIMESTAMPTZ", "naive": "TIMESTAMP",
        "day": "DATE", "ok": "BOOLEAN", "feeling": "VARCHAR", "j": "VARCHAR", "jb": "VARCHAR", "r": "DOUBLE", "code": "VARCHAR",
        "small": "BIGINT", "gone": "BIGINT",
    }  # fmt: skip
    [row] = fetch(tmp_path, columns=columns, optional=["gone"])
    assert (*row[:5], row[5].isoformat(), *row[6:]) == (
        9223372036854775807, "c6539789-8dae-4fce-a0d2-8a2e28a49a52", 12.34, 0.1, 7, "2026-01-01T08:00:00+00:00",
        datetime(2026, 1, 1, 10), date(2026, 1, 2), True, "sad", '{"a":1}', '{"b": 2}', 1.5, "ab", 3, None,
    )  # fmt: skip
    assert list_database_tables("shop") == {
        "t": {
            "id": "BIGINT", "u": "VARCHAR", "price": "DOUBLE", "free": "DOUBLE", "whole": "BIGINT", "at": "TIMESTAMPTZ",
            "naive": "TIMESTAMP", "day": "DATE", "ok": "BOOLEAN", "feeling": "VARCHAR", "j": "VARCHAR", "jb": "VARCHAR", "r": "DOUBLE",
            "code": "VARCHAR", "small": "BIGINT",
        }
    }  # fmt: skip
    assert refuse(tmp_path, columns={"list": "VARCHAR"}) == (
        "shop:t: column 'list' is stored as INTEGER[] where VARCHAR is declared; cast it in a query."
    )


def test_types_of_mysql(mysql, tmp_path):
    mysql.run(
        """
        set sql_mode = ''; set time_zone = '+00:00';
        create table t (id bigint unsigned, price decimal(10, 2), at timestamp null, naive datetime(6), day date, ok tinyint(1), b bit(1),
            feeling enum('glad', 'sad'), j json, code varchar(9) collate utf8mb4_bin, r float, bytes binary(2), n int unsigned);
        insert into t values (7, 12.34, '2026-01-01 08:00:00', '2026-03-29 02:30:00.000001', '2026-01-02', 1, 1, 'sad', '{"a":1}', 'é😀', 1.5, 'ab',
            4000000000), (8, null, '0000-00-00 00:00:00', '0000-00-00 00:00:00', '2026-00-10', 0, 0, '', null, '', null, null, null);
        """
    )
    columns = {
        "id": "BIGINT", "price": "DOUBLE", "at": "TIMESTAMPTZ", "naive": "TIMESTAMP", "day": "DATE", "ok": "BOOLEAN", "b": "BOOLEAN",
        "feeling": "VARCHAR", "j": "VARCHAR", "code": "VARCHAR", "r": "DOUBLE", "n": "BIGINT",
    }  # fmt: skip
    first, second = fetch(tmp_path, columns=columns)
    assert (*first[:2], first[2].isoformat(), *first[3:]) == (
        7, 12.34, "2026-01-01T08:00:00+00:00", datetime(2026, 3, 29, 2, 30, 0, 1), date(2026, 1, 2), True, True, "sad", '{"a":1}',
        "é😀", 1.5, 4000000000,
    )  # fmt: skip
    assert second == (8, None, None, None, None, False, False, "", None, "", None, None)
    assert list_database_tables("shop") == {"t": columns}
    assert refuse(tmp_path, columns={"bytes": "VARCHAR"}) == (
        "shop:t: column 'bytes' is stored as BLOB where VARCHAR is declared; cast it in a query."
    )
    # The zone of a result's column is not known, a timestamp comes in UTC.
    assert refuse(tmp_path, query="select at from t", columns={"at": "TIMESTAMPTZ"}) == (
        "shop:t: column 'at' comes out of the query without a zone where TIMESTAMPTZ is declared; declare TIMESTAMP (a "
        "timestamp of MySQL comes in UTC) and say its zone in the SQL."
    )
    rows = fetch(
        tmp_path,
        query="select at, code, j from t where id = 7",
        columns={"at": "TIMESTAMP", "code": "VARCHAR", "j": "VARCHAR"},
    )
    assert rows == [(datetime(2026, 1, 1, 8), "é😀", '{"a":1}')]


@pytest.mark.parametrize(
    ("made", "columns", "sentence"),
    [
        ("amount double precision", {"amount": "VARCHAR"}, "column 'amount' is stored as DOUBLE where VARCHAR is declared; declare DOUBLE, or cast it in a query."),
        ("amount decimal(9, 2)", {"amount": "BIGINT"}, "column 'amount' is stored as DECIMAL(9,2) where BIGINT is declared; declare DOUBLE, or cast it in a query."),
        ("amount varchar(9)", {"amount": "DOUBLE"}, "column 'amount' is stored as VARCHAR where DOUBLE is declared; declare VARCHAR, or cast it in a query."),
        ("amount int", {"amounts": "BIGINT"}, "column 'amounts' is missing; did you mean 'amount'? correct source.toml."),
        ("x int, y int", {"amount": "BIGINT"}, "column 'amount' is missing (it has x, y); correct source.toml."),
    ],
)  # fmt: skip
def test_a_column_that_is_not_as_declared(database, tmp_path, made, columns, sentence):
    database.run(f"create table t ({made})")
    assert refuse(tmp_path, columns=columns) == f"shop:t: {sentence}"


def test_values_that_the_extensions_would_change(postgres, tmp_path, con):
    postgres.run(
        "create table orders (id text, amount numeric(9, 2), at timestamp); insert into orders values ('1', 'NaN', '2026-01-01'), "
        "('2', 1, 'infinity')"
    )
    # A numeric NaN would come as 0, an infinite time as a day of the year 9999.
    sql = "select id as order_id, 'c' as customer_id, timestamp '2026-01-01' as ordered_at, amount::varchar as status from files.orders"
    source = declare(tmp_path / "a", "shop:orders", {"id": "VARCHAR", "amount": "DOUBLE"}, sql=sql)
    with pytest.raises(SourceError) as error:
        land(con, source, "orders", tmp_path)
    assert str(error.value) == (
        "shop:orders: column 'amount' holds NaN or Infinity in 1 rows, which is not a number; write null where the value is unknown."
    )
    assert refuse(tmp_path, "shop:orders", columns={"at": "TIMESTAMP"}) == (
        "shop:orders: column 'at' holds an infinite time in 1 rows; write null where the time is unknown, or leave the rows out by a query."
    )


def test_numbers_of_mysql_that_the_declared_type_does_not_hold(mysql, tmp_path):
    mysql.run("create table t (ok tinyint(1), id bigint unsigned, b varbinary(9))")
    mysql.run("insert into t values (7, 18446744073709551615, x'ff00')")
    assert refuse(tmp_path, columns={"ok": "BOOLEAN"}) == (
        "shop:t: column 'ok' holds other values than 0 and 1 in 1 rows where BOOLEAN is declared; declare BIGINT."
    )
    assert fetch(tmp_path, columns={"ok": "BIGINT", "id": "VARCHAR"}) == [(7, "18446744073709551615")]
    assert refuse(tmp_path, columns={"id": "BIGINT"}) == (
        "shop:t: column 'id' holds numbers beyond 9223372036854775807 in 1 rows where BIGINT is declared; declare VARCHAR."
    )
    assert refuse(tmp_path, query="select b from t", columns={"b": "VARCHAR"}) == (
        "shop:t: column 'b' holds bytes that are no text in 1 rows where VARCHAR is declared; write hex(...) in a query."
    )


def test_an_address_in_an_id(database, con, tmp_path):
    database.run(
        "create table orders (id varchar(99)); insert into orders values ('1'), ('jane@example.com')"
    )
    sql = "select id as order_id, 'c1' as customer_id, timestamp '2026-01-01' as ordered_at, 'paid' as status from files.orders"
    source = declare(tmp_path / "mini", "shop:orders", {"id": "VARCHAR"}, sql=sql)
    with pytest.raises(SourceError) as error:
        land(con, source, "orders", tmp_path)
    assert str(error.value).startswith(
        "source 'mini' (orders.sql), from shop:orders: column 'order_id' holds an email address"
    )
    assert "jane" not in str(error.value)


def test_a_table_without_rows(database, con, tmp_path):
    make_orders(database, "(1, 7, '2026-03-01 00:30:00', 'paid', 'x')")
    database.run("delete from orders")
    source = declare(tmp_path / "a", "shop:orders", ORDERS_COLUMNS)
    with pytest.raises(SourceError) as error:
        land(con, source, "orders", tmp_path)
    assert (
        str(error.value)
        == "shop:orders: it holds 0 rows; say may_be_empty = true in source.toml if that may be."
    )
    source = declare(tmp_path / "b", "shop:orders", ORDERS_COLUMNS, "may_be_empty = true\n")
    assert land_orders(con, source, tmp_path) == []


def test_names_are_quoted(database, tmp_path):
    mark = '"' if database.kind == "postgres" else "`"
    name = f"Or{mark}der 'x'; --"
    column = f"Se{mark}lect"
    written = f"{mark}{column.replace(mark, mark * 2)}{mark}"
    database.run(f"create table {mark}{name.replace(mark, mark * 2)}{mark} ({written} int)")
    assert list_database_tables("shop") == {name: {column: "BIGINT"}}
    assert fetch(tmp_path, f"shop:{name}", columns={column: "BIGINT"}, may_be_empty=True) == []


# -- what fails ----------------------------------------------------------------------------------


def test_a_missing_table_or_permission(database, tmp_path, monkeypatch):
    make_orders(database, "(1, 7, '2026-03-01 00:30:00', 'paid', 'x')")
    assert refuse(tmp_path, "shop:nosuch", columns={"id": "BIGINT"}).startswith(
        "shop:nosuch: the database has no such table ("
    )
    user = f"reader_{next(NUMBERS)}"
    if database.kind == "postgres":
        database.run(f"create user {user} password $${PASSWORD}$$")
    else:
        escaped = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
        database.run(
            f"create user '{user}'@'127.0.0.1' identified by '{escaped}'; create table other (id int)"
        )
        database.run(f"grant select on other to '{user}'@'127.0.0.1'")
    monkeypatch.setenv("RECS_DATABASE_SHOP", database.url.replace("shop:open-sesame", f"{user}:{QUOTED}"))
    assert refuse(tmp_path, "shop:orders", columns={"id": "BIGINT"}) == (
        "shop:orders: the user in RECS_DATABASE_SHOP may not read it; grant that user SELECT on it, and nothing more."
    )
    assert "orders" not in list_database_tables("shop")


def test_nothing_of_an_address_is_said(database, con, tmp_path, monkeypatch):
    make_orders(database, "(1, 7, '2026-03-01 00:30:00', 'paid', 'x')")
    source = declare(tmp_path / "mini", "shop:orders", ORDERS_COLUMNS)
    rest = database.url.partition("shop:open-sesame@")[2]
    scheme = database.url.partition("://")[0]
    addresses = {
        f"{scheme}://zaphod:{QUOTED}@{rest}": "the server refuses the user or the password; correct RECS_DATABASE_SHOP.",
        f"{scheme}://shop:open-sesame@127.0.0.1:{free_port()}/zaphod": "the server cannot be reached; start it, or correct host and port in RECS_DATABASE_SHOP.",
        f"{scheme}://zaphod:{QUOTED}@zaphod.invalid/x": "the server cannot be reached; start it, or correct host and port in RECS_DATABASE_SHOP.",
        f"{database.url.rpartition('/')[0]}/zaphod": "the server has no such database, or the user may not open it; correct RECS_DATABASE_SHOP.",
        f"{scheme}://zaphod:p/ss@{rest}": 'RECS_DATABASE_SHOP must look like postgresql://user:password@host:5432/database or mysql://user:password@host:3306/database (write %40 for an @ and %2F for a / in a password).',
        f"oracle://zaphod:{QUOTED}@{rest}": 'RECS_DATABASE_SHOP must look like',
        f"{database.url}?nosuch=zaphod": "RECS_DATABASE_SHOP: the option 'nosuch' is not known; it may have ssl",
    }  # fmt: skip
    if database.kind == "mysql":  # its root user may open whatever there is
        addresses.pop(f"{database.url.rpartition('/')[0]}/zaphod")
    for address, sentence in addresses.items():
        monkeypatch.setenv("RECS_DATABASE_SHOP", address)
        with pytest.raises((SourceError, SettingsError)) as caught:
            land(con, source, "orders", tmp_path)
        error: BaseException | None = caught.value
        assert str(error).removeprefix("shop:orders: ").startswith(sentence)
        while error is not None:
            for secret in (PASSWORD, QUOTED, "zaphod", "open-sesame", "p/ss", "p@ss"):
                assert secret not in str(error)
            error = None if error.__suppress_context__ else error.__context__


def test_without_an_address_or_an_extension(database, tmp_path, monkeypatch):
    database.run("create table t (id int)")
    monkeypatch.setattr(database_server.importlib.util, "find_spec", lambda name: None)
    assert refuse(tmp_path, columns={"id": "BIGINT"}) == (
        f"shop:t: DuckDB's extension for this server is not installed; run pip install 'recs-assets[{database.kind}]'."
    )
    monkeypatch.delenv("RECS_DATABASE_SHOP")
    assert refuse(tmp_path, columns={"id": "BIGINT"}) == (
        "shop:t: RECS_DATABASE_SHOP is not set: set it to the database's address, like postgresql://user:password@host:5432/database "
        "or mysql://user:password@host:3306/database."
    )


def test_a_server_that_goes_away_leaves_what_was_landed(postgres, con, tmp_path):
    columns = {"id": "BIGINT"}
    sql = "select id::varchar as order_id, 'c1' as customer_id, timestamp '2026-01-01' as ordered_at, 'paid' as status from files.orders"
    slow = 'query = "select g as id, pg_sleep(0.002) as nap from generate_series(1, 20000) g"\n'
    quick = 'query = "select g as id from generate_series(1, 3) g"\n'
    source = declare(tmp_path / "mini", "shop:orders", columns, quick, sql)
    assert land(con, source, "orders", tmp_path).rows == 3
    source = declare(
        tmp_path / "mini",
        "shop:orders",
        {**columns, "nap": "VARCHAR"},
        slow.replace("pg_sleep(0.002)", "pg_sleep(0.002)::text"),
        sql,
    )

    def cut() -> None:
        with psycopg.connect(postgres.url, autocommit=True) as admin:
            while not admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'recs_assets' and query like '%generate_series%' and state = 'active'"
            ).fetchall():
                time.sleep(0.02)

    killer = threading.Thread(target=cut)
    killer.start()
    with pytest.raises(SourceError) as error:
        land(con, source, "orders", tmp_path)
    killer.join()
    assert str(error.value) == (
        "shop:orders: the connection to the server broke off; nothing of it was landed, run the week again."
    )
    assert con.execute("select count(*) from raw.orders").fetchall() == [(3,)]


# -- reading only --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "delete from orders",
        "select id from orders; delete from orders",
        "select id from orders into outfile '/tmp/x'",
        "select 1) as q /*! into outfile '/tmp/x' */ from (select 1",
        "select id from orders) as q union all (select 1",
    ],
)
def test_what_is_no_select_is_refused_when_it_is_declared(query):
    with pytest.raises(SettingsError, match=r"^source.toml: table 'shop:q': query: (it|its) "):
        read_table_declaration("source.toml", "shop:q", {"query": query, "columns": {"id": "BIGINT"}})


def test_no_query_can_write(database, tmp_path):
    make_orders(database, "(1, 7, '2026-03-01 00:30:00', 'paid', 'x')")
    if database.kind == "postgres":
        database.run(
            "create function f() returns bigint language plpgsql as $$ begin delete from orders; return 1; end $$"
        )
    else:
        database.run(
            "create function f() returns int deterministic modifies sql data begin delete from orders; return 1; end".replace(
                "begin delete from orders; return 1; end", "return (select 1)"
            )
        )
    said = refuse(tmp_path, query="select f() as id", columns={"id": "BIGINT"})
    assert (
        said
        == {
            "postgres": "shop:t: the server refuses the query (cannot execute DELETE in a read-only transaction); correct it in source.toml.",
            "mysql": "shop:t: the query calls the stored function 'f', which may write; write what it does into the query.",
        }[database.kind]
    )
    said = refuse(
        tmp_path,
        query="with x as (delete from orders returning id) select id from x",
        columns={"id": "BIGINT"},
    )
    assert said.startswith("shop:t: the server refuses the query (")
    assert fetch(tmp_path, "shop:orders", columns={"id": "BIGINT"}) == [(1,)]
