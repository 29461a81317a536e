"""Wall and processor seconds and peak memory of the weekly run, per step: `python -m benchmarks.weekly`.

Runs the week as a user does (`python -m recs_assets run`, a subprocess with a fresh RECS_HOME), samples
the resident memory of that process and its children, and reads the steps' start and end from the
run's event log. Progress goes to stderr, the Markdown tables to stdout.

`--engine sail` or `--engine spark` lets a server of this machine do what `RECS_ENGINE` moves to an engine (docs/scale.md), and
counts it apart. Sail is the wheel pysail; Spark the wheel pyspark in an environment of its own, whose folder `--spark` names.
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
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
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


# Whose memory and time is counted apart: the process of the week, dbt's, and a server beside them.
WEEK, DBT, ENGINE = "week", "dbt", "engine"


@dataclass
class Memory:
    """Resident memory of process trees over time, by role, and the processor time they have used until then.

    Pages that processes share count once per process, so the sum is at most too high.
    """

    times: list[float] = field(default_factory=list)
    samples: list[dict[str, int]] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def watch(self, week: int, engine: int | None, stop: threading.Event) -> None:
        while not stop.wait(INTERVAL_SECONDS):
            sample: dict[str, int] = defaultdict(int)
            for process in list_tree(week):
                sample[DBT if is_dbt(process) else WEEK] += resident(process)
            for process in list_tree(engine) if engine else []:
                sample[ENGINE] += resident(process)
            self.times.append(time.time())
            self.samples.append(sample)
            self.processor.append(processor_seconds(week) + processor_seconds(engine))

    def sum_processor(self, start: float, end: float) -> float:
        """Processor seconds between two times."""
        return float(np.diff(np.interp([start, end], self.times, self.processor))[0]) if self.times else 0.0

    def peak(self, start: float, end: float, roles: tuple[str, ...] = (WEEK, DBT)) -> int:
        """The largest sample within a step, and the first after it: a short step may lie between two."""
        later = [at for at in self.times if at >= end]
        last = later[0] if later else end
        return max(
            (
                sum(sample[role] for role in roles)
                for at, sample in zip(self.times, self.samples, strict=True)
                if start <= at <= last
            ),
            default=0,
        )


def list_tree(pid: int) -> list[psutil.Process]:
    """A process and all below it; none where it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def is_dbt(process: psutil.Process) -> bool:
    try:
        return any("dbt_process" in word for word in process.cmdline())
    except psutil.Error:
        return False


def resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def processor_seconds(pid: int | None) -> float:
    """What a process, those below it, and those that have ended below it used."""
    seconds = 0.0
    for process in list_tree(pid) if pid else []:
        try:
            used = process.cpu_times()
        except psutil.Error:
            continue
        seconds += used.user + used.system + used.children_user + used.children_system
    return seconds


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
    parser.add_argument("--lines", type=int, help="of the synthetic log; default: 25 per customer")
    parser.add_argument("--engine", choices=["duckdb", "sail", "spark"], help="of the synthetic log alone")
    parser.add_argument(
        "--spark", type=Path, help="folder of the installed package pyspark, for --engine spark"
    )
    parser.add_argument("--engine-memory", default="6g", help="of Spark's one process")
    parser.add_argument("--keep", type=Path, help="work in this new folder and leave it there")
    parsed = parser.parse_args(arguments)
    say(f"{machine()}\n")
    names = ["synthetic"] if parsed.engine else [parsed.only] if parsed.only else list(TARGETS)
    for name in names:
        with (
            workspace(parsed.keep) as folder,
            open_engine(parsed.engine, parsed.spark, parsed.engine_memory, folder) as engine,
        ):
            if name != "synthetic":
                measure(name, folder / f"{name}-home", None)
                continue
            data = folder / "data"
            tell(f"Writing the synthetic log to {data}.")
            lines = parsed.lines or 25 * parsed.customers
            rows = synthetic.write(data, parsed.customers, parsed.products, lines)
            say("Rows: " + ", ".join(f"{count:,} {table}" for table, count in rows.items()) + ".\n")
            used = measure(name, folder / f"{name}-home", data, engine)
            if parsed.engine:
                say(describe_use(parsed.engine, rows, used))
            if engine is not None and engine.count_shuffled is not None:
                say(f"\nShuffled: {engine.count_shuffled() / GB:.2f} GB.")
    return 0


