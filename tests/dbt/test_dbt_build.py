"""The hand-written shop of conftest.py, through dbt, row by row: marts, rejected rows, and what every table has."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pytest

from helpers.dbt_build import ROOT
from recs_assets.schema import RAW_TABLES


def test_customers(prepared):
    rows = prepared.sql(
        "select customer_id, email_eligible, consent_state, order_count, last_order_at from marts.customers"
    )
    assert rows == [
        ("ann", True, "subscribed", 3, datetime(2024, 3, 3, 23, 59, 59)),
        ("bob", False, "subscribed", 1, datetime(2024, 2, 1, 10)),
        ("cay", True, "subscribed", 0, None),
        ("dan", False, "objected", 1, datetime(2024, 2, 1, 11)),
        ("fay", True, "subscribed", 0, None),
    ]


def test_products_and_prices(prepared):
    # Bread has no catalogue price, and one sale does not tell a usual one.
    assert prepared.sql("select product_id, name, price, price_kind, currency from marts.products") == [
        ("bread", "Bread", None, None, "EUR"),
        ("ham", None, 3.0, "catalogue", "EUR"),  # N/A
        ("milk", "Milk", 1.5, "catalogue", "EUR"),
        ("new", "New", 2.0, "catalogue", "EUR"),
        ("tea", "Tea", 4.0, "catalogue", "EUR"),
    ]


def test_order_lines(prepared):
    units = "quantity, returned_quantity, net_quantity"
    columns = f"order_id, line_id, product_id, {units}, net_amount, fully_returned_at"
    assert prepared.sql(f"select {columns} from marts.order_lines") == [
        ("a1", "1", "milk", 2, 0, 2, 3.0, None),
        ("a1", "2", "bread", 1, 0, 1, 2.0, None),
        ("a2", "1", "milk", 4, 2, 2, 3.0, None),
        ("a3", "1", "milk", 1, 0, 1, 1.5, None),
        ("a3", "2", "tea", 1, 0, 1, 4.0, None),
        ("b1", "1", "milk", 1, 0, 1, 1.5, None),
        ("b1", "2", "ham", 2, 2, 0, 0.0, datetime(2024, 2, 12)),
        ("d1", "1", "milk", 1, 0, 1, 1.5, None),
    ]


def test_baskets(prepared):
    assert prepared.sql("select order_id, line_count, product_count, units, amount from marts.baskets") == [
        ("a1", 2, 2, 3.0, 5.0),
        ("a2", 1, 1, 2.0, 3.0),
        ("a3", 2, 2, 2.0, 5.5),
        ("b1", 1, 1, 1.0, 1.5),
        ("d1", 1, 1, 1.0, 1.5),
    ]


def test_interactions(prepared):
    columns = "customer_id, product_id, order_id, event_type, quantity, weight, voided_at"
    assert prepared.sql(f"select {columns} from marts.interactions") == [
        ("ann", "bread", "a1", "purchase", 1, 1.0, None),
        ("ann", "milk", "a1", "purchase", 2, 1.0, None),
        ("ann", "milk", "a2", "purchase", 4, 1.0, None),
        ("ann", "milk", "a3", "purchase", 1, 1.0, None),
        ("ann", "tea", "a3", "purchase", 1, 1.0, None),
        ("bob", "ham", "b1", "purchase", 2, 1.0, datetime(2024, 2, 12)),
        ("bob", "milk", "b1", "purchase", 1, 1.0, None),
        ("cay", "ham", None, "review", 1, -0.5, None),
        ("fay", "new", None, "view", 1, 0.1, None),
    ]


def test_rejected_rows_have_reasons(prepared):
    # The erased customer's bad line e1|2 is not kept, not even here.
    assert prepared.sql("select source_table, row_key, reason from intermediate.int_rows_rejected") == [
        ("browsing_events", "v1", "duplicate_row"),
        ("customers", "", "missing_key"),
        ("customers", "ann", "duplicate_row"),
        ("order_items", "b1|3", "non_positive_quantity"),
        ("order_items", "b1|4", "orphan_product"),
        ("order_items", "x1|1", "orphan_order"),
        ("orders", "a1", "duplicate_row"),
        ("orders", "a1", "duplicate_row"),
        ("orders", "x1", "orphan_customer"),
        ("orders", "x2", "implausible_date"),
        ("orders", "x3", "future_date"),
        ("products", "odd", "negative_amount"),
        ("returns", "t1", "duplicate_row"),
        ("reviews", "r2", "rating_out_of_range"),
    ]


def test_rejected_shares_leave_out_later_weeks(prepared):
    # 15 orders, three of them between as_of and landing; x1, x2, x3 and one a1 are rejected.
    rows = prepared.sql(
        "select reason, rows, rejected from intermediate.int_quarantine_shares where source_table = 'orders'"
    )
    assert rows == [
        ("any", 12, 4),
        ("duplicate_row", 12, 1),
        ("future_date", 12, 1),
        ("implausible_date", 12, 1),
        ("orphan_customer", 12, 1),
    ]
    judged = prepared.sql("select source_table from intermediate.int_quarantine_shares where reason = 'any'")
    assert sorted(name for (name,) in judged) == sorted(RAW_TABLES)


def test_every_relation_and_column_has_a_comment(published):
    shown = "('staging', 'intermediate', 'marts', 'features', 'recs')"
    missing = published.sql(
        f"""
        select schema_name, table_name, column_name from duckdb_columns()
        where schema_name in {shown} and coalesce(comment, '') = ''
        union all
        select schema_name, table_name, '' from duckdb_tables()
        where schema_name in {shown} and coalesce(comment, '') not like 'One row per %'
        union all
        select schema_name, view_name, '' from duckdb_views()
        where schema_name in {shown} and coalesce(comment, '') not like 'One row per %'
        """
    )
    assert missing == []


@pytest.mark.parametrize("path", sorted((ROOT / "queries").glob("*.sql")), ids=lambda path: path.stem)
def test_example_queries_run(published, path):
    text = path.read_text()
    assert text.startswith("-- "), "the first comment states the question"
    with duckdb.connect(str(published.path), read_only=True) as connection:
        assert connection.execute(text).description


def test_there_are_enough_example_queries():
    assert len(list((ROOT / "queries").glob("*.sql"))) >= 8
