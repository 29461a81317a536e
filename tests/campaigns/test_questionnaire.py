"""Questions for somebody new: what splits taste comes first, what says nothing is not asked."""

import numpy as np
import pytest

from helpers.known import make_known
from recs_assets.campaigns.questionnaire import _measure_bits, choose_questions

# Tea and coffee of one brand each; soap that everybody buys, of two brands that say nothing.
PRODUCTS = [
    ("t1", "Green", "Leaf", "tea", None, 4.0, True),
    ("t2", "Black", "Leaf", "tea", None, 4.0, True),
    ("c1", "Mild", "Bean", "coffee", None, 4.0, True),
    ("c2", "Dark", "Bean", "coffee", None, 4.0, True),
    ("s1", "Soap", "Clean", "soap", None, 4.0, True),
]
PEOPLE = [f"c{number:02}" for number in range(20)]


def build(taste):
    """Every customer on eight days: a product of their taste and soap."""
    orders = [
        (f"{customer}-{day}", customer, 7 * day, [taste(number, day), "s1"])
        for number, customer in enumerate(PEOPLE)
        for day in range(1, 9)
    ]
    return make_known(orders, customers=[(name, None, None) for name in PEOPLE], products=PRODUCTS)


def test_what_splits_taste_is_asked_and_said_once():
    """Half drink tea and half coffee: one bit of every second purchase. Most of all they buy soap, so that asking for a
    category or a brand tells nothing, and once tea or coffee is said there is nothing left to ask."""
    rows = choose_questions(build(lambda number, day: ("t1", "c1")[number % 2]))
    assert rows[
        ["question", "kind", "facet", "option", "text", "answer", "customers"]
    ].to_numpy().tolist() == [
        [1, "pair", "category", 1, "Rather this or that?", "coffee", 10],
        [1, "pair", "category", 2, "Rather this or that?", "tea", 10],
    ]
    assert rows["bits"].iloc[0] == pytest.approx(0.5, abs=0.02)


def test_nobody_is_asked_about_sensitive_goods():
    known = build(lambda number, day: ("t1", "c1")[number % 2])
    sensitive = known.products["category"].eq("coffee").to_numpy()
    assert not {"coffee", "Bean"} & set(choose_questions(known, sensitive)["answer"])


def test_where_all_buy_the_same_nothing_is_asked():
    assert choose_questions(build(lambda number, day: ("t1", "t2")[day // 2 % 2])).empty


def test_bits_by_hand():
    """Four rows: the answer tells which of two products; 1 bit, and the bias of (2 - 1 + 2 - 1 - 2 + 1) / (2 * 4 * ln 2)."""
    cells, targets = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])
    assert _measure_bits(cells, targets) == pytest.approx(1 + 1 / (8 * np.log(2)))
    assert _measure_bits(np.zeros(4, dtype=int), targets) == pytest.approx(0)
