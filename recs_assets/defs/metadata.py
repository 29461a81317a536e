"""Metadata that every table-shaped asset shows: schema, row count, a preview."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import dagster as dg

from recs_assets.schema import Table
from recs_assets.store.lake import load_files

if TYPE_CHECKING:
    import duckdb

PREVIEW_ROWS = 5
# Says from when to when a table's rows are; the command line shows it.
PERIOD = "period"
# Never shown, wherever it occurs: the preview is for people who need not know who is who.
HIDDEN_COLUMNS = frozenset(
    {
        "email",
        "email_hash",
        "customer",
        "customer_id",
        "visitor_id",
        "session_id",
        "spelling",
        "order_id",
        "recommendation_id",
        "url",
        "row_key",
        "row_json",
    }
)


def list_hidden(table: Table) -> frozenset[str]:
    """Columns of a raw table that no preview shows, beside those that none shows of any table."""
    people = {column for column, target in table.references.items() if target in ("customers", "orders")}
    return frozenset({*table.personal, *people})


def table_metadata(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str, hidden: Collection[str] = ()
) -> dict[str, dg.MetadataValue]:
    """Schema with comments, row count and the first rows of `schema.table`; of a view, the schema.

    The views of consent take seconds to count, also in the smallest shop.
    """
    columns = connection.execute(
        """
        select column_name, data_type, comment from duckdb_columns()
        where schema_name = ? and table_name = ? and database_name = current_database() order by column_index
        """,
        [schema, table],
    ).fetchall()
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/column_schema": dg.MetadataValue.table_schema(
            dg.TableSchema(
                columns=[dg.TableColumn(name, type_, description=text) for name, type_, text in columns]
            )
        )
    }
    views = connection.execute(
        "select count(*) from duckdb_views() where schema_name = ? and view_name = ?", [schema, table]
    ).fetchall()[0][0]
    if views and f"{schema}.{table}" not in load_files(connection):
        return metadata
    header = [name for name, _, _ in columns if name not in {*HIDDEN_COLUMNS, *hidden}]
    shown = ", ".join(f'"{name}"' for name in header)
    count = connection.execute(f'select count(*) from "{schema}"."{table}"').fetchall()[0][0]
    rows = connection.execute(f'select {shown} from "{schema}"."{table}" limit {PREVIEW_ROWS}').fetchall()
    return metadata | {
        "dagster/row_count": dg.MetadataValue.int(count),
        "preview": dg.MetadataValue.md(markdown_table(header, rows)),
    }


def period_metadata(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str, column: str | None
) -> dict[str, dg.MetadataValue]:
    """First and last day of a table's rows; empty where it has no column of times, or no rows."""
    if column is None:
        return {}
    [(first, last)] = connection.execute(
        f'select min("{column}")::date, max("{column}")::date from "{schema}"."{table}"'
    ).fetchall()
    return {} if first is None else {PERIOD: dg.MetadataValue.text(f"{first} to {last}")}


def markdown_table(header: list[str], rows: list[tuple]) -> str:
    """A Markdown table without `HIDDEN_COLUMNS`; cell text is escaped so that data cannot end a row or start HTML."""
    shown = [place for place, name in enumerate(header) if name not in HIDDEN_COLUMNS]
    lines = ["| " + " | ".join(header[place] for place in shown) + " |", "|" + " --- |" * len(shown)]
    lines += ["| " + " | ".join(_cell(row[place]) for place in shown) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")
    return escaped if len(escaped) <= 80 else escaped[:77] + "..."


def numbers(values: Mapping[str, float | int | str]) -> dict[str, dg.MetadataValue]:
    """Plain numbers and texts as metadata values."""
    return {
        name: dg.MetadataValue.text(value)
        if isinstance(value, str)
        else dg.MetadataValue.int(value)
        if isinstance(value, int)
        else dg.MetadataValue.float(round(float(value), 6))
        for name, value in values.items()
    }


def inline_png(data: bytes, title: str) -> str:
    """A picture as Markdown that needs no file."""
    return f"![{title}](data:image/png;base64,{base64.b64encode(data).decode()})"
