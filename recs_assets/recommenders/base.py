"""What every recommender keeps, and the code that makes it keep it.

A recommender implements `_learn`, `_count`, `_attach` and `_scores`; masking, truncation, order of ties and the
explanation's shape are here, once, because the libraries underneath promise none of them.
"""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import ClassVar, Literal, Self

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import (
    argsort_best_first,
    find_largest,
    is_stored,
    list_entries,
    one_blas_thread,
    rank_within,
)
from recs_assets.known.interactions import Known
from recs_assets.recommenders.carry import ArrayAxes, Codes, carry_learned
from recs_assets.schema import ArtefactError, NotFittedError

View = Literal["all", "new", "repeat"]
VIEWS: tuple[View, ...] = ("all", "new", "repeat")

# A dense score block holds at most this many float32 values (64 MB), however large the catalogue.
BLOCK_VALUES = 16_000_000


class Recommender(ABC):
    """A model that proposes products per customer.

    `__init__` only stores parameters; fitted state ends in `_`; a refit equals a fresh fit;
    the same seed gives the same output bit for bit.
    """

    name: ClassVar[str]
    # Codes of the reasons (`reasons.ladder`) that its evidence may bear: those of `LEADS` name the product that `because` gives.
    reasons: ClassVar[tuple[str, ...]] = ()
    # What `_learn` learns, by attribute; empty: nothing is learned.
    learned: ClassVar[Mapping[str, ArrayAxes]] = {}
    # What `_attach` keeps of customers; the rest holds for the whole shop.
    attached: ClassVar[tuple[str, ...]] = ()
    # What `fit` was given, or `attach`.
    known_: Known
    # int64, from `attach` on, where `learned` speaks of customers of the fit: their codes in `known_`, -1 of who is elsewhere.
    fit_customers_: np.ndarray | None = None

    def set_params(self, **parameters: float) -> Self:
        """Replace parameters that `__init__` stored; before `fit`.

        Raises:
            ValueError: no such parameter.
        """
        for name, value in parameters.items():
            if name not in inspect.signature(type(self).__init__).parameters:
                raise ValueError(f"{self.name} has no parameter {name!r}.")
            setattr(self, name, value)
        return self

    def params(self) -> dict[str, float | str]:
        """The parameters that the result depends on: what `__init__` stored, without threads and callbacks."""
        stored = {
            name: getattr(self, name)
            for name in inspect.signature(type(self)).parameters
            if name != "threads"
        }
        return {name: value for name, value in stored.items() if isinstance(value, int | float | str)}

    def fit(self, known: Known) -> Self:
        """Learn from everything known at the anchor; keeps `known` as `known_`."""
        self.known_ = known
        self.__dict__.pop("fit_customers_", None)
        self._learn(known)
        self._count(known)
        self._attach(known)
        return self

    def fit_sample(self, sample: Known, known: Known) -> Self:
        """`fit` on a sample of the customers of `known`, or on `known` itself; what is counted of the whole shop is counted
        of all of them."""
        if sample is not known:
            self.ask_facts(known)
        return self.fit(sample)

    def _learn(self, known: Known) -> None:
        """Keep what learning gives: what the nightly refresh takes over. It comes first, and looks at nothing that
        `_count` and `_attach` keep."""
        return

    def ask_facts(self, known: Known) -> None:
        """Ask the whole shop for the facts that a fit on some of its customers looks up."""
        return

    def _count(self, known: Known) -> None:
        """Keep what is counted of the whole shop: popularity, the shares of a group. Blocks take it as it is."""
        return

    def _attach(self, known: Known) -> None:
        """Keep the customers' own side, which no other customer changes: their history, factors solved against the
        products'."""
        return

    def attach(self, known: Known) -> Self:
        """A copy for some of the shop's customers, a block, with all that was learned and counted of the whole shop:
        its lists and reasons are those of the whole, bit for bit, in the codes of the block.

        Args:
            known: the block, of the same anchor and products (`Known.take_customers`). Of customers whom the fit did not
                know there is what `_attach` and `_fold_in` can tell.

        Raises:
            NotFittedError: before `fit`.
            ArtefactError: the block has other products than the fit.
        """
        fitted = require_fitted(self)
        if not known.products["product_id"].equals(fitted.products["product_id"]):
            raise ArtefactError(
                f"The block of customers has other products than {self.name} was fitted on: cut it from the same week."
            )
        block = copy.copy(self)
        block.known_ = known
        block._attach(known)
        if any({"customer", "fit_customer"} & set(one.axes) for one in self.learned.values()):
            codes = Codes(fitted, known, self.fit_customers_)
            for name, axes in self.learned.items():
                setattr(block, name, codes.take_block(getattr(self, name), axes))
            block.fit_customers_ = codes.now("fit_customer")
            block._fold_in(known, np.flatnonzero(codes.before("customer") < 0))
        return block

    def _fold_in(self, known: Known, strangers: np.ndarray) -> None:
        """Give customers of a block whom the fit did not know what can be told of them: for recommenders that learn
        something of every customer."""
        return

    def carry_over(self, earlier: Self, known: Known) -> Self:
        """Take over what an earlier fit learned and count the rest from what is known now: no refit.

        Whom, or which product, the earlier fit did not know, it has learned nothing of: they are without scores
        where learning alone gives any. A recommender that only counts is fitted.
        """
        if not self.learned:
            return self.fit(known)
        self.known_ = known
        codes = Codes(require_fitted(earlier), known, earlier.fit_customers_)
        for name, value in carry_learned(earlier, self.learned, codes).items():
            setattr(self, name, value)
        self._count(known)
        self._attach(known)
        return self

    @abstractmethod
    def _scores(self, customers: np.ndarray) -> np.ndarray | sparse.csr_matrix:
        """Scores of one block: dense float32[len(customers), n_products] that the caller may
        overwrite, or csr whose stored entries are the candidates. NaN and infinities mean "not
        a candidate". A customer's scores may not depend on who else is in the block."""

    def _fill(self, customers: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """For recommenders with csr scores: what a product scores that is not stored.

        Returns float32[n_products] shared by all customers (NaN: not a candidate) and
        float64[len(customers)] that it is multiplied with; None where only stored entries count.
        A dense block for such scores would cost customers x products for one common order.
        """
        return None

    def because(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """int32 per (customer, product) pair: the product in the customer's history that
        contributed most to the score, or -1 where no single product did. It is the product
        itself where having bought it contributed most."""
        return np.full(len(customers), -1, dtype=np.int32)

    def shares(self, causes: np.ndarray, products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Support and confidence, float64 per pair, of the association rule from cause to product: the share of
        baskets with both, and of those with the cause that hold the product. NaN where there are no rules."""
        return np.full(len(causes), np.nan), np.full(len(causes), np.nan)

    def bears_out(self, causes: np.ndarray, products: np.ndarray) -> np.ndarray:
        """bool per pair: what was counted of cause and product is enough for the sentence of `reasons` that names the cause.
        True where a recommender counts nothing of pairs."""
        return np.ones(len(causes), dtype=bool)

    def count_similar_buyers(self, customers: np.ndarray, products: np.ndarray) -> np.ndarray:
        """int64 per (customer, product) pair: how many customers with purchases like theirs bought the product; 0 where a
        recommender knows nobody's likeness."""
        return np.zeros(len(customers), dtype=np.int64)

    def explain_silence(self) -> str:
        """Why it has nothing to say of this shop, a sentence; "" where the shop's data allow it to."""
        return ""

    def days_between(self, causes: np.ndarray, products: np.ndarray) -> np.ndarray:
        """float64 per pair: the days that usually lie between buying the cause and buying the product; NaN where nothing
        was counted."""
        return np.full(len(causes), np.nan)

    def recommend(self, customers: np.ndarray, k: int, view: View = "all") -> pd.DataFrame:
        """Top `k` products per customer code.

        Args:
            customers: int codes, rows of `known.customers`.
            k: at most this many products each; fewer where fewer are left.
            view: "all"; "new" leaves out products bought before; "repeat" keeps only those.

        Returns:
            Columns customer int32, product int32, score float32 (finite), rank int16 from 1,
            sorted by customer (in the order given) then rank; ties by score go to the
            smaller product id; no unavailable product, no padding.

        Raises:
            NotFittedError: before `fit`.
            ValueError: `view` is none of the three, or k is not within 1..32767.
        """
        return self.recommend_views(customers, k, (view,))[view]

    def recommend_views(
        self, customers: np.ndarray, k: int, views: Sequence[View], pool: Executor | None = None
    ) -> dict[View, pd.DataFrame]:
        """`recommend` for several views, scoring every customer once.

        Blocks of customers are scored side by side in `pool`, which must not be the one that the
        caller waits in; one pool for several calls bounds what is alive at once.

        Raises:
            NotFittedError: before `fit`.
            ValueError: a view is none of the three, or k is not within 1..32767.
        """
        known = require_fitted(self)
        for view in views:
            if view not in VIEWS:
                raise ValueError(f"view is {view!r}; it must be 'all', 'new' or 'repeat'.")
        if not 1 <= k <= np.iinfo(np.int16).max:
            raise ValueError(f"k is {k}; it must be within 1..32767.")
        customers = np.asarray(customers, dtype=np.int32)
        block = max(1, BLOCK_VALUES // max(1, known.n_products))

        def recommend_from(start: int) -> list[pd.DataFrame]:
            return self._recommend_block(known, customers[start : start + block], k, views)

        with one_blas_thread():
            blocks = list((pool.map if pool else map)(recommend_from, range(0, len(customers), block)))
        if not blocks:
            empty = _rank_pairs(customers, *(np.empty(0, dtype=np.int64),) * 2, np.empty(0, np.float32), k)
            blocks = [[empty] * len(views)]
        return {
            view: pd.concat([block[number] for block in blocks], ignore_index=True)
            for number, view in enumerate(views)
        }

    def recommend_known(
        self,
        known: Known,
        customers: np.ndarray,
        k: int,
        views: Sequence[View],
        pool: Executor | None = None,
    ) -> dict[View, pd.DataFrame]:
        """`recommend_views` for customer codes of `known`, whether the fit was on it or on a sample of it."""
        if self.known_ is known:
            return self.recommend_views(customers, k, views, pool)
        some = self.attach(known.take_customers(customers))
        listed = some.recommend_views(np.arange(len(customers), dtype=np.int32), k, views, pool)
        codes = np.asarray(customers, dtype=np.int32)
        return {view: rows.assign(customer=codes[rows["customer"]]) for view, rows in listed.items()}

    def _recommend_block(
        self, known: Known, customers: np.ndarray, k: int, views: Sequence[View]
    ) -> list[pd.DataFrame]:
        scores, stored = self._scores(customers), None
        history = known.history[customers]
        own = list_entries(history)
        if not isinstance(scores, np.ndarray):
            stored, fill = scores.tocsr(), self._fill(customers)
            if fill is not None:
                return [_rank_filled(known, customers, stored, fill, history, k, view) for view in views]
            scores, own = _line_up(known, stored, own)
        else:
            if not np.isfinite(scores).all():
                scores[~np.isfinite(scores)] = -np.inf
            if not known.available.all():
                scores[:, ~known.available] = -np.inf
        # "new" comes last: it may overwrite the scores, where a copy cost a quarter of the time.
        frames = {
            view: _rank_view(customers, scores, stored, own, k, view)
            for view in sorted(views, key="new".__eq__)
        }
        return [frames[view] for view in views]


def _line_up(
    known: Known, stored: sparse.csr_matrix, own: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """A csr matrix without its gaps, so that only what is stored is looked at.

    Args:
        known: says what is available.
        stored: scores of a block.
        own: row and product of what the customers bought.

    Returns:
        float32[rows, most entries of a row]: the n-th entry of a row in column n, -inf where there is none or
        where it is no candidate; and `own` as rows and columns of that.
    """
    length = np.diff(stored.indptr)
    lined_up = np.full((len(length), int(length.max(initial=0))), -np.inf, dtype=np.float32)
    usable = np.isfinite(stored.data) & known.available[stored.indices]
    lined_up[np.arange(lined_up.shape[1]) < length[:, None]] = np.where(usable, stored.data, -np.inf)
    # Marks in a dense block: a binary search per score in the history takes ten times as long.
    bought = np.zeros(stored.shape, dtype=bool)
    bought[own] = True
    rows, columns = list_entries(stored)
    at = np.flatnonzero(bought[rows, columns])
    return lined_up, (rows[at], at - stored.indptr[rows[at]])


def _rank_view(
    customers: np.ndarray,
    scores: np.ndarray,
    stored: sparse.csr_matrix | None,
    own: tuple[np.ndarray, np.ndarray],
    k: int,
    view: View,
) -> pd.DataFrame:
    """The first k of one view of a block's scores, which "new" overwrites; columns are products or, of `stored`,
    places in the row."""
    if view == "new":
        scores[own] = -np.inf
    rows, places = own if view == "repeat" else find_largest(scores, k)
    values = scores[rows, places]
    keep = values > -np.inf
    rows, places, values = rows[keep], places[keep], values[keep]
    columns = places if stored is None else stored.indices[stored.indptr[rows] + places]
    return _rank_pairs(customers, rows, columns, values, k)


def _rank_filled(
    known: Known,
    customers: np.ndarray,
    scores: sparse.csr_matrix,
    fill: tuple[np.ndarray, np.ndarray],
    history: sparse.csr_matrix,
    k: int,
    view: View,
) -> pd.DataFrame:
    """The first k of one view of a block's stored scores and of what fills them up."""
    rows, columns, values = _list_filled(known, scores, fill, history, k, view)
    keep = np.isfinite(values) & known.available[columns]
    if view != "all":
        keep &= is_stored(history, rows, columns) == (view == "repeat")
    return _rank_pairs(customers, rows[keep], columns[keep], values[keep], k)


def _list_filled(
    known: Known,
    scores: sparse.csr_matrix,
    fill: tuple[np.ndarray, np.ndarray],
    history: sparse.csr_matrix,
    k: int,
    view: View,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and scores of stored entries, and of as much of the fill as can matter."""
    scores.sort_indices()
    rows, columns = list_entries(scores)
    common, scale = fill
    if view == "repeat":
        extra_rows, extra_columns = list_entries(history)
    else:
        # Of the common order a customer can lose what is stored and, in "new", what was bought.
        candidates = np.flatnonzero(np.isfinite(common) & known.available)
        candidates = candidates[np.argsort(-common[candidates], kind="stable")]
        lost = np.diff(scores.indptr) + (np.diff(history.indptr) if view == "new" else 0)
        length = np.minimum(k + lost, len(candidates)).astype(np.int64)
        extra_rows = np.repeat(np.arange(scores.shape[0]), length)
        extra_columns = candidates[rank_within(extra_rows) - 1]
    absent = ~is_stored(scores, extra_rows, extra_columns)
    extra_rows, extra_columns = extra_rows[absent], extra_columns[absent]
    extra = (common[extra_columns] * scale[extra_rows]).astype(np.float32)
    return (
        np.concatenate([rows, extra_rows]),
        np.concatenate([columns, extra_columns]),
        np.concatenate([scores.data.astype(np.float32), extra]),
    )


def require_fitted(recommender: Recommender) -> Known:
    """The `Known` a recommender was fitted on.

    Raises:
        NotFittedError: before `fit`.
    """
    known: Known | None = getattr(recommender, "known_", None)
    if known is None:
        raise NotFittedError(f"Recommender {recommender.name} has no fitted model: call fit() first.")
    return known


def _rank_pairs(
    customers: np.ndarray, rows: np.ndarray, columns: np.ndarray, values: np.ndarray, k: int
) -> pd.DataFrame:
    """Sort by (row, score desc, product), keep the first k of each row, number them."""
    values = np.asarray(values, dtype=np.float32)
    order = argsort_best_first(rows, columns, values)
    rows, columns, values = rows[order], columns[order], values[order]
    rank = rank_within(rows)
    keep = rank <= k
    return pd.DataFrame(
        {
            "customer": customers[rows[keep]].astype(np.int32),
            "product": columns[keep].astype(np.int32),
            "score": values[keep],
            "rank": rank[keep].astype(np.int16),
        }
    )
