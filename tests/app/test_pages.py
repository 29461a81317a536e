"""The state of a page, its download and its charts."""

from __future__ import annotations

from datetime import date

import pytest

from recs_assets.app.ui import charts, words
from recs_assets.app.ui.questions import Questions
from recs_assets.app.ui.state import State
from recs_assets.app.ui.table import write_csv
from recs_assets.settings import Settings
from recs_assets.store.lock import writer_lock


def test_what_is_not_understood_counts_as_not_said():
    state = State(
        {"k": "many", "view": "none", "lift": "nan", "week": "yesterday", "empty": "", "format": "csv"}
    )
    assert (
        state.count("k", 10, 1, 50),
        state.choice("view", ("all", "new")),
        state.number("lift", 2, 0, 9),
    ) == (10, "all", 2)
    assert state.day("week", [date(2024, 3, 4), date(2024, 2, 5)]) == date(2024, 3, 4)
    assert state.day("week", []) is None
    assert "format" not in state.link(empty="")


def test_numbers_stay_within_their_bounds():
    state = State({"k": "9999", "low": "-5"})
    assert (state.count("k", 10, 1, 50), state.number("low", 0, 0, 1)) == (50, 0)


def test_a_link_changes_what_it_says_and_keeps_the_rest():
    state = State({"customer": "~abc", "k": "5", "view": "new"})
    assert state.link(k=20, view=None) == "?customer=~abc&k=20"
    assert state.link(q="a&b=c") == "?customer=~abc&k=5&view=new&q=a%26b%3Dc"


def test_a_spreadsheet_calculates_nothing_of_a_download():
    rows = [
        {"customer_id": "c1", "name": "=1+1", "value": -2.5},
        {"customer_id": None, "name": "a,b", "value": None, "names": ["x", "y"]},
        {"customer_id": "c2", "name": "@now", "value": 1},
    ]
    assert write_csv(rows, lambda customer: f"~{customer}") == (
        "customer_id,name,value,names\r\n~c1,'=1+1,-2.5,\r\n,\"a,b\",,x + y\r\n~c2,'@now,1,\r\n"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0, "0"),
        (1234.5, "1,234"),
        (0.27812, "0.278"),
        (0.00042, "0.000420"),
        (-3.507, "-3.51"),
    ],
)
def test_a_figure_has_three_digits_that_say_something(value, shown):
    assert words.figure(value) == shown


def test_bars_start_from_a_common_zero():
    assert charts.bars([3.0, -1.0, 0.0], 100) == [(25.0, 75.0), (0.0, 25.0), (25.0, 1.0)]
    assert charts.bars([], 100) == []


def test_shades_have_a_step_for_every_value():
    assert [charts.shade(value, 0, 1) for value in (None, -1.0, 0.0, 0.5, 1.0, 7.0)] == [-1, 0, 0, 3, 5, 5]
    assert charts.shade(2.0, 2.0, 2.0) == 5


def test_whiskers_share_one_scale():
    rows = [
        {"value": 0.4, "ci_low": 0.3, "ci_high": 0.5},
        {"value": 0.1, "ci_low": None, "ci_high": None},
    ]
    drawn = charts.whiskers(rows, 100)
    assert [(row["x"], row["x_low"], row["x_high"], row["x_zero"]) for row in drawn] == [
        (80.0, 60.0, 100.0, 0.0),
        (20.0, None, None, 0.0),
    ]


def test_the_time_axis_has_a_tick_for_every_month():
    axis = charts.time_axis([date(2024, 1, 15), date(2024, 4, 14)], 90)
    assert [(tick["day"], tick["x"]) for tick in axis["ticks"]] == [
        (date(2024, 2, 1), 17.0),
        (date(2024, 3, 1), 46.0),
        (date(2024, 4, 1), 77.0),
    ]
    assert charts.time_axis([date(2024, 1, 15)], 90)["place"](date(2024, 1, 15)) == 0.0


def test_no_query_is_asked_while_a_run_writes(tmp_path):
    questions = Questions(Settings(home=tmp_path))
    with writer_lock(tmp_path / "writer.lock", 0):
        answer = questions.ask("PREDICT COUNT(orders.*, 0, 28, days) > 0 FOR EACH customers.customer_id")
    assert (answer.failed, answer.sentence) == (
        True,
        "A run of a week is under way. Ask again when it is over.",
    )


def test_a_query_that_takes_too_long_is_ended(tmp_path):
    answer = Questions(Settings(home=tmp_path), seconds=0).ask("PREDICT nothing")
    assert answer.sentence.startswith("The query took longer than 0 seconds and was stopped.")


def test_one_query_at_a_time(tmp_path):
    questions = Questions(Settings(home=tmp_path))
    with questions._busy:
        assert (
            questions.ask("PREDICT nothing").sentence
            == "Another query is being answered. Ask again in a minute."
        )


def test_a_small_chart_holds_its_limits_too():
    points = [{"as_of": date(2024, 3, 4), "value": 1.0}, {"as_of": date(2024, 3, 18), "value": 3.0}]
    assert charts.small(points, None, 5.0, 100, 40) == {
        "points": [(0.0, 40.0), (100.0, 20.0)],
        "line": "0.0,40.0 100.0,20.0",
        "limits": [0.0],
    }
    assert charts.small(points[:1], None, None, 100, 40)["points"] == [(0.0, 20.0)]
