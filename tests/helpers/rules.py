"""A shop of numbered products for the tests of rules, and what rules are given."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
from scipy import sparse

from helpers.known import known_of
from recs_assets.rules.config import Eligibility, ItemRules, Rules, Slots
from recs_assets.rules.context import Sends
from recs_assets.rules.sensitive import Sensitive

AS_OF = date(2024, 3, 4)  # a Monday
ANCHOR = (AS_OF - date(1970, 1, 1)).days
N = 6

OFF = {
    "sensitive": False, "min_stock": None, "complete": (), "bought_within_days": None, "not_in_cart": False,
    "not_rejected": False, "dismissed_within_days": None, "one_per_parent": False, "one_per_title": False, "max_per_category": None,
    "k": 2, "mmr_lambda": 1.0, "discovery_share": 0.0, "max_repeat": None, "ladder": (),
}  # fmt: skip


def make_rules(segments=None, **changes):
    values = OFF | changes
    parts = {
        name: model(**{key: value for key, value in values.items() if key in model.model_fields})
        for name, model in (("eligibility", Eligibility), ("items", ItemRules), ("slots", Slots))
    }
    return Rules(**parts, segments=segments or {})


def make_known(
    purchases=(),
    customers=1,
    categories=(None,) * N,
    brands=None,
    prices=None,
    unavailable=(),
    segments=None,
    events=(),
    as_of=AS_OF,
    names=None,
):
    """`purchases`: (customer, product, days before the anchor); `events` the same and the kind."""
    n = len(categories)
    return known_of(
        as_of,
        pd.DataFrame(
            {
                "customer_id": [f"c{number:03d}" for number in range(customers)],
                "email_eligible": True,
                "country": pd.Series([None] * customers, dtype="str"),
                "segment": pd.Series(segments or [None] * customers, dtype="str"),
            }
        ),
        pd.DataFrame(
            {
                "product_id": [f"p{number:03d}" for number in range(n)],
                "name": pd.Series(names or [f"thing {number}" for number in range(n)], dtype="str"),
                "category": pd.Series(list(categories), dtype="str"),
                "brand": pd.Series(list(brands or [None] * n), dtype="str"),
                "price": pd.Series(list(prices or [1.0] * n), dtype="float64"),
                "available": [number not in unavailable for number in range(n)],
            }
        ),
        [*((*row, "purchase") for row in purchases), *events],
    )


def score_lists(lists, p_purchase=None):
    """Scores 1, 1/2, 1/3, ... per customer."""
    rows = [(c, p, 1 / rank) for c, products in lists.items() for rank, p in enumerate(products, 1)]
    frame = pd.DataFrame(rows, columns=["customer", "product", "score"])
    frame = frame.astype({"customer": np.int32, "product": np.int32, "score": np.float32}).assign(
        source="als"
    )
    return frame if p_purchase is None else frame.assign(p_purchase=p_purchase)


def pairs(*products, n=N, customers=1, value=None):
    """csr with entries for customer 0: ones, or these values."""
    return sparse.csr_matrix(
        (np.ones(len(products)) if value is None else value, (np.zeros(len(products), int), list(products))),
        shape=(customers, n),
    )


def sent(*rows):
    """(customer, product, days before the anchor)."""
    customer, product, age = (np.array(column) for column in zip(*rows, strict=True))
    return Sends(customer, product, ANCHOR - age)


def lists(selection):
    return selection.rows.groupby("customer")["product"].apply(list).to_dict() if len(selection.rows) else {}


def flags(*values, rest=True):
    return np.array([*values, *[rest] * (N - len(values))])


def floats(*values, rest=np.nan):
    return np.array([*values, *[rest] * (N - len(values))], dtype=float)


def mark_sensitive(never_offer=(), never_discover=(), never_cite=(), no_counts=(), topic=0):
    """Products of these levels; `topic`: of all of them, or one per product."""

    def flag(products):
        return np.isin(np.arange(N), products)

    levels = [flag(products) for products in (never_offer, never_discover, never_cite, no_counts)]
    return Sensitive(("alcohol", "health"), np.where(np.any(levels, axis=0), topic, -1), *levels)


# c0 and c1 bought of A; p3 is of C, p4 and p5 are of B, p2 of A.
TASTES = {
    "purchases": [(0, 0, 30), (1, 0, 30), (1, 4, 30), (2, 3, 30)],
    "customers": 4,
    "categories": ["A", "A", "A", "C", "B", "B"],
}


def cut_context(context, codes):
    """What rules look at for some of the customers, with the facts of the shop."""
    rows = {"audience", "consent_state", "no_address", "unusable_address", "address", "bounced", "test_account", "wholesale",
            "country", "carts", "rejected", "dismissed", "due", "due_soon", "rfm"}  # fmt: skip
    place = np.full(context.known.n_customers, -1)
    place[codes] = np.arange(len(codes))

    def cut(entries):
        own = place[entries.customer] >= 0
        return replace(
            entries, **{name: values[own] if name != "customer" else place[values[own]] for name, values in vars(entries).items()}
        )  # fmt: skip

    changes = {name: getattr(context, name)[codes] for name in rows if getattr(context, name) is not None}
    if context.worth is not None:
        changes["worth"] = replace(
            context.worth, spend=context.worth.spend[codes], tier=context.worth.tier[codes]
        )
    changes |= {
        name: cut(getattr(context, name))
        for name in ("sends", "contacts")
        if getattr(context, name) is not None
    }
    return replace(context, known=context.known.take_customers(codes), **changes)
