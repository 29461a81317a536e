"""What a week's tables say of the shop's files: rows turned away, states of orders, money, products, wholesale.

Every function reads a build file or a snapshot and returns sentences for people. None names a customer.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from recs_assets.sources.declared import list_some
from recs_assets.sources.source import Source

if TYPE_CHECKING:
    import duckdb

SHOWN = 3
QUARANTINE_SHOWN = 6


def landing_sentences(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """What is known once the rows of the shop's files are judged: the quarantine, and states of orders.

    Args:
        connection: to the build file of a week whose intermediate models are built.
    """
    unexplained = explain_unknown_states(connection, "intermediate.int_order_states")
    return [quarantine_sentence(connection), *([unexplained] if unexplained else [])]


def quarantine_sentence(connection: duckdb.DuckDBPyConnection) -> str:
    """How many landed rows were turned away, by table and reason, the most frequent first.

    Args:
        connection: to the build file of a week whose intermediate models are built.
    """
    [(judged,)] = connection.execute(
        "select sum(rows) from intermediate.int_quarantine_shares where reason = 'any'"
    ).fetchall()
    reasons = connection.execute(
        """
        select source_table, reason, rejected from intermediate.int_quarantine_shares
        where reason <> 'any' and rejected > 0 order by rejected desc, source_table, reason
        """
    ).fetchall()
    if not reasons:
        return f"None of {judged:,} rows is in quarantine."
    total = sum(count for _, _, count in reasons)
    named = list_some([f"{table} {reason} ({count:,})" for table, reason, count in reasons], QUARANTINE_SHOWN)
    return f"{total:,} of {judged:,} rows are in quarantine (recs.quarantine): {named}."


def explain_unknown_states(connection: duckdb.DuckDBPyConnection, table: str) -> str | None:
    """One sentence about the orders that do not count because nothing says what their state means.

    Args:
        connection: to the build file or a snapshot.
        table: `int_order_states`, or `order_states` of a snapshot.
    """
    [(states,)] = connection.execute(
        f"""
        select string_agg(status || ' (' || order_count || ')', ', ' order by order_count desc, status)
        from {table} where counts_as = 'unknown'
        """
    ).fetchall()
    if states is None:
        return None
    return (
        f"Orders in states that nobody has explained count as no purchases: {states}. Say in order_statuses of "
        "source.toml which of them are."
    )


def explain_money(connection: duckdb.DuckDBPyConnection, source: Source, schema: str = "recs") -> list[str]:
    """The currency of the prices and where it comes from, how many products have which price, and the
    lines whose money does not count.

    Args:
        connection: to a week's tables.
        source: says whether the currency was declared.
        schema: of the tables products and order_lines: recs, or marts before they are published.
    """
    (currency,) = connection.execute(f"select max(currency) from {schema}.products").fetchall()[0]
    others = connection.execute(
        f"""
        select coalesce(currency, 'none') as currency, count(*) as lines from {schema}.order_lines
        where amount is null group by 1 order by 2 desc, 1
        """
    ).fetchall()
    converted = connection.execute(
        f"""
        select currency, count(*) as lines from {schema}.order_lines
        where amount is not null and currency <> ? group by 1 order by 2 desc, 1
        """,
        [currency],
    ).fetchall()
    kinds = dict(
        connection.execute(
            f"select coalesce(price_kind, 'unknown'), count(*) from {schema}.products where is_product group by 1"
        ).fetchall()
    )
    lines = sum(count for _, count in others)
    named = list_some([f"{code} ({count})" for code, count in others], SHOWN)
    if currency is None and others:
        origin = (
            f"The shop's currency is unknown, because the orders name several: {named}. Their amounts count as "
            'nothing and prices carry no code: declare currency = "EUR", say, in source.toml.'
        )
    elif currency is None:
        [(sign,)] = connection.execute(f"select max(currency) from {schema}.order_lines").fetchall()
        named = (
            "No order names a currency"
            if sign is None
            else f"The orders name {sign}, which is no ISO 4217 code"
        )
        origin = f'{named}, so prices carry no code: declare currency = "EUR", say, in source.toml.'
    else:
        origin = (
            f"Prices are in {currency} ({'declared' if source.currency else 'all that the orders name'})."
        )
        if converted:
            codes = list_some([f"{code} ({count})" for code, count in converted], SHOWN)
            origin += f" Order lines in other currencies are converted at exchange_rates: {codes}."
        if others:
            origin += (
                f" {lines} order lines are in other currencies: {named}. They count as purchases, their amounts "
                "as nothing, because exchange_rates has no rate for their time."
            )
    words = {
        "catalogue": "of the catalogue",
        "usual": "usual ones of the last sales",
        "varies": "that vary, shown as from",
        "unknown": "unknown",
    }
    shown = ", ".join(f"{kinds[kind]} {text}" for kind, text in words.items() if kind in kinds)
    return [origin, f"Prices of products: {shown}."]


def explain_not_products(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    schema: str = "recs",
    not_products: str = "recs.not_products",
) -> list[str]:
    """Which products are none or look like none, and what of the shop's own words fits nothing.

    Args:
        connection: to a week's tables.
        source: with the shop's words.
        schema: of the table products.
        not_products: the table of what is none.
    """
    declared = source.words.not_products
    rows = connection.execute(
        f"select verdict, product_name from {not_products} order by baskets desc, product_id"
    ).fetchall()
    if declared is None:
        kept, suspected = (
            [name for verdict, name in rows if verdict == of] for of in ("kept_out", "suspected")
        )
        sentences = []
        if kept:
            look, verb = _write_subject(kept)
            sentences.append(
                f"{look} none and {verb} neither learned from nor offered: {list_some(kept, SHOWN)}."
            )
        if suspected:
            look, verb = _write_subject(suspected)
            sentences.append(f"{look} none but {verb} offered: {list_some(suspected, SHOWN)}.")
        if sentences:
            sentences.append(
                "Say in source.toml which are none (not_products); recs.not_products has the signs."
            )
        return sentences
    catalogue = connection.execute(f"select product_id, category from {schema}.products").fetchall()
    sentences = [
        f"By not_products of source.toml, {len(rows)} of {len(catalogue)} products are none (recs.not_products)."
    ]
    for key, entries, names in (
        ("products", declared.products, {product for product, _ in catalogue}),
        ("categories", declared.categories, {category for _, category in catalogue if category is not None}),
    ):
        known = {name.lower() if key == "categories" else name: name for name in sorted(names)}
        for entry in entries:
            if (entry.lower() if key == "categories" else entry) not in known:
                near = difflib.get_close_matches(entry, known.values(), n=1)
                hint = f"; did you mean {near[0]!r}?" if near else "."
                sentences.append(f"not_products.{key} in source.toml: no product has {entry!r}{hint}")
    return sentences


def explain_wholesale(
    connection: duckdb.DuckDBPyConnection, source: Source, schema: str = "recs"
) -> list[str]:
    """How many customers are wholesale, and what they bought; ids in the shop's settings that nobody has.

    Args:
        connection: to a week's tables.
        source: with the shop's words.
        schema: of the tables customers and order_lines.
    """
    words = source.words.wholesale
    [(customers, wholesale)] = connection.execute(
        f"select count(*), count(*) filter (not_learned_from_reason = 'wholesale') from {schema}.customers"
    ).fetchall()
    sentences = []
    if wholesale:
        [(share,)] = connection.execute(
            f"""
            select count(*) filter (not_learned_from_reason = 'wholesale') / count(*)
            from {schema}.order_lines left join {schema}.customers using (customer_id)
            """
        ).fetchall()
        sentences.append(
            f"{wholesale:,} of {customers:,} customers buy as no person does (wholesale), {share or 0:.0%} of all order lines: no "
            "model learns from that and no campaign writes to them. recs.customers has the signs; [wholesale] in "
            "source.toml says who is a person (people), or that all are served alike (detect = false)."
        )
    ids = {
        customer
        for (customer,) in connection.execute(f"select customer_id from {schema}.customers").fetchall()
    }
    for key in ("customers", "people"):
        # Counted, not named: a log needs no customer's id.
        if missing := len({*getattr(words, key)} - ids):
            sentences.append(
                f"wholesale.{key} in source.toml: {missing} of the ids {'is' if missing == 1 else 'are'} no customer's."
            )
    return sentences


def _write_subject(names: Sequence[str]) -> tuple[str, str]:
    """Subject and verb of a sentence on so many products."""
    return ("1 product looks like", "is") if len(names) == 1 else (f"{len(names)} products look like", "are")
