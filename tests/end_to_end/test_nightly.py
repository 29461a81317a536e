"""The nightly refresh: what happened since the week is in what the server answers, and nothing else moves."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from helpers import shops
from helpers.shops import Home, Row
from recs_assets.app.guard import Limits
from recs_assets.app.server import create_app
from recs_assets.operations.nightly import purge_nights
from recs_assets.serving.placement import load_folder
from recs_assets.serving.service import open_service
from recs_assets.store.warehouse import Warehouse

pytestmark = pytest.mark.slow

WEEK, DAY = "2025-06-30", "2025-07-01"


def ask(home: Path, customer: str) -> dict:
    service = open_service(home, load_folder(), lambda: lambda _: False, 8)
    with TestClient(create_app(service, Limits({})), base_url="http://127.0.0.1") as client:
        answer = client.get(f"/v1/customers/{customer}/recommendations?placement=home&n=12")
        assert answer.status_code == 200, answer.text
        return answer.json()


def refresh(home: Path, data: Path, day: str = DAY) -> shops.Ran:
    return shops.finish(shops.start(home, data, command=("nightly", "--day", day)))


@pytest.mark.own_week
def test_a_day_is_served_by_the_weeks_models(weekly: Home, tmp_path: Path) -> None:
    home = weekly.copy(tmp_path / "home")
    data = shops.copy(tmp_path / "data")

    def join(rows: list[Row]) -> list[Row]:
        return [
            *rows,
            {**rows[0], "customer_id": "c99", "email": "c99@example.org", "joined_at": "2025-06-30 08:00:00"},
        ]

    def order(rows: list[Row]) -> list[Row]:
        return [
            *rows,
            {**rows[-1], "order_id": "o-new", "customer_id": "c99", "ordered_at": "2025-06-30 12:00:00"},
        ]

    def line(rows: list[Row]) -> list[Row]:
        return [*rows, {**rows[-1], "order_id": "o-new", "line_id": "1", "product_id": "tea-01"}]

    shops.change(data, "customers", join)
    shops.change(data, "orders", order)
    shops.change(data, "order_items", line)
    before = home.kept()
    assert ask(home.path, "c99")["items"][0]["fallback_level"] != "personal"

    ran = refresh(home.path, data)
    assert ran.code == 0, ran.err
    assert f"The server answers from the day {DAY}" in ran.out

    found = ask(home.path, "c99")
    assert found["as_of"] == DAY
    assert found["items"][0]["fallback_level"] == "personal"
    # Analysts and the campaigns have the week, byte by byte.
    assert home.kept() == before
    folder = home.path / "nights" / DAY
    assert [path.name for path in folder.iterdir()] == ["lists.parquet"]
    lists = pq.read_table(folder / "lists.parquet").to_pylist()
    assert {row["as_of"] for row in lists} == {date(2025, 7, 1)}
    assert {row["list"] for row in lists} == {"customer_recommendations", "buy_it_again"}
    shown = {item["recommendation_id"] for item in found["items"] if item["fallback_level"] == "personal"}
    assert shown <= {row["recommendation_id"] for row in lists if row["customer_id"] == "c99"}
    # A rollback goes to a week: those versions of the store are kept, of days the newest only.
    versions = [
        json.loads(path.read_text()) for path in (home.path / "serving" / "versions").glob("*/manifest.json")
    ]
    assert sorted(version["as_of"] for version in versions) == ["2025-05-05", WEEK, DAY]
    assert [version["refreshes"] for version in versions if version["as_of"] == DAY] == [WEEK]

    [written] = purge_nights(Warehouse(home.path), "c99")
    assert not [row for row in pq.read_table(written).to_pylist() if row["customer_id"] == "c99"]
    assert len(pq.read_table(written)) == len([row for row in lists if row["customer_id"] != "c99"])

    # What does not pass the gates is not served.
    shops.change(data, "orders", lambda rows: rows[:20])
    served = (home.path / "serving" / "current").readlink()
    ran = refresh(home.path, data, "2025-07-02")
    assert ran.code == 1
    assert "the server answers from what it had" in ran.err
    assert (home.path / "serving" / "current").readlink() == served


def test_a_day_before_the_week_is_refused(weekly: Home, tmp_path: Path) -> None:
    ran = refresh(weekly.path, shops.TINY, WEEK)
    assert ran.code == 1
    assert f"The day {WEEK} does not lie after the published week {WEEK}" in ran.err
