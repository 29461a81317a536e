from pathlib import Path

import numpy as np
import pytest
import yaml

from recs_assets.ranking import features
from recs_assets.ranking.candidates import merge
from recs_assets.ranking.features import BY_NAME, FAMILIES, FEATURES, TABLES, selected, source_frame
from recs_assets.recommenders import REGISTRY
from tests.ranking.test_candidates import LISTS, rows

ROOT = Path(__file__).resolve().parents[2]


def dbt_columns():
    path = ROOT / "dbt_project" / "models" / "features" / "_features__models.yml"
    models = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    return {model["name"]: {column["name"] for column in model["columns"]} for model in models}


def test_names_are_unique_and_families_known():
    assert len(BY_NAME) == len(FEATURES)
    assert {one.family for one in FEATURES} <= set(FAMILIES)
    assert {one.family for one in FEATURES} == set(FAMILIES)
    assert all(one.description.endswith(".") for one in FEATURES)


def test_every_column_stands_in_dbt():
    columns = dbt_columns()
    for one in FEATURES:
        if one.table in TABLES:
            assert one.column in columns[TABLES[one.table][0]], one.name
    for model, keys in TABLES.values():
        assert {"as_of", *(key if key in ("category", "brand") else f"{key}_id" for key in keys)} <= columns[
            model
        ]


def test_derived_features_use_columns_that_stand_in_dbt():
    import re

    columns = dbt_columns()
    for one in FEATURES:
        if one.table == "derived":
            used = re.findall(r"(\w+)\.(\w+)", one.column)
            assert used, one.name
            for table, column in used:
                assert column in columns[TABLES[table][0]], one.name


def test_the_page_is_the_code():
    assert (ROOT / "docs" / "features.md").read_text(encoding="utf-8") == features.markdown(), (
        "Run: python -m recs_assets.ranking.features > docs/features.md"
    )


def test_every_recommender_that_may_be_a_source_has_its_features():
    for name, entry in REGISTRY.items():
        assert (f"{name}_rank" in BY_NAME) == (entry.family != "baseline")


def test_selected_follows_the_sources_and_the_exclusions():
    names = {one.name for one in selected(["als"], ["als_rank", "product_price"])}
    assert {"als_score", "als_new_rank", "rrf", "product_buyers"} <= names
    assert not {"als_rank", "product_price", "rules_rank"} & names
    with pytest.raises(ValueError, match="No such feature: prize"):
        selected(["als"], ["prize"])


def test_source_frame_by_hand(shop):
    lists = {"als": LISTS["a"], "als:new": rows((0, 4, 6.0)), "rules": LISTS["b"]}
    some = merge(lists, shop, 10, 10)
    by_pair = dict(zip(zip(some.customer.tolist(), some.product.tolist(), strict=True), range(9), strict=False))
    names = ["als_rank", "als_score", "als_new_rank", "rules_rank", "lists", "rrf_rank", "content_rank"]
    found = source_frame(some, [BY_NAME[name] for name in names])
    nan = np.nan
    # p2 was bought: second in rules; p5 stands in the list of new products and in that of rules.
    np.testing.assert_array_equal(found[by_pair[0, 1]], np.float32([1, 9, nan, 3, 2, 3, nan]))
    np.testing.assert_array_equal(found[by_pair[0, 4]], np.float32([nan, 6, 1, 2, 2, 2, nan]))
    np.testing.assert_array_equal(found[by_pair[5, 4]], np.float32([1, 7, nan, nan, 1, 1, nan]))
    with pytest.raises(ValueError, match="not from the lists"):
        source_frame(some, [BY_NAME["product_price"]])
