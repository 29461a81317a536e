"""Which model may be published: the simplest that the data do not prove worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.evaluation import bootstrap, metrics
from recs_assets.evaluation.evaluate import split_views
from recs_assets.known.interactions import Known

# Simplest first: fewer parts, nothing learned, a reason that everybody understands.
ORDER = ("popularity", "repurchase", "user_knn", "blend", "ranker")
COLUMNS = (
    "metric",
    "candidate",
    "incumbent",
    "candidate_value",
    "incumbent_value",
    "difference",
    "ci_low",
    "ci_high",
    "customers",
    "promoted",
    "chosen",
)


@dataclass(frozen=True)
class Decision:
    """The model to publish, and why.

    Attributes:
        chosen: its name.
        comparisons: one row per comparison in the order made, `COLUMNS`; empty for a single model.
    """

    chosen: str
    comparisons: pd.DataFrame


def decide(
    values: Mapping[str, np.ndarray],
    order: Sequence[str] = ORDER,
    *,
    metric: str = "map@12",
    seed: int = 0,
    resamples: int = bootstrap.RESAMPLES,
    level: float = bootstrap.LEVEL,
) -> Decision:
    """The simplest model that no other is proven to beat.

    A model is beaten where the paired bootstrap interval of the difference of another's mean to its own lies
    above 0, which that of less than a handful of customers never does (`bootstrap.hold_at_zero`). The first model holds until one that follows it in the order is proven to beat it; then the next one
    that is not yet passed over holds, and so on: what is level, or not proven, loses to the simpler. The model of
    the largest mean is beaten by none, so there is always one. One comparison errs with at most (1 - level) / 2.

    Args:
        values: model -> float64[customers], the metric of every customer, the same customers in the
            same order (`measure_models`).
        order: simplest first; names without values are passed over.
        metric: what the values are, for the record.
        seed: of the bootstrap; the same customers are drawn in every comparison.
        resamples: of the bootstrap.
        level: coverage of the interval.

    Raises:
        ValueError: no model of `order` has values, lengths differ, or see `bootstrap.find_interval`.
    """
    present = [name for name in order if name in values]
    if not present:
        raise ValueError(f"None of {tuple(order)} has values, so nothing can be chosen.")
    rows: list[tuple] = []
    mean = {name: float(np.mean(values[name])) for name in present}
    beaten: set[str] = set()
    for place, holds in enumerate(present):
        if holds in beaten:
            continue
        # A simpler one was beaten itself, and can only beat this one with a larger mean.
        others = [*present[place + 1 :], *(name for name in present[:place] if mean[name] > mean[holds])]
        for name in others:
            difference, low, high = bootstrap.compare_pairs(
                values[name], values[holds], seed, resamples, level
            )
            rows.append(
                (
                    metric,
                    name,
                    holds,
                    mean[name],
                    mean[holds],
                    difference,
                    low,
                    high,
                    len(values[name]),
                    low > 0,
                )
            )
            if high < 0:
                beaten.add(name)
            if low > 0:
                break
        else:
            break
    table = pd.DataFrame(rows, columns=list(COLUMNS[:-1])).assign(chosen=holds)
    return Decision(holds, table.astype({"customers": np.int64, "promoted": bool}))


def explain_decision(comparisons: pd.DataFrame, chosen: str, what: str = "Lists") -> str:
    """Which model was chosen, and what the data say for it.

    Args:
        comparisons: `Decision.comparisons`.
        chosen: the model.
        what: it makes.
    """
    won = comparisons[comparisons["promoted"].astype(bool)]
    if won.empty:
        others = ", ".join(comparisons["candidate"])
        text = f"{what} made by {chosen}, the simplest model: none of {others} is proven to beat it."
        customers = comparisons["customers"].max()
        if customers < bootstrap.FEWEST_DIFFERENT:
            text += f" Only {customers:.0f} customers bought anything in the test, and so few prove nothing."
        return text
    last = won.iloc[-1]
    figures = (
        f"{last.metric} of {last.candidate_value:.4f} beats {last.incumbent}'s {last.incumbent_value:.4f} "
        f"by {last.difference:.4f} ({last.ci_low:.4f} to {last.ci_high:.4f})"
    )
    if last.candidate == chosen:
        return f"{what} made by {chosen}: its {figures}."
    return (
        f"{what} made by {chosen}, the simplest model that no other is proven to beat: of the simpler ones, "
        f"{last.incumbent} is beaten by {last.candidate}, whose {figures}."
    )


def measure_models(
    lists: Mapping[str, pd.DataFrame],
    known: Known,
    truth: sparse.csr_matrix,
    customers: np.ndarray,
    *,
    view: str = "all",
    metric: str = "map",
    k: int = 12,
) -> dict[str, np.ndarray]:
    """What `decide` compares: one metric of every customer with a true product, per model.

    Args:
        lists: model -> list frame (customer, product, rank) made with `view`.
        known: what the lists were made from.
        truth: csr[n_customers, n_products]: bought within the label window.
        customers: codes that were given lists; those without a true product of the view drop out.
        view: "all", "new" or "repeat".
        metric: one of those that `metrics.measure_customers` gives.
        k: list length.
    """
    true = split_views(truth, known.history)[view]
    buyers = select_buyers(true, customers)
    return {
        name: metrics.measure_customers(frame, true, buyers, (k,))[metric, k] for name, frame in lists.items()
    }


def select_buyers(true: sparse.csr_matrix, customers: np.ndarray) -> np.ndarray:
    """int64: those of the customer codes that have a true product, ascending."""
    codes = np.sort(np.asarray(customers, dtype=np.int64))
    return codes[np.diff(true.indptr)[codes] > 0]
