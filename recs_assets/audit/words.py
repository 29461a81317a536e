"""Figures in sentences."""

from __future__ import annotations


def count(number: float, noun: str, plural: str | None = None) -> str:
    """A number with its noun.

    >>> count(1, "row"), count(1234, "row"), count(2, "category", "categories")
    ('1 row', '1,234 rows', '2 categories')
    """
    return f"{number:,.0f} {noun if number == 1 else plural or noun + 's'}"


def share(value: float) -> str:
    """A share in per cent, with a decimal where it would else say nothing.

    >>> share(0.41), share(0.004), share(0.00001), share(0.9996), share(1), share(0)
    ('41 %', '0.4 %', 'under 0.1 %', '99.96 %', '100 %', '0 %')
    """
    if 0 < value < 0.0005:
        return "under 0.1 %"
    if value in (0, 1) or 0.01 <= value <= 0.99:
        return f"{value:.0%}".replace("%", " %")
    return f"{value:.{1 if value < 0.5 else 2}%}".replace("%", " %")
