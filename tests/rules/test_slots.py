"""Diversity, discovery, reserves, and the order in which slots stand."""

import numpy as np
import pytest
from scipy import sparse

from helpers.rules import TASTES, N, floats, lists, make_known, make_rules, score_lists, sent
from recs_assets.rules.config import Pin, Slots
from recs_assets.rules.context import Context
from recs_assets.rules.pipeline import select


def test_slots_stand_by_score_within_their_type():
    # Diversity chooses p0, then p2, since p1 and p0 are alike, then p1; they stand by score.
    factors = np.array([[2, 0], [1, 0], [0, 1], *[[0, 0]] * 3], dtype=np.float32)
    candidates = score_lists({0: [0, 1, 2]}).assign(score=np.float32([1, 0.6, 0.2]))
    rows = select(candidates, Context(make_known(), factors=factors), make_rules(mmr_lambda=0.5, k=3)).rows
    assert rows["product"].tolist() == [0, 1, 2]
    assert rows["score"].tolist() == [1, np.float32(0.6), np.float32(0.2)]
    # Ties by product.
    tied = score_lists({0: [2, 1, 0]}).assign(score=np.float32(1))
    assert lists(select(tied, Context(make_known(), factors=factors), make_rules(mmr_lambda=0.5, k=3))) == {
        0: [0, 1, 2]
    }


def test_slots_are_filled_by_probability_or_by_the_models_own_order():
    candidates = score_lists({0: [0, 1, 2]}).assign(
        score=np.float32([3, 2, 1]), p_purchase=np.float32([0.1, 0.2, 0.9])
    )
    assert lists(select(candidates, Context(make_known()), make_rules(k=1))) == {0: [2]}
    own = make_rules(k=1, order_by="score")
    assert lists(select(candidates, Context(make_known()), own)) == {0: [0]}
    # What a rule takes out leaves its place to the next of the same order.
    assert lists(select(candidates, Context(make_known(unavailable={0})), own)) == {0: [1]}


def test_reserves_are_what_would_come_next():
    # k = 2 of A, A, B: p2 (A) may stand only where an A is gone, p3 (B) beside both.
    known = make_known(categories=["A", "A", "A", "B", "B", None])
    rules = make_rules(max_per_category=2, min_stock=3)
    context = Context(known, stock=floats(rest=9))
    after = select(score_lists({0: range(6)}), context, rules, reserves=3).reserves
    assert after["slot"].tolist() == [1, 2, 3, 4, 5]
    assert after["product"].tolist() == [0, 1, 3, 4, 5]
    assert after["max_per_category"].tolist() == [0, 0, 1, 1, -1]
    assert after["max_per_category_most"].tolist() == [2] * 5
    assert after["min_stock"].tolist() == [3] * 5
    assert after["slot_type"].tolist() == ["personal"] * 5
    # Where every other category is used up, what the limit allows once its own product is gone.
    known = make_known(categories=["A", "B", "A", "B", None, None], unavailable={4, 5})
    after = select(
        score_lists({0: range(4)}), Context(known), make_rules(max_per_category=1), reserves=3
    ).reserves
    assert after["product"].tolist() == [0, 1, 2, 3]
    # Without candidates from the ladder, where there is one.
    known = make_known([(0, product, 30 + product) for product in range(4)])
    after = select(score_lists({}), Context(known), make_rules(ladder=("global",)), reserves=1).reserves
    assert after[["product", "source", "fallback_level"]].to_numpy().tolist() == [
        [0, "popularity", "global"], [1, "popularity", "global"], [2, "popularity", "global"],
    ]  # fmt: skip
    assert select(score_lists({}), Context(known), make_rules()).reserves is None


# -- diversity -----------------------------------------------------------------------------------


# Relevance of p0, p1, p2 with scores 1, 0.6, 0.2: 1, 0.5, 0. p0 and p1 are the same thing.
@pytest.mark.parametrize(("weight", "expected"), [(0.5, [0, 2]), (0.9, [0, 1]), (1.0, [0, 1])])
@pytest.mark.parametrize("by", ["content", "copurchase", "both"])
def test_diversity(weight, expected, by):
    facts = {}
    if by != "copurchase":
        facts["factors"] = np.array([[2, 0], [1, 0], [0, 1], *[[0, 0]] * 3], dtype=np.float32)
    if by != "content":
        facts["copurchase"] = sparse.csr_matrix(([1.0, 1.0], ([0, 1], [1, 0])), shape=(N, N))
    candidates = score_lists({0: [0, 1, 2]}).assign(score=np.float32([1, 0.6, 0.2]))
    context = Context(make_known(), **facts)
    # 0.5: p1 is worth 0.5 * 0.5 - 0.5 * 1 = -0.25 then, p2 0; 0.9: 0.45 - 0.1 = 0.35.
    assert lists(select(candidates, context, make_rules(mmr_lambda=weight))) == {0: expected}


