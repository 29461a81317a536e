from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from helpers.reasons import AS_OF, CROWD, EVENTS, PRODUCTS, REASONS, VIEW, Led, day, make_crowd, shop
from recs_assets.known.interactions import PURCHASE, BackInStock
from recs_assets.reasons.evidence import Citable, Offers
from recs_assets.reasons.explain import (
    explain_again,
    explain_by_family,
    explain_by_source,
    explain_neighbours,
    explain_slots,
)
from recs_assets.reasons.sentences import PLACEHOLDERS, Sentences


def explain(rows, recommenders=None, known=None):
    table = pd.DataFrame(rows, columns=["customer", "product", "source"])
    return explain_by_source(table, known or shop(PRODUCTS, EVENTS), recommenders or {})


def explain_pair(customer, product, source, because=None):
    led = {} if because is None else {source: Led(source, {(customer, product): because})}
    row = explain([(customer, product, source)], led).iloc[0]
    return row["reason_code"], row["reason_text"], row["because_product"], row["because_day"]


def test_recommenders_cite_reasons_that_there_are():
    assert {code for codes in REASONS.values() for code in codes} <= set(PLACEHOLDERS)
    assert REASONS["rules"] == ("bought_together",)
    assert REASONS["popularity"] == ()


def test_bought_before_whatever_the_source():
    text = "You bought this on 2 days, last on 12 Dec 2016"
    for source in ("repurchase", "rules", "als", "popularity", "content"):
        assert explain_pair(0, 0, source, because=0) == ("bought_often", text, 0, day("2016-12-12"))
    assert explain_pair(1, 1, "repurchase") == (
        "bought_once",
        "You bought this on 12 Dec 2015",
        1,
        day("2015-12-12"),
    )


