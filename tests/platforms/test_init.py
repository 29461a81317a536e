"""`init` on each made-up export: it is recognised, and what was written lands the same rows as the platform does."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.platforms import WRITERS
from helpers.platforms.google import write_ga4, write_merchant_feed
from helpers.platforms.landed import land_export, land_shop
from helpers.platforms.shopify import write_shopify
from helpers.platforms.world import World
from recs_assets.discovery.shop import make_shop
from recs_assets.discovery.templates import PLATFORMS, Found, find_platforms
from recs_assets.sources import load_source

WHOLE = [name for name in WRITERS if name not in ("ga4", "merchant_feed")]


def write_all(folder: Path) -> World:
    """Shopify's export, with what Google has."""
    write_ga4(folder)
    write_merchant_feed(folder)
    return write_shopify(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_an_export_becomes_a_shop_without_a_line_written_by_hand(name: str, tmp_path: Path) -> None:
    data = tmp_path / "export"
    data.mkdir()
    world = WRITERS[name](data)
    report = make_shop(data, tmp_path / "shops", "mine")
    assert report.problem is None
    assert land_shop(report.folder, data, world).counts == land_export(name, data, world).counts


def test_files_of_other_names_are_known_by_their_columns(tmp_path: Path) -> None:
    data = tmp_path / "export"
    data.mkdir()
    world = write_shopify(data)
    expected = land_export("shopify", data, world).counts
    (data / "orders_export_1.csv").rename(data / "Bestellungen 2024.csv")
    (data / "orders_export_2.csv").rename(data / "Bestellungen 2025.csv")
    (data / "products_export_1.csv").rename(data / "catalogue.csv")
    (data / "customers_export.csv").rename(data / "people.csv")
    report = make_shop(data, tmp_path / "shops", "mine")
    assert report.problem is None
    assert land_shop(report.folder, data, world).counts == expected


def test_what_google_has_is_added_to_a_shop(tmp_path: Path) -> None:
    data = tmp_path / "export"
    data.mkdir()
    world = write_all(data)
    report = make_shop(data, tmp_path / "shops", "mine")
    assert report.problem is None
    counts = land_shop(report.folder, data, world).counts
    google: dict[str, int] = {}
    for name, write in {"ga4": write_ga4, "merchant_feed": write_merchant_feed}.items():
        own = tmp_path / name
        own.mkdir()
        write(own)
        google |= land_export(name, own, world).counts
    # The shop's catalogue wins; its sales are the feed's.
    assert {table: counts[table] for table in ("browsing_events", "searches", "promotions")} == {
        table: google[table] for table in ("browsing_events", "searches", "promotions")
    }
    assert counts["products"] == 72 + 3
    assert not any("events_intraday" in sentence for sentence in report.unsure)


def test_records_that_only_have_ids_are_no_platforms() -> None:
    found = [Found(f"{name}.jsonl", ("id", "createdAt")) for name in ("orders", "products", "customers")]
    assert find_platforms(found) == []


def test_a_table_is_told_from_its_grid_and_may_have_a_prefix() -> None:
    magento = load_source(PLATFORMS / "magento")
    tables = [
        Found(
            f"shop:m2_{file.stem}",
            (*(column.name for column in file.columns), "more", "columns"),
        )
        for file in magento.files
    ]
    [memo] = [file for file in magento.files if file.stem == "sales_creditmemo"]
    grid = Found("shop:m2_sales_creditmemo_grid", tuple(column.name for column in memo.columns))
    [match] = find_platforms([grid, *tables])
    assert match.source.name == "magento"
    assert {name: found.name for name, found in match.names.items()} == {
        file.name: f"shop:m2_{file.stem}" for file in magento.files
    }
