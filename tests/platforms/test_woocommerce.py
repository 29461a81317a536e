"""WooCommerce's MySQL tables."""

from __future__ import annotations

from datetime import datetime

import pytest

from helpers.platforms.landed import Landed, land_tables
from helpers.platforms.woocommerce import make_woocommerce
from helpers.platforms.world import find_first_sale

# md5 of nobody@example.com
NOBODY = "8c5548eb0b2b80924f237953392df5e7"


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    return land_tables("woocommerce", tmp_path_factory.mktemp("woocommerce"), make_woocommerce())


def test_every_order_lands_with_what_was_paid_for_its_goods(landed: Landed) -> None:
    # Of the 13 made by hand one is a draft; one is there as paid and as refunded.
    assert landed.counts["orders"] == 1612 + 13 - 1 + 1
    paid = landed.sql(
        "select order_id, round(sum(amount), 2), round(sum(amount + discount), 2) from raw.order_items "
        "where order_id < '29' group by all order by 1"
    )
    assert paid == [
        (str(20_000 + order.number), order.goods, round(order.goods + order.discount, 2))
        for order in landed.world.orders
    ]


def test_coupons_are_discounts_and_postage_and_fees_no_lines(landed: Landed) -> None:
    assert landed.lines("29001") == [("101", 1, 54, 6), ("102", 1, 36, 4)]


def test_refunds_of_units_are_returns_and_others_taken_off_the_lines(landed: Landed) -> None:
    assert landed.lines("29002") == [("101", 3, 90, 0)]
    assert landed.sql("select order_id, product_id, quantity, returned_at from raw.returns") == [
        ("29002", "101", 1, datetime(2025, 3, 10, 9))
    ]
    assert landed.lines("29004") == [("101", 1, 45, 0), ("102", 1, 30, 0)]


def test_a_refunded_order_was_a_purchase_until_then(landed: Landed) -> None:
    assert landed.sql(
        "select status, updated_at from raw.orders where order_id = '29006' order by updated_at"
    ) == [
        ("wc-completed", datetime(2025, 3, 3, 12)),
        ("wc-refunded", datetime(2025, 3, 10, 9)),
    ]


def test_guests_are_the_account_with_their_address_or_nobodys(landed: Landed) -> None:
    assert landed.states("29008", "29009", "29010") == [
        ("29008", "1", "wc-completed"),
        ("29009", NOBODY, "wc-completed"),
        ("29010", None, "wc-completed"),
    ]
    # Everybody of the shop, 18 of them without an account, and one more guest.
    assert landed.sql(
        "select count(*), count_if(length(customer_id) = 32), count_if(email_eligible) from raw.customers"
    ) == [(180 + 1, 18 + 1, 0)]
    assert landed.sql("select country from raw.customers where customer_id = '2'") == [("FR",)]


def test_states_are_told_and_drafts_are_no_orders(landed: Landed) -> None:
    assert landed.states("29011", "29012", "29013", "29014", "29015") == [
        ("29011", "1", "wc-pending"),
        ("29012", "1", "wc-on-hold"),
        ("29013", "1", "wc-failed"),
        ("29014", "1", "wc-cancelled"),
    ]
    assert landed.lines("29015") == []


def test_a_product_has_its_place_its_brand_and_its_variations(landed: Landed) -> None:
    coffee = landed.world.products[5]
    assert len(coffee.sizes) == 3
    assert landed.sql(
        "select name, brand, category, vertical, price, image_url, start_at from raw.products where product_id = '106'"
    ) == [
        (
            "Little Coffee",
            coffee.brand,
            "Coffee",
            "Kitchen",
            coffee.price,
            "https://shop.example.com/little-coffee.jpg",
            datetime(2024, 1, 1),
        )
    ]
    assert landed.sql("select stock from raw.inventory where product_id = '106'") == [(3 * coffee.stock,)]
    assert landed.sql("select category from raw.products where product_id = '900'") == [("Gift Cards",)]
    # Nobody counts gift cards, and drafts are not sold.
    assert landed.counts["inventory"] == 72


def test_what_was_deleted_or_is_a_draft_is_never_offered(landed: Landed) -> None:
    assert landed.sql("select name from raw.products where end_at is not null order by 1") == [
        ("Next summer",),
        ("Old pan",),
        ("Repair",),
    ]
    assert landed.lines("29016") == [("77000", 1, 40, 0), ("name-0493d27e20d11e356e53e0a730b0ad08", 1, 30, 0)]


def test_a_price_for_some_time_is_a_promotion(landed: Landed) -> None:
    assert landed.sql("select product_id, start_at, end_at from raw.promotions") == [
        ("101", datetime(2025, 5, 1), datetime(2025, 5, 11))
    ]


def test_reviews_are_those_of_customers_that_the_shop_let_through(landed: Landed) -> None:
    assert landed.sql("select review_id, customer_id, rating from raw.reviews order by 1") == [
        ("1", "1", 4),
        ("2", NOBODY, 5),
    ]


def test_a_product_that_was_made_again_was_sold_before(landed: Landed) -> None:
    first = find_first_sale(landed.world, landed.world.products[2])
    assert first < datetime(2025, 6, 1)
    assert landed.sql("select start_at from raw.products where product_id = '103'") == [(first,)]


def test_people_are_told_by_the_billing_address_of_their_newest_order(landed: Landed) -> None:
    assert landed.sql(
        "select phone, first_name, last_name, postcode from raw.customers "
        f"where customer_id in ('12', '{NOBODY}') order by postcode desc"
    ) == [("+49300000012", "Cleo", "Almen", "10012"), ("0351 4880", "Ada", "Bell", "01067")]
    assert landed.sql("select count(*) from raw.customers where last_name = 'Else'") == [(0,)]
