"""From a ranker's score to the probability of a purchase within the horizon.

Two calibrators, both monotone: isotonic regression (Zadrozny and Elkan 2002) and beta
calibration (Kull, Silva Filho and Flach 2017). Which one is better is decided on customers that
neither was fitted on. What is right on the whole may be wrong for people of whom little is known, so the
log-odds are then shifted by stratum (`ranking.strata`), by a ridge regression that leaves small strata where
they are, and only where that is better on the customers kept back (compare Hebert-Johnson et al. 2018,
*Multicalibration*). No probability is larger than what the likeliest rows of the sample reached.
A calibrator is a handful of plain numbers, stored as JSON.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from recs_assets.arrays import mark_starts
from recs_assets.ranking.strata import SIZES
from recs_assets.schema import ArtefactError

# Probabilities are kept this far from 0 and 1: a logarithm of either is infinite.
SMALLEST = 1e-6
# The likeliest rows of the sample that bound every probability.
SUPPORT = 100
# Rows of doubt per stratum: its shift counts as if as many more had been seen of which the sum is right.
RIDGE = 100.0
# Log-odds are rounded to so many per unit where shifts are fitted, so that a million rows are some thousands.
PER_UNIT = 20


def sigmoid(score: np.ndarray) -> np.ndarray:
    """float64: 1 / (1 + exp(-score)), without overflow."""
    score = np.asarray(score, dtype=np.float64)
    tail = np.exp(-np.abs(score))
    return np.where(score >= 0, 1.0, tail) / (1.0 + tail)


@dataclass(frozen=True)
class Calibrator:
    """A non-decreasing map from raw scores to probabilities.

    Attributes:
        kind: "isotonic": linear between the knots (x: score, y: probability), flat outside them;
            "beta": sigmoid(a log s - b log(1 - s) + c) with s = sigmoid(score).
        x: the knots' scores, ascending; empty for "beta".
        y: the knots' probabilities, non-decreasing; (a, b, c) for "beta", a and b >= 0.
        highest: no probability is larger.
        shifts: of the log-odds, per class of every stratum (`strata.SIZES`, one after the other); empty for none.
    """

    kind: Literal["isotonic", "beta"]
    x: tuple[float, ...]
    y: tuple[float, ...]
    highest: float = 1 - SMALLEST
    shifts: tuple[float, ...] = ()

    def probability(self, score: np.ndarray, strata: np.ndarray | None = None) -> np.ndarray:
        """float64[n] within [SMALLEST, highest]; non-decreasing in the score among rows of the same strata.

        Args:
            score: float[n] raw scores.
            strata: int[n, strata] of `find_strata`; needed where there are shifts.

        Raises:
            ValueError: a score is not finite, or strata are missing.
        """
        probability = self._map(score)
        if self.shifts:
            if strata is None:
                raise ValueError("This calibration shifts by stratum: give the strata of the rows.")
            probability = sigmoid(log_odds(probability) + _encode_strata(strata) @ np.asarray(self.shifts))
        return np.clip(probability, SMALLEST, self.highest)

    def _map(self, score: np.ndarray) -> np.ndarray:
        """float64[n]: before shifts and bound."""
        score = _check_finite(score)
        if self.kind == "isotonic":
            probability = np.interp(score, self.x, self.y)
        else:
            a, b, c = self.y
            probability = sigmoid(a * _log_sigmoid(score) - b * _log_sigmoid(-score) + c)
        return np.clip(probability, SMALLEST, 1 - SMALLEST)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "x": list(self.x), "y": list(self.y), "highest": self.highest,
            "shifts": list(self.shifts),
        }  # fmt: skip

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ArtefactError: not a non-decreasing map.
        """
        try:
            kind, highest = stored["kind"], float(stored["highest"])
            x, y, shifts = (tuple(map(float, stored[name])) for name in ("x", "y", "shifts"))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtefactError(
                f"The stored calibration cannot be read ({error!r}): materialise the ranker again."
            ) from error
        rising = len(x) == len(y) > 0 and (np.diff(x) > 0).all() and (np.diff(y) >= 0).all()
        beta = len(x) == 0 and len(y) == 3 and min(y[:2]) >= 0
        shifted = len(shifts) in (0, sum(SIZES)) and SMALLEST <= highest <= 1 - SMALLEST
        if not (shifted and np.isfinite([*x, *y, *shifts]).all()) or not (
            rising if kind == "isotonic" else kind == "beta" and beta
        ):
            raise ArtefactError(
                "The stored calibration is not a rising function: materialise the ranker again."
            )
        return cls(kind, x, y, highest, shifts)


def fit_isotonic(score: np.ndarray, label: np.ndarray) -> Calibrator:
    """Least squares among non-decreasing step functions (pool adjacent violators), joined by lines.

    Raises:
        ValueError: see `calibrate`.
    """
    from sklearn.isotonic import IsotonicRegression

    score, label = _check_pair(score, label)
    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(score, label)
    x, y = (np.asarray(part, dtype=np.float64) for part in (model.X_thresholds_, model.y_thresholds_))
    # sklearn keeps thresholds in float; equal neighbours would make the interpolation ambiguous.
    first = mark_starts(x)
    return Calibrator("isotonic", tuple(x[first].tolist()), tuple(np.maximum.accumulate(y[first]).tolist()))


