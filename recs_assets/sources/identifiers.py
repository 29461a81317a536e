"""Which columns of raw tables are identifiers, which are texts for people, and which say what a row is about."""

from __future__ import annotations

from recs_assets.schema import PERSONAL, Table

# Texts for people. Those that are published are freed of addresses by staging; everything else that is text
# is an identifier or a code, and is published as it is.
_FREE_TEXT = {
    *PERSONAL, "name", "brand", "category", "vertical", "url", "image_url", "description", "attributes", "title",
    "body", "query", "reason", "referrer",
}  # fmt: skip

# A withdrawal or a complaint may name a person by their address: dbt finds whose it is, and publishes neither.
BY_ADDRESS = {("consents", "customer_id"), ("campaign_events", "customer_id")}

# Ignored, such a column would let a subscription to text messages take an unsubscribe from email back.
TELLING = {
    "consents": (
        "*channel*", "*kanal*", "*canal*", "*kanaal*", "*medium*", "*topic*", "*purpose*", "*zweck*", "*newsletter*",
        "list", "list_*", "*_list", "*subscription*",
    )
}  # fmt: skip


def identifiers_of(table: Table) -> tuple[str, ...]:
    """Columns of a table that are published as they are, and so may hold no address."""
    return tuple(
        column.name
        for column in table.columns
        if column.type == "VARCHAR"
        and column.name not in _FREE_TEXT
        and (table.name, column.name) not in BY_ADDRESS
    )
