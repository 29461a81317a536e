"""A shop small enough to check by hand, as the tables of a build file that queries read.

The anchor is 2024-03-04. Ages in the comments are against it.
"""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pandas as pd
import pytest

CUSTOMERS = [
    # customer_id, joined_at, email_eligible, consent_state, segment
    ("ann", None, True, "subscribed", "family"),
    ("bob", "2023-06-01 10:00:00", False, "unsubscribed", "single"),
    ("cay", "2024-02-20 08:00:00", True, "subscribed", None),
    ("dan", None, False, "objected", "single"),
    ("eve", "2024-03-04 00:00:00", True, "subscribed", "family"),  # not known at the anchor
    ("fay", "2024-03-03 23:59:59", True, "subscribed", "family"),  # known, and never bought
]

PRODUCTS = [
    # product_id, listed price, price in the mart, brand, category, vertical, merchant_id
    ("milk", 1.5, 1.5, "Farm", "dairy", "chilled", "m1"),
    ("bread", None, 6.0, "Mill", "bakery", "fresh", "m1"),  # 5.0 until the anchor, 6.0 later
    ("tea", 12.0, 12.0, "Leaf", "pantry", "dry", "m2"),
    ("ham", 11.0, 11.0, "Farm", "meat", "chilled", None),
    ("jam", 9.0, 9.0, None, "pantry", "dry", "m2"),
]

LINES = [
    # order, line, customer, product, ordered_at, quantity, amount, discount, fully_returned_at
    ("a1", "1", "ann", "milk", "2023-12-04 23:59:59", 1, 1.5, 0, None),  # a second before 90 days
    ("a2", "1", "ann", "milk", "2023-12-05 00:00:00", 2, 3.0, 0, None),  # 90 days
    ("a2", "2", "ann", "tea", "2023-12-05 00:00:00", 1, 12.0, 0, None),
    ("a3", "1", "ann", "bread", "2024-02-10 10:00:00", 1, 4.0, 1, None),
    ("a3", "2", "ann", "ham", "2024-02-10 10:00:00", 1, 11.0, 0, "2024-02-20 09:00:00"),
    ("b1", "1", "bob", "tea", "2024-01-31 09:00:00", 1, 10.0, 2, None),
    ("c1", "1", "cay", "jam", "2024-02-25 18:00:00", 1, 9.0, 0, None),
    ("d1", "1", "dan", "tea", "2024-02-01 12:00:00", 1, 12.0, 0, None),
    # From here on the future.
    ("a4", "1", "ann", "tea", "2024-03-04 00:00:00", 1, 12.0, 0, None),  # its first moment
    ("a4", "2", "ann", "jam", "2024-03-04 00:00:00", 2, 18.0, 0, None),  # one of two goes back
    ("a5", "1", "ann", "milk", "2024-03-18 00:00:00", 1, 1.5, 0, None),  # the end of 14 days
    ("b2", "1", "bob", "ham", "2024-03-10 12:00:00", 1, 11.0, 0, "2024-03-12 09:00:00"),
    ("b2", "2", "bob", "bread", "2024-03-10 12:00:00", 1, 6.0, 0, None),
    ("b3", "1", "bob", "ham", "2024-03-16 12:00:00", 1, 11.0, 0, "2024-03-25 09:00:00"),  # after 14 days
    ("c2", "1", "cay", "tea", "2024-03-05 08:30:00", 1, 12.0, 0, None),
    ("d2", "1", "dan", "tea", "2024-03-05 12:00:00", 1, 12.0, 0, None),
    ("e1", "1", "eve", "milk", "2024-03-05 12:00:00", 1, 1.5, 0, None),
]

RETURNS = [
    # return, order, line, product, quantity, returned_at, reason
    ("r1", "a3", "2", "ham", 1, "2024-02-20 09:00:00", "stale"),
    ("r2", "a4", "2", "jam", 1, "2024-03-10 09:00:00", None),
    ("r3", "b2", "1", "ham", 1, "2024-03-12 09:00:00", "stale"),
    ("r4", "b3", "1", "ham", 1, "2024-03-25 09:00:00", "stale"),
]

