"""The models of a query: the weekly ranker on its candidates, or trees for a probability or a mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recs_assets.learning import Lesson, together
from recs_assets.ranking.calibration import Calibrator, calibrate
from recs_assets.ranking.ranker import LEAVES, Ranker
from recs_assets.shop import RANKER


@dataclass(frozen=True)
class Learned:
    """A fitted model: raw scores of a frame, what they mean, and of products the ranker behind them.

    `refit` grows it again on more lessons; None for the week's own ranker, which has learned all.
    """

    score: Callable[[np.ndarray], np.ndarray]
    calibrator: Calibrator | None
    used: tuple[str, ...]
    refit: Callable[[list[Lesson]], Learned] | None
    ranker: Ranker | None = None

    def probability(self, score: np.ndarray) -> np.ndarray:
        return self.calibrator.probability(score)


def learn_ranking(lessons: list[Lesson], kept: Lesson, seed: int, threads: int) -> Learned:
    """The weekly ranker and its calibration on the query's candidates.

    Args:
        lessons: what is fitted on.
        kept: all rows of a later anchor: stops and calibrates.
        seed: of LightGBM.
        threads: of LightGBM.

    Raises:
        ValueError: from `Ranker.fit` and `calibrate`: all labels are equal.
    """
    model = Ranker(RANKER, seed, threads).fit(**together(lessons), valid=(kept.frame, kept.label, kept.group))
    calibrator, _ = calibrate(model.score(kept.frame), kept.label, kept.group)

    def refit(more: list[Lesson]) -> Learned:
        again = Ranker(RANKER, seed, threads).fit(
            **together(more), rounds=max(1, model.rounds_), used=model.used_
        )
        return Learned(again.score, calibrator, again.used_, refit, again)

    return Learned(model.score, calibrator, model.used_, refit, model)


def learn_trees(
    objective: Literal["binary", "regression"],
    lessons: list[Lesson],
    stop: Lesson,
    kept: Lesson,
    seed: int,
    threads: int,
) -> Learned:
    """LightGBM where order within a customer's list is not the point: a probability, or a mean.

    Args:
        objective: "binary" stops by AUROC and is calibrated; "regression" by squared error.
        lessons: what is fitted on.
        stop: rows of a later anchor that stop; a sample will do.
        kept: all rows of that anchor, which calibrate.
        seed: of LightGBM.
        threads: of LightGBM.

    Raises:
        ValueError: from `calibrate`: all labels are equal.
    """
    import lightgbm as lgb

    trees, names = RANKER.trees.model_dump(), kept.names  # not kept itself: a closure would hold its frame

    def train(parts: list[Lesson], rounds: int, valid: Lesson | None = None) -> lgb.Booster:
        data = together(parts)
        parameters = {
            **trees,
            "objective": objective,
            "metric": "auc" if objective == "binary" else "l2",
            # A bound made for a million rows would leave a small shop's trees without a split.
            "min_data_in_leaf": min(trees["min_data_in_leaf"], max(20, len(data["y"]) // LEAVES)),
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": threads,
            "verbosity": -1,
        }
        dataset = lgb.Dataset(data["X"], data["y"], weight=data["weight"], params=parameters)
        held, calls = [], []
        if valid is not None:
            held = [dataset.create_valid(valid.frame, valid.label, weight=valid.weight)]
            calls = [lgb.early_stopping(RANKER.patience, verbose=False)]
        return lgb.train(parameters, dataset, rounds, valid_sets=held, callbacks=calls)

    first = train(lessons, RANKER.max_rounds, stop)
    rounds = max(1, first.best_iteration)

    def learned(booster: lgb.Booster, calibrator: Calibrator | None) -> Learned:
        gain = booster.feature_importance("gain")
        used = tuple(name for name, one in zip(names, gain, strict=True) if one > 0)
        return Learned(
            lambda X: booster.predict(X, raw_score=True, num_iteration=rounds, num_threads=threads),
            calibrator,
            used,
            lambda more: learned(train(more, rounds), calibrator),
        )

    model = learned(first, None)
    if objective == "regression":
        return model
    return learned(first, calibrate(model.score(kept.frame), kept.label, kept.group)[0])
