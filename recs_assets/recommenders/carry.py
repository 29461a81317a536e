"""What a model learned, put in the codes of customers and products as they are known later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.known.interactions import Known

# "fit_customer": a customer of the fit, who stays in every block: somebody's neighbour.
Axis = Literal["customer", "fit_customer", "product", ""]


@dataclass(frozen=True)
class ArrayAxes:
    """A fitted array that only learning gives.

    Attributes:
        axes: what each of its axes stands for; "" keeps its length.
        unknown: what a customer or product has that the model did not learn of; a sparse matrix has nothing there.
    """

    axes: tuple[Axis, ...] = ()
    unknown: float = np.nan


class Codes:
    """Earlier codes by those of now.

    Args:
        earlier: what the model lists now; of it, the ids count.
        known: what is known now.
        fit_customers: int64, the earlier code of every customer of the fit, -1 of whom it does not hold; None: the fit's
            customers are those of `earlier`.
    """

    def __init__(self, earlier: Known, known: Known, fit_customers: np.ndarray | None = None) -> None:
        self._before = {
            "customer": _match(earlier.customers["customer_id"], known.customers["customer_id"]),
            "product": _match(earlier.products["product_id"], known.products["product_id"]),
        }
        self._sizes = {"customer": earlier.n_customers, "product": earlier.n_products}
        if fit_customers is None:
            fit_customers = np.arange(earlier.n_customers)
        place = np.full(earlier.n_customers, -1, dtype=np.int64)
        there = np.flatnonzero(fit_customers >= 0)
        place[fit_customers[there]] = there
        before = self._before["customer"]
        self._before["fit_customer"] = np.where(before >= 0, place[before], -1) if len(place) else before
        self._sizes["fit_customer"] = len(fit_customers)

    def before(self, axis: Axis) -> np.ndarray:
        """int64[now]: the earlier code of each, -1 where there was none."""
        return self._before[axis]

    def now(self, axis: Axis) -> np.ndarray:
        """int64[earlier]: the code of now of each, -1 where there is none any more."""
        codes = np.full(self._sizes[axis], -1, dtype=np.int64)
        before = self._before[axis]
        codes[before[before >= 0]] = np.flatnonzero(before >= 0)
        return codes

    def carry(self, value: object, learned: ArrayAxes) -> object:
        """A fitted array in the codes of now."""
        if isinstance(value, sparse.csr_matrix):
            return self._carry_sparse(value, learned.axes)
        if not isinstance(value, np.ndarray):
            return value
        for number, axis in enumerate(learned.axes):
            if axis == "":
                continue
            before = self._before[axis]
            value = np.take(value, np.maximum(before, 0), axis=number) if value.shape[number] else np.zeros(
                (*value.shape[:number], len(before), *value.shape[number + 1 :]), value.dtype
            )  # fmt: skip
            value[(slice(None),) * number + (before < 0,)] = learned.unknown
        return value

    def take_block(self, value: object, learned: ArrayAxes) -> object:
        """The rows of the customers of now, who are a block; all else as it was."""
        if "customer" not in learned.axes:
            return value
        rows = tuple(axis if axis == "customer" else "" for axis in learned.axes)
        return self.carry(value, ArrayAxes(rows, learned.unknown))

    def _carry_sparse(self, matrix: sparse.csr_matrix, axes: tuple[Axis, ...]) -> sparse.csr_matrix:
        rows, columns = axes
        if rows:
            before = self._before[rows]
            length = (
                np.where(before >= 0, np.diff(matrix.indptr)[np.maximum(before, 0)], 0)
                if matrix.shape[0]
                else 0 * before
            )
            kept = matrix[before[before >= 0]]
            matrix = sparse.csr_matrix(
                (kept.data, kept.indices, np.concatenate([[0], np.cumsum(length)])),
                shape=(len(before), matrix.shape[1]),
            )
        if columns:
            # Ids are in order on both sides, so that a row's columns stay in order, too.
            now = self.now(columns)[matrix.indices]
            there = now >= 0
            row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))[there]
            ends = np.cumsum(np.bincount(row, minlength=matrix.shape[0]))
            matrix = sparse.csr_matrix(
                (matrix.data[there], now[there], np.concatenate([[0], ends])),
                shape=(matrix.shape[0], len(self._before[columns])),
            )
        return matrix


def carry_learned(earlier: object, learned: Mapping[str, ArrayAxes], codes: Codes) -> dict[str, object]:
    """The learned arrays of an earlier fit, by name, in the codes of now; without those that an earlier version did not keep."""
    return {
        name: codes.carry(getattr(earlier, name), one)
        for name, one in learned.items()
        if hasattr(earlier, name)
    }


def _match(earlier: pd.Series, now: pd.Series) -> np.ndarray:
    return pd.Index(earlier).get_indexer(pd.Index(now)).astype(np.int64)
