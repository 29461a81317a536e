"""What a killed run leaves in Dagster's records."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg

from recs_assets.defs.run import fail_killed_runs

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
input()
"""


def test_a_killed_run_is_marked_failed_and_a_living_one_is_not(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    with dg.DagsterInstance.ephemeral() as instance:
        for run_id, status in (("at-work", "STARTED"), ("elsewhere", "STARTED"), ("done", "SUCCESS")):
            instance.add_run(dg.DagsterRun("weekly", run_id=run_id, status=dg.DagsterRunStatus[status]))
        (logs / "done.log").touch()  # the run "elsewhere" was started by Dagster's daemon and has no log here
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(logs / "at-work.log")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert holder.stdout.readline() == b"held\n"
            assert fail_killed_runs(instance, logs) == []
        finally:
            holder.kill()
            holder.communicate()
        assert fail_killed_runs(instance, logs) == ["at-work"]
        assert fail_killed_runs(instance, logs) == []
        assert {run.run_id: run.status.value for run in instance.get_runs()} == {
            "at-work": "FAILURE",
            "elsewhere": "STARTED",
            "done": "SUCCESS",
        }
