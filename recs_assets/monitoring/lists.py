"""What customers are shown, as a whole: coverage, novelty, sameness, Gini, churn, slots, customers with nothing."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from recs_assets.files import read_sql
from recs_assets.monitoring.distributions import find_every
from recs_assets.monitoring.figures import Figure

if TYPE_CHECKING:
    import duckdb

# Types that every campaign is asked of, also where none is filled so.
SLOT_TYPES = ("personal", "discovery", "fill")


def measure_lists(
    connection: duckdb.DuckDBPyConnection, as_of: date, published: bool, most: int
) -> list[Figure]:
    """Figures of the storefront's lists and of every campaign that fills slots.

    Args:
        connection: to the week's build file.
        as_of: the week.
        published: whether an earlier week is attached as `published`.
        most: rows of lists whose churn is looked at; of more, a sample of customers is drawn.
    """
    week: dict[str, date | int] = {"week": as_of}
    figures = []
    for name, customers, _, _, coverage, sameness, gini, novelty in connection.execute(
        read_sql(__file__, "sql/lists"), week
    ).fetchall():
        values = {"coverage": coverage, "sameness": sameness, "gini": gini, "novelty": novelty}
        figures += [Figure(metric, name, value, customers) for metric, value in values.items()]
    for name, customers, share in connection.execute(read_sql(__file__, "sql/nothing"), week).fetchall():
        figures.append(Figure("nothing", name, share, customers))
    shares: dict[str, dict[str, float]] = {}
    slots = {}
    for name, slot_type, share, count in connection.execute(read_sql(__file__, "sql/slots")).fetchall():
        shares.setdefault(name, dict.fromkeys(SLOT_TYPES, 0.0))[slot_type] = share
        slots[name] = count
    figures += [
        Figure("slots", f"{name}, {slot_type}", share, slots[name])
        for name, of_type in shares.items()
        for slot_type, share in of_type.items()
    ]
    if published:
        sample = week | {"every": find_every(connection, "model.recommendations", most)}
        for name, customers, churn in connection.execute(read_sql(__file__, "sql/churn"), sample).fetchall():
            figures.append(Figure("churn", name, churn, customers))
    return figures
