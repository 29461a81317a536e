"""Each recommender against values counted by hand, brute force in numpy, or mlxtend.

The shop is the one at the top of conftest.py; p1 is code 0, c1 is code 0.
"""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest

from recs_assets.recommenders.als import ALS
from recs_assets.recommenders.association import AssociationRules
from recs_assets.recommenders.because import find_strongest, find_strongest_factor
from recs_assets.recommenders.content import Content
from recs_assets.recommenders.item_knn import ItemKNN
from recs_assets.recommenders.lightfm_warp import LightFMWarp
from recs_assets.recommenders.popularity import CategoryPopularity, Popularity
from recs_assets.recommenders.random_baseline import Random
from recs_assets.recommenders.repurchase import Repurchase
from recs_assets.recommenders.user_knn import UserKNN

P1, P2, P3, P4, P5, P6, P7, P8 = range(8)
C1, C2, C3, C4, C5, C6 = range(6)
RULE_COLUMNS = ["support", "confidence", "lift", "leverage", "conviction"]


def row(lists, customer):
    part = lists[lists["customer"] == customer]
    return list(zip(part["product"].tolist(), part["score"].tolist(), strict=True))


def everybody(known):
    return np.arange(known.n_customers)


# Popularity


def test_popularity(shop):
    lists = Popularity(half_life_days=28).fit(shop).recommend(np.array([C6, C1]), 10)
    expected = [
        (P2, 2.6875),  # c1 1/16+1/8+1/4+1/2, c2 1/4+1/2, c3 1/2, c5 1/2
        (P3, 2.1875),  # c1 1/8+1/4+1/2, c2 1/2 (two orders, one day), c4 1/16+1/4, c5 1/2
        (P6, 1.5),
        (P4, 1.0625),  # c2 1/4, c4 1/16+1/4+1/2
        (P1, 0.875),  # c1 1/4, c3 1/8+1/2
        (P5, 0.25),
    ]  # p7 may not be sold, p8 never was
    assert row(lists, C6) == row(lists, C1) == expected


def test_popularity_views(shop):
    model = Popularity(half_life_days=28).fit(shop)
    new = model.recommend(np.array([C1]), 2, "new")
    assert row(new, C1) == [(P6, 1.5), (P4, 1.0625)]
    repeat = model.recommend(np.array([C1]), 10, "repeat")
    assert row(repeat, C1) == [(P2, 2.6875), (P3, 2.1875), (P1, 0.875)]


def test_category_popularity(shop):
    model = CategoryPopularity(half_life_days=28).fit(shop)
    # c1: bakery 15/16, dairy 14/16, fruit 4/16, together 33/16.
    # Bakery sells 2.6875 + 0.25, dairy 2.1875 + 1.0625 + 1.5, fruit 0.875 + 0.125 (p7).
    expected = {
        P1: 4 / 33 * 0.875 / 1.0,
        P2: 15 / 33 * 2.6875 / 2.9375,
        P3: 14 / 33 * 2.1875 / 4.75,
        P4: 14 / 33 * 1.0625 / 4.75,
        P5: 15 / 33 * 0.25 / 2.9375,
        P6: 14 / 33 * 1.5 / 4.75,
    }
    got = row(model.recommend(np.array([C1]), 10), C1)
    assert [product for product, _ in got] == sorted(expected, key=expected.get, reverse=True)
    np.testing.assert_allclose([score for _, score in got], [expected[p] for p, _ in got], rtol=1e-6)
    # Because of what she buys most in the category: p2 (15/16) before p5, p3 in dairy.
    assert model.because(np.array([C1, C1, C1, C6]), np.array([P5, P6, P1, P2])).tolist() == [P2, P3, P1, -1]


def test_category_popularity_for_strangers_visits_every_shelf(shop):
    lists = CategoryPopularity(half_life_days=28).fit(shop).recommend(np.array([C6]), 10)
    # Dairy 4.75, bakery 2.9375, fruit 1: best of each, then the second of each, ...
    assert [product for product, _ in row(lists, C6)] == [P3, P2, P1, P6, P5, P4]
    np.testing.assert_allclose(lists["score"], [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6], rtol=1e-6)


# Random


