"""The quality suites as blocking asset checks."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from recs_assets.defs.metadata import HIDDEN_COLUMNS
from recs_assets.quality.expectations import PUBLISHED_KEYS, Expectation
from recs_assets.quality.suites import run_suite
from recs_assets.store.build import Build

SUITE = "great_expectations"
# Rows that a suite looks at at once: some hundred bytes each, as pandas has them.
PART_ROWS = 2_000_000


def check_table(
    key: dg.AssetKey,
    folder: Path,
    build: Build,
    relation: tuple[str, str],
    expectations: list[Expectation],
    where: str,
) -> dg.AssetCheckResult:
    """Judge a table by its suite (`run_suite`); a failure is an ERROR and, where the spec blocks, stops the run.

    Args:
        key: whose check it is.
        folder: of the run's results.
        build: the file that holds the table.
        relation: its schema and name.
        expectations: what it must hold.
        where: starts the sentence about what failed.
    """
    schema, table = relation
    # The rows that a published key tells apart lie together by the column before the key's last.
    together = PUBLISHED_KEYS[table][-2] if schema == "recs" else None
    parts = build.read_parts(f'{schema}."{table}"', PART_ROWS, together)
    result = run_suite(folder, f"{schema}_{table}", parts, expectations, where, HIDDEN_COLUMNS)
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
