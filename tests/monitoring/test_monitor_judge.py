"""Figures against history: what is unknown, what is an alert, which group is named."""

from __future__ import annotations

import copy
from pathlib import Path

import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

from helpers.monitoring import LIMITS, WEEK, make_history
from recs_assets.monitoring.figures import Figure
from recs_assets.monitoring.judge import judge
from recs_assets.monitoring.limits import Limit, Limits
from recs_assets.shop import SHIPPED

WEEKS = ("2025-06-09", "2025-06-16", "2025-06-23")


def verdicts(rows: pd.DataFrame) -> dict[tuple[str, str], str]:
    return dict(zip(zip(rows["metric"], rows["subject"], strict=True), rows["verdict"], strict=True))


def sentence(rows: pd.DataFrame, metric: str, subject: str) -> str:
    [row] = rows[((rows["metric"] == metric) & (rows["subject"] == subject)).to_numpy()].to_dict("records")
    return row["sentence"]


def steady(metric: str, subject: str, value: float, counted: int) -> list[tuple]:
    return [(week, metric, subject, value, counted) for week in WEEKS]


def test_nothing_is_ok_in_the_first_week() -> None:
    figures = [
        Figure("rows", "orders", 500.0, 500),
        Figure("drift", "orders.status", None, 500, weeks=0),
        Figure("coverage", "weekly_email", 0.4, 500),
        Figure("ctr", "weekly_email", 0.03, 5_000),
    ]
    rows = judge(figures, make_history(), LIMITS, WEEK)
    assert set(rows["verdict"]) == {"unknown"}
    assert rows["sentence"].tolist() == [
        "Too early to say that all is well: 0 alerts, 0 to watch, 4 unknown, of 4 figures; nothing can be compared yet of "
        "data, model, lists.",
        "orders has 500 rows; to compare, 2 earlier published weeks are needed and none is there.",
        "drift of orders.status: no earlier week is published to compare with.",
        "weekly_email: the lists show 40 % of the products on sale; to compare, 2 earlier published weeks are needed and "
        "none is there.",
        "weekly_email: 3 % of what was shown was clicked; to compare, 2 earlier published weeks are needed and none is "
        "there.",
    ]


def test_a_jump_is_an_alert_and_asks_for_a_look_at_the_data() -> None:
    history = make_history(*steady("rows", "orders", 100, 100), *steady("rows", "returns", 100, 100))
    rows = judge(
        [Figure("rows", "orders", 501.0, 501), Figure("rows", "returns", 199.0, 199)], history, LIMITS, WEEK
    )
    assert verdicts(rows) == {
        ("verdict", "all"): "alert", ("rows", "orders"): "alert", ("rows", "returns"): "ok",
    }  # fmt: skip
    assert sentence(rows, "verdict", "all") == (
        "Look at the data: 1 alert, 0 to watch, 0 unknown, of 2 figures. The first is rows of orders: orders has 501 rows, "
        "against 100 in the 3 published weeks before (watched below 50 and above 200)."
    )
    [row] = rows[(rows["subject"] == "orders").to_numpy()].to_dict("records")
    assert (row["reference"], row["reference_weeks"], row["limit_low"], row["limit_high"]) == (
        100,
        3,
        50,
        200,
    )
    assert (row["direction"], row["advice"]) == ("both", "look at the data")


def test_a_fall_by_a_factor_counts_as_a_rise_by_it() -> None:
    history = make_history(*steady("rows", "orders", 1_000, 1_000))
    for value, verdict in ((499, "watch"), (501, "ok"), (199, "alert"), (2_001, "watch"), (5_001, "alert")):
        rows = judge([Figure("rows", "orders", float(value), value)], history, LIMITS, WEEK)
        assert verdicts(rows)["rows", "orders"] == verdict, value


def test_a_share_is_compared_with_all_earlier_weeks_together_and_chance_is_no_alert() -> None:
    history = make_history(
        ("2025-06-16", "ctr", "mail", 0.10, 1_000), ("2025-06-23", "ctr", "mail", 0.04, 1_000)
    )
    few, many = (
        judge([Figure("ctr", "mail", 0.05, count)], history, LIMITS, WEEK).iloc[1] for count in (300, 10_000)
    )
    assert few["reference"] == many["reference"] == pytest.approx(0.07)
    assert few["change_low"] < -0.02 < few["change_high"]
    # 5 % of 300 may be 6.2 % of everybody; of 10,000 it is below 0.07 / 1.1.
    assert (few["verdict"], many["verdict"]) == ("ok", "watch")


