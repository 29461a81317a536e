"""What a run says of the shop's money, of what is no product, and of who buys as no person does."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import pytest

from recs_assets.audit.sentences import explain_money, explain_not_products, explain_wholesale
from recs_assets.sources import Source
from recs_assets.sources.declaration import shop_words

SHOP = Source("canonical", "", None, "UTC", 28, None, ())


@pytest.fixture
def recs():
    """A function: a connection to a schema recs with these lines, products and suspects."""

    def of(lines=(), products=(), not_products=()) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect()
        connection.execute("create schema recs")
        for table, columns, rows in (
            ("order_lines", "currency varchar, amount double", lines),
            ("products", "product_id varchar, category varchar, currency varchar, price_kind varchar, is_product boolean", products),
            ("not_products", "product_id varchar, product_name varchar, verdict varchar, baskets bigint", not_products),
        ):  # fmt: skip
            connection.execute(f"create table recs.{table} ({columns})")
            for row in rows:
                connection.execute(f"insert into recs.{table} values ({', '.join('?' * len(row))})", row)
        return connection

    return of


def product(name, category="tea", currency="EUR", kind="catalogue", is_product=True):
    return (name, category, currency, kind, is_product)


def test_where_the_currency_comes_from(recs):
    euro = recs([("EUR", 1.0)], [product("a"), product("b", kind="usual"), product("c", kind=None)])
    assert explain_money(euro, SHOP) == [
        "Prices are in EUR (all that the orders name).",
        "Prices of products: 1 of the catalogue, 1 usual ones of the last sales, 1 unknown.",
    ]
    assert explain_money(euro, replace(SHOP, currency="EUR"))[0] == "Prices are in EUR (declared)."


def test_money_that_does_not_count_is_counted(recs):
    lines = [("EUR", 1.0), ("GBP", 2.3), ("GBP", None), ("GBP", None), ("JPY", None)]
    assert explain_money(recs(lines, [product("a", kind="varies")]), SHOP) == [
        "Prices are in EUR (all that the orders name). Order lines in other currencies are converted at exchange_rates: "
        "GBP (1). 3 order lines are in other currencies: GBP (2), JPY (1). They count as purchases, their amounts as "
        "nothing, because exchange_rates has no rate for their time.",
        "Prices of products: 1 that vary, shown as from.",
    ]
    unknown = recs([("GBP", None), ("EUR", None), ("EUR", None)], [product("a", currency=None, kind=None)])
    assert explain_money(unknown, SHOP)[0] == (
        "The shop's currency is unknown, because the orders name several: EUR (2), GBP (1). Their amounts count as "
        'nothing and prices carry no code: declare currency = "EUR", say, in source.toml.'
    )
    silent = recs([(None, 1.0)], [product("a", currency=None)])
    assert explain_money(silent, SHOP)[0] == (
        'No order names a currency, so prices carry no code: declare currency = "EUR", say, in source.toml.'
    )
    sign = recs([("$", 1.0)], [product("a", currency=None)])
    assert explain_money(sign, SHOP)[0] == (
        "The orders name $, which is no ISO 4217 code, so prices carry no code: declare currency = "
        '"EUR", say, in source.toml.'
    )


def test_suspects_are_named_until_the_shop_says(recs):
    rows = [
        ("m", "Manual", "kept_out", 2),
        ("p", "Postage", "kept_out", 9),
        ("v", "Voucher mug", "suspected", 1),
    ]
    assert explain_not_products(recs(not_products=rows), SHOP) == [
        "2 products look like none and are neither learned from nor offered: Postage, Manual.",
        "1 product looks like none but is offered: Voucher mug.",
        "Say in source.toml which are none (not_products); recs.not_products has the signs.",
    ]
    assert explain_not_products(recs(), SHOP) == []


def test_words_of_the_shop_that_fit_nothing_are_named_with_the_nearest(recs):
    said = {"not_products": {"products": ["post", "gone"], "categories": ["fuell", "TEA"]}}
    shop = replace(SHOP, words=shop_words(said, "source.toml"))
    catalogue = recs(
        products=[product("post"), product("x", "Fuel")], not_products=[("post", "P", "declared", 1)]
    )
    assert explain_not_products(catalogue, shop) == [
        "By not_products of source.toml, 1 of 2 products are none (recs.not_products).",
        "not_products.products in source.toml: no product has 'gone'.",
        "not_products.categories in source.toml: no product has 'fuell'; did you mean 'Fuel'?",
    ]


def test_wholesale_buyers_are_counted_with_what_they_bought():
    connection = duckdb.connect()
    connection.execute("create schema recs")
    connection.execute(
        """create table recs.customers as select * from (values
           ('shop', 'wholesale'), ('ann', null), ('bob', null), ('cay', 'objected')) t(customer_id, not_learned_from_reason)"""
    )
    # Three of the shop's, one of Ann's, one of a guest's.
    connection.execute(
        "create table recs.order_lines as select unnest(['shop', 'shop', 'shop', 'ann', null]) as customer_id"
    )
    words = shop_words({"wholesale": {"customers": ["shop", "Shop"], "people": ["ann"]}}, "source.toml")
    assert explain_wholesale(connection, replace(SHOP, words=words)) == [
        "1 of 4 customers buy as no person does (wholesale), 60% of all order lines: no model learns from that and no "
        "campaign writes to them. recs.customers has the signs; [wholesale] in source.toml says who is a person (people), "
        "or that all are served alike (detect = false).",
        "wholesale.customers in source.toml: 1 of the ids is no customer's.",
    ]
    connection.execute("update recs.customers set not_learned_from_reason = null")
    assert explain_wholesale(connection, SHOP) == []
