"""One table of the shop's own is one YAML file: what it holds, when its rows became known, what they point at.

`load_tables` reads a folder of them as a whole, because one may refer to another. docs/your_tables.md explains the keys.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from recs_assets import yaml_file
from recs_assets.schema import PERSONAL, RAW_TABLES, Column, Table

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
# Columns of these whose values many rows share, and which a table may be about. Contact data is not among them.
SHARED = {
    "customers": ("country", "locale", "currency", "timezone", "segment"),
    "products": ("category", "brand", "vertical", "merchant_id", "parent_id"),
}
# The column that staging adds to a table whose rows are of whoever carries a value.
BY = {"customers": "customers_by", "products": "products_by"}
# Columns that staging adds.
ADDED = (
    "known_at",
    "known_until",
    "reject_reason",
    "failed_check",
    "as_of",
    "of_profile",
    "carried",
    *BY.values(),
)
# The template's words beside its text.
DATE = "date"
# Canonical names, models that are there already, and families of features: docs name them, and a second meaning would confuse.
TAKEN = (
    *RAW_TABLES, "order_lines", "baskets", "interactions", "withdrawals", "transactions", "purchases", "users", "items",
    "bought_before", "bought_with", "bought_after", "similar", "customers_like_you", "popular_in_category", "popular", "viewed_or_wished",
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

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Columns that are published as they are, and so may hold no address; a day in a key is none."""
        names = dict.fromkeys((*self.keys, *self.references))
        return tuple(name for name in names if self.columns[name] == "text")

    @cached_property
    def foreign_keys(self) -> dict[str, str]:
        """Column -> the table whose key it holds."""
        return {column: target for column, target in self.references.items() if "." not in target}

    @cached_property
    def shared_values(self) -> dict[str, tuple[str, str]]:
        """Column -> the table and the column, no key of it, whose values it holds."""
        pairs = ((column, target.partition(".")) for column, target in self.references.items())
        return {column: (target, value) for column, (target, dot, value) in pairs if dot}

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
    def person_key(self) -> str | None:
        """The column of the key that refers to customers: of a person with several profiles there may be several rows."""
        own = [column for column, target in self.foreign_keys.items() if target == "customers"]
        column = "customer_id" if "customer_id" in own else next(iter(own), None)
        return column if column in self.keys else None

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
    names = _sort(folder, tables)
    for table in tables.values():  # now that there is no circle
        _check_reason(folder, table, tables)
    return {name: tables[name] for name in names}


def _read(path: Path) -> DeclaredTable:
    data, lines = yaml_file.read(path, WHAT, TableError, first="description")
    return yaml_file.check(path, {"name": path.stem, **data}, lines, DeclaredTable, TableError)


def _check_references(folder: Path, table: DeclaredTable, tables: Tables) -> None:
    path = folder / f"{table.name}.yaml"
    _, lines = yaml_file.read(path, WHAT, TableError, first="description")
    for column in table.references:
        if problem := _find_problem(table, column, tables):
            raise TableError(path, lines.find(("references", column)), f"references: {problem}.")


def _check_reason(folder: Path, table: DeclaredTable, tables: Tables) -> None:
    carried = {owner: found for owner in OWNERS if (found := find_carried(table, owner, tables)) is not None}
    if table.reason is not None and carried and not has_evidence(table, tables):
        path = folder / f"{table.name}.yaml"
        _, lines = yaml_file.read(path, WHAT, TableError, first="description")
        raise TableError(
            path,
            lines.find(("reason",)),
            f"reason: rows are of many at once over {next(iter(carried.values())).column}, and a sentence is about one "
            "product, or one customer and one product; leave it out.",
        )


def _find_problem(table: DeclaredTable, column: str, tables: Tables) -> str | None:
    """What is wrong with a reference; None: nothing."""
    if column in table.shared_values:
        return _find_problem_of_value(table, *table.shared_values[column], tables)
    target = table.foreign_keys[column]
    if target in CANONICAL:
        return None
    if target not in tables:
        known = ", ".join([*CANONICAL, *(name for name in tables if name != table.name)])
        return f"{target} is no table; a column may refer to {known}"
    if len(tables[target].keys) > 1:
        return f"{target} has a key of several columns; refer to another table"
    if tables[target].person_key is not None:
        return f"{target} has one row per customer; refer to customers"
    return None


