"""The catalogue, the hand-made shop and docs/queries.md say what the dbt project says."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path

import pytest

from helpers.dbt_build import properties
from recs_assets.campaigns.describe import DOC, DOCS, GENERATED, rule_tables, update_tables
from recs_assets.queries.catalogue import ALIASES, CATALOGUE, KINDS, TABLES
from recs_assets.queries.compiler import compile_labels
from recs_assets.queries.parser import parse
from recs_assets.queries.syntax import FUNCTIONS, QueryError
from recs_assets.queries.validation import validate
from recs_assets.rules.config import Eligibility, ItemRules, Slots

MODELS = Path(__file__).resolve().parents[2] / "dbt_project" / "models"

# Columns of marts that a query cannot name: they hold what was known later, or in the case of
# order counts what an aggregation says for any anchor.
LEFT_OUT = {
    "customers": {
        "customer_ids",
        "first_order_at",
        "last_order_at",
        "order_count",
        "first_referrer",
        "first_referred_at",
        "learned_from",
        "not_learned_from_reason",
        "wholesale_signs",
    },
    "products": {"list_price", "price_kind", "price_from", "currency", "is_product"},
    "order_lines": {"returned_quantity", "fully_returned_at", "learned_from", "currency", "order_amount"},
}
# Columns that the catalogue's SQL adds to a model's.
ADDED = {"returns": {"customer_id"}}


def dbt_models() -> dict[str, dict]:
    return {
        f"{schema}.{model['name']}": {one["name"]: one.get("data_type") for one in model["columns"]}
        for schema in ("staging", "intermediate", "marts")
        for model in properties("models", schema)
    }


DBT = dbt_models()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_are_those_of_the_dbt_model(table):
    model = DBT[table.model]
    assert set(table.by_name) - ADDED.get(table.name, set()) == set(model) - LEFT_OUT.get(table.name, set())
    typed = {name: type_ for name, type_ in model.items() if type_ is not None and name in table.by_name}
    assert {name: table.by_name[name].type.lower() for name in typed} == typed


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_sql_of_a_table_gives_its_columns_and_types(table, database):
    sql = table.sql.replace("{known}", "$as_of")
    parameters = {"as_of": datetime(2024, 3, 4)} if "$as_of" in sql else {}
    result = database.execute(f"select * from ({sql}) limit 0", parameters).description
    assert [(name, str(type_)) for name, type_, *_ in result] == [
        (one.name, one.type) for one in table.fields
    ]


def test_the_sql_reads_models_of_the_dbt_project_only(database):
    read = {name for table in TABLES for name in re.findall(r"(?:from|join) (\w+\.\w+)", table.sql)}
    assert {table.model for table in TABLES} - {"marts.baskets"} <= read <= set(DBT)
    for model in read:
        columns = {name for name, *_ in database.execute(f"select * from {model} limit 0").description}
        assert columns <= set(DBT[model]), model


def test_every_foreign_key_refers_to_the_key_of_a_table():
    for table in TABLES:
        for one in table.fields:
            if one.references is not None:
                (key,) = CATALOGUE.tables[one.references].key
                assert one.kind == CATALOGUE.tables[one.references].by_name[key].kind


def test_keys_and_times_are_columns():
    for table in TABLES:
        assert set(table.key) <= set(table.by_name)
        assert table.time is None or table.by_name[table.time].kind == "time"


def test_names_are_plain():
    for name in [*CATALOGUE.tables, *(one for table in TABLES for one in table.by_name)]:
        assert re.fullmatch(r"[a-z][a-z_]*", name)
    assert {one.type for table in TABLES for one in table.fields} <= set(KINDS)


def test_an_alias_leads_to_a_table_or_a_column_and_hides_neither():
    columns = {f"{table.name}.{one}" for table in TABLES for one in table.by_name}
    for alias, name in ALIASES.items():
        assert alias not in CATALOGUE.tables
        assert alias not in columns
        head, *path = name.split(".")
        starts = (
            [head] if head in CATALOGUE.tables else [f"{t.name}.{head}" for t in TABLES if head in t.by_name]
        )
        assert starts, alias
        if path and head not in CATALOGUE.tables:  # over a foreign key
            references = {table.by_name[head].references for table in TABLES if head in table.by_name} - {
                None
            }
            assert {f"{one}.{path[0]}" for one in references} <= columns, alias


def test_the_email_address_cannot_be_asked_for():
    assert not any("email" in table.by_name for table in TABLES)


TEXT = DOC.read_text("utf-8")


@pytest.mark.parametrize("page", GENERATED)
def test_tables_of_the_page_are_those_of_the_code(page):
    text = (DOCS / page).read_text("utf-8")
    assert update_tables(text, page) == text, "run: python -m recs_assets.campaigns.describe"


def test_every_rule_key_is_documented_with_type_default_and_meaning():
    tables = rule_tables()
    for group, model in (("eligibility", Eligibility), ("rules", ItemRules), ("slots", Slots)):
        section = tables.split(f"`{group}`:")[1].split("\n\n`")[0]
        rows = [
            [cell.strip() for cell in line.split(" | ")] for line in section.splitlines() if "| `" in line
        ]
        assert [row[0].strip("| `") for row in rows] == list(model.model_fields)
        assert all(len(row) == 4 and all(cell.strip("| ") for cell in row) for row in rows)
    lines = tables.splitlines()
    assert any(line.startswith("| `mmr_lambda` | number from 0 to 1 | `0.9` |") for line in lines)
    assert any(
        line.startswith("| `max_per_category` | whole number from 1 or null | `4` |") for line in lines
    )
    assert any(line.startswith("| `pinned` | list of `{product, slot}` | `[]` |") for line in lines)


def test_queries_of_the_page_are_valid(database):
    queries = [one for block in re.findall(r"```\n(.*?)```", TEXT, re.DOTALL) for one in block.split("\n\n")]
    assert len(queries) >= 3
    for text in queries:
        database.execute(*compile_labels(parse(text), date(2024, 3, 4))).fetchall()


def test_targets_and_tasks_of_the_page_are_right():
    section = TEXT.split("## Targets")[1].split("## Aggregations")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in section.splitlines() if "`" in line]
    tasks = []
    for target, task, _ in rows:
        entity = "customers.customer_id" + (", products.product_id" if "each pair" in target else "")
        words = " ".join(re.findall(r"`([^`]*)`", target))
        query = validate(parse(f"PREDICT {words} FOR EACH {entity}"))
        assert query.task == task
        tasks.append(task)
    assert set(tasks) == {"rank", "classify", "regression", "binary"}


def test_the_page_names_every_function():
    section = TEXT.split("## Aggregations")[1].split("## Conditions")[0]
    assert set(re.findall(r"`([A-Z_]+)`", section)) == set(FUNCTIONS)


def test_the_error_of_the_page_is_what_one_gets():
    shown = TEXT.split("a mark below the place:\n\n")[1].split("\n\n")[0]
    shown = "\n".join(line.removeprefix("    ") for line in shown.split("\n"))
    line = shown.split("\n")[1].strip()
    with pytest.raises(QueryError) as caught:
        validate(parse(f"PREDICT COUNT(orders.*, 0, 7)\n{line}"))
    assert str(caught.value) == shown
