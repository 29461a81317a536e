"""The first list: what was answered, then best sellers, spread and varied; nobody with a history gets one."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers.known import make_known
from recs_assets.known.preferences import find_answered
from recs_assets.recommenders.first_list import FirstList

# Ten products: the first sold on 40 days, the second on 36, ...; n01 to n05 are tea, the others mugs.
PRODUCTS = [
    (f"n{number:02}", f"Thing {number}", "Leaf" if number % 2 else "Clay", "Tea" if number <= 5 else "Mugs", None, 2.0**number, True)
    for number in range(1, 11)
]  # fmt: skip
ORDERS = [
    (f"o{number}-{copy}", f"buyer{copy:02}", 28, [f"n{number:02}"])
    for number in range(1, 11)
    for copy in range(44 - 4 * number)
]
STRANGERS = [f"new{number:03}" for number in range(40)]


def build(preferences=(), few=()):
    """The shop, with orders of products for strangers, and their answers: (customer, facet, value)."""
    orders = [
        *ORDERS,
        *((f"f{place}", customer, 28, [product]) for place, (customer, product) in enumerate(few)),
    ]
    people = sorted({order[1] for order in orders} | set(STRANGERS))
    known = make_known(orders, customers=[(name, None, None) for name in people], products=PRODUCTS)
    rows = sorted((people.index(customer), facet, value) for customer, facet, value in preferences)
    said = pd.DataFrame(rows, columns=["customer", "facet", "value"]).astype({"customer": np.int32})
    return replace(known, preferences=said), people


def list_of(model, people, customer, k=10):
    rows = model.recommend(np.array([people.index(customer)]), k)
    return model.known_.products["product_id"].to_numpy()[rows["product"]].tolist()


def test_the_top_share_in_order_of_popularity():
    known, people = build()
    model = FirstList(share=0.3, variety=0, spread=0).fit(known)
    assert list_of(model, people, "new000") == ["n01", "n02", "n03"]


def test_nobody_with_five_events_gets_one():
    known, people = build(few=[("new000", f"n{number:02}") for number in range(1, 6)])
    model = FirstList().fit(known)
    assert list_of(model, people, "new000") == []
    assert list_of(model, people, "buyer00") == []
    known, people = build(few=[("new000", f"n{number:02}") for number in range(1, 5)])
    assert list_of(FirstList(variety=0, spread=0).fit(known), people, "new000")[:1] == ["n01"]


def test_an_answer_brings_its_category_first_even_beyond_the_top():
    known, people = build([("new000", "category", " mugs ")])
    model = FirstList(share=0.3, liking=5, variety=0, spread=0).fit(known)
    assert list_of(model, people, "new000") == ["n06", "n07", "n08", "n09", "n10", "n01", "n02", "n03"]
    assert list_of(model, people, "new001") == ["n01", "n02", "n03"]


@pytest.mark.parametrize(
    ("sold", "said"),
    [("Soft Drinks", "soft  drinks"), ("Straße", "STRASSE"), ("Tea", "\uff34\uff45\uff41"), ("Cr\u00e8me", "Cre\u0300me"), ("Soft Drinks", "Soft\u00a0Drinks")],
)  # fmt: skip
def test_an_answer_is_found_as_the_server_finds_it(sold, said):
    known, people = build(
        [("new000", "category", said), ("new001", "category", "Bicycles"), ("new002", "mood", sold)]
    )
    known.products["category"] = known.products["category"].replace("Mugs", sold)
    model = FirstList(share=0.1, liking=5, variety=0, spread=0).fit(known)
    assert "n06" in list_of(model, people, "new000")
    assert "n06" not in list_of(model, people, "new001")
    # What names nothing of the shop is no answer, so the week's list stays.
    assert find_answered(known).tolist() == [people.index("new000")]
    gone = known.products.assign(available=known.products["category"] != sold)
    assert find_answered(replace(known, products=gone)).tolist() == []


def test_answers_to_two_questions_add_up():
    known, people = build([("new000", "category", "Mugs"), ("new000", "brand", "Clay")])
    model = FirstList(share=0.1, liking=5, variety=0, spread=0).fit(known)
    assert list_of(model, people, "new000")[:4] == ["n06", "n08", "n10", "n02"]


def test_what_nobody_sells_is_no_answer():
    known, people = build([("new000", "category", "Bicycles"), ("new000", "mood", "blue")])
    model = FirstList(share=0.3, variety=0, spread=0).fit(known)
    assert list_of(model, people, "new000") == ["n01", "n02", "n03"]


def test_spread_counts_what_is_repeated():
    """Behind n01 (Leaf, tea): n02 repeats tea, n06 repeats Clay twice, n03 tea twice and Leaf once. No price band is repeated."""
    known, people = build()
    model = FirstList(share=1, variety=0, spread=3).fit(known)
    assert list_of(model, people, "new000", 3) == ["n01", "n02", "n06"]


def test_lists_differ_between_customers_and_stay_theirs():
    known, people = build()
    model = FirstList(share=1, variety=0.5, spread=0).fit(known)
    lists = {tuple(list_of(model, people, name, 3)) for name in STRANGERS}
    assert len(lists) > 10
    # What sells best still begins most lists.
    firsts = [list_of(model, people, name, 1)[0] for name in STRANGERS]
    assert sum(first in ("n01", "n02", "n03") for first in firsts) > 20
    fewer = known.take_customers(np.array([people.index("new007")]))
    block = model.attach(fewer).recommend(np.array([0]), 5)["product"]
    assert block.tolist() == model.recommend(np.array([people.index("new007")]), 5)["product"].tolist()
    again = FirstList(share=1, variety=0.5, spread=0, seed=1).fit(known)
    assert list_of(again, people, "new007", 5) != list_of(model, people, "new007", 5)


@pytest.mark.parametrize("codes", [[0, 2], [1]])
def test_a_block_takes_its_own_answers(codes):
    known, _ = build([("buyer00", "category", "Tea"), ("buyer01", "brand", "Clay")])
    block = known.take_customers(np.array(codes))
    assert block.preferences.to_dict("list") == (
        {"customer": [0], "facet": ["category"], "value": ["Tea"]}
        if codes == [0, 2]
        else {"customer": [0], "facet": ["brand"], "value": ["Clay"]}
    )
