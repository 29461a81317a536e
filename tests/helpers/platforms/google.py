"""What Google has of the shop: GA4's events as the BigQuery export writes them to Parquet, and the feed of its Merchant Center."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

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


def make_offers(world: World) -> list[dict[str, str]]:
    """The catalogue under the handles of the Shopify export, and some offers made by hand."""
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
        # Two places of its own, of which the first counts, and one with a comma in it.
        {"id": "two-places", "product_type": "Home > Cups,Gifts > For Tea"},
        {"id": "comma", "product_type": "Food, Beverages & Tobacco > Tea & Infusions"},
    ]  # fmt: skip
    return [*offers, *(base | offer for offer in by_hand)]


def write_merchant_feed(folder: Path) -> World:
    """merchant_feed.tsv."""
    world = make_world()
    lines = [
        "\t".join(FEED_COLUMNS),
        *("\t".join(row.get(name, "") for name in FEED_COLUMNS) for row in make_offers(world)),
    ]
    (folder / "merchant_feed.tsv").write_text("\n".join(lines) + "\n")
    return world


# What a feed in XML has beside the columns of the other: things that come twice, things with parts, other vocabularies.
_MORE = """<g:additional_image_link>https://cdn.example.com/1.jpg</g:additional_image_link>
<g:additional_image_link>https://cdn.example.com/2.jpg</g:additional_image_link>
<g:shipping><g:country>DE</g:country><g:service>Post</g:service><g:price>4.90 EUR</g:price></g:shipping>
<g:shipping><g:country>AT</g:country><g:price>9.90 EUR</g:price></g:shipping>
<media:title>Not the title</media:title>"""
_SPACES = 'xmlns:g="http://base.google.com/ns/1.0" xmlns:media="http://search.yahoo.com/mrss/"'


def write_merchant_rss(folder: Path) -> World:
    """merchant_feed.xml, an RSS feed: title, link and description are RSS's own."""
    world = make_world()
    items = "\n".join(
        f"<item>{_write_elements(row, 'title', 'link', 'description')}</item>" for row in make_offers(world)
    )
    (folder / "merchant_feed.xml").write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" {_SPACES}><channel><title>Shop</title>'
        f"<link>https://shop.example.com</link>\n{items}\n</channel></rss>\n",
        "utf-8",
    )
    return world


def write_merchant_atom(folder: Path) -> World:
    """merchant_feed.xml, an Atom feed, whose entries have an id and links of Atom's own, too."""
    world = make_world()
    entries = "\n".join(
        f'<entry><id>urn:entry:{number}</id><link rel="self" href="https://shop.example.com/self"/>'
        f'<link href={quoteattr(row["link"])}/><summary type="html">{escape(row["description"])}</summary>'
        f"{_write_elements({key: text for key, text in row.items() if key not in ('link', 'description')})}</entry>"
        for number, row in enumerate(make_offers(world))
    )
    (folder / "merchant_feed.xml").write_text(
        f'<feed xmlns="http://www.w3.org/2005/Atom" {_SPACES}><title>Shop</title><id>urn:shop</id>\n{entries}\n</feed>',
        "utf-8",
    )
    return world


def _write_elements(row: dict[str, str], *own: str) -> str:
    """The elements of an offer, those named in `own` without Google's prefix."""
    elements = []
    for key, text in row.items():
        tag = key if key in own else f"g:{key}"
        # A list of the text feed is an element for each.
        values = text.split(",") if key == "product_type" and ", " not in text else [text]
        elements += [
            f"<{tag}><![CDATA[{value}]]></{tag}>" if key == "title" else f"<{tag}>{escape(value)}</{tag}>"
            for value in values
        ]
    return "\n".join([*elements, _MORE])
