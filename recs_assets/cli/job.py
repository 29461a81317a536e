"""Run one job of one week in this process, with its progress on the screen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import shutil
import sys
import time
import uuid
from datetime import date
from importlib import resources
from pathlib import Path

import dagster as dg
from sqlalchemy.exc import OperationalError

from recs_assets.cli.failures import list_failures
from recs_assets.cli.progress import Watcher, display
from recs_assets.defs import build_definitions
from recs_assets.defs.deployment import Deployment
from recs_assets.schema import SettingsError
from recs_assets.settings import Settings


def dagster_home(settings: Settings) -> Path:
    """Create `<home>/dagster` with the shipped dagster.yaml and point DAGSTER_HOME at it."""
    home = Path(os.environ.get("DAGSTER_HOME") or settings.home.resolve() / "dagster")
    home.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(home)
    with resources.as_file(resources.files("recs_assets.defs") / "dagster.yaml") as shipped:
        if not (home / "dagster.yaml").exists():
            shutil.copyfile(shipped, home / "dagster.yaml")
    return home


def run_job(name: str, settings: Settings, as_of: date | None, untouched: str) -> date | None:
    """Run one job for one week.

    Args:
        name: of the job in Dagster.
        settings: of the deployment.
        as_of: the week; None for the newest.
        untouched: what a failure leaves alone, for its sentence.

    Returns:
        The week, or None when the run failed; stderr says why.

    Raises:
        SettingsError: the week is no Monday, or there is no partition of it.
    """
    if as_of is not None and as_of.weekday() != 0:
        raise SettingsError(f"--as-of {as_of} is not a Monday: weeks start on Monday.")
    dagster_home(settings)
    deployment = Deployment.from_settings(settings)
    deployment.suppression()
    week = deployment.require_week(as_of or deployment.find_newest_week())
    return week if run_partition(name, deployment, week, f"Week {week}", untouched) else None


def run_partition(name: str, deployment: Deployment, day: date, called: str, untouched: str) -> bool:
    """Run one job for one week or day, with its progress on the screen; whether it succeeded, else stderr says why.

    Args:
        name: of the job in Dagster.
        deployment: with `dagster_home` set.
        day: key of the partition.
        called: what the sentences call it.
        untouched: what a failure leaves alone, for its sentence.
    """
    settings = deployment.settings
    job = build_definitions(settings).resolve_job_def(name)
    run_id = str(uuid.uuid4())
    print(f"{called}, source {deployment.source.name}, run {run_id}.", flush=True)
    if settings.gate_override is not None:
        print(f"Gates that fail let this run through: {settings.gate_override}", flush=True)
    started = time.monotonic()
    log = settings.home / "logs" / f"{run_id}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            dg.DagsterInstance.get() as instance,
            Watcher(instance, run_id, display(list(job.graph.node_dict), sys.stdout)),
            log.open("w", encoding="utf-8") as file,
            contextlib.redirect_stdout(file),  # dbt's own lines; the display says where the run is
        ):
            fcntl.flock(file, fcntl.LOCK_EX)  # until this process ends, however it ends
            fail_killed_runs(instance, log.parent)
            result = job.execute_in_process(
                partition_key=day.isoformat(),
                instance=instance,
                run_id=run_id,
                raise_on_error=False,
                # The display replaces Dagster's own lines on the terminal; the UI keeps every event.
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
    except (OSError, OperationalError) as error:
        # Dagster keeps its records in SQLite; a disk that refuses them ends the run from outside its steps.
        reason = " ".join(str(getattr(error, "orig", error)).split()).rstrip(".")
        print(f"{called} failed after {time.monotonic() - started:.0f} s; {untouched}.", file=sys.stderr)
        print(
            f"Error: {os.environ['DAGSTER_HOME']} or {log} cannot be written ({reason}): make room on the disk or "
            "repair the cause, then start it again.",
            file=sys.stderr,
        )
        return False
    seconds = time.monotonic() - started
    if not result.success:
        print(f"{called} failed after {seconds:.0f} s; {untouched}.", file=sys.stderr)
        for sentence in list_failures(result):
            print(f"Error: {sentence}", file=sys.stderr)
        print(f"Details: {log}, or the run in the Dagster UI (make dev).", file=sys.stderr)
        return False
    print(f"\n{called} done in {seconds:.0f} s, peak memory {_peak_bytes() / 1e9:.1f} GB.\n", flush=True)
    return True


def fail_killed_runs(instance: dg.DagsterInstance, logs: Path) -> list[str]:
    """Mark as failed every run of this command that says STARTED and whose process is gone; their ids.

    Dagster's run monitoring sees the processes that Dagster launched, and a started run counts against
    the writer's pool. A run of this command holds a lock on its log file, which a kill -9 frees.

    Args:
        instance: Dagster's records.
        logs: folder with `<run>.log`; runs without one there are left alone.
    """
    failed = []
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        log = logs / f"{run.run_id}.log"
        if not log.exists():
            continue
        with log.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            instance.report_run_failed(run, "The process of this run was killed: run the week again.")
        failed.append(run.run_id)
    return failed


def _peak_bytes() -> int:
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(own, children) * (1 if sys.platform == "darwin" else 1024)
