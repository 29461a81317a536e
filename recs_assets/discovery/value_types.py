"""The types of columns that were read as text, from all of their values and not from a sample."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import duckdb

from recs_assets.discovery.found import FoundColumn
from recs_assets.sources.dialect import Dialect
from recs_assets.sql_text import quote, quote_text

# Words that exports write where there is no value; without them a column of numbers would be one of texts.
NULL_WORDS = (
    "null", "\\n", "n/a", "#n/a", "na", "nan", "none", "nil", "(null)", "-", "--", "?", "undefined", "#wert!", "#value!",
    "#ref!", "0000-00-00", "0000-00-00 00:00:00",
)  # fmt: skip
UNITS = ("€", "$", "£", "¥", "EUR", "USD", "GBP", "CHF", "Euro", "kr", "zł", "%")
_SIGNS = ((".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (".", " "), (".", "'"), (",", "\u00a0"))
_DAYS = (
    "%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d",
    "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%d %b %Y", "%b %d, %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%B %d, %Y",
)  # fmt: skip
_TIMES = (
    "", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M", "T%H:%M:%S", "T%H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p",
    ", %H:%M", ", %H:%M:%S", " %H:%M Uhr", "T%H:%M:%SZ",
)  # fmt: skip
_SAMPLE = 400


@dataclass
class Types:
    """Columns, and the keys of the dialect without which their values are not of these types."""

    columns: list[FoundColumn]
    entry: dict[str, Any] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)


@dataclass
class _Values:
    """What was seen of a column: how often, how its numbers may be written, how its times are."""

    column: FoundColumn
    nulls: list[str] = field(default_factory=list)
    signs: set[tuple[str, str]] = field(default_factory=set)
    units: list[str] = field(default_factory=list)
    days: list[list[str]] = field(default_factory=list)
    iso: bool = False


def infer_types(con: duckdb.DuckDBPyConnection, text: str, names: Sequence[str], delimiter: str) -> Types:
    """Find the type of each column of a table of texts.

    Args:
        con: connection that has the table.
        text: qualified name of the table.
        names: its columns.
        delimiter: between the columns of the file; after a semicolon decimal commas are likelier.
    """
    seen = [_look_at(con, text, name) for name in names]
    result = Types([values.column for values in seen])
    _choose_signs(seen, delimiter, result)
    _choose_dates(con, text, seen, result)
    nulls = sorted({word for values in seen if values.column.type != "VARCHAR" for word in values.nulls})
    if nulls:
        result.entry["nulls"] = nulls
    return result


def _look_at(con: duckdb.DuckDBPyConnection, text: str, name: str) -> _Values:
    cell = f"trim({quote(name)})"
    con.execute(
        f"create or replace temp table _values as select {cell} as v, count(*) as n from {text} where {quote(name)} is not null group by 1"
    )
    rows = con.execute(f"select count(*) from {text}").fetchone()[0]
    filled, distinct = con.execute("select coalesce(sum(n), 0), count(*) from _values").fetchone()
    column = FoundColumn(name, "VARCHAR", rows, filled, distinct)
    values = _Values(column)
    if not filled:
        column.how = "it holds no value at all"
        return values
    words = ", ".join(map(quote_text, NULL_WORDS))
    values.nulls = [
        row[0] for row in con.execute(f"select v from _values where lower(v) in ({words})").fetchall()
    ]
    con.execute(
        f"create or replace temp table _real as select * from _values where lower(v) not in ({words}) and v <> ''"
    )
    total = con.execute("select count(*) from _real").fetchone()[0]
    if not total:
        column.how = "it holds no value but words for none"
        return values
    if distinct <= 200:
        column.samples = tuple(
            row[0] for row in con.execute("select v from _values order by n desc, v limit 200").fetchall()
        )
    if _count(con, "lower(v) in ('true', 'false', 't', 'f', 'yes', 'no')") == total:
        column.type, column.how = "BOOLEAN", "every value is a word for true or false"
        return values
    sample = [row[0] for row in con.execute(f"select v from _real limit {_SAMPLE}").fetchall()]
    values.units = _find_units(con) if _look_like_numbers(sample) else []
    values.signs = {signs for signs in _SIGNS if _fits_numbers(con, total, sample, signs, values.units)}
    if values.signs:
        point = Dialect(units=tuple(values.units)).write_without_units("v")
        leading = _count(con, f"regexp_full_match({point}, '0[0-9]+')")
        longest = con.execute(f"select max(length({point})) from _real").fetchone()[0]
        whole = _fits_numbers(con, total, sample, (".", ""), values.units, whole=True)
        if leading or (whole and longest > 18):
            why = "zeros at the beginning are part of it" if leading else "it is too long for a number"
            values.signs, column.how = set(), f"digits, and {why}"
        else:
            column.whole = whole
            column.type = "BIGINT" if whole else "DOUBLE"
            column.how = "every value is a whole number" if whole else "every value is a number"
    values.iso = _fits_iso(con, total, column) if not values.signs else False
    if not values.iso:
        values.days = _find_days(con, total, sample, bool(values.signs))
    if values.days and values.signs:  # 20240131 is a number, too
        if values.days == [["%Y%m%d"]]:
            values.signs, values.units = set(), []
            column.type = "VARCHAR"
        else:
            values.days = []
    return values


def _count(con: duckdb.DuckDBPyConnection, condition: str) -> int:
    return con.execute(f"select count(*) from _real where {condition}").fetchone()[0]


def _look_like_numbers(sample: Sequence[str]) -> bool:
    return all(re.search("[0-9]", text) and len(re.sub("[^A-Za-z]", "", text)) <= 4 for text in sample)


def _find_units(con: duckdb.DuckDBPyConnection) -> list[str]:
    """What stands before or behind numbers."""
    return [
        unit
        for unit in UNITS
        if _count(
            con,
            f"(starts_with(v, {quote_text(unit)}) or ends_with(v, {quote_text(unit)})) and regexp_matches(v, '[0-9]')",
        )
    ]


def _fits_numbers(
    con: duckdb.DuckDBPyConnection,
    total: int,
    sample: Sequence[str],
    signs: tuple[str, str],
    units: Sequence[str],
    whole: bool = False,
) -> bool:
    dialect = Dialect(decimal=signs[0], thousands=signs[1], units=tuple(units))
    pattern = dialect.write_number_pattern(whole)
    if not units and not all(re.fullmatch(pattern, re.sub(r"^\((.*)\)$", r"-\1", text)) for text in sample):
        return False
    # A thousands sign that never stands there is not declared.
    if signs[1] and not _count(con, f"contains(v, {quote_text(signs[1])})"):
        return False
    return (
        _count(con, f"regexp_full_match({dialect.write_without_units('v')}, {quote_text(pattern)})") == total
    )


def _fits_iso(con: duckdb.DuckDBPyConnection, total: int, column: FoundColumn) -> bool:
    """Whether the canonical reader takes the values as dates or times; sets the type."""
    if not _count(con, r"regexp_matches(v, '^\d{4}-\d{2}-\d{2}')"):
        return False
    offset = _count(con, r"regexp_matches(v, '\d ?([+-]\d{2}(:?\d{2})?|Z|UTC)$') and length(v) > 10")
    for type_, condition in (
        ("DATE", r"regexp_full_match(v, '\d{4}-\d{2}-\d{2}') and try_cast(v as date) is not null"),
        (
            "TIMESTAMP",
            r"regexp_full_match(v, '\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}:\d{2}(\.\d+)?)?') and try_cast(v as timestamp) is not null",
        ),
        (
            "TIMESTAMPTZ",
            r"regexp_full_match(v, '\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?( ?([+-]\d{2}(:?\d{2})?|Z|UTC))?)?')",
        ),
    ):
        if _count(con, condition) == total:
            column.type = type_
            column.how = {
                "DATE": "every value is a date",
                "TIMESTAMP": "every value is a time without an offset",
                "TIMESTAMPTZ": "every value is a time" + (" with an offset" if offset else ""),
            }[type_]
            return True
    return False


_PARTS = {
    "Y": r"\d{4}", "y": r"\d\d", "m": r"\d{1,2}", "d": r"\d{1,2}", "b": "[A-Za-z]{3}", "B": "[A-Za-z]{3,9}",
    "H": r"\d{1,2}", "I": r"\d{1,2}", "M": r"\d{1,2}", "S": r"\d{1,2}", "f": r"\d{1,9}", "p": "[AaPp][Mm]",
}  # fmt: skip


@lru_cache
def _write_shape(pattern: str) -> re.Pattern[str]:
    """What texts of a format look like; `%Y%m%d` has all its digits."""
    parts = re.split("%(.)", pattern)
    shape = "".join(_PARTS[part] if place % 2 else re.escape(part) for place, part in enumerate(parts))
    return re.compile(r"\d{8}" if pattern == "%Y%m%d" else shape)


def _find_days(
    con: duckdb.DuckDBPyConnection, total: int, sample: Sequence[str], numeric: bool
) -> list[list[str]]:
    """Lists of formats of which each reads all values; of every list one day's format with the times that occur."""
    found = []
    for day in ("%Y%m%d",) if numeric else _DAYS:
        fitting = sum(any(_write_shape(day + time).fullmatch(text) for time in _TIMES) for text in sample)
        # A rare form may not be in the sample; of the day's own there is none that is not.
        if fitting < len(sample) * 0.9 or not sample:
            continue
        patterns = [day + time for time in _TIMES] if not numeric else [day]
        if _count(con, _reads(patterns)) == total:
            found.append([pattern for pattern in patterns if _count(con, _reads([pattern]))])
    return found


