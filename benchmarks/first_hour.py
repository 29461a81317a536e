"""From an export to the first list: `python -m benchmarks.first_hour`.

Makes a flat file of invoice lines (or takes a folder), writes its shop by `init`, and runs a week, each as a user does, a
subprocess with a fresh RECS_HOME. Of the made-up invoices it says that everybody agreed to emails, as a user would. Progress goes to stderr, the Markdown table to stdout.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parent.parent
LINES = 541_909


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with an export; default: made-up invoices")
    parser.add_argument("--lines", type=int, default=LINES, help="of the made-up invoices")
    parser.add_argument("--sheet", action="store_true", help="write them as a spreadsheet")
    parsed = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="first-hour-"))
    try:
        data = parsed.data
        if data is None:
            data = work / "invoices"
            data.mkdir()
            _write_invoices(data, parsed.lines, parsed.sheet)
        _measure(data.resolve(), work, parsed.data is None)
    finally:
        shutil.rmtree(work)


def _write_invoices(folder: Path, lines: int, sheet: bool) -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    from helpers import invoices

    print(f"Making {lines:,} lines.", file=sys.stderr)
    if sheet:
        invoices.write_spreadsheet(folder / "Online Retail.xlsx", lines)
    else:
        invoices.write_csv(folder / "online_retail.csv", lines)


def _measure(data: Path, work: Path, made_up: bool) -> None:
    begun = time.perf_counter()
    _run(["init", str(data), "--to", str(work / "shops"), "--name", "first_hour"], {})
    looked = time.perf_counter()
    if made_up:
        _let_everybody_agree(work / "shops" / "first_hour" / "customers.sql")
    home = work / "home"
    _run(
        ["run"],
        {
            "RECS_SHOPS": str(work / "shops"),
            "RECS_SOURCE": "first_hour",
            "RECS_DATA": str(data),
            "RECS_HOME": str(home),
        },
    )
    ended = time.perf_counter()
    with duckdb.connect(str(home / "published" / "recs.duckdb"), read_only=True) as snapshot:
        lines, customers, rows = snapshot.execute(
            "select (select count(*) from recs.order_lines), count(distinct customer_id), count(*) from recs.customer_recommendations"
        ).fetchone()
    print("| step | seconds |\n|---|---|")
    print(f"| `init` | {looked - begun:.0f} |")
    print(f"| `run` | {ended - looked:.0f} |")
    print(f"| **from export to first list** | **{ended - begun:.0f}** |")
    print(f"\n{lines:,} order lines that count, {rows:,} recommendations for {customers:,} customers.")


def _let_everybody_agree(sql: Path) -> None:
    """The made-up invoices say nothing of consent, so `init` lets nobody be written to; their customers agreed to emails."""
    print("Everybody in the made-up invoices agreed to emails: one line of customers.sql.", file=sys.stderr)
    sql.write_text(
        sql.read_text("utf-8").replace("    false as email_eligible", "    true as email_eligible"), "utf-8"
    )


def _run(command: list[str], settings: dict[str, str]) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("RECS_", "DAGSTER_"))
    }
    subprocess.run(
        [sys.executable, "-m", "recs_assets", *command],
        cwd=ROOT,
        env=environment | settings,
        check=True,
        stdout=sys.stderr,
    )


if __name__ == "__main__":
    main()
