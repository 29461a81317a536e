"""Shadows: lists that were made and shown to nobody, beside those that were sent.

What was shown is bought because it was shown, too, so that a shadow loses among those who got the list as sent even where
it is the better one. Held out customers saw neither list: among them the comparison is fair. So it is among products that a
lot put into a slot, where each counts by one over the probability of its draw (Horvitz and Thompson 1952).
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recs_assets.experiments.analysis import ONCE
from recs_assets.experiments.moments import LEAST_EXPECTED
from recs_assets.files import read_sql
from recs_assets.known.published import create_sent_before, load_published_columns

if TYPE_CHECKING:
    import duckdb

RESULTS = (
    *("campaign", "shadow", "list_week", "shown_to", "metric", "customers", "lists", "mean_shadow", "mean_sent"),
    *("difference", "difference_low", "difference_high", "sentence"),
)  # fmt: skip
ALL = "all"  # of the weeks
SENT, HOLDOUT, DRAWN = "sent", "holdout", "drawn"
CAVEATS = {
    SENT: "They saw the list as sent and not the shadow's, and what is shown is bought more: a shadow that is level here is better.",
    HOLDOUT: "They saw neither list: the comparison is fair.",
    DRAWN: "Of slots that were drawn by lot: products that are on the shadow's list, too, beside those that are not; both were shown.",
}


def load_shadow_results(connection: duckdb.DuckDBPyConnection, week: date) -> pd.DataFrame:
    """How the lists of every shadow that is kept did beside those that were sent: columns `RESULTS`.

    Per week of the lists whose days are over, and over all of them (list_week all), with 95 % intervals for reading once; null
    where fewer than ten customers make a difference.

    Args:
        connection: to the build file of the week, with the snapshot attached.
        week: its Monday.
    """
    published = load_published_columns(connection)
    if "shadow_recommendations" not in published:
        return pd.DataFrame(columns=list(RESULTS))
    create_sent_before(connection, week)
    try:
        lists = connection.execute(read_sql(__file__, "sql/shadow_results"), {"week": week}).df()
        drawn = pd.DataFrame()
        if "propensity" in published.get("email_recommendations", ()):
            drawn = connection.execute(read_sql(__file__, "sql/shadow_draws"), {"week": week}).df()
    finally:
        connection.execute("drop view sent_before")
    parts = [part for part in (_compare_lists(lists), _compare_draws(drawn)) if len(part)]
    if not parts:
        return pd.DataFrame(columns=list(RESULTS))
    table = pd.concat(parts, ignore_index=True)
    order = ["campaign", "shadow", "list_week", "shown_to", "metric"]
    table = table.sort_values(order, kind="stable", ignore_index=True)
    return table.assign(sentence=table["shown_to"].map(CAVEATS))[list(RESULTS)]


def _compare_lists(rows: pd.DataFrame) -> pd.DataFrame:
    """Means per list, and the difference per list with its interval; customers are independent."""
    n, lists = rows["customers"].to_numpy(float), rows["lists"].to_numpy(float)
    gap = (rows["shadow_sum"] - rows["sent_sum"]).to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (rows["square_sum"].to_numpy(float) - gap**2 / n) / (n - 1)
        # Of the sum over customers, then per list.
        error = np.sqrt(np.maximum(spread, 0) * n) / lists
    known = (rows["differ"] >= LEAST_EXPECTED).to_numpy() & (n > 1)
    mean = gap / lists
    return rows.assign(
        mean_shadow=rows["shadow_sum"] / lists,
        mean_sent=rows["sent_sum"] / lists,
        difference=mean,
        difference_low=np.where(known, mean - ONCE * error, np.nan),
        difference_high=np.where(known, mean + ONCE * error, np.nan),
    )


def _compare_draws(rows: pd.DataFrame) -> pd.DataFrame:
    """Purchases per showing of drawn products on the shadow's list and of the others, weighed by one over their probability.

    Two ratio estimates and their difference, whose variance follows from the residuals (delta method); customers are
    independent, so that those of several weeks count together.

    Args:
        rows: campaign, shadow, customer_id, propensity, in_shadow, bought: one per drawn slot.
    """
    lines = []
    pairs = sorted(set(zip(rows["campaign"], rows["shadow"], strict=True))) if len(rows) else []
    for campaign, shadow in pairs:
        group = rows[(rows["campaign"] == campaign) & (rows["shadow"] == shadow)]
        weight = 1 / group["propensity"].to_numpy(float)
        bought = group["bought"].to_numpy(float)
        customer = pd.factorize(group["customer_id"])[0]
        on = group["in_shadow"].to_numpy(bool)
        totals = weight[on].sum(), weight[~on].sum()
        if not min(totals) or min(bought[on].sum(), bought[~on].sum()) < LEAST_EXPECTED:
            continue
        means = (weight * bought)[on].sum() / totals[0], (weight * bought)[~on].sum() / totals[1]
        pull = np.where(
            on, weight * (bought - means[0]) / totals[0], -weight * (bought - means[1]) / totals[1]
        )
        error = float(np.sqrt(np.square(np.bincount(customer, pull)).sum()))
        difference = means[0] - means[1]
        lines.append(
            {
                "campaign": campaign,
                "shadow": shadow,
                "list_week": ALL,
                "shown_to": DRAWN,
                "metric": "purchases",
                "customers": len(np.unique(customer)),
                "lists": len(group),
                "mean_shadow": means[0],
                "mean_sent": means[1],
                "difference": difference,
                "difference_low": difference - ONCE * error,
                "difference_high": difference + ONCE * error,
            }
        )
    return pd.DataFrame(lines)