def test_random_does_not_depend_on_others(shop, build_known):
    alone = build_known([], customers=[("c3", None, None)])
    expected = row(Random(seed=5).fit(shop).recommend(np.array([C3]), 10), C3)
    assert row(Random(seed=5).fit(alone).recommend(np.array([0]), 10), 0) == expected
    assert row(Random(seed=6).fit(shop).recommend(np.array([C3]), 10), C3) != expected


def test_random_is_uniform(build_known):
    products = [(f"p{n:02d}", "x", None, None, None, 1.0, True) for n in range(50)]
    customers = [(f"c{n:04d}", None, None) for n in range(2000)]
    known = build_known([], customers, products)
    first = Random(seed=1).fit(known).recommend(everybody(known), 5)["product"]
    counts = np.bincount(first, minlength=50)  # 200 expected each, standard deviation 13.4
    assert counts.min() > 145
    assert counts.max() < 255


# Repurchase


def test_repurchase(shop):
    model = Repurchase(half_life_days=28, fill_half_life_days=28).fit(shop)
    got = row(model.recommend(np.array([C1]), 10), C1)
    own = [(P2, 0.9375), (P3, 0.875), (P1, 0.25)]
    # The rest: half of the smallest own score, times popularity over the best seller's.
    fill = [(P6, 0.125 * 1.5 / 2.6875), (P4, 0.125 * 1.0625 / 2.6875), (P5, 0.125 * 0.25 / 2.6875)]
    assert got[:3] == own
    assert [product for product, _ in got[3:]] == [product for product, _ in fill]
    np.testing.assert_allclose([s for _, s in got[3:]], [s for _, s in fill], rtol=1e-6)
    assert row(model.recommend(np.array([C1]), 10, "repeat"), C1) == own
    assert len(model.recommend(np.array([C6]), 10, "repeat")) == 0
    assert [p for p, _ in row(model.recommend(np.array([C6]), 10), C6)] == [P2, P3, P6, P4, P1, P5]
    assert model.because(np.array([C1, C1]), np.array([P2, P6])).tolist() == [P2, -1]


# Rules


