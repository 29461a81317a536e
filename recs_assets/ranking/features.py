"""What the ranker sees of a candidate: one list, from which the frame, the reasons' families and
docs/features.md are made.

A feature comes from the lists ("source"), from one column of a dbt feature table, or from an
expression over several of them ("derived"). To add one, add a line here; the SQL join, the model
and the documentation follow, and a test fails when this list, dbt's columns and the page disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from recs_assets.declared_tables.features import ENTITIES, OF
from recs_assets.ranking.candidates import Candidates
from recs_assets.recommenders import REGISTRY

# family -> what it says about a row. A reason is written from the family that mattered most.
FAMILIES: dict[str, str] = {
    "bought_before": "the customer's own purchases of the product, and whether it is due",
    "bought_with": "products bought together with, or next after, what the customer bought",
    "bought_after": "products bought a month, or three to six months, after what the customer bought",
    "similar": "products that resemble what the customer bought",
    "customers_like_you": "what customers with similar purchases buy",
    "popular_in_category": "the product's or the category's weight within the categories the customer buys from",
    "popular": "how much everybody buys it",
    "viewed_or_wished": "views, carts, wishlists and ratings",
    "brand": "the customer's loyalty to the brand",
    "price": "the price, alone and against what the customer usually pays",
    "new_arrival": "how long the product has been sold",
    "promotion": "offers planned for the label window and announced before the anchor",
    "context": "the customer's habits and the candidate's place among the others; no reason by itself",
}

# table -> (dbt model, what it is joined by besides the anchor). Category and brand are the product's.
TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "customer": ("customer_features", ("customer",)),
    "product": ("product_features", ("product",)),
    "customer_product": ("customer_product_features", ("customer", "product")),
    "customer_category": ("customer_category_features", ("customer", "category")),
    "customer_brand": ("customer_brand_features", ("customer", "brand")),
    "category": ("category_features", ("category",)),
    "product_promotion": ("product_promotions", ("product",)),
}

# Made of the candidates in hand (searched.sql), and of no dbt model; only with RECS_SEARCH_FEATURES.
SEARCHED = "searched"


@dataclass(frozen=True)
class Feature:
    """One column of the frame.

    Attributes:
        name: unique; the column's name.
        table: key of `TABLES`, "source" (from the lists), "derived" (an expression) or `SEARCHED`.
        column: the dbt column; for "source" the list and what of it, "als.rank"; for "derived"
            plain SQL over columns written table.column.
        family: key of `FAMILIES`.
        description: one sentence, with the unit.
    """

    name: str
    table: str
    column: str
    family: str
    description: str


def family_of_source(name: str) -> str:
    """Key of `FAMILIES` for the lists of a recommender; "context" for any other source."""
    entry = REGISTRY.get(name)
    return entry.family if entry and entry.family else "context"


def list_source_features(sources: Iterable[str]) -> tuple[Feature, ...]:
    """Features of the lists: rank and score of each recommender, and what the fusion says."""
    features = []
    for name in sources:
        family = family_of_source(name)
        features += [
            Feature(f"{name}_rank", "source", f"{name}.rank", family, f"Rank in the list of {name}."),
            Feature(f"{name}_score", "source", f"{name}.score", family, f"Score given by {name}."),
            Feature(
                f"{name}_new_rank", "source", f"{name}:new.rank", family,
                f"Rank in the list of {name} for products not bought before.",
            ),
        ]  # fmt: skip
    return (
        *features,
        Feature("rrf", "source", "rrf", "context", "Sum over lists of 1 / (60 + rank)."),
        Feature("rrf_rank", "source", "rrf_rank", "context", "Place among the customer's candidates by rrf."),
        Feature("lists", "source", "lists", "context", "Number of lists that hold the product."),
    )


def _table(table: str, *rows: tuple[str, str, str]) -> tuple[Feature, ...]:
    """Rows are (column, family, description); the feature is named `<table>_<column>`."""
    return tuple(Feature(f"{table}_{column}", table, column, family, text) for column, family, text in rows)


CUSTOMER = _table(
    "customer",
    ("order_count", "context", "Orders before the anchor."),
    ("product_count", "context", "Distinct products bought."),
    ("category_count", "context", "Distinct categories bought."),
    ("tenure_days", "context", "Days from the first order to the anchor."),
    ("account_age_days", "context", "Days from the opening of the account to the anchor."),
    ("days_since_last_order", "context", "Days from the latest order to the anchor."),
    ("order_due_ratio", "context", "Days since the latest order over the mean gap; near 1: due."),
    ("expected_orders", "context", "Orders within one horizon at the pace of the last 182 days."),
    ("mean_days_between_orders", "context", "Mean days between order days."),
    ("std_days_between_orders", "context", "Standard deviation of the days between order days."),
    ("orders_28d", "context", "Orders of the last 28 days."),
    ("orders_91d", "context", "Orders of the last 91 days."),
    ("spend_91d", "context", "Paid in the last 91 days less the returns booked in them."),
    ("mean_basket_products", "context", "Mean distinct products per order."),
    ("mean_basket_products_91d", "context", "Mean distinct products per order of the last 91 days."),
    ("mean_basket_spend", "context", "Mean spend per order."),
    ("repeat_share", "context", "Share of purchases that were of a product bought before."),
    ("repeat_share_91d", "context", "The same over the last 91 days."),
    ("new_products_per_order_91d", "context", "Products bought for the first time per order, last 91 days."),
    ("mean_unit_price", "price", "Mean price the customer paid per unit."),
    ("discount_share", "price", "Discounts over list amounts of the customer's purchases."),
    ("discount_share_91d", "price", "The same over the last 91 days."),
    ("returns_share", "context", "Amount returned over amount paid."),
    ("views_28d", "viewed_or_wished", "Product views of the last 28 days."),
    ("carts_28d", "viewed_or_wished", "Products put into the cart in the last 28 days."),
    ("wishlists_28d", "viewed_or_wished", "Products put on the wishlist in the last 28 days."),
    ("days_since_browsed", "viewed_or_wished", "Days since the latest view, cart or wishlist."),
    ("searches_28d", "context", "Searches of the last 28 days."),
    ("opens_28d", "context", "Campaign emails opened in the last 28 days."),
    ("clicks_28d", "context", "Clicks in campaign emails in the last 28 days."),
)
PRODUCT = _table(
    "product",
    ("buyers", "popular", "Distinct customers that bought it."),
    ("purchases", "popular", "Orders that hold it."),
    ("purchases_7d", "popular", "Orders of the last 7 days that hold it."),
    ("purchases_28d", "popular", "Orders of the last 28 days that hold it."),
    ("purchases_91d", "popular", "Orders of the last 91 days that hold it."),
    ("purchases_28d_before", "popular", "Orders of the 28 days before those."),
    ("purchases_year_before", "popular", "Orders in the label window one year earlier: the season."),
    ("buyers_28d", "popular", "Distinct buyers of the last 28 days."),
    ("new_buyer_share_28d", "popular", "Share of them that bought it for the first time."),
    ("decayed_purchases_7", "popular", "Orders that hold it, counted by age (half-life 7 days)."),
    ("decayed_purchases_28", "popular", "The same, half-life 28 days."),
    ("decayed_purchases_91", "popular", "The same, half-life 91 days."),
    ("trend_7d", "popular", "Purchases of the last 7 days over the weekly mean of 28."),
    ("trend_28d", "popular", "Purchases of the last 28 days over the 28-day mean of 91."),
    ("trend_28d_before", "popular", "Purchases of the last 28 days over those of the 28 before."),
    ("repeat_rate", "popular", "Share of buyers that bought it on two or more days, smoothed."),
    ("repurchase_gap_days", "popular", "Mean days between a customer's purchases of it, smoothed."),
    ("category_share_91d", "popular_in_category", "Share of its category's purchases, last 91 days."),
    ("days_since_first_sale", "new_arrival", "Days since anyone first bought it."),
    ("days_since_last_sale", "popular", "Days since anyone last bought it."),
    ("days_on_sale", "new_arrival", "Days since it may be sold."),
    ("is_new_arrival", "new_arrival", "1 where it came in the last 28 days."),
    ("price", "price", "Price at the anchor."),
    ("price_ratio_91d", "price", "Price over the mean list price of the last 91 days."),
    ("unit_price_ratio_28d", "price", "Paid per unit in the last 28 days over 91 days."),
    ("price_to_category", "price", "Price over the mean price of its category."),
    ("discount_share_28d", "price", "Discounts over list amounts, last 28 days."),
    ("discount_share_91d", "price", "Discounts over list amounts, last 91 days."),
    ("return_rate", "context", "Units returned over units sold."),
    ("stock", "context", "Units by the newest count."),
    ("rating", "viewed_or_wished", "Mean stars, smoothed."),
    ("rating_count", "viewed_or_wished", "Reviews."),
    ("views_28d", "viewed_or_wished", "Views by anyone in the last 28 days."),
    ("carts_28d", "viewed_or_wished", "Carts of anyone in the last 28 days."),
)
CUSTOMER_PRODUCT = _table(
    "customer_product",
    ("order_days", "bought_before", "Days on which the customer bought it."),
    ("order_days_28d", "bought_before", "Days of the last 28 on which the customer bought it."),
    ("order_days_91d", "bought_before", "Days of the last 91 on which the customer bought it."),
    ("units", "bought_before", "Units the customer bought."),
    ("units_per_purchase", "bought_before", "Units per purchase."),
    ("decayed_frequency", "bought_before", "Days of purchase, counted by age (half-life 90 days)."),
    ("decayed_frequency_14", "bought_before", "The same, half-life 14 days."),
    ("decayed_frequency_30", "bought_before", "The same, half-life 30 days."),
    ("decayed_frequency_365", "bought_before", "The same, half-life 365 days."),
    ("basket_share", "bought_before", "Share of the customer's orders that hold it."),
    ("basket_share_last_10", "bought_before", "The same over the latest 10 orders."),
    ("baskets_since_last", "bought_before", "Orders since the latest one with it."),
    ("days_since_first", "bought_before", "Days since the customer first bought it."),
    ("days_since_last", "bought_before", "Days since the customer last bought it."),
    ("mean_gap_days", "bought_before", "Mean days between the customer's purchases of it."),
    ("std_gap_days", "bought_before", "Standard deviation of these days."),
    ("due_ratio", "bought_before", "Days since the latest purchase over the mean gap; near 1: due."),
    ("expected_gap_days", "bought_before", "The mean gap, drawn towards the product's own."),
    ("expected_due_ratio", "bought_before", "Days since the latest purchase over the expected gap."),
    ("price_ratio", "price", "Price at the anchor over the customer's latest price of it."),
    ("units_returned", "bought_before", "Units the customer returned."),
    ("signal", "viewed_or_wished", "Weights of all events (views, carts, ratings too), counted by age."),
    ("mean_rating", "viewed_or_wished", "Mean stars the customer gave it."),
    ("views", "viewed_or_wished", "Views by the customer."),
    ("views_7d", "viewed_or_wished", "Views by the customer in the last 7 days."),
    ("views_28d", "viewed_or_wished", "Views by the customer in the last 28 days."),
    ("dwell_seconds_28d", "viewed_or_wished", "Seconds on its page in the last 28 days."),
    ("carts_28d", "viewed_or_wished", "Times put into the cart in the last 28 days."),
    ("wishlists_28d", "viewed_or_wished", "Times put on the wishlist in the last 28 days."),
    ("days_since_browsed", "viewed_or_wished", "Days since the customer looked at it."),
    ("in_cart", "viewed_or_wished", "1 where it was put into the cart and not bought since."),
)
CUSTOMER_CATEGORY = _table(
    "customer_category",
    ("purchases", "popular_in_category", "The customer's purchases in its category."),
    ("purchases_28d", "popular_in_category", "Those of the last 28 days."),
    ("purchases_91d", "popular_in_category", "Those of the last 91 days."),
    ("decayed_purchases", "popular_in_category", "Those, counted by age (half-life 90 days)."),
    ("decayed_share", "popular_in_category", "The category's share of the customer's purchases, by age."),
    ("order_days", "popular_in_category", "Days on which the customer bought from the category."),
    ("distinct_products", "popular_in_category", "Products of the category the customer bought."),
    ("days_since_last", "popular_in_category", "Days since the customer bought from the category."),
    ("mean_gap_days", "popular_in_category", "Mean days between these purchases."),
    ("due_ratio", "popular_in_category", "Days since the latest over the mean gap."),
)
CUSTOMER_BRAND = _table(
    "customer_brand",
    ("purchases", "brand", "The customer's purchases of its brand."),
    ("decayed_share", "brand", "The brand's share of the customer's purchases, by age."),
    ("distinct_products", "brand", "Products of the brand the customer bought."),
    ("days_since_last", "brand", "Days since the customer bought the brand."),
)
CATEGORY = _table(
    "category",
    ("products_sold_91d", "popular_in_category", "Products of the category sold in the last 91 days."),
    ("purchases_28d", "popular_in_category", "Purchases in the category in the last 28 days."),
    ("trend_28d_before", "popular_in_category", "Those over the purchases of the 28 days before."),
    ("share_91d", "popular_in_category", "The category's share of all purchases, last 91 days."),
    ("repeat_buyer_share", "popular_in_category", "Share of its buyers that bought on two or more days."),
    ("mean_gap_days", "popular_in_category", "Mean days between a customer's purchases in it."),
    ("products_per_buyer", "popular_in_category", "Mean distinct products per buyer."),
)
PROMOTION = _table(
    "product_promotion",
    *(
        (f"{kind}_{what}", "promotion", text.format(many))
        for kind, many in (
            ("mailer", "mailers"), ("display", "displays"), ("coupon", "coupons"),
            ("price", "price offers"), ("any", "all offers"),
        )
        for what, text in (
            ("weeks", "Weeks of {} in the label window."),
            ("reach", "Weeks of {} in the label window, each times its reach."),
            ("reach_before", "Mean weekly reach of {} in the 28 days before the anchor."),
            ("reach_change", "Mean weekly reach of {} in the label window less that before it."),
        )
    ),
    ("days_to_first_offer", "promotion", "Days from the anchor to the first offer of the label window."),
)  # fmt: skip
SEARCHES = _table(
    SEARCHED,
    ("share", "context", "Largest share of the words of one of the customer's searches, last 28 days, in its name, brand and category."),
    ("days", "context", "Days since the latest search of which it has every word."),
)  # fmt: skip
DERIVED = (
    # Not null where nothing was shown: a column without a value, unlike one of zeros, changes which others the trees
    # sample, and a shop that reports no showings keeps its lists.
    Feature(
        "shown_not_clicked_28d", "derived", "coalesce(customer_product.shown_not_clicked_28d, 0)", "context",
        "Times recommended to the customer in the last 28 days since they last clicked it.",
    ),
    Feature(
        "click_share_91d", "derived", "coalesce(product.click_share_91d, 0)", "context",
        "Share of those it was recommended to in the last 91 days who clicked it; 0 where it was to nobody.",
    ),
    Feature(
        "price_to_customer", "derived", "product.price / nullif(customer.mean_unit_price, 0)", "price",
        "Price over the mean price the customer pays per unit.",
    ),
    Feature(
        "expected_in_category", "derived",
        "customer_category.decayed_purchases * product.category_share_91d", "popular_in_category",
        "The customer's purchases in the category times the product's share of it.",
    ),
    Feature(
        "expected_repeats", "derived", "customer_product.basket_share_last_10 * customer.expected_orders",
        "bought_before", "Orders expected within one horizon times the share of the latest 10 with it.",
    ),
    Feature(
        "product_loyalty", "derived",
        "customer_product.order_days / nullif(customer_category.order_days, 0)", "bought_before",
        "Share of the customer's days in the category on which they bought this product.",
    ),
)  # fmt: skip

# Everything that comes from dbt's tables, in the order of the frame.
WAREHOUSE_FEATURES: tuple[Feature, ...] = (
    *CUSTOMER,
    *PRODUCT,
    *CUSTOMER_PRODUCT,
    *CUSTOMER_CATEGORY,
    *CUSTOMER_BRAND,
    *CATEGORY,
    *PROMOTION,
    *DERIVED,
    *SEARCHES,
)

FEATURES: tuple[Feature, ...] = (
    *list_source_features(name for name in REGISTRY if REGISTRY[name].family),
    *WAREHOUSE_FEATURES,
)
# Rows of a frame that are written at once: 165 columns of them are 1.4 MB.
CACHED_ROWS = 2_048

BY_NAME = {feature.name: feature for feature in FEATURES}


def find_feature(name: str) -> Feature | None:
    """The feature of a name; None where there is no such feature.

    Of a table of the shop's own the name says all: `<table>_of_<entity>.<column>` is the column of that model, and its
    family is the table.
    """
    model, dot, column = name.partition(".")
    table, of, entity = model.rpartition(OF)
    if not dot or not of or entity not in ENTITIES:
        return BY_NAME.get(name)
    return Feature(name, model, column, table, f"Column {column} of features.{model}.")


def list_families(features: Iterable[str]) -> tuple[str, ...]:
    """`FAMILIES`, and after them the tables of the shop's own that the features come from."""
    own = [found.family for name in features if (found := find_feature(name)) is not None]
    return tuple(dict.fromkeys([*FAMILIES, *own]))


