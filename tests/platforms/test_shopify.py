"""Shopify's CSV exports."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from helpers.platforms.landed import Landed, land_export
from helpers.platforms.shopify import ORDER_COLUMNS, write_csv, write_shopify
from helpers.platforms.world import make_world

BEN = "7000000000001"


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    folder = tmp_path_factory.mktemp("shopify")
    return land_export("shopify", folder, write_shopify(folder))


def test_every_order_lands_once_with_what_was_paid_for_its_goods(landed: Landed) -> None:
    assert len(landed.world.orders) == 1612
    # Two of the 14 made by hand are tests; one is there as paid and as cancelled.
    assert landed.counts["orders"] == 1612 + 14 - 2 + 1
    paid = landed.sql(
        "select order_id, round(sum(amount), 2), sum(quantity) from raw.order_items where order_id < '#9' group by all order by 1"
    )
    assert paid == [
        (f"#{order.number}", order.goods, sum(line.quantity for line in order.lines))
        for order in landed.world.orders
    ]


def test_times_have_their_zone_and_customers_their_number(landed: Landed) -> None:
    first = landed.world.orders[0]
    assert landed.sql(
        "select customer_id, ordered_at, currency from raw.orders where order_id = '#1001'"
    ) == [(f"70000000000{first.customer.number:02}", datetime(2024, 7, 3, 11, 20), "EUR")]


def test_a_discount_on_the_order_is_spread_over_its_lines(landed: Landed) -> None:
    assert landed.lines("#9001") == [("classic-coffee", 1, 54, 6), ("fresh-coffee", 1, 36, 4)]


def test_a_refund_is_taken_off_the_lines_of_an_order_that_two_files_share(landed: Landed) -> None:
    assert landed.lines("#9002") == [("classic-coffee", 1, 45, 0), ("fresh-coffee", 1, 30, 0)]


def test_states_say_what_became_of_an_order(landed: Landed) -> None:
    assert landed.states("#9002", "#9003", "#9007", "#9008", "#9009") == [
        ("#9002", BEN, "partially_refunded"),
        ("#9003", BEN, "refunded"),
        ("#9007", BEN, "paid"),
        ("#9007", BEN, "cancelled"),
        ("#9008", BEN, "pending"),
        ("#9009", BEN, "voided"),
    ]
    assert landed.sql(
        "select updated_at from raw.orders where order_id = '#9007' and status = 'cancelled'"
    ) == [(datetime(2025, 3, 5, 8),)]


def test_the_shops_own_tests_are_left_out(landed: Landed) -> None:
    assert landed.states("#9004", "#9005") == []
    assert landed.lines("#9004") + landed.lines("#9005") == []


def test_a_gift_card_sold_at_the_till_is_a_guests_and_no_product(landed: Landed) -> None:
    assert landed.states("#9006") == [("#9006", None, "paid")]
    assert landed.lines("#9006") == [("gift-card", 1, 25, 0)]
    assert landed.sql("select category from raw.products where product_id = 'gift-card'") == [("Gift Cards",)]


def test_taxes_on_top_are_paid_for_the_goods_that_are_taxed(landed: Landed) -> None:
    assert landed.lines("#9010") == [("classic-coffee", 1, 96, 0), ("sku-BOOK-1", 1, 20, 0)]
    # A tip is no tax.
    assert landed.lines("#9014") == [("classic-coffee", 1, 60, 0)]


def test_no_money_is_lost(tmp_path: Path) -> None:
    """300 random orders: what the lines come to is what was paid for goods, with taxes, less what was paid back."""
    rng = np.random.default_rng(5)
    rows, expected = [], {}
    for number in range(300):
        name, count = f"#{number}", int(rng.integers(1, 5))
        prices = rng.integers(1, 10_000, count) / 100
        units = rng.integers(1, 4, count)
        gross = float((prices * units).sum())
        subtotal = round(gross * float(rng.choice([1, 0.9, 0.25])), 2)
        shipping, on_top = float(rng.choice([0, 4.9])), bool(rng.random() < 0.5)
        taxes = round(subtotal * float(rng.choice([0, 0.07, 0.19])), 2)
        total = round(subtotal + shipping + taxes * on_top, 2)
        refund = round(total * float(rng.choice([0, 0, 0.3])), 2)
        expected[name] = (subtotal + taxes * on_top) * (1 - (refund / total if total else 0))
        taxable = rng.random(count) < 0.8
        for place in range(count):
            rows.append(
                {
                    "Name": name, "Email": "ben.brook1@example.com", "Created at": "2025-03-03 10:00:00 +0100",
                    "Lineitem quantity": units[place], "Lineitem name": f"Thing {place}", "Lineitem price": prices[place],
                    "Lineitem taxable": str(bool(taxable[place] or not taxable.any())).lower(),
                }
            )  # fmt: skip
        rows[-count] |= {
            "Financial Status": "paid", "Currency": "EUR", "Subtotal": subtotal, "Shipping": shipping, "Taxes": taxes,
            "Total": total, "Refunded Amount": refund,
        }  # fmt: skip
    write_shopify(tmp_path)
    (tmp_path / "orders_export_2.csv").unlink()
    write_csv(tmp_path / "orders_export_1.csv", ORDER_COLUMNS, rows)
    landed = land_export("shopify", tmp_path, make_world())
    paid = dict(landed.sql("select order_id, sum(amount) from raw.order_items group by 1"))
    assert paid == {name: pytest.approx(amount, abs=0.001) for name, amount in expected.items()}


def test_a_line_without_an_sku_is_found_by_its_name_and_what_was_crossed_out_is_a_discount(
    landed: Landed,
) -> None:
    assert landed.lines("#9011") == [("classic-candles", 1, 24, 6)]
    assert landed.sql(
        "select count(*) from raw.order_items where product_id like 'name-%' or product_id like 'sku-%'"
    ) == [(1,)]


def test_what_the_catalogue_lacks_or_hides_is_never_offered(landed: Landed) -> None:
    assert landed.sql(
        "select product_id, name, end_at from raw.products where end_at is not null order by 1"
    ) == [
        ("next-summer", "Next summer", datetime(1970, 1, 1)),
        ("sku-BOOK-1", "Little book", datetime(1970, 1, 1)),
    ]


def test_a_product_is_one_with_all_its_variants_and_pictures(landed: Landed) -> None:
    assert landed.counts["products"] == 72 + 3
    pans = landed.world.products[5]
    assert (pans.title, pans.sizes) == ("Little Coffee", ("S", "M", "L"))
    assert landed.sql(
        "select name, brand, category, vertical, price, image_url, description from raw.products "
        "where product_id = 'little-coffee'"
    ) == [
        (
            "Little Coffee",
            pans.brand,
            "Coffee",
            "Kitchen",
            pans.price,
            "https://cdn.example.com/little-coffee.jpg",
            f"<p>Little Coffee by {pans.brand}</p>",
        )
    ]
    assert landed.sql("select stock from raw.inventory where product_id = 'little-coffee'") == [
        (3 * pans.stock,)
    ]
    # Nobody counts gift cards.
    assert landed.counts["inventory"] == 72 + 1


def test_who_is_not_among_the_customers_has_an_id_without_an_address_and_no_consent(landed: Landed) -> None:
    # md5 of nobody@example.com
    nobody = "8c5548eb0b2b80924f237953392df5e7"
    assert landed.states("#9012", "#9013") == [("#9012", nobody, "paid"), ("#9013", "7000000000002", "paid")]
    assert landed.sql(f"select email_eligible from raw.customers where customer_id = '{nobody}'") == [
        (False,)
    ]


def test_only_those_who_said_yes_may_be_written_to(landed: Landed) -> None:
    opted_in = sorted(
        str(7_000_000_000_000 + customer.number) for customer in landed.world.customers if customer.opted_in
    )
    assert landed.sql("select customer_id from raw.customers where email_eligible order by 1") == [
        (customer,) for customer in opted_in
    ]
    assert landed.counts["customers"] == 180 + 1


def test_people_are_told_by_their_account_and_others_by_their_newest_order(landed: Landed) -> None:
    assert landed.sql(
        "select phone, first_name, last_name, postcode, country from raw.customers "
        "where customer_id in ('7000000000012', md5('nobody@example.com')) order by customer_id"
    ) == [
        ("+49300000012", "Cleo", "Almen", "10012", "DE"),
        ("+49 351 4880", "Ada Maria", "Bell", "01067", "DE"),
    ]
