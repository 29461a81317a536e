"""One writer at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from recs_assets.schema import WarehouseError


@contextmanager
def writer_lock(
    path: Path, wait_seconds: float, on_wait: Callable[[str], None] = lambda message: None
) -> Generator[None]:
    """Hold the one-writer lock, an OS file lock that a killed process frees at once.

    A Dagster pool slot stays taken after `kill -9`; `flock` does not. The file's text names
    the holder for the message only, the lock itself is the kernel's.

    Raises:
        WarehouseError: when another process still holds it after `wait_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        announced = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
                if time.monotonic() >= deadline:
                    raise WarehouseError(
                        f"The writer lock {path} is still held by {holder} after {wait_seconds:.0f} s: "
                        "let that run finish or stop it, then start this one again."
                    ) from None
                if not announced:
                    on_wait(f"Waiting for {holder}, which holds {path}.")
                    announced = True
                time.sleep(0.2)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} since {datetime.now():%Y-%m-%d %H:%M:%S}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_writing(path: Path) -> bool:
    """Whether some process holds the one-writer lock now; asks without keeping it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