@pytest.mark.parametrize(
    ("source", "code", "text"),
    [
        ("rules", "bought_together", "Often bought with FROZEN PIZZA, which you bought on 12 Dec 2016"),
        (
            "item_knn",
            "also_bought",
            "Customers who bought FROZEN PIZZA, as you did on 12 Dec 2016, buy this too",
        ),
    ],
)
def test_evidence_that_was_bought(source, code, text):
    known = shop(PRODUCTS, EVENTS + make_crowd(0, 3), CROWD)
    row = explain([(0, 3, source)], {source: Led(source, {(0, 3): 0})}, known).iloc[0]
    assert tuple(row[["reason_code", "reason_text", "because_product", "because_day"]]) == (
        code, text, 0, day("2016-12-12"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("source", "days", "code", "text"),
    [
        ("follow_ups", 19.6, "follow_up", "Customers who bought FROZEN PIZZA, as you did on 12 Dec 2016, buy this about 20 days later"),
        ("late_follow_ups", 152.5, "late_follow_up", "Customers who bought FROZEN PIZZA, as you did on 12 Dec 2016, buy this about 5 months later"),
        ("follow_ups", 1.0, "from_category", "From DRINKS"),
        ("late_follow_ups", np.nan, "from_category", "From DRINKS"),
    ],
)  # fmt: skip
def test_what_follows_says_when(source, days, code, text):
    led = Led(source, {(0, 3): 0})
    led.days_between = lambda causes, products: np.full(len(causes), days)
    row = explain([(0, 3, source)], {source: led}).iloc[0]
    assert (row["reason_code"], row["reason_text"]) == (code, text)


def test_what_is_back_comes_before_everything_else():
    known = shop(PRODUCTS, EVENTS)
    pairs = [(0, 0, 0, 0), (0, 3, 3, 2), (1, 1, 1, 1), (1, 3, 3, 3), (1, 5, 3, 0)]
    customer, product, wanted, kind = np.array(pairs, dtype=np.int32).T
    when = np.full(len(pairs), day("2016-12-20"), dtype=np.int32)
    known = replace(known, back_in_stock=BackInStock(customer, product, wanted, when, kind.astype(np.int8)))
    found = explain([(*pair[:2], "popularity") for pair in pairs], None, known)
    assert found["reason_text"].tolist() == [
        "You put this into your cart on 20 Dec 2016, and it is in stock again",
        "You looked at this on 20 Dec 2016, when it was sold out, and it is in stock again",
        "You put this on your wishlist on 20 Dec 2016, and it is in stock again",
        "You searched for this on 20 Dec 2016, when it was sold out, and it is in stock again",
        "In stock again: a variant of COLA, which interested you on 20 Dec 2016",
    ]
    assert found["because_product"].tolist() == [0, 3, 1, 3, 3]


def test_similar_within_a_category_only():
    text = "Similar to BRIE, which you bought on 12 Dec 2015"
    assert explain_pair(1, 5, "content", because=1) == ("similar_product", text, 1, day("2015-12-12"))
    assert explain_pair(0, 3, "content", because=0)[0] == "from_category"  # COLA is not like FROZEN PIZZA
    # Without a category nothing speaks against it.
    assert (
        explain_pair(0, 6, "content", because=0)[1]
        == "Similar to FROZEN PIZZA, which you bought on 12 Dec 2016"
    )


def test_a_product_without_a_name_is_never_named_by_its_id():
    assert explain_pair(1, 0, "rules", because=4)[1] == "From FROZEN"


def test_a_product_of_the_same_title_or_parent_is_no_cause():
    known = shop(
        [("Blue mug", "A"), ("BLUE MUG ", "A"), ("Blue cup", "A"), ("Plate", "A")],
        [(0, product, "2016-12-12", PURCHASE) for product in (0, 2)],
    )
    known.products["parent_id"] = [None, None, "id3", None]
    led = {"rules": Led("rules", {(0, 1): 0, (0, 3): 2})}
    found = explain([(0, 1, "rules"), (0, 3, "rules")], led, known)
    assert found["reason_text"].tolist() == ["From A, a category you buy from"] * 2


@pytest.mark.parametrize("source", ["rules", "item_knn", "content"])
def test_a_view_is_no_purchase(source):
    # Customer 1 only viewed COLA; GOUDA's shelf is hers because of BRIE.
    assert explain_pair(1, 5, source, because=3) == (
        "from_your_category",
        "From CHEESE, a category you buy from",
        -1,
        -1,
    )


def test_the_product_itself_is_no_evidence_unless_bought():
    assert explain_pair(0, 3, "rules", because=3)[0] == "from_category"
    assert explain_pair(1, 3, "rules", because=3)[:2] == ("viewed", "You looked at this on 30 Dec 2016")


def test_popular_is_the_top_tenth_and_recent():
    # Four products sold, so the top tenth is one: MILK.
    assert explain_pair(0, 2, "popularity") == (
        "popular",
        "Popular with our customers in the last 4 weeks",
        -1,
        -1,
    )
    # PIZZA leads FROZEN but has one buyer; BRIE leads CHEESE but sold last a year ago.
    assert explain_pair(1, 0, "popularity")[:2] == ("from_category", "From FROZEN")
    assert explain_pair(0, 1, "popularity")[:2] == ("from_category", "From CHEESE")


def test_category_popularity():
    known = shop(
        [*PRODUCTS, ("EDAM", "CHEESE")],
        [*EVENTS, *((customer, 7, "2016-12-28", PURCHASE) for customer in (2, 3, 4))],
    )
    result = explain([(1, 7, "category_popularity"), (5, 7, "category_popularity")], known=known)
    assert result["reason_text"].tolist() == [
        "Popular in CHEESE, a category you buy from",
        "Popular in CHEESE",
    ]


def test_last_resort():
    assert explain_pair(0, 6, "random")[:2] == ("first_buyers", "Be one of the first to buy this")
    known = shop(PRODUCTS, [*EVENTS, (2, 6, "2016-03-01", PURCHASE), (3, 6, "2016-03-01", PURCHASE)])
    assert explain([(0, 6, "random")], known=known)["reason_text"][0] == "Other customers buy this too"


def test_popular_has_three_buyers_at_least_and_five_where_many_buy():
    """A tenth of the customers of the last 4 weeks: 3 where that is less, never more than 5."""
    for buyers, shoppers, text in (
        (2, 6, "From A"), (3, 6, "Popular in A"), (3, 40, "From A"), (4, 40, "Popular in A"),
        (4, 200, "From A"), (5, 200, "Popular in A"),
    ):  # fmt: skip
        events = [(customer, 0, "2016-12-20", PURCHASE) for customer in range(buyers)]
        events += [(customer, 1, "2016-12-20", PURCHASE) for customer in range(shoppers)]
        known = shop([("Tea", "A"), ("Milk", "B")], events, customers=shoppers + 1)
        found = explain([(shoppers, 0, "category_popularity")], known=known)
        assert found["reason_text"][0] == text, (buyers, shoppers)


def test_own_dealings_come_first_whatever_moved_the_ranker():
    """15,224 of 17,412 rows of products that were bought said "Customers who bought X buy this too"."""
    known = shop(PRODUCTS, [*EVENTS, *make_crowd(0, 1), (0, 3, "2016-12-01", VIEW)], CROWD)
    rows = pd.DataFrame([(1, 1), (0, 3), (0, 1)], columns=["customer", "product"])
    led = {"item_knn": Led("item_knn", {(1, 1): 4, (0, 3): 0, (0, 1): 0})}
    families = ["bought_with", "bought_before"]
    found = explain_by_family(
        rows, known, led, np.tile([0, 1], (3, 1)), np.tile([1.0, -0.5], (3, 1)), families
    )
    assert list(zip(found["reason_text"], found["reason_family"], strict=True)) == [
        ("You bought this on 12 Dec 2015", "bought_before"),
        ("You looked at this on 1 Dec 2016", "viewed_or_wished"),
        ("Customers who bought FROZEN PIZZA, as you did on 12 Dec 2016, buy this too", "bought_with"),
    ]


def test_a_product_that_led_to_it_is_said_before_brand_category_and_popularity():
    """Within a strength the larger contribution decides; a strength goes before any contribution."""
    known = shop(PRODUCTS, [*EVENTS, (1, 2, "2016-12-20", PURCHASE)])
    known.products["brand"] = [None, "Alp", None, None, None, "Alp", None]
    rows = pd.DataFrame([(1, 5)], columns=["customer", "product"])
    families = ["popular", "popular_in_category", "brand", "similar"]
    for order, led, text in (
        (
            [0, 1, 2, 3],
            {"content": Led("content", {(1, 5): 1})},
            "Similar to BRIE, which you bought on 12 Dec 2015",
        ),
        ([0, 2, 1, 3], {}, "From Alp, a brand you buy"),
        ([0, 1, 2, 3], {}, "From CHEESE, a category you buy from"),
    ):
        found = explain_by_family(rows, known, led, np.array([order]), np.ones((1, 4)), families)
        assert found["reason_text"].tolist() == [text]


def test_a_brand_or_category_that_stands_for_everything_is_no_reason():
    """A brand in more than half of the categories (10 at least), or on more than a third of the products (20
    at least), or named so that nobody chooses it."""
    rows = pd.DataFrame([(0, 2)], columns=["customer", "product"])
    for brand, count, kinds, text in (
        ("Acme", 10, 20, "From Acme, a brand you buy"),
        ("Acme", 11, 20, "From kind 2"),
        ("Acme", 19, 4, "From Acme, a brand you buy"),
        ("Acme", 20, 4, "From kind 2"),
        ("National", 3, 20, "From kind 2"),
        ("No Name", 3, 20, "From kind 2"),
    ):
        products = [(f"Thing {number}", f"kind {number % kinds}") for number in range(40)]
        known = shop(products, [(0, 0, "2016-12-12", PURCHASE)])
        known.products["brand"] = [brand if number < count else f"b{number}" for number in range(40)]
        found = explain_by_family(rows, known, {}, np.zeros((1, 1), int), np.ones((1, 1)), ["brand"])
        assert found["reason_text"].tolist() == [text], (brand, count, kinds)
    one_shelf = shop([(f"Thing {number}", "Default") for number in range(4)], EVENTS[:1])
    assert explain([(0, 1, "category_popularity")], known=one_shelf)["reason_code"][0] == "first_buyers"


def test_an_offer_says_until_when_and_only_what_runs_within_the_window():
    known = shop(PRODUCTS, EVENTS)
    first, last = np.full((2, len(PRODUCTS)), -1)
    first[3], last[3] = day("2016-12-20"), day("2017-01-08")
    first[5], last[5] = day("2017-01-10"), day("2017-01-15")
    offers = Offers(first, last, sent=day("2017-01-02"))
    rows = pd.DataFrame([(0, 3), (0, 5), (0, 6)], columns=["customer", "product"])
    found = explain_by_family(
        rows, known, {}, np.zeros((3, 1), int), np.ones((3, 1)), ["promotion"], offers=offers
    )
    assert list(zip(found["reason_code"], found["reason_text"], strict=True)) == [
        ("on_offer", "On offer until 8 Jan"),
        ("on_offer_from", "On offer from 10 Jan"),
        ("first_buyers", "Be one of the first to buy this"),
    ]
    assert found["because_day"].tolist() == [-1, -1, -1]


def test_rows_keep_their_order_and_columns():
    table = pd.DataFrame(
        {
            "customer": np.array([5, 0], dtype=np.int32),
            "product": np.array([2, 0], dtype=np.int32),
            "source": pd.Categorical(["popularity", "repurchase"]),
            "rank": [9, 4],
        },
        index=[7, 3],
    )
    result = explain_by_source(table, shop(PRODUCTS, EVENTS), {})
    assert result["rank"].tolist() == [9, 4]
    assert result["reason_code"].tolist() == ["popular", "bought_often"]
    assert result.columns.tolist() == [
        "customer",
        "product",
        "source",
        "rank",
        "reason_code",
        "reason_text",
        "because_product",
        "because_day",
    ]
    assert (result["because_product"].dtype, result["because_day"].dtype) == (np.int32, np.int32)


def test_no_rows():
    result = explain([])
    assert len(result) == 0
    assert {"reason_code", "reason_text", "because_product", "because_day"} <= set(result.columns)


def test_blocks_change_nothing(monkeypatch):
    rows = [(c, p, "als") for c in range(6) for p in range(7)]
    whole = explain(rows)
    monkeypatch.setattr("recs_assets.reasons.explain.BLOCK_ROWS", 5)
    pd.testing.assert_frame_equal(explain(rows), whole)


def test_nobody_bought_anything():
    known = shop(PRODUCTS, [(1, 3, "2016-12-30", VIEW)])
    result = explain([(1, 3, "popularity"), (0, 6, "als")], {"rules": Led("rules", {})}, known)
    assert result["reason_code"].tolist() == ["viewed", "first_buyers"]


def test_braces_in_names_are_text():
    known = shop([("{product} 50%", "A"), ("B", "{x}")], [(0, 0, "2016-12-12", PURCHASE)])
    result = explain([(0, 1, "rules"), (1, 1, "rules")], {"rules": Led("rules", {(0, 1): 0})}, known)
    assert result["reason_text"].tolist() == [
        "Often bought with {product} 50%, which you bought on 12 Dec 2016",
        "From {x}",
    ]


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ("2017-01-01", "1 Jan"),
        ("2016-12-31", "31 Dec 2016"),
        ("2016-01-02", "2 Jan 2016"),
        ("2012-02-29", "29 Feb 2012"),
    ],
)
def test_the_year_where_it_is_not_this_years(when, text):
    assert Sentences.load().day(day(when), AS_OF, "en") == text


