"""No rule is ever violated, whatever the shop: 12,000 generated customers against plain loops."""

import itertools
from collections import Counter
from datetime import date
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse

from helpers.known import known_of
from recs_assets.known.interactions import EVENT_TYPES
from recs_assets.rules import filling, pipeline
from recs_assets.rules.config import Eligibility, ItemRules, Pin, Rules, SegmentRules, Slots
from recs_assets.rules.context import Contacts, Context, Sends
from recs_assets.rules.pipeline import find_idle_rules, select
from recs_assets.rules.recipients import REASONS
from recs_assets.rules.sensitive import Sensitive

AS_OF = date(2024, 3, 4)
ANCHOR = (AS_OF - date(1970, 1, 1)).days
CUSTOMERS = 200
LABELS = np.array(["A", "B", "C", "D", "E", "F", "", None], dtype=object)


def generated(seed, n_products=60, customers=CUSTOMERS):
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
        present={"url": rng.random(n_products) < 0.95, "name": np.ones(n_products, bool)},
        price_drop_day=np.where(rng.random(n_products) < 0.1, ANCHOR - rng.integers(1, 30, n_products), -1),
        carts=some(2 * customers),
        rejected=some(2 * customers),
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


def maybe(strategy):
    return st.none() | strategy


@st.composite
def item_rules(draw):
    return ItemRules(
        min_stock=draw(maybe(st.sampled_from([1, 4]))),
        sensitive=draw(st.booleans()),
        complete=draw(st.sampled_from([(), ("url",), ("name", "url", "price", "image_url")])),
        bought_within_days=draw(maybe(st.integers(1, 40))),
        not_in_cart=draw(st.booleans()),
        not_rejected=draw(st.booleans()),
        only_due=draw(st.booleans()),
        sent_within_sends=draw(maybe(st.integers(1, 3))),
        one_per_parent=draw(st.booleans()),
        one_per_title=draw(st.booleans()),
        max_per_category=draw(maybe(st.integers(1, 4))),
        max_per_brand=draw(maybe(st.integers(1, 4))),
        min_price=draw(maybe(st.sampled_from([1, 5]))),
        min_margin=draw(maybe(st.sampled_from([0.0, 0.4]))),
        excluded_categories=draw(st.sampled_from([(), ("A",), ("A", "F")])),
        excluded_brands=draw(st.sampled_from([(), ("B",)])),
        excluded_products=draw(st.sampled_from([(), ("p001", "p002")])),
    )


@st.composite
def campaign(draw, plain=False):
    k = draw(st.integers(1, 8))
    places = draw(st.lists(st.integers(1, k), unique=True, max_size=min(k, 3)))
    slots = Slots(
        k=k,
        pinned=tuple(Pin(product=f"p{7 * slot:03d}", slot=slot) for slot in places),
        margin_strength=draw(st.sampled_from([0, 0, 0.5])),
        mmr_lambda=1 if plain else draw(st.sampled_from([1, 0.9, 0.5, 0])),
        discovery_share=0 if plain else draw(st.sampled_from([0, 0.2, 0.5, 1])),
        discovery_floor=draw(st.sampled_from([0, 0.25, 1])),
        max_repeat=draw(maybe(st.integers(0, 4))),
        repeat_sends=draw(st.integers(1, 4)),
        ladder=draw(st.sampled_from([("segment", "global"), ("global",), ()] if plain else [("segment", "category", "global"), ("category",), ()])),
    )  # fmt: skip
    eligibility = Eligibility(max_sends=draw(maybe(st.integers(1, 2))), within_days=draw(st.integers(1, 10)))
    segments = draw(
        st.sampled_from([{}, {"t": SegmentRules(items=ItemRules(min_price=5, max_per_category=1))}])
    )
    return Rules(eligibility=eligibility, items=draw(item_rules()), slots=slots, segments=segments)


