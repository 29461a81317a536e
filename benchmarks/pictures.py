"""Make the pictures of the documentation from a finished week: `make pictures`, or `python -m benchmarks.pictures HOME`.

Needs a Chromium on the PATH, which it talks to over the DevTools protocol. Nothing is written to the home: the
web server gets a copy of Dagster's records and is read-only.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import duckdb
import pandas as pd
import uvicorn
from fastapi import FastAPI
from websockets.sync.client import connect

from recs_assets.app.ui import Views
from recs_assets.app.ui.router import make_desk
from recs_assets.evaluation.evaluate import plot_metrics
from recs_assets.exports.email_preview import preview_html
from recs_assets.settings import Settings
from recs_assets.views.customers import sample_customers

IMAGES = Path(__file__).resolve().parents[1] / "docs/images"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 120.0


class Browser:
    """A headless Chromium with one page."""

    def __init__(self, folder: Path, width: int, height: int, scale: float = 1.0) -> None:
        program = next(filter(None, map(shutil.which, CHROMIUM)), None)
        if program is None:
            raise SystemExit("Pictures need a Chromium on the PATH (Debian: apt-get install chromium).")
        profile = folder / f"chromium-{width}x{height}"
        options = ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--no-first-run", "--disable-gpu")
        options += ("--disable-background-networking", "--remote-debugging-port=0")
        options += (f"--user-data-dir={profile}", f"--force-device-scale-factor={scale}")
        self.process = subprocess.Popen(
            [program, *options, f"--window-size={width},{height}", "about:blank"], stderr=subprocess.DEVNULL
        )
        port_file = profile / "DevToolsActivePort"
        _wait(lambda: port_file.exists() and port_file.read_text().count("\n"), "Chromium did not start.")
        port = port_file.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=PATIENCE) as answer:
            page = next(target for target in json.load(answer) if target["type"] == "page")
        self.stack = ExitStack()
        self.socket = self.stack.enter_context(connect(page["webSocketDebuggerUrl"], max_size=None))
        self.calls = 0

    def call(self, method: str, **parameters: object) -> dict:
        """Call a method of the DevTools protocol and return its result."""
        self.calls += 1
        self.socket.send(json.dumps({"id": self.calls, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.calls:
                return message["result"]

    def evaluate(self, script: str) -> object:
        """Evaluate JavaScript in the page and return its value."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def open(self, address: str, ready: str) -> None:
        """Open a page and wait until a script is true in it."""
        self.call("Page.navigate", url=address)
        _wait(lambda: self.evaluate(ready), f"{address} did not load.")
        time.sleep(4)  # layouts and animations

    def double_click(self, x: float, y: float) -> None:
        """Double-click a place of the page."""
        for count in (1, 2):
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=count)
        time.sleep(2)

    def save(self, name: str, left: float, top: float, right: float, bottom: float) -> None:
        """Save a part of the page."""
        clip = {"x": left, "y": top, "width": right - left, "height": bottom - top, "scale": 1}
        picture = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        (IMAGES / name).write_bytes(base64.b64decode(picture["data"]))

    def close(self) -> None:
        """End the browser."""
        self.stack.close()
        self.process.terminate()
        self.process.wait()


def _wait(check, complaint: str) -> None:
    end = time.monotonic() + PATIENCE
    while not check():
        if time.monotonic() > end:
            raise SystemExit(complaint)
        time.sleep(0.3)


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except OSError:
        return False
    return True


