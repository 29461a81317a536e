"""Which way of predicting spend is used: the simplest that no other is proven to beat on spend held out.

Everything is learned before an anchor that lies so many days before the week, and compared with what the customers
known then paid since. The figure that decides is the absolute error. It is small, too, where everybody is predicted
little, and says nothing of the order of customers, for which values are there: a method whose top tenth is proven
to pay less than the simplest one's is out, whatever its error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from recs_assets.evaluation.bootstrap import compare_pairs, hold_at_zero, resample_means
from recs_assets.evaluation.promotion import decide
from recs_assets.lifetime.history import MONTH_DAYS, History, sum_spend, summarise
from recs_assets.lifetime.methods import METHODS, SpendModel, learn_spend

TOP_SHARE = 0.1
# Why a method is out, whatever its error.
TOP_PAYS_LESS, NOTHING_TO_LEARN, NO_NUMBER = "top_pays_less", "nothing_to_learn", "no_number"
COLUMNS = (
    "method", "mae", "difference", "ci_low", "ci_high", "spearman", "top_share", "top_difference", "top_ci_low", "top_ci_high",
    "predicted_share", "customers", "chosen", "refused",
)  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """How the methods did on held-out spend.

    Attributes:
        method: to be used.
        days: held out; 0: there is too little to judge by, and the first is used.
        rows: `COLUMNS`, one per method, simplest first: mae; difference of the chosen method's mae to this one's (below 0: the chosen
            one errs less), ci_low, ci_high; spearman (NaN where it predicts the same for all); top_share (of the held-out spend
            that the tenth of largest predictions paid), its top_difference to that of the simplest one, top_ci_low, top_ci_high;
            predicted_share (sum of predictions / spend); customers; chosen; refused: None, or why it is out: its top tenth is proven to pay
            less, or before the days held out or before the week there is nothing to learn it from, or it predicts no number (then there
            are no figures).
        model: what was learned at the week; None: nobody has ordered.
    """

    method: str
    days: int
    rows: pd.DataFrame
    model: SpendModel | None


def judge_methods(
    orders: pd.DataFrame,
    as_of_day: int,
    days: int,
    seed: int,
    same: SpendModel | None = None,
    simplest: str = METHODS[0],
) -> Judgement:
    """Hold out the last `days` before the week, or half of all days where those are fewer.

    Args:
        orders: customer, day, amount (`history.summarise`).
        as_of_day: days since 1970-01-01.
        days: that will be predicted.
        seed: of the bootstrap.
        same: see `learn_spend`.
        simplest: the method that has to be beaten: what is used for other days, where a row is to be of one method.
    """
    order = (simplest, *(name for name in METHODS if name != simplest))
    known = orders[orders["day"] < as_of_day]
    held_out = min(days, (as_of_day - int(known["day"].min())) // 2) if len(known) else 0
    model = learn_spend(known, as_of_day, days, same=same) if len(known) else None
    if model is None or held_out < MONTH_DAYS:
        return Judgement(simplest, 0, pd.DataFrame(columns=list(COLUMNS)), model)
    anchor_day = as_of_day - held_out
    history = summarise(known, anchor_day)
    spend = sum_spend(known, history, anchor_day, held_out)
    # What is learned at the week is not what was: without an order in the last days there is no regression of them.
    then, refused = _predict(learn_spend(known, anchor_day, held_out), history, held_out)
    now, refused_now = _predict(model, summarise(known, as_of_day), days)
    refused |= refused_now
    predictions = {name: then[name] for name in order if name in then and name in now}
    first = next(iter(predictions.values()))
    tops = {name: compare_tops(values, first, spend, seed) for name, values in predictions.items()}
    refused |= {name: TOP_PAYS_LESS for name, (_, _, high) in tops.items() if high < 0}
    errors = {name: -np.abs(values - spend) for name, values in predictions.items() if name not in refused}
    method = decide(errors, order, metric="absolute_error", seed=seed).chosen
    rows = _tabulate(predictions, spend, method, tops, seed)
    without = [{"method": name, "customers": len(spend)} for name in order if name not in predictions]
    table = pd.DataFrame([*rows, *without], columns=list(COLUMNS)).assign(
        chosen=lambda rows: rows["method"] == method,
        refused=lambda rows: [refused.get(name) for name in rows["method"]],
    )
    return Judgement(method, held_out, table, model)


def predict_held_out(
    orders: pd.DataFrame, anchor_day: int, days: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What every method predicts for `days` from an anchor on, and what was spent; float64[n] of the customers known then.
    A method that was not learned, or whose predictions are not all finite, is not among them."""
    history = summarise(orders, anchor_day)
    predictions, _ = _predict(learn_spend(orders, anchor_day, days), history, days)
    return predictions, sum_spend(orders, history, anchor_day, days)


def _predict(model: SpendModel, history: History, days: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Method -> predictions, and method -> why there are none."""
    found, refused = {}, {}
    for name in METHODS:
        values = model.predict_spend(name, history, days)
        if values is None:
            refused[name] = NOTHING_TO_LEARN
        elif not np.isfinite(values).all():
            refused[name] = NO_NUMBER
        else:
            found[name] = values
    return found, refused


def _tabulate(
    predictions: Mapping[str, np.ndarray],
    spend: np.ndarray,
    chosen: str,
    tops: Mapping[str, tuple[float, float, float]],
    seed: int,
) -> list[dict[str, Any]]:
    rows = []
    for name, values in predictions.items():
        best = np.abs(predictions[chosen] - spend)
        error = np.abs(values - spend)
        difference, low, high = compare_pairs(best, error, seed)
        total = spend.sum()
        rows.append(
            {
                "method": name,
                "mae": float(error.mean()),
                "difference": difference,
                "ci_low": low,
                "ci_high": high,
                "spearman": correlate_ranks(values, spend),
                "top_share": float(find_top(values) @ spend / total) if total > 0 else np.nan,
                **dict(zip(("top_difference", "top_ci_low", "top_ci_high"), tops[name], strict=True)),
                "predicted_share": float(values.sum() / total) if total > 0 else np.nan,
                "customers": len(spend),
            }
        )
    return rows


def find_top(values: np.ndarray, share: float = TOP_SHARE) -> np.ndarray:
    """float64[n]: 1 for the largest values, `share` of all; those level at the edge share what is left."""
    places = max(1.0, share * len(values))
    edge = np.sort(values)[::-1][int(np.ceil(places)) - 1]
    above, level = values > edge, values == edge
    return above + level * (places - above.sum()) / level.sum()


def compare_tops(
    a: np.ndarray, b: np.ndarray, spend: np.ndarray, seed: int, share: float = TOP_SHARE
) -> tuple[float, float, float]:
    """Share of the spend that the top tenth (or another `share`) by `a` paid less that by `b`, and its percentile interval over customers; who
    is in a tenth stays, so that only their spend is drawn."""
    if not spend.sum() > 0:
        return 0.0, 0.0, 0.0
    difference = (find_top(a, share) - find_top(b, share)) * spend
    means = resample_means(np.stack([difference, spend], axis=1), seed)
    means = means[means[:, 1] > 0]
    low, high = hold_at_zero(difference, *np.quantile(means[:, 0] / means[:, 1], [0.025, 0.975]))
    return float(difference.sum() / spend.sum()), float(low), float(high)


def correlate_ranks(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation; NaN where one of the two is the same for all."""
    ranks = rankdata(a), rankdata(b)
    if any(np.ptp(values) == 0 for values in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])