class Shop:
    """What the loops look up, from the same arrays by plain Python."""

    def __init__(self, context):
        known = context.known
        self.context, self.n = context, known.n_products
        self.segment = [label if isinstance(label, str) else None for label in known.customers["segment"]]
        self.category = [
            label or None if isinstance(label, str) else None for label in known.products["category"]
        ]
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
        self.due = set(zip(*context.due.nonzero(), strict=True))
        self.due_soon = set(zip(*context.due_soon.nonzero(), strict=True))
        parent = context.parent.tolist()
        self.variants = [
            [q for q in range(self.n) if q == p or (parent[q] == parent[p] != -1)] for p in range(self.n)
        ]

    def outside(self, rules):
        """Per customer the first reason not to write to them, or None."""
        eligibility = {name: rules.of_segment(name or "").eligibility for name in set(self.segment)}
        reasons = [self.excluded(c, eligibility[self.segment[c]]) for c in range(CUSTOMERS)]
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

    def excluded(self, c, eligibility):
        """The first reason that needs no other customer, or None."""
        context = self.context
        state = context.consent_state[c]
        address = context.address[c]
        accounts = [c] if address < 0 else np.flatnonzero(context.address == address).tolist()
        sent = [day for one in accounts for day in self.contacts.get(one, ())]
        recent = sum(ANCHOR - eligibility.within_days < day < ANCHOR for day in sent)
        tests = [
            state == "erased", state == "objected", state == "unsubscribed", not self.flag[c],
            context.no_address[c], context.unusable_address[c], context.bounced[accounts].any(),
            context.test_account[c], context.wholesale[c],
            eligibility.max_sends is not None and recent >= eligibility.max_sends, not context.audience[c],
        ]  # fmt: skip
        return next((reason for reason, holds in zip(REASONS[:-1], tests, strict=True) if holds), None)

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
            not items.only_due
            or not any(q in self.bought.get(c, ()) for q in variants)
            or any((c, q) in self.due for q in variants),
            items.sent_within_sends is None or not 0 < self.ago(c, p) <= items.sent_within_sends,
        ]  # fmt: skip
        return all(checks)

    def raised(self, rules, candidates):
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
            and (slots.max_repeat is None or sum(self.repeats(c, p, slots) for p in products) <= slots.max_repeat)
        )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), campaign())
def test_no_rule_is_violated(seed, rules):
    candidates, context = generated(seed)
    shop = Shop(context)
    selection = select(candidates, context, rules)
    own = set(zip(candidates["customer"], candidates["product"], strict=True))
    reasons = dict(zip(selection.suppressed["customer"], selection.suppressed["reason"], strict=True))
    rows = selection.rows.astype({"source": str, "slot_type": str, "fallback_level": str, "sent_before": str})
    table = dict(list(rows.groupby("customer")))
    by_segment = {name: shop.raised(rules.of_segment(name), candidates) for name in ("s", "t", "")}
    assert sorted([*reasons, *table]) == list(range(CUSTOMERS))
    assert selection.counts.sum() == CUSTOMERS
    outside = shop.outside(rules)
    for c in range(CUSTOMERS):
        mine = by_segment[shop.segment[c] or ""]
        slots = mine.slots
        reason = outside[c]
        if c in reasons:
            assert reasons[c] == (reason or "too_few_products")
            continue
        assert reason is None
        lines = table[c].to_dict("records")
        products = [line["product"] for line in lines]
        assert [line["slot"] for line in lines] == list(range(1, rules.slots.k + 1))
        assert all(shop.may(c, p, mine.items) for p in products)
        assert shop.fits(c, products, mine)
        known = {shop.category[p] for p in shop.bought.get(c, ())}
        pins = {pin.slot: int(pin.product[1:]) for pin in slots.pinned}
        found = [line for line in lines if line["slot_type"] == "discovery"]
        assert len(found) <= slots.discovery_slots
        assert len({shop.category[line["product"]] for line in found}) == len(found)
        for line in lines:
            p, kind, level = line["product"], line["slot_type"], line["fallback_level"]
            assert (level == "personal") == ((c, p) in own and kind != "fill")
            assert (kind == "fill") == (line["source"] == "popularity")
            if kind == "personal":
                assert (c, p) in own
            if kind == "discovery":
                assert shop.category[p] is not None
                assert shop.category[p] not in known
                assert level in ("personal", "category")
            if kind == "pinned":
                assert pins[line["slot"]] == p
            if kind == "fill":
                assert level in slots.ladder
            assert (line["sent_before"] == "yes") == shop.repeats(c, p, slots)
        kinds = [kind for kind in (line["slot_type"] for line in lines) if kind != "pinned"]
        assert kinds == sorted(kinds, key=["personal", "discovery", "fill"].index)
        if slots.margin_strength == 0:
            for kind in ("personal", "discovery"):
                scores = [line["score"] for line in lines if line["slot_type"] == kind]
                assert scores == sorted(scores, reverse=True)
    assert (selection.removed >= 0).all()