@contextmanager
def dagster(home: Path, folder: Path, port: int = 3456) -> Iterator[str]:
    """Dagster's web server, read-only, on a copy of a home's records."""
    shutil.copytree(home / "dagster", folder / "dagster")
    environment = {**os.environ, "DAGSTER_HOME": str(folder / "dagster"), "RECS_HOME": str(folder)}
    program = Path(sys.executable).with_name("dagster-webserver")
    command = [program, "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port), "--read-only"]
    with (folder / "web.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(lambda: _answers(f"{address}/server_info"), "Dagster's web server did not start.")
            yield address
        finally:
            server.terminate()
            server.wait()


def newest_run(address: str) -> str:
    """Id of the newest successful run of the weekly job."""
    query = '{runsOrError(filter: {pipelineName: "weekly", statuses: [SUCCESS]}, limit: 1) {... on Runs {results {runId}}}}'
    request = urllib.request.Request(
        f"{address}/graphql",
        json.dumps({"query": query}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)["data"]["runsOrError"]["results"][0]["runId"]


_CLICK = "[...document.querySelectorAll(`button [aria-label='%s']`)].at(-1).closest('button').click()"
# The corners of the graph: the names of the groups, without the list beside it.
_GROUPS = """(() => {
    const names = new Set(['ingest', 'staging', 'intermediate', 'marts', 'features', 'recommenders', 'exports',
        'hybrid', 'evaluation', 'campaigns', 'published', 'publish', 'research']);
    const boxes = [...document.querySelectorAll('foreignObject *')]
        .filter(x => x.children.length == 0 && names.has(x.textContent.trim()))
        .map(x => x.closest('foreignObject').getBoundingClientRect());
    return [Math.min(...boxes.map(x => x.left)), Math.min(...boxes.map(x => x.top)),
        Math.max(...boxes.map(x => x.right)), Math.max(...boxes.map(x => x.bottom))];
})()"""


def picture_dagster(home: Path, folder: Path) -> None:
    """`graph.png`, the groups of assets, and `run.png`, the steps of a run."""
    with dagster(home, folder) as address:
        browser = Browser(folder, 1400, 1300, scale=1.5)
        try:
            browser.open(f"{address}/asset-groups", "document.body.innerText.includes('Materialize all')")
            hide = (
                "[...document.querySelectorAll('button')].find(x => x.innerText == 'Hide navigation').click()"
            )
            browser.evaluate(hide)
            time.sleep(1)
            browser.evaluate(_CLICK % "panel_show_right")
            time.sleep(1)
            browser.double_click(700, 1000)
            left, top, right, bottom = browser.evaluate(_GROUPS)
            browser.save("graph.png", left - 20, top - 30, right + 20, bottom + 30)
            browser.open(
                f"{address}/runs/{newest_run(address)}", r"/Succeeded \([1-9]/.test(document.body.innerText)"
            )
            browser.evaluate(_CLICK.replace("at(-1)", "at(0)") % "expand_arrows")
            time.sleep(3)
            browser.save("run.png", 0, 0, 1400, 1010)
        finally:
            browser.close()


def picture_email(home: Path, folder: Path) -> None:
    """`email_preview.png`: the top of the weekly email of a sample customer."""
    rows = pd.read_parquet(home / "exports/weekly_email/current/long.parquet", dtype_backend="pyarrow")
    page = folder / "email.html"
    page.write_text(preview_html(rows, customers=1), "utf-8")
    browser = Browser(folder, 720, 900, scale=1.5)
    try:
        browser.open(page.as_uri(), "document.readyState == 'complete'")
        cards = "[...document.querySelectorAll('tr')].slice(0, 2).at(-1).getBoundingClientRect().bottom"
        browser.save("email_preview.png", 0, 0, 720, browser.evaluate(cards) + 3)
    finally:
        browser.close()


@contextmanager
def views(home: Path, port: int = 3457) -> Iterator[tuple[str, str]]:
    """The views of a home, and what the first of the customers to begin with is called there."""
    settings = Settings(
        home=home, hash_key="pseudonyms of the pictures"
    )  # so that no key is written to the home
    app = FastAPI()
    pages = Views(settings)
    app.mount("/ui", pages)
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        _wait(lambda: server.started, "The views did not start.")
        with make_desk(settings).look() as look:
            called = look.name(sample_customers(look)[0]["customer_id"])
        yield f"http://127.0.0.1:{port}/ui", called
    finally:
        server.should_exit = True
        thread.join()
        pages.close()


def picture_views(home: Path, folder: Path) -> None:
    """`playground.png`, `journey.png` and `email_view.png`: three of the views."""
    with views(home) as (address, called):
        browser = Browser(folder, 1440, 1600, scale=1.25)
        try:
            for name, height in (("playground", 1000), ("journey", 1330), ("email_view", 1000)):
                page = name.removesuffix("_view")
                browser.open(
                    f"{address}/{page}?customer={quote(called)}", "document.readyState == 'complete'"
                )
                browser.save(f"{name}.png", 0, 0, 1440, height)
        finally:
            browser.close()


def picture_evaluation(home: Path) -> None:
    """`evaluation.png`: MAP@12 of every recommender, by view."""
    query = "select * from recs.model_metrics where as_of = (select max(as_of) from recs.model_metrics)"
    with duckdb.connect(str(home / "published/recs.duckdb"), read_only=True) as connection:
        table = connection.execute(query).df()
    (IMAGES / "evaluation.png").write_bytes(plot_metrics(table))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, help="RECS_HOME of a finished week of the demo")
    home = parser.parse_args().home.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        picture_evaluation(home)
        picture_email(home, Path(temporary))
        picture_views(home, Path(temporary))
        picture_dagster(home, Path(temporary))
