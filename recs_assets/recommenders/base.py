"""What every recommender keeps, and the code that makes it keep it.

A recommender implements `fit` and `_scores`; masking, truncation, order of ties and the
explanation's shape are here, once, because the libraries underneath promise none of them.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import ClassVar, Literal, Self

import numpy as np
import pandas as pd
from scipy import sparse
from threadpoolctl import threadpool_limits

from recs_assets.known.interactions import Known
from recs_assets.schema import NotFittedError

View = Literal["all", "new", "repeat"]
VIEWS: tuple[View, ...] = ("all", "new", "repeat")

# A dense score block holds at most this many float32 values (64 MB), however large the catalogue.
BLOCK_VALUES = 16_000_000

# Padded history lines x factors of one batch of explanations (float64: 64 MB).
BATCH_VALUES = 8_000_000


class Recommender(ABC):
    """A model that proposes products per customer.

    `__init__` only stores parameters; fitted state ends in `_`; a refit equals a fresh fit;
    the same seed gives the same output bit for bit.
    """

    name: ClassVar[str]

    def set_params(self, **parameters: float) -> Self:
        """Replace parameters that `__init__` stored; before `fit`.

        Raises:
            ValueError: no such parameter.
        """
        for name, value in parameters.items():
            if name not in inspect.signature(type(self).__init__).parameters:
                raise ValueError(f"{self.name} has no parameter {name!r}.")
            setattr(self, name, value)
        return self

    def params(self) -> dict[str, float | str]:
        """The parameters that the result depends on: what `__init__` stored, without threads and callbacks."""
        stored = {
            name: getattr(self, name)
            for name in inspect.signature(type(self)).parameters
            if name != "threads"
        }
        return {name: value for name, value in stored.items() if isinstance(value, int | float | str)}

    @abstractmethod
    def fit(self, known: Known) -> Self:
        """Learn from everything known at the anchor; keeps `known` as `known_`."""

    @abstractmethod
    def _scores(self, customers: np.ndarray) -> np.ndarray | sparse.csr_matrix:
        """Scores of one block: dense float32[len(customers), n_products] that the caller may
        overwrite, or csr whose stored entries are the candidates. NaN and infinities mean "not
        a candidate". A customer's scores may not depend on who else is in the block."""

    def _fill(self, customers: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """For recommenders with csr scores: what a product scores that is not stored.

        Returns float32[n_products] shared by all customers (NaN: not a candidate) and
        float64[len(customers)] that it is multiplied with; None where only stored entries count.
        A dense block for such scores would cost customers x products for one common order.
        """
        return None

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """int32 per (customer, product) pair: the product in the customer's history that
        contributed most to the score, or -1 where no single product did. It is the product
        itself where having bought it contributed most."""
        return np.full(len(customers), -1, dtype=np.int32)

    def recommend(self, customers: np.ndarray, k: int, view: View = "all") -> pd.DataFrame:
        """Top `k` products per customer code.

        Args:
            customers: int codes, rows of `known.customers`.
            k: at most this many products each; fewer where fewer are left.
            view: "all"; "new" leaves out products bought before; "repeat" keeps only those.

        Returns:
            Columns customer int32, product int32, score float32 (finite), rank int16 from 1,
            sorted by customer (in the order given) then rank; ties by score go to the
            smaller product id; no unavailable product, no padding.

        Raises:
            NotFittedError: before `fit`.
            ValueError: `view` is none of the three, or k is not within 1..32767.
        """
        return self.recommend_views(customers, k, (view,))[view]

    def recommend_views(
        self, customers: np.ndarray, k: int, views: Sequence[View], pool: Executor | None = None
    ) -> dict[View, pd.DataFrame]:
        """`recommend` for several views, scoring every customer once.

        Blocks of customers are scored side by side in `pool`, which must not be the one that the
        caller waits in; one pool for several calls bounds what is alive at once.

        Raises:
            NotFittedError: before `fit`.
            ValueError: a view is none of the three, or k is not within 1..32767.
        """
        known = fitted(self)
        for view in views:
            if view not in VIEWS:
                raise ValueError(f"view is {view!r}; it must be 'all', 'new' or 'repeat'.")
        if not 1 <= k <= np.iinfo(np.int16).max:
            raise ValueError(f"k is {k}; it must be within 1..32767.")
        customers = np.asarray(customers, dtype=np.int32)
        block = max(1, BLOCK_VALUES // max(1, known.n_products))

        def listed(start: int) -> list[pd.DataFrame]:
            return self._recommend_block(known, customers[start : start + block], k, views)

        with one_blas_thread():
            blocks = list((pool.map if pool else map)(listed, range(0, len(customers), block)))
        if not blocks:
            empty = _frame(customers, *(np.empty(0, dtype=np.int64),) * 2, np.empty(0, np.float32), k)
            blocks = [[empty] * len(views)]
        return {
            view: pd.concat([block[number] for block in blocks], ignore_index=True)
            for number, view in enumerate(views)
        }

    def _recommend_block(
        self, known: Known, customers: np.ndarray, k: int, views: Sequence[View]
    ) -> list[pd.DataFrame]:
        scores = self._scores(customers)
        history = known.history[customers]
        fill = self._fill(customers)
        if sparse.issparse(scores) and fill is None and scores.nnz > 0.05 * np.prod(scores.shape):
            scores = dense(scores.tocsr())  # sorting every candidate costs more than a dense pass
        if not sparse.issparse(scores):
            if not np.isfinite(scores).all():
                scores[~np.isfinite(scores)] = -np.inf
            if not known.available.all():
                scores[:, ~known.available] = -np.inf
        # "new" comes last: it may overwrite the scores, where a copy cost a quarter of the time.
        found = {
            view: _one_view(known, customers, scores, fill, history, k, view)
            for view in sorted(views, key="new".__eq__)
        }
        return [found[view] for view in views]


def _one_view(
    known: Known,
    customers: np.ndarray,
    scores: np.ndarray | sparse.csr_matrix,
    fill: tuple[np.ndarray, np.ndarray] | None,
    history: sparse.csr_matrix,
    k: int,
    view: View,
) -> pd.DataFrame:
    """The first k of one view of a block's scores; "new" overwrites dense ones."""
    if sparse.issparse(scores):
        rows, columns, values = _stored_and_filled(known, scores.tocsr(), fill, history, k, view)
        keep = np.isfinite(values) & known.available[columns]
        if view != "all":
            keep &= stored(history, rows, columns) == (view == "repeat")
        rows, columns, values = rows[keep], columns[keep], values[keep]
    elif view == "repeat":
        rows, columns = pairs(history)
        values = scores[rows, columns]
        keep = values > -np.inf
        rows, columns, values = rows[keep], columns[keep], values[keep]
    else:
        if view == "new":
            scores[pairs(history)] = -np.inf
        rows, columns = at_least_kth(scores, k)
        values = scores[rows, columns]
    return _frame(customers, rows, columns, values, k)


def _stored_and_filled(
    known: Known,
    scores: sparse.csr_matrix,
    fill: tuple[np.ndarray, np.ndarray] | None,
    history: sparse.csr_matrix,
    k: int,
    view: View,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and scores of stored entries, and of as much of the fill as can matter."""
    rows, columns = pairs(scores)
    if fill is None:
        return rows, columns, scores.data
    scores.sort_indices()
    rows, columns = pairs(scores)
    common, scale = fill
    if view == "repeat":
        extra_rows, extra_columns = pairs(history)
    else:
        # Of the common order a customer can lose what is stored and, in "new", what was bought.
        candidates = np.flatnonzero(np.isfinite(common) & known.available)
        candidates = candidates[np.argsort(-common[candidates], kind="stable")]
        lost = np.diff(scores.indptr) + (np.diff(history.indptr) if view == "new" else 0)
        length = np.minimum(k + lost, len(candidates)).astype(np.int64)
        extra_rows = np.repeat(np.arange(scores.shape[0]), length)
        extra_columns = candidates[rank_within(extra_rows) - 1]
    absent = ~stored(scores, extra_rows, extra_columns)
    extra_rows, extra_columns = extra_rows[absent], extra_columns[absent]
    extra = (common[extra_columns] * scale[extra_rows]).astype(np.float32)
    return (
        np.concatenate([rows, extra_rows]),
        np.concatenate([columns, extra_columns]),
        np.concatenate([scores.data.astype(np.float32), extra]),
    )


def one_blas_thread() -> threadpool_limits:
    """Context in which BLAS uses one thread: another number of threads is another rounding, and
    on a busy machine OpenBLAS's spinning threads made the same explanation take 8 s instead of 0.2."""
    return threadpool_limits(limits=1, user_api="blas")


# Bits per value on the grid: two of them and a sum of 2,048 products fit the 53 bits of a float64.
GRID_BITS = 21


def on_grid(rows: np.ndarray) -> np.ndarray:
    """float32 rows rounded to multiples of 2^-21 of (the power of two above) their largest value."""
    _, exponent = np.frexp(np.abs(rows).max(axis=1, keepdims=True, initial=0.0))
    step = np.ldexp(1.0, exponent - GRID_BITS)
    return (np.rint(rows / step) * step).astype(np.float32)


def inner(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """float32[len(left), len(right)]: inner products of rows that went through `on_grid`.

    BLAS adds in another order for the last rows of a block, for a single row and on another
    processor, so float32 scores of one customer changed with her neighbours in the block. Sums of
    products of grid values are exact in float64, whatever the order: same bits everywhere.
    """
    return (left.astype(np.float64) @ right.astype(np.float64).T).astype(np.float32)


def fitted(recommender: Recommender) -> Known:
    """The `Known` a recommender was fitted on.

    Raises:
        NotFittedError: before `fit`.
    """
    known: Known | None = getattr(recommender, "known_", None)
    if known is None:
        raise NotFittedError(f"Recommender {recommender.name} has no fitted model: call fit() first.")
    return known


def pairs(matrix: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """int64 row and column of every stored entry of a csr matrix, in its order."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return rows, matrix.indices.astype(np.int64)


def dense(matrix: sparse.csr_matrix) -> np.ndarray:
    """float32 array of a csr matrix, -inf where nothing is stored."""
    values = np.full(matrix.shape, -np.inf, dtype=np.float32)
    values[pairs(matrix)] = matrix.data
    return values


def stored(matrix: sparse.csr_matrix, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """bool per (row, column): whether a csr matrix with sorted indices stores that entry."""
    have_rows, have_columns = pairs(matrix)
    have = have_rows * matrix.shape[1] + have_columns
    if len(have) == 0:
        return np.zeros(len(rows), dtype=bool)
    wanted = rows.astype(np.int64) * matrix.shape[1] + columns
    position = np.minimum(np.searchsorted(have, wanted), len(have) - 1)
    return have[position] == wanted


def at_least_kth(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of every value above -inf that can be among its row's `k` largest.

    A superset that holds every value no smaller than the row's k-th largest, ties included:
    which of them stays is decided by product id afterwards, not by the whim of a partition.
    The k-th largest of the maxima of disjoint groups of columns is never above the k-th largest
    value, so one vectorised maximum and a partition of the few maxima replace a partition of
    every row (0.03 s instead of 0.04 to 0.18 s for 173 rows of 92,331 products).
    """
    width = scores.shape[1]
    if width <= k:
        return np.nonzero(scores > -np.inf)
    group = max(1, width // (16 * k))
    whole = width // group * group
    maxima = scores[:, :whole].reshape(len(scores), group, whole // group).max(axis=1)
    if whole < width:
        maxima = np.hstack([maxima, scores[:, whole:]])
    threshold = np.partition(maxima, maxima.shape[1] - k, axis=1)[:, maxima.shape[1] - k]
    lowest = np.finfo(scores.dtype).min
    # One dimension: looking for the true ones of two is six times as slow.
    found = np.flatnonzero(scores >= np.maximum(threshold, lowest)[:, None])
    return found // width, found % width


def strongest(
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
    touched = np.cumsum(np.diff(weights.indptr)[customers] + np.diff(affinity.indptr)[products])
    start = 0
    while start < len(customers):
        spent = touched[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(touched, spent + block_values, side="right")))
        parts = weights[customers[start:stop]].multiply(affinity[products[start:stop]]).tocsr()
        parts.data[parts.data <= 0] = 0
        parts.eliminate_zeros()
        parts.sort_indices()
        best[start:stop] = argmax_rows(parts)
        start = stop
    return best


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
    first = np.r_[True, rows[at_top][1:] != rows[at_top][:-1]]
    best[filled] = matrix.indices[at_top[first]]
    return best


def strongest_factor(
    weights: sparse.csr_matrix,
    vectors: np.ndarray,
    customers: np.ndarray,
    products: np.ndarray,
    gram: np.ndarray | None = None,
) -> np.ndarray:
    """As `strongest`, for affinities that are inner products of dense vectors.

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
            best[batch] = _strongest_batch(weights, vectors, who, member, products[batch], gram)
    return best


def _strongest_batch(
    weights: sparse.csr_matrix,
    vectors: np.ndarray,
    who: np.ndarray,
    member: np.ndarray,
    products: np.ndarray,
    gram: np.ndarray | None,
) -> np.ndarray:
    """`strongest_factor` for the pairs (who[member], products) of one batch."""
    history = weights[who]
    rows, columns = pairs(history)
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
    found = np.where(top > 0, np.take_along_axis(bought, first, axis=1), -1)
    return found[member, place].astype(np.int32)


def _frame(
    customers: np.ndarray, rows: np.ndarray, columns: np.ndarray, values: np.ndarray, k: int
) -> pd.DataFrame:
    """Sort by (row, score desc, product), keep the first k of each row, number them."""
    values = np.asarray(values, dtype=np.float32)
    order = best_first(rows, columns, values)
    rows, columns, values = rows[order], columns[order], values[order]
    rank = rank_within(rows)
    keep = rank <= k
    return pd.DataFrame(
        {
            "customer": customers[rows[keep]].astype(np.int32),
            "product": columns[keep].astype(np.int32),
            "score": values[keep],
            "rank": rank[keep].astype(np.int16),
        }
    )


def best_first(group: np.ndarray, item: np.ndarray, value: np.ndarray) -> np.ndarray:
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


def rank_within(groups: np.ndarray) -> np.ndarray:
    """1-based position within each run of equal values of a sorted array."""
    if len(groups) == 0:
        return np.empty(0, dtype=np.int64)
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    return np.arange(len(groups)) - np.repeat(starts, np.diff(np.r_[starts, len(groups)])) + 1
