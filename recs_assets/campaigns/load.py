"""What campaigns read from the build file of a week."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from recs_assets.files import read_sql
from recs_assets.known.published import create_sent_before
from recs_assets.repeats.hours import WINDOW_DAYS

if TYPE_CHECKING:
    import duckdb


def load_pages_and_ends(connection: duckdb.DuckDBPyConnection, week: date, at: datetime) -> pd.DataFrame:
    """Per product_id its url, sale_end and offer_end: when it may no longer be sold, and when the
    offer that runs at `at`, if it is known at the week, is over; null where unknown.

    Args:
        connection: to the build file of the week.
        week: its Monday.
        at: when the email goes out, on the shop's clock and without time zone, as everything is landed.
    """
    return connection.execute(read_sql(__file__, "sql/pages_and_ends"), {"week": week, "at": at}).df()


def load_people_and_products(
    connection: duckdb.DuckDBPyConnection, week: date
) -> tuple[pd.DataFrame, set[str], int]:
    """What is so at the week: customers (customer_id, email_eligible, address: a number that accounts
    with one address share, -1 none; last_day of an order as days since 1970-01-01, -1 none) by id, the
    products that may be sold, and how many customers were erased."""
    customers = connection.execute(read_sql(__file__, "sql/people")).df()
    products = connection.execute(
        "select product_id from features.product_features where as_of = ? and available", [week]
    ).fetchall()
    known = connection.execute("select count(*) from staging.stg_customers").fetchall()[0][0]
    return customers, {product for (product,) in products}, known - len(customers)


def load_order_hours(connection: duckdb.DuckDBPyConnection, week: date) -> pd.DataFrame:
    """What `OrderHours.learn` takes, of the orders before a week."""
    chosen, proven = (week - timedelta(days=windows * WINDOW_DAYS) for windows in (2, 1))
    given = {"week": week, "chosen": chosen, "proven": proven}
    return connection.execute(read_sql(__file__, "sql/order_hours"), given).df()


def load_spending(connection: duckdb.DuckDBPyConnection, anchor: date) -> pd.DataFrame:
    """What `audit.segments.segment_customers` takes, as known at an anchor of the week, by customer_id."""
    return connection.execute(read_sql(__file__, "sql/spending"), {"anchor": anchor}).df()


def load_past_forecasts(connection: duckdb.DuckDBPyConnection, week: date) -> pd.DataFrame:
    """What the published campaigns of earlier weeks were predicted to sell, and what was bought.

    Only lists whose window (`window_days`) was over by `week`, and people who are customers still: rows of
    the erased leave the snapshot, and the same week again must count the same. Revenue counts each product once,
    at the price that the email showed.

    Args:
        connection: to the build file of the week, with the snapshot attached (`Warehouse.attach_snapshot`).
        week: its Monday.

    Returns:
        Columns campaign, forecast_as_of date, window_end date, customers, rows, forecast_purchases,
        actual_purchases, forecast_revenue, actual_revenue; no row without a snapshot.
    """
    create_sent_before(connection, week)
    return connection.execute(read_sql(__file__, "sql/past_forecasts"), {"week": week}).df()
