"""Every rule against literals. Unless a test says otherwise, customer 0 has the candidates p0, p1, ... in
this order, every rule is off but the one under test, and two slots are to be filled without a ladder."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import sparse

from helpers.rules import ANCHOR, N, flags, floats, lists, make_known, make_rules, pairs, ranked, sent
from recs_assets.config import read_yaml
from recs_assets.rules.config import Eligibility, ItemRules, Pin, Rules, SegmentRules, Slots
from recs_assets.rules.context import Contacts, Context, RulesError
from recs_assets.rules.frames import assemble_context
from recs_assets.rules.items import NAMES
from recs_assets.rules.naming import find_nameable
from recs_assets.rules.neighbours import find_alike, keep_neighbours
from recs_assets.rules.pipeline import find_idle_rules, select
from recs_assets.rules.price_tags import price_rules
from recs_assets.rules.recipients import REASONS, find_exclusions
from recs_assets.rules.rehearsal import admit_everybody, rehearse
from recs_assets.rules.sensitive import Sensitive
from recs_assets.rules.storefront import Storefront
from recs_assets.settings import PROJECT_ROOT


def goods(never_offer=(), never_discover=(), never_cite=(), no_counts=(), topic=0):
    """Products of these levels; `topic`: of all of them, or one per product."""

    def flagged(products):
        return np.isin(np.arange(N), products)

    levels = [flagged(products) for products in (never_offer, never_discover, never_cite, no_counts)]
    return Sensitive(("alcohol", "health"), np.where(np.any(levels, axis=0), topic, -1), *levels)


CASES = {
    "nothing": ({}, {}, {}, [0, 1]),
    "unavailable": ({"unavailable": {0}}, {}, {}, [1, 2]),
    "prints as 0.00": ({"prices": [0.004, 0.005, 1, 1, 1, 1]}, {}, {}, [1, 2]),
    "stock below, never counted, at the least": ({}, {"stock": floats(2, np.nan, 3)}, {"min_stock": 3}, [1, 2]),
    "country": (
        {}, {"country": np.array([0]), "sellable": np.array([flags(False), flags(True)])}, {}, [1, 2],
    ),
    "country unknown": (
        {}, {"country": np.array([-1]), "sellable": np.array([flags(True), flags(False, False)])}, {}, [2, 3],
    ),
    "no url": ({}, {"present": {"url": flags(False)}}, {"complete": ("url",)}, [1, 2]),
    "no price": ({"prices": [np.nan, 1, 1, 1, 1, 1]}, {}, {"complete": ("price",)}, [1, 2]),
    "no price, not asked for": ({"prices": [np.nan, 1, 1, 1, 1, 1]}, {}, {}, [0, 1]),
    "a shop without urls": ({}, {"present": {"url": flags(rest=False)}}, {"complete": ("url",)}, [0, 1]),
    "sensitive, never offered": ({}, {"sensitive": goods(never_offer=[0])}, {"sensitive": True}, [1, 2]),
    "sensitive, off": ({}, {"sensitive": goods(never_offer=[0], never_discover=[1])}, {}, [0, 1]),
    "sensitive, new to the customer": ({}, {"sensitive": goods(never_discover=[0])}, {"sensitive": True}, [1, 2]),
    "sensitive, not named and not counted, may be offered": (
        {}, {"sensitive": goods(never_cite=[0], no_counts=[0])}, {"sensitive": True}, [0, 1],
    ),
    # p5 was bought: it may be offered again, and so may p0 of its category, but neither p1 of another one
    # nor p2 of its category and another topic.
    "sensitive, had before": (
        {"purchases": [(0, 5, 30)], "categories": ["beer", "wine", "beer", None, None, "beer"]},
        {"sensitive": goods(never_discover=[0, 1, 2, 5], topic=np.array([0, 0, 1, 0, 0, 0]))},
        {"sensitive": True, "k": 3}, [0, 3, 4],
    ),
    "pinned and never offered": (
        {}, {"sensitive": goods(never_offer=[4])}, {"sensitive": True, "pinned": (Pin(product="p004", slot=1),)}, [0, 1],
    ),
    "bought": ({"purchases": [(0, 0, 2), (0, 1, 3)]}, {}, {"bought_within_days": 2}, [1, 2]),
    "bought and due again": (
        {"purchases": [(0, 0, 1), (0, 1, 1)]}, {"due_soon": pairs(0)}, {"bought_within_days": 2}, [0, 2],
    ),
    "bought and due too late": (
        {"purchases": [(0, 0, 1), (0, 1, 1)]}, {"due": pairs(0)}, {"bought_within_days": 2}, [2, 3],
    ),
    "sent before and due again": (
        {"purchases": [(0, 1, 30)]}, {"due_soon": pairs(1), "sends": sent((0, 0, 7), (0, 1, 7))}, {"max_repeat": 0}, [1, 2],
    ),
    "sent before and due too late": (
        {"purchases": [(0, 1, 30)]}, {"due": pairs(1), "sends": sent((0, 0, 7), (0, 1, 7))}, {"max_repeat": 0}, [2, 3],
    ),
    "cart": ({}, {"carts": pairs(0)}, {"not_in_cart": True}, [1, 2]),
    "cart, off": ({}, {"carts": pairs(0)}, {}, [0, 1]),
    "returned or rated badly": ({}, {"rejected": pairs(1)}, {"not_rejected": True}, [0, 2]),
    # p0 and p1 were bought; only p1 is due, and what was never bought need not be.
    "not due again": (
        {"purchases": [(0, 0, 30), (0, 1, 30)]}, {"due": pairs(1)}, {"only_due": True}, [1, 2],
    ),
    "not due again, off": ({"purchases": [(0, 0, 30), (0, 1, 30)]}, {"due": pairs(1)}, {}, [0, 1]),
    "in the last send": ({}, {"sends": sent((0, 0, 7), (0, 1, 14))}, {"sent_within_sends": 1}, [1, 2]),
    "in the last two": (
        {}, {"sends": sent((0, 0, 7), (0, 1, 14), (0, 2, 21))}, {"sent_within_sends": 2}, [2, 3],
    ),
    "in the last and an older one": (
        {}, {"sends": sent((0, 0, 7), (0, 0, 14))}, {"sent_within_sends": 1}, [1, 2],
    ),
    # p0 and p1 are variants: what happened to p1 holds for p0.
    "a variant was bought": (
        {"purchases": [(0, 1, 1)]}, {"parent": np.array([7, 7, -1, -1, -1, -1])}, {"bought_within_days": 2}, [2, 3],
    ),
    "a variant was bought longer ago": (
        {"purchases": [(0, 1, 3)]}, {"parent": np.array([7, 7, -1, -1, -1, -1])}, {"bought_within_days": 2}, [0, 1],
    ),
    "a variant is in the cart": (
        {}, {"carts": pairs(1), "parent": np.array([7, 7, -1, -1, -1, -1])}, {"not_in_cart": True}, [2, 3],
    ),
    "a variant was returned, another may fit": (
        {}, {"rejected": pairs(1), "parent": np.array([7, 7, -1, -1, -1, -1])}, {"not_rejected": True}, [0, 2],
    ),
    "a variant was sent": (
        {}, {"sends": sent((0, 1, 7)), "parent": np.array([7, 7, -1, -1, -1, -1])}, {"sent_within_sends": 1}, [2, 3],
    ),
    "a variant is a repeat": (
        {}, {"sends": sent((0, 1, 7)), "parent": np.array([7, 7, -1, -1, -1, -1])}, {"max_repeat": 0}, [2, 3],
    ),
    "a variant was viewed since": (
        {"events": [(0, 0, 1, "view")]}, {"sends": sent((0, 1, 7)), "parent": np.array([7, 7, -1, -1, -1, -1])},
        {"max_repeat": 0}, [0, 1],
    ),
    "a variant was bought and is not due": (
        {"purchases": [(0, 1, 30)]}, {"due": pairs(2), "parent": np.array([7, 7, -1, -1, -1, -1])}, {"only_due": True},
        [2, 3],
    ),
    "one title": (
        {"names": ["Tea 2 L", " tea  2 l", "Tea", None, "TEA", None]}, {}, {"one_per_title": True, "k": 3}, [0, 2, 3],
    ),
    "one title, off": ({"names": ["Tea"] * N}, {}, {}, [0, 1]),
    "excluded category in another case": (
        {"categories": ["Coffee", " COFFEE ", "Coffee Beans", *[None] * 3]}, {}, {"excluded_categories": ("coffee",)},
        [2, 3],
    ),
    "excluded brand with other blanks": (
        {"brands": ["Old  Mill", "Mill", *[None] * 4]}, {}, {"excluded_brands": (" old mill",)}, [1, 2],
    ),
    "excluded product in another case": ({}, {}, {"excluded_products": ("P000",)}, [1, 2]),
    "pinned in another case": ({}, {}, {"pinned": (Pin(product="P004", slot=1),)}, [4, 0]),
    # Five of one category cannot fill two slots with one of each: the limit is raised to two.
    "a shop of one category": ({"categories": ["A"] * N}, {}, {"max_per_category": 1}, [0, 1]),
    "a shop of one brand": ({"brands": ["X"] * N}, {}, {"max_per_brand": 1}, [0, 1]),
    "two categories are enough": ({"categories": ["A"] * 4 + ["B"] * 2}, {}, {"max_per_category": 1}, [0, 4]),
    "two categories, one of them excluded": (
        {"categories": ["A"] * 4 + ["B"] * 2}, {}, {"max_per_category": 1, "excluded_categories": ("B",)}, [0, 1],
    ),
    # Of six products all were sent: two slots need two repeats.
    "everything was sent": (
        {}, {"sends": sent(*((0, product, 7) for product in range(N)))}, {"max_repeat": 0}, [0, 1],
    ),
    "variants": ({}, {"parent": np.array([7, 7, -1, -1, -1, -1])}, {"one_per_parent": True}, [0, 2]),
    "no parents": ({}, {"parent": np.full(N, -1)}, {"one_per_parent": True}, [0, 1]),
    "an unavailable variant takes nobody's place": (
        {"unavailable": {0}}, {"parent": np.array([7, 7, -1, -1, -1, -1])}, {"one_per_parent": True}, [1, 2],
    ),
    "category": ({"categories": ["A", "A", " A", "B", None, None]}, {}, {"max_per_category": 1}, [0, 3]),
    "no category is no category": (
        {"categories": ["A", "A", None, None, None, None]}, {}, {"max_per_category": 1, "k": 4}, [0, 2, 3, 4],
    ),
    "no category": ({}, {}, {"max_per_category": 1}, [0, 1]),
    "brand": ({"brands": ["X", "X", None, None, None, None]}, {}, {"max_per_brand": 1}, [0, 2]),
    "price floor": ({"prices": [1, np.nan, 2, 3, 4, 5]}, {}, {"min_price": 2}, [2, 3]),
    "margin floor": (
        {"prices": [2] * N}, {"cost": floats(1.5, np.nan, 1, 0.5)}, {"min_margin": 0.5}, [2, 3],
    ),
    "a shop without costs": ({}, {}, {"min_margin": 0.5}, [0, 1]),
    "excluded category": ({"categories": ["FUEL", *[None] * 5]}, {}, {"excluded_categories": ("FUEL",)}, [1, 2]),
    "excluded brand": ({"brands": ["X", "Y", *[None] * 4]}, {}, {"excluded_brands": ("Y",)}, [0, 2]),
    "excluded product": ({}, {}, {"excluded_products": ("p000", "p002")}, [1, 3]),
    "pinned candidate": ({}, {}, {"pinned": (Pin(product="p004", slot=1),)}, [4, 0]),
    "pinned other": ({}, {}, {"pinned": (Pin(product="p005", slot=2),)}, [0, 5]),
    "pinned twice": (
        {}, {}, {"pinned": (Pin(product="p005", slot=1), Pin(product="p003", slot=2))}, [5, 3],
    ),
    "pinned and sold out": ({"unavailable": {4}}, {}, {"pinned": (Pin(product="p004", slot=1),)}, [0, 1]),
    "pinned and in the cart": (
        {}, {"carts": pairs(4)}, {"not_in_cart": True, "pinned": (Pin(product="p004", slot=1),)}, [0, 1],
    ),
    "pinned counts for the category": (
        {"categories": ["A", "B", None, None, "A", None]}, {},
        {"max_per_category": 1, "pinned": (Pin(product="p004", slot=1),)}, [4, 1],
    ),
    # Scores 1, 1/2, 1/3, 1/4, 1/5 times margins 0.1, 0.1, 0.9, 0.9, 0.1.
    "margin boost": (
        {"prices": [1.0] * N}, {"cost": np.array([0.9, 0.9, 0.1, 0.1, 0.9, 0.9])}, {"margin_strength": 1}, [2, 3],
    ),
    # The unknown margin counts as the median, 0.5: 0.5, 0.25, 0.3, 0.025, 0.02.
    "unknown margin": (
        {"prices": [1.0] * N}, {"cost": np.array([np.nan, 0.5, 0.1, 0.9, 0.9, 0.1])}, {"margin_strength": 1}, [0, 2],
    ),
    # Repeats: p0, p1 and p2 were sent a week ago.
    "repeats": (
        {}, {"sends": sent((0, 0, 7), (0, 1, 7), (0, 2, 7))}, {"k": 3, "max_repeat": 1}, [0, 3, 4],
    ),
    "no repeats": ({}, {"sends": sent((0, 0, 7), (0, 1, 7))}, {"max_repeat": 0}, [2, 3]),
    "repeats of long ago": (
        {}, {"sends": sent((0, 5, 7), (0, 0, 14), (0, 1, 14))}, {"max_repeat": 0, "repeat_sends": 1}, [0, 1],
    ),
    "viewed since": (
        {"events": [(0, 1, 7, "view")]}, {"sends": sent((0, 0, 7), (0, 1, 7), (0, 2, 7))},
        {"k": 3, "max_repeat": 1}, [0, 1, 3],
    ),
    "viewed before": (
        {"events": [(0, 1, 8, "view")]}, {"sends": sent((0, 0, 7), (0, 1, 7), (0, 2, 7))},
        {"k": 3, "max_repeat": 1}, [0, 3, 4],
    ),
    "viewed before the latest of two sends": (
        {"events": [(0, 0, 10, "view")]}, {"sends": sent((0, 0, 14), (0, 0, 7))}, {"max_repeat": 0}, [1, 2],
    ),
    "bought since": (
        {"purchases": [(0, 0, 1)]}, {"sends": sent((0, 0, 7), (0, 1, 7))}, {"max_repeat": 0}, [0, 2],
    ),
    "cheaper since": (
        {}, {"sends": sent((0, 0, 7), (0, 1, 7)), "price_drop_day": np.array([ANCHOR - 8, ANCHOR - 7, -1, -1, -1, -1])},
        {"max_repeat": 0}, [1, 2],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_rule(case):
    shop, facts, changes, expected = CASES[case]
    context = Context(make_known(**shop), **facts)
    selection = select(ranked({0: [0, 1, 2, 3, 4]}), context, make_rules(**changes))
    assert lists(selection) == {0: expected}


def test_columns():
    known = make_known(events=[(0, 1, 1, "view")], purchases=[(0, 5, 30)])
    context = Context(known, sends=sent((0, 0, 7), (0, 1, 7)))
    candidates = ranked({0: [0, 1]}, p_purchase=[0.5, 0.25])
    rules = make_rules(k=4, pinned=(Pin(product="p003", slot=2),), ladder=("global",), max_repeat=1)
    rows = select(candidates, context, rules).rows
    assert rows.astype(object).where(rows.notna(), None).to_dict("list") == {
        "customer": [0, 0, 0, 0],
        "slot": [1, 2, 3, 4],
        "product": [0, 3, 1, 5],
        "score": [1.0, 0.0, 0.5, 0.0],
        "p_purchase": [0.5, None, 0.25, None],
        "source": ["als", "pinned", "als", "popularity"],
        "slot_type": ["personal", "pinned", "personal", "fill"],
        "fallback_level": ["personal", "global", "personal", "global"],
        "sent_before": ["yes", "no", "view", "no"],
    }
    assert [str(dtype) for dtype in rows.dtypes] == [
        "int32", "int16", "int32", "float32", "float32", "category", "category", "category", "category",
    ]  # fmt: skip


def test_slots_stand_by_score_within_their_type():
    # Diversity chooses p0, then p2, since p1 and p0 are alike, then p1; they stand by score.
    factors = np.array([[2, 0], [1, 0], [0, 1], *[[0, 0]] * 3], dtype=np.float32)
    candidates = ranked({0: [0, 1, 2]}).assign(score=np.float32([1, 0.6, 0.2]))
    rows = select(candidates, Context(make_known(), factors=factors), make_rules(mmr_lambda=0.5, k=3)).rows
    assert rows["product"].tolist() == [0, 1, 2]
    assert rows["score"].tolist() == [1, np.float32(0.6), np.float32(0.2)]
    # Ties by product.
    tied = ranked({0: [2, 1, 0]}).assign(score=np.float32(1))
    assert lists(select(tied, Context(make_known(), factors=factors), make_rules(mmr_lambda=0.5, k=3))) == {
        0: [0, 1, 2]
    }


def test_reserves_are_what_would_come_next():
    # k = 2 of A, A, B: p2 (A) may stand only where an A is gone, p3 (B) beside both.
    known = make_known(categories=["A", "A", "A", "B", "B", None])
    rules = make_rules(max_per_category=2, min_stock=3)
    context = Context(known, stock=floats(rest=9))
    after = select(ranked({0: range(6)}), context, rules, reserves=3).reserves
    assert after["slot"].tolist() == [1, 2, 3, 4, 5]
    assert after["product"].tolist() == [0, 1, 3, 4, 5]
    assert after["max_per_category"].tolist() == [0, 0, 1, 1, -1]
    assert after["max_per_category_most"].tolist() == [2] * 5
    assert after["min_stock"].tolist() == [3] * 5
    assert after["slot_type"].tolist() == ["personal"] * 5
    # Where every other category is used up, what the limit allows once its own product is gone.
    known = make_known(categories=["A", "B", "A", "B", None, None], unavailable={4, 5})
    after = select(ranked({0: range(4)}), Context(known), make_rules(max_per_category=1), reserves=3).reserves
    assert after["product"].tolist() == [0, 1, 2, 3]
    # Without candidates from the ladder, where there is one.
    known = make_known([(0, product, 30 + product) for product in range(4)])
    after = select(ranked({}), Context(known), make_rules(ladder=("global",)), reserves=1).reserves
    assert after[["product", "source", "fallback_level"]].to_numpy().tolist() == [
        [0, "popularity", "global"], [1, "popularity", "global"], [2, "popularity", "global"],
    ]  # fmt: skip
    assert select(ranked({}), Context(known), make_rules()).reserves is None


def test_removed_counts_the_first_rule_and_traces_it():
    # p0: not available and in the cart; p1: in the cart; p3: the second of A; p5: after the last slot.
    known = make_known(categories=["A", "A", "A", "A", "B", "A"], unavailable={0})
    context = Context(known, carts=pairs(0, 1))
    rules = make_rules(not_in_cart=True, max_per_category=1)
    selection = select(ranked({0: range(6)}), context, rules, trace=True)
    assert lists(selection) == {0: [2, 4]}
    assert selection.removed[selection.removed > 0].to_dict() == {
        "available": 1,
        "in_cart": 1,
        "max_per_category": 2,
    }
    assert list(zip(selection.traced["product"], selection.traced["rule"], strict=True)) == [
        (0, "available"),
        (1, "in_cart"),
        (3, "max_per_category"),
        (5, "max_per_category"),
    ]
    assert lists(select(ranked({0: range(6)}), context, rules, without=["in_cart"])) == {0: [1, 4]}
    assert lists(select(ranked({0: range(6)}), context, rules, without=["available", "in_cart"])) == {
        0: [0, 4]
    }


def test_what_the_last_slot_closes_is_not_counted():
    known = make_known(categories=["A", "B", "A", "B", "B", "B"])
    selection = select(ranked({0: range(6)}), Context(known), make_rules(max_per_category=1))
    assert lists(selection) == {0: [0, 1]}
    assert selection.removed["max_per_category"] == 1  # p2; with p1 the slots are full


# Relevance of p0, p1, p2 with scores 1, 0.6, 0.2: 1, 0.5, 0. p0 and p1 are the same thing.
@pytest.mark.parametrize(("weight", "expected"), [(0.5, [0, 2]), (0.9, [0, 1]), (1.0, [0, 1])])
@pytest.mark.parametrize("by", ["content", "copurchase", "both"])
def test_diversity(weight, expected, by):
    facts = {}
    if by != "copurchase":
        facts["factors"] = np.array([[2, 0], [1, 0], [0, 1], *[[0, 0]] * 3], dtype=np.float32)
    if by != "content":
        facts["copurchase"] = sparse.csr_matrix(([1.0, 1.0], ([0, 1], [1, 0])), shape=(N, N))
    candidates = ranked({0: [0, 1, 2]}).assign(score=np.float32([1, 0.6, 0.2]))
    context = Context(make_known(), **facts)
    # 0.5: p1 is worth 0.5 * 0.5 - 0.5 * 1 = -0.25 then, p2 0; 0.9: 0.45 - 0.1 = 0.35.
    assert lists(select(candidates, context, make_rules(mmr_lambda=weight))) == {0: expected}


def test_diversity_looks_at_pinned_products():
    factors = np.array([[1, 0], [0, 1], [0, 0], [0, 0], [0, 0], [1, 0]], dtype=np.float32)
    rules = make_rules(mmr_lambda=0.5, pinned=(Pin(product="p005", slot=1),))
    candidates = ranked({0: [0, 1]}).assign(score=np.float32([1, 0.8]))
    # Alone p0 leads; beside the pinned p5, which it equals, it is worth 0.5 - 0.5, and p1 0: p0 is first cell.
    assert lists(select(candidates, Context(make_known(), factors=factors), rules)) == {0: [5, 0]}
    candidates = ranked({0: [0, 1, 2]}).assign(score=np.float32([1, 0.8, 0]))
    # Now p1 is worth 0.4.
    assert lists(select(candidates, Context(make_known(), factors=factors), rules)) == {0: [5, 1]}


# c0 and c1 bought of A; p3 is of C, p4 and p5 are of B, p2 of A.
TASTES = {
    "purchases": [(0, 0, 30), (1, 0, 30), (1, 4, 30), (2, 3, 30)],
    "customers": 4,
    "categories": ["A", "A", "A", "C", "B", "B"],
}


@pytest.mark.parametrize(
    ("p_purchase", "changes", "expected"),
    [
        # p1 is the least probable of the list, and p4 the likeliest of a new category: half as probable is enough.
        ([0.5, 0.4, 0.3, 0.1, 0.2, 0.05], {"discovery_floor": 0.5}, ([0, 4], ["personal", "discovery"])),
        ([0.5, 0.4, 0.3, 0.1, 0.19, 0.05], {"discovery_floor": 0.5}, ([0, 1], ["personal"] * 2)),
        ([0.5, 0.4, 0.3, 0.1, 0.2, 0.05], {"discovery_floor": 0, "discovery_share": 1}, ([4, 3], ["discovery"] * 2)),
        ([0.5, 0.4, 0.3, 0.1, 0.2, 0.05], {"discovery_share": 0}, ([0, 1], ["personal"] * 2)),
        # What is of a new category by its own merit leaves nothing to discover.
        ([0.5, 0.1, 0.1, 0.1, 0.4, 0.3], {"discovery_floor": 0}, ([0, 4], ["personal"] * 2)),
    ],
)  # fmt: skip
def test_discovery(p_purchase, changes, expected):
    candidates = ranked({0: range(N)}, p_purchase).assign(score=np.float32(p_purchase))
    rules = make_rules(**{"discovery_share": 0.5} | changes)
    selection = select(candidates, Context(make_known(**TASTES)), rules, [0])
    assert (selection.rows["product"].tolist(), selection.rows["slot_type"].tolist()) == expected
    assert selection.rows["source"].tolist() == ["als"] * 2
    assert lists(select(candidates, Context(make_known(**TASTES)), rules, [0], ("discovery",)))[0][0] == 0


def test_discovery_without_probabilities_goes_by_score():
    rules = make_rules(k=3, discovery_share=0.34)
    selection = select(ranked({0: [0, 1, 2, 3, 4]}), Context(make_known(**TASTES)), rules, [0])
    assert lists(selection) == {0: [0, 1, 3]}
    assert selection.rows["slot_type"].tolist() == ["personal", "personal", "discovery"]


def test_who_bought_nothing_has_nothing_to_discover():
    rules = make_rules(discovery_share=1)
    selection = select(ranked({3: range(N)}), Context(make_known(**TASTES)), rules, [3])
    assert selection.rows["slot_type"].tolist() == ["personal"] * 2


def test_discovery_turns_to_what_was_not_sent_yet():
    candidates = ranked({0: range(N)}, [0.5, 0.4, 0.3, 0.1, 0.2, 0.05])
    rules = make_rules(discovery_share=0.5, discovery_floor=0)
    context = Context(make_known(**TASTES), sends=sent((0, 4, 7)))
    # Of B the next product, p5, is less probable than p3.
    assert lists(select(candidates, context, rules, [0])) == {0: [0, 3]}
    looked = make_known(**TASTES, events=[(0, 4, 2, "view")])
    assert lists(select(candidates, Context(looked, sends=sent((0, 4, 7))), rules, [0])) == {0: [0, 4]}


def test_discovery_keeps_the_limits():
    # p4 would be next, but p1 has its brand, and only the exchange with p1 itself is allowed.
    known = make_known(**TASTES, brands=["x", "y", "z", "q", "y", "r"])
    candidates = ranked({0: range(N)}, [0.5, 0.4, 0.3, 0.1, 0.2, 0.05])
    rules = make_rules(k=3, discovery_share=0.34, discovery_floor=0, max_per_brand=1)
    assert lists(select(candidates, Context(known), rules, [0])) == {0: [0, 2, 4]}


def test_content_clusters_stand_for_categories_where_there_are_none():
    """Two kinds of text, three products each: p3 to p5 are unlike what c0 bought."""
    factors = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.2, 1]], dtype=np.float32)
    context = Context(make_known([(0, 0, 30)]), factors=factors)
    assert len(set(context.shelf[:3])) == len(set(context.shelf[3:])) == 1
    assert context.shelf[0] != context.shelf[3]
    rules = make_rules(discovery_share=0.5)
    selection = select(ranked({0: [0, 1, 2, 4, 3]}), context, rules)
    assert lists(selection) == {0: [0, 4]}
    assert selection.rows["slot_type"].tolist() == ["personal", "discovery"]


def test_the_best_set_is_not_what_fits_first():
    """p0 closes category A and brand x, and leaves p3 alone; p1 and p2 together are worth more."""
    known = make_known(categories=["A", "A", "B", "B", None, None], brands=["x", "y", "x", "y", "y", "x"])
    candidates = ranked({0: [0, 1, 2, 3]}, [0.5, 0.45, 0.4, 0.05]).assign(
        score=np.float32([0.5, 0.45, 0.4, 0.05])
    )
    rules = make_rules(max_per_category=1, max_per_brand=1)
    assert lists(select(candidates, Context(known), rules)) == {0: [1, 2]}


@pytest.mark.parametrize(
    ("share", "k", "slots"),
    [(0.2, 12, 2), (0.2, 5, 1), (0.2, 2, 0), (0.25, 10, 3), (0.7, 5, 4), (0, 12, 0), (1, 3, 3)],
)
def test_discovery_slots_round_to_the_nearest_halves_up(share, k, slots):
    assert Slots(discovery_share=share, k=k).discovery_slots == slots


# Sold: p5 to three of segment old, p4 to two of young, p3 (category of what c0 buys) to one of old.
LADDER = {
    "purchases": [(1, 5, 28), (2, 5, 28), (3, 5, 28), (4, 4, 28), (5, 4, 28), (1, 3, 28), (0, 2, 28)],
    "customers": 7,
    "categories": ["A", "A", "C", "C", "B", "B"],
    "segments": ["young", "old", "old", "old", "young", "young", None],
}


@pytest.mark.parametrize(
    ("ladder", "expected", "levels"),
    [
        (("segment", "category", "global"), [0, 4, 2, 3], ["personal", "segment", "segment", "category"]),
        (("category", "segment", "global"), [0, 2, 3, 4], ["personal", "category", "category", "segment"]),
        (("global",), [0, 5, 4, 2], ["personal", "global", "global", "global"]),
    ],
)
def test_ladder(ladder, expected, levels):
    # Segment young bought p4 twice and p2 once; c0 bought of category C only.
    context = Context(make_known(**LADDER))
    selection = select(ranked({0: [0]}), context, make_rules(k=4, ladder=ladder), [0])
    assert lists(selection) == {0: expected}
    assert selection.rows["fallback_level"].tolist() == levels


def test_category_level_takes_the_five_she_buys_most():
    # Product n, the only one of its category, on 6 - n days: p5 is of her sixth category.
    purchases = [(0, product, 10 + day) for product in range(6) for day in range(6 - product)]
    context = Context(make_known(purchases, categories=["F", "E", "D", "C", "B", "A"]))
    for k, expected in ((5, {0: [0, 1, 2, 3, 4]}), (6, {})):
        assert lists(select(ranked({}), context, make_rules(k=k, ladder=("category",)))) == expected


def test_global_order_and_rules_in_the_fill():
    # Sold three times: p5, twice: p4, once: p2 and p3; p0 and p1 never.
    context = Context(make_known(**LADDER), carts=pairs(5, customers=7))
    rules = make_rules(k=2, ladder=("global",), not_in_cart=True, max_per_category=1)
    selection = select(ranked({6: [0]}), context, rules, [0, 6])
    assert lists(selection) == {0: [4, 2], 6: [0, 5]}
    assert selection.rows["source"].tolist() == ["popularity", "popularity", "als", "popularity"]


def test_who_cannot_be_filled_is_suppressed():
    context = Context(make_known(**LADDER))
    selection = select(ranked({0: [0, 1]}), context, make_rules(k=5, ladder=("global",)), [0, 6])
    # c6 has p2 to p5, which were sold, and nothing else.
    assert lists(selection) == {0: [0, 1, 5, 4, 2]}
    assert selection.suppressed.to_dict("list") == {"customer": [6], "reason": ["too_few_products"]}


def test_many_popular_products_that_may_not_be_sent():
    # 300 best sellers that all lie in c0's cart: the ladder goes on until it finds the two behind them.
    purchases = [(1 + customer, product, 28) for product in range(300) for customer in range(2)]
    purchases += [(1, 300, 28), (1, 301, 28)]
    known = make_known(purchases, customers=3, categories=[None] * 302)
    context = Context(known, carts=pairs(*range(300), n=302, customers=3))
    rules = make_rules(k=2, ladder=("global",), not_in_cart=True)
    assert lists(select(ranked({}), context, rules, [0])) == {0: [300, 301]}


def test_p_purchase_is_what_margins_multiply():
    # 0.5 * 0.1, 0.4 * 0.2, 0.3 * 0.4 = 0.05, 0.08, 0.12, whatever the (negative) scores.
    candidates = ranked({0: [0, 1, 2]}, [0.5, 0.4, 0.3]).assign(score=np.float32([-1, -2, -3]))
    context = Context(make_known(), cost=floats(0.9, 0.8, 0.6))
    assert lists(select(candidates, context, make_rules(margin_strength=1))) == {0: [2, 1]}


def test_a_shop_without_anything():
    # The default rules: no category, brand, url, cost, stock, sends or similarity.
    context = assemble_context(make_known(purchases=[(0, 3, 30), (0, 4, 30)], customers=2))
    selection = select(ranked({0: [0, 1], 1: []}), context, Rules(slots=Slots(k=2)))
    assert lists(selection) == {0: [0, 1], 1: [3, 4]}
    assert selection.removed.sum() == 0


def test_the_ladder_leaves_out_what_is_full_already(monkeypatch):
    # The first round of twelve gives c0 one of two of A, since p1 to p15 lie in her cart, and c2 both.
    # B has p34 alone.
    monkeypatch.setattr("recs_assets.rules.filling.FIRST_FILL", 1)
    purchases = [(1, product, 1 + product) for product in range(35)]
    known = make_known(purchases, customers=3, categories=[*["A"] * 34, "B"])
    context = Context(known, carts=pairs(*range(1, 16), n=35, customers=3))
    rules = make_rules(k=3, ladder=("global",), max_per_category=2, not_in_cart=True)
    assert lists(select(ranked({}), context, rules, [0, 2])) == {0: [0, 16, 34], 2: [0, 1, 34]}
    rules = make_rules(k=4, ladder=("global",), max_per_category=2, not_in_cart=True)
    # Two of A and the one of B fill three slots of four, so the limit is raised to three of A.
    assert lists(select(ranked({}), context, rules, [0, 2])) == {0: [0, 16, 17, 34], 2: [0, 1, 2, 34]}


def test_rules_per_segment():
    known = make_known(customers=3, segments=["vip", "other", None], prices=[1, 2, 3, 4, 5, 6])
    rules = make_rules(
        segments={
            "vip": SegmentRules(
                items=ItemRules(min_price=3), slots=Slots(pinned=(Pin(product="p005", slot=1),))
            )
        }
    )
    selection = select(ranked(dict.fromkeys(range(3), range(5))), Context(known), rules)
    assert lists(selection) == {0: [5, 2], 1: [0, 1], 2: [0, 1]}
    # What a segment does not name stays: not min_stock's default, but what the campaign says.
    assert rules.of_segment("vip").items == ItemRules(**{**dict(rules.items), "min_price": 3})


def test_eligibility_in_order():
    # One customer per reason, who also carries every later one but the last; customer 12 is eligible and
    # has the address of customer 11, and so is customer 13.
    state = np.array(["erased", "objected", "unsubscribed", *[""] * 9, "subscribed", ""], dtype=object)
    n = len(state)
    known = make_known([(11, 0, 9), (12, 0, 8)], customers=n)
    known.customers["email_eligible"] = pd.array([False] * 3 + [None] + [True] * 10, dtype="boolean")
    late = np.arange(n)
    context = Context(
        known,
        consent_state=state,
        no_address=late <= 4,
        unusable_address=late <= 5,
        address=np.where((late == 11) | (late == 12), 1, -1),
        bounced=late <= 6,
        test_account=late <= 7,
        wholesale=late <= 8,
        audience=late > 10,
        contacts=Contacts(np.repeat(np.arange(10), 2), np.full(20, ANCHOR - 1)),
    )
    rules = make_rules(max_sends=2)
    selection = select(ranked(dict.fromkeys(range(n), range(6))), context, rules)
    assert selection.suppressed["reason"].tolist() == list(REASONS)
    assert selection.suppressed["customer"].tolist() == list(range(12))
    assert sorted(lists(selection)) == [12, 13]
    assert selection.counts.to_dict() == {"selected": 2, **dict.fromkeys(REASONS, 1), "too_few_products": 0}
    assert selection.counts.sum() == n


def test_a_bounce_and_a_cap_hold_for_the_address():
    """Customers 0 and 1 share one, 2 and 3 another: 0's bounced, 2 and 3 got two emails together."""
    known = make_known(customers=5)
    contacts = Contacts(np.array([2, 3, 4]), np.full(3, ANCHOR - 1))
    context = Context(
        known,
        address=np.array([0, 0, 7, 7, -1]),
        bounced=np.array([True, False, False, False, False]),
        contacts=contacts,
    )
    selection = select(ranked(dict.fromkeys(range(5), range(6))), context, make_rules(max_sends=2))
    assert selection.suppressed["reason"].tolist() == ["bounced", "bounced", "frequency_cap", "frequency_cap"]
    assert sorted(lists(selection)) == [4]


