"""Great Expectations suites as blocking asset checks, with Data Docs kept per run.

`dagster-ge` needs Great Expectations below 1, and its SQLAlchemy path fails on DuckDB, so
suites run on pandas frames and results are mapped to asset checks here. Its import costs
seconds and hundreds of MB and happens inside the check only.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from recs_assets.schema import GateError, Table

GATE = "great_expectations"

# Without a customer: a guest's order, what a visitor did who was not signed in, what a mail service says of
# no one. dbt judges a complaint of nobody (assert_withdrawals_matched).
NOBODYS = {(table, "customer_id") for table in ("orders", "browsing_events", "searches", "campaign_events")}

# Below this many rows a single one would decide; the same number as dbt's `min_rows_judged`.
MIN_ROWS_JUDGED = 50


@dataclass(frozen=True)
class Expectation:
    """One expectation by its Great Expectations class name, without importing it."""

    kind: str
    arguments: dict[str, Any] = field(default_factory=dict)


def raw_expectations(table: Table, tolerated_share: float) -> list[Expectation]:
    """The gate at the door: exact columns, rows where the shop cannot live without them,
    keys and measures sound in all but the share of rows that may be quarantined."""
    mostly = 1 - tolerated_share
    suite = [Expectation("ExpectTableColumnsToMatchOrderedList", {"column_list": list(table.column_names)})]
    if table.required:
        suite.append(Expectation("ExpectTableRowCountToBeBetween", {"min_value": 1}))
    for column in table.columns:
        if column.required and (table.name, column.name) not in NOBODYS:
            suite.append(
                Expectation("ExpectColumnValuesToNotBeNull", {"column": column.name, "mostly": mostly})
            )
    for column, low, high in {
        "products": [("price", 0, None), ("cost", 0, None)],
        "reviews": [("rating", 1, 5)],
        "promotions": [("reach", 0, 1)],
    }.get(table.name, []):
        suite.append(
            Expectation(
                "ExpectColumnValuesToBeBetween",
                {"column": column, "min_value": low, "max_value": high, "mostly": mostly},
            )
        )
    for column, allowed in {
        "browsing_events": [("event_type", ["view", "add_to_cart", "add_to_wishlist"])],
        "consents": [("state", ["subscribed", "unsubscribed", "objected", "erased"])],
    }.get(table.name, []):
        suite.append(
            Expectation(
                "ExpectColumnValuesToBeInSet", {"column": column, "value_set": allowed, "mostly": mostly}
            )
        )
    return suite


def published_expectations(table: str, slots: int) -> list[Expectation]:
    """The gate at the exit, per table of schema `recs`; every one must hold for every row.

    Args:
        table: of schema `recs`.
        slots: of the longest email of any campaign; 0 where no campaign fills slots.
    """
    keys = {
        "email_recommendations": ["campaign", "as_of", "customer_id", "slot"],
        "buy_it_again": ["as_of", "customer_id", "rank"],
        "customer_recommendations": ["as_of", "customer_id", "rank"],
        "frequently_bought_together": ["product_id", "rank"],
        "similar_products": ["product_id", "rank"],
        "model_metrics": ["as_of", "anchor", "view", "segment", "recommender", "metric", "k"],
    }
    suite = []
    if table not in ("frequently_bought_together", "similar_products", "buy_it_again") and (
        slots or table != "email_recommendations"
    ):
        # A shop may have no pairs above the support and nothing that is due; one without lists is broken.
        suite.append(Expectation("ExpectTableRowCountToBeBetween", {"min_value": 1}))
    for column in keys[table]:
        suite.append(Expectation("ExpectColumnValuesToNotBeNull", {"column": column}))
    suite.append(Expectation("ExpectCompoundColumnsToBeUnique", {"column_list": keys[table]}))
    if table in ("email_recommendations", "buy_it_again", "customer_recommendations"):
        suite.append(Expectation("ExpectColumnValuesToNotBeNull", {"column": "score"}))
        suite.append(
            Expectation("ExpectColumnValueLengthsToBeBetween", {"column": "reason_text", "min_value": 1})
        )
        columns = [*keys[table][:-1], "product_id"]
        suite.append(Expectation("ExpectCompoundColumnsToBeUnique", {"column_list": columns}))
    if table == "email_recommendations" and slots:
        suite.append(
            Expectation(
                "ExpectColumnValuesToBeBetween", {"column": "slot", "min_value": 1, "max_value": slots}
            )
        )
    if table == "buy_it_again":
        suite.append(
            Expectation("ExpectColumnValuesToBeBetween", {"column": "rank", "min_value": 1, "max_value": 50})
        )
    return suite


class Gate:
    """Runs suites and keeps their results: JSON and Data Docs HTML in one folder per run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check(
        self, key: dg.AssetKey, name: str, rows: pd.DataFrame, expectations: list[Expectation], where: str
    ) -> dg.AssetCheckResult:
        """Validate `rows`; a failed expectation is an ERROR and, where the spec blocks, stops the run.

        `where` starts the sentence about what failed: the file or table to look at.
        """
        result = self._validate(name, rows, expectations)
        failed = [_sentence(item) for item in result["results"] if not item["success"]]
        raised = [
            item for item in result["results"] if item.get("exception_info", {}).get("raised_exception")
        ]
        if raised:
            raise GateError(
                f"The quality suite {name} could not run ({raised[0]['exception_info'].get('exception_message')}): "
                "nothing was published; fix the suite in recs_assets/defs/quality.py."
            )
        return dg.AssetCheckResult(
            asset_key=key,
            check_name=GATE,
            passed=bool(result["success"]),
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{where}: {'; '.join(failed)}."
            if failed
            else f"All {len(result['results'])} expectations hold on {len(rows)} rows.",
            metadata={
                "rows": len(rows),
                "expectations": len(result["results"]),
                "data_docs": dg.MetadataValue.path(str(self.folder / "data_docs" / "index.html")),
                "result_json": dg.MetadataValue.path(str(self.folder / f"{name}.json")),
            },
        )

    def _validate(self, name: str, rows: pd.DataFrame, expectations: list[Expectation]) -> dict[str, Any]:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Great Expectations warns about its own dependencies
            import great_expectations as gx
            from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
            from great_expectations.render.view.view import DefaultJinjaPageView

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
                    expectations=[
                        getattr(gx.expectations, item.kind)(**item.arguments) for item in expectations
                    ],
                )
            )
            validation = context.validation_definitions.add(
                gx.ValidationDefinition(name=name, data=batch, suite=suite)
            )
            outcome = validation.run(batch_parameters={"dataframe": rows}, result_format="SUMMARY")
            page = DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(outcome))
        result = outcome.to_json_dict()
        self._keep(name, result, page)
        return result

    def _keep(self, name: str, result: dict[str, Any], page: str) -> None:
        docs = self.folder / "data_docs"
        docs.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{name}.json").write_text(json.dumps(result, indent=1, sort_keys=True))
        # Great Expectations' pages load styles and scripts from public servers, advertise a newsletter
        # and link to pages of a site that is not made here; nothing here phones home.
        offline = re.sub(
            r"<script\b[^>]*\bsrc=[^>]*>\s*</script>|<link\b[^>]*>|<img\b[^>]*\bhttps?:[^>]*>|url\(['\"]?https?:[^)]*\)"
            r"|<footer>.*?</footer>",
            "",
            page,
            flags=re.DOTALL,
        )
        offline = re.sub(r'href="(?:\.\./)+index\.html"', 'href="index.html"', offline)
        offline = re.sub(
            r'<a\b[^>]*href="(?:\.\./)+expectations[^>]*>(.*?)</a>', r"\1", offline, flags=re.DOTALL
        )
        (docs / f"{name}.html").write_text(offline.replace("</head>", f"<style>{_STYLE}</style></head>", 1))
        links = "".join(
            f'<li><a href="{path.name}">{path.stem}</a> {_verdict(self.folder / f"{path.stem}.json")}</li>'
            for path in sorted(docs.glob("*.html"))
            if path.name != "index.html"
        )
        (docs / "index.html").write_text(
            f"<!doctype html><meta charset=utf-8><title>Quality gates</title><style>{_STYLE}</style>"
            f"<h1>Quality gates of this run</h1><ul>{links}</ul>"
        )