def fit_beta(score: np.ndarray, label: np.ndarray) -> Calibrator:
    """Maximum likelihood of the three parameters of beta calibration, by Newton steps.

    A slope that comes out below 0 would let the probability fall where the score rises; it is set
    to 0 and the other parameters are fitted again, as Kull et al. do.

    Raises:
        ValueError: see `calibrate`.
    """
    score, label = _check_pair(score, label)
    columns = np.column_stack([_log_sigmoid(score), -_log_sigmoid(-score), np.ones(len(score))])
    free = [0, 1, 2]
    while True:
        slopes = np.zeros(3)
        slopes[free] = _fit_logistic(columns[:, free], label)
        falling = [number for number in (0, 1) if slopes[number] < 0]
        if not falling:
            return Calibrator("beta", (), tuple(slopes.tolist()))
        free.remove(min(falling, key=lambda number: slopes[number]))


def _fit_logistic(
    columns: np.ndarray,
    share: np.ndarray,
    weight: np.ndarray | float = 1.0,
    offset: np.ndarray | float = 0.0,
    ridge: float = 1e-6,
) -> np.ndarray:
    """Logistic regression of shares by Newton steps with step halving; the ridge keeps it finite where
    the classes separate."""

    def loss(slopes: np.ndarray) -> float:
        margin = offset + columns @ slopes
        likelihood = share * _log_sigmoid(margin) + (1 - share) * _log_sigmoid(-margin)
        return float(-(weight * likelihood).sum()) + float(ridge * slopes @ slopes / 2)

    slopes = np.zeros(columns.shape[1])
    best = loss(slopes)
    for _ in range(100):
        p = sigmoid(offset + columns @ slopes)
        gradient = columns.T @ (weight * (p - share)) + ridge * slopes
        curvature = (columns * (weight * p * (1 - p))[:, None]).T @ columns + ridge * np.eye(len(slopes))
        step = np.linalg.solve(curvature, gradient)
        for shrink in 0.5 ** np.arange(30):
            tried = loss(slopes - shrink * step)
            if tried <= best:
                break
        else:
            break
        slopes = slopes - shrink * step
        if best - tried <= 1e-10 * max(1.0, best):
            break
        best = tried
    return slopes


def _fit_shifts(model: Calibrator, score: np.ndarray, label: np.ndarray, strata: np.ndarray) -> Calibrator:
    """The model with shifts that bring the sums of the strata near what was bought."""
    odds = np.round(log_odds(model._map(score)) * PER_UNIT).astype(np.int64)
    key = odds - odds.min()
    for place, size in enumerate(SIZES):
        key = key * size + strata[:, place]
    _, first, row, rows = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    share = np.bincount(row, weights=label) / rows
    shifts = _fit_logistic(_encode_strata(strata[first]), share, rows, odds[first] / PER_UNIT, RIDGE)
    return replace(model, shifts=tuple(shifts.tolist()))


def _bound(model: Calibrator, score: np.ndarray, label: np.ndarray, strata: np.ndarray | None) -> Calibrator:
    """The model with the largest probability that the sample supports: of its `SUPPORT` likeliest rows the
    share that was bought, with one hit and one miss more (Laplace)."""
    probability = model.probability(score, strata)
    top = np.argsort(-probability, kind="stable")[:SUPPORT]
    highest = (label[top].sum() + 1) / (len(top) + 2)
    return replace(model, highest=float(np.clip(highest, SMALLEST, 1 - SMALLEST)))


def _encode_strata(strata: np.ndarray) -> np.ndarray:
    """float64[n, sum(SIZES)]: one column per class."""
    indicators = np.zeros((len(strata), sum(SIZES)))
    start = 0
    for place, size in enumerate(SIZES):
        indicators[np.arange(len(strata)), start + strata[:, place]] = 1.0
        start += size
    return indicators


def log_odds(probability: np.ndarray) -> np.ndarray:
    """float64: of probabilities, kept `SMALLEST` away from 0 and 1."""
    inside = np.clip(probability, SMALLEST, 1 - SMALLEST)
    return np.log(inside) - np.log1p(-inside)


