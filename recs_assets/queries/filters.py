"""Names that a query's filters compare with, and which of them the shop does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

import pandas as pd

from recs_assets.names import find_nearest
from recs_assets.queries.catalogue import CUSTOMER, Catalogue
from recs_assets.queries.compiler import Sql
from recs_assets.queries.syntax import Aggregate, Column, Comparison, Condition, Not, Query
from recs_assets.queries.validation import find_catalogue, find_field, validate

# A filter by one of these takes whatever is written; LIKE and its kin are patterns.
NAMING = ("=", "!=", "IN", "NOT IN")


def explain_unknown_values(
    query: Query,
    as_of: date,
    answer: Callable[[str, dict[str, object]], pd.DataFrame],
    catalogue: Catalogue | None = None,
) -> list[str]:
    """One sentence per text that a filter compares with and no row of the shop has.

    Args:
        query: any query.
        as_of: what was known before it counts.
        answer: runs SQL with parameters and returns its rows.
        catalogue: tables and columns.
    """
    query = validate(query, catalogue)
    catalogue = find_catalogue(query)
    asked: dict[Column, list[str]] = {}
    for node in (query.target, query.where, query.only):
        for comparison in _walk_comparisons(node):
            literals = (literal.value for literal in comparison.values)  # noqa: PD011 - no pandas here
            if comparison.operator in NAMING and isinstance(comparison.operand, Column):
                names = asked.setdefault(comparison.operand, [])
                names += [value for value in literals if isinstance(value, str)]
    sentences = []
    for column, names in asked.items():
        if find_field(column, catalogue).kind != "text":
            continue
        sql, parameters = _compile_values(column, as_of, catalogue)
        have = set(answer(sql, parameters)["value"])
        for value in dict.fromkeys(names):
            if value not in have:
                # Whose id is near is nobody's business.
                near = None if column.parts[-1] == CUSTOMER[1] else find_nearest(value, have)
                hint = "." if near is None else f"; did you mean {near!r}?"
                sentences.append(f"query: no {column} is {value!r}{hint}")
    return sentences


def _walk_comparisons(node: Aggregate | Condition | None) -> Iterator[Comparison]:
    if node is None:
        return
    if isinstance(node, Aggregate):
        yield from _walk_comparisons(node.where)
    elif isinstance(node, Comparison):
        yield node
        if isinstance(node.operand, Aggregate):
            yield from _walk_comparisons(node.operand)
    else:
        for item in (node.item,) if isinstance(node, Not) else node.items:
            yield from _walk_comparisons(item)


def _compile_values(column: Column, as_of: date, catalogue: Catalogue) -> Sql:
    """Every text of a column as known at the anchor."""
    table = catalogue.tables[column.parts[0]]
    for name in column.parts[1:-1]:
        table = catalogue.follow(table, name)
    rows = table.sql.replace("{known}", "$as_of")
    sql = f'select distinct "{column.parts[-1]}" as value\nfrom ({rows})\nwhere value is not null order by value'
    return sql, {"as_of": as_of} if "$as_of" in rows else {}
