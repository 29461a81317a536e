"""The files of an email: whole or not at all, the same bytes for the same rows, and safe to open."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.email import AS_OF, EMAILS, MUG, TEXT, make_row, make_table, small_table, write_files
from recs_assets.exports import email_files, versions
from recs_assets.exports.email import (
    LONG,
    cast_types,
)
from recs_assets.exports.email_files import escape_formulas, write_predictions
from recs_assets.exports.email_preview import preview_html
from recs_assets.exports.rows import ExportError


def read_files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_files_of_a_campaign(tmp_path):
    manifest = write_files(tmp_path)
    assert (tmp_path / "current").readlink() == Path("versions/2025-06-30-r1")
    current = tmp_path / "current"
    assert json.loads((current / "manifest.json").read_text()) == manifest
    assert {name: manifest[name] for name in ("exports", "recipients", "rows")} == {
        "exports": ["long", "wide", "feed", "addresses"], "recipients": 2, "rows": 3,
    }  # fmt: skip
    assert {name: facts["rows"] for name, facts in manifest["files"].items()} == {
        "long.parquet": 3, "long.csv": 3, "wide.parquet": 2, "wide.csv": 2, "feed.csv": 2, "feed.jsonl": 2,
        "restricted/addresses.parquet": 2, "restricted/addresses.csv": 2,
    }  # fmt: skip
    # c3 is held out: in no file.
    assert pq.read_table(current / "long.parquet").equals(cast_types(small_table()).slice(0, 3))
    assert pq.read_table(current / "wide.parquet")["item_1_product_id"].to_pylist() == ["tea-01", "mug-01"]
    for name in read_files(current):
        assert (b"@example.com" in (current / name).read_bytes()) == name.startswith("restricted/"), name


def test_a_customer_is_purged_from_the_versions_that_hold_them(tmp_path):
    """Two versions; c1 is in the second. The first keeps its bytes and its time, the feed its bytes."""
    write_files(tmp_path, make_table(make_row("c2", 1, MUG)), run_id="r1")
    write_files(
        tmp_path, make_table(make_row("c2", 1, MUG, run_id="r2"), make_row("c1", 1, run_id="r2")), run_id="r2"
    )
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
    assert not [name for name in read_files(current) if b'"c1"' in (current / name).read_bytes()]
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
    write_files(tmp_path, exports=["long"])
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
    write_files(tmp_path, exports=["feed"])

    def refuse(word):
        raise AssertionError(word)

    text = (tmp_path / "current/feed.jsonl").read_text("utf-8")
    rows = [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
    assert [(line["id"], line["title"], line["sale_price"], line["brand"]) for line in rows] == [
        ("mug-01", 'Mug "Big" 🍵', None, None),
        ("tea-01", "Assam & Co", "6.50 EUR", None),
    ]


def test_addresses_are_their_owners_alone(tmp_path):
    before = os.umask(0)
    try:
        write_files(tmp_path)
    finally:
        os.umask(before)
    restricted = tmp_path / "current/restricted"
    assert stat.S_IMODE(restricted.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in restricted.iterdir()} == {
        "addresses.csv": 0o600, "addresses.parquet": 0o600,
    }  # fmt: skip
    assert pq.read_table(restricted / "addresses.parquet")["email"].to_pylist() == [
        "=1@example.com",
        "c2@example.com",
    ]
    assert '"\'=1@example.com"' in (restricted / "addresses.csv").read_text()


def test_same_rows_same_bytes(tmp_path):
    write_files(tmp_path / "a")
    write_files(tmp_path / "b", small_table().iloc[::-1])
    assert read_files(tmp_path / "a") == read_files(tmp_path / "b")


def test_no_recipients_are_empty_files(tmp_path):
    assert write_files(tmp_path, small_table().iloc[:0])["recipients"] == 0
    current = tmp_path / "current"
    assert pq.read_table(current / "long.parquet").schema.names == list(LONG)
    assert (current / "wide.csv").read_text().startswith('"campaign","as_of","customer_id"')
    assert (current / "feed.jsonl").read_bytes() == b""
    assert "no recipients" in preview_html(small_table().iloc[:0])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"exports": ["csv"]},
            "There is no export csv; the exports are long, wide, feed, addresses, klaviyo, braze, mailchimp, webhook.",
        ),
        ({"emails": None}, "The export addresses needs the customers' emails"),
        ({"run_id": "r2"}, "Rows of run_id r1 are among those of r2"),
        ({"long": make_table(make_row(), make_row("c2", campaign="other"))}, "export each campaign apart"),
        (
            {"long": make_table(make_row(title="a\0b"))},
            "Column title of the email table holds text with a NUL character",
        ),
        ({"long": make_table(make_row(), make_row("c1", 2, locale="fr"))}, "Column locale differs"),
        (
            {"emails": EMAILS.assign(email="a\0@example.com")},
            "Column email of an export holds text with a NUL",
        ),
    ],
)
def test_what_is_refused_leaves_the_last_version(tmp_path, more, said):
    write_files(tmp_path)
    before = read_files(tmp_path)
    with pytest.raises(ExportError, match=re.escape(said)):
        write_files(tmp_path, **more)
    assert read_files(tmp_path) == before
    assert (tmp_path / "current").readlink() == Path("versions/2025-06-30-r1")


@pytest.mark.parametrize("step", ["sha256", "sync", "point"])
def test_a_failure_leaves_the_last_version(tmp_path, monkeypatch, step):
    write_files(tmp_path)
    before = read_files(tmp_path)

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(versions, step, full)
    with pytest.raises(OSError, match="No space left"):
        write_files(tmp_path)
    assert read_files(tmp_path) == before
    assert (tmp_path / "current").readlink() == Path("versions/2025-06-30-r1")


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


# -- any text ------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", list("=+-@\t\r\n＝＋－＠"))
def test_formulas_get_an_apostrophe(first):
    assert escape_formulas(pa.array([f"{first}1+1", f"a{first}", "", None])).to_pylist() == [
        f"'{first}1+1", f"a{first}", "", None,
    ]  # fmt: skip


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(TEXT, st.tuples(st.sampled_from(list("=+-@\t\r")), TEXT).map("".join)))
def test_any_text_is_safe_in_csv_and_whole_in_json_and_parquet(tmp_path, text):
    write_files(
        tmp_path,
        make_table(make_row("c" * 300, 1, (text or "p", text, -1.5, None), score=-2.0)),
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
