"""The server over a week that was run: the lists of the cache, then those of the week gone back to, nobody forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest
from fastapi.testclient import TestClient

from helpers import shops
from recs_assets.app.guard import Limits
from recs_assets.app.server import create_app
from recs_assets.exports.jsonl import lookup
from recs_assets.serving.placement import load_folder
from recs_assets.serving.service import open_service
from recs_assets.serving.store import FILE

pytestmark = pytest.mark.slow


def ask(home, customer: str) -> dict:
    service = open_service(home, load_folder(), lambda: lambda _: False, 8)
    with TestClient(create_app(service, Limits({})), base_url="http://127.0.0.1") as client:
        answer = client.get(f"/v1/customers/{customer}/recommendations?placement=email_open&n=3")
        assert answer.status_code == 200, answer.text
        return answer.json()


def test_the_server_answers_from_the_published_week(weekly: shops.Home, tmp_path: Path) -> None:
    found = ask(weekly.copy(tmp_path / "home").path, "c01")
    assert found["as_of"] == "2025-06-30"
    listed = [row["product_id"] for row in lookup(weekly.cache, "c01")]
    ids = [item["product_id"] for item in found["items"]]
    assert len(ids) == 3
    # Of the published list, in its order, without what has ended or sold out since.
    assert ids == [product for product in listed if product in ids]
    assert {item["fallback_level"] for item in found["items"]} == {"personal"}


def test_no_address_is_in_the_store(weekly: shops.Home) -> None:
    text = (weekly.path / "serving" / "current" / FILE).read_bytes()
    assert not re.search(rb"[a-z0-9._-]+@[a-z0-9-]+\.[a-z]+", text)
    manifest = orjson.loads((weekly.path / "serving" / "current" / "manifest.json").read_bytes())
    assert manifest["as_of"] == "2025-06-30"
