"""Products: how full the matrix of customers and products is, what the best ones earn, and how long the tail is."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from recs_assets.audit.findings import SHOP, Finding
from recs_assets.audit.purchases import PURCHASES
from recs_assets.audit.words import count, share

if TYPE_CHECKING:
    import duckdb

TOP = 20
TOP_LOOK = 0.8
# With so many products the best ones' share says something of the others.
TOP_OF = 100


def judge_products(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[Finding]:
    """Sparsity, the share of the best products, the long tail."""
    [(products,)] = connection.execute("select count(*) from marts.products where is_product").fetchall()
    if not products:
        return []
    [(customers, bought, pairs)] = connection.execute(
        f"""
        select count(distinct customer_id), count(distinct product_id), count(distinct (customer_id, product_id))
        from ({PURCHASES}) where customer_id is not null
        """,
        {"as_of": as_of},
    ).fetchall()
    findings = []
    if pairs:
        empty = 1 - pairs / (customers * bought)
        findings.append(
            Finding(
                "products", SHOP, "sparsity", empty, "share", "good",
                f"{share(empty)} of the matrix of {count(customers, 'customer')} and {count(bought, 'product')} is empty: a customer has "
                f"bought {pairs / customers:.1f} different products on average.",
            )
        )  # fmt: skip
    return [*findings, *_judge_revenue(connection, products), *_judge_tail(connection, products, as_of)]


def _judge_revenue(connection: duckdb.DuckDBPyConnection, products: int) -> list[Finding]:
    """What the best products earn of everything, and how unequal they are."""
    revenue = np.array(
        connection.execute(
            """
            select sum(net_amount::decimal(38, 6))::double as revenue
            from marts.order_lines join marts.products using (product_id)
            where is_product and net_amount is not null group by product_id
            having sum(net_amount) > 0 order by revenue desc, product_id
            """
        ).fetchall(),
        dtype=float,
    ).ravel()
    if not len(revenue):
        return []
    top = float(revenue[:TOP].sum() / revenue.sum())
    enough = int(np.searchsorted(np.cumsum(revenue), 0.8 * revenue.sum()) + 1)
    unequal = measure_gini(revenue)
    look = top >= TOP_LOOK and products >= TOP_OF
    return [
        Finding(
            "products", SHOP, "top_20_revenue", top, "share", "look" if look else "good",
            f"The {min(TOP, len(revenue))} products that earn most make {share(top)} of the revenue; {count(enough, 'product')} "
            f"({share(enough / products)} of the catalogue) make 80 % of it.",
        ),
        Finding(
            "products", SHOP, "gini", unequal, "index", "good",
            f"The Gini index of revenue over the products sold is {unequal:.2f} (0: all earn the same, 1: one earns everything).",
        ),
    ]  # fmt: skip


def measure_gini(values: np.ndarray) -> float:
    """The Gini index of amounts above zero.

    >>> measure_gini(np.array([1.0, 1.0, 1.0, 1.0])), measure_gini(np.array([0.0, 0.0, 0.0, 4.0]))
    (0.0, 0.75)
    """
    ordered = np.sort(values)
    places = np.arange(1, len(ordered) + 1)
    return float(((2 * places - len(ordered) - 1) * ordered).sum() / (len(ordered) * ordered.sum()))


def _judge_tail(connection: duckdb.DuckDBPyConnection, products: int, as_of: date) -> list[Finding]:
    """Products that were never bought, and those that were bought once."""
    [(sold, once)] = connection.execute(
        f"""
        with sold as (
            select product_id, count(*) as purchases from ({PURCHASES}) group by all
        )
        select count(*), count(*) filter (purchases = 1) from sold
        """,
        {"as_of": as_of},
    ).fetchall()
    never = products - sold
    return [
        Finding(
            "products", SHOP, "never_sold", never / products, "share", "look" if never / products > 0.5 else "good",
            f"{never:,} of {count(products, 'product')} ({share(never / products)}) were never sold"
            + (": only their texts can bring them into a list." if never else "."),
        ),
        Finding(
            "products", SHOP, "sold_once", once / products, "share", "good",
            f"{count(once, 'product')} ({share(once / products)}) {'was' if once == 1 else 'were'} bought once, which is too little to have neighbours.",
        ),
    ]  # fmt: skip
