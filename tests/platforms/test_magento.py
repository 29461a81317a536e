"""Magento's MySQL tables."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from helpers.platforms.landed import Landed, land_tables
from helpers.platforms.magento import make_magento
from helpers.platforms.world import find_first_sale

# md5 of nobody@example.com
NOBODY = "8c5548eb0b2b80924f237953392df5e7"


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    return land_tables("magento", tmp_path_factory.mktemp("magento"), make_magento())


def test_every_order_lands_with_what_was_paid_for_its_goods(landed: Landed) -> None:
    # 14 made by hand, of which one is there as complete and as closed.
    assert landed.counts["orders"] == 1612 + 14 + 1
    paid = landed.sql(
        "select order_id, round(sum(amount), 2), round(sum(amount + discount), 2), count(*) from raw.order_items "
        "where order_id < '29' group by all order by 1"
    )
    assert paid == [
        (str(20_000 + order.number), order.goods, round(order.goods + order.discount, 2), len(order.lines))
        for order in landed.world.orders
    ]


def test_a_discount_is_with_the_tax_in_it(landed: Landed) -> None:
    assert landed.lines("29001") == [("101", 1, 54, 6), ("102", 1, 36, 4)]


def test_units_of_a_variant_that_came_back_are_the_products(landed: Landed) -> None:
    assert landed.lines("29002") == [("106", 3, 90, 0)]
    assert landed.sql("select order_id, product_id, quantity, returned_at from raw.returns") == [
        ("29002", "106", 1, datetime(2025, 3, 10, 9))
    ]


def test_money_without_units_is_taken_off_and_a_closed_order_was_a_purchase_until_then(
    landed: Landed,
) -> None:
    assert landed.lines("29003") == [("101", 1, 75, 0)]
    assert landed.sql(
        "select status, updated_at from raw.orders where order_id = '29004' order by updated_at"
    ) == [
        ("complete", datetime(2025, 3, 3, 12)),
        ("closed", datetime(2025, 3, 10, 9)),
    ]


def test_units_that_were_cancelled_are_not_sold(landed: Landed) -> None:
    assert landed.lines("29005") == [("101", 1, 30, 0)]


def test_a_bundle_costs_what_its_parts_do(landed: Landed) -> None:
    assert landed.lines("29006") == [("101", 1, 80, 10)]


def test_guests_are_the_account_with_their_address_or_nobodys(landed: Landed) -> None:
    assert landed.states("29007", "29008", "29009") == [
        ("29007", "1", "complete"),
        ("29008", NOBODY, "complete"),
        ("29009", None, "complete"),
    ]
    assert landed.sql("select count(*), count_if(length(customer_id) = 32) from raw.customers") == [(181, 19)]


def test_states_are_told(landed: Landed) -> None:
    assert landed.states("29011", "29012", "29013", "29014") == [
        ("29011", "1", "new"),
        ("29012", "1", "holded"),
        ("29013", "1", "canceled"),
        ("29014", "1", "pending_payment"),
    ]


def test_only_confirmed_subscribers_of_every_store_may_be_written_to(landed: Landed) -> None:
    third = landed.world.customers[2]
    assert (third.email, third.opted_in) == ("dario.dunn3@example.com", False)
    assert landed.sql("select count_if(email_eligible) from raw.customers") == [
        (sum(customer.opted_in for customer in landed.world.customers),)
    ]
    assert landed.sql(
        "select email_eligible, segment, country from raw.customers where customer_id = '3'"
    ) == [(False, "General", "DE")]


def test_a_configurable_product_has_the_texts_of_the_default_store_and_the_price_of_its_variants(
    landed: Landed,
) -> None:
    coffee = landed.world.products[5]
    assert len(coffee.sizes) == 3
    assert landed.sql(
        "select name, brand, category, vertical, price, description from raw.products where product_id = '106'"
    ) == [("Little Coffee", coffee.brand, "Coffee", "Kitchen", coffee.price, "<p>Little Coffee</p>")]
    assert landed.sql("select stock from raw.inventory where product_id = '106'") == [(3 * coffee.stock,)]
    assert landed.sql("select category from raw.products where product_id = '900'") == [("Gift Cards",)]
    assert landed.counts["products"] == 72 + 2 + 1


def test_what_was_deleted_or_is_disabled_is_never_offered(landed: Landed) -> None:
    assert landed.sql("select name from raw.products where end_at is not null order by 1") == [
        ("Last summer",),
        ("Old pan",),
    ]
    # A variant that was ordered by itself is its product.
    assert landed.lines("29010") == [("106", 1, 40, 0), ("77000", 1, 30, 0)]


def test_a_price_for_some_time_is_a_promotion(landed: Landed) -> None:
    assert landed.sql("select product_id, start_at, end_at from raw.promotions") == [
        ("101", datetime(2025, 5, 1), datetime(2025, 5, 11))
    ]


def test_reviews_are_those_of_customers_that_the_shop_let_through(landed: Landed) -> None:
    assert landed.sql("select customer_id, product_id, rating, title from raw.reviews") == [
        ("1", "101", 4.5, "Good")
    ]


def test_a_product_that_was_made_again_was_sold_before(landed: Landed) -> None:
    first = find_first_sale(landed.world, landed.world.products[2])
    assert first < datetime(2025, 6, 1)
    assert landed.sql("select start_at from raw.products where product_id = '103'") == [(first,)]


def test_people_are_told_by_their_account_and_guests_by_their_newest_order(landed: Landed) -> None:
    assert landed.sql(
        "select phone, first_name, last_name, postcode, birth_date, country from raw.customers "
        f"where customer_id in ('12', '{NOBODY}') order by birth_date"
    ) == [
        ("+49300000012", "Cleo", "Almen", "10012", date(1962, 1, 13), "DE"),
        ("0351 4880", "Ada", "Bell", "01067", None, "DE"),
    ]
    assert landed.sql("select count(*) from raw.customers where last_name is null or postcode is null") == [
        (0,)
    ]
