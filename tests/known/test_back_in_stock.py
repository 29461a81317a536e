"""Who wanted what was sold out and is back: hand-made counts, events and purchases."""

from __future__ import annotations

from datetime import date

import duckdb
import numpy as np
import pytest

from recs_assets.known.interactions import WANTING, BackInStock
from recs_assets.known.load import _load_back_in_stock

ANCHOR = date(2025, 3, 31)
# shirt-m was sold out from 1 to 20 March, shirt-l is sold out since 1 March; lamp was always there, vase is counted once.
COUNTS = [
    ("shirt-m", "2025-02-01", 9), ("shirt-m", "2025-03-01", 0), ("shirt-m", "2025-03-20", 7),
    ("shirt-l", "2025-02-01", 9), ("shirt-l", "2025-03-01", 0), ("shirt-l", "2025-03-20", 0),
    ("lamp", "2025-02-01", 5), ("lamp", "2025-03-20", 5),
    ("vase", "2025-02-01", 0),
    # Back a week after the anchor, of which nothing is known.
    ("chair", "2025-02-01", 0), ("chair", "2025-03-01", 0), ("chair", "2025-04-07", 5),
]  # fmt: skip
PRODUCTS = [
    ("chair", "Garden chair", None), ("lamp", "Desk lamp", None), ("shirt-l", "Linen shirt", "shirt"),
    ("shirt-m", "Linen shirt", "shirt"), ("vase", "Blue vase", " "),
]  # fmt: skip
CUSTOMERS = ["ann", "bob", "cyd", "dan"]


@pytest.fixture
def ask():
    """Customer, product, wanted product, day and kind of every row, of events, searches and purchases by id."""

    def ask_(events=(), searches=(), counts=COUNTS, anchor=ANCHOR) -> list[tuple] | str:
        with duckdb.connect() as connection:
            connection.execute("""
                create schema staging; create schema intermediate;
                create table staging.stg_inventory (product_id varchar, counted_at timestamp, stock double);
                create table staging.stg_searches (customer_id varchar, query varchar, searched_at timestamp);
                create table intermediate.int_interactions_anchored (
                    as_of date, customer_id varchar, product_id varchar, event_type varchar, occurred_at timestamp,
                    occurred_on date
                );
                create table known_products (product_id varchar, name varchar, parent_id varchar, code integer);
                create table known_customers (customer_id varchar, code integer)
            """)
            for row in counts:
                connection.execute("insert into staging.stg_inventory values (?, ?, ?)", row)
            for row in searches:
                connection.execute("insert into staging.stg_searches values (?, ?, ?)", row)
            for customer, product, kind, at in events:
                connection.execute(
                    "insert into intermediate.int_interactions_anchored values (?, ?, ?, ?, ?, ?::timestamp::date)",
                    (anchor, customer, product, kind, at, at),
                )
            for code, row in enumerate(PRODUCTS):
                connection.execute("insert into known_products values (?, ?, ?, ?)", (*row, code))
            for code, name in enumerate(CUSTOMERS):
                connection.execute("insert into known_customers values (?, ?)", (name, code))
            rows = _load_back_in_stock(connection, anchor)
        if rows.problem:
            return rows.problem
        days = np.datetime64("1970-01-01") + rows.day.astype("timedelta64[D]")
        return [
            (CUSTOMERS[customer], PRODUCTS[product][0], PRODUCTS[wanted][0], str(day)[5:], WANTING[kind])
            for customer, product, wanted, day, kind in zip(
                rows.customer, rows.product, rows.wanted, days, rows.kind, strict=True
            )
        ]

    return ask_


def test_left_in_the_cart_while_it_was_sold_out(ask):
    assert ask([("ann", "shirt-m", "add_to_cart", "2025-03-03 10:00")]) == [
        ("ann", "shirt-m", "shirt-m", "03-03", "add_to_cart")
    ]


@pytest.mark.parametrize("at", ["2025-02-20 10:00", "2025-03-20 00:00"], ids=["before", "back already"])
def test_in_the_cart_while_it_was_there_is_no_wish_for_its_return(ask, at):
    assert ask([("ann", "shirt-m", "add_to_cart", at)]) == []


