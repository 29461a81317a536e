"""Rules for blocks of customers: what one block must know of the others, so that everybody gets the same list.

Two things of a selection depend on who else is asked for: which account of a shared address is written to, and how far
limits are raised that the shop cannot meet. Every block says what it has (`tabulate_accounts`, `items.count_needs`), what all
have is put together (`weigh_accounts`, `find_reach`), and the block's context gets it (`Context.elsewhere`, `Context.reach`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from recs_assets.rules.candidates import Ranked
from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context, Elsewhere
from recs_assets.rules.filling import Filler, name_reach
from recs_assets.rules.items import NAMES, choose_max_repeat, find_stale
from recs_assets.rules.pipeline import list_parts, split_by_segment
from recs_assets.rules.recipients import (
    EXCLUSIONS,
    bounced,
    choose_accounts,
    count_sends,
    find_exclusions,
    frequency_cap,
)

# Where nothing excludes an account.
ELIGIBLE = len(EXCLUSIONS)
Needs = Callable[[Sequence[tuple[int, np.ndarray]]], list[np.ndarray]]


# -- accounts that share an address -----------------------------------------------------------


def tabulate_accounts(context: Context, rules: Rules) -> pd.DataFrame:
    """Of every customer with an address what counts for all accounts with it.

    Returns:
        customer (code), address, last_day (of a purchase), bounced int64, first (position in `EXCLUSIONS` of the first that
        excludes the customer whatever the other accounts are; `ELIGIBLE` without one), most (sends that the customer's
        segment allows; NaN: any number), days (within which) and, for every such number of days, sends_<days>.
    """
    known = context.known
    first, most = np.full(known.n_customers, ELIGIBLE), np.full(known.n_customers, np.nan)
    days = np.zeros(known.n_customers, dtype=np.int64)
    for _, own, members in split_by_segment(context, rules, np.arange(known.n_customers)):
        found = find_exclusions(context, own.eligibility, (bounced, frequency_cap))[members]
        first[members] = np.where(found < 0, ELIGIBLE, found)
        if own.eligibility.max_sends is not None:
            most[members], days[members] = own.eligibility.max_sends, own.eligibility.within_days
    table = pd.DataFrame(
        {
            "customer": np.arange(known.n_customers),
            "address": -1 if context.address is None else context.address,
            "last_day": context.last_purchase_day,
            "bounced": 0 if context.bounced is None else context.bounced.astype(np.int64),
            "first": first,
            "most": most,
            "days": days,
            **{f"sends_{number}": count_sends(context, number) for number in _list_days(context, rules)},
        }
    )
    return table[(table["address"] >= 0).to_numpy()].reset_index(drop=True)


def _list_days(context: Context, rules: Rules) -> list[int]:
    """The numbers of days within which some segment's rules count sends."""
    parts = [own.eligibility for _, own, _ in list_parts(context, rules)]
    none = context.contacts is None
    return [] if none else sorted({part.within_days for part in parts if part.max_sends is not None})


def weigh_accounts(accounts: pd.DataFrame) -> pd.DataFrame:
    """What the accounts of the whole shop mean for each other.

    Args:
        accounts: of all customers (`tabulate_accounts`), by code.

    Returns:
        Of the customers for whom it means anything: customer, bounced and sends_<days> of the other accounts with their
        address, and second: eligible, and another account is written to.
    """
    address = accounts["address"].to_numpy()
    sums = accounts[["bounced", *(name for name in accounts if name.startswith("sends_"))]]
    total = sums.groupby(address).transform("sum")
    first = accounts["first"].to_numpy()
    first = np.where(total["bounced"] > 0, np.minimum(first, EXCLUSIONS.index(bounced)), first)
    for name in sums.columns[1:]:
        capped = (accounts["days"] == int(name.removeprefix("sends_"))) & (total[name] >= accounts["most"])
        first = np.where(capped, np.minimum(first, EXCLUSIONS.index(frequency_cap)), first)
    eligible = first == ELIGIBLE
    second = eligible & ~choose_accounts(address, accounts["last_day"].to_numpy(), eligible)
    found = (total - sums).assign(second=second)
    found.insert(0, "customer", accounts["customer"])
    return found[found.iloc[:, 1:].any(axis=1)].reset_index(drop=True)


