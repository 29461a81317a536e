"""What Python would have written for the week of the dbt tests' shop."""

from __future__ import annotations

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


def send(arm, number):
    """Slot type, ladder, sent and bought before, window; then what an email carries: arm, id, times, model, hash, page."""
    page = f"https://shop.example/{number}?recommendation_id={number:020x}"
    return (
        "personal", "personal", "no", False, 14,
        arm, f"{number:020x}", "2024-03-04 06:00:00+00", "2024-03-04 18:00:00+00", "2024-03-18 00:00:00+00", "query 0.3.0", f"{number:064x}", page,
    )  # fmt: skip


# Of a ranked product: how it was scored, and why it is there.
EVIDENCE = (
    "score", "p_purchase", "source", "reason_code", "reason_text", "reason_family", "because_product_id", "because_at",
    "support", "confidence",
)  # fmt: skip
# Of the tables whose rows below are not in the order declared: their columns.
MODEL_COLUMNS = {
    "recommendations": [
        "as_of",
        "customer_id",
        "product_id",
        "rank",
        *EVIDENCE,
    ],
    "email_selection": [
        "as_of",
        "campaign",
        "customer_id",
        "slot",
        "product_id",
        *EVIDENCE,
        "slot_type",
        "fallback_level",
        "sent_before",
        "bought_before",
        "window_days",
        "arm",
        "recommendation_id",
        "send_at",
        "best_send_at",
        "expires_at",
        "model_version",
        "email_hash",
        "url",
    ],
    "product_neighbours": [
        "as_of",
        "kind",
        "product_id",
        "neighbour_id",
        "rank",
        "score",
        "baskets",
        "support",
        "confidence",
        "lift",
        "reason_text",
        "shared_facets",
    ],
    "monitor": [
        "as_of",
        "area",
        "metric",
        "subject",
        "value",
        "counted",
        "reference",
        "reference_weeks",
        "change_low",
        "change_high",
        "direction",
        "limit_low",
        "limit_high",
        "verdict",
        "advice",
        "sentence",
    ],
    "monitor_distributions": ["as_of", "subject", "bin", "lower_edge", "rows"],
    "gates": [
        "as_of",
        "gate",
        "subject",
        "value",
        "limit_low",
        "limit_high",
        "passed",
        "overridden",
        "reason",
        "sentence",
        "previous_value",
    ],
}


