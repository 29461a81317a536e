"""The best set of products under the limits, where taking the best product each time does not find it.

Taking the best that still fits is optimal where the limits that stand in the way are one, or nest in each other (a
title within a category): the sets that they allow are then a matroid (Edmonds 1971). Where two of them cross, one
product may close the way to two that are worth more together. Such customers are solved exactly, as an integer
programme over their competing products. What an email pays beyond that, for discovery and for variety, it pays by
exchanges of one product, each the one that gains most or costs least.
"""

from __future__ import annotations

import numpy as np

from recs_assets.arrays import encode_pairs
from recs_assets.rules.context import Context
from recs_assets.rules.items import PASSED, Rows
from recs_assets.rules.slots import SLOT_TYPES, Board, Slate, Values

# An exchange must gain more than what float32 sums may differ by.
GAIN = 1e-5
# Of the objective, in favour of the product that stands first: equal sums then have one best set.
TIE = 1e-7
# Of the interval in which a price lies.
HALVINGS = 24


def solve_crossing(slate: Slate, board: Board, values: Values, worth: np.ndarray, cells: np.ndarray) -> None:
    """Replace the personal products of customers for whom limits cross by the set of the largest sum.

    First the groups that cross a wider limit's are split along it, which allows more: the best set then is found by
    taking the best product each time, a limit of a single group (repeats) by its price (`_solve_priced`). Where that set
    keeps the limits as they are, it is the best one; where not, an integer programme finds it.

    Args:
        slate: filled by `slots.choose` with the personal slots; a set of at most as many takes their places.
        board: its limits; which cells are open is not kept.
        values: of the block's rows.
        worth: float[cells].
        cells: bool[cells], which may be chosen.
    """
    column = np.maximum(slate.cells["column"], 0)
    own = (slate.cells["column"] >= 0) & (slate.cells["type"] == SLOT_TYPES.index("personal"))
    least = np.where(own, np.take_along_axis(worth, column, axis=1), np.inf).min(axis=1, initial=np.inf)
    missed = (
        cells & (board.taken_out < PASSED) & ((worth > least[:, None]) | (slate.count < slate.k)[:, None])
    )
    met = [(missed & (board.taken_out == number)).any(axis=1) for number, *_ in board.limits]
    who = np.flatnonzero(np.sum(met, axis=0) > 1) if met else np.empty(0, dtype=np.int64)
    if len(who) == 0:
        return
    pinned = (slate.cells["type"] == SLOT_TYPES.index("pinned")) & (slate.cells["product"] >= 0)
    there = cells[who] & (board.row[who] >= 0)
    at, place = np.nonzero(pinned[who])
    there[at, slate.cells["column"][who[at], place]] = False
    room = []
    for number, group, most in board.limits:
        held = np.where(pinned, slate.groups[number], -1)[who]
        taken = (group[who][:, :, None] == held[:, None, :]).sum(axis=2)
        room.append((group[who], np.where(group[who] >= 0, most - taken, slate.k)))
        there &= room[-1][1] > 0
    size = slate.k - pinned[who].sum(axis=1)
    room = [limit for limit in room if limit[0].max(initial=-1) >= 0]
    single = [number for number, (group, _) in enumerate(room) if group.max() == 0][-1:]
    dear = room[single[0]][0] == 0 if single else np.zeros(there.shape, dtype=bool)
    most = room[single[0]][1] if single else np.zeros(there.shape, dtype=np.int64)
    rest = [limit for number, limit in enumerate(room) if number not in single]
    sets = _solve_priced(worth[who], there, _nest_limits(rest), dear, most, size)
    broken = np.zeros(len(who), dtype=bool)
    for group, most in rest:
        who_, cell = np.nonzero(sets & (group >= 0))
        _, at, count = np.unique(
            who_ * (int(group.max(initial=0)) + 1) + group[who_, cell], return_index=True, return_counts=True
        )
        over = count > most[who_[at], cell[at]]
        broken[who_[at][over]] = True
    for number in np.flatnonzero(broken):
        some = np.flatnonzero(there[number])
        limits = [
            (group[number, some] == of, int(most[number][group[number] == of].min()))
            for group, most in room
            for of in np.unique(group[number, some])
            if of >= 0
        ]
        sets[number] = False
        sets[number, some[find_largest_sum(worth[who[number], some], limits, int(size[number]))]] = True
    for number in range(len(who)):
        slate.clear(int(who[number]), ~pinned[who[number]])
        slate.append(board, values, int(who[number]), np.flatnonzero(sets[number]), "personal")
    board.taken_out[who[:, None].repeat(sets.shape[1], axis=1)[sets], np.nonzero(sets)[1]] = PASSED