@pytest.mark.parametrize(("ages", "capped"), [((1, 6), True), ((1, 7), False), ((1,), False), ((1, 1), True)])
def test_frequency_cap(ages, capped):
    # With today's send the week holds three where two of the last six days hold one each.
    contacts = Contacts(np.zeros(len(ages), int), ANCHOR - np.array(ages))
    context = Context(make_known(), contacts=contacts)
    found = find_exclusions(context, Eligibility(max_sends=2, within_days=7))
    assert found.tolist() == [REASONS.index("frequency_cap") if capped else -1]
    assert find_exclusions(context, Eligibility()).tolist() == [-1]


def test_without_sends_those_before_the_anchor_are_rehearsed():
    """Two slots, one of which may repeat: the two sends before the anchor hold p0 and p1, then p0 and p2."""
    context, candidates = Context(make_known(customers=2)), ranked({0: range(N)})
    rules = make_rules(max_repeat=1, repeat_sends=2)
    found = rehearse(candidates, context, rules, every=14)
    assert list(zip(found.sends.customer, found.sends.product, ANCHOR - found.sends.day, strict=True)) == [
        (0, 0, 28), (0, 1, 28), (0, 0, 14), (0, 2, 14),
    ]  # fmt: skip
    assert lists(select(candidates, found, rules)) == {0: [0, 3]}
    tags = price_rules(candidates, found, rules, pairs(0, 1, customers=2)).set_index("rule")
    assert tags.loc["max_repeat", ["purchases", "purchases_without", "alone_gained"]].tolist() == [1, 2, -1]
    # What was really sent stands, and without a rule that looks at sends there is nothing to rehearse.
    real = Context(make_known(customers=2), sends=sent((0, 5, 7)))
    assert rehearse(candidates, real, rules) is real
    assert rehearse(candidates, context, make_rules()) is context


