"""From a shop's files to the canonical raw tables.

A source is a folder `recs_assets/sources/<name>/`: a `source.toml` that declares the shop's
files, and one `<table>.sql` for each canonical table that those files fill (a plain SELECT
over `files.<stem>`). The canonical source has no folder: its files are the tables.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from recs_assets.schema import RAW_TABLES, Column, SettingsError, SourceError, Table
from recs_assets.sources.declaration import KEYS, ShopWords, shop_words
from recs_assets.sources.reader import (
    FORMATS,
    TYPES,
    DeclaredFile,
    is_safe,
    literal,
    plain,
    promised_files,
    quote,
    read_file,
)

SOURCES = Path(__file__).resolve().parent
CANONICAL = "canonical"

# Files of a source are read into a database of their own that is attached under this name, so
# that nothing of them stays behind in the build file. The name belongs to the whole DuckDB
# instance, hence the lock.
_FILES = "files"
_FILES_LOCK = threading.Lock()

_TABLE_FUNCTIONS = {"range", "generate_series", "unnest"}


# Of some customer ids, those that were erased.
Erased = Callable[[Iterable[str]], list[str]]


@dataclass(frozen=True)
class Source:
    """How one shop's files become the canonical raw tables.

    `folder` holds the SQL; it is None for the canonical source, whose files are the tables
    themselves. `timezone` and `horizon_days` are the shop's defaults, which settings override.
    """

    name: str
    description: str
    folder: Path | None
    timezone: str
    horizon_days: int
    currency: str | None
    files: tuple[DeclaredFile, ...]
    words: ShopWords = field(default_factory=ShopWords)

    def sql(self, table_name: str) -> str | None:
        """The SELECT that fills a table; None where it stays empty."""
        if self.folder is None:
            file = next((file for file in self.files if file.stem == table_name), None)
            return None if file is None else f"select * from {_FILES}.{quote(table_name)}"
        path = self.folder / f"{table_name}.sql"
        return path.read_text("utf-8") if path.is_file() else None


@dataclass(frozen=True)
class LandingResult:
    """What landing one table came to: rows, wall seconds, names of the files read."""

    rows: int
    seconds: float
    files: tuple[str, ...]


def load_source(folder: Path) -> Source:
    """Read `source.toml` of one source folder.

    Raises:
        SettingsError: the file is missing, is not TOML, or declares something unknown.
    """
    path = folder / "source.toml"
    where = f"source {folder.name!r} (source.toml)"
    try:
        declared = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{where}: the file is missing in {folder}.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where}: it is not TOML: {error}.") from None
    needed = {"description", "timezone", "horizon_days", "currency", "files"}
    if set(declared) - KEYS != needed:
        raise SettingsError(
            f"{where}: it must declare {', '.join(sorted(needed))}, may declare {', '.join(sorted(KEYS))}, "
            "and nothing else."
        )
    files = []
    for name, entry in declared["files"].items():
        columns = entry.get("columns", {})
        if (
            Path(name).name != name
            or Path(name).suffix not in FORMATS
            or set(entry) - {"columns", "may_be_empty"}
        ):
            raise SettingsError(
                f"{where}: file {name!r} must be a plain name ending in {', '.join(FORMATS)}, "
                "with columns and, if need be, may_be_empty."
            )
        wrong = [column for column, type_ in columns.items() if type_ not in TYPES]
        if wrong or not columns:
            raise SettingsError(
                f"{where}: file {name!r} needs columns of the types {', '.join(TYPES)}"
                + (f" (column {wrong[0]!r} is not)." if wrong else ".")
            )
        files.append(
            DeclaredFile(
                name,
                tuple(Column(column, type_, "", required=True) for column, type_ in columns.items()),
                bool(entry.get("may_be_empty", False)),
            )
        )
    stray = sorted({sql.stem for sql in folder.glob("*.sql")} - set(RAW_TABLES))
    if stray:
        raise SettingsError(
            f"source {folder.name!r}: {stray[0]}.sql names no canonical table; rename it to one of "
            f"{', '.join(RAW_TABLES)}."
        )
    stems = [file.stem for file in files]
    doubled = [stem for stem in stems if stems.count(stem) > 1]
    if doubled:
        raise SettingsError(f"{where}: two files are called {doubled[0]!r} apart from their ending.")
    return Source(
        name=folder.name,
        description=str(declared["description"]),
        folder=folder,
        timezone=_zone(declared["timezone"]),
        horizon_days=int(declared["horizon_days"]),
        currency=str(declared["currency"]),
        files=tuple(files),
        words=shop_words(declared, where),
    )


def source_names(sources_dir: Path = SOURCES) -> list[str]:
    """Names that the setting `source` accepts, beside `auto`."""
    return sorted([CANONICAL, *(path.parent.name for path in sources_dir.glob("*/source.toml"))])


def resolve_source(name: str, data_dir: Path, sources_dir: Path = SOURCES) -> Source:
    """Find the source for a data folder.

    Args:
        name: a folder of `sources_dir`, `canonical`, or `auto`: the source whose declared
            files are all there, else canonical.
        data_dir: folder with the shop's files.
        sources_dir: folder of sources.

    Returns:
        The source. Canonical files are resolved to the formats found in `data_dir`.

    Raises:
        SettingsError: no such source, or two sources fit equally well.
        SourceError: a canonical folder lacks a required table or holds one twice.
    """
    if name == CANONICAL:
        return _canonical(data_dir)
    if name != "auto":
        if name not in source_names(sources_dir):
            names = ", ".join(source_names(sources_dir))
            raise SettingsError(f"RECS_SOURCE {name!r} is no source: use auto or one of {names}.")
        return load_source(sources_dir / name)
    found = {path.stem for path in data_dir.iterdir() if path.suffix in FORMATS}
    if found >= {table.name for table in RAW_TABLES.values() if table.required}:
        # Complete canonical folders come first: another shop's files may share the names.
        return _canonical(data_dir)
    known = [load_source(sources_dir / item) for item in source_names(sources_dir) if item != CANONICAL]
    fitting = [source for source in known if all((data_dir / file.name).is_file() for file in source.files)]
    if len(fitting) > 1:
        raise SettingsError(
            f"{data_dir} holds the files of {' and '.join(source.name for source in fitting)}: "
            "say which in RECS_SOURCE."
        )
    return fitting[0] if fitting else _canonical(data_dir)


def _canonical(data_dir: Path) -> Source:
    files = []
    for path in sorted(data_dir.iterdir()):
        if path.suffix in FORMATS and path.stem not in RAW_TABLES and path.name != "manifest.json":
            # A misspelt optional table would otherwise be left out without a word.
            raise SourceError(
                f"{path.name}: it is no canonical table; name it after one of {', '.join(RAW_TABLES)}, "
                f"or move it out of {data_dir}."
            )
    for name in promised_files(data_dir):
        if Path(name).stem in RAW_TABLES and not (data_dir / name).exists():
            raise SourceError(f"{name}: manifest.json lists it but it is not in {data_dir}; copy it there.")
    for table in RAW_TABLES.values():
        names = [
            f"{table.name}{ending}" for ending in FORMATS if (data_dir / f"{table.name}{ending}").exists()
        ]
        if len(names) > 1:
            raise SourceError(f"{' and '.join(names)}: both hold the table {table.name}; keep one of them.")
        if not names and table.required:
            raise SourceError(
                f"{table.name}.csv (or {', '.join(FORMATS[1:])}): this required table is missing in "
                f"{data_dir}, and "
                "the folder is not that of another source; put it there, or point RECS_DATA at the "
                "right folder."
            )
        if names:
            files.append(DeclaredFile(names[0], table.columns, may_be_empty=not table.required))
    declared = _canonical_words(data_dir)
    return Source(
        name=CANONICAL,
        description="The shop's own files in the canonical layout, one per table.",
        folder=None,
        timezone=_zone(declared.get("timezone", "UTC")),
        horizon_days=int(declared.get("horizon_days", 28)),
        currency=declared.get("currency"),
        files=tuple(files),
        words=shop_words(declared, "source.toml"),
    )


def _canonical_words(data_dir: Path) -> dict[str, Any]:
    """What a `source.toml` beside the tables declares; empty where there is none.

    Raises:
        SettingsError: it is not TOML, or declares something else than a canonical folder may.
    """
    path = data_dir / "source.toml"
    if not path.is_file():
        return {}
    try:
        declared = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"source.toml: it is not TOML: {error}.") from None
    may = {"timezone", "horizon_days", "currency", *KEYS}
    if stray := sorted(set(declared) - may):
        raise SettingsError(
            f"source.toml: it declares {stray[0]!r}; beside canonical tables it may declare {', '.join(sorted(may))}."
        )
    return declared


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
        table_name: one of `schema.RAW_TABLES`.
        data_dir: folder with the files.
        timezone: the shop's zone; times land as local `TIMESTAMP`. Default: the source's.
        root: folder that every file must lie in once links are followed. Default: `data_dir`.
        erased: of some customer ids, those whose rows, and whose orders' rows, are not landed.

    Returns:
        Rows landed, wall seconds, files read.

    Raises:
        SourceError: a file or the SQL's result is not as declared.
        SettingsError: a file lies outside `root`, or the SQL reaches beyond its files.
    """
    begun = time.perf_counter()
    table = RAW_TABLES[table_name]
    with _session(con, timezone or source.timezone) as session:
        session.execute("create schema if not exists raw")
        target = f"raw.{quote(table_name)}"
        sql = source.sql(table_name)
        if sql is None:
            columns = ", ".join(f"{quote(column.name)} {_stored(column)}" for column in table.columns)
            session.execute(f"create or replace table {target} ({columns})")
            return LandingResult(0, time.perf_counter() - begun, ())
        gone = None if erased is None else _erased_rows(session, source, table, sql, erased, data_dir, root)
        with _files(session, source, sql, f"{table_name}.sql", data_dir, root) as names:
            rows = _land_select(session, source, table, sql, target, names, gone)
    return LandingResult(rows, time.perf_counter() - begun, names)


