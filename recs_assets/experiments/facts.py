"""What experiments are judged by, read from the build file of a week and from the snapshot."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recs_assets.experiments.file import Experiment
from recs_assets.experiments.metrics import METRICS
from recs_assets.experiments.moments import Values
from recs_assets.files import read_sql
from recs_assets.known.published import create_sent_before, load_published_columns

if TYPE_CHECKING:
    import duckdb

ASSIGNMENT = ("experiment", "campaign", "customer_id", "arm", "assigned_at")
# Of customers before an experiment, what it may differ by: how many orders they had placed.
DEPTHS = ("no order", "1 or 2 orders", "3 orders or more")


def load_assignments(
    connection: duckdb.DuckDBPyConnection, week: date, experiments: Collection[str] | None = None
) -> pd.DataFrame:
    """Who was assigned before a week, as it was published: columns `ASSIGNMENT`, one row per experiment and customer.

    Whoever was two customers then stays in the arm that they had first, of two of one week in that of the id that they are called
    by. Neither has to do with the lot, so the arms keep their shares and stay comparable; who was in two arms takes from
    the difference and adds nothing to it.

    Args:
        connection: to the build file of the week, with the snapshot attached (`Warehouse.attach_snapshot`).
        week: its Monday.
        experiments: their names; None: all.
    """
    if "assignments" not in load_published_columns(connection):
        return pd.DataFrame({name: pd.Series(dtype="str") for name in ASSIGNMENT})
    return connection.execute(
        f"""
        select {", ".join(ASSIGNMENT)} from published.recs.assignments
        where assigned_at < $week and ($names is null or list_contains($names, experiment))
        qualify row_number() over (
            partition by experiment, customer_id order by assigned_at, profile_id <> customer_id, profile_id
        ) = 1
        order by experiment, customer_id
        """,
        {"week": week, "names": None if experiments is None else list(experiments)},
    ).df()


def load_exposures(connection: duckdb.DuckDBPyConnection, week: date, assigned: pd.DataFrame) -> pd.DataFrame:
    """The rows of `recs.assignments`: columns `ASSIGNMENT` and exposed_at, of those who are customers still.

    Args:
        connection: to the build file of the week.
        week: its Monday.
        assigned: columns `ASSIGNMENT`.
    """
    connection.register("assigned", assigned)
    try:
        return connection.execute(read_sql(__file__, "sql/assignments"), {"week": week}).df()
    finally:
        connection.unregister("assigned")


def load_counts(connection: duckdb.DuckDBPyConnection, week: date, experiment: str) -> dict[str, int]:
    """Customers per arm that were assigned until the newest published week before this one, gone ones with them."""
    if "experiments" not in load_published_columns(connection):
        return {}
    return dict(
        connection.execute(
            """
            select arm, assigned from published.recs.experiments
            where experiment = $name and as_of = (
                select max(as_of) from published.recs.experiments where experiment = $name and as_of < $week
            )
            """,
            {"name": experiment, "week": week},
        ).fetchall()
    )


def load_first_digest(connection: duckdb.DuckDBPyConnection, week: date, experiment: str) -> str | None:
    """`Experiment.digest` of the first published week of an experiment that is kept; None before it."""
    if "experiments" not in load_published_columns(connection):
        return None
    [(digest,)] = connection.execute(
        "select min_by(file_digest, as_of) from published.recs.experiments where experiment = $name and as_of < $week",
        {"name": experiment, "week": week},
    ).fetchall()
    return digest


class Facts:
    """What the customers of one experiment did up to a week, and before its start.

    Args:
        connection: to the build file of the week, with the snapshot attached; `close` leaves nothing behind.
        week: its Monday; nothing dated on it or later counts.
        campaign: whose lists differ.
        starts: the first Monday.
        before_weeks: before it.
        customers: columns customer_id (unique) and slots, the slots of a list in their arm.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        week: date,
        campaign: str,
        starts: date,
        before_weeks: int,
        customers: pd.DataFrame,
    ) -> None:
        self.connection, self.size = connection, len(customers)
        self.weeks, self.before_weeks = (week - starts).days // 7, before_weeks
        self._parameters = {
            "campaign": campaign,
            "starts": starts,
            "begin": starts - timedelta(weeks=before_weeks),
            "until": min(week, starts + timedelta(weeks=self.weeks)),
        }
        create_sent_before(connection, week)
        connection.register(
            "experiment_customers",
            customers[["customer_id", "slots"]].assign(customer=np.arange(self.size, dtype=np.int32)),
        )

    def close(self) -> None:
        """Drop what the connection got."""
        self.connection.unregister("experiment_customers")
        self.connection.execute("drop view if exists sent_before")

    @cached_property
    def _lines(self) -> dict[str, np.ndarray]:
        return self._fetch("lines")

    @cached_property
    def _events(self) -> dict[str, np.ndarray]:
        return self._fetch("events")

    def _fetch(self, name: str) -> dict[str, np.ndarray]:
        rows = self.connection.execute(read_sql(__file__, f"sql/{name}"), self._parameters).df()
        return {column: rows[column].to_numpy() for column in rows}

    def read(self, metric: str) -> Values:
        """The values of a metric of `metrics.METRICS`, of customers in their order."""
        of = METRICS[metric]
        amounts, before = self._spread(of.amount)
        if of.per is None:
            return Values(amounts, before=before)
        # What came back is a part of what was paid before.
        per, before_per = self._spread("gross" if metric == "returns" else of.per)
        return Values(amounts, per, before, before_per)

    def _spread(self, amount: str) -> tuple[np.ndarray, np.ndarray]:
        """float64[n, weeks], and float64[n] of all weeks before the start."""
        rows = self._lines if amount in self._lines else self._events
        customer, week, value = rows["customer"], rows["week"], rows[amount]
        amounts, before = np.zeros((self.size, self.weeks)), np.zeros(self.size)
        since = week >= 0
        amounts[customer[since], week[since]] = value[since]
        np.add.at(before, customer[~since], value[~since])
        return amounts, before

    def load_segments(self) -> dict[str, np.ndarray]:
        """What customers may differ by, known before the start: segment, country, orders."""
        rows = self.connection.execute(
            """
            select customers.customer, people.segment, people.country,
                count(distinct baskets.order_id) filter (where baskets.units > 0) as orders
            from experiment_customers as customers
            join marts.customers as people on customers.customer_id = people.customer_id
            left join marts.baskets as baskets
                on customers.customer_id = baskets.customer_id and baskets.ordered_at < $starts
            group by all order by customers.customer
            """,
            {"starts": self._parameters["starts"]},
        ).df()
        depth = np.digitize(rows["orders"].to_numpy(), [1, 3])
        return {
            "segment": rows["segment"].to_numpy(object),
            "country": rows["country"].to_numpy(object),
            "orders before": np.array(DEPTHS, dtype=object)[depth],
        }


def find_joining_weeks(experiment: Experiment, assigned_at: pd.Series) -> np.ndarray:
    """int64[n]: the week of the experiment in which a customer was assigned, from 1."""
    days = (pd.to_datetime(assigned_at) - pd.Timestamp(experiment.starts)).dt.days
    return (days // 7 + 1).to_numpy(np.int64)