def test_a_comparison_of_lists_is_open_to_all():
    known = make_known(customers=2)
    known.customers["email_eligible"] = False
    context = admit_everybody(Context(known, consent_state=np.array(["erased", ""], dtype=object)))
    assert sorted(lists(select(ranked({0: [0, 1], 1: [0, 1]}), context, make_rules()))) == [0, 1]


def test_price_tags():
    # Selected: p1, p2 (p0 is in the cart). Bought later: c0 p0 and p1, c1 p2.
    known = make_known(customers=3, segments=[None] * 3)
    context = Context(known, carts=pairs(0, customers=3))
    truth = sparse.csr_matrix(([2.0, 1.0, 1.0], ([0, 0, 1], [0, 1, 2])), shape=(3, N))
    margin = np.array([5.0, 2.0, 3.0, 1.0, 1.0, np.nan])
    candidates = ranked({0: [0, 1, 2], 1: [0, 1, 2], 2: [2]})
    rules = make_rules(not_in_cart=True)
    assert set(NAMES) - find_idle_rules(candidates, context, rules) == {"available", "in_cart"}
    tags = price_rules(candidates, context, rules, truth, margin).set_index("rule")
    assert tags.index.tolist() == ["all_rules", *NAMES]
    # c0 gets p1, p2 and hits p1; without the rule p0, p1 and hits both. c1: p0, p1 and hits nothing. c2 has one only.
    line = tags.loc["in_cart"]
    assert line[["customers", "customers_changed"]].tolist() == [3, 1]
    assert line[["purchases", "purchases_without", "purchases_gained"]].tolist() == [1, 2, -1]
    assert line[["margin", "margin_without", "margin_gained"]].tolist() == [2, 7, -5]
    # Differences -1, 0, 0: the sum's standard error is sqrt(1 - 1/3) = 0.8165.
    assert line[["purchases_low", "purchases_high"]].tolist() == pytest.approx([-2.6003, 0.6003], abs=1e-4)
    # Alone it costs c0 the same; the other rule that is on, available, takes nothing out.
    assert line[["purchases_alone", "alone_gained"]].tolist() == [1, -1]
    assert line[["alone_low", "alone_high"]].tolist() == pytest.approx([-2.6003, 0.6003], abs=1e-4)
    joint = tags.loc["all_rules"]
    assert joint[["kind", "customers", "customers_changed"]].tolist() == ["joint", 3, 1]
    assert joint[["purchases", "purchases_without", "purchases_gained", "margin_gained"]].tolist() == [
        1,
        2,
        -1,
        -5,
    ]
    others = tags.drop(["in_cart", "all_rules"])
    assert (others[["customers_changed", "purchases_gained", "margin_gained"]] == 0).all(axis=None)
    assert price_rules(candidates, context, rules, truth)["margin_gained"].isna().all()


