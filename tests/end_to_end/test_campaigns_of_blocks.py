"""Campaigns and the lists of pages, made of blocks of the tiny shop's customers: the same tables and facts, to the last bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from helpers import experiments, shops
from recs_assets.campaigns import due, storefront
from recs_assets.campaigns.blocks import count_facts
from recs_assets.campaigns.file import Campaign, load_folder
from recs_assets.campaigns.made import Made
from recs_assets.campaigns.make import make
from recs_assets.campaigns.values import value_customers
from recs_assets.settings import Settings
from recs_assets.shop import Shop
from recs_assets.week.block import split_week
from recs_assets.week.fit import fit_recommender
from recs_assets.week.week import Week

pytestmark = pytest.mark.slow
WEEK = date(2025, 6, 30)
Open = Callable[..., Week]


@pytest.fixture(scope="module")
def open_week(weekly: shops.Home, tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Opens the week of a copy of the shared home."""
    home = weekly.copy(tmp_path_factory.mktemp("campaigns") / "home").path

    def open_(block_customers: int | None = None) -> Week:
        shop = Shop.from_settings(Settings(home=home, data=shops.TINY, block_customers=block_customers))
        return Week(shop, shop.warehouse(), WEEK)

    return open_


def write_campaign(query: str, **keys: object) -> Campaign:
    schedule = {"cron": "0 6 * * 1"}
    described = {"name": "lively", "description": "Of a test.", "owner": "team:crm", "schedule": schedule}
    return Campaign.model_validate({**described, "query": query, **keys})


LIVELY = write_campaign(
    """
    PREDICT LIST_DISTINCT(order_lines.product_id WHERE product_id.price > 2, 0, 28, days) RANK TOP 4
    FOR EACH customers.customer_id WHERE COUNT(browsing_events.*, -INF, 0, days) > 0
    """,
    slots={"max_repeat": 1, "discovery_share": 0.25, "exploration_share": 0.25},
    eligibility={"max_sends": 2, "within_days": 7},
    segments={"gift": {"rules": {"max_per_category": 1, "max_per_brand": 3, "max_per_merchant": 3}}},
    shadows={"alike": {"slots": {"mmr_lambda": 1.0}}, "all": {"rules": {"sensitive": False}}},
)
# The best of those of whom much is expected; one tier of them sees dearer products first.
WORTHY = write_campaign(
    """
    PREDICT LIST_DISTINCT(order_lines.product_id, 0, 28, days) RANK TOP 4 FOR EACH customers.customer_id
    """,
    eligibility={"min_value_tier": 3, "max_recipients": 12},
    segment_by="value",
    segments={"tier_5": {"slots": {"goal": "revenue"}}},
)
SPENDING = write_campaign("PREDICT SUM(order_lines.amount, 0, 28, days) FOR EACH customers.customer_id")
RETURNING = write_campaign("PREDICT COUNT(orders.*, 0, 28, days) > 0 FOR EACH customers.customer_id")
ARMS = experiments.make(
    campaign="lively",
    starts=date(2025, 6, 23),
    primary="revenue",
    arms={
        "today": {"share": 0.4},
        "ranker": {"share": 0.4, "change": {"model": "ranker", "rules": {"max_per_category": 2}}},
        "holdout": {"share": 0.2},
    },
)


def assert_made_alike(whole: Made, made: Made) -> None:
    assert list(made.tables) == list(whole.tables)
    for name, rows in whole.tables.items():
        pd.testing.assert_frame_equal(made.tables[name], rows, check_exact=True, obj=name)
    assert json.loads(json.dumps(made.facts)) == json.loads(json.dumps(whole.facts))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("weekly_email", 7),
        ("buy_it_again", 20),
        ("category_affinity", 20),
        ("high_value_email", 20),
        ("try_something_new", 20),
        ("win_back", 20),
        ("follow_up", 20),
        ("back_in_stock", 20),
    ],
)
def test_blocks_make_the_campaigns_of_the_shop(open_week: Open, name: str, size: int) -> None:
    week = open_week()
    campaign = load_folder(week.shop.path("campaigns"), week.shop.catalogue).campaigns[name]
    whole = make(campaign, week)
    assert len(whole.tables["outcomes"]) == 38
    assert_made_alike(whole, make(campaign, open_week(size)))


def test_who_waits_for_what(open_week: Open) -> None:
    """The README of the tiny shop: what was sold out for eight days in June, and who wanted it then."""
    week = open_week()
    campaigns = load_folder(week.shop.path("campaigns"), week.shop.catalogue).campaigns
    back = make(campaigns["back_in_stock"], week)
    columns = ["customer_id", "product_id", "reason_text"]
    assert back.filled[columns].to_numpy().tolist() == [
        ["c39", "mug-03", "Von Ihnen am 20. Juni in den Warenkorb gelegt und jetzt wieder lieferbar"]
    ]
    follow = make(campaigns["follow_up"], week).filled
    assert set(follow["source"]) == {"late_follow_ups"}
    assert (follow["reason_code"] == "late_follow_up").sum() >= 5


