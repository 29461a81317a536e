"""Prices, currencies, and what is no product."""

from __future__ import annotations

import pytest


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