def mlxtend_rules(known, max_products=200):
    """mlxtend's apriori and association_rules on the same baskets, single products on each side."""
    from mlxtend.frequent_patterns import apriori, association_rules

    baskets = known.baskets(max_products)
    frame = pd.DataFrame(baskets[np.diff(baskets.indptr) > 0].toarray() > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlxtend divides by zero for conviction at confidence 1
        itemsets = apriori(frame, min_support=1e-9, max_len=3)
        rules = association_rules(itemsets, metric="support", min_threshold=0.0)
    rules = rules[(rules["consequents"].map(len) == 1) & (rules["support"] > 0)].copy()
    rules["antecedents"] = [tuple(sorted(items)) for items in rules["antecedents"]]
    rules["consequent"] = [next(iter(items)) for items in rules["consequents"]]
    rules["conviction"] = rules["conviction"].replace(np.inf, np.nan)
    return rules, len(frame)


@pytest.mark.parametrize("name", ["shop", "random_shop"])
def test_pair_rules_equal_mlxtend(request, name):
    known = request.getfixturevalue(name)
    ours = AssociationRules(min_baskets=1, min_confidence=0).fit(known).pair_rules()
    theirs, total = mlxtend_rules(known)
    theirs = theirs[theirs["antecedents"].map(len) == 1].copy()
    theirs["antecedent"] = [items[0] for items in theirs["antecedents"]]
    theirs = theirs.sort_values(["antecedent", "consequent"], ignore_index=True)
    assert ours["antecedent"].tolist() == theirs["antecedent"].tolist()
    assert ours["consequent"].tolist() == theirs["consequent"].tolist()
    assert ours["baskets"].tolist() == (theirs["support"] * total).round().astype(int).tolist()
    assert ours["antecedent_baskets"].tolist() == (theirs["antecedent support"] * total).round().tolist()
    assert ours["consequent_baskets"].tolist() == (theirs["consequent support"] * total).round().tolist()
    assert set(ours["total_baskets"]) == {total}
    np.testing.assert_allclose(ours[RULE_COLUMNS], theirs[RULE_COLUMNS], rtol=1e-12, atol=1e-12)


def test_itemset_rules_equal_mlxtend(random_shop):
    model = AssociationRules(min_baskets=2, min_confidence=0).fit(random_shop)
    ours = model.itemset_rules(max_pairs=10**6)
    theirs, total = mlxtend_rules(random_shop)
    theirs = theirs[(theirs["antecedents"].map(len) == 2) & ((theirs["support"] * total).round() >= 2)]
    theirs = theirs.sort_values(["antecedents", "consequent"], ignore_index=True)
    assert len(ours) > 100
    assert ours["antecedents"].tolist() == theirs["antecedents"].tolist()
    assert ours["consequent"].tolist() == theirs["consequent"].tolist()
    np.testing.assert_allclose(ours[RULE_COLUMNS], theirs[RULE_COLUMNS], rtol=1e-12, atol=1e-12)


def test_pair_rule_by_hand(shop):
    rules = AssociationRules(min_baskets=1, min_confidence=0).fit(shop).pair_rules()
    rule = rules[(rules["antecedent"] == P2) & (rules["consequent"] == P3)].iloc[0]
    # Bread in 8 of 15 orders, butter in 8, both in 5 (o02, o03, o04, o07, o15).
    counts = ["baskets", "antecedent_baskets", "consequent_baskets", "total_baskets"]
    assert rule[counts].tolist() == [5, 8, 8, 15]
    np.testing.assert_allclose(
        rule[RULE_COLUMNS].tolist(),
        [5 / 15, 5 / 8, (5 / 8) / (8 / 15), 5 / 15 - 64 / 225, (7 / 15) / (3 / 8)],
    )
    certain = rules[(rules["antecedent"] == P5) & (rules["consequent"] == P2)].iloc[0]
    assert certain["confidence"] == 1
    assert np.isnan(certain["conviction"])


def held_by_basket(known):
    """By brute force: the products of every (customer, basket)."""
    held = {}
    bought = known.purchased
    for customer, basket, product in zip(
        known.events.customer[bought], known.events.basket[bought], known.events.product[bought], strict=True
    ):
        held.setdefault((int(customer), int(basket)), set()).add(int(product))
    return held


def owners_of(held, products):
    """The customers of the baskets that hold all of these products."""
    return {customer for (customer, _), items in held.items() if set(products) <= items}


@pytest.mark.parametrize("block", [50, 20_000_000])
def test_rules_count_the_people_they_rest_on(random_shop, monkeypatch, block):
    monkeypatch.setattr("recs_assets.recommenders.association.BLOCK_PRODUCTS", block)
    model = AssociationRules(min_baskets=2, min_confidence=0).fit(random_shop)
    rules, held = model.pair_rules(), held_by_basket(random_shop)
    expected = [len(owners_of(held, pair)) for pair in rules[["antecedent", "consequent"]].to_numpy()]
    assert model.pair_customers().tolist() == expected
    assert (np.array(expected) < rules["baskets"]).any()
    longer = model.itemset_rules(max_pairs=10**6)
    rests_on = zip(longer["antecedents"], longer["consequent"], strict=True)
    people = [len(owners_of(held, [*left, right])) for left, right in rests_on]
    assert model.itemset_customers(longer).tolist() == people


def test_a_guest_is_somebody_of_their_own(build_known):
    orders = [("o1", "c0", 1, ["p0", "p1"]), ("o2", "c0", 2, ["p0", "p1"]), ("o3", None, 3, ["p0", "p1"])]
    products = [(f"p{n}", "x", None, None, None, 1.0, True) for n in range(2)]
    known = build_known(orders, [("c0", None, None)], products)
    model = AssociationRules(min_baskets=1, min_confidence=0).fit(known)
    assert model.pair_rules()["baskets"].tolist() == [3, 3]
    assert model.pair_customers().tolist() == [2, 2]


def test_chance_of_a_rule_equals_fishers_exact_test(shop):
    from scipy.stats import false_discovery_control, fisher_exact

    rules = AssociationRules(min_baskets=1, min_confidence=0).fit(shop).pair_rules()
    expected = [
        fisher_exact([[both, left - both], [right - both, 15 - left - right + both]], "greater").pvalue
        for both, left, right in rules[["baskets", "antecedent_baskets", "consequent_baskets"]].to_numpy()
    ]
    np.testing.assert_allclose(rules["p_value"], expected, rtol=1e-9)
    # Six products were sold; pairs that never met were looked at, too.
    missing = np.ones(6 * 5 - len(rules))
    np.testing.assert_allclose(
        rules["p_adjusted"], false_discovery_control(np.r_[expected, missing])[: len(rules)], rtol=1e-9
    )
    bread_butter = rules[(rules["antecedent"] == P2) & (rules["consequent"] == P3)].iloc[0]
    assert bread_butter["lift_shrunk"] == pytest.approx((5 + 10) / (64 / 15 + 10))


def test_no_rule_above_support(shop):
    model = AssociationRules(min_baskets=6).fit(shop)
    rules = model.pair_rules()
    assert len(rules) == 0
    assert {"antecedent", "consequent", "baskets", *RULE_COLUMNS} <= set(rules.columns)
    assert model.pair_customers().tolist() == []
    assert len(model.itemset_rules()) == 0
    assert len(model.neighbours(5)) == 0
    assert len(model.recommend(everybody(shop), 5)) == 0


def test_itemset_rules_respect_their_bound(random_shop):
    model = AssociationRules(min_baskets=2, min_confidence=0).fit(random_shop)
    everything = model.itemset_rules(max_pairs=10**6)
    few = model.itemset_rules(max_pairs=40)
    assert 0 < len(few) < len(everything)
    merged = few.merge(everything, on=["antecedents", "consequent"], suffixes=("", "_all"))
    assert len(merged) == len(few)
    assert (merged["baskets"] == merged["baskets_all"]).all()


def test_oversized_baskets_are_dropped_and_counted(shop):
    model = AssociationRules(min_baskets=1, max_basket_products=2).fit(shop)
    assert (model.total_baskets_, model.dropped_baskets_) == (13, 2)  # o03 and o15 hold three products
    rules = model.pair_rules().set_index(["antecedent", "consequent"])
    assert rules.loc[(P2, P3), "baskets"] == 3


def test_rules_score_by_confidence_and_recency(shop):
    model = AssociationRules(min_baskets=1, min_confidence=0, half_life_days=28).fit(shop)
    # c5 bought p2, p3 and p6 28 days ago (weight 1/2 each). p4 meets p3 in 2 of 8 orders of p3 and
    # p6 in 1 of 3 orders of p6; it never met p2.
    got = dict(row(model.recommend(np.array([C5]), 10), C5))
    assert got[P4] == pytest.approx(0.5 * 2 / 8 + 0.5 * 1 / 3)
    assert model.because(np.array([C5]), np.array([P4])).tolist() == [P6]


def test_rules_blocks_change_nothing(random_shop, monkeypatch):
    whole = AssociationRules(min_baskets=1).fit(random_shop).pair_rules()
    monkeypatch.setattr("recs_assets.recommenders.association.BLOCK_PRODUCTS", 50)
    pd.testing.assert_frame_equal(AssociationRules(min_baskets=1).fit(random_shop).pair_rules(), whole)


def test_bought_together(shop):
    found = AssociationRules(min_baskets=2, min_confidence=0).fit(shop).neighbours(5)
    # Pairs in two orders or more: p2-p3 (5 of 8 and 8), p3-p4 (2 of 8 and 4, expected 32/15: no more
    # than chance) . Score: (5 - 8 * 8 / 15) / (8 + 10).
    assert found["product"].tolist() == [P2, P3]
    assert found["neighbour"].tolist() == [P3, P2]
    assert found["rank"].tolist() == [1, 1]
    assert found["baskets"].tolist() == [5, 5]
    np.testing.assert_allclose(found["score"], [(5 - 64 / 15) / 18] * 2, rtol=1e-6)
    np.testing.assert_allclose(found["lift"], [5 / 8 / (8 / 15)] * 2)
    old = AssociationRules(min_baskets=2).fit(shop).neighbours(5, sold_within_weeks=3)
    assert len(old) == 0  # nothing was sold in the last 21 days


# Item-kNN


def brute_similarity(signal, weighting, k1, b):
    """Inner products of the weighted columns of dense customers x products signals."""
    sold = np.flatnonzero(signal.any(axis=0))
    x = signal[:, sold].T.astype(np.float64)  # products x customers
    if weighting == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    else:
        idf = np.log(len(sold)) - np.log1p((x > 0).sum(axis=0))
        length = 1 - b + b * x.sum(axis=1, keepdims=True) / x.sum(axis=1).mean()
        x = x * (k1 + 1) / (k1 * length + x) * idf
    full = np.zeros((signal.shape[1],) * 2)
    full[np.ix_(sold, sold)] = x @ x.T
    return full


@pytest.mark.parametrize("weighting", ["bm25", "cosine"])
def test_item_knn_equals_brute_force(random_shop, weighting):
    model = ItemKNN(neighbours=60, weighting=weighting, k1=1.2, b=0.3, half_life_days=30).fit(random_shop)
    similarity = brute_similarity(random_shop.signal().toarray(), weighting, 1.2, 0.3)
    weights = random_shop.signal(30).toarray().astype(np.float64)
    expected = weights @ similarity
    lists = model.recommend(everybody(random_shop), 60)
    np.testing.assert_allclose(
        lists["score"], expected[lists["customer"], lists["product"]], rtol=1e-5, atol=1e-7
    )
    candidates = (expected > 1e-9) & random_shop.available
    assert len(lists) == candidates.sum()
    # The explanation is the largest term, ties to the smaller code.
    terms = weights[lists["customer"]] * similarity[:, lists["product"]].T
    because = model.because(lists["customer"].to_numpy(), lists["product"].to_numpy())
    chosen = terms[np.arange(len(lists)), because]
    np.testing.assert_allclose(chosen, terms.max(axis=1), rtol=1e-6)


def test_item_knn_keeps_the_nearest_only(random_shop):
    similarity = brute_similarity(random_shop.signal().toarray(), "cosine", 0, 0)
    kept = ItemKNN(neighbours=5, weighting="cosine").fit(random_shop).similarity_.toarray()
    for product in np.flatnonzero(similarity.any(axis=1)):
        largest = np.sort(similarity[product])[::-1][:5]
        np.testing.assert_allclose(np.sort(kept[product])[::-1][:5], largest, rtol=1e-6)
        assert (kept[product] > 0).sum() <= 5


def test_item_knn_unknown_weighting(shop):
    with pytest.raises(ValueError, match="weighting is 'tfidf'"):
        ItemKNN(weighting="tfidf").fit(shop)


def test_item_knn_limits_what_one_customer_teaches(shop):
    model = ItemKNN(weighting="cosine", max_history=1).fit(shop)
    # Each customer teaches her strongest product only (c1 p2, c2 p2, c3 p1, c4 p4, c5 p2).
    assert model.similarity_.nnz == 3
    assert model.similarity_.diagonal()[[P1, P2, P4]].tolist() == pytest.approx([1, 1, 1])


# ALS


def test_als_customers_solve_their_equations(random_shop):
    model = ALS(factors=8, iterations=5, alpha=3.0, regularization=2.0, half_life_days=60, seed=1)
    model.fit(random_shop)
    confidence = 1 + 3 * np.log1p(random_shop.signal(60).toarray().astype(np.float64))
    confidence[random_shop.signal(60).toarray() == 0] = 0
    y = np.nan_to_num(model.product_factors_.astype(np.float64))
    lists = model.recommend(everybody(random_shop), 5)
    because = model.because(lists["customer"].to_numpy(), lists["product"].to_numpy())
    for entry, reason in zip(lists.itertuples(index=False), because, strict=True):
        c = confidence[entry.customer]
        normal = y.T @ y + 2 * np.eye(8) + (y * np.maximum(c - 1, 0)[:, None]).T @ y
        terms = c * (y @ np.linalg.solve(normal, y[entry.product]))
        assert entry.score == pytest.approx(terms.sum(), abs=2e-4)
        assert terms[reason] == pytest.approx(terms.max(), rel=1e-4)


def test_als_reports_progress(shop):
    seen = []
    ALS(factors=2, iterations=4, progress=seen.append).fit(shop)
    assert seen == [0.25, 0.5, 0.75, 1.0]


def test_als_says_nothing_without_signal(shop):
    lists = ALS(factors=4).fit(shop).recommend(everybody(shop), 10)
    assert not (lists["customer"] == C6).any()
    assert not (lists["product"] == P8).any()


# Content


def brute_tfidf(products):
    """Dense TF-IDF with scikit-learn's formula: (1 + ln tf) * (1 + ln((1 + n) / (1 + df))), unit length."""
    documents = []
    for product in products.itertuples(index=False):
        words = [word for word in product.name.lower().split() if len(word) > 1]
        facets = [("brand", product.brand), ("category", product.category), ("vertical", product.vertical)]
        words += [facet for facet in facets if isinstance(facet[1], str)]
        documents.append([*words, ("band", int(np.floor(np.log2(product.price))))])
    vocabulary = sorted({word for document in documents for word in document}, key=str)
    counts = np.array([[document.count(word) for word in vocabulary] for document in documents], dtype=float)
    idf = 1 + np.log((1 + len(documents)) / (1 + (counts > 0).sum(axis=0)))
    weighted = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) * idf
    return weighted / np.linalg.norm(weighted, axis=1, keepdims=True)


