"""Where a run is: one live display in a terminal, one line per step anywhere else.

Both learn it from the run's event log, so they show what Dagster knows.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Protocol, Self, TextIO

import dagster as dg
import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from recs_assets.cli.landed import LandedReport

STEP_ENDS = {
    dg.DagsterEventType.STEP_SUCCESS: "done",
    dg.DagsterEventType.STEP_FAILURE: "FAILED",
    dg.DagsterEventType.STEP_SKIPPED: "skipped",
}
EVENTS = {
    dg.DagsterEventType.STEP_START,
    *STEP_ENDS,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
}
# Every look opens Dagster's database anew, which takes processor time from the run.
POLL_SECONDS = 1.0
# A step that takes longer without a word gets a line of its own, so that nobody takes the run for dead.
SILENT_SECONDS = 15.0


class Display(Protocol):
    """What a run is shown on."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def start(self, step: str) -> None:
        """A step began."""

    def finish(self, step: str, outcome: str, seconds: float) -> None:
        """A step ended: done, FAILED or skipped."""

    def tick(self, running: Sequence[str]) -> None:
        """Some time went by; `running` are the steps at work."""

    def say(self, text: str) -> None:
        """Print lines that stay."""


def display(steps: Sequence[str], out: TextIO) -> Display:
    """The display for this output: live in a terminal, plain lines elsewhere.

    Args:
        steps: names of all steps of the job.
        out: where it is written.
    """
    console = Console(file=out, highlight=False)
    return LiveDisplay(steps, console) if console.is_terminal else PlainDisplay(len(steps), out)


class Watcher:
    """Reads the run's events while it runs and shows them, in a thread of its own.

    Args:
        instance: Dagster's records.
        run_id: the run, which need not exist yet.
        display: where it is shown.
    """

    def __init__(self, instance: dg.DagsterInstance, run_id: str, display: Display) -> None:
        self._instance = instance
        self._run_id = run_id
        self._display = display
        self._landed = LandedReport()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._started: dict[str, float] = {}
        self._cursor: str | None = None

    def __enter__(self) -> Watcher:
        self._display.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        try:
            self._read()
        finally:
            self._display.__exit__(*error)

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self._read()
            self._display.tick(list(self._started))

    def _read(self) -> None:
        if not self._instance.has_run(self._run_id):
            return
        page = self._instance.get_records_for_run(self._run_id, self._cursor, EVENTS)
        self._cursor = page.cursor
        for record in page.records:
            event, moment = record.event_log_entry.dagster_event, record.event_log_entry.timestamp
            step = event.step_key or ""
            if event.event_type == dg.DagsterEventType.STEP_START:
                self._started[step] = moment
                self._display.start(step)
            elif event.event_type in STEP_ENDS:
                seconds = moment - self._started.pop(step, moment)
                self._display.finish(step, STEP_ENDS[event.event_type], seconds)
            if lines := self._landed.read(event):
                self._display.say("\n".join(lines))


class PlainDisplay:
    """A line per finished step, for logs and pipes.

    Args:
        steps: how many the job has.
        out: where it is written.
    """

    def __init__(self, steps: int, out: TextIO) -> None:
        self._steps, self._out = steps, out
        self._done = 0
        self._begin = self._spoke = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start(self, step: str) -> None:
        pass

    def finish(self, step: str, outcome: str, seconds: float) -> None:
        self._done += 1
        self.say(f"[{self._done:>2}/{self._steps}] {step} {outcome} in {seconds:.1f} s")

    def tick(self, running: Sequence[str]) -> None:
        if time.monotonic() - self._spoke < SILENT_SECONDS:
            return
        now = ", ".join(running) or "starting"
        seconds = time.monotonic() - self._begin
        self.say(f"[{self._done:>2}/{self._steps}] {now} ... {seconds:.0f} s, {_measure_memory():.1f} GB")

    def say(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()
        self._spoke = time.monotonic()


class LiveDisplay:
    """One line for the run and one per stage, redrawn in place; what is said stays above them.

    Steps whose names share what stands before two underscores (`recommenders__als`) are one stage.

    Args:
        steps: names of all steps of the job.
        console: a terminal.
    """

    def __init__(self, steps: Sequence[str], console: Console) -> None:
        self._sizes = Counter(map(stage_of, steps))
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            refresh_per_second=2,
            redirect_stdout=False,  # dbt's lines go to the run's log
        )
        self._begin = time.monotonic()
        self._run = self._progress.add_task("week", total=len(steps), note="")
        self._stages: dict[str, TaskID] = {}
        self._seconds: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def start(self, step: str) -> None:
        self._progress.update(self._stage(step), note=_shorten(step))

    def finish(self, step: str, outcome: str, seconds: float) -> None:
        stage = stage_of(step)
        self._seconds[stage] += seconds
        note = f"{self._seconds[stage]:.1f} s" if outcome == "done" else f"{_shorten(step)} {outcome}"
        self._progress.update(self._stage(step), advance=1, note=note)
        self._progress.advance(self._run)

    def tick(self, running: Sequence[str]) -> None:
        seconds = time.monotonic() - self._begin
        self._progress.update(self._run, note=f"{seconds:.0f} s, {_measure_memory():.1f} GB")

    def say(self, text: str) -> None:
        self._progress.console.print(Text(text))

    def _stage(self, step: str) -> TaskID:
        name = stage_of(step)
        if name not in self._stages:
            total = self._sizes[name]
            self._stages[name] = self._progress.add_task(name.replace("_", " "), total=total, note="")
        return self._stages[name]


def stage_of(step: str) -> str:
    """The stage that a step belongs to.

    >>> stage_of("recommenders__als"), stage_of("prepare_features")
    ('recommenders', 'prepare_features')
    """
    return step.partition("__")[0]


def _shorten(step: str) -> str:
    return step.partition("__")[2].replace("_", " ")


def _measure_memory() -> float:
    return psutil.Process().memory_info().rss / 1e9
