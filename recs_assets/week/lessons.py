"""What models learn from at an anchor of the week: the recommenders' lists, with features and labels.

The ranker's asset, its search, the evaluation and the predictive queries (`predictions`) share it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from recs_assets.evaluation.evaluate import sample_customers
from recs_assets.evaluation.tuning import Search
from recs_assets.files import write_whole
from recs_assets.known.interactions import Known
from recs_assets.ranking.calibration import Calibrator
from recs_assets.ranking.candidates import Candidates, merge
from recs_assets.ranking.features import selected
from recs_assets.ranking.ranker import Ranker, negative_rate, sample_negatives
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.artefacts import load_model, read_lists, read_parameters, write_lists
from recs_assets.recommenders.base import VIEWS, Recommender, View
from recs_assets.recommenders.shape import Parameters, Shape, settings_for
from recs_assets.shop import RANKER, Shop
from recs_assets.store.warehouse import Warehouse

SOURCES = tuple(name for name in REGISTRY if name not in RANKER.without_sources)
FEATURES = selected(SOURCES, RANKER.without_features)
NAMES = tuple(feature.name for feature in FEATURES)
WITHOUT_OFFERS = tuple(feature.name for feature in FEATURES if feature.family != "promotion")
# Customers merged, joined and scored at once: 200 candidates x 150 features x 4 bytes x 4,000 = 480 MB.
BLOCK = 4_000

Item, Result = TypeVar("Item"), TypeVar("Result")


# -- what the recommenders left ----------------------------------------------------------------


def make(shop: Shop, name: str, parameters: Parameters | None = None) -> Recommender:
    """An unfitted recommender with this shop's seed, basket cap and threads, and with what `choose_parameters` says."""
    settings = shop.settings
    made = REGISTRY[name].make(settings.seed, settings.max_basket_lines, settings.threads)
    return made.set_params(**(parameters or {}).get(name, {}))


def search_path(warehouse: Warehouse, week: date) -> Path:
    return warehouse.week_dir(week) / "models" / "recommender_search.json"


@dataclass(frozen=True)
class ParameterChoice:
    """The recommenders' settings of a week.

    Attributes:
        parameters: what replaces the defaults.
        why: one sentence: by which search or rule.
        stale: why the newest search is not used; None where it is, or where there is none.
    """

    parameters: Parameters
    why: str
    stale: str | None = None


def choose_parameters(shop: Shop, warehouse: Warehouse, week: date) -> ParameterChoice:
    """The settings that every recommender is fitted with at every anchor of the week.

    Those of the newest search that has seen nothing of a label window in which the week's models are tested,
    as long as the shop is still like the one it was made for; else those of the rule
    (`recommenders.shape`), by the shape at the week's earliest anchor. The search is kept with this
    week's models, too, so that it outlives the folder of its own week.
    """
    shape = Shape.of(warehouse.known(week, min(shop.anchors(week))))
    by_rule = f"settings by rule: density {shape.density:.2g}, repeat share {shape.repeat_share:.2f}"
    found = _newest_search(warehouse, min(shop.test_anchors(week)))
    if found is None:
        return ParameterChoice(settings_for(shape), by_rule)
    if unlike := found.shape.unlike(shape):
        return ParameterChoice(
            settings_for(shape),
            by_rule,
            f"the search of {found.anchor} is not used: {unlike}; run the job `research` again",
        )
    write_whole(search_path(warehouse, week), found.to_json())
    return ParameterChoice(found.parameters, f"settings by the search of {found.anchor}")


def _newest_search(warehouse: Warehouse, before: date) -> Search | None:
    """Of the searches kept with any week's models, that with the latest window that ends at or before a date."""
    kept = sorted((warehouse.home / "weeks").glob("*/models/recommender_search.json"))
    found = [Search.from_json(path.read_text("utf-8"), path) for path in kept]
    return max((one for one in found if one.until <= before), key=lambda one: one.until, default=None)


def lists_path(warehouse: Warehouse, week: date, name: str, anchor: date, view: View) -> Path:
    return warehouse.week_dir(week) / "candidates" / f"{name}-{anchor.isoformat()}-{view}.parquet"


