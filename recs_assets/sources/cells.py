"""From the text or value of a cell to the declared type, and what is said of one that does not fit."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import duckdb

from recs_assets.schema import PERSONAL, Column, SourceError
from recs_assets.sources.declared import MEANING, DeclaredFile, list_some
from recs_assets.sources.dialect import CANONICAL_DIALECT, Dialect
from recs_assets.sql_text import quote, quote_text

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}

_ANY_INTEGER = _INTEGERS | {"UBIGINT", "HUGEINT", "UHUGEINT"}

# Whose texts `dates` of a file describes.
TIMES = ("DATE", "TIMESTAMP", "TIMESTAMPTZ")

_NAIVE_TIMES = {"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}

_AWARE_TIMES = {"TIMESTAMP WITH TIME ZONE"}

# What a stored type may become without a loss that a person would notice. A DOUBLE id is not
# text here: pandas turns the id 17 into 17.0 as soon as one is missing, which joins nothing.
_SAFE_FROM = {
    "VARCHAR": _ANY_INTEGER | {"UUID"},
    "BIGINT": _INTEGERS,
    "DOUBLE": _ANY_INTEGER | {"FLOAT"},
    "BOOLEAN": set(),
    "DATE": set(),
    "TIMESTAMP": _NAIVE_TIMES,
    "TIMESTAMPTZ": _NAIVE_TIMES | _AWARE_TIMES,
}

# The same as `email_pattern` of dbt_project/macros/text.sql, which judges what is published.
ADDRESS = r"""[^ \t\n\f\r"@,;:<>\\]+@[^ \t\n\f\r"@,;:<>\\]+\.[A-Za-z]{2,}"""

# A time with an offset: DuckDB wants seconds before it and no blank between them.
_UTC = r" ?(UTC|GMT)$"

_NO_SECONDS = r"^(\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2})( ?[+-]\d{2}(:?\d{2})?| ?Z)$"

_BLANK_BEFORE_OFFSET = r"^(\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d+)?) +([+-]\d{2}(:?\d{2})?|Z)$"

# A time with the name of a zone is refused: DuckDB 1.5.5 reads the rows after it, which have none, in that
# zone too.
_ZONE_NAME = r"[A-Za-z]{2}"

_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"

_WHOLE = r"[+-]?[0-9]+"


def is_safe(stored: str, declared: str) -> bool:
    """Whether a column stored as `stored` may be read as `declared` without loss."""
    if stored == declared or (declared == "TIMESTAMPTZ" and stored in _AWARE_TIMES):
        return True
    if decimal := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", stored):
        digits, places = map(int, decimal.groups())
        # How Oracle and Snowflake write whole numbers: DECIMAL(38,0).
        whole = declared == "VARCHAR" or (declared == "BIGINT" and digits <= 18)
        return declared == "DOUBLE" or (whole and places == 0)
    if stored.startswith("ENUM"):
        return declared == "VARCHAR"
    return stored in _SAFE_FROM[declared]


def check_columns(name: str, where: str, found: Sequence[str], declared: DeclaredFile) -> None:
    """Refuse missing, unknown and doubled columns; name the likeliest rename."""
    known = [column.name for column in declared.columns]
    missing = [column.name for column in declared.columns if column.required and column.name not in found]
    others = [column for column in found if column not in known]
    unknown = [column for column in others if not declared.ignores(column)]
    if missing:
        column = missing[0]
        near = difflib.get_close_matches(column.lower(), [item.lower() for item in others], 1, 0.5)
        if near or len(others) == len(missing) == 1:
            seen = next(item for item in others if not near or item.lower() == near[0])
            raise SourceError(
                f"{name}{where}: column {column!r} is missing and {seen!r} is not declared: rename {seen!r} "
                f"to {column!r} if that is what it holds."
            )
        raise SourceError(
            f"{name}{where}: column {column!r} is missing (found: {list_some(found, 12)}); add it "
            f"to the export."
        )
    for column in others:
        if any(fnmatchcase(column.lower(), pattern) for pattern in declared.telling):
            raise SourceError(
                f"{name}{where}: column {column!r} tells which of several things a row is about, and {declared.stem} "
                "are about email alone; export only the rows about email, and the column not."
            )
    if unknown:
        column = unknown[0]
        absent = [item for item in known if item not in found]
        near = difflib.get_close_matches(column.lower(), absent, 1, 0.5)
        near = near or difflib.get_close_matches(column.lower(), known, 1, 0.75)
        hint = f"rename it to {near[0]!r}" if near else "leave it out of the export"
        raise SourceError(
            f"{name}{where}: column {column!r} is not declared: {hint} "
            f"(declared columns: {list_some(known, 12)})."
        )
    doubled = [column for column in known if list(found).count(column) > 1]
    if doubled:
        raise SourceError(f"{name}{where}: column {doubled[0]!r} stands there twice; keep one of them.")


def write_text(column: Column, dialect: Dialect = CANONICAL_DIALECT) -> str:
    """SQL of a field's text, as DuckDB can cast it."""
    text = f"trim({quote(column.name)})"
    if column.type in ("BIGINT", "DOUBLE") and dialect.has_own_numbers:
        return dialect.write_plain_number(dialect.write_without_units(text))
    if column.type == "TIMESTAMPTZ":
        text = f"regexp_replace({text}, {quote_text(_UTC)}, 'Z')"
        text = f"regexp_replace({text}, {quote_text(_NO_SECONDS)}, '\\1:00\\2')"
        text = f"regexp_replace({text}, {quote_text(_BLANK_BEFORE_OFFSET)}, '\\1\\3')"
    return text


