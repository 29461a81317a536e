"""Tables that are none of the canonical ones, as declared tables (docs/your_tables.md): `tables/<name>.yaml` and its SELECT."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb

from recs_assets.declared_tables.file import CANONICAL, RESERVED, TAKEN
from recs_assets.discovery.facts import write_time
from recs_assets.discovery.found import FoundColumn, FoundTable
from recs_assets.discovery.roles import can_be_id, write_id
from recs_assets.discovery.words import load_words, score_id, score_role, split_name
from recs_assets.sql_text import quote

# Share of the values of a reference that must be found; orphans go to quarantine, and too many stop a run.
_FOUND = 0.99
_ENTITIES = {"customers": "customer", "products": "product", "orders": "order"}
# Roles of times from which a row is known.
_KNOWN = ("ordered_at", "joined_at", "occurred_at", "reviewed_at", "returned_at", "counted_at", "starts_at")
_LATE = {
    "updated",
    "modified",
    "closed",
    "resolved",
    "due",
    "end",
    "ended",
    "until",
    "deleted",
    "solved",
    "changed",
    "birth",
}
_KINDS = {"VARCHAR": "text", "BIGINT": "number", "DOUBLE": "number", "BOOLEAN": "boolean", "DATE": "date"}


@dataclass
class Proposal:
    """A declared table: its name, its YAML and its SELECT. Without `name` there is none, and `reason` says why."""

    table: FoundTable
    name: str = ""
    yaml: str = ""
    sql: str = ""
    reason: str = ""


@dataclass
class _Columns:
    """What of a table is taken, as name -> column, and what is left out because it may say who somebody is."""

    taken: dict[str, FoundColumn] = field(default_factory=dict)
    left: dict[str, FoundColumn] = field(default_factory=dict)

    def add(self, column: FoundColumn, name: str, *, personal: bool = False) -> str:
        base = (
            name if re.fullmatch("[a-z][a-z0-9_]{0,36}", name) and name not in RESERVED else f"x_{name}"[:36]
        )
        chosen, place = base, 2
        while chosen in self.taken or chosen in self.left:
            chosen, place = f"{base}_{place}", place + 1
        (self.left if personal else self.taken)[chosen] = column
        return chosen


def propose_table(
    con: duckdb.DuckDBPyConnection, table: FoundTable, ids: Mapping[str, str], names: Sequence[str]
) -> Proposal:
    """A table that was not understood as a declared one.

    Args:
        con: connection that has the table.
        table: with rows.
        ids: canonical table -> table in `con` with the column `id`: what may be referred to.
        names: of declared tables that are there already.
    """
    keys = [
        column
        for column in table.columns
        if column.is_unique and can_be_id(column) and not _names_person(con, table, column)
    ]
    if not keys:
        return Proposal(table, reason="no column tells its rows apart")
    references, lacking = _find_references(con, table, ids)
    if not references:
        return Proposal(
            table, reason=lacking or "none of its columns refers to customers, products or orders"
        )
    if lacking:
        return Proposal(table, reason=lacking)
    refer = {column.name for column in references.values()}
    key = max(keys, key=lambda column: (_is_named_id(column), column.name not in refer, -keys.index(column)))
    when = _find_time(con, table)
    static = (
        when is None
        and set(references) == {"products"}
        and not any(column.is_time for column in table.columns)
    )
    if when is None and not static:
        return Proposal(table, reason="no column says of every row since when it is known")
    columns = _Columns()
    for target, column in references.items():
        columns.add(column, CANONICAL[target])
    for column in table.columns:
        if column.name in refer or not column.filled:
            continue
        needed = column is key or column is when
        columns.add(
            column,
            "_".join(split_name(column.name)),
            personal=not needed and (_names_person(con, table, column) or _is_free_text(con, table, column)),
        )
    shown = {column.name: name for name, column in columns.taken.items()}
    name = "_".join(split_name(table.stem))[:36]
    if name in TAKEN or name in RESERVED or name in names or not re.match("[a-z]", name):
        name = f"own_{name}"
    return Proposal(
        table,
        name,
        _write_yaml(table, columns, shown[key.name], None if when is None else shown[when.name], references),
        _write_sql(table, columns),
    )


def _is_named_id(column: FoundColumn) -> bool:
    words = set(split_name(column.name))
    return bool(words & set(load_words()["id_words"])) or any(
        score_id(entity, column.name) for entity in load_words()["entities"]
    )


def _names_person(con: duckdb.DuckDBPyConnection, table: FoundTable, column: FoundColumn) -> bool:
    """Whether a column's name or an address in it says that it is about a person."""
    if set(split_name(column.name)) & set(load_words()["personal"]):
        return True
    return column.type == "VARCHAR" and bool(
        con.execute(
            f"select coalesce(bool_or(contains({quote(column.name)}, '@')), false) from {table.relation}"
        ).fetchone()[0]
    )


