"""What the table of embeddings counts, on vectors that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from benchmarks.embeddings import find_neighbours, measure_baskets, measure_next, scale

# Products 0 and 1 point one way, 2 and 3 another, 4 nowhere; 3 may not be found.
VECTORS = np.array([[2, 0], [1, 0.5], [0, 1], [0, 3], [0, 0]], np.float32)
POOL = np.array([0, 1, 2, 4])


def test_neighbours_are_of_the_pool_and_not_oneself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.embeddings.K", 1)
    unit = scale(VECTORS)
    assert np.linalg.norm(unit, axis=1).round(6).tolist() == [1, 1, 1, 1, 0]
    found = find_neighbours(unit, unit, POOL, np.arange(5))
    assert found.toarray().nonzero()[1].tolist() == [1, 0, 1, 2]  # 4 has no neighbour
    own = sparse.csr_matrix(np.array([[1, 0, 0, 0, 0]]))
    assert find_neighbours(VECTORS, VECTORS[:1], POOL, np.array([-1]), own).indices.tolist() == [1]


def test_shares_are_means_over_orders_and_customers() -> None:
    near = sparse.csr_matrix(np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], np.float32))
    orders = pd.DataFrame(
        {"customer": [7, 7, 9], "products": [np.array([0, 1]), np.array([0, 1, 2]), np.array([0, 2])]}
    )
    # 0 leads to 1 and 1 to 2: one of two pairs, two of six, none of two.
    assert measure_baskets(near, orders).to_dict() == pytest.approx({7: (1 / 2 + 2 / 6) / 2, 9: 0.0})
    new = sparse.csr_matrix(np.array([[0, 0, 0], [0, 1, 1]]))
    assert measure_next(near, {1: np.array([0, 2])}, new).to_dict() == {1: 1 / 4}
