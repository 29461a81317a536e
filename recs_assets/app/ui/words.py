"""How values read on a page."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any

from recs_assets.exports.email import format_money

NONE = "–"


def number(value: Any, digits: int = 0) -> str:
    """A number with thousands separated; a dash where there is none."""
    return NONE if _is_none(value) else f"{value:,.{digits}f}"


def figure(value: Any) -> str:
    """A number with three digits that say something, so that 0.00042 and 1,234 are both read at once."""
    if _is_none(value):
        return NONE
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.{min(8, max(0, 2 - math.floor(math.log10(abs(value)))))}f}"


def percent(value: Any, digits: int = 1) -> str:
    return NONE if _is_none(value) else f"{100 * value:.{digits}f} %"


def money(value: Any, currency: str | None) -> str:
    return NONE if _is_none(value) else format_money(value, currency)


def day(value: date | datetime | None) -> str:
    return NONE if value is None else f"{value.day} {value:%b %Y}"


def words(name: str | None) -> str:
    """A name of a table or a rule, as people write it: one_per_title -> one per title."""
    return NONE if not name else name.replace("_", " ")


def text(value: Any) -> str:
    """Any value of a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return figure(value)
    if isinstance(value, int):
        return number(value)
    if isinstance(value, datetime | date):
        return day(value)
    return NONE if _is_none(value) or value == "" else str(value)


def _is_none(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
