"""The models of a query: the weekly ranker on its candidates, or trees for a probability or a mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from recs_assets.arrays import one_blas_thread
from recs_assets.ranking.calibration import Calibrator, calibrate, fit_beta
from recs_assets.ranking.ranker import LEAVES, Ranker, choose_threads
from recs_assets.shop import RANKER
from recs_assets.week.lessons import Lesson, join_lessons

if TYPE_CHECKING:
    from recs_assets.settings import Settings
    from recs_assets.training.train import Lessons

Objective = Literal["binary", "tweedie", "regression"]
# Of the ridge, per row of standardised features.
RIDGE = 1e-3
# Rows that a linear model takes the logarithm of at once.
ROWS = 4_096


@dataclass(frozen=True)
class Learned:
    """A fitted model: raw scores of a frame, what they mean, and of products the ranker behind them.

    Attributes:
        model: makes the scores.
        calibrator: makes probabilities of them; None for a number.
        used: names of the features that the model looks at.
        calibrated_on: rows that a query's calibrator was fitted on; None for the ranker.
    """

    model: Ranker | Linear | Mean
    calibrator: Calibrator | None
    used: tuple[str, ...]
    calibrated_on: int | None = None

    def score(self, X: np.ndarray) -> np.ndarray:
        """float64[n]: raw scores of a frame."""
        return self.model.score(X)

    @property
    def ranker(self) -> Ranker | None:
        return self.model if isinstance(self.model, Ranker) else None

    def probability(self, score: np.ndarray, strata: np.ndarray | None = None) -> np.ndarray:
        """float64[n]: the probability of each score.

        Raises:
            TypeError: the model predicts a number.
        """
        if self.calibrator is None:
            raise TypeError("A model of a number has no probabilities.")
        probability = self.calibrator.probability(score, strata)
        if self.calibrated_on is None:
            return probability
        # The least that so many rows of calibration support: one event more than was seen.
        least = 1 / (self.calibrated_on + 2)
        return np.clip(probability, least, 1 - least)


@dataclass(frozen=True)
class Refittable(Learned):
    """A fitted model that can be fitted again on more lessons, unlike the week's own ranker and a kept model."""

    refit: Callable[[list[Lesson]], Refittable] = field(kw_only=True)


def fit_ranker(lessons: Lessons, settings: Settings) -> Ranker:
    """The ranker's trees, stopped at the kept anchor.

    Raises:
        ValueError: from `Ranker.fit`: all labels are equal.
    """
    kept = lessons.kept
    return Ranker(RANKER, settings.seed, settings.threads).fit(
        **join_lessons(lessons.earlier),
        valid=(kept.frame, kept.label, kept.group),
        valid_weight=kept.weight,
    )


def refit_ranker(model: Ranker, lessons: Sequence[Lesson], settings: Settings) -> Ranker:
    """As many trees on as many features, on these lessons."""
    return Ranker(RANKER, settings.seed, settings.threads).fit(
        **join_lessons(lessons), rounds=max(1, model.rounds_), used=model.used_
    )


def learn_ranking(lessons: Lessons, settings: Settings) -> Refittable:
    """The weekly ranker and its calibration on the query's candidates.

    Raises:
        ValueError: from `Ranker.fit` and `calibrate`: all labels are equal.
    """
    model, kept = fit_ranker(lessons, settings), lessons.kept
    calibrator, _ = calibrate(model.score(kept.frame), kept.label, kept.group)

    def refit(more: list[Lesson]) -> Refittable:
        again = refit_ranker(model, more, settings)
        return Refittable(again, calibrator, again.used_, refit=refit)

    return Refittable(model, calibrator, model.used_, refit=refit)


