"""Tables that are embedded in others: a column of JSON that holds a list of objects, such as the items of an order."""

from __future__ import annotations

import re
from collections.abc import Sequence

import duckdb

from recs_assets.discovery.found import FoundTable
from recs_assets.discovery.value_types import infer_types, refine_columns
from recs_assets.discovery.words import split_name
from recs_assets.sources.declared import quote, quote_text

# What the SQL casts a text of JSON to; other dates and numbers stay as they are written.
_CASTABLE = ("BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP")


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
    result = FoundTable(f"{table.name} ({column})", stem, table.files)

    def write(types: dict[str, str]) -> str:
        fields = []
        for key in keys:
            text = f"item ->> {quote_text('$.' + quote(key))}"
            fields.append(
                f"cast({text} as {types[key]}) as {quote(key)}"
                if types.get(key) in _CASTABLE
                else f"{text} as {quote(key)}"
            )
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

    con.execute(f"create or replace view {quote(stem)} as {write({})}")
    names = [*owners.values(), *keys]
    if not owners or not keys:
        return result
    texts = ", ".join(f"{quote(name)}::varchar as {quote(name)}" for name in names)
    con.execute(f"create or replace temp table _embedded as select {texts} from {quote(stem)}")
    types = infer_types(con, "_embedded", names, ",")
    result.cte = write({item.name: item.type for item in types.columns})
    con.execute(f"create or replace view {quote(stem)} as {result.cte}")
    for item in types.columns:
        if item.name in owners.values():
            item.type = next(other.type for other in table.columns if owners.get(other.name) == item.name)
        elif item.type not in _CASTABLE:
            item.type = "VARCHAR"
    result.columns = types.columns
    refine_columns(con, result.relation, result.columns)
    result.rows = result.columns[0].rows
    return result
