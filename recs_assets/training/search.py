"""Small seeded searches of the settings of ranker and recommenders on a week; never part of the weekly run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recs_assets.evaluation import metrics
from recs_assets.evaluation.evaluate import sample_customers, split_views
from recs_assets.evaluation.promotion import select_buyers
from recs_assets.evaluation.tuning import Search, search
from recs_assets.files import write_whole
from recs_assets.ranking.ranker import Ranker, RankerConfig
from recs_assets.shop import RANKER
from recs_assets.training.products import Products
from recs_assets.training.ranker import week_query
from recs_assets.training.train import load_lessons
from recs_assets.week.lessons import join_lessons
from recs_assets.week.parameters import choose_parameters, search_path
from recs_assets.week.week import Week, make_recommender

if TYPE_CHECKING:
    import optuna

MAP_AT = 12
Trees = dict[str, float]


@dataclass(frozen=True)
class RankerSearch:
    """What a search of the trees' settings came to.

    Attributes:
        best: setting -> value, of the best trial.
        map_at_12: of the best trial.
        map_at_12_today: of ranker.yaml.
        trials: MAP@12 and settings of every trial, the best first.
    """

    best: Trees
    map_at_12: float
    map_at_12_today: float
    trials: list[tuple[float, Trees]]


def search_ranker(week: Week, trials: int, say: Callable[[str], None]) -> tuple[RankerSearch, Path]:
    """Search the trees' settings with Optuna (TPE, seeded): fitted on the earlier training anchors, judged by MAP@12 at
    the latest one, never at the test anchor.

    Returns:
        What it came to, and the file beside the week's models that says so.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    value = _prepare_value(week, say)

    def judge(trial: optuna.Trial) -> float:
        reached = value(_suggest_trees(trial))
        say(f"Trial {trial.number + 1} of {trials}: MAP@12 {reached:.5f}.")
        return reached

    sampler = optuna.samplers.TPESampler(seed=week.settings.seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(judge, n_trials=trials)
    # In the order of their numbers, which the sort keeps among equals.
    trials_by_number = [(trial.value, trial.params) for trial in study.trials if trial.value is not None]
    ranked = sorted(trials_by_number, key=lambda pair: -pair[0])
    result = RankerSearch(study.best_params, study.best_value, value({}), ranked)
    path = week.model_path("ranker_search.json")
    content = {
        "best": result.best,
        "map_at_12": result.map_at_12,
        "map_at_12_of_ranker_yaml": result.map_at_12_today,
    }
    write_whole(path, json.dumps(content, indent=1, sort_keys=True))
    return result, path


def _prepare_value(week: Week, say: Callable[[str], None]) -> Callable[[Trees], float]:
    """A function from the trees' settings to the MAP@12 of a ranker that has them."""
    settings, anchors = week.settings, week.shop.train_anchors(week.test_anchors[0])
    # Fitted on the earlier training anchors, judged at the latest one.
    lessons = load_lessons(Products(week, week.as_of, week_query(week), "all"), anchors, say)
    known, kept = week.known(anchors[0]), lessons.kept
    true = split_views(week.truth(anchors[0]), known.history)["all"]
    buyers = select_buyers(true, np.arange(known.n_customers))

    def value(trees: Trees) -> float:
        model = Ranker(_replace_trees(trees), settings.seed, settings.threads).fit(
            **join_lessons(lessons.earlier), valid=(kept.frame, kept.label, kept.group)
        )
        lists = lessons.sheet.candidates.rank(model.score(kept.frame), MAP_AT)
        return float(metrics.measure_customers(lists, true, buyers, (MAP_AT,))["map", MAP_AT].mean())

    return value


def _suggest_trees(trial: optuna.Trial) -> Trees:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 7, 127, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 50, 5000, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 0.1, 100.0, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.3, 1.0),
    }


def _replace_trees(trees: Trees) -> RankerConfig:
    """The shipped settings with these of the trees' replaced."""
    return RANKER.model_copy(update={"trees": RANKER.trees.model_copy(update=trees)})


def search_recommenders(
    week: Week, trials: int, customers: int, say: Callable[[str], None]
) -> tuple[Search, Path]:
    """Search the recommenders' settings at the latest training anchor, never at the test anchor.

    Args:
        week: with its features.
        trials: settings tried per recommender.
        customers: to judge them by.
        say: is told about the progress.

    Returns:
        What it chose, and the file beside the week's models that the next run reads (`choose_parameters`).
    """
    shop, seed = week.shop, week.settings.seed
    anchor = shop.train_anchors(min(week.test_anchors))[0]
    known = week.known(anchor)
    ids = known.customers["customer_id"].to_numpy()
    there = np.flatnonzero(known.customers["learned_from"])
    result = search(
        lambda name, parameters: make_recommender(shop, name, {name: dict(parameters)}),
        known,
        week.truth(anchor),
        there[sample_customers(ids[there], customers, seed)],
        anchor + timedelta(days=shop.horizon_days),
        choose_parameters(week).parameters,
        trials=trials,
        seed=seed,
        sample=week.fit_known(anchor),
        say=say,
    )
    path = search_path(week)
    write_whole(path, result.to_json())
    return result, path
