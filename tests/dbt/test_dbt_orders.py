"""What is no sale, or is one of nobody's: states, double rows, negative lines and guests, through dbt.

One build of the shop of conftest.py with more orders; every expected value can be counted here.
"""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta

import duckdb
import pytest

from recs_assets.audit.sentences import explain_unknown_states
from recs_assets.known.load import load_known

WEEK, TEST = date(2024, 3, 4), date(2024, 2, 5)

# order_id, customer_id, ordered_at, status, updated_at; then lines: product_id, quantity, amount.
ORDERS = [
    ("s1", "cay", "2024-03-01 08:00", "voided", None, [("tea", 1, 4)]),
    ("s2", "cay", "2024-03-01 08:00", "Rückgebucht", None, [("tea", 1, 4)]),
    ("s3", "cay", "2024-03-01 08:00", "in limbo", None, [("tea", 1, 4)]),
    ("s4", "cay", "2024-03-01 09:00", "in limbo", None, [("tea", 1, 4)]),
    # Exported twice: the file's later row says what became of it, or the time of the change.
    ("w1", "cay", "2024-01-10 08:00", "processing", None, [("tea", 1, 4)]),
    ("w1", "cay", "2024-01-10 08:00", "refunded", None, []),
    ("w2", "cay", "2024-01-11 08:00", "refunded", "2024-02-20 08:00", [("new", 1, 2)]),
    ("w2", "cay", "2024-01-11 08:00", "processing", "2024-01-11 08:00", []),
    # Taken back in the order itself, and in two later ones, of which the second is a refund's.
    ("n1", "cay", "2024-01-15 08:00", "completed", None, [("tea", 1, 4), ("tea", -1, -4)]),
    ("n2", "cay", "2024-01-16 08:00", "completed", None, [("milk", 3, 4.5)]),
    ("n3", "cay", "2024-02-04 08:00", "completed", None, [("milk", -1, -1.5)]),
    ("n4", "cay", "2024-02-10 08:00", "refunded", None, [("milk", 2, -3)]),
    ("n5", "cay", "2024-02-11 08:00", "completed", None, [("bread", -1, -2)]),
    ("g1", None, "2024-02-01 08:00", "paid", None, [("bread", 2, 4), ("milk", 1, 1.5)]),
    ("g2", "  ", "2024-03-01 08:00", "paid", None, [("bread", 1, 2)]),
]  # fmt: skip


def _value(value: object) -> str:
    return "null" if value is None else f"'{value}'"


@pytest.fixture(scope="module")
def shop(build):
    statements = []
    for order, customer, at, status, updated, lines in ORDERS:
        values = ", ".join(map(_value, (order, customer, at, status, updated)))
        statements.append(
            f"insert into raw.orders (order_id, customer_id, ordered_at, status, updated_at) values ({values})"
        )
        statements += [
            "insert into raw.order_items (order_id, line_id, product_id, quantity, amount) "
            f"values ('{order}', '{number}', '{product}', {quantity}, {amount})"
            for number, (product, quantity, amount) in enumerate(lines)
        ]
    return build("orders", "run", *statements)


def test_states_count_by_the_lists_and_unknown_ones_are_counted(shop):
    rows = shop.sql("select * from intermediate.int_order_states")
    assert rows == [
        ("cancelled", "not_a_purchase", 1),
        ("completed", "purchase", 8),
        ("in_limbo", "unknown", 2),
        ("paid", "purchase", 2),
        ("pending", "not_a_purchase", 1),
        ("refunded", "not_a_purchase", 3),
        ("rückgebucht", "not_a_purchase", 1),
        ("shipped", "purchase", 1),
        ("voided", "not_a_purchase", 1),
    ]
    assert shop.sql("select * from marts.order_lines where order_id like 's%'") == []
    with duckdb.connect(str(shop.path), read_only=True) as connection:
        assert explain_unknown_states(connection, "intermediate.int_order_states") == (
            "Orders in states that nobody has explained count as no purchases: in_limbo (2). Say in order_statuses of "
            "source.toml which of them are."
        )


