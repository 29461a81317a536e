"""GA4's events and the Merchant Center's feed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from helpers.platforms.google import (
    make_events,
    write_ga4,
    write_merchant_atom,
    write_merchant_feed,
    write_merchant_rss,
)
from helpers.platforms.landed import Landed, land_export, land_shop
from helpers.platforms.world import World
from recs_assets.discovery.folder import read_folder
from recs_assets.discovery.templates import Found, find_platforms, write_platform


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    folder = tmp_path_factory.mktemp("ga4")
    return land_export("ga4", folder, write_ga4(folder))


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    folder = tmp_path_factory.mktemp("merchant_feed")
    return land_export("merchant_feed", folder, write_merchant_feed(folder))


def test_an_event_is_one_per_item_with_its_visitor_and_visit(events: Landed) -> None:
    assert events.sql(
        "select event_type, product_id, customer_id, occurred_at, session_id, referrer, device from raw.browsing_events "
        "where visitor_id = '1.2' order by occurred_at, product_id"
    ) == [
        ("view", "classic-coffee", None, datetime(2025, 6, 2, 10, 0, 1), "1.2.77", "https://shop.example.com/", "mobile"),
        ("view", "fresh-coffee", None, datetime(2025, 6, 2, 10, 0, 1), "1.2.77", "https://shop.example.com/", "mobile"),
        ("add_to_wishlist", "classic-coffee", "7000000000001", datetime(2025, 6, 2, 10, 0, 2), "1.2.77", None, "mobile"),
        ("view", "bold-coffee", None, datetime(2025, 6, 2, 10, 0, 3), "1.2.77", None, "mobile"),
    ]  # fmt: skip


def test_an_event_is_known_by_what_it_is(events: Landed) -> None:
    # 2025-06-02 10:00:01 UTC
    name = hashlib.md5(b"1.2|1748858401000000|view_item|classic-coffee").hexdigest()
    assert events.sql(f"select count(*) from raw.browsing_events where event_id = '{name}'") == [(1,)]


def test_the_tables_of_today_and_of_the_day_are_one_and_nothing_else_is_browsing(events: Landed) -> None:
    looked = [event["event_name"] for event in make_events(events.world) if event["event_name"] != "purchase"]
    assert len(looked) > 1800
    assert events.counts == {"browsing_events": len(looked) + 4 + 1, "searches": 2}


def test_a_view_without_a_visitor_is_kept(events: Landed) -> None:
    assert events.sql(
        "select product_id, session_id, customer_id from raw.browsing_events where visitor_id is null"
    ) == [("classic-coffee", None, None)]


def test_a_search_counts_once_in_a_visit_and_may_be_a_number(events: Landed) -> None:
    assert events.sql("select query, searched_at from raw.searches order by 2") == [
        ("Coffee pot", datetime(2025, 6, 2, 10, 0, 6)),
        ("501", datetime(2025, 6, 2, 10, 0, 8)),
    ]


def test_prices_are_read_in_every_spelling(feed: Landed) -> None:
    assert feed.sql(
        "select product_id, price from raw.products where product_id in ('gone', 'soon', 'blue-s', 'sale', 'classic-coffee') "
        "order by 1"
    ) == [("blue-s", 12.34), ("classic-coffee", 26.12), ("gone", 1234.5), ("sale", 20), ("soon", 1234.5)]


def test_the_catalogue_is_the_feeds(feed: Landed) -> None:
    coffee = feed.world.products[0]
    assert feed.counts == {"products": 72 + 7, "promotions": 1}
    assert feed.sql(
        "select name, brand, category, vertical, url, image_url, attributes from raw.products where product_id = 'classic-coffee'"
    ) == [
        (
            "Classic Coffee",
            coffee.brand,
            "Coffee",
            "Kitchen",
            "https://shop.example.com/products/classic-coffee",
            "https://cdn.example.com/classic-coffee.jpg",
            '{"gtin":"4000000000001"}',
        )
    ]
    assert feed.sql(
        "select product_id, parent_id, category, vertical from raw.products where product_id in ('soon', 'blue-s') order by 1"
    ) == [("blue-s", "blue", None, None), ("soon", None, "Tables", "Home")]


def test_of_several_places_the_first_counts_and_a_place_may_hold_a_comma(feed: Landed) -> None:
    assert feed.sql(
        "select product_id, category, vertical from raw.products where product_id in ('two-places', 'comma')"
    ) == [
        ("comma", "Tea & Infusions", "Food, Beverages & Tobacco"),
        ("two-places", "Cups", "Home"),
    ]


def test_what_is_sold_out_is_not_offered_and_what_comes_is(feed: Landed) -> None:
    assert feed.sql("select product_id from raw.products where end_at is not null") == [("gone",)]


def test_a_sale_with_its_dates_is_a_promotion(feed: Landed) -> None:
    assert feed.sql("select product_id, kind, start_at, end_at from raw.promotions") == [
        ("sale", "price", datetime(2025, 5, 1, 11), datetime(2025, 5, 10, 13, 30))
    ]


@pytest.mark.parametrize("write", [write_merchant_rss, write_merchant_atom])
def test_a_feed_in_xml_is_recognised_and_holds_the_same(
    feed: Landed, write: Callable[[Path], World], tmp_path: Path
) -> None:
    folder, shop = tmp_path / "data", tmp_path / "shop"
    folder.mkdir()
    shop.mkdir()
    world = write(folder)
    (folder / "merchant_feed.xml").rename(folder / "google.xml")
    with duckdb.connect() as con:
        con.execute("attach ':memory:' as files")
        tables, problems = read_folder(con, folder)
    assert problems == []
    matches = find_platforms([Found(table.name, table.header, table.entry) for table in tables])
    assert [match.source.name for match in matches] == ["merchant_feed"]
    write_platform(matches, shop, {}, [], [])
    landed = land_shop(shop, folder, world)
    assert landed.counts == feed.counts
    for table in feed.counts:
        query = f"select * from raw.{table} order by all"
        assert landed.sql(query) == feed.sql(query), table
