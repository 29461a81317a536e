"""Rows of people who were forgotten: they are not landed, whatever spelling they come under."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol, TypeVar

import duckdb

from recs_assets.schema import RAW_TABLES, Table
from recs_assets.sources.session import (
    attach_files,
    explain_unreadable,
    keep_nothing_new,
    open_session,
    strip_semicolon,
)
from recs_assets.sources.source import Source, list_files_now
from recs_assets.sources.spellings import list_person_keys, list_spelling_keys

# In place of whoever was forgotten in `consents`: that somebody said no is counted, who is not kept.
FORGOTTEN = "\u2205"
# Tables whose rows may name a visitor.
VISITED = ("browsing_events", "campaign_events")


_Found = TypeVar("_Found", bound=Collection[str])


class Erased(Protocol):
    """Who was forgotten; of their ids and addresses only hashes are left."""

    def find_erased(self, customer_ids: Iterable[str]) -> list[str]:
        """Those of the ids that were forgotten."""

    def find_known_keys(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys (`spellings.list_person_keys`) that somebody forgotten had."""

    def find_erased_visitors(self, visitor_ids: Iterable[str]) -> list[str]:
        """Those of the visitors that somebody forgotten was."""

    def find_own_keys(self, customer_id: str, keys: Iterable[str]) -> set[str]:
        """Those of the keys that the forgotten customer had."""


class Noticed:
    """Who was forgotten, and whether anybody has met one of them (`any`).

    Args:
        erased: is asked.
    """

    def __init__(self, erased: Erased) -> None:
        self._erased, self.any = erased, False

    def find_erased(self, customer_ids: Iterable[str]) -> list[str]:
        return self._note(self._erased.find_erased(customer_ids))

    def find_known_keys(self, keys: Iterable[str]) -> set[str]:
        return self._note(self._erased.find_known_keys(keys))

    def find_erased_visitors(self, visitor_ids: Iterable[str]) -> list[str]:
        return self._note(self._erased.find_erased_visitors(visitor_ids))

    def find_own_keys(self, customer_id: str, keys: Iterable[str]) -> set[str]:
        return self._note(self._erased.find_own_keys(customer_id, keys))

    def _note(self, found: _Found) -> _Found:
        self.any = self.any or bool(found)
        return found


def find_erased_rows(
    session: duckdb.DuckDBPyConnection,
    source: Source,
    table: Table,
    sql: str,
    erased: Erased,
    data_dir: Path,
    root: Path | None,
) -> tuple[str, list[str]] | None:
    """The column by which a table's rows belong to a customer, and its values of the erased ones."""
    if "customer_id" in table.column_names:
        column, name = "customer_id", table.name
    elif "order_id" in table.column_names:
        column, name = "order_id", "orders"
    else:
        return None
    people = sql if column == "customer_id" else source.sql("orders")
    if people is None:
        return None
    with attach_files(session, source, people, f"{name}.sql", data_dir, root):
        try:
            rows = f"(select distinct customer_id::varchar as customer_id, {column}::varchar as value from (\n{strip_semicolon(people)}\n))"
            ids = session.execute(
                f"select distinct customer_id from {rows} where customer_id is not null"
            ).fetchall()
            found = erased.find_erased(one for (one,) in ids)
            values = session.execute(
                f"select distinct value from {rows} where list_contains(?, customer_id) order by 1", [found]
            ).fetchall()
        except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
            raise explain_unreadable(f"source {source.name!r} ({name})", error) from None
    return column, [value for (value,) in values]


def find_erased_references(
    session: duckdb.DuckDBPyConnection,
    source: Source,
    table_name: str,
    erased: Erased,
    data_dir: Path,
    root: Path | None,
) -> list[tuple[str, list[str]]]:
    """Columns of a declared table, and their values that lead to the erased, over however many references."""
    table, sql = source.tables[table_name], source.sql(table_name)
    assert sql is not None, "a declared table has a file or SQL"
    found = []
    for column, target in table.foreign_keys.items():
        if target == "customers":
            with attach_files(session, source, sql, f"{table_name}.sql", data_dir, root):
                ids = _fetch(
                    session,
                    source,
                    table_name,
                    f"select distinct {column}::varchar from (\n{strip_semicolon(sql)}\n) where {column} is not null",
                )
            values = erased.find_erased(name for (name,) in ids)
        elif target == "orders":
            orders = find_erased_rows(session, source, RAW_TABLES["order_items"], "", erased, data_dir, root)
            values = [] if orders is None else orders[1]
        elif target in source.tables:
            values = _find_erased_keys(session, source, target, erased, data_dir, root)
        else:
            continue
        found.append((column, sorted(values)))
    return found


def _find_erased_keys(
    session: duckdb.DuckDBPyConnection,
    source: Source,
    table_name: str,
    erased: Erased,
    data_dir: Path,
    root: Path | None,
) -> list[str]:
    """Keys of the rows of a declared table that lead to the erased."""
    gone = [
        (column, values)
        for column, values in find_erased_references(session, source, table_name, erased, data_dir, root)
        if values
    ]
    if not gone:
        return []
    [key], sql = source.tables[table_name].keys, source.sql(table_name)
    assert sql is not None, "a declared table has a file or SQL"
    theirs = " or ".join(f"list_contains(?, {column}::varchar)" for column, _ in gone)
    with attach_files(session, source, sql, f"{table_name}.sql", data_dir, root):
        rows = _fetch(
            session,
            source,
            table_name,
            f"select distinct {key}::varchar from (\n{strip_semicolon(sql)}\n) where coalesce({theirs}, false)",
            [values for _, values in gone],
        )
    return [value for (value,) in rows if value is not None]


