"""What fills the slots that candidates leave empty: the ladder."""

from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.generated_rules import assert_same, draw_rules, generate_shop
from helpers.rules import lists, make_known, make_rules, pairs, score_lists
from recs_assets.rules import filling
from recs_assets.rules.config import Rules, Slots
from recs_assets.rules.context import Context
from recs_assets.rules.pipeline import select

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
    selection = select(score_lists({0: [0]}), context, make_rules(k=4, ladder=ladder), [0])
    assert lists(selection) == {0: expected}
    assert selection.rows["fallback_level"].tolist() == levels


def test_category_level_takes_the_five_she_buys_most():
    # Product n, the only one of its category, on 6 - n days: p5 is of her sixth category.
    purchases = [(0, product, 10 + day) for product in range(6) for day in range(6 - product)]
    context = Context(make_known(purchases, categories=["F", "E", "D", "C", "B", "A"]))
    for k, expected in ((5, {0: [0, 1, 2, 3, 4]}), (6, {})):
        assert lists(select(score_lists({}), context, make_rules(k=k, ladder=("category",)))) == expected


def test_global_order_and_rules_in_the_fill():
    # Sold three times: p5, twice: p4, once: p2 and p3; p0 and p1 never.
    context = Context(make_known(**LADDER), carts=pairs(5, customers=7))
    rules = make_rules(k=2, ladder=("global",), not_in_cart=True, max_per_category=1)
    selection = select(score_lists({6: [0]}), context, rules, [0, 6])
    assert lists(selection) == {0: [4, 2], 6: [0, 5]}
    assert selection.rows["source"].tolist() == ["popularity", "popularity", "als", "popularity"]


def test_who_cannot_be_filled_is_suppressed():
    context = Context(make_known(**LADDER))
    selection = select(score_lists({0: [0, 1]}), context, make_rules(k=5, ladder=("global",)), [0, 6])
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
    assert lists(select(score_lists({}), context, rules, [0])) == {0: [300, 301]}


def test_the_ladder_leaves_out_what_is_full_already(monkeypatch):
    # The first round of twelve gives c0 one of two of A, since p1 to p15 lie in her cart, and c2 both.
    # B has p34 alone.
    monkeypatch.setattr("recs_assets.rules.filling.FIRST_FILL", 1)
    purchases = [(1, product, 1 + product) for product in range(35)]
    known = make_known(purchases, customers=3, categories=[*["A"] * 34, "B"])
    context = Context(known, carts=pairs(*range(1, 16), n=35, customers=3))
    rules = make_rules(k=3, ladder=("global",), max_per_category=2, not_in_cart=True)
    assert lists(select(score_lists({}), context, rules, [0, 2])) == {0: [0, 16, 34], 2: [0, 1, 34]}
    rules = make_rules(k=4, ladder=("global",), max_per_category=2, not_in_cart=True)
    # Two of A and the one of B fill three slots of four, so the limit is raised to three of A.
    assert lists(select(score_lists({}), context, rules, [0, 2])) == {0: [0, 16, 17, 34], 2: [0, 1, 2, 34]}


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), draw_rules())
def test_rounds_of_the_ladder_change_nothing(seed, rules):
    candidates, context = generate_shop(seed, n_products=150)
    items = rules.items.model_copy(update={"max_per_category": 2, "not_in_cart": True})
    slots = Slots(k=rules.slots.k, max_repeat=rules.slots.max_repeat, ladder=("segment", "global"))
    rules = Rules(items=items, slots=slots)
    few = candidates[candidates["customer"] % 4 == 0]
    with mock.patch.object(filling, "FIRST_FILL", 1):
        rounds = select(few, context, rules)
    with mock.patch.object(filling, "FIRST_FILL", 1000):
        assert_same(rounds, select(few, context, rules))
