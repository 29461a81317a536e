"""What the SQL of a source may say: one SELECT over its own files that gives the same rows every time.

DuckDB would read `from '/etc/passwd'` or `read_csv(...)` in any SELECT. Switching that off
(`enable_external_access`) cannot be undone on a connection that others go on using, so the parsed
statement is checked instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import duckdb

from recs_assets.schema import SettingsError
from recs_assets.sources.declared import list_some

# Files of a source are read into a database of their own that is attached under this name, so
# that nothing of them stays behind in the build file.
FILES = "files"

_TABLE_FUNCTIONS = {"range", "generate_series", "unnest"}

# Keywords that DuckDB parses as columns and binds as functions where no column has the name.
_CLOCK_WORDS = {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
# What the catalogue calls CONSISTENT and is not: clocks and samples.
_MISFILED = {
    "current_localtime", "current_localtimestamp", "getvariable", "reservoir_quantile", "approx_quantile",
}  # fmt: skip
# An assertion in SQL: it yields no value.
_HARMLESS = {"error"}
# Of several rows they take those that come first, or all in the order they come.
_ORDERED_AGGREGATES = {
    "first", "last", "any_value", "arbitrary", "string_agg", "group_concat", "listagg",
}  # fmt: skip
_ORDERED_WINDOWS = {
    "WINDOW_FIRST_VALUE", "WINDOW_LAST_VALUE", "WINDOW_NTH_VALUE", "WINDOW_ROW_NUMBER", "WINDOW_LEAD",
    "WINDOW_LAG", "WINDOW_NTILE",
}  # fmt: skip


def list_tables_read(
    session: duckdb.DuckDBPyConnection, where: str, sql: str, columns: dict[str, Iterable[str]]
) -> set[str]:
    """Names of the files that a source's SELECT reads, after making sure that it can read nothing else
    and depends on no clock, no chance and no order of rows.

    Args:
        session: any connection; nothing is run but the parser.
        where: begins the errors.
        sql: the statement.
        columns: of each declared file, by the name it has after `files.`.

    Raises:
        SettingsError: it is not one such SELECT.
    """
    serialized = session.execute("select json_serialize_sql(?)", [sql]).fetchone()
    tree = json.loads(serialized[0])
    if tree["error"]:
        raise SettingsError(
            f"{where}: it must be one plain SELECT ({tree['error_message'].splitlines()[0]})."
        )
    if len(tree["statements"]) != 1:
        raise SettingsError(f"{where}: it holds {len(tree['statements'])} statements; write one SELECT.")
    named = {name.lower() for names in columns.values() for name in names}
    volatile = _list_volatile(session)
    stems: set[str] = set()

    def walk(node: object, names: frozenset[str]) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item, names)
        if not isinstance(node, dict):
            return
        ctes = node.get("cte_map", {}).get("map", [])
        names = names | {item["key"].lower() for item in ctes}
        kind = node.get("type")
        if kind == "BASE_TABLE":
            schema, table = node["schema_name"].lower(), node["table_name"]
            if schema == FILES and not node["catalog_name"]:
                if table not in columns:
                    declared = list_some(f"files.{name}" for name in columns)
                    raise SettingsError(
                        f"{where}: files.{table} is not declared in source.toml, which has {declared}."
                    )
                stems.add(table)
            elif schema or node["catalog_name"] or table.lower() not in names:
                raise SettingsError(f"{where}: it reads {table!r}; it may read files.<declared file> only.")
        elif kind == "TABLE_FUNCTION":
            function = node["function"].get("function_name")
            if function not in _TABLE_FUNCTIONS:
                raise SettingsError(
                    f"{where}: it calls {function}(); it may read files.<declared file> only."
                )
        elif kind in ("SHOW_REF", "TABLE_REF", "COLUMN_DATA", "BOUND_TABLE_REF"):
            raise SettingsError(f"{where}: it must be one plain SELECT over files.<declared file>.")
        if reason := _explain_whim(node, named, volatile):
            raise SettingsError(f"{where}: {reason}")
        for item in node.values():
            walk(item, names)

    walk(tree["statements"][0]["node"], frozenset())
    return stems


def _explain_whim(node: dict, named: set[str], volatile: frozenset[str]) -> str | None:
    """Why this part of a parsed statement need not give the same rows twice; None where it does."""
    kind, function = node.get("type"), str(node.get("function_name", "")).lower()
    clock = "it gives other rows every day or every time, and an old week must stay as it was; take the value from a file"
    order = "it takes rows in whatever order they come"
    if kind == "COLUMN_REF" and len(node["column_names"]) == 1:
        word = node["column_names"][0].lower()
        if word in _CLOCK_WORDS - named:
            return f"it asks for {word}: {clock}."
    if kind == "FUNCTION":
        if function in volatile or (function == "age" and len(node["children"]) == 1):
            return f"it calls {function}(): {clock}."
        if function in _ORDERED_AGGREGATES and not node["order_bys"]["orders"]:
            return f"it calls {function}() without an order: {order}; write {function}(... order by ...)."
    unordered = node.get("class") == "WINDOW" and not node["orders"] and not node["arg_orders"]
    if unordered and (kind in _ORDERED_WINDOWS or function in _ORDERED_AGGREGATES):
        return f"it calls {function}() over rows without an order: {order}; write over (... order by ...)."
    if node.get("sample"):
        return f"it takes a sample: {clock}."
    modifiers = node.get("modifiers") or []
    kinds = {item["type"] for item in modifiers}
    if "ORDER_MODIFIER" not in kinds:
        if kinds & {"LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER"}:
            return f"it has a limit without order by: {order}."
        if any(item.get("distinct_on_targets") for item in modifiers):
            return f"it has distinct on without order by: {order}."
    return None


def _list_volatile(session: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Functions whose value changes from one query to the next, by DuckDB's own catalogue."""
    functions = session.execute(
        "select lower(function_name), function_type, stability, macro_definition from duckdb_functions() "
        "where function_type in ('scalar', 'aggregate', 'macro')"
    ).fetchall()
    found = _MISFILED | {
        name for name, kind, stability, _ in functions if kind != "macro" and stability != "CONSISTENT"
    }
    # A macro is as volatile as what it calls (`ago` asks for the time); macros call macros.
    bodies = {
        name: set(re.findall(r"\w+(?=\s*\()|current_timestamp", body.lower()))
        for name, kind, _, body in functions
        if kind == "macro"
    }
    while more := {name for name, calls in bodies.items() if calls & (found | _CLOCK_WORDS)} - found:
        found |= more
    return frozenset(found - _HARMLESS)
