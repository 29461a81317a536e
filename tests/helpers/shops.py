"""Copies of the tiny shop with something done to them, and the command that runs a week on one."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "examples" / "tiny_shop"

# The tables of schema recs.
PUBLISHED = {
    "assignments",
    "association_rules",
    "attributions",
    "backtest",
    "baskets",
    "buy_it_again",
    "campaign_customers",
    "campaign_events",
    "campaign_outcomes",
    "campaign_predictions",
    "campaign_tests",
    "campaign_traces",
    "customer_embeddings",
    "customer_identities",
    "customer_matches",
    "customer_recommendations",
    "customer_segments",
    "customer_values",
    "customers",
    "data_audit",
    "email_holdout",
    "email_recommendations",
    "experiment_results",
    "experiment_segments",
    "experiment_weeks",
    "experiments",
    "follow_ups",
    "forecasts",
    "frequently_bought_together",
    "gates",
    "goal_frontier",
    "interactions",
    "model_decisions",
    "model_metrics",
    "monitor",
    "monitor_distributions",
    "nightly_recommendations",
    "not_products",
    "order_lines",
    "order_states",
    "products",
    "publish_log",
    "product_embeddings",
    "quarantine",
    "questionnaire",
    "recall_waterfall",
    "recommendation_results",
    "recommendation_traces",
    "recommended_revenue",
    "rule_outcomes",
    "rule_price_tags",
    "shadow_recommendations",
    "shadow_results",
    "similar_products",
    "table_gains",
    "value_methods",
}

Row = dict[str, Any]


@dataclass(frozen=True)
class Ran:
    """What one `python -m recs_assets run` left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The sentences after `Error: `."""
        return [line.removeprefix("Error: ") for line in self.err.splitlines() if line.startswith("Error: ")]


@dataclass(frozen=True)
class Home:
    """A deployment's folder and what its runs printed, by week."""

    path: Path
    ran: dict[str, Ran]

    @property
    def snapshot(self) -> Path:
        return self.path / "published" / "recs.duckdb"

    @property
    def cache(self) -> Path:
        return self.path / "cache"

    def query(self, sql: str) -> list[tuple]:
        return query(self.snapshot, sql)

    def hashes(self) -> list[tuple[str, dict[str, str]]]:
        """Week and content hash per table of every publish, in order."""
        log = self.query("select as_of::varchar, content_hashes from recs.publish_log order by published_at")
        return [(week, json.loads(text)) for week, text in log]

    def kept(self) -> dict[str, bytes]:
        """Every byte that analysts and the storefront read."""
        return bytes_below(self.path / "published", self.cache)

    def copy(self, target: Path) -> Home:
        shutil.copytree(self.path, target, symlinks=True)
        return Home(target, self.ran)


def start(
    home: Path,
    data: Path,
    as_of: str | None = None,
    command: tuple[str, ...] = ("run",),
    program: tuple[str, ...] = ("-m", "recs_assets"),
    zone: str | None = None,
    **settings: object,
) -> subprocess.Popen[str]:
    """Start one week the way a user does, with nothing of this process's settings; `zone` is the
    time zone of the machine."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RECS_", "DAGSTER_", "PYTEST_", "COV_"))
    }
    environment |= {"RECS_HOME": str(home), "RECS_DATA": str(data), "GX_ANALYTICS_ENABLED": "false"}
    environment |= {f"RECS_{name.upper()}": str(value) for name, value in settings.items()}
    environment |= {} if zone is None else {"TZ": zone}
    return subprocess.Popen(
        [sys.executable, *program, *command, *(["--as-of", as_of] if as_of else [])],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def plain(sentence: str) -> bool:
    """A sentence for people: no class names, no traceback, an end."""
    return not re.search(r"Traceback|\w+\.\w+Error:|dagster\._core", sentence) and sentence.endswith(".")


def finish(process: subprocess.Popen[str], seconds: float = 1800) -> Ran:
    try:
        out, err = process.communicate(timeout=seconds)  # a week takes minutes on a machine that is busy
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ran(process.returncode, out, err)


def run(home: Path, data: Path, as_of: str | None = None, **settings: object) -> Ran:
    return finish(start(home, data, as_of, **settings))


def backtest(home: Path, data: Path, as_of: str, folds: int, **settings: object) -> Ran:
    return finish(start(home, data, as_of, ("backtest", "--folds", str(folds)), **settings))


def copy(target: Path) -> Path:
    """The tiny shop's files in a folder that may be changed."""
    shutil.copytree(TINY, target)
    return target


def change(folder: Path, stem: str, edit: Callable[[list[Row]], list[Row]]) -> None:
    """Rewrite the file of table `stem`: `edit` gets its rows and returns those to write."""
    path = next(path for path in folder.iterdir() if path.stem == stem)
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            names, rows = list(reader.fieldnames or ()), list(reader)
        rows = edit(rows)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        rows = edit([json.loads(line) for line in path.read_text().splitlines()])
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(edit(json.loads(path.read_text())), ensure_ascii=False))
    else:
        _change_parquet(path, edit)


def _change_parquet(path: Path, edit: Callable[[list[Row]], list[Row]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    pq.write_table(pa.Table.from_pylist(edit(table.to_pylist()), schema=table.schema), path)


def rows_of(folder: Path, stem: str) -> list[Row]:
    found: list[Row] = []

    def look(rows: list[Row]) -> list[Row]:
        found.extend(rows)
        return rows

    path = next(path for path in folder.iterdir() if path.stem == stem)
    before = path.read_bytes()
    change(folder, stem, look)
    path.write_bytes(before)
    return found


def query(snapshot: Path, sql: str) -> list[tuple]:
    """Rows of a query on a published snapshot, opened the way an analyst does."""
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def bytes_below(*folders: Path) -> dict[str, bytes]:
    """Every file (links followed by name) below the folders, with its bytes."""
    return {
        str(path): str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }
