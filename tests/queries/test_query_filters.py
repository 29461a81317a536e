"""A text that a query's filters compare with and no row of the shop has is said, with the nearest one."""

from datetime import date

import pytest

from recs_assets.queries.filters import explain_unknown_values
from recs_assets.queries.parser import parse

AS_OF = date(2024, 3, 4)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("customers.segment = 'family'", []),
        ("customers.segment = 'Family'", ["query: no customers.segment is 'Family'; did you mean 'family'?"]),
        (
            "customers.segment IN ('single', 'gold') AND NOT customers.segment = 'famly'",
            [
                "query: no customers.segment is 'gold'.",
                "query: no customers.segment is 'famly'; did you mean 'family'?",
            ],
        ),
        ("customers.segment LIKE 'x%'", []),
        (
            "COUNT(order_lines.* WHERE product_id.category = 'diary', -30, 0, days) > 0",
            ["query: no order_lines.product_id.category is 'diary'; did you mean 'dairy'?"],
        ),
        # Whose id is near is nobody's business.
        ("customers.customer_id = 'anne'", ["query: no customers.customer_id is 'anne'."]),
        ("customers.email_eligible = 1", []),
    ],
)
def test_values_of_filters_that_nothing_has(database, where, said):
    query = parse(f"PREDICT COUNT(orders.*, 0, 7, days) > 0 FOR EACH customers.customer_id WHERE {where}")

    def answer(sql, parameters):
        return database.execute(sql, parameters).df()

    assert explain_unknown_values(query, AS_OF, answer) == said


def test_the_target_is_looked_at_too(database):
    query = parse(
        "PREDICT LIST_DISTINCT(order_lines.product_id WHERE product_id.brand = 'farm', 0, 14, days) RANK TOP 3 "
        "FOR EACH customers.customer_id"
    )
    found = explain_unknown_values(
        query, AS_OF, lambda sql, parameters: database.execute(sql, parameters).df()
    )
    assert found == ["query: no order_lines.product_id.brand is 'farm'; did you mean 'Farm'?"]