def _write_value(column: Column, dialect: Dialect) -> str:
    """SQL of a field's value, null where its text is no such value."""
    if column.type in TIMES and dialect.dates:
        patterns = ", ".join(map(quote_text, dialect.dates))
        return f"try_cast(try_strptime(trim({quote(column.name)}), [{patterns}]) as {column.type})"
    return f"try_cast({write_text(column, dialect)} as {column.type})"


def _write_bad_condition(column: Column, dialect: Dialect) -> str:
    """SQL condition: this text is there but is no value of the declared type."""
    text = f"trim({quote(column.name)})"
    value = _write_value(column, dialect)
    if column.type in ("BIGINT", "DOUBLE") and dialect.has_own_numbers:
        text = dialect.write_without_units(text)
        pattern = dialect.write_number_pattern(column.type == "BIGINT")
    else:
        pattern = _WHOLE if column.type == "BIGINT" else _NUMBER
    if column.type == "BIGINT":
        wrong = f"not regexp_full_match({text}, {quote_text(pattern)}) or {value} is null"
    elif column.type == "DOUBLE":
        wrong = (
            f"not regexp_full_match({text}, {quote_text(pattern)}) or not coalesce(isfinite({value}), false)"
        )
    elif column.type == "BOOLEAN":
        wrong = f"{value} is null"
    elif dialect.dates:
        # %Y takes 10 for the year 10, and a date would lose its time.
        read = f"try_strptime({text}, [{', '.join(map(quote_text, dialect.dates))}])"
        wrong = f"coalesce(year({value}) < 1000, true)"
        if column.type == "DATE":
            wrong += f" or {read} <> date_trunc('day', {read})"
    else:
        text = write_text(column, dialect)
        named = (
            f"regexp_matches({text}, {quote_text(_ZONE_NAME)}) or " if column.type == "TIMESTAMPTZ" else ""
        )
        wrong = f"{named}not coalesce(isfinite({value}), false)"
    return f"{quote(column.name)} is not null and ({wrong})"


