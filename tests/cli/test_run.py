"""What the command says of a run that failed, and what a killed one leaves in Dagster's records."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from recs_assets.cli.failures import list_failures
from recs_assets.cli.job import fail_killed_runs
from recs_assets.defs.dbt import outwait_orphans
from recs_assets.schema import SourceError, WarehouseError

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
input()
"""

OPENER = """
import sys
file = open(sys.argv[1], "w")
print("at work", flush=True)
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


def said(assets: list[dg.AssetsDefinition], **resources: dg.ResourceDefinition) -> list[str]:
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            assets,
            resources=resources,
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        return list_failures(result)


def test_a_full_disk_is_said_once_and_other_errors_beside_it() -> None:
    @dg.asset
    def first() -> None:
        raise OSError(27, "File too large", "/home/x.parquet")

    @dg.asset
    def second() -> None:
        raise duckdb.IOException("IO Error: Could not write file")

    @dg.asset
    def third() -> None:
        raise SourceError("orders.csv: the file is empty (0 bytes); export it again.")

    @dg.asset
    def another() -> None:
        with duckdb.connect(config={"memory_limit": "1MB", "temp_directory": ""}) as connection:
            connection.execute(
                "create table t as select range as id, range::varchar as name from range(1000000)"
            )

    assert said([first, second, third, another]) == [
        "another: DuckDB needs more memory than RECS_MEMORY_LIMIT allows it: raise it, or make lists of fewer customers at a "
        "time (RECS_BLOCK_CUSTOMERS), then run the week again.",
        "third: orders.csv: the file is empty (0 bytes); export it again.",
        "first: the disk refuses ([Errno 27] File too large: '/home/x.parquet'): make room on it or repair the "
        "cause, then run the week again.",
    ]


def test_a_dbt_that_outlived_its_run_is_waited_for(tmp_path: Path) -> None:
    weeks, said = tmp_path / "weeks", []
    weeks.mkdir()
    outwait_orphans(weeks, 0, said.append)
    assert said == []
    at_work = subprocess.Popen(
        [sys.executable, "-c", OPENER, str(weeks / "build.duckdb"), "recs_assets.dbt_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert at_work.stdout.readline() == b"at work\n"
        outwait_orphans(tmp_path / "another home", 0, said.append)
        assert said == []
        with pytest.raises(
            WarehouseError, match=rf"process {at_work.pid}, still writes below .* after 0 s: stop"
        ):
            outwait_orphans(weeks, 0.1, said.append)
        threading.Timer(0.5, at_work.kill).start()
        outwait_orphans(weeks, 30, said.append)
        assert said == [f"Waiting for dbt of a killed run, process {at_work.pid}."] * 2
    finally:
        at_work.kill()
        at_work.communicate()


def test_a_run_that_ends_before_its_first_step_says_why() -> None:
    @dg.resource
    def warehouse() -> None:
        raise WarehouseError("The writer lock is still held by process 7 after 0 s: let that run finish.")

    @dg.asset(required_resource_keys={"warehouse"})
    def first() -> None: ...

    assert said([first], warehouse=warehouse) == [
        "The writer lock is still held by process 7 after 0 s: let that run finish."
    ]
