"""A real browser: Chromium, driven by Playwright, that reports what it asks for and what axe finds."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

AXE = Path(__file__).parents[1] / "assets" / "axe-core-4.14.1.min.js.gz"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@dataclass
class Tab:
    """A page of the browser.

    Attributes:
        page: Playwright's.
        address: of the server.
        foreign: addresses of other machines that the page asked for.
        complaints: what the page wrote to the console as an error, and what it threw; that another machine did not answer
            is none, because the browser says so at any time later.
    """

    page: Any
    address: str
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        answer = self.page.goto(self.address + path)
        assert answer.status == 200, (path, answer.status)

    def list_violations(self) -> list[str]:
        """What axe finds wrong, with the places."""
        self.page.evaluate(gzip.decompress(AXE.read_bytes()).decode())
        found = self.page.evaluate(
            "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})",
            list(RULES),
        )
        return [
            f"{violation['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]


@contextmanager
def open_browser() -> Iterator[Any]:
    """Chromium; the test is skipped where there is none, or fails where RECS_TEST_SERVERS=required, as in CI."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        sentence = (
            f"There is no browser here: none of {', '.join(PROGRAMS)} (Debian: apt-get install chromium)."
        )
        (pytest.fail if os.environ.get("RECS_TEST_SERVERS") == "required" else pytest.skip)(sentence)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Without a sandbox, because tests often run as root in a container; every page is ours.
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_tab(browser: Any, address: str, **options: object) -> Iterator[Tab]:
    """A page in a fresh profile. CSP stays in force; requests to other hosts are noted and end here."""
    context = browser.new_context(**options)
    context.set_default_timeout(60_000)
    tab = Tab(context.new_page(), address)

    def let_through(route: Any) -> None:
        host = urlsplit(route.request.url).hostname
        if host == "127.0.0.1" or route.request.url.startswith("data:"):
            route.continue_()
        else:
            tab.foreign.append(route.request.url)
            route.abort()

    context.route("**/*", let_through)

    def listen(said: Any) -> None:
        if said.type == "error" and said.location.get("url") not in tab.foreign:
            tab.complaints.append(said.text)

    tab.page.on("console", listen)
    tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    try:
        yield tab
    finally:
        context.close()
