"""What there is: rows of every table, since when and until when, how fresh, and days on which rows are missing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from recs_assets.audit.findings import SHOP, Finding
from recs_assets.audit.rhythm import Gap, find_gaps
from recs_assets.audit.words import count, share
from recs_assets.schema import Table
from recs_assets.sources.declared import list_some

if TYPE_CHECKING:
    import duckdb

# Times before it are mistakes of a clock (dbt: row_checks.sql).
OLDEST_PLAUSIBLE = date(1990, 1, 1)
STALE_DAYS = 8
SHORT_HISTORY_DAYS = 182
# Fewer days with rows have no rhythm.
MIN_DAYS = 8
GAPS_NAMED = 3


def list_tables(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    tables: Mapping[str, Table],
    files: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Rows, period and freshness of every raw table that has rows; the empty ones in one sentence.

    Args:
        connection: to the build file of a week.
        as_of: rows from here on are not counted.
        tables: of the source, by name.
        files: which files a table was landed from, as the sentence shows them.
    """
    findings, empty = [], []
    for name, table in tables.items():
        rows, since, until = _count_rows(connection, name, table.event_at, as_of)
        if not rows:
            empty.append(name)
            continue
        sentence = f"{name}: {count(rows, 'row')}"
        if since is not None and until is not None:
            sentence += f" from {since} to {until}"
        if files and files.get(name):
            sentence += f" ({files[name]})"
        findings.append(Finding("inventory", name, "rows", rows, "rows", "good", f"{sentence}."))
        if until is not None:
            findings.append(_judge_freshness(name, (as_of - until).days, until, as_of))
    if empty:
        findings.append(
            Finding(
                "inventory", SHOP, "empty_tables", len(empty), "tables", "good", f"No rows of {list_some(empty, 20)}."
            )
        )  # fmt: skip
    return findings


def _count_rows(
    connection: duckdb.DuckDBPyConnection, name: str, event_at: str | None, as_of: date
) -> tuple[int, date | None, date | None]:
    """Rows known at `as_of`, and the days of the first and the last with a plausible time."""
    if event_at is not None:
        [(rows, since, until)] = connection.execute(
            f"""
            select count(*), min({event_at}) filter ({event_at} >= $oldest), max({event_at}) filter ({event_at} >= $oldest)
            from raw."{name}" where {event_at} is null or {event_at} < $as_of
            """,
            {"as_of": as_of, "oldest": OLDEST_PLAUSIBLE},
        ).fetchall()
        return rows, None if since is None else since.date(), None if until is None else until.date()
    where, values = "", {}
    if name == "order_items":  # as old as their orders; lines without an order have no age
        where = """
            where not list_contains(
                (select coalesce(list(distinct order_id), []) from raw.orders where ordered_at >= $as_of and
                 order_id not in (select order_id from raw.orders where order_id is not null and (ordered_at < $as_of or ordered_at is null))),
                order_id) or order_id is null
        """
        values = {"as_of": as_of}
    [(rows,)] = connection.execute(f'select count(*) from raw."{name}" {where}', values).fetchall()
    return rows, None, None


def _judge_freshness(name: str, days: int, until: date, as_of: date) -> Finding:
    stale = name == "orders" and days > STALE_DAYS
    sentence = f"The newest row of {name} is of {until}, {count(days, 'day')} before {as_of}."
    if stale:
        sentence += " Export the orders that are missing, or what is recommended is out of date."
    return Finding("inventory", name, "freshness", days, "days", "look" if stale else "good", sentence)


def judge_history(
    connection: duckdb.DuckDBPyConnection, as_of: date, earliest: date, tables: Mapping[str, Table]
) -> list[Finding]:
    """How long orders were kept, and per table the days on which rows are missing.

    Args:
        connection: to the build file of a week.
        as_of: rows from here on are not counted.
        earliest: of the dates at which this week learns.
        tables: of the source, by name.
    """
    findings = []
    _, since, until = _count_rows(connection, "orders", "ordered_at", as_of)
    if since is not None and until is not None:
        days = (as_of - since).days
        sentence = f"Orders go back {count(days, 'day')}, to {since}."
        short = days < SHORT_HISTORY_DAYS or since >= earliest
        if since >= earliest:
            sentence += f" The ranker would learn at {earliest} and later dates, so the first weeks are learned from less."
        elif short:
            sentence += " With less than half a year it is hard to tell a habit from a season: bring older orders where you have them."
        findings.append(
            Finding("history", "orders", "history", days, "days", "look" if short else "good", sentence)
        )
    for name, table in tables.items():
        if table.event_at is not None:
            findings += _judge_rhythm(connection, name, table.event_at, as_of)
    return findings


def _judge_rhythm(
    connection: duckdb.DuckDBPyConnection, name: str, event_at: str, as_of: date
) -> list[Finding]:
    per_day = dict(
        connection.execute(
            f"""
            select {event_at}::date, count(*) from raw."{name}"
            where {event_at} < $as_of and {event_at} >= $oldest group by all
            """,
            {"as_of": as_of, "oldest": OLDEST_PLAUSIBLE},
        ).fetchall()
    )
    if len(per_day) < MIN_DAYS:
        return []
    first = min(per_day)
    counts = [per_day.get(first + timedelta(days=day), 0) for day in range((as_of - first).days)]
    gaps = find_gaps(first, counts)
    long = [gap for gap in gaps if gap.is_long]
    days = sum(gap.days for gap in gaps)
    if not gaps:
        sentence = f"{name}: no day is missing from its rhythm."
    elif not long:
        sentence = f"{name}: {count(days, 'single day')} without rows ({_list_gaps(gaps)}), as on holidays."
    else:
        lost = sum(gap.expected for gap in long) / (sum(counts) + sum(gap.expected for gap in long))
        sentence = (
            f"{name}: {count(sum(gap.days for gap in long), 'day')} without rows where the rhythm has some ({_list_gaps(long)}; "
            f"about {share(lost)} of all rows): tracking was lost, an export is cut, or the shop was closed."
        )
    return [Finding("history", name, "missing_days", days, "days", "look" if long else "good", sentence)]


def _list_gaps(gaps: list[Gap]) -> str:
    return list_some(
        [str(gap.first) if gap.first == gap.last else f"{gap.first} to {gap.last}" for gap in gaps],
        GAPS_NAMED,
    )
