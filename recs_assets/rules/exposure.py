"""Floors of exposure: at least a share of all places of a campaign for the products of a merchant, brand or category.

Lists are filled as ever; then products are exchanged for those of the floor, one at a time, the exchange first that costs
the least predicted score wherever it is, until the share is reached or nothing is left to exchange. Which exchanges
that are depends on all customers, and what each of them would cost does not: every list says what its own would
cost (a survey), the dearest that is still needed is the price of the floor, and every list makes those up to the price.
Exchanges keep every limit and take personal places alone: pins, discovery and what fills up stay. A list's later exchange
counts as dear as its dearest so far. Floors are raised in the order of the file, and none gives up what another counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np

from recs_assets.rules.best_set import exchange, find_allowed
from recs_assets.rules.items import NAMES, PASSED
from recs_assets.rules.slots import Board, Slate, Values


class Price(NamedTuple):
    """The last exchange that is made: what it costs, whose it is (code), and the which of theirs; all up to it are made."""

    cost: float
    customer: int
    step: int

    def covers(self, cost: np.ndarray, customer: np.ndarray, step: int) -> np.ndarray:
        """bool[]: exchanges up to the price, ties in the order of customers."""
        same = cost == self.cost
        first = (customer < self.customer) | ((customer == self.customer) & (step <= self.step))
        return (cost < self.cost) | (same & first)

    def shift(self, first_code: int) -> Price:
        """For a block of customers, whose codes begin anew at `first_code`."""
        return self._replace(customer=self.customer - first_code)


# Finite, because prices are written as JSON.
NO_EXCHANGE, EVERY_EXCHANGE = Price(-1e300, -1, -1), Price(1e300, -1, -1)


@dataclass(frozen=True)
class Offers:
    """Of some lists: how many places they have, how many of them the floor's products hold, and every exchange that they could
    make: cost float64[], customer int64[] (code), step int64[]."""

    places: int
    held: int
    cost: np.ndarray
    customer: np.ndarray
    step: np.ndarray

    @classmethod
    def none(cls) -> Offers:
        """Of no lists."""
        nothing = np.empty(0, dtype=np.int64)
        return cls(0, 0, nothing.astype(np.float64), nothing, nothing)


def choose_price(offers: Iterable[Offers], share: float) -> Price:
    """The price at which a floor has its share of all places, or at which every exchange is made."""
    every = list(offers)
    places, held = sum(part.places for part in every), sum(part.held for part in every)
    # A share such as 0.1 is a little above itself in binary.
    need = ceil(share * places - 1e-9) - held
    if need <= 0:
        return NO_EXCHANGE
    cost, customer, step = (
        np.concatenate([np.empty(0), *(getattr(part, name) for part in every)])
        for name in ("cost", "customer", "step")
    )
    if need >= len(cost):
        return EVERY_EXCHANGE
    last = np.lexsort((step, customer, cost))[need - 1]
    return Price(float(cost[last]), int(customer[last]), int(step[last]))


def raise_floors(
    slate: Slate,
    board: Board,
    values: Values,
    score: np.ndarray,
    cells: np.ndarray,
    floors: Sequence[np.ndarray],
    customers: np.ndarray,
    who: np.ndarray,
    prices: Sequence[Price],
) -> Offers:
    """Make the exchanges of the floors that have a price, and then, if a floor is left, all of the next.

    Args:
        slate: full; is changed.
        board: of the block.
        values: of the block's rows.
        score: float64[rows], what exchanges cost.
        cells: bool[cells], candidates.
        floors: bool[n_products] each, whose products count.
        customers: codes of the block's customers.
        who: positions of those who get a list.
        prices: of the first floors.

    Returns:
        Of the floor without a price, what it would cost; of none where all have one.
    """
    counted = np.logical_or.reduce(floors)
    for floor, price in zip(floors, prices, strict=False):
        _raise(slate, board, values, score, cells & floor[board.product], counted, customers, who, price)
    if len(prices) >= len(floors):
        return Offers.none()
    floor = floors[len(prices)]
    product = slate.cells["product"][who]
    held = int((floor[product] & (product >= 0)).sum())
    cells = cells & floor[board.product]
    made = _raise(slate, board, values, score, cells, counted, customers, who, EVERY_EXCHANGE)
    return Offers(len(who) * slate.k, held, *made)


def _raise(
    slate: Slate,
    board: Board,
    values: Values,
    score: np.ndarray,
    cells: np.ndarray,
    counted: np.ndarray,
    customers: np.ndarray,
    who: np.ndarray,
    price: Price,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The exchanges up to a price: cost, customer and step of each that is made."""
    number, worth = NAMES.index("exposure"), score[board.row]
    dearest = np.full(len(customers), -np.inf)
    made: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for step in range(slate.k):
        who = who[cells[who].any(axis=1)]
        if len(who) == 0:
            break
        may = find_allowed(slate, board, who, cells) & ~counted[slate.cells["product"][who]][:, None, :]
        column = slate.cells["column"][who]
        standing = np.take_along_axis(worth[who], np.maximum(column, 0), axis=1)
        gain = np.where(may, worth[who][:, :, None] - standing[:, None, :], -np.inf)
        dearest[who] = np.maximum(dearest[who], -gain.reshape(len(who), -1).max(axis=1, initial=-np.inf))
        goes = np.isfinite(dearest[who]) & price.covers(dearest[who], customers[who], step)
        who, gain, column = who[goes], gain[goes], column[goes]
        if len(who) == 0:
            break
        _, place = exchange(slate, board, values, who, gain, -np.inf, "personal")
        gone = column[np.arange(len(who)), place]
        free = board.taken_out[who, gone] == PASSED
        board.taken_out[who[free], gone[free]] = number
        made.append((dearest[who], customers[who].astype(np.int64), np.full(len(who), step)))
    empty = np.empty(0, dtype=np.int64)
    made.append((empty.astype(np.float64), empty, empty))
    cost, customer, steps = (np.concatenate([part[column] for part in made]) for column in range(3))
    return cost, customer, steps
