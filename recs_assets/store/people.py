"""The published snapshot beside a week's build file: what earlier weeks did to profiles, they did to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

SNAPSHOT = "snapshot"
_TABLES = f"""
    select table_name, list_contains(list(column_name), 'customer_id') and not list_contains(list(column_name), 'profile_id')
    from duckdb_columns() where database_name = '{SNAPSHOT}' and schema_name = 'recs' group by table_name order by table_name
"""


def show_by_person(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the database `published`: the tables of the attached `snapshot`, by the people of the build file's week.

    A customer_id is the person's whose profile had it then, and `profile_id` is what was published. Whoever was several
    customers then has several rows where there was one per customer: each reader says which of them count.
    """
    [(build,)] = connection.execute("select current_database()").fetchall()
    identities = "base.base_customer_identities"
    there = connection.execute(
        "select count(*) from information_schema.tables where table_catalog = ? and table_schema || '.' || table_name = ?",
        [build, identities],
    ).fetchall() != [(0,)]
    # Of a shop where nobody has two profiles, millions of rows are read without a join.
    several = there and connection.execute(f"select count(*) from {identities}").fetchall() != [(0,)]
    connection.execute(
        "attach if not exists ':memory:' as published (read_write); create schema if not exists published.recs"
    )
    for table, of_customers in connection.execute(_TABLES).fetchall():
        rows = f'select * from {SNAPSHOT}.recs."{table}"'
        if of_customers and several:
            rows = (
                "select kept.* replace (coalesce(people.customer_id, kept.customer_id) as customer_id), "
                f'kept.customer_id as profile_id from {SNAPSHOT}.recs."{table}" as kept '
                f'left join "{build}".{identities} as people on kept.customer_id = people.profile_id'
            )
        elif of_customers:
            rows = f'select *, customer_id as profile_id from {SNAPSHOT}.recs."{table}"'
        connection.execute(f'create or replace view published.recs."{table}" as {rows}')
