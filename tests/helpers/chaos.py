"""`make chaos` injects every fault and prints what it saw; helpers/faults.py says what must hold after each."""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from helpers import shops
from helpers.faults import (
    EARLIER,
    FILES,
    KILLED,
    ROWS,
    WEEK,
    Fault,
    Seen,
    Trial,
    left_over,
    restored,
    tried,
    whole,
)
from helpers.shops import Home, Ran

# -- processes ------------------------------------------------------------------------------


def at(step: int, process: subprocess.Popen[str]) -> None:
    """Wait until the run says that so many steps are done."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(f"[{step:>2}/"):
            return


def kill_at(step: int) -> Callable[[Trial], Ran]:
    def inject(trial: Trial) -> Ran:
        process = trial.start()
        at(step, process)
        process.kill()
        return shops.finish(process)

    return inject


def full_at(step: int, size: int) -> Callable[[Trial], Ran]:
    """From a step on, no file of the run or of what it starts may grow beyond `size` bytes."""

    def inject(trial: Trial) -> Ran:
        process = trial.start()
        at(step, process)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
        return shops.finish(process)

    return inject


@dataclass(frozen=True)
class Survivor:
    """A home after two kills and two runs at once, and what was seen on the way."""

    trial: Trial
    kills: list[Seen]
    usual: Ran
    opposite: Ran
    analyst: tuple[list[tuple], list[tuple]]


def kills(steps: range | tuple[int, ...]) -> tuple[Fault, ...]:
    return tuple(Fault("kill -9", f"after step {step}", kill_at(step), code=KILLED) for step in steps)


FULL = tuple(
    Fault(
        "disk full",
        f"after step {step}, at {size:,} bytes",
        full_at(step, size),
        error=r"disk|space|large|written",
    )
    for step, size in (
        (0, 1_000_000),
        (5, 300_000),
        (10, 4_000_000),
        (33, 100_000),
        (38, 1_000_000),
        (41, 1_000),
    )
)


# -- cache ----------------------------------------------------------------------------------

CUT = """
import resource, signal, sys
from datetime import date
from pathlib import Path
from recs_assets.exports.load import load_published_lists
from recs_assets.exports.versions import publish
from recs_assets.store.warehouse import Warehouse

home, size = Path(sys.argv[1]), int(sys.argv[2])
warehouse = Warehouse(home, threads=1)
week = warehouse.newest_published()
with warehouse.snapshot() as connection:
    rows = load_published_lists(connection, week)