@pytest.mark.parametrize("campaign", [SPENDING, RETURNING], ids=["number", "condition"])
def test_blocks_predict_what_the_shop_does(open_week: Open, campaign: Campaign) -> None:
    whole = make(campaign, open_week())
    assert len(whole.tables["predictions"]) == 37
    assert_made_alike(whole, make(campaign, open_week(13)))


def test_arms_shadows_and_segments_of_blocks(open_week: Open) -> None:
    whole = make(LIVELY, open_week(), experiments=[ARMS])
    arms = whole.tables["assigned"]["arm"].value_counts()
    assert set(arms.index) == {"today", "ranker", "holdout"}
    assert whole.tables["shadows"]["shadow"].unique().tolist() == ["alike", "all"]
    assert len(whole.filled)
    assert_made_alike(whole, make(LIVELY, open_week(13), experiments=[ARMS]))


def test_who_is_expected_to_spend_most_is_the_same_in_blocks(open_week: Open) -> None:
    week = open_week()
    whole = make(WORTHY, week)
    made = value_customers(week)
    values = pd.DataFrame(made.values).set_index("customer_id")
    outcome = whole.tables["outcomes"].set_index("customer_id")["outcome"]
    below = values.index[values["value_tier"] < 3]
    assert set(outcome[below]) <= {
        "below_value_tier",
        "no_consent",
        "unsubscribed",
        "unusable_address",
        "no_address",
    }
    some = outcome[outcome.isin(["selected", "max_recipients", "too_few_products"])].index
    order = values.loc[some].sort_values(["expected_spend_364", "customer_id"], ascending=[False, True])
    assert (outcome[order.index] == "max_recipients").tolist() == [False] * 12 + [True] * (len(order) - 12)
    assert len(order) > 12
    assert_made_alike(whole, make(WORTHY, open_week(7)))


def test_who_answered_gets_the_list_of_their_answers(weekly: shops.Home, tmp_path: Path) -> None:
    """c38 has three events and no purchase, c02 has many; nobody else answered, and what others get is as it was."""
    home = weekly.copy(tmp_path / "home").path

    def open_(block_customers: int | None = None) -> Week:
        shop = Shop.from_settings(Settings(home=home, data=shops.TINY, block_customers=block_customers))
        return Week(shop, shop.warehouse(), WEEK)

    before = storefront.make_storefront_lists(open_(), print).rows

    def answer(value: str) -> None:
        with duckdb.connect(str(home / "weeks" / str(WEEK) / "build.duckdb")) as build:
            build.execute(
                "create or replace view staging.stg_preferences as select customer_id, '1' as question, 'category' as facet, "
                f"'{value}' as answer, timestamp '2025-06-01' as answered_at from (values ('c38'), ('c02')) t(customer_id)"
            )

    # What names nothing that the shop has is no answer.
    answer("Nonexistent")
    pd.testing.assert_frame_equal(storefront.make_storefront_lists(open_(), print).rows, before)
    answer("mugs")
    fit_recommender(open_(), "first_list", {})
    lists = storefront.make_storefront_lists(open_(), print)
    rows, parts = lists.rows, storefront.make_storefront_lists(open_(7), print)
    pd.testing.assert_frame_equal(parts.rows, rows, check_exact=True)
    mine = (rows["customer_id"] == "c38").to_numpy()
    assert rows["source"][mine].tolist() == ["first_list"] * 7 + ["repurchase"] * 13
    assert rows["product_id"][mine].tolist()[:3] == ["mug-02", "biscuit-01", "mug-04"]
    mugs = rows["product_id"].str.startswith("mug-").to_numpy()
    liked = (rows["reason_code"] == "category_you_like").to_numpy()
    assert liked[mine].sum() >= 1
    assert not (liked & ~mugs).any()
    others = ["customer_id", "product_id", "rank", "score", "source"]
    pd.testing.assert_frame_equal(
        rows.loc[~mine, others].reset_index(drop=True),
        before.loc[(before["customer_id"] != "c38").to_numpy(), others].reset_index(drop=True),
    )


def test_blocks_make_the_lists_of_pages(open_week: Open) -> None:
    whole, week = open_week(), open_week(7)
    lists, parts = (storefront.make_storefront_lists(each, print) for each in (whole, week))
    pd.testing.assert_frame_equal(parts.rows, lists.rows, check_exact=True)
    pd.testing.assert_frame_equal(parts.traces, lists.traces, check_exact=True)
    assert (parts.chosen, parts.sources, parts.removed) == (lists.chosen, lists.sources, lists.removed)
    again, parts_again = (due.make_due_list(each, print) for each in (whole, week))
    pd.testing.assert_frame_equal(parts_again.rows, again.rows, check_exact=True)
    assert (parts_again.customers, parts_again.replaced, parts_again.removed) == (
        again.customers,
        again.replaced,
        again.removed,
    )
    count_facts(whole)
    blocks = split_week(whole, 1)
    for place in (0, 17, 37):
        customer = whole.known().customers["customer_id"][place]
        with blocks[place].open() as alone:
            rows = storefront.list_customers(alone, lists.chosen).tables["rows"]
        expected = lists.rows[lists.rows["customer_id"] == customer].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, expected, check_exact=True)
        assert np.isin(rows["customer_id"], customer).all()
