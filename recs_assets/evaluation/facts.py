"""What the gates judge by, read from the build file of a week and from the snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

import pandas as pd

from recs_assets.evaluation.verdict import Verdict
from recs_assets.files import read_sql
from recs_assets.schema import RAW_TABLES, Table

if TYPE_CHECKING:
    import duckdb

NO_VERDICTS = pd.DataFrame(columns=["gate", "subject", "value"])


def load_raw_volumes(
    connection: duckdb.DuckDBPyConnection, week: date, tables: Iterable[Table] = tuple(RAW_TABLES.values())
) -> dict[str, int]:
    """Raw rows known before the week, per table, and those of its last 7 days ("<table>, last 7
    days") where rows have a time. A line of an order has the order's."""
    counts = {}
    for table in tables:
        at, source = table.event_at, f'raw."{table.name}"'
        if table.name == "order_items":
            # The file may hold an order twice; its lines count once.
            source = f"{source} join (select order_id, min(ordered_at) as ordered_at from raw.orders group by order_id) using (order_id)"
            at = "ordered_at"
        begin, end = f"date '{week - timedelta(days=7)}'", f"date '{week}'"
        recent = f"{at} >= {begin} and {at} < {end}" if at else "false"
        known = f"{at} is null or {at} < {end}" if at else "true"
        total, last = connection.execute(
            f"select count(*) filter (where {known}), count(*) filter (where {recent}) from {source}"
        ).fetchall()[0]
        counts[table.name] = total
        if at:
            counts[f"{table.name}, last 7 days"] = last
    return counts


def load_newest_order(connection: duckdb.DuckDBPyConnection, week: date) -> tuple[datetime | None, int]:
    """Time of the newest raw order before the week, None without any; and how many there are."""
    return connection.execute(
        "select max(ordered_at), count(*) from raw.orders where ordered_at < $week", {"week": week}
    ).fetchall()[0]


class WithdrawalCounts(TypedDict):
    """Of a week: withdrawals, those that match no customer (unmatched), those of erased people who
    are in no file any more (gone), as many as may be unmatched (allowed); and customers with a usable
    address, None where the shop keeps no addresses in its files (addresses)."""

    withdrawals: int
    unmatched: int
    gone: int
    allowed: int
    addresses: int | None


def load_withdrawal_counts(connection: duckdb.DuckDBPyConnection) -> WithdrawalCounts:
    """What became of everybody who said no in a week's build file."""
    withdrawals, unmatched, gone, allowed = connection.execute(
        "select withdrawals, unmatched, gone, allowed from staging.stg_withdrawals_counted"
    ).fetchall()[0]
    usable, customers = connection.execute(
        "select count(*) filter (where address_kind = 'usable'), count(*) from intermediate.int_customer_addresses"
    ).fetchall()[0]
    return {
        "withdrawals": withdrawals,
        "unmatched": unmatched,
        "gone": gone,
        "allowed": int(allowed),
        "addresses": usable if customers else None,
    }


def load_unknown_event_types(connection: duckdb.DuckDBPyConnection, week: date) -> dict[str, int]:
    """Types of the week's campaign events that are not known -> rows, the most frequent first. What
    does not look like a word is counted as "other"."""
    return dict(connection.execute(read_sql(__file__, "sql/unknown_event_types"), {"week": week}).fetchall())


def load_consent_sentences(snapshot: duckdb.DuckDBPyConnection, week: date) -> list[str]:
    """What the published week says of everybody who said no: how many match no customer, 0 too."""
    rows = snapshot.execute(
        "select sentence from recs.gates where as_of = ? and gate = 'consent' order by subject desc", [week]
    ).fetchall()
    return [sentence for (sentence,) in rows]


def load_published_campaigns(snapshot: duckdb.DuckDBPyConnection, week: date) -> set[str]:
    """The campaigns of a week that were published."""
    if not _holds(snapshot, "campaign_outcomes"):
        return set()
    rows = snapshot.execute("select distinct campaign from recs.campaign_outcomes where as_of = $1", [week])
    return {name for (name,) in rows.fetchall()}


def load_published_verdicts(
    snapshot: duckdb.DuckDBPyConnection, week: date, gates: Sequence[str], subjects: Sequence[str]
) -> list[Verdict]:
    """What some gates said of some subjects when the week was published."""
    if not subjects or not _holds(snapshot, "gates"):
        return []
    columns = "gate, subject, value, limit_low, limit_high, passed, sentence, overridden, reason"
    rows = snapshot.execute(
        f"""
        select {columns} from recs.gates
        where as_of = $1 and list_contains($2, gate) and list_contains($3, subject) order by subject, gate
        """,
        [week, list(gates), list(subjects)],
    ).fetchall()
    return [Verdict(*row[:6], row[6].removesuffix("."), *row[7:]) for row in rows]


def _holds(snapshot: duckdb.DuckDBPyConnection, table: str) -> bool:
    asked = "select count(*) from information_schema.tables where table_schema = 'recs' and table_name = $1"
    return snapshot.execute(asked, [table]).fetchall()[0][0] > 0


def load_earlier_verdicts(
    snapshot: duckdb.DuckDBPyConnection, week: date
) -> tuple[date | None, pd.DataFrame]:
    """The newest published week before this one that has verdicts, and its rows of `recs.gates`.

    None, and no rows, where there is no such week in the snapshot.
    """
    if not _holds(snapshot, "gates"):
        return None, NO_VERDICTS
    rows = snapshot.execute(
        """
        select as_of, gate, subject, value from recs.gates
        where as_of = (select max(as_of) from recs.gates where as_of < $week) order by gate, subject
        """,
        {"week": week},
    ).fetchall()
    if not rows:
        return None, NO_VERDICTS
    return rows[0][0], pd.DataFrame([row[1:] for row in rows], columns=list(NO_VERDICTS))
