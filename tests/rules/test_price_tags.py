"""What each rule costs."""

import numpy as np
import pytest
from scipy import sparse

from helpers.rules import N, make_known, make_rules, pairs, score_lists
from recs_assets.rules.context import Context
from recs_assets.rules.items import NAMES
from recs_assets.rules.pipeline import find_idle_rules
from recs_assets.rules.price_tags import price_rules


def test_price_tags():
    # Selected: p1, p2 (p0 is in the cart). Bought later: c0 p0 and p1, c1 p2.
    known = make_known(customers=3, segments=[None] * 3)
    context = Context(known, carts=pairs(0, customers=3))
    truth = sparse.csr_matrix(([2.0, 1.0, 1.0], ([0, 0, 1], [0, 1, 2])), shape=(3, N))
    margin = np.array([5.0, 2.0, 3.0, 1.0, 1.0, np.nan])
    candidates = score_lists({0: [0, 1, 2], 1: [0, 1, 2], 2: [2]})
    rules = make_rules(not_in_cart=True)
    assert set(NAMES) - find_idle_rules(candidates, context, rules) == {"available", "in_cart"}
    tags = price_rules(candidates, context, rules, truth, margin).set_index("rule")
    assert tags.index.tolist() == ["all_rules", *NAMES]
    # c0 gets p1, p2 and hits p1; without the rule p0, p1 and hits both. c1: p0, p1 and hits nothing. c2 has one only.
    line = tags.loc["in_cart"]
    assert line[["customers", "customers_changed"]].tolist() == [3, 1]
    assert line[["purchases", "purchases_without", "purchases_gained"]].tolist() == [1, 2, -1]
    assert line[["margin", "margin_without", "margin_gained"]].tolist() == [2, 7, -5]
    # Differences -1, 0, 0: the sum's standard error is sqrt(1 - 1/3) = 0.8165.
    assert line[["purchases_low", "purchases_high"]].tolist() == pytest.approx([-2.6003, 0.6003], abs=1e-4)
    # Alone it costs c0 the same; the other rule that is on, available, takes nothing out.
    assert line[["purchases_alone", "alone_gained"]].tolist() == [1, -1]
    assert line[["alone_low", "alone_high"]].tolist() == pytest.approx([-2.6003, 0.6003], abs=1e-4)
    joint = tags.loc["all_rules"]
    assert joint[["kind", "customers", "customers_changed"]].tolist() == ["joint", 3, 1]
    assert joint[["purchases", "purchases_without", "purchases_gained", "margin_gained"]].tolist() == [
        1,
        2,
        -1,
        -5,
    ]
    others = tags.drop(["in_cart", "all_rules"])
    assert (others[["customers_changed", "purchases_gained", "margin_gained"]] == 0).all(axis=None)
    assert price_rules(candidates, context, rules, truth)["margin_gained"].isna().all()