def test_rules_speak_for_the_slots_that_they_fill():
    # Tea has three buyers, and customer 0 among them.
    known = shop(
        [("A", "Tea"), ("B", None), ("C", "Tea")],
        [*((customer, 0, "2016-12-05", PURCHASE) for customer in range(3)), (3, 2, "2016-12-05", PURCHASE)],
    )
    known.customers["segment"] = ["family"] * 4 + [None] * 2
    rows = pd.DataFrame(
        [
            (3, 0, "personal", "personal", "from_category", ("", "")),
            (3, 1, "discovery", "category", "first_buyers", ("new_for_you", "New for you")),
            (3, 0, "pinned", "global", "popular", ("picked_by_shop", "Picked by the shop")),
            (3, 0, "fill", "category", "from_category",
             ("popular_in_your_category", "Popular in Tea, a category you buy from")),
            (4, 0, "fill", "category", "from_category", ("", "")),  # buys no tea
            (3, 0, "fill", "segment", "from_category",
             ("popular_in_segment", "Popular with customers of your group")),
            (5, 0, "fill", "segment", "from_category", ("", "")),  # is of no group
            (3, 0, "fill", "global", "from_category", ("popular_in_shop", "Popular in our shop")),
            (4, 2, "fill", "global", "from_category", ("", "")),  # one buyer is not popular
            (0, 0, "fill", "global", "bought_once", ("", "")),  # their own purchase is the better reason
        ],
        columns=["customer", "product", "slot_type", "fallback_level", "reason_code", "right"],
        index=[3, 1, 4, 2, 9, 8, 7, 6, 5, 0],
    )  # fmt: skip
    found = explain_slots(rows, known)
    assert list(found.index) == [3, 1, 4, 2, 9, 8, 7, 6, 5, 0]
    assert list(zip(found["reason_code"], found["reason_text"], strict=True)) == rows["right"].tolist()


