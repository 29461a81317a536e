"""Queries that name declared tables, over one hop and two, at anchors before and at the week."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from helpers.dbt_build import Warehouse
from recs_assets.declared_tables.file import Tables
from recs_assets.queries.catalogue import CATALOGUE
from recs_assets.queries.compiler import compile_entities, compile_labels, compile_seen, compile_spans
from recs_assets.queries.parser import parse
from recs_assets.queries.syntax import Query, QueryError
from recs_assets.queries.validation import validate

pytestmark = pytest.mark.slow
WEEK, TEST = date(2024, 3, 4), date(2024, 2, 5)


@pytest.fixture
def ask(built: Warehouse, tables: Tables):
    catalogue = CATALOGUE.extend(tables)

    def run(text: str, anchor: date, compile_query=compile_labels) -> list[tuple]:
        query = validate(parse(text), catalogue)
        with duckdb.connect(str(built.path), read_only=True) as connection:
            return connection.execute(*compile_query(query, anchor)).fetchall()

    return run


def test_a_target_counts_rows_of_the_window(ask):
    # t3 is ann's and t4 bob's, at the first moment of the window.
    found = ask("PREDICT COUNT(tickets.*, 0, 28, days) FOR EACH customers.customer_id", TEST)
    assert [row for row in found if row[1]] == [("ann", 1), ("bob", 1)]


def test_a_target_may_lie_two_hops_away(ask):
    text = "PREDICT SUM(messages.length, 0, 28, days) FOR EACH customers.customer_id"
    # m3 is dated before its ticket, and not before the anchor: it is in no window that begins there.
    assert [row for row in ask(text, TEST) if row[1]] == []
    week_before = date(2024, 1, 29)
    assert [row for row in ask(text, week_before) if row[1]] == [("ann", 50), ("bob", 10)]


def test_a_filter_sees_what_was_known_at_its_anchor(ask):
    text = "PREDICT COUNT(order_lines.*, 0, 28, days) FOR EACH customers.customer_id WHERE {}"
    asked = "COUNT(messages.* WHERE ticket_id.topic = 'delivery', -90, 0, days) > 0"
    assert ask(text.format(asked), TEST, compile_entities) == [("ann",)]
    assert ask(text.format(asked), WEEK, compile_entities) == [("ann",), ("bob",)]
    low = "MIN(tickets.stars, -90, 0, days) < 2"
    assert ask(text.format(low), TEST, compile_entities) == []
    assert ask(text.format(low), WEEK, compile_entities) == [("ann",)]


def test_products_have_rows_too(ask):
    text = "PREDICT COUNT(messages.*, 0, 28, days) FOR EACH products.product_id WHERE COUNT(tickets.*, -60, 0, days) > 1"
    assert ask(text, TEST, compile_entities) == [("milk",)]


def test_names_are_those_of_the_shop(tables: Tables):
    text = "PREDICT COUNT(tickets.*, 0, 28, days) FOR EACH customers.customer_id"
    with pytest.raises(QueryError, match="there is no table tickets"):
        validate(parse(text))
    with pytest.raises(QueryError, match="tags holds no dated events of customers"):
        validate(parse(text.replace("tickets", "tags")), CATALOGUE.extend(tables))
    with pytest.raises(QueryError, match="has no column agent"):
        validate(parse(text.replace("COUNT(tickets.*", "MIN(tickets.agent")), CATALOGUE.extend(tables))
    # A query that was validated keeps its tables.
    query: Query = validate(parse(text), CATALOGUE.extend(tables))
    assert validate(query) == query
    assert compile_seen(query, query.aggregate, WEEK)[0]
    assert compile_spans(query, WEEK, [28])[0]
