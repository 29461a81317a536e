"""A shop with all that recommenders look at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recs_assets.known.interactions import EVENT_TYPES, BackInStock, GuestPurchases, Known


@pytest.fixture(scope="session")
def shop_with_browsing(build_known, random_shop) -> Known:
    """That of tests/conftest.py (40 customers, 60 products, 400 baskets), with products p60 to p69,
    first sold within the last 30 days, and 120 views, carts and wishes within the last 20, some of what was sold out then."""
    old, rng = random_shop, np.random.default_rng(8)
    ids, names = old.customers["customer_id"].tolist(), old.products["product_id"].tolist()
    lines: dict[int, tuple[str, int, list[str]]] = {}
    for customer, product, basket, day in zip(
        old.events.customer, old.events.product, old.events.basket, old.events.day, strict=True
    ):
        lines.setdefault(int(basket), (ids[customer], old.anchor_day - int(day), []))[2].append(
            names[product]
        )
    orders = [(f"o{basket:03d}", *rest) for basket, rest in sorted(lines.items())]
    orders += [
        (f"late{n:02d}", f"c{rng.integers(38):02d}", int(rng.integers(1, 30)), [f"p{60 + n % 10}", f"p{n % 60:02d}"])
        for n in range(40)
    ]  # fmt: skip
    columns = ["product_id", "name", "brand", "category", "vertical", "price", "available"]
    products = list(old.products[columns].itertuples(index=False, name=None))
    products += [
        (f"p{n}", f"thing {n % 7} model{n}", f"brand {n % 5}", f"kind {n % 6}", f"floor {n % 2}", float(n), n != 66)
        for n in range(60, 70)
    ]  # fmt: skip
    customers = list(old.customers[["customer_id", "segment", "country"]].itertuples(index=False, name=None))
    browsing = [
        (
            f"c{rng.integers(40):02d}",
            f"p{rng.integers(70):02d}",
            int(rng.integers(1, 20)),
            EVENT_TYPES[2 + n % 3],
            0.1,
        )
        for n in range(120)
    ]
    known = build_known(orders, customers, products, browsing)
    # Of what they looked at, two in three were sold out then and are back.
    looked = np.flatnonzero(known.events.kind >= 2)
    pairs = np.unique(np.stack([known.events.customer[looked], known.events.product[looked]]), axis=1)
    customer, product = pairs[:, np.arange(pairs.shape[1]) % 3 > 0].astype(np.int32)
    day = known.anchor_day - 1 - product % 20
    back = BackInStock(customer, product, product, day.astype(np.int32), (product % 4).astype(np.int8))
    return replace(known, back_in_stock=back)


@pytest.fixture(scope="session")
def whole(shop_with_browsing: Known) -> Known:
    """With guests, and customers of several ages and referrers: c00 to c39, 40 of them, 70 products."""
    known = shop_with_browsing
    joined = pd.Timestamp(known.as_of) - pd.to_timedelta(np.arange(known.n_customers) * 17, unit="D")
    customers = known.customers.assign(
        joined_at=joined.where(np.arange(known.n_customers) % 9 > 0),
        referrer=[("search", None)[code % 2] for code in range(known.n_customers)],
    )
    first = int(known.events.basket.max()) + 1
    guests = GuestPurchases(
        product=np.array([0, 3, 12, 12, 69], dtype=np.int32),
        basket=np.array([first, first, first + 1, first + 2, first + 2], dtype=np.int32),
        day=known.anchor_day - np.array([90, 90, 40, 9, 9], dtype=np.int32),
    )
    return replace(known, customers=customers, guests=guests)
