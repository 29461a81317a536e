"""Learned factors: ALS against the equations it solves, LightFM on strangers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from helpers.recommenders import C6, P8, everybody
from recs_assets.recommenders.als import ALS
from recs_assets.recommenders.lightfm_warp import LightFMWarp


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