def test_of_two_rows_of_one_order_the_later_says_what_became_of_it(shop):
    # w1 never counted; w2 did until its refund, which the earlier anchor does not know.
    columns = "order_id, net_quantity, fully_returned_at"
    assert shop.sql(f"select {columns} from marts.order_lines where order_id in ('w1', 'w2')") == [
        ("w2", 0, datetime(2024, 2, 20, 8))
    ]
    anchors = "select as_of from intermediate.int_interactions_anchored where order_id = 'w2'"
    assert shop.sql(anchors) == [(TEST,)]


def test_an_order_that_was_exported_again_is_no_broken_row(shop):
    # Every order of a shop may stand in the file in each of its states: no run stops over that.
    rejected = "select row_key, reason from intermediate.int_rows_rejected where source_table = 'orders'"
    assert shop.sql(f"{rejected} and row_key in ('w1', 'w2')") == [("w1", "superseded"), ("w2", "superseded")]
    shares = "select reason, rejected from intermediate.int_quarantine_shares where source_table = 'orders'"
    assert shop.sql(shares) == [
        ("any", 4),
        ("duplicate_row", 1),
        ("future_date", 1),
        ("implausible_date", 1),
        ("orphan_customer", 1),
        ("superseded", 2),
    ]


def test_no_line_is_compared_with_every_other(shop):
    # A filter of one side in a join's condition did that: a wholesaler's 130,000 lines took minutes in four models.
    compiled = {
        path.stem: path.read_text("utf-8")
        for path in shop.target.glob("compiled/recs/models/staging/**/*.sql")
    }
    # plain_text is a function of the weekly run's connection.
    models = {name: sql for name, sql in compiled.items() if "plain_text(" not in sql}
    assert "base_order_items" in models
    slow = {name for name, sql in models.items() if "NL_JOIN" in str(shop.sql(f"explain {sql}"))}
    assert slow == set()


def test_negative_lines_are_netted_at_their_own_time(shop):
    columns = "order_id, product_id, quantity, returned_quantity, net_quantity, net_amount, fully_returned_at"
    assert shop.sql(f"select {columns} from marts.order_lines where order_id like 'n%'") == [
        ("n1", "tea", 1, 1, 0, 0, datetime(2024, 1, 15, 8)),
        ("n2", "milk", 3, 3, 0, 0, datetime(2024, 2, 10, 8)),
    ]
    query = (
        "select as_of, product_id, units from features.customer_product_features where customer_id = 'cay'"
    )
    # At the test anchor one of three milks was back; the week knows that nothing is left, and cay's review.
    assert shop.sql(query) == [
        (TEST, "milk", 2.0),
        (TEST, "new", 1.0),
        (WEEK, "ham", 0.0),
    ]
    # A slip of the till is no rejection of the product.
    kinds = "select distinct return_id, kind from intermediate.int_returns_allocated_to_lines where order_id like 'n%'"
    assert shop.sql(f"{kinds} order by 1") == [("n1", "correction"), ("n3", "credit"), ("n4", "credit")]


def test_a_negative_line_with_nothing_to_take_back_is_quarantined(shop):
    rows = "select row_key, reason from intermediate.int_rows_rejected where row_key like 'n%'"
    assert shop.sql(rows) == [("n5|0", "non_positive_quantity")]


