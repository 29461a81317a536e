"""Which queries are accepted and what they mean."""

from __future__ import annotations

from datetime import date

import pytest

from helpers.queries import AS_OF, EACH, LINES, RANK
from recs_assets.queries.compiler import (
    compile_entities,
    compile_items,
    compile_labels,
    drop_ids,
    explain,
    find_horizon,
)
from recs_assets.queries.parser import MAX_CHARACTERS, MAX_DEPTH, parse
from recs_assets.queries.syntax import QueryError
from recs_assets.queries.validation import item_column, validate

# As written, task, and the normal form after names are looked up.
VALID = [
    (  # The first three are the issue's, with X = 14, D = 90, N = 3.
        "PREDICT LIST_DISTINCT(transactions.item_id, 0, 14, days) RANK TOP 50\n"
        "    FOR EACH users.user_id\n    WHERE COUNT(transactions.*, -90, 0, days) >= 3",
        "rank",
        f"PREDICT LIST_DISTINCT(order_lines.product_id, 0, 14, days) RANK TOP 50\n{EACH}\n"
        "WHERE COUNT(order_lines.*, -90, 0, days) >= 3",
    ),
    (
        "PREDICT LIST_DISTINCT(transactions.item_id WHERE item_id.price > 10, 0, 30, days) RANK TOP 12\n"
        "    FOR EACH users.user_id WHERE users.email_eligible == 1",
        "rank",
        "PREDICT LIST_DISTINCT(order_lines.product_id WHERE order_lines.product_id.price > 10, 0, 30, days)"
        f" RANK TOP 12\n{EACH}\nWHERE customers.email_eligible = 1",
    ),
    (
        "PREDICT LIST_DISTINCT(transactions.vertical, 0, 30, days) CLASSIFY\n"
        "    FOR EACH users.user_id WHERE users.email_eligible == 1",
        "classify",
        f"PREDICT LIST_DISTINCT(order_lines.product_id.vertical, 0, 30, days) CLASSIFY\n{EACH}\n"
        "WHERE customers.email_eligible = 1",
    ),
    (
        "PREDICT BOOL(orders.product_id, 0, 14, days) FOR EACH customers.customer_id, products.product_id RANK TOP 5",
        "rank",
        "PREDICT BOOL(order_lines.product_id, 0, 14, days) RANK TOP 5\n"
        "FOR EACH customers.customer_id, products.product_id",
    ),
    (
        "PREDICT SUM(order_lines.amount, 0, 90, days) > 0 FOR EACH customers.customer_id",
        "binary",
        f"PREDICT SUM(order_lines.amount, 0, 90, days) > 0\n{EACH}",
    ),
    (
        "PREDICT SUM(order_lines.amount, 0, 90, days) FOR EACH customers.customer_id",
        "regression",
        f"PREDICT SUM(order_lines.amount, 0, 90, days)\n{EACH}",
    ),
    # Spelling: any case, EACH and days left out, comments, RANK at either place, AS OF.
    (
        "predict sum(Orders.Amount, 0, 90) for USERS.User_Id # a comment",
        "regression",
        f"PREDICT SUM(orders.amount, 0, 90, days)\n{EACH}",
    ),
    (
        "# a comment\nPREDICT COUNT(orders.*, 0, 1, month) FOR EACH customers.customer_id AS OF '2024-03-04'",
        "regression",
        f"PREDICT COUNT(orders.*, 0, 1, months)\n{EACH}\nAS OF '2024-03-04'",
    ),
    (
        f"PREDICT COUNT(orders.*, 0, 36, hours) {EACH} AS OF 2024-03-04 WHERE segment = 'x' ",
        "regression",
        f"PREDICT COUNT(orders.*, 0, 36, hours)\n{EACH}\nWHERE customers.segment = 'x'\nAS OF '2024-03-04'",
    ),
    (
        f"PREDICT LIST_DISTINCT(order_lines.brand, 0, 90, minutes) {EACH} CLASSIFY",
        "classify",
        f"PREDICT LIST_DISTINCT(order_lines.product_id.brand, 0, 90, minutes) CLASSIFY\n{EACH}",
    ),
    (
        f"PREDICT LIST_DISTINCT(items.category, 0, 1, days) CLASSIFY {EACH}".replace("items", "reviews"),
        "classify",
        f"PREDICT LIST_DISTINCT(reviews.product_id.category, 0, 1, days) CLASSIFY\n{EACH}",
    ),
    (
        f"PREDICT LIST_DISTINCT(order_lines.category, 0, 30, days) RANK TOP 1000 {EACH}",
        "rank",
        f"PREDICT LIST_DISTINCT(order_lines.product_id.category, 0, 30, days) RANK TOP 1000\n{EACH}",
    ),
    # Functions.
    (f"PREDICT COUNT(order_lines.discount, 0, 7, days) {EACH}", "regression", None),
    (f"PREDICT COUNT_DISTINCT(order_lines.product_id, 7, 14, days) {EACH}", "regression", None),
    (f"PREDICT AVG(orders.amount, 0, 3, months) {EACH}", "regression", None),
    (f"PREDICT MIN(order_lines.unit_price, 0, 3, months) {EACH}", "regression", None),
    (f"PREDICT MAX(reviews.rating, 0, 90, days) {EACH}", "regression", None),
    (f"PREDICT FIRST(orders.units, 0, 30, days) {EACH}", "regression", None),
    (f"PREDICT LAST(order_lines.net_amount, 0, 30, days) {EACH}", "regression", None),
    (f"PREDICT BOOL(returns.*, 0, 60, days) {EACH}", "binary", None),
    (f"PREDICT FIRST(order_lines.brand, 0, 30, days) = 'Farm' {EACH}", "binary", None),
    # One of several classes.
    (
        f"PREDICT FIRST(order_lines.brand, 0, 30, days) {EACH}",
        "classify",
        f"PREDICT FIRST(order_lines.product_id.brand, 0, 30, days) CLASSIFY\n{EACH}",
    ),
    (
        f"PREDICT LAST(transactions.category, 0, 30, days) RANK TOP 1 {EACH}",
        "rank",
        f"PREDICT LAST(order_lines.product_id.category, 0, 30, days) RANK TOP 1\n{EACH}",
    ),
    (f"PREDICT BOOL(orders.*, 0, 30, days) = false {EACH}", "binary", None),
    # Conditions on aggregations.
    (
        f"PREDICT COUNT(orders.*,0,9) > 1 OR SUM(orders.amount,0,9) > 5 AND NOT MAX(orders.units,0,9) < 2 {EACH}",
        "binary",
        "PREDICT COUNT(orders.*, 0, 9, days) > 1 OR SUM(orders.amount, 0, 9, days) > 5 "
        f"AND NOT MAX(orders.units, 0, 9, days) < 2\n{EACH}",
    ),
    (
        f"PREDICT ((COUNT(orders.*,0,9) > 1 OR (SUM(orders.amount,0,9) > 5))) AND (COUNT(returns.*,0,9) = 0) {EACH}",
        "binary",
        "PREDICT (COUNT(orders.*, 0, 9, days) > 1 OR SUM(orders.amount, 0, 9, days) > 5) "
        f"AND COUNT(returns.*, 0, 9, days) = 0\n{EACH}",
    ),
    # Every operator, over every kind of value.
    (f"{RANK} WHERE NOT (segment = 'a' AND country != 'b')", "rank", None),
    (f"{RANK} WHERE segment IN ('a', 'b''c') OR country NOT IN (\"x\", 'y')", "rank", None),
    (f"{RANK} WHERE segment LIKE 'f%' AND country NOT LIKE '_E'", "rank", None),
    (
        f"{RANK} WHERE segment CONTAINS 'am' AND locale STARTS WITH 'de' AND locale ENDS WITH 'DE'",
        "rank",
        None,
    ),
    (f"{RANK} WHERE segment IS NULL OR joined_at IS NOT NULL", "rank", None),
    (f"{RANK} WHERE joined_at >= '2023-01-01' AND joined_at < 2024-01-01", "rank", None),
    (f"{RANK} WHERE users.joined_at <= '2023-06-01 10:00:00' AND email_eligible != FALSE", "rank", None),
    (f"{RANK} WHERE LAST(orders.ordered_at, -INF, 0) < '2024-01-01 08:30'", "rank", None),
    (
        f"{RANK} WHERE SUM(orders.amount, -90, -30, days) >= -1.5e2 AND AVG(orders.amount, -9, 0) < .5",
        "rank",
        None,
    ),
    (f"{RANK} WHERE NOT NOT COUNT(orders.*, -1, 0) IN (1, 2.0)", "rank", None),
    (f"{RANK} WHERE BOOL(campaign_events.* WHERE event_type = 'opened', -28, 0) = true", "rank", None),
    # Columns reached over foreign keys, spelled in every way.
    (
        f"{LINES} WHERE item_id.price > 1 AND products.price > 1 AND order_lines.product_id.price > 1, 0, 7) {EACH}",
        "regression",
        f"{LINES} WHERE order_lines.product_id.price > 1 AND order_lines.product_id.price > 1 "
        f"AND order_lines.product_id.price > 1, 0, 7, days)\n{EACH}",
    ),
    (
        f"{LINES} WHERE merchants.country = 'DE' AND users.segment = 'x' AND orders.amount > 9, 0, 7) {EACH}",
        "regression",
        f"{LINES} WHERE order_lines.product_id.merchant_id.country = 'DE' "
        f"AND order_lines.customer_id.segment = 'x' AND order_lines.order_id.amount > 9, 0, 7, days)\n{EACH}",
    ),
    (
        f"{LINES} WHERE vertical = 'dry' AND product_id = 'p1' AND items.product_id = 'p1', 0, 7) {EACH}",
        "regression",
        f"{LINES} WHERE order_lines.product_id.vertical = 'dry' AND order_lines.product_id = 'p1' "
        f"AND order_lines.product_id.product_id = 'p1', 0, 7, days)\n{EACH}",
    ),
    (f"{RANK} WHERE COUNT(searches.* WHERE query CONTAINS '#tea', -7, 0) > 0", "rank", None),
    (f"{RANK} WHERE COUNT(consents.* WHERE state = 'unsubscribed', -INF, 0) = 0", "rank", None),
    (
        f"{RANK} WHERE AVG(browsing_events.duration_seconds WHERE device IN ('app', 'mobile'), -48, 0, hours) > 5",
        "rank",
        None,
    ),
]


