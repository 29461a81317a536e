"""A week that was killed twice, then run twice at once: the usual run, and one whose ranker learned the opposite."""

from __future__ import annotations

import json
import os
from pathlib import Path

import dagster as dg
import pytest

from helpers.chaos import Survivor
from helpers.faults import EARLIER, WEEK, left_over, whole
from helpers.shops import Home
from recs_assets.exports.jsonl import lookup


@pytest.mark.own_week
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


@pytest.mark.own_week
def test_a_ranker_that_learned_the_opposite_leaves_the_last_good_one(
    weekly: Home, survivor: Survivor
) -> None:
    home, ran = survivor.trial.home, survivor.opposite
    assert ran.code == 0, ran.err
    assert "Gate model refused the new ranker: ranker: MAP@12 of " in ran.out
    last, kept = (home.path / "weeks" / week / "models" / "ranker" for week in (EARLIER, WEEK))
    assert (kept / "model.txt").read_bytes() == (last / "model.txt").read_bytes()
    before = "ranker_before_refit/model.txt"
    assert (kept.parent / before).read_bytes() == (last.parent / before).read_bytes()
    facts = {path: json.loads((path / "ranker.json").read_text())["facts"] for path in (last, kept)}
    why = facts[kept].pop("kept_from")
    assert facts[kept] == facts[last]
    assert why["week"] == EARLIER
    assert why["why"].startswith("ranker: MAP@12 of ")
    [(passed, overridden, high)] = home.query(
        f"select passed, overridden, value from recs.gates where as_of = '{WEEK}' and gate = 'model'"
    )
    assert (passed, overridden) == (False, False)
    assert high < -0.002
    # It scores this week's customers, and is what the evaluation tested.
    [(rows, scored)] = home.query(
        f"select count(*), count(ranker_score) from recs.recommendation_traces where as_of = '{WEEK}'"
    )
    assert rows == scored > 500
    best = "select value from recs.model_metrics where as_of = '{}' and recommender = 'ranker' and view = 'all' and segment = 'all' and metric = 'map' and k = 12"
    [(value,)], [(usual,)] = home.query(best.format(WEEK)), weekly.query(best.format(WEEK))
    assert value > 0.75 * usual
