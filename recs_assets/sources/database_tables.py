"""What `source.toml` declares of a table in a database: `[files."<database>:<table>"]`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from recs_assets.schema import Column, SettingsError
from recs_assets.sources.declared import TYPES, DeclaredFile

Text = Annotated[str, Field(min_length=1)]
# A platform's folder writes `*` where the name is not known yet; `init` fills it in.
_NAME = re.compile(r"([a-z][a-z0-9_]*|\*):(.+)", re.DOTALL)
_TIMES = ("TIMESTAMP", "TIMESTAMPTZ")


class Incremental(BaseModel):
    """How to ask for the rows that changed since the last landing.

    `updated_at` is the column with the time of a row's last change, `key` names the columns that no two rows share.
    Asked for is everything since `overlap_days` before the newest change that is known, so that rows which were
    written late are taken in; every `full_every_days` the whole table is read, which finds what was deleted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    updated_at: Text
    key: Annotated[list[Text], Field(min_length=1)]
    overlap_days: Annotated[int, Field(ge=1, le=366)] = 7
    full_every_days: Annotated[int, Field(ge=1, le=3660)] = 28


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    columns: dict[Text, Text]
    may_be_empty: bool = False
    optional: list[Text] = []
    alias: Text | None = Field(None, alias="as")
    query: Text | None = None
    incremental: Incremental | None = None

    @field_validator("query")
    @classmethod
    def _check_query(cls, query: str | None) -> str | None:
        return None if query is None else check_query(query)

    @model_validator(mode="after")
    def _check_names(self) -> _Entry:
        if not self.columns or (
            wrong := [column for column, kind in self.columns.items() if kind not in TYPES]
        ):
            shown = f" (column {wrong[0]!r} is not)" if self.columns else ""
            raise ValueError(f"it needs columns of the types {', '.join(TYPES)}{shown}")
        named = [("optional", column) for column in self.optional]
        if self.incremental is not None:
            named += [("incremental.key", column) for column in self.incremental.key]
            named.append(("incremental.updated_at", self.incremental.updated_at))
        for key, column in named:
            if column not in self.columns:
                raise ValueError(
                    f"{key} names {column!r}, which is none of its columns; declare it there too"
                )
        if self.incremental is not None:
            own = {self.incremental.updated_at, *self.incremental.key}
            if shared := sorted(own & set(self.optional)):
                raise ValueError(f"incremental needs column {shared[0]!r}, so it cannot be optional")
            if self.columns[self.incremental.updated_at] not in _TIMES:
                raise ValueError(
                    f"incremental.updated_at names {self.incremental.updated_at!r}, which is no {' or '.join(_TIMES)}"
                )
        return self


class DatabaseTable(BaseModel):
    """A table, or a query's result, in a database whose address is `RECS_DATABASE_<NAME>`."""

    model_config = ConfigDict(frozen=True)

    database: str
    table: str
    query: str | None = None
    incremental: Incremental | None = None


def is_database_table(name: str) -> bool:
    """Whether a name in `[files."..."]` is that of a table in a database."""
    return _NAME.fullmatch(name) is not None


def read_table_declaration(where: str, name: str, entry: object) -> DeclaredFile:
    """One `[files."<database>:<table>"]` of a `source.toml`.

    Args:
        where: names the file in errors.
        name: `<database>:<table>`, for which `is_database_table` holds.
        entry: what stands below it.

    Raises:
        SettingsError: it declares something unknown, or something that cannot be.
    """
    found = _NAME.fullmatch(name)
    assert found is not None
    try:
        declared = _Entry.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        text = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise SettingsError(f"{where}: table {name!r}: {key + ': ' if key else ''}{text}.") from None
    database, table = found.groups()
    return DeclaredFile(
        name,
        tuple(
            Column(column, kind, "", required=column not in declared.optional)
            for column, kind in declared.columns.items()
        ),
        declared.may_be_empty,
        # Of `schema.table` the last part.
        alias=declared.alias or table.rpartition(".")[2],
        database=DatabaseTable(
            database=database, table=table, query=declared.query, incremental=declared.incremental
        ),
    )


def check_query(query: str) -> str:
    """A query of `source.toml` without its last semicolon.

    It is sent to the server as a derived table (`select ... from (<query>) as source`), where SQL allows nothing but a
    SELECT; what could end the derived table early, or write from within, is refused here.

    Raises:
        ValueError: it is no plain SELECT.
    """
    plain = query.strip().rstrip(";").strip()
    if not re.match(r"(select|with)\b", plain, re.IGNORECASE):
        raise ValueError("it must be one SELECT (begin with select or with)")
    if ";" in plain:
        raise ValueError(
            "it holds a semicolon; write one SELECT, and chr(59) or char(59) where you mean the sign"
        )
    if re.search(r"/\*[!M]", plain) or re.search(
        r"\binto\s+(outfile|dumpfile|@|table\b)", plain, re.IGNORECASE
    ):
        raise ValueError(
            "it must be one plain SELECT that writes nothing (it has INTO or a comment that is run)"
        )
    depth = 0
    for sign in re.sub(r"'[^']*'", "", plain):
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            break
    if depth:
        raise ValueError("its brackets do not match")
    return plain
