"""Shops, candidates and rules drawn by lot, and plain loops that say what the rules allow there."""

from collections import Counter
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from scipy import sparse

from helpers.known import known_of
from recs_assets.known.interactions import EVENT_TYPES
from recs_assets.rules.config import PURCHASES, Boost, Eligibility, ItemRules, Pin, Rules, SegmentRules, Slots
from recs_assets.rules.context import Contacts, Context, Sends
from recs_assets.rules.recipients import REASONS
from recs_assets.rules.sensitive import Sensitive

AS_OF = date(2024, 3, 4)
ANCHOR = (AS_OF - date(1970, 1, 1)).days
CUSTOMERS = 200
LABELS = np.array(["A", "B", "C", "D", "E", "F", "", None], dtype=object)


def generate_shop(seed, n_products=60, customers=CUSTOMERS):
    """A shop in which every rule has something to refuse, and candidates."""
    rng = np.random.default_rng(seed)

    def pairs(n):
        return rng.integers(0, customers, n), rng.integers(0, n_products, n)

    n = 8 * customers
    customer, product = pairs(n)
    age = rng.integers(1, 60, n)
    kind = rng.choice(["purchase", "view"], n, p=[0.7, 0.3])
    known = known_of(
        AS_OF,
        pd.DataFrame(
            {
                "customer_id": [f"c{number:03d}" for number in range(customers)],
                "email_eligible": pd.array(
                    rng.choice([True, False, None], customers, p=[0.9, 0.05, 0.05]), "boolean"
                ),
                "segment": pd.Series(rng.choice(["s", "t", None], customers), dtype="str"),
            }
        ),
        pd.DataFrame(
            {
                "product_id": [f"p{number:03d}" for number in range(n_products)],
                # Some titles stand twice, in another case and with other blanks.
                "name": [
                    ("Tea {}", " tea  {}")[number % 2].format(number // 2 if number % 6 < 2 else number)
                    for number in range(n_products)
                ],
                "category": pd.Series(rng.choice(LABELS, n_products), dtype="str"),
                "brand": pd.Series(rng.choice(LABELS, n_products), dtype="str"),
                "price": np.where(
                    rng.random(n_products) < 0.1, np.nan, rng.choice([0.001, 1, 5, 20], n_products)
                ),
                "available": rng.random(n_products) < 0.9,
            }
        ),
        zip(customer, product, age, kind, strict=True),
    )

    def some(n):
        at = pairs(n)
        return sparse.csr_matrix((np.ones(n), at), shape=(customers, n_products))

    topic = rng.choice([-1, 0, 1], n_products, p=[0.7, 0.15, 0.15])
    flags = (topic >= 0) & (rng.random((4, n_products)) < 0.5)
    near = sparse.random(n_products, n_products, 0.1, format="csr", rng=rng, dtype=np.float32)
    people = np.random.default_rng(seed + 1)
    context = Context(
        known,
        audience=rng.random(customers) < 0.95,
        consent_state=rng.choice(["", "subscribed", "unsubscribed", "objected", "erased"], customers, p=[0.45, 0.45, 0.04, 0.03, 0.03]).astype(object),
        no_address=people.random(customers) < 0.02,
        unusable_address=people.random(customers) < 0.02,
        address=people.integers(-1, customers, customers),
        bounced=rng.random(customers) < 0.02,
        test_account=rng.random(customers) < 0.02,
        wholesale=people.random(customers) < 0.02,
        country=rng.integers(-1, 2, customers),
        sellable=rng.random((3, n_products)) < 0.9,
        stock=np.where(rng.random(n_products) < 0.2, np.nan, rng.integers(0, 9, n_products)),
        cost=rng.choice([np.nan, 0.5, 2, 10], n_products),
        parent=rng.integers(-1, 25, n_products),
        merchant=people.integers(-1, 6, n_products),
        present={"url": rng.random(n_products) < 0.95, "name": np.ones(n_products, bool)},
        price_drop_day=np.where(rng.random(n_products) < 0.1, ANCHOR - rng.integers(1, 30, n_products), -1),
        carts=some(2 * customers),
        rejected=some(2 * customers),
        dismissed=sparse.csr_matrix(
            np.where(people.random((customers, n_products)) < 0.05, ANCHOR - people.integers(1, 40, (customers, n_products)), 0)
        ),
        due=(due := some(20 * customers)),
        due_soon=due.multiply(some(20 * customers) > 0).tocsr(),
        sensitive=Sensitive(("a", "b"), topic, *flags),
        sends=Sends(*pairs(15 * customers), ANCHOR - 7 * rng.integers(1, 5, 15 * customers)),
        contacts=Contacts(rng.integers(0, customers, customers), ANCHOR - rng.integers(0, 12, customers)),
        factors=rng.normal(size=(n_products, 8)).astype(np.float32),
        copurchase=near,
    )  # fmt: skip
    mask = rng.random((customers, n_products)) < rng.choice([0, 0.05, 0.4, 0.9], (customers, 1))
    customer, product = np.nonzero(mask)
    candidates = pd.DataFrame(
        {
            "customer": customer.astype(np.int32),
            "product": product.astype(np.int32),
            "score": rng.integers(0, 40, len(customer)).astype(np.float32),  # many ties
            "source": pd.Categorical(rng.choice(["als", "content"], len(customer))),
        }
    )
    return candidates, context


def add_lots(candidates, context, seed):
    """The same, with probabilities and a key of the lots: slots are drawn."""
    chance = np.random.default_rng(seed).choice(
        [np.nan, 0.0, 0.01, 0.02, 0.03, 0.04], len(candidates), p=[0.05, 0.05, 0.2, 0.2, 0.25, 0.25]
    )
    return candidates.assign(p_purchase=chance.astype(np.float32)), replace(
        context, draw_key=("exploration", str(seed), "mail", "2024-03-04")
    )


def draw_or_none(strategy):
    return st.none() | strategy


@st.composite
def draw_item_rules(draw):
    return ItemRules(
        min_stock=draw(draw_or_none(st.sampled_from([1, 4]))),
        sensitive=draw(st.booleans()),
        complete=draw(st.sampled_from([(), ("url",), ("name", "url", "price", "image_url")])),
        bought_within_days=draw(draw_or_none(st.integers(1, 40))),
        not_in_cart=draw(st.booleans()),
        not_rejected=draw(st.booleans()),
        dismissed_within_days=draw(draw_or_none(st.integers(1, 40))),
        only_due=draw(st.booleans()),
        sent_within_sends=draw(draw_or_none(st.integers(1, 3))),
        one_per_parent=draw(st.booleans()),
        one_per_title=draw(st.booleans()),
        max_per_category=draw(draw_or_none(st.integers(1, 4))),
        max_per_brand=draw(draw_or_none(st.integers(1, 4))),
        max_per_merchant=draw(draw_or_none(st.integers(2, 5))),
        min_price=draw(draw_or_none(st.sampled_from([1, 5]))),
        min_margin=draw(draw_or_none(st.sampled_from([0.0, 0.4]))),
        excluded_categories=draw(st.sampled_from([(), ("A",), ("A", "F")])),
        excluded_brands=draw(st.sampled_from([(), ("B",)])),
        excluded_products=draw(st.sampled_from([(), ("p001", "p002")])),
    )


def multiplies(rules):
    """Whether probabilities are multiplied by something, which asks for all of them."""
    return rules.slots.goal != PURCHASES or bool(rules.slots.boosts)


@st.composite
def draw_rules(draw, plain=False):
    k = draw(st.integers(1, 8))
    places = draw(st.lists(st.integers(1, k), unique=True, max_size=min(k, 3)))
    slots = Slots(
        k=k,
        pinned=tuple(Pin(product=f"p{7 * slot:03d}", slot=slot) for slot in places),
        goal=draw(st.sampled_from(["purchase", "purchase", "margin", {"purchase": 1, "revenue": 0.5}])),
        goal_strength=draw(st.sampled_from([0.5, 1.0])),
        boosts=draw(st.sampled_from([(), (), (Boost(category="A", factor=3), Boost(brand="B", factor=0.5))])),
        mmr_lambda=1 if plain else draw(st.sampled_from([1, 0.9, 0.5, 0])),
        discovery_share=0 if plain else draw(st.sampled_from([0, 0.2, 0.5, 1])),
        discovery_floor=draw(st.sampled_from([0, 0.25, 1])),
        exploration_share=draw(st.sampled_from([0, 0.05, 1])),
        max_repeat=draw(draw_or_none(st.integers(0, 4))),
        repeat_sends=draw(st.integers(1, 4)),
        ladder=draw(st.sampled_from([("segment", "global"), ("global",), ()] if plain else [("segment", "category", "global"), ("category",), ()])),
    )  # fmt: skip
    eligibility = Eligibility(
        max_sends=draw(draw_or_none(st.integers(1, 2))), within_days=draw(st.integers(1, 10))
    )
    segments = draw(
        st.sampled_from([{}, {"t": SegmentRules(items=ItemRules(min_price=5, max_per_category=1))}])
    )
    return Rules(eligibility=eligibility, items=draw(draw_item_rules()), slots=slots, segments=segments)


class Shop:
    """What the loops look up, from the same arrays by plain Python."""

    def __init__(self, context):
        known = context.known
        self.context, self.n = context, known.n_products
        self.segment = [label if isinstance(label, str) else None for label in known.customers["segment"]]
        self.category = [
            label or None if isinstance(label, str) else None for label in known.products["category"]
        ]
        self.merchant = [None if number < 0 else number for number in context.merchant.tolist()]
        self.brand = [label or None if isinstance(label, str) else None for label in known.products["brand"]]
        self.title = [" ".join(name.lower().split()) for name in known.products["name"]]
        self.price = known.products["price"].tolist()
        self.available = known.products["available"].tolist()
        self.flag = [flag is not pd.NA and flag for flag in known.customers["email_eligible"]]
        self.contacts = {}
        for c, day in zip(context.contacts.customer, context.contacts.day, strict=True):
            self.contacts.setdefault(c, []).append(day)
        events = known.events
        self.events = {}
        for c, p, day, kind in zip(events.customer, events.product, events.day, events.kind, strict=True):
            self.events.setdefault((c, p), []).append((day, EVENT_TYPES[kind]))
        self.bought = {}
        for (c, p), list_ in self.events.items():
            if any(kind == "purchase" for _, kind in list_):
                self.bought.setdefault(c, set()).add(p)
        self.sends = {}
        for c, p, day in zip(context.sends.customer, context.sends.product, context.sends.day, strict=True):
            self.sends.setdefault(c, {}).setdefault(day, set()).add(p)
        self.carts = set(zip(*context.carts.nonzero(), strict=True))
        self.rejected = set(zip(*context.rejected.nonzero(), strict=True))
        self.dismissed = context.dismissed.toarray()
        self.due = set(zip(*context.due.nonzero(), strict=True))
        self.due_soon = set(zip(*context.due_soon.nonzero(), strict=True))
        parent = context.parent.tolist()
        self.variants = [
            [q for q in range(self.n) if q == p or (parent[q] == parent[p] != -1)] for p in range(self.n)
        ]

    def outside(self, rules):
        """Per customer the first reason not to write to them, or None."""
        eligibility = {name: rules.of_segment(name or "").eligibility for name in set(self.segment)}
        reasons = [self.find_exclusion(c, eligibility[self.segment[c]]) for c in range(CUSTOMERS)]
        latest = dict.fromkeys(range(CUSTOMERS), -1)
        for (c, _), list_ in self.events.items():
            latest[c] = max([latest[c], *(day for day, kind in list_ if kind == "purchase")])
        accounts = {}
        for c in range(CUSTOMERS):
            if reasons[c] is None and self.context.address[c] >= 0:
                accounts.setdefault(self.context.address[c], []).append(c)
        for twins in accounts.values():
            kept = min(twins, key=lambda c: (-latest[c], c))
            for c in set(twins) - {kept}:
                reasons[c] = "same_address"
        return reasons

    def find_exclusion(self, c, eligibility):
        """The first reason that needs no other customer, or None."""
        context = self.context
        state = context.consent_state[c]
        address = context.address[c]
        accounts = [c] if address < 0 else np.flatnonzero(context.address == address).tolist()
        sent = [day for account in accounts for day in self.contacts.get(account, ())]
        recent = sum(ANCHOR - eligibility.within_days < day < ANCHOR for day in sent)
        tests = [
            state == "erased", state == "objected", state == "unsubscribed", not self.flag[c],
            context.no_address[c], context.unusable_address[c], context.bounced[accounts].any(),
            context.test_account[c], context.wholesale[c],
            eligibility.max_sends is not None and recent >= eligibility.max_sends, not context.audience[c],
        ]  # fmt: skip
        return next((reason for reason, holds in zip(REASONS[:-3], tests, strict=True) if holds), None)

    def sells(self, p, items):
        """Every rule that looks at one product alone."""
        context, price = self.context, self.price[p]
        stock, cost = context.stock[p], context.cost[p]
        checks = [
            self.available[p] and not price < 0.005,
            items.min_stock is None or np.isnan(stock) or stock >= items.min_stock,
            "url" not in items.complete or context.present["url"][p],
            "price" not in items.complete or price >= 0.005,
            not (items.sensitive and context.sensitive.never_offer[p]),
            items.min_price is None or price >= items.min_price,
            items.min_margin is None or (price >= 0.005 and (price - cost) / price >= items.min_margin),
            self.category[p] not in items.excluded_categories,
            self.brand[p] not in items.excluded_brands,
            f"p{p:03d}" not in items.excluded_products,
        ]
        return all(checks)

    def may(self, c, p, items):
        """Every rule that looks at one row alone."""
        context, variants = self.context, self.variants[p]
        checks = [
            self.sells(p, items),
            context.sellable[context.country[c], p],
            not (items.sensitive and context.sensitive.never_discover[p]) or self.had(c, p),
            items.bought_within_days is None
            or any((c, q) in self.due_soon for q in variants)
            or not any(k == "purchase" and d >= ANCHOR - items.bought_within_days for q in variants for d, k in self.events.get((c, q), [])),
            not (items.not_in_cart and any((c, q) in self.carts for q in variants)),
            not (items.not_rejected and (c, p) in self.rejected),
            items.dismissed_within_days is None
            or not any(self.dismissed[c, q] >= ANCHOR - items.dismissed_within_days for q in variants),
            not items.only_due
            or not any(q in self.bought.get(c, ()) for q in variants)
            or any((c, q) in self.due for q in variants),
            items.sent_within_sends is None or not 0 < self.ago(c, p) <= items.sent_within_sends,
        ]  # fmt: skip
        return all(checks)

    def raise_limits(self, rules, candidates):
        """The rules with the limits that the shop as a whole can meet."""
        items, slots = rules.items, rules.slots
        sold = {p for bought in self.bought.values() for p in bought}
        there = set(candidates["product"]) | (sold if slots.ladder else set())
        apart, parents, titles = [], set(), set()
        for p in range(self.n):
            parent = self.context.parent[p]
            if p in there and self.sells(p, items):
                if items.one_per_parent and parent != -1:
                    if parent in parents:
                        continue
                    parents.add(parent)
                apart.append(p)
        if items.one_per_title:
            every, apart = apart, []
            for p in every:
                if self.title[p] not in titles:
                    titles.add(self.title[p])
                    apart.append(p)

        def met(labels, most):
            size = Counter(labels)
            free = size.pop(None, 0)
            while most is not None and len(labels) >= slots.k > free + sum(
                min(n, most) for n in size.values()
            ):
                most += 1
            return most

        need = [slots.k - sum(not self.repeats(c, p, slots) for p in apart) for c in sorted(self.sends)]
        most = slots.max_repeat
        if most is not None and len(apart) >= slots.k and np.median(need) > most:
            most = max(need)
        changed = {
            "max_per_category": met([self.category[p] for p in apart], items.max_per_category),
            "max_per_brand": met([self.brand[p] for p in apart], items.max_per_brand),
            "max_per_merchant": met([self.merchant[p] for p in apart], items.max_per_merchant),
        }
        return rules.model_copy(
            update={
                "items": items.model_copy(update=changed),
                "slots": slots.model_copy(update={"max_repeat": most}),
            }
        )

    def had(self, c, p):
        """Bought something of the product's sensitive topic and category."""
        topic = self.context.sensitive.topic
        return any(
            topic[q] == topic[p] and self.category[q] == self.category[p] for q in self.bought.get(c, ())
        )

    def ago(self, c, p):
        days = sorted(self.sends.get(c, {}), reverse=True)
        return next((n for n, day in enumerate(days, 1) if self.sends[c][day] & set(self.variants[p])), 0)

    def repeats(self, c, p, slots):
        """Sent in the window and nothing new since."""
        ago = self.ago(c, p)
        if not 0 < ago <= slots.repeat_sends:
            return False
        day = sorted(self.sends[c], reverse=True)[ago - 1]
        seen = any(d >= day for q in self.variants[p] for d, _ in self.events.get((c, q), []))
        due = any((c, q) in self.due_soon for q in self.variants[p])
        return (
            not seen and not due and not any(self.context.price_drop_day[q] >= day for q in self.variants[p])
        )

    def fits(self, c, products, rules):
        """Every rule on the list as a whole."""
        items, slots = rules.items, rules.slots

        def most(labels):
            return max(Counter(label for label in labels if label not in (None, -1)).values(), default=0)

        return (
            len(set(products)) == len(products)
            and (not items.one_per_parent or most(self.context.parent[p] for p in products) <= 1)
            and (not items.one_per_title or most(self.title[p] for p in products) <= 1)
            and (items.max_per_category is None or most(self.category[p] for p in products) <= items.max_per_category)
            and (items.max_per_brand is None or most(self.brand[p] for p in products) <= items.max_per_brand)
            and (items.max_per_merchant is None or most(self.merchant[p] for p in products) <= items.max_per_merchant)
            and (slots.max_repeat is None or sum(self.repeats(c, p, slots) for p in products) <= slots.max_repeat)
        )  # fmt: skip


def assert_same(left, right):
    pd.testing.assert_frame_equal(left.rows, right.rows)
    pd.testing.assert_frame_equal(left.suppressed, right.suppressed)
