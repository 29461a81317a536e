"""The email of a few sample customers as one HTML page, for people to look at.

Everything that comes from data is escaped, and links and pictures are http or https or not there. The
page needs no other file, runs no script, and names nobody: customers are samples 1, 2, 3.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recs_assets.delivery import join_parts
from recs_assets.exports.email import (
    KEY,
    VARIES,
    cast_types,
    drop_holdout,
    format_money,
    make_frame,
    write_from,
)
from recs_assets.templates import render

_WEB = re.compile(r"https?://[^\s\x00-\x20\x7f\"'<>\\^`{|}]+", re.IGNORECASE)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_COLUMNS = 3
_SLOT_TYPES = {
    "personal": "Picked for you",
    "discovery": "Something new",
    "fill": "More for you",
    "pinned": "Featured",
}


def preview_html(long: pd.DataFrame | pa.Table, customers: int = 3) -> str:
    """One page with the emails of some recipients.

    Args:
        long: the rows of one campaign and week (`email.LONG`).
        customers: how many recipients, drawn by a hash of campaign, week and id: the same for the same
            recipients. The holdout is not among them.

    Returns:
        UTF-8 text of a whole HTML document, without addresses, names and customer ids.

    Raises:
        ExportError: as `email.cast_types`.
    """
    table = drop_holdout(cast_types(long))
    keys = table.select(KEY[:-1]).group_by(KEY[:-1]).aggregate([]).to_pylist()
    drawn = {key["customer_id"]: hashlib.sha256(join_parts(map(str, key.values()))).digest() for key in keys}
    samples = sorted(drawn, key=drawn.__getitem__)[:customers]
    mails = [
        _mail(make_frame(table.filter(pc.equal(table["customer_id"], customer))), number, len(samples))
        for number, customer in enumerate(samples, start=1)
    ]
    return render("exports/email_preview.html.j2", mails=mails, columns=_COLUMNS)


def _mail(rows: pd.DataFrame, number: int, of: int) -> dict[str, Any]:
    """What the template shows of one recipient's rows."""
    head = rows.iloc[0]
    note = [f"Sample {number} of {of}", f"week {head['as_of']}", f"sent {head['send_at']:%Y-%m-%d %H:%M} UTC"]
    note += [head[name] for name in ("locale", "arm") if isinstance(head[name], str)]
    locale = head["locale"].strip().replace("_", "-") if isinstance(head["locale"], str) else ""
    return {
        "title": head["campaign"].replace("_", " ").capitalize(),
        "note": note,
        "language": locale if _LANGUAGE.fullmatch(locale) else None,
        "cards": [_card(row) for row in rows.to_dict("records")],
    }


def _card(row: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of one slot."""
    # Recipients never read an id in the place of a name.
    title = row["title"] if isinstance(row["title"], str) else "(no name)"
    kind = row["slot_type"] if isinstance(row["slot_type"], str) else ""
    price, before = _prices(row)
    return {
        "title": title,
        "initial": title.strip()[:1].upper(),
        "link": _web_address(row["url"]),
        "image": _web_address(row["image_url"]),
        "type": _SLOT_TYPES.get(kind, kind),
        "type_class": kind if kind in _SLOT_TYPES else None,
        "price": price,
        "price_before": before,
        "reason": row["reason_text"] if isinstance(row["reason_text"], str) else None,
    }


def _prices(row: dict[str, Any]) -> tuple[str | None, str | None]:
    """The price as it is shown, and the higher one it is reduced from; None where there is none."""
    if row["price_kind"] == VARIES:
        if pd.isna(row["price_from"]):
            return None, None
        money = format_money(row["shown_price"], row["shown_currency"])
        return None if money is None else f"{write_from(row['locale'])} {money}", None
    now, before = (None if pd.isna(row[name]) else row[name] for name in ("price", "list_price"))
    if now is None:
        return None, None
    shown = format_money(row["shown_price"], row["shown_currency"])
    if before is None or before <= now:
        return shown, None
    return shown, format_money(before / row["exchange_rate"], row["shown_currency"])


def _web_address(url: Any) -> str | None:
    """The url where it is one of the web; None otherwise."""
    return url if isinstance(url, str) and _WEB.fullmatch(url) else None
