"""WooCommerce's product export with the orders of Advanced Order Export."""

from __future__ import annotations

from datetime import datetime

import pytest

from helpers.platforms.landed import Landed, land_export
from helpers.platforms.woocommerce_csv import write_woocommerce_csv

# md5 of ben.brook1@example.com
BEN = "0fa7dc61071a6d9fab2401c06c67041b"


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    folder = tmp_path_factory.mktemp("woocommerce_csv")
    return land_export("woocommerce_csv", folder, write_woocommerce_csv(folder))


def test_every_order_lands_once_with_what_was_paid_for_its_goods(landed: Landed) -> None:
    assert landed.counts["orders"] == 1612 + 9
    paid = landed.sql(
        "select order_id, round(sum(amount), 2), round(sum(amount + discount), 2) from raw.order_items "
        "where order_id < '9' group by all order by 1"
    )
    assert paid == [
        (str(order.number), order.goods, round(order.goods + order.discount, 2))
        for order in landed.world.orders
    ]
    # The first ten orders were still being processed in the first file.
    assert landed.sql("select status, count(*) from raw.orders where order_id < '9' group by all") == [
        ("Completed", 1612)
    ]


def test_a_discount_that_the_lines_leave_out_is_spread_over_them(landed: Landed) -> None:
    assert landed.lines("9001") == [("101", 1, 64.8, 7.2), ("102", 1, 43.2, 4.8)]


def test_units_and_money_that_came_back_are_taken_off(landed: Landed) -> None:
    assert landed.lines("9002") == [("101", 1, 24, 0), ("102", 1, 48, 0)]
    assert landed.lines("9003") == [("101", 1, 54, 0), ("102", 1, 36, 0)]
    assert landed.lines("9004") == [("102", 1, 48, 0)]


def test_states_and_guests(landed: Landed) -> None:
    assert landed.states("9001", "9005", "9006", "9007", "9008") == [
        ("9001", BEN, "Completed"),
        ("9005", None, "Completed"),
        ("9006", BEN, "Pending payment"),
        ("9007", BEN, "On hold"),
        ("9008", BEN, "Refunded"),
    ]
    assert landed.sql("select category from raw.products where product_id = '900'") == [("Gift Cards",)]


def test_nobody_is_said_to_have_said_yes(landed: Landed) -> None:
    assert landed.sql("select count(*), count_if(email_eligible) from raw.customers") == [(180, 0)]


def test_what_the_catalogue_lacks_or_hides_is_never_offered(landed: Landed) -> None:
    assert landed.sql("select name from raw.products where end_at is not null order by 1") == [
        ("Next summer",),
        ("Old pan",),
        ("Repair",),
    ]
    assert landed.lines("9009") == [
        ("name-0493d27e20d11e356e53e0a730b0ad08", 1, 48, 0),
        ("sku-OLD-1", 1, 72, 0),
    ]


def test_a_variation_is_its_product(landed: Landed) -> None:
    coffee = landed.world.products[5]
    assert len(coffee.sizes) == 3
    assert landed.sql(
        "select name, brand, category, vertical, price, image_url from raw.products where product_id = '106'"
    ) == [
        (
            "Little Coffee",
            coffee.brand,
            "Coffee",
            "Kitchen",
            coffee.price,
            "https://shop.example.com/little-coffee.jpg",
        )
    ]
    assert landed.counts["products"] == 72 + 2 + 2


def test_stock_is_of_all_variations_and_nothing_is_counted_that_is_sold_anyway(landed: Landed) -> None:
    coffee = landed.world.products[5]
    assert landed.sql(
        "select product_id, stock from raw.inventory where product_id in ('102', '103', '106') order by 1"
    ) == [("102", 0), ("106", 3 * coffee.stock)]


def test_a_price_for_some_time_is_a_promotion(landed: Landed) -> None:
    assert landed.sql("select product_id, kind, announced_at, start_at, end_at from raw.promotions") == [
        ("101", "price", datetime(2025, 5, 1), datetime(2025, 5, 1), datetime(2025, 5, 11))
    ]


def test_people_are_told_by_the_billing_address_of_their_newest_order(landed: Landed) -> None:
    assert landed.sql(
        "select phone, first_name, last_name, postcode from raw.customers where email = 'cleo.almen12@example.com'"
    ) == [("+49300000012", "Cleo", "Almen", "10012")]
    # Of the newest orders of the first one none has a name.
    assert landed.sql(
        "select first_name, country from raw.customers where email = 'ben.brook1@example.com'"
    ) == [("Ben", "AT")]
