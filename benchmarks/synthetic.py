"""A seeded synthetic shop in the canonical layout, for measuring size and time, not quality.

`write(folder, customers, products, lines)` writes customers, products, orders and order_items as
Parquet. The same arguments give the same rows. What is realistic, because it decides how sparse the
matrices are and how much is repeated:

* product popularity falls off as 1 / rank (Zipf), overall and within each category;
* customers differ in how much they buy (log-normal) and join during the period;
* every customer has a repertoire of 14 products from 4 categories, from which 55 % of the lines come;
* 78 weeks that end on the Sunday before Monday 2025-06-30, with a weekly rhythm.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

END = date(2025, 6, 30)  # a Monday: the week to run
DAYS = 78 * 7
SEED = 20_250_630

REPERTOIRE = 14
OWN_CATEGORIES = 4
REPERTOIRE_SHARE = 0.55
MEAN_BASKET = 4.0
# Baskets drawn beyond what is asked for: products that stand twice in a basket are dropped.
OVERDRAW = 1.12
WEEKDAYS = np.array([0.9, 0.8, 0.85, 0.95, 1.2, 1.4, 0.9])

SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "ki", "lo", "mu", "na", "po", "ra", "se", "ti", "vu", "zo")
QUALITIES = ("organic", "classic", "light", "family", "fresh", "dark", "mild", "strong", "whole", "fine")
SIZES = ("100 g", "250 g", "500 g", "1 kg", "6 pack", "12 pack", "330 ml", "1 l")


def write(
    folder: Path, customers: int = 200_000, products: int = 20_000, lines: int = 5_000_000, seed: int = SEED
) -> dict[str, int]:
    """Write the four required tables into `folder`; returns the row count of each."""
    rng = np.random.default_rng(seed)
    catalogue = _catalogue(rng, products)
    frames = {"products": catalogue.drop(columns="category_code")}
    frames["customers"], joined = _customers(rng, customers)
    frames["orders"], frames["order_items"] = _log(rng, catalogue, joined, lines)
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        for name, frame in frames.items():
            connection.register("frame", frame)
            columns = ", ".join(
                f'"{column}"::timestamptz as "{column}"' if column.endswith("_at") else f'"{column}"'
                for column in frame.columns
            )
            connection.execute(
                f"copy (select {columns} from frame) to '{folder / name}.parquet' (format parquet)"
            )
    return {name: len(frame) for name, frame in frames.items()}


def _word(rng: np.random.Generator) -> str:
    return "".join(rng.choice(SYLLABLES, int(rng.integers(2, 4))))


def _catalogue(rng: np.random.Generator, count: int) -> pd.DataFrame:
    """Products by falling popularity; a category is a noun, a brand sells in many categories."""
    categories = [f"{_word(rng)} {number}" for number in range(max(4, count // 100))]
    brands = [f"{_word(rng).title()}" for _ in range(max(4, count // 25))]
    category = rng.integers(len(categories), size=count)
    brand = rng.integers(len(brands), size=count)
    level = rng.lognormal(1.6, 0.7, len(categories))
    price = np.round(level[category] * rng.lognormal(0, 0.4, count), 2) + 0.29
    quality = rng.choice(QUALITIES, count)
    size = rng.choice(SIZES, count)
    return pd.DataFrame(
        {
            "product_id": [f"p{number:06d}" for number in range(count)],
            "name": [
                f"{brands[b]} {q} {categories[c]} {s}"
                for b, q, c, s in zip(brand, quality, category, size, strict=True)
            ],
            "brand": [brands[number] for number in brand],
            "category": [categories[number] for number in category],
            "vertical": [f"floor {number % 12}" for number in category],
            "price": price,
            "attributes": [json.dumps({"quality": q, "size": s}) for q, s in zip(quality, size, strict=True)],
            "category_code": category,
        }
    )


def _customers(rng: np.random.Generator, count: int) -> tuple[pd.DataFrame, np.ndarray]:
    """The customers, and the day of the period on which each joined (half of them before it)."""
    joined = np.maximum(0, rng.integers(-DAYS, DAYS - 7, size=count))
    start = np.datetime64(END - timedelta(days=DAYS), "us")
    return pd.DataFrame(
        {
            "customer_id": [f"c{number:07d}" for number in range(count)],
            "joined_at": start + joined * np.timedelta64(1, "D"),
            "email_eligible": rng.random(count) < 0.9,
            "country": rng.choice(["DE", "FR", "NL"], count),
            "segment": rng.choice(["family", "single", "couple", "senior"], count),
        }
    ), joined


def _log(
    rng: np.random.Generator, catalogue: pd.DataFrame, joined: np.ndarray, lines: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    popularity = 1.0 / np.arange(1, len(catalogue) + 1)
    drawn = int(lines * OVERDRAW)
    size = 1 + rng.poisson(MEAN_BASKET - 1, size=int(drawn / MEAN_BASKET * 1.05))
    size = size[: int(np.searchsorted(np.cumsum(size), drawn)) + 1]
    activity = rng.lognormal(0, 1, len(joined)) * (DAYS - joined)
    buyer = _draw(rng, activity, len(size))

    order = np.repeat(np.arange(len(size)), size)
    product = _draw(rng, popularity, len(order))
    own = rng.random(len(order)) < REPERTOIRE_SHARE
    repertoire = _repertoires(rng, catalogue["category_code"].to_numpy(), popularity, len(joined))
    place = _draw(rng, 1.0 / np.arange(1, REPERTOIRE + 1), int(own.sum()))
    product[own] = repertoire[buyer[order[own]], place]

    key = np.unique(order.astype(np.int64) * len(catalogue) + product)[:lines]
    order, product = key // len(catalogue), key % len(catalogue)
    used = int(order[-1]) + 1
    buyer = buyer[:used]
    # Each customer's orders lie between the day of joining and the end, later weekdays more often.
    first = joined[buyer]
    day = first + (rng.random(used) * (DAYS - first)).astype(np.int64)
    open_ = np.arange(used)
    for _ in range(8):  # draws again what its weekday refuses
        open_ = open_[rng.random(len(open_)) > WEEKDAYS[day[open_] % 7] / WEEKDAYS.max()]
        day[open_] = first[open_] + (rng.random(len(open_)) * (DAYS - first[open_])).astype(np.int64)
    second = np.clip(rng.normal(15 * 3600, 3 * 3600, used), 0, 86_399).astype(np.int64)
    start = np.datetime64(datetime.combine(END - timedelta(days=DAYS), datetime.min.time()), "us")
    order_id = np.array([f"o{number:08d}" for number in range(used)], dtype=object)
    orders = pd.DataFrame(
        {
            "order_id": order_id,
            "customer_id": np.array([f"c{number:07d}" for number in range(len(joined))], dtype=object)[buyer],
            "ordered_at": start + (day * 86_400 + second) * np.timedelta64(1, "s"),
            "status": np.where(rng.random(used) < 0.02, "cancelled", "completed"),
        }
    )
    ids, price = catalogue["product_id"].to_numpy(dtype=object), catalogue["price"].to_numpy()
    quantity = 1.0 + rng.poisson(0.3, len(order))
    discount = np.where(rng.random(len(order)) < 0.15, np.round(0.2 * price[product] * quantity, 2), 0.0)
    return orders, pd.DataFrame(
        {
            "order_id": order_id[order],
            "line_id": ids[product],
            "product_id": ids[product],
            "quantity": quantity,
            "amount": np.round(price[product] * quantity - discount, 2),
            "discount": discount,
        }
    )


def _repertoires(
    rng: np.random.Generator, category: np.ndarray, popularity: np.ndarray, customers: int
) -> np.ndarray:
    """int64[customers, REPERTOIRE]: products by popularity within a few categories each."""
    by_category = np.argsort(category, kind="stable")
    ends = np.cumsum(popularity[by_category])
    until = np.cumsum(np.bincount(category))
    high = ends[until - 1]
    low = np.concatenate([[0.0], high[:-1]])
    own = _draw(rng, np.sqrt(np.maximum(high - low, 0.0)), customers * OWN_CATEGORIES).reshape(customers, -1)
    chosen = own[np.arange(customers)[:, None], rng.integers(OWN_CATEGORIES, size=(customers, REPERTOIRE))]
    at = low[chosen] + rng.random(chosen.shape) * (high - low)[chosen]
    return by_category[np.minimum(np.searchsorted(ends, at, side="right"), len(ends) - 1)]


def _draw(rng: np.random.Generator, weights: np.ndarray, size: int) -> np.ndarray:
    """int64[size] positions, each with probability proportional to its weight."""
    ends = np.cumsum(weights)
    return np.minimum(np.searchsorted(ends, rng.random(size) * ends[-1], side="right"), len(ends) - 1)
