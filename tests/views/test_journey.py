"""The answer to "why not this one?"."""

from __future__ import annotations

import pytest

from recs_assets.rules.items import NAMES, ORDER
from recs_assets.views.journey import answer, explain_rule

PASSED = {
    "slot": None, "rule": None, "outcome": "selected", "reserve": None, "kept": True, "ranked": None, "sources": [], "draw": None,
    "product": {"product_id": "p1", "product_name": "Tea", "category": None},
}  # fmt: skip
POPULAR = {"model": "popularity", "rank": 7}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"slot": {"slot": 3, "slot_type": "discovery", "propensity": 1.0}, "ranked": 1}, "It is sent: slot 3, as discovery."),
        ({"slot": {"slot": 3, "slot_type": "discovery", "propensity": 0.125}, "draw": {"slot": 3, "probability": 0.125}}, "It is sent: slot 3, as discovery, drawn by lot with the probability 12.5%."),
        ({"draw": {"slot": 12, "probability": 0.55}, "reserve": 1, "ranked": 9}, "The lot fell on another product: slot 12 was drawn, and this one had the probability 55.0%."),
        ({"outcome": "no_consent", "rule": "in_cart"}, "This customer gets no email of the campaign (no consent), whatever the product."),
        ({"rule": "in_cart", "ranked": 2}, "The rule in cart took it out: what passes it: No variant lies in the customer's cart."),
        ({"reserve": 2, "ranked": 13}, "It stands by as number 2: it is sent where a product before it is gone by the time of sending."),
        ({"ranked": 57}, "It passed the rules, and likelier products took the slots: the ranker has it at place 57."),
        ({"ranked": 57, "kept": False}, "The ranker has it at place 57; what the rules made of it is not kept."),
        ({"sources": [POPULAR]}, "It was proposed (best by popularity, at place 7), and the ranker has it at none of its first places."),
        ({"product": {"product_id": "p1", "product_name": None}}, "The catalogue of this week has no such product."),
        ({}, "No recommender proposed it: nothing this customer or others like them did points to it, or it could not be sold at the week."),
    ],
)  # fmt: skip
def test_the_first_sentence_that_holds_is_the_answer(changes, said):
    assert answer(PASSED | changes) == said


@pytest.mark.parametrize("name", [rule.name for rule in ORDER if rule.apply is not None])
def test_every_rule_says_what_passes_it(name):
    assert explain_rule(name).startswith("what passes it: ")


def test_a_rule_of_an_earlier_version_is_not_an_error():
    assert "gone" not in NAMES
    assert explain_rule("gone") == "a rule of an earlier version."
