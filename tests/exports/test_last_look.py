"""What sold out, or may not be sold when the email leaves, gives its slot to the next product that the rules allow."""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd
import pytest

from recs_assets.contracts import EMAIL, list_staying_columns
from recs_assets.delivery import derive_recommendation_id
from recs_assets.exports.email import LONG
from recs_assets.exports.last_look import OF_CATALOGUE, OF_RESERVE, Floor, LastLook, explain_floors, refill
from recs_assets.schema import WarehouseError

AS_OF, SEND = date(2025, 6, 30), datetime(2025, 6, 30, 6)
MIDNIGHT = pd.Timestamp("2025-07-14", tz="UTC")
PRODUCTS = ("tea", "mug", "pot", "jam", "ham", "nut", "oil")
CATALOGUE = pd.DataFrame(
    dict.fromkeys(OF_CATALOGUE)
    | {
        "product_id": PRODUCTS,
        "title": [name.title() for name in PRODUCTS],
        "image_url": None,
        "price": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        "list_price": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        "category": ["a", "a", "b", "b", "c", "c", "a"],
        "brand": None,
        "currency": "EUR",
        "price_kind": "price",
        "price_from": False,
        "margin": 0.5,
    }
)
PAGES = dict.fromkeys(PRODUCTS, "https://shop.example/x")


def reserves(*lists, most=2, min_stock=1.0):
    """Per customer (ann, bob, ...) the products in order; the first two are their slots."""
    category = CATALOGUE.set_index("product_id")["category"].map({"a": 0, "b": 1, "c": 2})
    rows = [
        (customer, slot, product)
        for customer, products in zip(("ann", "bob", "cay"), lists, strict=False)
        for slot, product in enumerate(products, 1)
    ]
    frame = pd.DataFrame(rows, columns=["customer_id", "slot", "product_id"])
    return frame.assign(**{name: None for name in OF_RESERVE if name not in frame}).assign(
        url=frame["product_id"].map(PAGES), expires_at=MIDNIGHT, score=1.0 / frame["slot"], p_purchase=0.5,
        source="als", slot_type="personal", fallback_level="personal", sent_before="no", bought_before=False, reason_code="popular",
        reason_text="Popular: " + frame["product_id"], reason_family=None, because_product_id=None, because_at=pd.NaT,
        support=float("nan"), confidence=float("nan"), propensity=(frame["slot"] / 4).where(frame["slot"] <= 2), min_stock=min_stock,
        max_per_category=frame["product_id"].map(category), max_per_category_most=most,
    )  # fmt: skip


def list_published(kept):
    """The rows of the first two slots, with every column of the table."""
    rows = kept[kept["slot"] <= 2]
    rows = rows.merge(CATALOGUE, on="product_id", how="left").assign(
        campaign="mail", as_of=AS_OF, send_at=pd.Timestamp("2025-06-30 04:00", tz="UTC"), run_id="r1", arm="treatment",
        locale="de-DE", timezone=None, shown_currency="SEK", exchange_rate=0.1,  model_version="query 1", window_days=14, stock=9.0, email_hash=None,
        suppression_checked_at=MIDNIGHT, recommendation_id="0" * 20,
    )  # fmt: skip
    rows = rows.assign(shown_price=rows["price"] * 10)
    missing = {name: None for name in LONG if name not in rows}
    numbers = [
        "price", "list_price", "shown_price", "margin", "stock", "score", "p_purchase", "propensity", "support", "confidence",
    ]  # fmt: skip
    return rows.assign(**missing)[list(LONG)].astype(dict.fromkeys(numbers, "Float64"))


def shelf(stock=(), ends=(), starts=()):
    frame = pd.DataFrame(
        {"product_id": PRODUCTS, "stock": float("nan"), "start_at": pd.NaT, "end_at": pd.NaT}
    )
    frame = frame.astype({"start_at": "datetime64[us]", "end_at": "datetime64[us]"}).set_index("product_id")
    for column, values in (("stock", stock), ("end_at", ends), ("start_at", starts)):
        for product, value in dict(values).items():
            frame.loc[product, column] = value
    return frame.reset_index()


