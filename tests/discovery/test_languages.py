"""Exports in other languages and dialects, without a header, without numbers of orders: what they are taken for."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from helpers.exports import make_shop_rows, write_csv
from recs_assets.discovery.shop import make_shop
from recs_assets.schema import RAW_TABLES
from recs_assets.sources import land, load_source

ROWS = make_shop_rows()
HEADS = {head["id"]: head for head in ROWS["orders"]}
PRODUCTS = {product["id"]: product for product in ROWS["products"]}
# The sum of what was bought: literal, as `make_shop_rows` makes it.
BOUGHT = {"orders": 120, "order_items": 300, "products": 25, "customers": 38}


def flat_rows() -> list[dict[str, Any]]:
    return [{**line, **{key: HEADS[line["order"]][key] for key in ("customer", "when")}, "title": PRODUCTS[line["product"]]["title"]}
            for line in ROWS["lines"]]  # fmt: skip


def money(value: float) -> str:
    return f"{value:.2f}".replace(".", ",")


def write_french(folder: Path) -> None:
    with (folder / "ventes.csv").open("w", encoding="utf-16", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(
            [
                "N° commande",
                "Date de commande",
                "Code client",
                "Référence",
                "Libellé",
                "Qté",
                "Prix unitaire",
                "Montant ligne",
            ]
        )
        for row in flat_rows():
            writer.writerow([row["order"], f"{row['when']:%d/%m/%Y}", row["customer"], row["product"], row["title"], row["units"],
                             f"{money(row['price'])} €", f"{money(row['total'])} €"])  # fmt: skip


def write_spanish(folder: Path) -> None:
    with (folder / "pedidos.csv").open("w", encoding="utf-8", newline="") as file:
        file.write("Informe de ventas\nGenerado 2024\n\n")
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(["Pedido", "Fecha", "Cliente", "Artículo", "Descripción", "Cantidad", "Precio"])
        for row in flat_rows():
            guest = row["order"] == "B9000"
            writer.writerow([row["order"], f"{row['when']:%d-%m-%Y}", "NULL" if guest else row["customer"], row["product"], row["title"],
                             row["units"], money(row["price"])])  # fmt: skip


def write_italian(folder: Path) -> None:
    write_csv(
        folder / "ordini.csv",
        ROWS["orders"],
        {"id": "Numero ordine", "customer": "Codice cliente", "when": "Data ordine", "state": "Stato"},
    )
    write_csv(folder / "righe_ordine.csv", ROWS["lines"],
              {"order": "Numero ordine", "place": "Riga", "product": "Codice articolo", "units": "Quantità", "total": "Totale riga"})  # fmt: skip
    write_csv(
        folder / "articoli.csv",
        ROWS["products"],
        {"id": "Codice articolo", "title": "Descrizione", "price": "Prezzo"},
    )


def write_dutch(folder: Path) -> None:
    write_csv(
        folder / "bestellingen.csv",
        ROWS["orders"],
        {"id": "bestelnummer", "customer": "klantnummer", "when": "besteldatum"},
    )
    write_csv(
        folder / "bestelregels.csv",
        ROWS["lines"],
        {"order": "bestelnummer", "product": "artikelnummer", "units": "aantal", "price": "prijs"},
    )
    write_csv(folder / "artikelen.csv", ROWS["products"], {"id": "artikelnummer", "title": "omschrijving"})


def write_headless(folder: Path) -> None:
    with (folder / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for row in flat_rows():
            writer.writerow(
                [
                    row["order"],
                    f"{row['when']:%Y-%m-%d}",
                    row["customer"],
                    row["product"],
                    row["units"],
                    row["price"],
                ]
            )


def write_baskets(folder: Path) -> None:
    with (folder / "groceries.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["Member_number", "Date", "itemDescription"])
        writer.writerows([row["customer"], f"{row['when']:%m/%d/%Y}", row["title"]] for row in flat_rows())


SUM = round(sum(head["total"] for head in ROWS["orders"]), 2)


@pytest.mark.parametrize(
    ("write", "spent", "currency"),
    [(write_french, SUM, "EUR"), (write_spanish, SUM, "EUR"), (write_italian, SUM, "EUR"), (write_dutch, SUM, "EUR"),
     (write_headless, SUM, "USD"), (write_baskets, 0.0, "USD")],
)  # fmt: skip
def test_becomes_the_same_shop(tmp_path, write, spent, currency):
    data = tmp_path / "data"
    data.mkdir()
    write(data)
    report = make_shop(data, tmp_path / "shops")
    assert report.problem is None
    source = load_source(report.folder)
    assert source.currency == currency
    with duckdb.connect() as con:
        counts = {table: land(con, source, table, data).rows for table in RAW_TABLES}
        assert {table: counts[table] for table in BOUGHT} == BOUGHT
        assert con.execute("select round(sum(amount), 2) from raw.order_items").fetchall() == [(spent,)]
        assert con.execute(
            "select min(ordered_at)::date::varchar, max(ordered_at)::date::varchar from raw.orders"
        ).fetchall() == [("2024-01-02", "2024-04-30")]


def test_what_only_values_tell_is_asked(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    write_headless(data)
    report = make_shop(data, tmp_path / "shops")
    assert "is column_1 of data.csv the number of the order?" in report.unsure
    assert "is column_6 of data.csv the price?" in report.unsure
    assert "what are the columns called? The file has no header; these names are made up." in report.unsure


def test_events_and_searches(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    write_csv(
        data / "orders.csv",
        ROWS["orders"],
        {"id": "order_id", "customer": "user_id", "when": "created_at", "state": "status"},
    )
    write_csv(
        data / "order_items.csv",
        ROWS["lines"],
        {"order": "order_id", "product": "product_id", "units": "quantity", "price": "price"},
    )
    rows = flat_rows()
    (data / "events.jsonl").write_text(
        "".join(
            json.dumps({"event": ("view", "add_to_cart", "purchase")[n % 3], "user_id": row["customer"], "product_id": row["product"],
                        "timestamp": 1704186000000 + n * 1000}) + "\n"
            for n, row in enumerate(rows)
        )
    )  # fmt: skip
    report = make_shop(data, tmp_path / "shops")
    assert report.problem is None
    with duckdb.connect() as con:
        land(con, load_source(report.folder), "browsing_events", data)
        found = con.execute(
            "select event_type, count(*), min(occurred_at)::varchar from raw.browsing_events group by 1 order by 1"
        ).fetchall()
    assert found == [("add_to_cart", 100, "2024-01-02 09:00:01"), ("view", 100, "2024-01-02 09:00:00")]
    assert "what do purchase mean? They are left out; only views, carts and wishlists count." in report.unsure