def test_no_valid_query_stands_twice():
    assert len({text for text, _, _ in VALID}) == len(VALID)


@pytest.mark.parametrize(("text", "task", "normal"), VALID)
def test_valid(text, task, normal, ask):
    query = parse(text)
    assert parse(str(query)) == query
    checked = validate(query)
    assert checked.task == task
    if normal is not None:
        assert str(checked) == normal
    assert validate(parse(str(checked))) == checked

    eligible = [customer for (customer,) in ask(compile_entities(query, AS_OF))]
    assert eligible == sorted(set(eligible))
    labels = ask(compile_labels(query, AS_OF))
    if checked.mode is None:
        assert [customer for customer, _ in labels] == eligible
    else:
        assert labels == sorted(set(labels))
        assert {customer for customer, _ in labels} <= set(eligible)
        assert {item for _, item in labels} <= {item for (item,) in ask(compile_items(query, AS_OF))}


def test_conditions_have_a_greatest_depth():
    assert validate(parse(f"{RANK} WHERE {'NOT ' * (MAX_DEPTH - 1)} segment = 'x'"))
    for text in (
        f"{RANK} WHERE {'NOT ' * 2000} segment = 'x'",
        f"{RANK} WHERE {'(segment = 1 AND (segment = 2 OR ' * 200} segment = 'x' {'))' * 200}",
    ):
        with pytest.raises(QueryError, match="nested 50 deep"):
            parse(text)
    # Brackets that group nothing, and chains, are not depth.
    assert parse(f"{RANK} WHERE {'(' * 4000}segment = 'x'{')' * 4000}")
    chain = " OR ".join(["segment = 'x'"] * 500)
    assert len(validate(parse(f"{RANK} WHERE {chain}")).where.items) == 500


