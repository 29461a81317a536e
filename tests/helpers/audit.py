"""Small made-up shops for the audit: the tables that it reads, filled with what a test needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import duckdb

from recs_assets.schema import RAW_TABLES

WEEK = date(2024, 7, 1)
MARTS = {
    "customers": "customer_id varchar, learned_from boolean, not_learned_from_reason varchar, order_count bigint, "
    "first_order_at timestamp, last_order_at timestamp",
    "products": "product_id varchar, name varchar, brand varchar, category varchar, description varchar, currency varchar, "
    "price_kind varchar, is_product boolean",
    "order_lines": "order_id varchar, line_id varchar, customer_id varchar, product_id varchar, ordered_at timestamp, quantity double, "
    "amount double, net_amount double, currency varchar, order_amount double, learned_from boolean",
    "baskets": "order_id varchar, customer_id varchar, ordered_at timestamp, units double, amount double",
    "interactions": "customer_id varchar, product_id varchar, order_id varchar, event_type varchar, occurred_at timestamp, "
    "known_from timestamp, voided_at timestamp",
}
INTERMEDIATE = {
    "int_quarantine_shares": "source_table varchar, reason varchar, rows bigint, rejected bigint, share double",
    "int_order_states": "status varchar, counts_as varchar, order_count bigint",
    "int_not_products": "product_id varchar, verdict varchar, baskets bigint",
}
# order, customer (None: a guest), day, product, amount.
Line = tuple[str, str | None, str, str, float]


def make_shop(
    lines: Sequence[Line] = (),
    categories: Mapping[str, str | None] | None = None,
    raw: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    left_out: Iterable[str] = (),
    rejected: Sequence[tuple[str, str, int, int]] = (("orders", "any", 10, 0),),
) -> duckdb.DuckDBPyConnection:
    """A build file in memory.

    Args:
        lines: bought and not sent back, with everything that follows from them in the marts.
        categories: of products; others have none. A product that is only here was never sold.
        raw: rows of raw tables; `orders` follows from the lines where it is not here.
        left_out: customers from whom nobody learns.
        rejected: table, reason, rows of the table, rows set aside.
    """
    connection = duckdb.connect()
    for schema in ("raw", "marts", "intermediate"):
        connection.execute(f"create schema {schema}")
    for table in RAW_TABLES.values():
        columns = ", ".join(f"{c.name} {c.type.replace('TIMESTAMPTZ', 'TIMESTAMP')}" for c in table.columns)
        connection.execute(f"create table raw.{table.name} ({columns})")
    for schema, tables in (("marts", MARTS), ("intermediate", INTERMEDIATE)):
        for name, columns in tables.items():
            connection.execute(f"create table {schema}.{name} ({columns})")
    orders = {order: (customer, day) for order, customer, day, *_ in lines}
    given = {"orders": [{"order_id": o, "customer_id": c, "ordered_at": d} for o, (c, d) in orders.items()]}
    for table, rows in {**given, **(raw or {})}.items():
        for row in rows:
            insert(connection, f"raw.{table}", row)
    categories = dict(categories or {})
    for product in sorted({line[3] for line in lines} | set(categories)):
        insert(
            connection,
            "marts.products",
            {"product_id": product, "name": product, "category": categories.get(product), "currency": "EUR", "is_product": True},
        )  # fmt: skip
    for number, (order, customer, day, product, amount) in enumerate(lines):
        learned = customer is not None and customer not in left_out
        insert(
            connection,
            "marts.order_lines",
            {
                "order_id": order, "line_id": str(number), "customer_id": customer, "product_id": product, "ordered_at": day,
                "quantity": 1, "amount": amount, "net_amount": amount, "currency": "EUR", "order_amount": amount, "learned_from": learned,
            },
        )  # fmt: skip
        if customer is None or learned:
            insert(
                connection,
                "marts.interactions",
                {
                    "customer_id": customer, "product_id": product, "order_id": order, "event_type": "purchase",
                    "occurred_at": day, "known_from": day,
                },
            )  # fmt: skip
    connection.execute(
        "insert into marts.baskets select order_id, customer_id, ordered_at, sum(quantity), sum(amount) from marts.order_lines group by all"
    )
    for customer in sorted({customer for customer, _ in orders.values() if customer} | set(left_out)):
        days = sorted(day for buyer, day in orders.values() if buyer == customer)
        insert(
            connection,
            "marts.customers",
            {
                "customer_id": customer, "learned_from": customer not in left_out, "order_count": len(days),
                "first_order_at": days[0] if days else None, "last_order_at": days[-1] if days else None,
            },
        )  # fmt: skip
    for table, reason, rows, number in rejected:
        insert(
            connection,
            "intermediate.int_quarantine_shares",
            {"source_table": table, "reason": reason, "rows": rows, "rejected": number},
        )
    return connection


def insert(connection: duckdb.DuckDBPyConnection, table: str, row: Mapping[str, Any]) -> None:
    places = ", ".join("?" * len(row))
    connection.execute(f"insert into {table} ({', '.join(row)}) values ({places})", list(row.values()))