def best_sellers(shop):
    """Products by decayed purchase days, of every segment and (None) of all customers."""
    orders = {}
    for segment in {*shop.segment, None}:
        weight = Counter()
        for (c, p), events in shop.events.items():
            if segment in (None, shop.segment[c]):
                for day in {day for day, kind in events if kind == "purchase"}:
                    weight[p] += 0.5 ** ((ANCHOR - day) / 28)
        # The other side adds float32: near ties may turn there.
        assume(len({round(value, 3) for value in weight.values()}) == len(weight))
        orders[segment] = sorted(weight, key=lambda p, weight=weight: -weight[p])
    return orders


def worth_of(shop, candidates, rules):
    """What each of a customer's candidates that pass is worth: score (times margins) above the least of them."""
    margin = np.array(
        [
            (price - cost) / price if price >= 0.005 else np.nan
            for price, cost in zip(shop.price, shop.context.cost, strict=True)
        ]
    )
    margin = np.maximum(np.where(np.isnan(margin), np.nanmedian(margin), margin), 0.01)
    value = {
        p: float(np.float32(score * margin[p] ** rules.slots.margin_strength)) for p, score in candidates
    }
    low, high = min(value.values(), default=0), max(value.values(), default=0)
    return {p: (one - low) / (high - low) if high > low else 1.0 for p, one in value.items()}


def best_sum(shop, c, worth, pinned, rules):
    """The largest sum of products beside the pinned ones, by depth-first search."""
    order, most = sorted(worth, key=lambda p: -worth[p]), rules.slots.k - len(pinned)
    best = 0.0

    def go(place, chosen, total):
        nonlocal best
        best = max(best, total)
        rest = order[place:]
        room = most - len(chosen)
        if room == 0 or total + sum(worth[p] for p in rest[:room]) <= best + 1e-9:
            return
        for ahead, p in enumerate(rest):
            if total + sum(worth[q] for q in rest[ahead : ahead + room]) <= best + 1e-9:
                return
            if shop.fits(c, [*pinned, *chosen, p], rules):
                go(place + ahead + 1, [*chosen, p], total + worth[p])

    go(0, [], 0.0)
    return best


