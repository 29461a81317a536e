"""Rows of a CSV file, as declared."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import duckdb

from recs_assets.schema import SourceError
from recs_assets.sources.cells import check_columns, explain_value, refuse_addresses, write_cast
from recs_assets.sources.declared import DeclaredFile, shorten_error
from recs_assets.sources.dialect import CANONICAL_DIALECT, Dialect
from recs_assets.sql_text import quote_text

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def name_delimiter(delimiter: str) -> str:
    """Its name in a sentence."""
    return _DELIMITERS.get(delimiter, repr(delimiter))


def list_csv_rows(file: TextIO, delimiter: str, dialect: Dialect) -> Any:
    """A reader of the records of an open file, as DuckDB reads them."""
    if not dialect.quote:
        return csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    escape = None if dialect.escape in (None, dialect.quote) else dialect.escape
    return csv.reader(
        file, delimiter=delimiter, quotechar=dialect.quote, doublequote=escape is None, escapechar=escape
    )


def find_csv_layout(
    path: Path, name: str, kind: str, dialect: Dialect = CANONICAL_DIALECT
) -> tuple[str, int, list[str]]:
    """Delimiter, lines before the header, and the header.

    Excel may write `sep=;` above the header, which says the delimiter; else the declaration or the file's ending
    does, and a .txt file is one or the other by its header.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = file.readline()
        declared = re.fullmatch(r'"?sep=(.)"?\r?\n?', line, re.IGNORECASE)
        skip = dialect.skip + (1 if declared else 0)
        for _ in range(skip):
            line = file.readline()
    if dialect.delimiter is not None:
        delimiter = dialect.delimiter
    elif declared:
        delimiter = declared.group(1)
        if delimiter not in _DELIMITERS:
            raise SourceError(
                f"{name} line 1: it declares {delimiter!r} as the separator; save the file with commas."
            )
    elif kind == "txt":
        found = [mark for mark in (",", "\t") if mark in line]
        if len(found) != 1:
            raise SourceError(
                f"{name} line 1: it cannot be told whether commas or tabs separate the columns of a .txt file; "
                "save it as .csv or .tsv."
            )
        delimiter = found[0]
    else:
        delimiter = "\t" if kind == "tsv" else ","
    with path.open(encoding="utf-8-sig", newline="") as file:
        for _ in range(skip):
            file.readline()
        header = list(dialect.header) or next(list_csv_rows(file, delimiter, dialect), [])
    if len(header) == 1:
        for mark, word in _DELIMITERS.items():
            if mark != delimiter and mark in header[0]:
                raise SourceError(
                    f"{name} line {skip + 1}: the columns are separated by {word}; save the file with "
                    f"{name_delimiter(delimiter)}."
                )
    return delimiter, skip, header


