"""Lists and campaigns by blocks of customers: what a block needs to know of the whole shop, and the blocks' parts joined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from recs_assets.reasons.evidence import BOTH, Evidence
from recs_assets.repeats.cadence import fit_cadence
from recs_assets.rules.context import Context
from recs_assets.week.blocks import map_blocks
from recs_assets.week.week import Week


@dataclass(frozen=True)
class Part:
    """What came of one block of customers.

    Attributes:
        tables: name -> rows with ids.
        facts: JSON.
    """

    tables: dict[str, pd.DataFrame]
    facts: dict[str, Any] = field(default_factory=dict)


def map_customers(function: Callable[..., Part], week: Week, *arguments: Any) -> list[Part]:
    """`function(part of the week, *arguments)` for every block of its customers (`map_blocks`), which knows the facts of
    the whole shop."""
    if week.is_cut:
        count_facts(week)
    return list(map_blocks(function, week, *arguments))


def count_facts(week: Week) -> None:
    """Count of the whole shop what the rules of pages and the reasons of a block of its customers look up."""
    known = week.known()
    # Counted last.
    if BOTH in known.shop_facts:
        return
    Context(known).count_facts()
    fit_cadence(known, week.shop.horizon_days)
    Evidence(known).count_facts()


def join_tables(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all parts, in their order; those of one part as they are."""
    if len(parts) == 1:
        return parts[0]
    some = [part for part in parts if len(part)] or [parts[0]]
    kinds = {}
    for name, kind in some[0].dtypes.items():
        if isinstance(kind, pd.CategoricalDtype):
            every = [part[name].cat.categories for part in parts if name in part]
            values = sorted({value for categories in every for value in categories})
            kinds[name] = pd.CategoricalDtype(pd.Index(values, dtype=every[0].dtype, name=every[0].name))
    # Categories that are the same join as categories.
    return pd.concat([part.astype(kinds) for part in some], ignore_index=True)


def sum_counts(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Name -> the sum over all parts, in the order in which names come first."""
    total: dict[str, int] = {}
    for part in counts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    return total
