"""Several tables of one kind, such as the sales of two channels: read as one, with nothing counted twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from recs_assets.discovery.consent import find_consents, find_withdrawals, write_consent, write_no_withdrawal
from recs_assets.discovery.facts import Facts, find_money, write_time
from recs_assets.discovery.found import FoundColumn, FoundTable
from recs_assets.discovery.roles import Guess, Role
from recs_assets.discovery.sql_parts import write_key_of, write_number_of
from recs_assets.discovery.value_types import refine_columns
from recs_assets.sources.declared import list_some
from recs_assets.sql_text import quote, quote_text

# What rows say of who may be written to, under names that say so.
_CONSENTS = ("unsubscribed", "email_consent")
_TYPES = {
    "quantity": "DOUBLE",
    "amount": "DOUBLE",
    "discount": "DOUBLE",
    "ordered_at": "TIMESTAMP",
} | dict.fromkeys(_CONSENTS, "BOOLEAN")
# How much of the numbers of orders in two tables must be of one customer and day, to be the same orders.
_SAME = 0.5


@dataclass
class _Branch:
    """One of the tables: its role, the SQL of each column, and what is asked of it."""

    role: Role
    columns: dict[str, str]
    condition: str = ""


def join_lines(
    con: duckdb.DuckDBPyConnection, roles: dict[str, Role], others: Sequence[Role], tables: list[FoundTable]
) -> list[FoundTable]:
    """Put further tables of order lines below the first, as one table in `roles` and in `tables`.

    Orders that stand in two tables are read once; a number that means two orders gets the name of its table behind it.

    Args:
        con: connection that has the tables.
        roles: what the files are, with `lines`; they become the lines of all.
        others: further tables that hold lines, the surest first.
        tables: all; the one that is made is put behind them.

    Returns:
        The tables that are read now.
    """
    if not others:
        return []
    branches = [_make_branch(con, roles["lines"], roles)]
    notes: list[str] = []
    for other in others:
        branch = _make_branch(con, other, roles)
        if _keep_apart(con, branches, branch, roles, notes):
            branches.append(branch)
    if len(branches) == 1:
        return []
    stem = "all_lines"
    while stem in {table.stem for table in tables}:
        stem += "_"
    names = list(dict.fromkeys(name for branch in branches for name in branch.columns))
    # One way of paying for all: an amount is that of the whole line.
    table = FoundTable(
        list_some([branch.role.table.name for branch in branches]),
        stem,
        [],
        parts=[b.role.table for b in branches],
    )
    table.cte = "\n    union all by name\n".join(
        "    select\n        "
        + ",\n        ".join(f"{sql} as {quote(name)}" for name, sql in branch.columns.items())
        + f"\n    from {branch.role.table.relation}{branch.condition}"
        for branch in branches
    )
    con.execute(f"create or replace view {quote(stem)} as {table.cte}")
    table.columns = [FoundColumn(name, _TYPES.get(name, "VARCHAR")) for name in names]
    refine_columns(con, table.relation, table.columns)
    table.rows = table.columns[0].rows
    joined = Role(table, "lines", min(branch.role.sure for branch in branches), notes=notes)
    for column in table.columns:
        if column.name in _CONSENTS:
            continue
        joined.guesses[column.name] = _join_guesses(column, branches)
    roles["lines"] = joined
    tables.append(table)
    return [branch.role.table for branch in branches[1:]]


def _join_guesses(column: FoundColumn, branches: Sequence[_Branch]) -> Guess:
    """How a column of all was found in each."""
    guesses = {
        branch.role.table.name: branch.role.guesses[column.name]
        for branch in branches
        if column.name in branch.role.guesses
    }
    shown = ", ".join(f"{guess.column.name!r} in {name}" for name, guess in guesses.items())
    sure = min((guess.sure for guess in guesses.values()), default=0.8)
    return Guess(column, sure, f"which is {shown}" if shown else "made of what the files have")


def _make_branch(con: duckdb.DuckDBPyConnection, role: Role, roles: Mapping[str, Role]) -> _Branch:
    """The columns of a table of lines by what they are; money is that of the whole line."""
    facts = Facts(order_id=write_key_of(role, "order_id"))
    find_money(con, role, roles.get("orders"), roles.get("products"), facts)
    columns: dict[str, str] = {}
    for name, guess in role.guesses.items():
        if name.endswith("_id"):
            columns[name] = write_key_of(role, name)
        elif name == "ordered_at":
            columns[name] = f"{write_time(guess.column)}::timestamp"
        elif name in ("quantity", "discount"):
            columns[name] = write_number_of(role, name)
        elif name not in ("unit_price", "amount"):
            columns[name] = f"{quote(guess.column.name)}::varchar"
    units = columns.get("quantity", "1")
    if facts.money == "unit":
        columns["amount"] = f"round({units} * {write_number_of(role, 'unit_price')}, 2)"
    elif facts.money == "total":
        columns["amount"] = write_number_of(role, "amount")
    # The lines of one table are not numbered on in the next.
    columns.pop("line_id", None)
    if "product_id" not in columns and "name" in columns:
        columns["product_id"] = f"nullif(trim({columns['name']}), '')"
    if found := find_withdrawals(role.table):
        columns["unsubscribed"] = f"not ({' and '.join(map(write_no_withdrawal, found))})"
    if found := find_consents(role.table):
        columns["email_consent"] = " and ".join(map(write_consent, found))
    return _Branch(role, columns)


def _keep_apart(
    con: duckdb.DuckDBPyConnection,
    branches: Sequence[_Branch],
    branch: _Branch,
    roles: Mapping[str, Role],
    notes: list[str],
) -> bool:
    """Make sure that no order counts twice, and no two are taken for one; whether the table can be read at all."""
    name = branch.role.table.name
    order = branch.columns.get("order_id")
    for other in branches:
        theirs = other.columns.get("order_id")
        if order is None or theirs is None:
            continue
        told = [c for c in ("customer_id", "ordered_at") if c in branch.columns and c in other.columns]
        same = " and ".join(
            f"any_value(a.{c}::date) = any_value(b.{c}::date)"
            if c == "ordered_at"
            else f"any_value(a.{c}) is not distinct from any_value(b.{c})"
            for c in told
        )
        common, equal = con.execute(
            f"select count(*), coalesce(avg(same::integer), 1) from (select a.order_id, {same or 'true'} as same from "
            f"{_select(other, told)} as a join {_select(branch, told)} as b using (order_id) group by a.order_id)"
        ).fetchone()
        if not common:
            continue
        if equal >= _SAME:
            seen = f"(select {theirs} from {other.role.table.relation} where {theirs} is not null)"
            branch.condition += f"{' and' if branch.condition else chr(10) + '    where'} coalesce({order} not in {seen}, true)"
            notes.append(
                f"-- Question: are the {common} orders that stand in {other.role.table.name} and in {name}, with one number, customer and "
                f"day, exported twice? Those of {name} are not read."
            )
        elif "orders" in roles:
            return False  # which of the two the file of orders means cannot be told
        else:
            branch.columns["order_id"] = f"{order} || {quote_text('-' + branch.role.table.stem)}"
            notes.append(
                f"-- {common} numbers of orders stand in {other.role.table.name} and in {name} and mean different orders, so those of {name} "
                f"end in -{branch.role.table.stem}."
            )
            break
    notes.append(
        f"-- Question: are the rows of {name} sales beside those of {branches[0].role.table.name}? They are read as further lines of orders."
    )
    return True


def _select(branch: _Branch, names: Sequence[str]) -> str:
    columns = "".join(f", {branch.columns[name]} as {name}" for name in names)
    return f"(select {branch.columns['order_id']} as order_id{columns} from {branch.role.table.relation})"
