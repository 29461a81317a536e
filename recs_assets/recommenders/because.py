"""Which product of a customer's history contributed most to a score."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recs_assets.arrays import argmax_rows, list_entries, one_blas_thread, rank_within, split_blocks

# Entries of the customers' weights that one block of pairs touches at most.
BLOCK_VALUES = 16_000_000

# Padded history lines x factors of one batch (float64: 64 MB).
BATCH_VALUES = 8_000_000


def find_strongest(
    weights: sparse.csr_matrix,
    affinity: sparse.csr_matrix,
    customers: np.ndarray,
    products: np.ndarray,
    block_values: int = BLOCK_VALUES,
) -> np.ndarray:
    """int32 per (customer, product) pair: the column h with the largest positive
    `weights[customer, h] * affinity[product, h]`, ties to the smaller h; -1 where none is positive.

    Works through blocks of pairs that touch at most `block_values` entries of `weights`.
    """
    weights, affinity = weights.tocsr(), affinity.tocsr()
    customers, products = np.asarray(customers, np.int64), np.asarray(products, np.int64)
    best = np.full(len(customers), -1, dtype=np.int32)
    touched = np.diff(weights.indptr)[customers] + np.diff(affinity.indptr)[products]
    for start, stop in split_blocks(touched, block_values):
        parts = weights[customers[start:stop]].multiply(affinity[products[start:stop]]).tocsr()
        parts.data[parts.data <= 0] = 0
        parts.eliminate_zeros()
        parts.sort_indices()
        best[start:stop] = argmax_rows(parts)
    return best


def find_strongest_factor(
    weights: sparse.csr_matrix,
    vectors: np.ndarray,
    customers: np.ndarray,
    products: np.ndarray,
    gram: np.ndarray | None = None,
) -> np.ndarray:
    """As `find_strongest`, for affinities that are inner products of dense vectors.

    Without `gram` the contribution of h to p is weights[c, h] * vectors[h] . vectors[p]. With
    `gram` (float[f, f]: Y'Y + regularization) it is weights[c, h] * vectors[h] . A^-1 vectors[p]
    with A = gram + sum over h of (weights[c, h] - 1) vectors[h] vectors[h]', the decomposition of
    Hu, Koren and Volinsky 2008, section 5.

    Customers are padded to batches of similar history length, so that all of it is matrix
    products. Contributions within 1e-6 of the largest count as tied.
    """
    customers, products = np.asarray(customers, np.int64), np.asarray(products, np.int64)
    best = np.full(len(customers), -1, dtype=np.int32)
    weights = weights.tocsr()
    weights.sort_indices()
    length = np.diff(weights.indptr)
    size = vectors.shape[1]
    # Sorted by history length, then customer: neighbours in this order share a batch.
    order = np.lexsort((customers, length[customers]))
    order = order[length[customers[order]] > 0]
    start = 0
    while start < len(order):
        batch = order[start : start + 4096]
        who, member = np.unique(customers[batch], return_inverse=True)
        # The longest history of the batch decides its width; shorten the batch until it fits.
        while len(who) > 1 and len(who) * int(length[who].max()) * size > BATCH_VALUES:
            batch = batch[: max(1, len(batch) // 2)]
            who, member = np.unique(customers[batch], return_inverse=True)
        start += len(batch)
        with one_blas_thread():
            best[batch] = _solve_batch(weights, vectors, who, member, products[batch], gram)
    return best


def _solve_batch(
    weights: sparse.csr_matrix,
    vectors: np.ndarray,
    who: np.ndarray,
    member: np.ndarray,
    products: np.ndarray,
    gram: np.ndarray | None,
) -> np.ndarray:
    """`find_strongest_factor` for the pairs (who[member], products) of one batch."""
    history = weights[who]
    rows, columns = list_entries(history)
    slot = rank_within(rows) - 1
    width = int(np.diff(history.indptr).max())
    bought = np.full((len(who), width), -1, dtype=np.int64)
    bought[rows, slot] = columns
    weight = np.zeros((len(who), width))
    weight[rows, slot] = history.data
    own = vectors[np.maximum(bought, 0)].astype(np.float64)
    own[bought < 0] = 0.0
    asked = np.argsort(member, kind="stable")
    place = np.empty(len(member), dtype=np.int64)
    place[asked] = rank_within(member[asked]) - 1
    wanted = np.zeros((len(who), int(place.max()) + 1, vectors.shape[1]))
    wanted[member, place] = vectors[products]
    if gram is not None:
        excess = np.where(bought >= 0, weight - 1.0, 0.0)
        normal = gram + np.matmul((own * excess[:, :, None]).transpose(0, 2, 1), own)
        wanted = np.linalg.solve(normal, wanted.transpose(0, 2, 1)).transpose(0, 2, 1)
    share = np.matmul(wanted, own.transpose(0, 2, 1)) * weight[:, None, :]
    top = share.max(axis=2)
    first = (share >= (top - np.abs(top) * 1e-6)[:, :, None]).argmax(axis=2)
    best = np.where(top > 0, np.take_along_axis(bought, first, axis=1), -1)
    return best[member, place].astype(np.int32)
