"""What a goal trades: purchases against revenue and margin."""

import numpy as np
import pytest
from scipy import sparse

from helpers.rules import N, floats, make_known, make_rules, score_lists
from recs_assets.rules.config import Goal, SegmentRules, Slots
from recs_assets.rules.context import Context
from recs_assets.rules.frontier import find_knee, measure_frontier, set_goal

MEANS = ["purchases", "revenue", "margin"]


def measure(cost=None, rules=None, prices=(1, 2, 5, 1, 1, 1)):
    """Four customers who may buy p0 (0.5), p1 (0.4) or p2 (0.2); one slot."""
    known = make_known(customers=4, segments=["new", "new", "old", "old"], prices=list(prices))
    # c0 bought p0, c1 p0 and p1, c2 p1, c3 p2.
    truth = sparse.csr_matrix((np.ones(5), ([0, 1, 1, 2, 3], [0, 0, 1, 1, 2])), shape=(4, N))
    candidates = score_lists({c: [0, 1, 2] for c in range(4)}, [0.5, 0.4, 0.2] * 4)
    rules = rules or make_rules(k=1)
    return measure_frontier(candidates, Context(known, cost=cost), rules, truth, np.arange(4))


def test_a_sweep_of_revenue():
    table = measure()
    every = table[table["segment"] == "all"]
    assert every["goal"].tolist() == ["as_said", *["revenue"] * 5, "revenue_alone"]
    # 0.5, 0.4, 0.2 times 1, 1.41, 2.24: p1; times 1, 2, 5: p2, and so on.
    sweep = every[every["goal"] == "revenue"]
    assert sweep["strength"].tolist() == [0, 0.5, 1, 1.5, 2]
    assert sweep["purchases"].tolist() == [0.5, 0.5, 0.25, 0.25, 0.25]
    assert sweep["revenue"].tolist() == [0.5, 1, 1.25, 1.25, 1.25]
    assert sweep["knee"].tolist() == [False, True, False, False, False]
    assert sweep["margin"].isna().all()
    # c0 -1, c1 2 - 1, c2 2, c3 0: 0.5 on average; standard deviation sqrt(5/3), over sqrt(4).
    half = 1.96 * np.sqrt(5 / 3) / 2
    assert sweep.iloc[1][["revenue_gained", "revenue_low", "revenue_high"]].tolist() == pytest.approx(
        [0.5, 0.5 - half, 0.5 + half]
    )
    assert every[every["goal"] == "as_said"][["purchases", "revenue"]].values.tolist() == [[0.5, 0.5]]
    assert every[every["goal"] == "revenue_alone"][["purchases", "revenue"]].values.tolist() == [[0.25, 1.25]]
    new = table[(table["segment"] == "new") & (table["goal"] == "revenue")]
    assert new[["recipients", "purchases"]].values.tolist() == [[2, 1], [2, 0.5], [2, 0], [2, 0], [2, 0]]


def test_a_product_without_a_cost_brings_no_margin():
    # p2's cost is not known: 0.5 * 0.5 and 0.4 * 1 are what counts, and p2 comes last whatever its price.
    table = measure(cost=floats(0.5, 1.0, np.nan))
    sweep = table[(table["segment"] == "all") & (table["goal"] == "margin")]
    assert sweep[MEANS].values.tolist() == [[0.5, 0.5, 0.25], *[[0.5, 1.0, 0.5]] * 4]
    assert sweep["knee"].tolist() == [False, True, False, False, False]  # a purchase more costs none


def test_the_campaign_as_it_is_said_with_a_goal_per_segment():
    rules = make_rules(k=1, segments={"old": SegmentRules(slots=Slots(goal="revenue"))})
    table = measure(rules=rules)
    said = table[table["goal"] == "as_said"].set_index("segment")
    assert said["purchases"].to_dict() == {"all": 0.75, "new": 1.0, "old": 0.5}
    assert said["revenue"].to_dict() == {"all": 1.75, "new": 1.0, "old": 2.5}
    # A sweep has one goal for everybody.
    assert table[table["goal"] == "revenue"].iloc[0]["purchases"] == 0.5
    changed = set_goal(rules, Goal(margin=1), 2.0)
    assert {part.slots.goal_strength for part in (changed, changed.of_segment("old"))} == {2.0}


def test_nothing_is_measured_where_nothing_has_a_price():
    assert measure(prices=[np.nan] * N).empty


def test_knees():
    # Half of the gain for a tenth of the cost.
    assert find_knee(np.array([10.0, 9.6, 6.0]), np.array([5.0, 7.0, 9.0])) == 1
    # On the straight line, and below it.
    assert find_knee(np.array([10.0, 8.0, 6.0]), np.array([5.0, 7.0, 9.0])) is None
    assert find_knee(np.array([10.0, 7.0, 6.0]), np.array([5.0, 6.0, 9.0])) is None
    # The curve ends where the value is largest: what lies behind is dominated.
    assert find_knee(np.array([10.0, 9.6, 6.0, 1.0]), np.array([5.0, 7.0, 9.0, 8.0])) == 1
