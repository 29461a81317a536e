"""What another campaign file would have put into drawn slots, asked of a week of the tiny shop."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from helpers import shops
from recs_assets.campaigns.file import FOLDER, load
from recs_assets.campaigns.made import find_folder
from recs_assets.campaigns.policy import judge_policy, list_wanted, list_weeks, load_logs
from recs_assets.cli.main import main
from recs_assets.settings import Settings
from recs_assets.shop import Shop

WEEKLY = FOLDER / "weekly_email.yaml"


@pytest.fixture
def shop(weekly: shops.Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A copy of the weeks, as the environment of this process: queries keep there what they learn."""
    home = shutil.copytree(weekly.path, tmp_path / "home", symlinks=True)
    monkeypatch.setenv("RECS_HOME", str(home))
    monkeypatch.setenv("RECS_DATA", str(shops.TINY))
    return Shop.from_settings(Settings())


def test_the_same_file_would_draw_what_was_drawn(shop):
    *_, week = list_weeks(shop, shop.warehouse())
    assert week.as_of == date(2025, 6, 30)
    draws = pd.read_parquet(find_folder(week, "weekly_email") / "draws.parquet")
    draws = draws.astype({"customer_id": str, "product_id": str})
    keys = draws[["customer_id", "slot"]].drop_duplicates()
    assert len(keys) > 0
    order = ["customer_id", "slot", "product_id"]
    same = list_wanted(load(WEEKLY), week, keys, print).merge(keys)
    pd.testing.assert_frame_equal(
        same.sort_values(order, ignore_index=True),
        draws[[*order, "probability"]].sort_values(order, ignore_index=True),
    )
    # Without a draw the first of them has the slot.
    other = week.build.folder / "weekly_email.yaml"
    other.write_text(f"{WEEKLY.read_text('utf-8')}slots: {{exploration_share: 0}}\n", "utf-8")
    greedy = list_wanted(load(other), week, keys, print).merge(keys)
    assert (greedy["probability"] == 1).all()
    first = draws.drop_duplicates(["customer_id", "slot"])[order]
    pd.testing.assert_frame_equal(greedy[order].sort_values(order, ignore_index=True), first.reset_index(drop=True))  # fmt: skip
    # A handful of slots proves nothing, and it says so.
    with shop.warehouse().snapshot() as connection:
        logs, clicks = load_logs(connection, [week], "weekly_email", date(2025, 7, 28))
    assert clicks == 0
    found = judge_policy(load(other), logs, "purchase")
    assert found.drawn == len(keys)
    assert found.describe()[0].startswith("The log cannot say what this file would have earned: The ")
    assert found.estimate.rows["method"].tolist() == ["logged"]


def test_it_says_why_it_cannot_say_anything(shop, capsys):
    assert main(["evaluate-policy", str(WEEKLY), "--campaign", "other"]) == 1
    assert capsys.readouterr().err == (
        "Error: No kept week has drawn slots of other whose window was over by 2025-06-30: keep more weeks "
        "(RECS_BUILD_WEEKS), or wait; slots are drawn where exploration_share is above 0.\n"
    )
