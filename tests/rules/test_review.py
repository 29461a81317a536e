"""What a campaign's rules ask for and the shop does not have is said in one sentence each."""

import numpy as np
import pytest

from helpers.rules import N, floats, make_known, make_rules, score_lists, sent
from recs_assets.rules.config import ItemRules, Pin, SegmentRules, Slots
from recs_assets.rules.context import Context
from recs_assets.rules.pipeline import find_limits_in_force, select
from recs_assets.rules.review import explain_shortage, list_rules_in_force, list_unknown_names, review


def reviewed(rules, context, candidates=None):
    candidates = score_lists({0: range(5)}) if candidates is None else candidates
    found = review(rules, context, candidates, select(candidates, context, rules))
    return list(found.problems), list(found.notes)


def test_unknown_names():
    rules = make_rules(
        excluded_categories=("A", "FUEL"),
        pinned=(Pin(product="p9", slot=1),),
        segments={"vip": SegmentRules(items=ItemRules(excluded_brands=("X",)))},
    )
    assert list_unknown_names(rules, Context(make_known(categories=["A"] * N))) == [
        "segments: the shop has no 'vip'.",
        "pinned: the shop has no 'p9'.",
        "excluded_categories: the shop has no 'FUEL'.",
        "excluded_brands: the shop has no 'X'.",
    ]


@pytest.mark.parametrize(
    ("key", "name", "rest"),
    [
        ("excluded_categories", "coffee", "; 'Coffee' is taken for it."),
        ("excluded_categories", "Cofee", "; did you mean 'Coffee'?"),
        ("excluded_categories", "Lawn mowers", "."),
        ("excluded_brands", "acme", "; 'ACME' and 'Acme' are taken for it."),
        ("excluded_products", "P001", "; 'p001' is taken for it."),
        ("excluded_brands", "acm", "; did you mean 'Acme'?"),
        ("excluded_brands", "ACMEE", "; did you mean 'ACME'?"),
        ("excluded_products", "p01", "; did you mean 'p001'?"),
    ],
)
def test_a_name_in_another_case_is_taken_and_said_and_the_nearest_is_named(key, name, rest):
    shop = make_known(
        categories=["Coffee", "Tea", None, None, None, None], brands=["Acme", "ACME", *[None] * 4]
    )
    found = list_unknown_names(make_rules(**{key: (name,)}), Context(shop))
    assert found == [f"{key}: the shop has no {name!r}{rest}"]


def test_of_many_names_that_the_shop_lacks_some_are_named():
    gone = tuple(f"gone-{number:04}" for number in range(1500))
    found = list_unknown_names(make_rules(excluded_products=(*gone, "p001")), Context(make_known()))
    assert len(found) == 21
    assert found[-1] == "excluded_products: 1,480 more names are not written as the shop has them."


def test_a_vertical_in_place_of_its_categories_is_said():
    shop = make_known(categories=["Tea", "Coffee", "Bread", None, None, None])
    shop.products["vertical"] = ["Drinks", "Drinks", "Food", None, None, None]
    assert list_unknown_names(make_rules(excluded_categories=("drinks",)), Context(shop)) == [
        "excluded_categories: the shop has no 'drinks'; it is a vertical, so name its categories: 'Coffee', 'Tea'."
    ]


def test_segments_are_named_without_regard_to_case():
    shop = make_known(customers=2, segments=["Gold", None], prices=[1, 2, 3, 4, 5, 6])
    rules = make_rules(segments={"gold": SegmentRules(items=ItemRules(min_price=3))})
    rows = select(score_lists(dict.fromkeys(range(2), range(5))), Context(shop), rules).rows
    assert rows["product"].tolist() == [2, 3, 0, 1]
    assert list_unknown_names(rules, Context(shop)) == [
        "segments: the shop has no 'gold'; 'Gold' is taken for it."
    ]


def test_a_segment_is_meant_in_every_spelling():
    shop = make_known(customers=3, segments=["gold", "GOLD", None], prices=[1, 2, 3, 4, 5, 6])
    for name, said in (
        ("Gold", ["segments: the shop has no 'Gold'; 'GOLD' and 'gold' are taken for it."]),
        ("gold", []),
    ):
        rules = make_rules(segments={name: SegmentRules(items=ItemRules(min_price=3))})
        rows = select(score_lists(dict.fromkeys(range(3), range(5))), Context(shop), rules).rows
        assert rows["product"].tolist() == [2, 3, 2, 3, 0, 1]
        assert list_unknown_names(rules, Context(shop)) == said


def test_a_shop_that_has_everything_is_told_nothing():
    assert reviewed(make_rules(), Context(make_known())) == ([], [])


