"""The monitor's rows in Postgres, for dashboards: a copy of `recs.monitor`, all weeks that are kept.

    <schema>.monitor

Replaced whole within one transaction, in a table that stays: grants stay, and readers see the old rows until the new ones are there.
It holds nothing of a customer.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from recs_assets.contracts import columns
from recs_assets.exports.postgres_cache import SCHEMA, connect

TABLE = "monitor"
# Of DuckDB's names those that Postgres writes otherwise.
TYPES = {"varchar": "text", "double": "double precision"}


def publish(rows: pa.Table, url: str, schema: str = SCHEMA) -> int:
    """Replace the rows; how many there are.

    Args:
        rows: of `recs.monitor`.
        url: as of the cache (`postgres_cache.publish`).
        schema: of the table; made if absent.

    Raises:
        ExportError: Postgres cannot be reached, refuses, or ends midway; the sentence names no password.
    """
    from psycopg import sql

    declared = columns("monitor")
    names = {"schema": sql.Identifier(schema), "table": sql.Identifier(schema, TABLE)}

    def run(connection: Any, text: str, **more: Any) -> None:
        connection.execute(sql.SQL(text).format(**names, **more))

    with connect(url) as connection:
        if not connection.execute("select 1 from pg_namespace where nspname = %s", [schema]).fetchone():
            run(connection, "create schema {schema}")
        run(connection, "create table if not exists {table} ()")
        for name, kind in declared.items():
            run(
                connection,
                "alter table {table} add column if not exists {name} {kind}",
                name=sql.Identifier(name),
                kind=sql.SQL(TYPES.get(kind, kind)),
            )
        run(connection, "delete from {table}")
        listed = sql.SQL(", ").join(map(sql.Identifier, declared))
        with connection.cursor().copy(
            sql.SQL("copy {table} ({listed}) from stdin").format(**names, listed=listed)
        ) as copy:
            for row in rows.select(list(declared)).to_pylist():
                copy.write_row(tuple(row.values()))
    return rows.num_rows
