"""Which queries are refused, where, and with which sentence."""

from __future__ import annotations

import pytest

from helpers.queries import EACH, LINES, RANK
from recs_assets.queries.parser import parse
from recs_assets.queries.syntax import QueryError
from recs_assets.queries.validation import validate

# As written, line, column, and the sentence after "Query line ..., column ...: ".
INVALID = [
    # The grammar.
    ("", 1, 1, "expected PREDICT, but found nothing more."),
    (
        "PREDICT COUNTT(orders.*, 0, 1) FOR users.user_id",
        1,
        9,
        "expected an aggregation (COUNT, COUNT_DISTINCT, LIST_DISTINCT, SUM, AVG, MIN, MAX, FIRST, LAST, BOOL), "
        "an opening bracket or NOT, but found COUNTT (did you mean COUNT?).",
    ),
    (f"PREDICT COUNT(orders.*, 0 14, days) {EACH}", 1, 27, "expected a comma, but found 14."),
    (f"PREDICT COUNT(orders.*, 0, 1.5, days) {EACH}", 1, 28, "expected a whole number, but found 1.5."),
    (f"PREDICT COUNT(orders.*, 0, X, days)\n{EACH}", 1, 28, "expected a whole number, but found X."),
    (
        f"PREDICT COUNT(orders.*, 0, 2, years)\n{EACH}",
        1,
        31,
        "expected days, weeks, hours, minutes or months, but found years.",
    ),
    (
        "PREDICT COUNT(orders.*, 0, 2, days)\nEACH users.user_id",
        2,
        1,
        "expected an operator (=, !=, <, IN, LIKE, IS NULL, ...), CLASSIFY, FOR, FORECAST or RANK, but found EACH.",
    ),
    (
        f"{RANK}\nWHER segment = 'x'",
        3,
        1,
        "expected a comma, a dot, an operator (=, !=, <, IN, LIKE, IS NULL, ...), the end of the query, AS OF, ASSUMING, CLASSIFY, RANK or WHERE, but found WHER (did you mean WHERE?).",
    ),
    (
        f"{RANK}\nWHERE segment = 'x",
        3,
        17,
        "expected a value (a text in quotes, a number, a date, true or false), but found 'x "
        "(a text must end with the same quote on the same line).",
    ),
    (
        f"{RANK}\nWHERE segment = “x”",
        3,
        17,
        "expected a value (a text in quotes, a number, a date, true or false), but found “x” (write straight quotes).",
    ),
    (
        f"{RANK}\nWHERE (segment = 'x'",
        3,
        21,
        "expected a closing bracket, AND or OR, but found nothing more.",
    ),
    (
        f"{RANK}\nWHERE COUNT(orders.* WHERE SUM(orders.amount, -1, 0) > 1, -1, 0) > 1",
        3,
        28,
        "expected a table or column, an opening bracket or NOT, but found SUM.",
    ),
    (
        f"{RANK}; WHERE",
        2,
        33,
        "expected the end of the query, but found WHERE.",
    ),
    (f"{RANK}\nAS OF '2024-02-30'", 3, 7, "'2024-02-30' is not a date; write it as '2024-12-31'."),
    (
        f"{RANK}\nWHERE segment = 'x'\nWHERE segment = 'y'",
        4,
        1,
        "WHERE stands here a second time; leave one out.",
    ),
    (
        f"PREDICT SUM(orders.amount, 0, 7) FORECAST 4 TIMEFRAMES {EACH}",
        1,
        34,
        "FORECAST is not supported, because a campaign predicts one window; leave it out and give the target "
        "the window that is wanted.",
    ),
    (
        f"{RANK}\nASSUMING COUNT(campaign_events.*, 0, 7) > 2",
        3,
        1,
        "ASSUMING is not supported, because the shop's history does not say what would have happened; leave it out.",
    ),
    (
        f"{RANK}\nWHERE COUNT(orders.*, -1, 0) > 1234567890123456789",
        3,
        32,
        "the number has more than 18 digits; write a smaller one.",
    ),
    # Windows.
    (
        f"PREDICT SUM(orders.amount, -30, 0, days) {EACH}",
        1,
        28,
        "a target looks ahead, so its window starts at 0 or later, not at -30.",
    ),
    (
        f"PREDICT SUM(orders.amount, -INF, 30, days) {EACH}",
        1,
        28,
        "a target looks ahead, so its window starts at 0 or later, not at -INF.",
    ),
    (
        f"{RANK}\nWHERE COUNT(orders.*, -30, 1, days) > 0",
        3,
        23,
        "a filter of customers looks back, so its window ends at 0 or earlier, not at 1.",
    ),
    (
        f"PREDICT SUM(orders.amount, 30, 30, days) {EACH}",
        1,
        28,
        "a window starts before it ends, and 30 is not before 30.",
    ),
    (
        f"PREDICT SUM(orders.amount, 0, 1201, months) {EACH}",
        1,
        28,
        "a window reaches at most 1200 months; shorten it or use -INF.",
    ),
    # RANK, CLASSIFY and the entity.
    (
        f"PREDICT LIST_DISTINCT(order_lines.product_id, 0, 14, days) RANK {EACH}",
        1,
        60,
        "RANK needs TOP k with k from 1 to 1000, as in RANK TOP 12.",
    ),
    (RANK.replace("12", "0"), 1, 60, "RANK TOP takes 1 to 1000, not 0."),
    (RANK.replace("12", "1001"), 1, 60, "RANK TOP takes 1 to 1000, not 1001."),
    (
        RANK.replace(" RANK TOP 12", ""),
        1,
        9,
        "LIST_DISTINCT is a list; write RANK TOP k or CLASSIFY after it.",
    ),
    (
        RANK.replace("RANK TOP 12", "CLASSIFY"),
        1,
        60,
        "products are too many to classify; write RANK TOP k, or list category, brand or vertical.",
    ),
    (
        f"PREDICT SUM(orders.amount, 0, 14) RANK TOP 5 {EACH}",
        1,
        35,
        "RANK needs a list to work on, and the target is none; leave it out or predict LIST_DISTINCT(...).",
    ),
    (
        f"PREDICT LIST_DISTINCT(browsing_events.device, 0, 14) CLASSIFY {EACH}",
        1,
        23,
        "lists are made of products or of their category, brand or vertical, not of browsing_events.device.",
    ),
    (
        "PREDICT COUNT(order_lines.*, 0, 14) FOR EACH orders.order_id",
        1,
        46,
        "predictions are made for customers or products, not for orders.order_id; write FOR EACH customers.customer_id.",
    ),
    (
        f"PREDICT BOOL(orders.*, 0, 14) RANK TOP 5 {EACH}, orders.order_id",
        1,
        74,
        "only products can be paired with customers; write FOR EACH customers.customer_id, products.product_id.",
    ),
    (
        f"PREDICT COUNT(orders.*, 0, 14) {EACH}, products.product_id",
        1,
        64,
        "for each pair of customer and product, the target is a BOOL over a product column with RANK TOP k; "
        "write FOR EACH customers.customer_id for any other.",
    ),
    (
        f"PREDICT BOOL(order_lines.brand, 0, 14) RANK TOP 5 {EACH}, products.product_id",
        1,
        14,
        "for each pair of customer and product, BOOL takes a product column, not order_lines.product_id.brand.",
    ),
    (
        f"PREDICT LAST(browsing_events.device, 0, 14) {EACH}",
        1,
        9,
        "LAST of browsing_events.device is a text, and only numbers, and FIRST or LAST of a product's category, brand "
        "or vertical, can be predicted; compare it with a value to predict whether that holds.",
    ),
    (
        f"PREDICT FIRST(order_lines.product_id, 0, 14) RANK TOP 3 {EACH}",
        1,
        46,
        "RANK needs a list to work on, and the target is none; leave it out or predict LIST_DISTINCT(...).",
    ),
    (
        f"PREDICT users.segment {EACH} WHERE users.segment IS NULL",
        1,
        9,
        "users.segment is an attribute, and attributes are not predicted; predict what happens in a window, as "
        "COUNT(orders.*, 0, 28, days) does, and name attributes in the WHERE.",
    ),
    # Names.
    (
        f"{RANK}\nWHERE SUM(transactions.amont, -30, 0, days) > 10",
        3,
        11,
        "order_lines has no column amont; did you mean amount?",
    ),
    (
        f"{LINES} WHERE price > 10, 0, 7) {EACH}",
        1,
        35,
        "order_lines has no column price; did you mean product_id.price?",
    ),
    (
        f"PREDICT COUNT(transaction.*, 0, 7) {EACH}",
        1,
        15,
        "there is no table transaction; did you mean transactions?",
    ),
    (
        f"PREDICT COUNT(zzz.*, 0, 7) {EACH}",
        1,
        15,
        "there is no table zzz; the tables are customers, products, order_lines, orders, returns, reviews, "
        "browsing_events, searches, campaign_events, consents, inventory, promotions, merchants.",
    ),
    (
        f"PREDICT COUNT(merchants.*, 0, 7) {EACH}",
        1,
        15,
        "merchants holds no dated events of customers, so nothing happens to it in a window; use order_lines, "
        "orders, returns, reviews, browsing_events, searches, campaign_events or consents.",
    ),
    (
        f"{LINES} WHERE inventory.stock > 0, 0, 7) {EACH}",
        1,
        35,
        "inventory cannot be reached from order_lines by a foreign key; filter another table.",
    ),
    (
        f"{RANK}\nWHERE products.price > 10",
        3,
        7,
        "products cannot be reached from customers by a foreign key; filter it inside an aggregation.",
    ),
    (
        f"{LINES} WHERE amount.price > 0, 0, 7) {EACH}",
        1,
        35,
        "order_lines.amount is no foreign key, so it has no price.",
    ),
    (
        f"{LINES} WHERE users = 'x', 0, 7) {EACH}",
        1,
        35,
        "users is a table; name one of its columns, as in users.column.",
    ),
    (
        f"PREDICT SUM(amount, 0, 7) {EACH}",
        1,
        13,
        "amount needs its table in front, as in order_lines.amount.",
    ),
    (
        f"PREDICT SUM(orders.*, 0, 7) {EACH}",
        1,
        13,
        "* stands for all rows of a table in COUNT and BOOL only; name a column.",
    ),
    # Types.
    (
        f"PREDICT SUM(order_lines.product_id, 0, 7) {EACH}",
        1,
        13,
        "SUM adds up numbers, and order_lines.product_id is a text.",
    ),
    (
        f"{RANK}\nWHERE AVG(orders.amount, -9, 0) LIKE '1%'",
        3,
        33,
        "LIKE does not apply to a number, which AVG of orders.amount is; "
        "use =, !=, <, <=, >, >=, IN, NOT IN, IS NULL or IS NOT NULL.",
    ),
    (
        f"{RANK}\nWHERE email_eligible = 2",
        3,
        24,
        "customers.email_eligible is a boolean and 2 is not; write true or false.",
    ),
    (
        f"{RANK}\nWHERE customer_id = 17",
        3,
        21,
        "customers.customer_id is a text and 17 is not; write a text in quotes.",
    ),
    (
        f"{RANK}\nWHERE joined_at > '1.2.2024'",
        3,
        19,
        "customers.joined_at is a time and '1.2.2024' is not; write '2024-12-31' or '2024-12-31 23:59:59'.",
    ),
    (
        f"{RANK}\nWHERE COUNT(orders.*, -9, 0) IN (1, 'two')",
        3,
        37,
        "COUNT of orders.* is a number and 'two' is not; write a number.",
    ),
    (
        f"{RANK}\nWHERE LIST_DISTINCT(order_lines.product_id, -9, 0) CONTAINS 'milk'",
        3,
        7,
        "LIST_DISTINCT is a list and cannot be compared; count what is looked for, "
        "as in COUNT(order_lines.* WHERE product_id = '17', -30, 0, days) > 0.",
    ),
]


