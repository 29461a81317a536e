"""From ranked candidates to filled slots: one pass over blocks of customers.

For every block: eligible customers' candidates, with pinned products added; the product and pair rules in
`items.ORDER`; then the slots, in this order:

1. pinned products, each at its own slot, where they pass the rules for the customer;
2. personal: of all sets that the limits allow the one of the largest sum of probabilities (`best_set`);
3. discovery: while the list lacks products of categories from which the customer never bought, one of its
   products is exchanged for the likeliest of such a category, where the two differ least and the likelier is
   not much likelier (`discovery_floor`);
4. variety: exchanges that make the list less alike than they make it worth less (`mmr_lambda`);
5. fill, down the ladder: the most popular products of the customer's segment, of their categories, of everybody;
6. exploration: in a share of the lists the last discovery slot is drawn by lot (`exploration`), the others stay;
7. exposure: products are exchanged until a merchant has its share of all places of the campaign (`exposure`).

Limits (variants, titles, categories, brands, repeats) hold over all seven. In the list, personal slots come
first, then discovery, both from the largest score down and a drawn one last, then fill, the most popular first;
pinned products keep their slot. Diversity decides what is in the list and not where it stands. With a goal
other than purchases personal slots are ordered by what it orders by.

Reserves, where they are asked for, are what the same steps would choose next: for a slot whose product
sells out before the email leaves.

Nothing of one customer depends on which customers are asked for: any split of customers into calls or
blocks gives the same rows. Which of the accounts with one address is written to, and which lists give places to a
floor of exposure, is decided over all customers of the context.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

import numpy as np
import pandas as pd

from recs_assets.arrays import one_blas_thread
from recs_assets.names import fold
from recs_assets.rules.candidates import Ranked
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context, RulesError
from recs_assets.rules.exposure import Offers, Price, choose_price
from recs_assets.rules.filling import BLOCK, DEPTH, EXCHANGES, NEW_DEPTH, SCRATCH, Filler, Placement
from recs_assets.rules.items import NAMES, ORDER, is_idle
from recs_assets.rules.recipients import (
    BEYOND_MOST,
    REASONS,
    SAME_ADDRESS,
    find_beyond_most,
    find_exclusions,
    find_second_accounts,
)
from recs_assets.rules.selection import Selection, assemble

Result = TypeVar("Result")


def select(
    candidates: pd.DataFrame,
    context: Context,
    rules: Rules,
    customers: np.ndarray | None = None,
    without: Collection[str] = (),
    trace: bool = False,
    placement: Placement = "email",
    reserves: int = 0,
    threads: int = 1,
) -> Selection:
    """Fill the slots of every eligible customer.

    Beside candidates, context and result every thread holds one block and its look-up table,
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
        threads: blocks filled at once; the selection does not depend on it.

    Raises:
        RulesError: a code outside the context, a score that is not finite, a pair that stands twice, an
            unknown rule in `without`; where a goal's values are to multiply: p_purchase for some rows only, or
            none and a negative score.
    """
    if unknown := sorted(set(without) - set(NAMES)):
        raise RulesError(f"There is no rule {', '.join(unknown)}; rules are {', '.join(NAMES)}.")
    without = frozenset(without)
    ranked = Ranked.of(candidates, context)
    customers = check_customers(customers, context)
    reason = np.full(context.known.n_customers, -1, dtype=np.int8)
    if placement == "email":
        reason = find_reasons(context, rules)
    prices: Sequence[Price] = ()
    if rules.slots.exposure and placement == "email" and "exposure" not in without:
        prices = find_prices(context, rules, ranked, without, np.flatnonzero(reason < 0), threads)
    jobs = []
    for own, eligible in split_eligible(context, rules, customers[reason[customers] < 0]):
        jobs.append((Filler(context, own, ranked, without, trace, placement, reserves, prices), eligible))
    parts = map_blocks(Filler.run, jobs, threads)
    return assemble(parts, ranked.sources, reason, customers, trace, reserves)


def find_prices(
    context: Context,
    rules: Rules,
    ranked: Ranked,
    without: frozenset[str],
    eligible: np.ndarray,
    threads: int,
) -> Sequence[Price]:
    """Of every floor of exposure, in the lists of all customers who may be written to (codes), whoever is asked for."""
    if context.exposed is not None:
        return [Price(*price) for price in context.exposed]
    prices: list[Price] = []
    for floor in rules.slots.exposure:
        offers = _survey(context, rules, ranked, without, eligible, prices, threads)
        prices.append(choose_price(offers, floor.share))
    return prices


def survey_exposure(
    candidates: pd.DataFrame, context: Context, rules: Rules, prices: Sequence[Price], threads: int = 1
) -> list[Offers]:
    """What the first floor of exposure without a price would cost in the lists of a block of customers."""
    eligible = np.flatnonzero(find_reasons(context, rules) < 0)
    return _survey(context, rules, Ranked.of(candidates, context), frozenset(), eligible, prices, threads)


def _survey(
    context: Context,
    rules: Rules,
    ranked: Ranked,
    without: frozenset[str],
    eligible: np.ndarray,
    prices: Sequence[Price],
    threads: int,
) -> list[Offers]:
    jobs = [
        (Filler(context, own, ranked, without, trace=False, prices=prices), members)
        for own, members in split_eligible(context, rules, eligible)
    ]
    return map_blocks(Filler.survey, jobs, threads)


def check_customers(customers: np.ndarray | None, context: Context) -> np.ndarray:
    """int64 codes, ascending; all if None."""
    everyone = np.arange(context.known.n_customers)
    customers = everyone if customers is None else np.unique(np.asarray(customers, dtype=np.int64))
    if len(customers) and not 0 <= customers[0] <= customers[-1] < context.known.n_customers:
        raise RulesError(f"Customers must be codes below {context.known.n_customers}.")
    return customers


def split_eligible(
    context: Context, rules: Rules, eligible: np.ndarray
) -> Iterator[tuple[Rules, np.ndarray]]:
    """`split_by_segment` of customers who may be written to; neighbours of one segment share the ladder's first step."""
    for _, own, members in split_by_segment(context, rules, eligible):
        yield own, members[np.argsort(context.segment[0][members], kind="stable")]


