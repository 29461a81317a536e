"""From ranked candidates to filled slots: one pass over blocks of customers.

For every block: eligible customers' candidates, with pinned products added; the product and pair rules in
`items.ORDER`; then the slots, in this order:

1. pinned products, each at its own slot, where they pass the rules for the customer;
2. personal: of all sets that the limits allow the one of the largest sum of probabilities (`best_set`);
3. discovery: while the list lacks products of categories from which the customer never bought, one of its
   products is exchanged for the likeliest of such a category, where the two differ least and the likelier is
   not much likelier (`discovery_floor`);
4. variety: exchanges that make the list less alike than they make it worth less (`mmr_lambda`);
5. fill, down the ladder: her segment's, her categories', everybody's most popular products.

Limits (variants, titles, categories, brands, repeats) hold over all five. In the list, personal slots come
first, then discovery, both from the largest score down, then fill, the most popular first; pinned products
keep their slot. Diversity decides what is in the list and not where it stands. With `margin_strength`
personal slots are ordered by what it orders by.

Reserves, where they are asked for, are what the same steps would choose next: for a slot whose product
sells out before the email leaves.

Nothing of one customer depends on which customers are asked for: any split of customers into calls or
blocks gives the same rows. Which of the accounts with one address is written to is decided over all
customers of the context.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from recs_assets.arrays import argsort_best_first, find_runs, one_blas_thread, rank_within
from recs_assets.names import folded, matches
from recs_assets.rules.best_set import discover, solve_crossing, vary
from recs_assets.rules.config import Rules
from recs_assets.rules.context import EVIDENCE, Context, RulesError
from recs_assets.rules.items import (
    NAMES,
    ORDER,
    PASSED,
    Limit,
    Rows,
    apart,
    idle,
    product_limits,
    product_rules,
    raised,
    repeats_met,
    row_limits,
    row_rules,
)
from recs_assets.rules.pools import Pools
from recs_assets.rules.recipients import REASONS, SAME_ADDRESS, exclusions, second_accounts
from recs_assets.rules.slots import LEVELS, SLOT_TYPES, Board, Slate, Values, choose

TOO_FEW = "too_few_products"
# Where a list stands. An email goes to who may be written to and has all its slots; a page of the shop is
# for everybody, and its list may be shorter.
Placement = Literal["email", "page"]

# Sources of rows that are not among the candidates.
PINNED, FILL = "pinned", "popularity"

SENT_BEFORE = ("no", "yes", *EVIDENCE[1:])
# Columns of a selection beside customer and slot.
CELLS = {
    "product": np.int32, "score": np.float32, "p_purchase": np.float32, "source": np.int16, "type": np.int8,
    "level": np.int8, "sent_before": np.int8,
}  # fmt: skip

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
# Below this a margin counts as this: nothing is multiplied by zero or less.
SMALLEST_MARGIN = 0.01


@dataclass(frozen=True)
class Selection:
    """Who gets what, who gets nothing and why, and what each rule took out.

    Attributes:
        rows: columns customer int32, slot int16 from 1, product int32, score float32 (as it came; 0
            for rows that were not among the candidates), p_purchase float32 (NaN unknown), source
            category, slot_type category (`SLOT_TYPES`), fallback_level category (`LEVELS`: where the
            product came from; a pinned product that was no candidate: "global"), sent_before category
            (`SENT_BEFORE`: not in the previous sends; in them; in them, with this evidence since);
            sorted by customer, slot. Every customer of an email has all slots.
        suppressed: customer int32, reason str (`recipients.REASONS` or "too_few_products"), sorted.
        removed: rule -> candidates of eligible customers it took out, in the order of the rules. A row
            that several rules refuse counts for the first of them; a limit's counts are the candidates
            it closed while their customer still had slots to fill.
        traced: customer int32, product int32, rule str of every such candidate; None unless asked for.
        reserves: None unless asked for. The rows and after them, slots k + 1, k + 2, ..., every customer's
            next admissible products, best first, as many as there are; the columns of `rows`, and for
            every limit that is on "<name>" (int32 group, -1 none) and "<name>_most": of one group no list
            may hold more.
    """

    rows: pd.DataFrame
    suppressed: pd.DataFrame
    removed: pd.Series
    traced: pd.DataFrame | None
    reserves: pd.DataFrame | None = None

    @cached_property
    def counts(self) -> pd.Series:
        """Customers per outcome: "selected" and every reason; the sum is the customers asked for."""
        reasons = self.suppressed["reason"].value_counts().reindex([*REASONS, TOO_FEW], fill_value=0)
        return pd.concat([pd.Series({"selected": self.rows["customer"].nunique()}), reasons]).rename(
            "customers"
        )


def select(
    candidates: pd.DataFrame,
    context: Context,
    rules: Rules,
    customers: np.ndarray | None = None,
    without: Collection[str] = (),
    trace: bool = False,
    placement: Placement = "email",
    reserves: int = 0,
) -> Selection:
    """Fill the slots of every eligible customer.

    Takes one thread. Beside candidates, context and result it holds one block and its look-up table,
    at most 100 MB (`benchmarks/rules.py` has seconds and memory).

    Args:
        candidates: columns customer, product (codes), score (finite, larger is better) and, optionally,
            p_purchase and source; unique pairs, in any order. The first 100 per customer that pass
            the rules (or twice the slots) compete, and for discovery the first of each new category among all of
            them; ties by score go to the smaller product code.
        context: what the rules look at.
        rules: the campaign's.
        customers: distinct codes to select for; all if None.
        without: rules (`items.NAMES`) to leave out, for measuring them; never for sending.
        trace: also return what was taken out, row by row.
        placement: an email, or a page: nobody is excluded from it, and a customer with one product or
            more has a list; limits stay as the rules say.
        reserves: of an email, also return up to so many more products per customer.

    Raises:
        RulesError: a code outside the context, a score that is not finite, a pair that stands twice, an
            unknown rule in `without`; where margins are to multiply: p_purchase for some rows only, or
            none and a negative score.
    """
    if unknown := sorted(set(without) - set(NAMES)):
        raise RulesError(f"There is no rule {', '.join(unknown)}; rules are {', '.join(NAMES)}.")
    without = frozenset(without)
    ranked = _Ranked.of(candidates, context)
    everyone = np.arange(context.known.n_customers)
    customers = everyone if customers is None else np.unique(np.asarray(customers, dtype=np.int64))
    if len(customers) and not 0 <= customers[0] <= customers[-1] < context.known.n_customers:
        raise RulesError(f"Customers must be codes below {context.known.n_customers}.")

    reason = np.full(context.known.n_customers, -1, dtype=np.int8)
    if placement == "email":
        reason = _reasons(context, rules)
    parts: list[_Part] = []
    k = rules.slots.k
    most = EXCHANGES // ((max(DEPTH, 2 * k) + NEW_DEPTH) * k)
    block = max(1, min(BLOCK, SCRATCH // max(1, context.known.n_products), most))
    scratch = np.full(block * context.known.n_products, -1, dtype=np.int32)
    with one_blas_thread():
        for _, own, members in by_segment(context, rules, customers):
            eligible = members[reason[members] < 0]
            # Neighbours of one segment share the ladder's first step.
            eligible = eligible[np.argsort(context.segment[0][eligible], kind="stable")]
            job = _Job(context, own, ranked, without, scratch, trace, placement, reserves)
            for start in range(0, len(eligible), block):
                parts.append(job.run(eligible[start : start + block]))
    return _assembled(parts, ranked, reason, customers, trace, reserves)


def _reasons(context: Context, rules: Rules) -> np.ndarray:
    """int8[n_customers]: position in `REASONS` of why a customer is not written to, -1 eligible."""
    reason = np.full(context.known.n_customers, -1, dtype=np.int8)
    for _, own, members in by_segment(context, rules, np.arange(context.known.n_customers)):
        reason[members] = exclusions(context, own.eligibility)[members]
    reason[second_accounts(context, reason < 0)] = REASONS.index(SAME_ADDRESS)
    return reason


def idle_rules(candidates: pd.DataFrame, context: Context, rules: Rules) -> set[str]:
    """Rules that are off for everybody, or for which the shop lacks what they look at: without one of
    them a selection is the same.

    Raises:
        RulesError: as `select`.
    """
    found, ranked = set(NAMES), _Ranked.of(candidates, context)
    for _, own, _ in by_segment(context, rules, np.empty(0, dtype=np.int64)):
        job = _Job(context, own, ranked, frozenset(), np.empty(0, dtype=np.int32), trace=False)
        slots = {
            "pinned": bool(job.pins),
            "margin_boost": job.boost is not None,
            "discovery": job.quota > 0,
            "diversity": job.weight < 1,
        }
        for rule in ORDER:
            if slots[rule.name] if rule.kind == "slots" else not idle(rule, context, own):
                found.discard(rule.name)
    return found


def limits_in_force(candidates: pd.DataFrame, context: Context, rules: Rules) -> dict[str, int]:
    """Limit -> products of one group that a list may hold: what the rules say, or more where the shop
    cannot meet that (`items.met`). Segments' own rules aside."""
    job = _Job(
        context, rules, _Ranked.of(candidates, context), frozenset(), np.empty(0, np.int32), trace=False
    )
    found = {NAMES[number]: most for number, (_, most) in job.limits.items()}
    if rules.slots.max_repeat is not None and context.sends is not None:
        found["max_repeat"] = job.most_repeats
    return found


