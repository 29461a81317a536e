"""What the gates do to a week: a refused one leaves what was published, a refused ranker the last good one."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import shops
from helpers.shops import Home

EARLIER, WEEK = "2025-05-05", "2025-06-30"


def in_week(data: Path, first: str, end: str) -> list[str]:
    """Ids of the orders dated from `first` to before `end`, by time."""
    rows = sorted(shops.rows_of(data, "orders"), key=lambda row: row["ordered_at"])
    return [row["order_id"] for row in rows if first <= row["ordered_at"][:10] < end]


def spike(data: Path, orders: int) -> None:
    """Copies of the newest week's last order, with its lines, until that week has so many."""
    there = in_week(data, "2025-06-23", WEEK)
    names = [f"spike-{number}" for number in range(orders - len(there))]
    for table in ("orders", "order_items"):
        shops.change(
            data,
            table,
            lambda rows: (
                rows
                + [row | {"order_id": name} for row in rows if row["order_id"] == there[-1] for name in names]
            ),
        )


@pytest.mark.own_week
def test_a_spike_blocks_the_week(weekly: Home, tmp_path: Path) -> None:
    home, data = weekly.copy(tmp_path / "home"), shops.copy(tmp_path / "data")
    before = len(in_week(data, "2025-04-28", EARLIER))
    assert before == 7
    spike(data, 70)
    published = home.kept()
    ran = shops.run(home.path, data, WEEK)
    assert ran.code == 1
    [error] = ran.errors
    assert error.startswith("Gate volume: ")
    assert f"orders in the last 7 days: 70 rows after 7 in week {EARLIER}, where at most 69 may be" in error
    assert error.endswith("or set RECS_GATE_OVERRIDE to the reason why this is right.")
    assert "what was published before is untouched" in ran.err
    assert home.kept() == published


def test_a_week_without_an_earlier_one_passes_and_says_so(weekly: Home) -> None:
    found = weekly.query(
        f"select distinct gate, passed from recs.gates where as_of = '{EARLIER}' and gate not in ('baselines', 'forecast') order by 1"
    )
    assert [gate for gate, _ in found] == [
        "consent", "coverage", "fill", "finite", "freshness", "model", "sameness", "spread", "volume",
    ]  # fmt: skip
    assert all(passed for _, passed in found)
    [(text,)] = weekly.query(f"select sentence from recs.gates where as_of = '{EARLIER}' and gate = 'model'")
    assert text == "ranker: no earlier week is published to compare with."
    counts = weekly.query(
        "select value::integer from recs.gates where gate = 'volume' and subject = 'orders' order by as_of"
    )
    known = [
        sum(row["ordered_at"][:10] < week for row in shops.rows_of(shops.TINY, "orders"))
        for week in (EARLIER, WEEK)
    ]
    assert [count for (count,) in counts] == known
