"""What a SELECT of the shop's SQL makes of a file before it is read: texts as values, and tables inside of others.

A column of JSON that holds an object, such as the customer of an order, is the columns that it holds. One that holds a list
of objects, such as the items of an order, is a table of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from recs_assets.discovery.found import FoundColumn, FoundTable
from recs_assets.discovery.value_types import infer_types, refine_columns
from recs_assets.discovery.words import split_name
from recs_assets.sources.cells import TIMES
from recs_assets.sources.dialect import Dialect
from recs_assets.sql_text import quote, quote_text


def write_value(text: str, type_: str, entry: Mapping[str, Any]) -> str:
    """SQL of a text as a value of a type, written as a dialect says."""
    dialect = Dialect.model_validate(dict(entry))
    if dialect.nulls and type_ != "VARCHAR":
        text = f"case when {text} not in ({', '.join(map(quote_text, dialect.nulls))}) then {text} end"
    if type_ in ("BIGINT", "DOUBLE") and dialect.has_own_numbers:
        text = dialect.write_plain_number(dialect.write_without_units(f"trim({text})"))
    if type_ in TIMES and dialect.dates:
        formats = ", ".join(map(quote_text, dialect.dates))
        return f"cast(strptime(trim({text}), [{formats}]) as {type_})"
    return text if type_ == "VARCHAR" else f"cast({text} as {type_})"


def type_texts(con: duckdb.DuckDBPyConnection, table: FoundTable) -> None:
    """Read the columns of a Parquet file or a database that hold times and numbers as texts as what they are.

    No dialect says how such texts are written, so the SQL does: the table becomes a SELECT over its file.
    """
    names = [column.name for column in table.columns if column.type == "VARCHAR" and column.filled]
    if not names or not table.rows:
        return
    found = infer_types(con, table.relation, names, ",")
    typed = {column.name: column for column in found.columns if column.type != "VARCHAR"}
    if not typed:
        return
    replaced = ",\n        ".join(
        f"{write_value(quote(name), column.type, found.entry)} as {quote(name)}"
        for name, column in typed.items()
    )
    table.cte = f"    select * replace (\n        {replaced}\n    )\n    from {table.relation}"
    con.execute(f"create or replace view {quote(table.stem)} as {table.cte}")
    for column in table.columns:
        if column.name in typed:
            column.how = f"its texts are of this kind: {typed[column.name].how}"
            column.type, column.question = typed[column.name].type, typed[column.name].question
    stored = {column.name: "VARCHAR" for column in table.columns if column.name in typed}
    table.stored |= stored
    refine_columns(con, table.relation, table.columns)


# An object with more keys than this is no record: its keys are data.
_MOST_KEYS = 60
_DEEPEST = 4


def flatten_objects(con: duckdb.DuckDBPyConnection, table: FoundTable) -> None:
    """Take the objects in a table's columns apart: `{"id": 7, "address": {"city": "Ulm"}}` in `customer` becomes the columns
    `customer_id` and `customer_address_city`.

    A name that another column has, in any case, stays that column's; the one from inside gets `_2` behind it. The table
    becomes a SELECT over its file.
    """
    taken = {column.name.lower() for column in table.columns}
    paths: dict[str, tuple[str, ...]] = {}
    nested: list[FoundColumn] = []
    for column in table.columns:
        if column.type != "VARCHAR" or not column.filled:
            continue
        found = _list_paths(con, table, column.name)
        if not 0 < len(found) <= _MOST_KEYS:
            continue
        nested.append(column)
        for path in found:
            base = "_".join(path)
            name, place = base, 2
            while name.lower() in taken:
                name, place = f"{base}_{place}", place + 1
            taken.add(name.lower())
            paths[name] = path
    if not nested:
        return
    source = table.relation if table.cte is None else f"(\n{table.cte}\n    )"

    def write(types: dict[str, str], entry: Mapping[str, Any]) -> str:
        fields = [
            f"{write_value(_write_path(path), types.get(name, 'VARCHAR'), entry)} as {quote(name)}"
            for name, path in paths.items()
        ]
        left = ", ".join(quote(column.name) for column in nested)
        return (
            f"    select\n        * exclude ({left}),\n        "
            + ",\n        ".join(fields)
            + f"\n    from {source}"
        )

    names = ", ".join(map(quote, paths))
    con.execute(f"create or replace temp table _flat as select {names} from (\n{write({}, {})}\n)")
    types = infer_types(con, "_flat", list(paths), ",")
    if table.owner is None and not table.declared:
        table.declared = table.columns
    table.cte = write({column.name: column.type for column in types.columns}, types.entry)
    con.execute(f"create or replace view {quote(table.stem)} as {table.cte}")
    table.columns = [*[column for column in table.columns if column not in nested], *types.columns]
    refine_columns(con, quote(table.stem), types.columns)


def _list_paths(con: duckdb.DuckDBPyConnection, table: FoundTable, name: str) -> list[tuple[str, ...]]:
    """The paths to whatever the objects of a column hold, each with the column's name first; none where it holds others."""

    def list_keys(path: tuple[str, ...]) -> list[str] | None:
        value = _write_path(path, "->")
        kinds = con.execute(
            f"select distinct json_type({value}) from {table.relation} where {quote(name)} is not null"
        ).fetchall()
        if {row[0] for row in kinds} - {"NULL", None} != {"OBJECT"}:
            return None
        return [
            row[0]
            for row in con.execute(
                f"select k from (select unnest(json_keys({value})) as k from {table.relation} where {quote(name)} is not null) "
                "group by k order by k"
            ).fetchall()
        ]

    def walk(path: tuple[str, ...]) -> list[tuple[str, ...]]:
        keys = list_keys(path) if len(path) <= _DEEPEST else None
        return [path] if keys is None else [longer for key in keys for longer in walk((*path, key))]

    begin = con.execute(
        f"select count(*) filter (not starts_with(trim({quote(name)}), '{{') or not json_valid({quote(name)})) "
        f"from {table.relation} where {quote(name)} is not null"
    ).fetchone()[0]
    return [] if begin else [path for path in walk((name,)) if len(path) > 1]