def test_guests_count_for_products_and_for_no_customer(shop):
    rejected = "select row_key from intermediate.int_rows_rejected where row_key like 'g%'"
    assert shop.sql(rejected) == []
    lines = "select order_id, customer_id, product_id, net_quantity from marts.order_lines where order_id like 'g%'"
    assert shop.sql(lines) == [
        ("g1", None, "bread", 2.0),
        ("g1", None, "milk", 1.0),
        ("g2", None, "bread", 1.0),
    ]
    columns = "as_of, buyers, purchases, purchases_28d, repeat_buyer_share"
    # Bread was bought by ann on 6 Jan; then by guests on 1 Feb and 1 Mar, who are no buyers that could come back.
    assert shop.sql(f"select {columns} from features.product_features where product_id = 'bread'") == [
        (TEST, 1, 2, 1, 0.0),
        (WEEK, 1, 3, 1, 0.0),
    ]
    for table in ("marts.customers", "features.customer_features", "features.customer_product_features"):
        assert shop.sql(f"select count(*) from {table} where customer_id is null") == [(0,)], table


def test_what_guests_bought_is_known_and_nobodys(shop):
    with duckdb.connect(str(shop.path), config={"access_mode": "READ_ONLY"}) as connection:
        known = load_known(connection, WEEK)
    assert known.products["product_id"].iloc[known.guests.product].tolist() == ["bread", "milk", "bread"]
    assert (known.anchor_day - known.guests.day).tolist() == [32, 32, 3]
    assert len(set(known.guests.basket.tolist())) == 2
    assert known.customers["customer_id"].tolist() == ["ann", "bob", "cay", "dan", "fay"]


def test_no_money_is_lost_with_guests_and_credit_notes(build):
    """Random sales, slips and credit notes of three customers and of guests, against a stack of units on paper: a negative
    line takes the newest units that its customer, or its guest's order, has bought of the product by then. What is left
    costs what it did, guests' too, and every row is in the marts, in the quarantine, or took something back."""
    chance = random.Random(11)
    prices = {"tea": 4.0, "milk": 1.5, "bread": 2.25}
    lines = []  # order, customer, moment, product, quantity
    for number in range(220):
        customer = chance.choice(["ann", "bob", "cay", None])
        moment = datetime(2024, 1, 1, 0, number % 60) + timedelta(hours=chance.randrange(24 * 55))
        for product in chance.sample(sorted(prices), chance.randint(1, 2)):
            kind = chance.choice(["sale", "sale", "slip", "credit"])
            sold, taken = chance.randint(1, 5), chance.randint(1, 6)
            lines += [(f"r{number}", customer, moment, product, sold)] * (kind != "credit")
            lines += [(f"r{number}", customer, moment, product, -taken)] * (kind != "sale")
    stacks: dict[tuple, list[str]] = {}
    left: dict[tuple[str, str], int] = {}
    for order, customer, _, product, quantity in sorted(
        lines, key=lambda line: (line[2], line[0], line[4] < 0)
    ):
        stack = stacks.setdefault((customer or order, product), [])
        if quantity > 0:
            left[order, product] = quantity
            stack += [order] * quantity
        else:
            for _ in range(min(-quantity, len(stack))):
                left[stack.pop(), product] -= 1
    shop = build(
        "credits",
        "run",
        "delete from raw.returns",
        "delete from raw.order_items",
        "delete from raw.orders",
        *(f"""insert into raw.orders (order_id, customer_id, ordered_at, status) values ('{order}', {_value(customer)}, '{moment}',
              'completed')""" for order, customer, moment in dict.fromkeys(line[:3] for line in lines)),
        *(f"""insert into raw.order_items (order_id, line_id, product_id, quantity, amount) values ('{line[0]}', '{place}', '{line[3]}',
              {line[4]}, {line[4] * prices[line[3]]})""" for place, line in enumerate(lines)),
    )  # fmt: skip
    found = shop.sql("select order_id, product_id, net_quantity, net_amount from marts.order_lines")
    assert {(order, product): units for order, product, units, _ in found} == left
    assert [amount for _, product, units, amount in found if amount != units * prices[product]] == []
    [(judged, rejected)] = shop.sql(
        "select count(*) filter (reject_reason is null and is_credit), count(reject_reason) from base.base_order_items"
    )
    assert len(found) + judged + rejected == len(lines)
    assert (len(lines), judged, rejected, sum(left.values())) == (406, 128, 18, 425)