REVIEWS = [
    # review, customer, product, rating, reviewed_at
    ("v1", "ann", "tea", 5, "2024-01-10 10:00:00"),
    ("v2", "ann", "milk", 2, "2024-03-06 10:00:00"),
    ("v3", "ann", "jam", 4, "2024-03-07 10:00:00"),
    ("v4", "bob", "bread", 1, "2024-02-02 10:00:00"),
    ("v5", "cay", "tea", 3, "2024-04-10 10:00:00"),
]

EVENTS = [
    # event, customer, product, event_type, occurred_at, duration_seconds, device
    ("w1", "ann", "tea", "view", "2024-03-01 10:00:00", 20.0, "app"),
    ("w2", "ann", "tea", "view", "2024-03-05 11:59:59", 30.0, "app"),
    ("w3", "ann", "jam", "view", "2024-03-04 00:00:00", None, "app"),
    ("w4", "ann", "jam", "view", "2024-03-04 09:00:00", 10.0, "app"),
    ("w5", "ann", "milk", "add_to_cart", "2024-03-04 10:00:00", None, "app"),
    ("w6", "cay", "ham", "view", "2024-03-05 12:00:00", 5.0, "mobile"),  # the end of 36 hours
]

MERCHANTS = [("m1", "Farmers", "FR"), ("m2", "Traders", "DE")]


def _frame(rows: list[tuple], columns: str, times: str = "") -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns.split())
    for time in times.split():
        frame[time] = pd.to_datetime(frame[time])
    return frame


def frames() -> dict[str, pd.DataFrame]:
    """The shop's rows by model; the tables of the build file hold these and nothing else."""
    customers = _frame(CUSTOMERS, "customer_id joined_at email_eligible consent_state segment", "joined_at")
    products = _frame(PRODUCTS, "product_id listed price brand category vertical merchant_id")
    lines = _frame(
        LINES,
        "order_id line_id customer_id product_id ordered_at quantity amount discount fully_returned_at",
        "ordered_at fully_returned_at",
    )
    customers["learned_from"] = customers["consent_state"] != "objected"
    lines["unit_price"] = lines["amount"] / lines["quantity"]
    lines["learned_from"] = True
    returns = _frame(
        RETURNS, "return_id order_id line_id product_id quantity returned_at reason", "returned_at"
    )
    return {
        "marts.customers": customers,
        "marts.products": products.drop(columns="listed").assign(is_product=True),
        "intermediate.int_product_prices_anchored": pd.DataFrame(
            [
                ("2024-03-04", "milk", 1.5),
                ("2024-03-04", "bread", 5.0),
                ("2024-03-11", "bread", 6.0),
                ("2024-03-04", "tea", 12.0),
                ("2024-03-04", "ham", 11.0),
                ("2024-03-04", "jam", 9.0),
            ],
            columns=["as_of", "product_id", "price"],
        ).astype({"as_of": "datetime64[us]"}),
        "marts.order_lines": lines,
        "marts.baskets": lines[["order_id", "customer_id", "ordered_at"]].drop_duplicates(),
        "intermediate.int_returns_allocated_to_lines": returns,
        "staging.stg_returns": returns,
        "staging.stg_reviews": _frame(
            REVIEWS, "review_id customer_id product_id rating reviewed_at", "reviewed_at"
        ),
        "staging.stg_browsing_events": _frame(
            EVENTS,
            "event_id customer_id product_id event_type occurred_at duration_seconds device",
            "occurred_at",
        ),
        "staging.stg_merchants": _frame(MERCHANTS, "merchant_id name country"),
    }


