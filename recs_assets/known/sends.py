"""What published weeks sent, as a view on the snapshot."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


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
    for table, held in (("email_recommendations", False), ("email_holdout", True)):
        # A snapshot of an earlier version may lack the table or a column.
        there = connection.execute(
            """
            select count(*) from duckdb_columns()
            where database_name = 'published' and table_name = ? and list_contains(?, column_name)
            """,
            [table, list(types)],
        ).fetchall()[0][0]
        if there == len(types):
            sources.append(
                f"select {columns}, {held} as held from published.recs.{table} where as_of < date '{anchor}'"
            )
    connection.execute(f"create temp view sent_before as {' union all '.join(sources)}")
