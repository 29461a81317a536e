"""What is published of the hand-written shop."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from helpers.dbt_build import TEST, WEEK
from helpers.shops import ROOT
from recs_assets.delivery import derive_recommendation_id
from recs_assets.exports.email import LONG


def test_published_email(published):
    """By campaign, of this week, and without dan, who withdrew after the campaign had chosen."""
    columns = "campaign, as_of, customer_id, slot, title, category, price, margin, slot_type, window_days, sent_before"
    assert published.sql(f"select {columns} from recs.email_recommendations") == [
        ("first_steps", WEEK, "fay", 1, "New", None, 2.0, None, "personal", 14, "no"),
        ("weekly_email", WEEK, "ann", 1, "Milk", "dairy", 1.5, 0.5, "personal", 14, "no"),
        ("weekly_email", WEEK, "ann", 2, "Bread", "bakery", None, None, "personal", 14, "no"),
    ]


def test_who_is_held_out_stands_in_a_table_of_their_own_with_the_same_columns(published):
    """Ann is in the holdout of first_steps: nobody who reads the email table can write to her."""
    assert published.sql("select campaign, customer_id, slot, arm from recs.email_holdout") == [
        ("first_steps", "ann", 1, "holdout")
    ]
    assert published.sql(
        "select campaign, customer_id, arm, count(*) from recs.email_recommendations group by all order by all"
    ) == [("first_steps", "fay", "treatment", 1), ("weekly_email", "ann", "treatment", 2)]
    for table in ("email_recommendations", "email_holdout"):
        columns = published.sql(
            f"select column_name, data_type from duckdb_columns() where table_name = '{table}' order by column_index"
        )
        named = [(name, kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")) for name, kind in columns]
        assert named == list(LONG.items())
    filled = "email_hash, send_at, best_send_at, expires_at, model_version, recommendation_id, url, list_price, run_id, suppression_checked_at"
    [row] = published.sql(f"select {filled} from recs.email_recommendations where product_id = 'milk'")
    assert row == (
        f"{1:064x}",
        datetime(2024, 3, 4, 6, tzinfo=UTC),
        datetime(2024, 3, 4, 18, tzinfo=UTC),
        datetime(2024, 3, 18, tzinfo=UTC),
        "query 0.3.0",
        f"{1:020x}",
        f"https://shop.example/1?recommendation_id={1:020x}",
        1.5,
        None,
        None,
    )


def test_an_event_finds_its_row_in_one_join(published):
    """dbt's ids are those of delivery.py, and no two rows of any list share one."""
    for table, columns in {
        "customer_recommendations": "customer_id, rank, product_id",
        "buy_it_again": "customer_id, rank, product_id",
        "frequently_bought_together": "product_id, rank, neighbour_id",
        "similar_products": "product_id, rank, neighbour_id",
    }.items():
        rows = published.sql(f"select recommendation_id, as_of, {columns} from recs.{table}")
        assert rows
        assert [row[0] for row in rows] == [derive_recommendation_id(table, *row[1:]) for row in rows], table
    published_rows = published.sql(
        "select list, campaign, as_of, customer_id, beside_product_id, product_id, rank, reason_text is null "
        "from recs.recommendations_by_id order by list, customer_id, product_id, as_of desc"
    )
    assert published_rows == [
        ("buy_it_again", None, WEEK, "ann", None, "milk", 1, False),
        ("buy_it_again", None, date(2024, 2, 27), "ann", None, "milk", 1, False),  # of a nightly refresh
        ("customer_recommendations", None, WEEK, "ann", None, "bread", 2, False),
        ("customer_recommendations", None, WEEK, "ann", None, "milk", 1, False),
        ("customer_recommendations", None, WEEK, "fay", None, "new", 1, False),
        ("email_recommendations", "weekly_email", WEEK, "ann", None, "bread", 2, False),
        ("email_recommendations", "weekly_email", WEEK, "ann", None, "milk", 1, False),
        ("email_recommendations", "first_steps", WEEK, "fay", None, "new", 1, False),
        ("frequently_bought_together", None, WEEK, None, "milk", "bread", 1, False),
        ("similar_products", None, WEEK, None, "milk", "bread", 1, False),
    ]