def test_a_query_has_a_greatest_length():
    assert parse(RANK + "#" * (MAX_CHARACTERS - len(RANK)))
    with pytest.raises(QueryError, match="at most 10,000 characters and this one 10,001"):
        parse(RANK + "#" * (MAX_CHARACTERS - len(RANK) + 1))


def test_brackets_decide_and_precedence_does_without_them():
    def shape(condition):
        return str(parse(f"{RANK} WHERE {condition}").where)

    assert shape("a = 1 OR b = 1 AND NOT c = 1") == "a = 1 OR b = 1 AND NOT c = 1"
    assert shape("(a = 1 OR b = 1) AND c = 1") == "(a = 1 OR b = 1) AND c = 1"
    assert shape("NOT (a = 1 AND b = 1)") == "NOT (a = 1 AND b = 1)"
    assert parse(f"{RANK} WHERE a = 1 OR b = 1 AND c = 1") == parse(
        f"{RANK} WHERE a = 1 OR (b = 1 AND c = 1)"
    )
    assert parse(f"{RANK} WHERE NOT a = 1 AND b = 1") == parse(f"{RANK} WHERE (NOT a = 1) AND b = 1")


def test_what_a_query_lists():
    assert item_column(parse(RANK)) == "product_id"
    assert item_column(parse(f"PREDICT LIST_DISTINCT(transactions.brand, 0, 9) CLASSIFY {EACH}")) == "brand"
    with pytest.raises(QueryError, match="predicts no list"):
        item_column(parse(f"PREDICT SUM(orders.amount, 0, 9) {EACH}"))


