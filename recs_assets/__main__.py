"""`python -m recs_assets`: run a week, look at it, without opening the Dagster UI."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from recs_assets import __version__
from recs_assets.schema import RecsError, SettingsError

if TYPE_CHECKING:
    import pandas as pd


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m recs_assets", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="materialise one week through Dagster")
    run.add_argument(
        "--as-of", type=date.fromisoformat, help="a Monday; default: the newest the orders lead up to"
    )
    backtest = commands.add_parser("backtest", help="evaluate every model at several test anchors")
    backtest.add_argument("--as-of", type=date.fromisoformat, help="as for run")
    backtest.add_argument("--folds", type=int, default=3, help="test anchors, one horizon apart (default 3)")
    query = commands.add_parser("query", help="answer a predictive query (docs/queries.md)")
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
    sql = commands.add_parser("sql", help="run SQL on the published tables and print a Markdown table")
    sql.add_argument(
        "text", metavar="FILE_OR_TEXT", help='a file like queries/due_again.sql, or "select ..."'
    )
    campaign = commands.add_parser(
        "campaign", help="make one campaign of a week that was run, and publish it"
    )
    campaign.add_argument("name", metavar="NAME", help="of its file")
    campaign.add_argument("--as-of", type=date.fromisoformat, help="a Monday; default: the newest published")
    sensitive = commands.add_parser(
        "sensitive", help="list the products that count as sensitive goods (docs/sensitive.md)"
    )
    sensitive.add_argument(
        "--as-of", type=date.fromisoformat, help="a week that was run; default: the newest published"
    )
    rollback = commands.add_parser(
        "rollback", help="switch snapshot, cache and the campaigns' files back to an older version"
    )
    rollback.add_argument(
        "--to",
        type=date.fromisoformat,
        metavar="WEEK",
        help="its newest version that is not the current one; default: the newest of the week before",
    )
    forget = commands.add_parser("forget", help="purge a customer from everything this project keeps")
    forget.add_argument("customer_id", metavar="CUSTOMER_ID", help="as in the raw files")
    forget.add_argument(
        "--no-run",
        action="store_true",
        help="leave it to the next run to make the deleted tables and models again",
    )
    commands.add_parser("summary", help="say what is published and where")
    commands.add_parser("settings", help="print every setting, its value and its meaning")
    commands.add_parser(
        "prepare", help="write the dbt manifest and Dagster's configuration (make setup calls it)"
    )
    parsed = parser.parse_args(arguments)
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    try:
        return _COMMANDS[parsed.command](parsed)
    except RecsError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `... | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        what = error.filename or "A file"
        print(
            f"Error: {what} cannot be used ({error.strerror}): choose another place, or repair it.",
            file=sys.stderr,
        )
        return 1


def _run(parsed: argparse.Namespace) -> int:
    from recs_assets.cli.run import run_week

    return run_week(parsed.as_of)


def _campaign(parsed: argparse.Namespace) -> int:
    from recs_assets.cli.run import run_campaign

    return run_campaign(parsed.name, parsed.as_of)


def _backtest(parsed: argparse.Namespace) -> int:
    from recs_assets.cli.run import run_backtest

    return run_backtest(parsed.as_of, parsed.folds)


def _query(parsed: argparse.Namespace) -> int:
    from recs_assets import training

    if parsed.output is not None:
        _refuse_output(parsed.output)
    query, *where = training.opened(parsed.text, parsed.as_of)
    for sentence in training.unknown_names(query, *where[1:]):
        print(f"Warning: {sentence}", file=sys.stderr)
    if parsed.explain:
        print(training.explained(query, *where, parsed.view), end="")
        return 0
    found = training.answer(
        query, *where, parsed.view, say=lambda line: print(line, file=sys.stderr, flush=True)
    )
    if parsed.output is None:
        print(found.shown())
        return 0
    _write_table(found.table, parsed.output)
    print(f"{len(found.table):,} rows are in {parsed.output}.")
    print(found.shown(most=0))
    return 0


_FORMATS = (".csv", ".parquet", ".jsonl")


def _refuse_output(path: Path) -> None:
    """Before anything is learned: what cannot be written."""
    if path.suffix not in _FORMATS:
        raise SettingsError(
            f"{path} must end with {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}: name such a file."
        )
    if not path.parent.is_dir():
        raise SettingsError(f"There is no folder {path.parent}: create it, or name another file.")


def _write_table(table: pd.DataFrame, path: Path) -> None:
    """The rows in the format of the file's ending; the file is there in whole or not at all."""
    import pyarrow as pa

    from recs_assets.exports.email_files import spreadsheet_safe

    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.suffix == ".parquet":
            table.to_parquet(aside, index=False)
        elif path.suffix == ".jsonl":
            table.to_json(aside, orient="records", lines=True, force_ascii=False, double_precision=15)
        else:
            text = table.select_dtypes(["object", "string", "category"])
            safe = {
                name: spreadsheet_safe(pa.array(text[name].astype(object), pa.string())).to_pandas()
                for name in text
            }
            table.assign(**safe).to_csv(aside, index=False)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _sensitive(parsed: argparse.Namespace) -> int:
    from recs_assets.settings import Settings
    from recs_assets.shop import Shop

    shop = Shop.from_settings(Settings())
    warehouse = shop.warehouse()
    week = parsed.as_of or warehouse.newest_published()
    found = shop.sensitive.table(warehouse.known(week, week).products)
    print(_markdown(list(found), list(found.itertuples(index=False, name=None))))
    return 0


