"""From the files of a source to its canonical raw tables."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from recs_assets.schema import SourceError, Table
from recs_assets.sources.acknowledged import find_unfinished
from recs_assets.sources.cells import explain_address, is_safe, write_address_condition
from recs_assets.sources.databases import find_state
from recs_assets.sources.declared import DeclaredFile, list_some
from recs_assets.sources.folder import (
    list_canonical_names,
    list_parts,
)
from recs_assets.sources.forgotten import (
    FORGOTTEN,
    VISITED,
    Erased,
    Noticed,
    find_erased_references,
    find_erased_rows,
    find_erased_visitors,
    rename_forgotten,
)
from recs_assets.sources.identifiers import BY_ADDRESS, identifiers_of
from recs_assets.sources.session import (
    attach_files,
    explain_unreadable,
    find_stored_type,
    keep_nothing_new,
    open_session,
    run_in_transaction,
    strip_semicolon,
)
from recs_assets.sources.source import Source, list_files_now
from recs_assets.sql_text import quote, quote_text
from recs_assets.store.lake import drop_view

# Orders dated before it are mistakes of a clock (dbt: row_checks.sql).
_OLDEST_PLAUSIBLE = datetime(1990, 1, 1)


@dataclass(frozen=True)
class LandingResult:
    """What landing one table came to: rows, wall seconds, names of the files read, what people must be told."""

    rows: int
    seconds: float
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()


def land(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    table_name: str,
    data_dir: Path,
    timezone: str | None = None,
    root: Path | None = None,
    erased: Erased | None = None,
) -> LandingResult:
    """Create or replace `raw.<table_name>` with exactly its declared columns.

    Only the files that the table's SQL names are read. The work runs on a cursor of `con`
    with its own session, so the connection keeps its time zone.

    Args:
        con: open connection to the build file.
        source: where the rows come from.
        table_name: one of the source's `raw_tables`.
        data_dir: folder with the files.
        timezone: the shop's zone; times land as local `TIMESTAMP`. Default: the source's.
        root: folder that every file must lie in once links are followed. Default: `data_dir`.
        erased: who was forgotten: their rows, and those of their orders, are not landed. In `consents` and
            `campaign_events` they are known by other spellings of their id and by their address, too; what they
            wanted there goes on to hold for other accounts with the address, and else is landed in `consents`
            as nobody's (`FORGOTTEN`).

    Returns:
        Rows landed, wall seconds, files read.

    Raises:
        SourceError: a file or the SQL's result is not as declared.
        SettingsError: a file lies outside `root`, or the SQL reaches beyond its files.
    """
    begun = time.perf_counter()
    table = source.raw_tables[table_name]
    noticed = None if erased is None else Noticed(erased)
    # Where nobody can be told by a table's rows, nobody looks for the forgotten in its files.
    told = bool({"customer_id", "order_id"} & set(table.column_names)) or table_name in source.tables
    source = list_files_now(source, data_dir, keeps=noticed is None or told)
    notes = tuple(find_unfinished(source.events, table_name))
    try:
        rows, names = _land_table(con, source, table, data_dir, timezone, root, noticed)
    finally:
        if source.copies is not None and noticed is not None and (noticed.any or not told):
            source.copies.forget()
    return LandingResult(rows, time.perf_counter() - begun, names, notes)


def _land_table(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    table: Table,
    data_dir: Path,
    timezone: str | None,
    root: Path | None,
    erased: Erased | None,
) -> tuple[int, tuple[str, ...]]:
    """Land a table of a source whose copies are there; its rows, and the files that were read."""
    with open_session(con, timezone or source.timezone) as session:
        session.execute("create schema if not exists raw")
        target = f"raw.{quote(table.name)}"
        sql = source.sql(table.name)
        if sql is None:
            columns = ", ".join(
                f"{quote(column.name)} {find_stored_type(column)}" for column in table.columns
            )
            drop_view(session, "raw", table.name)
            session.execute(f"create or replace table {target} ({columns})")
            return 0, ()
        gone, visitors = find_forgotten(session, source, table, sql, erased, data_dir, root)
        renamed: dict[str, str] = {}
        if gone and (table.name, "customer_id") in BY_ADDRESS:
            [(column, values)] = gone
            renamed = rename_forgotten(session, source, table, sql, erased, values, data_dir, root)
            # What they did is not kept; that they said no is counted.
            gone = [(column, [] if table.name == "consents" else [FORGOTTEN])]
        with attach_files(session, source, sql, f"{table.name}.sql", data_dir, root) as names:
            return _land_select(session, source, table, target, names, gone, renamed, visitors), names


def find_forgotten(
    session: duckdb.DuckDBPyConnection,
    source: Source,
    table: Table,
    sql: str,
    erased: Erased | None,
    data_dir: Path,
    root: Path | None,
) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """Columns of a table and their values that lead to somebody forgotten, and visitors that somebody forgotten was."""
    if erased is None:
        return [], []
    if table.name in source.tables:
        gone = find_erased_references(session, source, table.name, erased, data_dir, root)
    else:
        found = find_erased_rows(session, source, table, sql, erased, data_dir, root)
        gone = [] if found is None else [found]
    if table.name not in VISITED:
        return gone, []
    return gone, find_erased_visitors(session, source, erased, data_dir, root)


def leave_out_forgotten(
    gone: Sequence[tuple[str, list[str]]], visitors: Sequence[str]
) -> tuple[str, list[list[str]]]:
    """The condition of the rows that are nobody's of `find_forgotten`, and its values."""
    kept = "where true" + "".join(
        f" and not coalesce(list_contains(?, {quote(column)}::varchar), false)" for column, _ in gone
    )
    if visitors:
        kept += " and not (nullif(trim(customer_id), '') is null and coalesce(list_contains(?, trim(visitor_id)), false))"
    return kept, [*(values for _, values in gone), *([list(visitors)] if visitors else [])]


