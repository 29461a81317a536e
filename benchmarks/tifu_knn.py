"""TIFU-KNN, the baseline of the next-basket benchmark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import rank_within


def tifu_vectors(
    histories: Sequence[Sequence[Sequence[int]]],
    n_items: int,
    within_decay: float = 0.9,
    group_decay: float = 0.7,
    groups: int = 7,
) -> sparse.csr_matrix:
    """float64 csr[users, n_items]: repeated decayed frequencies of TIFU-KNN.

    A user's n baskets are cut into `groups` runs of equal length (the later ones take the rest; n
    runs where n is smaller). An item's value is the sum over its baskets of
    within_decay ** (baskets after it) * group_decay ** (groups - 1 - run) / (length of the run), all
    divided by the number of runs. That is what the authors' code computes: decay within a run counts
    baskets to the end of the history, and the exponent of a short history starts from `groups`.
    """
    rows, columns, values = [], [], []
    for row, history in enumerate(histories):
        n = len(history)
        used = min(n, groups)
        base, longer = divmod(n, used)
        sizes = [base] * (used - longer) + [base + 1] * longer
        run = [number for number, size in enumerate(sizes) for _ in range(size)]
        for position, basket in enumerate(history):
            weight = within_decay ** (n - 1 - position) * group_decay ** (groups - 1 - run[position])
            rows += [row] * len(basket)
            columns += basket
            values += [weight / sizes[run[position]] / used] * len(basket)
    return sparse.csr_matrix((values, (rows, columns)), shape=(len(histories), n_items))


def tifu_knn(
    test: sparse.csr_matrix,
    train: sparse.csr_matrix,
    k: int,
    neighbours: int = 300,
    own_share: float = 0.7,
) -> pd.DataFrame:
    """Lists of TIFU-KNN: own vector blended with the mean of the nearest training users' (Euclidean).

    Hu, He, Gao and Zhang, Modeling Personalized Item Frequency Information for Next-basket
    Recommendation, SIGIR 2020; the defaults are the authors' for Ta-Feng.

    Returns:
        Columns customer (row of `test`), product (column), rank; k each, ties to the smaller product.
    """
    neighbours = min(neighbours, train.shape[0])
    length = np.asarray(train.multiply(train).sum(axis=1)).ravel()
    parts = []
    for start in range(0, test.shape[0], 256):
        block = test[start : start + 256]
        # The block's own length is the same for all training users and does not change their order.
        distance = length - 2 * (block @ train.T).toarray()
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :neighbours]
        chosen = sparse.csr_matrix(
            (
                np.full(nearest.size, 1 / neighbours),
                nearest.ravel(),
                np.arange(0, nearest.size + 1, neighbours),
            ),
            shape=(block.shape[0], train.shape[0]),
        )
        mixed = (own_share * block + (1 - own_share) * (chosen @ train)).tocsr()
        row = np.repeat(np.arange(block.shape[0]), np.diff(mixed.indptr))
        order = np.lexsort((mixed.indices, -mixed.data, row))
        rank = rank_within(row[order])
        keep = rank <= k
        parts.append(
            pd.DataFrame(
                {
                    "customer": row[order][keep] + start,
                    "product": mixed.indices[order][keep],
                    "rank": rank[keep],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
