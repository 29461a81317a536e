"""Nothing dated at or after as_of reaches a table of an older week."""

from __future__ import annotations

from datetime import date

import duckdb
import numpy as np
import pytest

from helpers.dbt_build import PROJECT
from recs_assets.known.load import load_known
from recs_assets.ranking.candidates import Candidates
from recs_assets.ranking.frames import load_frame
from recs_assets.recommenders import REGISTRY
from recs_assets.schema import RAW_TABLES

AS_OF = "timestamp '2024-03-04 00:00:00'"
TEST = "timestamp '2024-02-05 00:00:00'"


def _future(moment: str) -> dict[str, str]:
    """Which raw rows are dated at or after a moment, per table.

    Lines carry no date of their own; they fall with an order that exists only in the future.
    """
    lines = f"""
        order_id in (select order_id from raw.orders group by order_id having min(ordered_at) >= {moment})
    """
    dated = {table.name: f"{table.event_at} >= {moment}" for table in RAW_TABLES.values() if table.event_at}
    return {"order_items": lines} | dated


# Other values everywhere but in the dates: keys and ids of known rows, statuses, counts, nulls.
CHANGES = {
    "order_items": "product_id = 'tea', quantity = 99, amount = 0",
    "customers": "email_eligible = not email_eligible, country = 'XX', customer_id = 'bob'",
    # Their ids stay: a line is dated by its order, and one without an order is undated, not future.
    "orders": "customer_id = 'cay', status = 'cancelled'",
    "reviews": "rating = 1, customer_id = 'ann', review_id = 'r1'",
    "browsing_events": "event_type = 'nonsense', event_id = 'v2'",
    "searches": "query = null",
    "preferences": "facet = 'brand', answer = 'Mill', question = 'q1'",
    "inventory": "stock = 1000, product_id = 'tea'",
    "returns": "order_id = 'b1', product_id = 'milk', quantity = 1, return_id = 't3'",
    "promotions": "product_id = 'unheard of'",
    "campaign_events": "customer_id = 'cay', visitor_id = 'tab1', product_id = 'milk'",
    "consents": "state = 'objected', customer_id = 'bob'",
}


def _deleted(moment: str, spared: tuple[str, ...] = ()) -> list[str]:
    return [
        f"delete from raw.{name} where {where}"
        for name, where in _future(moment).items()
        if name not in spared
    ]


def _scrambled(moment: str, spared: tuple[str, ...] = ()) -> list[str]:
    future = _future(moment)
    return [
        f"update raw.{name} set {changes} where {future[name]}"
        for name, changes in CHANGES.items()
        if name not in spared
    ]


def models_of(folder: str) -> set[str]:
    return {f"{folder}.{path.stem}" for path in PROJECT.glob(f"models/{folder}/**/*.sql")}


def _tables(warehouse) -> dict[str, list[tuple]]:
    """Every row of every table that something downstream reads, in stored order."""
    names = warehouse.sql(
        """select table_schema || '.' || table_name from information_schema.tables
           where table_schema in ('marts', 'features') order by 1"""
    )
    assert {name for (name,) in names} == models_of("marts") | models_of("features")
    rows = {name: warehouse.sql(f"select * from {name}") for (name,) in names}
    rows["quarantine"] = warehouse.sql(
        f"select * from intermediate.int_rows_rejected where event_at is null or event_at < {AS_OF}"
    )
    rows["shares"] = warehouse.sql("select * from intermediate.int_quarantine_shares")
    rows["searched"] = _compare_searches(warehouse, date(2024, 3, 4))
    return rows


def _compare_searches(warehouse, anchor: date) -> list[tuple]:
    """Customer, product and features of the searches that say something of the two, which stand in no table."""
    with duckdb.connect(str(warehouse.path), read_only=True) as connection:
        known = load_known(connection, anchor)
        customer, product = (
            part.ravel().astype(np.int32) for part in np.indices((known.n_customers, known.n_products))
        )
        zeros = np.zeros(len(customer), dtype=np.float32)
        pairs = Candidates(customer, product, zeros, zeros.astype(bool), {}, zeros)
        values = load_frame(connection, anchor, pairs, ("searched_share", "searched_days"))
    who, what = known.customers["customer_id"].to_numpy(), known.products["product_id"].to_numpy()
    return [
        (who[customer[row]], what[product[row]], *values[row].tolist())
        for row in np.flatnonzero(np.isfinite(values[:, 0]))
    ]


