"""How well a query did at the test anchor, beside baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import mark_ends
from recs_assets.evaluation.bootstrap import BLOCK_VALUES, FEWEST_DIFFERENT, LEVEL, RESAMPLES
from recs_assets.evaluation.metrics import measure_customers

# AUROC of a value needs so many customers with it and so many without.
LEAST_EVENTS = 10


# Of metrics over very many pairs, fewer resamples: so many values are drawn in all.
MOST_DRAWN = 30_000_000
# How often each row is drawn, float64[resamples, rows] -> the metric of each resample.
Measure = Callable[[np.ndarray], np.ndarray]


def measure_mean(values: np.ndarray) -> Measure:
    """The mean of a value per row."""
    values = np.asarray(values, dtype=np.float64)
    return lambda counts: counts @ values / counts.sum(axis=1)


def measure_area(label: np.ndarray, score: np.ndarray) -> Measure:
    """Area under the ROC curve: chance that a positive scores above a negative, ties count half."""
    order, ends = _sort_by_score(score)
    positive = (np.asarray(label)[order] > 0).astype(np.float64)

    def measure(counts: np.ndarray) -> np.ndarray:
        counts = counts[:, order]
        true, every = (np.cumsum(part, axis=1)[:, ends] for part in (counts * positive, counts))
        false = every - true
        before = np.concatenate([np.zeros((len(true), 1)), true[:, :-1]], axis=1)
        steps = np.diff(false, axis=1, prepend=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return (steps * (true + before) / 2).sum(axis=1) / (true[:, -1] * false[:, -1])

    return measure


def measure_precision(label: np.ndarray, score: np.ndarray) -> Measure:
    """Mean precision at each positive, without interpolation; equal scores form one step."""
    order, ends = _sort_by_score(score)
    positive = (np.asarray(label)[order] > 0).astype(np.float64)

    def measure(counts: np.ndarray) -> np.ndarray:
        counts = counts[:, order]
        true, every = (np.cumsum(part, axis=1)[:, ends] for part in (counts * positive, counts))
        steps = np.diff(true, axis=1, prepend=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.nansum(steps * true / every, axis=1) / true[:, -1]

    return measure


def _sort_by_score(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows by falling score, and where each run of equal scores ends."""
    order = np.argsort(-np.asarray(score, dtype=np.float64), kind="stable")
    return order, np.flatnonzero(mark_ends(score[order]))


def measure_r2(label: np.ndarray, prediction: np.ndarray) -> Measure:
    """R2: 1 - squared error / variance."""
    error, square = (label - prediction) ** 2, label**2

    def measure(counts: np.ndarray) -> np.ndarray:
        rows = counts.sum(axis=1)
        spread = counts @ square - (counts @ label) ** 2 / rows
        return 1 - counts @ error / np.where(spread > 0, spread, np.nan)

    return measure


def auroc(label: np.ndarray, score: np.ndarray) -> float:
    """`measure_area` of these rows.

    >>> auroc(np.array([0, 1, 1]), np.array([1.0, 1.0, 2.0]))
    0.75
    """
    return float(measure_area(label, score)(np.ones((1, len(label))))[0])


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """`measure_precision` of these rows.

    >>> average_precision(np.array([0, 1, 1, 0]), np.zeros(4))
    0.5
    """
    return float(measure_precision(label, score)(np.ones((1, len(label))))[0])