def _is_free_text(con: duckdb.DuckDBPyConnection, table: FoundTable, column: FoundColumn) -> bool:
    """Whether a column holds what somebody wrote, or what nearly every row has another of and no name says is an id."""
    if column.type != "VARCHAR" or _is_named_id(column):
        return False
    length = con.execute(f"select avg(length({quote(column.name)})) from {table.relation}").fetchone()[0]
    return (length or 0) > 30 or (column.distinct > 200 and column.distinct > 0.3 * column.filled)


def _find_references(
    con: duckdb.DuckDBPyConnection, table: FoundTable, ids: Mapping[str, str]
) -> tuple[dict[str, FoundColumn], str]:
    """Canonical table -> the column that refers to it; and what is lacking of one that is called so and does not."""
    found: dict[str, FoundColumn] = {}
    lacking = ""
    for target, relation in ids.items():
        best: tuple[float, FoundColumn] | None = None
        for column in table.columns:
            named = score_id(_ENTITIES[target], column.name)
            if (
                not can_be_id(column)
                or column in found.values()
                or (not named and (column.type != "VARCHAR" or column.distinct < 20))
            ):
                continue
            value = write_id(column)
            share = con.execute(
                f"select coalesce(avg((v in (select id from {relation}))::integer), 0) from (select {value} as v from {table.relation}) where v is not null"
            ).fetchone()[0]
            if share >= _FOUND and (best is None or named > best[0]):
                best = named, column
            elif named >= 0.75 and share < _FOUND and not column.is_unique:
                lacking = f"{1 - share:.0%} of the values of {column.name!r} are not among the {target}"
        if best is not None:
            found[target] = best[1]
    return found, lacking


def _find_time(con: duckdb.DuckDBPyConnection, table: FoundTable) -> FoundColumn | None:
    """The time from which a row is known: of those that every row has, the one that is called so, else the earliest."""
    times = [
        column
        for column in table.columns
        if column.is_time and column.filled == column.rows and not set(split_name(column.name)) & _LATE
    ]
    if not times:
        return None
    early = {
        column.name: con.execute(
            f"select avg(epoch({quote(column.name)}::timestamp)) from {table.relation}"
        ).fetchone()[0]
        for column in times
    }
    return min(
        times, key=lambda column: (-max(score_role(role, column.name) for role in _KNOWN), early[column.name])
    )


def _kind(column: FoundColumn, name: str) -> str:
    return "text" if name.endswith("_id") or name in CANONICAL.values() else _KINDS.get(column.type, "time")


def _write_yaml(
    table: FoundTable, columns: _Columns, key: str, when: str | None, references: Mapping[str, FoundColumn]
) -> str:
    lines = [
        f"# Written by `python -m recs_assets init` for {table.name} ({table.rows:,} rows); docs/your_tables.md has the keys.",
        "# Question: "
        + (f"what is a row of {table.name}? It is read as a table of the shop's own, tables/*.yaml."),
        f"description: Rows of {table.name.replace(':', ' ')}.",
        f"key: {key} # 1.00 sure: it is in every row, and nowhere twice",
    ]
    if when is None:
        lines += [
            "# 0.50 sure: no column is a time.",
            f"# Question: does a row of {table.name} never change? If one does, delete its YAML and SQL, or export a time with it.",
            "static: true",
        ]
    else:
        others = [name for name, column in columns.taken.items() if column.is_time and name != when]
        lines += [
            f"# 0.80 sure: every row has it{', and it comes before ' + ', '.join(others) if others else ''}.",
            f"# Question: is {when} of {table.name} when a row became known? What is filled in or written over later belongs under known, or is left out.",
            f"time: {when}",
        ]
    lines.append("columns:")
    lines += [f"  {name}: {_kind(column, name)}" for name, column in columns.taken.items()]
    if columns.left:
        lines.append(
            "  # Left out, because they may say who somebody is, or hold free text; to take one, do so in the SQL, too:"
        )
        lines += [f"  # {name}: {_kind(column, name)}" for name, column in columns.left.items()]
    lines.append("references:")
    lines += [
        f"  {CANONICAL[target]}: {target} # {_FOUND:.2f} sure: the values of {column.name!r} are found there"
        for target, column in references.items()
    ]
    return "\n".join(lines) + "\n"


def _write_sql(table: FoundTable, columns: _Columns) -> str:
    def write(name: str, column: FoundColumn) -> str:
        if column.is_time:
            value = write_time(column)
        elif _kind(column, name) == "number":
            value = f"{quote(column.name)}::double"
        else:
            value = write_id(column) if _kind(column, name) == "text" else quote(column.name)
        return f"{value} as {name}"

    taken = [write(name, column) for name, column in columns.taken.items()]
    left = [f"    -- {write(name, column)}" for name, column in columns.left.items()]
    return "\n".join(
        [
            f"-- {table.name}, as tables/*.yaml declares it.",
            "select",
            *left,
            "    " + ",\n    ".join(taken),
            f"from {table.relation}",
            "",
        ]
    )