@pytest.mark.parametrize("name", ["shop", "random_shop"])
def test_content_equals_brute_force(request, name):
    known = request.getfixturevalue(name)
    model = Content(popularity_power=0, half_life_days=28).fit(known)
    vectors = brute_tfidf(known.products)
    weights = known.signal(28).toarray().astype(np.float64)
    profile = weights @ vectors
    lists = model.recommend(everybody(known), 100)
    length = np.linalg.norm(profile, axis=1)[lists["customer"]]
    cosine = (profile[lists["customer"]] * vectors[lists["product"]]).sum(axis=1) / length
    np.testing.assert_allclose(lists["score"], cosine, atol=2e-6)
    terms = weights[lists["customer"]] * (vectors @ vectors[lists["product"]].T).T
    because = model.because(lists["customer"].to_numpy(), lists["product"].to_numpy())
    np.testing.assert_allclose(terms[np.arange(len(lists)), because], terms.max(axis=1), rtol=1e-5)


def test_content_popularity_power(shop):
    plain, tilted = (
        Content(popularity_power=power, popularity_half_life_days=28).fit(shop).recommend(np.array([C1]), 10)
        for power in (0.0, 1.0)
    )
    plain, tilted = dict(row(plain, C1)), dict(row(tilted, C1))
    assert tilted[P2] == pytest.approx(plain[P2] * (1 + 2.6875), rel=1e-5)
    assert tilted[P8] == pytest.approx(plain[P8], rel=1e-5)  # never sold: factor 1