def model_path(warehouse: Warehouse, week: date, name: str) -> Path:
    return warehouse.week_dir(week) / "models" / name


def load_fitted(shop: Shop, warehouse: Warehouse, week: date, name: str, known: Known) -> Recommender:
    """The recommender as fitted at the week's own anchor."""
    return load_model(make(shop, name), model_path(warehouse, week, name), known)


def load_parameters(warehouse: Warehouse, week: date, name: str) -> Parameters:
    """What the week's recommender was fitted with, for another fit like it."""
    return {name: read_parameters(model_path(warehouse, week, name))}


def load_all_fitted(shop: Shop, warehouse: Warehouse, week: date, known: Known) -> dict[str, Recommender]:
    """Every recommender as fitted at the week's own anchor, by name."""
    return {name: load_fitted(shop, warehouse, week, name, known) for name in REGISTRY}


def listed_customers(shop: Shop, warehouse: Warehouse, week: date, anchor: date) -> np.ndarray:
    """int32 codes of the customers who get lists at an anchor: everybody at the week's own, and
    a seeded sample of at most so many (settings), of those whom models may learn from, where lists are
    only evaluated or learnt from."""
    customers = warehouse.known(week, anchor).customers
    if anchor == week:
        return np.arange(len(customers), dtype=np.int32)
    there = np.flatnonzero(customers["learned_from"])
    settings, tests = shop.settings, shop.test_anchors(week)
    limits = [settings.evaluation_customers] if anchor in tests else []
    if any(anchor in shop.train_anchors(test) for test in tests):
        limits.append(RANKER.training_customers)
    ids = customers["customer_id"].to_numpy()[there]
    return there[sample_customers(ids, max(limits), settings.seed)].astype(np.int32)


def anchors_of(shop: Shop, week: date, name: str) -> list[date]:
    """Where a recommender is fitted: what the ranker does not draw on is only evaluated and published."""
    if name in RANKER.without_sources:
        return [week, *shop.test_anchors(week)]
    return shop.anchors(week)


def views_at(shop: Shop, week: date, anchor: date) -> tuple[View, ...]:
    """The lists made at an anchor: "repeat" is evaluated only; the ranker draws on the others."""
    return VIEWS if anchor in shop.test_anchors(week) else VIEWS[:2]


# -- candidates, features, lessons ---------------------------------------------------------------


def blocks(known: Known) -> Iterator[tuple[int, int]]:
    """Ranges of customer codes `[first, last)`."""
    for first in range(0, known.n_customers, BLOCK):
        yield first, min(first + BLOCK, known.n_customers)


def candidates_of(
    warehouse: Warehouse, week: date, anchor: date, known: Known, first: int, last: int
) -> Candidates:
    """The merged candidates of customer codes `[first, last)` at an anchor."""
    lists = {}
    for name in SOURCES:
        for view, listed in (("all", name), ("new", f"{name}:new")):
            lists[listed] = read_lists(lists_path(warehouse, week, name, anchor, view), known, first, last)
    return merge(lists, known, RANKER.pool.own, RANKER.pool.new)


def every_candidate(warehouse: Warehouse, week: date, anchor: date) -> Candidates:
    """The candidates of all customers that have lists at an anchor."""
    known = warehouse.known(week, anchor)
    parts = [candidates_of(warehouse, week, anchor, known, first, last) for first, last in blocks(known)]
    return Candidates.concat([part for part in parts if len(part)] or parts[:1])


def frames(
    warehouse: Warehouse, week: date, anchor: date, candidates: Candidates, names: Sequence[str] = NAMES
) -> Iterator[np.ndarray]:
    """The candidates' features, a block of customers at a time."""
    edges = np.searchsorted(
        candidates.customer, np.arange(0, int(candidates.customer.max(initial=0)) + BLOCK + 1, BLOCK)
    )
    for start, stop in itertools.pairwise(edges):
        if stop > start:
            yield warehouse.frame(week, anchor, candidates.take(np.arange(start, stop)), names)


