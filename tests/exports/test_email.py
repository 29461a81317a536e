"""The email table and its forms: values worked out by hand, and rules that hold for any text."""

from __future__ import annotations

import csv
import doctest
import hashlib
import io
import json
import math
import os
import re
import stat
from collections import Counter
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path

import markupsafe
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recs_assets import cron, delivery
from recs_assets.delivery import derive_recommendation_id, hash_addresses
from recs_assets.exports import email, email_files, versions
from recs_assets.exports.email import (
    FEED,
    LONG,
    addresses,
    feed,
    in_time,
    typed,
    wide,
    withheld,
)
from recs_assets.exports.email_files import spreadsheet_safe, write_exports, write_predictions
from recs_assets.exports.email_preview import preview_html
from recs_assets.exports.rows import ExportError

AS_OF = date(2025, 6, 30)
SENT = pd.Timestamp("2025-06-30 04:00", tz="UTC")
CHECKED = datetime(2025, 6, 30, 3, 59, tzinfo=UTC)
KEY = b"0123456789abcdef0123456789abcdef"
TEA, MUG = ("tea-01", "Assam & Co", 6.5, 8.0), ("mug-01", 'Mug "Big" 🍵', 12.9, None)
TAGS = "utm_source=newsletter&utm_medium=email&utm_campaign=weekly_email&utm_content=slot-3&recommendation_id=abc"
EVERYTHING = ("long", "wide", "feed", "addresses")


def row(customer="c1", slot=1, product=TEA, **more):
    identifier, title, price, list_price = product
    return {
        "campaign": "weekly_email",
        "as_of": AS_OF,
        "customer_id": customer,
        "slot": slot,
        "email_hash": hash_addresses([f"{customer}@example.com"], KEY)[0],
        "locale": "de-DE",
        "currency": "EUR",
        "timezone": None,
        "send_at": SENT,
        "run_id": "r1",
        "model_version": "2025-06-30",
        "arm": "treatment",
        "recommendation_id": derive_recommendation_id("weekly_email", AS_OF, customer, slot, identifier),
        "product_id": identifier,
        "title": title,
        "url": f"https://shop.example/{identifier}?recommendation_id=x",
        "image_url": f"https://shop.example/{identifier}.jpg",
        "price": price,
        "list_price": list_price,
        "price_kind": None if price is None else "catalogue",
        "price_from": None,
        "margin": None,
        "stock": None if product == MUG else 4.0,
        "category": "Tea",
        "brand": None,
        "score": 1.5,
        "p_purchase": None,
        "window_days": 28,
        "source": "repurchase",
        "slot_type": "personal",
        "fallback_level": "personal",
        "sent_before": "no",
        "bought_before": False,
        "reason_code": "bought_often",
        "reason_text": "You bought this on 8 days",
        "reason_family": "bought_before",
        "because_product_id": identifier,
        "because_at": date(2025, 6, 28),
        "support": None,
        "confidence": None,
        "suppression_checked_at": None,
        "expires_at": pd.Timestamp("2025-07-28", tz="UTC"),
    } | more


def frame(*rows):
    numbers = {name: "Float64" for name, kind in LONG.items() if kind == "DOUBLE"}
    return pd.DataFrame(list(rows), columns=list(LONG)).astype(numbers)


def table():
    """c2 has one slot, c3 is held out."""
    return frame(row("c2", 1, MUG), row("c1", 2, MUG), row("c1", 1, TEA), row("c3", 1, TEA, arm="holdout"))


# -- consent -------------------------------------------------------------------------------------


def test_who_withdrew_meanwhile_is_taken_out_whole():
    long = frame(*(row(f"c{number}", slot) for number in range(1, 9) for slot in (1, 2)))
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
    kept, removed = withheld(long, consents, CHECKED)
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
    assert typed(kept).num_rows == 4


def test_predictions_as_files_keep_their_types(tmp_path):
    rows = pa.table(
        {
            "as_of": [AS_OF, AS_OF],
            "customer_id": ["c1", "=c2"],
            "score": [0.25, None],
        }
    )
    manifest = write_predictions(tmp_path, rows, as_of=AS_OF, run_id="r1")
    assert (manifest["recipients"], manifest["rows"]) == (2, 2)
    assert pq.read_table(tmp_path / "current/long.parquet").equals(rows)
    assert (tmp_path / "current/long.csv").read_text().splitlines() == [
        '"as_of","customer_id","score"',
        '2025-06-30,"c1",0.25',
        '2025-06-30,"\'=c2",',
    ]
    with pytest.raises(ExportError, match="Column score holds 1 values that are NaN"):
        write_predictions(
            tmp_path, rows.set_column(2, "score", [[0.5, float("inf")]]), as_of=AS_OF, run_id="r2"
        )
    with pytest.raises(ExportError, match="Column customer_id of an export holds text with a NUL"):
        write_predictions(
            tmp_path, rows.set_column(1, "customer_id", [["c1", "c\0"]]), as_of=AS_OF, run_id="r2"
        )
    assert (tmp_path / "current").readlink().name == "2025-06-30-r1"


