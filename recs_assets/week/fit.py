"""One recommender fitted at every anchor of a week, on what was known there."""

from __future__ import annotations

import time
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import repeat

import pandas as pd

from recs_assets.arrays import one_blas_thread
from recs_assets.recommenders.artefacts import save_model, write_lists
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.shape import Parameters
from recs_assets.week.week import Week, make_recommender


@dataclass(frozen=True)
class Fit:
    """A recommender at one anchor, its lists written.

    Attributes:
        anchor: of the week.
        model: fitted; None but at the week's own anchor.
        lists: of view "all"; None but at the week's own anchor.
        fit_seconds: of the fit.
        list_seconds: of the lists.
    """

    anchor: date
    model: Recommender | None
    lists: pd.DataFrame | None
    fit_seconds: float
    list_seconds: float


@dataclass(frozen=True)
class FittedRecommender:
    """A recommender of a week, its model and lists written.

    Attributes:
        lists: at the week's own anchor, of view "all".
        sha256: of the model's files.
        seconds: name of a step and its anchor -> seconds.
    """

    lists: pd.DataFrame
    sha256: str
    seconds: dict[str, float]


def fit_recommender(week: Week, name: str, parameters: Parameters) -> FittedRecommender:
    """Fit at every anchor, write the lists of all and the model of the week's own."""
    anchors = week.anchors_of(name)
    for anchor in anchors:
        week.keep_ids(anchor)  # reads what is known, one after the other; the threads find it cached
    # Anchors side by side: most fits use one thread. Their lists share the other pool, so that the
    # week's, which hold every customer, use all cores at the end, and no more blocks than threads are
    # alive. The limit on BLAS is the process's, so it is set once around them all.
    threads = week.settings.threads
    with one_blas_thread(), ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(threads) as scoring:
        fits = list(
            pool.map(_fit_at, repeat(week), repeat(name), repeat(parameters), anchors, repeat(scoring))
        )
    seconds: dict[str, float] = {}
    for fit in fits:
        seconds[f"fit_seconds_{fit.anchor}"] = fit.fit_seconds
        seconds[f"recommend_seconds_{fit.anchor}"] = fit.list_seconds
    model, lists = next(
        (fit.model, fit.lists) for fit in fits if fit.model is not None and fit.lists is not None
    )
    return FittedRecommender(lists, save_model(model, week.model_path(name)), seconds)


def _fit_at(week: Week, name: str, parameters: Parameters, anchor: date, scoring: Executor) -> Fit:
    """Fit, list and write at one anchor."""
    known = week.known(anchor)
    started = time.monotonic()
    model = make_recommender(week.shop, name, parameters).fit(known)
    fitted = time.monotonic()
    customers, views = week.find_customers_with_lists(anchor), week.views_at(anchor)
    listed = model.recommend_views(customers, week.settings.candidates, views, scoring)
    for view, lists in listed.items():
        write_lists(lists, known, week.lists_path(name, anchor, view))
    kept = (model, listed["all"]) if anchor == week.as_of else (None, None)
    return Fit(anchor, *kept, fitted - started, time.monotonic() - fitted)
