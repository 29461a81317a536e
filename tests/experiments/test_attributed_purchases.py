"""Which purchase follows which touch, on a handful of rows: the week is 2025-01-20, the lists are of the two weeks before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import pandas as pd
import pytest

from helpers.attribution import Shop
from recs_assets.experiments.attribution import Windows


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.connection.close()


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Its rows, with None for what is missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def find(frame: pd.DataFrame, **values: Any) -> Mapping[str, Any]:
    """The one row with these values."""
    for name, value in values.items():
        frame = frame[frame[name] == (pd.Timestamp(value) if isinstance(value, date) else value)]
    (row,) = rows(frame)
    return row


# -- the rules ------------------------------------------------------------------------------


def test_a_purchase_is_the_last_clicks_with_the_row_it_came_of(shop: Shop) -> None:
    shop.click("e1", "tea-ann-6", "07 10:00")
    shop.click("e2", "tea-ann-13", "13 10:00", placement=None)
    shop.buy("o1", "tea", "14 09:00", 10.0, 7.5)
    assert rows(shop.attribute().attributions) == [
        {
            "order_id": "o1",
            "line_id": "1",
            "customer_id": "ann",
            "product_id": "tea",
            "ordered_at": pd.Timestamp("2025-01-14 09:00"),
            "net_amount": 7.5,
            "margin": 6.0,
            "returned_amount": 2.5,
            "touch": "clicked",
            "touched_at": pd.Timestamp("2025-01-13 10:00"),
            "event_id": "e2",
            "recommendation_id": "tea-ann-13",
            "campaign": "weekly",
            "placement": None,
            "list": "email_recommendations",
            "as_of": pd.Timestamp("2025-01-13"),
            "slot": 1,
            "slot_type": "personal",
            "reason_code": "again",
            "source": "ranker",
            "segment": "new",
            "arm": "a",
            "same_product": True,
        }
    ]


def test_a_click_beats_a_later_view(shop: Shop) -> None:
    shop.click("clicked", "tea-ann-6", "07 10:00")
    shop.event("opened", "opened", "13 09:00", campaign="weekly")
    shop.buy("o1", "tea", "13 10:00")
    assert shop.won() == {"o1": "clicked"}


def test_a_click_counts_for_seven_days_to_the_minute(shop: Shop) -> None:
    shop.click("e1", "tea-ann-6", "07 10:00")
    shop.buy("in_time", "tea", "14 10:00")
    shop.buy("late", "tea", "14 10:01")
    assert shop.won() == {"in_time": "e1"}
    assert shop.won(Windows(click_days=8)) == {"in_time": "e1", "late": "e1"}


def test_what_was_shown_or_opened_counts_for_a_day(shop: Shop) -> None:
    shop.event("shown", "shown", "08 10:00", placement="home", recommendation_id="home-ann-6")
    shop.event("opened", "opened", "08 11:00", campaign="weekly")
    shop.buy("o1", "honey", "09 10:00")
    shop.buy("o2", "honey", "09 10:01")
    shop.buy("o3", "mug", "09 11:00")
    shop.buy("o4", "mug", "09 11:01")
    assert shop.won() == {"o1": "shown", "o3": "opened"}
    assert shop.won(Windows(view_days=2)) == {"o1": "shown", "o2": "shown", "o3": "opened", "o4": "opened"}


def test_a_purchase_in_the_minute_of_the_touch_counts_and_one_before_it_does_not(shop: Shop) -> None:
    shop.click("e1", "tea-ann-6", "07 10:00")
    shop.buy("same", "tea", "07 10:00")
    shop.buy("before", "tea", "07 09:59")
    assert shop.won() == {"same": "e1"}


def test_of_two_touches_in_one_minute_the_first_event_id_wins(shop: Shop) -> None:
    shop.click("e2", "tea-ann-6", "07 10:00")
    shop.click("e1", "tea-ann-6", "07 10:00")
    shop.buy("o1", "tea", "08 10:00")
    assert shop.won() == {"o1": "e1"}


def test_one_click_may_win_two_orders_and_no_order_is_won_twice(shop: Shop) -> None:
    shop.click("e1", "tea-ann-6", "07 10:00")
    shop.click("e2", "tea-ann-6", "07 11:00")
    shop.buy("o1", "tea", "07 10:30")
    shop.buy("o2", "tea", "08 10:00")
    table = shop.attribute().attributions
    assert list(zip(table["order_id"], table["event_id"], strict=True)) == [("o1", "e1"), ("o2", "e2")]


def test_a_wholly_returned_line_is_worth_nothing(shop: Shop) -> None:
    shop.click("e1", "tea-ann-6", "07 10:00")
    shop.buy("o1", "tea", "08 10:00", 10.0, 0.0)
    (row,) = rows(shop.attribute().attributions)
    assert (row["net_amount"], row["returned_amount"], row["margin"]) == (0.0, 10.0, 0.0)


def test_a_variant_of_the_same_parent_is_won_and_says_so(shop: Shop) -> None:
    shop.mail(6, "eve", ["red_shirt", "blue_shirt"])
    shop.click("e1", "red_shirt-eve-6", "07 10:00", "eve")
    shop.buy("o1", "blue_shirt", "08 10:00", customer="eve")
    # Of one opened email the product itself wins, wherever it stands.
    shop.event("e2", "opened", "10 10:00", "eve", campaign="weekly")
    shop.buy("o2", "blue_shirt", "11 10:00", customer="eve", amount=20.0)
    table = shop.attribute().attributions
    first = find(table, order_id="o1")
    assert (first["event_id"], first["recommendation_id"], first["same_product"]) == (
        "e1",
        "red_shirt-eve-6",
        False,
    )
    shop.connection.execute("delete from intermediate.int_campaign_events_attributed where event_id = 'e1'")
    second = find(shop.attribute().attributions, order_id="o2")
    assert (second["recommendation_id"], second["same_product"]) == ("blue_shirt-eve-6", True)


def test_another_product_of_the_email_is_not_won_by_a_click(shop: Shop) -> None:
    shop.click("e1", "tea-ann-6", "07 10:00")
    shop.buy("o1", "honey", "07 11:00")
    shop.buy("o2", "mug", "07 11:00")
    assert shop.won() == {}


def test_margin_is_unknown_without_a_cost(shop: Shop) -> None:
    shop.click("e1", "mug-ann-6", "07 10:00")
    shop.buy("o1", "mug", "07 11:00")
    (row,) = rows(shop.attribute().attributions)
    assert (row["net_amount"], row["margin"]) == (10.0, None)


# -- whose ----------------------------------------------------------------------------------


def test_nobodys_events_win_nothing(shop: Shop) -> None:
    shop.click("guest", "tea-ann-6", "07 10:00", customer=None)
    shop.click("shared", "tea-ann-6", "07 10:00", known_until="2025-01-08")
    shop.click("unknown_row", "tea-ann-1", "07 10:00", product_id="tea")
    shop.click("forwarded", "tea-ben-6", "07 10:00")
    shop.click("gone", "tea-zoe-6", "07 10:00", "zoe")
    shop.mail(6, "zoe", ["tea"])
    for order, customer in (("o1", "ann"), ("o2", "zoe"), ("o3", None)):
        shop.buy(order, "tea", "07 11:00", customer=customer)
    results = shop.attribute()
    assert results.attributions.empty
    # Nor do they count as clicks, and what is gone was not sent to anybody.
    week = find(results.results, as_of=date(2025, 1, 6), channel="email", dimension="all")
    assert (week["clicks"], week["recommendations"]) == (0, 4)


def test_nothing_from_the_week_on_is_read(shop: Shop) -> None:
    shop.mail(20, "ann", ["tea"])
    shop.click("before", "tea-ann-13", "13 10:00")
    shop.click("after", "tea-ann-13", "20 00:00")
    shop.buy("o1", "tea", "19 23:59")
    shop.buy("o2", "tea", "20 00:00")
    expected = shop.attribute()
    assert dict(zip(expected.attributions["order_id"], expected.attributions["event_id"], strict=True)) == {
        "o1": "before"
    }
    assert set(expected.results["as_of"].dt.day) == {6, 13}
    shop.connection.execute(
        "delete from intermediate.int_campaign_events_attributed where event_id = 'after'"
    )
    shop.connection.execute("delete from marts.order_lines where order_id = 'o2'")
    shop.connection.execute("delete from snapshot.recs.email_recommendations where as_of = date '2025-01-20'")
    again = shop.attribute()
    for table in ("attributions", "results", "revenue"):
        pd.testing.assert_frame_equal(getattr(again, table), getattr(expected, table))


def test_who_is_held_out_got_no_email_to_win_by(shop: Shop) -> None:
    shop.mail(6, "eve", ["tea"], table="email_holdout", arm="holdout")
    shop.click("e1", "tea-eve-6", "07 10:00", "eve")
    shop.event("e2", "opened", "07 10:00", "eve", campaign="weekly")
    shop.event("e3", "sent", "06 10:00", "eve", campaign="weekly")
    shop.buy("o1", "tea", "07 11:00", customer="eve")
    assert shop.won() == {}


# -- emails whose events name no product ----------------------------------------------------


def test_an_opened_email_is_the_one_that_was_out(shop: Shop) -> None:
    """At 08:00 in Berlin (send_at), or when the shop says that it was sent."""
    shop.event("early", "opened", "13 07:30", campaign="weekly")
    shop.event("early_too", "opened", "13 07:30", "ben", campaign="weekly")
    shop.event("sent", "sent", "13 07:00", "ben", campaign="weekly")
    shop.buy("o1", "tea", "13 09:00")
    shop.buy("o2", "tea", "13 09:00", customer="ben")
    table = shop.attribute().attributions
    assert list(zip(table["order_id"], table["recommendation_id"], strict=True)) == [
        ("o1", "tea-ann-6"),
        ("o2", "tea-ben-13"),
    ]


def test_a_click_that_names_a_product_and_no_row_finds_it(shop: Shop) -> None:
    shop.event("e1", "clicked", "07 10:00", campaign="weekly", product_id="mug")
    shop.event("other", "clicked", "07 10:00", campaign="another", product_id="tea")
    shop.event("none", "clicked", "07 10:00", campaign="weekly")
    shop.buy("o1", "mug", "08 10:00")
    shop.buy("o2", "tea", "08 10:00")
    assert shop.won() == {"o1": "e1"}


# -- the shop's pages -----------------------------------------------------------------------


def test_rows_beside_a_product_and_of_a_night_belong_to_whoever_saw_them(shop: Shop) -> None:
    shop.add("snapshot.recs.similar_products", as_of=date(2025, 1, 6), product_id="tea", rank=1, neighbour_id="mug", recommendation_id="beside")  # fmt: skip
    shop.add("model.nightly_recommendations", recommendation_id="night", list="buy_it_again", as_of=date(2025, 1, 8), customer_id="ben", product_id="honey", rank=2)  # fmt: skip
    shop.event("e1", "clicked", "07 10:00", placement="product", recommendation_id="beside", arm="b")
    shop.event("e2", "shown", "09 10:00", "ben", placement="home", recommendation_id="night")
    shop.buy("o1", "mug", "08 10:00")
    shop.buy("o2", "honey", "09 11:00", customer="ben")
    table = shop.attribute().attributions[["order_id", "placement", "campaign", "list", "slot", "arm"]]
    assert rows(table) == [
        {
            "order_id": "o1",
            "placement": "product",
            "campaign": None,
            "list": "similar_products",
            "slot": 1,
            "arm": "b",
        },
        {
            "order_id": "o2",
            "placement": "home",
            "campaign": None,
            "list": "buy_it_again",
            "slot": 2,
            "arm": None,
        },
    ]


# -- results --------------------------------------------------------------------------------


def test_results_count_rows_and_not_events(shop: Shop) -> None:
    for name in ("ann", "ben"):
        shop.event(f"sent-{name}", "sent", "06 08:00", name, campaign="weekly")
    shop.event("open", "opened", "06 09:00", campaign="weekly")
    shop.click("e1", "tea-ann-6", "06 09:01", session_id="s1")
    shop.click("e2", "tea-ann-6", "06 09:05", session_id="s2")
    shop.click("e3", "mug-ann-6", "06 09:06", session_id="s2")
    shop.add("intermediate.int_browsing_events_attributed", event_id="v1", customer_id="ann", product_id="tea", event_type="add_to_cart", occurred_at="2025-01-06 09:03")  # fmt: skip
    shop.add("intermediate.int_browsing_events_attributed", event_id="v2", customer_id="ann", product_id="mug", event_type="view", duration_seconds=29, occurred_at="2025-01-06 09:07")  # fmt: skip
    shop.buy("o1", "tea", "06 10:00", 12.0)
    table = shop.attribute().results
    week = find(table, as_of=date(2025, 1, 6), campaign="weekly", dimension="all")
    assert {name: week[name] for name in week if not name.startswith(("as_of", "incremental"))} == {
        "channel": "email",
        "campaign": "weekly",
        "dimension": "all",
        "value": "all",
        "recommendations": 4,
        "sent": 4,
        "shown": 0,
        "opened": 2,
        "clicks": 2,
        "ctr": 0.5,
        "useful_clicks": 1,
        "add_to_carts": 1,
        "purchases": 1,
        "conversion": 0.25,
        "revenue": 12.0,
        "margin": 10.0,
        "emails": 2,
        "sessions": 2,
        "revenue_per_recommendation": 3.0,
        "margin_per_recommendation": 2.5,
        "revenue_per_session": 6.0,
        "margin_per_session": 5.0,
        "revenue_per_thousand_sends": 6000.0,
        "margin_per_thousand_sends": 5000.0,
        "held_out": None,
    }
    discovery = find(table, as_of=date(2025, 1, 6), dimension="slot_type", value="discovery")
    assert (discovery["sent"], discovery["clicks"], discovery["useful_clicks"], discovery["revenue"]) == (
        2,
        1,
        0,
        0.0,
    )
    assert discovery["revenue_per_thousand_sends"] == 0.0
    new = find(table, as_of=date(2025, 1, 6), dimension="segment", value="new")
    assert (new["sent"], new["emails"], new["revenue_per_thousand_sends"]) == (2, 1, 12000.0)
    values = table[(table["as_of"] == "2025-01-06") & (table["channel"] == "email")]
    assert list(zip(values["dimension"], values["value"], strict=True)) == [
        ("all", "all"),
        ("arm", "a"),
        ("category", "drinks"),
        ("list", "email_recommendations"),
        ("product", "mug"),
        ("product", "tea"),
        ("reason", "again"),
        ("segment", "new"),
        ("segment", "old"),
        ("slot", "1"),
        ("slot", "2"),
        ("slot_type", "discovery"),
        ("slot_type", "personal"),
        ("source", "ranker"),
    ]


def test_half_a_minute_of_looking_makes_a_click_useful(shop: Shop) -> None:
    shop.click("e1", "tea-ann-6", "06 09:00")
    shop.add("intermediate.int_browsing_events_attributed", event_id="v1", customer_id="ann", product_id="tea", event_type="view", duration_seconds=30, occurred_at="2025-01-06 09:00")  # fmt: skip
    week = find(shop.attribute().results, as_of=date(2025, 1, 6), dimension="all")
    assert (week["useful_clicks"], week["add_to_carts"]) == (1, 0)


def test_what_is_not_reported_is_unknown_and_a_week_without_a_send_is_zero(shop: Shop) -> None:
    shop.click("e1", "tea-ann-6", "06 09:00")
    unknown = find(shop.attribute().results, as_of=date(2025, 1, 6), dimension="all")
    assert (unknown["recommendations"], unknown["sent"], unknown["ctr"], unknown["emails"]) == (
        4,
        None,
        None,
        None,
    )
    shop.event("sent", "sent", "13 08:00", campaign="weekly")
    table = shop.attribute().results
    first, second = (find(table, as_of=date(2025, 1, day), dimension="all") for day in (6, 13))
    assert (first["sent"], first["ctr"], first["revenue_per_thousand_sends"]) == (0, None, None)
    assert (second["sent"], second["ctr"], second["revenue_per_thousand_sends"]) == (2, 0.0, 0.0)


def test_pages_count_what_was_before_somebodys_eyes(shop: Shop) -> None:
    shop.event("e1", "shown", "06 09:00", placement="home", recommendation_id="home-ann-6", session_id="s1")
    shop.event("e2", "shown", "07 09:00", placement="home", recommendation_id="home-ann-6", session_id="s2")
    shop.event("e3", "clicked", "07 09:01", placement="home", recommendation_id="home-ann-6", session_id="s2")
    shop.event(
        "e4", "added_to_cart", "07 09:02", placement="home", recommendation_id="home-ann-6", session_id="s2"
    )
    shop.buy("o1", "honey", "07 09:03", 9.0)
    row = find(shop.attribute().results, channel="page", dimension="all")
    assert (row["campaign"], row["recommendations"], row["shown"], row["sent"]) == ("home", 1, 1, None)
    assert (row["ctr"], row["useful_clicks"], row["add_to_carts"], row["purchases"]) == (1.0, 1, 1, 1)
    assert (row["sessions"], row["revenue_per_session"], row["revenue_per_thousand_sends"]) == (2, 4.5, None)


def test_incremental_is_what_the_sent_spend_more_than_the_held_out(shop: Shop) -> None:
    """20 of 40 who were to be sent to spend 10, 10 of 40 who were held out: 2.5 each, 100 in all."""
    shop.connection.execute("delete from snapshot.recs.email_recommendations")
    for number in range(80):
        name = f"c{number:02}"
        shop.add("marts.customers", customer_id=name)
        held = number >= 40
        shop.mail(
            6, name, ["tea"], "email_holdout" if held else "email_recommendations", "holdout" if held else "a"
        )
        if number < 20 or number >= 70:
            shop.buy(f"o{number}", "mug", "12 10:00", customer=name)
        shop.buy(f"later{number}", "mug", "13 08:00", customer=name)
    row = find(shop.attribute().results, channel="email", dimension="all")
    assert (row["held_out"], row["revenue"], row["incremental_revenue"]) == (40, 0.0, 100.0)
    assert (row["incremental_revenue_low"], row["incremental_revenue_high"]) == (16.964308, 183.035692)
    assert find(shop.attribute().results, channel="email", dimension="arm")["incremental_revenue"] is None
    # Nothing was sent that week.
    shop.mail(13, "ann", ["tea"])
    shop.event("sent", "sent", "13 08:00", campaign="weekly")
    unsent = find(shop.attribute().results, as_of=date(2025, 1, 6), dimension="all")
    assert (unsent["sent"], unsent["incremental_revenue"]) == (0, None)


def test_what_earlier_emails_did_is_not_taken_out(shop: Shop) -> None:
    """Held out from the 6th on. Who is sent to buys in the first week because of it; in the second nobody buys more."""
    shop.connection.execute("delete from snapshot.recs.email_recommendations")
    for number in range(80):
        name, held = f"c{number:02}", number >= 40
        table, arm = ("email_holdout", "holdout") if held else ("email_recommendations", "a")
        shop.add("marts.customers", customer_id=name)
        for day in (6, 13):
            shop.mail(day, name, ["tea"], table, arm)
        if number % 40 < (10 if held else 30):
            shop.buy(f"first{number}", "mug", "08 10:00", customer=name)
        if number % 40 < 20:
            shop.buy(f"second{number}", "mug", "15 10:00", customer=name)
    row = find(shop.attribute().results, as_of=date(2025, 1, 13), channel="email", dimension="all")
    assert row["incremental_revenue"] == 0.0


def test_without_a_holdout_there_is_no_incremental_figure(shop: Shop) -> None:
    shop.click("e1", "tea-ann-6", "07 10:00")
    shop.buy("o1", "tea", "08 10:00")
    row = find(shop.attribute().results, as_of=date(2025, 1, 6), dimension="all")
    assert (row["revenue"], row["incremental_revenue"], row["held_out"]) == (10.0, None, None)


# -- shares ---------------------------------------------------------------------------------


def test_the_share_through_recommendations_and_of_the_long_tail(shop: Shop) -> None:
    """21 products are bought that week: tea brings least, so it alone is the long tail."""
    shop.click("e1", "tea-ann-6", "07 10:00")
    shop.buy("o1", "tea", "08 10:00", 10.0)
    for number in range(20):
        shop.add("marts.products", product_id=f"p{number}", is_product=True)
        shop.buy(f"p{number}", f"p{number}", "08 10:00", 19.5, customer=None)
    shop.add("marts.products", product_id="postage", is_product=False)
    shop.buy("o2", "postage", "08 10:00", 100.0)
    assert shop.attribute().revenue.to_dict("records") == [
        {"week": pd.Timestamp("2025-01-06"), "purchases": "all", "order_lines": 21, "units": 21.0, "revenue": 400.0, "share_of_revenue": 1.0, "long_tail_share": 0.025, "long_tail_unit_share": 0.047619},
        {"week": pd.Timestamp("2025-01-06"), "purchases": "other", "order_lines": 20, "units": 20.0, "revenue": 390.0, "share_of_revenue": 0.975, "long_tail_share": 0.0, "long_tail_unit_share": 0.0},
        {"week": pd.Timestamp("2025-01-06"), "purchases": "recommended", "order_lines": 1, "units": 1.0, "revenue": 10.0, "share_of_revenue": 0.025, "long_tail_share": 1.0, "long_tail_unit_share": 1.0},
    ]  # fmt: skip


def test_before_anything_is_published_there_is_nothing(shop: Shop) -> None:
    shop.click("e1", "tea-ann-6", "07 10:00")
    shop.buy("o1", "tea", "08 10:00")
    shop.connection.execute("detach snapshot")
    results = shop.attribute()
    assert [len(table) for table in (results.attributions, results.results, results.revenue)] == [0, 0, 0]