def test_labels_are_known_after_the_last_window():
    text = f"PREDICT COUNT(orders.*, 0, 36, hours) > 0 AND COUNT(orders.*, 0, 2, days) > 0 {EACH}"
    assert str(find_horizon(parse(text), AS_OF)) == "2024-03-06 00:00:00"
    month = parse(f"PREDICT COUNT(orders.*, 0, 1, month) {EACH}")
    assert str(find_horizon(month, date(2024, 1, 31))) == "2024-02-29 00:00:00"
    assert str(find_horizon(month, date(2023, 12, 31))) == "2024-01-31 00:00:00"


@pytest.mark.parametrize("anchor", [date(1, 1, 1), date(9999, 12, 31)])
def test_a_window_that_leaves_the_calendar_is_refused(anchor):
    for unit in ("days", "months"):
        text = f"PREDICT COUNT(orders.*, 0, 60, {unit}) {EACH} WHERE COUNT(orders.*, -60, 0, {unit}) > 0"
        with pytest.raises(QueryError, match="the window leaves the calendar at the anchor"):
            compile_labels(parse(text), anchor)


def test_explain_shows_query_sql_and_parameters():
    text = explain(parse(f"PREDICT SUM(orders.amount, 0, 7) > 0 {EACH} WHERE segment = 'it''s'"), AS_OF)
    query, labels, parameters = text.split("\n\n")
    assert query == (
        "-- query (binary)\nPREDICT SUM(orders.amount, 0, 7, days) > 0\nFOR EACH customers.customer_id\n"
        "WHERE customers.segment = 'it''s'"
    )
    assert labels.startswith(
        "-- labels at 2024-03-04, known from 2024-03-11 00:00:00 on\nwith customers as (\n"
    )
    assert parameters == (
        '-- parameters\n$as_of = 2024-03-04 00:00:00\n$v1 = "it\'s"\n$until = 2024-03-11 00:00:00\n'
        "$v3 = 2024-03-04 00:00:00\n$v4 = 2024-03-11 00:00:00\n$v5 = 0\n"
    )


@pytest.mark.parametrize(
    ("written", "same"),
    [
        (f"{RANK};", RANK),
        (f"{RANK} WHERE segment = 'x' ;", f"{RANK} WHERE segment = 'x'"),
        (
            f"PREDICT COUNT(orders.product_id, 0, 7) {EACH}",
            f"PREDICT COUNT(orders.item_id, 0, 7) {EACH}",
        ),
    ],
)
def test_what_may_be_written_in_two_ways(written, same):
    assert validate(parse(written)) == validate(parse(same))


def test_weeks_are_seven_days():
    four = parse(f"PREDICT COUNT(orders.*, 0, 4, weeks) {EACH}")
    assert str(four.target) == "COUNT(orders.*, 0, 4, weeks)"
    assert find_horizon(four, AS_OF) == find_horizon(parse(f"PREDICT COUNT(orders.*, 0, 28) {EACH}"), AS_OF)
    assert (
        str(find_horizon(parse(f"PREDICT COUNT(orders.*, 0, 1, week) {EACH}"), AS_OF))
        == "2024-03-11 00:00:00"
    )


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("FOR users.user_id IN ('1', '10')", "FOR EACH customers.customer_id IN ('1', '10')"),
        ("FOR EACH users.user_id = 'x'", "FOR EACH customers.customer_id = 'x'"),
    ],
)
def test_a_query_may_be_asked_about_some_by_id(asked, written):
    query = validate(parse(f"PREDICT COUNT(orders.*, 0, 7) {asked} WHERE segment = 'x'"))
    assert str(query).split("\n")[1:] == [written, "WHERE customers.segment = 'x'"]
    assert validate(parse(str(query))) == query
    assert str(drop_ids(query)).split("\n")[1:] == [EACH, "WHERE customers.segment = 'x'"]


def test_ids_say_nothing_of_whom_it_could_be_asked_about():
    query = parse(f"PREDICT COUNT(orders.*, 0, 7) {EACH} WHERE users.user_id IN ('1') AND segment = 'x'")
    assert str(drop_ids(query).where) == "customers.segment = 'x'"
    either = parse(f"PREDICT COUNT(orders.*, 0, 7) {EACH} WHERE user_id = '1' OR segment = 'x'")
    assert drop_ids(either).where is None


def test_products_may_be_predicted_for():
    query = validate(
        parse("PREDICT SUM(order_lines.quantity, 0, 7) FOR EACH items.item_id WHERE category = 'x'")
    )
    assert str(query).split("\n")[1:] == ["FOR EACH products.product_id", "WHERE products.category = 'x'"]
    with pytest.raises(QueryError, match="orders holds no dated events of products"):
        validate(parse("PREDICT COUNT(orders.*, 0, 7) FOR EACH products.product_id"))
    with pytest.raises(QueryError, match="lists are made for customers"):
        validate(
            parse("PREDICT LIST_DISTINCT(order_lines.category, 0, 7) CLASSIFY FOR EACH products.product_id")
        )
