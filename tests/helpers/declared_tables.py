"""Tables of a shop's own: tickets of customers about products, messages of tickets, tags of products; and, about values
that many share, where customers live, storms and their warnings by region, and tests of products by category."""

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
HOMES = """\
description: Where customers live.
key: [customer_id, moved_at]
time: moved_at
columns: {customer_id: text, moved_at: date, region: text}
references: {customer_id: customers}
"""
WEATHER = """\
description: Weather of a day by region.
key: [region, day]
time: day
columns: {region: text, day: date, sky: text, rain: number}
references: {region: homes.region}
"""
STORMS = """\
description: Storms.
key: storm_id
time: named_at
columns: {storm_id: text, region: text, named_at: time}
references: {region: homes.region}
"""
WARNINGS = """\
description: Warnings of storms.
key: warning_id
time: sent_at
columns: {warning_id: text, storm_id: text, sent_at: time, level: number}
references: {storm_id: storms}
"""
TESTS = """\
description: Tests of products in magazines, by category.
key: test_id
time: printed_at
columns: {test_id: text, category: text, printed_at: time, stars: number}
references: {category: products.category}
reason: "Tested on {date}"
"""
HOLIDAYS = """\
description: Holidays by country.
key: [country, name]
static: true
columns: {country: text, name: text}
references: {country: customers.country}
"""
CARDS = """\
description: Loyalty cards.
key: customer_id
time: issued_at
columns: {customer_id: text, issued_at: time, points: number}
references: {customer_id: customers}
"""
HOUSEHOLDS = """\
description: Attributes of households.
key: customer_id
static: true
columns: {customer_id: text, size: number}
references: {customer_id: customers}
"""
# About values that many customers, or products, carry.
SHARED_FILES = {
    "homes": HOMES, "weather": WEATHER, "storms": STORMS, "warnings": WARNINGS, "tests": TESTS, "holidays": HOLIDAYS,
    "cards": CARDS, "households": HOUSEHOLDS,
}  # fmt: skip

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
    "homes": [
        ("ann", "2023-01-01", "north"),
        ("bob", "2023-01-01", " north "),
        ("cay", "2023-01-01", "south"),
        # Moves between the anchors.
        ("bob", "2024-02-10", "south"),
        # In the future of the week, objected, not known yet at the earlier anchor, and nowhere.
        ("ann", "2024-03-04", "south"),
        ("dan", "2023-01-01", "north"),
        ("fay", "2023-01-01", "north"),
        ("eve", "2023-01-01", None),
    ],
    "weather": [
        ("north", "2024-02-01", "rain", 8),
        ("north", "2024-02-04", "sun", 0),
        # The earlier anchor itself.
        ("north", "2024-02-05", "rain", 4),
        ("south", "2024-02-01", "sun", 1),
        ("south", "2024-03-03", "rain", 20),
        ("south", "2024-03-03", "sun", 99),
        ("nowhere", "2024-02-01", "rain", 50),
        ("north", "2024-03-04", "rain", 70),
    ],
    "storms": [("ada", "north", "2024-02-01 09:00:00"), ("ben", "south", "2024-02-20 09:00:00")],
    "warnings": [
        ("w1", "ada", "2024-02-02 09:00:00", 2),
        ("w2", "ada", "2024-02-03 09:00:00", 3),
        ("w3", "ben", "2024-02-21 09:00:00", 1),
    ],
    "tests": [("x1", "dairy", "2024-01-15 00:00:00", 4), ("x2", "dairy", "2024-02-15 00:00:00", 2), ("x3", "toys", "2024-01-15 00:00:00", 5)],
    "cards": [
        ("ann", "2024-01-10 09:00:00", 10),
        ("cay", "2024-02-20 09:00:00", 30),
        ("bob", "2024-01-10 09:00:00", 50),
        ("fay", "2024-01-10 09:00:00", 70),
    ],
    "households": [("cay", 4), ("ann", 2), ("bob", 1)],
    "holidays": [("NL", "King's Day"), ("NL", "Sinterklaas"), ("DE", "Unity Day")],
}  # fmt: skip


def write_files(folder: Path, **files: str) -> Path:
    """A folder of YAML files, by default of all three tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (files or FILES).items():
        (folder / f"{name}.yaml").write_text(text)
    return folder