def latest_as_of(
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
    sql = source.sql("orders") or "select null::timestamp as ordered_at where false"
    with (
        _session(con, timezone or source.timezone) as session,
        _files(session, source, sql, "orders.sql", data_dir, root),
    ):
        until = (
            "" if not_after is None else f"where ordered_at <= timestamp {literal(not_after.isoformat(' '))}"
        )
        try:
            last = session.execute(
                f"select max(ordered_at) from (select cast(ordered_at as timestamp) as ordered_at from "
                f"({_bare(sql)}\n)) {until}"
            ).fetchone()
        except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
            raise _unreadable(f"source {source.name!r} (orders)", error) from None
    if last is None or last[0] is None:
        raise SourceError(
            f"source {source.name!r}: there is no order, so there is no week to run; export orders."
        )
    day = last[0].date() + timedelta(days=1)
    return day - timedelta(days=day.weekday())


def fingerprint(source: Source, data_dir: Path) -> str:
    """sha256 over names, sizes and modification times of the files a source reads."""
    digest = hashlib.sha256()
    for name in [*sorted(file.name for file in source.files), "manifest.json"]:
        path = data_dir / name
        if path.is_file():
            stat = path.stat()
            digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


# ---------------------------------------------------------------------------- inside


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise SettingsError(
            f"time zone {name!r} is not known; use an IANA name like Europe/Berlin."
        ) from None
    return name


def _stored(column: Column) -> str:
    """Type in the raw table: times are stored local to the shop."""
    return "TIMESTAMP" if column.type == "TIMESTAMPTZ" else column.type


@contextmanager
def _session(con: duckdb.DuckDBPyConnection, timezone: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A cursor of `con` whose times are the shop's, whatever the operating system's zone is."""
    session = con.cursor()
    try:
        session.execute(f"set TimeZone = {literal(_zone(timezone))}")
        yield session
    finally:
        session.close()


@contextmanager
def _files(
    session: duckdb.DuckDBPyConnection,
    source: Source,
    sql: str,
    sql_name: str,
    data_dir: Path,
    root: Path | None,
) -> Iterator[tuple[str, ...]]:
    """Read the files that `sql` names as `files.<stem>`; yields their names."""
    by_stem = {file.stem: file for file in source.files}
    stems = sorted(_tables(session, source.name, sql_name, sql, by_stem))
    with _FILES_LOCK:
        session.execute(f"attach ':memory:' as {_FILES}")
        try:
            for stem in stems:
                file = by_stem[stem]
                path = _inside(data_dir / file.name, root or data_dir)
                read_file(session, path, file, f"{_FILES}.{quote(stem)}")
            yield tuple(by_stem[stem].name for stem in stems)
        finally:
            session.execute(f"detach {_FILES}")


def _inside(path: Path, root: Path) -> Path:
    """Follow links and refuse what leaves the root; DuckDB reads `*?[` in a path as a pattern."""
    real, top = path.resolve(), root.resolve()
    if not real.is_relative_to(top):
        raise SettingsError(
            f"{path.name}: it lies outside {top} (it is a link to {real}); copy the file there, or "
            f"set RECS_DATA_ROOT."
        )
    if re.search(r"[*?\[]", str(real)):
        raise SettingsError(f"{real}: a path with *, ? or [ cannot be read; rename the folder.")
    return real


def _bare(sql: str) -> str:
    return sql.strip().rstrip(";")


def _tables(
    session: duckdb.DuckDBPyConnection, source_name: str, sql_name: str, sql: str, known: Mapping[str, object]
) -> set[str]:
    """Stems that the SQL reads, after making sure that it can read nothing else.

    DuckDB would read `from '/etc/passwd'` or `read_csv(...)` in any SELECT. Switching that off
    (`enable_external_access`) cannot be undone on a connection that others go on using, so the
    parsed statement is checked instead: one SELECT, over `files.<stem>` and its own CTEs.
    """
    where = f"source {source_name!r} ({sql_name})"
    serialized = session.execute("select json_serialize_sql(?)", [sql]).fetchone()
    tree = json.loads(serialized[0])  # type: ignore[index]
    if tree["error"]:
        raise SettingsError(
            f"{where}: it must be one plain SELECT ({tree['error_message'].splitlines()[0]})."
        )
    if len(tree["statements"]) != 1:
        raise SettingsError(f"{where}: it holds {len(tree['statements'])} statements; write one SELECT.")
    stems: set[str] = set()

    def walk(node: object, names: frozenset[str]) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item, names)
        if not isinstance(node, dict):
            return
        ctes = node.get("cte_map", {}).get("map", [])
        names = names | {item["key"].lower() for item in ctes}
        kind = node.get("type")
        if kind == "BASE_TABLE":
            schema, table = node["schema_name"].lower(), node["table_name"]
            if schema == _FILES and not node["catalog_name"]:
                if table not in known:
                    raise SettingsError(f"{where}: files.{table} is not declared in source.toml.")
                stems.add(table)
            elif schema or node["catalog_name"] or table.lower() not in names:
                raise SettingsError(f"{where}: it reads {table!r}; it may read files.<declared file> only.")
        elif kind == "TABLE_FUNCTION":
            function = node["function"].get("function_name")
            if function not in _TABLE_FUNCTIONS:
                raise SettingsError(
                    f"{where}: it calls {function}(); it may read files.<declared file> only."
                )
        elif kind in ("SHOW_REF", "TABLE_REF", "COLUMN_DATA", "BOUND_TABLE_REF"):
            raise SettingsError(f"{where}: it must be one plain SELECT over files.<declared file>.")
        for item in node.values():
            walk(item, names)

    walk(tree["statements"][0]["node"], frozenset())
    return stems


@contextmanager
def _transaction(session: duckdb.DuckDBPyConnection) -> Iterator[None]:
    session.execute("begin")
    try:
        yield
    except BaseException:
        session.execute("rollback")
        raise
    session.execute("commit")


def _erased_rows(
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
    with _files(session, source, people, f"{name}.sql", data_dir, root):
        try:
            rows = f"(select distinct customer_id::varchar as customer_id, {column}::varchar as value from (\n{_bare(people)}\n))"
            ids = session.execute(
                f"select distinct customer_id from {rows} where customer_id is not null"
            ).fetchall()
            found = erased(one for (one,) in ids)
            values = session.execute(
                f"select distinct value from {rows} where list_contains(?, customer_id) order by 1", [found]
            ).fetchall()
        except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
            raise _unreadable(f"source {source.name!r} ({name})", error) from None
    return column, [value for (value,) in values]


def _unreadable(where: str, error: duckdb.Error) -> SourceError:
    return SourceError(f"{where}: it cannot be read ({plain(error)}); correct it or export again.")


def _land_select(
    session: duckdb.DuckDBPyConnection,
    source: Source,
    table: Table,
    sql: str,
    target: str,
    names: tuple[str, ...],
    gone: tuple[str, list[str]] | None = None,
) -> int:
    """Write the SELECT's rows into `target` under the declared names, types and order, but for those
    whose column (the first of `gone`) is one of the values (the second)."""
    where = ", ".join(names) if source.folder is None else f"source {source.name!r} ({table.name}.sql)"
    try:
        found = {row[0]: row[1] for row in session.execute(f"describe {_bare(sql)}").fetchall()}
        missing = [column.name for column in table.columns if column.required and column.name not in found]
        unknown = [name for name in found if name not in table.column_names]
        if missing or unknown:
            what = f"lacks column {missing[0]!r}" if missing else f"has the unknown column {unknown[0]!r}"
            raise SourceError(
                f"{where}: its result {what}; {table.name} has {', '.join(table.column_names)}."
            )
        for column in table.columns:
            if column.name in found and not is_safe(found[column.name], column.type):
                raise SourceError(
                    f"{where}: column {column.name!r} comes out as {found[column.name]} where "
                    f"{column.type} is declared; cast it in the SQL."
                )
        select = ", ".join(
            f"cast({quote(column.name) if column.name in found else 'null'} as {_stored(column)}) as "
            f"{quote(column.name)}"
            for column in table.columns
        )
        # One transaction: a result that is refused leaves the table of the landing before.
        with _transaction(session):
            # Left out rather than deleted: what was never written is in no freed block of the file.
            kept = (
                ""
                if gone is None
                else f"where not coalesce(list_contains(?, {quote(gone[0])}::varchar), false)"
            )
            session.execute(
                f"create or replace table {target} as select {select} from (\n{_bare(sql)}\n) {kept}",
                [] if gone is None else [gone[1]],
            )
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
        raise _unreadable(where, error) from None
    return counts[0]