def by_segment(
    context: Context, rules: Rules, customers: np.ndarray
) -> Iterator[tuple[str | None, Rules, np.ndarray]]:
    """The rules that hold for which of the customers: those of every segment that has its own, by its
    name in the rules, then (None) those of the others."""
    code, names = context.segment
    rest = np.ones(len(customers), dtype=bool)
    for name in rules.segments:
        # However the shop spells it, in one way or several.
        own = [number for number, other in enumerate(names) if folded(other) == folded(name)]
        if own:
            inside = np.isin(code[customers], own)
            rest &= ~inside
            yield name, rules.of_segment(name), customers[inside]
    yield None, Rules(eligibility=rules.eligibility, items=rules.items, slots=rules.slots), customers[rest]


@dataclass(frozen=True)
class _Ranked:
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
    def of(cls, candidates: pd.DataFrame, context: Context) -> _Ranked:
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

    def rows(self, customers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions of these customers' rows, and which of the customers each belongs to."""
        length = self.start[customers + 1] - self.start[customers]
        local = np.repeat(np.arange(len(customers)), length)
        return np.repeat(self.start[customers], length) + rank_within(local) - 1, local


@dataclass(frozen=True)
class _Part:
    """One block's result: codes of customers with a list and of those short of one, the cells of the
    lists by slot (product -1: empty), removed rows, the columns of `Selection.reserves`."""

    customers: np.ndarray
    short: np.ndarray
    cells: dict[str | int, np.ndarray]
    removed: np.ndarray
    traced: tuple[np.ndarray, np.ndarray, np.ndarray] | None
    reserves: dict[str, np.ndarray]


class _Job:
    """What all blocks under the same rules share."""

    def __init__(
        self,
        context: Context,
        rules: Rules,
        ranked: _Ranked,
        without: frozenset[str],
        scratch: np.ndarray,
        trace: bool,
        placement: Placement = "email",
        reserves: int = 0,
    ) -> None:
        self.context, self.rules, self.ranked = context, rules, ranked
        self.without, self.scratch, self.trace, self.reserves = without, scratch, trace, reserves
        slots = rules.slots
        self.fewest = slots.k if placement == "email" else 1
        self.by_product = product_rules(context, rules, without)
        passed = self.by_product == PASSED
        self.pools = Pools(context, passed)
        self.limits, self.most_repeats = product_limits(context, rules, without), slots.max_repeat
        if placement == "email":
            reachable = passed & ranked.listed
            if slots.ladder:
                reachable[self.pools.everywhere] = True
            products = apart(self.limits, reachable)
            self.limits = raised(self.limits, products, slots.k)
            self.most_repeats = repeats_met(context, rules, products)
        pins = [] if "pinned" in without else sorted(slots.pinned, key=lambda pin: pin.slot)
        ids = context.product_codes
        self.pins = [(ids[own[0]], pin.slot) for pin in pins if len(own := matches(pin.product, ids)) == 1]
        self.quota = 0 if "discovery" in without else min(slots.discovery_slots, slots.k - len(self.pins))
        alike = context.grid is not None or context.copurchase is not None
        self.weight = slots.mmr_lambda if alike and "diversity" not in without else 1.0
        self.boost = None if "margin_boost" in without else _boost(context, slots.margin_strength)
        if self.boost is not None:
            _can_be_boosted(ranked)

    def run(self, customers: np.ndarray) -> _Part:
        """Fill the slots of one block."""
        local, product, values, n_ranked = self._rows(customers)
        with self._open(customers, local, product) as rows:
            if not rows.unique:
                raise RulesError("The candidates hold a product twice for one customer.")
            first = row_rules(rows, self.context, self.rules, self.by_product, self.without)
            held = self._held(rows)
            slate = Slate(len(customers), self.rules.slots.k, held)
            new = self._of_new_shelves(rows) if self.quota else np.zeros(len(rows), dtype=bool)
            kept, values, relevance = self._competing(rows, first, values, n_ranked, new)
            board = Board(rows, kept, held)
            self._fill_own(slate, board, rows, values, relevance, n_ranked, new)
            on = (board.taken_out < PASSED) & (board.row < n_ranked)
            first[board.row[on]] = board.taken_out[on]
        gone = np.flatnonzero(first[:n_ranked] < PASSED)
        self._climb(slate, customers)
        complete = np.flatnonzero(slate.count >= self.fewest)
        cells = _in_slots(slate.table(complete))
        cells["sent_before"] = self._repeats(customers[complete], cells["product"])
        reserves = {}
        if self.reserves and len(complete):
            cells_of = (board.row >= 0) & (board.row < n_ranked)
            reserves = self._reserve(
                slate,
                board,
                values,
                relevance[board.row],
                cells_of,
                (customers, local, product),
                complete,
                cells,
            )
        return _Part(
            customers[complete],
            np.delete(customers, complete),
            cells,
            np.bincount(first[gone], minlength=PASSED),
            (customers[local[gone]], product[gone], first[gone]) if self.trace else None,
            reserves,
        )

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
            slate.lay(board)
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
        after["sent_before"] = self._repeats(customers[complete], after["product"])
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

    def _held(self, rows: Rows, spare: int = 0) -> dict[int, Limit]:
        """Every limit that is on, for these rows, each `spare` wider than the rules say."""
        held = row_limits(rows, self.context, self.rules, self.limits, self.without)
        return {
            number: (group, (self.most_repeats if NAMES[number] == "max_repeat" else most) + spare)
            for number, (group, most) in held.items()
        }

    def _open(self, customers: np.ndarray, local: np.ndarray, product: np.ndarray) -> Rows:
        return Rows(customers, local, product, self.context.known.n_products, self.scratch)

    def _rows(self, customers: np.ndarray) -> tuple[np.ndarray, np.ndarray, Values, int]:
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
            values = values.then(Values.unscored(absent.sum(), ranked.sources.index(source), level))
        return local, product, values, n_ranked

    def _of_new_shelves(self, rows: Rows) -> np.ndarray:
        """bool[len(rows)]: of a category, or cluster, from which the customer, who bought something, bought
        nothing yet; a product that was sent before without an effect is none."""
        context = self.context
        bought = context.shelves_bought[rows.customers].toarray()
        shelf = context.shelf[rows.product]
        found = (shelf >= 0) & bought.any(axis=1)[rows.local]
        found[found] = ~bought[rows.local[found], shelf[found]]
        if context.sends is not None:
            ago, evidence = (rows.lookup(matrix, context.variants) for matrix in context.sent)
            found &= ~((ago > 0) & (ago <= self.rules.slots.repeat_sends) & (evidence == 1))
        return found

    def _competing(
        self, rows: Rows, first: np.ndarray, values: Values, n_ranked: int, new: np.ndarray
    ) -> tuple[np.ndarray, Values, np.ndarray]:
        """Rows that passed, customers adjacent, best first, additions last; the values with what rows
        are ordered by; and per row its relevance, float32 in 0..1: its probability (else score, times margins
        where they count), scaled between the customer's worst and best competing candidate."""
        kept = np.flatnonzero(first[:n_ranked] == PASSED)
        value = values.score[kept]
        if self.boost is not None:
            value = values.p_purchase[kept] if self.ranked.has_p else value
            value = (value * self.boost[rows.product[kept]]).astype(np.float32)
            order = np.lexsort((-value, rows.local[kept]))  # stable: ties keep the order of the score
            kept, value = kept[order], value[order]
            ordered = values.order.copy()
            ordered[kept] = value
            values = replace(values, order=ordered)
        elif self.ranked.has_p:
            value = np.nan_to_num(values.p_purchase[kept])
        within = rank_within(rows.local[kept]) <= max(DEPTH, 2 * self.rules.slots.k)
        within |= self._first_of_new(rows, kept, new)
        kept, value, local = kept[within], value[within], rows.local[kept][within]
        relevance = np.zeros(len(rows), dtype=np.float32)
        if len(kept):
            starts, length = find_runs(local)
            low, high = (
                np.repeat(extreme.reduceat(value, starts), length) for extreme in (np.minimum, np.maximum)
            )
            spread = np.where(high > low, high - low, 1)
            relevance[kept] = np.where(high > low, (value - low) / spread, 1)
        added = n_ranked + np.flatnonzero(first[n_ranked:] == PASSED)
        kept = np.concatenate([kept, added])
        return kept[np.argsort(rows.local[kept], kind="stable")], values, relevance

    def _first_of_new(self, rows: Rows, kept: np.ndarray, new: np.ndarray) -> np.ndarray:
        """bool[len(kept)]: the first row of each new category, in the first `NEW_DEPTH` of them."""
        found = np.zeros(len(kept), dtype=bool)
        at = np.flatnonzero(new[kept])
        local, shelf = rows.local[kept[at]], self.context.shelf[rows.product[kept[at]]]
        _, first = np.unique(local * (self.context.shelf.max(initial=0) + 1) + shelf, return_index=True)
        first = np.sort(first)
        found[at[first[rank_within(local[first]) <= NEW_DEPTH]]] = True
        return found

    def _fill_own(
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
                local, product = self.pools.of_own_categories(customers[short])
                self._fill_from(slate, customers, short, local, product, level, spare)
            elif level == "global":
                self._descend(slate, customers, short, self.pools.everywhere, level, spare)
            else:
                segment = self.context.segment[0][customers[short]]
                for code in np.unique(segment):
                    order = self.pools.of_segment(int(code))
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
                room = slate.part(short).room(order, limits)
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
        """Give every customer at `short` the first of her products (`local`: her position in `short`,
        ascending) that pass and that the limits allow."""
        part = slate.part(short)
        with self._open(customers[short], local, product.astype(np.int32)) as rows:
            first = row_rules(rows, self.context, self.rules, self.by_product, self.without)
            board = Board(rows, np.flatnonzero(first == PASSED), self._held(rows, spare))
        part.lay(board)
        values = Values.unscored(len(local), self.ranked.sources.index(FILL), level)
        order = np.broadcast_to(-np.arange(board.row.shape[1], dtype=np.float32), board.row.shape)
        choose(part, board, values, "fill", part.k - part.count, order, board.row >= 0)
        slate.put(short, part)

    def _repeats(self, customers: np.ndarray, product: np.ndarray) -> np.ndarray:
        """int8 like `product` [customers, k]: position in `REPEATS`."""
        repeats, filled = np.zeros(product.shape, dtype=np.int8), product >= 0
        if self.context.sends is None:
            return repeats
        with self._open(customers, np.nonzero(filled)[0], product[filled]) as rows:
            ago, evidence = (rows.lookup(matrix, self.context.variants) for matrix in self.context.sent)
        repeats[filled] = np.where(ago <= self.rules.slots.repeat_sends, evidence, 0)
        return repeats


def _boost(context: Context, strength: float) -> np.ndarray | None:
    """float64[n_products]: margin ** strength; an unknown margin counts as the median one."""
    if strength == 0 or context.margin is None:
        return None
    margin = np.where(np.isfinite(context.margin), context.margin, np.nanmedian(context.margin))
    return np.maximum(margin, SMALLEST_MARGIN) ** strength


def _can_be_boosted(ranked: _Ranked) -> None:
    if ranked.has_p and np.isnan(ranked.p_purchase).any():
        raise RulesError("margin_strength needs p_purchase for every candidate or for none; some lack it.")
    if not ranked.has_p and (ranked.score < 0).any():
        raise RulesError("margin_strength needs p_purchase or scores of at least 0 to multiply with margins.")


def _in_slots(cells: dict[str | int, np.ndarray]) -> dict[str | int, np.ndarray]:
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


def _assembled(
    parts: list[_Part],
    ranked: _Ranked,
    reason: np.ndarray,
    customers: np.ndarray,
    trace: bool,
    reserves: int,
) -> Selection:
    def joined(arrays: list[np.ndarray], dtype: type) -> np.ndarray:
        return np.concatenate([np.empty(0, dtype), *arrays]).astype(dtype)

    who = joined([part.customers for part in parts], np.int32)
    order = np.argsort(who)  # blocks of segments lie side by side

    def cells(name: str) -> np.ndarray:
        return np.concatenate([part.cells[name] for part in parts])[order]

    filled = cells("product") >= 0 if parts else np.empty((0, 0), dtype=bool)
    rows = _named(
        {
            "customer": np.repeat(who[order], filled.sum(axis=1)),
            "slot": filled.cumsum(axis=1)[filled].astype(np.int16),
            **{
                name: cells(name)[filled].astype(dtype) if parts else np.empty(0, dtype)
                for name, dtype in CELLS.items()
            },
        },
        ranked,
    )
    excluded = customers[reason[customers] >= 0]
    short = joined([part.short for part in parts], np.int64)
    names = np.array(REASONS, dtype=object)
    suppressed = pd.DataFrame(
        {
            "customer": np.concatenate([excluded, short]).astype(np.int32),
            "reason": pd.Series([*names[reason[excluded]], *[TOO_FEW] * len(short)], dtype="str"),
        }
    ).sort_values("customer", ignore_index=True)
    total = np.sum([part.removed for part in parts], axis=0) if parts else np.zeros(PASSED, dtype=np.int64)
    listed = [number for number, rule in enumerate(ORDER) if rule.kind != "slots"]
    removed = pd.Series(total[listed], index=[NAMES[number] for number in listed], name="removed")
    traced = None
    if trace:
        lines = [
            joined([part.traced[i] for part in parts], dtype)
            for i, dtype in enumerate((np.int32, np.int32, np.int8))
        ]
        by_customer = np.argsort(lines[0], kind="stable")
        names = np.array(NAMES, dtype=object)
        traced = pd.DataFrame(
            {
                "customer": lines[0][by_customer],
                "product": lines[1][by_customer],
                "rule": pd.Series(names[lines[2][by_customer]], dtype="str"),
            }
        )
    if not reserves:
        return Selection(rows, suppressed, removed, traced)
    tables = [pd.DataFrame(part.reserves) for part in parts if part.reserves]
    after = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    after = after.reindex(
        columns=[
            "customer",
            "slot",
            *CELLS,
            "min_stock",
            *(name for name in after if name in NAMES or name.endswith("_most")),
        ]
    )
    held = [name for name in after if name in NAMES]
    after = after.fillna(dict.fromkeys(held, -1) | {f"{name}_most": 0 for name in held})
    after = after.sort_values(["customer", "slot"], ignore_index=True).astype(
        CELLS
        | {"customer": np.int32, "slot": np.int16, "min_stock": float}
        | {name: np.int32 for limit in held for name in (limit, f"{limit}_most")}
    )
    named = _named({name: after[name].to_numpy() for name in ("customer", "slot", *CELLS)}, ranked)
    rest = after.drop(columns=["customer", "slot", *CELLS])
    return Selection(rows, suppressed, removed, traced, pd.concat([named, rest], axis=1))


def _named(columns: dict[str, np.ndarray], ranked: _Ranked) -> pd.DataFrame:
    """The columns of `Selection.rows`, names in place of positions."""
    names = {
        "source": ("source", ranked.sources),
        "type": ("slot_type", list(SLOT_TYPES)),
        "level": ("fallback_level", list(LEVELS)),
        "sent_before": ("sent_before", list(SENT_BEFORE)),
    }
    return pd.DataFrame(
        {
            names[name][0] if name in names else name: pd.Categorical.from_codes(
                values, categories=names[name][1]
            )
            if name in names
            else values
            for name, values in columns.items()
        }
    )