def test_published_campaigns(published):
    assert published.sql(
        "select campaign, customer_id, item, rank, probability from recs.campaign_predictions"
    ) == [
        ("affinity", "ann", "dairy", 1, 0.6),
        ("affinity", "ann", "bakery", 2, 0.4),
    ]
    assert published.sql(
        "select campaign, sum(customers) from recs.campaign_outcomes group by 1 order by 1"
    ) == [
        ("affinity", 6),
        ("first_steps", 6),
        ("weekly_email", 6),
    ]
    people = (
        "select customer_id, outcome from recs.campaign_customers where campaign = 'first_steps' order by 1"
    )
    assert published.sql(people) == [
        ("ann", "holdout"), ("bob", "not_in_audience"), ("cay", "not_in_audience"), ("dan", "not_in_audience"),
        ("fay", "selected"),
    ]  # fmt: skip
    # The opening is of the week's midnight; what eve did is gone with her; the stranger of tab3 stays one.
    assert published.sql(
        "select event_id, customer_id, visitor_id, event_type from recs.campaign_events"
    ) == [
        ("k4", "ann", "tab1", "dismissed"),
        ("k3", "ann", "tab1", "shown"),
        ("k5", "bob", "tab2", "clicked"),
        ("k6", "bob", "tab2", "shown"),
        ("k1", "ann", None, "sent"),
        ("k7", None, "tab3", "shown"),
    ]
    assert published.sql("select rule, purchases_gained, margin_gained from recs.rule_price_tags") == [
        ("available", 1.0, None)
    ]
    assert published.sql("select goal, strength, revenue_gained, margin, knee from recs.goal_frontier") == [
        ("as_said", None, 0.0, None, False),
        ("revenue_alone", None, -0.5, None, False),
        ("revenue", 1.0, 0.5, None, True),
    ]
    assert published.sql("select model, difference, chosen from recs.campaign_tests") == [
        ("ease", 0.1, False),
        ("query", None, True),
    ]
    assert published.sql("select campaign, product_id, sources, families from recs.campaign_traces") == [
        ("weekly_email", "bread", [], [{"family": "bought_before", "contribution": 1.0, "share": 1.0}]),
        (
            "weekly_email",
            "milk",
            [{"source": "repurchase", "rank": 1}],
            [{"family": "bought_before", "contribution": 1.75, "share": 1.0}],
        ),
    ]


@pytest.mark.parametrize("table", ["email_recommendations", "customer_recommendations"])
def test_published_reasons(published, table):
    columns = "reason_code, reason_family, because_product_id, because_at, support, confidence"
    assert published.sql(f"select {columns} from recs.{table} order by customer_id, product_id desc") == [
        ("bought_often", "bought_before", "milk", date(2024, 3, 3), None, None),
        ("bought_together", "bought_with", "milk", date(2024, 3, 3), 0.25, 0.5),
        ("viewed", "viewed_or_wished", "new", date(2024, 2, 21), None, None),
    ]


def test_published_traces(published):
    # The columns rank_... and family_... are not declared anywhere in dbt.
    assert published.sql(
        "select product_id, sources, families, features from recs.recommendation_traces"
    ) == [
        (
            "bread",
            [{"source": "item_knn", "rank": 2}, {"source": "popularity", "rank": 2}],
            [
                {"family": "popular", "contribution": 0.5, "share": 0.5},
                {"family": "price", "contribution": 0.5, "share": 0.5},
            ],
            [
                {"feature": "product_buyers", "contribution": 0.5},
                {"feature": "product_price", "contribution": 0.5},
            ],
        ),
        (
            "milk",
            [{"source": "repurchase", "rank": 1}, {"source": "popularity", "rank": 2}],
            [
                {"family": "bought_before", "contribution": 1.5, "share": 0.75},
                {"family": "popular", "contribution": 0.5, "share": 0.25},
                {"family": "price", "contribution": -0.25, "share": 0.0},
            ],
            [
                {"feature": "customer_product_order_days", "contribution": 1.5},
                {"feature": "product_buyers", "contribution": 0.5},
                {"feature": "product_price", "contribution": -0.25},
            ],
        ),
        (
            "new",
            [{"source": "popularity", "rank": 1}],
            [{"family": "popular", "contribution": -0.5, "share": 0.0}],
            [{"feature": "product_buyers", "contribution": -0.5}],
        ),
    ]


