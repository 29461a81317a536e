"""Pieces of SQL with their comments: a column of a role, a SELECT, how sure a guess is."""

from __future__ import annotations

from collections.abc import Sequence

from recs_assets.discovery.facts import write_time
from recs_assets.discovery.roles import Role, write_id

Roles = dict[str, Role]


def remark(role: Role, *names: str) -> str:
    """Comments: how sure each column is, and what is asked of it."""
    lines = []
    for name in names:
        guess = role.guesses.get(name)
        if guess is None:
            continue
        lines.append(
            f"-- {guess.sure:.2f} sure: {name} is {guess.column.name!r} of {role.table.name}, {guess.how}."
        )
        question = guess.question or (f"is {guess.column.name!r} the {name}?" if guess.sure < 0.75 else "")
        if question:
            lines.append(f"-- Question: {question}")
    return "\n".join(lines)


def join_parts(*parts: str) -> str:
    return "\n".join(part for part in parts if part) + "\n"


def write_key_of(role: Role, name: str, alias: str = "") -> str:
    return write_id(role.guesses[name].column, alias)


def write_time_of(role: Role, name: str, alias: str = "") -> str:
    return write_time(role.guesses[name].column, alias)


def write_text_of(role: Role, name: str, alias: str = "") -> str:
    column = role.guesses[name].column
    return f"{alias}{role.name(name)}" + ("" if column.type == "VARCHAR" else "::varchar")


def write_number_of(role: Role, name: str) -> str:
    column = role.guesses[name].column
    return role.name(name) if column.type == "DOUBLE" else f"{role.name(name)}::double"


def write_select(columns: Sequence[str], relation: str, rest: str = "") -> str:
    return "select\n    " + ",\n    ".join(columns) + f"\nfrom {relation}" + (f"\n{rest}" if rest else "")


def list_texts(role: Role, *names: str, rename: dict[str, str] | None = None) -> list[str]:
    rename = rename or {}
    return [f"{write_text_of(role, name)} as {rename.get(name, name)}" for name in names if role.has(name)]


def order_owner(roles: Roles, role: str) -> Role | None:
    """The table that says this of an order: the orders' own, else the lines'."""
    return next(
        (roles[kind] for kind in ("orders", "lines") if kind in roles and roles[kind].has(role)), None
    )
