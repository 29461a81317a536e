"""Several test anchors as one verdict: every customer counts once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.evaluation import bootstrap, metrics
from recs_assets.evaluation.evaluate import BOOTSTRAPPED, VIEWS, split_views
from recs_assets.evaluation.promotion import select_buyers
from recs_assets.known.interactions import Known

COLUMNS = (
    "view", "recommender", "metric", "k", "folds", "customers", "value", "baseline", "difference",
    "ci_low", "ci_high",
)  # fmt: skip


@dataclass(frozen=True)
class Fold:
    """One test anchor: every model's lists and what was bought after them.

    Attributes:
        known: what the lists were made from; its `as_of` is the anchor.
        truth: csr[n_customers, n_products]: bought within the label window.
        customers: int codes of those who were given lists.
        models: model -> view -> list frame (customer, product, rank).
    """

    known: Known
    truth: sparse.csr_matrix
    customers: np.ndarray
    models: Mapping[str, Mapping[str, pd.DataFrame]]


def pool_folds(folds: Sequence[Fold], view: str, models: Sequence[str]) -> np.ndarray:
    """float64[customers, models, metrics of `BOOTSTRAPPED`]: each customer's mean over the folds in
    which they bought something of the view; customers by id, so that a resample draws people, not
    (person, fold) pairs that resemble each other."""
    parts = []
    for fold in folds:
        true = split_views(fold.truth, fold.known.history)[view]
        buyers = select_buyers(true, fold.customers)
        ks = sorted({k for _, k in BOOTSTRAPPED})
        values = np.empty((len(buyers), len(models), len(BOOTSTRAPPED)))
        for place, name in enumerate(models):
            measured = metrics.measure_customers(fold.models[name][view], true, buyers, ks)
            values[:, place] = np.column_stack([measured[metric] for metric in BOOTSTRAPPED])
        ids = fold.known.customers["customer_id"].to_numpy(dtype=object)[buyers]
        parts.append((ids, values))
    ids, number = np.unique(np.concatenate([part for part, _ in parts]), return_inverse=True)
    total = np.zeros((len(ids), len(models), len(BOOTSTRAPPED)))
    np.add.at(total, number, np.concatenate([values for _, values in parts]))
    return total / np.bincount(number, minlength=len(ids))[:, None, None]


def backtest(
    folds: Sequence[Fold],
    single: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = bootstrap.RESAMPLES,
) -> pd.DataFrame:
    """Every model beside the best single recommender, over all folds.

    Args:
        folds: at least one; a model counts in a view if every fold has its lists of that view.
        single: names of the models that may be the baseline (no blends, no rankers).
        seed: of the bootstrap.
        resamples: of the bootstrap.

    Returns:
        `COLUMNS`: a row per view, model and metric of `BOOTSTRAPPED`. value is the mean over customers;
        baseline the one of `single` with the largest value (ties to the first by name); difference,
        ci_low and ci_high the paired difference to it. A view in which nobody bought is absent.
    """
    rows = []
    for view in VIEWS:
        models = sorted(
            set.intersection(*({name for name in fold.models if view in fold.models[name]} for fold in folds))
        )
        values = pool_folds(folds, view, models)
        if not len(values):
            continue
        for number, (metric, k) in enumerate(BOOTSTRAPPED):
            mean = values[:, :, number].mean(axis=0)
            baseline = max(
                (place for place, name in enumerate(models) if name in single),
                key=lambda place: (mean[place], -place),
            )
            difference = values[:, :, number] - values[:, baseline, number][:, None]
            ends = bootstrap.find_interval(difference, seed, resamples)
            low, high = bootstrap.hold_at_zero(difference, *ends)
            rows += [
                (
                    view, name, metric, k, len(folds), len(values), mean[place], models[baseline],
                    difference[:, place].mean(), low[place], high[place],
                )
                for place, name in enumerate(models)
            ]  # fmt: skip
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({"k": np.int32, "folds": np.int32, "customers": np.int64})
