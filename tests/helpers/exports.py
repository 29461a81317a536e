"""Made-up exports of a small shop, under other names and in other dialects."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

Rows = list[dict[str, Any]]


def make_shop_rows(orders: int = 120, seed: int = 0) -> dict[str, Rows]:
    """Customers, products, orders and lines with plain names, from which exports are made."""
    chance = np.random.default_rng(seed)
    products: Rows = [
        {"id": f"A{100 + n}", "title": f"{('Kaffee', 'Tee', 'Kakao')[n % 3]} Sorte {n}", "group": ("Kaffee", "Tee", "Kakao")[n % 3],
         "price": round(2.5 + 0.75 * n, 2), "stock": int(chance.integers(0, 50))}
        for n in range(25)
    ]  # fmt: skip
    customers: Rows = [
        {"id": 5000 + n, "email": f"k{n}@example.com", "since": date(2023, 1, 1) + timedelta(days=n), "country": ("DE", "AT")[n % 4 == 0],
         "newsletter": n % 3 != 0}
        for n in range(40)
    ]  # fmt: skip
    heads: Rows = []
    lines: Rows = []
    for n in range(orders):
        when = datetime(2024, 1, 2, 9, 30) + timedelta(days=n, hours=n % 5)
        number = f"B{9000 + n}"
        total = 0.0
        for place, product in enumerate(chance.choice(25, size=1 + n % 4, replace=False).tolist()):
            units = int(chance.integers(1, 5))
            price = products[product]["price"]
            total += units * price
            lines.append({"order": number, "place": place + 1, "product": products[product]["id"], "units": units, "price": price,
                          "total": round(units * price, 2)})  # fmt: skip
        heads.append({"id": number, "customer": customers[int(chance.integers(40))]["id"], "when": when,
                      "state": ("versandt", "storniert")[n % 10 == 0], "total": round(total, 2)})  # fmt: skip
    return {"customers": customers, "products": products, "orders": heads, "lines": lines}


def write_csv(
    path: Path, rows: Sequence[Mapping[str, Any]], names: Mapping[str, str], dialect: str = "plain"
) -> Path:
    """Write some columns under other names; `dialect` german: semicolons, decimal commas, 31.12.2024 09:30, Windows-1252."""
    german = dialect == "german"

    def write(value: Any) -> Any:
        if german and isinstance(value, bool):
            return "ja" if value else "nein"
        if german and isinstance(value, float):
            return f"{value:.2f}".replace(".", ",")
        if german and isinstance(value, datetime):
            return f"{value:%d.%m.%Y %H:%M}"
        if german and isinstance(value, date):
            return f"{value:%d.%m.%Y}"
        return value

    with path.open("w", encoding="cp1252" if german else "utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";" if german else ",", lineterminator="\n")
        writer.writerow(names.values())
        writer.writerows([write(row[key]) for key in names] for row in rows)
    return path


def write_german_shop(folder: Path) -> Path:
    """kunden.csv, bestellungen.csv, positionen.csv and artikel.csv."""
    rows = make_shop_rows()
    folder.mkdir(exist_ok=True)
    write_csv(folder / "kunden.csv", rows["customers"],
              {"id": "Kundennr", "email": "E-Mail", "since": "Kunde seit", "country": "Land", "newsletter": "Newsletter"}, "german")  # fmt: skip
    write_csv(folder / "bestellungen.csv", rows["orders"],
              {"id": "Bestellnr", "customer": "Kunde", "when": "Bestelldatum", "state": "Status", "total": "Gesamtbetrag"}, "german")  # fmt: skip
    write_csv(folder / "positionen.csv", rows["lines"],
              {"order": "Bestellung", "place": "Pos", "product": "Artikel", "units": "Menge", "price": "Preis"}, "german")  # fmt: skip
    write_csv(folder / "artikel.csv", rows["products"],
              {"id": "Artikelnr", "title": "Bezeichnung", "group": "Warengruppe", "price": "VK-Preis", "stock": "Bestand"}, "german")  # fmt: skip
    return folder


def write_embedded_orders(folder: Path) -> Path:
    """orders.json, each order with its items in it, and nothing else."""
    rows = make_shop_rows()
    folder.mkdir(exist_ok=True)
    orders = [
        {
            "id": head["id"],
            "customer": {"customer_id": head["customer"]}["customer_id"],
            "created_at": head["when"].isoformat(),
            "total": head["total"],
            "items": [
                {"sku": line["product"], "name": next(p["title"] for p in rows["products"] if p["id"] == line["product"]),
                 "qty": line["units"], "price": line["price"]}
                for line in rows["lines"]
                if line["order"] == head["id"]
            ],
        }
        for head in rows["orders"]
    ]  # fmt: skip
    (folder / "orders.json").write_text(json.dumps({"orders": orders}), "utf-8")
    return folder


def write_monthly_lines(folder: Path) -> Path:
    """sales_2024-01.csv, sales_2024-02.csv, ...: flat lines with totals instead of prices, and a file of products."""
    rows = make_shop_rows()
    folder.mkdir(exist_ok=True)
    heads = {head["id"]: head for head in rows["orders"]}
    months: dict[str, Rows] = {}
    for line in rows["lines"]:
        head = heads[line["order"]]
        months.setdefault(f"{head['when']:%Y-%m}", []).append(
            {**line, "customer": head["customer"], "when": head["when"]}
        )
    for month, lines in months.items():
        write_csv(folder / f"sales_{month}.csv", lines,
                  {"order": "order_no", "when": "date", "customer": "client", "product": "item", "units": "qty", "total": "value"})  # fmt: skip
    write_csv(
        folder / "products.csv", rows["products"], {"id": "item", "title": "title", "group": "category"}
    )
    return folder
