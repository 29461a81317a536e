"""Whom a campaign out of one recommender's list was not meant for, and who only lost their products to rules."""

import numpy as np
import pytest

from helpers.rules import make_known, make_rules, pairs, score_lists, sent
from recs_assets.campaigns.lists import tell_apart_unlisted
from recs_assets.rules.context import Context
from recs_assets.rules.pipeline import select

# c0 gets p0. c1 has none. p1 is all that c2 has, and they were sent it, c3 has p2, too, which nobody may be sent.
LISTED = {0: [0], 2: [1], 3: [1, 2]}
SENT = sent((2, 1, 7), (3, 1, 7))


def tell_apart(listed, **rules):
    context = Context(make_known(customers=4, unavailable=(2,)), sends=SENT)
    chosen = make_rules(k=1, sent_within_sends=1, **rules)
    ranked = score_lists(listed)
    return tell_apart_unlisted(select(ranked, context, chosen, trace=True), ranked, context, chosen)


def test_who_has_nothing_new_on_the_list_and_who_lost_it():
    choice = tell_apart(LISTED)
    assert choice.rows["customer"].tolist() == [0]
    assert choice.suppressed.to_dict("list") == {
        "customer": [1, 2, 3],
        "reason": ["nothing_predicted", "nothing_predicted", "too_few_products"],
    }


def test_a_campaign_with_a_ladder_is_meant_for_everybody():
    """Nothing was ever sold here, so that the ladder has nothing either."""
    choice = tell_apart(LISTED, ladder=("global",))
    assert choice.suppressed["reason"].tolist() == ["too_few_products"] * 3


def test_nobody_is_listed():
    choice = tell_apart({})
    assert choice.suppressed["reason"].tolist() == ["nothing_predicted"] * 4


def test_what_lies_in_the_cart_is_lost_to_a_rule():
    context = Context(make_known(customers=4), carts=pairs(0, customers=4))
    rules, ranked = make_rules(k=1, not_in_cart=True), score_lists({0: [0]})
    choice = tell_apart_unlisted(select(ranked, context, rules, trace=True), ranked, context, rules)
    assert choice.suppressed["reason"].tolist() == ["too_few_products", *["nothing_predicted"] * 3]


@pytest.mark.parametrize("codes", [np.array([0, 1]), np.array([2, 3])])
def test_some_of_the_customers(codes):
    context = Context(make_known(customers=4, unavailable=(2,)), sends=SENT)
    rules, ranked = make_rules(k=1, sent_within_sends=1), score_lists(LISTED)
    choice = tell_apart_unlisted(select(ranked, context, rules, codes, trace=True), ranked, context, rules)
    whole = tell_apart(LISTED).suppressed
    assert choice.suppressed["reason"].tolist() == whole.loc[whole["customer"].isin(codes), "reason"].tolist()
