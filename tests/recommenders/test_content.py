"""Similarity of content against brute force in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.recommenders import C1, P1, P2, P3, P4, P5, P7, P8, everybody, list_scores
from recs_assets.recommenders.content import Content


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
    plain, tilted = dict(list_scores(plain, C1)), dict(list_scores(tilted, C1))
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
