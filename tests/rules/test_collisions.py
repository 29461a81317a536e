"""Rules that contradict each other with the products that a shop has."""

from datetime import date

import numpy as np
import pytest

from helpers.rules import AS_OF, N, flags, floats, make_known, make_rules
from recs_assets.campaigns.contradictions import list_places
from recs_assets.campaigns.file import load
from recs_assets.rules.collisions import find_collisions
from recs_assets.rules.config import Boost, Exposure, Pin
from recs_assets.rules.context import Context

# p0 to p5: categories A A A B B B, prices 1 to 6.
KNOWN = {"categories": [*"AAABBB"], "brands": ["x", "x", "y", "y", "y", "y"], "prices": [1, 2, 3, 4, 5, 6]}
OVER = date(2024, 3, 3)
EVERYTHING = np.ones(N, dtype=bool)
CASES = {
    "a floor above every price": (
        {"min_price": 7}, EVERYTHING, "rules.min_price: of 6 products that may be sold none passes: all of them are below it.",
    ),
    "a floor above every margin": (
        {"min_margin": 0.9}, EVERYTHING, "rules.min_margin: of 6 products that may be sold none passes: all of them are below it.",
    ),
    "every category excluded": (
        {"excluded_categories": ("a", "B")}, EVERYTHING,
        "rules.excluded_categories: of 6 products that may be sold none passes: it excludes all of them.",
    ),
    "what the query ranks is excluded": (
        {"excluded_categories": ("A",)}, flags(True, True, True, rest=False),
        "rules.excluded_categories contradicts query: of 3 products that may be sold after the one, the other leaves none.",
    ),
    "what the query ranks is too cheap": (
        {"min_price": 4}, flags(True, True, True, rest=False),
        "rules.min_price contradicts query: of 3 products that may be sold after the one, the other leaves none.",
    ),
    "the dear ones are excluded": (
        {"min_price": 4, "excluded_categories": ("B",)}, EVERYTHING,
        "rules.min_price contradicts rules.excluded_categories: of 3 products that may be sold after the one, the other leaves none.",
    ),
    "pinned, of an excluded brand": (
        {"excluded_brands": ("X",), "pinned": (Pin(product="P001", slot=1),)}, EVERYTHING,
        "slots.pinned.0 contradicts rules.excluded_brands: the product P001 is pinned and may not be offered.",
    ),
    "pinned, and the query does not rank it": (
        {"pinned": (Pin(product="p000", slot=1), Pin(product="p005", slot=2))}, flags(True, True, True, rest=False),
        "slots.pinned.1 contradicts query: the product p005 is pinned and may not be offered.",
    ),
    "boosted, of an excluded category": (
        {"excluded_categories": ("A",), "boosts": (Boost(brand="y", factor=2), Boost(brand="x", factor=2))}, EVERYTHING,
        "slots.boosts.1 contradicts rules.excluded_categories: of 2 products of the brand x none may be offered: it excludes all of "
        "them.",
    ),
    "pinned, and its brand is buried": (
        {"pinned": (Pin(product="p000", slot=1),), "boosts": (Boost(category="A", factor=2), Boost(brand="X", factor=0.5))}, EVERYTHING,
        "slots.pinned.0 contradicts slots.boosts.1: the product p000 is pinned, and its brand X is buried on 2024-03-04; keep one.",
    ),
    "pinned, and buried for some days": (
        {"pinned": (Pin(product="p000", slot=1),), "boosts": (Boost(product="p000", factor=0.5, starts=AS_OF),)}, EVERYTHING,
        "slots.pinned.0 contradicts slots.boosts.0: the product p000 is pinned, and it is buried on 2024-03-04; keep one.",
    ),
    "a floor of what is buried for some days": (
        {"boosts": (Boost(brand="x", factor=0.5, ends=AS_OF),), "exposure": (Exposure(brand="X", share=0.2),)}, EVERYTHING,
        "slots.exposure.0 contradicts slots.boosts.0: the brand X is to have 20% of the places, and is buried on 2024-03-04; keep one.",
    ),
    "burials that are over": (
        {
            "boosts": (Boost(brand="x", factor=0.5, ends=OVER), Boost(product="p000", factor=0.5, ends=OVER)),
            "pinned": (Pin(product="p000", slot=1),), "exposure": (Exposure(brand="X", share=0.2),),
        }, EVERYTHING, None,
    ),
    "a floor of what the shop does not have": (
        {"exposure": (Exposure(brand="x", share=0.1), Exposure(merchant="m1", share=0.2))}, EVERYTHING,
        "slots.exposure.1: the merchant m1 is to have 20% of the places, and the shop has no product of it.",
    ),
    "pinned, beside a floor that leaves no place": (
        {"k": 4, "pinned": (Pin(product="p000", slot=1),), "exposure": (Exposure(brand="y", share=0.8),)}, EVERYTHING,
        "slots.pinned.0 contradicts slots.exposure.0: the product p000 is pinned, and the brand y, of which it is none, is to have 80% of "
        "the places; remove the pin, or lower the floor to 75%.",
    ),
    "pinned, beside a floor that leaves its place": (
        {"k": 4, "pinned": (Pin(product="p000", slot=1),), "exposure": (Exposure(brand="y", share=0.75),)}, EVERYTHING, None,
    ),
    "nothing": ({"min_price": 6, "excluded_categories": ("A",), "boosts": (Boost(brand="y", factor=2),)}, EVERYTHING, None),
    # Prices change by themselves: a warning of the review, no refusal.
    "pinned, and too cheap by now": ({"min_price": 2, "pinned": (Pin(product="p000", slot=1),)}, EVERYTHING, None),
    "what the shop does not have": (
        {"excluded_categories": ("Z",), "pinned": (Pin(product="p9", slot=1),), "boosts": (Boost(brand="z", factor=2),)}, EVERYTHING, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "admitted", "expected"), CASES.values(), ids=CASES)
