"""Ranking metrics over top-k lists and what was really bought; formulas in docs/evaluation.md.

Everything is one dense hit matrix (customers x ranks) and a few cumulative sums; no loop over
customers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import is_stored, number_rows

KS = (5, 10, 12, 20, 50)

Values = dict[tuple[str, int], np.ndarray]


def measure_customers(
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
    wanted = _clean(truth[customers])
    size = np.diff(wanted.indptr).astype(np.int64)
    if len(size) and size.min() == 0:
        raise ValueError(
            f"Customer {customers[size.argmin()]} has no true product: evaluate only customers that have."
        )
    rows, ranks, products = _place_rows(lists, customers, truth.shape[0], longest)
    hits = np.zeros((len(customers), longest), dtype=np.float64)
    hits[rows, ranks - 1] = is_stored(wanted, rows, products)

    position = np.arange(1, longest + 1, dtype=np.float64)
    discount = 1.0 / np.log2(position + 1.0)
    hits_so_far = np.cumsum(hits, axis=1)
    gain = np.cumsum(hits * discount, axis=1)
    ideal = np.cumsum(discount)
    precision_at_hits = np.cumsum(hits * hits_so_far / position, axis=1)

    values: Values = {}
    for k in ks:
        best = np.minimum(k, size)
        values["precision", k] = hits_so_far[:, k - 1] / k
        values["recall", k] = hits_so_far[:, k - 1] / size
        values["ndcg", k] = gain[:, k - 1] / ideal[best - 1]
        values["map", k] = precision_at_hits[:, k - 1] / best
        values["hit_rate", k] = (hits_so_far[:, k - 1] > 0).astype(np.float64)
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
    rows, ranks, products = _place_rows(lists, customers, highest, max(ks))
    result = {}
    for k in ks:
        keep = ranks <= k
        count = np.bincount(rows[keep], minlength=len(customers))
        total = np.bincount(rows[keep], weights=information[products[keep]], minlength=len(customers))
        result[k] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return result


def list_best_sellers(history: sparse.csr_matrix, available: np.ndarray, k: int) -> np.ndarray:
    """int64 codes of the `k` available products that most customers bought; ties to the smaller code."""
    buyers = np.bincount(history.indices, minlength=history.shape[1])
    sold = np.flatnonzero((buyers > 0) & available)
    return sold[np.lexsort((sold, -buyers[sold]))][:k]


def serendipity(
    lists: pd.DataFrame,
    truth: sparse.csr_matrix,
    history: sparse.csr_matrix,
    available: np.ndarray,
    customers: np.ndarray,
    ks: Sequence[int] = KS,
) -> dict[int, np.ndarray]:
    """Share of the first k that is both bought and unexpected.

    Unexpected is what neither of two primitive predictions names: the customer bought the product
    before, or it is one of the k best sellers. "Ratio of serendipity" of Ge, Delgado-Battenfeld and
    Jannach 2010 (unexpected and useful, divided by the length of the list).

    Args:
        lists: columns customer (code), product (code), rank.
        truth: csr[n_customers, n_products]; stored non-zeros were bought in the label window.
        history: csr of the same shape: bought before the anchor.
        available: bool[n_products].
        customers: distinct codes.
        ks: list lengths; a shorter list is divided by k all the same.

    Returns:
        k -> float64[len(customers)].
    """
    customers = np.asarray(customers, dtype=np.int64)
    rows, ranks, products = _place_rows(lists, customers, truth.shape[0], max(ks))
    useful = is_stored(_clean(truth[customers]), rows, products)
    useful &= ~is_stored(_clean(history[customers]), rows, products)
    place = np.full(truth.shape[1], np.iinfo(np.int64).max)
    best = list_best_sellers(history, available, max(ks))
    place[best] = np.arange(1, len(best) + 1)
    return {
        k: np.bincount(rows[useful & (ranks <= k) & (place[products] > k)], minlength=len(customers)) / k
        for k in ks
    }


def diversity(
    lists: pd.DataFrame, vectors: sparse.csr_matrix, customers: np.ndarray, ks: Sequence[int] = KS
) -> dict[int, np.ndarray]:
    """Mean distance (1 - cosine) between the products of a list, over its pairs.

    Intra-list diversity, the complement of the intra-list similarity of Ziegler et al. 2005. With
    unit vectors the cosines of all ordered pairs of distinct products sum to |sum of vectors|^2
    less one per product, so no pair is formed.

    Args:
        lists: columns customer (code), product (code), rank.
        vectors: csr[n_products, features], rows of length 1 or empty (an unknown product is like no other).
        customers: distinct codes.
        ks: list lengths.

    Returns:
        k -> float64[len(customers)] in 0..1 for vectors without negative parts; NaN for lists of
        fewer than two products.
    """
    customers = np.asarray(customers, dtype=np.int64)
    highest = int(max(customers.max(initial=-1), lists["customer"].max() if len(lists) else -1)) + 1
    rows, ranks, products = _place_rows(lists, customers, highest, max(ks))
    described = np.diff(vectors.indptr) > 0
    result = {}
    for k in ks:
        keep = ranks <= k
        row, product = rows[keep], products[keep]
        shown = sparse.csr_matrix(
            (np.ones(len(row)), (row, product)), shape=(len(customers), vectors.shape[0])
        )
        total = (shown @ vectors).tocsr()
        squared = np.asarray(total.multiply(total).sum(axis=1)).ravel()
        count = np.bincount(row, minlength=len(customers))
        alike = squared - np.bincount(row, weights=described[product], minlength=len(customers))
        pairs = count * (count - 1)
        result[k] = np.where(pairs > 0, 1 - alike / np.maximum(pairs, 1), np.nan)
    return result


def popularity(
    lists: pd.DataFrame, history: sparse.csr_matrix, customers: np.ndarray, ks: Sequence[int] = KS
) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Mean popularity of a customer's list, and of what they bought themselves.

    Popularity of a product: share of the buying customers that bought it. The relative difference
    of the two means over customers is the popularity bias "delta GAP" of Abdollahpouri, Mansoury,
    Burke and Mobasher, The Unfairness of Popularity Bias in Recommendation, 2019.

    Args:
        lists: columns customer (code), product (code), rank.
        history: csr[n_customers, n_products] with one entry per pair bought before the anchor.
        customers: distinct codes.
        ks: list lengths.

    Returns:
        k -> float64[len(customers)] (NaN without a list), and float64[len(customers)] of the
        profiles (NaN without a purchase).
    """
    customers = np.asarray(customers, dtype=np.int64)
    buying = max(1, int((np.diff(history.indptr) > 0).sum()))
    share = np.bincount(history.indices, minlength=history.shape[1]) / buying
    profile = history[customers]
    bought = np.diff(profile.indptr)
    rows = np.repeat(np.arange(len(customers)), bought)
    total = np.bincount(rows, weights=share[profile.indices], minlength=len(customers))
    own = np.where(bought > 0, total / np.maximum(bought, 1), np.nan)
    return novelty(lists, share, customers, ks), own


