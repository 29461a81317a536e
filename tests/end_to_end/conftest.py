"""The tiny shop's weeks, run once per session whatever the number of test processes.

A full week takes some 40 CPU seconds. Nobody changes the shared home: a test that runs
something in it does so in a copy.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from dataclasses import asdict

import pytest

from helpers import shops

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
            done.write_text(json.dumps([asdict(one) for one in ran]))
        ran = [shops.Ran(**one) for one in json.loads(done.read_text())]
    for one in ran:
        assert one.code == 0, one.err
    return shops.Home(home, dict(zip(WEEKS, ran, strict=True)))


@pytest.fixture(scope="session")
def earlier(weekly: shops.Home) -> shops.Home:
    """The home as it was between the two weeks; nobody changes it either."""
    return shops.Home(weekly.path.with_name("earlier"), {WEEKS[0]: weekly.ran[WEEKS[0]]})
