"""Faults in a shop's files and rows, and how to tell what a fault did.

Every fault meets a copy of a home where an earlier week of the tiny shop is published, and then
the week 2025-06-30, run the way a user runs it. Whatever happens, readers keep whole files; who
fails says so in one sentence; and the week run once more is that of a run that never failed.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from helpers import shops
from helpers.broken_files import CSV_FAILURES
from helpers.shops import Home, Ran, Row
from recs_assets.exports.jsonl import lookup

EARLIER, WEEK = "2025-05-05", "2025-06-30"
KILLED = -9

Hashes = dict[str, str]


@dataclass(frozen=True)
class Trial:
    """What a fault is injected into: a home where `EARLIER` is published, files of the shop, and the
    content hash per table of a week that nothing happened to."""

    home: Home
    data: Path
    never: Hashes

    def start(self, zone: str | None = None) -> subprocess.Popen[str]:
        return shops.start(self.home.path, self.data, WEEK, zone=zone)

    def run(self) -> Ran:
        return shops.finish(self.start())

    def kept(self) -> dict[str, bytes]:
        """Every byte that somebody outside reads, and whatever was left beside it."""
        return shops.bytes_below(*(self.home.path / name for name in ("published", "cache", "exports")))


def same(*apart: str) -> Callable[[Trial], list[str]]:
    """Judge of a week that ended well: its tables are those of a run without the fault, `apart` aside."""

    def judge(trial: Trial) -> list[str]:
        week, hashes = trial.home.hashes()[-1]
        if week != WEEK:
            return [f"week {week} is published"]
        different = [
            name for name in trial.never if name not in apart and hashes.get(name) != trial.never[name]
        ]
        return [f"other rows in {', '.join(different)}"] if different else []

    return judge


SAME = same()


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        family: of its kind; its faults meet the same home, one after another, where a run fails.
        name: what happens.
        inject: does it to a trial and runs the week; returns what the run printed.
        code: of that run; `KILLED` where the fault is a kill -9.
        error: pattern of the one sentence that a run with code 1 prints.
        judge: what is wrong with what a run with code 0 published; `said` says what it looks for.
    """

    family: str
    name: str
    inject: Callable[[Trial], Ran]
    code: int = 1
    error: str = ""
    judge: Callable[[Trial], list[str]] = SAME
    said: str = "the same tables"

    @property
    def expected(self) -> str:
        if self.code == KILLED:
            return "readers have whole files"
        return self.said if self.code == 0 else self.error.replace("\\", "")


@dataclass(frozen=True)
class Seen:
    """One row of the table."""

    family: str
    name: str
    expected: str
    observed: str
    ok: bool

    def row(self) -> str:
        cells = (self.family, self.name, self.expected, self.observed, "yes" if self.ok else "NO")
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ")[:160] for cell in cells) + " |"


def tried(fault: Fault, trial: Trial) -> Seen:
    """Inject a fault and look at what it left."""
    before = trial.kept()
    ran = fault.inject(trial)
    wrong = [] if ran.code == fault.code else [f"exit code {ran.code}: {ran.err[-300:]}"]
    if "Traceback" in ran.out + ran.err:
        wrong.append("a traceback")
    if fault.code == 1:
        wrong += [] if len(ran.errors) == 1 else [f"{len(ran.errors)} errors: {ran.err[-300:]}"]
        wrong += [f"not plain: {one}" for one in ran.errors if not shops.plain(one)]
        wrong += [f"another error: {one}" for one in ran.errors if not re.search(fault.error, one)]
        wrong += [] if trial.kept() == before else ["what was published changed"]
        seen = "; ".join(ran.errors)
    elif fault.code == 0:
        wrong += fault.judge(trial) or whole(trial)
        seen = fault.said
    else:
        unchanged = trial.kept() == before
        wrong += [] if unchanged else whole(trial)
        seen = "nothing changed" if unchanged else "whole files"
    return Seen(fault.family, fault.name, fault.expected, "; ".join(wrong) or seen, not wrong)


def whole(trial: Trial) -> list[str]:
    """What is wrong with what readers are given: the snapshot, and every file that a manifest promises."""
    home, wrong = trial.home, []
    week, hashes = home.hashes()[-1]
    if week == WEEK and set(hashes) != set(trial.never):
        wrong.append("the snapshot has other tables")
    for link in (home.cache / "current", *sorted((home.path / "exports").glob("*/current"))):
        promised = json.loads((link / "manifest.json").read_text())["files"]
        for name, about in promised.items():
            if hashlib.sha256((link / name).read_bytes()).hexdigest() != about["sha256"]:
                wrong.append(f"{link / name} is not what its manifest promises")
    if lookup(home.cache, "c06") is None:
        wrong.append("the cache does not know c06")
    return wrong


