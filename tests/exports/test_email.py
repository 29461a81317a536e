"""The email table and its forms: values worked out by hand."""

from __future__ import annotations

import doctest
import math
import re
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.email import KEY, MUG, SENT, TEA, make_row, make_table, small_table
from recs_assets import cron, delivery
from recs_assets.delivery import hash_addresses
from recs_assets.exports import email
from recs_assets.exports.email import (
    FEED,
    LONG,
    cast_types,
    drop_late,
    feed,
    keep_in_time,
    list_addresses,
    widen,
    withhold,
)
from recs_assets.exports.email_preview import preview_html
from recs_assets.exports.rows import ExportError

CHECKED = datetime(2025, 6, 30, 3, 59, tzinfo=UTC)


TAGS = "utm_source=newsletter&utm_medium=email&utm_campaign=weekly_email&utm_content=slot-3&recommendation_id=abc"


# -- consent -------------------------------------------------------------------------------------


def test_nobody_is_written_to_after_their_email_is_over():
    usual, late = SENT + pd.Timedelta("3h"), SENT + pd.Timedelta("9h")
    rows = make_table(
        make_row("c1", 1, best_send_at=usual), make_row("c1", 2, MUG, best_send_at=usual, expires_at=late),
        make_row("c2", 1, best_send_at=late), make_row("c2", 2, MUG, best_send_at=late, expires_at=late), make_row("c3"),
    )  # fmt: skip
    rows["best_send_at"] = pd.to_datetime(rows["best_send_at"], utc=True)
    kept = keep_in_time(rows)
    assert kept["best_send_at"].tolist()[:4] == [usual, usual, SENT, SENT]
    assert kept["best_send_at"].isna().tolist() == [False] * 4 + [True]


def test_who_withdrew_meanwhile_is_taken_out_whole():
    long = make_table(*(make_row(f"c{number}", slot) for number in range(1, 9) for slot in (1, 2)))
    # What became of their rows, tests/dbt/test_dbt_consent.py says.
    consents = pd.DataFrame(
        [
            ("c1", "unsubscribed"),
            ("c3", "unsubscribed"),
            ("c99", "erased"),
            ("c4", "objected"),
            ("c5", "erased"),
            ("c6", "unsubscribed"),
            ("c7", "unsubscribed"),
        ],
        columns=["customer_id", "consent_state"],
    )
    kept, removed = withhold(long, consents, CHECKED)
    assert kept["customer_id"].tolist() == ["c2", "c2", "c8", "c8"]
    assert kept["suppression_checked_at"].unique().tolist() == [pd.Timestamp("2025-06-30 03:59", tz="UTC")]
    assert removed.to_numpy().tolist() == [
        ["c1", "unsubscribed"],
        ["c3", "unsubscribed"],
        ["c4", "objected"],
        ["c5", "erased"],
        ["c6", "unsubscribed"],
        ["c7", "unsubscribed"],
    ]
    assert removed["reason"].value_counts().to_dict() == {"unsubscribed": 4, "objected": 1, "erased": 1}
    assert cast_types(kept).num_rows == 4


def test_an_email_that_is_over_when_it_goes_out_is_taken_out_whole():
    """c1's second product may be sold until the email goes out and not a moment longer."""
    over = make_row("c1", 2, MUG, expires_at=SENT)
    kept, recipients = drop_late(
        make_table(make_row("c1", 1), over, make_row("c2", 1, expires_at=SENT + pd.Timedelta("1us")))
    )
    assert (kept["customer_id"].tolist(), recipients) == (["c2"], 1)


def test_nobody_withdrew():
    none = pd.DataFrame({"customer_id": [], "consent_state": []}, dtype="str")
    kept, removed = withhold(small_table(), none, CHECKED)
    assert len(kept) == 4
    assert removed["reason"].value_counts().to_dict() == {"erased": 0, "objected": 0, "unsubscribed": 0}
    assert (
        abs(withhold(small_table(), none)[0]["suppression_checked_at"][0] - pd.Timestamp.now("UTC")).seconds
        < 60
    )
    with pytest.raises(ExportError, match="no time zone"):
        withhold(small_table(), none, datetime(2025, 6, 30))


@pytest.mark.parametrize("module", [email, cron, delivery])
def test_the_examples_of_the_docstrings(module):
    found = doctest.testmod(module)
    assert (found.attempted >= 1, found.failed) == (True, 0)


# -- the forms -----------------------------------------------------------------------------------