def test_assemble_context():
    known = make_known(customers=2)
    known.customers["country"] = ["de", None]
    context = assemble_context(
        known,
        products=pd.DataFrame(
            {
                "product_id": ["p003", "p001", "p000", "p999"],
                "stock": [4.0, 1.0, None, 1.0],
                "parent_id": [None, "p000", None, None],
                "url": ["/3", " ", None, "/9"],
                "countries": ["DE, AT", "FR", None, None],
            }
        ),
        customers=pd.DataFrame({"customer_id": ["c001"], "consent_state": ["objected"], "bounced": [True]}),
        carts=pd.DataFrame({"customer_id": ["c001", "c777"], "product_id": ["p002", "p002"]}),
        sends=pd.DataFrame({"customer_id": ["c000"], "product_id": ["p001"], "day": [date(2024, 2, 26)]}),
        contacts=pd.DataFrame({"customer_id": ["c000", "c000"], "day": [ANCHOR - 1, ANCHOR - 2]}),
        price_drops=pd.DataFrame({"product_id": ["p001", "p001"], "day": [ANCHOR - 9, ANCHOR - 3]}),
    )
    np.testing.assert_array_equal(context.stock, [np.nan, 1, np.nan, 4, np.nan, np.nan])
    assert context.parent.tolist() == [0, 0, -1, -1, -1, -1]
    assert context.present["url"].tolist() == [False, False, False, True, False, False]
    assert context.present["name"].all()
    assert context.country.tolist() == [0, -1]
    assert context.sellable.tolist() == [
        [True, False, True, True, True, True],
        [True, False, True, False, True, True],
    ]
    assert context.consent_state.tolist() == ["", "objected"]
    assert context.bounced.tolist() == [False, True]
    assert context.carts.toarray().tolist() == [[0] * 6, [0, 0, 1, 0, 0, 0]]
    assert (context.sends.customer.tolist(), context.sends.product.tolist()) == ([0], [1])
    assert context.sends.day.tolist() == [ANCHOR - 7]
    assert context.contacts.day.tolist() == [ANCHOR - 1, ANCHOR - 2]
    assert context.price_drop_day.tolist() == [-1, ANCHOR - 3, -1, -1, -1, -1]
    assert assemble_context(make_known()).sellable is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"slots": {"kk": 3}}, "slots.kk"),
        ({"items": {"min_stok": 3}}, "items.min_stok"),
        ({"segments": {"vip": {"items": {"max_per_brand": 0}}}}, "segments.vip.items.max_per_brand"),
        ({"segments": {"vip": {"slots": {"k": 5}}}}, "segments.vip.slots.k: the number of slots"),
        (
            {"segments": {"vip": {"items": {"due_within_days": 5}}}},
            "segments.vip: due_within_days is the same",
        ),
        ({"slots": {"discovery_floor": True}}, "discovery_floor"),
        ({"slots": {"mmr_lambda": "0.5"}}, "mmr_lambda"),
        (
            {"slots": {"k": 3}, "segments": {"vip": {"slots": {"pinned": [{"product": "p", "slot": 4}]}}}},
            "segments.vip: Value error, pinned: slot 4 is beyond k = 3",
        ),
        ({"slots": {"pinned": [{"product": "p", "slot": 1}, {"product": "q", "slot": 1}]}}, "named twice"),
        ({"slots": {"ladder": ["global", "global"]}}, "named twice"),
        ({"slots": {"ladder": ["world"]}}, "slots.ladder.0"),
        ({"items": {"max_per_category": 0}}, "items.max_per_category"),
        (
            {"items": {"excluded_products": ["p1 "]}, "slots": {"pinned": [{"product": "P1", "slot": 1}]}},
            "slots.pinned: the product P1 is in excluded_products, too",
        ),
        (
            {
                "items": {"excluded_products": ["p1"]},
                "segments": {"vip": {"slots": {"pinned": [{"product": "p1", "slot": 1}]}}},
            },
            "segments.vip: Value error, slots.pinned: the product p1 is in excluded_products, too",
        ),
        (
            {"segments": {"VIP": {}, "vip ": {}}},
            "segments.vip : the name is that of VIP but for case and blanks",
        ),
        ({"slots": {"mmr_lambda": 1.5}}, "slots.mmr_lambda"),
        ({"items": {"min_price": float("nan")}}, "items.min_price"),
    ],
)
def test_refused_config(values, message):
    with pytest.raises(ValidationError, match=message):
        Rules.model_validate(values)