def map_blocks(
    function: Callable[[Filler, np.ndarray, np.ndarray], Result],
    jobs: Sequence[tuple[Filler, np.ndarray]],
    threads: int,
) -> list[Result]:
    """Results of a method of every filler for every block of its customers, in their order."""
    blocks: list[tuple[Filler, np.ndarray]] = []
    for job, customers in jobs:
        k, n_products = job.rules.slots.k, job.context.known.n_products
        most = EXCHANGES // ((max(DEPTH, 2 * k) + NEW_DEPTH) * k)
        size = max(1, min(BLOCK, SCRATCH // max(1, n_products), most))
        blocks += [(job, customers[start : start + size]) for start in range(0, len(customers), size)]
    if not blocks:
        return []
    cells = max(len(customers) * job.context.known.n_products for job, customers in blocks)
    tables: SimpleQueue[np.ndarray] = SimpleQueue()
    for _ in range(min(threads, len(blocks))):
        tables.put(np.full(cells, -1, dtype=np.int32))

    def run(block: tuple[Filler, np.ndarray]) -> Result:
        scratch = tables.get()
        try:
            return function(*block, scratch)
        finally:
            tables.put(scratch)

    # The limit on BLAS is the process's: set once, around all threads.
    with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, blocks))


def find_reasons(context: Context, rules: Rules) -> np.ndarray:
    """int8[n_customers]: position in `REASONS` of why a customer is not written to, -1 eligible."""
    reason = np.full(context.known.n_customers, -1, dtype=np.int8)
    for _, own, members in split_by_segment(context, rules, np.arange(context.known.n_customers)):
        reason[members] = find_exclusions(context, own.eligibility)[members]
    reason[find_second_accounts(context, reason < 0)] = REASONS.index(SAME_ADDRESS)
    reason[find_beyond_most(context, rules.eligibility, reason < 0)] = REASONS.index(BEYOND_MOST)
    return reason


def find_idle_rules(candidates: pd.DataFrame, context: Context, rules: Rules) -> set[str]:
    """Rules that are off for everybody, or for which the shop lacks what they look at: without one of
    them a selection is the same.

    Raises:
        RulesError: as `select`.
    """
    idle, ranked = set(NAMES), Ranked.of(candidates, context)
    for _, own, _ in split_by_segment(context, rules, np.empty(0, dtype=np.int64)):
        job = Filler(context, own, ranked, frozenset(), trace=False)
        slots = {
            "pinned": bool(job.pins),
            "goal": job.goal_values is not None,
            "boosts": job.factors is not None,
            "discovery": job.quota > 0,
            "diversity": job.weight < 1,
            "exploration": job.draw_rate > 0,
            "exposure": any(floor.any() for floor in job.floors),
        }
        for rule in ORDER:
            if slots[rule.name] if rule.kind == "slots" else not is_idle(rule, context, own):
                idle.discard(rule.name)
    return idle


def find_limits_in_force(candidates: pd.DataFrame, context: Context, rules: Rules) -> dict[str, int]:
    """Limit -> products of one group that a list may hold: what the rules say, or more where the shop
    cannot meet that (`items.find_reachable`). Segments' own rules aside."""
    job = Filler(context, rules, Ranked.of(candidates, context), frozenset(), trace=False)
    in_force = {NAMES[number]: most for number, (_, most) in job.limits.items()}
    if rules.slots.max_repeat is not None and context.sends is not None:
        in_force["max_repeat"] = job.most_repeats
    return in_force


def split_by_segment(
    context: Context, rules: Rules, customers: np.ndarray
) -> Iterator[tuple[str | None, Rules, np.ndarray]]:
    """The rules that hold for which of the customers: those of every segment that has its own, by its
    name in the rules, then (None) those of the others."""
    for name, own, segments in list_parts(context, rules):
        yield name, own, customers[np.isin(context.parting[0][customers], segments)]


def list_parts(context: Context, rules: Rules) -> Iterator[tuple[str | None, Rules, list[int]]]:
    """`split_by_segment`, with the numbers of the segments in place of their customers; -1: of none."""
    names = context.parting[1]
    rest = set(range(-1, len(names)))
    for name in rules.segments:
        # However the shop spells it, in one way or several.
        own = [number for number, other in enumerate(names) if number in rest and fold(other) == fold(name)]
        if own:
            rest -= set(own)
            yield name, rules.of_segment(name), own
    yield None, Rules(eligibility=rules.eligibility, items=rules.items, slots=rules.slots), sorted(rest)