def find_model(table: str) -> tuple[str, tuple[str, ...]]:
    """The dbt model of a feature's table, and what it is joined by besides the anchor."""
    if table in TABLES:
        return TABLES[table]
    entity = table.rpartition(OF)[2]
    return table, tuple(key.removesuffix("_id") for key in ENTITIES[entity])


def select_features(sources: Iterable[str], without: Sequence[str] = ()) -> tuple[Feature, ...]:
    """The features of a ranker that gets the lists `sources`, less those named in `without`.

    Raises:
        ValueError: `without` names something that is no feature.
    """
    names = set(sources)
    if unknown := sorted(set(without) - set(BY_NAME)):
        raise ValueError(f"No such feature: {', '.join(unknown)}.")
    return tuple(
        feature
        for feature in FEATURES
        if feature.name not in set(without)
        and (
            feature.table != "source"
            or "." not in feature.column
            or feature.column.split(".")[0].split(":")[0] in names
        )
    )


def build_source_frame(candidates: Candidates, features: Sequence[Feature]) -> np.ndarray:
    """float32[n, len(features)] of the features of table "source"; NaN where a list lacks the row.

    A product that only the list of new products holds takes its score from there.

    Raises:
        ValueError: a feature of another table.
    """
    # Column by column in memory, as it is filled.
    X = np.full((len(candidates), len(features)), np.nan, dtype=np.float32, order="F")
    for column, feature in enumerate(features):
        if feature.table != "source":
            raise ValueError(f"{feature.name} comes from {feature.table}, not from the lists.")
        if feature.column == "rrf":
            X[:, column] = candidates.rrf
        elif feature.column == "rrf_rank":
            X[:, column] = candidates.rrf_rank
        elif feature.column == "lists":
            X[:, column] = sum(
                (np.isfinite(rank).astype(np.float32) for rank, _ in candidates.sources.values()),
                np.zeros(len(candidates), dtype=np.float32),
            )
        else:
            name, what = feature.column.split(".")
            if name not in candidates.sources:
                continue
            rank, score = candidates.sources[name]
            X[:, column] = rank if what == "rank" else score
            if what == "score" and f"{name}:new" in candidates.sources:
                again = candidates.sources[f"{name}:new"][1]
                X[:, column] = np.where(np.isfinite(score), score, again)
    return X


