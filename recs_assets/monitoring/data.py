"""What came in: rows, and customers and products without history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from recs_assets.monitoring.figures import ALL, Figure

if TYPE_CHECKING:
    import duckdb


def measure_data(
    connection: duckdb.DuckDBPyConnection, as_of: date, volumes: Mapping[str, float]
) -> list[Figure]:
    """Figures of the raw tables as the gates counted them, and of who and what is cold.

    Args:
        connection: to the week's build file.
        as_of: the week.
        volumes: subject -> rows as the gates counted them.
    """
    figures = [Figure("rows", subject, rows, int(rows)) for subject, rows in volumes.items()]
    [(customers, cold)] = connection.execute(
        """
        select count(*), count(*) filter (first_order_at is null or first_order_at >= $week)
        from marts.customers where joined_at is null or joined_at < $week
        """,
        {"week": as_of},
    ).fetchall()
    [(products, unsold)] = connection.execute(
        "select count(*), count(*) filter (purchases = 0) from features.product_features where as_of = $week and available",
        {"week": as_of},
    ).fetchall()
    return [
        *figures,
        Figure("cold_customers", ALL, cold / customers if customers else None, customers),
        Figure("cold_products", ALL, unsold / products if products else None, products),
    ]
