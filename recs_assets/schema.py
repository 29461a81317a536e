"""The canonical raw tables and the errors every layer raises.

This module is the contract between a shop's files and everything after them: `sources/`
lands exactly these columns, dbt's `source()` reads exactly these columns, and nothing is
guessed in between. Times are declared `TIMESTAMPTZ`; landing converts them to the shop's
time zone and stores them as local `TIMESTAMP`, so that every later comparison with a date
means midnight in the shop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class RecsError(Exception):
    """Base of every error this package raises on purpose: one plain sentence."""


class SettingsError(RecsError):
    """A setting is wrong or points outside the configured root."""


class SourceError(RecsError):
    """A shop's file does not look the way it was declared (file, column, line or count)."""


class WarehouseError(RecsError):
    """The build file or the published snapshot cannot be read, written or locked."""


class EngineError(RecsError):
    """The engine of `RECS_ENGINE` is not there, or ended at work."""


class GateError(RecsError):
    """A quality gate refused the result; the previous snapshot stays published."""


class ArtefactError(RecsError):
    """A stored model or candidate list is missing, was changed, or belongs to other data."""


class FactError(RecsError):
    """A block of customers was asked for a fact of the whole shop that nobody counted."""


class NotFittedError(RecsError):
    """A recommender was asked for recommendations before `fit`."""


# Columns of customers that say who somebody is: they stay in the build file, are in no published table, and in no
# quarantine, metric or message.
PERSONAL = ("email", "phone", "first_name", "last_name", "postcode", "birth_date")


@dataclass(frozen=True)
class Column:
    """One declared column: name, DuckDB type, meaning, and whether a file must have it."""

    name: str
    type: str
    description: str
    required: bool = False


