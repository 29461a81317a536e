"""One slot of a list, drawn by lot with probabilities that are kept.

Of a list that is otherwise final the last discovery slot is drawn: what stands there keeps it, or, with the probability
`rate`, the slot goes to one of the products that the rules allow beside the rest of the list, in proportion to their
probability of a purchase. That costs less than drawing evenly, and as none of them has less than `floor` of what stands
there, none is drawn so rarely that a handful of purchases would weigh for all the others. Nothing else of the list
changes, so whatever another product earned in the slot is owed to the product.

A customer's lot is a hash of their id, the seed, the campaign and the week: the same whoever else is asked for.
"""

from __future__ import annotations

import numpy as np

from recs_assets.delivery import place_customers
from recs_assets.rules.context import Context
from recs_assets.rules.items import PASSED
from recs_assets.rules.slots import SLOT_TYPES, Board, Slate, Values

# Products that one slot is drawn from, at most.
MOST_DRAWN = 20


def draw(
    slate: Slate,
    board: Board,
    values: Values,
    context: Context,
    customers: np.ndarray,
    who: np.ndarray,
    new: np.ndarray,
    rate: float,
    floor: float,
) -> dict[str, np.ndarray]:
    """Draw one slot of every list that has a discovery slot and something else to put there.

    Args:
        slate: full but for what cannot be filled; is changed.
        board: of the block.
        values: of the block's rows, with probabilities.
        context: has the shelves and the key of the lots.
        customers: codes of the block's customers.
        who: positions of those who get a list.
        new: bool[cells], candidates of a shelf that is new to the customer.
        rate: probability that a slot is given away by lot.
        floor: a product must have at least this share of the chance of what stands in the slot.

    Returns:
        What could have been drawn, list by list, what stood there first, then best first: who (position of the
        customer), drawn (the product in the slot now), product, p_purchase, probability.
    """
    place = _find_last_discovery(slate)
    who = who[place[who] >= 0]
    place = place[who]
    chance = np.nan_to_num(values.p_purchase[board.row[who]]).astype(np.float64)
    present = slate.cells["column"][who, place]
    may = new[who] & _find_allowed(slate, board, context.shelf, who, place)
    standing = chance[np.arange(len(who)), present]
    may &= (chance > 0) & (chance >= floor * standing[:, None])
    may[np.arange(len(who)), present] = True
    several = (standing > 0) & (may.sum(axis=1) > 1)
    who, place, present, may, chance = (part[several] for part in (who, place, present, may, chance))
    every = np.arange(len(who))
    wanted = np.where(may, chance, -1.0)
    wanted[every, present] = np.inf
    column = np.argsort(-wanted, axis=1, kind="stable")[:, :MOST_DRAWN]
    there = np.take_along_axis(may, column, axis=1)
    weight = np.where(there, np.take_along_axis(chance, column, axis=1), 0.0)
    upto = np.cumsum(
        weight, axis=1
    )  # one by one: a sum in any other order depends on how many others there are
    total = upto[:, -1:]
    probability = rate * weight / total
    probability[:, 0] += 1 - rate
    lot = place_customers(context.known.customers["customer_id"].iloc[customers[who]], *context.draw_key)
    at = np.where(lot < rate, (upto <= (lot / rate)[:, None] * total).sum(axis=1), 0)
    at = np.minimum(at, there.sum(axis=1) - 1)
    changed = at > 0
    slate.write(board, values, who[changed], place[changed], column[every, at][changed], "discovery")
    board.taken_out[who, column[every, at]] = PASSED
    slate.cells["order"][who, place] = -np.inf  # the slot stays the last of its kind, whatever stands there
    slate.cells["propensity"][who, place] = probability[every, at]
    row, cell = np.nonzero(there)
    column = column[row, cell]
    return {
        "who": who[row],
        "drawn": slate.cells["product"][who, place][row],
        "product": board.product[who[row], column],
        "p_purchase": values.p_purchase[board.row[who[row], column]],
        "probability": probability[row, cell],
    }


def _find_last_discovery(slate: Slate) -> np.ndarray:
    """int[customers]: where the discovery product stands that comes last in the list; -1 where there is none."""
    cells = slate.cells
    found = (cells["product"] >= 0) & (cells["type"] == SLOT_TYPES.index("discovery"))
    last = np.lexsort((cells["product"], -cells["order"], found), axis=1)[:, -1]
    return np.where(found.any(axis=1), last, -1)


def _find_allowed(
    slate: Slate, board: Board, shelf: np.ndarray, who: np.ndarray, place: np.ndarray
) -> np.ndarray:
    """bool[who, cells]: not in the list, of no shelf of its other products, and no limit is full of it without what
    stands in the place."""
    others = np.arange(slate.k) != place[:, None]
    product = slate.cells["product"][who]
    held = np.where((product >= 0) & others, shelf[product], -1)
    may = board.row[who] >= 0
    own = board.product[who]
    for position in range(slate.k):
        may &= own != product[:, position, None]
        may &= (shelf[own] != held[:, position, None]) | (held[:, position, None] < 0)
    for number, group, most in board.limits:
        kept = np.where(others, slate.groups[number][who], -1)
        full = np.zeros(may.shape, dtype=np.int16)
        for position in range(slate.k):
            full += group[who] == kept[:, position, None]
        may &= (group[who] < 0) | (full < most)
    return may
