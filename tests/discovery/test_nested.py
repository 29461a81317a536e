"""Objects inside of records become columns."""

from __future__ import annotations

import json

import duckdb
import pytest

from recs_assets.discovery.shop import make_shop
from recs_assets.sources import land, load_source


def _make_records() -> list[dict]:
    return [
        {
            "id": 1000 + number,
            "created": f"2024-01-{1 + number % 28:02d}T10:00:00",
            # The name of a nested key that a plain one has already.
            "customer_email": None,
            "customer": None
            if number == 39
            else {
                "id": 50 + number % 7,
                "email": f"k{number % 7}@example.com",
                "address": {"city": "Ulm", "country": "DE"},
                "consents": {"newsletter": number % 7 == 1},
            },
            "payload": {
                "lines": [
                    {
                        "product": {"sku": f"P{(number + place) % 9}", "title": f"Tea {(number + place) % 9}"},
                        "qty": 1 + place,
                        "price": 2.5 + (number + place) % 9,
                    }
                    for place in range(2)
                ]
            },
        }
        for number in range(40)
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["export.json", "orders.jsonl", "orders.json"])
def test_objects_become_columns(tmp_path, name):
    data = tmp_path / "shop"
    data.mkdir()
    records = _make_records()
    texts = {
        "export.json": json.dumps({"data": {"orders": records}}),
        "orders.jsonl": "".join(json.dumps(record) + "\n" for record in records),
        "orders.json": json.dumps(records),
    }
    (data / name).write_text(texts[name], "utf-8")
    report = make_shop(data, tmp_path / "shops")
    assert report.problem is None
    with duckdb.connect() as con:
        source = load_source(report.folder)
        for table in ("customers", "products", "orders", "order_items"):
            land(con, source, table, data)
        assert con.execute("select * from raw.orders where order_id in ('1003', '1039') order by 1").df()[
            ["order_id", "customer_id"]
        ].fillna("").to_numpy().tolist() == [["1003", "53"], ["1039", ""]]  # fmt: skip
        assert con.execute(
            "select product_id, quantity, amount from raw.order_items where order_id = '1003' order by 1"
        ).fetchall() == [("P3", 1.0, 5.5), ("P4", 2.0, 13.0)]
        assert con.execute("select name from raw.products where product_id = 'P4'").fetchall() == [("Tea 4",)]
        assert con.execute(
            "select customer_id, email, country, email_eligible from raw.customers order by 1 limit 2"
        ).fetchall() == [("50", "k0@example.com", "DE", False), ("51", "k1@example.com", "DE", True)]
    sql = (report.folder / "orders.sql").read_text("utf-8")
    assert """("customer" ->> '$."address"."city"') as "customer_address_city",""" in sql
    assert """("customer" ->> '$."email"') as "customer_email_2",""" in sql