def _write_path(path: tuple[str, ...], arrow: str = "->>") -> str:
    """SQL of what lies on a path, the column first."""
    column, *keys = path
    inside = "$" + "".join('."' + key.replace('"', '\\"') + '"' for key in keys)
    return f"({quote(column)} {arrow} {quote_text(inside)})" if keys else f"{quote(column)}::json"


def find_embedded(con: duckdb.DuckDBPyConnection, tables: Sequence[FoundTable]) -> list[FoundTable]:
    """The tables in the columns of others, each also a view of the connection.

    An embedded table has the ids of the row that it stands in, and the keys of its objects.
    """
    found = []
    for table in tables:
        for column in table.columns:
            if column.type != "VARCHAR" or not column.filled:
                continue
            name = quote(column.name)
            begin = con.execute(
                f"select {name} from {table.relation} where {name} is not null limit 1"
            ).fetchone()[0]
            if not re.match(r"\s*\[\s*(\{|\])", begin) or not _holds_objects(con, table, name):
                continue
            stem = f"{table.stem}_{'_'.join(split_name(column.name))}"
            found.append(_make_table(con, table, column.name, stem))
    return [table for table in found if table.rows]


def _holds_objects(con: duckdb.DuckDBPyConnection, table: FoundTable, name: str) -> bool:
    wrong, objects = con.execute(
        f"select count(*) filter (not json_valid({name}) or json_type({name}) <> 'ARRAY'), "
        f"count(*) filter (json_valid({name}) and json_type({name}, '$[0]') = 'OBJECT') from {table.relation} where {name} is not null"
    ).fetchone()
    return wrong == 0 and objects > 0


def _make_table(con: duckdb.DuckDBPyConnection, table: FoundTable, column: str, stem: str) -> FoundTable:
    items = f"select unnest(from_json({quote(column)}, '[\"json\"]')) as item from {table.relation} where {quote(column)} is not null"
    keys = [
        row[0]
        for row in con.execute(
            f"select k from (select unnest(json_keys(item)) as k from ({items}) where json_type(item) = 'OBJECT') group by k order by k"
        ).fetchall()
    ]
    owners = {
        other.name: other.name
        if other.name not in keys and other.name.lower() not in ("id", "_id", "nr", "key")
        else f"{table.stem}_{other.name}"
        for other in table.columns
        if other.is_unique and other.name != column
    }
    result = FoundTable(f"{table.name} ({column})", stem, table.files, owner=table)

    def write(types: dict[str, str], entry: Mapping[str, Any]) -> str:
        fields = [
            f"{write_value(f'(item ->> {quote_text(chr(36) + chr(46) + quote(key))})', types.get(key, 'VARCHAR'), entry)} as {quote(key)}"
            for key in keys
        ]
        ids = ", ".join(quote(name) for name in owners)
        named = [
            f"{quote(name)} as {quote(shown)}" if name != shown else quote(name)
            for name, shown in owners.items()
        ]
        return (
            "    select\n        " + ",\n        ".join([*named, *fields]) + "\n    from (\n"
            f"        select {ids}, unnest(from_json({quote(column)}, '[\"json\"]')) as item\n        from {table.relation}\n"
            f"        where {quote(column)} is not null\n    )"
        )

    con.execute(f"create or replace view {quote(stem)} as {write({}, {})}")
    names = [*owners.values(), *keys]
    if not owners or not keys:
        return result
    texts = ", ".join(f"{quote(name)}::varchar as {quote(name)}" for name in names)
    con.execute(f"create or replace temp table _embedded as select {texts} from {quote(stem)}")
    types = infer_types(con, "_embedded", names, ",")
    result.cte = write({item.name: item.type for item in types.columns}, types.entry)
    con.execute(f"create or replace view {quote(stem)} as {result.cte}")
    for item in types.columns:
        if item.name in owners.values():
            item.type = next(other.type for other in table.columns if owners.get(other.name) == item.name)
    result.columns = types.columns
    refine_columns(con, result.relation, result.columns)
    result.rows = result.columns[0].rows
    if result.rows:
        flatten_objects(con, result)
    return result