def find_latest_as_of(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    data_dir: Path,
    timezone: str | None = None,
    not_after: datetime | None = None,
    root: Path | None = None,
) -> date:
    """The last Monday not after the day that follows the last order.

    Args:
        con: any writable connection (`duckdb.connect()` will do); nothing is written to it.
        source: where the orders come from.
        data_dir: folder with the files.
        timezone: the shop's zone. Default: the source's.
        not_after: shop-local moment; later orders are ignored, so that one order dated 2099
            by mistake does not move the week. Default: none are.
        root: as in `land`.

    Raises:
        SourceError: there are no (such) orders.
    """
    last = _find_order_date(con, source, data_dir, timezone, not_after, root, "max")
    if last is None:
        raise SourceError(
            f"source {source.name!r}: there is no order, so there is no week to run; export orders."
        )
    day = last.date() + timedelta(days=1)
    return day - timedelta(days=day.weekday())


def find_first_as_of(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    data_dir: Path,
    timezone: str | None = None,
    root: Path | None = None,
) -> date | None:
    """The Monday of the week of the first order; orders that clocks dated before 1990 do not count.

    Args:
        con: any writable connection; nothing is written to it.
        source: where the orders come from.
        data_dir: folder with the files.
        timezone: the shop's zone. Default: the source's.
        root: as in `land`.

    Returns:
        The Monday; None where there is no order.

    Raises:
        SourceError: the orders cannot be read.
    """
    first = _find_order_date(con, source, data_dir, timezone, None, root, "min")
    return None if first is None else first.date() - timedelta(days=first.weekday())


def _find_order_date(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    data_dir: Path,
    timezone: str | None,
    not_after: datetime | None,
    root: Path | None,
    which: str,
) -> datetime | None:
    """The first (`min`) or last (`max`) plausible date of an order, local to the shop."""
    source = list_files_now(source, data_dir)
    sql = source.sql("orders") or "select null::timestamp as ordered_at where false"
    with (
        keep_nothing_new(source),
        open_session(con, timezone or source.timezone) as session,
        attach_files(session, source, sql, "orders.sql", data_dir, root),
    ):
        until = (
            "" if not_after is None else f"and ordered_at <= timestamp {quote_text(not_after.isoformat(' '))}"
        )
        try:
            found = session.execute(
                f"select {which}(ordered_at) from (select cast(ordered_at as timestamp) as ordered_at from "
                f"({strip_semicolon(sql)}\n)) where ordered_at >= timestamp {quote_text(_OLDEST_PLAUSIBLE.isoformat(' '))} {until}"
            ).fetchone()
        except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
            raise explain_unreadable(f"source {source.name!r} (orders)", error) from None
    return found[0]


