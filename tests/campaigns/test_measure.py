"""What a campaign's filled slots are worth at the test anchor."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.campaigns.measure import describe_worth, list_costly_rules, measure_slots
from recs_assets.rules.selection import Selection


def test_an_email_that_earns_nothing_names_the_rule_that_costs_most():
    tags = pd.DataFrame(
        {
            "rule": ["all_rules", "discovery", "one_per_title"],
            "purchases": 40.0,
            "purchases_without": [50.0, 48.0, 41.0],
            "purchases_gained": [-10.0, -8.0, -1.0],
        }
    )
    sent = pd.DataFrame(
        [("as_sent", 0.15, np.nan, np.nan, np.nan), ("as_sent less repurchase", 0.2, -0.05, -0.07, -0.03)],
        columns=["model", "value", "difference", "ci_low", "ci_high"],
    )
    assert describe_worth(sent, tags) == (
        "The email as sent is worse than a list of what each customer bought often and lately: MAP@12 0.1500 "
        "against 0.2000, difference -0.0500 (-0.0700 to -0.0300); its rules change 50 purchases by -10 (-20.0%). The rule "
        "that costs most is slots.discovery_share: without it 8 purchases more than 40.",
        False,
    )
    text, proven = describe_worth(sent.assign(ci_high=0.01), tags)
    assert text.startswith("The email as sent is not proven to beat a list of what each")
    assert not proven
    better = sent.assign(difference=0.05, ci_low=0.01, ci_high=0.09)
    assert describe_worth(better, tags) == (
        "The email as sent beats a list of what each customer bought often and lately: MAP@12 0.2500 against 0.2000, "
        "difference 0.0500 (0.0100 to 0.0900); its rules change 50 purchases by -10 (-20.0%).",
        True,
    )
    assert "None of its rules costs purchases" in describe_worth(sent, tags.assign(purchases_gained=1.0))[0]
    assert describe_worth(sent[:1], tags) == ("", True)


def test_more_than_five_rules_that_cost_more_than_they_bring_are_named():
    names = [
        "all_rules",
        "in_cart",
        "rejected",
        "max_per_category",
        "min_price",
        "one_per_title",
        "max_repeat",
        "diversity",
    ]
    tags = pd.DataFrame({"rule": names, "step": range(1, 9), "margin_low": np.nan})
    tags = tags.assign(purchases_gained=[-50.0, -3, -9, -3, -2, -1, -4, -8], purchases_high=-0.5)
    assert list_costly_rules(tags) == [
        "7 of its rules cost more purchases at the test anchor than they bring, each by itself: rules.not_rejected (-9), "
        "slots.mmr_lambda (-8), slots.max_repeat (-4), rules.not_in_cart (-3), rules.max_per_category (-3), rules.min_price (-2), "
        "rules.one_per_title (-1). Keep those that have another reason, such as what customers are spared."
    ]
    # One interval reaches 0, and one rule earns margin instead: five are left.
    tags.loc[1, "purchases_high"], tags.loc[4, "margin_low"] = 0.0, 0.1
    assert list_costly_rules(tags) == []
    assert list_costly_rules(pd.DataFrame()) == []


def test_slots_at_the_test_anchor_by_hand():
    """Two customers, two slots each: 0 buys her personal product, 1 his discovery; the two products of
    customer 0 are the same text, those of customer 1 have nothing in common."""
    rows = pd.DataFrame(
        {
            "customer": [0, 0, 1, 1],
            "slot": [1, 2, 1, 2],
            "product": [0, 1, 0, 2],
            "slot_type": ["personal", "discovery", "personal", "discovery"],
        }
    )
    truth = sparse.csr_matrix(np.array([[1, 0, 0], [0, 0, 1]], dtype=np.float32))
    factors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    choice = Selection(rows, pd.DataFrame(), pd.Series(dtype=int), None, pd.DataFrame())
    table, measured = measure_slots(choice, truth, factors, seed=1)
    assert measured == {
        "precision_all": 0.5, "hit_rate_all": 1.0,
        "precision_discovery": 0.5, "hit_rate_discovery": 0.5,
        "precision_personal": 0.5, "hit_rate_personal": 0.5,
        "diversity_all": 0.5,
    }  # fmt: skip
    between = table[(table["metric"] == "precision") & (table["item"] == "discovery")].iloc[0]
    assert between["difference"] == 0  # -1 for one, +1 for the other
    assert between["ci_low"] == -1
    assert between["ci_high"] == 1
