"""What a published table must hold, as Great Expectations judges it, and the page that says so."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from recs_assets.quality.expectations import Expectation, published_expectations
from recs_assets.quality.suites import judge_rows, run_suite
from recs_assets.store.build import Build

# Great Expectations alone takes seconds to import.
pytestmark = pytest.mark.slow


def test_a_short_reason_is_one_and_an_empty_one_is_none(tmp_path: Path) -> None:
    """ "Uit Tea" once stopped the week of a shop with Dutch customers."""
    rows = pd.DataFrame(
        {
            "as_of": date(2025, 6, 30), "customer_id": "c1", "rank": [1, 2], "product_id": ["p1", "p2"], "score": 1.0,
            "reason_text": ["Uit Tea", "De Té"],
        }
    )  # fmt: skip
    expected = published_expectations("customer_recommendations", 12)

    def passes(rows: pd.DataFrame) -> bool:
        return run_suite(tmp_path, "lists", [judge_rows("lists", rows, expected)], "lists").passed

    assert passes(rows)
    assert not passes(rows.assign(reason_text=["Uit Tea", ""]))


def test_the_page_says_what_failed_shows_no_hidden_value_and_needs_no_other_file(tmp_path: Path) -> None:
    rows = pd.DataFrame({"rating": [4.0, 9.0, 8.5], "customer_id": ["c1", "c2", "<b>"]})
    expected = [
        Expectation("ExpectColumnValuesToBeBetween", {"column": "rating", "min_value": 1, "max_value": 5}),
        Expectation("ExpectColumnValuesToBeInSet", {"column": "customer_id", "value_set": ["c1", "c2"]}),
        Expectation("ExpectTableRowCountToBeBetween", {"min_value": 1}),
    ]
    result = run_suite(
        tmp_path,
        "raw_reviews",
        [judge_rows("raw_reviews", rows, expected)],
        "reviews.csv",
        hidden={"customer_id"},
    )
    assert not result.passed
    assert result.sentence == (
        "reviews.csv: column rating is not within 1.0 to 5.0 in 2 of 3 rows; "
        "column customer_id is none of ['c1', 'c2'] in 1 of 3 rows."
    )
    assert json.loads(result.json.read_text())["success"] is False
    page = (result.page.parent / "raw_reviews.html").read_text("utf-8")
    cells = [re.findall(r"<td>(.*?)</td>", line) for line in page.splitlines() if "<td>" in line]
    assert [(row[0], re.sub("<.*?>", "", row[1]), row[3]) for row in cells] == [
        ("column rating is within 1.0 to 5.0", "FAILED", "9.0, 8.5"),
        ("column customer_id is one of [&#39;c1&#39;, &#39;c2&#39;]", "FAILED", ""),
        ("it has at least 1 rows", "passed", ""),
    ]
    assert "<b>" not in page
    assert not re.search(r"<script|<link|https?:", page)
    index = result.page.read_text("utf-8")
    assert re.search(r'<a href="raw_reviews\.html">raw_reviews</a> <span class="failed">FAILED', index)


def test_a_table_in_parts_is_judged_as_a_whole(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {
            "customer_id": ["c1", "c2", None, "c4", None, "c6", "c7"],
            "rating": [4.0, 9.0, None, 5.0, 8.5, 1.0, 2.0],
            "slot": [1, 1, 2, 3, 4, 4, 5],
        }
    )

    def expect(mostly: float) -> list[Expectation]:
        return [
            Expectation("ExpectTableColumnsToMatchOrderedList", {"column_list": list(rows)}),
            Expectation("ExpectTableRowCountToBeBetween", {"min_value": 7}),
            Expectation("ExpectColumnValuesToNotBeNull", {"column": "customer_id", "mostly": mostly}),
            Expectation(
                "ExpectColumnValuesToBeBetween",
                {"column": "rating", "min_value": 1, "max_value": 5, "mostly": mostly},
            ),
            Expectation(
                "ExpectColumnValuesToBeInSet", {"column": "customer_id", "value_set": ["c1", "c2", "c4"]}
            ),
            Expectation("ExpectCompoundColumnsToBeUnique", {"column_list": ["slot", "slot"]}),
        ]

    parts = [rows[:2], rows[2:3], rows[3:4], rows[4:6], rows[6:]]
    for mostly, nulls, bounds in ((0.6, True, True), (0.7, True, False), (0.75, False, False)):
        one, many = (
            run_suite(
                tmp_path,
                "raw_reviews",
                [judge_rows("raw_reviews", part, expect(mostly)) for part in given],
                "reviews.csv",
            )
            for given in ([rows], parts)
        )
        assert many.sentence == one.sentence
        found = {
            item["expectation_config"]["type"]: item["success"]
            for item in json.loads(many.json.read_text())["results"]
        }
        assert found == {
            "expect_table_columns_to_match_ordered_list": True,
            "expect_table_row_count_to_be_between": True,
            "expect_column_values_to_not_be_null": nulls,
            "expect_column_values_to_be_between": bounds,
            "expect_column_values_to_be_in_set": False,
            "expect_compound_columns_to_be_unique": False,
        }
    assert many.rows == 7
    assert "the key ['slot', 'slot'] is not unique in 4 of 7 rows" in many.sentence


def test_equal_values_are_in_one_part(tmp_path: Path) -> None:
    build = Build(date(2025, 6, 30), tmp_path, duckdb.connect)
    with build.write() as connection:
        connection.execute(
            "create table t as select unnest([3, 1, 2, 2, 1, 2, 2, 3]) as a, unnest(range(8)) as b"
        )
    assert [list(part["a"]) for part in build.read_frames("t", 3, "a")] == [[1, 1], [2, 2, 2, 2], [3, 3]]
    assert [list(part["b"]) for part in build.read_frames("t", 3)] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert [list(part["a"]) for part in build.read_frames("t", 8, "a")] == [[3, 1, 2, 2, 1, 2, 2, 3]]
    with build.write() as connection:
        connection.execute("delete from t")
    assert [list(part) for part in build.read_frames("t", 3, "a")] == [["a", "b"]]
