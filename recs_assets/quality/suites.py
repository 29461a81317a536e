"""Run Great Expectations on a table, and keep its result as JSON and as a page to look at.

`dagster-ge` needs Great Expectations below 1, and its SQLAlchemy path fails on DuckDB, so suites run on
pandas frames. Importing it costs seconds and hundreds of MB and happens when a suite runs. Its own pages
load styles and scripts from public servers; the page here is made from the result and needs no other file.
"""

from __future__ import annotations

import json
import os
import threading
import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from recs_assets.files import write_whole
from recs_assets.quality.expectations import Expectation
from recs_assets.schema import GateError
from recs_assets.templates import render

EXAMPLES = 5
# Of a table that is judged at once: some hundred bytes each, as pandas has them.
PART_ROWS = 2_000_000
_LOCK = threading.Lock()
# Great Expectations reads it when it is imported, which is later.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")


@dataclass(frozen=True)
class SuiteResult:
    """What one suite found on one table.

    Attributes:
        passed: every expectation holds.
        sentence: what failed, or that nothing did.
        rows: of the table.
        expectations: how many were judged.
        page: HTML index of all suites of the run.
        json: the result as Great Expectations gives it.
    """

    passed: bool
    sentence: str
    rows: int
    expectations: int
    page: Path
    json: Path


def judge_rows(name: str, rows: pd.DataFrame, expectations: Sequence[Expectation]) -> dict[str, Any]:
    """What Great Expectations finds on some rows of a table, as plain JSON, and how many `rows` there are.

    Args:
        name: of the suite.
        rows: of the table, whose memory the work takes: give a large table in parts.
        expectations: what they must hold.
    """
    # Its context belongs to the whole process, and a worker may be a thread.
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Great Expectations warns about its own dependencies
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        batch = (
            context.data_sources.add_pandas("frames")
            .add_dataframe_asset(name)
            .add_batch_definition_whole_dataframe("all")
        )
        suite = context.suites.add(
            gx.ExpectationSuite(
                name=name,
                expectations=[getattr(gx.expectations, item.kind)(**item.arguments) for item in expectations],
            )
        )
        validation = context.validation_definitions.add(
            gx.ValidationDefinition(name=name, data=batch, suite=suite)
        )
        outcome = validation.run(batch_parameters={"dataframe": rows}, result_format="SUMMARY")
    return outcome.to_json_dict() | {"rows": len(rows)}


def run_suite(
    folder: Path, name: str, results: Iterable[dict[str, Any]], where: str, hidden: Collection[str] = ()
) -> SuiteResult:
    """Judge a table by what was found on its parts, and write the result and its page.

    Args:
        folder: of the run's results.
        name: of the suite.
        results: of `judge_rows`, one for each part of the table; rows that a key may not share are in one part.
        where: starts the sentence about what failed: the file or table to look at.
        hidden: columns of whose values the page shows no examples.

    Raises:
        GateError: Great Expectations could not judge an expectation.
    """
    result = merge_results(list(results))
    rows = result["rows"]
    for item in result["results"]:
        if item.get("exception_info", {}).get("raised_exception"):
            raise GateError(
                f"The quality suite {name} could not run ({item['exception_info'].get('exception_message')}): "
                "nothing was published; fix the suite in recs_assets/quality/expectations.py."
            )
    index = _write(folder, name, result, where, rows, hidden)
    failed = [describe(item) for item in result["results"] if not item["success"]]
    return SuiteResult(
        passed=bool(result["success"]),
        sentence=f"{where}: {'; '.join(failed)}."
        if failed
        else f"All {len(result['results'])} expectations hold on {rows} rows.",
        rows=rows,
        expectations=len(result["results"]),
        page=index,
        json=folder / f"{name}.json",
    )