def put_columns(
    X: np.ndarray,
    columns: Sequence[int],
    values: Sequence[np.ndarray] | np.ndarray,
    rows: np.ndarray | None = None,
) -> None:
    """Write whole columns into a frame that lies row by row in memory.

    A few thousand rows at a time stay in the processor's cache; column after column, every single
    value waits for memory (1.7 s instead of 0.4 s for 470,000 rows of 165 columns).

    Args:
        X: float32[n, any], written to.
        columns: of X.
        values: per column float[m].
        rows: int[m], which rows of X the values belong to, each once; all in order if None.
    """
    for start in range(0, len(X) if rows is None else len(rows), CACHED_ROWS):
        here = slice(start, start + CACHED_ROWS)
        place = here if rows is None else rows[here]
        block = X[place]
        for column, column_values in zip(columns, values, strict=True):
            block[:, column] = column_values[here]
        X[place] = block


def markdown() -> str:
    """docs/features.md."""
    text = [
        "# Features of the ranker",
        "",
        "Made from `recs_assets/ranking/features.py` (`python -m recs_assets.ranking.features`); a test",
        "fails when the two differ. Everything is known strictly before the anchor. NaN means unknown and is",
        "given to LightGBM as it is.",
        "",
        "Tables of the shop's own bring more, `<table>_of_<customers|products|pairs>.<column>`, whose family is the table:",
        "[Your own tables](your_tables.md#features).",
        "",
        "| family | what it says |",
        "|---|---|",
        *(f"| {name} | {meaning} |" for name, meaning in FAMILIES.items()),
        "",
    ]
    titles = {
        "source": "From the recommenders' lists",
        **{key: f"From `features.{model}`" for key, (model, _) in TABLES.items()},
        "derived": "From several tables",
        SEARCHED: "From searches, with `RECS_SEARCH_FEATURES`",
    }
    for table, title in titles.items():
        rows = [feature for feature in FEATURES if feature.table == table]
        if rows:
            text += [f"## {title}", "", "| feature | from | family | meaning |", "|---|---|---|---|"]
            text += [f"| `{row.name}` | `{row.column}` | {row.family} | {row.description} |" for row in rows]
            text.append("")
    return "\n".join(text)


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown())
