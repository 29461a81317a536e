"""Every rule against literals. Unless a test says otherwise, customer 0 has the candidates p0, p1, ... in
this order, every rule is off but the one under test, and two slots are to be filled without a ladder."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from helpers.rules import (
    ANCHOR,
    N,
    flags,
    floats,
    lists,
    make_known,
    make_rules,
    mark_sensitive,
    pairs,
    score_lists,
    sent,
)
from recs_assets.audit.segments import SEGMENTS
from recs_assets.rules.config import Boost, ItemRules, Pin, Rules, SegmentRules, Slots
from recs_assets.rules.context import Context, RulesError
from recs_assets.rules.frames import assemble_context
from recs_assets.rules.naming import find_nameable
from recs_assets.rules.pipeline import find_idle_rules, select
from recs_assets.rules.review import list_past_boosts

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
    "sensitive, never offered": ({}, {"sensitive": mark_sensitive(never_offer=[0])}, {"sensitive": True}, [1, 2]),
    "sensitive, off": ({}, {"sensitive": mark_sensitive(never_offer=[0], never_discover=[1])}, {}, [0, 1]),
    "sensitive, new to the customer": ({}, {"sensitive": mark_sensitive(never_discover=[0])}, {"sensitive": True}, [1, 2]),
    "sensitive, not named and not counted, may be offered": (
        {}, {"sensitive": mark_sensitive(never_cite=[0], no_counts=[0])}, {"sensitive": True}, [0, 1],
    ),
    # p5 was bought: it may be offered again, and so may p0 of its category, but neither p1 of another one
    # nor p2 of its category and another topic.
    "sensitive, had before": (
        {"purchases": [(0, 5, 30)], "categories": ["beer", "wine", "beer", None, None, "beer"]},
        {"sensitive": mark_sensitive(never_discover=[0, 1, 2, 5], topic=np.array([0, 0, 1, 0, 0, 0]))},
        {"sensitive": True, "k": 3}, [0, 3, 4],
    ),
    "pinned and never offered": (
        {}, {"sensitive": mark_sensitive(never_offer=[4])}, {"sensitive": True, "pinned": (Pin(product="p004", slot=1),)}, [0, 1],
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
    "dismissed on the first day that counts": (
        {}, {"dismissed": pairs(0, 1, value=[ANCHOR - 7, ANCHOR - 8])}, {"dismissed_within_days": 7}, [1, 2],
    ),
    "dismissed, off": ({}, {"dismissed": pairs(0, value=[ANCHOR - 1])}, {}, [0, 1]),
    "a variant was dismissed": (
        {}, {"dismissed": pairs(1, value=[ANCHOR - 1]), "parent": np.array([7, 7, -1, -1, -1, -1])}, {"dismissed_within_days": 7},
        [2, 3],
    ),
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
    "goal of margin": (
        {"prices": [1.0] * N}, {"cost": np.array([0.9, 0.9, 0.1, 0.1, 0.9, 0.9])}, {"goal": "margin"}, [2, 3],
    ),
    # 1, 1/2, 1/3, 1/4, 1/5 times 1, 3, 1, 9, 1; squared: 1, 9, 1, 81, 1.
    "goal of revenue": ({"prices": [1, 3, 1, 9, 1, 1]}, {}, {"goal": "revenue"}, [3, 1]),
    "goal of revenue, strongly": (
        {"prices": [1, 3, 1, 4, 1, 1]}, {}, {"goal": "revenue", "goal_strength": 2}, [1, 3],
    ),
    "goal without strength": ({"prices": [1, 3, 1, 9, 1, 1]}, {}, {"goal": "revenue", "goal_strength": 0}, [0, 1]),
    # The median price is 2: 1 * (1 + 1/2)/2, 1/2 * (1 + 2/2)/2, 1/3 * (1 + 6/2)/2: 0.75, 0.5, 0.67.
    "weights of goals": (
        {"prices": [1, 2, 6, 2, 1, 2]}, {}, {"goal": {"purchase": 0.5, "revenue": 0.5}}, [0, 2],
    ),
    # 1, 1/2, 1/3, 1/4, 1/5 times 1, 1, 4, 1/3, 1.
    "a boost": (
        {"categories": ["A", "A", " b", "C", "A", "A"]}, {},
        {"boosts": (Boost(category="B ", factor=4), Boost(category="C", factor=0.3))}, [2, 0],
    ),
    "a burial": ({"brands": ["x", "y", "y", "y", "y", "y"]}, {}, {"boosts": (Boost(brand="X", factor=0.3),)}, [1, 2]),
    "a boost of one product": ({}, {}, {"boosts": (Boost(product="P004", factor=10),)}, [4, 0]),
    "a boost of a merchant": (
        {}, {"merchant": np.array([0, 0, 1, 1, 1, -1]), "merchants": ["m", "n"]},
        {"boosts": (Boost(merchant="n", factor=5),)}, [2, 3],
    ),
    "all that may be said beside each other, at its largest": (
        {"prices": [1, 1, 1, 1e9, 1, 1], "categories": [*"AAABBB"], "brands": [*"xxyyyy"]}, {},
        {"goal": "revenue", "goal_strength": 4, "boosts": (
            Boost(category="B", factor=1000), Boost(brand="y", factor=1000), Boost(product="p003", factor=1000),
        )}, [3, 4],
    ),
    "boosts multiply": (
        {"categories": ["A", "A", "B", "B", "B", "A"], "brands": ["x", "x", "y", "x", "x", "x"]}, {},
        {"boosts": (Boost(category="B", factor=2), Boost(brand="y", factor=2), Boost(product="p000", factor=1.2))}, [2, 0],
    ),
    "a boost of what the shop does not have": ({}, {}, {"boosts": (Boost(merchant="n", factor=5),)}, [0, 1]),
    # An unknown margin counts as a hundredth of the median (0.5): 0.005, 0.25, 0.3, 0.025, 0.02.
    "unknown margin": (
        {"prices": [1.0] * N}, {"cost": np.array([np.nan, 0.5, 0.1, 0.9, 0.9, 0.1])}, {"goal": "margin"}, [2, 1],
    ),
    # In a mix it counts as 0: 1 * 1/2, 1/2 * (1 + 0.02)/2, the rest 1/3 * (1 + 1)/2 and so on (the median is 0.5).
    "unknown margin beside purchases": (
        {"prices": [1.0] * N}, {"cost": np.array([np.nan, 0.99, 0.5, 0.5, 0.5, 0.5])}, {"goal": {"purchase": 0.5, "margin": 0.5}}, [0, 2],
    ),
    # Neither sorts before what earns something, and both stay in the order of their scores.
    "sold below cost": (
        {"prices": [1.0] * N}, {"cost": np.array([2, np.nan, np.nan, np.nan, 0.999, np.nan])}, {"goal": "margin"}, [4, 0],
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
    selection = select(score_lists({0: [0, 1, 2, 3, 4]}), context, make_rules(**changes))
    assert lists(selection) == {0: expected}


def test_columns():
    known = make_known(events=[(0, 1, 1, "view")], purchases=[(0, 5, 30)])
    context = Context(known, sends=sent((0, 0, 7), (0, 1, 7)))
    candidates = score_lists({0: [0, 1]}, p_purchase=[0.5, 0.25])
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
        "propensity": [1.0] * 4,
    }
    assert [str(dtype) for dtype in rows.dtypes] == [
        "int32", "int16", "int32", "float32", "float32", "category", "category", "category", "category", "float64",
    ]  # fmt: skip


def test_removed_counts_the_first_rule_and_traces_it():
    # p0: not available and in the cart; p1: in the cart; p3: the second of A; p5: after the last slot.
    known = make_known(categories=["A", "A", "A", "A", "B", "A"], unavailable={0})
    context = Context(known, carts=pairs(0, 1))
    rules = make_rules(not_in_cart=True, max_per_category=1)
    selection = select(score_lists({0: range(6)}), context, rules, trace=True)
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
    assert lists(select(score_lists({0: range(6)}), context, rules, without=["in_cart"])) == {0: [1, 4]}
    assert lists(select(score_lists({0: range(6)}), context, rules, without=["available", "in_cart"])) == {
        0: [0, 4]
    }


def test_what_the_last_slot_closes_is_not_counted():
    known = make_known(categories=["A", "B", "A", "B", "B", "B"])
    selection = select(score_lists({0: range(6)}), Context(known), make_rules(max_per_category=1))
    assert lists(selection) == {0: [0, 1]}
    assert selection.removed["max_per_category"] == 1  # p2; with p1 the slots are full


def test_p_purchase_is_what_values_multiply():
    # 0.5 * 0.1, 0.4 * 0.2, 0.3 * 0.4 = 0.05, 0.08, 0.12, whatever the (negative) scores.
    candidates = score_lists({0: [0, 1, 2]}, [0.5, 0.4, 0.3]).assign(score=np.float32([-1, -2, -3]))
    context = Context(make_known(), cost=floats(0.9, 0.8, 0.6))
    assert lists(select(candidates, context, make_rules(goal="margin"))) == {0: [2, 1]}


def test_rules_per_segment_by_recency_frequency_and_money():
    """c0 is new and c1 loyal by what they bought, whatever the shop calls them."""
    names = list(SEGMENTS)
    context = Context(
        make_known(customers=3, segments=["loyal", "new", None], prices=[1, 2, 9, 1, 1, 1]),
        rfm=np.array([names.index("new"), names.index("loyal"), names.index("no_purchase")]),
    )
    rules = make_rules(segments={"new": SegmentRules(slots=Slots(goal="revenue"))})
    candidates = score_lists({c: range(6) for c in range(3)})
    # 1, 1/2, 1/3 times 1, 2, 9.
    assert lists(select(candidates, context, rules)) == {0: [2, 0], 1: [0, 1], 2: [0, 1]}
    assert find_nameable(context, rules)[0].all()


def test_a_factor_of_one_changes_nothing():
    known = make_known(customers=2, categories=["A", "B", "A", "B", "A", "B"])
    candidates = score_lists({0: range(6), 1: [5, 3, 1]}, [0.3, 0.5, 0.2, 0.1, 0.1, 0.2, 0.4, 0.3, 0.2])
    one = make_rules(boosts=(Boost(category="A", factor=1), Boost(brand="nobody's", factor=9)))
    with_it, without = (
        select(candidates, Context(known), rules, trace=True) for rules in (one, make_rules())
    )
    pd.testing.assert_frame_equal(with_it.rows, without.rows)
    pd.testing.assert_frame_equal(with_it.traced, without.traced)
    assert "boosts" in find_idle_rules(candidates, Context(known), one)


def test_boosts_that_are_over_are_said():
    rules = make_rules(
        boosts=(
            Boost(brand="x", factor=2, ends=date(2026, 12, 24)),
            Boost(brand="y", factor=2, ends=date(2026, 12, 25)),
        ),
        segments={
            "vip": SegmentRules(slots=Slots(boosts=(Boost(product="p1", factor=2, ends=date(2026, 1, 1)),)))
        },
    )
    assert list_past_boosts(rules, date(2026, 12, 25)) == [
        "slots.boosts: that of the brand x ended on 2026-12-24; remove it, or give it another end.",
        "segments.vip.slots.boosts: that of the product p1 ended on 2026-01-01; remove it, or give it another end.",
    ]


def test_boosts_hold_for_the_days_of_sending_that_they_name():
    winter = Boost(category="Tea", factor=2, starts="2026-12-01", ends="2026-12-24")
    rules = make_rules(boosts=(winter,), segments={"vip": SegmentRules(slots=Slots(boosts=(winter,)))})
    held = {
        day: (
            rules.on(date.fromisoformat(day)).slots.boosts,
            rules.on(date.fromisoformat(day)).of_segment("vip").slots.boosts,
        )
        for day in ("2026-11-30", "2026-12-01", "2026-12-24", "2026-12-25")
    }
    assert list(held.values()) == [((), ()), ((winter,), (winter,)), ((winter,), (winter,)), ((), ())]


def test_a_shop_without_anything():
    # The default rules: no category, brand, url, cost, stock, sends or similarity.
    context = assemble_context(make_known(purchases=[(0, 3, 30), (0, 4, 30)], customers=2))
    selection = select(score_lists({0: [0, 1], 1: []}), context, Rules(slots=Slots(k=2)))
    assert lists(selection) == {0: [0, 1], 1: [3, 4]}
    assert selection.removed.sum() == 0


def test_rules_per_segment():
    known = make_known(customers=3, segments=["vip", "other", None], prices=[1, 2, 3, 4, 5, 6])
    rules = make_rules(
        segments={
            "vip": SegmentRules(
                items=ItemRules(min_price=3), slots=Slots(pinned=(Pin(product="p005", slot=1),))
            )
        }
    )
    selection = select(score_lists(dict.fromkeys(range(3), range(5))), Context(known), rules)
    assert lists(selection) == {0: [5, 2], 1: [0, 1], 2: [0, 1]}
    # What a segment does not name stays: not min_stock's default, but what the campaign says.
    assert rules.of_segment("vip").items == ItemRules(**{**dict(rules.items), "min_price": 3})


@pytest.mark.parametrize(
    ("candidates", "facts", "changes", "without", "message"),
    [
        (score_lists({0: [0, 0]}), {}, {}, (), "twice"),
        (score_lists({0: [6]}), {}, {}, (), "product is outside 0..5"),
        (score_lists({1: [0]}), {}, {}, (), "customer is outside 0..0"),
        (score_lists({0: [0]}).assign(score=np.nan), {}, {}, (), "not finite"),
        (
            score_lists({0: [0]}).assign(score=-1.0),
            {"cost": floats(0.5)},
            {"goal": "margin"},
            (),
            "A goal or a boost needs",
        ),
        (
            score_lists({0: [0, 1]}, [0.1, np.nan]),
            {"cost": floats(0.5)},
            {"goal": "margin"},
            (),
            "for every candidate",
        ),
        (score_lists({0: [0]}), {}, {}, ("stock",), "no rule stock"),
    ],
)
def test_refused_candidates(candidates, facts, changes, without, message):
    with pytest.raises(RulesError, match=message):
        select(candidates, Context(make_known(), **facts), make_rules(**changes), without=without)


def test_future_sends_are_refused():
    context = Context(make_known(), sends=sent((0, 0, 0)))
    with pytest.raises(RulesError, match="on or after 2024-03-04"):
        select(score_lists({0: [0]}), context, make_rules(max_repeat=0))
