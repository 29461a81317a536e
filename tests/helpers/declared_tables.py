"""Three tables of a shop's own: tickets of customers about products, messages of tickets, tags of products."""

from __future__ import annotations

from pathlib import Path

TICKETS = """\
description: Support tickets.
key: ticket_id
time: opened_at
columns:
  {ticket_id: text, customer_id: text, product_id: text, opened_at: time, topic: text, severity: number,
   urgent: boolean, resolved_at: time, stars: number, agent: text}
references: {customer_id: customers, product_id: products}
known: {resolved_at: [stars]}
personal: [agent]
reason: "You asked us about it on {date}"
"""
MESSAGES = """\
description: Messages of tickets.
key: message_id
time: sent_at
columns: {message_id: text, ticket_id: text, sent_at: time, length: number}
references: {ticket_id: tickets}
"""
TAGS = """\
description: Tags of products.
key: [product_id, tag]
static: true
columns: {product_id: text, tag: text}
references: {product_id: products}
reason: {en: Picked for its tag, de: Wegen seines Merkmals}
"""
FILES = {"tickets": TICKETS, "messages": MESSAGES, "tags": TAGS}

# By the order of the columns. The anchors are 2024-02-05 and 2024-03-04.
ROWS = {
    "tickets": [
        ("t1", "ann", "milk", "2024-01-10 10:00:00", "delivery", 2, True, "2024-01-20 09:00:00", 4, "Kim"),
        ("t2", "ann", "milk", "2024-02-01 10:00:00", "size", 4, False, "2024-02-10 09:00:00", 1, "Kim"),
        ("t3", "ann", "bread", "2024-03-03 23:59:59", "size", 1, None, None, None, None),
        # Opens at the midnight of the earlier anchor: not known there.
        ("t4", "bob", "milk", "2024-02-05 00:00:00", "delivery", 3, True, None, None, None),
        # dan objected: counted for nobody.
        ("t5", "dan", "milk", "2024-01-15 10:00:00", "size", 5, True, None, None, None),
        ("t6", "who", "milk", "2024-01-16 10:00:00", "size", 5, True, None, None, None),
        # A second row of t1, later: the first stays.
        ("t1", "bob", "milk", "2024-02-20 10:00:00", "size", 9, True, None, None, None),
        ("t7", "ann", "milk", None, "size", 9, True, None, None, None),
        ("t8", "ann", "cheese", "2024-01-16 10:00:00", "size", 9, True, None, None, None),
        ("t9", "ann", "milk", "2099-01-01 00:00:00", "size", 9, True, None, None, None),
        (None, "ann", "milk", "2024-01-16 10:00:00", "size", 9, True, None, None, None),
        # Of nobody and of no product: counted in no feature, and no fault.
        ("t10", None, None, "2024-01-17 10:00:00", "size", 9, True, None, None, None),
        # The future of the week.
        ("t11", "ann", "milk", "2024-03-04 00:00:00", "size", 9, True, None, None, None),
    ],
    "messages": [
        ("m1", "t1", "2024-01-11 10:00:00", 100),
        ("m2", "t2", "2024-02-02 10:00:00", 50),
        # Before its ticket, by a clock that was late: known with the ticket.
        ("m3", "t4", "2024-02-04 23:00:00", 10),
        ("m4", "t6", "2024-01-17 10:00:00", 10),
        ("m5", "t11", "2024-03-03 10:00:00", 10),
    ],
    "tags": [("milk", "vegan"), ("bread", "vegan"), ("milk", "new"), ("milk", "new"), ("cheese", "new")],
}  # fmt: skip


def write_files(folder: Path, **files: str) -> Path:
    """A folder of YAML files, by default of all three tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (files or FILES).items():
        (folder / f"{name}.yaml").write_text(text)
    return folder
