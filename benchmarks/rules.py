"""Seconds and memory of everything between ranked candidates and filled slots, on synthetic arrays.

    python -m benchmarks.rules --customers 200000

Every rule is on. Of the customers, 3 % have no candidates and 3 % have fifteen, so that the ladder
fills; 100 candidates each otherwise. Products follow a Zipf popularity, half of a customer's
candidates come from the five categories they buy. One thread; the arrays are seeded.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import wraps

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.known.interactions import EVENT_TYPES, Events, Known
from recs_assets.rules import best_set, candidates, filling, pipeline
from recs_assets.rules.config import Eligibility, Goal, ItemRules, Pin, Rules, SegmentRules, Slots
from recs_assets.rules.context import Contacts, Context, Sends

AS_OF = date(2025, 6, 30)
CATEGORIES, BRANDS, COUNTRIES, FACTORS, NEIGHBOURS = 400, 1_500, 5, 64, 50
PURCHASES, VIEWS, SENDS, PER_SEND = 20, 10, 4, 12
COLD = 0.03

RULES = Rules(
    eligibility=Eligibility(max_sends=2, within_days=7),
    items=ItemRules(
        sent_within_sends=1, max_per_brand=2, min_price=1.5, min_margin=0.05, excluded_categories=("c7",)
    ),
    slots=Slots(
        pinned=(Pin(product="p00011", slot=3),), goal=Goal(margin=1), goal_strength=0.3, max_repeat=1
    ),
    segments={"s2": SegmentRules(items=ItemRules(max_per_category=2))},
)

# What a block goes through: (owner, attribute) -> printed name. A stage does not hold another's seconds.
STAGES = {
    (candidates.Ranked, "of"): "read candidates",
    (pipeline, "exclusions"): "eligibility",
    (filling, "product_rules"): "product rules",
    (filling.Filler, "_gather_rows"): "gather rows",
    (filling.Filler, "_find_new_shelves"): "new categories",
    (filling, "apply_row_rules"): "pair rules",
    (filling, "find_row_limits"): "limits",
    (filling.Filler, "_choose_competing"): "order, margin boost",
    (filling, "Board"): "lay out",
    (filling.Filler, "_fill_steps"): "choose: pinned, personal",
    (filling, "solve_crossing"): "choose: where limits cross",
    (best_set, "find_largest_sum"): "choose: integer programmes",
    (filling, "discover"): "choose: discovery",
    (filling, "vary"): "choose: variety",
    (best_set.Likeness, "of_all"): "similarity: to the list",
    (best_set.Likeness, "of"): "similarity: to a product more",
    (filling.Filler, "_climb"): "fill ladder",
    (filling.Filler, "_find_repeats"): "repeats of the result",
    (pipeline, "assemble"): "assemble",
}


def shop(customers: int, products: int, seed: int = 0) -> Context:
    """A context in which every rule has something to look at."""
    rng = np.random.default_rng(seed)
    category = rng.integers(0, CATEGORIES, products)
    price = np.round(rng.lognormal(1.5, 0.8, products), 2)
    weight = 1 / (1 + rng.permutation(products)) ** 0.8
    own = rng.integers(0, CATEGORIES, (customers, 5))
    by_category = np.argsort(category, kind="stable")
    start = np.searchsorted(category[by_category], np.arange(CATEGORIES + 1))

    def drawn(each: int) -> tuple[np.ndarray, np.ndarray]:
        return _drawn(rng, np.arange(customers), each, own, by_category, start, weight)

    bought, seen = drawn(PURCHASES), drawn(VIEWS)
    anchor = (AS_OF - date(1970, 1, 1)).days
    customer, product = np.r_[bought[0], seen[0]], np.r_[bought[1], seen[1]]
    kind = np.repeat(
        [EVENT_TYPES.index("purchase"), EVENT_TYPES.index("view")], [len(bought[0]), len(seen[0])]
    )
    day = anchor - rng.integers(1, 365, len(customer))
    order = np.lexsort((product, customer, day))
    n = len(order)
    events = Events(
        customer=customer[order].astype(np.int32),
        product=product[order].astype(np.int32),
        basket=np.where(kind[order] == 0, np.arange(n), -1).astype(np.int32),
        day=day[order].astype(np.int32),
        kind=kind[order].astype(np.int8),
        quantity=np.ones(n, dtype=np.float32),
        weight=np.ones(n, dtype=np.float32),
    )
    known = Known(
        as_of=AS_OF,
        customers=pd.DataFrame(
            {
                "customer_id": [f"u{number:07d}" for number in range(customers)],
                "email_eligible": rng.random(customers) < 0.95,
                "segment": np.array([f"s{number}" for number in range(6)])[rng.integers(0, 6, customers)],
            }
        ),
        products=pd.DataFrame(
            {
                "product_id": [f"p{number:05d}" for number in range(products)],
                # Every twentieth title stands twice.
                "name": [f"thing {number - (number % 20 == 1)}" for number in range(products)],
                "category": [f"c{number}" for number in category],
                "brand": [f"b{number}" for number in rng.integers(0, BRANDS, products)],
                "price": price,
                "available": rng.random(products) < 0.97,
            }
        ),
        events=events,
    )
    sent = [drawn(PER_SEND) for _ in range(SENDS)]
    rows = np.repeat(np.arange(products), NEIGHBOURS)
    near = sparse.csr_matrix(
        (rng.random(len(rows), dtype=np.float32), (rows, rng.integers(0, products, len(rows)))),
        shape=(products, products),
    )
    near.data = np.minimum(near.data, 1)
    centre = rng.normal(size=(CATEGORIES, FACTORS))
    factors = (centre[category] + rng.normal(size=(products, FACTORS))).astype(np.float32)

    def few(each: int) -> sparse.csr_matrix:
        pair = drawn(each)
        return sparse.csr_matrix((np.ones(len(pair[0]), np.float32), pair), shape=(customers, products))

    return Context(
        known,
        consent_state=np.where(rng.random(customers) < 0.02, "unsubscribed", "").astype(object),
        bounced=rng.random(customers) < 0.01,
        test_account=rng.random(customers) < 0.001,
        country=rng.integers(-1, COUNTRIES, customers),
        sellable=rng.random((COUNTRIES + 1, products)) < 0.95,
        stock=rng.integers(0, 30, products).astype(float),
        cost=price * rng.uniform(0.4, 1.0, products),
        parent=np.where(rng.random(products) < 0.3, rng.integers(0, products // 4, products), -1),
        present={name: rng.random(products) < 0.99 for name in ("name", "url")},
        price_drop_day=np.where(rng.random(products) < 0.05, anchor - 3, -1),
        carts=few(1),
        rejected=few(1),
        sends=Sends(
            np.concatenate([pair[0] for pair in sent]),
            np.concatenate([pair[1] for pair in sent]),
            np.concatenate([np.full(len(pair[0]), anchor - 7 * (1 + ago)) for ago, pair in enumerate(sent)]),
        ),
        contacts=Contacts(
            rng.integers(0, customers, customers // 2), anchor - rng.integers(1, 14, customers // 2)
        ),
        factors=factors / np.linalg.norm(factors, axis=1, keepdims=True),
        copurchase=near,
    )


def make_candidates(context: Context, each: int, seed: int = 1) -> pd.DataFrame:
    """Ranked candidates: `each` per customer but for the 3 % without and the 3 % with fifteen."""
    rng = np.random.default_rng(seed)
    n_customers, n_products = context.known.n_customers, context.known.n_products
    own = context.tastes
    favourite = np.zeros((n_customers, 5), dtype=np.int64)
    for place in range(5):  # any five of the categories they bought
        length = np.maximum(np.diff(own.indptr), 1)
        favourite[:, place] = own.indices[np.minimum(own.indptr[:-1] + place % length, own.nnz - 1)]
    category = context.category[0]
    by_category = np.argsort(category, kind="stable")
    start = np.searchsorted(category[by_category], np.arange(len(context.category[1]) + 1))
    weight = context.popularity + 0.01
    parts = []
    for first in range(0, n_customers, 20_000):
        who = np.arange(first, min(n_customers, first + 20_000))
        customer, product = _drawn(rng, who, 2 * each, favourite, by_category, start, weight)
        key = np.unique(customer * n_products + product)
        key = key[np.lexsort((rng.random(len(key)), key // n_products))]
        customer = key // n_products
        lot = rng.random(len(who))
        most = np.where(lot < COLD, 0, np.where(lot < 2 * COLD, 15, each))
        begin = np.searchsorted(customer, who)
        keep = np.arange(len(key)) - begin[customer - first] < most[customer - first]
        parts.append(key[keep])
    key = np.concatenate(parts)
    customer, product = key // n_products, key % n_products
    score = rng.random(len(key), dtype=np.float32)
    order = np.lexsort((product, -score, customer))
    names = np.array(["als", "item_knn", "repurchase", "content"])
    return pd.DataFrame(
        {
            "customer": customer.astype(np.int32),
            "product": product[order].astype(np.int32),
            "score": score[order],
            "p_purchase": score[order] ** 2 / 10,
            "source": pd.Categorical.from_codes(rng.integers(0, 4, len(key)), categories=names),
        }
    )


def _drawn(
    rng: np.random.Generator,
    who: np.ndarray,
    each: int,
    own: np.ndarray,
    by_category: np.ndarray,
    start: np.ndarray,
    weight: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """`each` products per customer, half of them from their own categories; may repeat."""
    customer = np.repeat(who, each)
    cumulated = np.cumsum(weight) / weight.sum()
    product = np.searchsorted(cumulated, rng.random(len(customer)))
    product = np.minimum(product, len(weight) - 1)
    half = rng.random(len(customer)) < 0.5
    category = own[customer[half], rng.integers(0, own.shape[1], half.sum())]
    size = start[category + 1] - start[category]
    product[half] = by_category[
        np.minimum(start[category] + (rng.random(half.sum()) ** 2 * size).astype(int), len(by_category) - 1)
    ]
    return customer, product


class Clock:
    """Seconds per stage, without those of the stages inside."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(STAGES.values(), 0.0)
        self._inside = [0.0]

    def timed(self, name: str, function: Callable) -> Callable:
        """`function`, its own seconds counted under `name`."""

        @wraps(function)
        def run(*arguments: object, **named: object) -> object:
            self._inside.append(0.0)
            started = time.perf_counter()
            result = function(*arguments, **named)
            spent = time.perf_counter() - started
            self.seconds[name] += spent - self._inside.pop()
            self._inside[-1] += spent
            return result

        return run

    def attach(self) -> None:
        """Put the clock around every stage, for the rest of the process."""
        for (owner, attribute), name in STAGES.items():
            setattr(owner, attribute, self.timed(name, getattr(owner, attribute)))


