"""Prices, currencies, and what is no product."""

from __future__ import annotations

import random
import re
from datetime import datetime, timedelta

import pytest

from helpers.dbt_build import PROJECT
from recs_assets.exports.email import _DECIMALS


def test_a_price_carries_its_own_currency(published):
    """Ann pays in pounds, fay in nobody knows what; the shop's only currency is the euro."""
    assert published.sql("select distinct currency from recs.email_recommendations") == [("EUR",)]
    assert published.sql("select distinct currency from recs.customer_recommendations") == [("EUR",)]
    assert published.sql("select currency from recs.customers where customer_id = 'ann'") == [("GBP",)]
    assert published.sql("select distinct currency, amount = order_amount from recs.order_lines") == [
        ("EUR", True)
    ]


def test_a_price_is_shown_in_the_recipients_currency(published):
    """A pound is 1.25 euros until the week; fay's currency is unknown, so she reads euros."""
    columns = "customer_id, product_id, price, shown_price, shown_currency, exchange_rate"
    assert published.sql(f"select distinct {columns} from recs.email_recommendations order by 1, 2") == [
        ("ann", "bread", None, None, "GBP", 1.25),
        ("ann", "milk", 1.5, 1.2, "GBP", 1.25),
        ("fay", "new", 2.0, 2.0, "EUR", 1.0),
    ]


def test_both_roundings_know_the_same_currencies():
    macro = (PROJECT / "macros" / "currencies.sql").read_text("utf-8")
    lists = dict(re.findall(r"set (whole|thousandths) = \[(.*?)\]", macro, re.S))
    found = {name: sorted(re.findall("[A-Z]{3}", codes)) for name, codes in lists.items()}
    assert found == {
        "whole": sorted(code for code, decimals in _DECIMALS.items() if decimals == 0),
        "thousandths": sorted(code for code, decimals in _DECIMALS.items() if decimals == 3),
    }


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


def test_money_of_another_currency_counts_at_its_rate_or_as_nothing(money):
    """The first mug was paid on 10 February, before the first rate of the pound."""
    columns = "currency, amount, discount, net_amount, unit_price, order_amount"
    assert money.sql(
        f"select {columns} from marts.order_lines where product_id = 'mug' order by ordered_at"
    ) == [
        ("GBP", None, None, None, None, 7.0),
        ("GBP", 8.75, 1.25, 8.75, 8.75, 7.0),
        ("GBP", 8.75, 1.25, 8.75, 8.75, 7.0),
    ]
    assert money.sql("select price, currency from marts.products where product_id = 'mug'") == [(None, "EUR")]
    bob = "from features.customer_features where as_of = date '2024-03-04' and customer_id = 'bob'"
    # 1.50 for milk and 8.75 for each of two mugs; ham went back. The first mug is an order, and no money.
    assert money.sql(f"select order_count, spend {bob}") == [(4, 19.0)]
    assert money.sql(
        "select purchases, unit_price_91d from features.product_features "
        "where as_of = date '2024-03-04' and product_id = 'mug'"
    ) == [(3, 8.75)]


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


def test_no_money_is_lost_on_its_way_into_the_shops_currency(build):
    """Many random lines in four currencies: every line is there, with what was paid, and what it comes to is what
    paper and pencil say: at the newest rate that held when it was ordered, of the krone without a rate nothing."""
    chance = random.Random(7)
    start = datetime(2024, 1, 1)
    rates = {
        "GBP": sorted((start + timedelta(days=day), 1 + day / 100) for day in (0, 13, 40)),
        "JPY": [(start + timedelta(days=20), 0.00613)],
    }
    lines = [
        (f"o{number}", start + timedelta(minutes=chance.randrange(60 * 24 * 60)), chance.choice(["EUR", "GBP", "JPY", "NOK", None]),
         round(chance.uniform(0.01, 500), 2))
        for number in range(300)
    ]  # fmt: skip
    expected = {}
    for order, moment, currency, amount in lines:
        held = [rate for since, rate in rates.get(currency, ()) if since <= moment]
        rate = 1.0 if currency in ("EUR", None) else held[-1] if held else None
        expected[order] = None if rate is None else round(amount * rate, 6)
    shop = build(
        "rates",
        "run",
        "delete from raw.exchange_rates",
        *(f"insert into raw.exchange_rates values ('{code}', '{since}', {rate})" for code, held in rates.items() for since, rate in held),
        "delete from raw.order_items",
        "delete from raw.orders",
        *(f"""insert into raw.orders (order_id, customer_id, ordered_at, status, currency) values ('{order}', 'ann', '{moment}',
              'completed', {f"'{currency}'" if currency else 'null'})""" for order, moment, currency, _ in lines),
        *(f"""insert into raw.order_items (order_id, line_id, product_id, quantity, amount) values ('{order}', '1', 'milk', 1,
              {amount})""" for order, _, _, amount in lines),
        shop_currency="EUR",
    )  # fmt: skip
    found = shop.sql("select order_id, amount, order_amount from marts.order_lines")
    assert {order: amount for order, amount, _ in found} == pytest.approx(expected, abs=1e-6)
    assert {order: paid for order, _, paid in found} == {order: amount for order, _, _, amount in lines}
    assert sum(amount is None for amount in expected.values()) == 94
