"""Made-up exports of the shop systems in `recs_assets/platforms`, in the shape of the real ones."""

from helpers.platforms.google import write_ga4, write_merchant_atom, write_merchant_feed, write_merchant_rss
from helpers.platforms.shopify import write_shopify
from helpers.platforms.shopify_bulk import write_shopify_bulk
from helpers.platforms.woocommerce_csv import write_woocommerce_csv

WRITERS = {
    "shopify": write_shopify,
    "shopify_bulk": write_shopify_bulk,
    "woocommerce_csv": write_woocommerce_csv,
    "ga4": write_ga4,
    "merchant_feed": write_merchant_feed,
    "merchant_rss": write_merchant_rss,
    "merchant_atom": write_merchant_atom,
}
