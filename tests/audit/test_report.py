"""The report: lines in a pipe, and a page in one file that escapes what the shop wrote."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

from rich.console import Console

from recs_assets.audit.findings import READINESS, Finding
from recs_assets.audit.report import print_report, render_page, write_page

FINDINGS = [
    Finding("categories", "<b>Tea</b>", "revenue_share", 0.425, "share", "good", "<b>Tea</b>: 42 % of the revenue."),
    Finding(*READINESS, 1, "level", "look", "Yes, within limits."),
    Finding("history", "orders", "missing_days", 9, "days", "look", "orders: 9 days without rows."),
    Finding("inventory", "orders", "freshness", 1, "days", "good", "The newest row of orders is a day old."),
]  # fmt: skip


def test_the_terminal_says_the_verdict_then_what_to_look_at() -> None:
    out = io.StringIO()
    print_report(Console(file=out, width=100, highlight=False), FINDINGS, "Audit of a shop")
    assert out.getvalue() == (
        "Audit of a shop\nYes, within limits.\n"
        "\nLook at first\n  look  orders: 9 days without rows.\n"
        "\nHistory and gaps\n  look  orders: 9 days without rows.\n"
        "\nCategories\n        <b>Tea</b>: 42 % of the revenue.\n"
    )


def test_a_narrow_terminal_wraps_the_sentences() -> None:
    out = io.StringIO()
    console = Console(file=out, width=30, force_terminal=True, color_system=None, highlight=False)
    print_report(console, FINDINGS, "Audit of a shop")
    assert max(len(line.rstrip()) for line in out.getvalue().splitlines()) <= 30


def test_the_page_needs_no_other_file_and_escapes_names(tmp_path: Path) -> None:
    page = write_page(tmp_path / "audit.html", FINDINGS, date(2024, 7, 1), "A & B").read_text("utf-8")
    assert "<title>Audit of A &amp; B</title>" in page
    assert "&lt;b&gt;Tea&lt;/b&gt;: 42 % of the revenue." in page
    assert "<b>Tea" not in page
    assert 'width="42.5"' in page
    assert page.count("Yes, within limits.") == 1
    for outside in ("http", "src=", "<script", "<link", "@import"):
        assert outside not in page
    assert render_page(FINDINGS, date(2024, 7, 1), "A & B") == page