def read_csv(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    name: str,
    kind: str,
    declared: DeclaredFile,
    target: str,
    vouched: bool,
) -> tuple[int, list[str]]:
    dialect = declared.dialect
    delimiter, skip, header = find_csv_layout(path, name, kind, dialect)
    check_columns(name, f" line {skip + 1}", header, declared)
    with path.open("rb") as file:
        file.seek(-1, 2)
        ended = file.read(1) in (b"\n", b"\r")
    if not ended and not vouched and not dialect.open_end and path.stat().st_size > len(",".join(header)) + 3:
        raise SourceError(
            f"{name}: its last line has no line break, so it may be cut off; export it again, or end "
            f"the line, or vouch for the file in manifest.json."
        )
    text = f"{target.split('.')[0]}._text"
    known = {column.name for column in declared.columns}
    # What is ignored may have any name, a known one in capitals or the same one twice too.
    names = [column if column in known else f"_ignored_{place}" for place, column in enumerate(header)]
    columns = ", ".join(f"{quote_text(column)}: 'VARCHAR'" for column in names)
    # DuckDB creates the two reject tables in the temporary schema, under these names.
    con.execute("drop table if exists temp._rejects; drop table if exists temp._scans")
    try:
        con.execute(
            f"create or replace table {text} as select {dialect.select_texts()} from read_csv({quote_text(str(path))}, "
            f"auto_detect=false, "
            f"header={str(not dialect.header).lower()}, skip={skip}, columns={{{columns}}}, delim={quote_text(delimiter)}, "
            f"quote={quote_text(dialect.quote)}, "
            f"escape={quote_text(dialect.quote if dialect.escape is None else dialect.escape)}, "
            "nullstr='', "
            f"strict_mode=true, encoding='utf-8', compression='uncompressed', hive_partitioning=false, "
            "store_rejects=true, rejects_limit=1000, rejects_table='_rejects', rejects_scan='_scans')"
        )
    except duckdb.InvalidInputException as error:
        mixed = _find_other_line_end(path)
        if mixed:
            raise SourceError(
                f"{name} line {mixed}: it ends differently from the first line (Windows and Unix line "
                f"breaks are mixed); save the file with one kind."
            ) from None
        raise SourceError(
            f"{name}: it is not a regular CSV file ({shorten_error(error)}); export it again."
        ) from None
    try:
        rejected = con.execute(
            "select line, column_name, error_type, error_message from _rejects order by line, "
            "column_idx limit 1"
        ).fetchone()
        if rejected is not None:
            number, column, problem, message = rejected
            column = header[names.index(column)] if column in names else column
            raise _csv_error(name, header, number, column, problem, message, name_delimiter(delimiter))
        present = [column for column in header if column in known]
        result = write_cast(con, text, declared.columns, present, target, dialect)

        def name_line(row: int) -> str:
            return f"line {_csv_line(path, row, delimiter, skip, dialect)}"

        if not isinstance(result, int):
            row, column, count, value = result
            raise explain_value(name, name_line(row), column, count, value, dialect)
        refuse_addresses(con, target, name, declared, name_line)
        return result, present
    finally:
        con.execute(f"drop table if exists {text}")
        con.execute("drop table if exists temp._rejects; drop table if exists temp._scans")


def _csv_error(
    name: str, header: Sequence[str], line: int, column: str, kind: str, message: str, delimiters: str
) -> SourceError:
    if kind in ("MISSING COLUMNS", "TOO MANY COLUMNS"):
        found = re.search(r"Found: (\d+)", message)
        fields = found.group(1) if found else "another number of"
        if kind == "MISSING COLUMNS":
            return SourceError(
                f"{name} line {line}: it has {fields} fields where the header has {len(header)} "
                f"(column {column!r} "
                "and what follows are not there); the line is cut off, export the file again."
            )
        comma, point = (
            (" (decimal commas too)", ", or write decimals with a point")
            if delimiters == "commas"
            else ("", "")
        )
        return SourceError(
            f"{name} line {line}: it has {fields} fields where the header has {len(header)}; put values that "
            f"hold {delimiters}{comma} in double quotes{point}."
        )
    if kind == "UNQUOTED VALUE":
        return SourceError(
            f"{name} line {line}: a double quote in column {column!r} is not closed; the file is cut "
            f"off there, or a quote inside a value is not doubled."
        )
    return SourceError(
        f"{name} line {line}: column {column!r} cannot be read ({kind.lower()}); export it again."
    )


def _find_other_line_end(path: Path) -> int | None:
    """Number of the first line whose line break is of another kind than the first line's."""
    with path.open("rb") as file:
        first = file.readline().endswith(b"\r\n")
        for number, line in enumerate(file, start=2):
            if line.endswith(b"\n") and line.endswith(b"\r\n") != first:
                return number
    return None


def _csv_line(path: Path, row: int, delimiter: str, skip: int, dialect: Dialect) -> int:
    """Line on which data row `row` (from 1) begins: values may hold line breaks."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for _ in range(skip):
            file.readline()
        reader = list_csv_rows(file, delimiter, dialect)
        if not dialect.header:
            next(reader)
        start, seen = reader.line_num + 1 + skip, 0
        for record in reader:
            if record:
                seen += 1
            if seen == row:
                return start
            start = reader.line_num + 1 + skip
    return row + 1 + skip
