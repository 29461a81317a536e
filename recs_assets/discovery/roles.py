"""What a table was understood as: its kind, and which of its columns plays which role."""

from __future__ import annotations

from dataclasses import dataclass, field

from recs_assets.discovery.found import FoundColumn, FoundTable
from recs_assets.sql_text import quote


@dataclass
class Guess:
    """Which column plays a role, and how sure that is."""

    column: FoundColumn
    sure: float
    how: str
    question: str = ""


@dataclass
class Role:
    """A table that was understood: what it is, and its columns by role (`order_id`, `quantity`, ...)."""

    table: FoundTable
    kind: str
    sure: float
    guesses: dict[str, Guess] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    def has(self, *roles: str) -> bool:
        return all(role in self.guesses for role in roles)

    def name(self, role: str) -> str:
        """SQL of the column."""
        return quote(self.guesses[role].column.name)


def can_be_id(column: FoundColumn) -> bool:
    return (
        column.filled > 0
        and not column.is_time
        and column.type != "BOOLEAN"
        and (column.type != "DOUBLE" or column.whole)
    )


def is_epoch(column: FoundColumn) -> int | None:
    """Ticks per second of a whole number that is a time since 1970; None where it is none."""
    if column.type == "BIGINT" and column.least is not None:
        for ticks in (1, 1000, 1_000_000):
            if 631_152_000 * ticks <= column.least and column.most < 4_102_444_800 * ticks:
                return ticks
    return None


def write_id(column: FoundColumn, alias: str = "") -> str:
    """SQL of an id as text: 17850.0 is the id 17850, a blank one is none, and of an address it is a hash."""
    name = f"{alias}{quote(column.name)}"
    if column.is_address:
        return f"md5(lower(nullif(trim({name}), '')))"
    if column.type == "DOUBLE":
        return f"{name}::bigint::varchar"
    if column.type == "VARCHAR":
        return f"nullif(trim({name}), '')"
    return f"{name}::varchar"
