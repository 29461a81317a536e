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
