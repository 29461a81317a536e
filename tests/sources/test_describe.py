"""The document must say what the code does."""

import tomllib

from recs_assets.sources import load_source
from recs_assets.sources.declaration import shop_words
from recs_assets.sources.describe import DOC, MACRO, SOURCES, dbt_macro, dbt_sources, update_tables

GUIDE = DOC.with_name("sources.md")


def test_column_tables_are_those_of_the_schema():
    text = DOC.read_text("utf-8")
    assert text == update_tables(text), "run: python -m recs_assets.sources.describe"


def test_what_dbt_reads_of_raw_tables_is_the_schema():
    assert SOURCES.read_text("utf-8") == dbt_sources(), "run: python -m recs_assets.sources.describe"
    assert MACRO.read_text("utf-8") == dbt_macro(), "run: python -m recs_assets.sources.describe"


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
