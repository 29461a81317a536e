"""The sentence that says which way of predicting spend is used."""

import pandas as pd

from recs_assets.campaigns.values import explain_judgement
from recs_assets.lifetime.judge import COLUMNS, Judgement


def make_judgement(*rows: dict, days: int = 91) -> Judgement:
    none = dict.fromkeys(COLUMNS)
    return Judgement(
        "last_year", days, pd.DataFrame([none | {"chosen": False} | row for row in rows]), model=None
    )


USED = {
    "method": "last_year",
    "mae": 1805.05,
    "difference": 0.0,
    "ci_low": 0.0,
    "ci_high": 0.0,
    "chosen": True,
}


def test_a_refused_way_is_no_ordinary_loser():
    text = explain_judgement(
        91,
        make_judgement(
            USED,
            {"method": "last_quarter", "mae": 2412.7, "difference": -607.66, "ci_low": -716.5, "ci_high": -493.9},
            {
                "method": "buy_till_you_die", "mae": 1622.12, "difference": 182.93, "ci_low": 115.87, "ci_high": 246.61,
                "top_difference": -0.0412, "top_ci_low": -0.0671, "top_ci_high": -0.0158, "refused": "top_pays_less",
            },
            {"method": "regression", "refused": "nothing_to_learn"},
        ),
    )  # fmt: skip
    assert text == (
        "Spend of 91 days is predicted by last_year, which errs by 1805.05 a customer on the last 91 days. "
        "Of the others last_quarter errs by 2412.70 (-607.66, -716.50 to -493.90); in brackets what the chosen one errs more, with its "
        "interval. buy_till_you_die is refused, whatever its error: the tenth of customers of whom it expects most paid less of the "
        "spend than that of last_year (-0.041, -0.067 to -0.016); it errs by 1622.12 (+182.93, +115.87 to +246.61). "
        "regression is refused: the shop's orders are nothing to learn it from."
    )


def test_too_few_days_say_so():
    assert explain_judgement(364, make_judgement(days=0)) == (
        "Spend of 364 days is predicted by last_year: the shop's orders do not go back far enough to judge by."
    )
