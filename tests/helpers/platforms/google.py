"""What Google has of the shop: GA4's events as the BigQuery export writes them to Parquet, and the feed of its Merchant Center."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from helpers.platforms.shopify import customer_id
from helpers.platforms.world import World, make_world

VALUE = pa.struct(
    [
        ("string_value", pa.string()),
        ("int_value", pa.int64()),
        ("float_value", pa.float64()),
        ("double_value", pa.float64()),
    ]
)
SCHEMA = pa.schema(
    [
        ("event_date", pa.string()),
        ("event_timestamp", pa.int64()),
        ("event_name", pa.string()),
        ("event_params", pa.list_(pa.struct([("key", pa.string()), ("value", VALUE)]))),
        ("event_bundle_sequence_id", pa.int64()),
        ("user_id", pa.string()),
        ("user_pseudo_id", pa.string()),
        ("device", pa.struct([("category", pa.string()), ("language", pa.string())])),
        ("geo", pa.struct([("country", pa.string())])),
        (
            "traffic_source",
            pa.struct([("name", pa.string()), ("medium", pa.string()), ("source", pa.string())]),
        ),
        ("platform", pa.string()),
        (
            "items",
            pa.list_(
                pa.struct([("item_id", pa.string()), ("item_name", pa.string()), ("price", pa.float64())])
            ),
        ),
    ]
)
Event = dict[str, object]


def make_event(
    moment: datetime, name: str, visitor: str | None, products: list[str] | None = None, user: str | None = None, **params: str | int | float
) -> Event:  # fmt: skip
    values = {str: "string_value", int: "int_value", float: "double_value"}
    return {
        "event_date": moment.strftime("%Y%m%d"), "event_timestamp": int(moment.timestamp()) * 1_000_000, "event_name": name,
        "event_params": [{"key": key, "value": {values[type(value)]: value}} for key, value in params.items()],
        "event_bundle_sequence_id": 1, "user_id": user, "user_pseudo_id": visitor,
        "device": {"category": "mobile", "language": "de-de"}, "geo": {"country": "Germany"},
        "traffic_source": {"name": "(direct)", "medium": "(none)", "source": "(direct)"}, "platform": "WEB",
        "items": [{"item_id": product, "item_name": "Thing", "price": 1.0} for product in products or []],
    }  # fmt: skip


def make_events(world: World) -> list[Event]:
    """Before each fifth order its customer looks at what they buy, puts it into the cart, and looks at one thing more."""
    rng = np.random.default_rng(11)
    events = []
    for order in world.orders[::5]:
        visitor = f"{order.customer.number * 7919}.{1_700_000_000 + order.customer.number}"
        session = int(order.ordered_at.timestamp()) - 600
        at = order.ordered_at - timedelta(minutes=10)
        params = {"ga_session_id": session, "page_referrer": "https://search.example.com/"}
        # Whose number ends in an even digit signs in before the cart.
        user = customer_id(order.customer.number) if order.customer.number % 2 == 0 else None
        more = world.products[int(rng.integers(len(world.products)))]
        for place, product in enumerate([*(line.product for line in order.lines), more]):
            moment = at + timedelta(seconds=20 * place)
            events.append(make_event(moment, "view_item", visitor, [product.handle], None, **params))
            if product is not more:
                events.append(
                    make_event(
                        moment + timedelta(seconds=9),
                        "add_to_cart",
                        visitor,
                        [product.handle],
                        user,
                        **params,
                    )
                )
        events.append(
            make_event(
                order.ordered_at,
                "purchase",
                visitor,
                [line.product.handle for line in order.lines],
                user,
                **params,
            )
        )
    return events


def make_trap_events() -> list[Event]:
    """All on 2025-06-02, by visitor 1.2 in session 77."""

    def event(
        second: int,
        name: str,
        products: list[str] | None = None,
        user: str | None = None,
        **params: str | int | float,
    ) -> Event:
        moment = datetime(2025, 6, 2, 10, 0, second, tzinfo=UTC)
        return make_event(moment, name, "1.2", products, user, ga_session_id=77, **params)

    return [
        # Two items in one event; one that has no id.
        event(
            1,
            "view_item",
            ["classic-coffee", "fresh-coffee", "(not set)"],
            page_referrer="https://shop.example.com/",
        ),
        event(2, "add_to_wishlist", ["classic-coffee"], "7000000000001"),
        # What a page writes that has nobody to name.
        event(3, "view_item", ["bold-coffee"], "undefined"),
        # No products: other names, and a list of them.
        event(4, "page_view"),
        event(5, "view_item_list", ["classic-coffee", "fresh-coffee"]),
        # One search under both names; one for digits; one without words.
        event(6, "search", search_term="Coffee pot"),
        event(7, "view_search_results", search_term="coffee pot"),
        event(8, "view_search_results", search_term=501),
        event(9, "view_search_results"),
    ]


def write_parquet_events(path: Path, events: list[Event]) -> None:
    pq.write_table(pa.Table.from_pylist(events, schema=SCHEMA), path)


def write_ga4(folder: Path) -> World:
    """A file per quarter, of the day with the traps one of the day and one of today, and one event without a visitor."""
    world = make_world()
    events = make_events(world)
    for quarter in range(4):
        part = events[quarter * len(events) // 4 : (quarter + 1) * len(events) // 4]
        write_parquet_events(folder / f"events_2024{quarter:02}.parquet", part)
    traps = make_trap_events()
    write_parquet_events(folder / "events_20250602.parquet", traps)
    write_parquet_events(folder / "events_intraday_20250602.parquet", traps[:3])
    nobody = make_event(datetime(2025, 6, 3, 10, tzinfo=UTC), "view_item", None, ["classic-coffee"])
    write_parquet_events(folder / "events_20250603.parquet", [nobody])
    return world


FEED_COLUMNS = [
    "id", "title", "description", "link", "image_link", "availability", "price", "sale_price", "sale_price_effective_date",
    "brand", "gtin", "google_product_category", "product_type", "item_group_id", "condition",
]  # fmt: skip


def write_merchant_feed(folder: Path) -> World:
    """merchant_feed.tsv with the catalogue under the handles of the Shopify export, and some offers made by hand."""
    world = make_world()
    offers = [
        {
            "id": product.handle, "title": product.title, "description": f"{product.title} by {product.brand}",
            "link": f"https://shop.example.com/products/{product.handle}", "condition": "new",
            "image_link": f"https://cdn.example.com/{product.handle}.jpg", "availability": "in_stock",
            "price": f"{product.price:.2f} EUR", "brand": product.brand, "gtin": f"40{product.number:011}",
            "google_product_category": "Home & Garden > Kitchen", "product_type": f"{product.department} > {product.category}",
        }
        for product in world.products
    ]  # fmt: skip
    base = offers[0]
    by_hand = [
        {"id": "gone", "availability": "out of stock", "price": "1.234,50 EUR"},
        {"id": "soon", "availability": "preorder", "price": "EUR 1,234.50", "product_type": "", "google_product_category": "Home > Tables"},
        {"id": "blue-s", "item_group_id": "blue", "price": "12,34 EUR", "product_type": "", "google_product_category": "632"},
        {
            "id": "sale", "price": "20 EUR", "sale_price": "15.00 EUR",
            "sale_price_effective_date": "2025-05-01T13:00+0200/2025-05-10T15:30+0200",
        },
        {"id": "no-sale", "price": "20 EUR", "sale_price": "15.00 EUR"},
    ]  # fmt: skip
    rows = [*offers, *(base | offer for offer in by_hand)]
    lines = [
        "\t".join(FEED_COLUMNS),
        *("\t".join(str(row.get(name, "")) for name in FEED_COLUMNS) for row in rows),
    ]
    (folder / "merchant_feed.tsv").write_text("\n".join(lines) + "\n")
    return world
