"""Commands that ask what is there: `query`, `sql`, `evaluate-policy`, `sensitive` and `summary`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from recs_assets.schema import SettingsError

if TYPE_CHECKING:
    import pandas as pd

FORMATS = (".csv", ".parquet", ".jsonl")


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the commands of this module."""
    query = add("query", help="answer a predictive query (docs/queries.md)")
    query.add_argument("text", metavar="QUERY", help='"PREDICT ... FOR EACH customers.customer_id"')
    query.add_argument(
        "--as-of",
        type=date.fromisoformat,
        help="a week that was run, or where no products are ranked any earlier date; default: the query's, "
        "else the newest week",
    )
    query.add_argument(
        "--view", choices=("all", "new", "repeat"), default="all", help="which purchases a ranking is about"
    )
    query.add_argument(
        "--explain",
        action="store_true",
        help="print the query as read, its SQL, who is eligible and the features",
    )
    query.add_argument(
        "--output", type=Path, metavar="FILE", help="write all rows there instead: .csv, .parquet or .jsonl"
    )
    query.set_defaults(execute=answer_query)

    sql = add("sql", help="run SQL on the published tables and print a Markdown table")
    sql.add_argument(
        "text", metavar="FILE_OR_TEXT", help='a file like queries/due_again.sql, or "select ..."'
    )
    sql.set_defaults(execute=run_sql)

    policy = add(
        "evaluate-policy",
        help="say what a campaign file would have earned in drawn slots (docs/exploration.md)",
    )
    policy.add_argument("file", type=Path, metavar="CAMPAIGN_FILE", help="a file like those of campaigns")
    policy.add_argument(
        "--campaign", metavar="NAME", help="whose drawn slots; default: the campaign of the file's name"
    )
    policy.add_argument(
        "--weeks", type=int, metavar="N", help="the newest so many; default: all that are kept"
    )
    policy.add_argument(
        "--reward", choices=("click", "purchase", "revenue"), default="click", help="default: click"
    )
    policy.set_defaults(execute=evaluate_policy)

    sensitive = add("sensitive", help="list the products that count as sensitive goods (docs/sensitive.md)")
    sensitive.add_argument(
        "--as-of", type=date.fromisoformat, help="a week that was run; default: the newest published"
    )
    sensitive.set_defaults(execute=list_sensitive)

    summary = add("summary", help="say what is published and where")
    summary.add_argument(
        "--evaluation", action="store_true", help="print how every model did at the test anchor, too"
    )
    summary.set_defaults(execute=summarise)


def answer_query(parsed: argparse.Namespace) -> int:
    """Answer a predictive query, or say how it would be answered."""
    from recs_assets import training

    if parsed.output is not None:
        check_output(parsed.output)
    query, week = training.open_query(parsed.text, parsed.as_of)
    for sentence in training.list_unknown_names(query, week):
        print(f"Warning: {sentence}", file=sys.stderr)
    if parsed.explain:
        print(training.explain_query(query, week, parsed.view), end="")
        return 0
    answer = training.answer(
        query, week, parsed.view, say=lambda line: print(line, file=sys.stderr, flush=True)
    )
    if parsed.output is None:
        print(answer.describe())
        return 0
    write_table(answer.table, parsed.output)
    print(f"{len(answer.table):,} rows are in {parsed.output}.")
    print(answer.describe(most=0))
    return 0


