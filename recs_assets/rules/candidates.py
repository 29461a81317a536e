"""The candidates that rules choose from, as arrays in the order of their scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from recs_assets.arrays import argsort_best_first, rank_within
from recs_assets.rules.context import Context, RulesError

# Sources of rows that are not among the candidates.
PINNED, FILL = "pinned", "popularity"


@dataclass(frozen=True)
class Ranked:
    """Candidates as arrays sorted by (customer, score descending, product), where customers start, and
    which products are anybody's."""

    product: np.ndarray
    score: np.ndarray
    p_purchase: np.ndarray
    source: np.ndarray
    sources: list[str]
    start: np.ndarray
    has_p: bool
    listed: np.ndarray

    @classmethod
    def of(cls, candidates: pd.DataFrame | Ranked, context: Context) -> Ranked:
        if isinstance(candidates, Ranked):
            return candidates
        known = context.known
        customer, product = (candidates[name].to_numpy() for name in ("customer", "product"))
        score = candidates["score"].to_numpy(dtype=np.float32)
        for name, codes, size in (
            ("customer", customer, known.n_customers),
            ("product", product, known.n_products),
        ):
            if len(codes) and not 0 <= codes.min() <= codes.max() < size:
                raise RulesError(f"A candidate's {name} is outside 0..{size - 1}: made from other data.")
        if not np.isfinite(score).all():
            raise RulesError("A candidate's score is not finite.")
        n = len(product)
        p_purchase = np.full(n, np.nan, np.float32)
        if "p_purchase" in candidates:
            p_purchase = candidates["p_purchase"].to_numpy(dtype=np.float32, na_value=np.nan)
        source = pd.Categorical(candidates["source"] if "source" in candidates else np.full(n, ""))
        codes = source.codes
        same = customer[1:] == customer[:-1]
        falls = (score[1:] < score[:-1]) | ((score[1:] == score[:-1]) & (product[1:] > product[:-1]))
        if not ((customer[1:] > customer[:-1]) | (same & falls)).all():
            order = argsort_best_first(customer, product, score)
            customer, product, score = customer[order], product[order], score[order]
            p_purchase, codes = p_purchase[order], codes[order]
        start = np.zeros(known.n_customers + 1, dtype=np.int64)
        np.cumsum(np.bincount(customer, minlength=known.n_customers), out=start[1:])
        names = [str(name) for name in source.categories]
        names += [name for name in (PINNED, FILL) if name not in names]
        listed = np.bincount(product, minlength=known.n_products) > 0
        return cls(product, score, p_purchase, codes, names, start, not np.isnan(p_purchase).all(), listed)

    @classmethod
    def of_nobody(cls, context: Context, listed: np.ndarray, has_p: bool) -> Self:
        """No rows, in a shop of whose customers some have these products as candidates."""
        none = np.empty(0, dtype=np.float32)
        start = np.zeros(context.known.n_customers + 1, dtype=np.int64)
        return cls(none.astype(np.int32), none, none, none, [PINNED, FILL], start, has_p, listed)

    def rows(self, customers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions of these customers' rows, and which of the customers each belongs to."""
        length = self.start[customers + 1] - self.start[customers]
        local = np.repeat(np.arange(len(customers)), length)
        return np.repeat(self.start[customers], length) + rank_within(local) - 1, local