def merge_results(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The result on a table from those on its parts: counts are added, and judged by the share that may fail.

    Args:
        results: of `judge_rows` with one suite.
    """
    if len(results) == 1:
        return results[0]
    rows = sum(one["rows"] for one in results)
    items = [_merge_items(items) for items in zip(*(one["results"] for one in results), strict=True)]
    return results[0] | {"rows": rows, "results": items, "success": all(item["success"] for item in items)}


_COUNTS = ("element_count", "missing_count", "unexpected_count")


def _merge_items(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One expectation on a table from those on its parts."""
    found = [item["result"] for item in items]
    arguments = items[0]["expectation_config"]["kwargs"]
    merged: dict[str, Any] = {name: sum(one[name] for one in found) for name in _COUNTS if name in found[0]}
    if "unexpected_count" in merged:
        judged = merged["element_count"] - merged.get("missing_count", 0)
        share = 1 - merged["unexpected_count"] / judged if judged else 1.0
        success = share >= arguments.get("mostly", 1.0)
        examples = [value for one in found for value in one.get("partial_unexpected_list") or []]
        merged["partial_unexpected_list"] = examples
    elif items[0]["expectation_config"]["type"] == "expect_table_row_count_to_be_between":
        merged["observed_value"] = sum(one["observed_value"] for one in found)
        success = merged["observed_value"] >= arguments["min_value"]
    else:
        # Of the columns: each part says it of the whole table.
        merged, success = found[0], all(item["success"] for item in items)
    failed = [item for item in items if item.get("exception_info", {}).get("raised_exception")]
    return (failed or items)[0] | {"result": merged, "success": success}


def _write(
    folder: Path, name: str, result: dict[str, Any], where: str, rows: int, hidden: Collection[str]
) -> Path:
    """Write a suite's JSON and page, and the index of the run again; the index."""
    pages = folder / "data_docs"
    pages.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{name}.json", json.dumps(result, indent=1, sort_keys=True))
    lines = [
        {
            "expectation": _NAMES[item["expectation_config"]["type"]].format(**_list_values(item)),
            "passed": item["success"],
            "problem": None if item["success"] else describe(item),
            "examples": _list_examples(item, hidden),
        }
        for item in result["results"]
    ]
    page = render(
        "quality/suite.html.j2", name=name, where=where, rows=rows, passed=result["success"], lines=lines
    )
    write_whole(pages / f"{name}.html", page)
    suites = [
        (path.stem, json.loads((folder / f"{path.stem}.json").read_text("utf-8"))["success"])
        for path in sorted(pages.glob("*.html"))
        if path.name != "index.html"
    ]
    index = pages / "index.html"
    write_whole(index, render("quality/index.html.j2", suites=suites))
    return index


def _list_examples(item: dict[str, Any], hidden: Collection[str]) -> list[str]:
    """Some values that should not be there, as text; none of columns that are hidden."""
    arguments = item["expectation_config"]["kwargs"]
    columns = {arguments.get("column"), *arguments.get("column_list", ())}
    if columns & set(hidden):
        return []
    values = item["result"].get("partial_unexpected_list") or []
    return list(dict.fromkeys(str(value) for value in values))[:EXAMPLES]


# What an expectation asks for, and what it means where it fails, for the reader of the run.
_NAMES = {
    "expect_table_columns_to_match_ordered_list": "its columns are {column_list}",
    "expect_table_row_count_to_be_between": "it has at least {min_value} rows",
    "expect_column_values_to_not_be_null": "column {column} is filled",
    "expect_column_values_to_be_between": "column {column} is within {min_value} to {max_value}",
    "expect_column_values_to_be_in_set": "column {column} is one of {value_set}",
    "expect_column_value_lengths_to_be_between": "column {column} has at least {min_value} characters",
    "expect_compound_columns_to_be_unique": "the key {column_list} is unique",
}
_SENTENCES = {
    "expect_table_columns_to_match_ordered_list": "its columns are {observed_value}",
    "expect_table_row_count_to_be_between": "it has {observed_value} rows where at least {min_value} must be",
    "expect_column_values_to_not_be_null": "column {column} is empty",
    "expect_column_values_to_be_between": "column {column} is not within {min_value} to {max_value}",
    "expect_column_values_to_be_in_set": "column {column} is none of {value_set}",
    "expect_column_value_lengths_to_be_between": "column {column} is shorter than {min_value} characters",
    "expect_compound_columns_to_be_unique": "the key {column_list} is not unique",
}


def describe(item: dict[str, Any]) -> str:
    """What failed: `column rating is not within 1.0 to 5.0 in 12 of 112 rows`.

    Args:
        item: of the results, with its configuration.
    """
    text = _SENTENCES[item["expectation_config"]["type"]].format(**_list_values(item))
    result = item["result"]
    if "unexpected_count" in result:
        text += f" in {result['unexpected_count']} of {result['element_count']} rows"
    return text


def _list_values(item: dict[str, Any]) -> dict[str, Any]:
    """What the sentences about an expectation may name; a bound that is open is `any`."""
    values = {"min_value": None, "max_value": None} | item["expectation_config"]["kwargs"] | item["result"]
    return values | {name: "any" for name in ("min_value", "max_value") if values[name] is None}
