"""What the files still hold of the forgotten."""

from __future__ import annotations

from datetime import datetime

import pytest
from pydantic import SecretStr

from helpers.sources import CUSTOMERS, ITEMS, ORDERS
from recs_assets.sources import (
    land,
    resolve_source,
)
from recs_assets.sources.forgotten import FORGOTTEN
from recs_assets.sources.suppression import Suppression


def test_rows_of_the_erased_and_of_their_orders_are_not_landed(con, shop, tmp_path):
    (shop / "customers.csv").write_text(CUSTOMERS + "gone,2024-01-01,true\n")
    (shop / "orders.csv").write_text(ORDERS + "o2,gone,2024-05-01 10:00:00,completed\n")
    (shop / "order_items.csv").write_text(ITEMS + "o2,1,p1,1,2.5\no3,1,p1,1,2.5\n")
    (shop / "returns.csv").write_text(
        "return_id,order_id,product_id,quantity,returned_at\nr1,o2,p1,1,2024-05-02\nr2,o1,p1,1,2024-05-02\n"
    )
    source = resolve_source("auto", shop)

    erased = Suppression(tmp_path, SecretStr("a secret for tests only"))
    erased.add("gone", datetime(2024, 6, 1))
    landed = [
        land(con, source, table, shop, erased=erased).rows
        for table in ("customers", "products", "orders", "order_items", "returns", "reviews")
    ]
    assert landed == [1, 1, 1, 2, 1, 0]
    assert con.execute("select customer_id from raw.customers").fetchall() == [("c1",)]
    # The line of an order that nobody made stays, for the quarantine.
    assert con.execute("select order_id from raw.order_items order by 1").fetchall() == [("o1",), ("o3",)]
    assert con.execute("select return_id from raw.returns").fetchall() == [("r2",)]


GONE = {
    "g34": "Gone@Example.com",  # under every spelling
    "g35": "pair@example.com",  # c1 has the address, too
    "g36": "back@example.com",  # unsubscribed and came back; c2 has the address, too
}
CONSENTS = [
    ("g34", "unsubscribed"), ("G-34", "unsubscribed"), ("34.0", "objected"), ("customer 34", "unsubscribed"),
    ("mailto:gone@example.com", "unsubscribed"), ("g34", "subscribed"), ("x34", "unsubscribed"),
    ("g35", "objected"), ("pair@example.com", "unsubscribed"),
    ("g36", "unsubscribed"), ("g36", "subscribed"), ("7", "unsubscribed"), ("somebody@example.com", "unsubscribed"),
]  # fmt: skip


@pytest.mark.parametrize("cleaned", [False, True])
def test_what_the_forgotten_said_is_known_as_theirs_under_any_spelling(con, shop, tmp_path, cleaned):
    """By hashes, whether the shop has taken them out of its customers or not. What fits nobody, or somebody who is
    there, is left as it is; an account with the same address does not lose the no."""
    erased = Suppression(tmp_path, SecretStr("a secret for tests only"))
    for name, address in GONE.items():
        erased.add(name, datetime(2024, 6, 1), [address])
    people = {"c1": "PAIR@example.com", "c2": "back@example.com", "7": "seven@example.com"}
    rows = people if cleaned else people | GONE
    (shop / "customers.csv").write_text(
        "customer_id,email,email_eligible\n"
        + "".join(f"{name},{email},true\n" for name, email in rows.items())
    )
    (shop / "consents.csv").write_text(
        "customer_id,state,effective_at\n"
        + "".join(
            f"{name},{state},2024-05-0{number % 9 + 1}\n" for number, (name, state) in enumerate(CONSENTS)
        )
    )
    (shop / "campaign_events.csv").write_text(
        "event_id,campaign,customer_id,event_type,occurred_at\n"
        + "".join(
            f"e{number},mail,{name},complained,2024-05-01\n"
            for number, name in enumerate(("g34", "G34", "g35", "c2", "x34"))
        )
    )
    source = resolve_source("auto", shop)
    assert land(con, source, "consents", shop, erased=erased).rows == 11
    assert con.execute(
        "select customer_id, state, count(*) from raw.consents group by all order by all"
    ).fetchall() == [
        ("7", "unsubscribed", 1),
        ("c1", "objected", 1),
        ("c2", "unsubscribed", 1),
        ("pair@example.com", "unsubscribed", 1),
        ("somebody@example.com", "unsubscribed", 1),
        ("x34", "unsubscribed", 1),
        (FORGOTTEN, "erased", 5),
    ]
    land(con, source, "campaign_events", shop, erased=erased)
    assert con.execute("select event_id, customer_id from raw.campaign_events order by 1").fetchall() == [
        ("e2", "c1"),
        ("e3", "c2"),
        ("e4", "x34"),
    ]