# Every column that the catalogue's SQL reads, whether the rows above fill it or not.
COLUMNS = {
    "marts.customers": """customer_id varchar, joined_at timestamp, email_eligible boolean, consent_state varchar,
        country varchar, locale varchar, currency varchar, timezone varchar, segment varchar, learned_from boolean""",
    "marts.products": """product_id varchar, name varchar, brand varchar, category varchar, vertical varchar,
        price double, cost double, start_at timestamp, end_at timestamp, parent_id varchar, url varchar,
        image_url varchar, description varchar, attributes varchar, merchant_id varchar, is_product boolean""",
    "intermediate.int_product_prices_anchored": "as_of date, product_id varchar, price double",
    "marts.order_lines": """order_id varchar, line_id varchar, customer_id varchar, product_id varchar,
        ordered_at timestamp, quantity double, amount double, discount double, unit_price double,
        fully_returned_at timestamp, learned_from boolean""",
    "marts.baskets": "order_id varchar, customer_id varchar, ordered_at timestamp",
    "intermediate.int_returns_allocated_to_lines": """return_id varchar, order_id varchar, line_id varchar,
        quantity double, returned_at timestamp""",
    "staging.stg_returns": """return_id varchar, order_id varchar, product_id varchar, quantity double,
        returned_at timestamp, reason varchar""",
    "staging.stg_reviews": """review_id varchar, customer_id varchar, product_id varchar, rating double,
        reviewed_at timestamp, title varchar, body varchar""",
    "staging.stg_browsing_events": """event_id varchar, customer_id varchar, product_id varchar,
        event_type varchar, occurred_at timestamp, duration_seconds double, referrer varchar, device varchar,
        session_id varchar, visitor_id varchar""",
    "staging.stg_searches": "search_id varchar, customer_id varchar, query varchar, searched_at timestamp",
    "staging.stg_campaign_events": """event_id varchar, campaign varchar, customer_id varchar, product_id varchar,
        event_type varchar, occurred_at timestamp, arm varchar, recommendation_id varchar, session_id varchar,
        visitor_id varchar, placement varchar, position bigint, experiment varchar""",
    "intermediate.int_visitors_identified": """visitor_id varchar, customer_id varchar, identified_at timestamp,
        shared_at timestamp""",
    "staging.stg_consents": "customer_id varchar, state varchar, effective_at timestamp",
    "staging.stg_inventory": "product_id varchar, counted_at timestamp, stock double",
    "staging.stg_promotions": """promotion_id varchar, product_id varchar, kind varchar, announced_at timestamp,
        start_at timestamp, end_at timestamp, reach double""",
    "staging.stg_merchants": "merchant_id varchar, name varchar, country varchar",
}


def build(rows: dict[str, pd.DataFrame]) -> duckdb.DuckDBPyConnection:
    """An in-memory database with every table that queries read, holding `rows`."""
    connection = duckdb.connect(config={"threads": 1})
    for schema in ("marts", "staging", "intermediate"):
        connection.execute(f"create schema {schema}")
    for table, columns in COLUMNS.items():
        connection.execute(f"create table {table} ({columns})")
        names = {one.split()[0] for one in columns.split(",")}
        if table in rows:
            frame = rows[table]
            kept = ", ".join(name for name in frame.columns if name in names)
            connection.register("incoming", frame)
            connection.execute(f"insert into {table} ({kept}) select {kept} from incoming")
            connection.unregister("incoming")
    return connection


@pytest.fixture(scope="session")
def rows() -> dict[str, pd.DataFrame]:
    return frames()


@pytest.fixture(scope="session")
def database(rows) -> duckdb.DuckDBPyConnection:
    return build(rows)


@pytest.fixture(scope="session")
def ask(database) -> Callable[[tuple[str, dict]], list[tuple]]:
    """Runs (sql, parameters) against the shop and gives the rows."""

    def execute(sql: tuple[str, dict]) -> list[tuple]:
        return database.execute(*sql).fetchall()

    return execute


@pytest.fixture(scope="session")
def make_database() -> Callable[[dict[str, pd.DataFrame]], duckdb.DuckDBPyConnection]:
    """`build`, for tests that change the rows first."""
    return build
