import math
from datetime import date

import duckdb
import pytest

from recs_assets.evaluation.forecasts import interval, measure_demand_changes


def test_without_forecasts_that_are_over_only_the_pairs_themselves_are_in_doubt():
    assert interval(1200, 100.0, 100.0, []) == pytest.approx((100 * math.exp(-0.196), 100 * math.exp(0.196)))


def test_forecasts_that_were_wrong_widen_the_interval_whichever_way_they_were():
    low, high = interval(1200, 100.0, 0.0, [1.2])
    assert (low, high) == pytest.approx((100 / 1.2**1.96, 100 * 1.2**1.96))
    assert interval(1200, 100.0, 0.0, [1 / 1.2]) == pytest.approx((low, high))
    # The mean of the squares: a good year does not undo a bad one, but halves it.
    assert interval(1200, 100.0, 0.0, [1.2, 1.0])[1] == pytest.approx(
        100 * math.exp(1.96 * math.log(1.2) / math.sqrt(2))
    )
    assert interval(1200, 100.0, 0.0, [0.0, 1.2]) == pytest.approx((low, high))  # nothing bought has no ratio


def test_no_more_are_bought_than_there_are_pairs():
    low, high = interval(12, 0.006, 0.006, [])
    assert (round(low, 6), high) == (0.0, 12.0)


def test_demand_changes_from_one_anchor_to_the_next():
    """Windows of two days, four days apart: 3 products on 1 and 2 March, 2 in the four days before, 4 before these."""
    lines = [
        ("2024-03-01", 3),
        ("2024-02-26", 1),
        ("2024-02-27", 1),
        ("2024-02-22", 4),
        ("2024-02-28", 9),
        ("2024-02-21", 5),
    ]
    with duckdb.connect() as connection:
        connection.execute("create schema recs")
        connection.execute(
            "create table recs.order_lines (customer_id varchar, product_id varchar, ordered_at timestamp, learned_from boolean)"
        )
        for day, count in lines:
            for number in range(count):
                connection.execute(
                    "insert into recs.order_lines values ('c', ?, ?, true)", [f"{number} on {day}", day]
                )
                # Again on the same day, and by a till: no more products for people.
                connection.execute(
                    "insert into recs.order_lines values ('c', ?, ?, true)", [f"{number} on {day}", day]
                )
                connection.execute(
                    "insert into recs.order_lines values ('till', ?, ?, false)", [f"{number}", day]
                )
        found = measure_demand_changes(connection, date(2024, 3, 5), 2, 4)
        assert measure_demand_changes(connection, date(2024, 3, 5), 2, 4, most=1) == [3 / 2]
    assert found == [3 / 2, 2 / 4]