def fingerprint(source: Source, data_dir: Path) -> str:
    """sha256 over names, sizes and modification times of the files a source reads, as they are now.

    Of a table in a database it is how many rows there are and the latest of their times. What the API acknowledged is
    left out: it changes with every click, and starts no run.

    Raises:
        SettingsError, SourceError: a database or object storage cannot be asked.
    """
    if source.mirror is not None:
        source.mirror.refresh()
    if source.canonical:
        names = [name for found in list_canonical_names(data_dir).values() for name in found]
        files = tuple(file for file in source.files if file.stem in source.tables)
    else:
        names, files = [], source.own_files
    names += [name for file in files for name in _match_files(data_dir, file)]
    digest = hashlib.sha256()
    for file in source.files:
        if file.database is not None:
            digest.update(f"{file.name}\0{find_state(file)}\n".encode())
    for name in [*sorted(names), "manifest.json"]:
        path = data_dir / name
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if file.is_file():
                stat = file.stat()
                shown = file.relative_to(data_dir).as_posix()
                digest.update(f"{shown}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _match_files(data_dir: Path, file: DeclaredFile) -> list[str]:
    try:
        return list_parts(data_dir, file)
    except SourceError:
        return []


def _land_select(
    session: duckdb.DuckDBPyConnection,
    source: Source,
    table: Table,
    target: str,
    names: tuple[str, ...],
    gone: Sequence[tuple[str, list[str]]] = (),
    renamed: Mapping[str, str] | None = None,
    visitors: Sequence[str] = (),
) -> int:
    """Write the SELECTs' rows into `target` under the declared names, types and order, but for those
    of which a column (the first of each of `gone`) is one of the values (the second). Customers in `renamed` get the new name;
    what FORGOTTEN wanted is that they are gone. What `visitors` did without signing in is not written."""
    where = list_some(names) if source.canonical else f"source {source.name!r} ({table.name}.sql)"
    try:
        rows = "\nunion all\n".join(
            select_declared(session, table, where, part) for part in source.parts(table.name)
        )
        # One transaction: a result that is refused leaves the table of the landing before.
        with run_in_transaction(session):
            # Left out rather than deleted: what was never written is in no freed block of the file.
            kept, out = leave_out_forgotten(gone, visitors)
            rows = f"(\n{rows}\n)"
            values: list[Any] = []
            if renamed:
                old, new = list(renamed), list(renamed.values())
                name = "coalesce(map_extract(map(?::varchar[], ?::varchar[]), customer_id::varchar)[1], customer_id::varchar)"
                if table.name == "consents":
                    # Nobody else comes back because somebody who was forgotten did.
                    back = "list_contains(?::varchar[], customer_id::varchar) and lower(trim(state::varchar)) = 'subscribed'"
                    rows, values = f"(select * from {rows} where not coalesce({back}, false))", [old]
                rows, values = f"(select * replace ({name} as customer_id) from {rows})", [old, new, *values]
                if table.name == "consents":
                    state = "case when customer_id = ? then 'erased' else state::varchar end"
                    rows, values = f"(select * replace ({state} as state) from {rows})", [FORGOTTEN, *values]
            drop_view(session, "raw", table.name)
            session.execute(
                f"create or replace table {target} as select * from {rows} {kept}",
                [*values, *out],
            )
            if not source.canonical:  # canonical files were searched line by line
                own = source.tables.get(table.name)
                for name in identifiers_of(table) if own is None else own.identifiers:
                    count = session.execute(
                        f"select count(*) from {target} where {write_address_condition(name)}"
                    ).fetchone()[0]
                    if count:
                        raise SourceError(f"{where}, from {list_some(names)}: {explain_address(name, count)}")
            # Read by the dbt tests, so that what they say of rows names the files.
            session.execute(f"comment on table {target} is {quote_text(list_some(names))}")
            numbers = [column.name for column in table.columns if column.type == "DOUBLE"]
            infinite = "".join(f", count(*) filter (not isfinite({quote(name)}))" for name in numbers)
            counts = session.execute(f"select count(*){infinite} from {target}").fetchone()
            assert counts is not None
            for name, count in zip(numbers, counts[1:], strict=True):
                if count:
                    raise SourceError(
                        f"{where}: column {name!r} holds NaN or Infinity in {count} rows; make it null."
                    )
    except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
        raise explain_unreadable(where, error) from None
    return counts[0]


def select_declared(session: duckdb.DuckDBPyConnection, table: Table, where: str, sql: str) -> str:
    """A SELECT of the declared columns, in their order and as they are stored.

    Raises:
        SourceError: a required column is missing, there is an unknown one, or one is of a type that loses something.
    """
    found = {row[0]: row[1] for row in session.execute(f"describe {sql}").fetchall()}
    missing = [column.name for column in table.columns if column.required and column.name not in found]
    unknown = [name for name in found if name not in table.column_names]
    if missing or unknown:
        what = f"lacks column {missing[0]!r}" if missing else f"has the unknown column {unknown[0]!r}"
        raise SourceError(f"{where}: its result {what}; {table.name} has {', '.join(table.column_names)}.")
    for column in table.columns:
        if column.name in found and not is_safe(found[column.name], column.type):
            raise SourceError(
                f"{where}: column {column.name!r} comes out as {found[column.name]} where "
                f"{column.type} is declared; cast it in the SQL."
            )
    select = ", ".join(
        f"cast({quote(column.name) if column.name in found else 'null'} as {find_stored_type(column)}) as {quote(column.name)}"
        for column in table.columns
    )
    return f"select {select} from (\n{sql}\n)"
