"""Predictive queries, answered by the command `query` in a process of its own, so that the server goes on."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from recs_assets.store.lock import is_writing
from recs_assets.views.desk import Row

if TYPE_CHECKING:
    from recs_assets.settings import Settings

SECONDS = 180.0
MOST_ROWS, KEPT = 200, 20
EXAMPLE = "PREDICT COUNT(orders.*, 0, 28, days) > 0 FOR EACH customers.customer_id"


@dataclass(frozen=True)
class Answer:
    """What became of a query.

    Attributes:
        rows: at most so many; those of the customer first asked about, where one is.
        count: rows in all.
        sentence: what to read beside them, or why there are none.
        failed: whether there is no answer.
    """

    rows: list[Row] = field(default_factory=list)
    count: int = 0
    sentence: str = ""
    failed: bool = False


class Questions:
    """Asks predictive queries, one at a time.

    Args:
        settings: of the deployment.
        seconds: how long a query may take.
    """

    def __init__(self, settings: Settings, seconds: float = SECONDS) -> None:
        self.settings, self.seconds = settings, seconds
        self._busy = Lock()
        self._answers: OrderedDict[tuple[str, str], tuple[list[Row], str]] = OrderedDict()

    def ask(self, query: str, customer_id: str | None = None) -> Answer:
        """The answer to a query, of one customer where they are named; a sentence where there is none."""
        if not query:
            return Answer(sentence="Write a query, such as the example.", failed=True)
        link = self.settings.home / "published" / "recs.duckdb"
        key = query, str(link.resolve())
        if key not in self._answers:
            if not self._busy.acquire(blocking=False):
                return Answer(sentence="Another query is being answered. Ask again in a minute.", failed=True)
            try:
                rows, sentence = self._run(query)
            finally:
                self._busy.release()
            if rows is None:
                return Answer(sentence=sentence, failed=True)
            self._answers[key] = rows, sentence
            while len(self._answers) > KEPT:
                self._answers.popitem(last=False)
        rows, sentence = self._answers[key]
        if customer_id is not None and rows and "customer_id" in rows[0]:
            rows = [row for row in rows if row["customer_id"] == customer_id]
            if not rows:
                sentence = f"The query says nothing of this customer. {sentence}"
        return Answer(rows[:MOST_ROWS], len(rows), sentence)

    def _run(self, query: str) -> tuple[list[Row] | None, str]:
        """The rows of the command, and what it printed of them; None and its error where it failed."""
        with tempfile.TemporaryDirectory(prefix="recs-query-") as folder:
            target, log = Path(folder) / "answer.csv", Path(folder) / "log"
            command = [sys.executable, "-m", "recs_assets", "query", "--output", str(target), "--", query]
            environment = {**os.environ, "RECS_HOME": str(self.settings.home)}
            if self.settings.data is not None:
                environment["RECS_DATA"] = str(self.settings.data)
            with log.open("w") as file:
                process = subprocess.Popen(  # noqa: S603 - this program; the query is one argument
                    command, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
                )
            stopped = self._wait(process)
            if stopped:
                return None, stopped
            said = log.read_text("utf-8", "replace").splitlines()
            if process.returncode:
                errors = [line.removeprefix("Error: ") for line in said if line.startswith("Error: ")]
                return None, errors[-1] if errors else "The query failed without a reason."
            with target.open(newline="", encoding="utf-8") as file:
                rows = [{name: _read(value) for name, value in row.items()} for row in csv.DictReader(file)]
            return rows, _summarise(said, str(target))

    def _wait(self, process: subprocess.Popen[bytes]) -> str:
        """Wait for the end, or end it: what to say then; empty where it ended by itself."""
        lock, deadline = self.settings.home / "writer.lock", time.monotonic() + self.seconds
        try:
            while process.poll() is None:
                if is_writing(lock):  # it reads the file that the run is about to write
                    return "A run of a week is under way. Ask again when it is over."
                if time.monotonic() > deadline:
                    return (
                        f"The query took longer than {self.seconds:.0f} seconds and was stopped. Ask it on the command "
                        "line (python -m recs_assets query), which waits and keeps what was learned."
                    )
                time.sleep(0.1)
            return ""
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _summarise(said: list[str], target: str) -> str:
    """The first two lines that the command printed after the one that names the file: how much, and how sure."""
    at = next((number for number, line in enumerate(said) if target in line), len(said) - 1)
    return " ".join([line.strip() for line in said[at + 1 :] if line.strip()][:2])


def _read(value: str) -> object:
    """A number where the text is one with a point, so that it can be rounded; ids stay texts."""
    if "." in value:
        try:
            return float(value)
        except ValueError:
            return value
    return value
