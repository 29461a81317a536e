"""The quality suites as blocking asset checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from recs_assets.defs.metadata import HIDDEN_COLUMNS
from recs_assets.quality.expectations import PUBLISHED_KEYS, Expectation
from recs_assets.quality.suites import PART_ROWS, judge_rows, run_suite
from recs_assets.store.build import Build

SUITE = "great_expectations"


def check_table(
    key: dg.AssetKey, folder: Path, build: Build, table: str, expectations: Sequence[Expectation]
) -> dg.AssetCheckResult:
    """Judge a table about to be published by its suite.

    Args:
        key: whose check it is.
        folder: of the run's results.
        build: the file that holds the table.
        table: of schema `recs`.
        expectations: what it must hold.
    """
    name = f"recs_{table}"
    # The rows that a key tells apart lie together by the column before the key's last.
    parts = build.read_frames(f'recs."{table}"', PART_ROWS, PUBLISHED_KEYS[table][-2])
    results = (judge_rows(name, part, expectations) for part in parts)
    return check_results(key, folder, name, results, f"recs.{table}")


def check_results(
    key: dg.AssetKey, folder: Path, name: str, results: Iterable[dict[str, Any]], where: str
) -> dg.AssetCheckResult:
    """A suite as an asset check (`run_suite`); a failure is an ERROR and, where the spec blocks, stops the run."""
    result = run_suite(folder, name, results, where, HIDDEN_COLUMNS)
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=SUITE,
        passed=result.passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=result.sentence,
        metadata={
            "rows": result.rows,
            "expectations": result.expectations,
            "data_docs": dg.MetadataValue.path(str(result.page)),
            "result_json": dg.MetadataValue.path(str(result.json)),
        },
    )
