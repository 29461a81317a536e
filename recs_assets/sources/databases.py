"""Tables of a shop's Postgres or MySQL as sources: read as declared, in full or only what changed.

A table is copied into a Parquet file, which is then read as any other. What DuckDB's extensions would change without a
word is asked of the server in another way: a numeric NaN of Postgres (it comes as 0), its infinite times (as dates of
year 1 and 9999), MySQL's tinyint(1) that is no boolean (7 comes as true), its texts with a binary collation (as bytes)
and the zone of its timestamps.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from recs_assets.schema import Column, SettingsError, SourceError
from recs_assets.sources.cells import is_safe
from recs_assets.sources.code_version import find_code_version
from recs_assets.sources.database_server import Server, find_address, open_server
from recs_assets.sources.database_tables import DatabaseTable, Incremental
from recs_assets.sources.declared import DeclaredFile, list_some
from recs_assets.sql_text import quote, quote_text

_AWARE = "TIMESTAMP WITH TIME ZONE"
_TINY = "TINYINT(1)"
_TIMES = ("DATE", "TIMESTAMP", "TIMESTAMPTZ")
_WIDE = r"UBIGINT|HUGEINT|UHUGEINT|DECIMAL\(\d+,0\)"
_FLAW = "_not_a_time"
# Where MySQL's catalogue calls bytes a text.
_MYSQL_TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "json", "enum", "set"}


@dataclass(frozen=True)
class _Stored:
    """How a column lies on the server: DuckDB's type, and whether it comes as bytes that are text."""

    type: str
    is_bytes: bool = False


def copy_table(
    file: DeclaredFile, path: Path, before: Path | None = None, now: datetime | None = None
) -> None:
    """Copy a declared table into a Parquet file, in the order of its key and its columns.

    Args:
        file: with `database`.
        path: to write.
        before: the copy of the landing before, which may be absent: where the table declares `incremental` and the copy
            is not too old, only what changed since is asked for.
        now: the time, with its zone. Default: the clock's.

    Raises:
        SettingsError: the address or the extension is missing.
        SourceError: the server cannot be reached, refuses, or holds something else than is declared.
    """
    table = file.database
    assert table is not None
    _refuse_pattern(file)
    with open_server(table.database, file.name, path.parent) as server:
        base = _write_base(server, table)
        stored = _find_columns(server, table, base)
        _check_columns(file, stored)
        columns = [column for column in file.columns if column.name in stored]
        about = _describe(server, file, now or datetime.now(UTC))
        kept = read_about(before) if table.incremental is not None else None
        if kept is not None and not _can_be_continued(kept, about, table.incremental):
            kept = None
        changed = (
            "" if kept is None else _write_changed(server, file, table.incremental, before, kept, stored)
        )
        fields = ", ".join(_write_field(server, column, stored[column.name]) for column in columns)
        flaw = _write_flaw(server, columns, stored)
        server.execute(
            f"create table fetched as select * from {server.scan(f'select {fields}{flaw} from {base} as source{changed}')}"
        )
        _check_values(server, file, columns, stored, flaw)
        typed = ", ".join(_write_typed(column, stored.get(column.name), server) for column in file.columns)
        rows = f"select {typed} from fetched"
        if kept is not None:
            key = ", ".join(map(quote, table.incremental.key))
            rows = (
                f"select * from read_parquet({quote_text(str(before))}) where ({key}) not in (select ({key}) from ({rows})) "
                f"union all {rows}"
            )
            about["full_at"] = kept["full_at"]
        if table.incremental is not None:
            server.execute(f"create table merged as {rows}")
            rows = "select * from merged"
            _check_key(server, file, table.incremental)
        order = list(
            dict.fromkeys(
                [
                    *(table.incremental.key if table.incremental else ()),
                    *(column.name for column in file.columns),
                ]
            )
        )
        server.execute(
            f"copy ({rows} order by {', '.join(map(quote, order))}) to {quote_text(str(path))} "
            f"(format parquet, kv_metadata {{about: {quote_text(json.dumps(about))}}})"
        )


def find_state(file: DeclaredFile) -> str:
    """What a table looks like from outside: rows, and the latest of its times; changes in place may go unseen.

    Raises:
        SettingsError, SourceError: as `copy_table`.
    """
    table = file.database
    assert table is not None
    _refuse_pattern(file)
    with open_server(table.database, file.name) as server:
        base = _write_base(server, table)
        stored = _find_columns(server, table, base)
        if table.incremental is not None:
            times = [table.incremental.updated_at]
        else:
            times = [column.name for column in file.columns if column.type in _TIMES]
        asked = [f"max({server.quote(name)})" for name in times if name in stored]
        named = ", ".join(f"{sql} as c{place}" for place, sql in enumerate(["count(*)", *asked]))
        return repr(server.ask(f"select {named} from {base} as source"))


