"""One table of the shop's own is one YAML file: what it holds, when its rows became known, what they point at.

`load_tables` reads a folder of them as a whole, because one may refer to another. docs/your_tables.md explains the keys.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from recs_assets import yaml_file
from recs_assets.schema import RAW_TABLES, Column, Table

WHAT = ("a table", "docs/your_tables.md")
Name = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$")]
Kind = Literal["text", "number", "boolean", "time", "date"]
TYPES = {
    "text": "VARCHAR",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "time": "TIMESTAMPTZ",
    "date": "TIMESTAMPTZ",
}
# Canonical tables that may be referred to, and by which column their rows are found.
CANONICAL = {"customers": "customer_id", "products": "product_id", "orders": "order_id"}
# What rows can lead to, and the column of it.
OWNERS = {"customers": "customer_id", "products": "product_id"}
# Columns that staging adds.
ADDED = ("known_at", "reject_reason", "failed_check", "as_of")
# The template's words beside its text.
DATE = "date"
# Canonical names, models that are there already, and families of features: docs name them, and a second meaning would confuse.
TAKEN = (
    *RAW_TABLES, "order_lines", "baskets", "interactions", "withdrawals", "transactions", "purchases", "users", "items",
    "bought_before", "bought_with", "similar", "customers_like_you", "popular_in_category", "popular", "viewed_or_wished",
    "brand", "price", "new_arrival", "promotion", "context", "category", "vertical", "source", "derived", "files",
)  # fmt: skip
# What DuckDB takes for no name without quotes: models that a person reads have none.
RESERVED = frozenset(
    """
    all analyse analyze and anti any array as asc asof asymmetric at authorization binary both by case cast check collate collation
    column concurrently constraint create cross default deferrable desc describe distinct do else end except false fetch for foreign
    freeze from full glob group having ilike in initially inner intersect into is isnull join lambda lateral leading left like limit
    natural not notnull null offset on only or order outer overlaps pivot pivot_longer pivot_wider placing positional primary
    qualify references returning right select semi show similar some summarize symmetric table tablesample then to trailing true
    union unique unpack unpivot using variadic verbose when where window with
    """.split()  # noqa: SIM905 - as a list it is 105 lines
)


class TableError(yaml_file.FileError):
    """A declared table cannot be used."""


class DeclaredTable(BaseModel):
    """One table as its file declares it; every key has its meaning in docs/your_tables.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    description: Annotated[str, Field(pattern=r"\S")]
    file: str | None = None
    key: Name | tuple[Name, ...]
    time: Name | None = None
    static: bool = False
    columns: Annotated[dict[Name, Kind], Field(min_length=1)]
    references: dict[Name, str] = {}
    known: dict[Name, tuple[Name, ...]] = {}
    personal: tuple[Name, ...] = ()
    ignored: tuple[str, ...] = ()
    reason: str | dict[str, str] | None = None

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if value in TAKEN or re.search("_of_(customers|products|pairs)$", value):
            raise ValueError("this name has a meaning already; call the table otherwise")
        if value in RESERVED:
            raise ValueError(
                f"{value} is a word of SQL; call the table otherwise, and name its file under file"
            )
        return value

    @field_validator("columns")
    @classmethod
    def _check_columns(cls, value: dict[str, str]) -> dict[str, str]:
        if taken := [name for name in value if name in ADDED]:
            raise ValueError(f"{taken[0]} is a column that is added to every table; call it otherwise")
        if reserved := [name for name in value if name in RESERVED]:
            raise ValueError(
                f"{reserved[0]} is a word of SQL; call the column otherwise, in the file or in <table>.sql"
            )
        return value

    @field_validator("reason")
    @classmethod
    def _check_reason(cls, value: str | dict[str, str] | None) -> str | dict[str, str] | None:
        for text in value.values() if isinstance(value, dict) else [value or "-"]:
            names = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
            if names - {DATE}:
                raise ValueError(f"a sentence may name {{{DATE}}} and nothing else")
            if not text.strip():
                raise ValueError("a sentence is empty; write one")
        return value

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if self.time is None and not self.static:
            raise ValueError(
                "time: it is missing; name the column that says when a row became known, or write static: true "
                "if no row is ever added or changed"
            )
        if self.time is not None and self.static:
            raise ValueError("static: a table with a time changes; leave one of the two out")
        for key, names in (
            ("key", self.keys),
            ("time", [self.time] if self.time else []),
            ("references", self.references),
            ("personal", self.personal),
            ("known", [*self.known, *(name for late in self.known.values() for name in late)]),
        ):
            if unknown := [name for name in names if name not in self.columns]:
                raise ValueError(
                    f"{key}: there is no column {unknown[0]}; the columns are {', '.join(self.columns)}"
                )
        for key, names in (("time", [self.time] if self.time else []), ("known", self.known)):
            if wrong := [name for name in names if self.columns[name] not in ("time", "date")]:
                raise ValueError(
                    f"{key}: {wrong[0]} is a {self.columns[wrong[0]]}; it must be a time or a date"
                )
        for column in self.references:
            if self.columns[column] != "text":
                raise ValueError(f"references: {column} is a {self.columns[column]}; an identifier is a text")
        for table, column in OWNERS.items():
            if column in self.columns and self.references.get(column) != table:
                raise ValueError(f"references: {column} must refer to {table}, or have another name")
        if hidden := [name for name in self.personal if name in (*self.keys, *self.references, self.time)]:
            raise ValueError(f"personal: {hidden[0]} is needed to read the table")
        if self.reason is not None and self.static and f"{{{DATE}}}" in str(self.reason):
            raise ValueError("reason: a static table has no {date}; leave it out")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,) if isinstance(self.key, str) else self.key

    @cached_property
    def raw(self) -> Table:
        """The table as it is landed."""
        needed = {*self.keys, *([self.time] if self.time else [])}
        return Table(
            self.name,
            self.description,
            self.keys,
            tuple(
                Column(name, TYPES[kind], f"{name} of {self.name}.", name in needed)
                for name, kind in self.columns.items()
            ),
            event_at=self.time,
            references=self.references,
            personal=self.personal,
        )

    @cached_property
    def known_from(self) -> dict[str, str]:
        """Column -> the time from which its value is known, where that is not the row's own.

        A second time is known from itself on, unless `known` says otherwise: a ticket is not yet resolved at a date
        before it was.
        """
        kinds = self.columns.items()
        later = {name: name for name, kind in kinds if kind in ("time", "date") and name != self.time}
        later |= {name: at for at, names in self.known.items() for name in names}
        return {name: at for name, at in later.items() if at != self.time}

    @property
    def reasons(self) -> dict[str, str]:
        """The sentences by language; a text without one is for every language (key "")."""
        if self.reason is None:
            return {}
        return {"": self.reason} if isinstance(self.reason, str) else dict(self.reason)


