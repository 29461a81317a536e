"""A server over three products and one customer."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from fastapi.testclient import TestClient

from helpers.serving import NOW, make_placement, make_product, write_version
from recs_assets.app.guard import Limits
from recs_assets.app.server import create_app
from recs_assets.serving.service import open_service

SHOP = [
    make_product("p0", popularity=3.0),
    make_product("p1", popularity=2.0),
    make_product("p2", category="Cups"),
]
ADA = ("ada", {"list": [("p2", 0.8), ("p1", 0.4)], "again": [("p1", 0.5)]})
NEIGHBOURS = {"p0": ([("p1", 0.9)], [("p2", 0.5)])}
KEYS = {"storefront": "s" * 16, "analyst": "a" * 16}
EVENT = {"event_id": "e1", "type": "dismissed", "customer_id": "ada", "product_id": "p2", "placement": "home"}


def write_shop(home: Path) -> Path:
    """Publish the shop in a home."""
    write_version(home, "v1", SHOP, [ADA], NEIGHBOURS)
    return home


def start(
    home: Path, limits: Limits | None = None, erased: Collection[str] = (), address: str = "127.0.0.1"
) -> TestClient:
    """A client of the server over a home, which runs within its block."""
    placements = {
        "home": make_placement(),
        "product": make_placement("product", blend={"together": 1, "similar": 1}),
        "cart": make_placement("cart", blend={"together": 1}),
    }
    service = open_service(home, placements, lambda: lambda name: name in erased, 8, clock=lambda: NOW)
    app = create_app(service, limits or Limits({}))
    return TestClient(app, base_url=f"http://{address}", client=(address, 5000), raise_server_exceptions=True)