def test_the_group_that_gets_worse_is_named() -> None:
    groups = {f"cohort:2024, quarter {n}": 0.30 for n in (1, 2, 3)} | {"cohort:2025, quarter 1": 0.15}
    history = make_history(*(row for name in groups for row in steady("hits", name, 0.30, 2_000)))
    rows = judge(
        [Figure("hits", name, value, 2_000) for name, value in groups.items()], history, LIMITS, WEEK
    )
    assert [subject for (metric, subject), verdict in verdicts(rows).items() if verdict == "alert"] == [
        "all", "cohort:2025, quarter 1",
    ]  # fmt: skip
    assert "retrain now" in rows["advice"].iloc[0]
    assert "cohort:2025, quarter 1" in rows["sentence"].iloc[0]


def test_the_unluckiest_of_many_small_groups_is_not_named() -> None:
    """Twenty groups of 60 around 30 %: one at 12 % is 3 standard errors off by itself, and drawn back beside the others."""
    values = {f"segment:{number:02d}": 0.30 + 0.06 * ((number % 5) - 2) for number in range(20)}
    history = make_history(*(row for name in values for row in steady("hits", name, 0.30, 60)))
    values["segment:07"] = 0.15
    rows = judge([Figure("hits", name, value, 60) for name, value in values.items()], history, LIMITS, WEEK)
    assert set(rows[(rows["metric"] == "hits").to_numpy()]["verdict"]) == {"ok"}
    alone = judge(
        [Figure("hits", "all", 0.15, 60)], make_history(*steady("hits", "all", 0.30, 60)), LIMITS, WEEK
    )
    assert alone["verdict"].iloc[1] == "watch"


def test_drift_within_chance_is_ok_and_beyond_it_is_not() -> None:
    def ask(value: float, chance: float) -> str:
        figure = Figure("drift", "orders.status", value, 500, weeks=1, chance=chance)
        return judge([figure], make_history(), LIMITS, WEEK)["verdict"].iloc[1]

    assert [ask(0.09, 0.0), ask(0.12, 0.0), ask(0.12, 0.2), ask(0.3, 0.2)] == ["ok", "watch", "ok", "alert"]


def test_what_rests_upon_few_is_unknown() -> None:
    history = make_history(*steady("rows", "orders", 40, 40))
    rows = judge([Figure("rows", "orders", 1.0, 1)], history, LIMITS, WEEK)
    assert sentence(rows, "rows", "orders") == "orders has 1 rows; 1 are too few to judge by (50)."


def test_only_so_many_weeks_are_compared_with() -> None:
    short = LIMITS.model_copy(update={"history": LIMITS.history.model_copy(update={"weeks": 2})})
    history = make_history(
        ("2025-06-09", "rows", "orders", 1, 100), ("2025-06-16", "rows", "orders", 90, 100),
        ("2025-06-23", "rows", "orders", 110, 100),
    )  # fmt: skip
    row = judge([Figure("rows", "orders", 100.0, 100)], history, short, WEEK).iloc[1]
    assert (row["reference"], row["reference_weeks"]) == (100, 2)


def test_the_same_figures_give_the_same_rows_in_any_order() -> None:
    history = make_history(*steady("rows", "a", 100, 100), *steady("hits", "segment:x", 0.3, 100))
    figures = [
        Figure("rows", "a", 300.0, 300), Figure("hits", "segment:x", 0.2, 100), Figure("drift", "b.c", 0.1, 900, weeks=1),
    ]  # fmt: skip
    first = judge(figures, history, LIMITS, WEEK)
    pd.testing.assert_frame_equal(first, judge(figures[::-1], history.iloc[::-1], LIMITS, WEEK))


# -- limits ---------------------------------------------------------------------------------


def test_a_file_of_limits_that_is_wrong_is_refused() -> None:
    shipped = yaml.safe_load(Path(SHIPPED["monitor"]).read_text("utf-8"))
    wrong = copy.deepcopy(shipped)
    del wrong["metrics"]["drift"]
    with pytest.raises(ValidationError, match="the metric drift has no limit"):
        Limits.model_validate(wrong)
    wrong = copy.deepcopy(shipped)
    wrong["metrics"]["drfit"] = wrong["metrics"]["drift"]
    with pytest.raises(ValidationError, match="there is no metric drfit"):
        Limits.model_validate(wrong)
    with pytest.raises(ValidationError, match="comes before watch"):
        Limit(worse="up", by="value", watch=0.5, alert=0.1)
    with pytest.raises(ValidationError, match="bad both ways needs a reference"):
        Limit(worse="both", by="value", watch=0.1, alert=0.5)
