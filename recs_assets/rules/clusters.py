"""Groups of products by content, where a shop has no categories."""

from __future__ import annotations

import numpy as np

from recs_assets.arrays import one_blas_thread

MOST, ROUNDS = 100, 20


def find_clusters(vectors: np.ndarray) -> np.ndarray:
    """Spherical k-means (Dhillon and Modha 2001): about sqrt(n / 2) groups of n vectors, at most `MOST`.

    The centres start at vectors far from each other, the first at the one nearest the mean, so nothing is
    drawn by lot and the same vectors give the same groups.

    Args:
        vectors: float[n, f], of length 1 or 0.

    Returns:
        int64[n]: 0, 1, ...; -1 for vectors of length 0.
    """
    group = np.full(len(vectors), -1, dtype=np.int64)
    some = np.flatnonzero(np.abs(vectors).sum(axis=1) > 0)
    if len(some) == 0:
        return group
    own = vectors[some].astype(np.float64)
    size = int(min(MOST, max(1, np.rint(np.sqrt(len(some) / 2)))))
    with one_blas_thread():
        places = [int(np.argmax(own @ own.mean(axis=0)))]
        nearest = own @ own[places[0]]
        while len(places) < size and nearest.min() < 1 - 1e-9:
            places.append(int(nearest.argmin()))
            nearest = np.maximum(nearest, own @ own[places[-1]])
        centres = own[places]
        for _ in range(ROUNDS):
            of = (own @ centres.T).argmax(axis=1)
            if (of == group[some]).all():
                break
            group[some] = of
            sums = np.zeros_like(centres)
            np.add.at(sums, of, own)
            length = np.linalg.norm(sums, axis=1, keepdims=True)
            centres = np.where(length > 0, sums / np.where(length > 0, length, 1), centres)
    return group