def measure_product_classes(
    lists: pd.DataFrame,
    truth: sparse.csr_matrix,
    customers: np.ndarray,
    classes: np.ndarray,
    count: int,
    ks: Sequence[int] = KS,
) -> dict[tuple[int, str, int], tuple[np.ndarray, np.ndarray]]:
    """Recall and hit rate of the true products of each class, from the lists as they are.

    Only these two: precision, MAP and NDCG would count a hit on another class as a miss.

    Args:
        lists: columns customer (code), product (code), rank.
        truth: csr[n_customers, n_products]; stored non-zeros are true.
        customers: distinct codes.
        classes: int[n_products] in 0..count-1.
        count: number of classes.
        ks: list lengths.

    Returns:
        (class, "recall" or "hit_rate", k) -> positions in `customers` of those with a true product of
        the class, and their values float64.
    """
    customers = np.asarray(customers, dtype=np.int64)
    wanted = _clean(truth[customers])
    rows, ranks, products = _place_rows(lists, customers, truth.shape[0], max(ks))
    hit = is_stored(wanted, rows, products)
    cell = rows[hit] * count + classes[products[hit]]
    owner = number_rows(wanted)
    size = np.bincount(owner * count + classes[wanted.indices], minlength=len(customers) * count)
    size = size.reshape(len(customers), count)
    result = {}
    for k in ks:
        hits = np.bincount(cell[ranks[hit] <= k], minlength=size.size).reshape(size.shape)
        for number in range(count):
            buyers = np.flatnonzero(size[:, number])
            result[number, "recall", k] = buyers, hits[buyers, number] / size[buyers, number]
            result[number, "hit_rate", k] = buyers, (hits[buyers, number] > 0).astype(np.float64)
    return result


def _place_rows(
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


def _clean(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """A copy that stores true entries only, sorted."""
    matrix = matrix.tocsr().astype(bool)
    matrix.eliminate_zeros()
    matrix.sum_duplicates()
    matrix.sort_indices()
    return matrix