def test_an_email_that_is_over_when_it_goes_out_is_taken_out_whole():
    """c1's second product may be sold until the email goes out and not a moment longer."""
    over = row("c1", 2, MUG, expires_at=SENT)
    kept, recipients = in_time(frame(row("c1", 1), over, row("c2", 1, expires_at=SENT + pd.Timedelta("1us"))))
    assert (kept["customer_id"].tolist(), recipients) == (["c2"], 1)


def test_nobody_withdrew():
    none = pd.DataFrame({"customer_id": [], "consent_state": []}, dtype="str")
    kept, removed = withheld(table(), none, CHECKED)
    assert len(kept) == 4
    assert removed["reason"].value_counts().to_dict() == {"erased": 0, "objected": 0, "unsubscribed": 0}
    assert abs(withheld(table(), none)[0]["suppression_checked_at"][0] - pd.Timestamp.now("UTC")).seconds < 60
    with pytest.raises(ExportError, match="no time zone"):
        withheld(table(), none, datetime(2025, 6, 30))


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
        rows = typed(table())
        connection.execute("insert into long from rows")
        assert connection.execute("select count(*), sum(price)::decimal(9, 2)::varchar from long").fetchone() == (
            4, "38.80")  # fmt: skip
        assert typed(connection.table("long").to_arrow_table()).equals(rows)


def test_rows_are_typed_and_sorted_by_key():
    found = typed(table())
    assert found.column_names == list(LONG)
    assert found.select(["customer_id", "slot"]).to_pylist() == [
        {"customer_id": "c1", "slot": 1},
        {"customer_id": "c1", "slot": 2},
        {"customer_id": "c2", "slot": 1},
        {"customer_id": "c3", "slot": 1},
    ]
    assert found["price"].to_pylist() == [6.5, 12.9, 12.9, 6.5]
    assert found["list_price"].to_pylist() == [8.0, None, None, 8.0]
    assert typed(table()[list(LONG)[::-1]].astype({"source": "category"})).equals(found)


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
        typed(change(table()))


