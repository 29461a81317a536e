"""Of the lists that the limits allow, the one that is worth most."""

import itertools
from collections import Counter
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers.generated_rules import ANCHOR, CUSTOMERS, Shop, draw_rules, generate_shop
from helpers.rules import lists, make_known, make_rules, score_lists
from recs_assets.rules import filling
from recs_assets.rules.config import ItemRules, Rules, Slots
from recs_assets.rules.context import Context
from recs_assets.rules.pipeline import select


def test_the_best_set_is_not_what_fits_first():
    """p0 closes category A and brand x, and leaves p3 alone; p1 and p2 together are worth more."""
    known = make_known(categories=["A", "A", "B", "B", None, None], brands=["x", "y", "x", "y", "y", "x"])
    candidates = score_lists({0: [0, 1, 2, 3]}, [0.5, 0.45, 0.4, 0.05]).assign(
        score=np.float32([0.5, 0.45, 0.4, 0.05])
    )
    rules = make_rules(max_per_category=1, max_per_brand=1)
    assert lists(select(candidates, Context(known), rules)) == {0: [1, 2]}


def measure_worth(shop, candidates, rules):
    """What each of a customer's candidates that pass is worth: score (times value) above the least of them."""
    price, cost = np.array(shop.price, dtype=float), np.array(shop.context.cost, dtype=float)
    brings = {"purchase": np.ones(len(price)), "revenue": price, "margin": price - cost}
    whole, weights = np.zeros(len(price)), rules.slots.goal.weights
    for name, weight in weights.items():
        whole += (
            weight
            / sum(weights.values())
            * np.nan_to_num(brings[name])
            / np.median(brings[name][brings[name] > 0])
        )
    whole = np.maximum(whole, 0.01) ** rules.slots.goal_strength
    for boost in rules.slots.boosts:
        key, name = boost.group
        whole[[own == name for own in getattr(shop, key)]] *= boost.factor
    value = {p: float(np.float32(score * whole[p])) for p, score in candidates}
    low, high = min(value.values(), default=0), max(value.values(), default=0)
    return {p: (own - low) / (high - low) if high > low else 1.0 for p, own in value.items()}


def find_best_sum(shop, c, worth, pinned, rules):
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


def rank_best_sellers(shop):
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


def fill_by_ladder(shop, popular, c, chosen, rules):
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
@given(st.integers(0, 2**32 - 1), draw_rules(plain=True))
def test_every_list_is_the_best_set_and_then_the_ladder(seed, rules):
    candidates, context = generate_shop(seed, n_products=25)
    shop = Shop(context)
    popular = rank_best_sellers(shop)
    with mock.patch.object(filling, "FIRST_FILL", 2):  # several rounds down every level
        selection = select(candidates, context, rules)
    found = dict(list(selection.rows.astype({"slot_type": str}).groupby("customer")))
    rows = {
        c: list(zip(group["product"].tolist(), group["score"].tolist(), strict=True))
        for c, group in candidates.groupby("customer")
    }
    by_segment = {name: shop.raise_limits(rules.of_segment(name), candidates) for name in ("s", "t", "")}
    outside = shop.outside(rules)
    for c in range(0, CUSTOMERS, 10):
        if outside[c] or c not in found:
            continue
        mine = by_segment[shop.segment[c] or ""]
        kind = {name: group["product"].tolist() for name, group in found[c].groupby("slot_type", sort=False)}
        pinned, personal = kind.get("pinned", []), kind.get("personal", [])
        worth = measure_worth(shop, [row for row in rows.get(c, []) if shop.may(c, row[0], mine.items)], mine)
        worth = {p: value for p, value in worth.items() if p not in pinned}
        best = find_best_sum(shop, c, worth, pinned, mine)
        assert sum(worth[p] for p in personal) == pytest.approx(best, abs=1e-4)
        if not set(worth) - {*personal}:  # else the ladder may add a candidate that is worth nothing
            assert kind.get("fill", []) == fill_by_ladder(shop, popular, c, [*pinned, *personal], mine)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.9, 0.5, 0.1]))
def test_no_exchange_makes_a_list_better(seed, weight):
    candidates, context = generate_shop(seed)
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
        worth, score = measure_worth(shop, rows, rules), dict(rows)

        def objective(some, worth=worth):
            pairs = alike[np.ix_(some, some)].sum() / 2
            return weight * sum(worth[p] for p in some) - (1 - weight) * pairs / (len(some) - 1)

        chosen = list(products)
        # They stand by score, ties by product.
        assert chosen == sorted(chosen, key=lambda p, score=score: (-score[p], p))
        value = objective(chosen)
        for place, q in itertools.product(range(len(chosen)), set(worth) - set(chosen)):
            assert objective([*chosen[:place], q, *chosen[place + 1 :]]) <= value + 0.005
