"""Which optional signals a shop has, and what the missing ones are used for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from recs_assets.audit.findings import Finding
from recs_assets.audit.words import count, share
from recs_assets.schema import RAW_TABLES

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Signal:
    """Something that a shop may deliver beside orders.

    Attributes:
        name: as people call it.
        table: raw table.
        column: of it; None: the table itself.
        use: what it is used for, after "With <name>,"; figures are this project's own, of docs/research.
        needed: whether doing without is more than a pity.
    """

    name: str
    table: str
    column: str | None
    use: str
    needed: bool = False


SIGNALS = (
    Signal("consents", "consents", None, "nobody is written to who unsubscribed or objected; without them the shop must keep such people out of its lists itself", True),
    Signal("browsing", "browsing_events", None, "what was looked at and put into carts counts before the first order: recently viewed, sessions, newcomers"),
    Signal("reviews", "reviews", None, "what people dislike is told from what they like; bad ratings weigh against a product"),
    Signal("searches", "searches", None, "what people looked for becomes a feature and a target of queries"),
    Signal("stock", "inventory", None, "what is sold out is not recommended"),
    Signal("returns", "returns", None, "what was sent back counts neither as bought nor as revenue, and tells what disappoints"),
    Signal("promotions", "promotions", None, "planned offers become features and reasons. On Complete Journey the ranker's MAP@12 is 0.2927 with them and 0.2858 without (docs/research/ranker.md)"),
    Signal("campaign events", "campaign_events", None, "sends, openings and clicks measure what recommendations earn, and say who tires of them"),
    Signal("categories", "products", "category", "lists vary, reasons name a category, and new products are placed among their like"),
    Signal("brands", "products", "brand", "lists vary by brand and favourite brands are known"),
    Signal("descriptions", "products", "description", "products without sales are recommended by what they read like"),
    Signal("pictures", "products", "image_url", "emails and pages show the product"),
    Signal("links", "products", "url", "emails and pages lead to the product"),
    Signal("costs", "products", "cost", "rules and reports can weigh margin beside revenue"),
    Signal("list prices", "products", "price", "prices are the catalogue's and not guessed from the last sales"),
    Signal("variants", "products", "parent_id", "sizes and colours of one product do not fill a list"),
    Signal("email addresses", "customers", "email", "campaigns can be sent, and profiles of one person be matched"),
    Signal("customer segments", "customers", "segment", "newcomers get what is popular in their segment, and figures are told by segment"),
    Signal("countries", "customers", "country", "newcomers get what is popular in their country"),
)  # fmt: skip
# Below it a column is as good as missing.
PRESENT = 0.05


def judge_signals(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[Finding]:
    """Every optional signal: rows of a table, or the share of rows in which a column is filled."""
    findings = []
    for signal in SIGNALS:
        event_at = RAW_TABLES[signal.table].event_at
        where = "" if event_at is None else f"where {event_at} is null or {event_at} < $as_of"
        filled = "count(*)" if signal.column is None else f"count(nullif(trim({signal.column}::varchar), ''))"
        [(rows, have)] = connection.execute(
            f"select count(*), {filled} from raw.{signal.table} {where}", {"as_of": as_of} if where else {}
        ).fetchall()
        if signal.column is None:
            value, unit, there = rows, "rows", rows > 0
            sentence = f"{signal.name.capitalize()}: {count(rows, 'row')}."
        else:
            value, unit = (have / rows if rows else 0.0), "share"
            there = value >= PRESENT
            sentence = f"{signal.name.capitalize()}: given for {share(value)} of the {signal.table}."
        if not there:
            sentence = f"Missing: {signal.name}. With {signal.name}, {signal.use}."
        findings.append(
            Finding("signals", signal.name, "rows" if signal.column is None else "filled", value, unit, "good" if there or not signal.needed else "look", sentence)
        )  # fmt: skip
    return findings
