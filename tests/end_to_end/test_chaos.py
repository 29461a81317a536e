"""A few of the faults that `make chaos` injects: enough to see in CI that the rest would be noticed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from helpers import chaos, shops
from helpers.chaos import Trial
from helpers.shops import Home
from recs_assets.exports.jsonl import lookup


@pytest.fixture
def trial(weekly: Home, earlier: Home, tmp_path: Path) -> Trial:
    """A home where 2025-05-05 is published, the shop's files, and the hashes of the week that `weekly` ran."""
    return Trial(earlier.copy(tmp_path / "home"), shops.copy(tmp_path / "data"), weekly.hashes()[-1][1])


SAMPLED = [fault for fault in chaos.FILES if fault.name in ("cut off at the end of a row", "decimal comma")]


@pytest.mark.parametrize("fault", SAMPLED, ids=lambda fault: fault.name)
def test_a_broken_file(trial: Trial, fault: chaos.Fault) -> None:
    seen = chaos.tried(fault, trial)
    assert seen.ok, seen.observed


def test_the_cache_cut_in_the_middle(trial: Trial) -> None:
    for seen in chaos.cut_cache(trial, (0, 1_000)):
        assert seen.ok, (seen.name, seen.observed)


def test_killed_twice_then_run_twice_at_once_ends_like_one_that_never_was(
    weekly: Home, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while landing and after the lists are made; then two runs start together while an analyst
    holds the snapshot open: one waits for the other, both end well, and every table is what it would be."""
    for fault in chaos.kills((3, 33)):
        seen = chaos.tried(fault, trial)
        assert seen.ok, (seen.name, seen.observed)
    home = trial.home
    count = "select count(*), min(as_of) from recs.email_recommendations"
    with duckdb.connect(str(home.snapshot), read_only=True) as analyst:
        before = analyst.execute(count).fetchall()
        ran = [shops.finish(process) for process in [trial.start() for _ in range(2)]]
        assert [one.code for one in ran] == [0, 0], [one.err for one in ran]
        assert analyst.execute(count).fetchall() == before
    assert home.hashes() == [*weekly.hashes(), weekly.hashes()[1]]
    assert lookup(home.cache, "c01") == lookup(weekly.cache, "c01")
    assert chaos.whole(trial) == []
    assert chaos.left_over(trial) == []
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
    assert chaos.SAME(trial) == []
    assert chaos.whole(trial) == []
    other = replace(trial, never={**trial.never, "products": "of other rows"})
    assert chaos.SAME(other) == ["other rows in products"]
    assert chaos.same("products")(other) == []
    parquet = trial.home.cache / "current" / "recommendations.parquet"
    parquet.write_bytes(parquet.read_bytes()[:-1])
    assert chaos.whole(trial) == [f"{parquet} is not what its manifest promises"]
    (trial.home.cache / "versions" / ".aside-half").mkdir()
    (trial.home.cache / "versions" / ".aside-half" / "manifest.json").touch()
    assert [Path(name).parent.name for name in chaos.left_over(trial)] == [".aside-half"]
