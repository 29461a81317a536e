"""The distributions of a week: of raw columns, of what the ranker is fed with, of the scores that were published.

Of a larger table a sample is looked at, drawn by a hash of its keys (by customer, where rows are a customer's), the same at every
run. What a week leaves to the next are counts by bin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recs_assets.monitoring.drift import (
    MISSING,
    OTHER,
    Distribution,
    compare,
    count_numbers,
    describe_numbers,
    describe_values,
    find_unseen,
    match_values,
)
from recs_assets.monitoring.figures import Figure
from recs_assets.ranking.features import FEATURES, TABLES
from recs_assets.schema import PERSONAL, RAW_TABLES, Table

if TYPE_CHECKING:
    import duckdb

    from recs_assets.monitoring.limits import Limits

# Raw tables of what there is, not of what happened: all of their rows are looked at.
ENTITIES = ("customers", "products", "merchants")
# Texts that people write, or that say who somebody is: never counted by value.
NOT_COUNTED = frozenset({*PERSONAL, "name", "title", "body", "query", "description", "attributes", "url", "image_url", "reason", "referrer"})  # fmt: skip
NUMBERS = ("DOUBLE", "BIGINT", "INTEGER", "SMALLINT", "FLOAT", "HUGEINT")
COLUMNS = ("as_of", "subject", "bin", "lower_edge", "rows")
# How many values a sentence names.
NAMED = 3

# Days since a date that never changes: everybody's grow by seven every week. The date is looked at in their place.
AGES = ("account_age_days", "days_on_sale", "days_since_first", "days_since_first_sale", "tenure_days")


@dataclass(frozen=True)
class Source:
    """Rows whose columns are looked at.

    Attributes:
        name: first part of the subjects.
        table: what stands after FROM.
        where: condition.
        key: column (or expression) that the sample is drawn by.
        columns: to look at -> what the subject calls it.
        metric: of their drift.
    """

    name: str
    table: str
    where: str
    key: str
    columns: dict[str, str]
    metric: str = "drift"


def list_sources(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    limits: Limits,
    tables: Iterable[Table] = tuple(RAW_TABLES.values()),
) -> list[Source]:
    """Every source of a week's build file, in the order of the subjects; `tables` are those that were landed."""
    columns: dict[str, dict[str, str]] = {}
    for schema, table, column, type_ in connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "where database_name = current_database() and schema_name in ('raw', 'features', 'model') "
        "order by schema_name, table_name, column_index"
    ).fetchall():
        columns.setdefault(f"{schema}.{table}", {})[column] = type_
    recent = f"date '{as_of - timedelta(days=limits.recent_days)}'", f"date '{as_of}'"
    sources = []
    for table in tables:
        there = columns.get(f"raw.{table.name}", {})
        wanted = {
            name: name for name, type_ in there.items()
            if name not in (*NOT_COUNTED, *table.personal, *table.references) and not name.endswith("_id") and (type_ in (*NUMBERS, "VARCHAR", "BOOLEAN"))
        }  # fmt: skip
        source, at, key = (
            f'raw."{table.name}"',
            table.event_at,
            " || ".join(f'"{name}"' for name in table.key),
        )
        if table.name == "order_items":
            # Lines have no time of their own: those of the last days' orders.
            source = (
                f"{source} semi join (from raw.orders where ordered_at >= {recent[0]} and ordered_at < {recent[1]}) "
                "using (order_id)"
            )
        where = "true"
        if "updated_at" in there and at is not None:
            # What an order became later is not known yet.
            where = f"(updated_at is null or updated_at < {recent[1]})"
        if at is not None:
            within = f"({at} is null or {at} < {recent[1]})" if table.name in ENTITIES else f"{at} >= {recent[0]} and {at} < {recent[1]}"  # fmt: skip
            where = f"{where} and {within}"
        sources.append(Source(table.name, source, where, key, wanted))
    used: dict[str, dict[str, str]] = {}
    for feature in FEATURES:
        if feature.table in TABLES:
            used.setdefault(feature.table, {})[feature.column] = feature.column
    for table, wanted in used.items():
        model, keys = TABLES[table]
        key = f"{keys[0]}_id" if keys[0] in ("customer", "product") else keys[0]
        there = columns.get(f"features.{model}", {})
        numeric = {name: name for name in wanted if there.get(name) in NUMBERS}
        ages = [
            f"(date '{as_of}' - date '1970-01-01') - {name} as {name}" for name in numeric if name in AGES
        ]
        rows = (
            f"(select * replace ({', '.join(ages)}) from features.{model})" if ages else f"features.{model}"
        )
        sources.append(Source(model, rows, f"as_of = date '{as_of}'", key, numeric))
    if traces := columns.get("model.traces"):
        ranks = {name: name for name in traces if name.startswith("rank_")}
        sources.append(Source("customer_recommendations", "model.traces", "true", "customer_id", ranks))
    for name, table, wanted in (
        ("customer_recommendations", "recommendations", ("score", "p_purchase")),
        ("email_recommendations", "email_selection", ("score", "p_purchase")),
    ):
        if f"model.{table}" in columns:
            sources.append(Source(name, f"model.{table}", "true", "customer_id", {column: column for column in wanted}, "score_drift"))  # fmt: skip
    return [source for source in sources if source.columns]