def filled(shop, popular, c, chosen, rules):
    """What the ladder adds to these products."""
    added = []
    for level in rules.slots.ladder:
        if level == "segment" and shop.segment[c] is None:
            continue
        for p in popular[shop.segment[c] if level == "segment" else None]:
            both = [*chosen, *added]
            if len(both) < rules.slots.k and shop.may(c, p, rules.items) and shop.fits(c, [*both, p], rules):
                added.append(p)
    return added


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), campaign(plain=True))
def test_every_list_is_the_best_set_and_then_the_ladder(seed, rules):
    candidates, context = generated(seed, n_products=25)
    shop = Shop(context)
    popular = best_sellers(shop)
    with mock.patch.object(filling, "FIRST_FILL", 2):  # several rounds down every level
        selection = select(candidates, context, rules)
    found = dict(list(selection.rows.astype({"slot_type": str}).groupby("customer")))
    rows = {
        c: list(zip(group["product"].tolist(), group["score"].tolist(), strict=True))
        for c, group in candidates.groupby("customer")
    }
    by_segment = {name: shop.raised(rules.of_segment(name), candidates) for name in ("s", "t", "")}
    outside = shop.outside(rules)
    for c in range(0, CUSTOMERS, 10):
        if outside[c] or c not in found:
            continue
        mine = by_segment[shop.segment[c] or ""]
        kind = {name: group["product"].tolist() for name, group in found[c].groupby("slot_type", sort=False)}
        pinned, personal = kind.get("pinned", []), kind.get("personal", [])
        worth = worth_of(shop, [row for row in rows.get(c, []) if shop.may(c, row[0], mine.items)], mine)
        worth = {p: value for p, value in worth.items() if p not in pinned}
        best = best_sum(shop, c, worth, pinned, mine)
        assert sum(worth[p] for p in personal) == pytest.approx(best, abs=1e-4)
        if not set(worth) - {*personal}:  # else the ladder may add a candidate that is worth nothing
            assert kind.get("fill", []) == filled(shop, popular, c, [*pinned, *personal], mine)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.9, 0.5, 0.1]))
def test_no_exchange_makes_a_list_better(seed, weight):
    candidates, context = generated(seed)
    rules = Rules(
        items=ItemRules(min_stock=None, complete=(), bought_within_days=None, not_in_cart=False, not_rejected=False,
                        one_per_parent=False, one_per_title=False, max_per_category=None),
        slots=Slots(k=5, mmr_lambda=weight, discovery_share=0, max_repeat=None, ladder=()),
    )  # fmt: skip
    selection = select(candidates, context, rules)
    unit = context.factors / np.linalg.norm(context.factors, axis=1, keepdims=True)
    near = context.copurchase.toarray()
    alike = np.maximum(np.maximum(unit @ unit.T, 0), np.maximum(near, near.T))
    np.fill_diagonal(alike, 0)
    shop = Shop(context)
    for c, products in selection.rows.groupby("customer")["product"]:
        mine = candidates[candidates["customer"] == c]
        rows = [
            row
            for row in zip(mine["product"], mine["score"], strict=True)
            if shop.may(c, row[0], rules.items)
        ]
        worth, score = worth_of(shop, rows, rules), dict(rows)

        def objective(some, worth=worth):
            pairs = alike[np.ix_(some, some)].sum() / 2
            return weight * sum(worth[p] for p in some) - (1 - weight) * pairs / (len(some) - 1)

        chosen = list(products)
        # They stand by score, ties by product.
        assert chosen == sorted(chosen, key=lambda p, score=score: (-score[p], p))
        value = objective(chosen)
        for place, q in itertools.product(range(len(chosen)), set(worth) - set(chosen)):
            assert objective([*chosen[:place], q, *chosen[place + 1 :]]) <= value + 0.005


def same(left, right):
    pd.testing.assert_frame_equal(left.rows, right.rows)
    pd.testing.assert_frame_equal(left.suppressed, right.suppressed)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), campaign())