def _nest_limits(limits: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The limits with groups split where they cross a wider one: they nest, and allow at least as much."""
    nested: list[tuple[np.ndarray, np.ndarray]] = []
    for group, most in sorted(
        limits, key=lambda limit: -int(np.where(limit[0] >= 0, limit[1], 0).max(initial=0))
    ):
        own = group
        for other, _ in nested:
            key = encode_pairs(own, other + 1, int(other.max(initial=0)) + 2)
            own = np.where(own >= 0, np.unique(key, return_inverse=True)[1].reshape(key.shape), -1)
        nested.append((own, most))
    return nested


def _solve_greedily(
    worth: np.ndarray, there: np.ndarray, limits: list[tuple[np.ndarray, np.ndarray]], size: np.ndarray
) -> np.ndarray:
    """bool[n, cells]: the best cell each time, while its worth is not below 0 and the limits have room."""
    chosen, open_, every = np.zeros_like(there), there & (worth >= 0), np.arange(len(there))
    for step in range(int(size.max(initial=0))):
        value = np.where(open_, worth, -1.0)
        column = value.argmax(axis=1)
        who = every[(value[every, column] >= 0) & (step < size)]
        if len(who) == 0:
            break
        column = column[who]
        chosen[who, column], open_[who, column] = True, False
        for group, most in limits:
            own = group[who, column]
            same = (group[who] == own[:, None]) & (own >= 0)[:, None]
            full = (same & chosen[who]).sum(axis=1) >= most[who, column]
            open_[who[full]] &= ~same[full]
    return chosen


def _solve_priced(
    worth: np.ndarray,
    there: np.ndarray,
    limits: list[tuple[np.ndarray, np.ndarray]],
    dear: np.ndarray,
    most: np.ndarray,
    size: np.ndarray,
) -> np.ndarray:
    """bool[n, cells]: the best sets under limits that nest, with at most so many `dear` cells.

    The largest sum with j dear cells is concave in j, so a price per dear cell makes the best set hold the right
    number: the least price at which there are not too many (Lagrange; found by halving). Where equal prices
    skip a number, single exchanges make up for it.
    """
    value = worth.astype(float) + TIE * np.arange(worth.shape[1], 0, -1) / worth.shape[1]
    room = np.where(dear & there, most, 0).max(axis=1)
    low, high = np.zeros(len(worth)), np.full(len(worth), float(value.max(initial=0)) + 1)
    best = _solve_greedily(np.where(dear, -1.0, value), there, limits, size)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        chosen = _solve_greedily(value - middle[:, None] * dear, there, limits, size)
        fits = (chosen & dear).sum(axis=1) <= room
        best[fits] = chosen[fits]
        low, high = np.where(fits, low, middle), np.where(fits, middle, high)
    every = [*limits, (np.where(dear, 0, -1), np.where(dear, room[:, None], worth.shape[1]))]
    return _exchange_singly(value, there, best, every, size)


def _exchange_singly(
    value: np.ndarray,
    there: np.ndarray,
    chosen: np.ndarray,
    limits: list[tuple[np.ndarray, np.ndarray]],
    size: np.ndarray,
) -> np.ndarray:
    """bool[n, cells]: sets to which single products are added, or exchanged, as long as the sum rises."""
    width = min(int(size.max(initial=0)), value.shape[1])  # a list may have more slots than there are cells
    active = np.arange(len(value))
    for _ in range(width):
        if len(active) == 0:
            break
        mine, own = value[active], chosen[active]
        columns = np.argsort(~own, axis=1, kind="stable")[:, :width]  # of the set first
        filled = np.take_along_axis(own, columns, axis=1)
        usable = filled | (np.cumsum(~filled, axis=1) <= (size[active] - own.sum(axis=1))[:, None])
        may = (there[active] & ~own)[:, :, None] & usable[:, None, :]
        for group, most in limits:
            cell = group[active]
            held = np.where(filled, np.take_along_axis(cell, columns, axis=1), -2)
            same = (cell[:, :, None] == held[:, None, :]) & (cell >= 0)[:, :, None]
            may &= (same.sum(axis=2) < most[active])[:, :, None] | same
        gain = mine[:, :, None] - np.where(filled, np.take_along_axis(mine, columns, axis=1), 0)[:, None, :]
        gain = np.where(may, gain, 0).reshape(len(active), -1)
        best = gain.argmax(axis=1)
        better = gain[np.arange(len(active)), best] > TIE / 10 / value.shape[1]
        column, place = np.divmod(best[better], width)
        active, filled, columns = active[better], filled[better], columns[better]
        out = filled[np.arange(len(active)), place]
        chosen[active[out], columns[np.arange(len(active)), place][out]] = False
        chosen[active, column] = True
    return chosen


def find_largest_sum(worth: np.ndarray, limits: list[tuple[np.ndarray, int]], size: int) -> np.ndarray:
    """Positions, ascending, of at most `size` items with the largest sum; of equal sums the one that takes the
    earlier items.

    Args:
        worth: float[n], 0 or more.
        limits: bool[n] members and how many of them at most.
        size: how many at most.

    >>> crossing = [(np.array([1, 1, 0, 0], bool), 1), (np.array([1, 0, 1, 0], bool), 1)]
    >>> find_largest_sum(np.array([0.5, 0.45, 0.4, 0.05]), crossing, 2)
    array([1, 2])
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    binding = [(members, most) for members, most in limits if members.sum() > most]
    rows = np.array([np.ones(len(worth)), *(members.astype(float) for members, _ in binding)])
    most = np.array([size, *(max(most, 0) for _, most in binding)], dtype=float)
    value = worth.astype(float) + TIE * np.arange(len(worth), 0, -1) / len(worth)
    solution = milp(
        -value,
        integrality=np.ones(len(worth)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(rows, ub=most),
        options={"mip_rel_gap": 0},
    )
    return np.flatnonzero(solution.x > 0.5)


def find_allowed(slate: Slate, board: Board, who: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """bool[who, cells, k]: which cell may stand in the place of which filled slot, pins and discovery kept."""
    column = slate.cells["column"][who]
    free = (column >= 0) & (slate.cells["type"][who] == SLOT_TYPES.index("personal"))
    there = cells[who] & (board.row[who] >= 0)
    at, place = np.nonzero(column >= 0)
    there[at, column[at, place]] = False
    may = there[:, :, None] & free[:, None, :]
    for number, group, most in board.limits:
        own = group[who]
        same = (own[:, :, None] == slate.groups[number][who][:, None, :]) & (own >= 0)[:, :, None]
        may &= (same.sum(axis=2) < most)[:, :, None] | same
    return may


def discover(
    slate: Slate,
    board: Board,
    values: Values,
    worth: np.ndarray,
    chance: np.ndarray | None,
    new: np.ndarray,
    shelf: np.ndarray,
    quota: int,
    floor: float,
) -> None:
    """Until a list holds products of `quota` new shelves, exchange one of its products for one of another new
    shelf, where the two differ least in worth.

    Args:
        slate: is changed.
        board: of the block.
        values: of the block's rows.
        worth: float[cells].
        chance: float[cells], probability of a purchase; None: unknown, and there is no floor.
        new: bool[cells], of a shelf that is new to the customer.
        shelf: int[cells].
        quota: slots.
        floor: a product must have at least this share of the chance of the one whose place it takes.
    """
    for _ in range(quota):
        column = slate.cells["column"]
        filled = column >= 0
        mine = np.where(filled & np.take_along_axis(new, np.maximum(column, 0), axis=1),
                        np.take_along_axis(shelf, np.maximum(column, 0), axis=1), -1)  # fmt: skip
        ordered = np.sort(mine, axis=1)
        distinct = (ordered[:, 0] >= 0).astype(int) + ((np.diff(ordered) > 0) & (ordered[:, 1:] >= 0)).sum(
            axis=1
        )
        who = np.flatnonzero((distinct < quota) & new.any(axis=1))
        if len(who) == 0:
            return
        other = new[who] & ~(shelf[who][:, :, None] == mine[who][:, None, :]).any(axis=2)
        cells = np.zeros_like(new)
        cells[who] = other
        may = find_allowed(slate, board, who, cells)
        may &= (mine[who] < 0)[:, None, :]
        at = np.maximum(column[who], 0)
        if chance is not None:
            replaced = np.take_along_axis(chance[who], at, axis=1)
            may &= chance[who][:, :, None] >= floor * replaced[:, None, :]
        gain = worth[who][:, :, None] - np.take_along_axis(worth[who], at, axis=1)[:, None, :]
        exchange(slate, board, values, who, np.where(may, gain, -np.inf), -np.inf, "discovery")


def vary(
    slate: Slate,
    board: Board,
    values: Values,
    relevance: np.ndarray,
    cells: np.ndarray,
    weight: float,
    context: Context,
    rows: Rows,
) -> None:
    """Exchange products, the exchange that gains most first, as long as a list's objective rises: weight * sum of
    relevance - (1 - weight) * mean likeness of its products to the others, times half of their number.

    Args:
        slate: is changed.
        board: of the block.
        values: of the block's rows.
        relevance: float[cells] in 0..1.
        cells: bool[cells], which may be chosen.
        weight: lambda.
        context: has the likeness.
        rows: open; they are looked up.
    """
    k, likeness = slate.k, Likeness(context, rows, board)
    alike = likeness.compare_all(slate.cells["product"])
    active = np.flatnonzero(slate.count > 1)
    for _ in range(4 * k):
        if len(active) == 0:
            return
        may = find_allowed(slate, board, active, cells)
        near, column = alike[active], slate.cells["column"][active]
        at = np.maximum(column, 0)
        total = near.sum(axis=2)
        # A product is as like as can be to itself: that is no likeness to the others.
        own = np.take_along_axis(total, at, axis=1) - np.take_along_axis(
            near, at[:, :, None], axis=1
        ).diagonal(axis1=1, axis2=2)
        closer = (total[:, :, None] - near) - own[:, None, :]
        value = relevance[active]
        gain = np.float32(weight) * (value[:, :, None] - np.take_along_axis(value, at, axis=1)[:, None, :])
        others = np.maximum(slate.count[active] - 1, 1).astype(np.float32)
        gain -= np.float32(1 - weight) / others[:, None, None] * closer
        changed, place = exchange(
            slate, board, values, active, np.where(may, gain, -np.inf), GAIN, "personal"
        )
        active = active[changed]
        alike[active, :, place] = likeness.of(active, slate.cells["product"][active, place])


def exchange(
    slate: Slate,
    board: Board,
    values: Values,
    who: np.ndarray,
    gain: np.ndarray,
    least: float,
    slot_type: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Make the exchange of the largest gain above `least` for each of `who`; which of them made one, and where."""
    n, _, k = gain.shape
    best = gain.reshape(n, -1).argmax(axis=1)
    changed = gain.reshape(n, -1)[np.arange(n), best] > least
    column, place = np.divmod(best[changed], k)
    some = who[changed]
    gone = slate.cells["column"][some, place]
    slate.write(board, values, some, place, column, slot_type)
    board.taken_out[some, column] = PASSED
    # What now stands in the way of the product that had to go.
    for number, group, most in reversed(board.limits):
        own = group[some, gone]
        full = (own >= 0) & ((slate.groups[number][some] == own[:, None]).sum(axis=1) >= most)
        board.taken_out[some[full], gone[full]] = number
    return changed, place


class Likeness:
    """Similarity of cells to products in 0..1, the larger of the cosine of content and the similarity by co-purchase.
    Negative cosines count as 0."""

    def __init__(self, context: Context, rows: Rows, board: Board) -> None:
        self._context, self._rows, self._board = context, rows, board
        if context.grid is not None:
            whole, scale = context.grid
            self._whole, self._scale = whole[board.product], scale[board.product]

    def compare_all(self, products: np.ndarray) -> np.ndarray:
        """float32[customers, cells, k] to products[customers, k] (-1: none, 0)."""
        alike = np.zeros((*self._board.row.shape, products.shape[1]), dtype=np.float32)
        if self._context.grid is not None:
            whole, scale = self._context.grid
            there = products >= 0
            given = np.where(there[:, :, None], whole[products], 0).transpose(0, 2, 1)
            np.matmul(self._whole, given, out=alike)
            alike *= self._scale[:, :, None]
            alike *= np.where(there, scale[products], 0)[:, None, :]
            np.maximum(alike, 0, out=alike)
        every = np.arange(len(products))
        for place in range(products.shape[1]):
            self._add_purchases(alike[:, :, place], every, products[:, place])
        return alike

    def of(self, who: np.ndarray, product: np.ndarray) -> np.ndarray:
        """float32[who, cells] to one product of each."""
        alike = np.zeros((len(who), self._board.row.shape[1]), dtype=np.float32)
        if self._context.grid is not None:
            whole, scale = self._context.grid
            cosine = np.matmul(self._whole[who], whole[product][:, :, None])[:, :, 0] * self._scale[who]
            np.maximum(alike, cosine * scale[product][:, None], out=alike)
        self._add_purchases(alike, who, product)
        return alike

    def _add_purchases(self, alike: np.ndarray, who: np.ndarray, product: np.ndarray) -> None:
        if self._context.copurchase is None:
            return
        some = np.flatnonzero(product >= 0)
        near = self._context.alike[product[some]]
        local = np.repeat(some, np.diff(near.indptr))
        row = self._rows.find(who[local], near.indices)
        local, data = local[row >= 0], near.data[row >= 0]
        column = self._board.column[row[row >= 0]]
        on = column >= 0
        at = local[on], column[on]
        alike[at] = np.maximum(alike[at], data[on])