def test_every_column_stays_or_is_the_reserves_or_the_catalogues():
    parts = [list_staying_columns(EMAIL), set(OF_RESERVE), set(OF_CATALOGUE), {"stock", "shown_price"}]
    assert set.union(*map(set, parts)) == set(LONG)
    assert sum(map(len, parts)) == len(LONG)
    assert {"customer_id", "slot", "send_at", "arm", "locale"} <= parts[0]
    assert {"product_id", "url", "reason_text", "p_purchase"} <= parts[1]
    assert {"title", "price", "currency", "category"} <= parts[2]


def looked(kept, now):
    rows, look = refill(list_published(kept), kept, now, CATALOGUE, "Europe/Berlin", "newsletter")
    return rows.groupby("customer_id")["product_id"].apply(list).to_dict(), look


def test_nothing_sold_out_nothing_changes():
    kept = reserves(["tea", "pot", "jam"])
    rows, look = refill(list_published(kept), kept, shelf(), CATALOGUE, "Europe/Berlin", "newsletter")
    pd.testing.assert_frame_equal(rows, list_published(kept))
    assert look == LastLook([], [])
    assert look.facts({"ann"}) == {
        "refilled_sold_out": 0, "refilled_sale_over": 0, "refilled_not_yet_on_sale": 0, "refilled_not_in_catalogue": 0,
        "removed_sold_out": 0, "removed_sale_over": 0, "removed_not_yet_on_sale": 0, "removed_not_in_catalogue": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("now", "expected", "reason"),
    [
        (shelf(stock={"tea": 0}), ["jam", "pot"], "sold_out"),
        (shelf(stock={"tea": -2}), ["jam", "pot"], "sold_out"),
        (shelf(stock={"pot": 0}), ["tea", "jam"], "sold_out"),
        # The reserve is gone, too: the one after it.
        (shelf(stock={"tea": 0, "jam": 0}), ["ham", "pot"], "sold_out"),
        (shelf(ends={"tea": SEND}), ["jam", "pot"], "sale_over"),
        (shelf(starts={"tea": datetime(2025, 6, 30, 7)}), ["jam", "pot"], "not_yet_on_sale"),
        (shelf().query("product_id != 'tea'"), ["jam", "pot"], "not_in_catalogue"),
        (shelf().query("product_id not in ('tea', 'jam')"), ["ham", "pot"], "not_in_catalogue"),
    ],
)
def test_the_slot_goes_to_the_next_reserve(now, expected, reason):
    kept = reserves(["tea", "pot", "jam", "ham"])
    assert looked(kept, now) == ({"ann": expected}, LastLook([("ann", reason)], []))


ACME = frozenset({"tea", "ham", "nut"})


@pytest.mark.parametrize(
    ("share", "lists", "expected", "short"),
    [
        # Of six places the floor's tea had three. Ann's and Bob's are given away: to what is next, where two are enough ...
        (0, (["tea", "pot", "jam", "ham"],) * 3, [["jam", "pot"]] * 3, 0),
        # ... one place goes to the ham, Ann's because she is the first of those who lose as little by it, ...
        (0.1, (["tea", "pot", "jam", "ham"],) * 3, [["ham", "pot"], ["jam", "pot"], ["jam", "pot"]], 0),
        (0.5, (["tea", "pot", "jam", "ham"],) * 3, [["ham", "pot"]] * 3, 0),
        # ... or Bob's, whose ham is the nearest to what he would get.
        (
            0.1,
            (["tea", "pot", "jam", "oil", "ham"], ["tea", "pot", "jam", "ham"]),
            [["jam", "pot"], ["ham", "pot"]],
            0,
        ),
        # Nobody has another product of the floor, and the pots, which are there, stay.
        (0.5, (["tea", "pot", "jam"],) * 2, [["jam", "pot"]] * 2, 1),
        # What is gone itself, stands there already, or is one too many of its category is no way to hold it.
        (
            0.5,
            (["tea", "ham", "jam", "nut"], ["tea", "pot", "mug", "ham"]),
            [["jam", "ham"], ["ham", "pot"]],
            0,
        ),
    ],
)
def test_a_floor_of_exposure_holds_after_the_last_look(share, lists, expected, short):
    kept = reserves(*lists)
    floors = [Floor("brand Acme", ACME, share)] if share else []
    rows, look = refill(
        list_published(kept),
        kept,
        shelf(stock={"tea": 0, "nut": 0}),
        CATALOGUE,
        "Europe/Berlin",
        "newsletter",
        floors,
    )
    assert rows.groupby("customer_id")["product_id"].apply(list).tolist() == expected
    assert {reason for _, reason in look.refilled} == {"sold_out"}
    assert len(explain_floors(rows["product_id"].tolist(), floors)) == short


