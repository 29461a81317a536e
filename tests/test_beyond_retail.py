"""The examples beyond retail: their files come from their scripts, and land and are cleaned as their pages say."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from helpers.shops import ROOT
from recs_assets.campaigns.file import load_folder
from recs_assets.settings import Settings
from recs_assets.shop import Shop

EXAMPLES = ROOT / "examples"
BOTH = pytest.mark.parametrize("name", ["insurance", "software"])
# Rows of every raw table that holds some.
LANDED = {
    "insurance": {
        "customers": 270, "products": 18, "orders": 1295, "order_items": 1474, "browsing_events": 879, "returns": 50,
    },
    "software": {
        "customers": 260, "products": 21, "orders": 1236, "order_items": 1249, "browsing_events": 769, "returns": 58,
    },
}  # fmt: skip


def open_shop(name: str, home: Path) -> Shop:
    data = EXAMPLES / name / "data"
    return Shop.from_settings(Settings(data=data, shops=EXAMPLES, source=name, home=home))


@BOTH
def test_the_script_writes_the_same_bytes(name: str, tmp_path: Path) -> None:
    runpy.run_path(str(EXAMPLES / name / "make.py"))["main"](tmp_path)
    kept = {path.name: path.read_bytes() for path in (EXAMPLES / name / "data").iterdir()}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept
    assert sum(map(len, kept.values())) < 200_000


@BOTH
def test_every_table_lands(name: str, tmp_path: Path) -> None:
    shop = open_shop(name, tmp_path)
    with duckdb.connect() as connection:
        rows = {table: shop.land(connection, table).rows for table in shop.source.raw_tables}
        assert {table: count for table, count in rows.items() if count} == LANDED[name]
        orphans = "select count(*) from raw.{} anti join raw.{} using ({})"
        for table, other, key in (
            ("order_items", "orders", "order_id"),
            ("order_items", "products", "product_id"),
            ("orders", "customers", "customer_id"),
            ("returns", "order_items", "order_id, product_id"),
        ):
            assert connection.execute(orphans.format(table, other, key)).fetchall() == [(0,)]


def test_a_contract_that_prolongs_itself_is_no_purchase(tmp_path: Path) -> None:
    shop = open_shop("insurance", tmp_path)
    with duckdb.connect() as connection:
        shop.land(connection, "order_items")
        lines = connection.execute("select count(*) from raw.order_items where line_id like '%/%'").fetchall()
    assert lines == [(0,)]
    assert (EXAMPLES / "insurance" / "data" / "contracts.csv").read_text().count("/2025,") > 300


@BOTH
def test_its_campaigns_and_sentences_are_valid(name: str, tmp_path: Path) -> None:
    shop = open_shop(name, tmp_path)
    loaded = load_folder(shop.path("campaigns"))
    assert not loaded.errors
    assert (
        sorted(loaded.campaigns)
        == {
            "insurance": ["next_policy", "sign_again"],
            "software": ["next_feature"],
        }[name]
    )
    goods = re.compile(r"\b(buys?|bought|carts?|shop|wishlist|baskets?)\b")
    english = shop.sentences.languages["en"].sentences
    assert {code: text for code, text in english.items() if goods.search(text.replace("{baskets}", ""))} == {}


@pytest.mark.slow
@BOTH
def test_no_row_is_set_aside(name: str, tmp_path: Path) -> None:
    """Landing, cleaning and joining, as the audit runs them. It says that so few products are too few."""
    data = EXAMPLES / name / "data"
    settings = {"RECS_SHOPS": str(EXAMPLES), "RECS_SOURCE": name, "RECS_HOME": str(tmp_path / "home")}
    ran = subprocess.run(
        [sys.executable, "-m", "recs_assets", "audit", str(data)],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, **settings},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert f"None of {sum(LANDED[name].values()):,} rows is in quarantine." in ran.stdout
    assert "It takes at least 50 products that were bought" in ran.stdout
