"""EASE, transition, new arrivals, recently viewed and segment popularity against hand counts and brute-force numpy.

The shop is the one at the top of tests/conftest.py; p1 is code 0, c1 is code 0.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from helpers.recommenders import C1, C2, C3, C4, C5, P1, P2, P3, P4, P5, P6, P7, P8, everybody, list_scores
from recs_assets.recommenders.ease import EASE, learn_weights
from recs_assets.recommenders.graph_filter import GraphFilter
from recs_assets.recommenders.new_arrivals import NewArrivals, mark_new
from recs_assets.recommenders.recently_viewed import RecentlyViewed
from recs_assets.recommenders.segment_popularity import SegmentPopularity, number_groups
from recs_assets.recommenders.transition import Transition

# Graph filter


def test_graph_filter_of_two_products(build_known):
    # p1 and p2 by c1, p1 by c2, all just now but for the half-life. A = [[1/2, 1/sqrt 2], [1/sqrt 2, 0]] (p1 has
    # two customers, c1 two products); x of c2 = [1, 0]: A'A[p1] = [3/4, 1/(2 sqrt 2)].
    known = build_known([("o1", "c1", 1, ["p1", "p2"]), ("o2", "c2", 1, ["p1"])])
    model = GraphFilter(smooth=0, half_life_days=1e9).fit(known)
    np.testing.assert_allclose(
        [score for _, score in list_scores(model.recommend(everybody(known), 5), C2)],
        [3 / 4, 1 / (2 * 2**0.5)],
        rtol=1e-6,
    )


def test_graph_filter_equals_brute_force(random_shop):
    model = GraphFilter(factors=20, smooth=0.7, popularity_power=0.25, half_life_days=60).fit(random_shop)
    binary = (random_shop.history.toarray() > 0).astype(np.float64)
    breadth, degree = (np.sqrt(binary.sum(axis=axis)) for axis in (1, 0))
    normal = binary / np.maximum(breadth, 1)[:, None] / np.maximum(degree, 1)
    vectors = np.linalg.svd(normal)[2][:20].T
    age = random_shop.anchor_day - random_shop.last_bought.toarray()
    x = np.where(binary > 0, 0.5 ** (age / 60), 0)
    smooth = (x / np.maximum(degree, 1)) @ vectors @ vectors.T * degree
    expected = (x @ normal.T @ normal + 0.7 * smooth) * np.sqrt(degree)
    lists = model.recommend(everybody(random_shop), 100)
    assert len(lists) > 1000
    np.testing.assert_allclose(
        lists["score"], expected[lists["customer"], lists["product"]], rtol=1e-3, atol=1e-4
    )
    # What is named contributes most.
    because = model.because(lists["customer"].to_numpy(), lists["product"].to_numpy())
    gram = normal.T @ normal + 0.7 * (vectors @ vectors.T) * degree / np.maximum(degree, 1)[:, None]
    terms = x[lists["customer"]] * gram.T[lists["product"]]
    found = terms[np.arange(len(lists)), because]
    np.testing.assert_allclose(found, terms.max(axis=1), rtol=1e-3, atol=1e-5)


# EASE


def brute_ease(binary, regularization):
    inverse = np.linalg.inv(binary.T @ binary + regularization * np.eye(binary.shape[1]))
    weights = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0)
    return weights  # row: evidence, column: candidate


def test_ease_weights_of_two_products(build_known):
    # p1 and p2 by c1, p1 by c2: X'X + 1 = [[3, 1], [1, 2]], its inverse [[2, -1], [-1, 3]] / 5.
    known = build_known([("o1", "c1", 3, ["p1", "p2"]), ("o2", "c2", 3, ["p1"])])
    weights = learn_weights(known.history[:, :2], 1.0)
    np.testing.assert_allclose(weights, [[0, 1 / 3], [1 / 2, 0]], rtol=1e-6)


def test_ease_equals_brute_force(random_shop):
    model = EASE(head=1000, regularization=5, half_life_days=60).fit(random_shop)
    binary = (random_shop.history.toarray() > 0).astype(np.float64)
    sold = binary.any(axis=0)
    weights = np.zeros((random_shop.n_products,) * 2)
    weights[np.ix_(sold, sold)] = brute_ease(binary[:, sold], 5)
    last = random_shop.last_bought
    age = random_shop.anchor_day - last.toarray()
    evidence = np.where(binary > 0, 0.5 ** (age / 60), 0)
    expected = evidence @ weights
    lists = model.recommend(everybody(random_shop), 100)
    np.testing.assert_allclose(
        lists["score"], expected[lists["customer"], lists["product"]], rtol=1e-3, atol=1e-6
    )
    assert len(lists) == ((expected > 1e-6) & random_shop.available).sum()
    because = model.because(lists["customer"].to_numpy(), lists["product"].to_numpy())
    terms = evidence[lists["customer"]] * weights[:, lists["product"]].T
    np.testing.assert_allclose(terms[np.arange(len(lists)), because], terms.max(axis=1), rtol=1e-3, atol=1e-6)


def test_ease_head_is_what_most_customers_bought(shop):
    # Buyers: p2 four, p3 four, p1 two, p4 two, p6 three, p5 and p7 one.
    model = EASE(head=3, regularization=1).fit(shop)
    assert model.products_.tolist() == [P2, P3, P6]
    assert set(model.recommend(everybody(shop), 10)["product"]) <= {P2, P3, P6}


def test_ease_without_regularization_says_why(build_known):
    twins = build_known([("o1", "c1", 3, ["p1", "p2"])])
    with pytest.raises(np.linalg.LinAlgError, match=r"not positive definite: regularization is 0"):
        EASE(regularization=0.0).fit(twins)


# Transition


def test_transitions_counted_by_hand(shop):
    model = Transition(half_life_days=28, memory_days=28, min_transitions=1, damping=0).fit(shop)
    # p2 -> p3: c1 at 84 days (1/8), c2 at 28 (1/2); days with p2 that another follows: c1 1/8 + 1/4 + 1/2, c2 1/2.
    # p2 -> p1: c1 at 56. p3 -> p1: c1 at 56. p3 -> p6: c4 at 28; days with p3: c1 1/4 + 1/2, c4 1/4 + 1/2.
    # p4 -> p6: c4 at 28; days with p4: c2 1/2, c4 1/4 + 1/2. What is bought on both days is no transition.
    expected = np.zeros((8, 8))
    expected[P2, P3], expected[P2, P1] = 5 / 11, 2 / 11
    expected[P3, P1], expected[P3, P6] = 1 / 6, 1 / 3
    expected[P4, P6], expected[P4, P3] = 2 / 5, 2 / 5
    expected[P4, P2] = 0  # c2 bought p2 on both days
    expected[P5, P3] = 1
    expected[P1, P6], expected[P1, P2] = 1 / 2, 1 / 2  # c3 at 28 (1/2) of c1 at 28 and c3 at 28
    expected[P7, P6], expected[P7, P2] = 1, 1
    np.testing.assert_allclose(model.transitions_.toarray(), expected, rtol=1e-6)
    lists = model.recommend(np.array([C5]), 10)
    # c5 bought p2, p3 and p6 28 days ago: weight 1/2 each.
    assert list_scores(lists, C5) == [
        (P3, pytest.approx(5 / 22)),
        (P1, pytest.approx(1 / 11 + 1 / 12)),
        (P6, pytest.approx(1 / 6)),
    ]
    assert model.because(np.array([C5, C5]), np.array([P1, P6])).tolist() == [P2, P3]


def test_transitions_are_directed(build_known):
    orders = [(f"o{n}{c}", f"c{c}", 40 - 10 * n, [product]) for c in (1, 2, 3) for n, product in enumerate(("p1", "p2"))]  # fmt: skip
    model = Transition(damping=0).fit(build_known(orders))
    assert model.transitions_[P1, P2] == pytest.approx(1)
    assert model.transitions_[P2, P1] == 0


def test_transitions_need_enough_observations(shop):
    model = Transition(half_life_days=28, min_transitions=2, damping=0).fit(shop)
    # Twice: p2 -> p3 (c1, c2), nothing else.
    assert list(zip(*(codes.tolist() for codes in model.transitions_.nonzero()), strict=True)) == [(P2, P3)]


def test_transitions_damping_and_neighbours(shop):
    model = Transition(half_life_days=28, min_transitions=1, damping=1, neighbours=1).fit(shop)
    assert model.transitions_[P2, P3] == pytest.approx(5 / 8 / (11 / 8 + 1))
    assert np.diff(model.transitions_.indptr).max() == 1


def test_transitions_pass_over_giant_days(build_known):
    orders = [
        ("o1", "c1", 30, ["p1"]),
        ("o2", "c1", 20, ["p2", "p3", "p4", "p5"]),
        ("o3", "c1", 10, ["p6"]),
    ]
    model = Transition(min_transitions=1, max_day_products=3).fit(build_known(orders))
    assert list(zip(*(codes.tolist() for codes in model.transitions_.nonzero()), strict=True)) == [(P1, P6)]


def test_transition_blocks_change_nothing(random_shop, monkeypatch):
    whole = Transition(min_transitions=1).fit(random_shop).transitions_
    monkeypatch.setattr("recs_assets.recommenders.transition.BLOCK_PRODUCTS", 50)
    np.testing.assert_array_equal(
        Transition(min_transitions=1).fit(random_shop).transitions_.toarray(), whole.toarray()
    )


# New arrivals

LATE = [
    ("o1", "c1", 100, ["p1", "p2"]),
    ("o2", "c1", 40, ["p3"]),
    ("o3", "c2", 20, ["p8"]),
    ("o4", "c2", 10, ["p5", "p1"]),
]


def test_first_sold_and_arrived(build_known):
    known = build_known(LATE)
    age = [known.anchor_day - day if day >= 0 else None for day in known.first_sold.tolist()]
    assert age == [100, 100, 40, None, 10, None, None, 20]
    assert np.flatnonzero(mark_new(known, 4)).tolist() == [P5, P8]
    assert np.flatnonzero(mark_new(known, 6)).tolist() == [P3, P5, P8]


def test_a_young_log_has_no_arrivals(build_known):
    known = build_known(LATE[2:])  # 20 days old: anything first sold since may be years old
    assert not mark_new(known, 4).any()
    assert len(NewArrivals(weeks=4).fit(known).recommend(everybody(known), 5)) == 0


def test_start_of_sale_counts_where_known(build_known):
    known = build_known(LATE)
    start = pd.Series(pd.NaT, index=known.products.index, dtype="datetime64[us]")
    start[P4] = pd.Timestamp(known.as_of) - pd.Timedelta(days=3)  # announced, not sold yet
    start[P6] = pd.Timestamp(known.as_of) + pd.Timedelta(days=1)  # starts after the anchor
    start[P1] = pd.Timestamp(known.as_of) - pd.Timedelta(days=5)  # but sold 100 days ago
    start[P5] = pd.Timestamp(known.as_of) - pd.Timedelta(days=300)  # sold late, but on sale for long
    dated = dataclasses.replace(known, products=known.products.assign(start_at=start))
    assert np.flatnonzero(mark_new(dated, 4)).tolist() == [P4, P8]


def test_new_arrivals_come_by_likeness(build_known):
    known = build_known(LATE)
    model = NewArrivals(weeks=4, popularity_power=0).fit(known)
    lists = model.recommend(np.array([C1]), 10)
    # c1 bought red apples, white bread and, latest, butter; p5 is rye bread, p8 green apples.
    assert {product for product, _ in list_scores(lists, C1)} == {P5, P8}
    words, weights = model.words_.toarray(), known.frequency(90).toarray()[C1]
    profile = weights @ words
    cosine = words @ profile / np.linalg.norm(profile)
    for product, score in list_scores(lists, C1):
        assert score == pytest.approx(cosine[product], rel=1e-5)
    assert model.because(np.array([C1, C1]), np.array([P8, P5])).tolist() == [P1, P2]
    assert model.because(np.array([C1]), np.array([P2])).tolist() == [-1]  # not new


# Recently viewed

BOUGHT = [("o1", "c1", 60, ["p1", "p2"]), ("o2", "c2", 60, ["p1", "p2"]), ("o3", "c1", 3, ["p3"])]
LOOKED = [
    ("c3", "p1", 7, "view", 0.1),
    ("c3", "p4", 14, "add_to_cart", 0.5),
    ("c3", "p6", 29, "view", 0.1),  # too long ago
    ("c1", "p3", 7, "view", 0.1),  # bought since
    ("c2", "p1", 7, "add_to_wishlist", 0.3),  # bought before: still a wish
]


def test_recently_viewed_by_hand(build_known):
    known = build_known(BOUGHT, events=LOOKED)
    model = RecentlyViewed(days=28, half_life_days=7).fit(known)
    lists = model.recommend(everybody(known), 10)
    # Columns of the signal: p1 (1, 1.3, 0.1), p2 (1, 1, 0), p3 (1.1, 0, 0).
    p1 = np.sqrt(1 + 1.3**2 + 0.1**2)
    p2, p3 = 2.3 / (p1 * np.sqrt(2)), 1 / p1
    # p4 and p6 were only looked at by c3, as p1 was: the cosine of p1 with each is 0.1 / p1.
    scores = dict(list_scores(lists, C3))
    assert scores[P2] == pytest.approx(p2 / 2, rel=1e-5)
    assert scores[P3] == pytest.approx(p3 / 2, rel=1e-5)
    assert scores[P1] == pytest.approx(1 / 2 + 3 / 4 * (0.1 / p1), rel=1e-5)
    assert scores[P4] == pytest.approx(3 / 4 + 1 / 2 * (0.1 / p1), rel=1e-5)
    assert list_scores(lists, C1) == []
    assert list_scores(lists, C2)[0] == (P1, pytest.approx(2 / 2))
    assert model.because(np.array([C3, C3]), np.array([P2, P6])).tolist() == [P1, P4]


def test_no_browsing_no_lists(shop):
    model = RecentlyViewed().fit(shop)
    assert model.similarity_.nnz == 0
    assert len(model.recommend(everybody(shop), 10)) == 0


def test_a_robot_is_capped(build_known):
    events = [("c1", f"p{n}", n, "view", 0.1) for n in range(1, 9)]
    model = RecentlyViewed(max_seeds=2).fit(build_known(BOUGHT, events=events))
    assert model.seeds_[C1].indices.tolist() == [P1, P2]  # the latest two


# Segment popularity


def in_segments(known, **traits):
    return dataclasses.replace(known, customers=known.customers[["customer_id"]].assign(**traits))


def test_strangers_get_what_their_segment_buys(build_known):
    """Yesterday c1 bought p1 and c2 p2, each in a country of its own; c3 lives in c2's and c4 in neither.
    A day's weight is w = 0.5 ** (1 / 28); shares of the whole shop are 1/2 each."""
    known = in_segments(
        build_known([("o1", "c1", 1, ["p1"]), ("o2", "c2", 1, ["p2"])]),
        country=["NL", "DE", "DE", "FR", "FR", "FR"],
    )
    weight = 0.5 ** (1 / 28)
    lists = SegmentPopularity(strength=1.0).fit(known).recommend(np.array([C3, C4]), 10)
    assert [product for product, _ in list_scores(lists, C3)] == [P2, P1]
    np.testing.assert_allclose(
        [score for _, score in list_scores(lists, C3)],
        [(weight + 0.5) / (weight + 1), 0.5 / (weight + 1)],
        rtol=1e-6,
    )
    assert list_scores(lists, C4) == [(P1, 0.5), (P2, 0.5)]


