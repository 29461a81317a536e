"""Lists of shadows beside those that were sent: three customers, two weeks, every figure by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pytest

from helpers.warehouse import create_identities
from recs_assets.experiments.shadows import RESULTS, _compare_draws, load_shadow_results
from recs_assets.store.people import show_by_person

FIRST, SECOND, NOW = "2026-01-05", "2026-01-12", date(2026, 1, 19)
# campaign, week, customer, product, held
SENT = [
    ("mail", FIRST, "c1", "tea", False),
    ("mail", FIRST, "c1", "mug", False),
    ("mail", FIRST, "c2", "tea", False),
    ("mail", FIRST, "c3", "tea", True),
    ("mail", SECOND, "c1", "tea", False),
    ("mail", "2026-01-19", "c1", "pot", False),  # the week itself: its days are ahead
]
SHADOW = [
    ("mail", FIRST, "c1", "tea"),
    ("mail", FIRST, "c1", "pot"),
    ("mail", FIRST, "c2", "pot"),
    ("mail", FIRST, "c3", "pot"),
    ("mail", SECOND, "c1", "pot"),
    ("mail", SECOND, "c9", "pot"),  # got no list
]
# customer, product, when, kept, paid and kept
LINES = [
    ("c1", "tea", "2026-01-05 00:00", 1, 10.0),  # on both lists
    ("c1", "pot", "2026-01-11 23:59", 1, 30.0),  # on the shadow's alone
    ("c1", "mug", "2026-01-06 10:00", 0, 0.0),  # sent back
    ("c2", "tea", "2026-01-07 10:00", 1, 10.0),
    ("c2", "tea", "2026-01-08 10:00", 1, 10.0),  # again: one product, twice the money
    ("c2", "pot", "2026-01-12 00:00", 1, 30.0),  # the list of the first week is over
    ("c3", "pot", "2026-01-06 10:00", 2, 60.0),
    ("c1", "pot", "2026-01-13 10:00", 1, 30.0),
]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as found:
        create_identities(found)
        found.execute("create schema marts; attach ':memory:' as snapshot; create schema snapshot.recs")
        frames = {
            "sent": pd.DataFrame(SENT, columns=["campaign", "as_of", "customer_id", "product_id", "held"]),
            "shadow": pd.DataFrame(SHADOW, columns=["campaign", "as_of", "customer_id", "product_id"]),
            "lines": pd.DataFrame(
                LINES, columns=["customer_id", "product_id", "ordered_at", "net_quantity", "net_amount"]
            ),
            "people": pd.DataFrame({"customer_id": ["c1", "c2", "c3"]}),
        }
        for name, frame in frames.items():
            found.register(name, frame)
        for table, held in (("email_recommendations", "not held"), ("email_holdout", "held")):
            found.execute(
                f"create table snapshot.recs.{table} as select campaign, as_of::date as as_of, 7 as window_days, customer_id, "
                f"product_id, 0.1::double as p_purchase, 1.0::double as price from sent where {held}"
            )
        found.execute(
            "create table snapshot.recs.shadow_recommendations as "
            "select *, 'quiet' as shadow, 7 as window_days from (select * replace (as_of::date as as_of) from shadow)"
        )
        found.execute(
            "create table marts.order_lines as select * replace (ordered_at::timestamp as ordered_at) from lines"
        )
        found.execute("create table marts.customers as from people")
        show_by_person(found)
        yield found


def test_both_lists_against_what_was_bought(connection):
    table = load_shadow_results(connection, NOW)
    assert list(table) == list(RESULTS)
    found = {row[2:5]: row[5:10] for row in table.itertuples(index=False, name=None)}
    # customers, lists, shadow per list, sent per list, difference
    assert found == {
        (FIRST, "holdout", "purchases"): (1, 1, 1.0, 0.0, 1.0),
        (FIRST, "holdout", "revenue"): (1, 1, 60.0, 0.0, 60.0),
        (FIRST, "sent", "purchases"): (2, 2, 1.0, 1.0, 0.0),
        (FIRST, "sent", "revenue"): (2, 2, 20.0, 15.0, 5.0),
        (SECOND, "sent", "purchases"): (1, 1, 1.0, 0.0, 1.0),
        (SECOND, "sent", "revenue"): (1, 1, 30.0, 0.0, 30.0),
        ("all", "holdout", "purchases"): (1, 1, 1.0, 0.0, 1.0),
        ("all", "holdout", "revenue"): (1, 1, 60.0, 0.0, 60.0),
        ("all", "sent", "purchases"): (2, 3, 1.0, pytest.approx(2 / 3), pytest.approx(1 / 3)),
        ("all", "sent", "revenue"): (2, 3, pytest.approx(70 / 3), 10.0, pytest.approx(40 / 3)),
    }
    # Too few customers for an interval.
    assert table["difference_low"].isna().all()
    assert (
        table.loc[table["shown_to"] == "holdout", "sentence"].iloc[0]
        == "They saw neither list: the comparison is fair."
    )


def test_lists_whose_days_are_not_over_wait(connection):
    assert set(load_shadow_results(connection, date(2026, 1, 18))["list_week"]) == {FIRST, "all"}
    assert load_shadow_results(connection, date(2026, 1, 11)).empty


def test_without_a_snapshot_there_is_nothing():
    with duckdb.connect() as found:
        assert load_shadow_results(found, NOW).empty


def test_the_interval_is_that_of_paired_differences(connection):
    # Of 40 customers, 20 bought of the shadow's list alone and 4 of the sent one alone: 16 / 40, and its error.
    people = [f"p{number}" for number in range(40)]
    connection.execute(
        "delete from snapshot.recs.shadow_recommendations; delete from snapshot.recs.email_recommendations"
    )
    connection.execute(
        "delete from snapshot.recs.email_holdout; delete from marts.order_lines; delete from marts.customers"
    )
    for number, customer in enumerate(people):
        connection.execute("insert into marts.customers values (?)", [customer])
        connection.execute(
            "insert into snapshot.recs.email_recommendations values ('mail', date '2026-01-05', 7, ?, 'tea', 0.1, 1)",
            [customer],
        )
        connection.execute(
            "insert into snapshot.recs.shadow_recommendations by name "
            "select 'mail' as campaign, date '2026-01-05' as as_of, ? as customer_id, 'pot' as product_id, 'quiet' as shadow, 7 as window_days",
            [customer],
        )
        product = "pot" if number < 20 else "tea" if number < 24 else None
        if product:
            connection.execute(
                "insert into marts.order_lines values (?, ?, timestamp '2026-01-06', 1, 5)",
                [customer, product],
            )
    row = load_shadow_results(connection, date(2026, 1, 12)).iloc[0]
    differences = np.array([1] * 20 + [-1] * 4 + [0] * 16)
    half = 1.959964 * differences.std(ddof=1) / np.sqrt(40)
    assert row["difference"] == 0.4
    assert (row["difference_low"], row["difference_high"]) == pytest.approx((0.4 - half, 0.4 + half))


def test_drawn_products_count_by_their_chance():
    # On the shadow's list: half of those with probability 1/2 were bought, a quarter of those with 1/4.
    rows = pd.DataFrame(
        {
            "campaign": "mail",
            "shadow": "quiet",
            "customer_id": [f"c{number}" for number in range(160)],
            "propensity": [0.5] * 40 + [0.25] * 40 + [0.5] * 80,
            "in_shadow": [True] * 80 + [False] * 80,
            "bought": [1, 0] * 20 + [1, 0, 0, 0] * 10 + [1, 0, 0, 0] * 20,
        }
    )
    [row] = _compare_draws(rows).to_dict("records")
    assert row["mean_shadow"] == pytest.approx((20 * 2 + 10 * 4) / (40 * 2 + 40 * 4))
    assert row["mean_sent"] == 0.25
    assert row["difference_low"] < row["difference"] < row["difference_high"]
    assert _compare_draws(rows.head(100)).empty  # too few were bought of the others
