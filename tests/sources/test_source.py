"""Which source a folder is read by, and what a source may declare."""

from __future__ import annotations

import gzip
import json

import pytest

from helpers.sources import TECHHEAVEN, TINY, make_source
from recs_assets.schema import SettingsError, SourceError
from recs_assets.sources import (
    find_latest_as_of,
    fingerprint,
    land,
    load_source,
    resolve_source,
    source_names,
)


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


def test_a_file_that_the_manifest_lists_must_be_there(shop):
    (shop / "manifest.json").write_text('{"reviews.csv": {"rows": 10}, "orders.csv": {}}')
    with pytest.raises(SourceError, match=r"^reviews.csv: manifest.json lists it but it is not in"):
        resolve_source("auto", shop)


# -- declarations --------------------------------------------------------------------------------


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
        (('[files."people.csv".columns]', '[files."a//people.csv".columns]'),
         "file 'a//people.csv' must be a plain name ending in .csv"),
        (('[files."people.csv".columns]', '[files."*/people.csv".columns]'),
         "file '*/people.csv' must be a plain name ending in .csv"),
        (('[files."people.csv".columns]', '[files."people.docx".columns]'),
         "file 'people.docx' must be a plain name ending in .csv"),
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
        lambda: find_latest_as_of(con, source, tmp_path),
    ):
        with pytest.raises(SourceError) as error:
            attempt()
        assert str(error.value) == sentence
    toml = sources / "mini" / "source.toml"
    toml.write_text('ignored_files = ["unsub*"]\n' + toml.read_text())
    assert land(con, resolve_source("auto", tmp_path, sources), "customers", tmp_path).rows == 1


# -- patterns ------------------------------------------------------------------------------------


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
