"""Everything that is watched, of one week."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from recs_assets.known.published import load_published_columns
from recs_assets.monitoring.adjust import Setting, propose
from recs_assets.monitoring.data import measure_data
from recs_assets.monitoring.distributions import measure_distributions
from recs_assets.monitoring.judge import judge
from recs_assets.monitoring.lists import measure_lists
from recs_assets.monitoring.model import measure_model, measure_outcomes
from recs_assets.monitoring.people import load_shown, measure_clicks, measure_mailings, measure_tiredness
from recs_assets.schema import RAW_TABLES, Table

if TYPE_CHECKING:
    import duckdb

    from recs_assets.monitoring.limits import Limits

HISTORY = ["as_of", "metric", "subject", "value", "counted"]


@dataclass(frozen=True)
class Watched:
    """What the monitor says of a week.

    Attributes:
        rows: of `recs.monitor`.
        distributions: of `recs.monitor_distributions`.
    """

    rows: pd.DataFrame
    distributions: pd.DataFrame


def watch(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    horizon_days: int,
    volumes: Mapping[str, float],
    limits: Limits,
    settings: Sequence[Setting] = (),
    tables: Collection[Table] = tuple(RAW_TABLES.values()),
) -> Watched:
    """Measure a week and hold it against the weeks that were published before it.

    Args:
        connection: to the week's build file, with the published snapshot attached as `published` where there is one.
        as_of: the week; later weeks of the snapshot are not read.
        horizon_days: of a window.
        volumes: of the raw tables as the gates counted them.
        limits: of the monitor.
        settings: of the campaigns, as in force.
        tables: that were landed: the canonical ones, and the shop's own.
    """
    horizon = timedelta(days=horizon_days)
    listed = _list_weeks(connection, "customer_recommendations", as_of)
    watched = _list_weeks(connection, "monitor_distributions", as_of)
    last = watched[0] if watched else None
    long_before = next((week for week in watched[1:] if week <= as_of - horizon), None)
    over = next((week for week in listed if week <= as_of - horizon), None)
    drifts, distributions = measure_distributions(connection, as_of, last, long_before, limits, tables)
    figures = [
        *measure_data(connection, as_of, volumes),
        *drifts,
        *measure_model(connection, as_of, limits.list_length),
        *(measure_outcomes(connection, over, horizon_days, limits.sample_lists) if over else []),
        *measure_lists(connection, as_of, bool(listed), limits.sample_lists),
        *measure_mailings(connection, as_of, limits.recent_days),
    ]
    if listed:
        shown = load_shown(connection, as_of, limits)
        figures += measure_clicks(shown, as_of - timedelta(days=limits.recent_days))
        figures += measure_tiredness(shown)
    figures += propose(settings, figures, limits)
    return Watched(judge(figures, load_history(connection, as_of), limits, as_of), distributions)


def _list_weeks(connection: duckdb.DuckDBPyConnection, table: str, as_of: date) -> list[date]:
    """Earlier published weeks of a table, the newest first; none where it is not published yet."""
    if table not in load_published_columns(connection):
        return []
    rows = connection.execute(
        f"select distinct as_of from published.recs.{table} where as_of < ? order by as_of desc", [as_of]
    ).fetchall()
    return [week for (week,) in rows]


def load_history(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """Rows of the weeks that were published before, with the columns `HISTORY`."""
    if "monitor" not in load_published_columns(connection):
        return pd.DataFrame(columns=HISTORY)
    return connection.execute(
        f"select {', '.join(HISTORY)} from published.recs.monitor where as_of < ? order by all", [as_of]
    ).df()
