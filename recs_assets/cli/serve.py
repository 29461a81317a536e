"""The command `serve`: the server of the storefront."""

from __future__ import annotations

import argparse
import ipaddress
import logging
from collections.abc import Callable
from pathlib import Path

from recs_assets.schema import SettingsError

HOST, PORT = "127.0.0.1", 8000
# In a checkout of the repository.
SHOP = Path(__file__).resolve().parents[2] / "examples" / "storefront"


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command of this module."""
    server = add("serve", help="answer the shop's pages (docs/api.md), and show the views (docs/views.md)")
    server.add_argument("--host", default=HOST, help=f"default: {HOST}, this machine alone")
    server.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}")
    server.set_defaults(execute=serve)


def serve(parsed: argparse.Namespace) -> int:
    """Serve until interrupted."""
    import uvicorn

    from recs_assets.app.guard import ANALYST, STOREFRONT, Limits
    from recs_assets.app.server import create_app
    from recs_assets.app.ui import Views
    from recs_assets.operations.rollback import serving_servers
    from recs_assets.serving.placement import load_folder
    from recs_assets.serving.servers import ServerVersions
    from recs_assets.serving.service import open_service
    from recs_assets.settings import Settings
    from recs_assets.shop import Shop

    settings = Settings()
    shop = Shop.from_settings(settings)
    given = {STOREFRONT: settings.storefront_key, ANALYST: settings.analyst_key}
    keys = {role: key.get_secret_value() for role, key in given.items() if key is not None}
    if not keys and not is_loopback(parsed.host):
        raise SettingsError(
            f"Without keys only this machine is answered, and {parsed.host} is for others too: set RECS_STOREFRONT_KEY "
            "and RECS_ANALYST_KEY, or leave --host away."
        )

    def find_erased() -> Callable[[str], bool]:
        suppression = shop.suppression()
        return lambda customer_id: bool(suppression.find_erased([customer_id]))

    servers = serving_servers(settings)
    versions = next(map(ServerVersions, servers.values()), None)
    placements = load_folder(shop.path("placements"))
    service = open_service(settings.home, placements, find_erased, settings.retention_weeks, versions)
    limits = Limits(keys, rate=settings.serve_rate, origins=frozenset(settings.serve_origins.split()))
    logging.basicConfig(format="%(message)s")
    logging.getLogger("recs_assets.app").setLevel(logging.INFO)
    said = (
        f"what was known at {service.now.version.as_of}"
        if service.now
        else "nothing yet, because no week is published"
    )
    where = next(iter(servers), "a file")
    print(f"Answering from {said} (in {where}) on http://{parsed.host}:{parsed.port}/docs")
    print(f"The views are at http://{parsed.host}:{parsed.port}/ui.")
    if not keys:
        print(f"The example shop is at http://{parsed.host}:{parsed.port}/shop/.")
        print(
            "No keys are set (RECS_STOREFRONT_KEY, RECS_ANALYST_KEY): only programs of this machine are answered."
        )
    # An access log would hold customers' ids.
    uvicorn.run(
        create_app(service, limits, SHOP if SHOP.is_dir() else None, Views(settings)),
        host=parsed.host,
        port=parsed.port,
        access_log=False,
        log_level="warning",
        server_header=False,
    )
    return 0


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
