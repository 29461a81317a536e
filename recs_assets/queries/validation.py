"""Look up the names of a query, and check what the grammar cannot."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, time

from recs_assets.queries.catalogue import CATALOGUE, CUSTOMER, GROUPS, PRODUCT, Catalogue, Field, Table
from recs_assets.queries.syntax import (
    Aggregate,
    Column,
    Comparison,
    Condition,
    Not,
    Query,
    QueryError,
    Window,
)

MAX_TOP = 1000
# Windows end within a century of the anchor.
MAX_WINDOW = {"days": 36_525, "weeks": 5_217, "hours": 876_600, "minutes": 52_596_000, "months": 1_200}

_ORDERED = ("=", "!=", "<", "<=", ">", ">=", "IN", "NOT IN", "IS NULL", "IS NOT NULL")
_OPERATORS = {
    "text": (*_ORDERED, "LIKE", "NOT LIKE", "CONTAINS", "STARTS WITH", "ENDS WITH"),
    "number": _ORDERED,
    "time": _ORDERED,
    "boolean": ("=", "!=", "IS NULL", "IS NOT NULL"),
}
_HOW_TO_WRITE = {
    "text": "write a text in quotes",
    "number": "write a number",
    "time": "write '2024-12-31' or '2024-12-31 23:59:59'",
    "boolean": "write true or false",
}
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}(:[0-9]{2})?)?")


def validate(query: Query, catalogue: Catalogue | None = None) -> Query:
    """The query with every name looked up: columns are `table.foreign_key.column`, aliases are gone.

    Validating the result again changes nothing.

    Args:
        query: from `parse`.
        catalogue: tables, columns and aliases it may name; None: those that it was validated against before, else the
            canonical ones.

    Raises:
        QueryError: with the line and column of what makes no sense.
    """
    return _Validator(query, find_catalogue(query, catalogue)).run()


def find_catalogue(query: Query, catalogue: Catalogue | None = None) -> Catalogue:
    """The tables that a query may name: those given, else those that it was validated against, else the canonical ones."""
    return catalogue or query.catalogue or CATALOGUE


def item_column(query: Query, catalogue: Catalogue | None = None) -> str:
    """What a "rank" or "classify" query lists: product_id, category, brand or vertical.

    Raises:
        QueryError: when the query has no list.
    """
    query = validate(query, catalogue)
    return _Validator(query, find_catalogue(query)).find_item()


def convert_value(
    value: str | int | float | bool | date, kind: str
) -> str | int | float | bool | datetime | None:
    """The value to bind for a column of that kind; None when it is of another kind."""
    if kind == "boolean":
        return bool(value) if isinstance(value, int) and value in (0, 1) else None
    if kind == "number":
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind == "text":
        return value if isinstance(value, str) else None
    if isinstance(value, date):
        return datetime.combine(value, time())
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    return None


def find_kind(operand: Column | Aggregate, catalogue: Catalogue) -> str:
    """Kind of the values of a validated column or aggregation: text, number, boolean, time or list."""
    if isinstance(operand, Aggregate):
        if operand.function in ("COUNT", "COUNT_DISTINCT", "SUM", "AVG"):
            return "number"
        if operand.function in ("BOOL", "LIST_DISTINCT"):
            return {"BOOL": "boolean", "LIST_DISTINCT": "list"}[operand.function]
        operand = operand.column
    return find_field(operand, catalogue).kind


def find_field(column: Column, catalogue: Catalogue) -> Field:
    """The field that a validated column ends in."""
    table = catalogue.tables[column.parts[0]]
    for name in column.parts[1:-1]:
        table = catalogue.follow(table, name)
    return table.by_name[column.parts[-1]]


def _suggest(name: str, known: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else None


class _Validator:
    def __init__(self, query: Query, catalogue: Catalogue) -> None:
        self.query = query
        self.catalogue = catalogue
        self.tables = catalogue.tables
        self.scope = self.tables["customers"]  # whose rows the WHERE filters

    def make_error(self, message: str, at: int) -> QueryError:
        return QueryError(message, self.query.text, at)

    def run(self) -> Query:
        query = self.query
        entity = tuple(self.resolve_column(column, None) for column in query.entity)
        if entity[0].parts == PRODUCT:
            self.scope = self.tables["products"]
        target = (
            self.check_aggregate(query.target, ahead=True)
            if isinstance(query.target, Aggregate)
            else self.check_condition(query.target, None, ahead=True)
        )
        where = None if query.where is None else self.check_condition(query.where, self.scope, ahead=False)
        only = None if query.only is None else self.check_comparison(query.only, None, ahead=False)
        mode = query.mode or ("classify" if self.is_group(target) else None)
        self.query = replace(
            query,
            target=target,
            where=where,
            entity=entity,
            only=only,
            mode=mode,
            catalogue=None if self.catalogue is CATALOGUE else self.catalogue,
        )
        self.check_entity()
        self.check_mode()
        return self.query

    # -- what is predicted, and for whom ----------------------------------------------------

    def check_entity(self) -> None:
        query, columns = self.query, [column.parts for column in self.query.entity]
        if columns[0] not in (CUSTOMER, PRODUCT):
            raise self.make_error(
                f"predictions are made for customers or products, not for {query.entity[0]}; "
                "write FOR EACH customers.customer_id.",
                query.entity[0].at,
            )
        if columns == [PRODUCT] and query.mode is not None:
            raise self.make_error(
                "lists are made for customers; for each product, predict a number or a condition.",
                query.mode_at,
            )
        if query.only is not None and query.only.operator not in ("=", "IN"):
            raise self.make_error(
                "whom it is asked about is written as = or IN; others belong after WHERE.", query.only.at
            )
        if len(columns) == 1:
            return
        if columns[0] != CUSTOMER:
            raise self.make_error("a pair is a customer and a product, in this order.", query.entity[0].at)
        if columns[1:] != [PRODUCT]:
            raise self.make_error(
                "only products can be paired with customers; "
                "write FOR EACH customers.customer_id, products.product_id.",
                query.entity[1].at,
            )
        if not self.is_bool() or query.mode != "rank":
            raise self.make_error(
                "for each pair of customer and product, the target is a BOOL over a product column with RANK TOP k; "
                "write FOR EACH customers.customer_id for any other.",
                query.entity[1].at,
            )

    def is_bool(self) -> bool:
        return isinstance(self.query.target, Aggregate) and self.query.target.function == "BOOL"

    @staticmethod
    def is_group(target: Aggregate | Condition) -> bool:
        """Whether the target is the first or last category, brand or vertical: one of several classes."""
        return (
            isinstance(target, Aggregate)
            and target.function in ("FIRST", "LAST")
            and target.column.parts[1:-1] == ("product_id",)
            and target.column.parts[-1] in GROUPS
        )

    def check_mode(self) -> None:
        query, target = self.query, self.query.target
        if query.mode is None:
            self.check_value()
            return
        word, paired = query.mode.upper(), len(query.entity) == 2
        is_list = isinstance(target, Aggregate) and target.function == "LIST_DISTINCT"
        if not (is_list or self.is_group(target) or (self.is_bool() and paired and query.mode == "rank")):
            raise self.make_error(
                f"{word} needs a list to work on, and the target is none; leave it out or predict LIST_DISTINCT(...).",
                query.mode_at,
            )
        if query.mode == "rank" and query.top is None:
            raise self.make_error(
                f"RANK needs TOP k with k from 1 to {MAX_TOP}, as in RANK TOP 12.", query.mode_at
            )
        if query.mode == "rank" and query.top is not None and not 1 <= query.top <= MAX_TOP:
            raise self.make_error(f"RANK TOP takes 1 to {MAX_TOP}, not {query.top}.", query.mode_at)
        listed = self.find_item()
        if query.mode == "classify" and listed == "product_id":
            raise self.make_error(
                f"products are too many to classify; write RANK TOP k, or list {_join_or(GROUPS)}.",
                query.mode_at,
            )
        if paired and listed != "product_id" and isinstance(target, Aggregate):
            raise self.make_error(
                f"for each pair of customer and product, BOOL takes a product column, not {target.column}.",
                target.column.at,
            )

    def check_value(self) -> None:
        """A target without RANK and CLASSIFY is a number, or true or false."""
        target = self.query.target
        if not isinstance(target, Aggregate):
            return
        kind = find_kind(target, self.catalogue)
        if kind == "list":
            raise self.make_error(
                "LIST_DISTINCT is a list; write RANK TOP k or CLASSIFY after it.", target.at
            )
        if kind not in ("number", "boolean") or (kind == "boolean" and target.function != "BOOL"):
            raise self.make_error(
                f"{target.function} of {target.column} is a {kind}, and only numbers, and FIRST or LAST of a product's "
                f"{_join_or(GROUPS)}, can be predicted; compare it with a value to predict whether that holds.",
                target.at,
            )

    def find_item(self) -> str:
        target = self.query.target
        if self.query.mode is None or not isinstance(target, Aggregate):
            raise self.make_error("the query predicts no list; it has no items.", 0)
        path = target.column.parts[1:]
        if path == ("product_id",):
            return path[0]
        if path[:-1] == ("product_id",) and path[-1] in GROUPS:
            return path[-1]
        raise self.make_error(
            f"lists are made of products or of their {_join_or(GROUPS)}, not of {target.column}.",
            target.column.at,
        )

    # -- conditions and aggregations --------------------------------------------------------

    def check_condition(self, node: Condition, scope: Table | None, ahead: bool) -> Condition:
        if isinstance(node, Comparison):
            return self.check_comparison(node, scope, ahead)
        if isinstance(node, Not):
            return Not(self.check_condition(node.item, scope, ahead))
        return type(node)(tuple(self.check_condition(item, scope, ahead) for item in node.items))

    def check_comparison(self, node: Comparison, scope: Table | None, ahead: bool) -> Comparison:
        operand: Column | Aggregate
        if isinstance(node.operand, Aggregate):
            operand = self.check_aggregate(node.operand, ahead)
            shown = f"{node.operand.function} of {operand.column}"
        else:
            operand = self.resolve_column(node.operand, scope)
            shown = str(operand)
        kind = find_kind(operand, self.catalogue)
        if kind == "list":
            raise self.make_error(
                "LIST_DISTINCT is a list and cannot be compared; count what is looked for, "
                "as in COUNT(order_lines.* WHERE product_id = '17', -30, 0, days) > 0.",
                node.operand.at,
            )
        if node.operator not in _OPERATORS[kind]:
            raise self.make_error(
                f"{node.operator} does not apply to a {kind}, which {shown} is; use {_join_or(_OPERATORS[kind])}.",
                node.at,
            )
        for literal in node.values:
            if convert_value(literal.value, kind) is None:
                raise self.make_error(
                    f"{shown} is a {kind} and {literal} is not; {_HOW_TO_WRITE[kind]}.", literal.at
                )
        return replace(node, operand=operand)

    def check_aggregate(self, node: Aggregate, ahead: bool) -> Aggregate:
        column = self.resolve_column(node.column, None, star=node.function in ("COUNT", "BOOL"))
        table = self.tables[column.parts[0]]
        of = self.scope.name
        if not table.has_events_of(of):
            countable = [other.name for other in self.tables.values() if other.has_events_of(of)]
            raise self.make_error(
                f"{table.name} holds no dated events of {of}, so nothing happens to it in a window; "
                f"use {_join_or(countable)}.",
                node.column.at,
            )
        if node.function in ("SUM", "AVG") and (kind := find_field(column, self.catalogue).kind) != "number":
            raise self.make_error(
                f"{node.function} adds up numbers, and {column} is a {kind}.", node.column.at
            )
        self.check_window(node.window, ahead)
        where = None if node.where is None else self.check_condition(node.where, table, ahead)
        return replace(node, column=column, where=where)

    def check_window(self, window: Window, ahead: bool) -> None:
        start, end, most = window.start, window.end, MAX_WINDOW[window.unit]
        problem = None
        if ahead and (start is None or start < 0):
            shown = "-INF" if start is None else start
            problem = f"a target looks ahead, so its window starts at 0 or later, not at {shown}."
        elif not ahead and end > 0:
            problem = f"a filter of customers looks back, so its window ends at 0 or earlier, not at {end}."
        elif start is not None and start >= end:
            problem = f"a window starts before it ends, and {start} is not before {end}."
        elif max(abs(start or 0), abs(end)) > most:
            problem = f"a window reaches at most {most} {window.unit}; shorten it or use -INF."
        if problem:
            raise self.make_error(problem, window.at)

    # -- names ------------------------------------------------------------------------------

    def resolve_column(self, column: Column, scope: Table | None, star: bool = False) -> Column:
        """`table.foreign_key.column` for a name as written.

        Args:
            column: as written.
            scope: table whose rows are filtered; None where the name itself must begin with a table.
            star: whether `table.*` may stand here.
        """
        table, parts = self.find_table(column, scope)
        start = scope if scope is not None else table
        route = self.catalogue.route(start.name, table.name)
        if route is None:
            raise self.make_error(
                f"{table.name} cannot be reached from {start.name} by a foreign key; "
                + ("filter it inside an aggregation." if start is self.scope else "filter another table."),
                column.at,
            )
        return Column((start.name, *route, *self.follow_keys(table, parts, column, star)), column.at)

    def find_table(self, column: Column, scope: Table | None) -> tuple[Table, list[str]]:
        """The table in which a name begins, and what is left of the name."""
        first, *rest = column.parts
        name = self.catalogue.aliases.get(first, first)
        if rest and rest[0] not in getattr(self.tables.get(name), "by_name", ()):
            rest[0] = self._resolve_alias(name, rest[0])
        if rest and (other := self.catalogue.aliases.get(f"{name}.{rest[0]}")) is not None:
            name, *rest = [*other.split("."), *rest[1:]]
        if name in self.tables:
            if not rest:
                raise self.make_error(
                    f"{first} is a table; name one of its columns, as in {first}.column.", column.at
                )
            return self.tables[name], rest
        if scope is not None:
            return scope, list(column.parts)
        if not rest:
            raise self.make_error(f"{first} needs its table in front, as in order_lines.{first}.", column.at)
        known = [*self.tables, *(alias for alias, of in self.catalogue.aliases.items() if of in self.tables)]
        hint = _suggest(first, known) or f"; the tables are {', '.join(self.tables)}."
        raise self.make_error(f"there is no table {first}{hint}", column.at)

    def _resolve_alias(self, table: str, name: str) -> str:
        """The column that an alias stands for, where another alias leads on from that column (`orders.item_id`)."""
        path = self.catalogue.aliases.get(name, name)
        return path if f"{table}.{path}" in self.catalogue.aliases else name

    def follow_keys(self, table: Table, parts: list[str], column: Column, star: bool) -> list[str]:
        """Follow foreign keys; every part but the last is one."""
        if parts == ["*"] and star:
            return parts
        if "*" in parts:
            raise self.make_error(
                "* stands for all rows of a table in COUNT and BOOL only; name a column.", column.at
            )
        parts, position = list(parts), 0
        while position < len(parts):
            name = parts[position]
            if name not in table.by_name:
                path = self.catalogue.aliases.get(name, "").split(".")
                if path[0] not in table.by_name:
                    raise self.make_unknown_error(name, table, column)
                parts[position : position + 1] = path
                name = path[0]
            references = table.by_name[name].references
            position += 1
            if position < len(parts):
                if references is None:
                    raise self.make_error(
                        f"{table.name}.{name} is no foreign key, so it has no {parts[position]}.", column.at
                    )
                table = self.tables[references]
        return parts

    def make_unknown_error(self, name: str, table: Table, column: Column) -> QueryError:
        keys = [
            field.name
            for field in table.fields
            if field.references is not None and name in self.tables[field.references].by_name
        ]
        events = [
            other.name
            for other in self.tables.values()
            if other.time is not None
            and name in other.by_name
            and table.name in [field.references for field in other.fields]
        ]
        if nearest := next(iter([*keys, *events]), None):
            return self.make_error(
                f"{table.name} has no column {name}; did you mean {nearest}.{name}?", column.at
            )
        aliases = self.catalogue.aliases.items()
        known = [*table.by_name, *(alias for alias, path in aliases if path.split(".")[0] in table.by_name)]
        hint = _suggest(name, known) or f"; its columns are {', '.join(table.by_name)}."
        return self.make_error(f"{table.name} has no column {name}{hint}", column.at)


def _join_or(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}"