def left_over(trial: Trial) -> list[str]:
    """Names of half-written files where readers look."""
    return [name for name in trial.kept() if re.search(r"\.tmp|\.wal|\.aside-|\.next|-next", name)]


# -- files ----------------------------------------------------------------------------------

# Of tests/sources/test_reader.py, where each has its sentence.
BROKEN_FILES = (
    "cut off mid-row",
    "cut off in quotes",
    "cut off inside a character",
    "Latin-1",
    "UTF-16",
    "decimal comma",
    "quoted decimal comma",
    "missing column",
    "renamed column",
    "unknown column",
    "retyped: a date that is none",
    "header only, required table",
    "empty file",
)


def restored(data: Path) -> Path:
    """The shop's files as they are, whatever was done to them before."""
    for path in data.iterdir():
        path.unlink()
    for path in shops.TINY.iterdir():
        (data / path.name).write_bytes(path.read_bytes())
    return data


def broken(name: str, content: bytes | str) -> Callable[[Trial], Ran]:
    """The week with one file replaced."""

    def inject(trial: Trial) -> Ran:
        path = restored(trial.data) / name
        for other in trial.data.glob(f"{path.stem}.*"):
            other.unlink()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return trial.run()

    return inject


def edited(edit: Callable[[Path], object], zone: str | None = None) -> Callable[[Trial], Ran]:
    """The week after an edit of the shop's files, on a machine of that time zone."""

    def inject(trial: Trial) -> Ran:
        edit(restored(trial.data))
        return shops.finish(trial.start(zone))

    return inject


def cut_at_a_row_end(data: Path) -> None:
    """The last row of inventory.csv, of which manifest.json promises 60, is gone."""
    path = data / "inventory.csv"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def one_field_more(data: Path) -> None:
    path = data / "orders.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:9], lines[9].replace("\n", ",x\n"), *lines[10:]]))


FILES = (
    *(
        Fault("file", name, broken(*CSV_FAILURES[name][:2]), error=re.escape(CSV_FAILURES[name][2]))
        for name in BROKEN_FILES
    ),
    Fault(
        "file",
        "cut off at the end of a row",
        edited(cut_at_a_row_end),
        error=r"inventory\.csv: it holds 59 rows, manifest\.json says 60",
    ),
    Fault(
        "file",
        "one field more in a line",
        edited(one_field_more),
        error=r"orders\.csv line 10: it has 6 fields where the header has 5",
    ),
)


# -- rows -----------------------------------------------------------------------------------


def with_bad_rows(data: Path) -> None:
    """Rows that fail a row check, below the share that stops a run: doubled rows, orphan keys, times in
    1970 and 2099 (which no week knows yet), negative and zero amounts, a NUL."""

    def orders(rows: list[Row]) -> list[Row]:
        new = rows[40]
        return [
            *rows,
            rows[20],
            new | {"order_id": "bad-1", "customer_id": "nobody"},
            new | {"order_id": "bad-2", "ordered_at": "1970-01-01 00:00:00"},
            new | {"order_id": "bad-3", "ordered_at": "2099-01-01 00:00:00"},
        ]

    def items(rows: list[Row]) -> list[Row]:
        new = rows[100]
        customer = {row["order_id"]: row["customer_id"] for row in shops.rows_of(data, "orders")}
        buyer = customer[new["order_id"]]
        bought = {row["product_id"] for row in rows if customer.get(row["order_id"]) == buyer}
        # Less than none of what was never bought: there is nothing to take back.
        never = min({row["product_id"] for row in rows if row["product_id"].startswith("tea")} - bought)
        return [
            *rows,
            rows[50],
            new | {"line_id": "bad-1", "product_id": "nothing"},
            new | {"line_id": "bad-2", "product_id": never, "quantity": -1.0},
            new | {"line_id": "bad-3", "quantity": 0.0},
            new | {"line_id": "bad-4", "product_id": never, "amount": -2.5},
            new | {"line_id": "bad\0-5"},
            new | {"line_id": "bad-6", "order_id": "bad-1"},
        ]

    shops.change(data, "orders", orders)
    shops.change(data, "order_items", items)
    shops.change(data, "browsing_events", lambda rows: [*rows, rows[30]])


REJECTED = {
    ("browsing_events", "duplicate_row"): 1,
    ("order_items", "duplicate_row"): 1,
    ("order_items", "negative_amount"): 1,
    ("order_items", "non_positive_quantity"): 2,
    ("order_items", "nul_character"): 1,
    ("order_items", "orphan_order"): 1,
    ("order_items", "orphan_product"): 1,
    ("orders", "duplicate_row"): 1,
    ("orders", "implausible_date"): 1,
    ("orders", "orphan_customer"): 1,
}