def test_a_small_group_is_nearly_the_whole_shop(build_known):
    known = in_segments(
        build_known([("o1", "c1", 1, ["p1"]), *[(f"o{n}", "c2", n, ["p2"]) for n in range(2, 20)]]),
        country=["NL", "DE", "NL", "DE", "DE", "DE"],
    )
    lists = SegmentPopularity(strength=1000.0).fit(known).recommend(np.array([C3]), 1)
    assert list_scores(lists, C3)[0][0] == P2


def test_groups_are_traits_and_age_of_account(build_known):
    known = build_known([("o1", "c1", 1, ["p1"])])
    day = pd.Timestamp(known.as_of)
    known = in_segments(
        known,
        segment=["new", "new", "old", "new", None, "new"],
        joined_at=[*(day - pd.Timedelta(days=days) for days in (3, 27, 3, 28, 3)), pd.NaT],
    )
    groups = number_groups(known)
    assert groups[0] == groups[1]
    assert len(set(groups.tolist())) == 5


def test_a_stranger_from_the_same_referrer_gets_what_its_visitors_buy(build_known):
    known = in_segments(
        build_known([("o1", "c1", 1, ["p1"]), ("o2", "c2", 1, ["p2"])]),
        country="DE",
        referrer=["newsletter", "search.example", "search.example", None, None, None],
    )
    lists = SegmentPopularity(strength=1.0).fit(known).recommend(np.array([C3, C4]), 1)
    assert list_scores(lists, C3)[0][0] == P2
    assert list_scores(lists, C4)[0][0] == P1


def test_only_the_largest_groups_are_told_apart(build_known):
    known = in_segments(
        build_known([("o1", "c1", 1, ["p1"]), ("o2", "c2", 1, ["p2"]), ("o3", "c2", 2, ["p2"])]),
        country=["NL", "DE", "NL", "DE", "DE", "DE"],
    )
    model = SegmentPopularity(strength=1.0, max_groups=1).fit(known)
    assert model.group_.tolist() == [0, 1, 0, 1, 1, 1]
