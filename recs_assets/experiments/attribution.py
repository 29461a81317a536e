"""What the recommendations did: which purchase followed which touch, what came of every list, and what it changed.

Everything is worked out again every week, for every week whose lists are kept, from what is known by then: late events
and late returns count. The rows of earlier weeks' lists come from the published snapshot, everything else from
the week's build file. The statements are in `sql/`; what they share are temporary tables of one connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recs_assets.experiments.metrics import METRICS
from recs_assets.experiments.moments import Values, add_up, compare, measure
from recs_assets.files import read_sql
from recs_assets.known.published import load_published_columns

if TYPE_CHECKING:
    import duckdb

# By what the results are taken apart, one at a time: of these, some belong to the customer, the others to the row.
OF_CUSTOMERS = ("arm", "segment")
OF_ROWS = ("list", "slot", "slot_type", "reason", "source")
OF_PRODUCTS = ("product", "category")
# Of a normal distribution, 95 in 100 values are within so many standard errors.
BOUND = 1.959964
# Columns of a published row, by type. Published table -> what it calls some of them.
ROW = {
    "recommendation_id": "varchar", "as_of": "date", "campaign": "varchar", "customer_id": "varchar",
    "profile_id": "varchar", "product_id": "varchar", "rank": "integer", "slot_type": "varchar", "reason_code": "varchar",
    "source": "varchar", "arm": "varchar", "send_at": "timestamp with time zone",
}  # fmt: skip
EMAIL = {"rank": "slot"}
BESIDE = {"product_id": "neighbour_id"}
LISTS = {
    "email_recommendations": EMAIL,
    "customer_recommendations": {},
    "buy_it_again": {},
    "frequently_bought_together": BESIDE,
    "similar_products": BESIDE,
}


@dataclass(frozen=True)
class Windows:
    """For how many days a touch may win a purchase.

    Attributes:
        click_days: one that was clicked.
        view_days: one that was shown, or in an email that was opened.
    """

    click_days: int = 7
    view_days: int = 1


@dataclass(frozen=True)
class Results:
    """The tables, as they are published.

    Attributes:
        attributions: one row per order line that followed a touch.
        results: one row per campaign or placement, week, dimension and value.
        revenue: one row per week and whether it came through a recommendation.
    """

    attributions: pd.DataFrame
    results: pd.DataFrame
    revenue: pd.DataFrame


def attribute(connection: duckdb.DuckDBPyConnection, as_of: date, timezone: str, windows: Windows) -> Results:
    """Everything from one connection to the build file of a week.

    Args:
        connection: with the published snapshot attached as `published`, where there is one.
        as_of: the week; nothing from it on is read.
        timezone: of the shop, in which its times are stored.
        windows: for how long a touch counts.
    """
    _define_lists(connection, as_of)
    weeks = [
        week
        for (week,) in connection.execute(
            "select distinct cast(date_trunc('week', as_of) as date) from listed order by 1"
        ).fetchall()
    ]
    for name, value in {
        "as_of": f"date '{as_of}'",
        "since": f"date '{min(weeks, default=as_of)}'",
        "timezone": f"'{timezone}'",
        "click_days": windows.click_days,
        "view_days": windows.view_days,
    }.items():
        connection.execute(f"set variable {name} = {value}")
    connection.execute(read_sql(__file__, "sql/setup"))
    gains, until = [], as_of
    for week in reversed(weeks):
        connection.execute(f"set variable week = date '{week}'; set variable until = date '{until}'")
        connection.execute(read_sql(__file__, "sql/week"))
        for is_of_product, dimensions in ((False, ("all", *OF_CUSTOMERS, *OF_ROWS)), (True, OF_PRODUCTS)):
            tallies = f"(select * from tallies where is_of_product = {is_of_product})"
            connection.execute(f"insert into counts by name {_group('counts', tallies, dimensions)}")
        connection.execute(
            f"insert into sessions by name {_group('sessions', 'visits', ('all', *OF_CUSTOMERS))}"
        )
        gains += _compare_with_holdout(connection, week)
        until = week
    attributions = connection.execute(read_sql(__file__, "sql/attributions")).df()
    everything = ("all", *OF_CUSTOMERS, *OF_ROWS, *OF_PRODUCTS)
    connection.execute(f"create or replace temp table sales as {_group('sales', 'won', everything)}")
    if gains:
        connection.executemany("insert into gained values (?, ?, ?, ?, ?, ?)", gains)
    return Results(
        attributions,
        connection.execute(read_sql(__file__, "sql/results")).df(),
        connection.execute(read_sql(__file__, "sql/recommended_revenue")).df(),
    )


# What is added up of every group.
FIGURES = {
    "counts": "getvariable('week') as week, "
    + ", ".join(
        f"cast(sum({name}) as bigint) as {name}"
        for name in (
            "recommendations", "sent", "sends", "shown", "opened", "clicks", "useful_clicks", "add_to_carts",
        )
    ),
    "sessions": "getvariable('week') as week, count(distinct session_id) as sessions",
    "sales": """
        week, count(*) as purchases, cast(sum(cast(net_amount as decimal(38, 6))) as double) as revenue,
        cast(sum(cast(margin as decimal(38, 6))) as double) as margin
    """,
}  # fmt: skip


def _group(figures: str, table: str, dimensions: Sequence[str]) -> str:
    """Figures of every campaign, for every value of one dimension at a time; rows without a value are only in all."""
    keys = "channel, campaign" + (", week" if figures == "sales" else "")
    names = [name for name in dimensions if name != "all"]
    which = " ".join(f"when grouping({name}) = 0 then '{name}'" for name in names)
    value = " ".join(f"when grouping({name}) = 0 then cast({name} as varchar)" for name in names)
    sets = ", ".join(f"({keys}, {name})" if name in names else f"({keys})" for name in dimensions)
    return f"""
        select channel, campaign, {FIGURES[figures]},
            case {which} else 'all' end as dimension, case {value} else 'all' end as value
        from {table} group by grouping sets ({sets}) having value is not null
    """


def _define_lists(connection: duckdb.DuckDBPyConnection, as_of: date) -> None:
    """Views of the published rows of lists of earlier weeks: `listed`, and `held_out` of emails that were not sent."""
    there = load_published_columns(connection)
    nothing = f"select {', '.join(f'cast(null as {type_}) as {name}' for name, type_ in ROW.items())}, '' as list limit 0"
    parts = [
        _select_rows(f"published.recs.{table}", f"'{table}'", there[table], names, as_of)
        for table, names in LISTS.items()
        if table in there
    ]
    nightly = {"recommendation_id", "as_of", "customer_id", "product_id", "rank"}
    parts.append(_select_rows("model.nightly_recommendations", "list", nightly, {}, as_of))
    connection.execute(f"create or replace temp view listed as {' union all '.join(parts)}")
    held = nothing
    if "email_holdout" in there:
        held = _select_rows("published.recs.email_holdout", "''", there["email_holdout"], EMAIL, as_of)
    connection.execute(f"create or replace temp view held_out as {held}")


def _select_rows(table: str, label: str, there: set[str], names: dict[str, str], as_of: date) -> str:
    """The columns of `ROW` of a published table; what it lacks, or an earlier version of it lacked, is null.

    A product beside a product has no customer of its own: whoever sees it is the event's.
    """
    columns = [
        f"cast({names.get(name, name) if names.get(name, name) in there else 'null'} as {type_}) as {name}"
        for name, type_ in ROW.items()
    ]
    return f"select {', '.join(columns)}, {label} as list from {table} where as_of < date '{as_of}'"


def _compare_with_holdout(connection: duckdb.DuckDBPyConnection, week: date) -> list[tuple]:
    """Of every campaign that holds customers out in a week: how many, and what the others spent more, in all.

    The customers' spend of the eight weeks before the first of them was held out takes out noise (CUPED).
    """
    rows = connection.execute(read_sql(__file__, "sql/spend")).df()
    gains = []
    for campaign, part in rows.groupby("campaign", sort=True):
        group = part["is_held_out"].to_numpy().astype(int)
        values = Values(part["after_send"].to_numpy()[:, None], before=part["before_start"].to_numpy())
        totals, _ = add_up(values, METRICS["revenue"], slice(0, 1))
        moments = measure(totals, group, 2)
        comparison = compare(moments, np.array([0]), np.array([1]), in_logs=False)
        gain = [
            None if np.isnan(end[0]) else round(float(end[0] * moments.n[0]), 6)
            for end in comparison.find_interval(BOUND)
        ]
        gains.append((campaign, week, int(moments.n[1]), *gain))
    return gains
