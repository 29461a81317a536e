"""The same selection again and again, each time without other rules: for measuring them.

A rule that refuses products, or pairs of customer and product, makes a difference to those customers only of whose
candidates it refuses one. Where the limits stay the same, no floor of exposure looks at all lists together, and a list was filled without the ladder
and without pinned products, everybody else keeps what they had: nothing is selected for them again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recs_assets.rules.candidates import Ranked
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context
from recs_assets.rules.filling import Filler
from recs_assets.rules.items import ORDER
from recs_assets.rules.pipeline import check_customers, find_reasons, map_blocks, select, split_eligible
from recs_assets.rules.selection import Selection

PAIR = ["customer", "product"]


@dataclass(frozen=True)
class Passing:
    """What passes the product and pair rules: customer int[candidates], passed bool[candidates], and per set of rules
    the limits in force."""

    customer: np.ndarray
    passed: np.ndarray
    limits: list[tuple[dict[int, int], int]]


@dataclass(frozen=True)
class Trial:
    """A selection, and what it left out."""

    without: frozenset[str]
    selection: Selection
    passing: Passing


class Trials:
    """Selections of the same candidates.

    Args:
        candidates: as for `select`.
        context: as for `select`.
        rules: the campaign's.
        customers: as for `select`.
        threads: as for `select`.
    """

    def __init__(
        self,
        candidates: pd.DataFrame,
        context: Context,
        rules: Rules,
        customers: np.ndarray | None,
        threads: int,
    ) -> None:
        self._candidates, self._context, self._rules, self._threads = candidates, context, rules, threads
        self._customers = check_customers(customers, context)
        self._ranked = Ranked.of(candidates, context)
        eligible = self._customers[find_reasons(context, rules)[self._customers] < 0]
        self._parts = list(split_eligible(context, rules, eligible))

    def select(self, without: frozenset[str], selection: Selection | None = None) -> Trial:
        """Everybody's list, or `selection` where it was made before."""
        selection = selection or self._select(self._customers, without)
        return Trial(without, selection, self._find_passing(without))

    def select_like(self, other: Trial, without: frozenset[str]) -> pd.DataFrame:
        """customer, product of everybody's list, those of the other trial taken over where nothing can differ; rows by
        customer as `Selection.rows`, customers in any order."""
        rows = other.selection.rows
        again = self._find_affected(other, without)
        kept = rows.loc[~np.isin(rows["customer"].to_numpy(), again), PAIR]
        return pd.concat([kept, self._select(again, without).rows[PAIR]], ignore_index=True)

    def _select(self, customers: np.ndarray, without: frozenset[str]) -> Selection:
        return select(self._candidates, self._context, self._rules, customers, without, threads=self._threads)

    def _find_affected(self, other: Trial, without: frozenset[str]) -> np.ndarray:
        """Codes of the customers whose list may differ."""
        kinds = {rule.kind for rule in ORDER if rule.name in other.without ^ without}
        shared = any(own.slots.pinned or own.slots.exposure for own, _ in self._parts)
        if shared or not kinds <= {"product", "pair"}:
            return self._customers
        passing = self._find_passing(without)
        if passing.limits != other.passing.limits:
            return self._customers
        rows = other.selection.rows
        filled = rows.loc[(rows["slot_type"] == "fill").to_numpy(), "customer"]
        without_list = np.setdiff1d(self._customers, rows["customer"])
        changed = passing.customer[passing.passed != other.passing.passed]
        return np.unique(np.concatenate([filled, without_list, changed]))

    def _find_passing(self, without: frozenset[str]) -> Passing:
        jobs = [
            (Filler(self._context, own, self._ranked, without, trace=False), eligible)
            for own, eligible in self._parts
        ]
        blocks = map_blocks(Filler.find_passing, jobs, self._threads)
        customer, passed = (np.concatenate([np.empty(0, kind), *(block[place] for block in blocks)])
                            for place, kind in enumerate((np.int64, bool)))  # fmt: skip
        limits = [({number: most for number, (_, most) in job.limits.items()}, job.most_repeats) for job, _ in jobs]  # fmt: skip
        return Passing(customer, passed, limits)
