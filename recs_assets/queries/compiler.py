"""Validated query -> SQL and convert_value parameters, for one anchor.

Identifiers come from the catalogue and every value is a parameter, so two queries that differ
in values only have the same SQL. The SQL reads a week's build file: dbt's marts and staging.
Times are naive and local to the shop, so an anchor is its midnight there, and windows in hours
and minutes count on the shop's clock. Point-in-time labels as SQL over a time window follow
RelBench (Robinson et al. 2024, https://arxiv.org/abs/2407.20060).
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta

from recs_assets.queries.catalogue import CUSTOMER, PRODUCT, Catalogue, Table
from recs_assets.queries.syntax import (
    Aggregate,
    And,
    Column,
    Comparison,
    Condition,
    Not,
    Or,
    Query,
    QueryError,
    Window,
    aggregates,
    filtered_columns,
    operands,
)
from recs_assets.queries.validation import (
    convert_value,
    find_catalogue,
    find_field,
    find_kind,
    item_column,
    validate,
)

Sql = tuple[str, dict[str, object]]

# What an aggregation is where a customer has no row in the window; null for all others.
_NOTHING = {"COUNT": "0", "COUNT_DISTINCT": "0", "SUM": "0", "BOOL": "false"}


def compile_entities(query: Query, as_of: date, catalogue: Catalogue | None = None) -> Sql:
    """Who is answered for at the anchor: customers (or products) known then who pass the query's WHERE and,
    where it names ids, are among those. `drop_ids(query)` drops the ids.

    Returns:
        SQL with one column, customer_id (product_id), sorted; and its parameters by name.

    Raises:
        QueryError: when the query is not valid, or a window leaves the calendar.
    """
    query = validate(query, catalogue)
    catalogue = find_catalogue(query)
    statement = _Statement(query, as_of, catalogue)
    return statement.finish(statement.write_entities() + f"\norder by {statement.entity}.{statement.key}")


def compile_labels(query: Query, as_of: date, catalogue: Catalogue | None = None) -> Sql:
    """What came true after the anchor, for the customers eligible at it.

    Returns:
        SQL and its parameters by name. For a list ("rank", "classify") the columns are customer_id
        and item, one row per distinct item that came true (of FIRST and LAST one at most), and no row for customers
        with none. For
        a number or boolean ("regression", "binary") they are customer_id and label, one row
        per eligible customer; a label is null where an AVG, MIN, MAX, FIRST or LAST had nothing.
        Complete only where the build file knows everything before `find_horizon(query, as_of)`.

    Raises:
        QueryError: when the query is not valid, or a window leaves the calendar.
    """
    query = validate(query, catalogue)
    catalogue = find_catalogue(query)
    statement = _Statement(query, as_of, catalogue)
    statement.parts["eligible"] = statement.write_entities()
    if query.mode is not None:
        return statement.finish(statement.write_list())
    return statement.finish(statement.write_values())


def drop_ids(query: Query, catalogue: Catalogue | None = None) -> Query:
    """The query without conditions on ids: they pick out some customers and say nothing about what those are like,
    so nothing can be learned from them."""
    query = validate(query, catalogue)
    parts = query.where.items if isinstance(query.where, And) else [query.where] if query.where else []
    kept = tuple(part for part in parts if not any(_is_id(operand) for operand in operands(part)))
    where = And(kept) if len(kept) > 1 else next(iter(kept), None)
    return replace(query, where=where, only=None)


def _is_id(operand: Column | Aggregate) -> bool:
    return isinstance(operand, Column) and operand.parts in (CUSTOMER, PRODUCT)


def compile_spans(query: Query, as_of: date, spans: Sequence[int], catalogue: Catalogue | None = None) -> Sql:
    """What the target's aggregations were over windows that end at the anchor, for everybody known then.

    Args:
        query: with a number or a condition as target.
        as_of: the anchor.
        spans: days that each window reaches back.
        catalogue: tables and columns.

    Returns:
        SQL and its parameters by name. Columns: the id, and v0, v1, ... per aggregation and span, in this
        order; rows in no order. What is neither a number nor a boolean is counted.
    """
    query = validate(query, catalogue)
    catalogue = find_catalogue(query)
    statement = _Statement(query, as_of, catalogue)
    statement.add_relation(statement.table, ahead=False)
    columns, joins = "", ""
    for number, node in enumerate(dict.fromkeys(aggregates(query.target))):
        # The mean in place of the first and the last, each of which would need a scan per span.
        ordered = node.function in ("FIRST", "LAST")
        kind = find_kind(node, catalogue)
        if kind not in ("number", "boolean") or (ordered and kind == "boolean"):
            node = replace(node, function="COUNT")
        elif ordered:
            node = replace(node, function="AVG")
        name, names = f"past_{number + 1}", [f"v{number * len(spans) + place}" for place in range(len(spans))]
        nothing = _NOTHING.get(node.function, "null")
        statement.parts[name] = statement.write_spans(node, spans, names)
        columns += "".join(f", coalesce({name}.{v}, cast({nothing} as double)) as {v}" for v in names)
        joins += f"\nleft join {name} on {statement.entity}.{statement.key} = {name}.{statement.key}"
    return statement.finish(
        f"select {statement.entity}.{statement.key}{columns}\nfrom {statement.entity}{joins}"
    )


def compile_seen(query: Query, node: Aggregate, as_of: date, catalogue: Catalogue | None = None) -> Sql:
    """How many values an aggregation of a validated query could use, of everything known before the anchor.

    Returns:
        SQL with one row: rows, distinct values, and of numbers least and most (otherwise null).
    """
    catalogue = find_catalogue(query, catalogue)
    statement = _Statement(query, as_of, catalogue)
    rows, where = statement.select_rows(replace(node, window=Window(None, 0)), ahead=False)
    star = node.column.parts[-1] == "*"
    column = "events." + catalogue.tables[node.column.parts[0]].key[0] if star else rows.sql(node.column)
    number = not star and find_field(node.column, catalogue).kind == "number"
    least, most = (
        f"cast({name}({column}) as double)" if number else "cast(null as double)" for name in ("min", "max")
    )
    return statement.finish(
        f"select count({column}) as rows, count(distinct {column}) as distinct_values, {least} as least, "
        f"{most} as most\n{rows.source}\nwhere {where}"
    )


def compile_ids(query: Query, as_of: date) -> Sql:
    """Ids of all customers known at the anchor, or of all products, sorted: whatever the query's WHERE."""
    entity, key = query.entity[0].parts
    if entity == "products":
        return f"select {key}\nfrom marts.products\norder by {key}", {}
    known = "joined_at is null or joined_at < $as_of"
    return f"select {key}\nfrom marts.customers\nwhere {known}\norder by {key}", {
        "as_of": datetime.combine(as_of, time())
    }