@dataclass(frozen=True)
class Table:
    """One raw table: canonical, or of the shop's own (`declared_tables`).

    `key` is its grain. `event_at` names the column that says when the row became known;
    `None` marks a table without time (such rows count as always known). A table of the shop's own says what its
    columns refer to (`references`: column -> table) and which of them nobody is shown (`personal`).
    """

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    event_at: str | None = None
    required: bool = False
    references: Mapping[str, str] = field(default_factory=dict)
    personal: tuple[str, ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def _table(
    name: str,
    description: str,
    key: str,
    columns: list[tuple[str, str, str]],
    event_at: str | None = None,
    required: bool = False,
) -> Table:
    """Build a `Table`; a type that ends in `!` marks a column every file must have."""
    return Table(
        name=name,
        description=description,
        key=tuple(key.split(", ")),
        columns=tuple(
            Column(column, type_.rstrip("!"), text, type_.endswith("!")) for column, type_, text in columns
        ),
        event_at=event_at,
        required=required,
    )


RAW_TABLES: dict[str, Table] = {
    table.name: table
    for table in [
        _table(
            "customers",
            "People or households that can buy and be written to.",
            "customer_id",
            [
                ("customer_id", "VARCHAR!", "Identifier of the customer."),
                ("joined_at", "TIMESTAMPTZ", "When the account was opened; empty: always known."),
                ("email", "VARCHAR", "Address; leaves the build file in no table but the restricted export."),
                ("email_eligible", "BOOLEAN!", "True where the shop may send marketing email."),
                ("country", "VARCHAR", "ISO 3166-1 alpha-2 country."),
                ("locale", "VARCHAR", "BCP 47 language tag for texts."),
                ("currency", "VARCHAR", "ISO 4217 currency the customer pays in."),
                ("timezone", "VARCHAR", "IANA time zone of the customer."),
                ("segment", "VARCHAR", "The shop's own customer segment."),
                ("phone", "VARCHAR", "Telephone number; for matching profiles alone, as are the next four."),
                ("first_name", "VARCHAR", "First name."),
                ("last_name", "VARCHAR", "Last name."),
                ("postcode", "VARCHAR", "Postcode of where they live."),
                ("birth_date", "DATE", "Day of birth."),
            ],
            event_at="joined_at",
            required=True,
        ),
        _table(
            "products",
            "Everything the shop sells or sold.",
            "product_id",
            [
                ("product_id", "VARCHAR!", "Identifier of the product."),
                ("name", "VARCHAR!", "Title shown to customers."),
                ("start_at", "TIMESTAMPTZ", "From when it may be sold; empty: always."),
                ("end_at", "TIMESTAMPTZ", "From when it may no longer be sold; empty: never."),
                ("parent_id", "VARCHAR", "Product of which this is a variant."),
                ("brand", "VARCHAR", "Brand or maker."),
                ("category", "VARCHAR", "Category used for affinities and variety."),
                ("vertical", "VARCHAR", "Department above the category."),
                ("price", "DOUBLE", "List price per unit in the shop's currency."),
                ("cost", "DOUBLE", "Purchase cost per unit in the shop's currency."),
                ("url", "VARCHAR", "Product page."),
                ("image_url", "VARCHAR", "Picture for emails."),
                ("description", "VARCHAR", "Long text, used by content-based recommenders."),
                ("attributes", "VARCHAR", "Free attributes as text or JSON."),
                ("merchant_id", "VARCHAR", "Seller on a marketplace."),
            ],
            event_at=None,
            required=True,
        ),
        _table(
            "orders",
            "One row per order, whatever became of it.",
            "order_id",
            [
                ("order_id", "VARCHAR!", "Identifier of the order."),
                ("customer_id", "VARCHAR!", "Who ordered; empty: a guest."),
                ("ordered_at", "TIMESTAMPTZ!", "When the order was placed."),
                ("status", "VARCHAR!", "completed, processing, shipped, delivered, pending, cancelled, ..."),
                ("currency", "VARCHAR", "ISO 4217 currency of the order."),
                ("updated_at", "TIMESTAMPTZ", "When the order came into this state."),
            ],
            event_at="ordered_at",
            required=True,
        ),
        _table(
            "order_items",
            "One row per line of an order.",
            "order_id, line_id",
            [
                ("order_id", "VARCHAR!", "Order this line belongs to."),
                (
                    "line_id",
                    "VARCHAR!",
                    "Line within the order; the product id serves where a product stands once.",
                ),
                ("product_id", "VARCHAR!", "What was ordered."),
                ("quantity", "DOUBLE!", "Units ordered; below zero: units taken back."),
                ("amount", "DOUBLE!", "What the customer paid for the line, in the order's currency."),
                ("discount", "DOUBLE", "How much was taken off the line's list amount (positive)."),
            ],
            required=True,
        ),
        _table(
            "reviews",
            "Ratings and texts customers left on products.",
            "review_id",
            [
                ("review_id", "VARCHAR!", "Identifier of the review."),
                ("customer_id", "VARCHAR!", "Who reviewed."),
                ("product_id", "VARCHAR!", "What was reviewed."),
                ("rating", "DOUBLE!", "Stars from 1 to 5."),
                ("reviewed_at", "TIMESTAMPTZ!", "When the review was left."),
                ("title", "VARCHAR", "Headline."),
                ("body", "VARCHAR", "Text."),
            ],
            event_at="reviewed_at",
        ),
        _table(
            "browsing_events",
            "Views, carts and wishlists from the storefront.",
            "event_id",
            [
                ("event_id", "VARCHAR!", "Identifier of the event."),
                ("customer_id", "VARCHAR!", "Who browsed; empty: somebody who was not signed in."),
                ("product_id", "VARCHAR!", "What was looked at."),
                ("event_type", "VARCHAR!", "view, add_to_cart or add_to_wishlist."),
                ("occurred_at", "TIMESTAMPTZ!", "When it happened."),
                ("duration_seconds", "DOUBLE", "Time spent on the page."),
                ("referrer", "VARCHAR", "Where the visit came from."),
                ("device", "VARCHAR", "desktop, mobile, tablet, app."),
                ("session_id", "VARCHAR", "Visit of the shop's pages that it belongs to."),
                (
                    "visitor_id",
                    "VARCHAR",
                    "Browser or app, signed in or not: a random number that the shop's page keeps.",
                ),
            ],
            event_at="occurred_at",
        ),
        _table(
            "searches",
            "What customers typed into the shop's search.",
            "search_id",
            [
                ("search_id", "VARCHAR!", "Identifier of the search."),
                ("customer_id", "VARCHAR!", "Who searched; empty: somebody who was not signed in."),
                ("query", "VARCHAR!", "Text typed."),
                ("searched_at", "TIMESTAMPTZ!", "When it happened."),
            ],
            event_at="searched_at",
        ),
        _table(
            "preferences",
            "What customers answered that they like: recs.questionnaire has questions to ask.",
            "customer_id, question, facet, answer, answered_at",
            [
                ("customer_id", "VARCHAR!", "Who answered."),
                (
                    "question",
                    "VARCHAR!",
                    "Identifier of the question: question_id of recs.questionnaire, or the name the shop has for it; its newest answers of a facet count.",
                ),
                ("facet", "VARCHAR!", "What the answer names: category or brand."),
                (
                    "answer",
                    "VARCHAR!",
                    "The category or brand that they like; several of one question are several rows.",
                ),
                ("answered_at", "TIMESTAMPTZ!", "When they answered."),
            ],
            event_at="answered_at",
        ),
        _table(
            "inventory",
            "Stock counts; the newest count before a date is the stock at that date.",
            "product_id, counted_at",
            [
                ("product_id", "VARCHAR!", "What was counted."),
                ("counted_at", "TIMESTAMPTZ!", "When it was counted."),
                ("stock", "DOUBLE!", "Units that can be sold."),
            ],
            event_at="counted_at",
        ),
        _table(
            "returns",
            "Units customers sent back.",
            "return_id",
            [
                ("return_id", "VARCHAR!", "Identifier of the return."),
                ("order_id", "VARCHAR!", "Order the units came from."),
                ("product_id", "VARCHAR!", "What was returned."),
                ("quantity", "DOUBLE!", "Units returned."),
                ("returned_at", "TIMESTAMPTZ!", "When the return was booked."),
                ("reason", "VARCHAR", "Why."),
            ],
            event_at="returned_at",
        ),
        _table(
            "merchants",
            "Sellers on a marketplace.",
            "merchant_id",
            [
                ("merchant_id", "VARCHAR!", "Identifier of the merchant."),
                ("name", "VARCHAR!", "Name shown to customers."),
                ("country", "VARCHAR", "ISO 3166-1 alpha-2 country."),
            ],
        ),
        _table(
            "exchange_rates",
            "What other currencies are worth in the shop's.",
            "currency, valid_from",
            [
                ("currency", "VARCHAR!", "ISO 4217 currency that is not the shop's."),
                (
                    "valid_from",
                    "TIMESTAMPTZ!",
                    "From when the rate holds, until the next one of the currency.",
                ),
                ("rate", "DOUBLE!", "Units of the shop's currency for one unit of this one."),
            ],
            event_at="valid_from",
        ),
        _table(
            "promotions",
            "Planned offers: mailers, displays, price cuts.",
            "promotion_id",
            [
                ("promotion_id", "VARCHAR!", "Identifier of the offer."),
                ("product_id", "VARCHAR!", "What is promoted."),
                ("kind", "VARCHAR!", "mailer, display, price, coupon, ..."),
                (
                    "announced_at",
                    "TIMESTAMPTZ!",
                    "From when the shop knew of it; it counts from here on only.",
                ),
                ("start_at", "TIMESTAMPTZ!", "First moment of the offer."),
                ("end_at", "TIMESTAMPTZ!", "First moment after the offer."),
                ("reach", "DOUBLE", "Share of stores or customers that get it, 0 to 1."),
            ],
            event_at="announced_at",
        ),
        _table(
            "campaign_events",
            "What was recommended, by email or on the shop's pages, and what came of it.",
            "event_id",
            [
                ("event_id", "VARCHAR!", "Identifier of the event."),
                ("campaign", "VARCHAR", "Name of the campaign; empty for what a page showed without one."),
                (
                    "customer_id",
                    "VARCHAR!",
                    "Recipient, or who looked at the page; empty: somebody who was not signed in.",
                ),
                ("product_id", "VARCHAR", "Product it was about, if any."),
                (
                    "event_type",
                    "VARCHAR!",
                    "sent, delivered, shown, opened, clicked, dismissed, added_to_cart, purchased, bounced, complained, "
                    "unsubscribed.",
                ),
                ("occurred_at", "TIMESTAMPTZ!", "When it happened."),
                ("arm", "VARCHAR", "Experiment arm."),
                (
                    "recommendation_id",
                    "VARCHAR",
                    "Of the published row that it came of; any other is kept, too.",
                ),
                ("session_id", "VARCHAR", "Visit of the shop's pages that it belongs to."),
                ("visitor_id", "VARCHAR", "Browser or app, signed in or not, as in browsing_events."),
                (
                    "placement",
                    "VARCHAR",
                    "Where on the shop's pages it was shown: home, product, cart, ...; empty: in an email.",
                ),
                ("position", "BIGINT", "Its place there, from 1."),
                ("experiment", "VARCHAR", "Name of the experiment that the arm belongs to."),
            ],
            event_at="occurred_at",
        ),
        _table(
            "consents",
            "Withdrawals: unsubscribed (no email), objected (no email, no training), erased (gone).",
            "customer_id, state, effective_at",
            [
                ("customer_id", "VARCHAR!", "Whose consent changed."),
                (
                    "state",
                    "VARCHAR!",
                    "unsubscribed, objected, erased, or subscribed to take an unsubscribe back.",
                ),
                ("effective_at", "TIMESTAMPTZ!", "From when it holds."),
            ],
            event_at="effective_at",
        ),
    ]
}
