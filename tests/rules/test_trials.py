"""Lists that are taken over from another selection are what selecting everybody again gives."""

from unittest import mock

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.generated_rules import assert_same, draw_rules, generate_shop
from helpers.rules import make_known, make_rules, pairs, score_lists
from recs_assets.rules import pipeline, trials
from recs_assets.rules.context import Context
from recs_assets.rules.items import NAMES
from recs_assets.rules.pipeline import select
from recs_assets.rules.trials import Trials


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), draw_rules(), st.sampled_from(NAMES))
def test_a_list_taken_over_is_the_list_selected_again(seed, rules, name):
    candidates, context = generate_shop(seed)
    runs = Trials(candidates, context, rules, None, threads=2)
    for base, without in (((), {name}), (NAMES, set(NAMES) - {name})):
        rows = runs.select_like(runs.select(frozenset(base)), frozenset(without))
        expected = select(candidates, context, rules, without=without).rows[["customer", "product"]]
        rows = rows.sort_values("customer", kind="stable", ignore_index=True)
        pd.testing.assert_frame_equal(rows, expected)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), draw_rules())
def test_threads_do_not_change_a_selection(seed, rules):
    candidates, context = generate_shop(seed)
    with mock.patch.object(pipeline, "BLOCK", 3):
        several = select(candidates, context, rules, trace=True, reserves=2, threads=3)
    assert_same(select(candidates, context, rules, trace=True, reserves=2), several)


def test_only_customers_with_a_refused_candidate_are_selected_for_again():
    # p0 is in the cart of c0, and a candidate of c1 alone beside it.
    known = make_known(customers=3, segments=[None] * 3)
    context = Context(known, carts=pairs(0, customers=3))
    candidates = score_lists({0: [0, 1, 2], 1: [0, 1, 2], 2: [1, 2]})
    runs = Trials(candidates, context, make_rules(not_in_cart=True), None, threads=1)
    whole = runs.select(frozenset())
    with mock.patch.object(trials, "select", wraps=select) as again:
        rows = runs.select_like(whole, frozenset({"in_cart"}))
    np.testing.assert_array_equal(again.call_args.args[3], [0])
    assert sorted(map(tuple, rows.to_numpy().tolist())) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2)]