def compile_daily(table: Table, key: str, before: date) -> Sql:
    """How many rows of a dated table everybody has on each day before a date: the id, day (since 1970-01-01), rows."""
    return (
        f"select {key}, (cast({table.time} as date) - date '1970-01-01')::integer as day, count(*) as rows\n"
        f"from ({table.sql})\nwhere {table.time} < $before and {key} is not null\ngroup by all\norder by all"
    ), {"before": datetime.combine(before, time())}


def compile_items(query: Query, as_of: date, catalogue: Catalogue | None = None) -> Sql:
    """Which items a list may hold: those that the target's filter does not rule out.

    Only what the filter says of the product counts here; `quantity > 1`, say, depends on the line
    and rules out no product. Whether a product may be sold is for the campaign's rules.

    Returns:
        SQL with one column, item, sorted; and its parameters by name. Every item of `compile_labels`
        is among them.

    Raises:
        QueryError: when the query is not valid or predicts no list.
    """
    query = validate(query, catalogue)
    catalogue = find_catalogue(query)
    item = item_column(query, catalogue)
    statement = _Statement(query, as_of, catalogue)
    table = catalogue.tables["products"]
    required = _restrict_to_product(query.aggregate.where)
    rows = _Rows(statement, table, [Column(("products", item)), *filtered_columns(required)], ahead=True)
    value = rows.sql(Column(("products", item)))
    where = f"{value} is not null"
    if required is not None:
        where += f"\n    and {statement.write_condition(required, rows.sql)}"
    return statement.finish(f"select distinct {value} as item\n{rows.source}\nwhere {where}\norder by item")


