"""The recommenders, by name: one file each, one line each in `REGISTRY`.

An entry is all that the assets, the blend, the ranker, the evaluation and the contract tests
need to take a recommender in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from recs_assets.recommenders.als import ALS
from recs_assets.recommenders.association import AssociationRules
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.content import Content
from recs_assets.recommenders.ease import EASE
from recs_assets.recommenders.graph_filter import GraphFilter
from recs_assets.recommenders.item_knn import ItemKNN
from recs_assets.recommenders.lightfm_warp import LightFMWarp
from recs_assets.recommenders.new_arrivals import NewArrivals
from recs_assets.recommenders.popularity import CategoryPopularity, Popularity
from recs_assets.recommenders.random_baseline import Random
from recs_assets.recommenders.recently_viewed import RecentlyViewed
from recs_assets.recommenders.repurchase import Repurchase
from recs_assets.recommenders.segment_popularity import SegmentPopularity
from recs_assets.recommenders.transition import Transition
from recs_assets.recommenders.user_knn import UserKNN

# What a recommender's lists are evidence of: keys of `ranking.features.FAMILIES`.
Family = Literal[
    "bought_before", "bought_with", "similar", "customers_like_you", "popular_in_category", "popular",
    "viewed_or_wished", "new_arrival",
]  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One recommender.

    Attributes:
        make: factory of an unfitted recommender from (seed, max_basket_lines, threads).
        family: what its lists are evidence of; None: a baseline, from which nothing is learned.
    """

    make: Callable[[int, int, int], Recommender]
    family: Family | None


# In the order of tables and plots: what to beat first.
REGISTRY: dict[str, Entry] = {
    "random": Entry(lambda seed, lines, threads: Random(seed), None),
    "popularity": Entry(lambda seed, lines, threads: Popularity(), "popular"),
    "category_popularity": Entry(lambda seed, lines, threads: CategoryPopularity(), "popular_in_category"),
    "segment_popularity": Entry(lambda seed, lines, threads: SegmentPopularity(), "popular"),
    "repurchase": Entry(lambda seed, lines, threads: Repurchase(), "bought_before"),
    "rules": Entry(lambda seed, lines, threads: AssociationRules(max_basket_products=lines), "bought_with"),
    "transition": Entry(lambda seed, lines, threads: Transition(max_day_products=lines), "bought_with"),
    "item_knn": Entry(lambda seed, lines, threads: ItemKNN(threads=threads), "bought_with"),
    "user_knn": Entry(lambda seed, lines, threads: UserKNN(threads=threads), "customers_like_you"),
    "als": Entry(lambda seed, lines, threads: ALS(seed=seed, threads=threads), "customers_like_you"),
    "ease": Entry(lambda seed, lines, threads: EASE(), "customers_like_you"),
    "graph_filter": Entry(lambda seed, lines, threads: GraphFilter(seed=seed), "customers_like_you"),
    "content": Entry(lambda seed, lines, threads: Content(seed=seed), "similar"),
    "lightfm": Entry(lambda seed, lines, threads: LightFMWarp(seed=seed), "customers_like_you"),
    "new_arrivals": Entry(lambda seed, lines, threads: NewArrivals(), "new_arrival"),
    "recently_viewed": Entry(
        lambda seed, lines, threads: RecentlyViewed(threads=threads), "viewed_or_wished"
    ),
}