@pytest.mark.parametrize(
    ("name", "statements"), [("deleted", _deleted(AS_OF)), ("scrambled", _scrambled(AS_OF))]
)
def test_the_future_changes_nothing(prepared, build, name, statements):
    expected = _tables(prepared)
    # A search for ham is of the day of the anchor.
    assert expected["searched"] == [("fay", "tea", 1.0, 12.0)]
    # x3 of 2099 is dated after landing: an error in any week, so it counts in the shares.
    spare = "delete from raw.orders where order_id = 'x3'"
    keep = "insert into raw.orders select * from spared"
    spared = "create temp table spared as select * from raw.orders where order_id = 'x3'"
    actual = _tables(build(name, "run", spared, spare, *statements, keep))
    for table, rows in expected.items():
        assert actual[table] == rows, table


def _anchor_rows(warehouse) -> dict[str, list[tuple]]:
    """Every row that describes the test anchor: the features, and what they are made of."""
    names = warehouse.sql(
        """select distinct table_schema || '.' || table_name from information_schema.columns
           where table_schema in ('intermediate', 'features') and column_name = 'as_of' order by 1"""
    )
    assert {name for (name,) in names} > models_of("features")
    return {
        name: warehouse.sql(f"select * from {name} where as_of = date '2024-02-05' order by all")
        for (name,) in names
    }


# Withdrawals stay: who objects or is erased leaves every anchor, also those before he did.
@pytest.mark.parametrize(
    ("name", "statements"),
    [
        ("anchor_deleted", _deleted(TEST, spared=("consents",))),
        ("anchor_scrambled", _scrambled(TEST, spared=("consents",))),
    ],
)
def test_an_earlier_anchor_sees_nothing_after_it(prepared, build, name, statements):
    expected = _anchor_rows(prepared)
    assert all(
        rows
        for table, rows in expected.items()
        if table not in ("features.customer_brand_features", "intermediate.int_browsing_pairs_anchored")
    )
    actual = _anchor_rows(build(name, "run", *statements))
    for table, rows in expected.items():
        assert actual[table] == rows, table


def _lists(warehouse) -> dict[str, object]:
    """What is known at the test anchor, and what every recommender lists there, scores included."""
    with duckdb.connect(str(warehouse.path), read_only=True) as connection:
        known = load_known(connection, date(2024, 2, 5))
    everybody = range(known.n_customers)
    found = {"products": known.products, "customers": known.customers}
    for name, entry in REGISTRY.items():
        model = entry.make(0, 200, 1).fit(known)
        for view, rows in model.recommend_views(everybody, 20, ("all", "new", "repeat")).items():
            found[f"{name} {view}"] = rows
    return {name: rows.to_dict("list") for name, rows in found.items()}


def test_without_catalogue_prices_no_recommender_knows_a_later_one(build):
    """Tea was sold after the anchor only: its usual price is of the future there."""
    none = "update raw.products set price = null"
    sold = """insert into raw.order_items (order_id, line_id, product_id, quantity, amount)
              select 'a3', 'tea ' || range, 'tea', 1, 4.0 from range(10)"""
    later = build("priceless", "run", none, sold)
    assert later.sql("select price from marts.products where product_id = 'tea'") == [(4.0,)]
    expected = _lists(later)
    at = expected["products"]["product_id"].index("tea")
    assert expected["products"]["price"][at] is None or expected["products"]["price"][at] != 4.0
    assert any(rows["product"] for name, rows in expected.items() if name.startswith("content"))
    actual = _lists(build("priceless_deleted", "run", none, sold, *_deleted(TEST, spared=("consents",))))
    for name, rows in expected.items():
        assert str(actual[name]) == str(rows), name
