"""Features of the hand-written shop."""

from __future__ import annotations

import pytest

from helpers.dbt_build import TEST, WEEK


def test_customer_features(prepared):
    columns = "as_of, customer_id, order_count, line_count, days_since_last_order, spend, history_depth"
    assert prepared.sql(f"select {columns} from features.customer_features") == [
        # fay joins after the test anchor; a2 is placed on it, at midnight, so it is out.
        (TEST, "ann", 1, 2, 30, 5.0, "1-2"),
        (TEST, "bob", 1, 2, 4, 4.5, "1-2"),
        (TEST, "cay", 0, 0, None, 0.0, "0"),
        (WEEK, "ann", 3, 5, 1, 13.5, "3-9"),
        (WEEK, "bob", 1, 1, 32, 1.5, "1-2"),
        (WEEK, "cay", 0, 0, None, 0.0, "0"),
        (WEEK, "fay", 0, 0, None, 0.0, "0"),
    ]


def test_product_features(prepared):
    columns = "product_id, buyers, purchases, purchases_28d, repeat_buyer_share, price, stock, available"
    query = f"select {columns} from features.product_features where as_of = "
    assert prepared.sql(f"{query} date '{WEEK}'") == [
        ("bread", 1, 1, 0, 0.0, None, None, True),
        ("ham", 0, 0, 0, None, 3.0, 0.0, False),
        ("milk", 2, 4, 2, 0.5, 1.5, None, True),
        ("new", 0, 0, 0, None, 2.0, None, True),
        ("tea", 1, 1, 1, 0.0, 4.0, None, False),
    ]
    # At the test anchor bob had sent back only one of his two hams, and ham was in stock.
    assert prepared.sql(f"{query} date '{TEST}'") == [
        ("bread", 1, 1, 0, 0.0, None, None, True),
        ("ham", 1, 1, 1, 0.0, 3.0, 5.0, True),
        ("milk", 2, 2, 1, 0.0, 1.5, None, True),
        ("new", 0, 0, 0, None, 2.0, None, False),
        ("tea", 0, 0, 0, None, 4.0, None, True),
    ]


def test_customer_product_features(prepared):
    # ann's milk: 6 Jan, 5 Feb, 3 Mar: 57 days for two gaps; the last was yesterday.
    columns = "as_of, customer_id, product_id, order_days, units, mean_gap_days, days_since_last, due_ratio"
    assert prepared.sql(f"select {columns} from features.customer_product_features") == [
        (TEST, "ann", "bread", 1, 1.0, None, 30, None),
        (TEST, "ann", "milk", 1, 2.0, None, 30, None),
        (TEST, "bob", "ham", 1, 1.0, None, 4, None),
        (TEST, "bob", "milk", 1, 1.0, None, 4, None),
        (WEEK, "ann", "bread", 1, 1.0, None, 58, None),
        (WEEK, "ann", "milk", 3, 5.0, 28.5, 1, 0.035088),
        (WEEK, "ann", "tea", 1, 1.0, None, 1, None),
        (WEEK, "bob", "milk", 1, 1.0, None, 32, None),
        (WEEK, "cay", "ham", 0, 0.0, None, None, None),
        (WEEK, "fay", "new", 0, 0.0, None, None, None),
    ]


def test_what_was_recommended(prepared):
    """Bob clicked before he was known; that he did is known once he signed in at that browser."""
    assert prepared.sql(
        "select as_of, customer_id, product_id, shown_not_clicked_28d from features.customer_product_features "
        "where shown_not_clicked_28d is not null"
    ) == [(TEST, "ann", "milk", 1), (WEEK, "bob", "milk", 1)]
    assert prepared.sql(
        "select as_of, product_id, click_share_91d from features.product_features where click_share_91d is not null"
    ) == [(TEST, "milk", 0.0), (WEEK, "milk", 0.5)]
    assert prepared.sql(
        "select as_of, customer_id, product_id from intermediate.int_recommendation_pairs_anchored "
        "where dismissed_at is not null"
    ) == [(TEST, "ann", "bread"), (WEEK, "ann", "bread")]


def test_product_promotions(prepared):
    # o2 is announced at the week's midnight; o4 ends on it, and is announced at the test anchor's.
    columns = "as_of, product_id, mailer_weeks, mailer_reach, price_reach, display_reach_before, any_weeks"
    assert prepared.sql(f"select {columns}, days_to_first_offer from features.product_promotions") == [
        (TEST, "bread", 1.0, 0.5, 0.0, 0.0, 1.0, 7),
        (WEEK, "bread", 0.0, 0.0, 0.0, 0.0, 0.0, None),
        (WEEK, "milk", 0.0, 0.0, 1.0, 0.05, 1.0, 0),
    ]


def test_customer_category_and_category_features(prepared):
    columns = "as_of, customer_id, category, purchases, share, order_days, mean_gap_days, days_since_last"
    assert prepared.sql(f"select {columns} from features.customer_category_features") == [
        (TEST, "ann", "bakery", 1, 0.5, 1, None, 30),
        (TEST, "ann", "dairy", 1, 0.5, 1, None, 30),
        (TEST, "bob", "dairy", 1, 1.0, 1, None, 4),
        (WEEK, "ann", "bakery", 1, 0.25, 1, None, 58),
        (WEEK, "ann", "dairy", 3, 0.75, 3, 28.5, 1),
        (WEEK, "bob", "dairy", 1, 1.0, 1, None, 32),
    ]
    columns = "as_of, category, products, purchases, buyers, repeat_buyer_share, mean_gap_days, mean_price"
    assert prepared.sql(f"select {columns} from features.category_features") == [
        (TEST, "bakery", 1, 1, 1, 0.0, None, None),
        (TEST, "dairy", 1, 2, 2, 0.0, None, 1.5),
        (WEEK, "bakery", 1, 1, 1, 0.0, None, None),
        (WEEK, "dairy", 1, 4, 2, 0.5, 28.5, 1.5),
    ]
    assert prepared.sql("select * from features.customer_brand_features") == []


def test_customer_product_rhythm_leans_on_the_product(prepared):
    # The week knows two gaps of milk, 57 days together: 28.5 for everyone. bob's one purchase
    # 32 days ago is due, ann's third yesterday is not: (57 + 28.5) / 3.
    columns = (
        "customer_id, product_id, basket_share, baskets_since_last, expected_gap_days, expected_due_ratio"
    )
    query = f"select {columns} from features.customer_product_features where as_of = date '{WEEK}'"
    rows = prepared.sql(f"{query} and product_id = 'milk'")
    assert rows == [
        ("ann", "milk", 1.0, 0, 28.5, pytest.approx(1 / 28.5, rel=1e-4)),
        ("bob", "milk", 1.0, 0, 28.5, pytest.approx(32 / 28.5, rel=1e-4)),
    ]
