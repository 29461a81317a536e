"""Small tools for NumPy arrays and sparse matrices: runs, look-ups of pairs, sorts, blocks, hashes.

Pairs of (row, column) are looked up as one integer, row * width + column, in sorted arrays: a binary
search, because NumPy 2.4's `isin` hashes such keys into few buckets (0.56 s instead of 0.01 s for 120,000 of them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self, cast

import numpy as np
import pandas as pd
from scipy import sparse
from threadpoolctl import threadpool_limits

# -- runs of equal values ---------------------------------------------------------------------


def mark_starts(*keys: np.ndarray) -> np.ndarray:
    """bool[n]: where a run begins, that is where any of the keys differs from the row before.

    >>> mark_starts(np.array([3, 3, 5, 5]), np.array([1, 2, 2, 2]))
    array([ True,  True,  True, False])
    """
    starts = np.ones(len(keys[0]), dtype=bool)
    if len(starts):
        starts[1:] = keys[0][1:] != keys[0][:-1]
        for key in keys[1:]:
            starts[1:] |= key[1:] != key[:-1]
    return starts


def mark_ends(*keys: np.ndarray) -> np.ndarray:
    """bool[n]: where a run ends, that is where any of the keys differs from the row after.

    >>> mark_ends(np.array([3, 3, 5]))
    array([False,  True,  True])
    """
    return np.r_[mark_starts(*keys)[1:], True][: len(keys[0])]


def find_runs(*keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int64 first position and length of every run of equal keys.

    >>> find_runs(np.array([7, 7, 7, 2]))
    (array([0, 3]), array([3, 1]))
    """
    starts = np.flatnonzero(mark_starts(*keys))
    return starts, np.diff(np.r_[starts, len(keys[0])])


def rank_within(groups: np.ndarray) -> np.ndarray:
    """int64[n]: position from 1 within each run of equal values.

    >>> rank_within(np.array([4, 4, 9]))
    array([1, 2, 1])
    """
    starts, length = find_runs(groups)
    return np.arange(len(groups)) - np.repeat(starts, length) + 1


