"""Made-up exports of the shop systems in `recs_assets/platforms`, in the shape of the real ones."""

from helpers.platforms.shopify import write_shopify

WRITERS = {"shopify": write_shopify}
