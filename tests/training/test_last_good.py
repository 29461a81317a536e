"""With what a new ranker is compared."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

from recs_assets.training.ranker import LastGood


def test_the_last_ranker_is_compared_on_days_that_it_has_not_seen() -> None:
    before = SimpleNamespace(facts_={"anchors": ["2025-03-10", "2025-02-10", "2025-04-07"]})
    last = LastGood(date(2025, 5, 5), before, before)
    assert last.find_comparable(date(2025, 4, 7)) is before
    assert last.find_comparable(date(2025, 6, 2)) is before
    assert last.find_comparable(date(2025, 4, 6)) is None  # its own test window had begun
    assert LastGood(date(2025, 5, 5), before, None).find_comparable(date(2025, 6, 2)) is None
