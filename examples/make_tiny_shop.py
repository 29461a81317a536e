"""Write `examples/tiny_shop/`, a made-up shop small enough to read with the eye.

    python examples/make_tiny_shop.py [folder]

Same bytes on every run: one seed, and only `Random.random()`, whose stream Python promises
to keep. Every odd row is put there by hand below and explained in `tiny_shop/README.md`.
"""

from __future__ import annotations

import csv
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20250630
AS_OF = datetime(2025, 6, 30)  # a Monday; every order is older
FIRST = AS_OF - timedelta(weeks=40)

# product id, name, category, vertical, price. Tea and honey, coffee and biscuits go together.
CATALOGUE = [
    ("tea-01", "Assam Breakfast 100 g", "Tea", "Drinks", 6.5),
    ("tea-02", "Darjeeling First Flush 100 g", "Tea", "Drinks", 9.9),
    ("tea-03", "Sencha 100 g", "Tea", "Drinks", 8.5),
    ("tea-04", "Peppermint 50 g", "Tea", "Drinks", 4.2),
    ("tea-05", "Winter Spice 100 g", "Tea", "Drinks", 5.9),
    ("coffee-01", "House Blend 250 g", "Coffee", "Drinks", 7.5),
    ("coffee-02", "House Blend 1 kg", "Coffee", "Drinks", 24.0),
    ("coffee-03", "Espresso Nero 250 g", "Coffee", "Drinks", 8.2),
    ("coffee-04", "Decaf 250 g", "Coffee", "Drinks", 8.8),
    ("coffee-05", "Yirgacheffe 250 g", "Coffee", "Drinks", 11.5),
    ("honey-01", "Acacia Honey 250 g", "Honey", "Food", 5.5),
    ("honey-02", 'Grandma\'s "Best" Honey 500 g', "Honey", "Food", 9.0),
    ("honey-03", "Chestnut Honey 250 g", "Honey", "Food", 6.8),
    ("honey-04", "Honeycomb 200 g", "Honey", "Food", 12.0),
    ("honey-05", "Heather Honey 250 g", "Honey", "Food", 7.4),
    ("biscuit-01", "Butter Biscuits 200 g", "Biscuits", "Food", 3.2),
    ("biscuit-02", "Oat Biscuits 200 g", "Biscuits", "Food", 3.4),
    ("biscuit-03", "Almond Cantuccini 250 g", "Biscuits", "Food", 5.1),
    ("biscuit-04", "Ginger Nuts 200 g", "Biscuits", "Food", 3.6),
    ("biscuit-05", "Speculoos 200 g", "Biscuits", "Food", 3.9),
    ("choc-01", "Dark Chocolate 70 % 100 g", "Chocolate", "Food", 3.5),
    ("choc-02", "Milk Chocolate 100 g", "Chocolate", "Food", 2.9),
    ("choc-03", "Hazelnut Chocolate 100 g", "Chocolate", "Food", 3.3),
    ("choc-04", "White Chocolate 100 g", "Chocolate", "Food", 2.9),
    ("choc-05", "Crème Brûlée Chocolate 100 g", "Chocolate", "Food", 4.4),
    ("mug-01", "Mug, white", "Mugs", "Home", 8.0),
    ("mug-02", "Mug, blue", "Mugs", "Home", 8.0),
    ("mug-03", "Mug, red", "Mugs", "Home", 8.0),
    ("mug-04", "Teapot 1 l", "Mugs", "Home", 29.0),
    ("mug-05", "French Press 1 l", "Mugs", "Home", 34.0),
]
PARENTS = {
    "coffee-01": "coffee-house",
    "coffee-02": "coffee-house",
    "mug-01": "mug",
    "mug-02": "mug",
    "mug-03": "mug",
}
ENDED, NOT_YET, OUT_OF_STOCK = "tea-05", "mug-05", "honey-04"
PARTNER = {"tea": "honey-01", "coffee": "biscuit-01", "honey": "tea-01", "biscuit": "coffee-01"}

FEW_ORDERS = {"c30": 2, "c39": 1, "c40": 2}
NO_ORDERS = {"c32", "c38"}


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


