"""Cron expressions of five fields: what is wrong with one, and when it fires first.

Lists, ranges, steps and English names of months and days are understood; no macros such as
@daily, no seconds. cronsim 2.8 was tried in place of this module: like Debian's cron, and unlike Dagster, it
requires both the day of the month and the day of the week where one begins with a star (`*/2`), and takes the
first of two equal times in autumn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

# minute, hour, day of the month, month, day of the week (0 and 7 are Sunday)
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    ("day of the week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_DAYS_OF_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

# From one 29 February to the next are at most eight years.
_LONGEST_WAIT = 8 * 366


def cron_problem(text: str) -> str | None:
    """What is wrong with a cron expression; None: nothing.

    What passes here passes Dagster's own check, too (a test compares).

    >>> cron_problem("0 6 * * mon") is None, cron_problem("0 25 * * *")
    (True, 'hour is 25, but goes from 0 to 23')
    """
    try:
        _parse(text)
    except ValueError as error:
        return str(error)
    return None


def find_first_tick(text: str, zone: str, day: date) -> datetime:
    """The first moment at or after the day's midnight, in that time zone, at which a cron fires.

    As Dagster fires it: a time that the clocks skip fires when the gap ends, a time that comes twice
    the second time; where every hour is named, skipped times are left out and times that come twice
    fire twice. With both days of the month and of the week restricted, either suffices.

    Args:
        text: the expression.
        zone: IANA time zone.
        day: where to start.

    Returns:
        In UTC.

    Raises:
        ValueError: the expression is refused (`cron_problem`).

    >>> find_first_tick("0 6 * * 1", "Europe/Berlin", date(2025, 6, 30))
    datetime.datetime(2025, 6, 30, 4, 0, tzinfo=datetime.timezone.utc)
    """
    minutes, hours, days, months, weekdays = _parse(text)
    weekdays = {value % 7 for value in weekdays}
    any_day, any_weekday = _match_any_day(text, days, weekdays)
    local, hourly = ZoneInfo(zone), len(hours) == 24
    begin = min(_list_moments(datetime.combine(day, time()), local, hourly=False, first=True))
    for later in range(_LONGEST_WAIT + 1):
        candidate = day + timedelta(days=later)
        by_day, by_weekday = candidate.day in days, candidate.isoweekday() % 7 in weekdays
        fits = (by_day or by_weekday) if not (any_day or any_weekday) else (by_day and by_weekday)
        if candidate.month not in months or not fits:
            continue
        ticks = [
            moment
            for hour in hours
            for minute in minutes
            for moment in _list_moments(datetime.combine(candidate, time(hour, minute)), local, hourly)
            if moment >= begin
        ]
        if ticks:
            return min(ticks)
    raise ValueError(f"the cron {text} never fires")


def earliest_weekday(text: str) -> int:
    """The first day of a week on which a cron ever fires; 0 is Monday.

    Args:
        text: an expression that `cron_problem` finds nothing wrong with.

    >>> earliest_weekday("0 6 * * thu,sat"), earliest_weekday("0 6 1 * *"), earliest_weekday("0 6 1 * thu")
    (3, 0, 0)
    """
    _, _, days, _, weekdays = _parse(text)
    weekdays = {value % 7 for value in weekdays}
    any_day, any_weekday = _match_any_day(text, days, weekdays)
    # Every day of the month is a Monday at some time; where both days are restricted, either suffices.
    if any_weekday or not any_day:
        return 0
    return min((value - 1) % 7 for value in weekdays)


def _match_any_day(text: str, days: set[int], weekdays: set[int]) -> tuple[bool, bool]:
    """Whether any day of the month will do, and any day of the week (0 is Sunday)."""
    _, _, day_text, _, weekday_text = text.split()
    any_day = day_text == "*" or (len(days) == 31 and "*" in weekday_text)
    any_weekday = weekday_text == "*" or (len(weekdays) == 7 and "*" in day_text)
    return any_day, any_weekday


def _list_moments(wall: datetime, zone: ZoneInfo, hourly: bool, first: bool = False) -> Iterator[datetime]:
    """What a time on the wall is in UTC: one moment, two, or, where the clocks skip it, the gap's end."""
    early, late = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if early.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wall:
        if not hourly:
            # Of a skipped time, fold 1 lies before the gap and fold 0 after it.
            moment = late.astimezone(UTC)
            while moment.astimezone(zone).utcoffset() != late.utcoffset():
                moment += timedelta(minutes=1)
            yield moment
    elif hourly:
        yield from {early.astimezone(UTC), late.astimezone(UTC)}
    else:
        yield (early if first else late).astimezone(UTC)


def _parse(text: str) -> list[set[int]]:
    """The values of each field; ValueError says what is wrong."""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            "a cron has five fields (minute, hour, day, month, weekday), as in 0 6 * * 1, "
            f"and this has {len(fields)}"
        )
    chosen = [_parse_field(text, *field) for text, field in zip(fields, _FIELDS, strict=True)]
    days, months = chosen[2], chosen[3]
    if fields[4] == "*" and not any(min(days) <= _DAYS_OF_MONTH[month - 1] for month in months):
        raise ValueError(f"the day {min(days)} does not come in the months {fields[3]}")
    return chosen


def _parse_field(text: str, name: str, low: int, high: int, words: tuple[str, ...]) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\*|(\w+)(?:-(\w+))?)(?:/(\d{1,3}))?", part)
        if match is None:
            raise ValueError(f"{name} {part or 'of nothing'} is not a number, a range a-b, *, or */step")
        _, first, last, step = match.groups()
        ends = []
        for word in (first, last):
            if word is None:
                continue
            if not word.isdigit() and word.lower() not in words:
                known = f" or one of {', '.join(words)}" if words else ""
                raise ValueError(f"{name} {word} is not a number{known}")
            ends.append(int(word) if word.isdigit() else words.index(word.lower()) + low)
        if first is not None and step is not None and last is None:
            raise ValueError(f"{name} {part}: a step needs * or a range before it")
        if outside := [end for end in ends if not low <= end <= high]:
            raise ValueError(f"{name} is {outside[0]}, but goes from {low} to {high}")
        if step is not None and not 1 <= int(step) <= high:
            raise ValueError(f"{name} has a step of {step}; it must be from 1 to {high}")
        start, stop = (ends[0], ends[-1]) if ends else (low, high)
        if start > stop:
            raise ValueError(f"{name} {part} ends before it begins")
        values |= set(range(start, stop + 1, int(step or 1)))
    return values