# What the recommenders and campaigns would write for this week.
MODEL = {
    "customer_identities": [],
    "customer_matches": [("ann", "bob", "review", None, 0.95, "last name, postcode", "first name")],
    "recommendations": [
        ("2024-03-04", "ann", "milk", 1, 0.9, 0.25, "repurchase", *BOUGHT_MILK),
        ("2024-03-04", "ann", "bread", 2, 0.5, 0.25, "rules", *GOES_WITH_MILK),
        ("2024-03-04", "fay", "new", 1, 0.1, 0.25, "popularity", *VIEWED_NEW),
    ],
    "email_selection": [
        ("2024-03-04", "weekly_email", "ann", 1, "milk", 0.9, 0.25, "repurchase", *BOUGHT_MILK, *send("treatment", 1)),
        ("2024-03-04", "weekly_email", "ann", 2, "bread", 0.5, 0.25, "rules", *GOES_WITH_MILK, *send("treatment", 2)),
        ("2024-03-04", "first_steps", "fay", 1, "new", 0.1, 0.25, "popularity", *VIEWED_NEW, *send("treatment", 3)),
        # Held out: in a table of her own.
        ("2024-03-04", "first_steps", "ann", 1, "milk", 0.1, 0.25, "popularity", *BOUGHT_MILK, *send("holdout", 4)),
        ("2024-02-26", "weekly_email", "ann", 1, "milk", 0.9, 0.25, "repurchase", *BOUGHT_MILK, *send("treatment", 5)),
        # Withdrew after the campaign chose.
        ("2024-03-04", "weekly_email", "dan", 1, "milk", 0.9, 0.25, "repurchase", *BOUGHT_MILK, *send("treatment", 6)),
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
    "goal_frontier": [
        (
            "2024-03-04", "weekly_email", "2024-02-05", 1, "as_said", None, "all", 4,
            0.75, 0.0, 0.0, 0.0, 1.5, 0.0, 0.0, 0.0, None, None, None, None, False,
        ),
        (
            "2024-03-04", "weekly_email", "2024-02-05", 2, "revenue_alone", None, "all", 4,
            0.25, -0.5, -0.75, -0.25, 1.0, -0.5, -0.75, -0.25, None, None, None, None, False,
        ),
        (
            "2024-03-04", "weekly_email", "2024-02-05", 3, "revenue", 1.0, "all", 4,
            0.5, -0.25, -0.5, 0.0, 2.0, 0.5, -0.25, 1.25, None, None, None, None, True,
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
    "attributions": [
        (
            "o1", "1", "ann", "milk", "2024-02-28 10:00:00", 3.0, 1.0, 0.0, "clicked", "2024-02-27 10:00:00", "e1",
            "00000000000000000098", "weekly_email", None, "email_recommendations", "2024-02-26", 1, "personal",
            "bought_often", "ease", None, "all", True,
        )
    ],
    "recommendation_results": [
        (
            "2024-02-26", "email", "weekly_email", "all", "all", 12, 12, 0, 12, 1, 0.083333, 1, 1, 1, 0.083333, 3.0, 1.0,
            1, None, 0.25, 0.083333, None, None, 3000.0, 1000.0, None, None, None, None,
        )
    ],
    "recommended_revenue": [
        ("2024-02-26", "all", 2, 2.0, 4.0, 1.0, 0.0, 0.0),
        ("2024-02-26", "other", 1, 1.0, 1.0, 0.25, 0.0, 0.0),
        ("2024-02-26", "recommended", 1, 1.0, 3.0, 0.75, 0.0, 0.0),
    ],
    "nightly_recommendations": [
        ("00000000000000000099", "buy_it_again", "2024-02-27", "ann", "milk", 1, 0.5, "Bought before")
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
            None,
        ),
        ("2024-03-04", "similar", "milk", "bread", 1, 0.2, None, None, None, None, "Like Milk", ["brand: Alpine"]),
    ],
    "follow_ups": [
        ("2024-03-04", "1 to 30 days", "product", "milk", 1, "bread", 3, 4, 0.75, 0.25, 3.0, 12.5, 0.2),
        ("2024-03-04", "91 to 182 days", "category", "dairy", 1, "bakery", 2, 4, 0.5, 0.25, 2.0, 120.0, 0.1),
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
    "product_embeddings": [
        ("2024-03-04", "milk", "graph_filter", 2, [1.5, 0.25]),
        ("2024-03-04", "milk", "content", 3, [0.6, 0.0, 0.8]),
        ("2024-02-26", "milk", "content", 3, [1.0, 0.0, 0.0]),
    ],
    "customer_embeddings": [("2024-03-04", "ann", "graph_filter", 2, [0.5, -0.25])],
    "table_gains": [
        ("2024-03-04", "tickets", "2024-02-05", 40, 7, 0.25, 0.5, 0.4, 0.1, 0.05, 0.15, 3, "gains", "tickets: +25.0 % MAP@12, proven"),
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
    "assignments": [
        ("ranker_first", "weekly_email", "ann", "ranker", "2024-02-26", "2024-02-27 09:00"),
        ("ranker_first", "weekly_email", "bob", "today", "2024-03-04", None),
    ],
    "experiments": [
        (
            "2024-03-04", "ranker_first", "weekly_email", "ranker", "challenger", 0.5, "2024-02-26", "2024-04-22", 1,
            1, 1, 1, "too early", 1, "Too early: needs 1 week.", "The ranker sells more.", "revenue",
        ),
        (
            "2024-03-04", "ranker_first", "weekly_email", "today", "control", 0.5, "2024-02-26", "2024-04-22", 1,
            1, 1, 0, None, None, None, "The ranker sells more.", "revenue",
        ),
    ],
    "experiment_results": [
        ("2024-03-04", "ranker_first", 1, "revenue", "ranker", "today", "primary", 1, 1, 2.0, 1.0, None, None, None, 1.0),
    ],
    "experiment_weeks": [("2024-03-04", "ranker_first", 1, "revenue", "ranker", "today", 1, None, None, None)],
    "experiment_segments": [
        ("2024-03-04", "ranker_first", 1, "revenue", "ranker", "today", "country", "DE", 1, 1, None, None, None, None, False),
    ],
    "shadow_recommendations": [
        ("2024-03-04", "weekly_email", "quiet", "ann", 1, "bread", 0.5, 0.1, "ease", "personal", "ease", 14),
    ],
    "shadow_results": [
        ("2024-03-04", "weekly_email", "quiet", "all", "sent", "purchases", 2, 3, 1.0, 0.5, 0.5, None, None, "They saw one."),
    ],
    "data_audit": [
        ("2024-03-04", 1, "readiness", "shop", "verdict", 0, "level", "stop", "No: 5 purchases are too few."),
        ("2024-03-04", 2, "inventory", "orders", "rows", 12, "rows", "good", "orders: 12 rows."),
        ("2024-02-26", 1, "readiness", "shop", "verdict", 0, "level", "stop", "No: 4 purchases are too few."),
    ],
    "customer_segments": [
        ("ann", "champions", 5, 5, 5, 5, 1, 3, 11.0),
        ("bob", "hibernating", 1, 1, 1, 1, 32, 1, 2.0),
    ],
    "questionnaire": [
        ("2024-03-04", 1, "pair-e59f", 1, "pair", "category", "Rather this or that?", "dairy", 0.25, 2),
        ("2024-03-04", 1, "pair-e59f", 2, "pair", "category", "Rather this or that?", "bakery", 0.25, 1),
    ],
    "customer_values": [
        ("2024-03-04", "ann", 5, 3, 11.0, 0.9, 4.5, 12.5, "last_quarter", 17.25, 48.0, "last_year"),
        ("2024-03-04", "bob", 2, 1, 2.0, None, None, 0.0, "last_quarter", None, 2.0, "last_year"),
    ],
    "value_methods": [
        ("2024-03-04", 91, "last_year", "2023-12-04", 91, 3.5, -1.0, -1.5, -0.5, 0.5, 0.25, 0.0, 0.0, 0.0, 1.125, 2, False, None),
        ("2024-03-04", 91, "last_quarter", "2023-12-04", 91, 2.5, 0.0, 0.0, 0.0, None, 0.5, 0.25, 0.125, 0.375, 1.0, 2, True, None),
        ("2024-03-04", 91, "everybody", "2023-12-04", 91, 2.0, 0.5, 0.25, 0.75, None, 0.125, -0.125, -0.25, -0.0625, 1.0, 2, False, "top_pays_less"),
        ("2024-03-04", 91, "regression", "2023-12-04", 91, None, None, None, None, None, None, None, None, None, None, 2, False, "nothing_to_learn"),
    ],
    "monitor": [
        (
            "2024-03-04", "all", "verdict", "all", 1, 2, None, None, None, None, "up", None, None, "alert",
            "look at the data", "Look at the data: 1 alert.",
        ),
        (
            "2024-03-04", "data", "rows", "orders", 120, 120, 10, 3, None, None, "both", 5, 20, "alert",
            "look at the data", "orders has 120 rows.",
        ),
        (
            "2024-02-26", "data", "rows", "orders", 10, 10, None, 0, None, None, "both", None, None, "unknown",
            "nothing to do", "orders has 10 rows.",
        ),
    ],
    "monitor_distributions": [
        ("2024-03-04", "orders.status", "completed", None, 100),
        ("2024-03-04", "order_items.amount", "01", None, 50),
        ("2024-02-26", "order_items.amount", "01", None, 50),
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
