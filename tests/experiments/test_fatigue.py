"""How much less a product is clicked each further time."""

import math
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from recs_assets.experiments.fatigue import LEAST_LISTS, measure_fatigue


def list_rows(lists):
    """Rows of lists of two products each: times of the first, which of the two is clicked (None: neither), how many."""
    rows = []
    for times, clicked, count in lists:
        for _ in range(count):
            customer = f"c{len(rows)}"
            # The two slots change places, so that no slot is better.
            for slot, product in enumerate(("old", "new") if len(rows) % 4 else ("new", "old"), 1):
                rows.append(
                    {
                        "customer": customer,
                        "product": product,
                        "week": pd.Timestamp("2026-01-05"),
                        "slot": slot,
                        "p_purchase": 0.1,
                        "times": times if product == "old" else 1,
                        "clicked": product == clicked,
                    }
                )
    return pd.DataFrame(rows)


def test_a_product_that_is_clicked_half_as_often_at_its_second_showing():
    found = measure_fatigue(list_rows([(2, "old", 100), (2, "new", 200), (2, None, 50)]))
    assert found.factor == pytest.approx(0.5, rel=0.02)
    assert found.low < 0.5 < found.high < 1
    assert found.proven
    assert found.sentence.startswith("People tire: each further showing of a product takes ")
    assert found.clicks_by_times.to_dict("list") == {
        "times": [1, 2],
        "shown": [350, 350],
        "clicks": [200, 100],
        "click_rate": [200 / 350, 100 / 350],
    }


def test_two_further_showings_count_twice():
    found = measure_fatigue(list_rows([(3, "old", 100), (3, "new", 400)]))
    assert found.factor == pytest.approx(0.5, rel=0.02)


def test_none_where_both_are_clicked_alike():
    found = measure_fatigue(list_rows([(2, "old", 100), (2, "new", 100)]))
    assert found.factor == pytest.approx(1.0, rel=0.02)
    assert not found.proven
    assert found.sentence.startswith("Whether people tire cannot be told")


def test_lists_without_a_click_change_nothing():
    some = measure_fatigue(list_rows([(2, "old", 40), (2, "new", 80)]))
    more = measure_fatigue(list_rows([(2, "old", 40), (2, "new", 80), (2, None, 1)]))
    assert (more.factor, more.low, more.high) == pytest.approx((some.factor, some.low, some.high), rel=1e-9)


@pytest.mark.parametrize("lists", [[(2, "old", LEAST_LISTS - 1)], [(1, "old", 200)], [(2, None, 20)]])
def test_too_few_lists_that_tell_anything(lists):
    found = measure_fatigue(list_rows(lists))
    assert math.isnan(found.factor)
    assert not found.proven
    assert found.sentence.startswith("Whether people tire cannot be known yet: ")


def test_a_missing_probability_is_no_reason_to_give_up():
    rows = list_rows([(2, "old", 100), (2, "new", 200)])
    found = measure_fatigue(rows.assign(p_purchase=np.nan))
    assert found.factor == pytest.approx(0.5, rel=0.02)


def test_nothing_shown():
    found = measure_fatigue(list_rows([(2, None, 1)]).iloc[:0])
    assert math.isnan(found.factor)
    assert found.clicks_by_times.empty


def test_the_order_of_the_rows_does_not_matter():
    rows = list_rows([(2, "old", 40), (3, "new", 80)])
    mixed = rows.sample(frac=1, random_state=1)
    assert measure_fatigue(mixed).factor == measure_fatigue(rows).factor


def test_the_query_counts_clicks_by_showing() -> None:
    """Ann opens the emails of two weeks, which hold tea twice, and sees it on a page in between; she clicks the first time."""
    query = (Path(__file__).resolve().parents[2] / "queries" / "are_people_tired.sql").read_text("utf-8")
    with duckdb.connect() as connection:
        connection.execute("create schema recs")
        connection.execute(
            """
            create table recs.email_recommendations as select * from (values
                ('mail', date '2026-01-05', 'ann', 'tea', 0.2, 'r1'), ('mail', date '2026-01-05', 'ann', 'mug', 0.1, 'r2'),
                ('mail', date '2026-01-12', 'ann', 'tea', 0.1, 'r3'), ('mail', date '2026-01-12', 'bob', 'tea', 0.9, 'r4')
            ) as rows (campaign, as_of, customer_id, product_id, p_purchase, recommendation_id)
            """
        )
        connection.execute(
            """
            create table recs.campaign_events as select * replace (occurred_at::timestamp as occurred_at) from (values
                ('mail', 'ann', null, 'opened', '2026-01-06 10:00', null, null),
                ('mail', 'ann', 'tea', 'clicked', '2026-01-06 10:01', null, 'r1'),
                (null, 'ann', 'tea', 'shown', '2026-01-07 10:00', 'home', 'page1'),
                ('mail', 'ann', null, 'opened', '2026-01-13 10:00', null, null)
            ) as rows (campaign, customer_id, product_id, event_type, occurred_at, placement, recommendation_id)
            """
        )
        rows = connection.execute(query).fetchall()
    # times, shown, clicks, clicks per hundred, mean p_purchase in hundred (of emails); bob opened nothing.
    assert rows == [(1, 2, 1, 50.0, 15.0), (2, 1, 0, 0.0, None), (3, 1, 0, 0.0, 10.0)]