def test_similar_products(shop):
    found = Content().fit(shop).neighbours(3)
    vectors = brute_tfidf(shop.products)
    cosine = np.round(vectors @ vectors.T, 4)
    assert not (found["product"] == found["neighbour"]).any()
    assert not found["neighbour"].isin([P7, P8]).any()  # not available; not sold in 26 weeks
    np.testing.assert_allclose(found["score"], cosine[found["product"], found["neighbour"]], atol=1.1e-4)
    best = found[found["rank"] == 1].set_index("product")["neighbour"]
    assert best[P2] == P5  # the other bread of the same mill
    assert best[P4] == P3  # the other product of the same dairy
    only = Content().fit(shop).neighbours(3, products=np.array([P8]))
    assert only["neighbour"].tolist()[0] == P1  # green apples: red apples
    assert set(only["product"]) == {P8}


def test_twins_are_ordered_by_popularity_then_code(build_known):
    products = [(f"p{n}", "same thing", "b", "c", "v", 1.0, True) for n in range(6)]
    known = build_known(
        [("o1", "c1", 5, ["p4", "p1"]), ("o2", "c2", 5, ["p4", "p0"]), ("o3", "c3", 5, ["p2"])],
        products=products,
    )
    found = Content().fit(known).neighbours(2)
    # Sold: p4 twice; p0, p1, p2 once.
    assert found.groupby("product")["neighbour"].agg(list).to_dict() == {
        0: [4, 1], 1: [4, 0], 2: [4, 0], 4: [0, 1],
    }  # fmt: skip
    assert set(found["score"]) == {1.0}


