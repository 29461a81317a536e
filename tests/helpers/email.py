"""An email table of three customers, and the files written of it."""

from __future__ import annotations

from datetime import date

import pandas as pd
from hypothesis import strategies as st

from recs_assets.delivery import derive_recommendation_id, hash_addresses
from recs_assets.exports.email import (
    LONG,
)
from recs_assets.exports.email_files import write_exports

AS_OF = date(2025, 6, 30)
SENT = pd.Timestamp("2025-06-30 04:00", tz="UTC")


KEY = b"0123456789abcdef0123456789abcdef"
TEA, MUG = ("tea-01", "Assam & Co", 6.5, 8.0), ("mug-01", 'Mug "Big" 🍵', 12.9, None)


EVERYTHING = ("long", "wide", "feed", "addresses")


def make_row(customer="c1", slot=1, product=TEA, **more):
    identifier, title, price, list_price = product
    return (
        dict.fromkeys(LONG)
        | {
            "campaign": "weekly_email",
            "as_of": AS_OF,
            "customer_id": customer,
            "slot": slot,
            "email_hash": hash_addresses([f"{customer}@example.com"], KEY)[0],
            "locale": "de-DE",
            "currency": "EUR",
            "timezone": None,
            "send_at": SENT,
            "run_id": "r1",
            "model_version": "2025-06-30",
            "arm": "treatment",
            "recommendation_id": derive_recommendation_id("weekly_email", AS_OF, customer, slot, identifier),
            "product_id": identifier,
            "title": title,
            "url": f"https://shop.example/{identifier}?recommendation_id=x",
            "image_url": f"https://shop.example/{identifier}.jpg",
            "price": price,
            "list_price": list_price,
            "price_kind": None if price is None else "catalogue",
            "price_from": None,
            "shown_currency": more.get("currency", "EUR"),
            "exchange_rate": 1.0,
            "shown_price": more.get("price_from", price),
            "margin": None,
            "stock": None if product == MUG else 4.0,
            "category": "Tea",
            "brand": None,
            "score": 1.5,
            "p_purchase": None,
            "window_days": 28,
            "source": "repurchase",
            "slot_type": "personal",
            "propensity": 1.0,
            "fallback_level": "personal",
            "sent_before": "no",
            "bought_before": False,
            "reason_code": "bought_often",
            "reason_text": "You bought this on 8 days",
            "reason_family": "bought_before",
            "because_product_id": identifier,
            "because_at": date(2025, 6, 28),
            "support": None,
            "confidence": None,
            "suppression_checked_at": None,
            "expires_at": pd.Timestamp("2025-07-28", tz="UTC"),
        }
        | more
    )


def make_table(*rows):
    numbers = {name: "Float64" for name, kind in LONG.items() if kind == "DOUBLE"}
    return pd.DataFrame(list(rows), columns=list(LONG)).astype(numbers)


def small_table():
    """c2 has one slot, c3 is held out."""
    return make_table(
        make_row("c2", 1, MUG),
        make_row("c1", 2, MUG),
        make_row("c1", 1, TEA),
        make_row("c3", 1, TEA, arm="holdout"),
    )


EMAILS = pd.DataFrame(
    {"customer_id": ["c1", "c2", "c3"], "email": ["=1@example.com", "c2@example.com", "c3@example.com"]}
)


def write_files(folder, long=None, run_id="r1", exports=EVERYTHING, **more):
    long = small_table() if long is None else long
    return write_exports(folder, exports, long, as_of=AS_OF, run_id=run_id, **({"emails": EMAILS} | more))


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
