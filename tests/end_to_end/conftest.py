"""The tiny shop's weeks, run once per session whatever the number of test processes.

Nobody changes the shared home: a test that runs
something in it does so in a copy.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import duckdb
import pytest

from helpers import chaos, shops
from helpers.faults import Trial, tried

WEEKS = ("2025-05-05", "2025-06-30")


@pytest.fixture(scope="session")
def weekly(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> shops.Home:
    """Two weeks of the tiny shop as it is: first 2025-05-05, then 2025-06-30, the newest."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent  # of all processes of this session
    home, done = shared / "weekly", shared / "weekly.json"
    with (shared / "weekly.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            ran = [shops.run(home, shops.TINY, WEEKS[0])]
            shutil.copytree(home, shared / "earlier", symlinks=True)
            # The newest week is not named: it is found from the orders.
            ran.append(shops.run(home, shops.TINY))
            done.write_text(json.dumps([asdict(week) for week in ran]))
        ran = [shops.Ran(**week) for week in json.loads(done.read_text())]
    for week in ran:
        assert week.code == 0, week.err
    return shops.Home(home, dict(zip(WEEKS, ran, strict=True)))


@pytest.fixture(scope="session")
def earlier(weekly: shops.Home) -> shops.Home:
    """The home as it was between the two weeks; nobody changes it either."""
    return shops.Home(weekly.path.with_name("earlier"), {WEEKS[0]: weekly.ran[WEEKS[0]]})


@pytest.fixture(scope="session")
def survivor(
    weekly: shops.Home, earlier: shops.Home, tmp_path_factory: pytest.TempPathFactory
) -> chaos.Survivor:
    """The newest week killed while landing and after the lists are made; then two runs of it at once, the later of
    which has a ranker that learns the opposite, while an analyst holds the snapshot open."""
    folder = tmp_path_factory.mktemp("survivor")
    home, data = earlier.copy(folder / "home"), shops.copy(folder / "data")
    trial = Trial(home, data, weekly.hashes()[-1][1])
    kills = [tried(fault, trial) for fault in chaos.kills((3, 33))]
    count = "select count(*), min(as_of) from recs.email_recommendations"
    with duckdb.connect(str(home.snapshot), read_only=True) as analyst:
        before = analyst.execute(count).fetchall()
        usual = trial.start()
        chaos.at(1, usual)
        opposite = shops.start(
            home.path, data, WEEKS[1], program=(str(Path(__file__).with_name("corrupted.py")),)
        )
        ran = [shops.finish(process) for process in (usual, opposite)]
        after = analyst.execute(count).fetchall()
    return chaos.Survivor(trial, kills, *ran, (before, after))
