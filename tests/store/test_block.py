"""A block of customers, cut out of a build file and of what was published."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.warehouse import FIRST, SECOND, create_identities, publish
from helpers.warehouse import build as build_published
from recs_assets.schema import WarehouseError
from recs_assets.store.block import Block, find_blocks
from recs_assets.store.warehouse import Warehouse

MIDDLE = Block(1, 1, "c1'", "c3")


@pytest.fixture
def week(house: Warehouse) -> Warehouse:
    """A build file with customers who order, guests, one who joins later, and a view as dbt makes it."""
    with house.build(FIRST).write() as connection:
        connection.execute(
            f"""
            create schema marts; create schema features; create schema intermediate; create schema raw;
            create table marts.customers as from (values
                ('c3', date '2024-01-01'), ('c1''', null), ('c0', null), ('c2', date '2024-03-04')
            ) as t(customer_id, joined_at);
            create table marts.order_lines as from (values ('c0', 'p1'), (null, 'p1'), ('c2', 'p2'), ('c1''', 'p1')
            ) as t(customer_id, product_id);
            create table features.product_features as from (values
                (date '{FIRST}', 'p1'), (date '{FIRST}', 'p2'), (date '2024-02-05', 'p1')
            ) as t(as_of, product_id);
            create view intermediate.int_interactions_anchored as
                select date '{FIRST}' as as_of, * from build.marts.order_lines
                union all select date '2024-02-05', * from build.marts.order_lines;
            create table intermediate.int_declared_evidence as from (values ('c0', 'p1'), (null, 'p2'), ('c2', 'p2')
            ) as t(customer_id, product_id);
            create table raw.customers as select 'c2' as customer_id;
            """
        )
        create_identities(connection)
        connection.execute("insert into base.base_customer_identities values ('c9', 'c2')")
    return house


def test_blocks_are_ranges_of_known_customers_in_order(week: Warehouse) -> None:
    with week.build(FIRST).read() as connection:
        assert find_blocks(connection, FIRST, 2) == [Block(0, 0, "c0", "c3"), Block(1, 2, "c3", None)]
        assert find_blocks(connection, SECOND, 3) == [Block(0, 0, "c0", "c3"), Block(1, 3, "c3", None)]
        assert find_blocks(connection, date(1990, 1, 1), 1) == [
            Block(0, 0, "c0", "c1'"), Block(1, 1, "c1'", None),
        ]  # fmt: skip


def test_a_block_has_its_customers_rows_and_all_products(week: Warehouse) -> None:
    target = week.block_build(FIRST, week.home / "1")
    week.cut_block(week.build(FIRST), MIDDLE, target)
    week.cut_block(week.build(FIRST), MIDDLE, target)
    with target.read() as connection:
        rows = {
            table: connection.execute(f"select * from {table} order by all").fetchall()
            for (table,) in connection.execute(
                "select schema_name || '.' || table_name from duckdb_tables()"
            ).fetchall()
        }
    assert rows == {
        "marts.customers": [("c1'", None), ("c2", date(2024, 3, 4))],
        "marts.order_lines": [("c1'", "p1"), ("c2", "p2")],
        "features.product_features": [(FIRST, "p1"), (FIRST, "p2")],
        "intermediate.int_interactions_anchored": [(FIRST, "c1'", "p1"), (FIRST, "c2", "p2")],
        "intermediate.int_declared_evidence": [("c2", "p2"), (None, "p2")],
    }
    assert [path.name for path in target.folder.iterdir()] == ["build.duckdb"]


def test_what_was_published_of_a_block_is_by_the_people_of_the_week(week: Warehouse) -> None:
    build_published(week, SECOND, [("c9", 1, "p1"), ("c2", 1, "p2"), ("c3", 1, "p2")])
    publish(week, SECOND)
    published = week.home / "published.duckdb"
    week.cut_published(week.build(FIRST), MIDDLE, published)
    with duckdb.connect(str(published), read_only=True) as connection:
        assert connection.execute("select table_name from duckdb_tables()").fetchall() == [
            ("email_recommendations",)
        ]
        assert connection.execute(
            "select customer_id, profile_id, product_id from recs.email_recommendations order by all"
        ).fetchall() == [("c2", "c2", "p2"), ("c2", "c9", "p1")]


def test_where_nothing_is_published_nothing_is_cut(week: Warehouse) -> None:
    published = week.home / "published.duckdb"
    week.cut_published(week.build(FIRST), MIDDLE, published)
    with duckdb.connect(str(published), read_only=True) as connection:
        assert connection.execute("select count(*) from duckdb_tables()").fetchall() == [(0,)]


def test_without_a_build_file_there_is_no_block(house: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="has no build file"):
        house.cut_block(house.build(FIRST), MIDDLE, house.block_build(FIRST, house.home / "1"))
    assert not (house.home / "1").exists()


@given(
    ids=st.sets(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3), min_size=1
    ),
    size=st.integers(1, 4),
)
def test_every_customer_is_in_one_block(ids: set[str], size: int) -> None:
    with duckdb.connect() as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.customers (customer_id varchar, joined_at date)")
        connection.executemany("insert into marts.customers values (?, null)", [[name] for name in ids])
        blocks = find_blocks(connection, FIRST, size)
        found = [
            connection.execute(
                f"select customer_id from marts.customers where {block.where()} order by customer_id"
            ).fetchall()
            for block in blocks
        ]
    in_order = sorted(ids, key=str.encode)
    assert [name for part in found for (name,) in part] == in_order
    assert [len(part) for part in found[:-1]] == [size] * (len(found) - 1)
    assert [block.first_code for block in blocks] == list(range(0, len(ids), size))
