"""Shopify's bulk operations."""

from __future__ import annotations

from datetime import datetime

import pytest

from helpers.platforms.landed import Landed, land_export
from helpers.platforms.shopify_bulk import write_shopify_bulk
from helpers.platforms.world import find_first_sale

COFFEE = "8001"


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    folder = tmp_path_factory.mktemp("shopify_bulk")
    return land_export("shopify_bulk", folder, write_shopify_bulk(folder))


def test_every_order_lands_once_with_what_was_paid_for_its_goods(landed: Landed) -> None:
    # Of the 9 made by hand one is a test; two are there as paid and as what became of them.
    assert landed.counts["orders"] == 1612 + 9 - 1 + 2
    paid = landed.sql(
        "select order_id, round(sum(amount), 2), round(sum(amount + discount), 2) from raw.order_items "
        "where order_id < '9' group by all order by 1"
    )
    assert paid == [
        (str(order.number), order.goods, round(order.goods + order.discount, 2))
        for order in landed.world.orders
    ]


def test_children_that_stand_before_their_parent_find_it_and_discounts_are_taken_off(landed: Landed) -> None:
    assert landed.lines("9001") == [(COFFEE, 1, 50, 10)]


def test_units_that_came_back_are_dated_and_units_that_were_never_bought_are_not_sold(landed: Landed) -> None:
    assert landed.lines("9002") == [(COFFEE, 3, 90, 0)]
    assert landed.sql("select order_id, product_id, quantity, returned_at from raw.returns") == [
        ("9002", COFFEE, 1, datetime(2025, 3, 10, 12))
    ]
    assert landed.lines("9012") == [(COFFEE, 1, 40, 0)]


def test_states_say_what_became_of_an_order_and_when(landed: Landed) -> None:
    assert landed.sql(
        "select order_id, status, updated_at from raw.orders where order_id in ('9002', '9003', '9007') order by all"
    ) == [
        ("9002", "PARTIALLY_REFUNDED", datetime(2025, 3, 3, 10)),
        ("9003", "PAID", datetime(2025, 3, 3, 10)),
        ("9003", "REFUNDED", datetime(2025, 3, 10, 12)),
        ("9007", "CANCELLED", datetime(2025, 3, 5, 8)),
        ("9007", "PAID", datetime(2025, 3, 3, 10)),
    ]


def test_tests_are_left_out_and_guests_have_no_id(landed: Landed) -> None:
    assert landed.states("9004", "9006") == [("9006", None, "PAID")]
    assert landed.lines("9004") == []
    assert landed.sql("select category from raw.products where product_id = '8900'") == [("Gift Cards",)]


def test_taxes_on_top_are_paid_too(landed: Landed) -> None:
    assert landed.lines("9010") == [(COFFEE, 1, 87, 0)]


def test_what_the_catalogue_lacks_or_hides_is_never_offered(landed: Landed) -> None:
    # md5 of Repair
    assert landed.lines("9011") == [("85000", 1, 10, 0), ("name-0493d27e20d11e356e53e0a730b0ad08", 1, 24, 0)]
    assert landed.sql("select name from raw.products where end_at is not null order by 1") == [
        ("Last summer",),
        ("Old pan",),
        ("Repair",),
    ]
    assert landed.counts["products"] == 72 + 2 + 2
    assert landed.sql(
        "select category, vertical, price, cost, url from raw.products where product_id = '8001'"
    ) == [("Coffee", "Kitchen", 26.12, 13.06, "https://shop.example.com/products/classic-coffee")]


def test_only_subscribed_customers_may_be_written_to(landed: Landed) -> None:
    assert landed.sql("select count(*), count_if(email_eligible) from raw.customers") == [
        (180, sum(customer.opted_in for customer in landed.world.customers))
    ]


def test_stock_is_that_of_all_variants(landed: Landed) -> None:
    coffee = landed.world.products[5]
    assert len(coffee.sizes) == 3
    assert landed.sql("select stock from raw.inventory where product_id = '8006'") == [(3 * coffee.stock,)]


def test_a_product_that_was_made_again_was_sold_before(landed: Landed) -> None:
    first = find_first_sale(landed.world, landed.world.products[2])
    assert first < datetime(2025, 6, 1)
    assert landed.sql("select start_at from raw.products where product_id = '8003'") == [(first,)]


def test_people_are_told_by_their_account(landed: Landed) -> None:
    assert landed.sql(
        "select phone, first_name, last_name, postcode from raw.customers where customer_id in ('12', '20') order by 1"
    ) == [("+49300000012", "Cleo", "Almen", "10012"), ("+49300000020", "Ada", "Castel", "10020")]
