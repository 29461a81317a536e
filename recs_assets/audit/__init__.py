"""What a shop's data are worth, before anything is trained: findings, and a segment for every customer.

`audit_build` reads a build file in which the raw tables are landed and dbt's models up to the marts are built. It
opens nothing and writes nothing. What depends on rows from the week on stays out of it, so that an old week run
again finds the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from recs_assets.audit.categories import judge_categories
from recs_assets.audit.customers import describe_segments, judge_customers, load_segments
from recs_assets.audit.findings import Finding, sort_findings
from recs_assets.audit.inventory import judge_history, list_tables
from recs_assets.audit.money import judge_money
from recs_assets.audit.products import judge_products
from recs_assets.audit.readiness import count_amount, judge_approaches, judge_readiness
from recs_assets.audit.rows import find_personal_data, judge_rows
from recs_assets.audit.signals import judge_signals
from recs_assets.sources.source import Source

if TYPE_CHECKING:
    import duckdb


def audit_build(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    earliest: date,
    source: Source,
    files: Mapping[str, str] | None = None,
) -> tuple[list[Finding], pd.DataFrame]:
    """Everything that an audit finds.

    Args:
        connection: to the build file.
        as_of: the week; rows from here on are not known.
        earliest: of the dates at which the week would learn.
        source: with the shop's words.
        files: which files a table was landed from; None: not to be shown.

    Returns:
        Findings by section, and the rows of `recs.customer_segments`.
    """
    amount = count_amount(connection, as_of)
    segments = load_segments(connection, as_of)
    findings = [
        *judge_readiness(amount),
        *judge_approaches(connection, as_of, amount),
        *list_tables(connection, as_of, source.raw_tables, files),
        *judge_history(connection, as_of, earliest, source.raw_tables),
        *judge_rows(connection, as_of),
        *judge_customers(connection, as_of),
        *describe_segments(segments),
        *judge_categories(connection),
        *judge_products(connection, as_of),
        *judge_money(connection, source),
        *find_personal_data(connection, as_of),
        *judge_signals(connection, as_of),
    ]
    return sort_findings(findings), segments
