"""Cron expressions: which are refused, and when the others fire, compared with Dagster."""

from __future__ import annotations

import warnings
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recs_assets.cron import cron_problem, earliest_weekday, find_first_tick


@pytest.mark.parametrize("text", ["0 6 * * 1", "*/15 8-18 * * mon-fri", "0 0 1,15 jan-jun/2 *", "5 4 29 2 *"])
def test_good_crons(text):
    assert cron_problem(text) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "@daily",
            "a cron has five fields (minute, hour, day, month, weekday), as in 0 6 * * 1, and this has 1",
        ),
        (
            "0 6 * * 1 *",
            "a cron has five fields (minute, hour, day, month, weekday), as in 0 6 * * 1, and this has 6",
        ),
        ("60 6 * * 1", "minute is 60, but goes from 0 to 59"),
        ("0 6 0 * 1", "day of the month is 0, but goes from 1 to 31"),
        ("0 6 * * 8", "day of the week is 8, but goes from 0 to 7"),
        ("0 6 * * moon", "day of the week moon is not a number or one of sun, mon, tue, wed, thu, fri, sat"),
        ("0 18-6 * * *", "hour 18-6 ends before it begins"),
        ("0 6,, * * *", "hour of nothing is not a number, a range a-b, *, or */step"),
        ("*/0 6 * * *", "minute has a step of 0; it must be from 1 to 59"),
        ("5/10 6 * * *", "minute 5/10: a step needs * or a range before it"),
        ("0 6 31 feb,jun *", "the day 31 does not come in the months feb,jun"),
    ],
)
def test_bad_crons(text, problem):
    assert cron_problem(text) == problem


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("0 6 * * 7", 6),
        ("0 6 * * sun,wed", 2),
        ("0 6 31 * *", 0),
        ("0 6 31 * fri", 0),
        ("0 6 * * */2", 1),
        ("0 6 */2 * fri", 0),
    ],
)
def test_the_earliest_day_of_a_week_on_which_a_cron_fires(text, day):
    """As it comes out over thirty years of weeks."""
    assert earliest_weekday(text) == day
    mondays = (date(2024, 1, 1) + timedelta(weeks=number) for number in range(1500))
    assert min((find_first_tick(text, "UTC", monday).date() - monday).days for monday in mondays) == day


NUMBERS = st.integers(0, 62).map(str)
PARTS = st.one_of(
    st.just("*"),
    NUMBERS,
    st.tuples(NUMBERS, NUMBERS).map("-".join),
    st.tuples(st.just("*"), NUMBERS).map("/".join),
    st.sampled_from(["mon", "Sun", "sat", "jan", "DEC", "", "x", "-1", "1-2-3", "fri-sun", "1-5/2"]),
)
FIELDS = st.lists(PARTS, min_size=1, max_size=3).map(",".join)


@settings(deadline=None)  # the first call imports Dagster
@given(st.lists(FIELDS, min_size=4, max_size=6).map(" ".join))
def test_dagster_takes_every_cron_that_passes(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dagster._utils.schedules import is_valid_cron_string

    if cron_problem(text) is None:
        assert is_valid_cron_string(text), text


@pytest.mark.parametrize(
    ("cron", "zone", "day", "tick"),
    [
        ("0 6 * * 1", "UTC", date(2025, 6, 30), "2025-06-30T06:00"),
        ("0 6 * * 1", "Europe/Berlin", date(2025, 6, 30), "2025-06-30T04:00"),  # summer
        ("0 6 * * 1", "Europe/Berlin", date(2025, 1, 6), "2025-01-06T05:00"),  # winter
        (
            "0 6 * * sun",
            "Europe/Berlin",
            date(2025, 3, 24),
            "2025-03-30T04:00",
        ),  # the clocks went forward at 2
        (
            "30 2 * * 0",
            "Europe/Berlin",
            date(2025, 3, 24),
            "2025-03-30T01:00",
        ),  # 2:30 is skipped: 3:00 summer
        (
            "30 2 * * 0",
            "Europe/Berlin",
            date(2025, 10, 20),
            "2025-10-26T01:30",
        ),  # 2:30 comes twice: the second
        ("30 * * * *", "Europe/Berlin", date(2025, 10, 26), "2025-10-25T22:30"),
        ("0 0 * * 1", "America/New_York", date(2025, 6, 30), "2025-06-30T04:00"),
        ("0 0 * * *", "Africa/Cairo", date(2025, 4, 25), "2025-04-24T22:00"),  # midnight is skipped
        ("0 9 1 * *", "Asia/Tokyo", date(2025, 6, 30), "2025-07-01T00:00"),
        ("0 9 29 2 *", "UTC", date(2025, 6, 30), "2028-02-29T09:00"),
        ("0 9 13 * 5", "UTC", date(2025, 6, 30), "2025-07-04T09:00"),  # the 13th, or a Friday
    ],
)
def test_the_first_tick(cron, zone, day, tick):
    assert find_first_tick(cron, zone, day) == datetime.fromisoformat(tick).replace(tzinfo=UTC)


def test_a_bad_cron_has_no_tick():
    with pytest.raises(ValueError, match="minute is 60"):
        find_first_tick("60 6 * * 1", "UTC", date(2025, 6, 30))


GOOD_FIELDS = st.tuples(
    st.sampled_from(["0", "30", "59", "*/20", "5,50", "*"]),
    st.sampled_from(["0", "1", "2", "3", "6", "23", "1-3", "*/4", "0-23", "*"]),
    st.sampled_from(["*", "1", "13", "26,30", "*/2", "1-31", "29-31"]),
    st.sampled_from(["*", "3", "10", "1-6", "feb"]),
    st.sampled_from(["*", "0", "7", "1", "mon-fri", "0-6", "*/3"]),
).map(" ".join)


@settings(deadline=None, max_examples=300)
@given(
    GOOD_FIELDS,
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Sydney", "Asia/Tokyo", "UTC"]),
    st.dates(date(2024, 1, 1), date(2026, 12, 31)),
)
def test_the_first_tick_is_dagsters(cron, zone, day):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dagster._utils.schedules import schedule_execution_time_iterator

    if cron_problem(cron) is not None:
        return
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    ticks = schedule_execution_time_iterator(midnight.timestamp(), cron, zone, True)
    assert find_first_tick(cron, zone, day) == next(tick for tick in ticks if tick >= midnight).astimezone(
        UTC
    )