def find_horizon(query: Query, as_of: date, catalogue: Catalogue | None = None) -> datetime:
    """The first moment after every window of the target: labels are known from then on."""
    query = validate(query, catalogue)
    return _Statement(query, as_of, find_catalogue(query)).until


def explain(query: Query, as_of: date, catalogue: Catalogue | None = None) -> str:
    """The query in its normal form, the SQL of its labels and the parameters, as text."""
    query = validate(query, catalogue)
    sql, parameters = compile_labels(query, as_of, catalogue)
    values = "\n".join(
        f"${name} = {value!r}" if isinstance(value, str) else f"${name} = {value}"
        for name, value in parameters.items()
    )
    return (
        f"-- query ({query.task})\n{query}\n\n"
        f"-- labels at {as_of}, known from {find_horizon(query, as_of, catalogue)} on\n{sql}\n\n"
        f"-- parameters\n{values}\n"
    )


def _shift(as_of: date, count: int, window: Window) -> datetime:
    """`count` units after the anchor's midnight; months are calendar months, cut to their last day."""
    midnight = datetime.combine(as_of, time())
    if window.unit != "months":
        return midnight + timedelta(**{window.unit: count})
    years, month = divmod(midnight.year * 12 + midnight.month - 1 + count, 12)
    if not 1 <= years <= 9999:
        raise OverflowError
    day = min(midnight.day, calendar.monthrange(years, month + 1)[1])
    return midnight.replace(year=years, month=month + 1, day=day)


def _restrict_to_product(node: Condition | None) -> Condition | None:
    """What a filter of events requires of the product alone, as a condition on products; None: nothing."""
    if isinstance(node, And):
        required = [part for part in map(_restrict_to_product, node.items) if part is not None]
        return And(tuple(required)) if len(required) > 1 else next(iter(required), None)
    if isinstance(node, Or):
        either = [part for part in map(_restrict_to_product, node.items) if part is not None]
        return Or(tuple(either)) if len(either) == len(node.items) else None
    if isinstance(node, Not):
        item = _restrict_to_product(node.item) if _is_about_product(node.item) else None
        return None if item is None else Not(item)
    if node is None or not _is_about_product(node):
        return None
    (column,) = filtered_columns(node)
    parts = column.parts[2:] or ("product_id",)
    return Comparison(Column(("products", *parts)), node.operator, node.values)


def _is_about_product(node: Condition) -> bool:
    return all(column.parts[1] == "product_id" for column in filtered_columns(node))


class _Rows:
    """A table and whatever its columns reach over foreign keys, as a FROM clause."""

    def __init__(
        self, statement: _Statement, table: Table, columns: list[Column], ahead: bool, name: str = "events"
    ) -> None:
        of = statement.add_relation(table, ahead, statement.entity if name == "events" else None)
        self.source = f"from {of}" if name == of else f"from {of} as {name}"
        self._names: dict[tuple[str, ...], str] = {(): name}
        for column in columns:
            owner, reached = table, tuple[str, ...]()
            for key in column.parts[1:-1]:
                owner, before = statement.catalogue.follow(owner, key), self._names[reached]
                reached = (*reached, key)
                if reached not in self._names:
                    name = self._names[reached] = "of_" + "_".join(reached)
                    self.source += (
                        f"\nleft join {statement.add_relation(owner, ahead)} as {name} "
                        f"on {before}.{key} = {name}.{owner.key[0]}"
                    )

    def sql(self, column: Column | Aggregate) -> str:
        assert isinstance(column, Column), "a filter of events compares columns"
        return f"{self._names[column.parts[1:-1]]}.{column.parts[-1]}"


