"""The quality suites as blocking asset checks."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pandas as pd

from recs_assets.defs.metadata import HIDDEN_COLUMNS
from recs_assets.quality.expectations import Expectation
from recs_assets.quality.suites import run_suite

SUITE = "great_expectations"


def check_table(
    key: dg.AssetKey, folder: Path, name: str, rows: pd.DataFrame, expectations: list[Expectation], where: str
) -> dg.AssetCheckResult:
    """Judge a table by its suite (`run_suite`); a failure is an ERROR and, where the spec blocks, stops the run."""
    result = run_suite(folder, name, rows, expectations, where, HIDDEN_COLUMNS)
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