def rejected_and_nothing_else(trial: Trial) -> list[str]:
    """The bad rows are in quarantine beside the six that the shop has of its own, and counted by the gates;
    no other table moved."""
    reasons = {
        (table, reason): count
        for table, reason, count in trial.home.query(
            "select source_table, reason, count(*) from recs.quarantine where row_key not in "
            "('e0001', 'o0010|91', 'o0011|91', 'o9001|1', 'o9001', 'r001') group by all"
        )
    }
    return same("quarantine", "gates")(trial) + ([] if reasons == REJECTED else [f"in quarantine: {reasons}"])


def other_zones(data: Path) -> None:
    """The same moments, every second row written with another offset; a byte order mark before them."""

    def moved(column: str) -> Callable[[list[Row]], list[Row]]:
        from datetime import datetime, timedelta

        def edit(rows: list[Row]) -> list[Row]:
            return [
                row
                | {
                    column: (datetime.fromisoformat(row[column]) + timedelta(hours=9)).isoformat(" ")
                    + "+09:00"
                }
                if number % 2
                else row
                for number, row in enumerate(rows)
            ]

        return edit

    shops.change(data, "orders", moved("ordered_at"))
    shops.change(data, "browsing_events", moved("occurred_at"))
    for name in ("orders.csv", "browsing_events.csv"):
        (data / name).write_bytes(b"\xef\xbb\xbf" + (data / name).read_bytes())


HARD = {
    "c01": '😀 it\'s "she", = her',
    "c02": "'; drop table recs.products; --",
    "c03": "x" * 300,
    "tea-01": "=1+1</td><script>alert(1)</script>",
    "honey-01": "honig 🍯 'süß'\"; delete from recs.products",
}


def with_hard_ids(data: Path) -> None:
    for table in ("customers", "products", "orders", "order_items", "reviews", "browsing_events",
                  "inventory", "promotions", "campaign_events", "consents"):  # fmt: skip
        shops.change(
            data,
            table,
            lambda rows: [
                row
                | {
                    name: HARD.get(row[name], row[name])
                    for name in ("customer_id", "product_id")
                    if name in row
                }
                for row in rows
            ],
        )


def hard_ids_everywhere(trial: Trial) -> list[str]:
    """Each hard id reaches snapshot, cache and the email's files as it is written in the shop's."""
    import pyarrow.parquet as pq

    home, wrong = trial.home, []
    current = home.path / "exports" / "weekly_email" / "current"
    exported = pq.read_table(current / "long.parquet").to_pylist()
    customers = {row["customer_id"] for row in exported}
    products = {row["product_id"] for row in exported}
    for plain, hard in HARD.items():
        column = "customer_id" if plain.startswith("c0") else "product_id"
        escaped = hard.replace("'", "''")
        for table in ("email_recommendations", "customer_recommendations", "order_lines"):
            if home.query(f"select count(*) from recs.{table} where {column} = '{escaped}' and true") == [
                (0,)
            ]:
                wrong.append(f"{hard[:20]} is not in recs.{table}")
            if home.query(f"select count(*) from recs.{table} where {column} = '{plain}' and "
                          f"{'as_of' if table != 'order_lines' else 'ordered_at'} >= '{WEEK}'") != [(0,)]:  # fmt: skip
                wrong.append(f"{plain} is still in recs.{table}")
        if hard not in (customers if column == "customer_id" else products):
            wrong.append(f"{hard[:20]} is not in long.parquet")
        if column == "customer_id" and not lookup(home.cache, hard):
            wrong.append(f"the cache does not know {hard[:20]}")
    for page in (home.path / "weeks" / WEEK / "campaigns").glob("*/preview.html"):
        if "<script>alert" in page.read_text():
            wrong.append(f"{page} is not escaped")
    return wrong


ROWS = (
    Fault(
        "row",
        "doubled, orphan, 1970, 2099, negative, zero, NUL; clock in Auckland",
        edited(with_bad_rows, zone="Pacific/Auckland"),
        code=0,
        judge=rejected_and_nothing_else,
        said="11 rows in quarantine, the same tables otherwise",
    ),
    Fault(
        "row",
        "times with and without offset, byte order marks; clock in Los Angeles",
        edited(other_zones, zone="America/Los_Angeles"),
        code=0,
    ),
    Fault(
        "row",
        "quotes, SQL, emoji, HTML, formula, 300 characters in ids",
        edited(with_hard_ids),
        code=0,
        judge=hard_ids_everywhere,
        said="unchanged in snapshot, cache and exports",
    ),
)
