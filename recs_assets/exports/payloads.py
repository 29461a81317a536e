"""What email services are given of a campaign: its products, and a payload per recipient, in the service's own shape.

    klaviyo_catalog.json      a custom catalogue feed, which Klaviyo fetches from a public address
    klaviyo_profiles.jsonl    profiles of a bulk import
    braze_catalog.jsonl       items of a catalogue
    braze_attributes.jsonl    user attributes of /users/track
    mailchimp_members.jsonl   members of an audience with their merge fields
    webhook_messages.jsonl    for a receiver of one's own

A line of a file of recipients is {"customer_id": ..., "expires_at": ..., "payload": ...}: the payload is what the service takes,
the id is what receipts and `forget` go by, and until when all of it holds is what `sending` looks at. A file with addresses lies in the restricted folder. docs/services.md names the page
that each shape and limit is from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa

from recs_assets.delivery import join_parts, strip_tracking
from recs_assets.exports.email import VARIES, format_money, write_from
from recs_assets.exports.rows import ExportError

Payload = dict[str, Any]
# Rows of the email table in memory at once.
BLOCK_ROWS = 50_000

# Klaviyo: bytes of one profile.
PROFILE_BYTES = 100_000
# Braze: characters of a text in an attribute, bytes of an attribute that is an object.
ATTRIBUTE_CHARACTERS, ATTRIBUTE_BYTES = 255, 100_000
# Mailchimp: an audience has 30 fields, of which 5 come with it; bytes of a text.
MERGE_FIELDS, MERGE_BYTES = 25, 255
MERGE_NAMES = ("TITLE", "LINK", "IMAGE", "PRICE", "REASON")
MERGE_SLOTS = (MERGE_FIELDS - 2) // len(MERGE_NAMES)

_COLUMNS = (
    "campaign", "as_of", "customer_id", "slot", "email_hash", "locale", "timezone", "send_at", "best_send_at", "expires_at", "arm",
    "recommendation_id", "product_id", "title", "url", "image_url", "price_kind", "shown_price", "shown_currency",
    "category", "brand", "reason_code", "reason_text",
)  # fmt: skip


@dataclass(frozen=True)
class Service:
    """What a service is given.

    Attributes:
        name: the value of a campaign's `exports`.
        recipients: stem of its file of recipients.
        catalog: name of its file of products; None where it takes none.
        fill: (a recipient's rows, their address or None) -> payload.
        addressed: takes addresses, where the campaign exports them.
        needs_address: finds nobody without.
    """

    name: str
    recipients: str
    fill: Callable[[list[Payload], str | None], Payload]
    catalog: str | None = None
    addressed: bool = False
    needs_address: bool = False

    def place(self, addresses: bool) -> str:
        """Path of the file of recipients within a version, where a campaign exports addresses or does not."""
        folder = "restricted/" if self.addressed and addresses else ""
        return f"{folder}{self.recipients}.jsonl"


def list_recipients(table: pa.Table) -> Iterator[tuple[str, list[Payload]]]:
    """Customer ids with their rows, in order.

    Args:
        table: rows of `email.cast_types` without the holdout.
    """
    rows = (
        row
        for batch in table.select(list(_COLUMNS)).to_batches(max_chunksize=BLOCK_ROWS)
        for row in batch.to_pylist()
    )
    for customer, group in groupby(rows, key=lambda row: row["customer_id"]):
        yield customer, list(group)


def write_line(service: Service, customer_id: str, rows: list[Payload], email: str | None) -> bytes | None:
    """A recipient's line for a service; None where it cannot find them without an address.

    Args:
        service: one of `SERVICES`.
        customer_id: of the recipient.
        rows: theirs, as of `list_recipients`.
        email: their address; None where the campaign exports none, or they have none.

    Raises:
        ExportError: the payload is larger than the service takes.
    """
    email = email if service.addressed else None
    if email is None and service.needs_address:
        return None
    until = b'"expires_at": ' + orjson.dumps(_format_time(_find_expiry(rows)))
    return (
        start_line(customer_id) + until + b', "payload": ' + orjson.dumps(service.fill(rows, email)) + b"}\n"
    )


def list_products(feed: pd.DataFrame, service: Service) -> list[Payload]:
    """The catalogue in the shape of a service.

    Args:
        feed: rows of `email.feed`; of a product in several currencies the first counts.
        service: with a catalogue.
    """
    rows = feed.drop_duplicates("id").to_dict("records")
    fill = {"klaviyo": _klaviyo_product, "braze": _braze_product}[service.name]
    return [product for row in rows if (product := fill(_drop_missing(row))) is not None]


def derive_message_id(campaign: str, as_of: str, customer_id: str) -> str:
    """32 hexadecimal digits that stand for what a campaign says to a customer in a week: the same however often it is made."""
    return hashlib.sha256(join_parts(("message", campaign, as_of, customer_id))).hexdigest()[:32]


def start_line(customer_id: str) -> bytes:
    """How a recipient's line begins."""
    return json.dumps({"customer_id": customer_id}).encode()[:-1] + b", "


# -- recipients ----------------------------------------------------------------------------------


def _klaviyo_profile(rows: list[Payload], email: str | None) -> Payload:
    """Flat properties, because only texts and numbers can be used everywhere. A missing value is an empty text: a
    bulk import cannot clear a property, and last week's picture would stand beside this week's product."""
    first, prefix = rows[0], f"recs_{rows[0]['campaign']}"
    properties: Payload = {
        f"{prefix}_week": first["as_of"].isoformat(),
        f"{prefix}_send_at": _format_time(_find_send_time(first)),
        f"{prefix}_expires_at": _format_time(_find_expiry(rows)),
        f"{prefix}_slots": len(rows),
    }
    for row in rows:
        item = {
            "id": row["product_id"],
            "title": row["title"],
            "link": row["url"],
            "image": row["image_url"],
            "price": _format_price(row),
            "reason": row["reason_text"],
            "recommendation_id": row["recommendation_id"],
        }
        properties |= {f"{prefix}_{row['slot']}_{name}": value or "" for name, value in item.items()}
    attributes: Payload = {"external_id": first["customer_id"], "properties": properties}
    if email is not None:
        attributes["email"] = email
    if first["locale"] is not None:
        attributes["locale"] = first["locale"]
    return _check_size("Klaviyo", {"type": "profile", "attributes": attributes}, PROFILE_BYTES)


def _braze_attributes(rows: list[Payload], email: str | None) -> Payload:
    """One attribute per campaign, an object, which each week replaces as a whole. Users whom Braze does not know are
    not made. `email` is not used: it would change the address of the user's profile."""
    first = rows[0]
    value = {
        "week": first["as_of"].isoformat(),
        "send_at": _format_time(_find_send_time(first)),
        "expires_at": _format_time(_find_expiry(rows)),
        "items": [
            _drop_missing(
                {
                    "id": row["product_id"],
                    "title": _shorten(row["title"], ATTRIBUTE_CHARACTERS),
                    "url": _fit_link(row["url"], lambda url: len(url) <= ATTRIBUTE_CHARACTERS),
                    "image_url": _fit_link(row["image_url"], lambda url: len(url) <= ATTRIBUTE_CHARACTERS),
                    "price": _format_price(row),
                    "reason": _shorten(row["reason_text"], ATTRIBUTE_CHARACTERS),
                    "recommendation_id": row["recommendation_id"],
                }
            )
            for row in rows
        ],
    }
    return {
        "external_id": first["customer_id"],
        "_update_existing_only": True,
        f"recs_{first['campaign']}": _check_size("Braze", value, ATTRIBUTE_BYTES),
    }


def _mailchimp_member(rows: list[Payload], email: str | None) -> Payload:
    """The first slots, as many as an audience has fields for; an empty text clears what stood in a field."""
    assert email is not None
    first = rows[0]
    fields = {"RECS_WEEK": first["as_of"].isoformat(), "RECS_SEND": _format_time(_find_send_time(first))}
    by_slot = {row["slot"]: row for row in rows}
    for slot in range(1, MERGE_SLOTS + 1):
        row = by_slot.get(slot)
        values: tuple[str | None, ...] = (None,) * len(MERGE_NAMES)
        if row is not None:
            values = (
                row["title"],
                _fit_link(row["url"], _fits_merge_field),
                _fit_link(row["image_url"], _fits_merge_field),
                _format_price(row),
                row["reason_text"],
            )
        for name, value in zip(MERGE_NAMES, values, strict=True):
            fields[f"R{slot}_{name}"] = _shorten_bytes(value or "", MERGE_BYTES)
    return {"email_address": email, "merge_fields": fields}


def _webhook_message(rows: list[Payload], email: str | None) -> Payload:
    first = rows[0]
    week = first["as_of"].isoformat()
    return {
        "message_id": derive_message_id(first["campaign"], week, first["customer_id"]),
        "campaign": first["campaign"],
        "week": week,
        "customer_id": first["customer_id"],
        "email_hash": first["email_hash"],
        "locale": first["locale"],
        "timezone": first["timezone"],
        "arm": first["arm"],
        "send_at": _format_time(first["send_at"]),
        "best_send_at": None if first["best_send_at"] is None else _format_time(first["best_send_at"]),
        "expires_at": _format_time(_find_expiry(rows)),
        "items": [
            {
                "slot": row["slot"],
                "product_id": row["product_id"],
                "title": row["title"],
                "url": row["url"],
                "image_url": row["image_url"],
                "price": row["shown_price"],
                "price_kind": row["price_kind"],
                "currency": row["shown_currency"],
                "category": row["category"],
                "brand": row["brand"],
                "reason_code": row["reason_code"],
                "reason_text": row["reason_text"],
                "recommendation_id": row["recommendation_id"],
            }
            for row in rows
        ],
    }


# -- products ------------------------------------------------------------------------------------


def _klaviyo_product(row: Payload) -> Payload | None:
    """None where a field that Klaviyo requires is missing. The email table has no description: the title stands for it."""
    if not all(row.get(name) for name in ("id", "title", "link", "image_link")):
        return None
    product = {name: row[name] for name in ("id", "title", "link", "image_link")}
    product["description"] = row["title"]
    price = row.get("sale_price", row.get("price"))
    if price is not None:
        product["price"] = float(price.partition(" ")[0])
    if "product_type" in row:
        product["categories"] = [row["product_type"]]
    return product | {name: row[name] for name in ("brand", "availability") if name in row}


def _braze_product(row: Payload) -> Payload | None:
    names = {"link": "url", "image_link": "image_url", "product_type": "category"}
    return {names.get(name, name): value for name, value in row.items()}


# -- values --------------------------------------------------------------------------------------


def _format_price(row: Payload) -> str | None:
    """What a template shows: "12.90 EUR", "from 3.49 EUR", the word in the customer's language."""
    money = format_money(row["shown_price"], row["shown_currency"])
    return (
        f"{write_from(row['locale'])} {money}" if money is not None and row["price_kind"] == VARIES else money
    )


def _find_expiry(rows: Iterable[Payload]) -> datetime:
    return min(row["expires_at"] for row in rows)


def _find_send_time(row: Payload) -> datetime:
    """When the recipient mostly orders, where that is known."""
    return row["send_at"] if row["best_send_at"] is None else row["best_send_at"]


def _format_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _fit_link(url: str | None, fits: Callable[[str], bool]) -> str | None:
    """A link that is too long loses its tracking; one that still is, is none: half a link leads nowhere."""
    if url is None or fits(url):
        return url
    parts = strip_tracking(url)
    return "".join(parts) if parts is not None and fits("".join(parts)) else None


def _fits_merge_field(text: str) -> bool:
    return len(text.encode()) <= MERGE_BYTES


def _shorten(text: str | None, characters: int) -> str | None:
    return text if text is None or len(text) <= characters else f"{text[: characters - 1]}…"


def _shorten_bytes(text: str, most: int) -> str:
    encoded = text.encode()
    if len(encoded) <= most:
        return text
    return encoded[: most - len("…".encode())].decode(errors="ignore") + "…"


def _drop_missing(row: Payload) -> Payload:
    return {
        name: value for name, value in row.items() if not (value is None or value is pd.NA or value != value)
    }


def _check_size(service: str, payload: Payload, most: int) -> Payload:
    size = len(orjson.dumps(payload))
    if size > most:
        raise ExportError(
            f"{service} takes {most:,} bytes of a recipient, and one has {size:,}: lower slots.k of the campaign."
        )
    return payload


# By their name in a campaign's `exports`.
SERVICES = {
    service.name: service
    for service in (
        Service("klaviyo", "klaviyo_profiles", _klaviyo_profile, "klaviyo_catalog.json", addressed=True),
        Service("braze", "braze_attributes", _braze_attributes, "braze_catalog.jsonl"),
        Service("mailchimp", "mailchimp_members", _mailchimp_member, addressed=True, needs_address=True),
        Service("webhook", "webhook_messages", _webhook_message),
    )
}
# Stems of the files whose lines are recipients.
RECIPIENT_FILES = frozenset(service.recipients for service in SERVICES.values())
