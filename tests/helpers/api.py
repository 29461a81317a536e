"""A server over three products and one customer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import unquote

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


class Caller:
    """Asks an application itself, without a client in between: what that does takes longer than an answer."""

    def __init__(self, app: Any) -> None:
        self._app, self._runner = app, asyncio.Runner()

    def ask(self, method: str, address: str, body: object = None) -> Any:
        """The JSON of an answer that is 200."""
        return self._runner.run(
            self._ask(method, address, b"" if body is None else json.dumps(body).encode())
        )

    async def _ask(self, method: str, address: str, body: bytes) -> Any:
        path, _, query = address.partition("?")
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "scheme": "http", "root_path": "",
            "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(),
            "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 5000), "server": ("127.0.0.1", 8000),
        }  # fmt: skip
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        text = b"".join(message.get("body", b"") for message in sent)
        assert sent[0]["status"] == 200, text
        return json.loads(text)

    def close(self) -> None:
        self._runner.close()
