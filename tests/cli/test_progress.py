"""What a run shows: lines in a pipe, one display in a terminal, and the landed tables as soon as they are known."""

from __future__ import annotations

import io
import re

import dagster as dg
import pytest
from rich.console import Console

from recs_assets.cli import progress
from recs_assets.cli.landed import LandedReport
from recs_assets.cli.progress import LiveDisplay, PlainDisplay, Watcher, display
from recs_assets.defs.audit import AUDIT
from recs_assets.defs.dbt import QUARANTINE_SHARES
from recs_assets.defs.gates import LANDING_GATE
from recs_assets.defs.ingest import raw_key
from recs_assets.defs.metadata import PERIOD

STEPS = ["raw__orders", "recommenders__als", "recommenders__ease"]


def test_a_pipe_gets_one_line_per_step() -> None:
    out = io.StringIO()
    with display(STEPS, out) as shown:
        assert isinstance(shown, PlainDisplay)
        shown.start("raw__orders")
        shown.finish("raw__orders", "done", 1.25)
        shown.tick(["recommenders__als"])  # nothing new to say so soon
        shown.say("Landed:")
        shown.finish("recommenders__als", "FAILED", 20.0)
    assert out.getvalue() == (
        "[ 1/3] raw__orders done in 1.2 s\nLanded:\n[ 2/3] recommenders__als FAILED in 20.0 s\n"
    )


def test_a_long_step_gives_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0.0)
    out = io.StringIO()
    PlainDisplay(3, out).tick(["recommenders__als"])
    assert re.fullmatch(r"\[ 0/3\] recommenders__als \.\.\. 0 s, \d\.\d GB\n", out.getvalue())


def test_a_terminal_gets_one_display_with_a_line_per_stage() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    with LiveDisplay(STEPS, console) as shown:
        shown.say("Landed: [bold] is no markup")
        for step in STEPS:
            shown.start(step)
            shown.finish(step, "done", 1.5)
        shown.tick([])
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert "Landed: [bold] is no markup" in text
    last = [line.split() for line in text.replace("\r", "\n").splitlines() if line.strip()][-3:]
    assert [(line[1], line[-3:]) for line in last[1:]] == [
        ("raw", ["1/1", "1.5", "s"]),
        ("recommenders", ["2/2", "3.0", "s"]),
    ]
    assert last[0][1] == "week"
    assert "3/3" in last[0]


def landing() -> list[dg.AssetsDefinition | dg.AssetChecksDefinition]:
    """Two raw tables, their gate, and the model with the audit, as small as they can be."""

    @dg.asset(key=raw_key("orders"))
    def orders() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"dagster/row_count": 1234, PERIOD: "2024-01-02 to 2025-06-29"})

    @dg.asset(key=raw_key("searches"))
    def searches() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"dagster/row_count": 0})

    @dg.multi_asset_check(
        name=LANDING_GATE,
        specs=[
            dg.AssetCheckSpec("volume", asset=raw_key("orders"), additional_deps=[raw_key("searches")]),
        ],
    )
    def gate():
        yield dg.AssetCheckResult(
            asset_key=raw_key("orders"),
            check_name="volume",
            passed=True,
            description="As many rows as before.",
        )

    @dg.asset(key=dg.AssetKey(QUARANTINE_SHARES), deps=[raw_key("orders")])
    def shares() -> dg.MaterializeResult:
        return dg.MaterializeResult(
            metadata={AUDIT: ["Yes: enough for all.", "look  orders: 9 days without rows."]}
        )

    return [orders, searches, gate, shares]


LINES = [
    "Landed:",
    "  orders         1,234 rows  2024-01-02 to 2025-06-29",
    "  no rows of searches",
    "Gate volume: As many rows as before.",
    "Audit: Yes: enough for all.",
    "  look  orders: 9 days without rows.",
]


def test_what_was_landed_is_told_from_the_events_of_the_run() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(landing(), instance=instance)
        report = LandedReport()
        lines = [line for event in result.all_events for line in report.read(event)]
    assert sorted(lines) == sorted(LINES)
    assert lines.index("Landed:") + 1 == lines.index(LINES[1])


def test_a_watcher_shows_a_run_from_its_event_log() -> None:
    out = io.StringIO()
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = "00000000-0000-4000-8000-000000000000"
        job = dg.Definitions(assets=landing()[:2] + landing()[3:], asset_checks=[landing()[2]])
        job = job.resolve_implicit_global_asset_job_def()
        with Watcher(instance, run_id, PlainDisplay(4, out)):
            job.execute_in_process(instance=instance, run_id=run_id)
    lines = out.getvalue().splitlines()
    assert set(LINES) <= set(lines)
    assert [line[:6] for line in lines if line.startswith("[")] == [f"[ {n}/4]" for n in (1, 2, 3, 4)]
