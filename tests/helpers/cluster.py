"""`make cluster` builds weeks on a Spark cluster of this machine and compares every published table with DuckDB's.

A standalone master, two workers and a Connect server on 127.0.0.1, from the wheel pyspark in an environment of its own
(.venv-cluster; Java 17 or newer must be there). Then a worker is killed while a week builds, and the Connect server.
With `--folder`, weeks that are there already are not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from helpers import shops
from helpers.equal_tables import count_rows, find_differences
from helpers.servers import free_port, wait_until
from recs_assets.engine.session import require_engine

HOURS_FOR_A_WEEK = 3
SECONDS = "seconds.txt"  # in a home: how long its week took
# Files that are in a home while the engine is at work.
DBT_BUILDS = "lake/weeks/*/*/made/*.*/*.parquet"
BLOCKS_WORK = "lake/blocks/*/job.json"


class Cluster:
    """The processes of a standalone cluster, each with a log in `folder`; without workers the server does their work."""

    def __init__(self, spark: Path, folder: Path, workers: int, memory: str) -> None:
        self.spark, self.folder, self.events = spark, folder, folder / "events"
        self.events.mkdir(exist_ok=True)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.workers, self.memory = workers, memory
        self.port = free_port()
        self.url = f"sc://127.0.0.1:{self.port}"
        self.master = f"local[{os.cpu_count()}]"

    def start(self) -> None:
        if self.workers:
            port = free_port()
            self.master = f"spark://127.0.0.1:{port}"
            self._run("master", "org.apache.spark.deploy.master.Master", "--port", str(port))
        for number in range(1, self.workers + 1):
            self.start_worker(f"worker{number}")
        self.start_server()

    def start_worker(self, name: str) -> None:
        self._run(
            name, "org.apache.spark.deploy.worker.Worker", "--cores", "1", "--memory", self.memory,
            "--work-dir", str(self.folder / name), self.master,
        )  # fmt: skip

    def start_server(self) -> None:
        settings = {
            "spark.master": self.master,
            "spark.driver.memory": self.memory,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            # Most of the work is to plan small statements: the thorough compiler never earns its time back.
            "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
            "spark.executor.memory": self.memory,
            "spark.executor.cores": "1",
            "spark.sql.shuffle.partitions": "4",
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": str(self.port),
            "spark.sql.warehouse.dir": str(self.folder / "warehouse"),
            "spark.ui.enabled": "false",
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": str(self.events),
            "spark.eventLog.compress": "false",
            "spark.eventLog.rolling.enabled": "false",
        }
        options = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
        self._run(
            "connect", "org.apache.spark.deploy.SparkSubmit", *options, "--class",
            "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal",
        )  # fmt: skip
        wait_until(lambda: require_engine(self.url), 120)

    def count_shuffled(self) -> int:
        """Bytes that tasks have written for other tasks since the start, compressed as they travel."""
        written = 0
        for path in self.events.iterdir():
            for line in path.open(encoding="utf-8"):
                if '"SparkListenerTaskEnd"' in line and (metrics := json.loads(line).get("Task Metrics")):
                    written += metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
        return written

    def kill(self, name: str) -> None:
        """As by a power cut, with the executors that the process started."""
        process = self.processes.pop(name)
        os.killpg(process.pid, 9)
        process.wait()

    def stop(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def _run(self, name: str, main: str, *arguments: str) -> None:
        environment = os.environ | {
            "SPARK_HOME": str(self.spark),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_HOSTNAME": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": str(shops.ROOT),  # the workers' project is this one
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(self.spark / "bin" / "spark-class"), main, *arguments],
                env=environment, stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
            )  # fmt: skip


@contextmanager
def open_cluster(spark: Path, folder: Path, workers: int = 2, memory: str = "2g") -> Iterator[Cluster]:
    cluster = Cluster(spark, folder, workers, memory)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def run_week(
    home: Path, data: Path, events: Sequence[tuple[str, Callable[[], None]]] = (), **settings: object
) -> tuple[shops.Ran, float]:
    """A week to its end, and its seconds.

    Args:
        home: of the week.
        data: the shop's files.
        events: what is done, one after the other, when a new file of a pattern is in the home.
        settings: further ones.
    """
    begun = time.time()
    process = shops.start(home, data, **settings)
    try:
        for pattern, act in events:
            while process.poll() is None and not _is_new(home, pattern, begun):
                time.sleep(0.05)
            act()
        return shops.finish(process, HOURS_FOR_A_WEEK * 3600), time.time() - begun
    finally:
        process.kill()


def _is_new(home: Path, pattern: str, since: float) -> bool:
    with suppress(FileNotFoundError):  # a folder that was there a moment ago
        return any(path.stat().st_mtime > since for path in home.glob(pattern))
    return False


def on_engine(cluster: Cluster, name: str) -> dict[str, object]:
    """The settings of a week on the cluster."""
    return {"engine": cluster.url, "block_customers": 10 if name == "tiny" else 1000}


def print_row(*cells: object) -> None:
    sys.stdout.write("| " + " | ".join(str(cell) for cell in cells) + " |\n")
    sys.stdout.flush()


def compare(cluster: Cluster, name: str, data: Path, folder: Path) -> None:
    """A line of the table: the week on DuckDB and on the cluster."""
    seconds = {}
    for engine in ("duckdb", "spark"):
        settings = on_engine(cluster, name) if engine == "spark" else {}
        home = folder / f"{name}-{engine}"
        if not (home / SECONDS).exists():
            ran, taken = run_week(home, data, **settings)
            if ran.code:
                raise SystemExit(f"{name} on {engine} failed: {(ran.out + ran.err)[-2000:]}")
            (home / SECONDS).write_text(f"{taken:.0f}")
        seconds[engine] = int((home / SECONDS).read_text())
    snapshots = [folder / f"{name}-{engine}" / "published" / "recs.duckdb" for engine in seconds]
    differences = find_differences(*snapshots)
    rows = count_rows(snapshots[1])
    print_row(
        name,
        len(rows),
        f"{sum(rows.values()):,}",
        *seconds.values(),
        differences or "all",
    )
    if differences:
        raise SystemExit(1)


def lose_workers(cluster: Cluster, folder: Path) -> None:
    home = folder / "lost-workers"

    def lose_the_second() -> None:
        cluster.kill("worker2")
        cluster.start_worker("worker3")

    events = [(DBT_BUILDS, lose_the_second), (BLOCKS_WORK, lambda: cluster.kill("worker1"))]
    ran, _ = run_week(home, shops.TINY, events, **on_engine(cluster, "tiny"))
    require_success(ran)
    there = find_differences(
        home / "published" / "recs.duckdb", folder / "tiny-duckdb" / "published" / "recs.duckdb"
    )
    print_row(
        "a worker is killed while dbt builds, another while blocks are worked on",
        f"exit code {ran.code}",
        there or "all tables equal",
    )
    if there:
        raise SystemExit(1)


def require_success(ran: shops.Ran) -> None:
    """Raise a SystemExit with the end of what a failed week printed."""
    if ran.code:
        raise SystemExit((ran.out + ran.err)[-2000:])


def lose_the_server(cluster: Cluster, folder: Path) -> None:
    home = folder / "lost-server"
    shutil.copytree(folder / "tiny-spark", home, symlinks=True)
    before = (home / "published" / "recs.duckdb").resolve().read_bytes()
    events = [(DBT_BUILDS, lambda: cluster.kill("connect"))]
    ran, _ = run_week(home, shops.TINY, events, **on_engine(cluster, "tiny"))
    error = next((line for line in (ran.out + ran.err).splitlines() if line.startswith("Error: ")), "")
    kept = (home / "published" / "recs.duckdb").resolve().read_bytes() == before
    print_row(
        "the Connect server is killed while a week builds",
        f"exit code {ran.code}",
        f"published version kept: {kept}",
        error,
    )
    cluster.start_server()
    again, _ = run_week(home, shops.TINY, **on_engine(cluster, "tiny"))
    require_success(again)
    there = find_differences(
        home / "published" / "recs.duckdb", folder / "tiny-duckdb" / "published" / "recs.duckdb"
    )
    there.pop("recs.publish_log", None)  # this home published the week a second time
    print_row("the same week again", f"exit code {again.code}", there or "all tables equal")
    if not ran.code or not kept or there:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spark", type=Path, required=True, help="folder of the installed package pyspark")
    parser.add_argument("--folder", type=Path, help="for homes and logs; default: a temporary one")
    parser.add_argument("--shop", action="append", default=[], metavar="NAME=FOLDER", help="a further shop")
    parser.add_argument("--memory", default="2g", help="of the server and of each worker's executor")
    parsed = parser.parse_args()
    # What was started ends with this process, also where it is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as scratch:
        folder = (parsed.folder or Path(scratch)).resolve()
        (folder / "spark").mkdir(parents=True, exist_ok=True)
        with open_cluster(parsed.spark.resolve(), folder / "spark", memory=parsed.memory) as cluster:
            print_row("shop", "tables", "rows", "seconds, DuckDB", "seconds, Spark", "tables that are equal")
            print_row(*["---"] * 6)
            compare(cluster, "tiny", shops.TINY, folder)
            for name, data in (shop.split("=", 1) for shop in parsed.shop):
                compare(cluster, name, Path(data), folder)
            lose_workers(cluster, folder)
            lose_the_server(cluster, folder)


if __name__ == "__main__":
    main()
