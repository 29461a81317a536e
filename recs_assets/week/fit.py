"""One recommender fitted at every anchor of a week, on what was known there."""

from __future__ import annotations

import time
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import repeat

import numpy as np
import pandas as pd

from recs_assets.arrays import one_blas_thread
from recs_assets.recommenders.artefacts import save_model
from recs_assets.recommenders.base import View
from recs_assets.recommenders.shape import Parameters
from recs_assets.week.blocks import map_blocks
from recs_assets.week.week import Week, make_recommender


@dataclass(frozen=True)
class Fit:
    """A recommender at one anchor, its lists written.

    Attributes:
        anchor: of the week.
        sha256: of the model's files; None but at the week's own anchor.
        rows: of the lists of view "all".
        fit_seconds: of the fit.
        list_seconds: of the lists.
    """

    anchor: date
    sha256: str | None
    rows: int
    fit_seconds: float
    list_seconds: float


@dataclass(frozen=True)
class FittedRecommender:
    """A recommender of a week, its model and lists written.

    Attributes:
        rows: of the lists at the week's own anchor, of view "all".
        sha256: of the model's files.
        seconds: name of a step and its anchor -> seconds.
    """

    rows: int
    sha256: str
    seconds: dict[str, float]


def fit_recommender(week: Week, name: str, parameters: Parameters) -> FittedRecommender:
    """Fit at every anchor, write the lists of all and the model of the week's own."""
    anchors = week.anchors_of(name)
    for anchor in anchors:
        week.keep_ids(anchor)  # reads what is known, one after the other; the threads find it cached
    # Anchors side by side: most fits use one thread. The lists of earlier anchors share the other pool, so that no more
    # blocks than threads are alive. The limit on BLAS is the process's, so it is set once around them all.
    threads = week.settings.threads
    with one_blas_thread(), ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(threads) as scoring:
        fits = list(
            pool.map(_fit_at, repeat(week), repeat(name), repeat(parameters), anchors, repeat(scoring))
        )
    seconds: dict[str, float] = {}
    for fit in fits:
        seconds[f"fit_seconds_{fit.anchor}"] = fit.fit_seconds
        seconds[f"recommend_seconds_{fit.anchor}"] = fit.list_seconds
    rows, digest = next((fit.rows, fit.sha256) for fit in fits if fit.sha256 is not None)
    return FittedRecommender(rows, digest, seconds)


def _fit_at(week: Week, name: str, parameters: Parameters, anchor: date, scoring: Executor) -> Fit:
    """Fit, list and write at one anchor."""
    known, sample = week.known(anchor), week.fit_known(anchor)
    started = time.monotonic()
    model = make_recommender(week.shop, name, parameters).fit_sample(sample, known)
    fitted = time.monotonic()
    if anchor == week.as_of:
        digest = save_model(model, week.model_path(name))
        with week.keep_at_hand(model):
            rows = week.write_lists(name, anchor, map_blocks(list_customers, week, name))
    else:
        digest = None
        customers, views = week.find_customers_with_lists(anchor), week.views_at(anchor)
        listed = model.recommend_known(known, customers, week.settings.candidates, views, scoring)
        rows = week.write_lists(name, anchor, [listed])
    return Fit(anchor, digest, rows["all"], fitted - started, time.monotonic() - fitted)


def list_customers(part: Week, name: str) -> dict[View, pd.DataFrame]:
    """A recommender's lists of a part's customers at the week itself, by view, in the whole week's codes."""
    customers = np.arange(part.known().n_customers, dtype=np.int32)
    with ThreadPoolExecutor(part.settings.threads) as pool:
        listed = part.model(name).recommend_views(
            customers, part.settings.candidates, part.views_at(part.as_of), pool
        )
    return {view: part.count_from_first(rows) for view, rows in listed.items()}
