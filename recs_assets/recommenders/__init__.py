"""The recommenders, by name: one file each, one line each in `EVIDENCE`.

A file and its line are all that the assets, the blend, the ranker, the evaluation and the contract tests
need to take a recommender in.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Literal

from recs_assets.recommenders.base import Recommender

# What a recommender's lists are evidence of: keys of `ranking.features.FAMILIES`.
Family = Literal[
    "bought_before", "bought_with", "bought_after", "similar", "customers_like_you", "popular_in_category",
    "popular", "viewed_or_wished", "new_arrival",
]  # fmt: skip

# Name -> what its lists are evidence of; None: a baseline, from which nothing is learned. In the order of
# tables and plots: what to beat first.
EVIDENCE: dict[str, Family | None] = {
    "random": None,
    "popularity": "popular",
    "category_popularity": "popular_in_category",
    "segment_popularity": "popular",
    "first_list": "popular",
    "repurchase": "bought_before",
    "rules": "bought_with",
    "transition": "bought_with",
    "follow_ups": "bought_after",
    "late_follow_ups": "bought_after",
    "item_knn": "bought_with",
    "user_knn": "customers_like_you",
    "als": "customers_like_you",
    "ease": "customers_like_you",
    "graph_filter": "customers_like_you",
    "content": "similar",
    "lightfm": "customers_like_you",
    "new_arrivals": "new_arrival",
    "recently_viewed": "viewed_or_wished",
    "back_in_stock": "viewed_or_wished",
}


@dataclass(frozen=True)
class Entry:
    """One recommender.

    Attributes:
        model: its class.
        family: what its lists are evidence of, as in `EVIDENCE`.
    """

    model: type[Recommender]
    family: Family | None

    def make(self, seed: int, max_basket_lines: int, threads: int) -> Recommender:
        """An unfitted recommender with those of the three that its constructor takes."""
        known = {
            "seed": seed,
            "threads": threads,
            "max_basket_products": max_basket_lines,
            "max_day_products": max_basket_lines,
        }
        takes = inspect.signature(self.model).parameters
        return self.model(**{name: value for name, value in known.items() if name in takes})


def _find_models() -> Iterator[type[Recommender]]:
    """The classes with a name in the modules of this package."""
    for module in iter_modules(__path__):
        for value in vars(import_module(f"{__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Recommender) and "name" in vars(value):
                yield value


_MODELS = {model.name: model for model in _find_models()}
REGISTRY: dict[str, Entry] = {name: Entry(_MODELS[name], family) for name, family in EVIDENCE.items()}