def test_the_documented_columns_are_those_of_the_table():
    page = (Path(__file__).parents[2] / "docs/email.md").read_text("utf-8")
    section = page.split("\n## Columns\n")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.MULTILINE)
    assert documented == list(LONG.items())


def test_duckdb_knows_the_types():
    import duckdb

    columns = ", ".join(f"{name} {kind}" for name, kind in LONG.items())
    with duckdb.connect() as connection:
        connection.execute(f"create table long ({columns})")
        rows = cast_types(small_table())
        connection.execute("insert into long from rows")
        assert connection.execute("select count(*), sum(price)::decimal(9, 2)::varchar from long").fetchone() == (
            4, "38.80")  # fmt: skip
        assert cast_types(connection.table("long").to_arrow_table()).equals(rows)


def test_rows_are_typed_and_sorted_by_key():
    found = cast_types(small_table())
    assert found.column_names == list(LONG)
    assert found.select(["customer_id", "slot"]).to_pylist() == [
        {"customer_id": "c1", "slot": 1},
        {"customer_id": "c1", "slot": 2},
        {"customer_id": "c2", "slot": 1},
        {"customer_id": "c3", "slot": 1},
    ]
    assert found["price"].to_pylist() == [6.5, 12.9, 12.9, 6.5]
    assert found["list_price"].to_pylist() == [8.0, None, None, 8.0]
    assert cast_types(small_table()[list(LONG)[::-1]].astype({"source": "category"})).equals(found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda long: long.drop(columns="brand"), "missing or unknown column: brand; see LONG."),
        (lambda long: long.assign(email="x"), "missing or unknown column: email; see LONG."),
        (lambda long: long.assign(price=float("nan")), "Column price holds 4 values that are NaN or infinite; JSON has neither."),
        (lambda long: long.assign(score=float("inf")), "Column score holds 4 values that are NaN or infinite; JSON has neither."),
        (lambda long: long.assign(price=pd.array([math.inf] * 4, "Float64")), "Column price holds values that are NaN or infinite"),
        (lambda long: long.assign(title="a\0b"), "Column title of the email table holds text with a NUL character: remove it."),
        (lambda long: long.assign(email_hash="c1@example.com"), "Column email_hash holds something else than hashes"),
        (lambda long: long.assign(product_id=None), "Column product_id of the email table is null in 4 rows: fill it."),
        (lambda long: long.assign(price="cheap"), "Column price of the email table cannot be read as DOUBLE"),
        (lambda long: long.assign(title=pd.Series(["\ud800"] * 4, dtype=object)), "Column title of the email table cannot be read as VARCHAR"),
        (lambda long: long.assign(send_at=pd.Timestamp("2025-06-30")), "Column send_at of the email table has times without time zone"),
        (lambda long: pd.concat([long, long.tail(1)]), "holds a customer's slot twice (campaign weekly_email, as_of 2025-06-30, slot 1)"),
    ],
)  # fmt: skip
def test_bad_rows_are_refused_in_a_sentence(change, said):
    with pytest.raises(ExportError, match=re.escape(said)):
        cast_types(change(small_table()))


def test_the_wide_form():
    found = widen(small_table())
    assert found.shape == (2, 13 + 2 * 10)
    assert list(found)[:15] == [
        "campaign", "as_of", "customer_id", "email_hash", "locale", "currency", "shown_currency", "timezone",
        "send_at", "best_send_at", "run_id", "model_version", "arm", "item_1_product_id", "item_1_title",
    ]  # fmt: skip
    first, second = found.to_dict("records")
    assert (first["customer_id"], first["item_1_product_id"], first["item_2_product_id"]) == (
        "c1",
        "tea-01",
        "mug-01",
    )
    assert (first["item_1_price"], first["item_1_list_price"]) == (6.5, 8.0)
    assert (second["customer_id"], second["item_1_title"]) == ("c2", 'Mug "Big" 🍵')
    assert pd.isna(second["item_2_product_id"])
    assert pd.isna(second["item_2_price"])
    assert found["item_2_price"].dtype == "Float64"


def test_a_recipient_with_two_currencies_is_refused():
    with pytest.raises(ExportError, match="Column currency differs between the slots of one recipient"):
        widen(make_table(make_row("c1", 1), make_row("c1", 2, currency="USD")))
    with pytest.raises(ExportError, match="Column locale differs between the slots of one recipient"):
        widen(make_table(make_row("c1", 1), make_row("c1", 2, locale=None)))


