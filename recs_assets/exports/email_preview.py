"""The email of a few sample customers as one HTML page, for people to look at.

Everything that comes from data is escaped, and links and pictures are http or https or not there. The
page needs no other file, runs no script, and names nobody: customers are samples 1, 2, 3.
"""

from __future__ import annotations

import hashlib
import re
from html import escape
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recs_assets.delivery import join_parts
from recs_assets.exports.email import KEY, VARIES, framed, money, sent, typed

_WEB = re.compile(r"https?://[^\s\x00-\x20\x7f\"'<>\\^`{|}]+", re.IGNORECASE)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_COLUMNS = 3
_SLOT_TYPES = {
    "personal": "Picked for you",
    "discovery": "Something new",
    "fill": "More for you",
    "pinned": "Featured",
}

# What stands before a price that varies, by language.
_FROM = {"en": "from", "de": "ab", "fr": "à partir de", "es": "desde", "nl": "vanaf", "it": "da"}

_STYLE = """
body{margin:0;padding:24px;display:flex;flex-wrap:wrap;justify-content:center;align-items:flex-start;gap:24px;
background:#eef0f2;color:#1f2933;font:14px/1.45 Helvetica,Arial,'DejaVu Sans',sans-serif}
.mail{width:640px;background:#fff;border:1px solid #d9dde1;border-radius:8px;overflow:hidden}
.note{padding:10px 28px;background:#f7f8f9;border-bottom:1px solid #e4e7eb;color:#616e7c;font-size:12px}
h1{margin:0;padding:24px 28px 4px;font-size:22px;line-height:1.25}
.lead{margin:0;padding:0 28px 14px;color:#52606d}
table{width:596px;margin:0 22px 20px;border-collapse:separate;border-spacing:6px;table-layout:fixed}
td{vertical-align:top;padding:10px;border:1px solid #e4e7eb;border-radius:6px}
.picture{position:relative;display:block;height:120px;border-radius:4px;background:#f0efe9;overflow:hidden;
text-align:center;text-decoration:none;color:#b3aca0;font:bold 44px/120px Georgia,'DejaVu Serif',serif}
.picture img{position:absolute;left:0;right:0;top:0;margin:0 auto;max-width:100%;max-height:100%;border:0}
.type{display:inline-block;margin:10px 0 4px;padding:1px 8px;border-radius:9px;background:#e3f1ea;color:#1c6b45;font-size:11px}
.type.discovery{background:#e6eefb;color:#24508f}
.type.fill{background:#f1f0ec;color:#615b4d}
.type.pinned{background:#fbeee0;color:#8a4b08}
.title{margin:0;font-size:13px;text-wrap:balance;font-weight:bold;line-height:1.3;overflow-wrap:anywhere}
.title a{color:#1f2933;text-decoration:none}
.price{margin:4px 0;font-weight:bold}
.price s{margin-left:6px;color:#7b8794;font-weight:normal}
.why{margin:0;color:#52606d;font-size:12px;overflow-wrap:anywhere}
"""


def preview_html(long: pd.DataFrame | pa.Table, customers: int = 3) -> str:
    """One page with the emails of some recipients.

    Args:
        long: the rows of one campaign and week (`email.LONG`).
        customers: how many recipients, drawn by a hash of campaign, week and id: the same for the same
            recipients. The holdout is not among them.

    Returns:
        UTF-8 text of a whole HTML document, without addresses, names and customer ids.

    Raises:
        ExportError: as `email.typed`.
    """
    table = sent(typed(long))
    keys = table.select(KEY[:-1]).group_by(KEY[:-1]).aggregate([]).to_pylist()
    drawn = {one["customer_id"]: hashlib.sha256(join_parts(map(str, one.values()))).digest() for one in keys}
    samples = sorted(drawn, key=drawn.__getitem__)[:customers]
    mails = [
        _mail(framed(table.filter(pc.equal(table["customer_id"], one))), number, len(samples))
        for number, one in enumerate(samples, start=1)
    ]
    body = "\n".join(mails) or '<p class="lead">This campaign has no recipients this week.</p>'
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src http: https:; style-src 'unsafe-inline'\">"
        '<meta name="referrer" content="no-referrer"><title>Preview of the email</title>'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _mail(rows: pd.DataFrame, number: int, of: int) -> str:
    head = rows.iloc[0]
    title = escape(head["campaign"].replace("_", " ").capitalize())
    note = [f"Sample {number} of {of}", f"week {head['as_of']}", f"sent {head['send_at']:%Y-%m-%d %H:%M} UTC"]
    note += [escape(head[name]) for name in ("locale", "arm") if isinstance(head[name], str)]
    cards = [_card(row) for row in rows.to_dict("records")]
    lines = [
        "<tr>" + "".join(f"<td>{card}</td>" for card in cards[start : start + _COLUMNS]) + "</tr>"
        for start in range(0, len(cards), _COLUMNS)
    ]
    locale = head["locale"].strip().replace("_", "-") if isinstance(head["locale"], str) else ""
    language = f' lang="{locale}"' if _LANGUAGE.fullmatch(locale) else ""
    products = f"{len(cards)} product{'' if len(cards) == 1 else 's'} chosen for you"
    return (
        f'<div class="mail"{language}><div class="note">{" · ".join(note)}</div><h1>{title}</h1>'
        f'<p class="lead">{products}</p><table role="presentation">{"".join(lines)}</table></div>'
    )


def _card(row: dict[str, Any]) -> str:
    # Recipients never read an id in the place of a name.
    title = row["title"] if isinstance(row["title"], str) else "(no name)"
    link, picture = (_web(row[name]) for name in ("url", "image_url"))
    image = f'<img src="{picture}" alt="">' if picture else ""
    initial = escape(title.strip()[:1].upper())
    href = f' href="{link}" rel="noopener noreferrer"' if link else ""
    tag = "a" if link else "span"
    shown = f"<a{href}>{escape(title)}</a>" if link else escape(title)
    kind = row["slot_type"] if isinstance(row["slot_type"], str) else ""
    known = f" {kind}" if kind in _SLOT_TYPES else ""
    label = f'<span class="type{known}">{escape(_SLOT_TYPES.get(kind, kind))}</span>' if kind else ""
    reason = f'<p class="why">{escape(row["reason_text"])}</p>' if isinstance(row["reason_text"], str) else ""
    return (
        f'<{tag} class="picture"{href}>{initial}{image}</{tag}>{label}'
        f'<p class="title">{shown}</p>{_price(row)}{reason}'
    )


def _price(row: dict[str, Any]) -> str:
    if row["price_kind"] == VARIES:
        if pd.isna(row["price_from"]):
            return ""
        word = _FROM.get(str(row["locale"])[:2].lower(), _FROM["en"])
        return f'<p class="price">{word} {escape(money(row["price_from"], row["currency"]))}</p>'
    now, before = (None if pd.isna(row[name]) else row[name] for name in ("price", "list_price"))
    if now is None:
        return ""
    was = f"<s>{escape(money(before, row['currency']))}</s>" if before is not None and before > now else ""
    return f'<p class="price">{escape(money(now, row["currency"]))}{was}</p>'


def _web(url: Any) -> str | None:
    """The url, escaped, where it is one of the web."""
    return escape(url) if isinstance(url, str) and _WEB.fullmatch(url) else None
