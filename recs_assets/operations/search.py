"""Where rows of a customer are, in build files and snapshots."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from recs_assets.sources.acknowledged import list_all_event_files, list_rows
from recs_assets.sql_text import quote
from recs_assets.store.lake import load_files, read_files
from recs_assets.store.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

    from recs_assets.locations import Location

# Ids of other customers that hold a customer's.
BESIDE = "contains(customer_id, $1) and not list_contains($2::varchar[], trim(customer_id))"
# Columns that name a customer, as a person or as one of their profiles.
NAMING = ("customer_id", "profile_id", "other_profile_id")


def load_person(warehouse: Warehouse, customer_id: str) -> list[str]:
    """All ids of the person whose id this is, by the build files and the snapshots: those that a person is called by first,
    the given one last unless it is one of them."""
    ids, people = {customer_id}, set()
    found: list[tuple[str, str]] = []
    for connection, tables in _open_databases(warehouse):
        for table in ("model.customer_identities", "recs.customer_identities"):
            if table in tables:
                found += connection.execute(f"select profile_id, customer_id from {table}").fetchall()
    while True:
        people |= {person for profile, person in found if profile in ids}
        more = {profile for profile, person in found if person in people} | people
        if more <= ids:
            break
        ids |= more
    return sorted(ids, key=lambda one: (one not in people, one == customer_id, one))


def load_personal(
    warehouse: Warehouse, customer_id: str, ids: Collection[str]
) -> tuple[set[str], set[str], set[str], set[str]]:
    """What else a customer can be found by, from the build files and the snapshots.

    Args:
        warehouse: whose files.
        customer_id: whose traces.
        ids: all of theirs, this one among them.

    Returns:
        Their addresses that are nobody else's too, those that others have, too, the ids of their orders, and the ids of others
        (customers, products, orders of other customers) that are equal to theirs or have it as a part.
    """
    emails, shared, orders, others = set(), set(), set(), set()
    theirs = "list_contains($2::varchar[], trim(customer_id))"
    queries = [
        (emails, "raw.customers", "lower(trim(email))", theirs),
        (shared, "raw.customers", "lower(trim(email))", f"not {theirs}"),
        *((orders, table, "order_id", theirs) for table in ("raw.orders", "recs.order_lines")),
        *((others, f"{schema}.customers", "customer_id", BESIDE) for schema in ("raw", "recs")),
        *(
            (others, f"{schema}.products", "product_id", "contains(product_id, $1)")
            for schema in ("raw", "recs")
        ),
        *(
            (others, table, "order_id", "contains(order_id, $1)")
            for table in ("raw.orders", "recs.order_lines")
        ),
    ]
    for connection, tables in _open_databases(warehouse):
        for found, table, column, where in queries:
            if table in tables:
                rows = connection.execute(
                    f"select distinct {column} as one from {table} "
                    f"where one is not null and $1::varchar is not null and $2::varchar[] is not null and {where}",
                    [customer_id, list(ids)],
                )
                found |= {text for (text,) in rows.fetchall()}
    return emails - shared - {""}, emails & shared - {""}, orders, others - orders


def load_visitors(warehouse: Warehouse, ids: Collection[str]) -> set[str]:
    """Visitors under whom the customer, and nobody else, signed in: by build files, snapshots and files of events."""
    theirs, others = set(), set()
    for connection, tables in _open_databases(warehouse):
        for table in ("raw.browsing_events", "raw.campaign_events", "recs.campaign_events"):
            if table in tables and "visitor_id" in connection.sql(f"from {table} limit 0").columns:
                for found, sign in ((theirs, ""), (others, "not")):
                    rows = connection.execute(
                        f"select distinct trim(visitor_id) from {table} where visitor_id is not null "
                        f"and {sign} list_contains(?::varchar[], trim(customer_id)) and trim(customer_id) <> ''",
                        [list(ids)],
                    )
                    found |= {visitor for (visitor,) in rows.fetchall()}
    for path in list_all_event_files(warehouse.home):
        for _, row in list_rows(path):
            visitor, customer = (str(row.get(name) or "").strip() for name in ("visitor_id", "customer_id"))
            if visitor and customer:
                (theirs if customer in ids else others).add(visitor)
    return theirs - others - {""}


def load_customer_ids(warehouse: Warehouse) -> set[str]:
    """Every customer's id in the build files and the snapshots."""
    found: set[str] = set()
    for connection, tables in _open_databases(warehouse):
        for table in ("raw.customers", "recs.customers"):
            if table in tables:
                rows = connection.execute(f"select customer_id from {table} where customer_id is not null")
                found |= {one for (one,) in rows.fetchall()}
    return found


