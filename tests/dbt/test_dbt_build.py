"""The hand-written shop of conftest.py, through dbt, row by row."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import duckdb
import pytest

from helpers.dbt_build import ROOT
from recs_assets.exports.email import LONG
from recs_assets.schema import RAW_TABLES

WEEK = date(2024, 3, 4)
TEST = date(2024, 2, 5)


def test_customers(prepared):
    rows = prepared.sql(
        "select customer_id, email_eligible, consent_state, order_count, last_order_at from marts.customers"
    )
    assert rows == [
        ("ann", True, "subscribed", 3, datetime(2024, 3, 3, 23, 59, 59)),
        ("bob", False, "subscribed", 1, datetime(2024, 2, 1, 10)),
        ("cay", True, "subscribed", 0, None),
        ("dan", False, "objected", 1, datetime(2024, 2, 1, 11)),
        ("fay", True, "subscribed", 0, None),
    ]


def test_products_and_prices(prepared):
    # Bread has no catalogue price, and one sale does not tell a usual one.
    assert prepared.sql("select product_id, name, price, price_kind, currency from marts.products") == [
        ("bread", "Bread", None, None, "EUR"),
        ("ham", None, 3.0, "catalogue", "EUR"),  # N/A
        ("milk", "Milk", 1.5, "catalogue", "EUR"),
        ("new", "New", 2.0, "catalogue", "EUR"),
        ("tea", "Tea", 4.0, "catalogue", "EUR"),
    ]


def test_order_lines(prepared):
    units = "quantity, returned_quantity, net_quantity"
    columns = f"order_id, line_id, product_id, {units}, net_amount, fully_returned_at"
    assert prepared.sql(f"select {columns} from marts.order_lines") == [
        ("a1", "1", "milk", 2, 0, 2, 3.0, None),
        ("a1", "2", "bread", 1, 0, 1, 2.0, None),
        ("a2", "1", "milk", 4, 2, 2, 3.0, None),
        ("a3", "1", "milk", 1, 0, 1, 1.5, None),
        ("a3", "2", "tea", 1, 0, 1, 4.0, None),
        ("b1", "1", "milk", 1, 0, 1, 1.5, None),
        ("b1", "2", "ham", 2, 2, 0, 0.0, datetime(2024, 2, 12)),
        ("d1", "1", "milk", 1, 0, 1, 1.5, None),
    ]


def test_baskets(prepared):
    assert prepared.sql("select order_id, line_count, product_count, units, amount from marts.baskets") == [
        ("a1", 2, 2, 3.0, 5.0),
        ("a2", 1, 1, 2.0, 3.0),
        ("a3", 2, 2, 2.0, 5.5),
        ("b1", 1, 1, 1.0, 1.5),
        ("d1", 1, 1, 1.0, 1.5),
    ]


def test_interactions(prepared):
    columns = "customer_id, product_id, order_id, event_type, quantity, weight, voided_at"
    assert prepared.sql(f"select {columns} from marts.interactions") == [
        ("ann", "bread", "a1", "purchase", 1, 1.0, None),
        ("ann", "milk", "a1", "purchase", 2, 1.0, None),
        ("ann", "milk", "a2", "purchase", 4, 1.0, None),
        ("ann", "milk", "a3", "purchase", 1, 1.0, None),
        ("ann", "tea", "a3", "purchase", 1, 1.0, None),
        ("bob", "ham", "b1", "purchase", 2, 1.0, datetime(2024, 2, 12)),
        ("bob", "milk", "b1", "purchase", 1, 1.0, None),
        ("cay", "ham", None, "review", 1, -0.5, None),
        ("fay", "new", None, "view", 1, 0.1, None),
    ]


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


def test_rejected_rows_have_reasons(prepared):
    # The erased customer's bad line e1|2 is not kept, not even here.
    assert prepared.sql("select source_table, row_key, reason from intermediate.int_rows_rejected") == [
        ("browsing_events", "v1", "duplicate_row"),
        ("customers", "", "missing_key"),
        ("customers", "ann", "duplicate_row"),
        ("order_items", "b1|3", "non_positive_quantity"),
        ("order_items", "b1|4", "orphan_product"),
        ("order_items", "x1|1", "orphan_order"),
        ("orders", "a1", "duplicate_row"),
        ("orders", "a1", "duplicate_row"),
        ("orders", "x1", "orphan_customer"),
        ("orders", "x2", "implausible_date"),
        ("orders", "x3", "future_date"),
        ("products", "odd", "negative_amount"),
        ("returns", "t1", "duplicate_row"),
        ("reviews", "r2", "rating_out_of_range"),
    ]


def test_rejected_shares_leave_out_later_weeks(prepared):
    # 15 orders, three of them between as_of and landing; x1, x2, x3 and one a1 are rejected.
    rows = prepared.sql(
        "select reason, rows, rejected from intermediate.int_quarantine_shares where source_table = 'orders'"
    )
    assert rows == [
        ("any", 12, 4),
        ("duplicate_row", 12, 1),
        ("future_date", 12, 1),
        ("implausible_date", 12, 1),
        ("orphan_customer", 12, 1),
    ]
    judged = prepared.sql("select source_table from intermediate.int_quarantine_shares where reason = 'any'")
    assert sorted(name for (name,) in judged) == sorted(RAW_TABLES)


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
    filled = "email_hash, send_at, expires_at, model_version, recommendation_id, url, list_price, run_id, suppression_checked_at"
    [row] = published.sql(f"select {filled} from recs.email_recommendations where product_id = 'milk'")
    assert row == (
        f"{1:064x}",
        datetime(2024, 3, 4, 6, tzinfo=UTC),
        datetime(2024, 3, 18, tzinfo=UTC),
        "query 0.3.0",
        f"{1:020x}",
        f"https://shop.example/1?recommendation_id={1:020x}",
        1.5,
        None,
        None,
    )


def test_a_price_carries_its_own_currency(published):
    """Ann pays in pounds, fay in nobody knows what; the shop's only currency is the euro."""
    assert published.sql("select distinct currency from recs.email_recommendations") == [("EUR",)]
    assert published.sql("select distinct currency from recs.customer_recommendations") == [("EUR",)]
    assert published.sql("select currency from recs.customers where customer_id = 'ann'") == [("GBP",)]
    assert published.sql("select distinct currency, amount = order_amount from recs.order_lines") == [
        ("EUR", True)
    ]