def test_the_wide_form():
    found = wide(table())
    assert found.shape == (2, 11 + 2 * 9)
    assert list(found)[:13] == [
        "campaign", "as_of", "customer_id", "email_hash", "locale", "currency", "timezone",
        "send_at", "run_id", "model_version", "arm", "item_1_product_id", "item_1_title",
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
        wide(frame(row("c1", 1), row("c1", 2, currency="USD")))
    with pytest.raises(ExportError, match="Column locale differs between the slots of one recipient"):
        wide(frame(row("c1", 1), row("c1", 2, locale=None)))


@settings(deadline=None, max_examples=40)
@given(st.sets(st.tuples(st.sampled_from(["a", "A", "é", "x" * 300]), st.integers(1, 5)), max_size=12))
def test_the_wide_form_has_one_row_per_recipient(keys):
    long = frame(
        *(row(customer, slot, (f"p{slot}", "t", float(slot), None)) for customer, slot in sorted(keys))
    )
    found = wide(long)
    assert sorted(found["customer_id"]) == sorted({customer for customer, _ in keys})
    held = {
        (line["customer_id"], slot)
        for line in found.to_dict("records")
        for slot in range(1, 6)
        if not pd.isna(line.get(f"item_{slot}_product_id", None)) and line[f"item_{slot}_price"] == slot
    }
    assert held == keys


def test_the_feed():
    rows = frame(
        row("c1", 1, TEA, url=f"https://shop.example/tea-01?size=2&{TAGS}#top"),
        row("c2", 1, TEA, url=f"https://shop.example/tea-01?size=2&{TAGS}#top"),
        row("c1", 2, MUG, stock=0.0),
        row("c3", 1, ("gone", "Held out", 1.0, None), arm="holdout"),
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
    rows = frame(row("c1", 1, BANANAS, price_kind="varies", price_from=0.5), row("c1", 2, TEA))
    assert wide(rows)[["item_1_price_kind", "item_1_price_from"]].to_numpy().tolist() == [["varies", 0.5]]
    assert feed(rows)["price"].isna().tolist() == [True, False]
    assert feed(rows)["sale_price"].isna().tolist() == [True, False]
    page = preview_html(rows)
    assert '<p class="price">ab 0.50 EUR</p>' in page
    assert "1.00" not in page
    english = preview_html(rows.assign(locale=None, currency=None))
    assert '<p class="price">from 0.50</p>' in english


def test_a_feed_with_two_currencies_and_one_with_two_prices():
    both = feed(frame(row("c1", 1, TEA), row("c2", 1, TEA, currency="JPY")))
    assert both["price"].tolist() == ["8.00 EUR", "8 JPY"]
    with pytest.raises(ExportError, match=r"Product tea-01 has two prices in one campaign"):
        feed(frame(row("c1", 1, TEA), row("c2", 1, TEA, price=6.0)))


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
    assert email.money(amount, currency) == shown


def test_addresses_of_those_who_are_written_to():
    emails = pd.DataFrame(
        {
            "customer_id": ["c9", "c3", "c2", "c1"],
            "email": ["9@example.com", "3@example.com", None, "c1@example.com"],
        }
    )
    assert addresses(table(), emails).to_numpy().tolist() == [
        ["c1", "c1@example.com", hash_addresses(["c1@example.com"], KEY)[0]]
    ]


# -- files ---------------------------------------------------------------------------------------

EMAILS = pd.DataFrame(
    {"customer_id": ["c1", "c2", "c3"], "email": ["=1@example.com", "c2@example.com", "c3@example.com"]}
)


def put(folder, long=None, run_id="r1", exports=EVERYTHING, **more):
    long = table() if long is None else long
    return write_exports(folder, exports, long, as_of=AS_OF, run_id=run_id, **({"emails": EMAILS} | more))


def contents(folder):
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_the_files_of_a_campaign(tmp_path):
    manifest = put(tmp_path)
    assert (tmp_path / "current").readlink() == Path("versions/2025-06-30-r1")
    current = tmp_path / "current"
    assert json.loads((current / "manifest.json").read_text()) == manifest
    assert {name: manifest[name] for name in ("exports", "recipients", "rows")} == {
        "exports": ["long", "wide", "feed", "addresses"], "recipients": 2, "rows": 3,
    }  # fmt: skip
    assert {name: one["rows"] for name, one in manifest["files"].items()} == {
        "long.parquet": 3, "long.csv": 3, "wide.parquet": 2, "wide.csv": 2, "feed.csv": 2, "feed.jsonl": 2,
        "restricted/addresses.parquet": 2, "restricted/addresses.csv": 2,
    }  # fmt: skip
    # c3 is held out: in no file.
    assert pq.read_table(current / "long.parquet").equals(typed(table()).slice(0, 3))
    assert pq.read_table(current / "wide.parquet")["item_1_product_id"].to_pylist() == ["tea-01", "mug-01"]
    for name in contents(current):
        assert (b"@example.com" in (current / name).read_bytes()) == name.startswith("restricted/"), name


def test_a_customer_is_purged_from_the_versions_that_hold_them(tmp_path):
    """Two versions; c1 is in the second. The first keeps its bytes and its time, the feed its bytes."""
    put(tmp_path, frame(row("c2", 1, MUG)), run_id="r1")
    put(tmp_path, frame(row("c2", 1, MUG, run_id="r2"), row("c1", 1, run_id="r2")), run_id="r2")
    old = tmp_path / "versions/2025-06-30-r1"
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in old.rglob("*") if path.is_file()}
    written = (tmp_path / "current/manifest.json").stat().st_mtime_ns
    feed_before = (tmp_path / "current/feed.csv").read_bytes()
    assert email_files.purge(tmp_path, "c1") == {"2025-06-30-r2": "2025-06-30-r2-2"}
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before
    current = tmp_path / "current"
    assert current.readlink() == Path("versions/2025-06-30-r2-2")
    assert not (tmp_path / "versions/2025-06-30-r2").exists()
    assert pq.read_table(current / "long.parquet")["customer_id"].to_pylist() == ["c2"]
    assert pq.read_table(current / "wide.parquet")["customer_id"].to_pylist() == ["c2"]
    assert pq.read_table(current / "restricted/addresses.parquet")["customer_id"].to_pylist() == ["c2"]
    assert (current / "feed.csv").read_bytes() == feed_before
    assert not [name for name in contents(current) if b'"c1"' in (current / name).read_bytes()]
    manifest = json.loads((current / "manifest.json").read_text())
    assert (manifest["rows"], manifest["recipients"], manifest["files"]["long.csv"]["rows"]) == (1, 1, 1)
    assert (
        manifest["files"]["long.csv"]["sha256"]
        == hashlib.sha256((current / "long.csv").read_bytes()).hexdigest()
    )
    assert stat.S_IMODE((current / "restricted").stat().st_mode) == 0o700
    assert stat.S_IMODE((current / "restricted/addresses.csv").stat().st_mode) == 0o600
    assert (current / "manifest.json").stat().st_mtime_ns == written
    assert email_files.purge(tmp_path, "c1") == {}


def test_the_csv_of_the_long_form(tmp_path):
    put(tmp_path, exports=["long"])
    lines = list(csv.DictReader(io.StringIO((tmp_path / "current/long.csv").read_text("utf-8"))))
    assert list(lines[0]) == list(LONG)
    shown = {
        name: lines[1][name] for name in ("as_of", "slot", "send_at", "title", "price", "list_price", "stock")
    }
    assert shown == {
        "as_of": "2025-06-30", "slot": "2", "send_at": "2025-06-30T04:00:00Z", "title": 'Mug "Big" 🍵',
        "price": "12.9", "list_price": "", "stock": "",
    }  # fmt: skip


def test_the_json_lines_of_the_feed_are_strict(tmp_path):
    put(tmp_path, exports=["feed"])

    def refuse(word):
        raise AssertionError(word)

    text = (tmp_path / "current/feed.jsonl").read_text("utf-8")
    rows = [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
    assert [(one["id"], one["title"], one["sale_price"], one["brand"]) for one in rows] == [
        ("mug-01", 'Mug "Big" 🍵', None, None),
        ("tea-01", "Assam & Co", "6.50 EUR", None),
    ]


def test_addresses_are_their_owners_alone(tmp_path):
    before = os.umask(0)
    try:
        put(tmp_path)
    finally:
        os.umask(before)
    restricted = tmp_path / "current/restricted"
    assert stat.S_IMODE(restricted.stat().st_mode) == 0o700
    assert {one.name: stat.S_IMODE(one.stat().st_mode) for one in restricted.iterdir()} == {
        "addresses.csv": 0o600, "addresses.parquet": 0o600,
    }  # fmt: skip
    assert pq.read_table(restricted / "addresses.parquet")["email"].to_pylist() == [
        "=1@example.com",
        "c2@example.com",
    ]
    assert '"\'=1@example.com"' in (restricted / "addresses.csv").read_text()


def test_same_rows_same_bytes(tmp_path):
    put(tmp_path / "a")
    put(tmp_path / "b", table().iloc[::-1])
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_no_recipients_are_empty_files(tmp_path):
    assert put(tmp_path, table().iloc[:0])["recipients"] == 0
    current = tmp_path / "current"
    assert pq.read_table(current / "long.parquet").schema.names == list(LONG)
    assert (current / "wide.csv").read_text().startswith('"campaign","as_of","customer_id"')
    assert (current / "feed.jsonl").read_bytes() == b""
    assert "no recipients" in preview_html(table().iloc[:0])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"exports": ["csv"]}, "There is no export csv; the exports are long, wide, feed, addresses."),
        ({"emails": None}, "The export addresses needs the customers' emails"),
        ({"run_id": "r2"}, "Rows of run_id r1 are among those of r2"),
        ({"long": frame(row(), row("c2", campaign="other"))}, "export each campaign apart"),
        (
            {"long": frame(row(title="a\0b"))},
            "Column title of the email table holds text with a NUL character",
        ),
        ({"long": frame(row(), row("c1", 2, locale="fr"))}, "Column locale differs"),
        (
            {"emails": EMAILS.assign(email="a\0@example.com")},
            "Column email of an export holds text with a NUL",
        ),
    ],
)
def test_what_is_refused_leaves_the_last_version(tmp_path, more, said):
    put(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(ExportError, match=re.escape(said)):
        put(tmp_path, **more)
    assert contents(tmp_path) == before
    assert (tmp_path / "current").readlink() == Path("versions/2025-06-30-r1")


@pytest.mark.parametrize("step", ["sha256", "sync", "point"])
def test_a_failure_leaves_the_last_version(tmp_path, monkeypatch, step):
    put(tmp_path)
    before = contents(tmp_path)

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(versions, step, full)
    with pytest.raises(OSError, match="No space left"):
        put(tmp_path)
    assert contents(tmp_path) == before
    assert (tmp_path / "current").readlink() == Path("versions/2025-06-30-r1")


@pytest.mark.parametrize("first", list("=+-@\t\r\n＝＋－＠"))
def test_formulas_get_an_apostrophe(first):
    assert spreadsheet_safe(pa.array([f"{first}1+1", f"a{first}", "", None])).to_pylist() == [
        f"'{first}1+1", f"a{first}", "", None,
    ]  # fmt: skip


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(TEXT, st.tuples(st.sampled_from(list("=+-@\t\r")), TEXT).map("".join)))
def test_any_text_is_safe_in_csv_and_whole_in_json_and_parquet(tmp_path, text):
    put(
        tmp_path,
        frame(row("c" * 300, 1, (text or "p", text, -1.5, None), score=-2.0)),
        exports=("long", "feed"),
    )
    current = tmp_path / "current"
    with (current / "long.csv").open(encoding="utf-8", newline="") as file:
        (line,) = csv.DictReader(file)
    shown = line["title"]
    assert shown in (text, f"'{text}")
    assert not shown.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert (line["customer_id"], line["price"], line["score"]) == ("c" * 300, "-1.5", "-2")
    assert pq.read_table(current / "long.parquet")["title"].to_pylist() == [text]
    assert json.loads((current / "feed.jsonl").read_bytes())["title"] == text


