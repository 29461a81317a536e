"""Verdicts in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers.experiments import make
from recs_assets.experiments.analysis import FADING, RESULTS, SEGMENTS, WEEKS, Analysis
from recs_assets.experiments.sample_ratio import SampleRatio, check_sample_ratio
from recs_assets.experiments.verdict import judge

EXPERIMENT = make(guardrails={"unsubscribes": 0})
FINE = SampleRatio(1.0, 1.0, None)


def row(week=4, metric="revenue", low=-0.02, high=0.1, proven=None, cap=np.nan, lift=None):
    """A row of results whose interval is symmetric in logarithms."""
    middle = np.sqrt((1 + low) * (1 + high)) - 1 if lift is None else lift
    given = {
        "experiment": "ranker_first",
        "week": week,
        "metric": metric,
        "arm": "ranker",
        "control": "today",
        "lift": middle,
        "lift_low": low,
        "lift_high": high,
        "proven": proven,
        "cap": cap,
    }
    return {name: given.get(name, np.nan) for name in RESULTS}


def verdict(*rows, ratio=FINE, experiment=EXPERIMENT, fading=()):
    analysis = Analysis(
        pd.DataFrame(list(rows), columns=list(RESULTS)),
        pd.DataFrame(columns=list(WEEKS)),
        pd.DataFrame(list(fading), columns=list(FADING)),
        pd.DataFrame(columns=list(SEGMENTS)),
    )
    (found,) = judge(experiment, analysis, ratio)
    assert found.arm == "ranker"
    assert "significan" not in found.sentence
    return found.kind, found.sentence, found.more_weeks


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            row(low=0.021, high=0.09, proven="better"),
            ("better", "Better: revenue per customer is higher by 2.1 % to 9.0 %.", None),
        ),
        (
            row(low=0.021, high=0.09, proven="better", cap=412.5),
            (
                "better",
                "Better: revenue per customer is higher by 2.1 % to 9.0 % (no customer counts with more than 412.50).",
                None,
            ),
        ),
        (
            row(low=-0.09, high=-0.021, proven="worse"),
            ("harm", "Harm, stop: revenue per customer is lower by 2.1 % to 9.0 %.", None),
        ),
        # Before two weeks nothing is better, but harm is harm.
        (row(week=1, low=0.021, high=0.09, proven="better"), ("too early", "Too early: needs 1 week.", 1)),
        (
            row(week=1, low=-0.09, high=-0.021, proven="worse"),
            ("harm", "Harm, stop: revenue per customer is lower by 2.1 % to 9.0 %.", None),
        ),
        (
            row(low=-0.02, high=0.03),
            (
                "no difference",
                "No difference larger than 3.0 %: revenue per customer changes by -2.0 % to 3.0 %.",
                None,
            ),
        ),
        # log(1.07 / 0.95) / 2 is 0.0595; to log(1.05) = 0.0488 it takes (0.0595 / 0.0488)^2 = 1.49 times the 4 weeks.
        (row(low=-0.05, high=0.07), ("too early", "Too early: needs 2 weeks.", 2)),
        # 0.1116 is 2.29 times 0.0488, so 5.2 times 4 weeks; after 8 it is 0.1116 / sqrt(2) = 0.0789.
        (
            row(low=-0.12, high=0.1),
            (
                "too early",
                "Too early: needs 4 weeks. Even then it tells a lift from none only above 8.2 %, and 5.0 % would matter: "
                "more customers are needed.",
                4,
            ),
        ),
        (
            row(week=8, low=-0.12, high=0.1),
            (
                "no difference",
                "No difference larger than 12.0 %: revenue per customer changes by -12.0 % to 10.0 %.",
                None,
            ),
        ),
        (
            row(low=np.nan, high=np.nan),
            ("too early", "Too early: too few customers did anything; needs up to 4 weeks.", 4),
        ),
        (
            row(week=8, low=np.nan, high=np.nan),
            ("too early", "Too early: too few customers did anything; plan it anew with more customers.", 0),
        ),
    ],
)
def test_the_five_verdicts(given, expected):
    assert verdict(given) == expected


def test_a_guardrail_that_got_worse_is_harm_whatever_the_primary_metric_says():
    kind, sentence, _ = verdict(
        row(low=0.021, high=0.09, proven="better"),
        row(metric="unsubscribes", low=0.1, high=0.8, proven="worse"),
    )
    assert kind == "harm"
    assert sentence == "Harm, stop: share of customers who unsubscribe is higher by 10.0 % to 80.0 %."


def test_nothing_counts_where_the_arms_have_other_customers_than_they_should():
    counts = {"today": 700, "ranker": 300, "holdout": 100}
    ratio = check_sample_ratio(EXPERIMENT.shares, counts, counts)
    kind, sentence, _ = verdict(row(low=-0.09, high=-0.021, proven="worse"), ratio=ratio)
    assert kind == "invalid"
    assert sentence == (
        "Invalid: 700 today, 300 ranker, 100 holdout were assigned where 770 today, 220 ranker, 110 holdout were expected. "
        "Find out why; until then no figure of this experiment counts."
    )


def test_an_effect_that_fades_is_said_to():
    fading = dict.fromkeys(FADING, np.nan) | {
        "week": 4, "metric": "revenue", "arm": "ranker", "control": "today",
        "early": 0.12, "late": 0.03, "change": -0.08, "change_low": -0.12, "change_high": -0.04,
    }  # fmt: skip
    _, sentence, _ = verdict(row(low=0.021, high=0.09, proven="better"), fading=[fading])
    assert sentence == (
        "Better: revenue per customer is higher by 2.1 % to 9.0 %. The effect fades: 12.0 % in the first 2 weeks, 3.0 % after."
    )


def test_the_reason_for_fewer_days_stands_beside_the_verdict():
    hasty = make(guardrails={}, minimum_days=7, minimum_reason="Christmas is over")
    assert verdict(row(week=1, low=0.021, high=0.09, proven="better"), experiment=hasty)[1] == (
        "Better: revenue per customer is higher by 2.1 % to 9.0 %. It may end after 7 days because: Christmas is over."
    )


def test_without_a_lift_the_difference_is_told():
    given = row(low=np.nan, high=np.nan, proven="better") | {"difference_low": 0.25, "difference_high": 1.5}
    assert verdict(given)[1] == "Better: revenue per customer is higher by 0.25 to 1.5."
