"""What customers answered that they like, as a reason: only where it is true, and never of what may not be named."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.reasons import EVENTS, PRODUCTS, Led, shop
from recs_assets.reasons.evidence import Citable, Evidence
from recs_assets.reasons.explain import explain_by_source

FACETS = ("category", "brand")
LANGUAGES = ("en", "de", "fr", "es", "it", "nl")


def answer(*said, products=PRODUCTS, events=EVENTS, locale=None):
    """The shop of reasons, with answers: (customer, facet, value)."""
    known = shop(products, events)
    known.products["brand"] = ["Frosta", None, "Alm", "Fizz", None, "Alm", "Other"][: len(products)]
    rows = pd.DataFrame(sorted(said), columns=["customer", "facet", "value"]).astype({"customer": np.int32})
    return replace(known, preferences=rows, customers=known.customers.assign(locale=locale))


def explain(known, pairs, source="popularity", recommenders=None, citable=None):
    rows = pd.DataFrame([(*pair, source) for pair in pairs], columns=["customer", "product", "source"])
    found = explain_by_source(rows, known, recommenders or {}, citable)
    return found["reason_text"].tolist()


def test_what_was_answered_is_said_of_what_carries_it():
    known = answer((5, "category", " cheese "), (4, "brand", "FIZZ"))
    pairs = [(5, 1), (5, 5), (5, 3), (4, 3), (4, 5), (3, 1)]
    assert explain(known, pairs) == [
        "You told us you like CHEESE",
        "You told us you like CHEESE",
        "From DRINKS",
        "You told us you like Fizz",
        "From CHEESE",
        "From CHEESE",
    ]


def test_it_comes_after_what_they_did_and_what_led_there_and_before_what_everybody_does():
    known = answer((0, "category", "frozen"), (1, "category", "drinks"), (1, "category", "cheese"), (5, "category", "dairy"))  # fmt: skip
    led = {"content": Led("content", {(1, 5): 1})}
    assert explain(known, [(0, 0), (1, 3), (1, 5)], "content", led) == [
        "You bought this on 2 days, last on 12 Dec 2016",
        "You looked at this on 30 Dec 2016",
        "Similar to BRIE, which you bought on 12 Dec 2015",
    ]
    assert explain(known, [(5, 2), (4, 3)]) == ["You told us you like DAIRY", "From DRINKS"]


def test_the_products_own_name_is_said_however_it_was_written():
    known = answer((5, "category", "\uff23heese\u00a0"), (4, "category", "Dri nks"))
    assert explain(known, [(5, 1), (4, 3)]) == ["You told us you like CHEESE", "From DRINKS"]


def test_a_brand_says_more_than_a_category():
    known = answer((5, "category", "cheese"), (5, "brand", "Alm"))
    assert explain(known, [(5, 5), (5, 1)]) == ["You told us you like Alm", "You told us you like CHEESE"]


def test_a_brand_that_stands_for_everything_is_not_said():
    assert explain(answer((5, "brand", "Other")), [(5, 6)]) == ["Be one of the first to buy this"]


def test_what_may_not_be_named_is_not_told():
    known = answer((5, "category", "cheese"), (5, "brand", "Alm"))
    every = np.ones(len(PRODUCTS), dtype=bool)
    some = every.copy()
    some[1] = False  # half of the cheese: nothing of it is told, of the brand what may be
    assert explain(known, [(5, 1), (5, 5), (5, 2)], citable=Citable(some, every)) == [
        "From CHEESE",
        "You told us you like Alm",
        "You told us you like Alm",
    ]
    some[5] = False
    assert explain(known, [(5, 5), (5, 2)], citable=Citable(some, every)) == [
        "From CHEESE",
        "Popular with our customers in the last 4 weeks",
    ]


@pytest.mark.parametrize(
    ("language", "brand", "category"),
    [
        ("en", "You told us you like Alm", "You told us you like CHEESE"),
        ("de", "Sie haben uns gesagt, dass Sie die Marke Alm mögen", "Sie haben uns gesagt, dass Sie die Kategorie CHEESE mögen"),
        ("fr", "De la marque Alm, que vous nous avez dit aimer", "Du rayon CHEESE, que vous nous avez dit aimer"),
        ("es", "De Alm, una marca que nos dijo que le gusta", "De CHEESE, una categoría que nos dijo que le gusta"),
        ("it", "Di Alm, una marca che ci ha detto di apprezzare", "Da CHEESE, una categoria che ci ha detto di apprezzare"),
        ("nl", "Van Alm, een merk dat u naar eigen zeggen leuk vindt", "Uit CHEESE, een categorie die u naar eigen zeggen leuk vindt"),
    ],
)  # fmt: skip
def test_in_every_language(language, brand, category):
    known = answer((5, "category", "cheese"), (5, "brand", "alm"), locale=language)
    assert explain(known, [(5, 5), (5, 1)]) == [brand, category]


SAID = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(FACETS),
        st.sampled_from(["Cheese", "DAIRY ", "alm", "fizz", "Frozen", "nothing", "other"]),
    ),
    unique=True,
)


@given(SAID, st.integers(1, 6))
def test_true_row_by_row_and_the_same_in_blocks(said, size):
    known = answer(*said)
    whole = Evidence(known)
    customer, product = (codes.ravel() for codes in np.meshgrid(np.arange(6), np.arange(len(PRODUCTS))))
    for facet in FACETS:
        likes = whole.likes(facet, customer, product)
        values = known.products[facet].fillna("").str.lower().to_numpy()
        mine = {(who, what, value.strip().lower()) for who, what, value in said}
        assert likes.tolist() == [
            (int(c), facet, values[p]) in mine and values[p] != "other"
            for c, p in zip(customer, product, strict=True)
        ]
        for first in range(0, 6, size):
            codes = np.arange(first, min(first + size, 6))
            block = Evidence(known.take_customers(codes))
            there = np.isin(customer, codes)
            np.testing.assert_array_equal(
                block.likes(facet, customer[there] - first, product[there]), likes[there]
            )
