"""Tables of schema `recs`: copied with their comments, counted and hashed, and the log of what was published."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import duckdb

from recs_assets.store.lake import LakeFile, load_files
from recs_assets.store.text import quote

LOG = "publish_log"
# Of a table under None, and of its columns.
Comments = dict[str | None, str]
LOG_COLUMNS = {
    "published_at": ("timestamp", "Wall-clock time of the switch, in UTC."),
    "action": (
        "varchar",
        "publish (newest week), backfill (an older week), rollback (a copy of an older version) or forget "
        "(this version without a customer's rows).",
    ),
    "as_of": ("date", "Monday of the week that was published."),
    "run_id": ("varchar", "Dagster run that made the tables."),
    "version": ("varchar", "Version of recs_assets."),
    "snapshot_file": ("varchar", "File that held these tables from then on."),
    "row_counts": ("varchar", "Rows per table, JSON."),
    "content_hashes": (
        "varchar",
        "Content hash per table, JSON; equal hashes of one version of DuckDB mean equal rows.",
    ),
    "from_file": ("varchar", "File that was current, or was written again, before."),
    "copy_of": ("varchar", "File whose tables a rollback brought back."),
}


@dataclass(frozen=True)
class LogEntry:
    """One row of recs.publish_log, without its counts and hashes."""

    now: datetime
    action: str
    week: date
    run_id: str
    version: str
    from_file: str | None
    copy_of: str | None = None


def list_tables(connection: duckdb.DuckDBPyConnection, database: str | None) -> list[str]:
    """Names in schema `recs` of an attached database (None: the one that is open), sorted."""
    names = connection.execute(
        "select table_name from duckdb_tables() where schema_name = 'recs' "
        "and database_name = coalesce(?, current_database())",
        [database],
    ).fetchall()
    return sorted({*(name for (name,) in names), *list_lake_tables(connection, database)})


def list_lake_tables(
    connection: duckdb.DuckDBPyConnection, database: str | None
) -> dict[str, list[LakeFile]]:
    """Tables of schema `recs` whose rows lie in the lake, with their files."""
    files = load_files(connection, database)
    return {name.removeprefix("recs."): files[name] for name in files if name.startswith("recs.")}


def list_columns(connection: duckdb.DuckDBPyConnection, database: str, table: str) -> list[str]:
    """Names of a table of schema `recs` in an attached database."""
    return list(list_types(connection, database, table))


def list_types(connection: duckdb.DuckDBPyConnection, database: str, table: str) -> dict[str, str]:
    """Column -> its type, of a table of schema `recs` in an attached database."""
    # Not `duckdb_columns`, which looks into the files of every view there is.
    rows = connection.execute(f'describe {database}.recs."{table}"').fetchall()
    return {name: kind for name, kind, *_ in rows}


def write_log(
    connection: duckdb.DuckDBPyConnection,
    entry: LogEntry,
    file: str,
    rows: Mapping[str, int],
    hashes: Mapping[str, str],
    before: str | None,
) -> None:
    """Write snapshot.recs.publish_log: the log of the attached database `before`, and one more row."""
    connection.execute(
        f"create table snapshot.recs.{LOG} ("
        + ", ".join(f"{name} {type_}" for name, (type_, _) in LOG_COLUMNS.items())
        + ")"
    )
    if before is not None:
        connection.execute(f"insert into snapshot.recs.{LOG} by name from {before}.recs.{LOG}")
    connection.execute(
        f"insert into snapshot.recs.{LOG} values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            entry.now,
            entry.action,
            entry.week,
            entry.run_id,
            entry.version,
            file,
            json.dumps(dict(rows), sort_keys=True),
            json.dumps(dict(hashes), sort_keys=True),
            entry.from_file,
            entry.copy_of,
        ],
    )
    connection.execute(
        f"comment on table snapshot.recs.{LOG} is 'One row per switch of the published snapshot: what was "
        "published, when and by which run.'"
    )
    for name, (_, text) in LOG_COLUMNS.items():
        connection.execute(f"comment on column snapshot.recs.{LOG}.{name} is '{quote(text)}'")


def copy_table(
    connection: duckdb.DuckDBPyConnection,
    origin: str,
    table: str,
    comments: Mapping[str, Comments],
    personal: str | None,
    other: str | None = None,
) -> None:
    """Copy one table of schema recs into the snapshot with its comments.

    Rows that fail `personal` (a condition, for tables with a customer_id) or `other` stay behind: they
    are never written, since a row that is deleted afterwards may survive in the file's free blocks.
    """
    keyed = "customer_id" in list_columns(connection, origin, table)
    conditions = [condition for condition in (personal if keyed else None, other) if condition]
    where = f"where {' and '.join(conditions)}" if conditions else ""
    connection.execute(f'create table snapshot.recs."{table}" as from {origin}.recs."{table}" {where}')
    comment_on(connection, "table", table, comments)


def load_comments(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, Comments]:
    """Table or view of schema `recs` of an attached database -> its comment, under None, and those of its columns."""
    comments: dict[str, Comments] = {}
    for table, column, text in connection.execute(
        """
        select table_name, null, comment from duckdb_tables()
        where database_name = $database and schema_name = 'recs'
        union all
        select view_name, null, comment from duckdb_views()
        where database_name = $database and schema_name = 'recs'
        union all
        select table_name, column_name, comment from duckdb_columns()
        where database_name = $database and schema_name = 'recs'
        """,
        {"database": database},
    ).fetchall():
        if text:
            comments.setdefault(table, {})[column] = text
    return comments


def comment_on(
    connection: duckdb.DuckDBPyConnection, kind: str, table: str, comments: Mapping[str, Comments]
) -> None:
    """Give a table or a view (`kind`) of the snapshot its comments."""
    for column, text in comments.get(table, {}).items():
        place = (
            f'{kind} snapshot.recs."{table}"'
            if column is None
            else f'column snapshot.recs."{table}"."{column}"'
        )
        connection.execute(f"comment on {place} is '{quote(text)}'")


def copy_views(connection: duckdb.DuckDBPyConnection, origin: str, comments: Mapping[str, Comments]) -> None:
    """Create the views of schema recs of an attached database in the snapshot, with their comments.

    Their tables are copied already. Inside the snapshot a view names them without the database, because the file
    is opened under other names.
    """
    views = connection.execute(
        """
        select view_name, sql from duckdb_views()
        where database_name = ? and schema_name = 'recs' and not internal order by 1
        """,
        [origin],
    ).fetchall()
    lake = list_lake_tables(connection, origin)
    [(before,)] = connection.execute("select current_database()").fetchall()
    connection.execute("use snapshot.recs")
    try:
        for view, sql in views:
            if view not in lake:
                connection.execute(re.sub(r'("?)\b\w+\1\.("?)recs\2\.', "recs.", sql))
                comment_on(connection, "view", view, comments)
    finally:
        connection.execute(f"use {before}")


def describe_tables(
    connection: duckdb.DuckDBPyConnection, database: str, tables: list[str]
) -> tuple[dict[str, int], dict[str, str]]:
    """Row count and content hash per table.

    The hash is the row count and the sum of each row's 64 bits from DuckDB's `hash`, so it does not
    depend on row order and notices a row that is there twice. MD5 of the row as text took twenty times
    as long; what it gave beyond this, equal hashes across versions of DuckDB, nobody compares.
    """
    rows: dict[str, int] = {}
    hashes: dict[str, str] = {}
    lake = list_lake_tables(connection, database)
    for table in tables:
        if table in lake:  # counted file by file
            rows[table] = sum(file.rows or 0 for file in lake[table])
            hashes[table] = f"{rows[table]}:{sum(file.content or 0 for file in lake[table]):x}"
            continue
        count, total = connection.execute(
            f'select count(*), sum(hash(t)::hugeint) from {database}.recs."{table}" as t'
        ).fetchall()[0]
        rows[table] = count
        hashes[table] = f"{count}:{total if total is not None else 0:x}"
    return rows, hashes


def is_customer_still(customers: str, has_ids: bool) -> str:
    """Condition that a row's customer has not been erased since the row's own week.

    Args:
        customers: the newest table of customers.
        has_ids: it has all ids of a person, who may have been called by another one then.
    """
    known = f"unnest({'customer_ids' if has_ids else '[customer_id]'})"
    return f"customer_id in (select {known} from {customers})"


def write_kept(
    table: str, columns: Collection[str], customer_id: str, visitors: Collection[str], rejected: str
) -> tuple[str, str | None]:
    """Conditions of the rows of a published table that are not a customer's: by the column customer_id, and by others.

    Args:
        table: its name.
        columns: that it has.
        customer_id: whose rows.
        visitors: whose rows are theirs, too.
        rejected: condition of their rows of the quarantine.
    """
    # Trimmed, as `operations.search` looks for it.
    where = f"trim(customer_id) is distinct from trim('{quote(customer_id)}')"
    others = [f"not ({rejected})"] if table == "quarantine" else []
    if visitors and "visitor_id" in columns:
        names = ", ".join(f"'{quote(visitor)}'" for visitor in visitors)
        others = [f"coalesce(trim(visitor_id) not in ({names}), true)"]
    others += [
        f"trim({column}) is distinct from trim('{quote(customer_id)}')"
        for column in ("profile_id", "other_profile_id")
        if column in columns
    ]
    return where, " and ".join(others) or None
