"""What earlier weeks published, from the attached snapshot."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def load_published_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    """Table -> its columns, of schema `recs` of the snapshot that is attached as `published`; empty where none is.

    A snapshot of an earlier version may lack a table or a column.
    """
    columns: dict[str, set[str]] = {}
    for table, column in connection.execute(
        "select table_name, column_name from duckdb_columns() where database_name = 'published' and schema_name = 'recs'"
    ).fetchall():
        columns.setdefault(table, set()).add(column)
    return columns


def create_sent_before(connection: duckdb.DuckDBPyConnection, anchor: date) -> None:
    """Create the temporary view `sent_before`: published email rows of the weeks before `anchor`, and
    whether they were `held` out, which is not sent. Empty where no snapshot is attached."""
    types = {
        "campaign": "varchar", "as_of": "date", "window_days": "integer", "customer_id": "varchar",
        "product_id": "varchar", "p_purchase": "double", "price": "double",
    }  # fmt: skip
    columns = ", ".join(types)
    nothing = ", ".join(f"null::{kind} as {name}" for name, kind in types.items())
    sources = [f"select {nothing}, false as held where false"]
    published = load_published_columns(connection)
    for table, held in (("email_recommendations", False), ("email_holdout", True)):
        if types.keys() <= published.get(table, set()):
            sources.append(
                f"select {columns}, {held} as held from published.recs.{table} where as_of < date '{anchor}'"
            )
    connection.execute(f"create temp view sent_before as {' union all '.join(sources)}")
