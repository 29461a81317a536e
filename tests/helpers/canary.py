"""A generated shop in which one column of a table of its own decides what is bought."""

from __future__ import annotations

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

# Ten lines, and the table is in features, in queries and in reasons.
VISITS = """\
description: Visits of the store, and whether the customer means to buy what they asked for.
key: visit_id
time: visited_at
columns: {visit_id: text, customer_id: text, product_id: text, visited_at: time, means: text}
references:
  customer_id: customers
  product_id: products
reason:
  en: "You asked for this in store on {date}"
"""
assert len(VISITS.splitlines()) <= 10

CAMPAIGN = """\
name: visitors
description: Six products for whoever meant to buy something lately.
owner: team:crm
query: |
  PREDICT LIST_DISTINCT(order_lines.product_id, 0, 14, days) RANK TOP 6
  FOR EACH customers.customer_id
  WHERE COUNT(visits.* WHERE means = 'buy', -14, 0, days) > 0
schedule:
  cron: "0 6 * * 1"
"""

WEEK = datetime(2024, 9, 2)
CUSTOMERS, PRODUCTS, WEEKS = 300, 30, 32


def write_shop(folder: Path) -> Path:
    """Canonical tables, and `visits.csv`: who means to buy does so within three weeks, who looks does not; and everybody
    buys something or other."""
    draw = random.Random(20_240_902)
    start = WEEK - timedelta(weeks=WEEKS)
    customers = [f"c{number:03d}" for number in range(CUSTOMERS)]
    products = [f"p{number:02d}" for number in range(PRODUCTS)]
    orders: list[tuple[str, datetime, list[str]]] = []
    visits: list[tuple[str, str, datetime, str]] = []
    for customer in customers:
        for week in range(WEEKS):
            monday = start + timedelta(weeks=week)
            if draw.random() < 0.25:
                orders.append((customer, _moment(draw, monday, 7), draw.sample(products, 2)))
            if draw.random() < 0.5:
                for means in ("buy", "look"):
                    product, at = draw.choice(products), _moment(draw, monday, 7)
                    visits.append((customer, product, at, means))
                    if means == "buy" and draw.random() < 0.9:
                        orders.append(
                            (customer, _moment(draw, at.replace(hour=0) + timedelta(days=1), 20), [product])
                        )
    orders = sorted(order for order in orders if order[1] < WEEK)
    folder.mkdir(parents=True, exist_ok=True)
    _write(
        folder / "customers.csv",
        [
            {"customer_id": one, "email": f"{one}@example.com", "email_eligible": "true", "locale": "en-GB"}
            for one in customers
        ],
    )
    _write(
        folder / "products.csv",
        [
            {"product_id": one, "name": f"Thing {one}", "category": f"kind {place % 5}", "price": 5 + place}
            for place, one in enumerate(products)
        ],
    )
    _write(
        folder / "orders.csv",
        [
            {
                "order_id": f"o{place}",
                "customer_id": customer,
                "ordered_at": at,
                "status": "completed",
                "currency": "EUR",
            }
            for place, (customer, at, _) in enumerate(orders)
        ],
    )
    _write(
        folder / "order_items.csv",
        [
            {"order_id": f"o{place}", "line_id": product, "product_id": product, "quantity": 1,
             "amount": 5 + products.index(product)}
            for place, (_, _, bought) in enumerate(orders)
            for product in bought
        ],
    )  # fmt: skip
    _write(
        folder / "visits.csv",
        [
            {
                "visit_id": f"v{place}",
                "customer_id": customer,
                "product_id": product,
                "visited_at": at,
                "means": means,
            }
            for place, (customer, product, at, means) in enumerate(visits)
        ],
    )
    return folder


def read_visits(folder: Path) -> list[dict[str, str]]:
    with (folder / "visits.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _moment(draw: random.Random, start: datetime, days: int) -> datetime:
    return start + timedelta(minutes=draw.randrange(days * 24 * 60))


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