@pytest.mark.parametrize(
    ("candidates", "facts", "changes", "without", "message"),
    [
        (ranked({0: [0, 0]}), {}, {}, (), "twice"),
        (ranked({0: [6]}), {}, {}, (), "product is outside 0..5"),
        (ranked({1: [0]}), {}, {}, (), "customer is outside 0..0"),
        (ranked({0: [0]}).assign(score=np.nan), {}, {}, (), "not finite"),
        (
            ranked({0: [0]}).assign(score=-1.0),
            {"cost": floats(0.5)},
            {"margin_strength": 1},
            (),
            "margin_strength needs",
        ),
        (
            ranked({0: [0, 1]}, [0.1, np.nan]),
            {"cost": floats(0.5)},
            {"margin_strength": 1},
            (),
            "for every candidate",
        ),
        (ranked({0: [0]}), {}, {}, ("stock",), "no rule stock"),
    ],
)
def test_refused_candidates(candidates, facts, changes, without, message):
    with pytest.raises(RulesError, match=message):
        select(candidates, Context(make_known(), **facts), make_rules(**changes), without=without)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"stock": np.ones(5)}, "stock has shape"),
        ({"present": {"url": np.ones(5, bool)}}, "present url has shape"),
        ({"country": np.zeros(1, int)}, "country and sellable"),
        ({"factors": np.ones((5, 2))}, "factors must have one row"),
        ({"copurchase": sparse.csr_matrix(([2.0], ([0], [1])), shape=(N, N))}, "within 0..1"),
    ],
)
def test_refused_context(facts, message):
    with pytest.raises(RulesError, match=message):
        Context(make_known(), **facts)


