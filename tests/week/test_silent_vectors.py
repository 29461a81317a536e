"""Which vectors say something."""

from __future__ import annotations

import numpy as np
import pytest

from recs_assets.week.embeddings import ONE_WAY, find_main_share

RNG = np.random.default_rng(3)
AXIS = RNG.normal(size=16)
LENGTHS = RNG.uniform(1e-7, 1e-5, (40, 1))


@pytest.mark.parametrize(
    ("vectors", "says_nothing"),
    [
        (LENGTHS * AXIS, True),  # as those of the tiny shop
        (-1e6 * LENGTHS * AXIS + RNG.normal(scale=1e-3, size=(40, 16)), True),  # of whatever length
        (RNG.normal(size=(40, 16)), False),
        (1e-6 * RNG.normal(size=(40, 16)), False),  # small, and each of its own direction
        (AXIS + 0.1 * RNG.normal(size=(40, 16)), False),  # nearly alike is not alike
        (np.vstack([np.zeros((5, 16)), AXIS]), False),  # one product has no neighbours
    ],
)
def test_vectors_that_point_one_way_say_nothing(vectors, says_nothing):
    assert (find_main_share(vectors.astype(np.float32)) >= ONE_WAY) is says_nothing
