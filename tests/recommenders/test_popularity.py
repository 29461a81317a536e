"""Popularity, chance and repurchases against values counted by hand."""

from __future__ import annotations

import numpy as np

from helpers.recommenders import C1, C3, C6, P1, P2, P3, P4, P5, P6, everybody, list_scores
from recs_assets.recommenders.popularity import CategoryPopularity, Popularity
from recs_assets.recommenders.random_baseline import Random
from recs_assets.recommenders.repurchase import Repurchase


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
    assert list_scores(lists, C6) == list_scores(lists, C1) == expected


def test_popularity_views(shop):
    model = Popularity(half_life_days=28).fit(shop)
    new = model.recommend(np.array([C1]), 2, "new")
    assert list_scores(new, C1) == [(P6, 1.5), (P4, 1.0625)]
    repeat = model.recommend(np.array([C1]), 10, "repeat")
    assert list_scores(repeat, C1) == [(P2, 2.6875), (P3, 2.1875), (P1, 0.875)]


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
    got = list_scores(model.recommend(np.array([C1]), 10), C1)
    assert [product for product, _ in got] == sorted(expected, key=expected.get, reverse=True)
    np.testing.assert_allclose([score for _, score in got], [expected[p] for p, _ in got], rtol=1e-6)
    # Because of what she buys most in the category: p2 (15/16) before p5, p3 in dairy.
    assert model.because(np.array([C1, C1, C1, C6]), np.array([P5, P6, P1, P2])).tolist() == [P2, P3, P1, -1]


def test_category_popularity_for_strangers_visits_every_shelf(shop):
    lists = CategoryPopularity(half_life_days=28).fit(shop).recommend(np.array([C6]), 10)
    # Dairy 4.75, bakery 2.9375, fruit 1: best of each, then the second of each, ...
    assert [product for product, _ in list_scores(lists, C6)] == [P3, P2, P1, P6, P5, P4]
    np.testing.assert_allclose(lists["score"], [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6], rtol=1e-6)


def test_random_does_not_depend_on_others(shop, build_known):
    alone = build_known([], customers=[("c3", None, None)])
    expected = list_scores(Random(seed=5).fit(shop).recommend(np.array([C3]), 10), C3)
    assert list_scores(Random(seed=5).fit(alone).recommend(np.array([0]), 10), 0) == expected
    assert list_scores(Random(seed=6).fit(shop).recommend(np.array([C3]), 10), C3) != expected


def test_random_is_uniform(build_known):
    products = [(f"p{n:02d}", "x", None, None, None, 1.0, True) for n in range(50)]
    customers = [(f"c{n:04d}", None, None) for n in range(2000)]
    known = build_known([], customers, products)
    first = Random(seed=1).fit(known).recommend(everybody(known), 5)["product"]
    counts = np.bincount(first, minlength=50)  # 200 expected each, standard deviation 13.4
    assert counts.min() > 145
    assert counts.max() < 255


def test_repurchase(shop):
    model = Repurchase(half_life_days=28, fill_half_life_days=28).fit(shop)
    got = list_scores(model.recommend(np.array([C1]), 10), C1)
    own = [(P2, 0.9375), (P3, 0.875), (P1, 0.25)]
    # The rest: half of the smallest own score, times popularity over the best seller's.
    fill = [(P6, 0.125 * 1.5 / 2.6875), (P4, 0.125 * 1.0625 / 2.6875), (P5, 0.125 * 0.25 / 2.6875)]
    assert got[:3] == own
    assert [product for product, _ in got[3:]] == [product for product, _ in fill]
    np.testing.assert_allclose([s for _, s in got[3:]], [s for _, s in fill], rtol=1e-6)
    assert list_scores(model.recommend(np.array([C1]), 10, "repeat"), C1) == own
    assert len(model.recommend(np.array([C6]), 10, "repeat")) == 0
    assert [p for p, _ in list_scores(model.recommend(np.array([C6]), 10), C6)] == [P2, P3, P6, P4, P1, P5]
    assert model.because(np.array([C1, C1]), np.array([P2, P6])).tolist() == [P2, -1]
