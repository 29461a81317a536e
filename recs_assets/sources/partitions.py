"""Columns that stand in the names of a table's folders: `orders/year=2024/month=03/part-0.parquet`."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

import duckdb

from recs_assets.schema import SourceError
from recs_assets.sources.declared import MEANING, DeclaredFile
from recs_assets.sql_text import quote, quote_text

# What Hive and Spark write for a null.
_NULL = "__HIVE_DEFAULT_PARTITION__"


def leave_partitions(declared: DeclaredFile) -> DeclaredFile:
    """The declaration of what is in a file itself."""
    partitions = declared.dialect.partitions
    if not partitions:
        return declared
    columns = tuple(column for column in declared.columns if column.name not in partitions)
    return replace(declared, columns=columns)


def list_columns(con: duckdb.DuckDBPyConnection, name: str, declared: DeclaredFile) -> str:
    """SQL of the declared columns of one file, those of its folders as their values.

    Args:
        con: any connection.
        name: of the file, with its folders.
        declared: the table.

    Raises:
        SourceError: a folder is missing, or what it says is not of the declared type.
    """
    found = dict(piece.split("=", 1) for piece in name.split("/")[:-1] if "=" in piece)
    columns = []
    for column in declared.columns:
        if column.name not in declared.dialect.partitions:
            columns.append(quote(column.name))
            continue
        if column.name not in found:
            raise SourceError(
                f"{name}: no folder above it is called {column.name}=..., and partitions names this column; put "
                "the file where it belongs, or leave the column out of partitions."
            )
        text = unquote(found[column.name])
        value = "null" if text in (_NULL, "") else quote_text(text)
        read = con.execute(f"select try_cast({value} as {column.type}) is null").fetchone()
        if value != "null" and read == (True,):
            raise SourceError(
                f"{name}: the folder says {column.name} = {text!r}, which is not {MEANING.get(column.type, 'text')}; "
                "rename the folder, or declare another type."
            )
        columns.append(f"cast({value} as {column.type}) as {quote(column.name)}")
    return ", ".join(columns)