def sum_runs(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sum of every run that begins at `starts`; float64[0] without runs, where `reduceat` would raise.

    >>> sum_runs(np.array([1.0, 2.0, 4.0]), np.array([0, 2]))
    array([3., 4.])
    """
    return np.add.reduceat(values, starts) if len(starts) else np.empty(0)


# -- pairs ------------------------------------------------------------------------------------


def encode_pairs(rows: np.ndarray, columns: np.ndarray, width: int) -> np.ndarray:
    """int64[n]: row * width + column; `np.divmod` by the width takes it apart.

    >>> encode_pairs(np.array([0, 2], np.int32), np.array([3, 1], np.int32), 10)
    array([ 3, 21])
    """
    return np.asarray(rows).astype(np.int64) * width + columns


def find_sorted(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """int64[len(wanted)]: position of each wanted value in ascending keys, -1 where it is not there.

    >>> find_sorted(np.array([2, 5, 9]), np.array([5, 6]))
    array([ 1, -1])
    """
    if len(keys) == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def number_rows(matrix: sparse.csr_matrix) -> np.ndarray:
    """int64[nnz]: the row of every stored entry."""
    return np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))


def list_entries(matrix: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """int64 row and column of every stored entry, in the order of the matrix."""
    return number_rows(matrix), matrix.indices.astype(np.int64)


def is_stored(matrix: sparse.csr_matrix, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """bool per (row, column): whether a csr matrix with sorted indices stores that entry."""
    keys = encode_pairs(*list_entries(matrix), matrix.shape[1])
    return find_sorted(keys, encode_pairs(rows, columns, matrix.shape[1])) >= 0


class PairIndex:
    """Finds pairs again and again: the keys of all of them are made once.

    Args:
        keys: int64, ascending, as `encode_pairs` makes them.
        width: more than the largest column.
    """

    def __init__(self, keys: np.ndarray, width: int) -> None:
        self.keys, self.width = keys, max(1, width)

    @classmethod
    def of(cls, matrix: sparse.csr_matrix) -> Self:
        """Of the stored entries; positions are those in `matrix.data`, whose indices are sorted in place."""
        matrix.sort_indices()
        width = max(1, matrix.shape[1])
        return cls(encode_pairs(*list_entries(matrix), width), width)

    def find(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """int64 position among the keys, -1 where there is none."""
        return find_sorted(self.keys, encode_pairs(rows, columns, self.width))


# -- best first -------------------------------------------------------------------------------


def argsort_best_first(group: np.ndarray, item: np.ndarray, value: np.ndarray) -> np.ndarray:
    """`np.lexsort((item, -value, group))` for float32 values, at a third of its time or less.

    One 64-bit key per sort, because a stable sort of one key is six times as fast as that of two,
    and nearly free where the rows are in that order already, as they mostly are.

    Args:
        group: int[n], within 0..2^31 - 1.
        item: int[n], within 0..2^31 - 1.
        value: float32[n], finite.

    Returns:
        int64[n]: positions by group, then value falling, then item.
    """
    group = group.astype(np.int64) << 32
    order = np.argsort(group | item, kind="stable")
    # The bits of a float rise with it, those of a negative one fall; adding 0 makes -0 a 0.
    bits = (value[order] + np.float32(0)).view(np.int32)
    rising = (bits ^ (bits >> 31 & 0x7FFFFFFF)).astype(np.int64)
    return order[np.argsort(group[order] | (0x7FFFFFFF - rising), kind="stable")]


def find_largest(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of every value above -inf that can be among its row's `k` largest.

    A superset that holds every value no smaller than the row's k-th largest, ties included:
    which of them stays is decided by product id afterwards, not by the whim of a partition.
    The k-th largest of the maxima of disjoint groups of columns is never above the k-th largest
    value, so one vectorised maximum and a partition of the few maxima replace a partition of
    every row (0.03 s instead of 0.04 to 0.18 s for 173 rows of 92,331 products).
    """
    width = scores.shape[1]
    if width <= k:
        rows, columns = np.nonzero(scores > -np.inf)
        return rows, columns
    group = max(1, width // (16 * k))
    whole = width // group * group
    maxima = scores[:, :whole].reshape(len(scores), group, whole // group).max(axis=1)
    if whole < width:
        maxima = np.hstack([maxima, scores[:, whole:]])
    threshold = np.partition(maxima, maxima.shape[1] - k, axis=1)[:, maxima.shape[1] - k]
    lowest = np.finfo(scores.dtype).min
    # One dimension: looking for the true ones of two is six times as slow.
    place = np.flatnonzero(scores >= np.maximum(threshold, lowest)[:, None])
    return place // width, place % width


def argmax_rows(matrix: sparse.csr_matrix) -> np.ndarray:
    """int32[rows]: column of each row's largest stored value, ties to the smaller column; -1 for
    rows that store nothing. Indices must be sorted."""
    best = np.full(matrix.shape[0], -1, dtype=np.int32)
    length = np.diff(matrix.indptr)
    filled = np.flatnonzero(length)
    if len(filled) == 0:
        return best
    top = np.maximum.reduceat(matrix.data, matrix.indptr[filled])
    rows = np.repeat(np.arange(len(filled)), length[filled])
    at_top = np.flatnonzero(matrix.data == top[rows])
    best[filled] = matrix.indices[at_top[mark_starts(rows[at_top])]]
    return best


# -- blocks -----------------------------------------------------------------------------------


def split_blocks(counts: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Ranges [start, stop) of neighbours whose counts sum to at most `most`, one member at the least;
    ranges that count nothing are left out.

    >>> list(split_blocks(np.array([2, 2, 9, 0, 1]), 4))
    [(0, 2), (2, 3), (3, 5)]
    """
    total = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    start = 0
    while start < len(counts):
        stop = int(np.searchsorted(total, total[start] + most, side="right")) - 1
        stop = max(start + 1, stop)
        if total[stop] > total[start]:
            yield start, stop
        start = stop


# -- the same bits everywhere -----------------------------------------------------------------


def one_blas_thread() -> threadpool_limits:
    """Context in which BLAS uses one thread: another number of threads is another rounding, and
    on a busy machine OpenBLAS's spinning threads made the same explanation take 8 s instead of 0.2."""
    # SciPy has a BLAS of its own, and the limit holds for what is loaded by now.
    import scipy.linalg  # noqa: F401

    return threadpool_limits(limits=1, user_api="blas")


# Bits per value on the grid: two of them and a sum of 2,048 products fit the 53 bits of a float64.
GRID_BITS = 21
# Rows on the right that are multiplied at once: in float64 they, and their products, stay in a processor's cache.
GRID_ROWS = 4_096


def round_to_grid(rows: np.ndarray) -> np.ndarray:
    """float32 rows rounded to multiples of 2^-21 of (the power of two above) their largest value."""
    _, exponent = np.frexp(np.abs(rows).max(axis=1, keepdims=True, initial=0.0))
    step = np.ldexp(1.0, exponent - GRID_BITS)
    return (np.rint(rows / step) * step).astype(np.float32)


def multiply_grid(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """float32[len(left), len(right)]: inner products of rows that went through `round_to_grid`.

    BLAS adds in another order for the last rows of a block, for a single row and on another
    processor, so float32 scores of one customer changed with their neighbours in the block. Sums of
    products of grid values are exact in float64, whatever the order: same bits everywhere.
    """
    left = left.astype(np.float64)
    products = np.empty((len(left), len(right)), dtype=np.float32)
    for start in range(0, len(right), GRID_ROWS):
        block = slice(start, start + GRID_ROWS)
        products[:, block] = left @ right[block].astype(np.float64).T
    return products


def hash_strings(values: np.ndarray, key: str = "0123456789123456") -> np.ndarray:
    """uint64[n]: SipHash with a key of 16 characters, the same on every machine.

    Args:
        values: object[n] of str.
        key: another key, other hashes.
    """
    hash_array = cast("Callable[..., np.ndarray]", pd.util.hash_array)
    return hash_array(values, hash_key=key)


def mix_bits(values: np.ndarray) -> np.ndarray:
    """uint64: the finalizer of SplitMix64 (Steele, Lea, Flood 2014); every input bit moves every output bit."""
    values = values ^ (values >> np.uint64(30))
    values = values * np.uint64(0xBF58476D1CE4E5B9)
    values = values ^ (values >> np.uint64(27))
    values = values * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
