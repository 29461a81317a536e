"""Nothing dated at or after as_of reaches a table of an older week."""

from __future__ import annotations

import pytest

from recs_assets.schema import RAW_TABLES

AS_OF = "timestamp '2024-03-04 00:00:00'"
# Lines carry no date of their own; they fall with an order that exists only in the future.
FUTURE_LINES = f"""
    order_id in (select order_id from raw.orders group by order_id having min(ordered_at) >= {AS_OF})
"""
FUTURE = {"order_items": FUTURE_LINES} | {
    table.name: f"{table.event_at} >= {AS_OF}" for table in RAW_TABLES.values() if table.event_at
}

DELETE = [f"delete from raw.{name} where {where}" for name, where in FUTURE.items()]

# Other values everywhere but in the dates: keys and ids of known rows, statuses, counts, nulls.
SCRAMBLE = [
    f"update raw.{name} set {changes} where {FUTURE[name]}"
    for name, changes in {
        "order_items": "product_id = 'tea', quantity = 99, amount = 0",
        "customers": "email_eligible = not email_eligible, country = 'XX', customer_id = 'bob'",
        # Their ids stay: a line is dated by its order, and one without an order is undated, not future.
        "orders": "customer_id = 'cay', status = 'cancelled'",
        "reviews": "rating = 1, customer_id = 'ann', review_id = 'r1'",
        "browsing_events": "event_type = 'nonsense', event_id = 'v2'",
        "searches": "query = null",
        "inventory": "stock = 1000, product_id = 'tea'",
        "returns": "order_id = 'b1', product_id = 'milk', quantity = 1, return_id = 't3'",
        "promotions": "product_id = 'unheard of'",
        "campaign_events": "event_type = null",
        "consents": "state = 'objected', customer_id = 'bob'",
    }.items()
]


def _tables(warehouse) -> dict[str, list[tuple]]:
    """Every row of every table that something downstream reads, in stored order."""
    names = warehouse.sql(
        """select table_schema || '.' || table_name from information_schema.tables
           where table_schema in ('marts', 'features') order by 1"""
    )
    assert len(names) == 8
    rows = {name: warehouse.sql(f"select * from {name}") for (name,) in names}
    rows["quarantine"] = warehouse.sql(
        f"select * from intermediate.int_rows_rejected where event_at is null or event_at < {AS_OF}"
    )
    rows["shares"] = warehouse.sql("select * from intermediate.int_quarantine_shares")
    return rows


@pytest.mark.parametrize(("name", "statements"), [("deleted", DELETE), ("scrambled", SCRAMBLE)])
def test_the_future_changes_nothing(prepared, build, name, statements):
    expected = _tables(prepared)
    # x3 of 2099 is dated after landing: an error in any week, so it counts in the shares.
    spare = "delete from raw.orders where order_id = 'x3'"
    keep = "insert into raw.orders select * from spared"
    spared = "create temp table spared as select * from raw.orders where order_id = 'x3'"
    actual = _tables(build(name, "run", spared, spare, *statements, keep))
    for table, rows in expected.items():
        assert actual[table] == rows, table
