"""The rules of dbt-project-evaluator that this project keeps, read from the manifest of `make setup`."""

from __future__ import annotations

import json

import pytest

from helpers.dbt_build import PROJECT

# Layer: what its models may read. Only base and published read sources, and each its own.
READS = {
    "base": {"raw", "model", "base"},
    "staging": {"base", "staging"},
    "intermediate": {"base", "staging", "intermediate", "marts"},
    "marts": {"staging", "intermediate", "marts"},
    "features": {"staging", "intermediate", "marts", "features"},
    "published": {"model", "staging", "intermediate", "marts", "features", "published"},
}
PREFIXES = {"base": "base_", "staging": "stg_", "intermediate": "int_"}
# Rejected rows are not in staging, nor are earlier states of an order and the credits of a till.
READ_REJECTED_ROWS = {
    "int_credits_allocated_to_orders",
    "int_orders_judged",
    "int_quarantine_shares",
    "int_rows_rejected",
}
MOST_PARENTS = 9
# These two read every base table.
READ_EVERY_TABLE = {"int_quarantine_shares", "int_rows_rejected"}
# Events, and a table of one row: their rows have no key.
NO_KEY = {
    "int_interactions_anchored",
    "int_purchase_pairs_anchored",
    "int_rows_rejected",
    "int_shop_currency",
    "interactions",
    "quarantine",
    "recs_interactions",
}


@pytest.fixture(scope="module")
def manifest() -> dict:
    return json.loads((PROJECT / "target" / "manifest.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def models(manifest) -> dict[str, dict]:
    return {node_id: node for node_id, node in manifest["nodes"].items() if node["resource_type"] == "model"}


def layer_of(node: dict) -> str:
    if node["resource_type"] == "source":
        return node["source_name"]
    return "base" if "base" in node["fqn"] else node["fqn"][1]


def parents(manifest: dict, node: dict) -> list[dict]:
    return [manifest["sources"].get(name) or manifest["nodes"][name] for name in node["depends_on"]["nodes"]]


def test_models_are_named_after_their_layer(models):
    for model in models.values():
        prefix = PREFIXES.get(layer_of(model))
        named = [other for other in PREFIXES.values() if model["name"].startswith(other)]
        assert named == ([prefix] if prefix else []), model["name"]


def test_models_read_only_layers_at_or_below_their_own(manifest, models):
    read = {
        (model["name"], layer_of(parent))
        for model in models.values()
        for parent in parents(manifest, model)
        if layer_of(parent) not in READS[layer_of(model)]
    }
    assert read == set()


def test_only_those_that_need_rejected_rows_pass_staging_by(manifest, models):
    past = {
        model["name"]
        for model in models.values()
        if layer_of(model) not in ("base", "staging")
        and any(layer_of(parent) == "base" for parent in parents(manifest, model))
    }
    assert past == READ_REJECTED_ROWS


def test_every_model_reads_something_and_none_too_much(models):
    counts = {model["name"]: len(set(model["depends_on"]["nodes"])) for model in models.values()}
    assert min(counts.values()) > 0
    assert {name for name, count in counts.items() if count > MOST_PARENTS} == READ_EVERY_TABLE


def test_a_source_table_is_read_by_the_layer_it_is_for(manifest):
    readers = {
        name: {child.split(".")[-1] for child in manifest["child_map"][name] if child.startswith("model.")}
        for name in manifest["sources"]
    }
    assert [name for name, models in readers.items() if not models] == []


def test_every_model_is_described_and_every_key_is_tested(manifest, models):
    tested = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and (node.get("test_metadata") or {}).get("kwargs", {}).get("keys")
    }
    assert [
        model["name"] for model in models.values() if not model["description"].startswith("One row")
    ] == []
    judged = ("intermediate", "marts", "features", "published")
    without = {
        model["name"]
        for node_id, model in models.items()
        if node_id not in tested and layer_of(model) in judged
    }
    assert without == NO_KEY


def test_contracts_hold_from_the_marts_on(models):
    enforced = {layer_of(model): set() for model in models.values()}
    for model in models.values():
        enforced[layer_of(model)].add(model["config"]["contract"]["enforced"])
    assert enforced == {
        "base": {False},
        "staging": {False},
        "intermediate": {False},
        "marts": {True},
        "features": {True},
        "published": {True},
    }


def test_exposures_are_described_and_read_published_models(manifest, models):
    assert manifest["exposures"]
    for exposure in manifest["exposures"].values():
        assert exposure["description"], exposure["name"]
        assert exposure["owner"]["email"], exposure["name"]
        assert {layer_of(models[name]) for name in exposure["depends_on"]["nodes"]} == {"published"}


def test_every_model_has_its_properties_beside_it(models):
    for model in models.values():
        beside = model["original_file_path"].removesuffix(".sql") + ".yml"
        assert model["patch_path"] == f"recs://{beside}"
