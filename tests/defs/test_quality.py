"""What a published table must hold, as Great Expectations judges it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from recs_assets.defs.quality import Gate, published_expectations


@pytest.mark.slow  # Great Expectations alone takes seconds to import
def test_a_short_reason_is_one_and_an_empty_one_is_none(tmp_path: Path) -> None:
    """ "Uit Tea" once stopped the week of a shop with Dutch customers."""
    rows = pd.DataFrame(
        {
            "as_of": date(2025, 6, 30), "customer_id": "c1", "rank": [1, 2], "product_id": ["p1", "p2"], "score": 1.0,
            "reason_text": ["Uit Tea", "De Té"],
        }
    )  # fmt: skip
    expected = published_expectations("customer_recommendations", 12)

    def passes(rows: pd.DataFrame) -> bool:
        return Gate(tmp_path).check(dg.AssetKey("lists"), "lists", rows, expected, "lists").passed

    assert passes(rows)
    assert not passes(rows.assign(reason_text=["Uit Tea", ""]))
