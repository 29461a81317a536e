"""A campaign of so many recipients, and a sender that is not patient."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from helpers.email import SENT, TEA, make_row, make_table, write_files
from helpers.services import read_lines
from recs_assets.exports.http_calls import Patience
from recs_assets.exports.sending import send
from recs_assets.exports.services import Access, Webhook

QUICK = Patience(attempts=4, backoff=0.001, longest=1, connect=2, answer=0.5)
FAST = 10_000.0


class Small(Webhook):
    """Of ten at a time."""

    most = 10


def write_campaign(folder: Path, recipients: int, run_id: str = "r1", exports=("webhook",), **more) -> None:
    rows = [make_row(f"c{n:04}", 1, TEA, run_id=run_id, **more) for n in range(recipients)]
    write_files(folder, make_table(*rows), run_id=run_id, exports=list(exports))


def everybody(recipients: int) -> Counter[str]:
    return Counter(f"c{n:04}" for n in range(recipients))


def find_receipts(folder: Path, service: str = "webhook") -> dict[str, dict]:
    """The last line of everybody."""
    return {line["customer_id"]: line for line in read_lines(folder / f"receipts/2025-06-30-{service}.jsonl")}


def send_to(inbox, folder: Path, kind=Small, key: str | None = None, **more):
    more = {"patience": QUICK, "rate": FAST, "now": SENT} | more
    return send(folder, "weekly_email", kind(Access(url=inbox.url, key=key)), **more)