class Linear:
    """Ridge regression, or logistic regression, over standardised features: the simple model of a query.

    Counts and amounts enter a logistic regression by their logarithm. What is unknown is the largest value that
    was seen: never is at least as long ago as anything.

    Args:
        boolean: logistic regression; otherwise ridge.
    """

    def __init__(self, boolean: bool) -> None:
        self.boolean = boolean

    def fit(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Self:
        """Learn; X float32[n, f] with NaN where unknown, y float64[n]."""
        with one_blas_thread():
            return self._fit(X, y, weight)

    def _fit(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Self:
        some = np.where(np.isnan(X), -np.inf, X).max(axis=0)
        self.fill_ = np.where(np.isfinite(some), some, 0.0)
        Z = self._put(X)
        total = weight.sum()
        self.mean_ = weight @ Z / total
        self.scale_ = np.sqrt(np.maximum(weight @ (Z - self.mean_) ** 2 / total, 1e-12))
        Z = (Z - self.mean_) / self.scale_
        if self.boolean:
            from sklearn.linear_model import LogisticRegression

            # Its own weights add up to the number of rows, so that C means the same for every sample.
            model = LogisticRegression(C=0.1, solver="newton-cholesky", max_iter=50)
            model.fit(Z, y > 0, sample_weight=weight * (len(y) / total))
            self.slope_, self.base_ = model.coef_[0], float(model.intercept_[0])
            return self
        centre = weight @ y / total
        gram = (Z * weight[:, None]).T @ Z + RIDGE * total * np.eye(Z.shape[1])
        self.slope_ = np.linalg.solve(gram, Z.T @ (weight * (y - centre)))
        self.base_ = float(centre)
        return self

    def _put(self, X: np.ndarray) -> np.ndarray:
        Z = X.astype(np.float64)
        # So many rows at once that what is between two steps stays in a processor's cache.
        for start in range(0, len(Z), ROWS):
            part = Z[start : start + ROWS]
            np.copyto(part, self.fill_, where=np.isnan(part))
            if self.boolean:
                np.copysign(np.log1p(np.abs(part)), part, out=part)
        return Z

    def score(self, X: np.ndarray) -> np.ndarray:
        """float64[n]: log-odds, or the number."""
        # Row by row: a matrix product's last bit would depend on how many rows there are.
        parts = np.multiply((self._put(X) - self.mean_) / self.scale_, self.slope_, order="C")
        return parts.sum(axis=1) + self.base_


class Trees:
    """LightGBM where order within a customer's list is not the point: a probability, or a mean.

    Args:
        objective: "binary"; "tweedie" for what is never negative, mostly small and now and then large; or
            "regression".
        seed: of LightGBM.
        threads: of LightGBM.
    """

    def __init__(self, objective: Objective, seed: int, threads: int) -> None:
        self.objective, self.seed, self.threads = objective, seed, threads

    def fit(
        self, X: np.ndarray, y: np.ndarray, weight: np.ndarray, rounds: int, valid: Lesson | None = None
    ) -> Self:
        """Grow `rounds` trees, or with `valid` as many up to that as help there."""
        import lightgbm as lgb

        trees = RANKER.trees.model_dump()
        metric = {"binary": "binary_logloss", "tweedie": "tweedie", "regression": "l2"}
        parameters = {
            **trees,
            "objective": self.objective,
            "metric": metric[self.objective],
            # A bound made for a million rows would leave a small shop's trees without a split.
            "min_data_in_leaf": min(trees["min_data_in_leaf"], max(20, len(y) // LEAVES)),
            "tweedie_variance_power": 1.3,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": choose_threads(len(y), self.threads),
            "verbosity": -1,
        }
        dataset = lgb.Dataset(X, y, weight=weight, params=parameters)
        held: list[lgb.Dataset] = []
        calls: list[Callable] = []
        if valid is not None:
            held = [dataset.create_valid(valid.frame, valid.label, weight=valid.weight)]
            calls = [lgb.early_stopping(RANKER.patience, verbose=False)]
        self.booster_ = lgb.train(parameters, dataset, rounds, valid_sets=held, callbacks=calls)
        self.rounds_ = max(1, self.booster_.best_iteration if valid is not None else rounds)
        return self

    def score(self, X: np.ndarray) -> np.ndarray:
        """float64[n]: log-odds, or the number."""
        scores = self.booster_.predict(
            X,
            raw_score=self.objective == "binary",
            num_iteration=self.rounds_,
            num_threads=choose_threads(len(X), self.threads),
        )
        return np.asarray(scores)

    def used(self, names: Sequence[str]) -> list[str]:
        gain = self.booster_.feature_importance("gain")
        return [name for name, part in zip(names, gain, strict=True) if part > 0]


@dataclass(frozen=True)
class Mean:
    """The mean of a linear model and of trees."""

    linear: Linear
    trees: Trees

    def score(self, X: np.ndarray, line: np.ndarray | None = None) -> np.ndarray:
        """float64[n]; `line`: the linear model's scores where they are known."""
        return ((self.linear.score(X) if line is None else line) + self.trees.score(X)) / 2


def learn(
    objective: Objective,
    lessons: list[Lesson],
    stop: Lesson,
    kept: Lesson,
    fitted: list[Lesson],
    seed: int,
    threads: int,
) -> dict[str, Refittable]:
    """The models that a query chooses from, simplest first: "linear", and "query", its mean with trees.

    Args:
        objective: see `Trees`.
        lessons: whose label windows are over before the kept anchor: fitted on, to stop and calibrate there.
        stop: rows of the kept anchor that stop the trees; a sample will do.
        kept: all rows of that anchor, which calibrate probabilities.
        fitted: of all anchors that may be learned from: what the models are fitted on again, and tested.
        seed: of LightGBM.
        threads: of LightGBM.

    Raises:
        ValueError: from `fit_beta`: all labels are equal.
    """
    # Not kept itself: a closure would hold its frame.
    boolean, names, rows_kept = objective == "binary", kept.names, len(kept.label)
    data = join_lessons(lessons)
    first = data["X"], data["y"], data["weight"]
    linear = Linear(boolean).fit(*first)
    trees = Trees(objective, seed, threads).fit(*first, RANKER.max_rounds, stop)
    rounds = trees.rounds_

    calibrators: dict[str, Calibrator | None] = {"linear": None, "query": None}
    if boolean:
        line = linear.score(kept.frame)
        for name, scores in (("linear", line), ("query", Mean(linear, trees).score(kept.frame, line))):
            # Smooth, so that no two customers who differ get one probability: isotonic steps cost 0.005 of AUROC.
            calibrators[name] = fit_beta(scores, kept.label)

    def refit(more: list[Lesson], wanted: Sequence[str]) -> dict[str, Refittable]:
        data = join_lessons(more)
        rows = data["X"], data["y"], data["weight"]
        line = Linear(boolean).fit(*rows)
        return {name: finish(name, line, rows) for name in wanted}

    def finish(name: str, line: Linear, rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Refittable:
        def again(more: list[Lesson]) -> Refittable:
            return refit(more, [name])[name]

        if name == "linear":
            return Refittable(line, calibrators[name], names, rows_kept, refit=again)
        grown = Trees(objective, seed, threads).fit(*rows, rounds)
        return Refittable(
            Mean(line, grown),
            calibrators[name],
            tuple(grown.used(names)),
            rows_kept,
            refit=again,
        )

    return refit(fitted, list(calibrators))
