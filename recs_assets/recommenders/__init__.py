"""The recommenders, by name: one file each, one line each in `REGISTRY`.

An entry is all that the assets, the hybrid, the ranker, the evaluation and the contract tests
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

Family = Literal["cf", "content", "rules", "repurchase", "popularity", "browsing", "baseline"]


@dataclass(frozen=True)
class Entry:
    """One recommender.

    Attributes:
        make: factory of an unfitted recommender from (seed, max_basket_lines, threads).
        family: what kind of evidence it uses; the hybrid weighs families.
        label: start of a reason a customer can read; "{because}" stands for the product that
            contributed most and is present exactly where `because` names one.
    """

    make: Callable[[int, int, int], Recommender]
    family: Family
    label: str


# In the order of tables and plots: what to beat first.
REGISTRY: dict[str, Entry] = {
    "random": Entry(lambda seed, lines, threads: Random(seed), "baseline", "Picked at random"),
    "popularity": Entry(lambda seed, lines, threads: Popularity(), "popularity", "Popular now"),
    "category_popularity": Entry(
        lambda seed, lines, threads: CategoryPopularity(), "popularity", "Popular in the aisles you shop"
    ),
    "segment_popularity": Entry(
        lambda seed, lines, threads: SegmentPopularity(), "popularity", "Popular with customers like you"
    ),
    "repurchase": Entry(lambda seed, lines, threads: Repurchase(), "repurchase", "You buy this regularly"),
    "rules": Entry(
        lambda seed, lines, threads: AssociationRules(max_basket_products=lines),
        "rules",
        "Often bought with {because}",
    ),
    "transition": Entry(
        lambda seed, lines, threads: Transition(max_day_products=lines),
        "rules",
        "Often bought after {because}",
    ),
    "item_knn": Entry(
        lambda seed, lines, threads: ItemKNN(threads=threads),
        "cf",
        "Customers who bought {because} also bought this",
    ),
    "user_knn": Entry(
        lambda seed, lines, threads: UserKNN(threads=threads), "cf", "Shoppers with your habits buy this"
    ),
    "als": Entry(
        lambda seed, lines, threads: ALS(seed=seed, threads=threads),
        "cf",
        "Chosen for customers who, like you, bought {because}",
    ),
    "ease": Entry(
        lambda seed, lines, threads: EASE(), "cf", "Customers who bought {because} choose this next to it"
    ),
    "graph_filter": Entry(
        lambda seed, lines, threads: GraphFilter(seed=seed),
        "cf",
        "Bought by customers who share {because} with you",
    ),
    "content": Entry(lambda seed, lines, threads: Content(seed=seed), "content", "Similar to {because}"),
    "lightfm": Entry(
        lambda seed, lines, threads: LightFMWarp(seed=seed), "cf", "Chosen for shoppers like you"
    ),
    "new_arrivals": Entry(
        lambda seed, lines, threads: NewArrivals(), "content", "New, and close to your taste"
    ),
    "recently_viewed": Entry(
        lambda seed, lines, threads: RecentlyViewed(threads=threads),
        "browsing",
        "You looked at {because} lately",
    ),
}