def test_reasons_of_buy_it_again():
    known = shop(
        [("Tea", "A"), ("Old tea", "A"), ("Oil", "A")],
        [(0, 0, when, PURCHASE) for when in ("2016-11-01", "2016-11-22", "2016-12-13")],
    )
    rows = pd.DataFrame(
        # customer, product, replaces, kind, order_days, last_day, usual_gap
        [
            (0, 0, -1, "own", 3, day("2016-12-13"), 21.0),
            (0, 0, -1, "own", 3, day("2016-11-13"), 21.0),  # silent for 50 days: no "you buy this"
            (0, 0, -1, "own", 3, day("2016-12-31"), 1.0),
            (0, 0, -1, "own", 2, day("2016-12-13"), np.nan),
            (0, 0, -1, "own", 1, day("2016-12-13"), np.nan),
            (0, 0, 1, "variant", 3, day("2016-12-13"), 21.0),
            (0, 2, 1, "same_brand", 3, day("2016-12-13"), 21.0),
        ],
        columns=["customer", "product", "replaces", "kind", "order_days", "last_day", "usual_gap"],
    )
    result = explain_again(rows, known)
    assert list(zip(result["reason_code"], result["reason_text"], strict=True)) == [
        ("bought_regularly", "You buy this about every 21 days, last on 13 Dec 2016"),
        ("bought_often", "You bought this on 3 days, last on 13 Nov 2016"),
        ("bought_often", "You bought this on 3 days, last on 31 Dec 2016"),
        ("bought_often", "You bought this on 2 days, last on 13 Dec 2016"),
        ("bought_once", "You bought this on 13 Dec 2016"),
        (
            "replaces_variant",
            "Another variant of Old tea, which you bought on 13 Dec 2016 and which is not available now",
        ),
        (
            "replaces_same_brand",
            "From the brand and category of Old tea, which you bought on 13 Dec 2016 and which is not available now",
        ),
    ]