def score(
    ranker: Ranker, warehouse: Warehouse, week: date, anchor: date, candidates: Candidates
) -> np.ndarray:
    """float64[len(candidates)]: the ranker's raw scores, block by block."""
    parts = [ranker.score(X) for X in frames(warehouse, week, anchor, candidates, ranker.features_)]
    return np.concatenate(parts) if parts else np.empty(0)


def ranked_lists(candidates: Candidates, scores: np.ndarray, k: int) -> dict[View, pd.DataFrame]:
    """The best `k` per customer of each view: customer, product, score, rank, source (the recommender
    that ranks it highest)."""
    source = pd.Categorical(candidates.best_source(), categories=(*SOURCES, ""))
    lists = {}
    for view in VIEWS:
        keep = None if view == "all" else candidates.own == (view == "repeat")
        rows = candidates.ranked(scores, k, keep)
        lists[view] = rows.assign(source=source[rows["row"].to_numpy()]).drop(columns="row")
    return lists


def write_ranked(
    warehouse: Warehouse, week: date, anchor: date, blocks_of_lists: Iterable[dict[View, pd.DataFrame]]
) -> None:
    """Write what `ranked_lists` made, in blocks of ascending customers, as the ranker's lists at an anchor."""
    known, parts = warehouse.known(week, anchor), list(blocks_of_lists)
    for view in VIEWS:
        path = lists_path(warehouse, week, "ranker", anchor, view)
        write_lists((part[view] for part in parts), known, path)


@dataclass(frozen=True)
class Lesson:
    """What one anchor teaches: rows with their features, labels and weights.

    Attributes:
        group: int32[n], the customer's code.
        label: int8[n], bought within the label window; for a query float64[n], what it asks.
        weight: float32[n], the inverse of a negative's chance to be here.
        frame: float32[n, len(names)].
        names: of the frame's columns.
    """

    group: np.ndarray
    label: np.ndarray
    weight: np.ndarray
    frame: np.ndarray
    names: tuple[str, ...]

    def only(self, names: Sequence[str]) -> Lesson:
        """The same rows with these features, in this order; itself where nothing changes."""
        if tuple(names) == self.names:
            return self
        columns = [self.names.index(name) for name in names]
        return replace(self, frame=self.frame[:, columns], names=tuple(names))

    def take(self, rows: np.ndarray, weight: np.ndarray) -> Lesson:
        """The rows at these positions, with weights of their own."""
        return replace(
            self, group=self.group[rows], label=self.label[rows], weight=weight, frame=self.frame[rows]
        )


