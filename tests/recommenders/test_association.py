"""Association rules against mlxtend, and against values counted by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from helpers.recommenders import C5, P2, P3, P4, P5, P6, everybody, list_scores
from recs_assets.recommenders.association import AssociationRules

RULE_COLUMNS = ["support", "confidence", "lift", "leverage", "conviction"]


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


def group_by_basket(known):
    """By brute force: the products of every (customer, basket)."""
    held = {}
    bought = known.purchased
    for customer, basket, product in zip(
        known.events.customer[bought], known.events.basket[bought], known.events.product[bought], strict=True
    ):
        held.setdefault((int(customer), int(basket)), set()).add(int(product))
    return held


def find_owners(held, products):
    """The customers of the baskets that hold all of these products."""
    return {customer for (customer, _), items in held.items() if set(products) <= items}


@pytest.mark.parametrize("block", [50, 20_000_000])
def test_rules_count_the_people_they_rest_on(random_shop, monkeypatch, block):
    monkeypatch.setattr("recs_assets.recommenders.association.BLOCK_PRODUCTS", block)
    model = AssociationRules(min_baskets=2, min_confidence=0).fit(random_shop)
    rules, held = model.pair_rules(), group_by_basket(random_shop)
    expected = [len(find_owners(held, pair)) for pair in rules[["antecedent", "consequent"]].to_numpy()]
    assert model.pair_customers().tolist() == expected
    assert (np.array(expected) < rules["baskets"]).any()
    longer = model.itemset_rules(max_pairs=10**6)
    rests_on = zip(longer["antecedents"], longer["consequent"], strict=True)
    people = [len(find_owners(held, [*left, right])) for left, right in rests_on]
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
    got = dict(list_scores(model.recommend(np.array([C5]), 10), C5))
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
