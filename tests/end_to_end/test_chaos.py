"""A few of the faults that `make chaos` injects: enough to see in CI that the rest would be noticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers import chaos, shops
from helpers.faults import FILES, SAME, Fault, Trial, left_over, same, tried, whole
from helpers.shops import Home


@pytest.fixture
def trial(weekly: Home, earlier: Home, tmp_path: Path) -> Trial:
    """A home where 2025-05-05 is published, the shop's files, and the hashes of the week that `weekly` ran."""
    return Trial(earlier.copy(tmp_path / "home"), shops.copy(tmp_path / "data"), weekly.hashes()[-1][1])


SAMPLED = [fault for fault in FILES if fault.name in ("cut off at the end of a row", "decimal comma")]


@pytest.mark.own_week
@pytest.mark.parametrize("fault", SAMPLED, ids=lambda fault: fault.name)
def test_a_broken_file(trial: Trial, fault: Fault) -> None:
    seen = tried(fault, trial)
    assert seen.ok, seen.observed


def test_the_cache_cut_in_the_middle(trial: Trial) -> None:
    for seen in chaos.cut_cache(trial, (0, 1_000)):
        assert seen.ok, (seen.name, seen.observed)


def test_the_judges_can_say_no(weekly: Home, tmp_path: Path) -> None:
    trial = Trial(weekly.copy(tmp_path / "home"), shops.TINY, weekly.hashes()[-1][1])
    assert SAME(trial) == []
    assert whole(trial) == []
    other = replace(trial, never={**trial.never, "products": "of other rows"})
    assert SAME(other) == ["other rows in products"]
    assert same("products")(other) == []
    parquet = trial.home.cache / "current" / "recommendations.parquet"
    parquet.write_bytes(parquet.read_bytes()[:-1])
    assert whole(trial) == [f"{parquet} is not what its manifest promises"]
    (trial.home.cache / "versions" / ".aside-half").mkdir()
    (trial.home.cache / "versions" / ".aside-half" / "manifest.json").touch()
    assert [Path(name).parent.name for name in left_over(trial)] == [".aside-half"]
