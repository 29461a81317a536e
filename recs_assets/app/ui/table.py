"""Rows as CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from recs_assets.exports.email_files import FORMULA
from recs_assets.views.desk import Row


def write_csv(rows: list[Row], name: Callable[[str], str]) -> str:
    """CSV with a head; a text that a spreadsheet would calculate has an apostrophe before it.

    Args:
        rows: of one table.
        name: customer id -> what the customer is called here, for the column customer_id.
    """
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\r\n")
    names = list(dict.fromkeys(column for row in rows for column in row))
    writer.writerow(names)
    for row in rows:
        cells = (
            {**row, "customer_id": name(row["customer_id"])} if row.get("customer_id") is not None else row
        )
        writer.writerow([_cell(cells.get(column)) for column in names])
    return target.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple):
        value = " + ".join(map(str, value))
    if isinstance(value, str):
        return f"'{value}" if FORMULA.match(value) else value
    return "" if value is None else value