def test_blocks_order_and_repetition_change_nothing(seed, rules):
    candidates, context = generated(seed)
    whole = select(candidates, context, rules, trace=True)
    same(select(candidates, context, rules), whole)
    with mock.patch.object(pipeline, "BLOCK", 7):
        blocks = select(candidates, context, rules, trace=True)
    same(blocks, whole)
    pd.testing.assert_series_equal(blocks.removed, whole.removed)
    order = ["customer", "product"]
    pd.testing.assert_frame_equal(
        blocks.traced.sort_values(order, ignore_index=True),
        whole.traced.sort_values(order, ignore_index=True),
    )
    same(select(candidates.sample(frac=1, random_state=1), context, rules), whole)
    lot = np.random.default_rng(seed).random(CUSTOMERS) < 0.3
    some, rest = (select(candidates, context, rules, np.flatnonzero(mask)[::-1]) for mask in (lot, ~lot))
    joined = pd.concat([some.rows, rest.rows]).sort_values(["customer", "slot"], ignore_index=True)
    pd.testing.assert_frame_equal(joined, whole.rows)
    assert (some.removed + rest.removed == whole.removed).all()
    assert (some.counts + rest.counts == whole.counts).all()
    assert len(whole.traced) == whole.removed.sum()


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), campaign())
def test_rounds_of_the_ladder_change_nothing(seed, rules):
    candidates, context = generated(seed, n_products=150)
    items = rules.items.model_copy(update={"max_per_category": 2, "not_in_cart": True})
    slots = Slots(k=rules.slots.k, max_repeat=rules.slots.max_repeat, ladder=("segment", "global"))
    rules = Rules(items=items, slots=slots)
    few = candidates[candidates["customer"] % 4 == 0]
    with mock.patch.object(filling, "FIRST_FILL", 1):
        rounds = select(few, context, rules)
    with mock.patch.object(filling, "FIRST_FILL", 1000):
        same(rounds, select(few, context, rules))


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), campaign())
def test_a_selection_without_an_idle_rule_is_the_same(seed, rules):
    candidates, context = generated(seed)
    whole = select(candidates, context, rules)
    for name in sorted(find_idle_rules(candidates, context, rules)):
        same(select(candidates, context, rules, without=[name]), whole)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), campaign())
def test_a_slot_is_refilled_from_what_every_rule_allows(seed, rules):
    """Whatever product is taken out of a list, the first reserve that the stored limits allow keeps every rule."""
    candidates, context = generated(seed)
    shop = Shop(context)
    plain, selection = select(candidates, context, rules), select(candidates, context, rules, reserves=3)
    same(selection, plain)
    k, after = rules.slots.k, selection.reserves
    own = after[after["slot"] <= k]
    pd.testing.assert_frame_equal(own[list(plain.rows)].reset_index(drop=True), plain.rows)
    held = [name for name in after if f"{name}_most" in after]
    by_segment = {name: shop.raised(rules.of_segment(name), candidates) for name in ("s", "t", "")}
    rng = np.random.default_rng(seed)
    for c, rows in after.groupby("customer"):
        mine = by_segment[shop.segment[c] or ""]
        rows = rows.to_dict("records")
        lines, spare = rows[:k], rows[k:]
        assert [row["slot"] for row in rows] == list(range(1, len(rows) + 1))
        assert len(spare) <= 3
        assert len({row["product"] for row in rows}) == len(rows)
        assert all(shop.may(c, row["product"], mine.items) for row in spare)
        gone = int(rng.integers(k))
        rest = [line for place, line in enumerate(lines) if place != gone]
        for row in spare:
            allowed = all(
                row[name] < 0 or sum(line[name] == row[name] for line in rest) < row[f"{name}_most"]
                for name in held
            )
            assert allowed == shop.fits(c, [*(line["product"] for line in rest), row["product"]], mine)


def test_candidates_alone_do_not_matter_to_others():
    candidates, context = generated(3)
    whole = select(candidates, context, Rules())
    less = select(candidates[candidates["customer"] != 5], context, Rules())
    pd.testing.assert_frame_equal(
        less.rows[less.rows["customer"] != 5].reset_index(drop=True),
        whole.rows[whole.rows["customer"] != 5].reset_index(drop=True),
    )


@pytest.mark.parametrize("customers", [np.array([], dtype=int), None])
def test_nobody(customers):
    candidates, context = generated(1)
    if customers is None:
        context.known.customers["email_eligible"] = False
    selection = select(candidates, context, Rules(), customers)
    assert len(selection.rows) == 0
    assert selection.counts["selected"] == 0
    assert selection.counts.sum() == (0 if customers is not None else CUSTOMERS)
