"""Many recommenders' lists -> one set of candidates per customer, each with where it came from.

Reciprocal rank fusion: Cormack, Clarke and Büttcher 2009, "Reciprocal rank fusion outperforms
Condorcet and individual rank learning methods". It needs ranks only, so lists whose scores share
no scale can be merged before anything is learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import (
    argsort_best_first,
    encode_pairs,
    find_runs,
    find_sorted,
    is_stored,
    rank_within,
    split_blocks,
)
from recs_assets.known.interactions import Known

# Cormack et al.'s constant: the first ranks of a list differ by little, so that two lists that
# agree outweigh one that is sure.
RRF_K = 60

# Rows of all lists in one block of customers; about 100 bytes each are alive at once.
BLOCK_ROWS = 4_000_000


@dataclass(frozen=True)
class Candidates:
    """Products that may be ranked, sorted by customer, then rrf descending, then product.

    Attributes:
        customer: int32[n], code.
        product: int32[n], code; unique within a customer.
        rrf: float32[n], sum over lists of 1 / (60 + rank).
        own: bool[n], the customer bought the product before the anchor.
        sources: list -> (rank float32[n], score float32[n]); NaN where the list does not hold it.
        rrf_rank: float32[n], place among all of the customer's candidates, from 1; kept when some of
            them are taken, NaN for a pair that no list held.
    """

    customer: np.ndarray
    product: np.ndarray
    rrf: np.ndarray
    own: np.ndarray
    sources: dict[str, tuple[np.ndarray, np.ndarray]]
    rrf_rank: np.ndarray

    def __len__(self) -> int:
        return len(self.customer)

    def take(self, rows: np.ndarray) -> Self:
        """The candidates at `rows` (positions or a mask), in that order."""
        return type(self)(
            self.customer[rows],
            self.product[rows],
            self.rrf[rows],
            self.own[rows],
            {name: (rank[rows], score[rows]) for name, (rank, score) in self.sources.items()},
            self.rrf_rank[rows],
        )

    def labels(self, truth: sparse.csr_matrix) -> np.ndarray:
        """int8[n]: 1 where `truth` (csr[n_customers, n_products]) stores the pair."""
        return is_stored(truth, self.customer, self.product).astype(np.int8)

    def rank(self, score: np.ndarray, k: int, keep: np.ndarray | None = None) -> pd.DataFrame:
        """The best `k` per customer by `score`.

        Args:
            score: float[n], finite.
            k: at most this many per customer.
            keep: bool[n], candidates that may stand in the list (a view); None for all.

        Returns:
            Columns customer int32, product int32, score float32, rank int16 from 1, row int64
            (position among these candidates), sorted by customer, rank; ties by score go to the
            smaller product code.

        Raises:
            ValueError: a score is not finite, or k is not within 1..32767.
        """
        if not 1 <= k <= np.iinfo(np.int16).max:
            raise ValueError(f"k is {k}; it must be within 1..32767.")
        score = np.asarray(score)
        if not np.isfinite(score).all():
            raise ValueError("A score to rank by is not finite.")
        rows = np.arange(len(self)) if keep is None else np.flatnonzero(keep)
        order = rows[np.lexsort((self.product[rows], -score[rows], self.customer[rows]))]
        rank = rank_within(self.customer[order])
        order, rank = order[rank <= k], rank[rank <= k]
        return pd.DataFrame(
            {
                "customer": self.customer[order],
                "product": self.product[order],
                "score": score[order].astype(np.float32),
                "rank": rank.astype(np.int16),
                "row": order.astype(np.int64),
            }
        )

    def look_up(self, customer: np.ndarray, product: np.ndarray, known: Known) -> Self:
        """These pairs as candidates, in this order: what the lists say of them, NaN where they say nothing.

        Args:
            customer: int codes[m], ascending.
            product: int codes[m].
            known: what the lists were made from.
        """
        width = known.n_products
        pool = encode_pairs(self.customer, self.product, width)
        order = np.argsort(pool, kind="stable")
        place = find_sorted(pool[order], encode_pairs(customer, product, width))
        here = place >= 0
        rows = order[place[here]]

        def take(values: np.ndarray, otherwise: float) -> np.ndarray:
            result = np.full(len(place), otherwise, dtype=np.float32)
            result[here] = values[rows]
            return result

        return type(self)(
            np.asarray(customer, dtype=np.int32),
            np.asarray(product, dtype=np.int32),
            take(self.rrf, 0.0),
            is_stored(known.history, np.asarray(customer), np.asarray(product)),
            {name: (take(rank, np.nan), take(score, np.nan)) for name, (rank, score) in self.sources.items()},
            take(self.rrf_rank, np.nan),
        )

    def find_best_source(self) -> np.ndarray:
        """object[n]: the recommender that ranks the candidate highest, "" where none lists it; ties to
        the first in the order of the lists."""
        names = [name.partition(":")[0] for name in self.sources]
        ranks = np.column_stack([rank for rank, _ in self.sources.values()])
        rank = np.where(np.isnan(ranks), np.inf, ranks)
        best = np.asarray(names, dtype=object)[rank.argmin(axis=1)] if len(self) else np.empty(0, object)
        best[~np.isfinite(rank).any(axis=1)] = ""
        return best

    def rank_by_source(self) -> dict[str, np.ndarray]:
        """Recommender -> float32[n], its rank of the candidate in the better of its lists; NaN in none."""
        ranks: dict[str, np.ndarray] = {}
        for source, (rank, _) in self.sources.items():
            name = source.partition(":")[0]
            ranks[name] = np.fmin(ranks[name], rank) if name in ranks else rank
        return ranks

    @classmethod
    def empty(cls) -> Self:
        """No candidates, of no lists."""
        code, number = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
        return cls(code, code, number, np.empty(0, dtype=bool), {}, number)

    @classmethod
    def concat(cls, parts: list[Self]) -> Self:
        """Candidates of disjoint, ascending blocks of customers as one.

        Raises:
            ValueError: no parts, or parts with different lists.
        """
        if not parts:
            raise ValueError("There are no candidates to put together.")
        names = list(parts[0].sources)
        if any(list(part.sources) != names for part in parts):
            raise ValueError("Parts come from different lists.")
        return cls(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("customer", "product", "rrf", "own")
            ),
            {
                name: (
                    np.concatenate([part.sources[name][0] for part in parts]),
                    np.concatenate([part.sources[name][1] for part in parts]),
                )
                for name in names
            },
            np.concatenate([part.rrf_rank for part in parts]),
        )


def merge(lists: Mapping[str, pd.DataFrame], known: Known, own_limit: int, new_limit: int) -> Candidates:
    """Merge lists per customer by reciprocal rank fusion.

    A customer keeps at most `own_limit` products bought before and `new_limit` others: with one
    limit for both, a long history would leave no room for anything new, and where nearly
    everything sold is a repeat the new ones would never be learned.

    Works in blocks of customers, so that memory beside the lists and the result is bounded.

    Args:
        lists: list name -> frame with customer, product (codes), score and rank, any order,
            (customer, product) unique within a list. "name:new" beside "name" is the same
            recommender asked for new products only: it adds its own votes and ranks.
        known: the anchor's; its history decides what is own.
        own_limit: at most this many products bought before.
        new_limit: at most this many products not bought before.

    Returns:
        The candidates; customers without any row in the lists have none.

    Raises:
        ValueError: a limit below 0, no lists, or a score that is not finite.
    """
    if min(own_limit, new_limit) < 0:
        raise ValueError(f"Limits are {own_limit} and {new_limit}; both must be 0 or more.")
    if not lists:
        raise ValueError("There are no lists to merge.")
    sources = [_Source.of(name, rows) for name, rows in lists.items()]
    counts = np.zeros(known.n_customers, dtype=np.int64)
    for source in sources:
        counts += np.bincount(source.customer, minlength=known.n_customers)
    parts = [
        _merge_block(sources, known, start, stop, (new_limit, own_limit))
        for start, stop in split_blocks(counts, BLOCK_ROWS)
    ]
    if not parts:
        none, nothing = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
        return Candidates(
            none,
            none,
            nothing,
            np.empty(0, dtype=bool),
            {source.name: (nothing, nothing) for source in sources},
            nothing,
        )
    return Candidates.concat(parts)


@dataclass(frozen=True)
class _Source:
    """One list, sorted by customer."""

    name: str
    customer: np.ndarray
    product: np.ndarray
    rank: np.ndarray
    score: np.ndarray

    @classmethod
    def of(cls, name: str, rows: pd.DataFrame) -> Self:
        customer, product, rank, score = (
            rows[column].to_numpy() for column in ("customer", "product", "rank", "score")
        )
        if not np.isfinite(score).all():
            raise ValueError(f"The list of {name} holds a score that is not finite.")
        score = score.astype(np.float32)
        if (customer[1:] < customer[:-1]).any():
            order = np.argsort(customer, kind="stable")
            customer, product, rank, score = customer[order], product[order], rank[order], score[order]
        return cls(name, customer, product, rank, score)

    def find_slice(self, start: int, stop: int) -> slice:
        return slice(*np.searchsorted(self.customer, [start, stop]))


def _merge_block(
    sources: list[_Source], known: Known, start: int, stop: int, limits: tuple[int, int]
) -> Candidates:
    """`merge` for the customers start..stop-1."""
    width = known.n_products
    blocks = [source.find_slice(start, stop) for source in sources]
    keys = [
        encode_pairs(source.customer[block] - start, source.product[block], width)
        for source, block in zip(sources, blocks, strict=True)
    ]
    votes = [
        1.0 / (RRF_K + source.rank[block].astype(np.float64))
        for source, block in zip(sources, blocks, strict=True)
    ]
    every, vote = np.concatenate(keys), np.concatenate(votes)
    # A stable sort keeps a pair's votes in the order of the lists: the same sum, bit for bit.
    order = np.argsort(every, kind="stable")
    every, vote = every[order], vote[order]
    first, times = find_runs(every)
    pair, rrf = every[first], np.add.reduceat(vote, first).astype(np.float32)
    local, product = pair // width, pair % width
    own = is_stored(known.history[start:stop], local, product)
    best = argsort_best_first(local * 2 + own, product, rrf)
    allowed = np.where(own[best], limits[1], limits[0])
    kept = best[rank_within(local[best] * 2 + own[best]) <= allowed]
    kept = kept[argsort_best_first(local[kept], product[kept], rrf[kept])]
    # Which candidate every row of the lists became, -1 for those that did not stay.
    place = np.full(len(pair), -1, dtype=np.int32)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    became = np.empty(len(every), dtype=np.int32)
    became[order] = np.repeat(place, times)
    ends = np.cumsum([len(key) for key in keys])
    ranks_and_scores = {}
    for source, block, row in zip(sources, blocks, np.split(became, ends[:-1]), strict=True):
        rank, score = np.full((2, len(kept)), np.nan, dtype=np.float32)
        stays = row >= 0
        rank[row[stays]], score[row[stays]] = source.rank[block][stays], source.score[block][stays]
        ranks_and_scores[source.name] = (rank, score)
    customer = (local[kept] + start).astype(np.int32)
    return Candidates(
        customer,
        product[kept].astype(np.int32),
        rrf[kept],
        own[kept],
        ranks_and_scores,
        rank_within(customer).astype(np.float32),
    )
