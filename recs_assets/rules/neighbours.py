"""Lists of products next to a product, under the same rules as lists for customers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context
from recs_assets.rules.filling import BLOCK, SCRATCH
from recs_assets.rules.items import PASSED, Rows, apply_product_rules, find_product_limits
from recs_assets.rules.naming import find_nameable
from recs_assets.rules.slots import Board, Slate, Values, choose

# Below this a product of another category shares a size or a brand: batteries are no liniment (0.10), and bread
# rolls that stand on two shelves are bread rolls (0.76).
LEAST_ALIKE = 0.5


def find_alike(neighbours: pd.DataFrame, context: Context) -> pd.DataFrame:
    """Of similar products those that may be called so: of the same category, or alike by half at least; where a
    category is not known, all.

    Args:
        neighbours: columns product, neighbour (codes) and score (cosine).
        context: with the categories.
    """
    code = context.category[0]
    own, other = (code[neighbours[name].to_numpy()] for name in ("product", "neighbour"))
    apart = (own != other) & (own >= 0) & (other >= 0)
    return neighbours[~apart | (neighbours["score"] >= LEAST_ALIKE).to_numpy()]


def keep_neighbours(neighbours: pd.DataFrame, context: Context, rules: Rules) -> pd.DataFrame:
    """What the rules let stand next to each product; whoever looks at the page is not known.

    A neighbour passes every product rule, may be sold wherever the product may, is no variant of it and has another
    title. Neither
    the product nor the neighbour is kept from being named, or sensitive in a way that asks who is looking. The
    limits hold within each list.

    Args:
        neighbours: columns product, neighbour (codes), rank from 1 per product; others are kept. Sorted by
            product, rank; unique.
        context: what the rules look at.
        rules: `slots.k` is the length of a list.

    Returns:
        The rows that are left, in their order, with ranks from 1.
    """
    nobody = frozenset()
    citable, _, _ = find_nameable(context, rules)
    if rules.items.sensitive and context.sensitive is not None:
        citable = citable & ~context.sensitive.never_discover
    passed = (apply_product_rules(context, rules, nobody) == PASSED) & citable
    product, neighbour = (neighbours[name].to_numpy() for name in ("product", "neighbour"))
    keep = citable[product] & passed[neighbour]
    if context.sellable is not None:
        keep &= ~(context.sellable[:, product] & ~context.sellable[:, neighbour]).any(axis=0)
    if rules.items.one_per_parent and context.parent is not None:
        keep &= (context.parent[product] != context.parent[neighbour]) | (context.parent[product] < 0)
    if rules.items.one_per_title:
        keep &= (context.title[product] != context.title[neighbour]) | (context.title[product] < 0)
    neighbours = neighbours[keep]
    product, neighbour = product[keep], neighbour[keep]
    k, limits = rules.slots.k, find_product_limits(context, rules, nobody)
    n_products = context.known.n_products
    block = max(1, min(BLOCK, SCRATCH // max(1, n_products)))
    scratch = np.full(block * n_products, -1, dtype=np.int32)
    pages, local = np.unique(product, return_inverse=True)
    chosen = np.zeros(len(neighbours), dtype=bool)
    for first in range(0, len(pages), block):
        start, stop = np.searchsorted(local, [first, first + block])
        some = pages[first : first + block]
        with Rows(some, local[start:stop] - first, neighbour[start:stop], n_products, scratch) as rows:
            held = {number: (group[rows.product], most) for number, (group, most) in limits.items()}
            slate, board = Slate(len(some), k, held), Board(rows, np.arange(len(rows)), held)
            order = np.broadcast_to(-np.arange(board.row.shape[1], dtype=np.float32), board.row.shape)
            values = Values.make_unscored(len(rows), 0, "personal")
            choose(slate, board, values, "personal", np.full(len(some), k), order, board.row >= 0)
            who, place = np.nonzero(slate.cells["product"] >= 0)
            chosen[start + rows.find(who, slate.cells["product"][who, place])] = True
    neighbours = neighbours[chosen].reset_index(drop=True)
    return neighbours.assign(
        rank=(neighbours.groupby("product", sort=False).cumcount() + 1).astype(neighbours["rank"].dtype)
    )
