"""What the raw tables and the published ones must hold, as Great Expectations names it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from recs_assets.schema import Table

# Without a customer: a guest's order, what a visitor did who was not signed in, what a mail service says of
# no one. dbt judges a complaint of nobody (assert_withdrawals_matched).
NOBODYS = {(table, "customer_id") for table in ("orders", "browsing_events", "searches", "campaign_events")}

# Below this many rows a single one would decide; the same number as dbt's `min_rows_judged`.
MIN_ROWS_JUDGED = 50


@dataclass(frozen=True)
class Expectation:
    """One expectation by its Great Expectations class name, without importing it."""

    kind: str
    arguments: dict[str, Any] = field(default_factory=dict)


# What tells the rows of a published table apart, the last one within the one before it.
PUBLISHED_KEYS = {
    "email_recommendations": ["campaign", "as_of", "customer_id", "slot"],
    "buy_it_again": ["as_of", "customer_id", "rank"],
    "customer_recommendations": ["as_of", "customer_id", "rank"],
    "frequently_bought_together": ["as_of", "product_id", "rank"],
    "similar_products": ["as_of", "product_id", "rank"],
    "model_metrics": ["as_of", "anchor", "view", "segment", "recommender", "metric", "k"],
}


def list_raw_expectations(table: Table, tolerated_share: float) -> list[Expectation]:
    """The gate at the door: exact columns, rows where the shop cannot live without them,
    keys and measures sound in all but the share of rows that may be quarantined."""
    mostly = 1 - tolerated_share
    suite = [Expectation("ExpectTableColumnsToMatchOrderedList", {"column_list": list(table.column_names)})]
    if table.required:
        suite.append(Expectation("ExpectTableRowCountToBeBetween", {"min_value": 1}))
    for column in table.columns:
        if column.required and (table.name, column.name) not in NOBODYS:
            suite.append(
                Expectation("ExpectColumnValuesToNotBeNull", {"column": column.name, "mostly": mostly})
            )
    for column, low, high in {
        "products": [("price", 0, None), ("cost", 0, None)],
        "reviews": [("rating", 1, 5)],
        "promotions": [("reach", 0, 1)],
    }.get(table.name, []):
        suite.append(
            Expectation(
                "ExpectColumnValuesToBeBetween",
                {"column": column, "min_value": low, "max_value": high, "mostly": mostly},
            )
        )
    for column, allowed in {
        "browsing_events": [("event_type", ["view", "add_to_cart", "add_to_wishlist"])],
        "consents": [("state", ["subscribed", "unsubscribed", "objected", "erased"])],
    }.get(table.name, []):
        suite.append(
            Expectation(
                "ExpectColumnValuesToBeInSet", {"column": column, "value_set": allowed, "mostly": mostly}
            )
        )
    return suite


def published_expectations(table: str, slots: int) -> list[Expectation]:
    """The gate at the exit, per table of schema `recs`; every one must hold for every row.

    Args:
        table: of schema `recs`.
        slots: of the longest email in the table; 0 where no campaign fills slots, or nobody may be written to.
    """
    suite = []
    if table not in ("frequently_bought_together", "similar_products", "buy_it_again") and (
        slots or table != "email_recommendations"
    ):
        # A shop may have no pairs above the support and nothing that is due; one without lists is broken.
        suite.append(Expectation("ExpectTableRowCountToBeBetween", {"min_value": 1}))
    keys = PUBLISHED_KEYS[table]
    for column in keys:
        suite.append(Expectation("ExpectColumnValuesToNotBeNull", {"column": column}))
    suite.append(Expectation("ExpectCompoundColumnsToBeUnique", {"column_list": keys}))
    if table in ("email_recommendations", "buy_it_again", "customer_recommendations"):
        suite.append(Expectation("ExpectColumnValuesToNotBeNull", {"column": "score"}))
        suite.append(
            Expectation("ExpectColumnValueLengthsToBeBetween", {"column": "reason_text", "min_value": 1})
        )
        columns = [*keys[:-1], "product_id"]
        suite.append(Expectation("ExpectCompoundColumnsToBeUnique", {"column_list": columns}))
    if table == "email_recommendations" and slots:
        suite.append(
            Expectation(
                "ExpectColumnValuesToBeBetween", {"column": "slot", "min_value": 1, "max_value": slots}
            )
        )
    if table == "buy_it_again":
        suite.append(
            Expectation("ExpectColumnValuesToBeBetween", {"column": "rank", "min_value": 1, "max_value": 50})
        )
    return suite