@settings(deadline=None, max_examples=40)
@given(st.sets(st.tuples(st.sampled_from(["a", "A", "é", "x" * 300]), st.integers(1, 5)), max_size=12))
def test_the_wide_form_has_one_row_per_recipient(keys):
    long = make_table(
        *(make_row(customer, slot, (f"p{slot}", "t", float(slot), None)) for customer, slot in sorted(keys))
    )
    found = widen(long)
    assert sorted(found["customer_id"]) == sorted({customer for customer, _ in keys})
    held = {
        (line["customer_id"], slot)
        for line in found.to_dict("records")
        for slot in range(1, 6)
        if not pd.isna(line.get(f"item_{slot}_product_id", None)) and line[f"item_{slot}_price"] == slot
    }
    assert held == keys


def test_the_feed():
    rows = make_table(
        make_row("c1", 1, TEA, url=f"https://shop.example/tea-01?size=2&{TAGS}#top"),
        make_row("c2", 1, TEA, url=f"https://shop.example/tea-01?size=2&{TAGS}#top"),
        make_row("c1", 2, MUG, stock=0.0),
        make_row("c3", 1, ("gone", "Held out", 1.0, None), arm="holdout"),
    )
    assert list(feed(rows)) == list(FEED)
    assert feed(rows).astype(object).where(feed(rows).notna(), None).to_dict("records") == [
        {
            "id": "mug-01",
            "title": 'Mug "Big" 🍵',
            "link": "https://shop.example/mug-01",
            "image_link": "https://shop.example/mug-01.jpg",
            "price": "12.90 EUR",
            "sale_price": None,
            "availability": "out_of_stock",
            "brand": None,
            "product_type": "Tea",
        },
        {
            "id": "tea-01",
            "title": "Assam & Co",
            "link": "https://shop.example/tea-01?size=2#top",
            "image_link": "https://shop.example/tea-01.jpg",
            "price": "8.00 EUR",
            "sale_price": "6.50 EUR",
            "availability": "in_stock",
            "brand": None,
            "product_type": "Tea",
        },
    ]


BANANAS = ("bananas", "Bananas", 1.0, 1.0)


def test_a_price_that_varies_is_shown_from_below():
    """Bags at 0.50 to 2.40: 1.00 is what none of them costs."""
    rows = make_table(make_row("c1", 1, BANANAS, price_kind="varies", price_from=0.5), make_row("c1", 2, TEA))
    assert widen(rows)[["item_1_price_kind", "item_1_price_from"]].to_numpy().tolist() == [["varies", 0.5]]
    assert feed(rows)["price"].isna().tolist() == [True, False]
    assert feed(rows)["sale_price"].isna().tolist() == [True, False]
    page = preview_html(rows)
    assert '<p class="price">ab 0.50 EUR</p>' in page
    assert "1.00" not in page
    english = preview_html(rows.assign(locale=None, currency=None, shown_currency=None))
    assert '<p class="price">from 0.50</p>' in english


def test_a_feed_with_two_currencies_and_one_with_two_prices():
    both = feed(make_table(make_row("c1", 1, TEA), make_row("c2", 1, TEA, currency="JPY")))
    assert both["price"].tolist() == ["8.00 EUR", "8 JPY"]
    with pytest.raises(ExportError, match=r"Product tea-01 has two prices in one campaign"):
        feed(make_table(make_row("c1", 1, TEA), make_row("c2", 1, TEA, price=6.0)))


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (12.9, "USD", "12.90 USD"),
        (0.125, "USD", "0.13 USD"),
        (2.675, "EUR", "2.68 EUR"),
        (1200.5, "JPY", "1201 JPY"),
        (1.2345, "KWD", "1.235 KWD"),
        (1e7, "EUR", "10000000.00 EUR"),
        (3.0, None, "3.00"),
        (None, "USD", None),
    ],
)
def test_money(amount, currency, shown):
    assert email.format_money(amount, currency) == shown


def test_addresses_of_those_who_are_written_to():
    emails = pd.DataFrame(
        {
            "customer_id": ["c9", "c3", "c2", "c1"],
            "email": ["9@example.com", "3@example.com", None, "c1@example.com"],
        }
    )
    assert list_addresses(small_table(), emails).to_numpy().tolist() == [
        ["c1", "c1@example.com", hash_addresses(["c1@example.com"], KEY)[0]]
    ]