def test_a_floor_that_the_files_do_not_hold_is_said():
    floors = [Floor("brand Acme", ACME, 0.5), Floor("merchant m1", frozenset({"pot"}), 0.25)]
    assert explain_floors(["jam", "pot", "ham", "pot"], floors) == [
        "The floor of brand Acme has 1 of 4 places of the files, and not 50% of them: products of it were gone, or recipients were, "
        "and no slot that was given away could be one of its others."
    ]


def test_a_replacement_of_a_floor_keeps_every_limit():
    """Two of a category at most: the ham may not stand beside the nut and the other of its kind."""
    kept = reserves(["tea", "nut", "jam", "ham"], most=1)
    rows, _ = refill(
        list_published(kept), kept, shelf(stock={"tea": 0}), CATALOGUE, "Europe/Berlin", "newsletter",
        [Floor("brand Acme", ACME, 1.0)],
    )  # fmt: skip
    assert rows["product_id"].tolist() == ["jam", "nut"]


def test_a_slot_that_was_given_away_was_not_drawn():
    kept = reserves(["tea", "pot", "jam", "ham"])
    rows, _ = refill(
        list_published(kept), kept, shelf(stock={"pot": 0}), CATALOGUE, "Europe/Berlin", "newsletter"
    )
    assert rows["product_id"].tolist() == ["tea", "jam"]
    assert rows["propensity"].isna().tolist() == [False, True]
    assert rows["propensity"].iloc[0] == 0.25


@pytest.mark.parametrize(
    "now",
    [
        shelf(stock={"tea": 1}),
        shelf(ends={"tea": datetime(2025, 6, 30, 6, 0, 1)}),
        shelf(starts={"tea": SEND}),
    ],
)
def test_what_can_be_had_stays(now):
    assert looked(reserves(["tea", "pot", "jam"]), now)[0] == {"ann": ["tea", "pot"]}


def test_the_campaigns_own_least_stock_holds_for_slot_and_reserve():
    kept = reserves(["tea", "pot", "jam", "ham"], min_stock=5.0)
    now = shelf(stock={"tea": 4, "jam": 3, "ham": 5, "pot": 5})
    assert looked(kept, now) == ({"ann": ["ham", "pot"]}, LastLook([("ann", "sold_out")], []))


def test_a_reserve_keeps_the_limits():
    """One of each category: jam, of pot's, may stand only where pot is gone."""
    kept = reserves(["tea", "pot", "jam", "ham"], most=1)
    assert looked(kept, shelf(stock={"tea": 0}))[0] == {"ann": ["ham", "pot"]}
    assert looked(kept, shelf(stock={"pot": 0}))[0] == {"ann": ["tea", "jam"]}
    # Both: jam for tea, then nothing else of b, so ham.
    assert looked(kept, shelf(stock={"tea": 0, "pot": 0}))[0] == {"ann": ["jam", "ham"]}


def test_who_has_nothing_left_is_taken_out_whole():
    kept = reserves(["tea", "pot", "jam"], ["ham", "tea"], ["ham", "nut"])
    found, look = looked(kept, shelf(stock={"tea": 0}))
    assert found == {"ann": ["jam", "pot"], "cay": ["ham", "nut"]}
    assert look == LastLook([("ann", "sold_out")], [("bob", "sold_out")])
    # Of who withdrew meanwhile no slot is counted.
    assert [look.facts(who)["refilled_sold_out"] for who in ({"ann", "cay"}, {"cay"})] == [1, 0]
    assert look.facts({"ann", "cay"})["removed_sold_out"] == 1


