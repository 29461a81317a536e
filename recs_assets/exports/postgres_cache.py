"""The per-customer cache in Postgres: one table, replaced whole by a rename within one transaction.

    <schema>.user_cache (customer_id text primary key, as_of date, recommendations json)

The new table is filled beside the old one, gets its key and the old one's grants, and takes its name;
all of that is one transaction. Whatever cuts the export short, readers see the old table whole, and
nothing is left over. The lock that the rename needs is asked for last and only for a moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa

from recs_assets.exports.jsonl import encode_blocks
from recs_assets.exports.rows import ExportError, check

SCHEMA = "storefront"
TABLE, NEXT = "user_cache", "user_cache_next"
CONNECT_SECONDS = 10
# A reader that holds the old table longer makes the export fail, not the storefront wait.
LOCK_TIMEOUT = "10s"
# Of the advisory lock that keeps a second export out.
ONE_WRITER = 0x7265_6373


def publish(
    rows: pa.Table | pd.DataFrame, url: str, *, as_of: date, run_id: str, schema: str = SCHEMA
) -> dict[str, Any]:
    """Replace the table.

    Args:
        rows: as `exports.versions.publish` takes them.
        url: postgresql://user:password@host:port/database, or a libpq connection string.
        as_of: the week.
        run_id: of the run that made it; stands in the table's comment with the rest of what is returned.
        schema: of the table; made if absent.

    Returns:
        as_of, run_id, customers, rows.

    Raises:
        ExportError: the rows are refused (`rows.check`), or Postgres cannot be reached, refuses, or ends
            midway; the sentence names no password.
    """
    from psycopg import sql

    table = check(rows)
    facts: dict[str, Any] = {
        "as_of": as_of.isoformat(),
        "run_id": run_id,
        "customers": 0,
        "rows": table.num_rows,
    }
    names = {
        "schema": sql.Identifier(schema),
        "table": sql.Identifier(schema, TABLE),
        "next": sql.Identifier(schema, NEXT),
        "name": sql.Identifier(TABLE),
    }

    def run(connection: Any, text: str, **more: Any) -> None:
        connection.execute(sql.SQL(text).format(**names, **more))

    with connect(url) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [ONE_WRITER])
        if not connection.execute("select 1 from pg_namespace where nspname = %s", [schema]).fetchone():
            run(connection, "create schema {schema}")
        run(
            connection,
            "create table {next} (customer_id text not null, as_of date not null, recommendations json not null)",
        )
        with connection.cursor().copy(
            sql.SQL("copy {next} (customer_id, as_of, recommendations) from stdin").format(**names)
        ) as copy:
            for block in encode_blocks(table):
                for key, text, _ in block:
                    copy.write_row((key, as_of, text))
                facts["customers"] += len(block)
        run(connection, "alter table {next} add primary key (customer_id)")
        comment = ", ".join(f"{name} {value}" for name, value in facts.items())
        run(connection, "comment on table {next} is {comment}", comment=sql.Literal(comment))
        for (reader,) in connection.execute(
            "select distinct grantee from information_schema.role_table_grants "
            "where table_schema = %s and table_name = %s and privilege_type = 'SELECT' and grantee <> current_user",
            [schema, TABLE],
        ).fetchall():
            to = sql.SQL("public") if reader == "PUBLIC" else sql.Identifier(reader)
            run(connection, "grant select on {next} to {to}", to=to)
        connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
        run(connection, "drop table if exists {table}")
        run(connection, "alter table {next} rename to {name}")
        run(
            connection,
            "alter index {old} rename to {new}",
            old=sql.Identifier(schema, f"{NEXT}_pkey"),
            new=sql.Identifier(f"{TABLE}_pkey"),
        )
    return facts


def purge(customer_id: str, url: str, schema: str = SCHEMA) -> int:
    """Delete a customer from the table; 1 where they were in it.

    Raises:
        ExportError: as `publish`.
    """
    return _run_query(customer_id, url, schema, "delete from {} where customer_id = %s")


def count(customer_id: str, url: str, schema: str = SCHEMA) -> int:
    """1 where a customer is in the table.

    Raises:
        ExportError: as `publish`.
    """
    return _run_query(customer_id, url, schema, "select customer_id from {} where customer_id = %s")


def _run_query(customer_id: str, url: str, schema: str, query: str) -> int:
    """Rows that a query of the table, `{}`, finds or deletes; 0 where nothing was ever published."""
    from psycopg import sql

    with connect(url) as connection:
        there = connection.execute("select to_regclass(%s)", [f"{schema}.{TABLE}"]).fetchone()[0]
        if there is None:
            return 0
        rows = connection.execute(sql.SQL(query).format(sql.Identifier(schema, TABLE)), [customer_id])
        return rows.rowcount


@contextmanager
def connect(url: str) -> Iterator[Any]:
    """One transaction, committed at the end."""
    import psycopg.conninfo

    where, password = "Postgres", None
    try:
        try:
            about = psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise ExportError(
                "RECS_POSTGRES_URL is no connection string of Postgres: write it as postgresql://user@host:port/database."
            ) from error
        where, password = f"Postgres at {about.get('host', 'localhost')}", about.get("password")
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS) as connection:
            yield connection
    except (psycopg.Error, OSError) as error:
        # Its first line only: what Postgres adds may quote the row it was at.
        first = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
        reason = " ".join(first.split()).rstrip(".") or type(error).__name__
        if password:
            reason = reason.replace(str(password), "***")
        raise ExportError(
            f"{where} refused or went away ({reason}); its readers keep the table they had: repair it, then "
            "materialise exports/postgres_cache again."
        ) from error


def lookup(connection: Any, customer_id: str, schema: str = SCHEMA) -> list[dict[str, Any]] | None:
    """A customer's recommendations, best first; None for an unknown one.

    Args:
        connection: psycopg.Connection, of the storefront.
        customer_id: as in the shop's own tables.
        schema: as the export was given it.
    """
    from psycopg import sql

    query = sql.SQL("select recommendations from {} where customer_id = %s")
    row = connection.execute(query.format(sql.Identifier(schema, TABLE)), [customer_id]).fetchone()
    return None if row is None else row[0]