def test_bought_since(ask):
    cart = ("ann", "shirt-m", "add_to_cart", "2025-03-03 10:00")
    assert ask([cart, ("ann", "shirt-m", "purchase", "2025-03-25 10:00")]) == []
    # On the same day: which came first does not matter.
    assert ask([cart, ("ann", "shirt-m", "purchase", "2025-03-03 09:00")]) == []
    assert len(ask([cart, ("ann", "shirt-m", "purchase", "2025-03-02 10:00")])) == 1
    assert len(ask([cart, ("bob", "shirt-m", "purchase", "2025-03-25 10:00")])) == 1


def test_a_variant_bought_since(ask):
    cart = ("ann", "shirt-m", "add_to_cart", "2025-03-03 10:00")
    assert ask([cart, ("ann", "shirt-l", "purchase", "2025-03-25 10:00")]) == []
    assert len(ask([cart, ("ann", "lamp", "purchase", "2025-03-25 10:00")])) == 1


def test_still_sold_out_and_never_sold_out(ask):
    events = [("ann", name, "add_to_cart", "2025-03-03 10:00") for name in ("chair", "lamp", "vase")]
    assert ask(events) == []


def test_a_variant_of_what_was_wanted_is_back(ask):
    # shirt-l is still sold out; shirt-m was, when ann put shirt-l into the cart.
    assert ask([("ann", "shirt-l", "add_to_cart", "2025-03-03 10:00")]) == [
        ("ann", "shirt-m", "shirt-l", "03-03", "add_to_cart")
    ]
    # What they wanted itself comes first, however weak.
    both = [
        ("ann", "shirt-l", "add_to_cart", "2025-03-03 10:00"),
        ("ann", "shirt-m", "add_to_wishlist", "2025-03-04 10:00"),
    ]
    assert ask(both) == [("ann", "shirt-m", "shirt-m", "03-04", "add_to_wishlist")]


def test_one_look_is_no_wish_and_two_are(ask):
    looks = [("ann", "shirt-m", "view", "2025-03-03 10:00"), ("ann", "shirt-m", "view", "2025-03-05 10:00")]
    assert ask(looks[:1]) == []
    assert ask(looks) == [("ann", "shirt-m", "shirt-m", "03-05", "view")]
    # A look at it while it was there counts for nothing.
    assert ask([looks[0], ("ann", "shirt-m", "view", "2025-03-25 10:00")]) == []


def test_searched(ask):
    def search(text, at="2025-03-03 10:00"):
        return ask(searches=[("bob", text, at), (None, text, at)])

    # Both variants have the title, and no other product.
    assert search("LINEN  shirt!") == [("bob", "shirt-m", "shirt-m", "03-03", "search")]
    assert search("linen") == [("bob", "shirt-m", "shirt-m", "03-03", "search")]
    assert search("linen trousers") == search("") == search("shirt", "2025-03-25 10:00") == []


def test_the_strongest_sign_is_named(ask):
    events = [
        ("cyd", "shirt-m", "add_to_cart", "2025-03-03 10:00"),
        ("cyd", "shirt-m", "view", "2025-03-07 10:00"),
        ("cyd", "shirt-m", "view", "2025-03-08 10:00"),
    ]
    assert ask(events) == [("cyd", "shirt-m", "shirt-m", "03-03", "add_to_cart")]


def test_what_is_counted_once_tells_nothing_and_says_so(ask):
    cart = [("ann", "vase", "add_to_cart", "2025-03-03 10:00")]
    assert ask(cart, counts=[("vase", "2025-02-01", 0)]) == (
        "The shop counts the stock of every product once (raw table inventory), so nobody can tell what was sold out and is "
        "back: land counts of several days."
    )
    assert ask(cart, counts=[]).startswith("The shop has no counts of stock")
    assert ask(cart, counts=[("lamp", "2025-02-01", 5), ("lamp", "2025-03-01", 4)]) == []


def test_counts_after_the_anchor_are_not_known(ask):
    cart = [("ann", "shirt-m", "add_to_cart", "2025-03-03 10:00")]
    later = [*COUNTS, ("shirt-m", "2025-03-31", 0)]
    assert ask(cart, counts=later) == ask(cart)
    assert ask(cart, counts=[row for row in COUNTS if row[1] < "2025-03-20"]) == []


def test_some_customers_of_it():
    rows = BackInStock(
        *(np.array(part, dtype=np.int32) for part in ([0, 2, 3], [5, 6, 7], [5, 6, 8], [9, 9, 9], [0, 1, 2]))
    )
    some = rows.take_customers(np.array([-1, -1, 0, 1], dtype=np.int32))
    assert (some.customer.tolist(), some.product.tolist(), some.wanted.tolist()) == ([0, 1], [6, 7], [6, 8])