def test_published_evaluation_of_the_week(published):
    assert published.sql("select source, stage, purchases, share from recs.recall_waterfall") == [
        ("all", "listed", 3, 0.75),
        ("all", "not_retrieved", 0, 0.0),
        ("all", "outranked", 0, 0.0),
        ("all", "removed:in_stock", 1, 0.25),
        ("popularity", "retrieved", 4, 1.0),
        ("popularity", "retrieved_alone", 1, 0.25),
    ]
    columns = "campaign, forecast_as_of, window_end, forecast_purchases, actual_purchases"
    assert published.sql(f"select {columns} from recs.forecasts") == [
        ("test_anchor", TEST, WEEK, 1.5, 2),
        ("weekly_email", date(2024, 1, 29), date(2024, 2, 26), 0.5, 0),
    ]
    assert published.sql("select step, rule, removed, customers from recs.rule_outcomes") == [
        (1, "available", 3, 2),
        (2, "in_stock", 1, 1),
    ]
    columns = "gate, value, limit_high, previous_value, passed, overridden, reason"
    assert published.sql(f"select {columns} from recs.gates") == [
        ("model", None, None, None, True, False, None),
        ("volume", 120.0, 99.0, 10.0, False, True, "new shop"),
    ]
    assert published.sql("select recommender, value, baseline, ci_low from recs.backtest") == [
        ("ranker", 0.30, "repurchase", 0.01),
        ("repurchase", 0.25, "repurchase", 0.0),
    ]


def test_published_names_and_figures(published):
    assert published.sql("select antecedent_names, consequent_name from recs.association_rules") == [
        ("Bread + Tea", "Milk")
    ]
    assert published.sql(
        "select product_name, neighbour_name, lift from recs.frequently_bought_together"
    ) == [("Milk", "Bread", 1.0)]
    assert published.sql("select product_name, neighbour_name, shared_facets from recs.similar_products") == [
        ("Milk", "Bread", ["brand: Alpine"])
    ]
    assert published.sql(
        "select product_name, order_days, units, days_since_last, expected_next_date, due_ratio, "
        "replaces_product_id from recs.buy_it_again"
    ) == [("Milk", 3, 5.0, 1, date(2024, 4, 12), 0.725, None)]


def test_quarantine_shows_rows_without_addresses(published):
    rows = published.sql("select source_table, row_key, row_json from recs.quarantine")
    # Not shown: the customer and a1 of the future, t1 and v1 of the future, x3 of 2099.
    assert [row[:2] for row in rows] == [
        ("customers", ""),
        ("order_items", "b1|3"),
        ("order_items", "b1|4"),
        ("order_items", "x1|1"),
        ("orders", "a1"),
        ("orders", "x1"),
        ("orders", "x2"),
        ("products", "odd"),
        ("reviews", "r2"),
    ]
    review = json.loads(rows[-1][2])
    assert review["body"] == "write to [email]"
    assert review["rating"] == 9
    assert "email" not in json.loads(rows[0][2])


def test_published_experiments(published):
    assert published.sql("select customer_id, arm, assigned_at, exposed_at from recs.assignments") == [
        ("ann", "ranker", date(2024, 2, 26), datetime(2024, 2, 27, 9)),
        ("bob", "today", date(2024, 3, 4), None),
    ]
    assert published.sql("select arm, role, verdict, sentence from recs.experiments order by arm") == [
        ("ranker", "challenger", "too early", "Too early: needs 1 week."),
        ("today", "control", None, None),
    ]
    assert published.sql("select metric, mean, mean_control, lift from recs.experiment_results") == [
        ("revenue", 2.0, 1.0, None)
    ]
    assert published.sql("select of_week from recs.experiment_weeks") == [(1,)]
    assert published.sql("select segment, value, differs from recs.experiment_segments") == [
        ("country", "DE", False)
    ]
    assert published.sql("select shadow, customer_id, product_id from recs.shadow_recommendations") == [
        ("quiet", "ann", "bread")
    ]
    assert published.sql("select shown_to, difference from recs.shadow_results") == [("sent", 0.5)]
    query = (ROOT / "queries" / "is_the_ranker_better_than_the_blend.sql").read_text("utf-8")
    assert published.sql(query.rstrip().rstrip(";")) == [
        (
            "ranker_first",
            "ranker",
            "today",
            1,
            1,
            "revenue",
            2.0,
            1.0,
            None,
            None,
            None,
            "Too early: needs 1 week.",
        )
    ]
