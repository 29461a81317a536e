"""A shop small enough to check by hand, built with dbt once per session.

The week is 2024-03-04, the test anchor 2024-02-05. Every raw row is written out below; rows
dated at or after the week's midnight try to leak into it in every way we know of.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
import yaml

from recs_assets.schema import RAW_TABLES

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "dbt_project"
VARS = {
    "as_of": "2024-03-04",
    "anchors": ["2024-03-04", "2024-02-05"],
    "horizon_days": 28,
    "loaded_at": "2024-03-05 10:00:00",
}

# Columns not named in a row are null.
RAW = {
    "customers": [
        {
            "customer_id": "ann",
            "email": "ann@example.com",
            "email_eligible": True,
            "country": "NL",
            "currency": "GBP",
        },
        {"customer_id": "bob", "email": "bob@example.com", "email_eligible": False},
        {"customer_id": "cay", "email": "cay@example.com", "email_eligible": True},
        {"customer_id": "dan", "email": "dan@example.com", "email_eligible": True},
        {"customer_id": "eve", "email": "eve@example.com", "email_eligible": True},
        {"customer_id": "fay", "joined_at": "2024-02-20 08:00:00", "email_eligible": True},
        {"customer_id": None, "email": "nobody@example.com", "email_eligible": True},
        # Joins at the week's midnight: unknown. And a later row for a known customer.
        {"customer_id": "gil", "joined_at": "2024-03-04 00:00:00", "email_eligible": True},
        {"customer_id": "ann", "joined_at": "2024-03-04 09:00:00", "email_eligible": False},
    ],
    "products": [
        {"product_id": "milk", "name": "Milk", "price": 1.5, "cost": 1.0, "category": "dairy"},
        {"product_id": "bread", "name": "<b>Bread</b>&nbsp;", "category": "bakery"},
        {"product_id": "tea", "name": "Tea", "price": 4.0, "end_at": "2024-03-04 00:00:00"},
        {"product_id": "ham", "name": "N/A", "price": 3.0},
        {"product_id": "new", "name": "New", "price": 2.0, "start_at": "2024-02-20 00:00:00"},
        {"product_id": "odd", "name": "Odd", "price": -1.0},
    ],
    "orders": [
        {
            "order_id": "a1",
            "customer_id": "ann",
            "ordered_at": "2024-01-06 10:00:00",
            "status": "completed",
            "currency": "eur",
        },
        {"order_id": "a2", "customer_id": "ann", "ordered_at": "2024-02-05 00:00:00", "status": "Completed"},
        {"order_id": "a3", "customer_id": "ann", "ordered_at": "2024-03-03 23:59:59", "status": "shipped"},
        {"order_id": "a4", "customer_id": "ann", "ordered_at": "2024-03-02 10:00:00", "status": "CANCELLED "},
        {"order_id": "a5", "customer_id": "ann", "ordered_at": "2024-03-02 11:00:00", "status": "pending"},
        {"order_id": "b1", "customer_id": "bob", "ordered_at": "2024-02-01 10:00:00", "status": "completed"},
        {"order_id": "d1", "customer_id": "dan", "ordered_at": "2024-02-01 11:00:00", "status": "completed"},
        {"order_id": "e1", "customer_id": "eve", "ordered_at": "2024-02-01 12:00:00", "status": "completed"},
        {"order_id": "x1", "customer_id": "who", "ordered_at": "2024-02-01 13:00:00", "status": "completed"},
        {"order_id": "x2", "customer_id": "bob", "ordered_at": "1970-01-01 00:00:00", "status": "completed"},
        {"order_id": "x3", "customer_id": "bob", "ordered_at": "2099-01-01 00:00:00", "status": "completed"},
        {
            "order_id": "a1",
            "customer_id": "ann",
            "ordered_at": "2024-01-06 10:00:00",
            "status": "completed",
            "currency": "eur",
        },
        # From here on the future: a second a1, and orders whose lines must not be seen.
        {"order_id": "a1", "customer_id": "bob", "ordered_at": "2024-03-04 00:00:00", "status": "aaa"},
        {"order_id": "f1", "customer_id": "ann", "ordered_at": "2024-03-04 00:00:00", "status": "completed"},
        {"order_id": "f2", "customer_id": "gil", "ordered_at": "2024-03-05 09:00:00", "status": "completed"},
    ],
    "order_items": [
        {
            "order_id": "a1",
            "line_id": "1",
            "product_id": "milk",
            "quantity": 2,
            "amount": 3.0,
            "discount": None,
        },
        {
            "order_id": "a1",
            "line_id": "2",
            "product_id": "bread",
            "quantity": 1,
            "amount": 2.0,
            "discount": 0.5,
        },
        {"order_id": "a2", "line_id": "1", "product_id": "milk", "quantity": 4, "amount": 6.0},
        {"order_id": "a3", "line_id": "1", "product_id": "milk", "quantity": 1, "amount": 1.5},
        {"order_id": "a3", "line_id": "2", "product_id": "tea", "quantity": 1, "amount": 4.0},
        {"order_id": "a4", "line_id": "1", "product_id": "ham", "quantity": 1, "amount": 3.0},
        {"order_id": "a5", "line_id": "1", "product_id": "ham", "quantity": 1, "amount": 3.0},
        {"order_id": "b1", "line_id": "1", "product_id": "milk", "quantity": 1, "amount": 1.5},
        {"order_id": "b1", "line_id": "2", "product_id": "ham", "quantity": 2, "amount": 6.0},
        {"order_id": "b1", "line_id": "3", "product_id": "ham", "quantity": 0, "amount": 3.0},
        {"order_id": "b1", "line_id": "4", "product_id": "odd", "quantity": 1, "amount": 1.0},
        {"order_id": "d1", "line_id": "1", "product_id": "milk", "quantity": 1, "amount": 1.5},
        {"order_id": "e1", "line_id": "1", "product_id": "milk", "quantity": 1, "amount": 1.5},
        {"order_id": "e1", "line_id": "2", "product_id": "milk", "quantity": -1, "amount": 1.5},
        {"order_id": "x1", "line_id": "1", "product_id": "milk", "quantity": 1, "amount": 1.5},
        {"order_id": "f1", "line_id": "1", "product_id": "bread", "quantity": 1, "amount": 9.0},
        {"order_id": "f2", "line_id": "1", "product_id": "new", "quantity": 1, "amount": 2.0},
    ],
    "reviews": [
        {
            "review_id": "r1",
            "customer_id": "cay",
            "product_id": "ham",
            "rating": 1,
            "reviewed_at": "2024-02-10 10:00:00",
        },
        {
            "review_id": "r2",
            "customer_id": "cay",
            "product_id": "ham",
            "rating": 9,
            "reviewed_at": "2024-02-10 10:00:00",
            "body": "write to cay@example.com",
        },
        {
            "review_id": "r3",
            "customer_id": "cay",
            "product_id": "tea",
            "rating": 5,
            "reviewed_at": "2024-03-04 00:00:00",
        },
    ],
    "browsing_events": [
        {
            "event_id": "v1",
            "customer_id": "fay",
            "product_id": "new",
            "event_type": "View",
            "occurred_at": "2024-02-21 10:00:00",
        },
        {
            "event_id": "v2",
            "customer_id": "dan",
            "product_id": "new",
            "event_type": "view",
            "occurred_at": "2024-02-21 10:00:00",
        },
        {
            "event_id": "v3",
            "customer_id": "fay",
            "product_id": "tea",
            "event_type": "view",
            "occurred_at": "2024-03-04 08:00:00",
        },
        {
            "event_id": "v1",
            "customer_id": "ann",
            "product_id": "tea",
            "event_type": "add_to_cart",
            "occurred_at": "2024-03-04 08:00:00",
        },
    ],
    "searches": [
        {"search_id": "q1", "customer_id": "fay", "query": "tea", "searched_at": "2024-02-21 10:00:00"},
        {"search_id": "q2", "customer_id": "fay", "query": "ham", "searched_at": "2024-03-04 10:00:00"},
    ],
    "inventory": [
        {"product_id": "ham", "counted_at": "2024-02-01 00:00:00", "stock": 5},
        {"product_id": "ham", "counted_at": "2024-03-03 22:00:00", "stock": 0},
        {"product_id": "ham", "counted_at": "2024-03-04 00:00:00", "stock": 8},
        {"product_id": "milk", "counted_at": "2024-03-04 00:00:00", "stock": 0},
    ],
    "returns": [
        # Two of four milks after the test anchor, then bob's two hams in two parts; the second
        # part is back only after the test anchor. The last return is not known yet.
        {
            "return_id": "t1",
            "order_id": "a2",
            "product_id": "milk",
            "quantity": 2,
            "returned_at": "2024-02-10 00:00:00",
        },
        {
            "return_id": "t2",
            "order_id": "b1",
            "product_id": "ham",
            "quantity": 1,
            "returned_at": "2024-02-03 00:00:00",
        },
        {
            "return_id": "t3",
            "order_id": "b1",
            "product_id": "ham",
            "quantity": 1,
            "returned_at": "2024-02-12 00:00:00",
        },
        {
            "return_id": "t4",
            "order_id": "a1",
            "product_id": "milk",
            "quantity": 2,
            "returned_at": "2024-03-04 00:00:00",
        },
        {
            "return_id": "t1",
            "order_id": "a1",
            "product_id": "milk",
            "quantity": 2,
            "returned_at": "2024-03-04 00:00:00",
        },
    ],
    "merchants": [{"merchant_id": "m1", "name": "Farm"}],
    "promotions": [
        {
            "promotion_id": "o1",
            "product_id": "milk",
            "kind": "price",
            "announced_at": "2024-02-01 00:00:00",
            "start_at": "2024-03-04 00:00:00",
            "end_at": "2024-03-11 00:00:00",
            "reach": 1.0,
        },
        {
            "promotion_id": "o2",
            "product_id": "tea",
            "kind": "price",
            "announced_at": "2024-03-04 00:00:00",
            "start_at": "2024-03-04 00:00:00",
            "end_at": "2024-03-11 00:00:00",
            "reach": 1.0,
        },
        {
            "promotion_id": "o3",
            "product_id": "bread",
            "kind": "Mailer",
            "announced_at": "2024-01-20 00:00:00",
            "start_at": "2024-02-12 00:00:00",
            "end_at": "2024-02-19 00:00:00",
            "reach": 0.5,
        },
        # Planned for the test anchor's label window, but announced after that anchor.
        {
            "promotion_id": "o4",
            "product_id": "milk",
            "kind": "display",
            "announced_at": "2024-02-05 00:00:00",
            "start_at": "2024-02-26 00:00:00",
            "end_at": "2024-03-04 00:00:00",
            "reach": 0.2,
        },
    ],
    "campaign_events": [
        {
            "event_id": "k1",
            "campaign": "weekly",
            "customer_id": "ann",
            "event_type": "sent",
            "occurred_at": "2024-02-26 06:00:00",
        },
        {
            "event_id": "k2",
            "campaign": "weekly",
            "customer_id": "ann",
            "event_type": "opened",
            "occurred_at": "2024-03-04 06:00:00",
        },
    ],
    "consents": [
        {"customer_id": "cay", "state": "unsubscribed", "effective_at": "2024-01-01 00:00:00"},
        {"customer_id": "cay", "state": "subscribed", "effective_at": "2024-02-01 00:00:00"},
        {"customer_id": "dan", "state": "objected", "effective_at": "2024-02-15 00:00:00"},
        {"customer_id": "eve", "state": "erased", "effective_at": "2024-02-15 00:00:00"},
        {"customer_id": "ann", "state": "unsubscribed", "effective_at": "2024-03-04 00:00:00"},
        {"customer_id": "fay", "state": "erased", "effective_at": "2024-03-05 00:00:00"},
    ],
}

# Reasons: code, text, family, product and date of the evidence, support and confidence of the rule.
BOUGHT_MILK = (
    "bought_often", "You bought this on 3 days, last on 3 Mar", "bought_before", "milk", "2024-03-03", None, None,
)  # fmt: skip
GOES_WITH_MILK = (
    "bought_together", "Often bought with Milk, which you bought on 3 Mar", "bought_with", "milk", "2024-03-03",
    0.25, 0.5,
)  # fmt: skip
VIEWED_NEW = (
    "viewed", "You looked at this on 21 Feb", "viewed_or_wished", "new", "2024-02-21", None, None,
)  # fmt: skip


def mailed(arm, number):
    """Slot type, ladder, sent and bought before, window; then what an email carries: arm, id, times, model, hash, page."""
    page = f"https://shop.example/{number}?recommendation_id={number:020x}"
    return (
        "personal", "personal", "no", False, 14,
        arm, f"{number:020x}", "2024-03-04 06:00:00+00", "2024-03-18 00:00:00+00", "query 0.3.0", f"{number:064x}", page,
    )  # fmt: skip


# What the recommenders and campaigns would write for this week.
MODEL = {
    "recommendations": [
        ("2024-03-04", "ann", "milk", 1, 0.9, 0.25, "repurchase", *BOUGHT_MILK),
        ("2024-03-04", "ann", "bread", 2, 0.5, 0.25, "rules", *GOES_WITH_MILK),
        ("2024-03-04", "fay", "new", 1, 0.1, 0.25, "popularity", *VIEWED_NEW),
    ],
    "email_selection": [
        ("2024-03-04", "weekly_email", "ann", 1, "milk", 0.9, 0.25, "repurchase", *BOUGHT_MILK, *mailed("treatment", 1)),
        ("2024-03-04", "weekly_email", "ann", 2, "bread", 0.5, 0.25, "rules", *GOES_WITH_MILK, *mailed("treatment", 2)),
        ("2024-03-04", "first_steps", "fay", 1, "new", 0.1, 0.25, "popularity", *VIEWED_NEW, *mailed("treatment", 3)),
        # Held out: in a table of her own.
        ("2024-03-04", "first_steps", "ann", 1, "milk", 0.1, 0.25, "popularity", *BOUGHT_MILK, *mailed("holdout", 4)),
        ("2024-02-26", "weekly_email", "ann", 1, "milk", 0.9, 0.25, "repurchase", *BOUGHT_MILK, *mailed("treatment", 5)),
        # Withdrew after the campaign chose.
        ("2024-03-04", "weekly_email", "dan", 1, "milk", 0.9, 0.25, "repurchase", *BOUGHT_MILK, *mailed("treatment", 6)),
    ],
    "campaign_traces": [
        (
            "weekly_email", "2024-03-04", "ann", "milk", -0.25, -2.0, 0.25,
            "customer_product_order_days", None, None, None, None,
            1.75, None, None, None, None,
            1, 1.75,
        ),
        (
            "weekly_email", "2024-03-04", "ann", "bread", -1.0, -2.0, 0.25,
            "product_buyers", None, None, None, None,
            1.0, None, None, None, None,
            None, 1.0,
        ),
    ],
    "campaign_predictions": [
        ("2024-03-04", "affinity", "ann", "dairy", 1, 0.5, 0.6, None),
        ("2024-03-04", "affinity", "ann", "bakery", 2, -0.5, 0.4, None),
        ("2024-02-26", "affinity", "ann", "dairy", 1, 0.5, 0.6, None),
    ],
    "campaign_customers": [
        ("2024-03-04", "weekly_email", "ann", "selected"),
        *(("2024-03-04", "weekly_email", name, "no_consent") for name in ("bob", "cay", "dan", "fay")),
        ("2024-03-04", "first_steps", "fay", "selected"),
        ("2024-03-04", "first_steps", "ann", "holdout"),
        *(("2024-03-04", "first_steps", name, "not_in_audience") for name in ("bob", "cay", "dan")),
        ("2024-03-04", "affinity", "ann", "selected"),
        *(("2024-03-04", "affinity", name, "not_in_audience") for name in ("bob", "cay", "dan", "fay")),
        ("2024-02-26", "affinity", "ann", "selected"),
    ],
    # Five customers, and eve, who is erased.
    "campaign_outcomes": [
        ("2024-03-04", "weekly_email", 1, "selected", 1),
        ("2024-03-04", "weekly_email", 2, "erased", 1),
        ("2024-03-04", "weekly_email", 5, "no_consent", 4),
        ("2024-03-04", "first_steps", 1, "selected", 1),
        ("2024-03-04", "first_steps", 2, "erased", 1),
        ("2024-03-04", "first_steps", 9, "not_in_audience", 3),
        ("2024-03-04", "first_steps", 17, "holdout", 1),
        ("2024-03-04", "affinity", 1, "selected", 1),
        ("2024-03-04", "affinity", 2, "erased", 1),
        ("2024-03-04", "affinity", 9, "not_in_audience", 4),
    ],
    "rule_price_tags": [
        (
            "2024-03-04", "weekly_email", "2024-02-05", 1, "available", "product", 4, 1,
            3.0, 2.0, 1.0, -0.5, 2.5, 2.5, -0.5, -1.0, 0.0, None, None, None, None, None,
        )
    ],
    "campaign_tests": [
        ("2024-03-04", "weekly_email", "2024-02-05", "map@12", "query", "all", 0.3, None, None, None, None, True),
        ("2024-03-04", "weekly_email", "2024-02-05", "map@12", "ease", "all", 0.2, 0.1, 0.05, 0.15, None, False),
    ],
    "buy_it_again": [
        (
            "2024-03-04", "ann", 1, "milk", 0.9, 0.25, 0.5, 40.0, "2024-04-12", 0.725, "bought_often",
            "You bought this on 3 days, last on 3 Mar", None,
        )
    ],
    "product_neighbours": [
        (
            "2024-03-04",
            "bought_together",
            "milk",
            "bread",
            1,
            0.5,
            1,
            0.25,
            0.25,
            1.0,
            "Often bought with Milk",
        ),
        ("2024-03-04", "similar", "milk", "bread", 1, 0.2, None, None, None, None, "Like Milk"),
    ],
    "association_rules": [("2024-03-04", ["bread", "tea"], "milk", 1, 1, 3, 4, 1, 0.25, 1.0, 1.33, 1.02, 0.06, None, 0.75, 1.0)],
    "metrics": [("2024-03-04", "2024-02-05", "all", "all", "popularity", "map", 12, 0.067, 0.06, 0.07, 4)],
    "decisions": [
        (
            "2024-03-04",
            "2024-02-05",
            1,
            "map@12",
            "repurchase",
            "popularity",
            0.3,
            0.1,
            0.2,
            0.15,
            0.25,
            4,
            True,
            "repurchase",
        )
    ],
    # Scores, features and their contributions; then DYNAMIC: ranks, and contributions that add up to the score.
    "traces": [
        (
            "2024-03-04", "ann", "milk", -0.25, -2.0, 0.25,
            "customer_product_order_days", "product_buyers", "product_price", None, None,
            1.5, 0.5, -0.25, None, None,
            2, 1, None, 1.5, 0.5, -0.25,
        ),
        (
            "2024-03-04", "ann", "bread", -1.0, -2.0, 0.25,
            "product_buyers", "product_price", None, None, None,
            0.5, 0.5, None, None, None,
            2, None, 2, 0.0, 0.5, 0.5,
        ),
        (
            "2024-03-04", "fay", "new", -2.5, -2.0, 0.25,
            "product_buyers", None, None, None, None,
            -0.5, None, None, None, None,
            1, None, None, 0.0, -0.5, 0.0,
        ),
    ],
    "waterfall": [
        ("2024-03-04", "2024-02-05", "all", "all", 12, "all", "listed", 3, 0.75),
        ("2024-03-04", "2024-02-05", "all", "all", 12, "all", "removed:in_stock", 1, 0.25),
        ("2024-03-04", "2024-02-05", "all", "all", 12, "all", "outranked", 0, 0.0),
        ("2024-03-04", "2024-02-05", "all", "all", 12, "all", "not_retrieved", 0, 0.0),
        ("2024-03-04", "2024-02-05", "all", "all", 12, "popularity", "retrieved", 4, 1.0),
        ("2024-03-04", "2024-02-05", "all", "all", 12, "popularity", "retrieved_alone", 1, 0.25),
    ],
    # The test anchor's window ends with the week's midnight, the last that is known whole.
    "forecasts": [
        ("2024-03-04", "test_anchor", "2024-02-05", "2024-03-04", 2, 4, 1.5, 2, 3.25, 2.5),
        ("2024-03-04", "weekly_email", "2024-01-29", "2024-02-26", 1, 2, 0.5, 0, 1.0, 0.0),
        ("2024-02-26", "weekly_email", "2024-01-22", "2024-02-19", 1, 2, 0.5, 0, 1.0, 0.0),
    ],
    "rule_outcomes": [
        ("2024-03-04", "weekly_email", 1, "available", 3, 2),
        ("2024-03-04", "weekly_email", 2, "in_stock", 1, 1),
    ],
    "gates": [
        (
            "2024-03-04", "volume", "orders", 120, 2, 99, False, True, "new shop", "orders: 120 rows after 10.", 10,
        ),
        ("2024-03-04", "model", "ranker", None, None, None, True, False, None, "ranker: no earlier week.", None),
        ("2024-02-26", "volume", "orders", 10, None, None, True, False, None, "orders: 10 rows.", None),
    ],
    "backtest": [
        (
            "2024-03-04", "all", "ranker", "map", 12, 3, 4, 0.30, "repurchase", 0.05, 0.01, 0.09,
        ),
        (
            "2024-03-04", "all", "repurchase", "map", 12, 3, 4, 0.25, "repurchase", 0.0, 0.0, 0.0,
        ),
    ],
}  # fmt: skip

# Columns that the sources do not declare: one per recommender and family.
DYNAMIC = {
    "traces": {
        "rank_popularity": "smallint",
        "rank_repurchase": "smallint",
        "rank_item_knn": "smallint",
        "family_bought_before": "double",
        "family_popular": "double",
        "family_price": "double",
    },
    "campaign_traces": {"rank_repurchase": "smallint", "family_bought_before": "double"},
}

# One fault for each test that dbt runs every week.
FAULTS = (
    # A shop with words of its own.
    """update intermediate.int_order_states set counts_as = 'unknown' where counts_as = 'purchase'""",
    # 3 of 100 is above 2 %; 40 of 49 is not judged, the table is too small.
    """update intermediate.int_quarantine_shares set rows = 100, rejected = 3, share = 0.03
       where source_table = 'orders' and reason = 'any'""",
    "delete from intermediate.int_quarantine_shares where source_table = 'orders' and reason <> 'any'",
    "delete from intermediate.int_rows_rejected where source_table = 'orders'",
    """insert into intermediate.int_quarantine_shares by name
       select 'orders' as source_table, * from (values ('future_date', 1, 100), ('late_word', 2, 100)) as t (reason, rejected, rows)""",
    "comment on table raw.orders is 'orders/a.csv, orders/b.csv and 5 more'",
    # The first of the keys that hold no address is shown.
    """insert into intermediate.int_rows_rejected by name
       select 'orders' as source_table, unnest(['0-[email]', '1-good', '2-worse']) as row_key, 'late_word' as reason""",
    """update intermediate.int_quarantine_shares set rows = 49, rejected = 40, share = 0.82
       where source_table = 'order_items' and reason = 'any'""",
    # dan objected.
    "insert into marts.interactions by name select 'dan' as customer_id, 'milk' as product_id",
    """insert into recs.quarantine by name select 'orders' as source_table, 'k' as row_key, 'r' as reason,
       '{"note":"ann@example.com"}' as row_json""",
    # bob's flag is off; his first slot is missing.
    """insert into recs.email_recommendations by name
       select campaign, as_of, 'bob' as customer_id, 2 as slot, product_id from recs.email_recommendations
       where campaign = 'weekly_email' limit 1""",
    # Bob has ann's address now, and somebody said no under an id that nobody has.
    "update intermediate.int_customer_addresses set address_group = 1 where customer_id = 'bob'",
    """insert into raw.consents values ('X-99', 'unsubscribed', '2024-03-01'),
       ('ina.probe@example.com', 'objected', '2024-03-01')""",
    # ham is sold out, and ann never bought it.
    """insert into recs.buy_it_again by name
       select date '2024-03-04' as as_of, 'ann' as customer_id, 2 as rank, 'ham' as product_id""",
    # Not due before half of the gap is over.
    "update recs.buy_it_again set due_ratio = 0.49 where product_id = 'milk'",
    "update recs.baskets set ordered_at = '2024-03-04 00:00:00' where order_id = 'a3'",
    # Bob's row of the email has no trace either, nor is he counted; fay's score is 0.00001 beside its parts.
    "delete from recs.recommendation_traces where product_id = 'bread'",
    # Over before it is sent.
    "update recs.email_recommendations set expires_at = send_at where campaign = 'weekly_email' and slot = 1",
    "update recs.recommendation_traces set base_score = base_score + 0.00001 where customer_id = 'fay'",
    "update recs.recall_waterfall set share = 0.76 where stage = 'listed'",
    "update recs.forecasts set window_end = '2024-03-05' where campaign = 'test_anchor'",
)


@dataclass(frozen=True)
class Warehouse:
    """A build file, and dbt running on it with the session's vars."""

    path: Path
    target: Path

    def sql(self, query: str) -> list[tuple]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def execute(self, *statements: str) -> None:
        with duckdb.connect(str(self.path)) as connection:
            for statement in statements:
                connection.execute(statement)

    def dbt(self, *arguments: str, fails: bool = False, **more: object) -> str:
        """Run dbt in a subprocess, as the weekly run does, with `more` vars; its output."""
        environment = {
            **os.environ,
            "RECS_BUILD_DB": str(self.path),
            "RECS_MEMORY_LIMIT": "1GB",
            "DBT_TARGET_PATH": str(self.target),
            "DBT_LOG_PATH": str(self.target / "logs"),
        }
        command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments]
        command += [
            "--project-dir",
            str(PROJECT),
            "--profiles-dir",
            str(PROJECT),
            "--vars",
            yaml.safe_dump(VARS | more),
        ]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        output = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, output
        return output

    def copied_to(self, folder: Path) -> Warehouse:
        """A copy under the same file name: DuckDB names the catalogue after it, and views store that."""
        folder.mkdir(exist_ok=True)
        return Warehouse(Path(shutil.copy(self.path, folder)), self.target)

    def moved_to(self, folder: Path) -> Warehouse:
        folder.mkdir(exist_ok=True)
        return Warehouse(self.path.rename(folder / self.path.name), self.target)


