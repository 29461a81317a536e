"""Nearest neighbours of products and of customers against brute force in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.recommenders import P1, P2, P4, everybody
from recs_assets.recommenders.item_knn import ItemKNN
from recs_assets.recommenders.user_knn import UserKNN


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