def test_collisions(changes, admitted, expected):
    context = Context(make_known(**KNOWN), cost=floats(0.5, 1, 1.5, 2, 2.5, 3))
    [(rules, locate)] = list_places({}, make_rules(**changes))
    found = next(find_collisions(context, rules, admitted, locate, AS_OF), None)
    assert (found and str(found)) == expected


def test_nothing_contradicts_an_empty_shelf():
    context = Context(make_known(**KNOWN, unavailable=set(range(N))))
    [(rules, locate)] = list_places({}, make_rules(min_price=100))
    assert list(find_collisions(context, rules, EVERYTHING, locate, AS_OF)) == []


def test_both_lines_are_named(tmp_path):
    path = tmp_path / "mailing.yaml"
    path.write_text(
        "name: mailing\ndescription: Products.\nowner: team:crm\n"
        "query: PREDICT LIST_DISTINCT(transactions.item_id, 0, 14, days) RANK TOP 2 FOR EACH users.user_id\n"
        'schedule: {cron: "0 6 * * 1"}\nrules:\n  min_price: 1\n  excluded_brands:\n    - x\n'
        "segments:\n  gold:\n    rules: {excluded_categories: [B]}\n    slots:\n      pinned:\n        - {product: p004, slot: 1}\n"
    )
    context = Context(make_known(**KNOWN))
    campaign = load(path)
    sentence = (
        "mailing.yaml, line 15: segments.gold.slots.pinned.0 contradicts segments.gold.rules.excluded_categories (mailing.yaml, "
        "line 12): the product p004 is pinned and may not be offered."
    )
    assert campaign.find_collision(context, EVERYTHING, AS_OF) == sentence
    # A campaign of an arm or a shadow came from the same file.
    assert campaign.change({"rules": {"min_price": 0}}).find_collision(context, EVERYTHING, AS_OF) == sentence
    assert campaign.change({"rules": {"min_price": 7}}).find_collision(context, EVERYTHING, AS_OF) == (
        "mailing.yaml, line 7: rules.min_price: of 6 products that may be sold none passes: all of them are below it."
    )
