"""What another policy would have earned, from slots that were drawn."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from recs_assets.experiments.off_policy import Decisions, estimate, match_policies


def make_decisions(reward, weight, predicted=None, expected=None, unsupported=None, customer=None):
    n = len(reward)
    zero = np.zeros(n)
    return Decisions(
        np.array(reward, dtype=float),
        np.array(weight, dtype=float),
        zero if predicted is None else np.array(predicted, dtype=float),
        zero if expected is None else np.array(expected, dtype=float),
        zero if unsupported is None else np.array(unsupported, dtype=float),
        np.arange(n) if customer is None else np.array(customer),
    )


def test_the_three_estimates_by_hand():
    """400 decisions of four kinds: weight 2 with and without reward, weight 1/2 with and without."""
    reward, weight = np.tile([1, 0, 1, 0], 100), np.tile([2, 2, 0.5, 0.5], 100)
    found = estimate(make_decisions(reward, weight, np.full(400, 0.5), np.full(400, 0.6)))
    rows = found.rows.set_index("method")
    assert rows["value"].to_dict() == pytest.approx({"logged": 0.5, "ips": 0.625, "snips": 0.5, "dr": 0.6})
    assert rows["gained"].to_dict() == pytest.approx({"logged": 0, "ips": 0.125, "snips": 0, "dr": 0.1})
    # (400 * 1.25)^2 / (200 * 4 + 200 / 4)
    assert found.effective == pytest.approx(500**2 / 850)
    assert (found.decisions, found.unsupported, found.refusal) == (400, 0, None)
    reach = t.ppf(0.975, 399) / np.sqrt(399)
    # Standard deviations: of r; of w r, which is 2, 0, 1/2, 0; of w (r - 1/2) / 1.25 and of w (r - 1/2): +-1 and +-1/4.
    spread = {"logged": 0.5, "ips": np.sqrt((4 + 0.25) / 4 - 0.625**2), "snips": np.sqrt(17 / 32) / 1.25, "dr": np.sqrt(17 / 32)}  # fmt: skip
    assert (rows["high"] - rows["value"]).to_dict() == pytest.approx(
        {name: reach * value for name, value in spread.items()}
    )
    assert (rows["value"] - rows["low"]).to_dict() == pytest.approx((rows["high"] - rows["value"]).to_dict())
    # Less what was earned: of w r - r: 1, 0, -1/2, 0.
    assert rows.loc["ips", "gained_high"] - 0.125 == pytest.approx(reach * np.sqrt((1 + 0.25) / 4 - 0.125**2))


def test_decisions_of_one_customer_are_one_observation():
    reward, weight = np.tile([1, 0, 1, 0], 100), np.tile([2, 2, 0.5, 0.5], 100)
    once = estimate(make_decisions(reward, weight)).rows
    twice = estimate(
        make_decisions(np.repeat(reward, 2), np.repeat(weight, 2), customer=np.repeat(np.arange(400), 2))
    ).rows
    pd.testing.assert_frame_equal(once, twice)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"unsupported": [0.2] * 100 + [0.0] * 300}, None),
        (
            {"unsupported": [0.5] * 100 + [0.0] * 300},
            "12.5% of what this policy would put into the drawn slots could not have been drawn there, and the log can bear 5%: "
            "compare the two in an experiment.",
        ),
        (
            {"weight": [8.0] * 50 + [0.0] * 350},
            "The 400 drawn slots are worth 50 for this policy, and 100 are needed: log more weeks, or raise exploration_share.",
        ),
        (
            {"reward": [1.0] * 9 + [0.0] * 391},
            "Only 9 of the drawn slots that this policy could have filled so earned anything, and 10 are needed: log more weeks, "
            "or ask for a reward that is less rare.",
        ),
        ({"reward": [1.0] * 10 + [0.0] * 390}, None),
    ],
)
def test_what_the_log_cannot_say_is_refused(changes, sentence):
    found = estimate(make_decisions(**{"reward": [1.0, 0.0] * 200, "weight": [1.0] * 400} | changes))
    assert found.refusal == sentence
    assert found.rows["method"].tolist() == ["logged", *(["ips", "snips", "dr"] if sentence is None else [])]


def test_decisions_without_anything_to_draw_are_left_out():
    """Of 20 the log could have drawn nothing that the policy would; what they earned counts on neither side."""
    found = estimate(
        make_decisions(
            [1, 0] * 200 + [1] * 20, [1.0] * 400 + [0.0] * 20, unsupported=[0.0] * 400 + [1.0] * 20
        )
    )
    assert found.decisions == 400
    assert found.unsupported == pytest.approx(20 / 420)
    assert found.rows["value"].tolist() == pytest.approx([0.5] * 4)


def test_nothing_drawn_says_nothing():
    found = estimate(make_decisions([], []))
    assert found.refusal == "No slot was drawn, so there is nothing to learn from."
    assert found.rows.empty


def test_policies_are_compared_product_by_product():
    decisions = pd.DataFrame(
        {"decision": [1, 2, 3], "customer": ["a", "b", "a"], "action": ["x", "y", "x"], "reward": [1.0, 0, 2]}
    )
    logged = pd.DataFrame(
        [
            (1, "x", 0.8, 0.3), (1, "y", 0.2, 0.1),
            (2, "y", 0.25, 0.2), (2, "z", 0.75, 0.4),
            (3, "x", 0.5, 0.5), (3, "z", 0.5, 0.1),
        ],
        columns=["decision", "action", "probability", "value"],
    )  # fmt: skip
    target = pd.DataFrame(
        # 2: half of it could not be drawn; 3: nothing of it could.
        [(1, "x", 0.4), (1, "y", 0.6), (2, "y", 0.5), (2, "q", 0.5), (3, "q", 1.0)],
        columns=["decision", "action", "probability"],
    )
    found = match_policies(decisions, logged, target)
    assert found.weight.tolist() == pytest.approx([0.5, 4.0, 0.0])
    assert found.unsupported.tolist() == pytest.approx([0.0, 0.5, 1.0])
    # 3 was earned where the values add up to 1: a reward is three times the value.
    assert found.predicted.tolist() == pytest.approx([0.9, 0.6, 1.5])
    assert found.expected.tolist() == pytest.approx([3 * (0.4 * 0.3 + 0.6 * 0.1), 0.6, 0.0])
    assert found.customer.tolist() == ["a", "b", "a"]


def test_the_same_policy_earns_what_was_earned():
    rng = np.random.default_rng(3)
    n = 500
    decisions = pd.DataFrame({"decision": range(n), "customer": range(n), "action": rng.integers(0, 3, n), "reward": rng.random(n)})  # fmt: skip
    logged = pd.DataFrame({"decision": np.repeat(range(n), 3), "action": np.tile(range(3), n), "probability": np.tile([0.5, 0.3, 0.2], n), "value": 0.1})  # fmt: skip
    found = estimate(match_policies(decisions, logged, logged[["decision", "action", "probability"]]))
    rows = found.rows.set_index("method")
    assert found.effective == n
    assert rows["value"].to_numpy() == pytest.approx([decisions["reward"].mean()] * 4)
    assert rows["gained_high"].to_numpy() == pytest.approx([0.0] * 4)
