"""Columns whose names say nothing: what their values suggest."""

from __future__ import annotations

import duckdb

from recs_assets.discovery.found import FoundColumn, FoundTable
from recs_assets.discovery.roles import Guess, Role, can_be_id, write_id
from recs_assets.sql_text import quote


def fill_gaps(role: Role) -> None:
    """Where names say nothing, take what the values suggest, and ask."""
    if role.kind != "lines":
        return
    used = {guess.column.name for guess in role.guesses.values()}
    free = [column for column in role.table.columns if column.name not in used and column.filled]
    gaps = {
        "ordered_at": lambda column: column.is_time,
        "quantity": lambda column: (
            column.type == "BIGINT"
            and column.distinct <= max(50, column.rows // 20)
            and -1000 < column.least <= 1
        ),
        "unit_price": lambda column: column.type == "DOUBLE" and not column.whole,
    }
    for name, fits in gaps.items():
        if name in role.guesses or (name == "unit_price" and role.has("amount")):
            continue
        fitting = [column for column in free if fits(column)]
        if fitting:
            column = fitting[0]
            free.remove(column)
            role.guesses[name] = Guess(
                column,
                0.4,
                "by its values alone",
                f"is {column.name} of {role.table.name} the {name.replace('_', ' ')}?",
            )


def find_product_code(con: duckdb.DuckDBPyConnection, lines: Role) -> None:
    """Of lines that name products and whose names of columns tell no id: the column that goes with the name.

    "Reference" may be the line's or the product's. A product's stands in many lines, nearly always with the same name.
    """
    if lines.has("product_id") or not lines.has("name"):
        return
    name = lines.guesses["name"].column
    used = {guess.column.name for role, guess in lines.guesses.items() if role != "line_id"}
    best: tuple[float, FoundColumn] | None = None
    for column in lines.table.columns:
        if column.name in used or not can_be_id(column):
            continue
        if not 0.5 * name.distinct <= column.distinct <= min(2 * name.distinct, 0.9 * column.filled):
            continue
        same = con.execute(
            f"with pairs as (select {quote(column.name)} as code, count(*) as lines from {lines.table.relation} "
            f"where {quote(column.name)} is not null and {quote(name.name)} is not null group by code, {quote(name.name)}), "
            "codes as (select max(lines) as named_so, sum(lines) as lines from pairs group by code) "
            "select coalesce(sum(named_so) / sum(lines), 0) from codes"
        ).fetchone()[0]
        if same >= 0.7 and (best is None or same > best[0]):
            best = same, column
    if best is None:
        return
    same, column = best
    if lines.has("line_id") and lines.guesses["line_id"].column is column:
        del lines.guesses["line_id"]
    lines.guesses["product_id"] = Guess(
        column,
        min(0.95, 0.9 * same),
        f"{same:.0%} of its lines carry the name that most lines of the value have",
    )


def guess_lines(con: duckdb.DuckDBPyConnection, table: FoundTable, role: Role) -> Role | None:
    """A table as lines of orders by what its values do; None where they do not.

    An order is what stands in several rows and always at one time; a customer is what an order has one of; a product is what
    it has several of. Everything found so is asked.

    Args:
        con: connection with the table.
        table: the only one, most often.
        role: with what the names of its columns told.
    """
    used = {guess.column.name for guess in role.guesses.values()}

    def take(name: str, column: FoundColumn | None, what: str) -> None:
        if column is not None and name not in role.guesses:
            question = f"is {column.name} of {table.name} {what}?"
            role.guesses[name] = Guess(column, 0.4, "by its values alone", question)
            used.add(column.name)

    def list_free() -> list[FoundColumn]:
        return [column for column in table.columns if column.name not in used and column.filled]

    take(
        "ordered_at", next((column for column in list_free() if column.is_time), None), "when it was ordered"
    )
    if not role.has("ordered_at"):
        return None
    money = next((column for column in list_free() if column.type == "DOUBLE" and not column.whole), None)
    if not role.has("amount"):
        take("unit_price", money, "the price")
    units = [
        column
        for column in list_free()
        if column.type == "BIGINT" and column.least <= 1 and column.distinct <= max(50, table.rows // 20)
    ]
    take("quantity", units[0] if units else None, "the number of units")
    codes = [column for column in list_free() if can_be_id(column) and 1 < column.distinct < column.filled]
    codes.sort(key=lambda column: -column.distinct)
    when = role.name("ordered_at")
    take(
        "order_id",
        next((column for column in codes if _share_with_one(con, table, column, when) >= 0.98), None),
        "the number of the order",
    )
    if role.has("order_id"):
        order = role.guesses["order_id"].column
        free = [column for column in codes if column.name not in used]
        single = [
            column
            for column in free
            if column.distinct <= order.distinct
            and _share_with_one(con, table, order, quote(column.name)) >= 0.98
        ]
        take("customer_id", next((column for column in single if column.distinct >= 5), None), "the customer")
    free = [column for column in codes if column.name not in used]
    if not role.has("name"):
        take("product_id", free[0] if free else None, "the product")
    role.sure = 0.4
    named = role.has("product_id") or role.has("name")
    return role if named and (role.has("order_id") or role.has("customer_id")) else None


def _share_with_one(
    con: duckdb.DuckDBPyConnection, table: FoundTable, column: FoundColumn, other: str
) -> float:
    """Share of a column's values that stand beside one value of another column only."""
    return con.execute(
        f"select coalesce(avg((n <= 1)::integer), 0) from (select count(distinct {other}) as n from {table.relation} "
        f"where {write_id(column)} is not null group by {write_id(column)})"
    ).fetchone()[0]
