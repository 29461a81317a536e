"""Offers that an email may name."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from helpers.warehouse import FIRST, load_beside_snapshot
from recs_assets.reasons.offers import load_offers
from recs_assets.store.warehouse import Warehouse


def load_days(
    house: Warehouse, promotions: list[tuple], sent: date = FIRST, kinds: tuple[str, ...] = ()
) -> dict:
    """First and last day of the offers in an email of the first week, whose window ends after 14 days, by
    product. Promotions: product, kind, announced, start, end, reach."""
    with house.build(FIRST).write() as connection:
        for schema in ("marts", "staging"):
            connection.execute(f"create schema {schema}")
        connection.execute(
            "create table marts.products as select 'p' || n as product_id from range(3) as t(n)"
        )
        connection.execute(
            "create table staging.stg_promotions (product_id varchar, kind varchar, announced_at timestamp, "
            "start_at timestamp, end_at timestamp, reach double)"
        )
        connection.executemany("insert into staging.stg_promotions values (?, ?, ?, ?, ?, ?)", promotions)
    offers = load_beside_snapshot(load_offers, house, FIRST, sent, date(2024, 3, 18), kinds)
    days = [pd.to_datetime(values, unit="D").strftime("%m-%d") for values in (offers.first, offers.last)]
    return {
        f"p{n}": (first, last)
        for n, (first, last) in enumerate(zip(*days, strict=True))
        if offers.first[n] >= 0
    }


OFFER = ("p1", "price", "2024-02-20", "2024-03-01", "2024-03-11", None)


@pytest.mark.parametrize(
    ("change", "days"),
    [
        ({}, ("03-04", "03-10")),
        # What only shows a product makes it no cheaper; a kind says so by a word of its name.
        ({1: "display"}, None),
        ({1: "mailer"}, None),
        ({1: "feature_price_cut"}, ("03-04", "03-10")),
        ({1: "wochenangebot"}, None),
        ({1: "coupon"}, ("03-04", "03-10")),
        # Unknown before the week; over when it begins, or on the day of sending; after the window.
        ({2: "2024-03-04"}, None),
        ({4: "2024-03-04"}, None),
        ({4: "2024-03-04 18:00"}, None),
        ({4: "2024-03-05"}, ("03-04", "03-04")),
        ({3: "2024-03-17", 4: "2024-04-01"}, ("03-17", "03-31")),
        ({3: "2024-03-18", 4: "2024-04-01"}, None),
        # Not for everybody.
        ({5: 1.0}, ("03-04", "03-10")),
        ({5: 0.4}, None),
    ],
)
def test_an_offer_is_a_price_advantage_for_everybody_within_the_window(
    house: Warehouse, change: dict[int, object], days: tuple[str, str] | None
) -> None:
    offer = tuple(change.get(place, value) for place, value in enumerate(OFFER))
    assert load_days(house, [offer]).get("p1") == days


def test_of_several_offers_the_one_that_runs_longest_is_said(house: Warehouse) -> None:
    assert load_days(
        house,
        [
            OFFER,
            ("p1", "coupon", "2024-02-20", "2024-03-02", "2024-03-20", None),
            ("p1", "price", "2024-02-20", "2024-03-10", "2024-03-30", None),
            ("p2", "price", "2024-02-20", "2024-03-12", "2024-03-30", None),
            ("p2", "price", "2024-02-20", "2024-03-10", "2024-03-12", None),
        ],
    ) == {"p1": ("03-04", "03-19"), "p2": ("03-10", "03-11")}


def test_an_email_of_thursday_knows_no_offer_that_ended_on_wednesday(house: Warehouse) -> None:
    ends = ("p1", "price", "2024-02-20", "2024-03-01", "2024-03-07", None)
    own = ("p2", "Wochen-Angebot", "2024-02-20", "2024-03-01", "2024-03-09", None)
    promotions = [ends, (own[0], "wochen_angebot", *own[2:])]
    assert load_days(house, promotions, date(2024, 3, 7), ("Wochen-Angebot",)) == {"p2": ("03-07", "03-08")}
