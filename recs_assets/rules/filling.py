"""Filling the slots of a block of customers: the rules, then the steps of `pipeline` one after the other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import replace
from hashlib import sha256
from typing import Literal

import numpy as np

from recs_assets.arrays import find_runs, rank_within
from recs_assets.names import find_matches
from recs_assets.rules.best_set import discover, solve_crossing, vary
from recs_assets.rules.candidates import FILL, PINNED, Ranked
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context, RulesError
from recs_assets.rules.exploration import draw
from recs_assets.rules.exposure import Offers, Price, raise_floors
from recs_assets.rules.goals import find_factors, weigh_products
from recs_assets.rules.items import (
    NAMES,
    PASSED,
    Limit,
    Rows,
    apply_product_rules,
    apply_row_rules,
    find_compatible,
    find_product_limits,
    find_row_limits,
    raise_limits,
    raise_max_repeat,
)
from recs_assets.rules.pools import Pools
from recs_assets.rules.selection import CELLS, DRAW_COLUMNS, Part
from recs_assets.rules.slots import SLOT_TYPES, Board, Slate, Values, choose

# Where a list stands. An email goes to who may be written to and has all its slots; a page of the shop is
# for everybody, and its list may be shorter.
Placement = Literal["email", "page"]
# Customers filled at once: their cells' vectors (64 float32) then stay within a processor's cache.
BLOCK = 128
# Customers x products of one block's look-up table (int32: 64 MB).
SCRATCH = 16_000_000
# Exchanges of a block looked at together, customers x cells x slots (float32: 32 MB).
EXCHANGES = 8_000_000
# Candidates that pass and compete for the slots of one customer: so many, or twice the slots.
DEPTH = 100
# Rows of popular products looked at per customer in the first round of a level; then twice as many.
FIRST_FILL = 64
MOST_FILL = 4096
# Beyond those, the best so many products of new categories compete for discovery, one per category.
NEW_DEPTH = 12


class Filler:
    """What all blocks under the same rules share."""

    def __init__(
        self,
        context: Context,
        rules: Rules,
        ranked: Ranked,
        without: frozenset[str],
        trace: bool,
        placement: Placement = "email",
        reserves: int = 0,
        prices: Sequence[Price] = (),
    ) -> None:
        self.context, self.rules, self.ranked = context, rules, ranked
        self.without, self.trace, self.reserves = without, trace, reserves
        self.scratch = np.empty(0, dtype=np.int32)
        slots = rules.slots
        self.fewest = slots.k if placement == "email" else 1
        self.by_product = apply_product_rules(context, rules, without)
        passed = self.by_product == PASSED
        self.pools = Pools(context, passed)
        self.limits, self.most_repeats = find_product_limits(context, rules, without), slots.max_repeat
        if placement == "email" and context.reach is not None:
            reach = context.reach[name_reach(rules, without)]
            self.limits = {
                number: (group, reach[NAMES[number]]) for number, (group, _) in self.limits.items()
            }
            self.most_repeats = reach["max_repeat"]
        elif placement == "email":
            products = self.find_reachable_products()
            self.limits = raise_limits(self.limits, products, slots.k)
            self.most_repeats = raise_max_repeat(context, rules, products)
        pins = [] if "pinned" in without else sorted(slots.pinned, key=lambda pin: pin.slot)
        ids = context.product_codes
        self.pins = [
            (ids[own[0]], pin.slot) for pin in pins if len(own := find_matches(pin.product, ids)) == 1
        ]
        self.quota = 0 if "discovery" in without else min(slots.discovery_slots, slots.k - len(self.pins))
        drawn = (
            self.quota > 0 and ranked.has_p and context.draw_key is not None and "exploration" not in without
        )
        self.draw_rate = slots.draw_rate if drawn else 0.0
        alike = context.grid is not None or context.copurchase is not None
        self.weight = slots.mmr_lambda if alike and "diversity" not in without else 1.0
        self.goal_values = None if "goal" in without else weigh_products(context, slots)
        self.factors = None if "boosts" in without else find_factors(context, slots)
        given = [part for part in (self.goal_values, self.factors) if part is not None]
        self.worth = np.multiply.reduce(given) if given else None
        self.by_p = ranked.has_p and slots.order_by == "p_purchase"
        if self.worth is not None:
            _check_worth(ranked)

        raised = placement == "email" and "exposure" not in without
        self.floors = [context.find_group(*floor.group) for floor in slots.exposure] if raised else []
        self.prices = prices

    def find_reachable_products(self) -> np.ndarray:
        """int[]: what a list may hold together of what is anybody's candidate or on the ladder (`find_compatible`)."""
        reachable = (self.by_product == PASSED) & self.ranked.listed
        if self.rules.slots.ladder:
            reachable[self.pools.everywhere] = True
        return find_compatible(self.limits, reachable)

    def run(self, customers: np.ndarray, scratch: np.ndarray) -> Part:
        """Fill the slots of one block, with a look-up table (`items.Rows`) that no other block uses meanwhile."""
        return self._share(scratch)._fill(customers)[0]

    def survey(self, customers: np.ndarray, scratch: np.ndarray) -> Offers:
        """What the next floor of exposure without a price would cost in the lists of one block."""
        return self._share(scratch)._fill(customers)[1]

    def find_passing(self, customers: np.ndarray, scratch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The customer of every candidate of one block, and whether it passes the product and pair rules; pinned
        products aside."""
        at, local = self.ranked.rows(customers)
        with self._share(scratch)._open(customers, local, self.ranked.product[at]) as rows:
            first = apply_row_rules(rows, self.context, self.rules, self.by_product, self.without)
        return customers[local], first == PASSED

    def _share(self, scratch: np.ndarray) -> Filler:
        """The same with a look-up table."""
        other = copy(self)
        other.scratch = scratch
        return other

    def _fill(self, customers: np.ndarray) -> tuple[Part, Offers]:
        """The part of one block, and what the next floor without a price would cost in it."""
        local, product, values, n_ranked = self._gather_rows(customers)
        with self._open(customers, local, product) as rows:
            if not rows.unique:
                raise RulesError("The candidates hold a product twice for one customer.")
            first = apply_row_rules(rows, self.context, self.rules, self.by_product, self.without)
            held = self._find_limits(rows)
            slate = Slate(len(customers), self.rules.slots.k, held)
            new = self._find_new_shelves(rows) if self.quota else np.zeros(len(rows), dtype=bool)
            kept, values, relevance, score = self._choose_competing(rows, first, values, n_ranked, new)
            board = Board(rows, kept, held)
            self._fill_steps(slate, board, rows, values, relevance, n_ranked, new)
        self._climb(slate, customers)
        complete = np.flatnonzero(slate.count >= self.fewest)
        slate.cells["propensity"][slate.cells["product"] >= 0] = 1.0
        ranked = (board.row >= 0) & (board.row < n_ranked)
        draws = {}
        if self.draw_rate and len(complete) and board.row.shape[1]:
            floor, some = self.rules.slots.discovery_floor, ranked & new[board.row]
            draws = draw(slate, board, values, self.context, customers, complete, some, self.draw_rate, floor)
        offers = Offers.none()
        if self.floors and board.row.shape[1]:
            offers = raise_floors(
                slate, board, values, score, ranked, self.floors, customers, complete, self.prices
            )
        on = (board.taken_out < PASSED) & ranked
        first[board.row[on]] = board.taken_out[on]
        gone = np.flatnonzero(first[:n_ranked] < PASSED)
        cells = _order_by_slot(slate.table(complete))
        cells["sent_before"] = self._find_repeats(customers[complete], cells["product"])
        reserves = {}
        if self.reserves and len(complete):
            reserves = self._reserve(
                slate,
                board,
                values,
                relevance[board.row],
                ranked,
                (customers, local, product),
                complete,
                cells,
            )
        part = Part(
            customers[complete],
            np.delete(customers, complete),
            cells,
            np.bincount(first[gone], minlength=PASSED),
            (customers[local[gone]], product[gone], first[gone]) if self.trace else None,
            _name_slots(draws, customers, complete, cells["product"]),
            reserves,
        )
        return part, offers

    def _reserve(
        self,
        slate: Slate,
        board: Board,
        values: Values,
        relevance: np.ndarray,
        cells: np.ndarray,
        block: tuple[np.ndarray, np.ndarray, np.ndarray],
        complete: np.ndarray,
        chosen: dict[str, np.ndarray],
    ) -> dict[str, np.ndarray]:
        """The lists of the `complete` customers, and what would come next, as columns of
        `Selection.reserves`: first what every limit allows beside the whole list, then what a limit
        allows once products of its group are gone."""
        customers, k = block[0], slate.k
        slate.widen(self.reserves)
        for spare in (0, self.reserves):
            board.reopen(spare)
            slate.close_taken(board)
            need = np.zeros(len(customers), dtype=np.int64)
            need[complete] = slate.k - slate.count[complete]
            if not need.any():
                break
            choose(slate, board, values, "personal", need, relevance, cells)
            part = slate.part(complete)
            self._climb(part, customers[complete], spare)
            slate.put(complete, part)
        after = {name: values[:, k:] for name, values in slate.table(complete).items()}
        there = after["product"] >= 0
        after["sent_before"] = self._find_repeats(customers[complete], after["product"])
        both = {name: np.concatenate([chosen[name], after[name]], axis=1) for name in after}
        there = np.concatenate([np.ones((len(complete), k), dtype=bool), there], axis=1)
        who, column = np.nonzero(there)
        limits = {number: most for number, _, most in board.limits}
        least = self.rules.items.min_stock
        return {
            "customer": customers[complete][who],
            "slot": column + 1,
            "min_stock": np.full(len(who), np.nan if least is None else least),
            **{name: both[name][there] for name in CELLS},
            **{NAMES[number]: both[number][there] for number in limits},
            **{
                f"{NAMES[number]}_most": np.full(len(who), most - board.spare)
                for number, most in limits.items()
            },
        }

    def _find_limits(self, rows: Rows, spare: int = 0) -> dict[int, Limit]:
        """Every limit that is on, for these rows, each `spare` wider than the rules say."""
        held = find_row_limits(rows, self.context, self.rules, self.limits, self.without)
        return {
            number: (group, (self.most_repeats if NAMES[number] == "max_repeat" else most) + spare)
            for number, (group, most) in held.items()
        }

    def _open(self, customers: np.ndarray, local: np.ndarray, product: np.ndarray) -> Rows:
        return Rows(customers, local, product, self.context.known.n_products, self.scratch)

    def _gather_rows(self, customers: np.ndarray) -> tuple[np.ndarray, np.ndarray, Values, int]:
        """The block's rows, candidates first: position of the customer, product, values, and how many are
        candidates."""
        ranked = self.ranked
        at, local = ranked.rows(customers)
        product = ranked.product[at]
        values = Values(
            ranked.score[at],
            ranked.p_purchase[at],
            ranked.source[at].astype(np.int16),
            np.zeros(len(at), np.int8),
            ranked.score[at],
        )
        more = [
            (np.arange(len(customers)), np.full(len(customers), pin), PINNED, "global")
            for pin, _ in self.pins
        ]
        n_ranked = len(at)
        for who, what, source, level in more:
            with self._open(customers, local, product) as rows:
                absent = rows.find(who, what) < 0
            local, product = np.r_[local, who[absent]], np.r_[product, what[absent]].astype(np.int32)
            values = values.concat(Values.make_unscored(absent.sum(), ranked.sources.index(source), level))
        return local, product, values, n_ranked

    def _find_new_shelves(self, rows: Rows) -> np.ndarray:
        """bool[len(rows)]: of a category, or cluster, from which the customer, who bought something, bought
        nothing yet; a product that was sent before without an effect is none."""
        context = self.context
        bought = context.shelves_bought[rows.customers].toarray()
        shelf = context.shelf[rows.product]
        new = (shelf >= 0) & bought.any(axis=1)[rows.local]
        new[new] = ~bought[rows.local[new], shelf[new]]
        if context.sends is not None:
            ago, evidence = (rows.lookup(matrix, context.variants) for matrix in context.sent)
            new &= ~((ago > 0) & (ago <= self.rules.slots.repeat_sends) & (evidence == 1))
        return new

    def _choose_competing(
        self, rows: Rows, first: np.ndarray, values: Values, n_ranked: int, new: np.ndarray
    ) -> tuple[np.ndarray, Values, np.ndarray, np.ndarray]:
        """Rows that passed, customers adjacent, best first, additions last; the values with what rows
        are ordered by; per row its relevance, float32 in 0..1: its probability (else, or by `order_by`, score, times the
        value of its goal), scaled between the customer's worst and best competing candidate; and that unscaled, float64."""
        kept = np.flatnonzero(first[:n_ranked] == PASSED)
        value = values.score[kept]
        if self.worth is not None:
            value = values.p_purchase[kept] if self.by_p else value
            # float64: high factors, and values of a strong goal, are beyond what float32 holds.
            value = value * self.worth[rows.product[kept]]
            order = np.lexsort((-value, rows.local[kept]))  # stable: ties keep the order of the score
            kept, value = kept[order], value[order]
            ordered = values.order.astype(np.float64)
            ordered[kept] = value
            values = replace(values, order=ordered)
        elif self.by_p:
            value = np.nan_to_num(values.p_purchase[kept])
        within = rank_within(rows.local[kept]) <= max(DEPTH, 2 * self.rules.slots.k)
        within |= self._find_first_of_new(rows, kept, new)
        kept, value, local = kept[within], value[within], rows.local[kept][within]
        relevance, score = np.zeros(len(rows), dtype=np.float32), np.zeros(len(rows))
        score[kept] = value
        if len(kept):
            starts, length = find_runs(local)
            low, high = (
                np.repeat(extreme.reduceat(value, starts), length) for extreme in (np.minimum, np.maximum)
            )
            spread = np.where(high > low, high - low, 1)
            relevance[kept] = np.where(high > low, (value - low) / spread, 1)
        added = n_ranked + np.flatnonzero(first[n_ranked:] == PASSED)
        kept = np.concatenate([kept, added])
        return kept[np.argsort(rows.local[kept], kind="stable")], values, relevance, score

    def _find_first_of_new(self, rows: Rows, kept: np.ndarray, new: np.ndarray) -> np.ndarray:
        """bool[len(kept)]: the first row of each new category, in the first `NEW_DEPTH` of them."""
        chosen = np.zeros(len(kept), dtype=bool)
        at = np.flatnonzero(new[kept])
        local, shelf = rows.local[kept[at]], self.context.shelf[rows.product[kept[at]]]
        _, first = np.unique(local * (self.context.shelf.max(initial=0) + 1) + shelf, return_index=True)
        first = np.sort(first)
        chosen[at[first[rank_within(local[first]) <= NEW_DEPTH]]] = True
        return chosen

    def _fill_steps(
        self,
        slate: Slate,
        board: Board,
        rows: Rows,
        values: Values,
        relevance: np.ndarray,
        n_ranked: int,
        new: np.ndarray,
    ) -> None:
        """Steps 1 to 4 of the module's list."""
        if board.row.shape[1] == 0:
            return
        for pin, slot in self.pins:
            at, column = np.nonzero((board.product == pin) & board.open)
            slate.take(board, values, at, column, "pinned", slot)
        cells = (board.row >= 0) & (board.row < n_ranked)
        worth = relevance[board.row]
        choose(slate, board, values, "personal", slate.k - slate.count, worth, cells)
        solve_crossing(slate, board, values, worth, cells)
        if self.quota:
            discover(
                slate,
                board,
                values,
                worth,
                np.nan_to_num(values.p_purchase[board.row]) if self.ranked.has_p else None,
                cells & new[board.row],
                self.context.shelf[board.product],
                self.quota,
                self.rules.slots.discovery_floor,
            )
        if self.weight < 1:
            vary(slate, board, values, worth, cells, self.weight, self.context, rows)

    def _climb(self, slate: Slate, customers: np.ndarray, spare: int = 0) -> None:
        """Step 5: fill the slates that are not full from the ladder, limits `spare` wider than the rules say."""
        for level in self.rules.slots.ladder:
            short = np.flatnonzero(slate.count < slate.k)
            if len(short) == 0:
                return
            if level == "category":
                local, product = self.pools.rank_own_categories(customers[short])
                self._fill_from(slate, customers, short, local, product, level, spare)
            elif level == "global":
                self._descend(slate, customers, short, self.pools.everywhere, level, spare)
            else:
                segment = self.context.segment[0][customers[short]]
                for code in np.unique(segment):
                    order = self.pools.rank_segment(int(code))
                    self._descend(slate, customers, short[segment == code], order, level, spare)

    def _descend(
        self,
        slate: Slate,
        customers: np.ndarray,
        short: np.ndarray,
        order: np.ndarray,
        level: str,
        spare: int,
    ) -> None:
        """Give the customers at `short` products in this order until their slates are full."""
        size = max(FIRST_FILL, 4 * slate.k)
        while len(short) and len(order):
            some, order = order[:size], order[size:]
            local = np.repeat(np.arange(len(short)), len(some))
            self._fill_from(slate, customers, short, local, np.tile(some, len(short)), level, spare)
            short = short[slate.count[short] < slate.k]
            if len(short) and len(order):
                # Whose categories or brands are full need not see the rest of the catalogue.
                limits = {number: (group, most + spare) for number, (group, most) in self.limits.items()}
                room = slate.part(short).find_room(order, limits)
                short, order = short[room.any(axis=1)], order[room.any(axis=0)]
            size = min(2 * size, MOST_FILL)

    def _fill_from(
        self,
        slate: Slate,
        customers: np.ndarray,
        short: np.ndarray,
        local: np.ndarray,
        product: np.ndarray,
        level: str,
        spare: int,
    ) -> None:
        """Give every customer at `short` the first of their products (`local`: the position in `short`,
        ascending) that pass and that the limits allow."""
        part = slate.part(short)
        with self._open(customers[short], local, product.astype(np.int32)) as rows:
            first = apply_row_rules(rows, self.context, self.rules, self.by_product, self.without)
            board = Board(rows, np.flatnonzero(first == PASSED), self._find_limits(rows, spare))
        part.close_taken(board)
        values = Values.make_unscored(len(local), self.ranked.sources.index(FILL), level)
        order = np.broadcast_to(-np.arange(board.row.shape[1], dtype=np.float32), board.row.shape)
        choose(part, board, values, "fill", part.k - part.count, order, board.row >= 0)
        slate.put(short, part)

    def _find_repeats(self, customers: np.ndarray, product: np.ndarray) -> np.ndarray:
        """int8 like `product` [customers, k]: position in `SENT_BEFORE`."""
        repeats, filled = np.zeros(product.shape, dtype=np.int8), product >= 0
        if self.context.sends is None:
            return repeats
        with self._open(customers, np.nonzero(filled)[0], product[filled]) as rows:
            ago, evidence = (rows.lookup(matrix, self.context.variants) for matrix in self.context.sent)
        repeats[filled] = np.where(ago <= self.rules.slots.repeat_sends, evidence, 0)
        return repeats


def name_reach(rules: Rules, without: Collection[str]) -> str:
    """The key of `Context.reach` for rules less those in `without`."""
    return f"{sha256(rules.model_dump_json().encode()).hexdigest()[:16]} {','.join(sorted(without))}"


def _check_worth(ranked: Ranked) -> None:
    if ranked.has_p and np.isnan(ranked.p_purchase).any():
        raise RulesError("A goal or a boost needs p_purchase for every candidate or for none; some lack it.")
    if not ranked.has_p and (ranked.score < 0).any():
        raise RulesError("A goal or a boost needs p_purchase or scores of at least 0 to multiply.")


def _name_slots(
    draws: dict[str, np.ndarray], customers: np.ndarray, complete: np.ndarray, product: np.ndarray
) -> dict[str, np.ndarray]:
    """The columns of `Selection.draws`, from what `exploration.draw` returns and the lists [complete, k] by slot."""
    if not draws:
        return {name: np.empty(0, kind) for name, kind in DRAW_COLUMNS.items()}
    at = np.searchsorted(complete, draws["who"])
    slot = (product[at] == draws["drawn"][:, None]).argmax(axis=1) + 1
    columns = draws | {"customer": customers[draws["who"]], "slot": slot}
    return {name: columns[name] for name in DRAW_COLUMNS}


def _order_by_slot(cells: dict[str | int, np.ndarray]) -> dict[str | int, np.ndarray]:
    """Slates from the order of choice into the order of slots."""
    size, k = cells["product"].shape
    if size == 0:
        return cells
    # By type, personal and discovery by value, fill as chosen; then empty ones; pinned last, by slot.
    empty = cells["product"] < 0
    kind = np.where(empty, SLOT_TYPES.index("pinned"), cells["type"])
    key = kind.astype(np.int64) * (k + 1) + cells["slot"]
    by_value = ~empty & (cells["type"] <= SLOT_TYPES.index("discovery"))
    value, product = (np.where(by_value, cells[name], 0) for name in ("order", "product"))
    flat = np.lexsort((product.ravel(), -value.ravel(), key.ravel(), np.repeat(np.arange(size), k)))  # stable
    chosen = flat.reshape(size, k) - k * np.arange(size)[:, None]
    reserved = np.zeros((size, k + 1), dtype=bool)
    np.put_along_axis(reserved, cells["slot"].astype(np.int64), True, axis=1)
    slots = np.argsort(reserved[:, 1:], axis=1, kind="stable")  # the free ones, then the reserved ones
    order = np.empty((size, k), dtype=np.int64)
    np.put_along_axis(order, slots, chosen, axis=1)
    return {name: np.take_along_axis(values, order, axis=1) for name, values in cells.items()}
