"""Rows of a Parquet file, as declared."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from recs_assets.schema import Column, SourceError
from recs_assets.sources.cells import check_columns, is_safe, refuse_addresses
from recs_assets.sources.declared import MEANING, DeclaredFile
from recs_assets.sql_text import quote, quote_text

if TYPE_CHECKING:
    from recs_assets.locations import Location


def read_parquet(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    name: str,
    declared: DeclaredFile,
    target: str,
    place: Callable[[int], str] = lambda row: f" row {row}",
) -> tuple[int, list[str]]:
    require_whole(path, name)
    scan = f"read_parquet({quote_text(str(path))}, hive_partitioning=false)"
    stored = {row[0]: row[1] for row in con.execute(f"describe select * from {scan}").fetchall()}
    # The row numbers of a pandas frame are in no shop's data.
    seen = [column for column in stored if not re.fullmatch(r"__index_level_\d+__", column)]
    check_columns(name, "", seen, declared)
    for column in declared.columns:
        found = stored.get(column.name)
        if (
            found is None
            or is_safe(found, column.type)
            or (column.type == "VARCHAR" and lands_as_json(found))
        ):
            continue
        # A column without any value carries no usable type (pandas writes an all-None column as integers).
        filled = con.execute(f"select count({quote(column.name)}) from {scan}").fetchone()[0]
        if filled:
            hint = "write it as declared"
            if column.type == "VARCHAR" and found in ("DOUBLE", "FLOAT"):
                hint = "write ids as text or whole numbers (17.0 is not the id 17)"
            raise SourceError(
                f"{name}: column {column.name!r} is stored as {found} in {filled} rows where "
                f"{column.type} is declared; {hint}."
            )
    select = ", ".join(
        f"{_write_value(column, stored.get(column.name))} as {quote(column.name)}"
        for column in declared.columns
    )
    con.execute(f"create or replace view {target} as select {select} from {scan}")
    checked = [
        column
        for column in declared.columns
        if column.type in ("DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMPTZ") and column.name in stored
    ]
    infinite = "".join(f", count(*) filter (not isfinite({quote(column.name)}))" for column in checked)
    counts = con.execute(f"select count(*){infinite} from {target}").fetchone()
    assert counts is not None
    for column, count in zip(checked, counts[1:], strict=True):
        if count:
            row = con.execute(
                f"select min(n) from (select row_number() over () as n, {quote(column.name)} as v "
                f"from {target}) where not isfinite(v)"
            ).fetchone()[0]
            raise SourceError(
                f"{name}{place(row)}: column {column.name!r} holds NaN or Infinity in {count} rows, "
                f"which is not {MEANING[column.type]}; write null where the value is unknown."
            )
    refuse_addresses(con, target, name, declared, lambda row: place(row).strip())
    return counts[0], [column.name for column in declared.columns if column.name in stored]


def require_whole(path: Location, name: str) -> None:
    """Raise a SourceError where a file does not begin and end as Parquet does."""
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(-min(4, path.stat().st_size), 2)
        tail = file.read(4)
    if head != b"PAR1":
        raise SourceError(f"{name}: it is not a Parquet file (it does not begin with PAR1); export it again.")
    if tail != b"PAR1" or path.stat().st_size < 12:
        raise SourceError(f"{name}: its end is missing, so it was cut off; copy or export it again.")


def lands_as_json(stored: str) -> bool:
    """Whether a column is nested: declared as text it lands as JSON, as nested values of JSON files do."""
    return stored.endswith("]") or stored.startswith(("STRUCT(", "MAP(", "JSON"))


def _write_value(column: Column, stored: str | None) -> str:
    """SQL of a column as it is declared; null where it is not there, or has no value of any usable type."""
    name = quote(column.name)
    if stored is not None and is_safe(stored, column.type):
        return f"cast({name} as {column.type})"
    if stored is not None and column.type == "VARCHAR" and lands_as_json(stored):
        # Of a null to_json makes the text null.
        return f"case when {name} is not null then cast(to_json({name}) as varchar) end"
    return f"cast(null as {column.type})"
