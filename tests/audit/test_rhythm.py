"""Days without rows: what is a gap, and what is only Sunday."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from recs_assets.audit.rhythm import find_gaps

MONDAY = date(2024, 1, 1)


def daily(days: int, rows: int = 20, closed: tuple[int, ...] = ()) -> list[int]:
    """Rows per day from a Monday on; none on the closed weekdays (0: Monday)."""
    return [0 if day % 7 in closed else rows + day % 3 for day in range(days)]


def without(counts: list[int], first: int, days: int) -> list[int]:
    return [0 if first <= day < first + days else rows for day, rows in enumerate(counts)]


def test_nine_lost_days_are_found() -> None:
    [gap] = find_gaps(MONDAY, without(daily(180), 60, 9))
    assert (gap.first, gap.last, gap.days) == (date(2024, 3, 1), date(2024, 3, 9), 9)
    assert gap.between == 10
    assert 180 <= gap.expected <= 200  # nine days of 20 to 22 rows
    assert gap.is_long


def test_a_shop_that_is_closed_on_sundays_misses_none() -> None:
    counts = daily(180, closed=(6,))
    assert find_gaps(MONDAY, counts) == []
    # Nine days from Friday, 1 March on: the Sunday among them, and the one after, are not missing.
    [gap] = find_gaps(MONDAY, without(counts, 60, 9))
    assert (gap.first, gap.last, gap.days) == (date(2024, 3, 1), date(2024, 3, 9), 8)


def test_a_single_day_is_a_holiday() -> None:
    [gap] = find_gaps(MONDAY, without(daily(180), 60, 1))
    assert (gap.first, gap.days, gap.is_long) == (date(2024, 3, 1), 1, False)


def test_a_weekly_export_that_did_not_come_is_more_than_a_holiday() -> None:
    counts = [500 if day % 7 == 0 else 0 for day in range(140)]
    assert find_gaps(MONDAY, counts) == []
    [gap] = find_gaps(MONDAY, without(counts, 70, 1))
    assert (gap.first, gap.days, gap.between, gap.is_long) == (date(2024, 3, 11), 1, 14, True)


def test_three_orders_a_week_may_stay_away_for_two_weeks_and_not_for_eight() -> None:
    # Monday, Wednesday, Saturday, moved by a day every other week: no two weeks are alike.
    counts = [1 if (day + (day // 7) % 2) % 7 in (0, 2, 5) else 0 for day in range(364)]
    assert find_gaps(MONDAY, counts) == []
    assert find_gaps(MONDAY, without(counts, 140, 14)) == []
    [gap] = find_gaps(MONDAY, without(counts, 140, 56))
    assert MONDAY + timedelta(days=138) <= gap.first <= MONDAY + timedelta(days=142)
    assert gap.is_long


def test_an_export_that_ends_early_is_a_gap_at_the_end() -> None:
    [gap] = find_gaps(MONDAY, [*daily(120), 0, 0, 0, 0])
    assert (gap.first, gap.last, gap.days) == (date(2024, 4, 30), date(2024, 5, 3), 4)


def test_nothing_is_missing_where_there_is_nothing() -> None:
    assert find_gaps(MONDAY, []) == []
    assert find_gaps(MONDAY, [0, 0, 0]) == []


@settings(max_examples=60, deadline=None)
@given(
    days=st.integers(40, 200),
    rows=st.integers(5, 50),
    closed=st.sets(st.integers(0, 6), max_size=4),
    at=st.integers(20, 39),
    length=st.integers(0, 12),
)
def test_gaps_hold_no_row_and_do_not_overlap(
    days: int, rows: int, closed: set[int], at: int, length: int
) -> None:
    counts = without(daily(days, rows, tuple(closed)), at, length)
    last = MONDAY - timedelta(days=1)
    for gap in find_gaps(MONDAY, counts):
        assert last < gap.first <= gap.last
        places = range((gap.first - MONDAY).days, (gap.last - MONDAY).days + 1)
        assert all(counts[place] == 0 for place in places)
        assert all(place % 7 not in closed for place in (places[0], places[-1]))
        assert 1 <= gap.days <= len(places)
        last = gap.last
