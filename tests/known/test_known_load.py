"""What is read of a week's build file."""

from __future__ import annotations

from helpers.warehouse import FIRST, SECOND, load_beside_snapshot
from recs_assets.known.load import load_planned_offers
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
