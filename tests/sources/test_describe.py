"""The document must say what the code does."""

import tomllib

import duckdb
import jinja2
import pytest
import yaml

from recs_assets.schema import Column, Table
from recs_assets.sources import load_source
from recs_assets.sources.declaration import shop_words
from recs_assets.sources.describe import (
    DOC,
    MACRO,
    SOURCES,
    dbt_macro,
    dbt_sources,
    start_models,
    update_tables,
)

GUIDE = DOC.with_name("sources.md")


def test_column_tables_are_those_of_the_schema():
    text = DOC.read_text("utf-8")
    assert text == update_tables(text), "run: python -m recs_assets.sources.describe"


def test_what_dbt_reads_of_raw_tables_is_the_schema():
    assert SOURCES.read_text("utf-8") == dbt_sources(), "run: python -m recs_assets.sources.describe"
    assert MACRO.read_text("utf-8") == dbt_macro(), "run: python -m recs_assets.sources.describe"


VISITS = Table(
    name="visits",
    description="Visits to a store.",
    key=("visit_id",),
    columns=(
        Column("visit_id", "VARCHAR", "Identifier of the visit.", True),
        Column("store", "VARCHAR", "Where.", True),
        Column("visited_at", "TIMESTAMPTZ", "When.", True),
        Column("minutes", "DOUBLE", "How long.", False),
    ),
    event_at="visited_at",
    required=False,
)


def test_the_first_models_of_a_table():
    models = start_models(VISITS)
    assert list(models) == [
        "base/base_visits.sql",
        "base/base_visits.yml",
        "stg_visits.sql",
        "stg_visits.yml",
    ]
    assert """\
        case
            {{ when_id_is_bad(['visit_id']) }}
            {{ when_date_is_bad('visited_at') }}
            when store is null then 'missing_value'
        end as failed_check
""" in models["base/base_visits.sql"]
    assert (
        "{{ clean_text('store') }} as store,\n        visited_at,\n        minutes\n"
        in models["base/base_visits.sql"]
    )
    assert (
        "key=['visit_id'], columns=['store', 'visited_at', 'minutes'], event_at='visited_at'"
        in models["base/base_visits.sql"]
    )
    assert "where reject_reason is null and {{ is_known('visited_at') }}" in models["stg_visits.sql"]
    (described,) = yaml.safe_load(models["stg_visits.yml"])["models"]
    assert described["description"] == "One row per visit_id that passed every row check. Visits to a store."
    assert [column["name"] for column in described["columns"]] == [
        "visit_id",
        "store",
        "visited_at",
        "minutes",
    ]


FIRST, SECOND, DAY, NUMBER = (
    Column("first", "VARCHAR", "One.", True),
    Column("second", "VARCHAR", "Another.", True),
    Column("day", "TIMESTAMPTZ", "When.", True),
    Column("number", "INTEGER", "Which.", True),
)


@pytest.mark.parametrize(
    ("columns", "event_at", "rows", "reasons"),
    [
        (
            (FIRST, SECOND),
            None,
            "('a', 'b'), ('a', 'b'), ('a', null)",
            [None, "duplicate_row", "missing_key"],
        ),
        (
            (FIRST, DAY),
            "day",
            "('a', date '2024-01-01'), ('a', date '2024-01-01'), ('a', null)",
            [None, "duplicate_row", "missing_date"],
        ),
        ((NUMBER,), None, "(1), (1), (null)", [None, "duplicate_row", "missing_key"]),
    ],
)
def test_the_first_base_model_of_a_table_that_is_all_key_runs(columns, event_at, rows, reasons):
    names = tuple(column.name for column in columns)
    base = start_models(Table("links", "Links.", names, columns, event_at, required=False))[
        "base/base_links.sql"
    ]
    macros = MACRO.with_name("row_checks.sql").read_text("utf-8")
    sql = jinja2.Environment().from_string(macros + base).render(
        source="raw_{1}".format, clean_text=str, has_nul="contains({}, chr(1))".format,
        newest_plausible=lambda: "timestamp '2100-01-01'",
    )  # fmt: skip
    with duckdb.connect() as connection:
        connection.execute(f"create table raw_links as from (values {rows}) t({', '.join(names)})")
        found = connection.execute(f"select reject_reason from ({sql})").fetchall()
    assert sorted(reason or "" for (reason,) in found) == sorted(reason or "" for reason in reasons)


def test_the_examples_of_source_toml_are_read(tmp_path):
    blocks = [block.split("```")[0] for block in GUIDE.read_text("utf-8").split("```toml")[1:]]
    beside = next(block for block in blocks if "ignored_files" in block)
    source = next(block for block in blocks if "[files." in block)
    words = shop_words(tomllib.loads(beside), "source.toml")
    assert words.ignored_files == ("*.pdf", "old_*.csv")
    assert words.ignored_columns == {"orders": ("note", "utm_*")}
    (tmp_path / "source.toml").write_text(source)
    people, sales = load_source(tmp_path).files
    assert [(column.name, column.type) for column in people.columns] == [
        ("id", "BIGINT"),
        ("signed_up", "TIMESTAMP"),
    ]
    assert (sales.name, sales.stem, sales.ignored) == ("orders_*.csv", "sales", ("*",))
    assert [column.name for column in sales.columns if not column.required] == ["Tags"]