class Anchor:
    """The candidates of one anchor with what became of them."""

    def __init__(self, shop: Shop, warehouse: Warehouse, week: date, anchor: date) -> None:
        self.shop, self.warehouse, self.week, self.anchor = shop, warehouse, week, anchor
        self.known = warehouse.known(week, anchor)
        self.candidates = every_candidate(warehouse, week, anchor)
        self.truth = warehouse.truth(week, anchor, shop.horizon_days)
        self.label = self.candidates.labels(self.truth)

    def sample(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions of every positive and of as many negatives as `rows` leaves room for, and weights."""
        positives = int(self.label.sum())
        return sample_negatives(
            self.label,
            self.known.customers["customer_id"].to_numpy()[self.candidates.customer],
            self.known.products["product_id"].to_numpy()[self.candidates.product],
            self.anchor,
            negative_rate(positives, len(self.label) - positives, rows),
            self.shop.settings.seed,
        )

    def lesson(self, rows: int | None) -> Lesson:
        """About `rows` rows to learn from; None for all."""
        if rows is None:
            keep, weight = np.arange(len(self.label)), np.ones(len(self.label), dtype=np.float32)
        else:
            keep, weight = self.sample(rows)
        taken = self.candidates.take(keep)
        frame = [
            np.empty((0, len(NAMES)), dtype=np.float32),
            *frames(self.warehouse, self.week, self.anchor, taken),
        ]
        return Lesson(taken.customer, self.label[keep], weight, np.concatenate(frame), NAMES)

    def examined(self, model: Ranker, rows: int) -> tuple[np.ndarray, Lesson]:
        """float64 score of every candidate, and out of the same frames `lesson(rows)`, as the model sees it."""
        keep, weight = self.sample(rows)
        names = model.features_
        scores, kept, start = [np.empty(0)], [np.empty((0, len(names)), dtype=np.float32)], 0
        for X in frames(self.warehouse, self.week, self.anchor, self.candidates, names):
            scores.append(model.score(X))
            kept.append(X[keep[slice(*np.searchsorted(keep, [start, start + len(X)]))] - start])
            start += len(X)
        group, label = self.candidates.customer[keep], self.label[keep]
        return np.concatenate(scores), Lesson(group, label, weight, np.concatenate(kept), names)


def together(lessons: Sequence[Lesson]) -> dict[str, Any]:
    """The arguments of `Ranker.fit` for several anchors with the same features; groups stay apart."""
    offset, groups = 0, []
    for lesson in lessons:
        groups.append(lesson.group.astype(np.int64) + offset)
        offset += int(lesson.group.max(initial=0)) + 1
    return {
        "X": np.concatenate([lesson.frame for lesson in lessons]),
        "y": np.concatenate([lesson.label for lesson in lessons]),
        "group": np.concatenate(groups),
        "weight": np.concatenate([lesson.weight for lesson in lessons]),
        "features": lessons[0].names,
    }


def without_calendar(warehouse: Warehouse, week: date, at: date, anchors: Sequence[date]) -> bool:
    """Whether the label window of `at` has less than half of the offers, of any kind, of every one of `anchors`.

    A promotion calendar that ends, or was not delivered, reads as "nothing is on offer", which is
    not what the trees learned from; they then do better without it.
    """
    planned = warehouse.planned_offers(week)
    usual, now = [planned.get(anchor, {}) for anchor in anchors], planned.get(at, {})
    return any(2 * now.get(kind, 0) < min(one.get(kind, 0) for one in usual) for kind in usual[0])


class Trained:
    """The week's published ranker and its calibration; `before_test` is the one that has not seen the test
    anchor, for figures at it."""

    def __init__(self, shop: Shop, warehouse: Warehouse, week: date) -> None:
        self.ranker = Ranker.load(model_path(warehouse, week, "ranker"), shop.settings.threads)
        self.calibrator, self.before_test = (
            Calibrator.from_json(self.ranker.facts_[name])
            for name in ("calibration", "calibration_before_test")
        )


def trained(shop: Shop, warehouse: Warehouse, week: date) -> Trained | None:
    """The week's ranker; None where there was nothing to learn from (the ranker asset says why)."""
    if not model_path(warehouse, week, "ranker").exists():
        return None
    return Trained(shop, warehouse, week)


def published_frame(
    warehouse: Warehouse,
    week: date,
    rows: pd.DataFrame,
    names: Sequence[str],
    pool: Callable[[int, int], Candidates] | None = None,
) -> Iterator[tuple[slice, Candidates, np.ndarray]]:
    """Published rows as candidates with their features, block by block.

    Args:
        warehouse: of the week.
        week: at which the rows are published.
        rows: customer (ascending), product.
        names: of the features.
        pool: customer codes `[first, last)` -> their candidates; None: all of the week's.

    Yields:
        Which of the rows, the candidates, float32[n, len(names)].
    """
    known = warehouse.known(week, week)
    customer, product = rows["customer"].to_numpy(), rows["product"].to_numpy()

    def framed(block: tuple[int, int]) -> tuple[slice, Candidates, np.ndarray]:
        part = slice(*np.searchsorted(customer, block))
        found = pool(*block) if pool else candidates_of(warehouse, week, week, known, *block)
        pairs = found.at(customer[part], product[part], known)
        return part, pairs, warehouse.frame(week, week, pairs, names)

    there = [block for block in blocks(known) if np.diff(np.searchsorted(customer, block))[0]]
    yield from side_by_side(framed, there, warehouse.threads)


def side_by_side(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Results in the order of the items; at most so many are at work or wait beside the one that is used."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
