"""Which product speaks strongest for another."""

from __future__ import annotations

import numpy as np

from recs_assets.recommenders.because import find_strongest, find_strongest_factor


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
