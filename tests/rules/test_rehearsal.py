"""Lists of an anchor at which nothing was sent yet."""

import numpy as np

from helpers.rules import ANCHOR, N, lists, make_known, make_rules, pairs, score_lists, sent
from recs_assets.rules.context import Context
from recs_assets.rules.pipeline import select
from recs_assets.rules.price_tags import price_rules
from recs_assets.rules.rehearsal import admit_everybody, rehearse


def test_without_sends_those_before_the_anchor_are_rehearsed():
    """Two slots, one of which may repeat: the two sends before the anchor hold p0 and p1, then p0 and p2."""
    context, candidates = Context(make_known(customers=2)), score_lists({0: range(N)})
    rules = make_rules(max_repeat=1, repeat_sends=2)
    found = rehearse(candidates, context, rules, every=14)
    assert list(zip(found.sends.customer, found.sends.product, ANCHOR - found.sends.day, strict=True)) == [
        (0, 0, 28), (0, 1, 28), (0, 0, 14), (0, 2, 14),
    ]  # fmt: skip
    assert lists(select(candidates, found, rules)) == {0: [0, 3]}
    tags = price_rules(candidates, found, rules, pairs(0, 1, customers=2)).set_index("rule")
    assert tags.loc["max_repeat", ["purchases", "purchases_without", "alone_gained"]].tolist() == [1, 2, -1]
    # What was really sent stands, and without a rule that looks at sends there is nothing to rehearse.
    real = Context(make_known(customers=2), sends=sent((0, 5, 7)))
    assert rehearse(candidates, real, rules) is real
    assert rehearse(candidates, context, make_rules()) is context


def test_a_comparison_of_lists_is_open_to_all():
    known = make_known(customers=2)
    known.customers["email_eligible"] = False
    context = admit_everybody(Context(known, consent_state=np.array(["erased", ""], dtype=object)))
    assert sorted(lists(select(score_lists({0: [0, 1], 1: [0, 1]}), context, make_rules()))) == [0, 1]
