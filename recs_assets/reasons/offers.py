"""Price advantages that a list may name."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from recs_assets.files import read_sql
from recs_assets.reasons.evidence import Offers

if TYPE_CHECKING:
    import duckdb

# Kinds of promotions that make a product cheaper, by a word of their name; a display or a mailer shows it only.
PRICE_WORDS = "|".join(
    """
    price|prices|pricecut|priceoff|discount|discounts|discounted|coupon|coupons|voucher|vouchers|rebate|sale|sales|offer|offers
    deal|deals|markdown|clearance|reduced|reduction|bogo|bogof|multibuy|cashback|special|rabatt|preis|preissenkung
    angebot|aktion|sonderangebot|gutschein|solde|soldes|remise|prix|promo|descuento|oferta|rebaja|rebajas|precio|cupon
    korting|aanbieding|actie|prijs|kortingscode|sconto|offerta|saldi|prezzo|buono
    """.replace("|", " ").split()
)


def load_offers(
    connection: duckdb.DuckDBPyConnection, week: date, sent: date, end: date, kinds: Collection[str] = ()
) -> Offers:
    """Price advantages of the week's products: announced before it, for everybody, and on at some time from the
    day of sending to the end of the window.

    Of several the one that lasts longest of those that run when the email is sent, else the one that
    begins first.

    Args:
        connection: to the build file of the week.
        week: its Monday.
        sent: day on which the list reaches customers; an offer that ends on it may be over.
        end: first day after the window.
        kinds: kinds of promotions that are a price advantage, beside those whose name says so.
    """
    own = [re.sub(r"[\s-]", "_", kind.strip().lower()) for kind in kinds]
    rows = connection.execute(
        read_sql(__file__, "offers"),
        {"week": week, "sent": sent, "end": end, "own": own, "words": f"(^|_)({PRICE_WORDS})(_|$)"},
    ).fetchnumpy()
    products = connection.execute("select count(*) from marts.products").fetchall()[0][0]
    first, last = np.full((2, products), -1, dtype=np.int64)
    # The last row of a product wins.
    first[rows["code"]], last[rows["code"]] = rows["first"], rows["last"]
    return Offers(first, last, (sent - date(1970, 1, 1)).days)