def list_database_tables(name: str) -> dict[str, dict[str, str]]:
    """What a database holds: table -> column -> the type that `source.toml` may declare.

    Tables outside of Postgres's schema `public` are called `<schema>.<table>`. Columns of types that nothing here
    reads (arrays, bytes, intervals) are left out.

    Args:
        name: of the database; its address is `RECS_DATABASE_<NAME>`.

    Raises:
        SettingsError: there is no address, or the extension is not installed.
        SourceError: the server cannot be reached or refuses.
    """
    with open_server(name, f"database {name!r}") as server:
        schema = "database()" if server.is_mysql else "'public'"
        readable = (
            ""
            if server.is_mysql
            else " and has_table_privilege(format('%I.%I', table_schema, table_name), 'select')"
        )
        own = (
            "table_schema = database()"
            if server.is_mysql
            else "table_schema not in ('pg_catalog', 'information_schema')"
        )
        names = server.ask(
            f"select table_schema, table_name, case when table_schema = {schema} then 1 else 0 end as plain "
            f"from information_schema.tables where {own}{readable}"
        )
        found = {}
        for folder, table, plain in sorted(names):
            shown = table if plain else f"{folder}.{table}"
            declared = DatabaseTable(database=name, table=shown)
            columns = _find_columns(server, declared, _write_base(server, declared))
            kinds = {column: _suggest_type(stored.type) for column, stored in columns.items()}
            found[shown] = {column: kind for column, kind in kinds.items() if kind is not None}
        return found


def is_configured(file: DeclaredFile) -> bool:
    """Whether the environment says where a table's database is."""
    assert file.database is not None
    try:
        return find_address(file.database.database) is not None
    except SettingsError:
        return True  # it is said when the table is read


def _refuse_pattern(file: DeclaredFile) -> None:
    if "*" in file.name:
        raise SettingsError(
            f"{file.name}: it is a pattern; write the database and the table into source.toml."
        )


def _write_base(server: Server, table: DatabaseTable) -> str:
    if table.query is not None:
        _refuse_routines(server, table.query)
        return f"(\n{table.query}\n)"
    return ".".join(map(server.quote, table.table.split(".", 1)))


def _refuse_routines(server: Server, query: str) -> None:
    """Refuse a query of MySQL that calls a function of the shop: it may write, also where only SELECT is granted.

    Postgres runs everything in a read-only transaction.
    """
    if not server.is_mysql:
        return
    for (name,) in server.ask(
        "select distinct routine_name as name from information_schema.routines where routine_schema = database()"
    ):
        if re.search(rf"(?<![\w$]){re.escape(name)}`?\s*\(", query, re.IGNORECASE):
            raise SourceError(
                f"{server.where}: the query calls the stored function {name!r}, which may write; write what it does into "
                "the query."
            )


def _find_columns(server: Server, table: DatabaseTable, base: str) -> dict[str, _Stored]:
    """The columns of a table or query, in their order."""
    described = server.execute(
        f"describe select * from {server.scan(f'select * from {base} as source limit 0')}"
    )
    stored = {name: _Stored(kind) for name, kind, *_ in described}
    if not server.is_mysql:
        return stored
    catalogue = {}
    if table.query is None:
        schema, _, name = table.table.rpartition(".")
        rows = server.ask(
            "select column_name as name, lower(data_type) as kind, lower(column_type) as spelled from information_schema.columns "
            f"where table_schema = {_write_text(schema) if schema else 'database()'} and table_name = {_write_text(name)}"
        )
        catalogue = {name: (kind, spelled) for name, kind, spelled in rows}
    for name, found in stored.items():
        kind, spelled = catalogue.get(name, ("", ""))
        if kind == "timestamp":
            stored[name] = _Stored(_AWARE)
        elif spelled.startswith("tinyint(1)"):
            stored[name] = _Stored(_TINY)
        elif found.type == "BLOB" and (table.query is not None or kind in _MYSQL_TEXTS):
            stored[name] = _Stored("VARCHAR", is_bytes=True)
    return stored


def _write_text(text: str) -> str:
    """A text as MySQL reads it, where a backslash means something too."""
    return quote_text(text.replace("\\", "\\\\"))


