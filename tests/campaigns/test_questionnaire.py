"""Questions for somebody new: what splits taste comes first, what says no more than chance is not asked, nothing is asked twice."""

import numpy as np
import pytest

from benchmarks.questions import make_noise
from helpers.known import make_known
from recs_assets.campaigns import questionnaire as module
from recs_assets.campaigns.questionnaire import (
    Sample,
    _draw_sample,
    _split_purchases,
    choose_questions,
    name_question,
)

# Tea and coffee of one brand each; soap that everybody buys, of two brands that say nothing.
PRODUCTS = [
    ("t1", "Green", "Leaf", "tea", None, 4.0, True),
    ("t2", "Black", "Leaf", "tea", None, 4.0, True),
    ("c1", "Mild", "Bean", "coffee", None, 4.0, True),
    ("c2", "Dark", "Bean", "coffee", None, 4.0, True),
    ("s1", "Soap", "Clean", "soap", None, 4.0, True),
]
PEOPLE = [f"c{number:02}" for number in range(40)]


def build(taste, products=PRODUCTS):
    """Every customer on eight days: products of their taste and soap."""
    orders = [
        (f"{customer}-{day}", customer, 7 * day, [*taste(number, day), "s1"])
        for number, customer in enumerate(PEOPLE)
        for day in range(1, 9)
    ]
    return make_known(orders, customers=[(name, None, None) for name in PEOPLE], products=products)


def test_what_splits_taste_is_asked_and_said_once():
    """Half drink tea and half coffee: one bit of every second purchase. Most of all they buy soap, so that asking for a
    category or a brand tells nothing, and once tea or coffee is said there is nothing left to ask."""
    rows = choose_questions(build(lambda number, day: [("t1", "c1")[number % 2]]))
    assert rows[
        ["question", "question_id", "kind", "facet", "option", "text", "answer", "customers"]
    ].to_numpy().tolist() == [
        [1, "pair-4f86ede80433", "pair", "category", 1, "Rather this or that?", "coffee", 20],
        [1, "pair-4f86ede80433", "pair", "category", 2, "Rather this or that?", "tea", 20],
    ]
    assert rows["bits"].iloc[0] == pytest.approx(0.490535)


# The second taste, of jam or honey, is in other halves of the customers than tea or coffee.
SPREADS = [("j1", "Jam", None, "jam", None, 3.0, True), ("h1", "Honey", None, "honey", None, 3.0, True)]


def test_no_value_is_offered_twice_and_a_second_taste_is_asked_for():
    rows = choose_questions(
        build(
            lambda number, day: [("t1", "c1")[number % 2], ("j1", "h1")[number // 2 % 2]],
            [*PRODUCTS, *SPREADS],
        )
    )
    assert rows[["question", "answer", "customers"]].to_numpy().tolist() == [
        [1, "jam", 20],
        [1, "tea", 10],
        [2, "coffee", 20],
        [2, "honey", 10],
    ]


def test_spellings_of_a_category_are_one_option():
    products = [row if row[0] != "t2" else (*row[:3], "TEA ", *row[4:]) for row in PRODUCTS]
    rows = choose_questions(
        build(lambda number, day: [(("t1", "t2")[day // 2 % 2], "c1")[number % 2]], products)
    )
    assert rows["answer"].tolist() == ["coffee", "tea"]
    assert rows["customers"].tolist() == [20, 20]


@pytest.mark.parametrize("size", [(60, 10, 40, 6), (1000, 6, 200, 12)])
@pytest.mark.parametrize("differ", [False, True])
def test_a_shop_of_noise_asks_nothing(size, differ):
    """Who buys what is drawn alike for everybody, so that no answer says anything; in ten shops of ten it is not asked."""
    assert [len(choose_questions(make_noise(*size, differ, seed))) for seed in range(10)] == [0] * 10


def test_a_taste_in_noise_is_found():
    """Every second customer of such a shop buys of every second category only: which half is a bit, and nothing else is asked."""
    known = make_noise(200, 10, 40, 6, False, 0)
    events = known.events
    events.product[:] = events.product // 2 * 2 + events.customer % 2
    rows = choose_questions(known)
    assert rows["answer"].tolist() == ["category 3", "category 5"]
    assert rows["bits"].tolist() == pytest.approx([0.958643] * 2)


def test_nobody_is_asked_about_sensitive_goods():
    known = build(lambda number, day: [("t1", "c1")[number % 2]])
    sensitive = known.products["category"].eq("coffee").to_numpy()
    assert not {"coffee", "Bean"} & set(choose_questions(known, sensitive)["answer"])


def test_where_all_buy_the_same_nothing_is_asked():
    assert choose_questions(build(lambda number, day: [("t1", "t2")[day // 2 % 2]])).empty


def test_a_question_has_its_name_in_every_order_and_spelling():
    name = name_question("category", "category", ["Tea", "Soft Drinks"])
    assert name == "category-77608fec8c72"
    assert name_question("category", "category", ["SOFT  DRINKS", "tea"]) == name
    assert name_question("category", "category", ["Tea", "Soft Drinks", "Soap"]) != name
    assert name_question("brand", "brand", ["Tea", "Soft Drinks"]) != name


def test_bits_by_hand():
    """Four purchases of two products: who buys which is told whole (1 bit) or not at all; of three to one it is 0.811278."""
    sample = Sample(np.arange(4), np.arange(4), np.array([0, 0, 1, 1]), np.ones(4))
    assert sample.measure_bits(np.array([0, 0, 1, 1])) == pytest.approx(1)
    assert sample.measure_bits(np.array([0, 1, 0, 1])) == pytest.approx(0)
    sample = Sample(np.arange(2), np.arange(2), np.array([0, 1]), np.array([3.0, 1.0]))
    assert sample.measure_bits(np.array([1, 0])) == pytest.approx(0.811278)


def test_what_is_measured_is_bounded_and_drawn_alike(monkeypatch):
    """Of 1,000 customers with 3 products each so many are measured that 600 pairs are not passed."""
    monkeypatch.setattr(module, "PAIRS", 600)
    known = make_noise(1000, 6, 200, 12, False, 0)
    customer, product, answering = _split_purchases(known)
    samples = [
        _draw_sample(known, customer[~answering], product[~answering], np.random.default_rng(0))
        for _ in range(2)
    ]
    assert 590 < len(samples[0].days) <= 600
    assert len(samples[0].people) == 202
    assert samples[0].people.tolist() == samples[1].people.tolist()