def test_similar_products_without_reduction_equal_reduced_order(random_shop):
    exact = Content(dimensions=128).fit(random_shop).neighbours(5)
    reduced = Content(dimensions=30).fit(random_shop).neighbours(5)
    shared = exact.merge(reduced, on=["product", "neighbour"])
    assert (shared["score_x"] == shared["score_y"]).all()  # the exact cosine either way
    assert len(shared) > 0.9 * len(exact)


# LightFM


def test_lightfm_knows_strangers_by_their_features(build_known):
    # Young ones buy toys, old ones tea; c8 and c9 never bought, t9 and z9 never sold.
    customers = [(f"c{n}", "young" if n % 2 else "old", None) for n in range(10)]
    products = [(f"t{n}", "tea", None, "tea", None, 1.0, True) for n in range(10)]
    products += [(f"z{n}", "toy", None, "toy", None, 1.0, True) for n in range(10)]
    orders = [
        (f"o{customer}-{n}", f"c{customer}", 10 + n, [f"{'z' if customer % 2 else 't'}{n}"])
        for customer, n in itertools.product(range(8), range(9))
    ]
    known = build_known(orders, customers, products)
    lists = LightFMWarp(dimensions=4, epochs=30, seed=3).fit(known).recommend(np.array([8, 9]), 5)
    assert (lists.loc[lists["customer"] == 8, "product"] < 10).all()
    assert (lists.loc[lists["customer"] == 9, "product"] >= 10).all()
    full = LightFMWarp(dimensions=4, epochs=30, seed=3).fit(known).recommend(np.array([9]), 20)
    place = full.set_index("product")["rank"]
    assert place[19] <= 10  # the toy nobody bought stands among the toys
    assert place[9] > 10