@pytest.mark.parametrize(
    ("shop", "facts", "changes", "problem"),
    [
        (
            {"categories": ["A", "B", "B", "B", "B", "B"]}, {},
            {"excluded_categories": ("A",), "pinned": (Pin(product="p000", slot=1),)},
            "slots.pinned: p000 is in no list: excluded refuses it.",
        ),
        (
            {"unavailable": {4}}, {}, {"pinned": (Pin(product="p004", slot=1),)},
            "slots.pinned: p004 is in no list: available refuses it.",
        ),
        (
            {"prices": [1, 2, 3, 4, 5, 6]}, {}, {"min_price": 100},
            "rules.min_price: none of the shop's 6 products passes it.",
        ),
        ({}, {}, {"min_margin": 0.2}, "rules.min_margin: no product has a price and a cost, so 0.2 does nothing."),
        ({}, {}, {"goal": "margin"}, "slots.goal: no product has a price and a cost, so margin does nothing."),
        (
            {"prices": [1.0] * N}, {"cost": np.array([0.5, 0.5, 0.5, 0.5, np.nan, np.nan])}, {"goal": "margin"},
            "slots.goal: 2 products that may be sold are without a price and a cost, so their margin counts as 0.01 of the shop's median.",
        ),
        (
            {"prices": [1.0] * N}, {"cost": np.array([0.5, 0.5, 0.5, 0.5, np.nan, np.nan])}, {"goal": {"purchase": 1, "margin": 1}},
            "slots.goal: 2 products that may be sold are without a price and a cost, so their margin counts as 0, and of the goal only "
            "purchase counts for them.",
        ),
        ({}, {}, {"max_per_brand": 2}, "rules.max_per_brand: no product has a brand, so 2 does nothing."),
        ({}, {}, {"min_stock": 3}, "rules.min_stock: no product's stock is counted, so 3 does nothing."),
        ({}, {}, {"complete": ("image_url",)}, "rules.complete: no product has image_url, so it is not asked for."),
        (
            {}, {}, {"discovery_share": 0.2},
            "slots.discovery_share: 0.2 of 2 slots is less than half of one, so none.",
        ),
    ],
)  # fmt: skip
def test_what_the_file_says_and_the_shop_cannot_do_is_a_problem(shop, facts, changes, problem):
    assert reviewed(make_rules(**changes), Context(make_known(**shop), **facts))[0] == [problem]


@pytest.mark.parametrize(
    ("shop", "facts", "changes", "note"),
    [
        (
            {"categories": ["A"] * N}, {}, {"max_per_category": 1},
            "rules.max_per_category: 1 is raised to 2, because the shop has too few categories to fill 2 slots otherwise.",
        ),
        (
            {"brands": ["A"] * N}, {}, {"max_per_brand": 1},
            "rules.max_per_brand: 1 is raised to 2, because the shop has too few brands to fill 2 slots otherwise.",
        ),
        (
            {}, {"sends": sent(*((0, product, 7) for product in range(N)))}, {"max_repeat": 1},
            "slots.max_repeat: 1 is raised to 2, because the shop has too few products that were not sent before to fill "
            "2 slots otherwise.",
        ),
        (
            {}, {}, {"discovery_share": 0.25, "k": 4},
            "slots.discovery_share: 0.25 asks for 1 of 4 slots, and nobody got one: the shop's products have no categories; "
            "the slots went to personal products.",
        ),
        (
            {"categories": ["A"] * N}, {}, {"discovery_share": 0.25, "k": 4},
            "slots.discovery_share: 0.25 asks for 1 of 4 slots, and nobody got one: the shop has one category, 'A'; "
            "the slots went to personal products.",
        ),
    ],
)  # fmt: skip
def test_what_was_done_otherwise_is_a_note(shop, facts, changes, note):
    assert reviewed(make_rules(**changes), Context(make_known(**shop), **facts)) == ([], [note])


def test_a_segments_list_in_place_of_the_one_for_everybody_is_said():
    shop = make_known(
        customers=2, segments=["vip", None], categories=["Tea", "Coffee", "Wine", None, None, None]
    )
    own = SegmentRules(items=ItemRules(excluded_categories=("tea",)))
    rules = make_rules(segments={"vip": own}, excluded_categories=("Tea", "Wine"))
    assert reviewed(rules, Context(shop))[1] == [
        "segments.vip.rules.excluded_categories: this list replaces the one for everybody, so 'Wine' may be "
        "offered to this segment; add it here, too, if it must not be."
    ]


def test_a_shop_of_one_category_fills_every_slot():
    """Twelve slots, twelve products of one category, the default of four per category."""
    shop = make_known(categories=["Coffee"] * 14)
    rules = make_rules(k=12, max_per_category=4)
    candidates = score_lists({0: range(14)})
    assert find_limits_in_force(candidates, Context(shop), rules)["max_per_category"] == 12
    assert select(candidates, Context(shop), rules).rows["product"].tolist() == list(range(12))
    # Three categories fill twelve slots with four of each: nothing is raised.
    shop = make_known(categories=["Coffee", "Tea", "Cocoa"] * 6)
    assert find_limits_in_force(score_lists({0: range(18)}), Context(shop), rules)["max_per_category"] == 4


def test_who_is_short_of_a_list_is_told_the_rule():
    shop = make_known(categories=["A", "A", "A", "A", "B", "B"])
    context = Context(shop, stock=floats(9, 9, 0, 0, 0, 0))
    candidates, rules = score_lists({0: range(6)}), make_rules(k=3, min_stock=1)
    choice = select(candidates, context, rules)
    assert choice.counts["too_few_products"] == 1
    assert explain_shortage(rules, context, candidates, choice) == (
        "without rules.min_stock 1 of 1 that were looked at would have one"
    )
    few = make_rules(k=7)
    assert explain_shortage(few, context, candidates, select(candidates, context, few)) == (
        "no rule alone stands in the way: 6 of the shop's 6 products pass the rules about products, for 7 slots"
    )
    enough = make_rules(k=2)
    assert explain_shortage(enough, context, candidates, select(candidates, context, enough)) is None


def test_rules_in_force_say_what_is_a_default():
    rules = make_rules(
        min_price=5, segments={"vip": SegmentRules(slots=Slots(pinned=(Pin(product="p1", slot=2),)))}
    )
    found = {key: (value, default) for key, value, default in list_rules_in_force(rules)}
    assert found["rules.min_price"] == ("5", False)
    assert found["rules.one_per_parent"] == ("false", False)
    assert found["slots.max_repeat"] == ("null", False)
    assert found["slots.repeat_sends"] == ("4", True)
    assert found["eligibility.max_sends"] == ("null", True)
    assert found["rules.excluded_brands"] == ("[]", True)
    assert found["segments.vip.slots.pinned"] == ("[{product: p1, slot: 2}]", False)
    assert len(found) == len(list_rules_in_force(rules))
