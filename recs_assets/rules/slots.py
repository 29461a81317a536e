"""Filling slots for a block of customers at once: what may still be chosen, and what has been."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from recs_assets.arrays import rank_within
from recs_assets.rules.items import PASSED, Limit, Rows

# In the order in which they follow each other in a list; pinned ones stand at their own slots.
SLOT_TYPES = ("personal", "discovery", "fill", "pinned")
LEVELS = ("personal", "segment", "category", "global")


@dataclass(frozen=True)
class Values:
    """What the selection says of each row of a block: score float32, p_purchase float32 (NaN
    unknown), source int16 (position in the names of `Selection`), level int8 (in `LEVELS`), order
    float32, or float64 with a goal or boosts (what slots of one type are ordered by)."""

    score: np.ndarray
    p_purchase: np.ndarray
    source: np.ndarray
    level: np.ndarray
    order: np.ndarray

    @classmethod
    def make_unscored(cls, n: int, source: int, level: str) -> Self:
        """n rows that nobody scored for these customers."""
        return cls(
            np.zeros(n, np.float32),
            np.full(n, np.nan, np.float32),
            np.full(n, source, np.int16),
            np.full(n, LEVELS.index(level), np.int8),
            np.zeros(n, np.float32),
        )

    def concat(self, other: Values) -> Values:
        """These rows, then the other's."""
        both = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return Values(*(np.concatenate(pair) for pair in both))

    def take(self, rows: np.ndarray) -> Values:
        """The rows at these positions."""
        return Values(*(getattr(self, field.name)[rows] for field in fields(self)))


class Board:
    """Rows as cells[customers of the block, width], best first, and which of them are still open.

    Attributes:
        row: int32, row of the cell, -1 none.
        product: int32 (0 where there is none).
        open: bool, may be chosen.
        spare: by how much its limits are wider than the rules say.
        taken_out: int8, position in `items.ORDER` of the limit that closed it while its customer
            still had slots to fill, PASSED otherwise.
        column: int32[n rows], the cell of a row; -1: the row is not on the board.

    Args:
        rows: of the block.
        kept: int[], the rows that passed, customers adjacent and ascending, best first.
        limits: as `items.find_row_limits` returns them.
    """

    def __init__(self, rows: Rows, kept: np.ndarray, limits: Mapping[int, Limit]) -> None:
        size, local = len(rows.customers), rows.local[kept]
        column = rank_within(local) - 1
        self.column = np.full(len(rows), -1, dtype=np.int32)
        self.column[kept] = column
        self.row = np.full((size, int(column.max(initial=-1)) + 1), -1, dtype=np.int32)
        self.row[local, column] = kept
        self.open = self.row >= 0
        self.product = self._fill_cells(rows.product, 0)
        self.taken_out = np.full(self.row.shape, PASSED, dtype=np.int8)
        self.limits = [
            (number, self._fill_cells(group, -1), most) for number, (group, most) in limits.items()
        ]
        self.spare = 0
        self._close_empty()

    def reopen(self, spare: int) -> None:
        """Open every cell again, limits `spare` wider than at first."""
        self.open = self.row >= 0
        self.limits = [(number, group, most - self.spare + spare) for number, group, most in self.limits]
        self.spare = spare
        self._close_empty()

    def _close_empty(self) -> None:
        for number, group, most in self.limits:
            if most == 0:
                self._close(number, np.arange(len(group)), group >= 0)

    def _fill_cells(self, values: np.ndarray, otherwise: int) -> np.ndarray:
        """int32 per cell of a value per row."""
        cells = np.full(self.row.shape, otherwise, dtype=np.int32)
        filled = self.row >= 0
        cells[filled] = values[self.row[filled]]
        return cells

    def _close(self, number: int, who: np.ndarray, cells: np.ndarray) -> None:
        at, column = np.nonzero(cells & self.open[who])
        self.open[who[at], column] = False
        self.taken_out[who[at], column] = number


