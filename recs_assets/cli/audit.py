"""The command `audit`: what a folder of files is worth, before anything is trained or published."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recs_assets.schema import RecsError, SettingsError, SourceError, Table

if TYPE_CHECKING:
    from recs_assets.audit.findings import Finding
    from recs_assets.settings import Settings
    from recs_assets.shop import Shop
    from recs_assets.store.warehouse import Warehouse


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command of this module."""
    audit = add("audit", help="say what a folder of files is worth, without training or publishing anything")
    audit.add_argument(
        "folder", metavar="FOLDER", help="with the shop's files, or in object storage, as RECS_DATA"
    )
    audit.add_argument("--html", type=Path, metavar="FILE", help="write the report as a page, too")
    audit.add_argument(
        "--as-of", type=date.fromisoformat, help="a Monday; default: the newest the orders lead up to"
    )
    audit.set_defaults(execute=audit_folder)


def audit_folder(parsed: argparse.Namespace) -> int:
    """Print the report; 0 when every file could be read, whatever the verdict, 1 otherwise.

    Raises:
        SettingsError: there is no such folder, or a setting is wrong.
    """
    from rich.console import Console

    from recs_assets.audit.report import print_report, write_page
    from recs_assets.settings import Settings

    folder = parsed.folder if "://" in parsed.folder else Path(parsed.folder).resolve()
    if isinstance(folder, Path) and not folder.is_dir():
        raise SettingsError(f"{parsed.folder}: there is no such folder; name the one with the shop's files.")
    if parsed.as_of is not None and parsed.as_of.weekday() != 0:
        raise SettingsError(f"{parsed.as_of} is not a Monday: weeks begin on Mondays.")
    with tempfile.TemporaryDirectory(prefix="recs-audit-") as home:
        main = Settings(data=folder)
        _copy_suppressed(main.home, Path(home))
        # Wherever the deployment's weeks are built: an audit is made by DuckDB and leaves the lake alone.
        settings = Settings(data=folder, home=Path(home), data_root=main.data_root, engine=None, lake=None)
        findings, week, name, problems = _audit(settings, parsed.as_of)
    console = Console(highlight=False, markup=False)
    title = f"Audit of {folder}, {name}" + (f", week {week}" if week else "")
    print_report(console, findings, title)
    if parsed.html:
        page = write_page(parsed.html, findings, week, str(folder).rstrip("/").rpartition("/")[2])
        console.print(f"\nPage: {page}", soft_wrap=True)
    for problem in problems:
        print(f"Error: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _copy_suppressed(origin: Path, home: Path) -> None:
    """Whoever was erased is not landed here either."""
    from recs_assets.sources.suppression import SUPPRESSED

    if (origin / SUPPRESSED).exists():
        shutil.copyfile(origin / SUPPRESSED, home / SUPPRESSED)


def _audit(settings: Settings, as_of: date | None) -> tuple[list[Finding], date | None, str, list[str]]:
    """Findings, the week, the source's name, and what could not be read."""
    from recs_assets.shop import Shop, open_warehouse

    try:
        shop = Shop.from_settings(settings)
    except SourceError as error:
        if isinstance(settings.data, str):  # in object storage: there is no folder to look into
            raise
        return (
            _list_unknown(settings.data_dir(), open_warehouse(settings), str(error)),
            None,
            "no source fits",
            [],
        )
    return _audit_shop(shop, as_of)


def _list_unknown(folder: Path, warehouse: Warehouse, why: str) -> list[Finding]:
    """What lies in a folder that no source fits, and what to do."""
    from recs_assets.audit.files import list_found
    from recs_assets.audit.findings import READINESS, Finding
    from recs_assets.discovery.folder import read_folder

    with warehouse.scratch() as connection:
        connection.execute("attach ':memory:' as files")
        tables, problems = read_folder(connection, folder)
    # `init` would write them there; here nothing is written.
    problems = [re.sub(r"\.?(;| Until then) it is named in ignored_files\.$", ".", text) for text in problems]
    advice = (
        f"No source fits these files, so this is all that can be said. `python -m recs_assets init {folder}` proposes what they "
        f"mean. As canonical tables they are refused: {why}"
    )
    return [Finding(*READINESS, None, "level", "look", advice), *list_found(folder, tables, problems)]


def _audit_shop(shop: Shop, as_of: date | None) -> tuple[list[Finding], date | None, str, list[str]]:
    """Land the shop's files in a build file of their own, build the models that the audit reads, and audit them."""
    from recs_assets.audit import audit_build
    from recs_assets.audit.files import describe_landed, report_unreadable
    from recs_assets.audit.inventory import list_tables
    from recs_assets.defs.audit import READS
    from recs_assets.defs.dbt import explain_failures, find_project, run_dbt, shared_dbt
    from recs_assets.schema import GateError
    from recs_assets.week.people import match_people
    from recs_assets.week.week import Week

    warehouse = shop.warehouse()
    unread: dict[str, str] = {}
    source = f"source {shop.source.name}"
    try:
        week = Week(shop, warehouse, as_of or shop.find_newest_week())
    except RecsError as error:
        unread["orders"] = str(error)
        week = Week(shop, warehouse, as_of or date(1990, 1, 1))
    dbt = shared_dbt(find_project(shop))
    if not unread:
        dbt.start()  # reads the project while the files are landed
    files: dict[str, str] = {}
    with week.build.write() as connection:
        for name, table in shop.source.raw_tables.items():
            try:
                landed = shop.land(connection, name)
                files[name] = describe_landed(shop.data_dir, landed.files)
            except SourceError as error:
                unread[name] = str(error)
                _create_empty(connection, table)
    problems = [report_unreadable(table, sentence) for table, sentence in unread.items()]
    if any(shop.source.raw_tables[name].required for name in unread):
        dbt.stop()
        with week.build.read() as connection:
            known = list_tables(connection, as_of or date.max, shop.source.raw_tables, files)
        shown = [finding for finding in known if finding.measure == "rows"]
        return [*problems, *shown], None, source, list(unread.values())
    match_people(week)
    selected = [f"+{table}" for tables in READS.values() for table in tables]
    built, results = run_dbt(
        dbt, week, ["--select", *selected, "--exclude", "resource_type:test"], [week.as_of]
    )
    dbt.stop()
    if not built:
        raise GateError(f"The models that the audit reads could not be built: {explain_failures(results)}")
    with week.build.read() as connection:
        findings, _ = audit_build(connection, week.as_of, min(week.anchors), shop.source, files)
    return [*problems, *findings], week.as_of, source, list(unread.values())


def _create_empty(connection: Any, table: Table) -> None:
    """The table of a file that cannot be read, without rows, so that the others can be audited."""
    from recs_assets.sources.session import find_stored_type

    columns = ", ".join(f'"{column.name}" {find_stored_type(column)}' for column in table.columns)
    connection.execute("create schema if not exists raw")
    connection.execute(f'create or replace table raw."{table.name}" ({columns})')
