"""Every list that leaves the house obeys the same rules, on the tiny shop's week."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from helpers import shops
from helpers.shops import Home
from recs_assets.campaigns.file import FOLDER, load
from recs_assets.campaigns.make import make
from recs_assets.schema import RecsError
from recs_assets.settings import Settings
from recs_assets.shop import Shop
from recs_assets.week.week import Week

WEEK = date(2025, 6, 30)
LISTS = ("email_recommendations", "customer_recommendations", "buy_it_again")

# What a customer sent back, or rated 2 or lower in the end (a negative weight). Of who objected to profiling
# nothing shapes a list.
REJECTED = """
    select * from (
    select customer_id, product_id from recs.interactions where event_type = 'review'
    group by all having arg_max(weight, (occurred_at, -weight)) < 0
    union
    select customer_id, product_id from recs.order_lines where returned_quantity > 0
    ) where customer_id in (select customer_id from recs.customers where consent_state <> 'objected')
"""
# Reasons that count or date what the customer did with the product itself.
DATED = ("bought_often", "bought_once", "bought_regularly", "in_cart", "wished", "viewed")


@pytest.mark.parametrize("table", LISTS)
def test_no_list_offers_what_the_customer_rejected(weekly: Home, table: str) -> None:
    assert len(weekly.query(REJECTED)) > 20
    assert (
        weekly.query(
            f"select customer_id, product_id from recs.{table} join ({REJECTED}) using (customer_id, product_id) "
            f"where as_of = '{WEEK}'"
        )
        == []
    )


@pytest.mark.parametrize("table", LISTS)
def test_no_list_holds_two_variants_of_one_product(weekly: Home, table: str) -> None:
    assert (
        weekly.query(
            f"select customer_id, coalesce(products.parent_id, '') as parent from recs.{table} as listed "
            f"join recs.products as products using (product_id) where as_of = '{WEEK}' and parent <> '' "
            + ("" if table != "email_recommendations" else "and campaign = 'weekly_email' ")
            + "group by all having count(*) > 1"
        )
        == []
    )


@pytest.mark.parametrize("table", ["frequently_bought_together", "similar_products"])
def test_no_product_stands_next_to_its_own_variant_or_what_cannot_be_sold(weekly: Home, table: str) -> None:
    rows = weekly.query(
        "select own.parent_id, other.parent_id, other.product_id "
        f"from recs.{table} as pair join recs.products as own using (product_id) "
        f"join recs.products as other on other.product_id = pair.neighbour_id where pair.as_of = '{WEEK}'"
    )
    assert rows
    assert [row for row in rows if row[0] is not None and row[0] == row[1]] == []
    assert {product for *_, product in rows} & {"tea-05", "mug-05", "honey-04"} == set()


def made(weekly: Home, folder: Path, rules: dict[str, Any], goods: dict[str, Any]) -> pd.DataFrame:
    """The weekly email of the finished week under other rules, with products and what they are."""
    campaign = yaml.safe_load((FOLDER / "weekly_email.yaml").read_text()) | {"rules": rules}
    (folder / "weekly_email.yaml").write_text(yaml.safe_dump(campaign))
    (folder / "sensitive.yaml").write_text(yaml.safe_dump({"topics": goods}))
    shop = Shop.from_settings(
        Settings(data=shops.TINY, home=weekly.path, sensitive=folder / "sensitive.yaml")
    )
    found = make(load(folder / "weekly_email.yaml"), Week(shop, shop.warehouse(), WEEK))
    assert found.facts["problem"] == ""
    return found.filled.assign(category=lambda rows: rows["product_id"].str.split("-").str[0])


def test_what_is_excluded_is_not_named_either(weekly: Home, tmp_path: Path) -> None:
    goods = {"tea": {"levels": ["never_cite", "no_counts"], "categories": ["tea"]}}
    rows = made(weekly, tmp_path, {"excluded_categories": ["Coffee"]}, goods)
    text, because = rows["reason_text"], rows["because_product_id"].fillna("")
    assert set(rows["category"]) >= {"tea", "honey", "mug"}
    assert "coffee" not in set(rows["category"])
    assert not because.str.startswith("coffee").any()
    assert not text.str.contains("Coffee|House Blend|Espresso|Decaf|Yirgacheffe").any()
    # Tea stands in slots, but is neither a reason nor counted.
    assert not because[rows["category"] != "tea"].str.startswith("tea").any()
    assert not text.str.contains("Assam|Darjeeling|Sencha|Peppermint").any()
    dated = rows["reason_code"].isin(DATED)
    assert not dated[rows["category"] == "tea"].any()
    assert dated[rows["category"] == "honey"].any()
    assert because.str.startswith("honey").any()


def test_sensitive_goods_of_each_level(weekly: Home, tmp_path: Path) -> None:
    goods = {
        "mugs": {"levels": ["never_offer"], "words": ["mug*", "teapot", "french press"]},
        "chocolate": {"levels": ["never_discover"], "words": ["chocolate"]},
    }
    rows = made(weekly, tmp_path, {}, goods)
    assert "mug" not in set(rows["category"])
    bought = weekly.query("select distinct customer_id from recs.order_lines where product_id like 'choc-%'")
    had = {customer for (customer,) in bought}
    offered = set(rows.loc[rows["category"] == "choc", "customer_id"])
    assert offered
    assert offered <= had
    assert set(rows["customer_id"]) - had  # others have a full list without it


@pytest.mark.parametrize(
    ("setting", "text", "said"),
    [
        ("sensitive", "topics: {sweets: {levels: [sometimes]}}", "topics.sweets.levels.0: Input should be 'never_offer'"),
        ("sensitive", "topics: {sweets: {levels: [no_counts], words: ['*']}}", "topics.sweets.words: Value error, a pattern needs"),
        ("sensitive", "topics: {sweets: {levels: [no_counts], words: [*bar]}}", "The sensitive goods cannot be read"),
        ("storefront", "rules: {min_stok: 1}", "line 1: there is no rule rules.min_stok; did you mean min_stock?"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_said_before_anything_runs(
    tmp_path: Path, setting: str, text: str, said: str
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(RecsError) as error:
        Shop.from_settings(Settings(data=shops.TINY, home=tmp_path, **{setting: path}))
    assert said in str(error.value)
    assert str(path) in str(error.value)