@dataclass(frozen=True)
class Engine:
    """A server of this machine.

    Args:
        url: its address.
        pid: its process.
        count_shuffled: bytes that went from task to task since the start; None where it does not say.
    """

    url: str
    pid: int
    count_shuffled: Callable[[], int] | None = None


@contextmanager
def open_engine(name: str | None, spark: Path | None, memory: str, folder: Path) -> Iterator[Engine | None]:
    """The server that a week is given as RECS_ENGINE; None where the week builds on DuckDB."""
    sys.path.insert(0, str(ROOT / "tests"))
    from helpers.cluster import open_cluster
    from helpers.servers import Server, free_port
    from recs_assets.engine.session import require_engine

    if name == "sail":
        port = free_port()
        url = f"sc://127.0.0.1:{port}"
        program = str(Path(sys.executable).parent / "sail")
        command = [program, "spark", "server", "--ip", "127.0.0.1", "--port", str(port)]
        server = Server(command, port, url, ready=lambda: require_engine(url))
        try:
            yield Engine(url, server.process.pid)
        finally:
            server.kill()
    elif name == "spark":
        if spark is None:
            raise SystemExit("--engine spark needs --spark, the folder of the installed package pyspark.")
        (folder / "spark").mkdir()
        with open_cluster(spark.resolve(), folder / "spark", workers=0, memory=memory) as cluster:
            yield Engine(cluster.url, cluster.processes["connect"].pid, cluster.count_shuffled)
    else:
        yield None


@contextmanager
def workspace(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="recs_bench_") as folder:
        yield Path(folder)


@dataclass(frozen=True)
class Use:
    """What one week took.

    Args:
        wall: seconds from its start to its end.
        processor: seconds, by role; dbt's are among the week's.
        peaks: bytes, by role.
    """

    wall: float
    processor: dict[str, float]
    peaks: dict[str, int]


def measure(name: str, home: Path, data: Path | None, engine: Engine | None = None) -> Use:
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
    if engine is not None:
        environment["RECS_ENGINE"] = engine.url
    command = [sys.executable, "-m", "recs_assets", "run"]
    memory, stop = Memory(), threading.Event()
    server = engine.pid if engine else None
    before = resource.getrusage(resource.RUSAGE_CHILDREN), processor_seconds(server)
    started = time.time()
    load = os.getloadavg()[0]
    run = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=sys.stderr)  # noqa: S603
    watcher = threading.Thread(target=memory.watch, args=(run.pid, server, stop))
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
    used = after.ru_utime + after.ru_stime - before[0].ru_utime - before[0].ru_stime
    say(
        f"The run used {used:.0f} s of processor time. Load average of the machine at the start "
        f"{load:.1f}, at the end {os.getloadavg()[0]:.1f}.\n"
    )
    return Use(
        ended - started,
        {WEEK: used, ENGINE: processor_seconds(server) - before[1]},
        {role: memory.peak(started, ended, (role,)) for role in (WEEK, DBT, ENGINE)},
    )


def describe_use(engine: str, rows: dict[str, int], use: Use) -> str:
    """One row for docs/scale.md, with its head."""
    lines, seconds = rows["order_items"], sum(use.processor.values())
    cells = {
        "engine": engine,
        "customers": f"{rows['customers']:,}",
        "lines": f"{lines:,}",
        "wall s": f"{use.wall:.0f}",
        "processor s, week and dbt": f"{use.processor[WEEK]:.0f}",
        "processor s, engine": f"{use.processor[ENGINE]:.0f}",
        **{f"peak GB, {role}": f"{peak / GB:.1f}" for role, peak in use.peaks.items()},
        "lines per core-second": f"{lines / seconds:,.0f}",
    }
    return "\n".join("| " + " | ".join(row) + " |" for row in (cells, ["---"] * len(cells), cells.values()))


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
    lines = [f"| {name}: step | wall s | processor s | peak RSS GB |", "|---|---:|---:|---:|"]
    lines += [
        f"| {label} | {end - start:.1f} | {memory.sum_processor(start, end):.1f} | {memory.peak(start, end) / GB:.2f} |"
        for label, start, end in rows
    ]
    met = "met" if total <= target.seconds and peak <= target.gigabytes * GB else "MISSED"
    used = memory.sum_processor(started, ended)
    lines.append(f"| **total** | **{total:.1f}** | **{used:.1f}** | **{peak / GB:.2f}** |")
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