class Slate:
    """The slots of a block of customers while they are filled, in the order of choice.

    Attributes:
        count: int64[customers], slots filled.
        product: int32[customers, k], -1 empty; score, p_purchase, source, level, order, type (position
            in `SLOT_TYPES`), slot (of pinned ones, 0 otherwise), column (the cell of the board), propensity alike.
        groups: limit -> int32[customers, k], -1 none.
    """

    CELLS = (
        ("product", np.int32, -1),
        ("score", np.float32, 0),
        ("p_purchase", np.float32, np.nan),
        ("source", np.int16, -1),
        ("level", np.int8, 0),
        ("order", np.float64, 0),
        ("type", np.int8, 0),
        ("slot", np.int16, 0),
        ("column", np.int32, -1),
        ("propensity", np.float64, np.nan),
    )

    def __init__(self, size: int, k: int, limits: Iterable[int] = ()) -> None:
        self.k = k
        self.count = np.zeros(size, dtype=np.int64)
        self.cells = {name: np.full((size, k), empty, dtype) for name, dtype, empty in self.CELLS}
        self.groups = {number: np.full((size, k), -1, dtype=np.int32) for number in limits}

    def part(self, who: np.ndarray) -> Slate:
        """A copy of some customers' slots."""
        part = Slate(0, self.k)
        part.count = self.count[who]
        part.cells = {name: values[who] for name, values in self.cells.items()}
        part.groups = {number: values[who] for number, values in self.groups.items()}
        return part

    def put(self, who: np.ndarray, part: Slate) -> None:
        """Write a part back."""
        self.count[who] = part.count
        for name, values in self.cells.items():
            values[who] = part.cells[name]
        for number, values in self.groups.items():
            values[who] = part.groups[number]

    def table(self, who: np.ndarray) -> dict[str | int, np.ndarray]:
        """Cells by name and groups by limit of some customers."""
        return {name: values[who] for name, values in {**self.cells, **self.groups}.items()}

    def widen(self, more: int) -> None:
        """So many empty slots more."""
        self.k += more

        def pad(values: np.ndarray, empty: float) -> np.ndarray:
            return np.pad(values, ((0, 0), (0, more)), constant_values=empty)

        self.cells = {name: pad(self.cells[name], empty) for name, _, empty in self.CELLS}
        self.groups = {number: pad(values, -1) for number, values in self.groups.items()}

    def close_taken(self, board: Board) -> None:
        """Close the cells of a new board that what is chosen already rules out."""
        for position in range(int(self.count.max(initial=0))):
            board.open &= board.product != self.cells["product"][:, position, None]
            for number, group, most in board.limits:
                self._hold(board, number, group, most, np.arange(len(self.count)), position)

    def find_room(self, products: np.ndarray, limits: Mapping[int, Limit]) -> np.ndarray:
        """bool[customers, len(products)]: which products no limit forbids beside what is chosen;
        `limits` as `items.find_product_limits` returns them."""
        room = np.ones((len(self.count), len(products)), dtype=bool)
        for number, (group, most) in limits.items():
            chosen = self.groups[number]
            full = np.zeros((len(self.count), int(group.max(initial=-1)) + 2), dtype=bool)  # the last: -1
            for position in range(self.k):
                group_of = chosen[:, position]
                full[np.arange(len(group_of)), group_of] |= (chosen == group_of[:, None]).sum(axis=1) >= most
            full[:, -1] = False
            room &= ~full[:, group[products]]
        return room

    def take(
        self,
        board: Board,
        values: Values,
        who: np.ndarray,
        column: np.ndarray,
        slot_type: str,
        slot: int = 0,
    ) -> None:
        """Give each customer of `who` (positions, distinct) the cell `column`; all have a slot left."""
        at = self.count[who]
        self.write(board, values, who, at, column, slot_type, slot)
        self.count[who] += 1
        board.open[who, column] = False
        for number, group, most in board.limits:
            self._hold(board, number, group, most, who, at)

    def write(
        self,
        board: Board,
        values: Values,
        who: np.ndarray,
        at: np.ndarray,
        column: np.ndarray,
        slot_type: str,
        slot: int = 0,
    ) -> None:
        """Put the cell `column` into the place `at` of each customer, whatever stood there."""
        row = board.row[who, column]
        self.cells["product"][who, at] = board.product[who, column]
        for field in fields(values):
            self.cells[field.name][who, at] = getattr(values, field.name)[row]
        self.cells["type"][who, at] = SLOT_TYPES.index(slot_type)
        self.cells["slot"][who, at] = slot
        self.cells["column"][who, at] = column
        for number, group, _ in board.limits:
            self.groups[number][who, at] = group[who, column]

    def clear(self, who: int, places: np.ndarray) -> None:
        """Empty these places (bool[k]) of one customer; what is left moves up."""
        kept = np.flatnonzero(~places)
        for name, _, empty in self.CELLS:
            values = self.cells[name][who]
            values[: len(kept)], values[len(kept) :] = values[kept], empty
        for values in self.groups.values():
            values[who, : len(kept)], values[who, len(kept) :] = values[who, kept], -1
        self.count[who] = len(kept)

    def append(self, board: Board, values: Values, who: int, columns: np.ndarray, slot_type: str) -> None:
        """Give one customer these cells, in this order."""
        places = self.count[who] + np.arange(len(columns))
        self.write(board, values, np.full(len(columns), who), places, columns, slot_type)
        self.count[who] += len(columns)

    def _hold(
        self, board: Board, number: int, group: np.ndarray, most: int, who: np.ndarray, at: np.ndarray | int
    ) -> None:
        """Close the group of the slots `at` where it has reached its most."""
        chosen = self.groups[number][who, at]
        full = (chosen >= 0) & (self.count[who] < self.k)
        if most > 1:
            full &= (self.groups[number][who] == chosen[:, None]).sum(axis=1) >= most
        who = who[full]
        if len(who):
            board._close(number, who, group[who] == chosen[full, None])


def choose(
    slate: Slate,
    board: Board,
    values: Values,
    slot_type: str,
    need: np.ndarray,
    relevance: np.ndarray,
    cells: np.ndarray,
) -> None:
    """Fill up to `need` slots of every customer, one after the other, each with the open cell of the largest
    relevance; ties go to the first cell.

    Args:
        slate: is filled.
        board: its cells close.
        values: of the block's rows.
        slot_type: what the slots are.
        need: int[customers].
        relevance: float[cells], finite.
        cells: bool[cells], which may be chosen here.
    """
    need, everyone = need.copy(), np.arange(len(need))
    while board.row.shape[1] and (need > 0).any():
        value = np.where(board.open & cells, relevance, -np.inf)
        column = value.argmax(axis=1)
        who = np.flatnonzero((need > 0) & (value[everyone, column] > -np.inf))
        if len(who) == 0:
            return
        slate.take(board, values, who, column[who], slot_type)
        need[who] -= 1
