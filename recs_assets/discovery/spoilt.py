"""Columns that a shop cannot do without, and that a few values keep from being numbers or times."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from recs_assets.discovery.found import FoundTable
from recs_assets.discovery.roles import Role
from recs_assets.discovery.words import score_role
from recs_assets.sql_text import quote

# Signs, digits and what stands between them; no letters.
_NUMBER = r"[^0-9A-Za-z()]*[0-9][0-9., ]*[^0-9A-Za-z()]*"
_TIME = r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}([ T][0-9:.]+.*)?"


def explain_spoilt(con: duckdb.DuckDBPyConnection, lines: Role, has_time: bool) -> str:
    """One sentence on a column of units, money or dates of which a few values are something else; empty if there is none."""
    has_money = any(lines.has(name) and lines.guesses[name].sure > 0.5 for name in ("unit_price", "amount"))
    for names, pattern, kind in (
        (("quantity",), _NUMBER, "a number"),
        (() if has_money else ("unit_price", "amount"), _NUMBER, "a number"),
        (() if has_time else ("ordered_at",), _TIME, "a date"),
    ):
        for name in names:
            if lines.has(name) and lines.guesses[name].sure > 0.5:
                continue
            sentence = _explain(con, lines.table, name, pattern, kind)
            if sentence:
                return sentence
    return ""


def _explain(con: duckdb.DuckDBPyConnection, table: FoundTable, role: str, pattern: str, kind: str) -> str:
    for column in table.columns:
        if column.type != "VARCHAR" or not column.filled or score_role(role, column.name) < 0.75:
            continue
        value = f"trim({quote(column.name)})"
        fitting, strange = con.execute(
            f"select avg(regexp_full_match({value}, ?)::integer), min({value}) filter (not regexp_full_match({value}, ?)) "
            f"from {table.relation} where {value} <> ''",
            [pattern, pattern],
        ).fetchone()
        if fitting is not None and 0.8 < fitting < 1:
            shown = "a value with an @" if "@" in strange else repr(strange[:40])
            return (
                f"{table.name}: column {column.name!r} is needed and not every value in it is {kind}, such as {shown}; "
                "correct these rows in the export, or leave them out."
            )
    return ""


# A day, a month as a word, a year.
_SPELT = r"[0-9]{1,2}\.? ?(de )?\pL+\.? ?(de )?[0-9]{2,4}.*"


def explain_spelt_dates(con: duckdb.DuckDBPyConnection, tables: Sequence[FoundTable]) -> str:
    """One sentence on a column of dates with months as words that are not English; empty if there is none."""
    for table in tables:
        for column in table.columns:
            if column.type != "VARCHAR" or not column.filled:
                continue
            value = f"trim({quote(column.name)})"
            every = con.execute(
                f"select bool_and(regexp_full_match({value}, ?)) from {table.relation} where {value} <> ''",
                [_SPELT],
            ).fetchone()[0]
            if every:
                return (
                    f"{table.name}: column {column.name!r} spells its months in a language that is not read; export its dates in "
                    "digits, like 2024-03-31 or 31.03.2024."
                )
    return ""