def test_future_sends_are_refused():
    context = Context(make_known(), sends=sent((0, 0, 0)))
    with pytest.raises(RulesError, match="on or after 2024-03-04"):
        select(ranked({0: [0]}), context, make_rules(max_repeat=0))


# -- a page of the shop: for everybody, and as long as it gets ------------------------------------


def test_a_list_of_a_page_may_be_short_and_asks_for_no_consent() -> None:
    known = make_known(customers=3)
    known.customers["email_eligible"] = False
    context = Context(known, consent_state=np.array(["unsubscribed", "objected", "subscribed"], dtype=object))
    candidates, rules = ranked({0: [3, 1], 1: [0, 1, 2, 3]}), make_rules(k=3)
    assert lists(select(candidates, context, rules)) == {}
    page = select(candidates, context, rules, placement="page")
    assert lists(page) == {0: [3, 1], 1: [0, 1, 2]}
    assert page.rows["slot"].tolist() == [1, 2, 1, 2, 3]
    assert page.suppressed.to_dict("list") == {"customer": [2], "reason": ["too_few_products"]}


def test_a_short_list_keeps_its_pinned_product_and_its_order() -> None:
    rules = make_rules(k=5, pinned=(Pin(product="p005", slot=4),), max_repeat=4)
    context = Context(make_known(), sends=sent((0, 1, 7)))
    page = select(ranked({0: [2, 1]}), context, rules, placement="page")
    assert lists(page) == {0: [2, 1, 5]}
    assert page.rows["slot_type"].tolist() == ["personal", "personal", "pinned"]
    assert page.rows["sent_before"].tolist() == ["no", "yes", "no"]