def test_diversity_looks_at_pinned_products():
    factors = np.array([[1, 0], [0, 1], [0, 0], [0, 0], [0, 0], [1, 0]], dtype=np.float32)
    rules = make_rules(mmr_lambda=0.5, pinned=(Pin(product="p005", slot=1),))
    candidates = score_lists({0: [0, 1]}).assign(score=np.float32([1, 0.8]))
    # Alone p0 leads; beside the pinned p5, which it equals, it is worth 0.5 - 0.5, and p1 0: p0 is first cell.
    assert lists(select(candidates, Context(make_known(), factors=factors), rules)) == {0: [5, 0]}
    candidates = score_lists({0: [0, 1, 2]}).assign(score=np.float32([1, 0.8, 0]))
    # Now p1 is worth 0.4.
    assert lists(select(candidates, Context(make_known(), factors=factors), rules)) == {0: [5, 1]}


# -- discovery -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p_purchase", "changes", "expected"),
    [
        # p1 is the least probable of the list, and p4 the likeliest of a new category: half as probable is enough.
        ([0.5, 0.4, 0.3, 0.1, 0.2, 0.05], {"discovery_floor": 0.5}, ([0, 4], ["personal", "discovery"])),
        ([0.5, 0.4, 0.3, 0.1, 0.19, 0.05], {"discovery_floor": 0.5}, ([0, 1], ["personal"] * 2)),
        ([0.5, 0.4, 0.3, 0.1, 0.2, 0.05], {"discovery_floor": 0, "discovery_share": 1}, ([4, 3], ["discovery"] * 2)),
        ([0.5, 0.4, 0.3, 0.1, 0.2, 0.05], {"discovery_share": 0}, ([0, 1], ["personal"] * 2)),
        # What is of a new category by its own merit leaves nothing to discover.
        ([0.5, 0.1, 0.1, 0.1, 0.4, 0.3], {"discovery_floor": 0}, ([0, 4], ["personal"] * 2)),
    ],
)  # fmt: skip
def test_discovery(p_purchase, changes, expected):
    candidates = score_lists({0: range(N)}, p_purchase).assign(score=np.float32(p_purchase))
    rules = make_rules(**{"discovery_share": 0.5} | changes)
    selection = select(candidates, Context(make_known(**TASTES)), rules, [0])
    assert (selection.rows["product"].tolist(), selection.rows["slot_type"].tolist()) == expected
    assert selection.rows["source"].tolist() == ["als"] * 2
    assert lists(select(candidates, Context(make_known(**TASTES)), rules, [0], ("discovery",)))[0][0] == 0


def test_discovery_without_probabilities_goes_by_score():
    rules = make_rules(k=3, discovery_share=0.34)
    selection = select(score_lists({0: [0, 1, 2, 3, 4]}), Context(make_known(**TASTES)), rules, [0])
    assert lists(selection) == {0: [0, 1, 3]}
    assert selection.rows["slot_type"].tolist() == ["personal", "personal", "discovery"]


def test_who_bought_nothing_has_nothing_to_discover():
    rules = make_rules(discovery_share=1)
    selection = select(score_lists({3: range(N)}), Context(make_known(**TASTES)), rules, [3])
    assert selection.rows["slot_type"].tolist() == ["personal"] * 2


def test_discovery_turns_to_what_was_not_sent_yet():
    candidates = score_lists({0: range(N)}, [0.5, 0.4, 0.3, 0.1, 0.2, 0.05])
    rules = make_rules(discovery_share=0.5, discovery_floor=0)
    context = Context(make_known(**TASTES), sends=sent((0, 4, 7)))
    # Of B the next product, p5, is less probable than p3.
    assert lists(select(candidates, context, rules, [0])) == {0: [0, 3]}
    looked = make_known(**TASTES, events=[(0, 4, 2, "view")])
    assert lists(select(candidates, Context(looked, sends=sent((0, 4, 7))), rules, [0])) == {0: [0, 4]}


def test_discovery_keeps_the_limits():
    # p4 would be next, but p1 has its brand, and only the exchange with p1 itself is allowed.
    known = make_known(**TASTES, brands=["x", "y", "z", "q", "y", "r"])
    candidates = score_lists({0: range(N)}, [0.5, 0.4, 0.3, 0.1, 0.2, 0.05])
    rules = make_rules(k=3, discovery_share=0.34, discovery_floor=0, max_per_brand=1)
    assert lists(select(candidates, Context(known), rules, [0])) == {0: [0, 2, 4]}


def test_content_clusters_stand_for_categories_where_there_are_none():
    """Two kinds of text, three products each: p3 to p5 are unlike what c0 bought."""
    factors = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.2, 1]], dtype=np.float32)
    context = Context(make_known([(0, 0, 30)]), factors=factors)
    assert len(set(context.shelf[:3])) == len(set(context.shelf[3:])) == 1
    assert context.shelf[0] != context.shelf[3]
    rules = make_rules(discovery_share=0.5)
    selection = select(score_lists({0: [0, 1, 2, 4, 3]}), context, rules)
    assert lists(selection) == {0: [0, 4]}
    assert selection.rows["slot_type"].tolist() == ["personal", "discovery"]


@pytest.mark.parametrize(
    ("share", "k", "slots"),
    [(0.2, 12, 2), (0.2, 5, 1), (0.2, 2, 0), (0.25, 10, 3), (0.7, 5, 4), (0, 12, 0), (1, 3, 3)],
)
def test_discovery_slots_round_to_the_nearest_halves_up(share, k, slots):
    assert Slots(discovery_share=share, k=k).discovery_slots == slots