def peak_gb() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(arguments: list[str] | None = None) -> int:
    """Make the arrays, select, print seconds per stage and peak memory."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rules", description=__doc__)
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--candidates", type=int, default=100)
    parsed = parser.parse_args(arguments)
    started = time.perf_counter()
    context = shop(parsed.customers, parsed.products)
    made = time.perf_counter()
    for derived in ("category", "brand", "segment", "popularity", "tastes", "shelves_bought",
                    "alike", "sent", "grid", "segment_popularity"):  # fmt: skip
        getattr(context, derived)
    _ = context.known.last_bought
    derived_seconds = time.perf_counter() - made
    rows = make_candidates(context, parsed.candidates)
    before = peak_gb()
    clock = Clock()
    clock.attach()
    begun = time.perf_counter()
    result = pipeline.select(rows, context, RULES)
    total = time.perf_counter() - begun
    out = sys.stdout.write
    out(f"{parsed.customers:,} customers, {len(rows):,} candidates, {parsed.products:,} products; ")
    out(f"arrays made in {made - started:.1f} s\n")
    out(f"{'derived from the context, once':40}{derived_seconds:8.2f} s\n")
    for name, seconds in clock.seconds.items():
        out(f"{name:40}{seconds:8.2f} s\n")
    out(f"{'rest':40}{total - sum(clock.seconds.values()):8.2f} s\n{'select, total':40}{total:8.2f} s\n")
    out(f"peak memory {peak_gb():.2f} GB ({before:.2f} GB before select)\n")
    out(result.counts.to_string() + "\n" + result.removed.to_string() + "\n")
    types = result.rows.groupby(["slot_type", "fallback_level"], observed=True).size()
    out(types.to_string() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
