"""Arms compared week by week, on customers whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers.experiments import make
from recs_assets.experiments.analysis import RESULTS, analyse, list_pairs
from recs_assets.experiments.moments import Values
from recs_assets.experiments.sample_ratio import SampleRatio
from recs_assets.experiments.sequential import find_bounds
from recs_assets.experiments.verdict import judge

WEEKS = 8


def draw(lift=0.0, customers=4000, seed=1, leave=0.0, fade=0.0):
    """Customers of all arms, and a reader of their values; `lift` of the arm ranker, less `fade` in the second half."""
    rng = np.random.default_rng(seed)
    arm = rng.choice(["today", "ranker", "holdout"], customers, p=[0.7, 0.2, 0.1])
    treated = (arm == "ranker")[:, None]
    each = np.where(np.arange(WEEKS) < WEEKS // 2, lift, lift - fade)
    rate = rng.gamma(1.0, 0.5, customers)[:, None]
    orders = rng.poisson(rate * (1 + each * treated)).astype(float)
    left = (rng.random((customers, WEEKS)) < 0.01 + leave * treated).astype(float)
    before = rng.poisson(rate[:, 0] * 8).astype(float)
    values = {
        "revenue": Values(orders * 20, None, before * 20),
        "orders": Values(orders, None, before),
        "unsubscribes": Values(left),
        "returns": Values(rng.binomial(orders.astype(int), 0.1) * 20.0, orders * 20),
    }
    return arm, values.__getitem__


def find(analysis, metric, arm="ranker", control="today"):
    rows = analysis.results
    return rows[(rows["metric"] == metric) & (rows["arm"] == arm) & (rows["control"] == control)].iloc[-1]


def test_every_challenger_is_beside_the_control_and_every_arm_beside_the_holdout():
    assert list_pairs(make()) == [("ranker", "today"), ("today", "holdout"), ("ranker", "holdout")]
    plain = {"send": {"share": 0.8}, "holdout": {"share": 0.2}}
    assert list_pairs(make(control="holdout", arms=plain)) == [("send", "holdout")]


def test_a_true_lift_is_found_and_said():
    experiment, (arm, read) = make(), draw(lift=0.3)
    found = analyse(experiment, WEEKS, arm, read, others=["orders"])
    assert tuple(found.results) == RESULTS
    row = find(found, "revenue")
    assert (row["role"], row["proven"], row["n"]) == ("primary", "better", int((arm == "ranker").sum()))
    assert row["lift_low"] < 0.3 < row["lift_high"]
    assert row["narrowed"] > 0.3
    assert row["cap"] > 0
    assert find(found, "orders")["role"] == "other"
    assert abs(find(found, "returns")["mean"] - 0.1) < 0.02
    (verdict,) = judge(experiment, found, SampleRatio(1, 1, None))
    assert verdict.kind == "better"


def test_the_bound_is_that_of_the_looks_so_far():
    arm, read = draw()
    two, eight = (find(analyse(make(), week, arm, read), "revenue")["bound"] for week in (2, 8))
    # Whatever two looks learn, the first has spent a 64th of the error and the second three times that.
    assert two == pytest.approx(find_bounds([1, 2], [1.0, 1.9], 8)[-1], abs=0.05)
    assert 1.96 < eight < 2.25 < two


def test_the_course_of_the_weeks_is_what_each_week_said():
    experiment, (arm, read) = make(), draw(lift=0.1, leave=0.01)
    course = analyse(experiment, WEEKS, arm, read).results
    for week in (1, 2, 5):
        then = analyse(experiment, week, arm, read).results
        pd.testing.assert_frame_equal(
            then[then["week"] == week].reset_index(drop=True),
            course[course["week"] == week].reset_index(drop=True),
            rtol=1e-9, check_dtype=False,
        )  # fmt: skip


def test_weeks_after_the_last_planned_one_change_nothing():
    arm, read = draw()
    assert analyse(make(weeks=4), 7, arm, read).results.equals(analyse(make(weeks=4), 4, arm, read).results)


def test_a_guardrail_that_got_worse_is_found():
    arm, read = draw(leave=0.02)
    found = analyse(make(), WEEKS, arm, read)
    assert find(found, "unsubscribes")["proven"] == "worse"
    # Up to three times as many are allowed here.
    allowed = make(guardrails={"unsubscribes": 0.99})
    assert find(analyse(allowed, 2, arm, read), "unsubscribes")["proven"] != "worse"


def test_challengers_share_the_error_among_them():
    arms = {"today": {"share": 0.7}, "ranker": {"share": 0.2}, "other": {"share": 0.1}}
    arm, read = draw()
    arm = np.where(arm == "holdout", "other", arm)
    two = find(analyse(make(arms=arms, guardrails={}), 4, arm, read), "revenue")
    one = find(analyse(make(guardrails={}), 4, *draw()), "revenue")
    assert two["bound"] > one["bound"] + 0.1


def test_customers_who_come_later_count_from_then():
    arm, read = draw()
    joined = np.where(np.arange(len(arm)) < 1000, 3, 1)
    early = find(analyse(make(), 2, arm, read, joined=joined), "revenue")
    late = find(analyse(make(), 3, arm, read, joined=joined), "revenue")
    assert early["n"] == int((arm[1000:] == "ranker").sum())
    assert late["n"] == int((arm == "ranker").sum())


def test_every_week_alone_and_an_effect_that_fades():
    experiment, (arm, read) = make(), draw(lift=0.8, fade=0.8, customers=8000)
    found = analyse(experiment, WEEKS, arm, read)
    rows = found.weeks[(found.weeks["metric"] == "revenue") & (found.weeks["control"] == "today")]
    assert rows["of_week"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (rows["lift_low"].iloc[:4] > 0).all()
    assert rows["lift"].iloc[4:].mean() < 0.1
    (verdict,) = judge(experiment, found, SampleRatio(1, 1, None))
    assert "The effect fades:" in verdict.sentence


def test_a_lasting_effect_is_not_said_to_fade():
    experiment, (arm, read) = make(), draw(lift=0.3)
    (verdict,) = judge(experiment, analyse(experiment, WEEKS, arm, read), SampleRatio(1, 1, None))
    assert "effect" not in verdict.sentence


def test_the_luckiest_of_many_segments_is_not_announced():
    arm, read = draw()
    city = np.array([f"city {number % 20:02d}" for number in range(len(arm))], dtype=object)
    city[::50] = None
    found = analyse(make(), WEEKS, arm, read, segments={"city": city}).segments
    assert found["value"].tolist() == sorted({f"city {n:02d}" for n in range(20)} | {"unknown"})
    assert found["lift_alone"].max() > 0.08
    assert found["lift"].abs().max() < 0.6 * found["lift_alone"].abs().max()
    assert not found["differs"].any()


def test_a_segment_that_does_differ_is():
    arm, read = draw(customers=40_000)
    group = np.array([f"g{number % 20}" for number in range(len(arm))])
    revenue = read("revenue")
    treated = ((arm == "ranker") & (group == "g3"))[:, None]
    changed = Values(np.where(treated, revenue.amounts * 1.6, revenue.amounts), None, revenue.before)
    found = analyse(
        make(),
        WEEKS,
        arm,
        lambda name: changed if name == "revenue" else read(name),
        segments={"group": group},
    ).segments
    assert found[found["differs"]]["value"].tolist() == ["g3"]


def test_an_unknown_arm_and_no_week_are_refused():
    arm, read = draw()
    with pytest.raises(ValueError, match="The experiment has no arm blend"):
        analyse(make(), 1, np.where(arm == "today", "blend", arm), read)
    with pytest.raises(ValueError, match="No week of the experiment is over"):
        analyse(make(), 0, arm, read)


def test_the_order_of_the_customers_changes_no_figure():
    arm, read = draw()
    turn = np.random.default_rng(2).permutation(len(arm))

    def read_turned(name):
        values = read(name)
        return Values(*(None if part is None else part[turn] for part in
                        (values.amounts, values.per, values.before, values.before_per)))  # fmt: skip

    one, other = analyse(make(), 3, arm, read).results, analyse(make(), 3, arm[turn], read_turned).results
    numbers = one.select_dtypes("number").columns
    np.testing.assert_allclose(one[numbers], other[numbers], rtol=1e-9, atol=1e-9)