def calibrate(
    score: np.ndarray, label: np.ndarray, group: np.ndarray, strata: np.ndarray | None = None
) -> tuple[Calibrator, dict[str, float]]:
    """Fit both calibrators on every other group, keep the better on the rest, with shifts by stratum where
    those are better still, and refit it on all.

    Args:
        score: float[n] raw scores of candidates that the ranker was not fitted on, not sampled.
        label: int[n], 1 where bought.
        group: int[n], the customer: all candidates of one stay on one side.
        strata: int[n, strata] of `find_strata`; none for no shifts.

    Returns:
        The calibrator and, for "raw" (the sigmoid of the score), "isotonic", "beta" and "strata", brier_* and
        ece_* on the groups that were held back. Isotonic must be better by Brier to be kept: beta
        is smooth, so that ties in the ranking stay rare.

    Raises:
        ValueError: no rows, a score that is not finite, only one kind of label, or fewer than two
            groups.
    """
    score, label = _check_pair(score, label)
    numbers, place = np.unique(np.asarray(group), return_inverse=True)
    if len(numbers) < 2:
        raise ValueError("Calibration needs at least two customers: one side fits, the other judges.")
    held = place % 2 == 1
    makers = {"beta": fit_beta, "isotonic": fit_isotonic}
    both = all(0 < part.sum() < len(part) for part in (label[held], label[~held]))
    if not both:
        raise ValueError(
            "Half of the customers bought nothing, or everything: there is nothing to calibrate."
        )
    facts: dict[str, float] = {}

    def judge(name: str, probability: np.ndarray) -> None:
        facts[f"brier_{name}"] = brier(probability, label[held])
        facts[f"ece_{name}"] = expected_calibration_error(probability, label[held])

    judge("raw", sigmoid(score[held]))
    fitted = {name: make(score[~held], label[~held]) for name, make in makers.items()}
    for name, model in fitted.items():
        judge(name, model.probability(score[held]))
    chosen = "isotonic" if facts["brier_isotonic"] < facts["brier_beta"] else "beta"
    model = makers[chosen](score, label)
    if strata is not None:
        shifted = _fit_shifts(fitted[chosen], score[~held], label[~held], strata[~held])
        judge("strata", shifted.probability(score[held], strata[held]))
        if facts["brier_strata"] < facts[f"brier_{chosen}"]:
            model = _fit_shifts(model, score, label, strata)
    return _bound(model, score, label, strata), facts


def brier(probability: np.ndarray, label: np.ndarray) -> float:
    """Mean squared difference between probability and label (Brier 1950); lower is better.

    >>> brier(np.array([0.5, 1.0]), np.array([1, 1]))
    0.125
    """
    probability, label = _check_pair(probability, label, both=False)
    return float(np.mean((probability - label) ** 2))


def reliability(probability: np.ndarray, label: np.ndarray, bins: int = 10) -> dict[str, np.ndarray]:
    """Predicted against actual, in bins of equally many rows (most probabilities are tiny, so that
    bins of equal width would hold nearly everything in the first).

    Returns:
        rows int64, predicted, actual float64 (means) per bin that holds rows, by rising
        probability. Equal probabilities share a bin.
    """
    probability, label = _check_pair(probability, label, both=False)
    order = np.argsort(probability, kind="stable")
    edges = probability[order][np.linspace(0, len(order), bins + 1).astype(int)[1:-1]]
    place = np.searchsorted(np.unique(edges), probability, side="right")
    rows = np.bincount(place)
    seen = rows > 0
    return {
        "rows": rows[seen],
        "predicted": np.bincount(place, weights=probability)[seen] / rows[seen],
        "actual": np.bincount(place, weights=label)[seen] / rows[seen],
    }


def expected_calibration_error(probability: np.ndarray, label: np.ndarray, bins: int = 10) -> float:
    """Mean over rows of |predicted - actual| of the row's bin (Naeini et al. 2015), bins as in
    `reliability`."""
    table = reliability(probability, label, bins)
    return float(np.average(np.abs(table["predicted"] - table["actual"]), weights=table["rows"]))


def reliability_plot(probability: np.ndarray, label: np.ndarray, bins: int = 20) -> bytes:
    """PNG: actual share bought against predicted probability, both logarithmic.

    The same values give the same bytes on the same machine.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    table = reliability(probability, label, bins)
    figure = Figure(figsize=(4.6, 4.4), dpi=110, layout="constrained", facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shown = table["actual"] > 0  # a bin without a purchase has no place on a logarithmic axis
    values = np.concatenate([table["predicted"], table["actual"][shown]])
    ends = [max(SMALLEST, float(values.min()) / 1.5), min(1.0, float(values.max()) * 1.5)]
    axes.plot(ends, ends, color="#b0b0b0", linewidth=1)
    axes.plot(table["predicted"][shown], table["actual"][shown], "o-", color="#1f5a96", markersize=4)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("predicted probability (mean of the bin)", fontsize=9)
    axes.set_ylabel("share really bought", fontsize=9)
    axes.set_title(f"{int(table['rows'].sum()):,} candidates in {len(table['rows'])} bins", fontsize=9)
    buffer = io.BytesIO()
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _log_sigmoid(score: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0.0, -np.asarray(score, dtype=np.float64))


def _check_finite(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("A score to calibrate is not finite.")
    return values


def _check_pair(score: np.ndarray, label: np.ndarray, both: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64, checked."""
    score, label = _check_finite(score), np.asarray(label, dtype=np.float64)
    if score.shape != label.shape or score.ndim != 1 or len(score) == 0:
        raise ValueError(
            f"Scores are {score.shape} and labels {label.shape}; both must be as long, not empty."
        )
    if both and not 0 < label.sum() < len(label):
        raise ValueError("All labels are equal: there is nothing to calibrate.")
    return score, label