def _create_raw(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("create schema raw")
    for table in RAW_TABLES.values():
        columns = ", ".join(f"{c.name} {c.type.replace('TIMESTAMPTZ', 'TIMESTAMP')}" for c in table.columns)
        connection.execute(f"create table raw.{table.name} ({columns})")
        for row in RAW[table.name]:
            places = ", ".join("?" * len(row))
            connection.execute(
                f"insert into raw.{table.name} ({', '.join(row)}) values ({places})", list(row.values())
            )


def _create_model(connection: duckdb.DuckDBPyConnection) -> None:
    """The tables Python writes, with the types that the dbt sources declare for them."""
    sources = yaml.safe_load((PROJECT / "models/published/_model__sources.yml").read_text())
    connection.execute("create schema model")
    for table in sources["sources"][0]["tables"]:
        types = {column["name"]: column["data_type"] for column in table["columns"]}
        types |= DYNAMIC.get(table["name"], {})
        columns = ", ".join(f'"{name}" {type_}' for name, type_ in types.items())
        connection.execute(f"create table model.{table['name']} ({columns})")
        for row in MODEL[table["name"]]:
            connection.execute(
                f"insert into model.{table['name']} values ({', '.join('?' * len(row))})", list(row)
            )


@pytest.fixture(scope="session")
def raw(tmp_path_factory) -> Warehouse:
    """Raw and model tables only."""
    folder = tmp_path_factory.mktemp("dbt")
    path = folder / "build.duckdb"
    with duckdb.connect(str(path)) as connection:
        _create_raw(connection)
        _create_model(connection)
    return Warehouse(path, folder / "target")


@pytest.fixture(scope="session")
def build(raw: Warehouse):
    """Function: everything from staging to features, by one dbt command, on raw rows after `statements`
    and with `more` vars.

    Every build runs at one path, because dbt parses its project anew when the path changes.
    """
    folder = raw.path.parent

    def run(name: str, command: str, *statements: str, **more: object) -> Warehouse:
        work = raw.copied_to(folder / "work")
        work.execute(*statements)
        work.dbt(command, "--selector", "prepare", **more)
        return work.moved_to(folder / name)

    return run


@pytest.fixture(scope="session")
def prepared(build) -> Warehouse:
    """The shop, staging to features."""
    return build("prepared", "build")


@pytest.fixture(scope="session")
def published(prepared: Warehouse) -> Warehouse:
    """The shop, with schema recs."""
    folder = prepared.path.parent.parent
    work = prepared.copied_to(folder / "work")
    work.dbt("build", "--selector", "publish")
    return work.moved_to(folder / "published")


@pytest.fixture(scope="session")
def tested(published: Warehouse) -> str:
    """dbt's output of the unit tests, and of the singular tests after one fault for each of them."""
    work = published.copied_to(published.path.parent.parent / "work")
    work.execute(*FAULTS)
    return work.dbt(
        "test",
        "--select",
        "test_type:unit",
        "test_type:singular",
        "test_name:contiguous_from_one",
        fails=True,
    )
