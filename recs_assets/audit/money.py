"""Currencies, guests, what is no product, and buyers who are no people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recs_assets.audit.findings import SHOP, Finding, Verdict
from recs_assets.audit.sentences import explain_money, explain_not_products, explain_wholesale
from recs_assets.audit.words import count, share
from recs_assets.sources.declared import list_some
from recs_assets.sources.source import Source

if TYPE_CHECKING:
    import duckdb

CURRENCIES_NAMED = 5
LOOK_GUESTS = 0.3
# As recs.not_products, before it is published.
NOT_PRODUCTS = """(
    select product_id, verdict, baskets, name as product_name
    from intermediate.int_not_products join marts.products using (product_id)
)"""


def judge_money(connection: duckdb.DuckDBPyConnection, source: Source) -> list[Finding]:
    """The mix of currencies, the share of guests, products that are none, wholesale.

    Args:
        connection: to the build file of a week whose marts are built.
        source: with the shop's words.
    """
    currencies = connection.execute(
        """
        select coalesce(currency, 'none'), count(*) as lines, count(*) filter (amount is null)
        from marts.order_lines group by 1 order by lines desc, 1
        """
    ).fetchall()
    lines = sum(number for _, number, _ in currencies)
    if not lines:
        return [Finding("money", SHOP, "order_lines", 0, "lines", "stop", "No order counts as a purchase.")]
    lost = sum(number for _, _, number in currencies)
    unknown = lost > 0 or connection.execute("select max(currency) from marts.products").fetchone() == (None,)
    findings = [
        Finding(
            "money", SHOP, "lines_without_money", lost / lines, "share", "look" if unknown else "good",
            " ".join(explain_money(connection, source, "marts")),
        )
    ]  # fmt: skip
    if len(currencies) > 1:
        named = list_some(
            [f"{code} {share(number / lines)}" for code, number, _ in currencies], CURRENCIES_NAMED
        )
        findings.append(
            Finding("money", SHOP, "currencies", len(currencies), "currencies", "good", f"Order lines by currency: {named}.")
        )  # fmt: skip
    findings.append(_judge_guests(connection))
    for measure, table, sentences in (
        (
            "not_products",
            "select count(*) from intermediate.int_not_products where verdict <> 'suspected'",
            explain_not_products(connection, source, "marts", NOT_PRODUCTS),
        ),
        (
            "wholesale",
            "select count(*) from marts.customers where not_learned_from_reason = 'wholesale'",
            explain_wholesale(connection, source, "marts"),
        ),
    ):
        if sentences:
            [(number,)] = connection.execute(table).fetchall()
            unit = "products" if measure == "not_products" else "customers"
            # What the shop declared itself, and everything in it fits, needs no look.
            settled = (
                measure == "not_products" and source.words.not_products is not None and len(sentences) == 1
            )
            verdict: Verdict = "good" if settled else "look"
            findings.append(Finding("money", SHOP, measure, number, unit, verdict, " ".join(sentences)))
    return findings


def _judge_guests(connection: duckdb.DuckDBPyConnection) -> Finding:
    [(orders, guests)] = connection.execute(
        "select count(*), count(*) filter (customer_id is null) from marts.baskets where units > 0"
    ).fetchall()
    part = guests / orders if orders else 0.0
    sentence = "No order is a guest's."
    if guests:
        sentence = (
            f"{guests:,} of {count(orders, 'order')} ({share(part)}) are guests': they count for products and baskets, and for "
            "nobody's history."
        )
    return Finding(
        "money", SHOP, "guest_orders", part, "share", "look" if part >= LOOK_GUESTS else "good", sentence
    )
