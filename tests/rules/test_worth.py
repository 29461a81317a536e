"""Who is written to by what they are expected to spend: tiers and `max_recipients`, of all customers and of blocks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.rules import cut_context, lists, make_known, make_rules, score_lists
from recs_assets.rules.config import Eligibility, SegmentRules, Slots
from recs_assets.rules.context import Context
from recs_assets.rules.pipeline import find_reasons, select
from recs_assets.rules.recipients import REASONS
from recs_assets.rules.review import review
from recs_assets.rules.worth import EVERYBODY, Worth, find_last_recipient

NAN = float("nan")


def expect(spend, tier=None, **given):
    tier = np.where(np.isnan(spend), 0, 3) if tier is None else np.array(tier)
    return Context(make_known(customers=len(spend)), worth=Worth(np.array(spend), tier), **given)


def find_recipients(context, **keys):
    return np.flatnonzero(find_reasons(context, make_rules(**keys)) < 0).tolist()


def test_the_customers_who_are_expected_to_spend_most():
    context = expect([5.0, NAN, 9.0, 5.0, -1.0])
    assert find_recipients(context, max_recipients=1) == [2]
    # Of equal ones the smallest id; who never ordered comes last.
    assert find_recipients(context, max_recipients=2) == [0, 2]
    assert find_recipients(context, max_recipients=4) == [0, 2, 3, 4]
    assert find_recipients(context, max_recipients=9) == [0, 1, 2, 3, 4]


def test_whoever_gets_no_email_anyway_takes_no_place():
    context = expect([9.0, 5.0, 1.0], audience=np.array([False, True, True]))
    assert find_recipients(context, max_recipients=1) == [1]


def test_a_tier_and_those_above_it():
    context = expect([1.0, 2.0, 3.0, NAN], [1, 4, 5, 0])
    assert find_recipients(context, min_value_tier=4) == [1, 2]
    assert find_recipients(context, min_value_tier=1) == [0, 1, 2]
    assert find_recipients(context) == [0, 1, 2, 3]


def review_tiers(context, **keys):
    rules = make_rules(**keys)
    candidates = score_lists({0: range(5)})
    return list(review(rules, context, candidates, select(candidates, context, rules)).problems)


def test_a_tier_that_nobody_reaches_is_said():
    """As much is expected of everybody, so that all are in the middle; whoever has no order is in no tier."""
    context = replace(expect([5.0, 5.0, 5.0, NAN]), by_tier=True)
    assert review_tiers(context, min_value_tier=4) == [
        "eligibility.min_value_tier: nobody is in tier 4 or a higher one, so nobody is written to: of the 3 customers with an order 3 "
        "are in tier 3, the highest there is, because as much is expected of so many; take 3 or a lower one, or max_recipients."
    ]
    assert review_tiers(context, min_value_tier=3) == []
    best = {"tier_5": SegmentRules(slots=Slots(goal="revenue")), "no_tier": SegmentRules()}
    assert review_tiers(context, segments=best) == [
        "segments.tier_5: no customer is in this tier, so its rules are for nobody."
    ]
    own = {"tier_3": SegmentRules(eligibility=Eligibility(min_value_tier=4))}
    assert [text.split(":")[0] for text in review_tiers(context, segments=own)] == [
        "segments.tier_3.eligibility.min_value_tier"
    ]
    assert review_tiers(expect([5.0, 6.0], [2, 4]), min_value_tier=4) == []


def test_rules_per_tier():
    context = replace(expect([1.0, 2.0, NAN], [1, 5, 0]), by_tier=True)
    context = replace(context, known=make_known(customers=3, prices=[1, 2, 9, 1, 1, 1]))
    rules = make_rules(segments={"Tier_5": SegmentRules(slots=Slots(goal="revenue"))})
    candidates = score_lists({c: range(6) for c in range(3)})
    # 1, 1/2, 1/3 times 1, 2, 9.
    assert lists(select(candidates, context, rules)) == {0: [0, 1], 1: [2, 0], 2: [0, 1]}
    assert context.count_parting().tolist() == [1, 1, 0, 0, 0, 1, 0]


def test_the_number_of_recipients_is_the_same_for_all_segments():
    with pytest.raises(
        ValueError, match="max_recipients is the same for everybody; say it once, under eligibility"
    ):
        make_rules(segments={"gold": SegmentRules(eligibility=Eligibility(max_recipients=3))})


AMOUNTS = st.lists(st.sampled_from([NAN, -2.0, 0.0, 1.5, 7.0]), min_size=1, max_size=12)


@given(AMOUNTS, st.integers(1, 13), st.integers(1, 12), st.data())
def test_blocks_write_to_the_same_customers(spend, most, size, data):
    n = len(spend)
    excluded = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    context = expect(spend, audience=~np.array(excluded))
    rules = make_rules(max_recipients=most, min_value_tier=data.draw(st.sampled_from([None, 3])))
    whole = find_reasons(context, rules)
    assert (whole < 0).sum() <= most
    blocks = [np.arange(first, min(first + size, n)) for first in range(0, n, size)]

    def ask(codes, last):
        part = cut_context(context, codes)
        own = replace(part.worth, last=(last[0], last[1] - int(codes[0])))
        return find_reasons(replace(part, worth=own), rules)

    eligible = np.concatenate([codes[ask(codes, EVERYBODY) < 0] for codes in blocks])
    last = find_last_recipient(context.worth.spend[eligible], eligible, most)
    np.testing.assert_array_equal(np.concatenate([ask(codes, last) for codes in blocks]), whole)
    named = [REASONS[reason] for reason in whole if reason >= 0]
    assert set(named) <= {"not_in_audience", "below_value_tier", "max_recipients"}
