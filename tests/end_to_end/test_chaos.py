"""A few of the faults that `make chaos` injects: enough to see in CI that the rest would be noticed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from helpers import chaos, shops
from helpers.chaos import Survivor
from helpers.faults import EARLIER, FILES, SAME, WEEK, Fault, Trial, left_over, same, tried, whole
from helpers.shops import Home
from recs_assets.exports.jsonl import lookup


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


@pytest.mark.own_week
@pytest.mark.xdist_group("survivor")
def test_killed_twice_then_run_twice_at_once_ends_like_one_that_never_was(
    weekly: Home, survivor: Survivor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run waits for the other, both end well, and every table of the first is what it would be."""
    for seen in survivor.kills:
        assert seen.ok, (seen.name, seen.observed)
    trial, home = survivor.trial, survivor.trial.home
    assert (survivor.usual.code, survivor.opposite.code) == (0, 0), survivor.usual.err + survivor.opposite.err
    before, after = survivor.analyst
    assert before == after
    assert home.hashes()[:-1] == weekly.hashes()
    assert [week for week, _ in home.hashes()] == [EARLIER, WEEK, WEEK]
    first = min(
        (path for path in (home.cache / "versions").iterdir() if path.name.startswith(WEEK)),
        key=lambda path: path.stat().st_mtime,
    )
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "current").symlink_to(first)
    assert lookup(tmp_path / "cache", "c01") == lookup(weekly.cache, "c01")
    assert whole(trial) == []
    assert left_over(trial) == []
    assert len(list((home.path / "published").glob("analytics-*"))) == 3
    monkeypatch.setitem(os.environ, "DAGSTER_HOME", str(home.path / "dagster"))
    with dg.DagsterInstance.get() as instance:
        # Newest first: these two, the two that were killed, and the week before.
        assert [run.status.value for run in instance.get_runs()] == [
            "SUCCESS", "SUCCESS", "FAILURE", "FAILURE", "SUCCESS",
        ]  # fmt: skip
        assert instance.event_log_storage.get_concurrency_info("duckdb_writer").active_slot_count == 0


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