def test_a_page_obeys_every_rule_of_products_and_pairs() -> None:
    context = Context(
        make_known(unavailable={0}, customers=1),
        rejected=pairs(1),
        country=np.array([0]),
        sellable=np.array([flags(True, True, False), flags(rest=False)]),
        parent=np.array([-1, -1, -1, 8, 8, -1]),
        sensitive=goods(never_offer=[5]),
    )
    rules = make_rules(k=6, not_rejected=True, one_per_parent=True, sensitive=True)
    page = select(ranked({0: range(N)}), context, rules, placement="page")
    assert lists(page) == {0: [3]}
    taken = page.removed[page.removed > 0].to_dict()
    assert taken == {"available": 1, "sellable": 1, "sensitive": 1, "rejected": 1, "one_per_parent": 1}


def test_the_shipped_storefront_file_keeps_what_an_email_keeps_out() -> None:
    rules = read_yaml(
        PROJECT_ROOT / "recs_assets" / "rules" / "storefront.yaml", Storefront, "The rules"
    ).rule_set(20)
    assert (rules.items.sensitive, rules.items.not_rejected, rules.items.one_per_parent) == (True, True, True)
    assert (rules.items.min_stock, rules.items.bought_within_days, rules.slots.k) == (1, None, 20)
    # Nothing is added, spread out or held back by what was sent.
    assert (rules.slots.ladder, rules.slots.discovery_share, rules.slots.mmr_lambda) == ((), 0, 1)
    assert rules.slots.max_repeat is None


