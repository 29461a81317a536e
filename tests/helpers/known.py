"""Builders of `Known` from literals, and a shop small enough to check by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import numpy as np
import pandas as pd

from recs_assets.known.interactions import EVENT_TYPES, Events, GuestPurchases, Known

AS_OF = date(2024, 3, 4)  # a Monday

# Order, customer, days before the anchor, products. Every age is a multiple of 28 days, so that
# decayed weights are 1/2, 1/4, 1/8, 1/16 at a half-life of 28 days.
ORDERS = [
    ("o01", "c1", 112, ["p2"]),
    ("o02", "c1", 84, ["p2", "p3"]),
    ("o03", "c1", 56, ["p2", "p3", "p1"]),
    ("o04", "c1", 28, ["p2", "p3"]),
    ("o05", "c2", 56, ["p2", "p5"]),
    ("o06", "c2", 56, ["p4"]),
    ("o07", "c2", 28, ["p2", "p3"]),
    ("o08", "c2", 28, ["p3"]),  # the same day: p3 still counts as bought on one day
    ("o09", "c3", 84, ["p1", "p7"]),
    ("o10", "c3", 28, ["p1", "p6"]),
    ("o11", "c3", 28, ["p2", "p1"]),
    ("o12", "c4", 112, ["p4", "p3"]),
    ("o13", "c4", 56, ["p4", "p3"]),
    ("o14", "c4", 28, ["p4", "p6"]),
    ("o15", "c5", 28, ["p2", "p3", "p6"]),
]

# c6 never ordered.
CUSTOMERS = [
    # customer_id, segment, country
    ("c1", "family", "DE"),
    ("c2", "family", "DE"),
    ("c3", "single", "DE"),
    ("c4", "single", "FR"),
    ("c5", "family", "FR"),
    ("c6", "single", None),
]

# p7 may not be sold at the anchor; p8 was never sold.
PRODUCTS = [
    # product_id, name, brand, category, vertical, price, available
    ("p1", "Red apples", "Orchard", "fruit", "fresh", 2.0, True),
    ("p2", "White bread", "Mill", "bakery", "fresh", 3.0, True),
    ("p3", "Salted butter", "Dairyman", "dairy", "chilled", 4.0, True),
    ("p4", "Mild cheese", "Dairyman", "dairy", "chilled", 8.0, True),
    ("p5", "Rye bread", "Mill", "bakery", "fresh", 3.5, True),
    ("p6", "Ten eggs", None, "dairy", "chilled", 5.0, True),
    ("p7", "Dried figs", "Orchard", "fruit", "dry", 6.0, False),
    ("p8", "Green apples", "Orchard", "fruit", "fresh", 2.0, True),
]


def _customers(rows: Iterable[tuple[str, str | None, str | None]]) -> pd.DataFrame:
    rows = sorted(rows)
    return pd.DataFrame(
        {
            "customer_id": [row[0] for row in rows],
            "email_eligible": True,
            "learned_from": True,
            "country": [row[2] for row in rows],
            "locale": None,
            "segment": [row[1] for row in rows],
            "joined_at": pd.NaT,
        }
    )


def _products(rows: Iterable[tuple]) -> pd.DataFrame:
    rows = sorted(rows)
    names = ("product_id", "name", "brand", "category", "vertical", "price", "available")
    frame = pd.DataFrame({name: [row[position] for row in rows] for position, name in enumerate(names)})
    frame.insert(5, "attributes", None)
    frame.insert(6, "description", None)
    return frame.astype({"price": "float64", "available": "bool"})


def known_of(
    as_of: date,
    customers: pd.DataFrame,
    products: pd.DataFrame,
    events: Iterable[tuple[int, int, int, str]] = (),
    guests: GuestPurchases | None = None,
) -> Known:
    """A `Known` of frames and events by code.

    Args:
        events: (customer, product, days before the anchor, kind), each in a basket of its own and of weight 1,
            or with a basket and a weight behind these.
    """
    anchor = (as_of - date(1970, 1, 1)).days
    rows = [
        (anchor - age, customer, product, EVENT_TYPES.index(kind), *(rest or (number, 1.0)))
        for number, (customer, product, age, kind, *rest) in enumerate(events)
    ]
    rows.sort(key=lambda row: row[:3])
    day, customer, product, kind, basket, weight = zip(*rows, strict=True) if rows else [()] * 6
    return Known(
        as_of,
        customers,
        products,
        Events(
            customer=np.array(customer, dtype=np.int32),
            product=np.array(product, dtype=np.int32),
            basket=np.array(basket, dtype=np.int32),
            day=np.array(day, dtype=np.int32),
            kind=np.array(kind, dtype=np.int8),
            quantity=np.ones(len(rows), dtype=np.float32),
            weight=np.array(weight, dtype=np.float32),
        ),
        guests or GuestPurchases(),
    )


def make_known(
    orders: Iterable[tuple[str, str | None, int, list[str]]],
    customers: Iterable[tuple] = CUSTOMERS,
    products: Iterable[tuple] = PRODUCTS,
    events: Iterable[tuple[str, str, int, str, float]] = (),
    as_of: date = AS_OF,
) -> Known:
    """A `Known` by ids.

    Args:
        orders: (order, customer_id, days before the anchor, product_ids); a repeated product is a
            second line; no customer_id: a guest's.
        customers: (customer_id, segment, country).
        products: (product_id, name, brand, category, vertical, price, available).
        events: everything but purchases: (customer_id, product_id, days before the anchor, kind, weight).
        as_of: the anchor.
    """
    customers, products = _customers(customers), _products(products)
    customer_codes = {name: code for code, name in enumerate(customers["customer_id"])}
    product_codes = {name: code for code, name in enumerate(products["product_id"])}
    baskets: dict[str, int] = {}
    lines = [
        (customer, product_codes[product], age, baskets.setdefault(order, len(baskets)))
        for order, customer, age, ids in orders
        for product in ids
    ]
    rows = [
        (customer_codes[customer], product, age, "purchase", basket, 1.0)
        for customer, product, age, basket in lines
        if customer is not None
    ]
    rows += [
        (customer_codes[customer], product_codes[product], age, kind, -1, weight)
        for customer, product, age, kind, weight in events
    ]
    anchor = (as_of - date(1970, 1, 1)).days
    guests = [(product, basket, anchor - age) for customer, product, age, basket in lines if customer is None]
    return known_of(
        as_of, customers, products, rows, GuestPurchases(*np.array(guests, dtype=np.int32).reshape(-1, 3).T)
    )
