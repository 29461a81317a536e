"""The week's ranker, and the lists that it ranks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import pandas as pd

from recs_assets.arrays import find_runs
from recs_assets.known.load import load_planned_offers
from recs_assets.ranking.calibration import Calibrator
from recs_assets.ranking.candidates import Candidates
from recs_assets.ranking.ranker import Ranker
from recs_assets.recommenders.base import VIEWS, View
from recs_assets.week.blocks import choose_size, map_in_order
from recs_assets.week.week import SOURCES, Week


class PublishedRanker:
    """The week's published ranker and its calibration; `before_test` is the one that has not seen the test
    anchor, for figures at it."""

    def __init__(self, week: Week) -> None:
        self.ranker = Ranker.load(week.model_path("ranker"), week.settings.threads)
        self.calibrator, self.before_test = (
            Calibrator.from_json(self.ranker.facts_[name])
            for name in ("calibration", "calibration_before_test")
        )


def load_ranker(week: Week) -> PublishedRanker | None:
    """The week's ranker; None where there was nothing to learn from (the ranker asset says why)."""
    return PublishedRanker(week) if week.model_path("ranker").exists() else None


def find_chosen_model(week: Week) -> str:
    """The model that the week's evaluation chose for its lists."""
    with week.model_week.build.read() as connection:
        [(chosen,)] = connection.execute("select max(chosen) from model.decisions").fetchall()
    return chosen


def load_frames(
    week: Week, anchor: date, candidates: Candidates, names: Sequence[str]
) -> Iterator[np.ndarray]:
    """The candidates' features, a block of customers at a time; the next is joined meanwhile."""
    first, _ = find_runs(candidates.customer)
    threads = week.settings.threads
    edges = [*first[:: choose_size(len(first), threads)].tolist(), len(candidates)]
    yield from map_in_order(
        lambda block: week.frame(anchor, candidates.take(np.arange(*block)), names),
        itertools.pairwise(edges),
        max(1, threads - 1),
    )


def score_candidates(week: Week, ranker: Ranker, anchor: date, candidates: Candidates) -> np.ndarray:
    """float64[len(candidates)]: the ranker's raw scores, block by block."""
    parts = [ranker.score(X) for X in load_frames(week, anchor, candidates, ranker.features_)]
    return np.concatenate(parts) if parts else np.empty(0)


def rank_candidates(candidates: Candidates, scores: np.ndarray, k: int) -> dict[View, pd.DataFrame]:
    """The best `k` per customer of each view: customer, product, score, rank, source (the recommender
    that ranks it highest)."""
    source = pd.Categorical(candidates.find_best_source(), categories=(*SOURCES, ""))
    lists = {}
    for view in VIEWS:
        keep = None if view == "all" else candidates.own == (view == "repeat")
        rows = candidates.rank(scores, k, keep)
        lists[view] = rows.assign(source=source[rows["row"].to_numpy()]).drop(columns="row")
    return lists


def lacks_offers(week: Week, at: date, anchors: Sequence[date]) -> bool:
    """Whether the label window of `at` has less than half of the offers, of any kind, of every one of `anchors`.

    A promotion calendar that ends, or was not delivered, reads as "nothing is on offer", which is
    not what the trees learned from; they then do better without it.
    """
    with week.build.read() as connection:
        planned = load_planned_offers(connection)
    usual, now = [planned.get(anchor, {}) for anchor in anchors], planned.get(at, {})
    return any(2 * now.get(kind, 0) < min(offers.get(kind, 0) for offers in usual) for kind in usual[0])