def _reads(patterns: Sequence[str]) -> str:
    listed = ", ".join(map(quote_text, patterns))
    # `%z` and words in a format are compared as they are; a year of two digits is no year 10.
    return f"coalesce(year(try_strptime(v, [{listed}])) between 1900 and 2200, false)"


def _choose_signs(seen: list[_Values], delimiter: str, result: Types) -> None:
    """One way to write numbers for the whole file: the one that fits most columns."""
    numeric = [values for values in seen if values.signs]
    telling = [values for values in numeric if not values.column.whole]
    if not telling:
        return
    preference = (",", "") if delimiter == ";" else (".", "")

    def weigh(signs: tuple[str, str]) -> tuple[int, bool, bool]:
        return (
            sum(signs in values.signs for values in telling),
            signs == preference,
            signs[0] == preference[0],
        )

    best = max(_SIGNS, key=weigh)
    decimal, thousands = best
    if decimal != ".":
        result.entry["decimal"] = decimal
    # Thousands may stand in some columns only.
    for signs in _SIGNS:
        if (
            not thousands
            and signs[0] == decimal
            and signs[1]
            and any(values.signs <= {signs} for values in telling)
        ):
            thousands = signs[1]
    if thousands:
        result.entry["thousands"] = thousands
    units = sorted({unit for values in numeric for unit in values.units})
    if units:
        result.entry["units"] = units
    declared = Dialect(decimal=decimal, thousands=thousands)
    for values in telling:
        fits = {signs for signs in values.signs if signs[0] == declared.decimal}
        if not fits:
            values.column.type, values.column.sure = "VARCHAR", 0.5
            values.column.how = "numbers that are written otherwise than in the other columns"
            values.column.question = f"are the numbers of {values.column.name} written with {next(iter(sorted(values.signs)))[0]!r}?"
        elif len({signs[0] for signs in values.signs}) > 1 and len(telling) == 1:
            values.column.sure = 0.6
            values.column.how = f"every value is a number with {decimal!r} before its places"
            values.column.question = (
                f"does {decimal!r} stand before the places of {values.column.name}, or between thousands?"
            )