@pytest.fixture(scope="module")
def money(build):
    """More orders: products without a catalogue price, postage, and a line paid in pounds.

    Ten people's bottles at 12.50 on ten days, then nine at 1.00 in one clearance, and a reseller's six orders at 8.00;
    ten bags of nuts, each at a price of its own; postage with every bottle.
    """
    sold = """
        select 'bottle' || day as order_id, 'c' || day as customer_id, 'bottle' as product_id,
            timestamp '2024-01-10 10:00' + interval (day) day as ordered_at, 1.0 as quantity, 12.0 as amount,
            0.5 as discount, null as currency from range(10) days (day)
        union all
        select 'clearance' || line, 'c' || line, 'bottle', timestamp '2024-03-03 09:00', 1.0, 1.0, 0.0, null
        from range(9) lines (line)
        union all
        select 'reseller' || day, 'reseller', 'bottle', timestamp '2024-02-20 10:00' + interval (day) day, 50.0, 400.0,
            0.0, null from range(6) days (day)
        union all
        select 'nuts' || day, 'c' || day, 'nuts', timestamp '2024-02-10 10:00' + interval (day) day, 1.0,
            0.5 * (1 + day), 0.0, 'EUR' from range(10) days (day)
        union all
        select 'bottle' || day, 'c' || day, 'POST', timestamp '2024-01-10 10:00' + interval (day) day, 1.0, 4.0, 0.0, null
        from range(10) days (day)
        union all
        select 'pound' || day, 'bob', 'mug', timestamp '2024-02-10 10:00' + interval (day) day, 1.0, 7.0, 1.0, 'GBP'
        from range(3) days (day)
    """
    return build(
        "money",
        "run",
        f"create table sold as {sold}",
        "insert into raw.customers (customer_id, email_eligible) select 'c' || number, true from range(10) t(number)",
        "insert into raw.customers (customer_id, email_eligible) values ('reseller', true)",
        """insert into raw.products (product_id, name, category) values
           ('bottle', 'Bottle', 'drinks'), ('nuts', 'Nuts', 'bulk'), ('mug', 'Mug', 'ware'), ('POST', 'Postage', 'ware')""",
        """insert into raw.orders (order_id, customer_id, ordered_at, status, currency)
           select order_id, any_value(customer_id), any_value(ordered_at), 'completed', any_value(currency)
           from sold group by order_id""",
        """insert into raw.order_items (order_id, line_id, product_id, quantity, amount, discount)
           select order_id, product_id, product_id, quantity, amount, discount from sold""",
        "drop table sold",
        shop_currency="EUR",
    )