Tables = Mapping[str, DeclaredTable]


def load_tables(folder: Path | None) -> dict[str, DeclaredTable]:
    """The tables of a folder by name, those before others that refer to them.

    Args:
        folder: with one YAML file per table; None: there are none.

    Raises:
        TableError: a file is wrong, or refers to what is not there.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        raise TableError(folder, 1, "the folder of the tables is missing; point RECS_TABLES at it.")
    models, errors = yaml_file.read_each(folder, _read, TableError)
    for path in sorted(folder.iterdir()):
        if path.suffix == ".yml":
            raise TableError(path, 1, "it is not read; name it .yaml.")
    if errors:
        raise errors[0]
    tables = dict(models)
    for table in tables.values():
        _check_references(folder, table, tables)
    return {name: tables[name] for name in _sort(folder, tables)}


def _read(path: Path) -> DeclaredTable:
    data, lines = yaml_file.read(path, WHAT, TableError, first="description")
    return yaml_file.check(path, {"name": path.stem, **data}, lines, DeclaredTable, TableError)


def _check_references(folder: Path, table: DeclaredTable, tables: Tables) -> None:
    path = folder / f"{table.name}.yaml"
    _, lines = yaml_file.read(path, WHAT, TableError, first="description")
    for column, target in table.references.items():
        line = lines.find(("references", column))
        if target in CANONICAL:
            continue
        if target not in tables:
            known = ", ".join([*CANONICAL, *(name for name in tables if name != table.name)])
            raise TableError(path, line, f"references: {target} is no table; a column may refer to {known}.")
        if len(tables[target].keys) > 1:
            raise TableError(
                path, line, f"references: {target} has a key of several columns; refer to another table."
            )


def _sort(folder: Path, tables: Tables) -> list[str]:
    """Names in an order in which each stands after those that it refers to."""
    done: list[str] = []

    def visit(name: str, above: Collection[str]) -> None:
        if name in above:
            circle = " -> ".join([*above, name])
            raise TableError(
                folder / f"{name}.yaml", 1, f"references: they lead in a circle ({circle}); remove one."
            )
        if name not in done:
            for target in tables[name].references.values():
                if target in tables:
                    visit(target, [*above, name])
            done.append(name)

    for name in tables:
        visit(name, [])
    return done


def find_route(table: DeclaredTable, goal: str, tables: Tables) -> tuple[tuple[str, str], ...] | None:
    """The shortest way over references to "customers" or "products": (column, table that it leads to) of each hop.

    Orders lead to customers. None: there is no way.
    """
    waiting: list[tuple[str, tuple[tuple[str, str], ...]]] = [(table.name, ())]
    for name, route in waiting:
        references = tables[name].references if name in tables else {}
        if name == "orders":
            references = {"customer_id": "customers"}
        for column, target in references.items():
            longer = (*route, (column, target))
            if target == goal:
                return longer
            waiting.append((target, longer))
    return None


def list_entities(table: DeclaredTable, tables: Tables) -> tuple[str, ...]:
    """What rows of the table are of: "customers", "products", and "pairs" where they are of both."""
    reached = tuple(owner for owner in OWNERS if find_route(table, owner, tables) is not None)
    return (*reached, "pairs") if len(reached) == len(OWNERS) else reached