def _check_columns(file: DeclaredFile, stored: Mapping[str, _Stored]) -> None:
    """Refuse columns that are missing, or of a type that loses something."""
    for column in file.columns:
        found = stored.get(column.name)
        if found is None:
            if column.required:
                known = [column.name for column in file.columns]
                near = difflib.get_close_matches(
                    column.name, [name for name in stored if name not in known], 1, 0.5
                )
                hint = f"; did you mean {near[0]!r}?" if near else f" (it has {list_some(stored, 12)});"
                raise SourceError(
                    f"{file.name}: column {column.name!r} is missing{hint} correct source.toml."
                )
        elif not _is_readable(found.type, column.type):
            hint = "cast it in a query"
            if found.type == _AWARE:
                hint = "declare TIMESTAMPTZ"
            elif suggested := _suggest_type(found.type):
                hint = f"declare {suggested}, or cast it in a query"
            raise SourceError(
                f"{file.name}: column {column.name!r} is stored as {found.type} where {column.type} is declared; {hint}."
            )
        elif file.database.query is not None and column.type == "TIMESTAMPTZ" and found.type == "TIMESTAMP":
            raise SourceError(
                f"{file.name}: column {column.name!r} comes out of the query without a zone where TIMESTAMPTZ is declared; "
                "declare TIMESTAMP (a timestamp of MySQL comes in UTC) and say its zone in the SQL."
            )


def _is_readable(stored: str, declared: str) -> bool:
    """Whether a column may hold what is declared; the values decide where a type is wider."""
    if stored == _TINY:
        return declared in ("BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR")
    if stored in ("TINYINT", "UTINYINT") and declared == "BOOLEAN":
        return True
    return is_safe(stored, declared) or (declared == "BIGINT" and re.fullmatch(_WIDE, stored) is not None)


def _suggest_type(stored: str) -> str | None:
    if stored == _TINY:
        return "BOOLEAN"
    return next(
        (
            kind
            for kind in ("BOOLEAN", "BIGINT", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "DOUBLE", "VARCHAR")
            if _is_readable(stored, kind) and (kind != "BOOLEAN" or stored == "BOOLEAN")
        ),
        None,
    )


def _write_field(server: Server, column: Column, stored: _Stored) -> str:
    """A column in the SELECT that the server runs."""
    name = server.quote(column.name)
    if not server.is_mysql and re.match(r"DECIMAL|DOUBLE|FLOAT", stored.type):
        # As text a numeric NaN of Postgres stays one.
        cast = {"DOUBLE": "float8", "BIGINT": "int8", "VARCHAR": "text"}[column.type]
        return f"{name}::{cast} as {name}"
    return name


def _write_flaw(server: Server, columns: list[Column], stored: Mapping[str, _Stored]) -> str:
    """For Postgres, one more column: the place of the first column whose time is infinite."""
    if server.is_mysql:
        return ""
    cases = " ".join(
        f"when not isfinite({server.quote(column.name)}) then {place}"
        for place, column in enumerate(columns)
        if stored[column.name].type in ("DATE", "TIMESTAMP", _AWARE)
    )
    return f", case {cases} end as {quote(_FLAW)}" if cases else ""


def _check_values(
    server: Server, file: DeclaredFile, columns: list[Column], stored: Mapping[str, _Stored], flaw: str
) -> None:
    """Refuse values that the declared type does not have."""
    if flaw:
        for place, count in server.execute(
            f"select {quote(_FLAW)}, count(*) from fetched where {quote(_FLAW)} is not null group by 1 order by 1 limit 1"
        ):
            raise SourceError(
                f"{file.name}: column {columns[place].name!r} holds an infinite time in {count} rows; write null where the "
                "time is unknown, or leave the rows out by a query."
            )
    checks = []
    for column in columns:
        name, found = quote(column.name), stored[column.name]
        if column.type == "BOOLEAN" and found.type != "BOOLEAN":
            checks.append((column, f"{name} not in (0, 1)", "other values than 0 and 1", "declare BIGINT"))
        elif found.is_bytes and column.type == "VARCHAR":
            checks.append(
                (
                    column,
                    f"try(decode({name})) is null",
                    "bytes that are no text",
                    "write hex(...) in a query",
                )
            )
        elif column.type == "BIGINT" and re.fullmatch(_WIDE, found.type):
            checks.append(
                (
                    column,
                    f"try_cast({name} as bigint) is null",
                    "numbers beyond 9223372036854775807",
                    "declare VARCHAR",
                )
            )
    if not checks:
        return
    counted = ", ".join(
        f"count(*) filter ({quote(column.name)} is not null and {wrong})" for column, wrong, _, _ in checks
    )
    [counts] = server.execute(f"select {counted} from fetched")
    for (column, _, what, hint), count in zip(checks, counts, strict=True):
        if count:
            raise SourceError(
                f"{file.name}: column {column.name!r} holds {what} in {count} rows where {column.type} is declared; {hint}."
            )