def write_cast(
    con: duckdb.DuckDBPyConnection,
    text: str,
    columns: Sequence[Column],
    present: Sequence[str],
    target: str,
    dialect: Dialect = CANONICAL_DIALECT,
) -> tuple[int, Column, int, str] | int:
    """Cast the text table `text` into `target`; the row count, or the first value that fails.

    A failure is (row number from 1, column, number of such values in the column, value).
    """
    typed = [column for column in columns if column.type != "VARCHAR" and column.name in present]
    bad = {column.name: _write_bad_condition(column, dialect) for column in typed}
    counts = con.execute(
        f"select count(*){''.join(f', count(*) filter ({bad[column.name]})' for column in typed)} from {text}"
    ).fetchone()
    assert counts is not None
    for column, count in zip(typed, counts[1:], strict=True):
        if count:
            found = con.execute(
                f"select n, v from (select row_number() over () as n, {quote(column.name)} as v, "
                f"({bad[column.name]}) as bad from {text}) where bad order by n limit 1"
            ).fetchone()
            assert found is not None
            return found[0], column, count, found[1]
    select = ", ".join(_cast(column, present, dialect) for column in columns)
    con.execute(f"create or replace table {target} as select {select} from {text}")
    return counts[0]


def _cast(column: Column, present: Sequence[str], dialect: Dialect) -> str:
    name = quote(column.name)
    if column.name not in present:
        return f"cast(null as {column.type}) as {name}"
    if column.type == "VARCHAR":
        return name
    return f"cast({_write_value(column, dialect)} as {column.type}) as {name}"


def explain_value(
    name: str, where: str, column: Column, count: int, value: str, dialect: Dialect = CANONICAL_DIALECT
) -> SourceError:
    """What is said of the first value of a column that is none of its type."""
    personal = "@" in value or column.name in PERSONAL or "email" in column.name
    shown = "a value" if personal else repr(value[:40])
    more = "" if count == 1 else f" ({count} rows of this column are wrong)"
    hint = "correct the export"
    if column.type == "DOUBLE" and re.fullmatch(r"\s*[+-]?\d+,\d+\s*", value):
        hint = "write decimals with a point"
    meaning = MEANING[column.type]
    if column.type in TIMES and dialect.dates:
        meaning = f"{'a date' if column.type == 'DATE' else 'a time'} as dates declares them ({', '.join(dialect.dates)})"
        hint = "correct the export, or declare how it is written"
    elif column.type in ("BIGINT", "DOUBLE") and dialect.has_own_numbers:
        kind = "a whole number" if column.type == "BIGINT" else "a number"
        meaning = f"{kind} with decimal = {dialect.decimal!r} and thousands = {dialect.thousands!r}"
        hint = "correct the export, or declare how it is written"
    return SourceError(
        f"{name} {where}: column {column.name!r} holds {shown}, which is not {meaning}{more}; {hint}."
    )


def refuse_addresses(
    con: duckdb.DuckDBPyConnection,
    target: str,
    name: str,
    declared: DeclaredFile,
    where: Callable[[int], str],
) -> None:
    """Identifiers and codes are published as they are; an address among them would leave the house.

    Args:
        con: the connection.
        target: what was read.
        name: of the file.
        declared: whose `identifiers` are looked at.
        where: says the place of a row (from 1).
    """
    if not declared.identifiers:
        return
    counts = con.execute(
        f"select {', '.join(f'count(*) filter ({write_address_condition(column)})' for column in declared.identifiers)} "
        f"from {target}"
    ).fetchone()
    assert counts is not None
    for column, count in zip(declared.identifiers, counts, strict=True):
        if count:
            row = con.execute(
                f"select min(n) from (select row_number() over () as n, {quote(column)} from {target}) "
                f"where {write_address_condition(column)}"
            ).fetchone()
            raise SourceError(f"{name} {where(row[0])}: {explain_address(column, count)}")


def write_address_condition(column: str) -> str:
    """SQL condition: the text holds an email address."""
    name = quote(column)
    return f"contains({name}, '@') and regexp_matches({name}, {quote_text(ADDRESS)})"


def explain_address(column: str, count: int) -> str:
    """What is said of an address where an identifier belongs; the address itself is not."""
    rows = "" if count == 1 else f" ({count} rows of this column do)"
    instead = "the shop's own number of whom or what it means" if column.endswith("_id") else "a code"
    return (
        f"column {column!r} holds an email address{rows}, and this column is published as it is; write "
        f"{instead} there."
    )