@dataclass(frozen=True)
class Verdict:
    """What a test measured.

    Attributes:
        table: metric, model, value, low, high (its 95 % bootstrap interval), difference (query less model), ci_low,
            ci_high (paired); NaN where there is none.
        resampled: (metric, model) -> float64[resamples], paired.
    """

    table: pd.DataFrame
    resampled: dict[tuple[str, str], np.ndarray]

    def value(self, metric: str, model: str) -> float:
        """What was measured; NaN where it was not."""
        found = self.table[(self.table["metric"] == metric) & (self.table["model"] == model)]["value"]
        return float(found.iloc[0]) if len(found) else math.nan

    def simplest(self, models: Sequence[str], metric: str) -> tuple[str, str]:
        """The first of `models` (simplest first) that no other is proven to beat, and one sentence why.

        Larger is better. Where the metric was not measured, the first.
        """
        found = {name: self.resampled.get((metric, name), ()) for name in models}
        found = {name: values for name, values in found.items() if len(values)}
        if len(found) < len(models):
            return models[0], f"The test could not compare the models; {models[0]}, the simplest, answers."
        value = self.table[self.table["metric"] == metric].set_index("model")["value"]
        beaten = {}
        for name in models:
            better = {}
            for other in models:
                low, high = _find_interval(found[other] - found[name])
                if low > 0:
                    better[other] = (low, high)
            if not better:
                shown = f"{metric} {value[name]:.4f}"
                if not beaten:
                    return (
                        name,
                        f"{name} answers: the simplest model, and no other is proven better ({shown}).",
                    )
                worse = ", ".join(f"{name} ({value[name]:.4f})" for name in beaten)
                return (
                    name,
                    f"{name} answers: {shown}, proven better than {worse}; no other is proven better than it.",
                )
            beaten[name] = better
        return models[-1], f"{models[-1]} answers."  # everybody beaten in a circle


