"""Rows of a spreadsheet (.xlsx, .xlsm, .xlsb, .xls, .ods), as declared.

A cell is read as the text that a CSV file of the same sheet would hold: a whole number without places (Excel keeps
the id 536365 as 536365.0), a date as ISO 8601. What the text must be is then judged as in a CSV file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb

from recs_assets.schema import SourceError
from recs_assets.sources.cells import check_columns, explain_value, refuse_addresses, write_cast
from recs_assets.sources.declared import DeclaredFile, list_some
from recs_assets.sources.dialect import Dialect

# Beside the declared formats: how a cell is written that Excel keeps as a date.
ISO_OF_CELLS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d")
_MOST_ROWS_AT_ONCE = 50_000


def read_spreadsheet(
    con: duckdb.DuckDBPyConnection, path: Path, name: str, declared: DeclaredFile, target: str
) -> tuple[int, list[str]]:
    """Read the declared sheets, one below the other, into the table `target`; rows, and which columns there are.

    Raises:
        SourceError: it is no spreadsheet, has other sheets, or a cell is not as declared.
    """
    import pyarrow as pa
    from python_calamine import CalamineError, CalamineWorkbook

    dialect = declared.dialect
    try:
        book = CalamineWorkbook.from_path(str(path))
    except (CalamineError, OSError):
        raise SourceError(
            f"{name}: it is no spreadsheet, is protected by a password, or is damaged; save it again."
        ) from None
    sheets = choose_sheets(book.sheet_names, name, dialect)
    known = {column.name for column in declared.columns}
    places: list[tuple[str, int]] = []
    parts: list[pa.Table] = []
    present: list[str] = []
    for sheet in sheets:
        header, rows = read_sheet(book, sheet, dialect)
        where = f" row {dialect.skip + 1}" if len(sheets) == 1 else f" sheet {sheet!r} row {dialect.skip + 1}"
        check_columns(name, where, header, declared)
        found = [place for place, column in enumerate(header) if column in known]
        present += [header[place] for place in found if header[place] not in present]
        writers = {place: _choose_writer(dialect) for place in found}
        block: list[list[str | None]] = [[] for _ in found]
        for number, row in rows:
            places.append((sheet, number))
            for cells, place in zip(block, found, strict=True):
                cells.append(writers[place](row[place]) if place < len(row) else None)
            if len(block[0] if block else ()) == _MOST_ROWS_AT_ONCE:
                parts.append(_make_table(block, [header[place] for place in found]))
                block = [[] for _ in found]
        parts.append(_make_table(block, [header[place] for place in found]))

    def name_row(row: int) -> str:
        sheet, number = places[row - 1]
        return f"row {number}" if len(sheets) == 1 else f"sheet {sheet!r} row {number}"

    text = f"{target.split('.')[0]}._text"
    con.register("_sheet", pa.concat_tables(parts, promote_options="default"))
    try:
        con.execute(f"create or replace table {text} as select * from _sheet")
    finally:
        con.unregister("_sheet")
    if dialect.dates:
        dialect = dialect.model_copy(update={"dates": (*dialect.dates, *ISO_OF_CELLS)})
    try:
        result = write_cast(con, text, declared.columns, present, target, dialect)
    finally:
        con.execute(f"drop table if exists {text}")
    if not isinstance(result, int):
        row, column, count, value = result
        raise explain_value(name, name_row(row), column, count, value, dialect)
    refuse_addresses(con, target, name, declared, name_row)
    return result, present


def choose_sheets(names: list[str], name: str, dialect: Dialect) -> list[str]:
    """The sheets to read.

    Raises:
        SourceError: one is missing, or it is not said which of several.
    """
    if missing := [sheet for sheet in dialect.sheet if sheet not in names]:
        raise SourceError(
            f"{name}: it has no sheet {missing[0]!r} (its sheets: {list_some(names)}); correct sheet in source.toml."
        )
    if not dialect.sheet and len(names) != 1:
        raise SourceError(
            f"{name}: it has {len(names)} sheets ({list_some(names)}); say in source.toml which to read: "
            'sheet = ["..."].'
        )
    return list(dialect.sheet) or names


def read_sheet(book: Any, sheet: str, dialect: Dialect) -> tuple[list[str], Iterator[tuple[int, list[Any]]]]:
    """The header of a sheet, and its rows that are not blank with their numbers.

    Args:
        book: a `CalamineWorkbook`.
        sheet: the name of one of its sheets.
        dialect: says how many rows stand above the header.
    """
    worksheet = book.get_sheet_by_name(sheet)
    above = worksheet.start[0] if worksheet.start else 0  # calamine leaves out blank rows at the top
    rows = enumerate(worksheet.iter_rows(), start=above + 1)
    header: list[str] = []
    write = _choose_writer(dialect)
    for number, row in rows:
        if number > dialect.skip and any(cell != "" for cell in row):
            header = [write(cell) or "" for cell in row]
            break
    return header, ((number, row) for number, row in rows if any(cell != "" for cell in row))


def _choose_writer(dialect: Dialect) -> Callable[[Any], str | None]:
    """What makes the text of a cell; None where it holds nothing."""
    nulls = {"", *dialect.nulls}
    decimal = dialect.decimal

    def write(cell: Any) -> str | None:
        if isinstance(cell, str):
            return None if cell in nulls else cell
        if isinstance(cell, bool):
            return "true" if cell else "false"
        if isinstance(cell, float):
            text = str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
            return text if decimal == "." else text.replace(".", decimal)
        if isinstance(cell, datetime):
            return str(cell.replace(tzinfo=None))
        if isinstance(cell, date | time | int | timedelta):
            return str(cell)
        return None if cell is None else str(cell)

    return write


def _make_table(block: list[list[str | None]], names: list[str]) -> Any:
    import pyarrow as pa

    return pa.table({name: pa.array(cells, pa.string()) for name, cells in zip(names, block, strict=True)})
