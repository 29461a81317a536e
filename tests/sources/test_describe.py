"""The document must say what the code does."""

import tomllib

from recs_assets.sources.describe import DOC, updated


def test_column_tables_are_those_of_the_schema():
    text = DOC.read_text("utf-8")
    assert text == updated(text), "run: python -m recs_assets.sources.describe"


def test_the_example_source_is_valid_toml():
    block = DOC.read_text("utf-8").split("```toml")[1].split("```")[0]
    assert tomllib.loads(block)["files"]["people.csv"]["columns"] == {
        "id": "BIGINT",
        "signed_up": "TIMESTAMP",
    }