# -- what the rules keep out of sentences ---------------------------------------------------------


def citable(no_cause=(), no_counts=(), refused=()):
    product, counted = np.ones(len(PRODUCTS), dtype=bool), np.ones(len(PRODUCTS), dtype=bool)
    product[list(no_cause)] = False
    counted[list(no_counts)] = False
    customers, products = zip(*refused, strict=True) if refused else ((), ())
    pairs = sparse.csr_matrix((np.ones(len(refused)), (customers, products)), shape=(6, len(PRODUCTS)))
    return Citable(product, counted, pairs if refused else None)


def with_rule(rows, allowed):
    led = {"rules": Led("rules", {(0, 3): 0, (1, 5): 1})}
    table = pd.DataFrame(rows, columns=["customer", "product", "source"])
    return explain_by_source(table, shop(PRODUCTS, EVENTS), led, allowed)["reason_text"].tolist()


def test_what_may_not_be_named_is_no_cause():
    rows = [(0, 3, "rules"), (1, 5, "rules")]
    assert with_rule(rows, citable(no_cause=[0])) == [
        "From DRINKS",
        "Often bought with BRIE, which you bought on 12 Dec 2015",
    ]
    # Sent back or rated low by customer 1: nothing of it is said to them, its shelf included.
    assert with_rule(rows, citable(refused=[(1, 1)])) == [
        "Often bought with FROZEN PIZZA, which you bought on 12 Dec 2016",
        "From CHEESE",
    ]


