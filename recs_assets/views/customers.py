"""Customers to look at: found, drawn, described, with what they bought."""

from __future__ import annotations

from typing import Any

from recs_assets.views.desk import Look, Row

# Shown of a history: orders, and products bought most often.
ORDERS, FAVOURITES = 12, 12


def list_segments(look: Look) -> list[Row]:
    """Segments with their numbers of customers, the largest first; a missing segment is ''."""
    return look.remember(
        "segments",
        lambda: look.rows(
            "select coalesce(segment, '') as segment, count(*) as customers from recs.customers "
            "group by all order by customers desc, segment"
        ),
    )


def draw_customer(look: Look, segment: str | None = None) -> str | None:
    """Any customer who has ordered, of a segment where one is named."""
    inside = "" if segment is None else "and coalesce(segment, '') = $segment"
    found = look.row(
        f"select customer_id from recs.customers where order_count > 0 {inside} order by random() limit 1",
        {} if segment is None else {"segment": segment},
    )
    return None if found is None else found["customer_id"]


def sample_customers(look: Look, most: int = 8) -> list[Row]:
    """The same few customers every time, to begin with: customer_id, segment, order_count, last_order_at."""
    return look.rows(
        "select customer_id, segment, order_count, last_order_at from recs.customers where order_count > 0 "
        f"order by hash(customer_id), customer_id limit {most}"
    )


def describe_customer(look: Look, customer_id: str) -> dict[str, Any]:
    """A customer's row, what they bought lately and most often."""
    about = {"customer_id": customer_id}
    [profile] = look.rows(
        "select * exclude (customer_id) from recs.customers where customer_id = $customer_id", about
    )
    orders = look.rows(
        f"""
        select
            order_id, ordered_at, count(*) as products, sum(lines.amount) as amount, any_value(lines.currency) as currency,
            list(coalesce(products.product_name, lines.product_id) order by lines.amount desc, lines.product_id)[:4] as names
        from recs.order_lines as lines
        left join recs.products as products using (product_id)
        where lines.customer_id = $customer_id
        group by all
        order by ordered_at desc, order_id
        limit {ORDERS}
        """,
        about,
    )
    favourites = look.rows(
        f"""
        select
            product_id, any_value(products.product_name) as product_name, any_value(products.category) as category,
            count(distinct lines.ordered_at::date) as days, max(lines.ordered_at)::date as last_bought
        from recs.order_lines as lines
        left join recs.products as products using (product_id)
        where lines.customer_id = $customer_id
        group by product_id
        order by days desc, last_bought desc, product_id
        limit {FAVOURITES}
        """,
        about,
    )
    return {"profile": profile, "orders": orders, "favourites": favourites}


def list_bought(look: Look, customer_id: str) -> set[str]:
    """The products that a customer bought."""
    found = look.rows(
        "select distinct product_id from recs.order_lines where customer_id = $customer_id",
        {"customer_id": customer_id},
    )
    return {row["product_id"] for row in found}


def find_similar(look: Look, customer_id: str, most: int = 8) -> list[Row]:
    """The customers whose habits are most like a customer's: similarity (of all neighbours, the sum is 1), orders,
    segment, and how many products both bought; empty where the week keeps none."""
    arrays, ids = look.kept.arrays("user_knn"), look.kept.ids("fit_customer")
    if not ids.exists():  # it was fitted on all
        ids = look.kept.ids("customer")
    if "similar_.indptr" not in arrays or not ids.exists():
        return []
    found = look.row(
        "select file_row_number as code from read_parquet($ids, file_row_number = true) where customer_id = $customer_id",
        {"ids": str(ids), "customer_id": customer_id},
    )
    if found is None or found["code"] + 1 >= len(arrays["similar_.indptr"]):
        return []
    first, last = (int(edge) for edge in arrays["similar_.indptr"][found["code"] : found["code"] + 2])
    weights = {
        int(code): float(weight)
        for code, weight in zip(
            arrays["similar_.indices"][first:last], arrays["similar_.data"][first:last], strict=True
        )
    }
    nearest = sorted(weights, key=lambda code: (-weights[code], code))[:most]
    named = look.rows(
        "select file_row_number as code, customer_id from read_parquet($ids, file_row_number = true) "
        "where list_contains($codes, file_row_number)",
        {"ids": str(ids), "codes": nearest},
    )
    codes = {row["customer_id"]: row["code"] for row in named}
    # Named one by one: a list of constants lets the scan skip what a join would read.
    others, parameters = look.list_values(list(codes))
    rows = look.rows(
        f"""
        with mine as (select distinct product_id from recs.order_lines where customer_id = $customer_id),
        shared as (
            select customer_id, count(distinct product_id) as shared
            from recs.order_lines
            semi join mine using (product_id)
            where customer_id in ({others})
            group by all
        )
        select customer_id, customers.segment, customers.order_count, coalesce(shared.shared, 0) as shared
        from recs.customers as customers
        left join shared using (customer_id)
        where customer_id in ({others})
        """,
        {"customer_id": customer_id, **parameters},
    )
    return sorted(
        ({"similarity": weights[codes[row["customer_id"]]], **row} for row in rows),
        key=lambda row: (-row["similarity"], row["customer_id"]),
    )
