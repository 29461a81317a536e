"""Charts as numbers: where things stand in a drawing. The templates draw them as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from recs_assets.views.desk import Row
from recs_assets.views.rules import COLUMNS, LINES

# Steps of the colour scales in the style sheet.
SHADES = 6


def shade(value: float | None, low: float, high: float) -> int:
    """Which step of the scale a value is, 0 (least) to 5; -1 where there is none."""
    if value is None:
        return -1
    if high <= low:
        return SHADES - 1
    return min(SHADES - 1, max(0, int((value - low) / (high - low) * SHADES)))


def whiskers(rows: Sequence[Row], width: float) -> list[Row]:
    """Value, interval and zero line of every row, as places between 0 and `width`."""
    numbers = [row[name] for row in rows for name in ("value", "ci_low", "ci_high") if row[name] is not None]
    low, high = min([0.0, *numbers]), max([1e-9, *numbers])
    scale = width / (high - low)

    def place(value: float | None) -> float | None:
        return None if value is None else round((value - low) * scale, 1)

    return [
        {
            **row,
            "x": place(row["value"]),
            "x_low": place(row["ci_low"]),
            "x_high": place(row["ci_high"]),
            "x_zero": place(0.0),
        }
        for row in rows
    ]


def bars(values: Sequence[float], width: float) -> list[tuple[float, float]]:
    """(start, length) of a bar per value; negative ones go left of a common zero."""
    most, least = max([0.0, *values]), min([0.0, *values])
    scale = width / max(most - least, 1e-12)
    zero = -least * scale
    return [
        (round(min(zero, zero + value * scale), 1), round(max(1.0, abs(value) * scale), 1))
        for value in values
    ]


def grid(cells: Sequence[Row], width: float, height: float) -> list[Row]:
    """The cells of `views.rules.bin_rules` as rectangles, with a shade by the log of their number of rules."""
    most = math.log(max([2, *(cell["rules"] for cell in cells)]))
    across, down = width / COLUMNS, height / LINES
    return [
        {
            **cell,
            "x": round(cell["column"] * across, 2),
            "y": round(height - (cell["line"] + 1) * down, 2),
            "w": round(across, 2),
            "h": round(down, 2),
            "shade": shade(math.log(cell["rules"]), 0, most),
        }
        for cell in cells
    ]


def time_axis(days: Sequence[date], width: float) -> dict[str, Any]:
    """Places of days between 0 and `width`, and ticks at the first of every month (or every third).

    Returns:
        place: of a day; ticks: day, x.
    """
    first, last = min(days), max(days)
    span = max(1, (last - first).days)

    def place(day: date) -> float:
        return round((day - first).days / span * width, 1)

    step = 3 if span > 400 else 1
    ticks, month = [], date(first.year, first.month, 1)
    while month <= last:
        if month >= first and (month.month - 1) % step == 0:
            ticks.append({"day": month, "x": place(month)})
        month = (month + timedelta(days=32)).replace(day=1)
    return {"place": place, "ticks": ticks}


def lines(rows: Sequence[Row], width: float, height: float) -> dict[str, Any]:
    """Values over weeks as one line per recommender: points "x,y x,y", with the scale's ends."""
    if not rows:
        return {"series": [], "low": 0, "high": 0, "days": []}
    axis = time_axis([row["as_of"] for row in rows], width)
    values = [row["value"] for row in rows if row["value"] is not None]
    low, high = min(values), max(values)
    scale = height / max(high - low, 1e-12)
    series: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["value"] is not None:
            y = round(height - (row["value"] - low) * scale, 1)
            series.setdefault(row["recommender"], []).append((axis["place"](row["as_of"]), y))
    days = sorted({row["as_of"] for row in rows})
    return {
        "series": [
            {"name": name, "points": points, "line": " ".join(f"{x},{y}" for x, y in points)}
            for name, points in series.items()
        ],
        "low": low,
        "high": high,
        "days": [{"day": day, "x": axis["place"](day)} for day in days],
    }


def small(
    points: Sequence[Row], low: float | None, high: float | None, width: float, height: float
) -> dict[str, Any]:
    """A figure over weeks with its limits, on a scale of its own.

    Args:
        points: as_of and value, oldest first.
        low: the lower limit; None: there is none.
        high: the upper limit.
        width: of the drawing.
        height: of it.

    Returns:
        points: x, y; line: the same as "x,y x,y"; limits: their y.
    """
    limits = [limit for limit in (low, high) if limit is not None]
    values = [point["value"] for point in points]
    least, most = min([*values, *limits]), max([*values, *limits])
    scale = height / (most - least) if most > least else 0.0

    def rise(value: float) -> float:
        return round(height - (value - least) * scale, 1) if scale else height / 2

    axis = time_axis([point["as_of"] for point in points], width)
    places = [(axis["place"](point["as_of"]), rise(point["value"])) for point in points]
    return {
        "points": places,
        "line": " ".join(f"{x},{y}" for x, y in places),
        "limits": [rise(limit) for limit in limits],
    }