def _find_problem_of_value(table: DeclaredTable, target: str, value: str, tables: Tables) -> str | None:
    others = {name: other for name, other in tables.items() if name != table.name}
    if target in SHARED:
        listed = ", ".join(SHARED[target])
        if value == CANONICAL[target]:
            return f"{value} is the key of {target}; write {value}: {target}"
        if value in PERSONAL:
            return f"{target}.{value} says who somebody is; a table may be about {listed} of {target}"
        if value not in SHARED[target]:
            return f"{target} has no column {value} that a table may be about; there are {listed}"
        return None
    if target not in others:
        known = ", ".join([*SHARED, *others])
        return f"{target} is no table whose columns a table may be about; there are {known}"
    other = others[target]
    texts = [name for name, kind in other.columns.items() if kind == "text" and (name,) != other.keys]
    listed = [name for name in texts if name not in (*other.personal, *other.foreign_keys)]
    if other.keys == (value,):
        return f"{value} is the key of {target}; write {target} alone"
    if value not in listed:
        there = f"there are {', '.join(listed)}" if listed else "it has no text but identifiers"
        return f"{target} has no column {value} that a table may be about; {there}"
    if not any(find_route(other, owner, tables) for owner in OWNERS):
        return f"rows of {target} lead to no customer and no product, so nobody carries its {value}"
    if not any(has_one_value(other, owner, tables) for owner in OWNERS):
        return (
            f"{target} has no time, so of several rows of one customer or product none is the latest; give it a time, "
            "or make the column that refers to them its key"
        )
    return None


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
            for target in tables[name].foreign_keys.values():
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
        references = tables[name].foreign_keys if name in tables else {}
        if name == "orders":
            references = {"customer_id": "customers"}
        for column, target in references.items():
            longer = (*route, (column, target))
            if target == goal:
                return longer
            if target not in {name for name, _ in waiting}:
                waiting.append((target, longer))
    return None


def has_one_value(table: DeclaredTable, owner: str, tables: Tables) -> bool:
    """Whether a column of it is one value of each customer (or product): the latest, or there is one row of each."""
    route = find_route(table, owner, tables)
    return route is not None and (not table.static or (table.keys == (route[0][0],) and len(route) == 1))


class Carried(NamedTuple):
    """How rows are of whoever carries a value: by a column of their own, or as the row that it points at is.

    Attributes:
        column: of the table.
        points: whether it is the column of a foreign key.
        target: the table that says who carries which value.
        value: its column.
    """

    column: str
    points: bool
    target: str
    value: str


def find_carried(table: DeclaredTable, owner: str, tables: Tables) -> Carried | None:
    """By which value rows are of "customers" or of "products"; None: they lead there over keys, or do not at all."""
    if find_route(table, owner, tables) is not None:
        return None
    for column, (target, value) in table.shared_values.items():
        if target == owner or (target in tables and has_one_value(tables[target], owner, tables)):
            return Carried(column, False, target, value)
    for column, target in table.foreign_keys.items():
        if target in tables and (carried := find_carried(tables[target], owner, tables)) is not None:
            return Carried(column, True, carried.target, carried.value)
    return None


def list_owners(table: DeclaredTable, tables: Tables) -> list[str]:
    """The ids of whose a row is: customer_id, product_id, as far as references to keys lead there."""
    return [key for owner, key in OWNERS.items() if find_route(table, owner, tables) is not None]


def has_evidence(table: DeclaredTable, tables: Tables) -> bool:
    """Whether a sentence of the table can be true of a product: a row is of it and of a customer, or of no customer."""
    direct, entities = list_owners(table, tables), list_entities(table, tables)
    return "products" in entities and ("customers" not in entities or len(direct) == len(OWNERS))


def list_entities(table: DeclaredTable, tables: Tables) -> tuple[str, ...]:
    """What rows of the table are of: "customers", "products", and "pairs" where a row is of one of each."""
    direct = [owner for owner in OWNERS if find_route(table, owner, tables) is not None]
    reached = tuple(owner for owner in OWNERS if owner in direct or find_carried(table, owner, tables))
    return (*reached, "pairs") if len(direct) == len(OWNERS) else reached
