"""How well a query did at the test anchor, beside baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.evaluation.bootstrap import paired_difference
from recs_assets.evaluation.metrics import per_customer

# AUROC of a value needs so many customers with it and so many without.
LEAST_EVENTS = 10


def auroc(label: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: chance that a positive scores above a negative, ties count half.

    >>> auroc(np.array([0, 1, 1]), np.array([1.0, 1.0, 2.0]))
    0.75
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(label, score))


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """Mean precision at each positive, without interpolation; equal scores form one step.

    >>> average_precision(np.array([0, 1, 1, 0]), np.zeros(4))
    0.5
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(label, score))


def _metrics(values: dict[tuple[str, str], float | np.ndarray], seed: int) -> pd.DataFrame:
    """(metric, model) -> a number, or a value per customer (or category) whose mean it is."""
    rows = []
    for (metric, model), value in values.items():
        mine = values[metric, "query"]
        difference = low = high = math.nan
        if model != "query":
            difference = float(np.mean(mine) - np.mean(value))
            if isinstance(value, np.ndarray):
                difference, low, high = paired_difference(mine, value, seed)
        rows.append((metric, model, float(np.mean(value)), difference, low, high))
    return pd.DataFrame(rows, columns=["metric", "model", "value", "difference", "ci_low", "ci_high"])


def judge_products(
    lists: dict[str, pd.DataFrame], truth: sparse.csr_matrix, customers: np.ndarray, top: int, seed: int
) -> pd.DataFrame:
    """MAP@12, recall@12 and recall@top of lists, over customers with something true.

    Args:
        lists: "query" and the baselines -> customer, product, rank.
        truth: csr[n_customers, n_products], in the view.
        customers: codes that were asked for.
        top: k of the query.
        seed: of the bootstrap.
    """
    some = customers[np.diff(truth.indptr)[customers] > 0]
    if len(some) == 0:
        return _metrics({}, seed)
    values = {}
    for name, rows in lists.items():
        found = per_customer(rows, truth, some, sorted({12, top}))
        for metric, k in dict.fromkeys([("map", 12), ("recall", 12), ("recall", top)]):
            values[f"{metric}@{k}", name] = found[metric, k]
    return _metrics(values, seed)


def compare_products(
    lists: dict[str, pd.DataFrame], truth: sparse.csr_matrix, customers: np.ndarray
) -> dict[str, np.ndarray]:
    """Name -> float64[customers with something true]: MAP@12 of each; arguments as `judge_products`."""
    some = customers[np.diff(truth.indptr)[customers] > 0]
    return {name: per_customer(rows, truth, some, [12])["map", 12] for name, rows in lists.items()}


def judge_values(
    customers: np.ndarray,
    truth: sparse.csr_matrix,
    scores: dict[str, sparse.csr_matrix],
    popularity: np.ndarray,
    values: Sequence[str],
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """AUROC and average precision within each value, over all customers asked for.

    A pair that was no candidate scores 0. Within a value popularity is the same for everybody:
    AUROC 0.5, and average precision the share of customers with it; so "pooled_*" compares all
    pairs of all values at once, too.

    Args:
        customers: codes asked for.
        truth: csr[n_customers, n_values].
        scores: "query" and "own_frequency" -> csr of that shape, 0 or more.
        popularity: float64[n_values].
        values: their names.
        seed: of the bootstrap, which draws values.

    Returns:
        Metrics, and a row per value with at least `LEAST_EVENTS` customers with and without it.
    """
    columns = {name: matrix[customers].tocsc() for name, matrix in scores.items()}
    wanted = truth[customers].tocsc()
    count = np.diff(wanted.indptr)
    judged = np.flatnonzero((count >= LEAST_EVENTS) & (len(customers) - count >= LEAST_EVENTS))
    rows, pooled = [], {name: [] for name in ("label", *columns, "popularity")}
    for value in judged:
        label = np.asarray(wanted[:, [value]].todense()).ravel() > 0
        dense = {name: np.asarray(matrix[:, [value]].todense()).ravel() for name, matrix in columns.items()}
        dense["popularity"] = np.full(len(customers), popularity[value])
        row = {"value": values[value], "customers": int(count[value])}
        for name, score in dense.items():
            row |= {f"auroc_{name}": auroc(label, score), f"ap_{name}": average_precision(label, score)}
            pooled[name].append(score)
        pooled["label"].append(label)
        rows.append(row)
    table = pd.DataFrame(rows)
    if len(table) == 0:
        return _metrics({}, seed), table
    flat = {name: np.concatenate(parts) for name, parts in pooled.items()}
    found: dict[tuple[str, str], float | np.ndarray] = {}
    for name in ("query", "own_frequency", "popularity"):
        found["auroc", name] = table[f"auroc_{name}"].to_numpy()
        found["average_precision", name] = table[f"ap_{name}"].to_numpy()
        found["pooled_auroc", name] = auroc(flat["label"], flat[name])
        found["pooled_average_precision", name] = average_precision(flat["label"], flat[name])
    return _metrics(found, seed), table.sort_values("customers", ascending=False, ignore_index=True)


def judge_boolean(label: np.ndarray, scores: dict[str, np.ndarray], seed: int) -> pd.DataFrame:
    """AUROC and average precision over customers; nothing where all labels are equal."""
    if not 0 < label.sum() < len(label):
        return _metrics({}, seed)
    measures = {"auroc": auroc, "average_precision": average_precision}
    return _metrics(
        {
            (metric, name): of(label, score)
            for name, score in scores.items()
            for metric, of in measures.items()
        },
        seed,
    )


def judge_number(label: np.ndarray, scores: dict[str, np.ndarray], seed: int) -> pd.DataFrame:
    """Mean absolute error (in the target's unit) and R2 = 1 - squared error / variance, over customers."""
    values: dict[tuple[str, str], float | np.ndarray] = {}
    spread = float(((label - label.mean()) ** 2).sum())
    for name, score in scores.items():
        values["mae", name] = np.abs(label - score)
        if spread > 0:
            values["r2", name] = 1 - float(((label - score) ** 2).sum()) / spread
    return _metrics(values, seed)