def test_a_usual_price_is_not_moved_by_one_buyer_or_one_day(money):
    columns = "product_id, price, list_price, price_kind, price_from, currency"
    assert money.sql(
        f"select {columns} from marts.products where product_id in ('bottle', 'nuts', 'bread')"
    ) == [
        ("bottle", 12.5, 12.5, "usual", None, "EUR"),
        ("bread", None, None, None, None, "EUR"),
        ("nuts", 3.0, 3.0, "varies", 1.0, "EUR"),
    ]


def test_money_of_another_currency_counts_as_nothing(money):
    columns = "currency, amount, discount, net_amount, unit_price, order_amount"
    assert money.sql(f"select distinct {columns} from marts.order_lines where product_id = 'mug'") == [
        ("GBP", None, None, None, None, 7.0)
    ]
    assert money.sql("select price, currency from marts.products where product_id = 'mug'") == [(None, "EUR")]
    bob = "from features.customer_features where as_of = date '2024-03-04' and customer_id = 'bob'"
    # 1.50 for milk; ham went back. Three mugs are orders, and no money.
    assert money.sql(f"select order_count, spend {bob}") == [(4, 1.5)]
    assert money.sql(
        "select purchases, unit_price_91d from features.product_features "
        "where as_of = date '2024-03-04' and product_id = 'mug'"
    ) == [(3, None)]


def test_what_is_no_product_is_in_order_lines_alone(money):
    assert money.sql("select product_id, verdict, signs from intermediate.int_not_products") == [
        ("POST", "kept_out", "name, nothing else in the name, in many baskets")
    ]
    assert money.sql("select count(*), sum(amount) from marts.order_lines where product_id = 'POST'") == [
        (10, 40.0)
    ]
    assert money.sql("select 1 from marts.interactions where product_id = 'POST'") == []
    assert money.sql(
        "select distinct available, buyers from features.product_features where product_id = 'POST'"
    ) == [(False, 0)]


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
    # The opening is of the week's midnight.
    assert published.sql("select event_id, customer_id, event_type from recs.campaign_events") == [
        ("k1", "ann", "sent")
    ]
    assert published.sql("select rule, purchases_gained, margin_gained from recs.rule_price_tags") == [
        ("available", 1.0, None)
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
    assert published.sql("select product_name, neighbour_name from recs.similar_products") == [
        ("Milk", "Bread")
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


def test_every_relation_and_column_has_a_comment(published):
    shown = "('staging', 'intermediate', 'marts', 'features', 'recs')"
    missing = published.sql(
        f"""
        select schema_name, table_name, column_name from duckdb_columns()
        where schema_name in {shown} and coalesce(comment, '') = ''
        union all
        select schema_name, table_name, '' from duckdb_tables()
        where schema_name in {shown} and coalesce(comment, '') not like 'One row per %'
        union all
        select schema_name, view_name, '' from duckdb_views()
        where schema_name in {shown} and coalesce(comment, '') not like 'One row per %'
        """
    )
    assert missing == []


@pytest.mark.parametrize("path", sorted((ROOT / "queries").glob("*.sql")), ids=lambda path: path.stem)
def test_example_queries_run(published, path):
    text = path.read_text()
    assert text.startswith("-- "), "the first comment states the question"
    with duckdb.connect(str(published.path), read_only=True) as connection:
        assert connection.execute(text).description


def test_there_are_enough_example_queries():
    assert len(list((ROOT / "queries").glob("*.sql"))) >= 8
