"""Who gets the campaign: exclusions in a fixed order, the first that holds is a customer's reason."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from recs_assets.rules.config import Eligibility
from recs_assets.rules.context import Context
from recs_assets.rules.worth import find_last_recipient, rank_spend

Exclusion = Callable[[Context, Eligibility], np.ndarray | None]


def _has_state(context: Context, state: str) -> np.ndarray | None:
    return None if context.consent_state is None else context.consent_state == state


def _sum_by_address(context: Context, count: np.ndarray, elsewhere: np.ndarray | None) -> np.ndarray:
    """int64[n_customers]: the sum of a count over all accounts with the customer's address, and what those elsewhere add."""
    total = count.astype(np.int64)
    if context.address is not None:
        shared = context.address >= 0
        group = context.address[shared]
        total[shared] = np.bincount(group, weights=total[shared]).astype(np.int64)[group]
    return total if elsewhere is None else total + elsewhere


def erased(context: Context, eligibility: Eligibility) -> np.ndarray | None:
    """Asked to be forgotten."""
    return _has_state(context, "erased")


def objected(context: Context, eligibility: Eligibility) -> np.ndarray | None:
    """Objected to profiling."""
    return _has_state(context, "objected")


def unsubscribed(context: Context, eligibility: Eligibility) -> np.ndarray | None:
    """Withdrew from email."""
    return _has_state(context, "unsubscribed")


def no_consent(context: Context, eligibility: Eligibility) -> np.ndarray:
    """The flag is not true; a missing one does not count."""
    flag = context.known.customers["email_eligible"].astype("boolean").fillna(False)
    return ~flag.to_numpy(dtype=bool)


def no_address(context: Context, eligibility: Eligibility) -> np.ndarray | None:
    """The shop has no address of them, or a word that stands for none."""
    return context.no_address


def unusable_address(context: Context, eligibility: Eligibility) -> np.ndarray | None:
    """Nobody reads mail there, or it is no address by its form."""
    return context.unusable_address


def bounced(context: Context, eligibility: Eligibility) -> np.ndarray | None:
    """The address does not take mail, whichever of its accounts was told so."""
    more = None if context.elsewhere is None else context.elsewhere.bounced
    return None if context.bounced is None else _sum_by_address(context, context.bounced, more) > 0


def test_account(context: Context, eligibility: Eligibility) -> np.ndarray | None:
    """Not a customer."""
    return context.test_account


def wholesale(context: Context, eligibility: Eligibility) -> np.ndarray | None:
    """Buys as no person does: a reseller, an office, a till."""
    return context.wholesale


def frequency_cap(context: Context, eligibility: Eligibility) -> np.ndarray | None:
    """The address was written to often enough: `max_sends` in the `within_days` days that the coming send, on the
    anchor's day, would close."""
    most, days = eligibility.max_sends, eligibility.within_days
    if most is None or context.contacts is None:
        return None
    more = None if context.elsewhere is None else context.elsewhere.sends[days]
    return _sum_by_address(context, count_sends(context, days), more) >= most


def count_sends(context: Context, days: int) -> np.ndarray:
    """int64[n_customers]: sends to the customer in the days that the coming send would close."""
    contacts, known = context.contacts, context.known
    recent = (contacts.day > known.anchor_day - days) & (contacts.day < known.anchor_day)
    return np.bincount(contacts.customer[recent], minlength=known.n_customers)


def not_in_audience(context: Context, eligibility: Eligibility) -> np.ndarray | None:
    """The query's FOR EACH ... WHERE leaves the customer out."""
    return None if context.audience is None else ~context.audience


def below_value_tier(context: Context, eligibility: Eligibility) -> np.ndarray | None:
    """Less is expected of them than of the tiers that the campaign is for."""
    least = eligibility.min_value_tier
    return None if least is None or context.worth is None else context.worth.tier < least


# The order in which reasons are tried; a function's name is the reason.
EXCLUSIONS: tuple[Exclusion, ...] = (
    erased,
    objected,
    unsubscribed,
    no_consent,
    no_address,
    unusable_address,
    bounced,
    test_account,
    wholesale,
    frequency_cap,
    not_in_audience,
    below_value_tier,
)
# Of accounts with one address whom nothing else excludes, one is written to (`find_second_accounts`).
SAME_ADDRESS = "same_address"
# Of those whom nothing excludes, `max_recipients` are written to (`find_beyond_most`).
BEYOND_MOST = "max_recipients"
REASONS = (*(rule.__name__ for rule in EXCLUSIONS), SAME_ADDRESS, BEYOND_MOST)


def find_exclusions(
    context: Context, eligibility: Eligibility, without: Collection[Exclusion] = ()
) -> np.ndarray:
    """int8[n_customers]: position in `REASONS` of the first that excludes the customer, -1 eligible."""
    first = np.full(context.known.n_customers, -1, dtype=np.int8)
    for number in reversed(range(len(EXCLUSIONS))):
        mask = None if EXCLUSIONS[number] in without else EXCLUSIONS[number](context, eligibility)
        if mask is not None:
            first[mask] = number
    return first


def find_second_accounts(context: Context, eligible: np.ndarray) -> np.ndarray:
    """bool[n_customers]: eligible, and another eligible account has the address and is kept: the one that
    bought last (by day), then the one of the smallest id."""
    if context.elsewhere is not None:
        return context.elsewhere.second
    if context.address is None:
        return np.zeros(context.known.n_customers, dtype=bool)
    return eligible & ~choose_accounts(context.address, context.last_purchase_day, eligible)


def find_beyond_most(context: Context, eligibility: Eligibility, eligible: np.ndarray) -> np.ndarray:
    """bool[n_customers]: eligible, and `max_recipients` others are expected to spend more, or as much with a smaller id."""
    worth, most = context.worth, eligibility.max_recipients
    if worth is None or most is None:
        return np.zeros(context.known.n_customers, dtype=bool)
    code = np.arange(len(eligible))
    spend, last = worth.last or find_last_recipient(worth.spend[eligible], code[eligible], most)
    own = rank_spend(worth.spend)
    return eligible & ((own < spend) | ((own == spend) & (code > last)))


def choose_accounts(address: np.ndarray, last_day: np.ndarray, eligible: np.ndarray) -> np.ndarray:
    """bool[n]: eligible, and of the eligible accounts with its address the one to write to.

    Args:
        address: int[n], accounts with one address share a number; -1: shared with nobody.
        last_day: int[n], the larger the better; rows are in the order of the ids, which decides ties.
        eligible: bool[n].
    """
    kept = eligible & (address < 0)
    shared = np.flatnonzero(eligible & (address >= 0))
    order = shared[np.lexsort((shared, -last_day[shared], address[shared]))]
    new = np.ones(len(order), dtype=bool)
    new[1:] = address[order][1:] != address[order][:-1]
    kept[order[new]] = True
    return kept