def _choose_dates(con: duckdb.DuckDBPyConnection, text: str, seen: list[_Values], result: Types) -> None:
    """One list of formats for the file; day and month are told apart by all columns, and by their order."""
    dated = [values for values in seen if values.days]
    if not dated:
        return
    common = [
        {
            tuple(patterns[0].split(" ")[0].split("T")[0].split(",")[0] for _ in (1,))
            for patterns in values.days
        }
        for values in dated
    ]
    shared = set.intersection(*common) if common else set()
    chosen: list[str] = []
    for values in dated:
        options = [
            days for days in values.days if (days[0].split(" ")[0].split("T")[0].split(",")[0],) in shared
        ] or values.days
        best = options[0]
        column = values.column
        if len(options) > 1:
            scored = sorted(
                (_count_inversions(con, text, column.name, days), place) for place, days in enumerate(options)
            )
            best = options[scored[0][1]]
            clear = scored[0][0] * 2 < scored[1][0]
            column.sure = 0.9 if clear else 0.6
            others = ", ".join(days[0] for days in options if days is not best)
            column.how = f"every value reads as {best[0]}, and as {others}" + (
                "; read so, the rows are in order" if clear else ""
            )
            if not clear:
                column.question = f"is {column.name} written as {best[0]}, and not as {others}?"
        else:
            column.how = f"every value reads as {' or '.join(best)}"
        has_time = any("%H" in pattern or "%I" in pattern for pattern in best)
        column.type = "TIMESTAMP" if has_time else "DATE"
        chosen += [pattern for pattern in best if pattern not in chosen]
    if any(values.iso for values in seen):
        chosen += ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]
    # The longer come first: a date's format must not read half of a time.
    result.entry["dates"] = sorted(dict.fromkeys(chosen), key=lambda pattern: (-len(pattern), pattern))


def _count_inversions(con: duckdb.DuckDBPyConnection, text: str, name: str, patterns: Sequence[str]) -> int:
    """How often a row lies before the one above it: exports are mostly in the order of their dates."""
    listed = ", ".join(map(quote_text, patterns))
    forward, backward = con.execute(
        f"select count(*) filter (t < before), count(*) filter (t > before) from (select t, lag(t) over (order by n) as before "
        f"from (select try_strptime(trim({quote(name)}), [{listed}]) as t, row_number() over () as n from {text}))"
    ).fetchone()
    return min(forward, backward)


def refine_columns(con: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[FoundColumn]) -> None:
    """Count again, and find the least and the most, now that the values have their types."""
    for column in columns:
        name = quote(column.name)
        bounds = f"min({name}), max({name})" if column.is_number or column.is_time else "null, null"
        whole = (
            f"coalesce(bool_and({name} = floor({name})), false)"
            if column.type == "DOUBLE"
            else str(column.type == "BIGINT").lower()
        )
        column.rows, column.filled, column.distinct, column.least, column.most, column.whole = con.execute(
            f"select count(*), count({name}), count(distinct {name}), {bounds}, {whole} from {relation}"
        ).fetchone()
        if not column.samples and column.type in ("VARCHAR", "BIGINT", "BOOLEAN") and column.distinct <= 200:
            column.samples = tuple(
                row[0]
                for row in con.execute(
                    f"select {name}::varchar from {relation} where {name} is not null group by 1 order by count(*) desc, 1 limit 200"
                ).fetchall()
            )