# The pages' own icons come from a public server; words say as much.
_STYLE = (
    "body{font:14px sans-serif;margin:2em;max-width:70em}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:4px 8px;vertical-align:top}"
    "i.text-success::before{content:'passed';color:#087a08}"
    "i.text-danger::before{content:'FAILED';color:#b00020;font-weight:bold}"
    "i.text-warning::before{content:'did not run';color:#b00020;font-weight:bold}"
)


def _verdict(result: Path) -> str:
    return "passed" if json.loads(result.read_text())["success"] else "<strong>FAILED</strong>"


# What a failed expectation means, for the reader of the run.
_SENTENCES = {
    "expect_table_columns_to_match_ordered_list": "its columns are {observed_value}",
    "expect_table_row_count_to_be_between": "it has {observed_value} rows where at least {min_value} must be",
    "expect_column_values_to_not_be_null": "column {column} is empty",
    "expect_column_values_to_be_between": "column {column} is not within {min_value} to {max_value}",
    "expect_column_values_to_be_in_set": "column {column} is none of {value_set}",
    "expect_column_value_lengths_to_be_between": "column {column} is shorter than {min_value} characters",
    "expect_compound_columns_to_be_unique": "the key {column_list} is not unique",
}


def _sentence(item: dict[str, Any]) -> str:
    """`column rating is not within 1.0 to 5.0 in 12 of 112 rows`"""
    config, result = item["expectation_config"], item["result"]
    values = {"min_value": None, "max_value": None} | config["kwargs"] | result
    values |= {name: "any" for name in ("min_value", "max_value") if values[name] is None}
    text = _SENTENCES[config["type"]].format(**values)
    if "unexpected_count" in result:
        text += f" in {result['unexpected_count']} of {result['element_count']} rows"
    return text
