"""The population stability index, and what of a column is kept, against figures that can be checked by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from recs_assets.monitoring import drift

MISSING, OTHER = drift.MISSING, drift.OTHER


def test_the_psi_of_a_hand_made_table() -> None:
    # (0.5 - 0.8) ln(0.5 / 0.8) + (0.5 - 0.2) ln(0.5 / 0.2) = 0.1410 + 0.2749
    counts, before = np.array([500_000, 500_000]), np.array([800_000, 200_000])
    assert drift.psi(counts, before) == pytest.approx(0.41589, abs=1e-5)
    assert drift.psi(before, counts) == drift.psi(counts, before)
    assert drift.psi(counts, counts) == 0


def test_an_empty_bin_is_no_infinity() -> None:
    # 100.5 / 101 and 0.5 / 101 against 50.5 / 101 each.
    expected = (50 / 101) * math.log(100.5 / 50.5) + (-50 / 101) * math.log(0.5 / 50.5)
    assert drift.psi(np.array([100, 0]), np.array([50, 50])) == pytest.approx(expected)


def test_chance_hardly_ever_exceeds_what_is_left_to_it() -> None:
    rng = np.random.default_rng(1)
    found = [
        drift.psi(*(np.bincount(rng.integers(0, 10, 400), minlength=10) for _ in range(2)))
        for _ in range(2000)
    ]
    assert np.mean(np.array(found) > drift.find_chance(10, 400, 400)) < 0.004
    assert max(found) > 0.1  # which a fixed limit would have taken for drift


def test_numbers_are_kept_as_quantile_bins() -> None:
    kept = drift.describe_numbers(np.array([*range(100), math.nan, math.nan]), bins=4, min_rows=2)
    assert kept.names == ("01", "02", "03", "04", MISSING)
    assert kept.edges.tolist()[:4] == [-math.inf, 25, 50, 75]
    assert kept.counts.tolist() == [25, 25, 25, 25, 2]


def test_a_bin_of_few_joins_another() -> None:
    kept = drift.describe_numbers(
        np.array([1.0] * 20 + [2.0] * 3 + [3.0] * 20 + [math.nan]), bins=10, min_rows=5
    )
    assert kept.names == ("01", "02", MISSING)
    assert kept.counts.tolist() == [23, 20, 0]


def test_values_of_few_rows_are_one() -> None:
    kept = drift.describe_values(pd.Series(["a"] * 6 + ["b"] * 5 + ["c"] * 4 + ["d"] * 3 + [None]), 5, 5)
    assert dict(zip(kept.names, kept.counts, strict=True)) == {"a": 6, "b": 5, OTHER: 7, MISSING: 0}


def test_new_values_are_found_with_their_rows() -> None:
    before = drift.describe_values(pd.Series(["a"] * 50 + ["b"] * 50), 5, 5)
    now = drift.describe_values(pd.Series(["a"] * 50 + ["c"] * 30), 5, 5)
    assert drift.find_unseen(now, before.names) == {"c": 30}
    assert dict(zip(before.names, drift.match_values(now, before.names).counts, strict=True)) == {
        "a": 50, "b": 0, OTHER: 30, MISSING: 0,
    }  # fmt: skip
