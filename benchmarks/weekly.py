"""Wall seconds and peak memory of the weekly run, per step: `python -m benchmarks.weekly`.

Runs the week as a user does (`python -m recs_assets run`, a subprocess with a fresh RECS_HOME), samples
the resident memory of that process and its children, and reads the steps' start and end from the
run's event log. Progress goes to stderr, the Markdown tables to stdout.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks import synthetic

ROOT = Path(__file__).resolve().parent.parent
INTERVAL_SECONDS = 0.2
GB = 1e9


@dataclass(frozen=True)
class Target:
    """What the issue asks for on two cores."""

    seconds: float
    gigabytes: float


TARGETS = {"demo": Target(240, 3), "synthetic": Target(1200, 8)}


@dataclass
class Memory:
    """Resident memory of a process tree over time.

    Pages that processes share count once per process, so the sum is at most too high.
    """

    times: list[float] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)

    def watch(self, pid: int, stop: threading.Event) -> None:
        root = psutil.Process(pid)
        while not stop.wait(INTERVAL_SECONDS):
            total = 0
            try:
                processes = [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for process in processes:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.times.append(time.time())
            self.totals.append(total)

    def peak(self, start: float, end: float) -> int:
        """The largest sample within a step, and the first after it: a short step may lie between two."""
        later = [at for at in self.times if at >= end]
        last = later[0] if later else end
        return max(
            (n for at, n in zip(self.times, self.totals, strict=True) if start <= at <= last), default=0
        )


@dataclass(frozen=True)
class Step:
    """One step of the run, as Dagster logged it."""

    name: str
    start: float
    end: float


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.weekly", description=__doc__)
    parser.add_argument("--only", choices=list(TARGETS))
    parser.add_argument("--customers", type=int, default=200_000, help="of the synthetic log")
    parser.add_argument("--products", type=int, default=20_000, help="of the synthetic log")
    parser.add_argument("--lines", type=int, default=5_000_000, help="of the synthetic log")
    parser.add_argument("--keep", type=Path, help="work in this new folder and leave it there")
    parsed = parser.parse_args(arguments)
    say(f"{machine()}\n")
    for name in [parsed.only] if parsed.only else list(TARGETS):
        with workspace(parsed.keep) as folder:
            data = None
            if name == "synthetic":
                data = folder / "data"
                tell(f"Writing the synthetic log to {data}.")
                rows = synthetic.write(data, parsed.customers, parsed.products, parsed.lines)
                say("Rows: " + ", ".join(f"{count:,} {table}" for table, count in rows.items()) + ".\n")
            measure(name, folder / f"{name}-home", data)
    return 0


@contextmanager
def workspace(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="recs_bench_") as folder:
        yield Path(folder)


def measure(name: str, home: Path, data: Path | None) -> None:
    """Run one week with the files in `data` (None: the demo's) and print its table."""
    inherited = {
        key: value for key, value in os.environ.items() if key not in ("RECS_DATA", "RECS_DATA_ROOT")
    }
    environment = inherited | {
        "RECS_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
    }
    if data is not None:
        environment["RECS_DATA"] = str(data)
    command = [sys.executable, "-m", "recs_assets", "run"]
    memory, stop = Memory(), threading.Event()
    started, processor = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    load = os.getloadavg()[0]
    run = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=sys.stderr)  # noqa: S603
    watcher = threading.Thread(target=memory.watch, args=(run.pid, stop))
    watcher.start()
    try:
        code = run.wait()
    except BaseException:
        run.terminate()
        raise
    finally:
        stop.set()
        watcher.join()
    ended = time.time()
    if code != 0:
        raise SystemExit(f"The {name} run ended with exit code {code}; see above.")
    say(table(name, steps(home / "dagster"), memory, started, ended))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - processor.ru_utime - processor.ru_stime
    say(
        f"The run used {used:.0f} s of processor time. Load average of the machine at the start "
        f"{load:.1f}, at the end {os.getloadavg()[0]:.1f}.\n"
    )


def steps(dagster_home: Path) -> list[Step]:
    """The steps of the only run in this Dagster home, in the order in which they started."""
    import dagster as dg

    kinds = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS}
    os.environ["DAGSTER_HOME"] = str(dagster_home)
    found, begun = [], {}
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        for record in instance.all_logs(run.run_id, of_type=kinds):
            key = record.dagster_event.step_key
            if record.dagster_event.event_type == dg.DagsterEventType.STEP_START:
                begun[key] = record.timestamp
            else:
                found.append(Step(key, begun[key], record.timestamp))
    return sorted(found, key=lambda step: step.start)


def table(name: str, found: list[Step], memory: Memory, started: float, ended: float) -> str:
    target, total, peak = TARGETS[name], ended - started, memory.peak(started, ended)
    first, last = found[0].start, max(step.end for step in found)
    rows = [("(start: settings, definitions, newest week)", started, first)]
    rows += [(f"`{step.name}`", step.start, step.end) for step in found]
    rows += [("(end: summary)", last, ended)]
    lines = [f"| {name}: step | wall s | peak RSS GB |", "|---|---:|---:|"]
    lines += [
        f"| {label} | {end - start:.1f} | {memory.peak(start, end) / GB:.2f} |" for label, start, end in rows
    ]
    met = "met" if total <= target.seconds and peak <= target.gigabytes * GB else "MISSED"
    lines.append(f"| **total** | **{total:.1f}** | **{peak / GB:.2f}** |")
    lines.append(f"\nTarget {target.seconds:.0f} s and {target.gigabytes:.0f} GB: {met}.")
    return "\n".join(lines)


def machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return (
        f"{os.cpu_count()} cores ({model}), {psutil.virtual_memory().total / GB:.0f} GB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}."
    )


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tell(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