if size >= 0:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
publish(rows, home / "cache", as_of=week, run_id="cut")
"""
# -25: the kernel's answer to the byte after the last one (SIGXFSZ).
CUT_OFF = -25


def cut(home: Path, size: int) -> Ran:
    """Write a new version of the cache and die at byte `size` of whichever file gets there first;
    -1: at none."""
    process = subprocess.run(
        [sys.executable, "-c", CUT, str(home), str(size)], cwd=shops.ROOT, capture_output=True, text=True
    )
    return Ran(process.returncode, process.stdout, process.stderr)


def cut_cache(trial: Trial, sizes: tuple[int, ...]) -> list[Seen]:
    """The file cache cut at each of these bytes, then written in full."""
    found = []
    current = trial.home.cache / "current"
    before = (current.readlink(), shops.bytes_below(current.resolve()))
    for size in sizes:
        ran = cut(trial.home.path, size)
        kept = (current.readlink(), shops.bytes_below(current.resolve())) == before
        wrong = [*([] if ran.code == CUT_OFF else [f"exit code {ran.code}: {ran.err[-200:]}"]), *whole(trial)]
        wrong += [] if kept else ["the current version changed"]
        expected = "killed; the old version whole"
        found.append(
            Seen("cache", f"cut at byte {size:,}", expected, "; ".join(wrong) or expected, not wrong)
        )
    ran = cut(trial.home.path, -1)
    wrong = [*([] if ran.code == 0 else [f"exit code {ran.code}: {ran.err[-200:]}"]), *whole(trial)]
    wrong += [f"left over: {name}" for name in left_over(trial)]
    expected = "a new version, nothing left over"
    return [*found, Seen("cache", "written again", expected, "; ".join(wrong) or expected, not wrong)]


CUTS = (0, 1, 100, 500, 1_000, 2_000, 5_000, 10_000)


# -- what is a test of its own -----------------------------------------------------------------

TESTS = {
    "quality": (
        "tests/end_to_end/test_gates.py",
        "tests/end_to_end/test_two_at_once.py::test_a_ranker_that_learned_the_opposite_leaves_the_last_good_one",
        "tests/evaluation/test_gate_verdicts.py",
        "tests/benchmarks/test_shuffled.py",
    ),
    "size": (
        "tests/end_to_end/test_weekly_again.py::test_a_bulk_order_and_a_till_change_nobody_elses_list",
        "tests/end_to_end/test_weekly_again.py::test_a_shop_with_one_customer_gets_its_list",
        "tests/end_to_end/test_weekly_again.py::test_a_shop_with_one_product_says_that_no_email_can_be_filled",
    ),
    "process": (
        "tests/end_to_end/test_two_at_once.py::test_killed_twice_then_run_twice_at_once_ends_like_one_that_never_was",
        "tests/store/test_snapshots.py::test_a_full_disk",
        "tests/store/test_snapshots.py::test_what_a_killed_publish_left_is_gone_after_the_next",
        "tests/cli/test_run.py",
    ),
    "cache": (
        "tests/exports/test_exports.py::test_nothing_is_half_switched",
        "tests/exports/test_server_caches.py",
        "tests/end_to_end/test_server_assets.py",
    ),
    "time": (
        "tests/defs/test_definitions.py::test_ten_years_of_ticks_are_ten_years_of_mondays",
        "tests/store/test_snapshots.py::test_a_backfill_leaves_the_newest_week_alone",
        "tests/end_to_end/test_weekly_again.py::test_what_happens_after_a_week_changes_nothing_in_it",
    ),
    "consent": (
        "tests/end_to_end/test_weekly_run.py::test_the_emails_files_leave_out_who_withdrew_since",
        "tests/end_to_end/test_weekly_run.py::test_nothing_is_learned_from_whoever_objected",
        "tests/end_to_end/test_weekly_run.py::test_the_erased_are_in_no_table_but_the_files_own",
        "tests/end_to_end/test_forget.py::test_only_the_keyed_hash_remains",
    ),
}


def tested(family: str, tests: tuple[str, ...]) -> Iterator[Seen]:
    """Faults that pytest injects, a row per test."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report.name}", *tests],
            cwd=shops.ROOT,
            capture_output=True,
        )
        for case in ElementTree.parse(report.name).iter("testcase"):
            failed = [child.tag for child in case]
            name = case.attrib["name"].removeprefix("test_").replace("_", " ")
            yield Seen(family, name, "the test passes", ", ".join(failed) or "it passes", not failed)


# -- all of them ------------------------------------------------------------------------------


def prepared(folder: Path) -> Trial:
    """A home with `EARLIER`, and the hashes of the week on a copy of it to which nothing happens."""
    home = Home(folder / "earlier", {})
    ran = [shops.run(home.path, shops.TINY, EARLIER)]
    never = home.copy(folder / "never")
    ran.append(shops.run(never.path, shops.TINY, WEEK))
    if any(one.code for one in ran):
        raise SystemExit("".join(one.err for one in ran))
    return Trial(home, shops.copy(folder / "data"), never.hashes()[-1][1])


def again(family: str, trial: Trial) -> Seen:
    """The week after the last fault of a family: as if there had been none, and nothing left over."""
    restored(trial.data)
    seen = tried(Fault(family, "then run again", Trial.run, code=0), trial)
    left = left_over(trial)
    return replace(seen, ok=False, observed=f"left over: {left}") if left else seen


def steps_of_a_week(trial: Trial) -> int:
    return int(re.findall(r"^\[ *\d+/(\d+)\]", Trial.run(trial).out, flags=re.MULTILINE)[0])


def run_all(folder: Path, only: str) -> Iterator[Seen]:
    base = prepared(folder)

    def on(name: str) -> Trial:
        return replace(base, home=base.home.copy(folder / name.replace(" ", "-")))

    def wanted(*names: str) -> bool:
        return any(re.search(only, name) for name in names)

    for fault in ROWS:
        if wanted(f"{fault.family} {fault.name}"):
            yield tried(fault, on(f"row-{ROWS.index(fault)}"))
    for family, faults in (("file", FILES), ("disk full", FULL), ("kill -9", None)):
        if not wanted(family):
            continue
        trial = on(family)
        restored(trial.data)
        if faults is None:
            faults = kills(range(steps_of_a_week(on("counted")) + 1))
        for fault in faults:
            yield tried(fault, trial)
        yield again(family, trial)
    if wanted("cache"):
        yield from cut_cache(on("cache"), CUTS)
    for family, tests in TESTS.items():
        if wanted(family):
            yield from tested(family, tests)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="pattern of a family, or of a family and a fault")
    only = parser.parse_args().only
    print("| family | fault | expected | observed | ok |\n|---|---|---|---|---|", flush=True)
    good = True
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        for seen in run_all(Path(folder), only):
            print(seen.row(), flush=True)
            good &= seen.ok
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