def check_output(path: Path) -> None:
    """Refuse a file that cannot be written before anything is learned.

    Raises:
        SettingsError: its ending is unknown, or its folder is not there.
    """
    if path.suffix not in FORMATS:
        raise SettingsError(
            f"{path} must end with {', '.join(FORMATS[:-1])} or {FORMATS[-1]}: name such a file."
        )
    if not path.parent.is_dir():
        raise SettingsError(f"There is no folder {path.parent}: create it, or name another file.")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write the rows in the format of the file's ending; the file appears whole or not at all."""
    import pyarrow as pa

    from recs_assets.exports.email_files import escape_formulas

    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.suffix == ".parquet":
            table.to_parquet(aside, index=False)
        elif path.suffix == ".jsonl":
            table.to_json(aside, orient="records", lines=True, force_ascii=False, double_precision=15)
        else:
            text = table.select_dtypes(["object", "string", "category"])
            safe = {
                name: escape_formulas(pa.array(text[name].astype(object), pa.string())).to_pandas()
                for name in text
            }
            table.assign(**safe).to_csv(aside, index=False)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def evaluate_policy(parsed: argparse.Namespace) -> int:
    """Print what a campaign file would have earned in the drawn slots of the kept weeks, or why nobody can say.

    Raises:
        CampaignError: the file is no campaign.
        SettingsError: no kept week has drawn slots whose window is over, or nobody reports clicks.
    """
    from recs_assets.campaigns.file import load
    from recs_assets.campaigns.policy import judge_policy, list_weeks, load_logs
    from recs_assets.settings import Settings
    from recs_assets.shop import Shop

    shop = Shop.from_settings(Settings())
    campaign = load(parsed.file, shop.catalogue)
    campaign = campaign.model_copy(update={"name": parsed.campaign or campaign.name})
    warehouse = shop.warehouse()
    until = warehouse.newest_published()
    with warehouse.snapshot() as connection:
        logs, clicks = load_logs(connection, list_weeks(shop, warehouse), campaign.name, until)
    if not logs:
        raise SettingsError(
            f"No kept week has drawn slots of {campaign.name} whose window was over by {until}: keep more weeks "
            "(RECS_BUILD_WEEKS), or wait; slots are drawn where exploration_share is above 0."
        )
    if parsed.reward == "click" and not clicks:
        raise SettingsError(
            f"The shop reports no clicks on {campaign.name}: take --reward purchase, or report them (docs/raw_tables.md)."
        )
    found = judge_policy(
        campaign,
        logs if parsed.weeks is None else logs[-max(parsed.weeks, 1) :],
        parsed.reward,
        lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(markdown_table(*found.tabulate()))
    for sentence in found.describe():
        print(sentence)
    return 0


def list_sensitive(parsed: argparse.Namespace) -> int:
    """Print the products that count as sensitive goods, and why."""
    from recs_assets.settings import Settings
    from recs_assets.shop import Shop
    from recs_assets.week.week import Week

    shop = Shop.from_settings(Settings())
    warehouse = shop.warehouse()
    week = Week(shop, warehouse, parsed.as_of or warehouse.newest_published())
    goods = shop.sensitive.table(week.known().products)
    print(markdown_table(list(goods), list(goods.itertuples(index=False, name=None))))
    return 0


def run_sql(parsed: argparse.Namespace) -> int:
    """Run SQL on the published tables and print its rows."""
    from recs_assets.settings import Settings
    from recs_assets.shop import open_warehouse

    text = parsed.text
    if text.endswith(".sql") or len(text.split()) == 1:  # no statement is one word
        path = Path(text)
        if not path.is_file():
            raise SettingsError(f"{path} is no file of SQL: name one, or write the query in quotes.")
        text = path.read_text("utf-8")
    print(markdown_table(*open_warehouse(Settings()).ask(text)))
    return 0


def summarise(parsed: argparse.Namespace) -> int:
    """Print the summary of what is published."""
    from recs_assets.cli.summary import print_summary

    print_summary(parsed.evaluation)
    return 0


def markdown_table(header: list[str], rows: list[tuple]) -> str:
    """A Markdown table whose columns are aligned, so that it can be read as it is."""
    cells = [header, *([_format_cell(value) for value in row] for row in rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join([*lines, "", f"{len(rows)} {'row' if len(rows) == 1 else 'rows'}"])


def _format_cell(value: object) -> str:
    text = "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
    return " ".join(text.replace("|", "\\|").split())