# -- what is kept out of slots is not named beside them ------------------------------------------


def test_what_a_rule_keeps_out_is_not_named() -> None:
    context = Context(
        make_known(
            categories=["Coffee", "Tea", None, None, None, None], brands=[None, None, "X", None, None, None]
        ),
        rejected=pairs(3),
        sensitive=goods(never_offer=[4], never_cite=[5], no_counts=[1]),
    )
    rules = make_rules(
        excluded_categories=("Coffee",), excluded_brands=("X",), sensitive=True, not_rejected=True
    )
    product, counted, refused = find_nameable(context, rules)
    assert product.tolist() == [False, True, False, True, False, False]
    assert counted.tolist() == [True, False, True, True, True, True]
    assert refused.toarray().nonzero()[1].tolist() == [3]
    # Everything off: everything may be named.
    product, counted, refused = find_nameable(context, make_rules())
    assert (product.all(), counted.all(), refused) == (True, True, None)


def test_a_sold_out_product_may_be_named() -> None:
    product, _, _ = find_nameable(
        Context(make_known(unavailable={0}), stock=floats(1, 0)), make_rules(min_stock=1)
    )
    assert product.all()


def test_what_is_kept_from_one_segment_is_not_named_to_it() -> None:
    known = make_known(
        purchases=[(0, 1, 5), (1, 1, 5), (1, 2, 5)], customers=3, segments=["vip", "other", None],
        categories=["A", "B", "C", None, None, None],
    )  # fmt: skip
    rules = make_rules(
        {"other": SegmentRules(items=ItemRules(excluded_categories=("B",)))}, excluded_categories=("A",)
    )
    product, _, refused = find_nameable(Context(known), rules)
    # The segment's own list replaces the one of all: A may be named there, and only there.
    assert product.tolist() == [True] * N
    assert list(zip(*(codes.tolist() for codes in refused.nonzero()), strict=True)) == [(1, 1)]


# -- products next to products -------------------------------------------------------------------


def neighbours(*rows):
    """(product, neighbour), best first."""
    frame = pd.DataFrame(rows, columns=["product", "neighbour"]).assign(score=0.5)
    return frame.assign(rank=(frame.groupby("product").cumcount() + 1).astype(np.int16))


NEIGHBOURS = {
    "all pass, as many as fit": ({}, {}, {}, {0: [1, 2], 1: [0]}),
    "unavailable": ({"unavailable": {1}}, {}, {}, {0: [2, 3], 1: [0]}),
    "excluded, on either side": (
        {"categories": [None, "A", *[None] * 4]}, {}, {"excluded_categories": ("A",)}, {0: [2, 3]},
    ),
    "sensitive, on either side": ({}, {"sensitive": goods(never_discover=[1])}, {"sensitive": True}, {0: [2, 3]}),
    "not to be named": ({}, {"sensitive": goods(never_cite=[0])}, {"sensitive": True}, {}),
    "sold in fewer countries": (
        {}, {"country": np.array([0]), "sellable": np.array([flags(), flags(True, False)])}, {}, {0: [2, 3], 1: [0]},
    ),
    "its own variant": ({}, {"parent": np.array([7, 7, -1, -1, -1, -1])}, {"one_per_parent": True}, {0: [2, 3]}),
    "its own title": ({"names": ["Tea", "tea ", "B", "C", "D", "E"]}, {}, {"one_per_title": True}, {0: [2, 3]}),
    "two of one title": (
        {"names": ["A", "Tea", "TEA", "C", "D", "E"]}, {}, {"one_per_title": True}, {0: [1, 3], 1: [0]},
    ),
    "variants of each other": (
        {}, {"parent": np.array([-1, 7, 7, -1, -1, -1])}, {"one_per_parent": True}, {0: [1, 3], 1: [0]},
    ),
    "out of stock": ({}, {"stock": floats(0)}, {"min_stock": 1}, {0: [1, 2]}),
}  # fmt: skip


@pytest.mark.parametrize("case", NEIGHBOURS)
def test_products_next_to_products(case: str) -> None:
    shop, facts, changes, expected = NEIGHBOURS[case]
    found = neighbours((0, 1), (0, 2), (0, 3), (1, 0))
    kept = keep_neighbours(found, Context(make_known(**shop), **facts), make_rules(**changes))
    assert kept.groupby("product")["neighbour"].apply(list).to_dict() == expected
    assert kept["rank"].tolist() == [rank for some in expected.values() for rank in range(1, len(some) + 1)]
    assert kept.columns.tolist() == found.columns.tolist()


def test_similar_products_of_another_category_are_alike_by_half():
    categories = ["Bread", "Bread", "Rolls", "Soup", None, None]
    found = neighbours((0, 1), (0, 2), (0, 3), (0, 4), (4, 3)).assign(score=[0.1, 0.5, 0.49, 0.1, 0.1])
    kept = find_alike(found, Context(make_known(categories=categories)))
    assert [*zip(kept["product"], kept["neighbour"], strict=True)] == [(0, 1), (0, 2), (0, 4), (4, 3)]