def test_a_refilled_row_is_true_in_every_column():
    kept = reserves(["tea", "pot", "jam"])
    rows, _ = refill(
        list_published(kept), kept, shelf(stock={"tea": 0, "jam": 3}), CATALOGUE, "Europe/Berlin", "crm"
    )
    new, old = rows.iloc[0], list_published(kept).iloc[0]
    identifier = derive_recommendation_id("mail", AS_OF, "ann", 1, "jam")
    assert new[["customer_id", "slot", "product_id", "title", "category", "price", "list_price", "shown_price", "stock"]].tolist() == [
        "ann", 1, "jam", "Jam", "b", 4.0, 4.0, 40.0, 3.0,
    ]  # fmt: skip
    assert (new["reason_text"], new["score"], new["p_purchase"]) == ("Popular: jam", 1 / 3, 0.5)
    assert new["recommendation_id"] == identifier
    assert new["url"] == (
        "https://shop.example/x?utm_source=crm&utm_medium=email&utm_campaign=mail&utm_content=slot-1"
        f"&recommendation_id={identifier}"
    )
    same = [
        "campaign",
        "as_of",
        "locale",
        "currency",
        "send_at",
        "run_id",
        "arm",
        "model_version",
        "window_days",
        "shown_currency",
        "exchange_rate",
    ]
    assert new[same].tolist() == old[same].tolist()
    assert rows.dtypes.to_dict() == list_published(kept).dtypes.to_dict()


def test_a_campaign_without_reserves_still_looks():
    kept = reserves(["tea", "pot"], ["pot", "jam"])
    rows, look = refill(
        list_published(kept), pd.DataFrame(), shelf(stock={"tea": 0}), CATALOGUE, "Europe/Berlin", "crm"
    )
    assert rows["customer_id"].unique().tolist() == ["bob"]
    assert look == LastLook([], [("ann", "sold_out")])


def test_a_reserve_with_a_day_fits_among_rows_with_days():
    """Published rows come with dates, reserves with times of midnight; a column of both could not be written."""
    kept = reserves(["tea", "pot", "jam"]).assign(because_at=pd.Timestamp("2025-06-02"))
    long = list_published(kept).assign(because_at=date(2025, 6, 1))
    rows, _ = refill(long, kept, shelf(stock={"tea": 0}), CATALOGUE, "Europe/Berlin", "newsletter")
    assert rows["because_at"].tolist() == [date(2025, 6, 2), date(2025, 6, 1)]


def test_a_row_holds_no_longer_than_its_product_is_sold():
    kept = reserves(["tea", "pot", "jam"], ["pot", "ham"])
    # Sold until Thursday noon and Friday noon in Berlin; of the ham for longer than the window.
    noon = {"pot": datetime(2025, 7, 3, 12), "jam": datetime(2025, 7, 4, 12), "ham": datetime(2025, 8, 1)}
    now = shelf(stock={"tea": 0}, ends=noon)
    rows, _ = refill(list_published(kept), kept, now, CATALOGUE, "Europe/Berlin", "newsletter")
    assert [*zip(rows["customer_id"], rows["product_id"], rows["expires_at"], strict=True)] == [
        ("ann", "jam", pd.Timestamp("2025-07-04 10:00", tz="UTC")),
        ("ann", "pot", pd.Timestamp("2025-07-03 10:00", tz="UTC")),
        ("bob", "pot", pd.Timestamp("2025-07-03 10:00", tz="UTC")),
        ("bob", "ham", MIDNIGHT),
    ]


def test_a_catalogue_cut_short_is_no_change_of_range():
    kept = reserves(["tea", "pot", "jam"])
    with pytest.raises(
        WarehouseError, match="lack 4 of the 7 that were published: no file of the campaign mail"
    ):
        looked(kept, shelf().query("product_id in ('tea', 'pot', 'jam')"))