def _open_databases(warehouse: Warehouse) -> Iterator[tuple[duckdb.DuckDBPyConnection, set[str]]]:
    """Every build file and every version of the snapshot, with the names of its tables."""
    builds = sorted(warehouse.home.rglob("build.duckdb"))
    for path in [*builds, *sorted(warehouse.published_dir.glob("analytics-*.duckdb"))]:
        with warehouse.open(path) as connection:
            tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
            yield (
                connection,
                {f"{schema}.{table}" for schema, table in tables} | load_files(connection).keys(),
            )


def _has_columns(path: Location) -> bool:
    with path.open("rb") as file:
        return bool(pq.read_schema(file).names)


def count_rows(
    warehouse: Warehouse,
    path: Location,
    customer_id: str,
    rejected: str,
    words: str | None,
    visitors: Collection[str] = (),
) -> tuple[int, int]:
    """Rows of a DuckDB file, or a Parquet file, that are a customer's. Views of a DuckDB file are not searched: their files are.

    Args:
        warehouse: whose memory limit and threads count.
        path: the file.
        customer_id: looked for in columns customer_id.
        rejected: condition of the customer's rows of the quarantine (`snapshots.select_rejected`).
        words: RE2 expression that is looked for in every other text column; None: they are not searched.
        visitors: looked for in columns visitor_id.

    Returns:
        Rows by the id as a value, and matches of `words` elsewhere.
    """
    parquet = path.suffix == ".parquet"
    if parquet and not _has_columns(path):  # of a table without rows
        return 0, 0
    with warehouse.scratch() if parquet else warehouse.open(Path(path)) as connection:
        by_value, elsewhere = 0, 0
        if parquet:
            # A view of the name that the file's table has: a file of the lake lies in a folder `<schema>.<table>`.
            connection.execute(
                f"create view {quote(path.parent.name.rpartition('.')[2])} as from {read_files([path])}"
            )
        for schema, table, column, kind in connection.execute(
            """
            select schema_name, table_name, column_name, data_type from duckdb_columns()
            join (select database_oid, schema_oid, table_oid from duckdb_tables() union all
                  select database_oid, schema_oid, view_oid from duckdb_views() where not internal and $1)
            using (database_oid, schema_oid, table_oid)
            """,
            [parquet],
        ).fetchall():
            relation = f'select count(*) from "{schema}"."{table}" where'
            if column in NAMING:
                found = connection.execute(f'{relation} trim("{column}") = trim(?)', [customer_id])
                by_value += found.fetchall()[0][0]
            elif column == "visitor_id":
                found = connection.execute(
                    f'{relation} list_contains(?::varchar[], trim("{column}"))', [list(visitors)]
                )
                by_value += found.fetchall()[0][0]
            elif (table, column) == ("quarantine", "row_json"):
                by_value += connection.execute(f"{relation} {rejected}").fetchall()[0][0]
            elif words is not None and re.search("VARCHAR|JSON|BLOB", kind):
                found = connection.execute(f'{relation} regexp_matches("{column}"::varchar, ?)', [words])
                elsewhere += found.fetchall()[0][0]
        return by_value, elsewhere
