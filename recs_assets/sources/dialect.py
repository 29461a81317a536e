"""How the text of a shop's file is written, where it is not as the canonical folder has it: the optional keys of a file
in `source.toml`."""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from recs_assets.sql_text import quote_text


def _check_mark(mark: str) -> str:
    if len(mark) != 1 or mark in '\r\n"':
        raise ValueError("one character, which is no quote and no line break")
    return mark


def _check_encoding(name: str) -> str:
    try:
        codec = codecs.lookup(name)
        "".encode(codec.name)
    except (LookupError, ValueError):
        raise ValueError(
            f"{name!r} is no encoding; write utf-8, cp1252, latin-1, utf-16 or the like"
        ) from None
    return codec.name


def _check_date(pattern: str) -> str:
    directives = re.findall(r"%-?(.)", pattern)
    if not {*directives} & {"Y", "y", "s"} or {*directives} - set("YymdeHIMSfpbBaAjzs"):
        raise ValueError(f"{pattern!r} is no format of a date; write it like %d.%m.%Y %H:%M")
    return pattern


def _list_of(value: object) -> object:
    return [value] if isinstance(value, str) else value


Mark = Annotated[str, AfterValidator(_check_mark)]
Date = Annotated[str, AfterValidator(_check_date)]
Text = Annotated[str, Field(min_length=1)]


class Dialect(BaseModel):
    """How a file writes its values. What is declared is checked: a value that is written otherwise stops the landing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    delimiter: Mark | None = Field(
        None, description="What separates the columns of a CSV file; none: as its ending says."
    )
    encoding: Annotated[str, AfterValidator(_check_encoding)] = Field(
        "utf-8", description="How its characters are written: cp1252, latin-1, utf-16, ..."
    )
    quote: Annotated[str, Field(max_length=1)] = Field(
        '"', description="What stands around values; `''`: nothing does, and a quote is a character."
    )
    escape: Annotated[str, Field(max_length=1)] | None = Field(
        None, description="What stands before a quote inside a value; none: the quote is doubled."
    )
    skip: Annotated[int, Field(ge=0)] = Field(0, description="Lines (rows of a sheet) above the header.")
    header: tuple[Text, ...] = Field((), description="Names of the columns of a file without a header.")
    open_end: bool = Field(
        False, description="True: the last line may lack its line break, so a file cut off is not noticed."
    )
    decimal: Literal[".", ","] = Field(".", description="What stands before the places of a number.")
    thousands: Literal["", ".", ",", " ", "'", "’", "\u00a0", "\u202f"] = Field(
        "", description="What may stand between the thousands of a number."
    )
    units: tuple[Text, ...] = Field(
        (), description='What may stand before or after a number and says nothing: ["€", "EUR"].'
    )
    dates: Annotated[tuple[Date, ...], BeforeValidator(_list_of)] = Field(
        (),
        description="How dates and times are written, in the order in which they are tried: `%d.%m.%Y %H:%M`.",
    )
    nulls: Annotated[tuple[Text, ...], BeforeValidator(_list_of)] = Field(
        (), description="Words that stand for no value, beside nothing at all: `NULL`, `\\N`."
    )
    sheet: Annotated[tuple[Text, ...], BeforeValidator(_list_of)] = Field(
        (), description="Sheets of a spreadsheet, one below the other; none: it has only one."
    )
    lines: bool = Field(False, description="True: a .json file holds one record per line, and no array.")
    records: Text | None = Field(
        None,
        description="Where in a JSON file its records are: the keys to their array (`data.orders`); `*` after "
        "them, or alone: each key of the object and its value are a record (`key`, `value`).",
    )
    partitions: tuple[Text, ...] = Field(
        (), description="Columns that stand in the names of the folders (`year=2024/`) and not in the file."
    )

    @model_validator(mode="after")
    def _tell_apart(self) -> Dialect:
        if self.thousands == self.decimal:
            raise ValueError("decimal and thousands are the same sign")
        return self

    @property
    def has_own_numbers(self) -> bool:
        return self.decimal != "." or bool(self.thousands or self.units)

    def select_texts(self) -> str:
        """SQL of all columns, words for no value as null (DuckDB's own `nullstr` may not hold the escape sign)."""
        if not self.nulls:
            return "*"
        words = ", ".join(map(quote_text, self.nulls))
        return f"case when columns(*) not in ({words}) then columns(*) end"

    def write_number_pattern(self, whole: bool) -> str:
        """A regular expression of RE2 for the numbers of the file, units apart; a minus may stand behind them."""
        thousands = f"[0-9]{{1,3}}({re.escape(self.thousands)}[0-9]{{3}})+|" if self.thousands else ""
        digits = f"({thousands}[0-9]+)"
        if whole:
            return f"[+-]?{digits}|{digits}-"
        point = re.escape(self.decimal)
        number = f"({digits}({point}[0-9]*)?|{point}[0-9]+)([eE][+-]?[0-9]+)?"
        return f"[+-]?{number}|{number}-"

    def write_plain_number(self, text: str) -> str:
        """SQL: the text of one of its numbers as DuckDB casts it."""
        if self.thousands:
            text = f"replace({text}, {quote_text(self.thousands)}, '')"
        if self.decimal != ".":
            text = f"replace({text}, {quote_text(self.decimal)}, '.')"
        return f"regexp_replace({text}, '^(.*)-$', '-\\1')"

    def write_without_units(self, text: str) -> str:
        """SQL: the text without the units around a number; one in brackets, as accountants write it, is negative."""
        if not self.has_own_numbers:
            return text
        if self.units:
            text = f"replace({text}, '\u00a0', ' ')"
        text = rf"regexp_replace({text}, '^\((.*)\)$', '-\1')"
        if not self.units:
            return text
        words = "|".join(re.escape(unit) for unit in sorted(self.units, key=len, reverse=True))
        before, behind = quote_text(rf"^([+-]?)\s*({words})\s*"), quote_text(rf"\s*({words})$")
        return f"trim(regexp_replace(regexp_replace({text}, {before}, '\\1'), {behind}, ''))"


CANONICAL_DIALECT = Dialect()

DIALECT_KEYS = frozenset(Dialect.model_fields)
