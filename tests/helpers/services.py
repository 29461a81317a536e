"""What the services document, and a campaign's files as they are given them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

SCHEMAS = Path(__file__).resolve().parent.parent / "exports/schemas"
SERVICES = ("klaviyo", "braze", "mailchimp", "webhook")


def check_shape(value: Any, schema: str) -> None:
    """Raises jsonschema.ValidationError where a value is not as documented."""
    kind = json.loads((SCHEMAS / f"{schema}.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(kind)
    jsonschema.Draft202012Validator(kind).validate(value)


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def read_payloads(path: Path) -> dict[str, dict]:
    """Payload by customer id."""
    return {line["customer_id"]: line["payload"] for line in read_lines(path)}


def check_payloads(folder: Path, addresses: bool = True) -> None:
    """Every file for a service in a version, as the requests would be."""
    restricted = "restricted/" if addresses else ""
    check_shape(json.loads((folder / "klaviyo_catalog.json").read_text()), "klaviyo_catalog")
    if profiles := list(read_payloads(folder / f"{restricted}klaviyo_profiles.jsonl").values()):
        job = {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": profiles}}}
        check_shape({"data": job}, "klaviyo_profile_bulk_import_job")
    if items := read_lines(folder / "braze_catalog.jsonl"):
        check_shape({"items": items}, "braze_catalog_items")
    for user in read_payloads(folder / "braze_attributes.jsonl").values():
        check_shape({"attributes": [user]}, "braze_users_track")
    if addresses:
        for member in read_payloads(folder / "restricted/mailchimp_members.jsonl").values():
            check_shape(member, "mailchimp_member")
            assert all(len(text.encode()) <= 255 for text in member["merge_fields"].values())
    for message in read_payloads(folder / "webhook_messages.jsonl").values():
        check_shape({"messages": [message]}, "webhook")