def _find_interval(values: np.ndarray) -> tuple[float, float]:
    values = values[np.isfinite(values)]  # a resample may hold one kind of label only
    if len(values) == 0:
        return math.nan, math.nan
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _make_verdict(
    measures: dict[tuple[str, str], Measure], size: int, seed: int, threads: int = 1
) -> Verdict:
    """Every measure with its interval; the resamples are the same for all of them."""
    names = ["metric", "model", "value", "low", "high", "difference", "ci_low", "ci_high"]
    if not measures:
        return Verdict(pd.DataFrame(columns=names), {})
    # One row drawn again and again is the same row, and a handful shows little else: that is no interval.
    resamples = min(RESAMPLES, max(50, MOST_DRAWN // size)) if size >= FEWEST_DIFFERENT else 0
    generator, drawn = np.random.default_rng(seed), {key: [] for key in measures}
    block = max(1, BLOCK_VALUES // size)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, resamples, block):
            rows = min(block, resamples - start)
            places = generator.integers(0, size, size=(rows, size)) + np.arange(rows)[:, None] * size
            counts = np.bincount(places.ravel(), minlength=rows * size).reshape(rows, size).astype(np.float64)
            figures = pool.map(lambda measure, counts=counts: measure(counts), measures.values())
            for key, values in zip(measures, figures, strict=True):
                drawn[key].append(values)
    every = np.ones((1, size))
    value = {key: float(measure(every)[0]) for key, measure in measures.items()}
    resampled = {key: np.concatenate([np.empty(0), *parts]) for key, parts in drawn.items()}
    lines = []
    for metric, model in measures:
        difference, between = math.nan, (math.nan, math.nan)
        if model != "query" and (metric, "query") in measures:
            difference = value[metric, "query"] - value[metric, model]
            between = _find_interval(resampled[metric, "query"] - resampled[metric, model])
        lines.append(
            (
                metric,
                model,
                value[metric, model],
                *_find_interval(resampled[metric, model]),
                difference,
                *between,
            )
        )
    return Verdict(pd.DataFrame(lines, columns=names), resampled)


def judge_products(
    lists: dict[str, pd.DataFrame], truth: sparse.csr_matrix, customers: np.ndarray, top: int, seed: int
) -> Verdict:
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
        return _make_verdict({}, 0, seed)
    measures = {}
    for name, rows in lists.items():
        found = measure_customers(rows, truth, some, sorted({12, top}))
        for metric, k in dict.fromkeys([("map", 12), ("recall", 12), ("recall", top)]):
            measures[f"{metric}@{k}", name] = measure_mean(found[metric, k])
    return _make_verdict(measures, len(some), seed)


def compare_products(
    lists: dict[str, pd.DataFrame], truth: sparse.csr_matrix, customers: np.ndarray
) -> dict[str, np.ndarray]:
    """Name -> float64[customers with something true]: MAP@12 of each; arguments as `judge_products`."""
    some = customers[np.diff(truth.indptr)[customers] > 0]
    return {name: measure_customers(rows, truth, some, [12])["map", 12] for name, rows in lists.items()}


def judge_values(
    customers: np.ndarray,
    truth: sparse.csr_matrix,
    scores: dict[str, sparse.csr_matrix],
    popularity: np.ndarray,
    values: Sequence[str],
    seed: int,
    threads: int,
) -> tuple[Verdict, pd.DataFrame]:
    """AUROC and average precision within each value, over all customers asked for.

    Within a value popularity is the same for everybody: AUROC 0.5, and average precision the share of customers
    with it; so "pooled_*" compares all pairs of all values at once, too.

    Args:
        customers: codes asked for.
        truth: csr[n_customers, n_values].
        scores: "query" and the baselines -> csr of that shape.
        popularity: float64[n_values].
        values: their names.
        seed: of the bootstrap, which draws values (of pooled metrics pairs, fewer times).
        threads: measure so many of the pooled metrics at once.

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
        return _make_verdict({}, 0, seed), table
    flat = {name: np.concatenate(parts) for name, parts in pooled.items()}
    within: dict[tuple[str, str], Measure] = {}
    across: dict[tuple[str, str], Measure] = {}
    for name in (*columns, "popularity"):
        within["auroc", name] = measure_mean(table[f"auroc_{name}"].to_numpy())
        within["average_precision", name] = measure_mean(table[f"ap_{name}"].to_numpy())
        across["pooled_auroc", name] = measure_area(flat["label"], flat[name])
        across["pooled_average_precision", name] = measure_precision(flat["label"], flat[name])
    both = [_make_verdict(within, len(table), seed), _make_verdict(across, len(flat["label"]), seed, threads)]
    verdict = Verdict(pd.concat([part.table for part in both], ignore_index=True), both[0].resampled)
    return verdict, table.sort_values("customers", ascending=False, ignore_index=True)


def judge_classes(
    customers: np.ndarray,
    truth: sparse.csr_matrix,
    scores: dict[str, sparse.csr_matrix],
    frequency: np.ndarray,
    seed: int,
) -> Verdict:
    """How often the likeliest value came true, and the mean logarithm of the probability of the one that did.

    Args:
        customers: codes of whom one value came true.
        truth: csr[n_customers, n_values] with one entry in each of their rows.
        scores: "query", "linear" -> probabilities that add up to 1 for everybody; "own_frequency", which is no
            probability and has no likelihood.
        frequency: float64[n_values], how often each came true in training: the baseline "class_frequency".
        seed: of the bootstrap.
    """
    if len(customers) == 0:
        return _make_verdict({}, 0, seed)
    came_true = truth[customers].indices
    share = (frequency + 1) / (frequency + 1).sum()  # what was never seen may come true
    measures = {}
    for name, matrix in {**scores, "class_frequency": None}.items():
        if matrix is None:
            likeliest, probability = np.full(len(customers), share.argmax()), share[came_true]
        else:
            dense = matrix[customers].toarray()
            likeliest, probability = dense.argmax(axis=1), dense[np.arange(len(customers)), came_true]
        measures["accuracy", name] = measure_mean(likeliest == came_true)
        if name != "own_frequency":
            measures["log_likelihood", name] = measure_mean(np.log(probability))
    return _make_verdict(measures, len(customers), seed)


def judge_boolean(label: np.ndarray, scores: dict[str, np.ndarray], seed: int) -> Verdict:
    """AUROC and average precision over customers; nothing where all labels are equal."""
    if not 0 < label.sum() < len(label):
        return _make_verdict({}, 0, seed)
    of = {"auroc": measure_area, "average_precision": measure_precision}
    measures = {
        (metric, name): one(label, score) for name, score in scores.items() for metric, one in of.items()
    }
    return _make_verdict(measures, len(label), seed)


def judge_number(label: np.ndarray, scores: dict[str, np.ndarray], seed: int) -> Verdict:
    """Mean absolute error (in the target's unit) and R2 = 1 - squared error / variance, over customers."""
    measures: dict[tuple[str, str], Measure] = {}
    for name, score in scores.items():
        measures["mae", name] = measure_mean(np.abs(label - score))
        if np.ptp(label) > 0:
            measures["r2", name] = measure_r2(label, score)
    return _make_verdict(measures, len(label), seed)
