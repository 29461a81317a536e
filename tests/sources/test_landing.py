"""From files to raw tables: what comes out, and what a source may not do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, datetime

import pytest

from helpers.sources import CUSTOMERS, ORDERS, PRODUCTS, REPO, make_source
from recs_assets.schema import RAW_TABLES, SettingsError, SourceError
from recs_assets.sources import (
    find_first_as_of,
    find_latest_as_of,
    fingerprint,
    land,
    resolve_source,
)


def read_rows(con, table: str, order: str = "all") -> list[tuple]:
    return con.execute(f"select * from raw.{table} order by {order}").fetchall()


@pytest.mark.parametrize(
    ("table", "name", "content", "where"),
    [
        ("customers", "customers.csv", CUSTOMERS + "ann@example.com,2024-01-01,true\n", "customers.csv line 3: column 'customer_id'"),
        ("orders", "orders.csv", ORDERS.replace("c1", "ann@example.com"), "orders.csv line 2: column 'customer_id'"),
        ("orders", "orders.csv", ORDERS.replace("o1", "ann@example.com-1"), "orders.csv line 2: column 'order_id'"),
        ("orders", "orders.csv", ORDERS.replace("completed", "sent to ann@example.com"), "orders.csv line 2: column 'status'"),
        ("products", "products.jsonl", PRODUCTS.replace("p1", "ann@example.com"), "products.jsonl line 1: column 'product_id'"),
        ("reviews", "reviews.csv", "review_id,customer_id,product_id,rating,reviewed_at\nr1,ann@example.com,p1,5,2024-05-01\n",
         "reviews.csv line 2: column 'customer_id'"),
        ("customers", "customers.csv", CUSTOMERS.replace("email_eligible", "email_eligible,segment").replace("true", "true,vip@example.com"),
         "customers.csv line 2: column 'segment'"),
    ],
)  # fmt: skip
def test_an_address_where_an_identifier_belongs_is_refused_with_its_line(
    con, shop, table, name, content, where
):
    (shop / name).write_text(content)
    with pytest.raises(SourceError) as error:
        land(con, resolve_source("auto", shop), table, shop)
    assert str(error.value).startswith(where + " holds an email address")
    assert "@" not in str(error.value)


def test_an_address_in_a_text_or_of_who_said_no_stops_nothing(con, shop):
    (shop / "products.jsonl").write_text(
        '{"product_id": "p1", "name": "Ask hello@example.com", "description": "x@y.example"}\n'
    )
    (shop / "consents.csv").write_text("customer_id,state,effective_at\nann@example.com,erased,2024-01-01\n")
    (shop / "customers.csv").write_text("customer_id,email_eligible,email\nc1,true,ann@example.com\n")
    source = resolve_source("auto", shop)
    assert [land(con, source, table, shop).rows for table in ("products", "consents", "customers")] == [
        1,
        1,
        1,
    ]


def test_a_long_list_of_files_is_shortened_in_errors(con, tmp_path):
    files = '[files."p_*.csv".columns]\nid = "BIGINT"\n'
    sources = make_source(
        tmp_path, "select 'ann@example.com' as customer_id, true as email_eligible from files.p", files=files
    )
    for number in range(30):
        (tmp_path / f"p_{number:03}.csv").write_text("id\n1\n")
    with pytest.raises(SourceError) as error:
        land(con, resolve_source("mini", tmp_path, sources), "customers", tmp_path)
    assert str(error.value) == (
        "source 'mini' (customers.sql), from p_000.csv, p_001.csv, p_002.csv, p_003.csv, p_004.csv and 25 more: "
        "column 'customer_id' holds an email address (30 rows of this column do), and this column is published "
        "as it is; write the shop's own number of whom or what it means there."
    )


def test_every_table_lands_with_exactly_the_declared_columns(con, shop):
    source = resolve_source("auto", shop)
    for table in RAW_TABLES.values():
        land(con, source, table.name, shop)
        found = [(name, type_) for name, type_, *_ in con.execute(f"describe raw.{table.name}").fetchall()]
        assert found == [
            (column.name, "TIMESTAMP" if column.type == "TIMESTAMPTZ" else column.type)
            for column in table.columns
        ]
    assert read_rows(con, "orders") == [("o1", "c1", datetime(2024, 5, 1, 10), "completed", None, None)]
    assert read_rows(con, "order_items") == [("o1", "1", "p1", 1.0, 2.5, None)]
    assert read_rows(con, "searches") == []


def test_landing_again_replaces_and_reads_only_what_it_needs(con, shop):
    source = resolve_source("auto", shop)
    assert land(con, source, "orders", shop).files == ("orders.csv",)
    (shop / "products.jsonl").unlink()  # not needed for orders
    result = land(con, source, "orders", shop)
    assert (result.rows, result.files) == (1, ("orders.csv",))
    assert result.seconds > 0
    assert len(read_rows(con, "orders")) == 1


def test_nothing_but_the_raw_table_stays_behind(con, shop):
    before = con.execute("select current_setting('TimeZone')").fetchone()
    source = resolve_source("auto", shop)
    land(con, source, "orders", shop, "Asia/Tokyo")
    (shop / "orders.csv").write_text("")
    with pytest.raises(SourceError):
        land(con, source, "orders", shop, "Asia/Tokyo")
    assert con.execute("select schema_name, table_name from duckdb_tables()").fetchall() == [
        ("raw", "orders")
    ]
    assert con.execute("select database_name from duckdb_databases() where not internal").fetchall() == [
        ("memory",)
    ]
    assert con.execute("select current_setting('TimeZone')").fetchone() == before


def test_a_failed_landing_keeps_the_rows_of_the_one_before(con, shop):
    source = resolve_source("auto", shop)
    land(con, source, "orders", shop)
    (shop / "orders.csv").write_text(ORDERS[:-5])
    with pytest.raises(SourceError, match=r"orders.csv: its last line has no line break"):
        land(con, source, "orders", shop)
    assert len(read_rows(con, "orders")) == 1


def test_times_land_local_to_the_shop(con, shop):
    (shop / "orders.csv").write_text(
        "order_id,customer_id,ordered_at,status\n"
        "o1,c1,2024-05-06T03:00:00Z,completed\n"  # Sunday 23:00 in New York
        "o2,c1,2024-05-05 23:00:00,completed\n"
    )
    source = resolve_source("auto", shop)
    land(con, source, "orders", shop, "America/New_York")
    assert [row[2] for row in read_rows(con, "orders")] == [
        datetime(2024, 5, 5, 23),
        datetime(2024, 5, 5, 23),
    ]
    land(con, source, "orders", shop)  # UTC
    assert [row[2] for row in read_rows(con, "orders")] == [datetime(2024, 5, 6, 3), datetime(2024, 5, 5, 23)]


def test_the_operating_systems_time_zone_changes_nothing(shop):
    (shop / "orders.csv").write_text(
        "order_id,customer_id,ordered_at,status\no1,c1,2024-05-06T03:00:00Z,x\no2,c1,2024-05-05 23:00:00,x\n"
    )
    script = (
        "import duckdb; from pathlib import Path; from recs_assets.sources import *\n"
        f"folder = Path({str(shop)!r}); con = duckdb.connect(); source = resolve_source('auto', folder)\n"
        "land(con, source, 'orders', folder, 'America/New_York')\n"
        "print(con.execute('select * from raw.orders order by all').fetchall(), find_latest_as_of(con, "
        "source, folder))\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=REPO,
            env={**os.environ, "TZ": zone},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for zone in ("UTC", "Pacific/Auckland", "America/Los_Angeles")
    }
    assert len(outputs) == 1


def test_hard_ids_land_unchanged(con, shop):
    ids = ["😀", "it's", 'say "hi"', "'; drop table raw.orders; --", "x" * 300, "nul\0inside"]
    lines = "".join(json.dumps({"product_id": value, "name": value}) + "\n" for value in ids)
    (shop / "products.jsonl").write_text(lines)
    land(con, resolve_source("auto", shop), "products", shop)
    assert [row[0] for row in con.execute("select product_id from raw.products").fetchall()] == ids


def test_latest_as_of_is_the_monday_after_the_last_full_week(con, shop):
    source = resolve_source("auto", shop)
    head = "order_id,customer_id,ordered_at,status\n"
    for last, monday in (
        ("2024-05-05 23:59:59", date(2024, 5, 6)),  # a Sunday: the week is over
        ("2024-05-06 00:00:00", date(2024, 5, 6)),  # a Monday
        ("2024-05-04 12:00:00", date(2024, 4, 29)),  # a Saturday: Sunday is still to come
        ("2024-05-12 00:00:00", date(2024, 5, 13)),
    ):
        (shop / "orders.csv").write_text(head + f"o1,c1,{last},x\n")
        assert find_latest_as_of(con, source, shop) == monday
    # 03:00 UTC on Monday is still Sunday in New York.
    (shop / "orders.csv").write_text(head + "o1,c1,2024-05-06T03:00:00Z,x\n")
    assert find_latest_as_of(con, source, shop, "America/New_York") == date(2024, 5, 6)
    assert find_latest_as_of(con, source, shop, "UTC") == date(2024, 5, 6)
    # One order dated 2099 by mistake does not move the week.
    (shop / "orders.csv").write_text(head + "o1,c1,2024-05-05,x\no2,c1,2099-01-01,x\n")
    assert find_latest_as_of(con, source, shop, not_after=datetime(2024, 6, 1)) == date(2024, 5, 6)
    with pytest.raises(SourceError, match=r"source 'canonical': there is no order"):
        find_latest_as_of(con, source, shop, not_after=datetime(2000, 1, 1))


def test_the_first_week_is_that_of_the_first_order(con, shop):
    source = resolve_source("auto", shop)
    head = "order_id,customer_id,ordered_at,status\n"
    for first, monday in (("2011-03-09", date(2011, 3, 7)), ("2011-03-07", date(2011, 3, 7))):
        (shop / "orders.csv").write_text(head + f"o1,c1,2024-05-05,x\no2,c1,{first},x\no3,c1,1970-01-01,x\n")
        assert find_first_as_of(con, source, shop) == monday
    # 03:00 UTC on Monday is still Sunday in New York.
    (shop / "orders.csv").write_text(head + "o1,c1,2024-05-06T03:00:00Z,x\n")
    assert find_first_as_of(con, source, shop, "America/New_York") == date(2024, 4, 29)
    (shop / "orders.csv").write_text(head + "o1,c1,1970-01-01,x\n")
    assert find_first_as_of(con, source, shop) is None


def test_fingerprint_follows_the_files(shop):
    source = resolve_source("auto", shop)
    first = fingerprint(source, shop)
    assert first == fingerprint(source, shop)
    assert len(first) == 64
    (shop / "notes.txt").write_text("not a file of the source")
    assert first == fingerprint(source, shop)
    os.utime(shop / "orders.csv", (1, 1))
    assert first != fingerprint(source, shop)


def test_a_refused_result_keeps_the_rows_of_the_landing_before(con, tmp_path):
    good = "select id::varchar as product_id, name, 1.0::double as price from files.people"
    sources = make_source(tmp_path, good, table="products")
    (tmp_path / "people.csv").write_text("id,name\n1,Ann\n")
    source = resolve_source("mini", tmp_path, sources)
    land(con, source, "products", tmp_path)
    (sources / "mini" / "products.sql").write_text(good.replace("1.0::double", "'NaN'::double"))
    with pytest.raises(SourceError) as error:
        land(con, source, "products", tmp_path)
    assert str(error.value) == (
        "source 'mini' (products.sql): column 'price' holds NaN or Infinity in 1 rows; make it null."
    )
    assert con.execute("select price from raw.products").fetchall() == [(1.0,)]


# -- walls ---------------------------------------------------------------------------------------


def test_a_link_out_of_the_folder_is_refused(con, shop, tmp_path):
    outside = tmp_path / "secret.csv"
    outside.write_text(ORDERS)
    (shop / "orders.csv").unlink()
    (shop / "orders.csv").symlink_to(outside)
    source = resolve_source("auto", shop)
    with pytest.raises(
        SettingsError, match=r"^orders.csv: it lies outside .*; copy the file there, or set RECS_DATA_ROOT"
    ):
        land(con, source, "orders", shop)
    assert land(con, source, "orders", shop, root=tmp_path).rows == 1


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("select * from '/etc/passwd'", r"it reads '/etc/passwd'; it may read files.<declared file> only"),
        ("select * from read_text('/etc/passwd')", r"it calls read_text\(\)"),
        ("select (select content from read_text('/etc/passwd')) as customer_id", r"it calls read_text\(\)"),
        ("select * from read_csv('/etc/passwd')", r"it calls read_csv\(\)"),
        ("select * from query('select 1')", r"it calls query\(\)"),
        ("select * from glob('/*')", r"it calls glob\(\)"),
        ("from raw.orders", r"it reads 'orders'; it may read"),
        ("select * from information_schema.tables", r"it reads 'tables'"),
        ("select * from (with \"x.csv\" as (select 1) select 1), 'x.csv'", r"it reads 'x.csv'"),
        ("select * from files.people; drop schema raw", r"it must be one plain SELECT"),
        ("select 1; select 2", r"it holds 2 statements; write one SELECT"),
        ("copy files.people to '/tmp/x'", r"it must be one plain SELECT"),
        ("select * from files.secrets", r"files.secrets is not declared in source.toml"),
        ("select id from", r"it must be one plain SELECT"),
        ("describe files.people", r"it must be one plain SELECT"),
    ],
)
def test_sql_of_a_source_reads_nothing_but_its_files(con, tmp_path, sql, sentence):
    sources = make_source(tmp_path, sql)
    (tmp_path / "people.csv").write_text("id,name\n1,Ann\n")
    source = resolve_source("mini", tmp_path, sources)
    with pytest.raises(SettingsError, match=r"^source 'mini' \(customers.sql\): " + sentence):
        land(con, source, "customers", tmp_path)


def test_a_shop_is_one_folder_of_sql(con, tmp_path):
    sql = (
        "with p as (select * from files.people)\n"
        "select id::varchar as customer_id, true as email_eligible from p;\n"
    )
    sources = make_source(tmp_path, sql)
    (tmp_path / "people.csv").write_text("id,name\n7,Ann\n")
    source = resolve_source("auto", tmp_path, sources)
    assert source.name == "mini"
    assert land(con, source, "customers", tmp_path).rows == 1
    assert land(con, source, "orders", tmp_path).rows == 0
    assert read_rows(con, "customers") == [("7", None, None, True, *[None] * 10)]


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("select 1::varchar as customer_id from files.people", "its result lacks column 'email_eligible'"),
        (
            "select 'x' as customer_id, true as email_eligible, 1 as shoe_size from files.people",
            "its result has the unknown column 'shoe_size'",
        ),
        (
            "select 'x' as customer_id, true as email_eligible, 'now' as joined_at from files.people",
            "column 'joined_at' comes out as VARCHAR where TIMESTAMPTZ is declared; cast it in the SQL",
        ),
        (
            "select nme as customer_id, true as email_eligible from files.people",
            "it cannot be read \\(Binder Error",
        ),
    ],
)
def test_result_of_the_sql_is_checked(con, tmp_path, sql, sentence):
    sources = make_source(tmp_path, sql)
    (tmp_path / "people.csv").write_text("id,name\n1,Ann\n")
    source = resolve_source("mini", tmp_path, sources)
    with pytest.raises(SourceError, match=r"^source 'mini' \(customers.sql\): " + sentence):
        land(con, source, "customers", tmp_path)
