"""Figures in sentences."""

from __future__ import annotations


def percent(share: float) -> str:
    """
    >>> percent(0.0421)
    '4.2 %'
    """
    return f"{100 * share:.1f} %"


def weeks(count: int) -> str:
    """
    >>> weeks(1), weeks(3)
    ('1 week', '3 weeks')
    """
    return f"{count} week" if count == 1 else f"{count} weeks"