def find_erased_visitors(
    session: duckdb.DuckDBPyConnection, source: Source, erased: Erased, data_dir: Path, root: Path | None
) -> list[str]:
    """Visitors that are a forgotten customer's alone: so remembered, or so named in a file still."""
    signed_in: dict[str, set[str]] = {}
    for table in VISITED:
        sql = source.sql(table)
        if sql is None:
            continue
        with attach_files(session, source, sql, f"{table}.sql", data_dir, root):
            rows = f"(\n{strip_semicolon(sql)}\n)"
            if "visitor_id" not in {
                row[0] for row in _fetch(session, source, table, f"describe from {rows}")
            }:
                continue
            for visitor, customer in _fetch(
                session,
                source,
                table,
                f"select distinct trim(visitor_id::varchar), trim(customer_id::varchar) from {rows} "
                "where trim(visitor_id::varchar) <> ''",
            ):
                signed_in.setdefault(visitor, set()).update({customer} - {None, ""})
    gone = set(erased.find_erased({customer for names in signed_in.values() for customer in names}))
    named = {visitor for visitor, names in signed_in.items() if names and names <= gone}
    strangers = [visitor for visitor, names in signed_in.items() if not names]
    return sorted(named | set(erased.find_erased_visitors(strangers)))


def rename_forgotten(
    session: duckdb.DuckDBPyConnection,
    source: Source,
    table: Table,
    sql: str,
    erased: Erased,
    exact: list[str],
    data_dir: Path,
    root: Path | None,
) -> dict[str, str]:
    """Of the spellings in a table that mean somebody forgotten: the account that has their address by now, or FORGOTTEN.

    A spelling that may mean somebody else as well is left to dbt, but for the exact id of the forgotten.
    """
    with attach_files(session, source, sql, f"{table.name}.sql", data_dir, root):
        spelled = _fetch(
            session,
            source,
            table.name,
            f"select distinct customer_id::varchar from (\n{strip_semicolon(sql)}\n)",
        )
    spellings = {name for (name,) in spelled if name is not None}
    people = source.sql("customers")
    accounts: list[tuple[str, str | None]] = []
    if people is not None:
        with attach_files(session, source, people, "customers.sql", data_dir, root):
            columns = {
                row[0] for row in _fetch(session, source, "customers", f"describe {strip_semicolon(people)}")
            }
            email = "email::varchar" if "email" in columns else "null::varchar"
            accounts = _fetch(
                session,
                source,
                "customers",
                f"select distinct customer_id::varchar, {email} from (\n{strip_semicolon(people)}\n) where customer_id is not null",
            )
    gone = set(erased.find_erased(name for name, _ in accounts))
    theirs: dict[str, set[str]] = {}  # of the forgotten who stand in the file still
    living: dict[str, str] = {}  # key -> the first account that has it
    for name, email in sorted(accounts, key=lambda account: account[0]):
        keys = list_person_keys(name, email)
        if name in gone:
            theirs.setdefault(name, set()).update(keys)
        else:
            for key in keys:
                living.setdefault(key, name)
    known = set().union(*theirs.values()) if theirs else set()
    addresses = [key for key in living if "@" in key]
    renamed = {}
    for name in sorted(spellings):
        keys = list_spelling_keys(name)
        if name in exact:
            shared = [key for key in theirs.get(name, ()) if "@" in key and key in living]
            shared += sorted(erased.find_own_keys(name, addresses))
            renamed[name] = living[min(shared)] if shared else FORGOTTEN
        elif not any(key in living for key in keys) and (keys & known or erased.find_known_keys(keys)):
            renamed[name] = FORGOTTEN
    return renamed


def _fetch(
    session: duckdb.DuckDBPyConnection, source: Source, table_name: str, sql: str, values: list | None = None
) -> list[tuple]:
    try:
        return session.execute(sql, values or []).fetchall()
    except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
        raise explain_unreadable(f"source {source.name!r} ({table_name})", error) from None


def customers_in(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    table_name: str,
    data_dir: Path,
    timezone: str | None = None,
    root: Path | None = None,
) -> dict[str, int]:
    """Rows per customer id, trimmed, that a table of the shop's files holds at this moment; nothing is landed.

    Args:
        con: any connection.
        source: where the rows come from.
        table_name: one of `schema.RAW_TABLES` that has a column customer_id.
        data_dir: folder with the files.
        timezone: see `land`.
        root: see `land`.

    Raises:
        SourceError, SettingsError: as `land`.
    """
    source = list_files_now(source, data_dir)
    sql = source.sql(table_name)
    if sql is None:
        return {}
    with (
        keep_nothing_new(source),
        open_session(con, timezone or source.timezone) as session,
        attach_files(session, source, sql, f"{table_name}.sql", data_dir, root),
    ):
        try:
            rows = session.execute(
                f"select trim(customer_id::varchar), count(*) from (\n{strip_semicolon(sql)}\n) where customer_id is not null group by 1"
            ).fetchall()
        except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
            raise explain_unreadable(f"source {source.name!r} ({table_name})", error) from None
    return dict(rows)