# -- the preview ---------------------------------------------------------------------------------


def test_the_preview_names_no_id_and_says_its_language():
    page = preview_html(frame(row("c1", 1, ("sku-77", None, 1.0, 2.0), locale="de_AT")))
    assert ">(no name)</a>" in page
    assert ">sku-77<" not in page
    assert '<div class="mail" lang="de-AT">' in page


class Seen(HTMLParser):
    """The tags, links and texts of a page."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.links, self.texts = Counter(), [], []
        self.attributes = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.texts.append(data)


def test_the_preview_shows_the_email_and_nobody():
    page = preview_html(table())
    seen = Seen(page)
    text = "|".join(seen.texts)
    for words in ("Weekly email", "Assam & Co", "6.50 EUR|8.00 EUR", 'Mug "Big" 🍵', "12.90 EUR", "Picked for you",
                  "You bought this on 8 days", "Sample 1 of 2", "sent 2025-06-30 04:00 UTC"):  # fmt: skip
        assert words in text
    assert "<s>8.00 EUR</s>" in page
    assert "https://shop.example/tea-01.jpg" in seen.links
    assert not re.search(r"@example|\bc[123]\b|[0-9a-f]{64}|<script|<link|<iframe", page)
    assert page == preview_html(table().iloc[::-1])


def test_samples_are_drawn_from_those_who_are_written_to():
    long = frame(*(row(f"c{number}", 1, (f"p{number}", f"Title {number}", 1.0, None)) for number in range(9)),
                 row("c9", 1, ("p9", "Title 9", 1.0, None), arm="holdout"))  # fmt: skip
    shown = re.findall(r"Title (\d)</a>", preview_html(long))
    assert len(shown) == 3
    assert "9" not in re.findall(r"Title (\d)</a>", preview_html(long, customers=99))
    assert shown != re.findall(r"Title (\d)</a>", preview_html(long.assign(campaign="win_back")))
    assert len(re.findall(r"Title \d</a>", preview_html(long, customers=1))) == 1


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//evil.example", "java\nscript:alert(1)", " https://x.example",
     'https://x.example/"onload="alert(1)', "https://x.example/<b>", "file:///etc/passwd", "", None],
)  # fmt: skip
def test_links_are_of_the_web_or_not_there(url):
    seen = Seen(preview_html(frame(row(url=url, image_url=url))))
    assert seen.links == []


HOSTILE = st.one_of(
    TEXT,
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "' onload='x",
            "&lt;b&gt;",
            "</style>",
        ]
    ),
)


@settings(deadline=None, max_examples=50)
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_the_preview_never_holds_text_that_is_not_escaped(title, reason, kind, locale):
    hostile = row(
        "c1", 1, ("p", title, 1.0, 2.0), reason_text=reason, slot_type=kind, locale=locale, currency=kind
    )
    plain = row("c1", 1, ("p", "t", 1.0, 2.0), reason_text="t", slot_type="x", locale="l", currency="t")
    page = preview_html(frame(hostile))
    seen, expected = Seen(page), Seen(preview_html(frame(plain)))
    # An empty slot type has no label.
    assert +(expected.tags - seen.tags) in (Counter(), Counter({"span": 1} if not kind else {}))
    assert seen.tags - expected.tags == Counter()
    assert seen.attributes <= expected.attributes
    assert seen.links == expected.links
    assert str(markupsafe.escape(reason)) in page
