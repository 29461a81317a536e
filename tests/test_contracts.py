"""A published column is declared once; what is written by hand elsewhere agrees with the declaration."""

from __future__ import annotations

import re

import pytest

from recs_assets import contracts
from recs_assets.reasons.attribution import TOP_FEATURES

PUBLISHED = sorted(path.stem for path in contracts.FOLDER.glob("*.sql"))


def test_columns_that_python_writes():
    assert contracts.model_columns("campaign_outcomes") == {
        "as_of": "date", "campaign": "varchar", "step": "integer", "outcome": "varchar", "customers": "bigint",
    }  # fmt: skip


def test_what_dbt_fills_is_not_written_by_python():
    written = contracts.model_columns("association_rules")
    assert "antecedent_names" in contracts.columns("association_rules")
    assert "antecedent_names" not in written
    assert written["antecedent_product_ids"] == "varchar[]"


def test_a_table_of_two_published_models_has_the_columns_of_both_and_its_own():
    columns = contracts.model_columns("product_neighbours")
    # Support is published of products bought together alone, the kind of neither.
    assert (columns["support"], columns["kind"]) == ("double", "varchar")
    assert "support" not in contracts.columns("similar_products")


def test_types_as_files_call_them():
    columns = contracts.shorten_types(contracts.EMAIL)
    assert (columns["send_at"], columns["slot"]) == ("TIMESTAMPTZ", "INTEGER")


def test_meanings_have_no_blocks_left_in_them():
    for model in PUBLISHED:
        assert not [text for text in contracts.descriptions(model).values() if "{{" in text or not text], (
            model
        )


@pytest.mark.parametrize("model", PUBLISHED)
def test_who_fills_a_column_is_a_known_word(model):
    assert set(contracts.find_fillers(model).values()) <= {"python", "campaign", "week", "dbt", "export"}


@pytest.mark.parametrize("twin", contracts.TWINS)
def test_a_twin_is_generated(twin):
    text = (contracts.FOLDER / f"{twin}.yml").read_text("utf-8")
    assert contracts.write_twin(text, twin) == text, "run: python -m recs_assets.contracts"


def test_a_table_of_python_is_read_by_the_models_that_publish_it():
    readers: dict[str, set[str]] = {}
    for path in contracts.FOLDER.glob("*.sql"):
        for table in re.findall(r"source\('model', '(\w+)'\)", path.read_text("utf-8")):
            readers.setdefault(table, set()).add(path.stem)
    readers["email_selection"] = {contracts.EMAIL}  # by the macro email_rows
    readers["customer_identities"] = {"customer_identities"}  # through base_customer_identities
    sources = contracts._sources()
    named = {
        table: set(entry.get("config", {}).get("meta", {}).get("published_as", [table]))
        for table, entry in sources.items()
    }
    assert named == readers


@pytest.mark.parametrize("table", ["traces", "campaign_traces"])
def test_a_trace_has_a_place_for_every_feature_that_is_kept(table):
    places = [name for name in contracts.model_columns(table) if re.fullmatch(r"feature_\d+", name)]
    assert places == [f"feature_{place}" for place in range(1, TOP_FEATURES + 1)]
