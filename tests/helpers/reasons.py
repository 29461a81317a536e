"""A shop for the tests of reasons: six customers, seven products, one basket each."""

from datetime import date

import numpy as np
import pandas as pd

from helpers.known import known_of
from recs_assets.known.interactions import EVENT_TYPES, PURCHASE
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.base import Recommender

AS_OF = date(2017, 1, 2)
VIEW = EVENT_TYPES.index("view")


def day(when):
    """Days since 1970 of a date, or of its text."""
    return (date.fromisoformat(str(when)) - date(1970, 1, 1)).days


def shop(products, events, customers=6):
    """`products`: (name, category); `events`: (customer, product, date, kind), one basket each."""
    return known_of(
        AS_OF,
        pd.DataFrame({"customer_id": [f"c{number}" for number in range(customers)]}),
        pd.DataFrame(
            {
                "product_id": [f"id{number}" for number in range(len(products))],
                "name": [name for name, _ in products],
                "category": [category for _, category in products],
                "available": True,
            }
        ),
        [
            (customer, product, day(AS_OF) - day(when), EVENT_TYPES[kind])
            for customer, product, when, kind in events
        ],
    )


# p0 pizza: 0 on two days (and twice on one of them). p1 brie: 1 long ago. p2 milk: popular, 2-4 recently.
# p3 cola: viewed by 1. p4 nameless: 1. p5 gouda: never sold. p6 without category: never sold.
PRODUCTS = [
    ("FROZEN PIZZA", "FROZEN"),
    ("BRIE", "CHEESE"),
    ("MILK", "DAIRY"),
    ("COLA", "DRINKS"),
    (None, "SNACKS"),
    ("GOUDA", "CHEESE"),
    ("THING", None),
]
EVENTS = [
    (0, 0, "2016-12-05", PURCHASE),
    (0, 0, "2016-12-12", PURCHASE),
    (0, 0, "2016-12-12", PURCHASE),
    (1, 1, "2015-12-12", PURCHASE),
    (1, 3, "2016-12-30", VIEW),
    (1, 4, "2016-06-01", PURCHASE),
    (2, 2, "2016-12-20", PURCHASE),
    (3, 2, "2016-12-21", PURCHASE),
    (4, 2, "2016-12-22", PURCHASE),
]


# Customers 6 to 45.
CROWD = 46


def make_crowd(left, right):
    """Events of ten customers who bought both products and thirty who bought milk, for `shop` of `CROWD` customers: the two
    go together more than chance gives."""
    both = [
        (customer, product, "2016-03-01", PURCHASE) for customer in range(6, 16) for product in (left, right)
    ]
    return both + [(customer, 2, "2016-03-01", PURCHASE) for customer in range(16, CROWD)]


# Recommender -> the reasons that may cite its evidence.
REASONS = {name: entry.make(0, 10, 1).reasons for name, entry in REGISTRY.items()}


class Led:
    """A fitted recommender as far as reasons know it: the product that led to a pair, by the pair."""

    shares = Recommender.shares
    bears_out = Recommender.bears_out

    def __init__(self, name, because):
        self.reasons, self.table = REASONS[name], because

    def because(self, customers, products):
        return np.array(
            [self.table.get((int(c), int(p)), -1) for c, p in zip(customers, products, strict=True)],
            dtype=np.int32,
        )