def _write_typed(column: Column, stored: _Stored | None, server: Server) -> str:
    """A column of what was fetched, as it is kept: a time without a zone stays one, whatever is declared."""
    name = quote(column.name)
    if stored is None:
        return f"cast(null as {column.type}) as {name}"
    if stored.is_bytes and column.type == "VARCHAR":
        return f"decode({name}) as {name}"
    if stored.type == _AWARE:
        return f"timezone('UTC', {name}) as {name}" if server.is_mysql else name
    if column.type == "TIMESTAMPTZ":
        return f"cast({name} as timestamp) as {name}"
    return f"cast({name} as {column.type}) as {name}"


# -- only what changed ---------------------------------------------------------------------------


def _describe(server: Server, file: DeclaredFile, now: datetime) -> dict[str, str]:
    """What a copy says of itself: of which declaration and address it is, and when it was made."""
    address = server.address
    of = [
        find_code_version(),
        [address.kind, address.host, address.port, address.database],
        file.database.model_dump(),
        [[column.name, column.type, column.required] for column in file.columns],
    ]
    digest = hashlib.sha256(json.dumps(of).encode()).hexdigest()
    return {"of": digest, "full_at": now.isoformat(), "made_at": now.isoformat()}


def read_about(copy: Path | None) -> dict[str, Any] | None:
    """What a copy says of itself; None where there is none, or it is damaged."""
    if copy is None or not copy.is_file():
        return None
    try:
        with duckdb.connect() as connection:
            found = connection.execute(
                "select decode(value) from parquet_kv_metadata(?) where decode(key) = 'about'", [str(copy)]
            ).fetchone()
            return None if found is None else json.loads(found[0])
    except (duckdb.Error, ValueError):
        return None  # it is made again


def _can_be_continued(kept: Mapping[str, str], about: Mapping[str, str], incremental: Incremental) -> bool:
    try:
        age = datetime.fromisoformat(about["made_at"]) - datetime.fromisoformat(kept["full_at"])
        return kept["of"] == about["of"] and timedelta(0) <= age < timedelta(days=incremental.full_every_days)
    except (KeyError, ValueError, TypeError):
        return False


def _write_changed(
    server: Server,
    file: DeclaredFile,
    incremental: Incremental,
    before: Path,
    kept: Mapping[str, str],
    stored: Mapping[str, _Stored],
) -> str:
    """The condition of what may have changed since a copy was made; a row without a time always may."""
    name = quote(incremental.updated_at)
    # A change dated in the future by mistake must not hide all later ones.
    latest = datetime.fromisoformat(kept["made_at"]).astimezone(UTC).replace(tzinfo=None) + timedelta(days=1)
    [(newest,)] = server.execute(
        f"select max({name}::timestamp) from read_parquet({quote_text(str(before))}) "
        f"where {name}::timestamp <= timestamp {quote_text(latest.isoformat(' '))}"
    )
    if newest is None:
        return ""
    since = (newest - timedelta(days=incremental.overlap_days)).isoformat(" ")
    column = server.quote(incremental.updated_at)
    if server.is_mysql:
        written = quote_text(since)
    elif stored[incremental.updated_at].type == _AWARE:
        written = f"timestamptz {quote_text(since + '+00')}"
    else:
        written = f"timestamp {quote_text(since)}"
    return f" where {column} >= {written} or {column} is null"


def _check_key(server: Server, file: DeclaredFile, incremental: Incremental) -> None:
    key = ", ".join(map(quote, incremental.key))
    missing = " or ".join(f"{quote(name)} is null" for name in incremental.key)
    [(rows, keys, empty)] = server.execute(
        f"select count(*), count(distinct ({key})), count(*) filter ({missing}) from merged"
    )
    if rows != keys or empty:
        raise SourceError(
            f"{file.name}: {list_some(incremental.key)} is no key: {rows - keys} rows share one and {empty} have none; name "
            "the columns in incremental.key that no two rows share."
        )
