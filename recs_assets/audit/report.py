"""An audit for people: lines for a terminal, and a page in one file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recs_assets.audit.findings import READINESS, SECTIONS, Finding, key_of, list_important, sort_findings
from recs_assets.files import write_whole
from recs_assets.templates import render

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {"good": "green", "look": "yellow", "stop": "bold red"}


def print_report(console: Console, findings: Sequence[Finding], title: str) -> None:
    """Print the verdict, what to look at first, and every finding by section.

    Args:
        console: where it is printed; lines are wrapped at its width in a terminal only.
        findings: of one shop.
        title: what was audited.
    """
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    pipe = not console.is_terminal  # it has no width
    console.print(Text(title, "bold"), soft_wrap=pipe)
    important, more = list_important(findings)
    for finding in important:
        if key_of(finding) == READINESS:
            console.print(Text(finding.sentence, STYLES[finding.verdict]), soft_wrap=pipe)

    def show(heading: str, rows: Sequence[Finding]) -> None:
        if not rows:
            return
        console.print(Text(f"\n{heading}", "bold"))
        if pipe:
            for finding in rows:
                console.print(Text(f"  {_mark(finding):<4}  {finding.sentence}"), soft_wrap=True)
            return
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, min_width=4)
        table.add_column()
        for finding in rows:
            table.add_row(Text(_mark(finding), STYLES[finding.verdict]), Text(finding.sentence))
        console.print(Padding(table, (0, 0, 0, 2)))

    show("Look at first", [finding for finding in important if key_of(finding) != READINESS])
    if more:
        console.print(Text(f"  and {more} more, marked below"))
    for section, rows in _group(findings):
        # The newest row is in the line of its table, unless it is too old.
        show(
            SECTIONS[section],
            [
                finding
                for finding in rows
                if key_of(finding) != READINESS
                and not (finding.measure == "freshness" and finding.verdict == "good")
            ],
        )


def _mark(finding: Finding) -> str:
    return "" if finding.verdict == "good" else finding.verdict


def _group(findings: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    ordered = sort_findings(findings)
    return [(section, list(rows)) for section, rows in groupby(ordered, key=lambda finding: finding.section)]


def render_page(findings: Sequence[Finding], as_of: date | None, name: str) -> str:
    """The page as HTML that needs no other file.

    Args:
        findings: of one shop.
        as_of: the week; None: there is none.
        name: what was audited.
    """
    important, more = list_important(findings)
    head = next((finding for finding in findings if key_of(finding) == READINESS), None)
    return render(
        "audit/report.html.j2",
        head=head,
        important=[finding for finding in important if finding is not head],
        more=more,
        sections=[_describe_section(section, rows) for section, rows in _group(findings)],
        as_of=as_of,
        name=name,
    )


def write_page(path: Path, findings: Sequence[Finding], as_of: date | None, name: str) -> Path:
    """Write `render_page` as a file that is whole or not there; its path."""
    write_whole(path, render_page(findings, as_of, name))
    return path


def _describe_section(section: str, rows: Sequence[Finding]) -> dict[str, Any]:
    return {
        "name": section,
        "title": SECTIONS[section],
        "rows": [
            {
                "finding": finding,
                # A bar for what is a part of a whole.
                "bar": round(100 * min(1.0, max(0.0, finding.value)), 1)
                if finding.unit == "share" and finding.value is not None
                else None,
            }
            for finding in rows
            if key_of(finding) != READINESS  # it stands above all
        ],
        "counts": {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("stop", "look")},
    }