def _sql(parsed: argparse.Namespace) -> int:
    from recs_assets.settings import Settings
    from recs_assets.shop import open_warehouse

    text = parsed.text
    if text.endswith(".sql") or len(text.split()) == 1:  # no statement is one word
        path = Path(text)
        if not path.is_file():
            raise SettingsError(f"{path} is no file of SQL: name one, or write the query in quotes.")
        text = path.read_text("utf-8")
    print(_markdown(*open_warehouse(Settings()).ask(text)))
    return 0


def _markdown(header: list[str], rows: list[tuple]) -> str:
    """A Markdown table whose columns stand below each other, so that it can be read as it is."""
    cells = [header, *([_cell(value) for value in row] for row in rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join([*lines, "", f"{len(rows)} {'row' if len(rows) == 1 else 'rows'}"])


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
    return " ".join(text.replace("|", "\\|").split())


def _rollback(parsed: argparse.Namespace) -> int:
    from recs_assets.defs.deployment import Deployment
    from recs_assets.defs.exports import write_again
    from recs_assets.operations.rollback import rollback
    from recs_assets.settings import Settings

    settings = Settings()
    print(
        rollback(
            settings,
            __version__,
            parsed.to,
            lambda *where: write_again(Deployment.from_settings(settings), *where),
        )
    )
    return 0


def _forget(parsed: argparse.Namespace) -> int:
    from recs_assets.cli.run import dagster_home, run_week
    from recs_assets.operations.forget import forget
    from recs_assets.settings import Settings
    from recs_assets.shop import open_warehouse

    settings = Settings()
    done = forget(settings, parsed.customer_id, dagster_home(settings), __version__)
    print(done, flush=True)
    warehouse = open_warehouse(settings)
    if parsed.no_run or not warehouse.snapshot_path.exists():
        return 0
    week = warehouse.newest_published()
    if week not in done.weeks:
        return 0
    print(f"Week {week} again, without the customer.", flush=True)
    return run_week(week)


def _summary(parsed: argparse.Namespace) -> int:
    from recs_assets.cli.run import print_summary

    print_summary()
    return 0


def _settings(parsed: argparse.Namespace) -> int:
    from recs_assets.settings import Settings

    current = Settings()
    for name, field in Settings.model_fields.items():
        print(f"RECS_{name.upper()}={getattr(current, name)}\n    {field.description}")
    return 0


def _prepare(parsed: argparse.Namespace) -> int:
    from recs_assets.cli.run import prepare

    prepare()
    return 0


_COMMANDS = {
    "run": _run,
    "campaign": _campaign,
    "backtest": _backtest,
    "query": _query,
    "sensitive": _sensitive,
    "sql": _sql,
    "rollback": _rollback,
    "forget": _forget,
    "summary": _summary,
    "settings": _settings,
    "prepare": _prepare,
}

if __name__ == "__main__":
    sys.exit(main())