class _Statement:
    """Collects the named parts and the parameters of one SQL statement."""

    def __init__(self, query: Query, as_of: date, catalogue: Catalogue) -> None:
        self.query = query
        self.as_of = as_of
        self.catalogue = catalogue
        self.entity, self.key = query.entity[0].parts
        self.table = catalogue.tables[self.entity]
        self.parts: dict[str, str] = {}
        self.parameters: dict[str, object] = {"as_of": datetime.combine(as_of, time())}
        windows = [node.window for node in aggregates(query.target)]
        self.until = max(self.shift(window.end, window) for window in windows)

    def shift(self, count: int, window: Window) -> datetime:
        try:
            return _shift(self.as_of, count, window)
        except OverflowError:
            raise QueryError(
                f"the window leaves the calendar at the anchor {self.as_of}; shorten it.",
                self.query.text,
                window.at,
            ) from None

    def bind(self, value: object) -> str:
        name = f"v{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"

    def finish(self, body: str) -> Sql:
        parts = ",\n".join(f"{name} as (\n{_indent(sql)}\n)" for name, sql in self.parts.items())
        sql = f"with {parts}\n{body}"
        if "$as_of" not in sql:  # DuckDB refuses what is convert_value and not used
            del self.parameters["as_of"]
        return sql, self.parameters

    def add_relation(self, table: Table, ahead: bool, of: str | None = None) -> str:
        """The name of the part that holds a table as known at the anchor, or, ahead, at the horizon; with the ids `of`
        those who carry the values that its rows are about."""
        sql, name = table.sql, table.name
        if of is not None and of in table.by_value:
            sql, name = table.by_value[of], f"{table.name}_of_{of}"
        ahead = ahead and "{known}" in sql
        name = f"later_{name}" if ahead else name
        if name not in self.parts:
            if ahead:
                self.parameters["until"] = self.until
            self.parts[name] = sql.replace("{known}", "$until" if ahead else "$as_of")
        return name

    # -- the bodies -------------------------------------------------------------------------

    def write_entities(self) -> str:
        self.add_relation(self.table, ahead=False)
        conditions = [node for node in (self.query.where, self.query.only) if node is not None]
        compared = [operand for node in conditions for operand in operands(node)]
        values, joins = self.add_aggregations(compared, self.entity, ahead=False)
        columns = [operand for operand in compared if isinstance(operand, Column)]
        rows = _Rows(self, self.table, columns, ahead=False, name=self.entity)
        values |= {column: rows.sql(column) for column in columns}
        where = " and ".join(self.write_condition(node, values.__getitem__) for node in conditions)
        return f"select {self.entity}.{self.key}\n{rows.source}{joins}" + (
            f"\nwhere {where}" if where else ""
        )

    def write_list(self) -> str:
        target = self.query.aggregate
        if self.query.picks_one:
            values, joins = self.add_aggregations([target], "eligible", ahead=True)
            return (
                f"select eligible.customer_id, {values[target]} as item\nfrom eligible{joins}\n"
                f"where {values[target]} is not null\norder by eligible.customer_id"
            )
        rows, where = self.select_rows(target, ahead=True)
        item = rows.sql(target.column)
        return (
            f"select distinct events.customer_id, {item} as item\n{rows.source}\n"
            f"inner join eligible on events.customer_id = eligible.customer_id\n"
            f"where {where}\n    and {item} is not null\norder by events.customer_id, item"
        )

    def write_values(self) -> str:
        target = self.query.target
        values, joins = self.add_aggregations(operands(target), "eligible", ahead=True)
        if isinstance(target, Aggregate):
            label = values[target]
        else:
            # Where there is nothing to compare, the answer is no.
            label = f"coalesce({self.write_condition(target, values.__getitem__)}, false)"
        return (
            f"select eligible.{self.key}, {label} as label\n"
            f"from eligible{joins}\norder by eligible.{self.key}"
        )

    def add_aggregations(
        self, nodes: Iterable[Column | Aggregate], to: str, ahead: bool
    ) -> tuple[dict[Aggregate | Column, str], str]:
        """A part per aggregation: the SQL of each value, and the joins to `to`."""
        values: dict[Aggregate | Column, str] = {}
        joins = ""
        for node in nodes:
            if isinstance(node, Aggregate) and node not in values:
                name = f"{'target' if ahead else 'past'}_{len(values) + 1}"
                self.parts[name] = self.write_aggregation(node, ahead)
                nothing = _NOTHING.get(node.function)
                values[node] = f"{name}.value" if nothing is None else f"coalesce({name}.value, {nothing})"
                joins += f"\nleft join {name} on {to}.{self.key} = {name}.{self.key}"
        return values, joins

    def write_aggregation(self, node: Aggregate, ahead: bool) -> str:
        """One row per customer (product) with a row in the window: the id, value."""
        rows, where = self.select_rows(node, ahead)
        column = "*" if node.column.parts[-1] == "*" else rows.sql(node.column)
        if node.function in ("FIRST", "LAST"):
            table = self.catalogue.tables[node.column.parts[0]]
            direction = "" if node.function == "FIRST" else " desc"
            order = ", ".join(f"events.{name}{direction}" for name in (table.time, *table.key))
            return (
                f"select {self.key}, value\nfrom (\n"
                f"    select events.{self.key}, {column} as value,\n"
                f"        row_number() over (partition by events.{self.key} order by {order}) as place\n"
                f"{_indent(rows.source)}\n    where {_indent(where).lstrip()}\n"
                f"        and {column} is not null\n) as placed\nwhere place = 1"
            )
        value = _write_function(node.function, column)
        return f"select events.{self.key}, {value} as value\n{rows.source}\nwhere {where}\ngroup by events.{self.key}"

    def write_spans(self, node: Aggregate, spans: Sequence[int], names: Sequence[str]) -> str:
        """One row per customer (product): the id, and the value over each of these days before the anchor."""
        rows, where = self.select_rows(replace(node, window=Window(-max(spans), 0)), ahead=False)
        moment = f"events.{self.catalogue.tables[node.column.parts[0]].time}"
        column = "*" if node.column.parts[-1] == "*" else rows.sql(node.column)
        values = []
        for days, name in zip(spans, names, strict=True):
            since = f" filter (where {moment} >= {self.bind(self.shift(-days, Window(-days, 0)))})"
            values.append(f"cast({_write_function(node.function, column, since)} as double) as {name}")
        return f"select events.{self.key}, {', '.join(values)}\n{rows.source}\nwhere {where}\ngroup by events.{self.key}"

    def select_rows(self, node: Aggregate, ahead: bool) -> tuple[_Rows, str]:
        """The rows an aggregation is over: its FROM clause, and its WHERE condition."""
        table = self.catalogue.tables[node.column.parts[0]]
        rows = _Rows(self, table, [node.column, *filtered_columns(node.where)], ahead)
        window = node.window
        tests = []
        if window.start is not None:
            tests.append(f"events.{table.time} >= {self.bind(self.shift(window.start, window))}")
        tests.append(f"events.{table.time} < {self.bind(self.shift(window.end, window))}")
        if node.where is not None:
            tests.append(self.write_condition(node.where, rows.sql))
        return rows, "\n    and ".join(tests)

    def write_condition(self, node: Condition, sql: Callable[[Column | Aggregate], str]) -> str:
        """A condition in brackets, its operands written by `sql`."""
        if isinstance(node, Not):
            return f"(not {self.write_condition(node.item, sql)})"
        if isinstance(node, And | Or):
            word = " and " if isinstance(node, And) else " or "
            return f"({word.join(self.write_condition(item, sql) for item in node.items)})"
        kind = find_kind(node.operand, self.catalogue)
        left, operator = sql(node.operand), node.operator.lower()
        values = [self.bind(convert_value(literal.value, kind)) for literal in node.values]
        if operator.endswith("null"):
            return f"({left} {operator})"
        if operator.endswith("in"):
            return f"({left} {operator} ({', '.join(values)}))"
        (value,) = values
        if operator == "contains":
            return f"(position({value} in {left}) > 0)"
        if operator in ("starts with", "ends with"):
            side = "left" if operator == "starts with" else "right"
            return f"({side}({left}, length({value})) = {value})"
        return f"({left} {'<>' if operator == '!=' else operator} {value})"


def _write_function(function: str, column: str, rows: str = "") -> str:
    """SQL of a function of a column (`*` for all rows) over a group, or over those `rows` of it."""
    # Fractions are summed as decimals, so that the sum does not depend on the order of the rows.
    total = f"cast(sum(cast({column} as decimal(38, 9))){rows} as double)"
    return {
        "COUNT": f"count({column}){rows}",
        "COUNT_DISTINCT": f"count(distinct {column}){rows}",
        "SUM": total,
        "AVG": f"{total} / nullif(count({column}){rows}, 0)",
        "MIN": f"min({column}){rows}",
        "MAX": f"max({column}){rows}",
        "BOOL": f"count({column}){rows} > 0",
    }[function]


def _indent(sql: str) -> str:
    return "\n".join(f"    {line}" for line in sql.split("\n"))
