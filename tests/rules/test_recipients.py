"""Who may be written to."""

import numpy as np
import pandas as pd
import pytest

from helpers.rules import ANCHOR, lists, make_known, make_rules, score_lists
from recs_assets.rules.config import Eligibility
from recs_assets.rules.context import Contacts, Context
from recs_assets.rules.pipeline import select
from recs_assets.rules.recipients import REASONS, find_exclusions
from recs_assets.rules.worth import Worth


def test_eligibility_in_order():
    # One customer per reason, who also carries every later one but the last two; customer 14 is eligible and
    # has the address of customer 12, and so is customer 15, of whom more is expected than of customer 13.
    state = np.array(["erased", "objected", "unsubscribed", *[""] * 11, "subscribed", ""], dtype=object)
    n = len(state)
    known = make_known([(12, 0, 9), (14, 0, 8)], customers=n)
    known.customers["email_eligible"] = pd.array([False] * 3 + [None] + [True] * 12, dtype="boolean")
    late = np.arange(n)
    context = Context(
        known,
        consent_state=state,
        no_address=late <= 4,
        unusable_address=late <= 5,
        address=np.where((late == 12) | (late == 14), 1, -1),
        bounced=late <= 6,
        test_account=late <= 7,
        wholesale=late <= 8,
        audience=late > 10,
        worth=Worth(np.where(late > 13, 9.0, 5.0), np.where(late > 11, 4, 3)),
        contacts=Contacts(np.repeat(np.arange(10), 2), np.full(20, ANCHOR - 1)),
    )
    rules = make_rules(max_sends=2, min_value_tier=4, max_recipients=2)
    selection = select(score_lists(dict.fromkeys(range(n), range(6))), context, rules)
    assert selection.suppressed["reason"].tolist() == list(REASONS)
    assert selection.suppressed["customer"].tolist() == list(range(14))
    assert sorted(lists(selection)) == [14, 15]
    assert selection.counts.to_dict() == {"selected": 2, **dict.fromkeys(REASONS, 1), "too_few_products": 0}
    assert selection.counts.sum() == n


def test_a_bounce_and_a_cap_hold_for_the_address():
    """Customers 0 and 1 share one, 2 and 3 another: 0's bounced, 2 and 3 got two emails together."""
    known = make_known(customers=5)
    contacts = Contacts(np.array([2, 3, 4]), np.full(3, ANCHOR - 1))
    context = Context(
        known,
        address=np.array([0, 0, 7, 7, -1]),
        bounced=np.array([True, False, False, False, False]),
        contacts=contacts,
    )
    selection = select(score_lists(dict.fromkeys(range(5), range(6))), context, make_rules(max_sends=2))
    assert selection.suppressed["reason"].tolist() == ["bounced", "bounced", "frequency_cap", "frequency_cap"]
    assert sorted(lists(selection)) == [4]


@pytest.mark.parametrize(("ages", "capped"), [((1, 6), True), ((1, 7), False), ((1,), False), ((1, 1), True)])
def test_frequency_cap(ages, capped):
    # With today's send the week holds three where two of the last six days hold one each.
    contacts = Contacts(np.zeros(len(ages), int), ANCHOR - np.array(ages))
    context = Context(make_known(), contacts=contacts)
    found = find_exclusions(context, Eligibility(max_sends=2, within_days=7))
    assert found.tolist() == [REASONS.index("frequency_cap") if capped else -1]
    assert find_exclusions(context, Eligibility()).tolist() == [-1]
