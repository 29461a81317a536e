"""Stock counted on Monday at 05:00 stops an email at 06:00: the slot goes to the next product."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from helpers import shops
from helpers.shops import Home
from recs_assets.defs import build_definitions
from recs_assets.settings import Settings

WEEK = "2025-06-30"
FILES = dg.AssetKey(["exports", "email_weekly_email"])

pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]


def test_what_sold_out_since_is_in_no_file_and_its_slot_is_refilled(weekly: Home, tmp_path: Path) -> None:
    home, data = weekly.copy(tmp_path / "home"), shops.copy(tmp_path / "data")
    (data / "manifest.json").unlink()
    table = f"recs.email_recommendations where as_of = '{WEEK}' and campaign = 'weekly_email'"
    [(gone, shown)] = home.query(
        f"select product_id, count(*) from {table} group by 1 order by 2 desc, 1 limit 1"
    )
    assert shown > 10
    counts = [("05:00:00", "0"), ("04:00:00", "9")]
    shops.change(
        data,
        "inventory",
        lambda rows: (
            rows
            + [{"product_id": gone, "counted_at": f"{WEEK} {at}", "stock": stock} for at, stock in counts]
        ),
    )
    published = home.query(f"select customer_id, slot, product_id from {table} order by 1, 2")
    job = build_definitions(Settings(data=data, home=home.path)).resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(partition_key=WEEK, asset_selection=[FILES]).success
    current = home.path / "exports" / "weekly_email" / "current"
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select customer_id, slot, product_id, recommendation_id, title, reason_text from '{current / 'long.parquet'}' "
            "order by 1, 2"
        ).fetchall()
    look = json.loads((current / "manifest.json").read_text())["last_look"]
    there = {row[:2] for row in rows}
    # c05 withdrew since; everybody else has twelve different products still, and none that is gone.
    assert {customer for customer, _ in there} == {row[0] for row in published} - {"c05"}
    assert len(there) == len(rows) == len({(row[0], row[2]) for row in rows}) == 33 * 12
    assert gone not in {row[2] for row in rows}
    old = {row[:2]: row[2] for row in published}
    changed = [row for row in rows if old[row[:2]] != row[2]]
    assert [row for row in changed if old[row[:2]] != gone] == []
    assert len(changed) == sum(product == gone for place, product in old.items() if place in there)
    assert all(title and reason for *_, title, reason in changed)
    assert len({row[3] for row in rows}) == len(rows)
    assert look["refilled_sold_out"] == sum(look.values()) == len(changed) > 10
    # The published table stays as it was.
    assert home.query(f"select customer_id, slot, product_id from {table} order by 1, 2") == published
