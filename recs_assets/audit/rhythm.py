"""Days without rows that a table's own rhythm makes improbable: tracking that was lost, an export that was cut.

Of every run of days without rows it is asked how many rows the same weekdays had in the eight weeks before
and after. Were rows independent, so many would stay away with probability exp(-rows). They come in clumps, so
the expected rows are divided by how much more the days vary than independent rows would. A run is a gap where
such a one is to be expected less than once in a hundred histories of this length. A shop that is closed on
Sundays expects nothing on a Sunday, and one with three orders a week may go three weeks without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

WEEKS_AROUND = 8
EXPECTED_BY_CHANCE = 0.01
# A single day may be a holiday, unless the table has rows but once a week.
LONG_DAYS = 2
LONG_BETWEEN = 8


@dataclass(frozen=True)
class Gap:
    """A run of days without rows.

    Attributes:
        first: day on which rows were to be expected.
        last: day on which rows were to be expected.
        days: so many days on which rows were to be expected.
        between: days from the row before to the row after.
        expected: rows that the same weekdays around it had.
    """

    first: date
    last: date
    days: int
    between: int
    expected: float

    @property
    def is_long(self) -> bool:
        """Whether it is more than a holiday."""
        return self.days >= LONG_DAYS or self.between >= LONG_BETWEEN


def find_gaps(first: date, counts: Sequence[int]) -> list[Gap]:
    """The gaps of a table.

    Args:
        first: day of the first row.
        counts: rows per day from then on, without holes; days after the last row count as days without rows.
    """
    rows = np.asarray(counts, dtype=float)
    length = len(rows)
    if not length or not rows.any():
        return []
    dispersion = _measure_dispersion(rows)
    found = []
    for start, end in _list_empty_runs(rows):
        expected = np.array([_expect(rows, day, start, end) for day in range(start, end)])
        if length * np.exp(-expected.sum() / dispersion) >= EXPECTED_BY_CHANCE:
            continue
        [due] = np.nonzero(expected > 0)
        found.append(
            Gap(
                first + timedelta(days=start + int(due[0])),
                first + timedelta(days=start + int(due[-1])),
                len(due),
                end - start + 1,
                float(expected.sum()),
            )
        )
    return found


def _list_empty_runs(rows: np.ndarray) -> list[tuple[int, int]]:
    """Runs of days without rows, as [start, end)."""
    edges = np.diff(np.concatenate([[0], (rows == 0).astype(int), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def _expect(rows: np.ndarray, day: int, start: int, end: int) -> float:
    """Rows of a day by the same weekday around it, the run itself left out."""
    around = [
        rows[other]
        for week in range(1, WEEKS_AROUND + 1)
        for other in (day - 7 * week, day + 7 * week)
        if 0 <= other < len(rows) and not start <= other < end
    ]
    return float(np.mean(around)) if around else 0.0


def _measure_dispersion(rows: np.ndarray) -> float:
    """How much more the days vary around the same weekdays than independent rows would (Pearson); at least 1.

    Only days with rows: the gaps must not excuse themselves.
    """
    days = [
        (rows[day], expected)
        for day in np.flatnonzero(rows)
        if (expected := _expect(rows, int(day), int(day), int(day) + 1)) > 0
    ]
    if not days:
        return 1.0
    seen, expected = np.array(days).T
    return max(1.0, float(np.mean((seen - expected) ** 2 / expected)))
