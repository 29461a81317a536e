"""Made-up exports of the shop systems in `recs_assets/platforms`, in the shape of the real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from helpers.platforms.bagisto import make_bagisto
from helpers.platforms.google import write_ga4, write_merchant_atom, write_merchant_feed, write_merchant_rss
from helpers.platforms.magento import make_magento
from helpers.platforms.shopify import write_shopify
from helpers.platforms.shopify_bulk import write_shopify_bulk
from helpers.platforms.tables import Tables, write_statements
from helpers.platforms.woocommerce import make_woocommerce
from helpers.platforms.woocommerce_csv import write_woocommerce_csv
from helpers.platforms.world import World


def dump(name: str, make: Callable[[], tuple[World, Tables]]) -> Callable[[Path], World]:
    """What writes `<name>.sql`, the tables as mysqldump would write them."""

    def write(folder: Path) -> World:
        world, tables = make()
        (folder / f"{name}.sql").write_text(write_statements(tables), "utf-8")
        return world

    return write


WRITERS = {
    "shopify": write_shopify,
    "shopify_bulk": write_shopify_bulk,
    "woocommerce_csv": write_woocommerce_csv,
    "woocommerce": dump("woocommerce", make_woocommerce),
    "magento": dump("magento", make_magento),
    "bagisto": dump("bagisto", make_bagisto),
    "ga4": write_ga4,
    "merchant_feed": write_merchant_feed,
    "merchant_rss": write_merchant_rss,
    "merchant_atom": write_merchant_atom,
}
