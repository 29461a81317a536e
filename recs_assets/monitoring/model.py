"""How the model does: what was promised against what was bought, offline metrics, and groups that it serves worse."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING

from recs_assets.files import read_sql
from recs_assets.monitoring.distributions import find_every
from recs_assets.monitoring.figures import ALL, Figure
from recs_assets.monitoring.judge import Z95

if TYPE_CHECKING:
    import duckdb

METRICS = ("map", "ndcg", "recall")


def measure_model(connection: duckdb.DuckDBPyConnection, as_of: date, list_length: int) -> list[Figure]:
    """Figures of the evaluation and of the forecasts of a week's build file.

    Args:
        connection: to it.
        as_of: the week.
        list_length: k of the metrics.
    """
    return [*_measure_forecasts(connection), *_measure_metrics(connection, list_length)]


def _measure_forecasts(connection: duckdb.DuckDBPyConnection) -> list[Figure]:
    """Every campaign's newest window that is over; purchases are counted as a Poisson process would make them."""
    figures = []
    for campaign, promised, made in connection.execute(
        """
        select campaign, forecast_purchases, actual_purchases from model.forecasts
        qualify forecast_as_of = max(forecast_as_of) over (partition by campaign) order by campaign
        """
    ).fetchall():
        ratio = promised / max(made, 1)
        error = ratio / math.sqrt(max(made, 1))
        figures.append(
            Figure("forecast", campaign, ratio, int(max(promised, made)), error, reference=1.0, weeks=1)
        )
    return figures


def _measure_metrics(connection: duckdb.DuckDBPyConnection, k: int) -> list[Figure]:
    """The ranker at the newest test anchor; a group's error is that of all, for fewer customers."""
    rows = connection.execute(
        """
        select view, segment, metric, value, ci_low, ci_high, customers from model.metrics
        where recommender = 'ranker' and k = $k and list_contains($metrics, metric)
            and (segment = 'all' or segment like 'depth:%')
        qualify anchor = max(anchor) over () order by all
        """,
        {"k": k, "metrics": list(METRICS)},
    ).fetchall()
    spread = {
        (view, metric): (high - low) / (2 * Z95) * math.sqrt(customers)
        for view, segment, metric, _, low, high, customers in rows
        if segment == ALL and low is not None and customers
    }
    figures = []
    for view, segment, metric, value, _, _, customers in rows:
        whole = segment == ALL
        if view == "repeat" or (not whole and (view != "all" or metric != METRICS[0])):
            continue
        deviation = spread.get((view, metric))
        error = None if deviation is None or not customers else deviation / math.sqrt(customers)
        subject = f"the ranker, view {view}" if whole else segment
        figures.append(Figure(metric, subject, value, customers, error))
    return figures


def measure_outcomes(
    connection: duckdb.DuckDBPyConnection, listed: date, horizon_days: int, most: int
) -> list[Figure]:
    """Figures of what became of published lists.

    Args:
        connection: to the week's build file, with the snapshot attached as `published`.
        listed: the week of the lists, at least a horizon before.
        horizon_days: of their window.
        most: rows of lists; of more, a sample of customers is drawn.
    """
    rows = f"published.recs.customer_recommendations where as_of = date '{listed}'"
    window = {
        "listed": listed,
        "over": listed + timedelta(days=horizon_days),
        "every": find_every(connection, rows, most),
    }
    figures = [
        Figure("hits", subject, hits / customers if customers else None, customers)
        for subject, customers, hits in connection.execute(
            read_sql(__file__, "sql/window"), window
        ).fetchall()
    ]
    tenths = connection.execute(read_sql(__file__, "sql/calibration"), window).fetchall()
    made = sum(count for *_, count in tenths)
    if made:
        gap = sum(abs(promised - count) for _, _, promised, count in tenths)
        # Where every probability is right, each tenth is still off by about the root of its purchases.
        chance = Z95 * math.sqrt(len(tenths) / made)
        figures.append(
            Figure("calibration", "customer_recommendations", gap / made, made, weeks=1, chance=chance)
        )
    return figures