def place_accounts(context: Context, rules: Rules, weighed: pd.DataFrame, first_code: int) -> Context:
    """The context of a block with what other blocks' accounts mean for its customers.

    Args:
        context: of the block.
        rules: of the lists.
        weighed: of the whole shop (`weigh_accounts`), customers by their codes there.
        first_code: there, of the block's first customer.
    """
    size = context.known.n_customers
    place = weighed["customer"].to_numpy(dtype=np.int64) - first_code
    here = (place >= 0) & (place < size)
    accounts = tabulate_accounts(context, rules)

    def spread(name: str) -> np.ndarray:
        values = np.zeros(size, dtype=np.int64)
        values[place[here]] = weighed[name].to_numpy(dtype=np.int64)[here]
        return values

    def leave_out_own(name: str) -> np.ndarray:
        """What `_sum_by_address` does not find in the block itself."""
        values, own = spread(name), accounts[name]
        values[accounts["customer"]] -= (own.groupby(accounts["address"]).transform("sum") - own).to_numpy()
        return values

    days = _list_days(context, rules)
    elsewhere = Elsewhere(
        leave_out_own("bounced"),
        {number: leave_out_own(f"sends_{number}") for number in days},
        spread("second").astype(bool),
    )
    return replace(context, elsewhere=elsewhere)


# -- limits that the shop cannot meet ---------------------------------------------------------


def count_most_stale(context: Context, rules: Rules) -> list[int]:
    """For the rules of every segment, the most products, or variants of one, that some customer was sent lately without
    new evidence (`items.find_stale`)."""
    parts = [find_stale(context, own) for _, own, _ in list_parts(context, rules)]
    return [int(np.asarray(stale.sum(axis=1)).max(initial=0)) for stale in parts]


def find_reach(
    context: Context,
    rules: Rules,
    ranked: Ranked,
    withouts: Collection[Collection[str]],
    most_stale: Sequence[int],
    count: Needs,
) -> dict[str, dict[str, int]]:
    """`Context.reach`: how far every limit is raised, for the rules of every segment, less those in each of `withouts`.

    Args:
        context: of the whole shop; of its customers nothing counts.
        rules: of the lists.
        ranked: says what is anybody's candidate (`Ranked.of_nobody`).
        withouts: names of rules to leave out.
        most_stale: of the whole shop (`count_most_stale`): where even that many leave enough, nobody is counted.
        count: (place of the rules in `list_parts`, products) -> `items.count_needs` of all customers.
    """
    nobody = replace(context, sends=None, reach=None)
    fillers = [
        (name_reach(own, without), place, Filler(nobody, own, ranked, frozenset(without), trace=False))
        for place, (_, own, _) in enumerate(list_parts(context, rules))
        for without in withouts
    ]
    products = [filler.find_reachable_products() for *_, filler in fillers]
    asked: dict[tuple[int, bytes], tuple[int, np.ndarray]] = {}
    for (_, place, filler), some in zip(fillers, products, strict=True):
        slots = filler.rules.slots
        if (
            slots.max_repeat is not None
            and _find_most_need(context, some, slots.k, most_stale[place]) > slots.max_repeat
        ):
            asked[place, some.tobytes()] = place, some
    needs = dict(zip(asked, count(list(asked.values())) if asked else [], strict=True))
    nobody_needs = np.empty(0, dtype=np.int64)
    reach = {}
    for (key, place, filler), some in zip(fillers, products, strict=True):
        most = filler.rules.slots.max_repeat
        need = needs.get((place, some.tobytes()), nobody_needs)
        repeats = 0 if most is None else choose_max_repeat(most, need)
        limits = {NAMES[number]: raised for number, (_, raised) in filler.limits.items()}
        reach[key] = limits | {"max_repeat": repeats}
    return reach


def _find_most_need(context: Context, products: np.ndarray, k: int, stale: int) -> int:
    """How many repeats nobody needs more of, who was sent so many products, or variants of one, lately."""
    size = np.bincount(products if context.variants is None else context.variants[products])
    return k - len(products) + int(np.sort(size)[::-1][:stale].sum())