def find_every(connection: duckdb.DuckDBPyConnection, rows: str, most: int) -> int:
    """One of how many is looked at, so that of these rows (what stands after FROM) there are about `most`."""
    [(count,)] = connection.execute(f"select count(*) from {rows}").fetchall()
    return max(1, -(-count // most))


def load_samples(
    connection: duckdb.DuckDBPyConnection, source: Source, limits: Limits
) -> Iterator[tuple[str, pd.Series, int]]:
    """Subject, values and number of keys of every column of a source; texts as they are, numbers as float64.

    Rows of one customer are alike: what chance does is told by how many customers there are.
    """
    every = find_every(connection, f"{source.table} where {source.where}", limits.sample_rows)
    drawn = f" and hash({source.key}) % {every} = 0" if every > 1 else ""
    selected = ", ".join(f'"{column}"' for column in source.columns)
    frame = connection.execute(
        f"select hash({source.key}) as drawn_by, {selected} from {source.table} where {source.where}{drawn}"
    ).df()
    keys = int(frame["drawn_by"].nunique())
    for column, name in source.columns.items():
        values = frame[column]
        if pd.api.types.is_bool_dtype(values) or values.dtype == object or isinstance(values.dtype, pd.StringDtype):  # fmt: skip
            yield f"{source.name}.{name}", values.map(str, na_action="ignore").astype(object), keys
        else:
            yield f"{source.name}.{name}", values.astype(float), keys


def load_distributions(connection: duckdb.DuckDBPyConnection, week: date | None) -> dict[str, Distribution]:
    """What a published week left: subject -> distribution; nothing of no week."""
    if week is None:
        return {}
    rows = connection.execute(
        "select subject, bin, lower_edge, rows from published.recs.monitor_distributions where as_of = ? "
        f"order by subject, bin = '{MISSING}', bin = '{OTHER}', bin",
        [week],
    ).df()
    found = {}
    for subject, part in rows.groupby("subject", sort=False):
        # Of numbers the first bin has no lower edge; of texts none has.
        edges = part["lower_edge"].to_numpy(float, copy=True)
        edges[0] = -np.inf
        found[str(subject)] = Distribution(tuple(part["bin"]), edges, part["rows"].to_numpy(np.int64))
    return found


def measure_distributions(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    last: date | None,
    older: date | None,
    limits: Limits,
    tables: Iterable[Table] = tuple(RAW_TABLES.values()),
) -> tuple[list[Figure], pd.DataFrame]:
    """Every column's drift, and the distributions for the weeks to come.

    Args:
        connection: to the week's build file, with the snapshot attached as `published` where there is a `last`.
        as_of: the week.
        last: the newest earlier week that left distributions.
        older: the newest one at least a horizon before; None where that is `last`, or none.
        limits: of the monitor.
        tables: that were landed.

    Returns:
        Figures, and rows with `COLUMNS`.
    """
    before, long_before = load_distributions(connection, last), load_distributions(connection, older)
    figures: list[Figure] = []
    kept: list[pd.DataFrame] = []
    for source in list_sources(connection, as_of, limits, tables):
        for subject, values, keys in load_samples(connection, source, limits):
            now = _describe(values, limits)
            figures.append(_compare(source.metric, subject, values, keys, now, before.get(subject)))
            if source.metric == "drift":
                if now.edges is None:
                    figures.append(_find_unseen(subject, now, before.get(subject)))
                if older is not None:
                    figures.append(
                        _compare("drift_horizon", subject, values, keys, now, long_before.get(subject))
                    )
            kept.append(_tabulate(as_of, subject, now))
    return figures, pd.concat(kept, ignore_index=True)


def _describe(values: pd.Series, limits: Limits) -> Distribution:
    bins = limits.bins
    if values.dtype == object:
        return describe_values(values, bins.values, bins.min_rows)
    return describe_numbers(values.to_numpy(), bins.numbers, bins.min_rows)


def _compare(
    metric: str, subject: str, values: pd.Series, keys: int, now: Distribution, before: Distribution | None
) -> Figure:
    """The drift of a column, by the bins of the other week."""
    if before is None:
        return Figure(metric, subject, None, keys, weeks=0)
    if values.dtype == object or before.edges is None:
        matched = match_values(now, before.names)
    else:
        matched = count_numbers(values.to_numpy(), before.edges[:-1])  # the last: missing
    if now.rows == 0 or before.rows == 0:
        return Figure(metric, subject, None, 0, weeks=1)
    value, chance = compare(matched, before)
    rows_per_key = len(values) / max(keys, 1)
    few = min(keys, round(before.rows / rows_per_key))
    return Figure(metric, subject, value, few, weeks=1, chance=chance * rows_per_key)


def _find_unseen(subject: str, now: Distribution, before: Distribution | None) -> Figure:
    if before is None:
        return Figure("unseen", subject, None, now.rows, weeks=0)
    new = find_unseen(now, before.names)
    named = ", ".join(sorted(new, key=lambda name: (-new[name], name))[:NAMED])
    share = sum(new.values()) / now.rows if now.rows else None
    return Figure("unseen", subject, share, now.rows, weeks=1, note=f"New are {named}." if named else "")


def _tabulate(as_of: date, subject: str, now: Distribution) -> pd.DataFrame:
    edges = np.full(len(now.names), np.nan) if now.edges is None else now.edges
    rows = pd.DataFrame({"bin": now.names, "lower_edge": edges, "rows": now.counts})
    rows.insert(0, "subject", subject)
    rows.insert(0, "as_of", as_of)
    # No number is infinite in a published table: the first bin has no lower edge.
    return rows.assign(lower_edge=rows["lower_edge"].replace(-np.inf, np.nan))