class Draw:
    """A seeded stream that uses nothing but `random()`."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311

    def below(self, n: int) -> int:
        return int(self._random.random() * n)

    def chance(self, share: float) -> bool:
        return self._random.random() < share


def customers() -> list[dict]:
    rows = []
    for number in range(1, 41):
        key = f"c{number:02d}"
        rows.append(
            {
                "customer_id": key,
                "joined_at": text(FIRST + timedelta(days=(number * 3) % 60)),
                "email": f"{key}@example.com",
                "email_eligible": "false" if key == "c35" else "true",
                "country": "DE" if number % 4 else "AT",
                "locale": "de-DE" if number % 4 else "de-AT",
                "currency": "EUR",
                "timezone": "",
                "segment": ("gift", "household", "office")[number % 3],
            }
        )
    by_key = {row["customer_id"]: row for row in rows}
    by_key["c02"]["joined_at"] = ""  # always known
    by_key["c02"]["segment"] = ""
    by_key["c32"]["joined_at"] = "2025-07-02 09:00:00"  # joins after the last Monday: not known yet
    by_key["c38"]["email"] = ""
    return rows


def products() -> list[dict]:
    rows = []
    for key, name, category, vertical, price in CATALOGUE:
        rows.append(
            {
                "product_id": key,
                "name": name,
                "start_at": None,
                "end_at": None,
                "parent_id": PARENTS.get(key),
                "brand": "Tiny" if key.endswith(("1", "2")) else "Others",
                "category": category,
                "vertical": vertical,
                "price": price,
                "cost": round(price * 0.6, 2),
                "url": f"https://shop.example/{key}",
                "image_url": f"https://shop.example/{key}.jpg",
                "description": f"{name}, from our {category.lower()} shelf.",
                "attributes": {"organic": key.endswith(("3", "5"))},
                "merchant_id": None,
            }
        )
    by_key = {row["product_id"]: row for row in rows}
    by_key[ENDED]["end_at"] = "2025-03-31 00:00:00"
    by_key[NOT_YET]["start_at"] = "2025-08-01 00:00:00"
    by_key["choc-05"]["start_at"] = "2025-05-05 00:00:00"  # new: two months old
    return rows


def sold(draw: Draw, product: str, moment: datetime) -> bool:
    """Whether the shop could sell this product then (choc-04 never sells at all)."""
    if product == ENDED and moment >= datetime(2025, 3, 31):
        return False
    if product == "choc-05" and moment < datetime(2025, 5, 5):
        return False
    if product == OUT_OF_STOCK and moment >= datetime(2025, 6, 16):
        return False
    return product not in (NOT_YET, "choc-04")


def orders(draw: Draw) -> tuple[list[dict], list[dict]]:
    """Orders and lines: every customer has favourites and comes back for them."""
    price = {row[0]: row[4] for row in CATALOGUE}
    heads, lines = [], []
    keys = [row[0] for row in CATALOGUE]
    plans = []
    for number in range(1, 41):
        customer = f"c{number:02d}"
        if customer in NO_ORDERS:
            continue
        favourites = [keys[draw.below(len(keys))] for _ in range(3)]
        count = FEW_ORDERS.get(customer, 6 + draw.below(6))
        begin = (number * 3) % 60 + 1 + draw.below(10)  # after the customer joined
        step = (279 - begin) / count
        for turn in range(count):
            day = int(begin + step * turn + draw.below(5))
            moment = FIRST + timedelta(days=min(day, 279), seconds=7 * 3600 + draw.below(14 * 3600))
            plans.append((moment, customer, favourites))
    plans.append((datetime(2025, 6, 29, 21, 15), "c01", ["tea-01", "honey-01", "tea-01"]))
    for position, (moment, customer, favourites) in enumerate(
        sorted(plans, key=lambda plan: plan[:2]), start=1
    ):
        order = f"o{position:04d}"
        heads.append(
            {
                "order_id": order,
                "customer_id": customer,
                "ordered_at": text(moment),
                "status": ("completed", "completed", "shipped", "delivered")[draw.below(4)],
                "currency": "EUR",
            }
        )
        basket: list[str] = []
        for favourite in favourites:
            if draw.chance(0.7):
                basket.append(favourite)
        if not basket or draw.chance(0.4):
            basket.append(keys[draw.below(len(keys))])
        for product in list(basket):
            partner = PARTNER.get(product.split("-")[0])
            if partner and draw.chance(0.6):
                basket.append(partner)
        basket = [product for product in dict.fromkeys(basket) if sold(draw, product, moment)] or ["tea-01"]
        for line, product in enumerate(basket, start=1):
            quantity = 1 + draw.below(3)
            full = round(price[product] * quantity, 2)
            off = round(full * 0.1, 2) if draw.chance(0.2) else 0.0
            lines.append(
                {
                    "order_id": order,
                    "line_id": str(line),
                    "product_id": product,
                    "quantity": float(quantity),
                    "amount": round(full - off, 2),
                    "discount": off,
                }
            )
    # Orders that never became purchases, in the spellings found in shops' exports.
    for position, status in (
        (20, "Cancelled"),
        (60, "canceled"),
        (100, "pending"),
        (140, "FAILED"),
        (180, "refunded"),
    ):
        heads[position]["status"] = status
    # Rows for the quarantine.
    heads.append(
        {
            "order_id": "o9001",
            "customer_id": "c99",
            "ordered_at": "2025-06-01 12:00:00",
            "status": "completed",
            "currency": "EUR",
        }
    )
    wrong = {"quantity": 1.0, "amount": 5.0, "discount": 0.0}
    lines.append({"order_id": "o9001", "line_id": "1", "product_id": "tea-01", **wrong})
    lines.append({"order_id": "o0010", "line_id": "91", "product_id": "tea-99", **wrong})
    lines.append({"order_id": "o0011", "line_id": "91", "product_id": "tea-02", **wrong, "quantity": 0.0})
    return heads, lines


def happenings(draw: Draw, heads: list[dict], lines: list[dict]) -> dict[str, list[dict]]:
    """Reviews, browsing, returns: all hang on orders that exist."""
    customer = {head["order_id"]: head["customer_id"] for head in heads}
    moment = {head["order_id"]: datetime.fromisoformat(head["ordered_at"]) for head in heads}
    real = [line for line in lines if line["order_id"] != "o9001" and line["line_id"] != "91"]
    reviews, browsing = [], []
    for line in real:
        if draw.chance(0.12):
            rating = (5, 5, 4, 4, 3, 2, 1)[draw.below(7)]
            at = moment[line["order_id"]] + timedelta(days=3 + draw.below(10))
            if at < AS_OF:
                reviews.append(
                    {
                        "review_id": f"r{len(reviews) + 1:03d}",
                        "customer_id": customer[line["order_id"]],
                        "product_id": line["product_id"],
                        "rating": rating,
                        "reviewed_at": at.isoformat() + "Z",
                        "title": ("Awful", "Poor", "Fine", "Good", "Great 😀")[rating - 1],
                        "body": None,
                    }
                )
    reviews[0]["rating"] = 7  # for the quarantine
    for line in real:
        if draw.chance(0.35):
            at = moment[line["order_id"]] - timedelta(hours=1 + draw.below(40))
            kind = ("view", "view", "view", "add_to_cart", "add_to_wishlist")[draw.below(5)]
            browsing.append(
                {
                    "event_id": f"e{len(browsing) + 1:04d}",
                    "customer_id": customer[line["order_id"]],
                    "product_id": line["product_id"],
                    "event_type": kind,
                    "occurred_at": text(at),
                    "duration_seconds": 5 + draw.below(120) if kind == "view" else "",
                    "referrer": ("search", "newsletter", "")[draw.below(3)],
                    "device": ("desktop", "mobile", "tablet", "app")[draw.below(4)],
                }
            )
    browsing[0]["event_type"] = "hover"  # for the quarantine
    # The newcomer without orders looked around: only browsing can speak for c38.
    for number, product in enumerate(("coffee-05", "coffee-03", "mug-04"), start=1):
        browsing.append(
            {
                "event_id": f"e9{number:03d}",
                "customer_id": "c38",
                "product_id": product,
                "event_type": "view",
                "occurred_at": text(datetime(2025, 6, 20, 18, number)),
                "duration_seconds": 30,
                "referrer": "search",
                "device": "mobile",
            }
        )
    browsing.append(
        {
            "event_id": "e9004",
            "customer_id": "c39",
            "product_id": "mug-03",
            "event_type": "add_to_cart",
            "occurred_at": text(datetime(2025, 6, 20, 12)),
            "duration_seconds": None,
            "referrer": "search",
            "device": "app",
        }
    )
    returns = []
    for position in range(30, len(real), 75):
        line = real[position]
        whole = len(returns) % 2 == 0
        returns.append(
            {
                "return_id": f"b{len(returns) + 1:02d}",
                "order_id": line["order_id"],
                "product_id": line["product_id"],
                "quantity": line["quantity"] if whole else 1.0,
                "returned_at": text(
                    min(moment[line["order_id"]] + timedelta(days=9), AS_OF - timedelta(hours=2))
                ),
                "reason": "damaged" if whole else "changed mind",
            }
        )
    return {"reviews": reviews, "browsing_events": browsing, "returns": returns}


def inventory() -> list[dict]:
    rows = []
    for key, *_ in CATALOGUE:
        if key == "mug-04":
            continue  # never counted: stock unknown, so it may be sold
        rows.append({"product_id": key, "counted_at": "2025-03-03 06:00:00", "stock": 40})
        rows.append(
            {
                "product_id": key,
                "counted_at": "2025-06-16 06:00:00",
                "stock": 0 if key == OUT_OF_STOCK else 25,
            }
        )
    # Sold out for eight days, in which c39 put it into the cart.
    rows.append({"product_id": "mug-03", "counted_at": "2025-06-17 06:00:00", "stock": 0})
    rows.append({"product_id": "mug-03", "counted_at": "2025-06-25 06:00:00", "stock": 25})
    return rows


def promotions() -> list[dict]:
    rows = [
        (
            "pr-1",
            "honey-02",
            "mailer",
            "2025-06-02 00:00:00",
            "2025-06-30 00:00:00",
            "2025-07-07 00:00:00",
            1.0,
        ),
        (
            "pr-2",
            "choc-01",
            "price",
            "2025-06-09 00:00:00",
            "2025-06-30 00:00:00",
            "2025-07-14 00:00:00",
            1.0,
        ),
        (
            "pr-3",
            "mug-04",
            "display",
            "2025-01-06 00:00:00",
            "2025-02-03 00:00:00",
            "2025-02-10 00:00:00",
            0.5,
        ),
        # Announced on the last Monday itself: one moment too late to be known.
        (
            "pr-4",
            "tea-03",
            "coupon",
            "2025-06-30 00:00:00",
            "2025-06-30 00:00:00",
            "2025-07-28 00:00:00",
            0.25,
        ),
    ]
    names = ("promotion_id", "product_id", "kind", "announced_at", "start_at", "end_at", "reach")
    return [dict(zip(names, row, strict=True)) for row in rows]


def consents() -> list[dict]:
    rows = [
        ("c33", "unsubscribed", "2025-02-01 10:00:00"),
        ("c33", "subscribed", "2025-04-01 10:00:00"),
        ("c34", "erased", "2025-05-15 08:30:00"),
        ("c36", "unsubscribed", "2025-03-20 12:00:00"),
        ("c37", "objected", "2025-04-10 16:45:00"),
        # From the week after: c05 still gets this week's email.
        ("c05", "unsubscribed", "2025-07-01 09:00:00"),
    ]
    return [dict(zip(("customer_id", "state", "effective_at"), row, strict=True)) for row in rows]


def campaign_events(draw: Draw) -> list[dict]:
    rows = []
    for number in range(1, 13):
        customer, sent = f"c{number:02d}", datetime(2025, 6, 9, 6, 0)
        kinds = ["sent"] + (["opened"] if draw.chance(0.6) else [])
        if len(kinds) == 2 and draw.chance(0.5):
            kinds.append("clicked")
        for step, kind in enumerate(kinds):
            rows.append(
                {
                    "event_id": f"k{len(rows) + 1:03d}",
                    "campaign": "weekly",
                    "customer_id": customer,
                    "product_id": "tea-02" if kind == "clicked" else None,
                    "event_type": kind,
                    "occurred_at": (sent + timedelta(hours=5 * step)).isoformat() + "+02:00",
                    "arm": "a" if number % 2 else "b",
                }
            )
    return rows


def write_csv(path: Path, rows: list[dict], names: tuple[str, ...] | None = None) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names or tuple(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_jsonl(path: Path, rows: list[dict]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def main(folder: Path) -> None:
    """Write every file of the example into `folder` (its README.md is written by hand)."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = Draw(SEED)
    heads, lines = orders(draw)
    events = happenings(draw, heads, lines)
    write_csv(folder / "customers.csv", customers())
    write_jsonl(folder / "products.jsonl", products())
    write_csv(folder / "orders.csv", heads)
    pq.write_table(pa.Table.from_pylist(lines), folder / "order_items.parquet")
    write_jsonl(folder / "reviews.jsonl", events["reviews"])
    write_csv(folder / "browsing_events.csv", events["browsing_events"])
    write_csv(folder / "searches.csv", [], ("search_id", "customer_id", "query", "searched_at"))
    write_csv(folder / "inventory.csv", inventory())
    write_csv(folder / "returns.csv", events["returns"])
    (folder / "promotions.json").write_text(json.dumps(promotions(), indent=1) + "\n", "utf-8", newline="\n")
    write_jsonl(folder / "campaign_events.jsonl", campaign_events(draw))
    write_csv(folder / "consents.csv", consents())
    # A promise about one file is enough to show how; it is checked whenever that file is read.
    manifest = {"inventory.csv": {"rows": len(inventory())}}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", "utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "tiny_shop")
