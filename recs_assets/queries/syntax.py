"""The syntax tree of a predictive query, and how it is written back as text.

Nodes are plain frozen values: two queries that mean the same text are equal, wherever their
words stood. `at`, the character at which a node began, serves error messages only and is no
part of a node's value. `str(query)` is the query in its normal form: `parse(str(query)) == query`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from recs_assets.schema import RecsError

if TYPE_CHECKING:
    from recs_assets.queries.catalogue import Catalogue

# Functions in the order in which messages and documents list them.
FUNCTIONS = (
    "COUNT",
    "COUNT_DISTINCT",
    "LIST_DISTINCT",
    "SUM",
    "AVG",
    "MIN",
    "MAX",
    "FIRST",
    "LAST",
    "BOOL",
)
UNITS = ("days", "weeks", "hours", "minutes", "months")
EXCERPT_WIDTH = 100


class QueryError(RecsError):
    """A predictive query cannot be read, or asks for something that cannot be answered.

    Attributes:
        sentence: what is wrong and what to do, one sentence, with line and column.
        line: line of the query, from 1; None where the query did not come from a text.
        column: character of that line, from 1 (a tab is one); None likewise.
        expected: what could have stood there, for errors of grammar; otherwise empty.
    """

    def __init__(
        self, message: str, text: str | None = None, at: int = 0, expected: tuple[str, ...] = ()
    ) -> None:
        self.expected = expected
        self.line: int | None = None
        self.column: int | None = None
        self.sentence = message
        excerpt = ""
        if text is not None:
            before = text[:at]
            self.line = before.count("\n") + 1
            self.column = at - (before.rfind("\n") + 1) + 1
            self.sentence = f"Query line {self.line}, column {self.column}: {message}"
            excerpt = "\n" + _show_place(text.split("\n")[self.line - 1], self.column)
        super().__init__(self.sentence + excerpt)


def _show_place(line: str, column: int) -> str:
    """The line, cut to a readable width around `column`, over a caret below that column."""
    first = max(0, column - EXCERPT_WIDTH // 2) if len(line) > EXCERPT_WIDTH else 0
    shown = "".join(letter if letter.isprintable() else " " for letter in line[first : first + EXCERPT_WIDTH])
    return f"    {shown}\n    {' ' * (column - 1 - first)}^"


def _place() -> int:
    return field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Literal:
    """A value that somebody wrote: text, whole number, number, truth value or date."""

    value: str | int | float | bool | date
    at: int = _place()

    def __str__(self) -> str:
        if isinstance(self.value, str):
            return "'" + self.value.replace("'", "''") + "'"
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return self.value.isoformat() if isinstance(self.value, date) else repr(self.value)


@dataclass(frozen=True)
class Column:
    """A dotted name: `table.column`, `foreign_key.column`, `column`, or `table.*`.

    After validation its first part is a table and every part between is a foreign key.
    """

    parts: tuple[str, ...]
    at: int = _place()

    def __str__(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True)
class Window:
    """`[anchor + start, anchor + end)` in one unit; a start of None reaches back without limit."""

    start: int | None
    end: int
    unit: str = "days"
    at: int = _place()

    def __str__(self) -> str:
        return f"{'-INF' if self.start is None else self.start}, {self.end}, {self.unit}"


@dataclass(frozen=True)
class Aggregate:
    """One function over the rows of a table that pass `where` and lie in `window`."""

    function: str
    column: Column
    where: Condition | None
    window: Window
    at: int = _place()

    def __str__(self) -> str:
        where = "" if self.where is None else f" WHERE {self.where}"
        return f"{self.function}({self.column}{where}, {self.window})"


@dataclass(frozen=True)
class Comparison:
    """An operand, an operator in capitals (`=`, `NOT IN`, `IS NULL`, ...) and its values."""

    operand: Column | Aggregate
    operator: str
    values: tuple[Literal, ...] = ()
    at: int = _place()

    def __str__(self) -> str:
        values = ", ".join(map(str, self.values))
        if self.operator.endswith("IN"):
            values = f"({values})"
        return f"{self.operand} {self.operator} {values}".rstrip()


@dataclass(frozen=True)
class Not:
    """True where `item` is false."""

    item: Condition

    def __str__(self) -> str:
        return f"NOT {_bracket(self.item, And, Or)}"


@dataclass(frozen=True)
class And:
    """True where all of two or more conditions are; none of them is itself an `And`."""

    items: tuple[Condition, ...]

    def __str__(self) -> str:
        return " AND ".join(_bracket(item, Or) for item in self.items)


@dataclass(frozen=True)
class Or:
    """True where one of two or more conditions is; none of them is itself an `Or`."""

    items: tuple[Condition, ...]

    def __str__(self) -> str:
        return " OR ".join(map(str, self.items))


Condition = Comparison | Not | And | Or


def _bracket(condition: Condition, *weaker: type) -> str:
    return f"({condition})" if isinstance(condition, weaker) else str(condition)


@dataclass(frozen=True)
class Query:
    """A whole query.

    Attributes:
        target: what is predicted.
        entity: for each of what; one column, or a customer and a product column.
        mode: "rank", "classify", or None for a number or a truth value.
        top: length of the list of a "rank".
        where: a condition that they pass; the model learns from all who pass it.
        only: ids of those who are answered for; None: everybody who passes `where`.
        as_of: the anchor, where the query names one.
        text: what it was parsed from, for error messages.
        mode_at: character at which RANK or CLASSIFY stood.
        catalogue: the tables that it was validated against; None: the canonical ones.
    """

    target: Aggregate | Condition
    entity: tuple[Column, ...]
    mode: str | None = None
    top: int | None = None
    where: Condition | None = None
    as_of: date | None = None
    only: Comparison | None = None
    text: str | None = field(default=None, compare=False, repr=False)
    mode_at: int = _place()
    catalogue: Catalogue | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        lines = [f"PREDICT {self.target}", f"FOR EACH {self.only or ', '.join(map(str, self.entity))}"]
        if self.mode is not None:
            top = "" if self.top is None else f" TOP {self.top}"
            lines[0] += f" {self.mode.upper()}{top}"
        if self.where is not None:
            lines.append(f"WHERE {self.where}")
        if self.as_of is not None:
            lines.append(f"AS OF '{self.as_of.isoformat()}'")
        return "\n".join(lines)

    @property
    def picks_one(self) -> bool:
        """Whether one of the values comes true (`FIRST`, `LAST`), and not any number of them."""
        target = self.target
        return (
            self.mode is not None and isinstance(target, Aggregate) and target.function in ("FIRST", "LAST")
        )

    @property
    def aggregate(self) -> Aggregate:
        """The target where it is a single aggregation, as of every list and every number.

        Raises:
            TypeError: the target is a condition.
        """
        if isinstance(self.target, Aggregate):
            return self.target
        raise TypeError(f"The target {self.target} is a condition, not an aggregation.")

    @property
    def list_length(self) -> int:
        """`top` of a ranking.

        Raises:
            TypeError: the query has no TOP.
        """
        if self.top is None:
            raise TypeError(f"The query predicts no list with a length: {self}")
        return self.top

    @property
    def task(self) -> str:
        """What has to be learned: "rank", "classify", "binary" or "regression"."""
        if self.mode is not None:
            return self.mode
        if isinstance(self.target, Aggregate) and self.target.function != "BOOL":
            return "regression"
        return "binary"


def operands(node: Aggregate | Condition | None) -> list[Column | Aggregate]:
    """The columns and aggregations a condition compares, from left to right; filters inside not entered."""
    if node is None:
        return []
    if isinstance(node, Aggregate):
        return [node]
    if isinstance(node, Comparison):
        return [node.operand]
    return [
        operand
        for item in (node.items if isinstance(node, And | Or) else (node.item,))
        for operand in operands(item)
    ]


def filtered_columns(condition: Condition | None) -> list[Column]:
    """The columns that a filter of events compares; its grammar allows no aggregation there."""
    return [operand for operand in operands(condition) if isinstance(operand, Column)]


def aggregates(target: Aggregate | Condition) -> list[Aggregate]:
    """The aggregations of a target, from left to right; its grammar allows nothing else there."""
    return [operand for operand in operands(target) if isinstance(operand, Aggregate)]
