"""Rows that were set aside, rows that stand twice, and personal data where none belongs."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from recs_assets.audit.findings import SHOP, Finding
from recs_assets.audit.sentences import explain_unknown_states, quarantine_sentence
from recs_assets.audit.words import count, share

if TYPE_CHECKING:
    import duckdb

# From this share on a reason is worth a look.
LOOK_SHARE = 0.01
REASONS_NAMED = 3
# Free texts, and what may stand in them by mistake.
TEXTS = {
    "products": ("name", "description", "attributes"),
    "reviews": ("title", "body"),
    "searches": ("query",),
    "returns": ("reason",),
}
PERSONAL = {
    "addresses": ("email addresses", r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"),
    "phone_numbers": (
        "phone numbers",
        r"(^|[^A-Za-z0-9])\+[1-9][0-9]{0,2}[ ()./-]?([0-9][ ()./-]?){7,12}($|[^0-9])",
    ),
}


def judge_rows(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[Finding]:
    """The quarantine as a whole and by reason, states of orders that nobody explained, and rows that repeat."""
    [(judged, rejected)] = connection.execute(
        """
        select coalesce(sum(rows) filter (reason = 'any'), 0)::bigint, coalesce(sum(rejected) filter (reason <> 'any'), 0)::bigint
        from intermediate.int_quarantine_shares
        """
    ).fetchall()
    of_all = rejected / judged if judged else 0.0
    findings = [
        Finding(
            "rows", SHOP, "quarantine", of_all, "share", "look" if of_all >= LOOK_SHARE else "good",
            quarantine_sentence(connection),
        )
    ]  # fmt: skip
    for table, reason, rows, of_table in connection.execute(
        """
        select source_table, reason, rejected, rejected / rows from intermediate.int_quarantine_shares
        where reason <> 'any' and rejected > 0 order by rejected desc, source_table, reason
        """
    ).fetchall():
        findings.append(
            Finding(
                "rows", table, reason, of_table, "share", "look" if of_table >= LOOK_SHARE else "good",
                f"{table}: {count(rows, 'row')} set aside as {reason}, {share(of_table)} of the table.",
            )
        )  # fmt: skip
    if unexplained := explain_unknown_states(connection, "intermediate.int_order_states"):
        [(orders,)] = connection.execute(
            "select sum(order_count)::bigint from intermediate.int_order_states where counts_as = 'unknown'"
        ).fetchall()
        findings.append(Finding("rows", "orders", "unknown_states", orders, "orders", "look", unexplained))
    return [*findings, *_find_repeats(connection)]


def _find_repeats(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Lines that stand twice in an order, and orders that stand twice, under other ids."""
    [(lines, repeated)] = connection.execute(
        """
        with lines as (
            select count(*) as copies from marts.order_lines
            group by order_id, product_id, quantity, order_amount
        )
        select coalesce(sum(copies), 0)::bigint, coalesce(sum(copies - 1), 0)::bigint from lines
        """
    ).fetchall()
    [(orders, again)] = connection.execute(
        """
        with orders as (
            select customer_id, order_id, ordered_at,
                md5(string_agg(product_id || '|' || quantity || '|' || coalesce(order_amount, 0), ';' order by product_id, quantity, order_amount)) as content
            from marts.order_lines where customer_id is not null group by all
        ),
        alike as (select count(*) as copies from orders group by customer_id, ordered_at, content)
        select coalesce(sum(copies), 0)::bigint, coalesce(sum(copies - 1), 0)::bigint from alike
        """
    ).fetchall()
    findings = []
    for subject, measure, number, of, noun, text in (
        ("order_items", "repeated_lines", repeated, lines, "line", "a line of the same order (product, quantity, amount)"),
        ("orders", "repeated_orders", again, orders, "order", "another order of the same customer (moment, products, amounts)"),
    ):  # fmt: skip
        part = number / of if of else 0.0
        sentence = f"No {noun} says the same as {text}."
        if number:
            verb = "says" if number == 1 else "say"
            sentence = (
                f"{count(number, noun)} ({share(part)}) {verb} the same as {text} and may be there twice."
            )
        look = part >= LOOK_SHARE
        findings.append(
            Finding("rows", subject, measure, number, f"{noun}s", "look" if look else "good", sentence)
        )
    return findings


def find_personal_data(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[Finding]:
    """How many rows have addresses or phone numbers in their texts; none of them is shown.

    Numbers count where they are written for calls from abroad (+49 ...): others look like articles.
    """
    findings = []
    for table, columns in TEXTS.items():
        time = {"reviews": "reviewed_at", "searches": "searched_at", "returns": "returned_at"}.get(table)
        where = "true" if time is None else f"({time} is null or {time} < $as_of)"
        text = "concat_ws(' ', " + ", ".join(columns) + ")"
        for measure, (what, pattern) in PERSONAL.items():
            [(rows,)] = connection.execute(
                f"select count(*) from raw.{table} where {where} and regexp_matches({text}, $pattern)",
                {"pattern": pattern, **({} if time is None else {"as_of": as_of})},
            ).fetchall()
            if rows:
                findings.append(
                    Finding(
                        "privacy", table, measure, rows, "rows", "look",
                        f"{table}: texts of {count(rows, 'row')} have {what} in them. Addresses are masked before anything is "
                        "published; better to take them out of the shop's texts.",
                    )
                )  # fmt: skip
    if not findings:
        findings.append(
            Finding(
                "privacy",
                SHOP,
                "personal_data",
                0,
                "rows",
                "good",
                "No address or phone number stands in a text.",
            )
        )
    return findings