def test_what_may_not_be_counted_is_neither_counted_nor_dated():
    rows = [(0, 0, "repurchase"), (0, 3, "rules")]
    assert with_rule(rows, citable(no_counts=[0])) == ["You bought this before", "From DRINKS"]
    # And what may not even be named has a reason that is everybody's.
    assert with_rule(rows, citable(no_cause=[0], no_counts=[0]))[0] == "From FROZEN"
    again = pd.DataFrame(
        [(0, 0, -1, "own", 3, day("2016-12-13"), 21.0), (0, 3, 0, "variant", 3, day("2016-12-13"), 21.0)],
        columns=["customer", "product", "replaces", "kind", "order_days", "last_day", "usual_gap"],
    )
    found = explain_again(again, shop(PRODUCTS, EVENTS), citable(no_counts=[0]))
    assert found["reason_text"].tolist() == ["You bought this before", "From DRINKS"]


def test_a_product_beside_a_product_says_both_counts_where_they_are_worth_it():
    known = shop([("Tea", "A"), ("Milk", "B"), (None, "C")], EVENTS[:1])
    together = pd.DataFrame(
        # product, neighbour, baskets with both, share of the product's baskets
        [(0, 1, 5, 5 / 56), (0, 1, 5, 5 / 19), (0, 1, 4, 4 / 56), (1, 0, 1234, 0.5), (2, 0, 5, 5 / 56)],
        columns=["product", "neighbour", "baskets", "confidence"],
    )
    sentences = Sentences.load()
    assert explain_neighbours(together, known, sentences) == [
        "In 9% of the baskets with Tea (5 of 56)",
        "Bought together with Tea",
        "Bought together with Tea",
        "In 50% of the baskets with Milk (1,234 of 2,468)",
        "Bought together",
    ]
    similar = together[["product", "neighbour"]].iloc[[0, 4]]
    assert explain_neighbours(similar, known, sentences) == ["Similar to Tea", "A similar product"]
    german = Sentences.load(default="de")
    assert explain_neighbours(together, known, german)[3] == (
        "In 50\xa0% der Warenkörbe mit Milk (1.234 von 2.468)"
    )


def test_new_is_on_sale_for_four_weeks_at_most():
    known = shop(
        [("A", "X"), ("B", "X"), ("C", "X")], [(0, 0, "2016-01-01", PURCHASE), (1, 1, "2016-12-20", PURCHASE)]
    )
    rows = pd.DataFrame({"customer": 2, "product": [0, 1, 2]})
    asked = (rows, known, {}, np.zeros((3, 1), int), np.ones((3, 1)), ["new_arrival"])
    assert explain_by_family(*asked)["reason_code"].tolist() == [
        "from_category",
        "new_arrival",
        "from_category",
    ]
    # On sale for years, and first bought lately: not new. On sale since last week, and never bought: new.
    known.products["start_at"] = pd.to_datetime([None, "2012-01-01", "2016-12-27"])
    assert explain_by_family(*asked)["reason_code"].tolist() == [
        "from_category",
        "from_category",
        "new_arrival",
    ]
