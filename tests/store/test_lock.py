"""One writer at a time."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from helpers.warehouse import read_line, start_python
from recs_assets.schema import WarehouseError
from recs_assets.store.lock import writer_lock

HOLDER = """
import sys, time
from pathlib import Path
from recs_assets.store.lock import writer_lock
with writer_lock(Path(sys.argv[1]), 0):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_waits_then_names_its_holder_and_a_kill_frees_it(tmp_path: Path) -> None:
    lock = tmp_path / "home" / "writer.lock"
    holder = start_python(HOLDER, lock)
    try:
        assert read_line(holder) == "held"
        said: list[str] = []
        begun = time.monotonic()
        with (
            pytest.raises(WarehouseError, match=f"still held by process {holder.pid} since .* after 1 s"),
            writer_lock(lock, 1.0, said.append),
        ):
            pass
        assert time.monotonic() - begun >= 1.0
        assert len(said) == 1  # told once, not at every look
        assert said[0].startswith(f"Waiting for process {holder.pid} since ")
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
    with writer_lock(lock, 0):  # no waiting at all
        assert lock.read_text().startswith(f"process {os.getpid()} since ")


def test_a_waiting_run_gets_the_lock_when_it_is_let_go(tmp_path: Path) -> None:
    lock = tmp_path / "writer.lock"
    with writer_lock(lock, 0):
        waiting = start_python(HOLDER.replace("(Path(sys.argv[1]), 0)", "(Path(sys.argv[1]), 30)"), lock)
        time.sleep(0.5)
        assert waiting.poll() is None
    try:
        assert read_line(waiting) == "held"
    finally:
        waiting.kill()
        waiting.communicate()


def test_the_lock_is_let_go_after_an_error(tmp_path: Path) -> None:
    lock = tmp_path / "writer.lock"
    with pytest.raises(ZeroDivisionError), writer_lock(lock, 0):
        raise ZeroDivisionError
    with writer_lock(lock, 0):
        pass