def test_there_are_thirty_invalid_queries():
    assert len(INVALID) >= 30
    assert len({text for text, *_ in INVALID}) == len(INVALID)


@pytest.mark.parametrize(("text", "line", "column", "message"), INVALID)
def test_invalid(text, line, column, message):
    with pytest.raises(QueryError) as caught:
        validate(parse(text))
    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.sentence == f"Query line {line}, column {column}: {message}"
    shown, caret = str(caught.value).split("\n")[1:]
    assert shown.rstrip() == f"    {text.split(chr(10))[line - 1]}".rstrip()[:104]
    assert caret == " " * (4 + column - 1) + "^"


def test_an_error_of_grammar_lists_what_could_have_stood_there():
    with pytest.raises(QueryError) as caught:
        parse("PREDICT COUNT orders")
    assert caught.value.expected == ("an opening bracket",)


def test_a_long_line_is_cut_around_the_caret():
    with pytest.raises(QueryError) as caught:
        parse(f"{RANK} WHERE segment = '{'x' * 300}' AND AND segment = '{'y' * 300}'")
    shown, caret = str(caught.value).split("\n")[1:]
    assert len(shown) == 104
    assert shown[caret.index("^") :].startswith("AND segment")


def test_a_column_of_the_lines_is_hinted_at():
    with pytest.raises(
        QueryError, match=r"orders has no column quantity; did you mean order_lines\.quantity\?"
    ):
        validate(parse(f"PREDICT SUM(orders.quantity, 0, 7) {EACH}"))
