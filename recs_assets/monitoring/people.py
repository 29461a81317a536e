"""What people do with what they are shown: clicks by slot and kind, fatigue, unsubscribes, complaints, bounces."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from recs_assets.experiments.fatigue import measure_fatigue
from recs_assets.files import read_sql
from recs_assets.monitoring.distributions import find_every
from recs_assets.monitoring.figures import Figure
from recs_assets.monitoring.judge import Z95

if TYPE_CHECKING:
    import duckdb

    from recs_assets.monitoring.limits import Limits

DISCOVERY = "discovery"


def measure_mailings(connection: duckdb.DuckDBPyConnection, as_of: date, days: int) -> list[Figure]:
    """Per campaign, of the sends of the last days: clicks, unsubscribes, complaints, bounces."""
    window = {"week": as_of, "since": as_of - timedelta(days=days)}
    figures = []
    for campaign, sends, *answers in connection.execute(
        read_sql(__file__, "sql/mailings"), window
    ).fetchall():
        # A mailing may be answered twice, and also by what was sent before.
        shares = [min(1.0, count / sends) for count in answers]
        figures += [
            Figure(metric, subject, share, sends)
            for metric, subject, share in zip(
                ("ctr", "unsubscribes", "complaints", "bounces"),
                (f"{campaign}, mailings", *[campaign] * 3),
                shares,
                strict=True,
            )
        ]
    return figures


def load_shown(connection: duckdb.DuckDBPyConnection, as_of: date, limits: Limits) -> pd.DataFrame:
    """Published rows that were shown before the week: list, as_of, customer_id, product_id, slot, slot_type, p_purchase,
    shown_at, clicked, times.

    Of more than `limits.sample_lists` those of a sample of customers, drawn by a hash.
    """
    lists = "(select as_of from published.recs.email_recommendations union all select as_of from published.recs.customer_recommendations)"
    every = find_every(connection, f"{lists} where as_of < date '{as_of}'", limits.sample_lists)
    return connection.execute(read_sql(__file__, "sql/shown"), {"week": as_of, "every": every}).df()


def measure_clicks(shown: pd.DataFrame, since: date) -> list[Figure]:
    """Share of clicks by slot, by kind of slot and by time shown, and discovery against the rest.

    Args:
        shown: `load_shown`.
        since: first day whose showings count.
    """
    recent = shown[(shown["shown_at"] >= pd.Timestamp(since)).to_numpy()]
    figures = []
    for name, rows in recent.groupby("list", sort=True):
        figures.append(_rate(str(name), rows))
        for column, kind in (("slot", "slot"), ("times", "showing")):
            for value, part in rows.groupby(column, sort=True):
                figures.append(_rate(f"{name}, {kind} {int(value)}", part))
        for slot_type, part in rows.groupby("slot_type", sort=True):
            figures.append(_rate(f"{name}, {slot_type}", part))
        figures += _compare_discovery(str(name), rows)
    return figures


def measure_tiredness(shown: pd.DataFrame) -> list[Figure]:
    """What each further showing of a product does, by list, over all weeks that are kept."""
    figures = []
    for name, rows in shown.groupby("list", sort=True):
        found = measure_fatigue(
            rows.rename(columns={"customer_id": "customer", "product_id": "product", "as_of": "week"})
        )
        lists = len(rows.drop_duplicates(["customer_id", "as_of"]))
        known = math.isfinite(found.factor)
        error = (found.high - found.low) / (2 * Z95) if known else None
        value = found.factor if known else None
        figures.append(Figure("fatigue", str(name), value, lists, error, weeks=1, note=found.sentence))
    return figures


def _rate(subject: str, rows: pd.DataFrame) -> Figure:
    return Figure("ctr", subject, float(rows["clicked"].mean()), len(rows))


def _compare_discovery(name: str, rows: pd.DataFrame) -> list[Figure]:
    discovered = (rows["slot_type"] == DISCOVERY).to_numpy()
    new, rest = rows[discovered], rows[~discovered & rows["slot_type"].notna().to_numpy()]
    clicks, others = int(new["clicked"].sum()), int(rest["clicked"].sum())
    if not len(new) or not others:
        return []
    value = (clicks / len(new)) / (others / len(rest))
    # Of the logarithm of a ratio of two rates; one click more where there is none.
    error = max(value, 1 / len(new) / (others / len(rest))) * math.sqrt(1 / max(clicks, 1) + 1 / others)
    return [Figure("discovery", name, value, len(new), error, weeks=1)]