def test_lightfm_progress_and_bounded_pairs(random_shop):
    seen = []
    model = LightFMWarp(epochs=2, max_pairs=100, progress=seen.append)
    assert seen == []
    model.fit(random_shop)
    assert seen == [0.5, 1.0]
    taught = model._select_pairs(random_shop)
    assert taught.nnz <= 100
    assert np.diff(taught.indptr).max() == 2  # 38 customers with history, two strongest pairs each


# User-kNN


def test_user_knn_equals_brute_force(random_shop):
    model = UserKNN(neighbours=40, own_share=0.7, half_life_days=60).fit(random_shop)
    f = random_shop.frequency(60).toarray().astype(np.float64)
    telling = f[:, (f > 0).sum(axis=0) > 1]
    length = np.linalg.norm(telling, axis=1, keepdims=True)
    unit = telling / np.where(length > 0, length, 1)
    s = unit @ unit.T
    np.fill_diagonal(s, 0)
    total = s.sum(axis=1, keepdims=True)
    expected = 0.7 * f + 0.3 * (s / np.where(total > 0, total, 1)) @ f
    lists = model.recommend(everybody(random_shop), 60)
    np.testing.assert_allclose(lists["score"], expected[lists["customer"], lists["product"]], rtol=1e-5)
    assert len(lists) == ((expected > 0) & random_shop.available).sum()


def test_user_knn_bounds_its_work(random_shop):
    lists = UserKNN(max_work=0).fit(random_shop)
    assert lists.similar_.nnz == 0
    own = lists.recommend(everybody(random_shop), 60)
    repeat = lists.recommend(everybody(random_shop), 60, "repeat")
    assert len(own) == len(repeat)


# Shared machinery


def test_strongest_ties_go_to_the_smaller_product():
    from scipy import sparse

    weights = sparse.csr_matrix(np.array([[0, 2, 1, 2], [0, 0, 0, 0]], dtype=np.float32))
    affinity = sparse.csr_matrix(np.array([[9, 1, 1, 1], [9, 1, 2, 0], [0, 0, 0, -1]], dtype=np.float32))
    customers, products = np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0])
    for block in (1, 1000):
        assert find_strongest(weights, affinity, customers, products, block).tolist() == [1, 1, -1, -1]


def test_strongest_factor_batches_change_nothing(monkeypatch):
    from scipy import sparse

    rng = np.random.default_rng(1)
    weights = sparse.random(30, 50, 0.2, format="csr", random_state=2, dtype=np.float32)
    vectors = rng.normal(size=(50, 6))
    customers, products = rng.integers(0, 30, 200), rng.integers(0, 50, 200)
    whole = find_strongest_factor(weights, vectors, customers, products)
    terms = weights.toarray()[customers] * (vectors @ vectors[products].T).T
    expected = np.where(terms.max(axis=1) > 0, terms.argmax(axis=1), -1)
    np.testing.assert_array_equal(whole, expected)
    monkeypatch.setattr("recs_assets.recommenders.because.BATCH_VALUES", 100)
    np.testing.assert_array_equal(find_strongest_factor(weights, vectors, customers, products), whole)
