"""What `init` takes for a platform, and for which of its files."""

from __future__ import annotations

from recs_assets.discovery.templates import PLATFORMS, Found, find_platforms
from recs_assets.sources import load_source


def test_records_that_only_have_ids_are_no_platforms() -> None:
    found = [Found(f"{name}.jsonl", ("id", "createdAt")) for name in ("orders", "products", "customers")]
    assert find_platforms(found) == []


def test_a_table_is_told_from_its_grid_and_may_have_a_prefix() -> None:
    magento = load_source(PLATFORMS / "magento")
    tables = [
        Found(f"shop:m2_{file.stem}", (*(column.name for column in file.columns), "more", "columns"))
        for file in magento.files
    ]
    [memo] = [file for file in magento.files if file.stem == "sales_creditmemo"]
    grid = Found("shop:m2_sales_creditmemo_grid", tuple(column.name for column in memo.columns))
    [match] = find_platforms([grid, *tables])
    assert match.source.name == "magento"
    assert {name: found.name for name, found in match.names.items()} == {
        file.name: f"shop:m2_{file.stem}" for file in magento.files
    }
