"""Rankings of products: candidates out of the weekly lists."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import partial

import numpy as np
import pandas as pd

from recs_assets.queries.compiler import compile_items
from recs_assets.queries.syntax import Query
from recs_assets.ranking.candidates import Candidates, merge
from recs_assets.ranking.ranker import Ranker
from recs_assets.recommenders.base import Recommender, View
from recs_assets.shop import RANKER
from recs_assets.training.tasks import CandidateSheet, Task, place_ids
from recs_assets.week.blocks import choose_size, merge_blocks
from recs_assets.week.ranked import load_frames
from recs_assets.week.week import SOURCES, Week, make_recommender

# Products of a customer's own history that buy-it-again ranks, those of largest decayed frequency.
OWN_LIMIT = 200
# Lists that are made anew where a filter leaves few of the weekly lists: these cost little.
REFITTED = ("popularity", "category_popularity", "repurchase")


class Products(Task[CandidateSheet]):
    """Candidates out of the weekly lists, less what the query's filter rules out.

    The lists of the whole shop may hold few products that pass a filter, and none of them holds a
    whole history. So where the query filters, or asks for repeats only, lists that cost little are
    made again from what it admits.

    Attributes:
        weekly: the week's own ranker where it answers, so that its candidates are taken as they are.
        sources: the recommenders whose lists are merged, unless `weekly` answers.
    """

    def __init__(self, week: Week, as_of: date, query: Query, view: View) -> None:
        super().__init__(week, as_of, query, view)
        self.names = week.names
        self.weekly: Ranker | None = None
        self.sources: tuple[str, ...] = SOURCES
        self._admitted: dict[date, np.ndarray] = {}
        self._refitted: dict[date, dict[str, Recommender]] = {}

    def item_ids(self, anchor: date) -> np.ndarray:
        return self.known(anchor).products["product_id"].to_numpy(dtype=object)

    def admit_products(self, anchor: date) -> np.ndarray:
        """bool[n_products]: pass the target's filter."""
        with self._making:
            if anchor not in self._admitted:
                rows = self.week.build.query(*compile_items(self.query, anchor))
                mask = np.zeros(self.known(anchor).n_products, dtype=bool)
                mask[place_ids(self.known(anchor).products["product_id"], rows["item"])] = True
                self._admitted[anchor] = mask
            return self._admitted[anchor]

    def refit_recommenders(self, anchor: date) -> dict[str, Recommender]:
        """The recommenders whose lists are made again, fitted where only admitted products are available."""
        with self._making:
            if anchor not in self._refitted:
                known, admitted = self.known(anchor), self.admit_products(anchor)
                names = ("repurchase",) if self.view == "repeat" else () if admitted.all() else REFITTED
                narrow = replace(known, products=known.products.assign(available=known.available & admitted))
                self._refitted = {
                    anchor: {
                        name: make_recommender(self.week.shop, name, self.week.parameters(name)).fit(narrow)
                        for name in names
                    }
                }
            return self._refitted[anchor]

    def load_lists(self, name: str, anchor: date, view: View, first: int, last: int) -> pd.DataFrame:
        """The weekly lists of one of `sources`, of customer codes `[first, last)`."""
        return self.week.lists(name, anchor, view, first, last)

    def pool(self, anchor: date, first: int, last: int) -> Candidates:
        """The candidates of the eligible among customer codes `[first, last)`."""
        known, eligible = self.known(anchor), self.eligible(anchor)
        if self.weekly is not None:
            found = self.week.candidates(anchor, first, last)
            keep = eligible[found.customer]
            if self.view != "all":
                keep &= found.own == (self.view == "repeat")
            return found.take(np.flatnonzero(keep))
        admitted, refitted = self.admit_products(anchor), self.refit_recommenders(anchor)
        lists = {}
        for name in self.sources:
            views = ("all",) if self.view == "repeat" else ("all", "new")
            for view in views:
                if name not in refitted:
                    rows = self.load_lists(name, anchor, view, first, last)
                    keep = eligible[rows["customer"].to_numpy()] & admitted[rows["product"].to_numpy()]
                    lists[name if view == "all" else f"{name}:new"] = rows[keep]
            if name in refitted:
                customers = first + np.flatnonzero(eligible[first:last])
                if self.view == "repeat":
                    lists[name] = refitted[name].recommend(customers, OWN_LIMIT, "repeat")
                    continue
                new_lists = refitted[name].recommend_views(customers, self.week.settings.candidates, views)
                lists |= {name if view == "all" else f"{name}:new": rows for view, rows in new_lists.items()}
        own, new = RANKER.pool.own, RANKER.pool.new
        limits = {"all": (own, new), "new": (0, own + new), "repeat": (OWN_LIMIT, 0)}
        return merge(lists, known, *limits[self.view])

    def sheet(self, anchor: date, first: int, last: int) -> CandidateSheet:
        known = self.known(anchor)
        eligible, threads = self.eligible(anchor), self.week.settings.threads
        size = choose_size(last - first, threads)
        starts = [start for start in range(first, last, size) if eligible[start : start + size].any()]
        parts = [(start, min(start + size, last)) for start in starts]
        candidates = merge_blocks(partial(self.pool, anchor), parts, threads)
        label = np.full(len(candidates), np.nan)
        if anchor != self.as_of:
            label = candidates.labels(self.truth(anchor, known.products["product_id"])).astype(np.float64)
        return CandidateSheet(
            candidates.customer,
            candidates.product,
            label,
            lambda rows: load_frames(self.week, anchor, candidates.take(rows), self.names),
            candidates,
        )

    def formulas(self, sheet: CandidateSheet, anchor: date) -> dict[str, np.ndarray]:
        ranks = sheet.candidates.sources
        ranked = {name: ranks[f"{name}:new" if self.view == "new" else name][0] for name in self.sources}
        return {name: -rank.astype(np.float64) for name, rank in ranked.items()}
