"""What a reason says of products that go together, and of customers who are alike, is true beyond chance; otherwise the
next reason of the ladder is given."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.reasons import CROWD, EVENTS, PRODUCTS, VIEW, Led, make_crowd, shop
from recs_assets.known.interactions import PURCHASE
from recs_assets.reasons.evidence import Citable
from recs_assets.reasons.explain import explain_by_source, explain_slots
from recs_assets.recommenders.association import AssociationRules
from recs_assets.recommenders.user_knn import UserKNN


def explain(rows, recommenders, known):
    table = pd.DataFrame(rows, columns=["customer", "product", "source"])
    return explain_by_source(table, known, recommenders)["reason_text"].tolist()


ALSO = "Customers who bought FROZEN PIZZA, as you did on 12 Dec 2016, buy this too"


@pytest.mark.parametrize(
    ("also", "text"),
    [
        (make_crowd(0, 3), ALSO),
        # One customer alone is no customers.
        ([(2, 0, "2016-03-01", PURCHASE), (2, 3, "2016-03-01", PURCHASE)], "From DRINKS"),
        # Everybody buys pizza, and half of them cola: whoever bought pizza buys no more of it than the others.
        (
            [(customer, 0, "2016-03-01", PURCHASE) for customer in range(1, CROWD)]
            + [(customer, 3, "2016-03-01", PURCHASE) for customer in range(23, CROWD)],
            "From DRINKS",
        ),
        # Twice as many as by chance, which three of eleven may well be.
        (
            [(customer, 0, "2016-03-01", PURCHASE) for customer in range(6, 16)]
            + [(customer, 3, "2016-03-01", PURCHASE) for customer in (13, 14, 15, 20, 21, 22)]
            + [(customer, 2, "2016-03-01", PURCHASE) for customer in range(16, CROWD)],
            "From DRINKS",
        ),
    ],
)
def test_also_bought_is_more_than_chance(also, text):
    known = shop(PRODUCTS, EVENTS + also, CROWD)
    assert explain([(0, 3, "item_knn")], {"item_knn": Led("item_knn", {(0, 3): 0})}, known) == [text]


@pytest.mark.parametrize(
    ("customer", "product", "viewed", "also", "text"),
    [
        (0, 5, 1, [], "Close to BRIE, which you looked at on 20 Dec 2016"),  # both are cheese
        (1, 0, 3, make_crowd(3, 0), "Close to COLA, which you looked at on 30 Dec 2016"),
        (1, 0, 3, [], "From FROZEN"),  # nobody buys pizza with cola
        (1, 6, 3, [], "Be one of the first to buy this"),  # of no category
    ],
)
def test_close_to_what_they_looked_at_is_of_its_category_or_goes_with_it(
    customer, product, viewed, also, text
):
    known = shop(PRODUCTS, [*EVENTS, (0, 1, "2016-12-20", VIEW), *also], CROWD)
    led = {"recently_viewed": Led("recently_viewed", {(customer, product): viewed})}
    assert explain([(customer, product, "recently_viewed")], led, known) == [text]


def baskets_of(build_known, together, alone, others):
    """c0 bought tea; so many baskets with tea and milk, with tea alone, and with sugar."""
    orders = [("mine", "c0", 5, ["tea"])]
    for kind, (count, products) in enumerate(
        [(together, ["tea", "milk"]), (alone, ["tea"]), (others, ["sugar"])]
    ):
        orders += [(f"o{kind}-{number}", f"c{1 + number % 9}", 30, products) for number in range(count)]
    products = [(name, name.title(), None, f"{name}s", None, 1.0, True) for name in ("milk", "sugar", "tea")]
    return build_known(orders, [(f"c{n}", None, None) for n in range(10)], products)


@pytest.mark.parametrize(
    ("together", "alone", "others", "text"),
    [
        (10, 89, 900, "Often bought with Tea, which you bought on 28 Feb"),
        (10, 90, 900, "From milks"),  # 10 of 101 baskets with tea are less than a tenth
        (10, 10, 0, "From milks"),  # every basket has tea: milk is in no more of those with it
        (5, 5, 11, "From milks"),  # 5 of 11 with tea, none of the others: by chance in 1 of 45 products
        (5, 5, 40, "Often bought with Tea, which you bought on 28 Feb"),
    ],
)
def test_often_bought_with_is_every_tenth_basket_and_more_than_chance(
    build_known, together, alone, others, text
):
    known = baskets_of(build_known, together, alone, others)
    milk, tea = (known.products["product_id"].tolist().index(name) for name in ("milk", "tea"))
    rules = AssociationRules().fit(known)
    assert rules.because(np.array([0]), np.array([milk])).tolist() == [tea]
    assert explain([(0, milk, "rules")], {"rules": rules}, known) == [text]


# Customers and the products of each: who bought 0 and 1 is like customer 0.
LIKE = [
    {"who": {0: [0, 1], 1: [0, 1, 3], 2: [0, 1, 3], 3: [2]}, "similar": True},
    # One customer alone, and two who have one product in common with them.
    {"who": {0: [0, 1], 1: [0, 1, 3], 2: [0, 3], 3: [1, 3]}, "similar": False},
    # Who has bought one product is like nobody.
    {"who": {0: [0], 1: [0, 1, 3], 2: [0, 1, 3]}, "similar": False},
]


@pytest.mark.parametrize("case", LIKE)
@pytest.mark.parametrize("source", ["als", "lightfm", "user_knn"])
def test_similar_customers_have_purchases_in_common(case, source):
    known = shop(
        PRODUCTS,
        [
            (who, product, "2016-03-01", PURCHASE)
            for who, products in case["who"].items()
            for product in products
        ],
    )
    right = "Customers with purchases like yours buy this" if case["similar"] else "From DRINKS"
    assert explain([(0, 3, source)], {"user_knn": UserKNN().fit(known)}, known) == [right]
    assert explain([(0, 3, source)], {}, known) == ["From DRINKS"]
    assert explain([(5, 3, source)], {"user_knn": UserKNN().fit(known)}, known) == ["From DRINKS"]


@settings(max_examples=40, deadline=None)
@given(
    bought=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 6)), min_size=1, max_size=40),
    asked=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 6)), min_size=1, max_size=12),
)
def test_similar_buyers_are_who_shares_two_purchases(bought, asked):
    known = shop(PRODUCTS, [(*pair, "2016-03-01", PURCHASE) for pair in bought], customers=8)
    model = UserKNN().fit(known)
    history = {customer: {product for who, product in bought if who == customer} for customer in range(8)}
    right = [
        sum(
            product in history[other] and len(history[customer] & history[other] - {product}) >= 2
            for other in range(8)
            if other != customer
        )
        for customer, product in asked
    ]
    customers, products = np.array(asked).T
    assert model.count_similar_buyers(customers, products).tolist() == right
    block = model.attach(known.take_customers(np.unique(customers)))
    place = np.searchsorted(np.unique(customers), customers)
    assert block.count_similar_buyers(place, products).tolist() == right


def test_a_discovery_says_what_it_is_close_to():
    """Five customers bought tea and oil, one tea and soap, thirty ink; customer 3 bought tea."""
    known = shop(
        [("Tea", "A"), ("Oil", "B"), ("Soap", "C"), ("Ink", None), ("Pen", None)],
        [*((customer, product, "2016-12-05", PURCHASE) for customer in (0, 1, 5, 6, 7) for product in (0, 1)),
         *((customer, 3, "2016-12-05", PURCHASE) for customer in range(8, 38)),
         (2, 0, "2016-12-05", PURCHASE), (2, 2, "2016-12-05", PURCHASE),
         (3, 0, "2016-12-06", PURCHASE), (4, 4, "2016-12-07", PURCHASE)],
        customers=38,
    )  # fmt: skip
    led = Led("item_knn", {(3, 1): 0, (3, 2): 0})
    alike = Led("content", {(3, 1): 0, (3, 2): 0, (4, 3): 4})
    rows = pd.DataFrame(
        {"customer": [3, 3, 4], "product": [1, 2, 3], "slot_type": "discovery", "fallback_level": "personal",
         "reason_code": "from_category"}
    )  # fmt: skip

    def explain_discoveries(citable=None):
        found = explain_slots(rows, known, citable, recommenders={"item_knn": led, "content": alike})
        return found[["reason_text", "because_product"]].to_numpy().tolist()

    # One customer alone who bought soap and tea is no evidence; ink and pen have no category.
    assert explain_discoveries() == [
        ["New for you, close to Tea", 0], ["New for you", -1], ["New for you, close to Pen", 4],
    ]  # fmt: skip
    named, every = np.array([False, True, True, True, True]), np.ones(5, dtype=bool)
    assert explain_discoveries(Citable(named, every, None))[0] == ["New for you", -1]
