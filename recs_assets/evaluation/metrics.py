"""Ranking metrics over top-k lists and what was really bought; formulas in docs/evaluation.md.

Everything is one dense hit matrix (customers x ranks) and a few cumulative sums; no loop over
customers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

KS = (5, 10, 12, 20)
PER_CUSTOMER = ("precision", "recall", "ndcg", "map", "hit_rate")

Values = dict[tuple[str, int], np.ndarray]


def per_customer(
    lists: pd.DataFrame, truth: sparse.csr_matrix, customers: np.ndarray, ks: Sequence[int] = KS
) -> Values:
    """Accuracy of every customer's list.

    With T the products truly bought and h_r = 1 where the product at rank r is in T:

        precision@k = sum h_r / k                     (a list shorter than k counts as misses)
        recall@k    = sum h_r / |T|
        hit_rate@k  = 1 where sum h_r > 0
        ndcg@k      = sum h_r / log2(r + 1)  /  sum over r <= min(k, |T|) of 1 / log2(r + 1)
        map@k       = sum h_r * (hits among the first r) / r  /  min(k, |T|)

    sums over r = 1..k. Sources: Järvelin and Kekäläinen 2002 (NDCG); average precision cut at k
    and divided by min(k, |T|), so that a perfect list scores 1.

    Args:
        lists: columns customer (code), product (code), rank from 1; other columns ignored. Rows
            of customers that are not asked for are ignored.
        truth: bool or number csr[n_customers, n_products]; stored non-zeros are true.
        customers: distinct codes to evaluate, each with at least one true product.
        ks: list lengths.

    Returns:
        (metric, k) -> float64[len(customers)], in the order of `customers`.

    Raises:
        ValueError: a customer without true product, a customer asked for twice, or a rank or k
            below 1.
    """
    customers = np.asarray(customers, dtype=np.int64)
    longest = max(ks)
    if min(ks) < 1:
        raise ValueError(f"ks is {tuple(ks)}; every list length must be at least 1.")
    wanted = _stored(truth[customers])
    size = np.diff(wanted.indptr).astype(np.int64)
    if len(size) and size.min() == 0:
        raise ValueError(
            f"Customer {customers[size.argmin()]} has no true product: evaluate only customers that have."
        )
    rows, ranks, products = _rows_of(lists, customers, truth.shape[0], longest)
    hits = np.zeros((len(customers), longest), dtype=np.float64)
    hits[rows, ranks - 1] = _contains(wanted, rows, products)

    position = np.arange(1, longest + 1, dtype=np.float64)
    discount = 1.0 / np.log2(position + 1.0)
    found = np.cumsum(hits, axis=1)
    gain = np.cumsum(hits * discount, axis=1)
    ideal = np.cumsum(discount)
    precision_at_hits = np.cumsum(hits * found / position, axis=1)

    values: Values = {}
    for k in ks:
        best = np.minimum(k, size)
        values["precision", k] = found[:, k - 1] / k
        values["recall", k] = found[:, k - 1] / size
        values["ndcg", k] = gain[:, k - 1] / ideal[best - 1]
        values["map", k] = precision_at_hits[:, k - 1] / best
        values["hit_rate", k] = (found[:, k - 1] > 0).astype(np.float64)
    return values


def coverage(lists: pd.DataFrame, available: np.ndarray, ks: Sequence[int] = KS) -> dict[int, float]:
    """Share of the available products that stand in the first k of at least one list.

    "Catalog coverage" of Ge, Delgado-Battenfeld and Jannach 2010.

    Args:
        lists: columns product (code), rank.
        available: bool[n_products].
        ks: list lengths.

    Returns:
        k -> share in 0..1.

    Raises:
        ValueError: no product is available.
    """
    offered = int(available.sum())
    if offered == 0:
        raise ValueError("No product is available, so coverage has no meaning.")
    product, rank = lists["product"].to_numpy(), lists["rank"].to_numpy()
    shown = {k: np.bincount(product[rank <= k], minlength=len(available)) > 0 for k in ks}
    return {k: int((seen & available).sum()) / offered for k, seen in shown.items()}


def self_information(history: sparse.csr_matrix) -> np.ndarray:
    """float64[n_products]: -log2(share of buying customers that bought the product), in bits.

    A product nobody bought counts as if one customer had, so that the value stays finite.
    Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma of recommender systems".

    Args:
        history: csr[n_customers, n_products] with one entry per pair bought.
    """
    buying = max(1, int((np.diff(history.indptr) > 0).sum()))
    buyers = np.bincount(history.indices, minlength=history.shape[1])
    return -np.log2(np.maximum(buyers, 1) / buying)


def novelty(
    lists: pd.DataFrame, information: np.ndarray, customers: np.ndarray, ks: Sequence[int] = KS
) -> dict[int, np.ndarray]:
    """Mean self-information of the first k products of every customer's list.

    Args:
        lists: columns customer (code), product (code), rank.
        information: float64[n_products] from `self_information`, in bits.
        customers: distinct codes.
        ks: list lengths.

    Returns:
        k -> float64[len(customers)]; NaN where a customer has no list.
    """
    customers = np.asarray(customers, dtype=np.int64)
    highest = int(max(customers.max(initial=-1), lists["customer"].max() if len(lists) else -1)) + 1
    rows, ranks, products = _rows_of(lists, customers, highest, max(ks))
    result = {}
    for k in ks:
        keep = ranks <= k
        count = np.bincount(rows[keep], minlength=len(customers))
        total = np.bincount(rows[keep], weights=information[products[keep]], minlength=len(customers))
        result[k] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return result


def _rows_of(
    lists: pd.DataFrame, customers: np.ndarray, n_customers: int, longest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Position in `customers`, rank and product of the list rows that count."""
    position = np.full(n_customers, -1, dtype=np.int64)
    position[customers] = np.arange(len(customers))
    if int((position >= 0).sum()) != len(customers):
        raise ValueError("A customer is asked for twice.")
    rank = lists["rank"].to_numpy().astype(np.int64)
    if len(rank) and rank.min() < 1:
        raise ValueError(f"The lists hold rank {rank.min()}; ranks start at 1.")
    row = position[lists["customer"].to_numpy()]
    keep = (row >= 0) & (rank <= longest)
    return row[keep], rank[keep], lists["product"].to_numpy()[keep].astype(np.int64)


def _stored(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """A copy that stores true entries only, sorted."""
    matrix = matrix.tocsr().astype(bool)
    matrix.eliminate_zeros()
    matrix.sum_duplicates()
    matrix.sort_indices()
    return matrix


def _contains(matrix: sparse.csr_matrix, rows: np.ndarray, products: np.ndarray) -> np.ndarray:
    """bool per (row, product): is the entry stored?"""
    width = matrix.shape[1]
    keys = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr)) * width
    keys += matrix.indices
    return np.isin(rows * width + products, keys)
