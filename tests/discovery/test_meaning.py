"""What columns mean where their names alone do not say it."""

from __future__ import annotations

import duckdb

from recs_assets.discovery.shop import make_shop
from recs_assets.sources import land, load_source

NAMES = ["Thé vert", "Café moulu", "Tasse bleue", "Miel d'acacia", "Sablés"]


def test_a_reference_that_goes_with_the_name_is_the_products(tmp_path):
    """Référence may be the line's or the product's: it stands in many orders, with one name but for a slip."""
    data = tmp_path / "boutique"
    data.mkdir()
    rows = ["N° commande;Date commande;Code client;Référence;Désignation;Quantité;Prix unitaire"]
    for order in range(60):
        for line in range(2):
            product = (order + 2 * line) % 5
            name = "cassé" if order == 7 else NAMES[product]
            rows.append(
                f"{1000 + order};{order % 28 + 1:02d}/0{order % 9 + 1}/2025;C{order % 11};R{product};{name};{1 + line};{product + 2},50"
            )
    (data / "commandes.csv").write_text("\n".join(rows) + "\n", "cp1252")
    report = make_shop(data, tmp_path / "shops")
    assert report.problem is None
    with duckdb.connect() as con:
        for table in ("products", "order_items"):
            land(con, load_source(report.folder), table, data)
        assert con.sql("select product_id, name from raw.products order by 1").fetchall() == [
            (f"R{number}", name) for number, name in enumerate(NAMES)
        ]
        assert con.sql("select count(*), count(distinct product_id) from raw.order_items").fetchall() == [
            (120, 5)
        ]


def test_customers_who_are_known_by_their_address_alone(tmp_path):
    """An address is no id: its hash is, the same for every spelling of case, and an order without one is a guest's."""
    data = tmp_path / "sales"
    data.mkdir()
    rows = ["Order No,Order Date,Customer Email,SKU,Product,Qty,Unit Price"]
    for order in range(60):
        address = "" if order % 10 == 0 else f"{'Ann' if order % 2 else 'ann'}{order % 7}@example.com"
        rows.append(
            f"{5000 + order},2025-01-{order % 28 + 1:02d},{address},S{order % 5},Thing {order % 5},1,{order % 5 + 2}.50"
        )
    (data / "sales.csv").write_text("\n".join(rows) + "\n")
    report = make_shop(data, tmp_path / "shops")
    assert report.problem is None
    with duckdb.connect() as con:
        for table in ("customers", "orders"):
            land(con, load_source(report.folder), table, data)
        assert con.sql(
            "select count(*), count(distinct lower(email)), min(length(customer_id)) from raw.customers"
        ).fetchall() == [(7, 7, 32)]
        assert con.sql(
            "select count(*) filter (customer_id is null), count(distinct customer_id) from raw.orders"
        ).fetchall() == [(6, 7)]
