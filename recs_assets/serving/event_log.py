"""The log of what the shop reports: append-only JSON Lines that the next run lands like any raw table.

    <home>/events/<raw table>/<day>-<process>.jsonl     one object per line, with the canonical column names
    <home>/events/.lock                                 held by whoever writes

A record is acknowledged when the disk has it. Requests that wait at the same time share one fsync. What stands after the
last line feed of a file is what a killed process left: it was never acknowledged, and the next start cuts it off.
"""

from __future__ import annotations

import fcntl
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from recs_assets.files import sync
from recs_assets.schema import RecsError
from recs_assets.sources import acknowledged
from recs_assets.sources.acknowledged import EVENTS, LOCK

# What the next run lands, and what is no raw table: a price holds until the next run reads the catalogue.
TABLES = (*acknowledged.TABLES, "prices")
# Records that one fsync covers at most.
BATCH = 2_000

Record = tuple[str, dict[str, Any]]  # of which table, and the row


class EventLogError(RecsError):
    """The event log cannot be written."""


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class EventLog:
    """Appends records from any number of threads; one thread writes.

    Args:
        home: of the deployment.
        clock: the time, in UTC; it names the files.
    """

    def __init__(self, home: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.folder = home / EVENTS
        self._clock = clock
        # Unlike a process id, never used before.
        self._name = f"{os.getpid()}-{os.urandom(4).hex()}"
        self._files: dict[str, Any] = {}
        self._waiting: queue.SimpleQueue[tuple[Sequence[Record], Future[None]] | None] = queue.SimpleQueue()
        with _lock(self.folder):
            cut_torn_lines(self.folder)
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
        self._thread.start()

    def append(self, records: Sequence[Record]) -> Future[None]:
        """Have records written; the future is done when the disk has them.

        Raises (from the future):
            EventLogError: the disk refuses.
        """
        done: Future[None] = Future()
        self._waiting.put((records, done))
        return done

    def close(self) -> None:
        """Write what waits, and stop."""
        self._waiting.put(None)
        self._thread.join()
        for file in self._files.values():
            file.close()

    def _run(self) -> None:
        ending = False
        while not ending:
            jobs = [self._waiting.get()]
            size = len(jobs[0][0]) if jobs[0] else 0
            with suppress(queue.Empty):
                while size < BATCH:
                    jobs.append(self._waiting.get_nowait())
                    size += len(jobs[-1][0]) if jobs[-1] else 0
            ending = None in jobs
            batch = [job for job in jobs if job is not None]
            if not batch:
                continue
            try:
                self._write(record for records, _ in batch for record in records)
            except OSError as error:
                problem = EventLogError(
                    f"{self.folder} cannot be written ({error.strerror}): make room on the disk, or repair the cause."
                )
                for _, done in batch:
                    done.set_exception(problem)
            else:
                for _, done in batch:
                    done.set_result(None)

    def _write(self, records: Iterable[Record]) -> None:
        lines: dict[str, list[bytes]] = {}
        for table, row in records:
            lines.setdefault(table, []).append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        with _lock(self.folder):
            for table, texts in lines.items():
                file = self._open(table)
                before = os.fstat(file.fileno()).st_size
                try:
                    file.write(b"".join(texts))
                    os.fsync(file.fileno())
                except OSError:
                    # Whoever is told that it failed sends it again; half of it must not stay.
                    with suppress(OSError):
                        os.ftruncate(file.fileno(), before)
                    raise

    def _open(self, table: str) -> Any:
        """The file of this process and day. A `forget` replaces files: then the new one."""
        path = self.folder / table / f"{self._clock():%Y-%m-%d}-{self._name}.jsonl"
        file = self._files.get(table)
        if file is not None:
            try:
                there = path.stat()
            except FileNotFoundError:
                there = None
            own = os.fstat(file.fileno())
            if there is not None and (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino):
                return file
            file.close()
        path.parent.mkdir(exist_ok=True)
        file = self._files[table] = path.open("ab", buffering=0)
        sync(path.parent)
        return file


def cut_torn_lines(folder: Path) -> list[Path]:
    """Cut off what follows the last line feed of every file; those that had something. The lock is held."""
    torn = []
    for path in sorted(folder.glob("*/*.jsonl")):
        with path.open("r+b") as file:
            text = file.read()
            whole = text.rfind(b"\n") + 1
            if whole < len(text):
                file.truncate(whole)
                os.fsync(file.fileno())
                torn.append(path)
    return torn


def read_records(folder: Path, since: datetime, places: dict[Path, int]) -> Iterator[Record]:
    """Whole lines that were not read before.

    Args:
        folder: of the log.
        since: files of days before are left out.
        places: by file how far it was read; is changed.
    """
    for table in TABLES:
        for path in sorted((folder / table).glob("*.jsonl")):
            if path.name[:10] < f"{since:%Y-%m-%d}":
                continue
            with suppress(FileNotFoundError), path.open("rb") as file:
                place = places.get(path, 0)
                if os.fstat(file.fileno()).st_size <= place:
                    continue
                file.seek(place)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    place += len(line)
                    with suppress(orjson.JSONDecodeError):  # the run that lands it says what is wrong
                        yield table, orjson.loads(line)
                places[path] = place
