"""The dbt project and the Python package say the same about tables, columns and rules."""

from __future__ import annotations

import re
import unicodedata

import yaml

from helpers.dbt_build import PROJECT, properties
from recs_assets.schema import PERSONAL, RAW_TABLES
from recs_assets.sources.declaration import Wholesale


def _project_yaml() -> dict:
    return yaml.safe_load((PROJECT / "dbt_project.yml").read_text())


def _models() -> dict[str, dict]:
    return {model["name"]: model for model in properties("models")}


def test_raw_sources_are_the_declared_tables():
    declared = {
        table.name: [(c.name, c.type.replace("TIMESTAMPTZ", "TIMESTAMP").lower()) for c in table.columns]
        for table in RAW_TABLES.values()
    }
    (source,) = properties("sources", "staging")
    documented = {
        table["name"]: [(column["name"], column["data_type"]) for column in table["columns"]]
        for table in source["tables"]
    }
    assert documented == declared


def test_raw_descriptions_are_the_declared_ones():
    docs = dict(
        re.findall(
            r"{% docs (\w+) %}\n(.*?)\n{% enddocs %}", (PROJECT / "models/column_docs.md").read_text(), re.S
        )
    )
    (source,) = properties("sources", "staging")
    for table in source["tables"]:
        declared = RAW_TABLES[table["name"]]
        assert table["description"] == declared.description
        for column, expected in zip(table["columns"], declared.columns, strict=True):
            block = re.fullmatch(r"{{ doc\('(\w+)'\) }}", column["description"])
            assert (docs[block[1]] if block else column["description"]) == expected.description


def test_staging_shows_every_declared_column():
    models = _models()
    for table in RAW_TABLES.values():
        columns = tuple(column["name"] for column in models[f"stg_{table.name}"]["columns"])
        # Of a customer the columns that profiles are matched by go no further, but for the address.
        shown = [name for name in table.column_names if name == "email" or name not in PERSONAL]
        assert columns == (*shown, *(["customer_ids"] if table.name == "customers" else []))


def test_quarantine_knows_every_declared_column_but_personal_ones():
    text = (PROJECT / "macros/raw_tables.sql").read_text()
    entries = re.findall(r"'name': '(\w+)', 'key': \[(.*?)\].*?'columns': \[(.*?)\]}", text, re.S)
    listed = {
        name: (tuple(re.findall(r"'(\w+)'", key)), tuple(re.findall(r"'(\w+)'", columns)))
        for name, key, columns in entries
    }
    assert listed == {
        table.name: (table.key, tuple(c for c in table.column_names if c not in PERSONAL))
        for table in RAW_TABLES.values()
    }


def test_no_state_of_an_order_is_on_both_lists():
    lists = [
        [_state_key(word) for word in _project_yaml()["vars"][name]]
        for name in ("purchase_states", "not_a_purchase")
    ]
    assert [len(states) for states in lists] == [len(set(states)) for states in lists]
    assert set(lists[0]).isdisjoint(lists[1])


def test_who_is_wholesale_by_default():
    assert _project_yaml()["vars"]["wholesale"] == Wholesale().model_dump(mode="json")


def _state_key(word: str) -> str:
    """What the macro `state_key` does to a plain word."""
    letters = unicodedata.normalize("NFKD", word.lower())
    return "".join(letter for letter in letters if letter.isalnum())


def test_published_list_is_the_folder():
    text = (PROJECT / "macros/published_models.sql").read_text().split("published_columns")[0]
    listed = re.findall(r"'(\w+)',", text)
    assert listed == sorted(path.stem for path in (PROJECT / "models/published").glob("*.sql"))


def test_every_model_has_a_properties_entry():
    models = _models()
    assert set(models) == {path.stem for path in PROJECT.glob("models/**/*.sql")}
    for model in models.values():
        assert model["description"].startswith("One row per "), model["name"]
        assert all(column["description"] for column in model.get("columns", []))


def test_anonymous_usage_statistics_are_off():
    assert _project_yaml()["flags"]["send_anonymous_usage_stats"] is False
    assert not (PROJECT / "packages.yml").exists()
