"""A block of customers cut out of a week's files: a build file, and what was published, of a range of customer ids."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from recs_assets.sql_text import quote, quote_text

if TYPE_CHECKING:
    import duckdb

    from recs_assets.store.connect import Connect

# What functions over a block may read: whole schemas, and single relations of the others. Views become tables.
SCHEMAS = ("features.", "marts.", "staging.")
TABLES = (
    "intermediate.int_customer_addresses",
    "intermediate.int_declared_evidence",
    "intermediate.int_declared_values",
    "intermediate.int_interactions_anchored",
    "intermediate.int_product_prices_anchored",
    "intermediate.int_recommendation_pairs_anchored",
    "intermediate.int_returns_allocated_to_lines",
    "intermediate.int_visitors_identified",
    "model.decisions",
)
# Lines without a customer, of which the block's are in marts; and what is worked out anew whenever somebody reads it.
LEFT_OUT = (
    "staging.stg_consent_changes",
    "staging.stg_customer_consents",
    "staging.stg_order_items",
    "staging.stg_withdrawals_counted",
)
# Where a row without a customer is said of everybody. Elsewhere it is a guest's: no customer of a block sees it, and what it
# tells of products is counted in the whole shop.
OF_EVERYBODY = ("intermediate.int_declared_evidence",)
# Of these the rows of the week's own anchor.
_ANCHORED = ("features.", "intermediate.")


@dataclass(frozen=True)
class Block:
    """The customers of one range of ids, in their order as DuckDB has it.

    Attributes:
        number: from 0.
        first_code: of the first customer, in the whole shop.
        first_id: of the first customer.
        next_first_id: of the first customer of the next block; None in the last.
    """

    number: int
    first_code: int
    first_id: str
    next_first_id: str | None

    def where(self, column: str = "customer_id") -> str:
        """Condition of SQL that a row is of these customers."""
        first = f"{column} >= {quote_text(self.first_id)}"
        return (
            first
            if self.next_first_id is None
            else f"{first} and {column} < {quote_text(self.next_first_id)}"
        )


def find_blocks(connection: duckdb.DuckDBPyConnection, as_of: date, size: int) -> list[Block]:
    """The blocks of at most `size` customers each that are known before `as_of`.

    Args:
        connection: to a week's build file.
        as_of: the week.
        size: at least 1.
    """
    firsts = connection.execute(
        """
        select code, customer_id from (
            select customer_id, row_number() over (order by customer_id) - 1 as code
            from marts.customers where joined_at is null or joined_at < $as_of
        ) where code % $size = 0 order by code
        """,
        {"as_of": as_of, "size": size},
    ).fetchall()
    ends = [first_id for _, first_id in firsts[1:]] + [None]
    return [
        Block(number, code, first_id, end)
        for number, ((code, first_id), end) in enumerate(zip(firsts, ends, strict=True))
    ]


def cut_build(connect: Connect, whole: Path, block: Block, as_of: date, target: Path) -> None:
    """Write the build file of a block.

    Tables with a customer_id get the rows of the block's customers, others are whole; of features and interactions
    only the week's own anchor is there.

    Args:
        connect: opens databases.
        whole: the week's build file.
        block: whose rows.
        as_of: the week.
        target: the file, which is replaced in whole.

    Raises:
        WarehouseError: DuckDB cannot open a file.
    """

    def find_conditions(name: str, columns: list[str]) -> list[str]:
        conditions = []
        if "customer_id" in columns:
            everybody = "customer_id is null or " if name in OF_EVERYBODY else ""
            # What a visitor did is a customer's who signed in there later.
            visited = (
                " or (customer_id is null and visitor_id in (select visitor_id from "
                f"build.intermediate.int_visitors_identified where {block.where()}))"
                if name.startswith("staging.") and "visitor_id" in columns
                else ""
            )
            conditions.append(f"({everybody}{block.where()}{visited})")
        if name.startswith(_ANCHORED) and "as_of" in columns:
            conditions.append(f"as_of = date '{as_of}'")
        return conditions

    with _write(connect, target) as connection:
        # Views name their tables with the database that they were made in.
        connection.execute(f"attach {quote_text(str(whole))} as build (read_only)")
        wanted = [
            name
            for name in _list_relations(connection, "build")
            if (name in TABLES or name.startswith(SCHEMAS)) and name not in LEFT_OUT
        ]
        _copy_tables(connection, "build", wanted, find_conditions)


def cut_published(
    connect: Connect,
    whole: Path,
    attach: Callable[[duckdb.DuckDBPyConnection], None],
    block: Block,
    target: Path,
) -> None:
    """Write what was published about the customers of a block, by the people of the week: the tables with a customer_id.

    Args:
        connect: opens databases.
        whole: the week's build file.
        attach: makes the published snapshot the database `published` of a connection (`Warehouse.attach_snapshot`).
        block: whose rows.
        target: the file, which is replaced in whole; without tables where nothing is published.

    Raises:
        WarehouseError: DuckDB cannot open a file.
    """
    with _write(connect, target) as connection:
        [(here,)] = connection.execute("select current_database()").fetchall()
        connection.execute(f"attach {quote_text(str(whole))} as build (read_only); use build")
        attach(connection)
        connection.execute(f"use {quote(here)}")
        _copy_tables(
            connection,
            "published",
            _list_relations(connection, "published"),
            lambda _, columns: [block.where()] if "customer_id" in columns else None,
        )


def _list_relations(connection: duckdb.DuckDBPyConnection, database: str) -> list[str]:
    """`<schema>.<name>` of the tables and views of an attached database."""
    # Not `duckdb_columns`, which would bind every view there is.
    return [
        name
        for (name,) in connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where database_name = $database and not internal "
            "union all "
            "select schema_name || '.' || view_name from duckdb_views() where database_name = $database and not internal "
            "order by 1",
            {"database": database},
        ).fetchall()
    ]


def _copy_tables(
    connection: duckdb.DuckDBPyConnection,
    database: str,
    relations: Iterable[str],
    find_conditions: Callable[[str, list[str]], list[str] | None],
) -> None:
    """Copy tables and views of an attached database.

    Args:
        connection: to the file that gets them.
        database: its name.
        relations: `<schema>.<name>`.
        find_conditions: of a relation and its columns, those that its rows must meet; None: it is left out.
    """
    connection.execute("begin")  # one write to the disk, not one for every table
    for relation in relations:
        schema, _, table = relation.partition(".")
        name = f"{quote(schema)}.{quote(table)}"
        columns = [
            name
            for name, *_ in connection.execute(f"from {quote(database)}.{name} limit 0").description or []
        ]
        conditions = find_conditions(relation, columns)
        if conditions is None:
            continue
        where = f"where {' and '.join(conditions)}" if conditions else ""
        connection.execute(f"create schema if not exists {quote(schema)}")
        connection.execute(f"create table {name} as from {quote(database)}.{name} {where}")
    connection.execute("commit")


@contextmanager
def _write(connect: Connect, target: Path) -> Generator[duckdb.DuckDBPyConnection]:
    """A connection to a new file, which takes its place at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"next-{target.name}")  # which names its database; that of the week's is "build"
    aside.unlink(missing_ok=True)
    connection = connect(str(aside), read_only=False)
    try:
        yield connection
    finally:
        connection.close()
    aside.replace(target)
