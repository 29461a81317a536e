"""What is read of a week's build file."""

from __future__ import annotations

from datetime import date

import duckdb

from helpers.warehouse import FIRST, SECOND, load_beside_snapshot
from recs_assets.known.load import _load_preferences, load_planned_offers
from recs_assets.store.warehouse import Warehouse


def test_planned_offers_by_anchor_and_kind(house: Warehouse) -> None:
    kinds = ("mailer", "display", "coupon", "price", "other")
    with house.build(FIRST).write() as connection:
        connection.execute("create schema features")
        columns = ", ".join(f"{kind}_weeks double" for kind in kinds)
        connection.execute(
            f"create table features.product_promotions (as_of date, product_id varchar, {columns})"
        )
        connection.execute(
            "insert into features.product_promotions values (?, 'p1', 4, 0, 0, 1, 0), (?, 'p2', 2.5, 0, 0, 0, 0), "
            "(?, 'p1', 0, 1, 0, 0, 0)",
            [FIRST, FIRST, SECOND],
        )
    assert load_beside_snapshot(load_planned_offers, house, FIRST) == {
        FIRST: {"mailer": 6.5, "display": 0, "coupon": 0, "price": 1, "other": 0},
        SECOND: {"mailer": 0, "display": 1, "coupon": 0, "price": 0, "other": 0},
    }


def test_of_each_question_and_facet_the_newest_answers_count() -> None:
    """A number that asked for brands in one week and for categories in the next takes nothing back, and the name of a question
    holds whatever its number: rather tea or coffee, said anew."""
    with duckdb.connect() as connection:
        connection.execute("create schema staging; create schema marts")
        connection.execute(
            "create table marts.customers as select 'ada' as customer_id, true as learned_from, null::timestamp as joined_at"
        )
        connection.execute("create table marts.products as select 'p1' as product_id")
        connection.execute(
            """
            create table staging.stg_preferences as
            select 'ada' as customer_id, question, facet, answer, answered_at::timestamp as answered_at
            from (values
                ('1', 'brand', 'Bean', '2024-01-01'),
                ('1', 'brand', 'Leaf', '2024-02-01'),
                ('1', 'category', 'Soap', '2024-02-08'),
                ('1', 'category', 'Jam', '2024-02-08'),
                ('pair-4f86ede80433', 'category', 'tea', '2024-02-01'),
                ('pair-4f86ede80433', 'category', 'coffee', '2024-02-08'),
                ('pair-4f86ede80433', 'category', 'tea', '2024-03-04')
            ) as rows (question, facet, answer, answered_at)
            """
        )
        rows = _load_preferences(connection, date(2024, 3, 4))
    assert rows.to_numpy().tolist() == [
        [0, "brand", "Leaf"],
        [0, "category", "Jam"],
        [0, "category", "Soap"],
        [0, "category", "coffee"],
    ]
