"""From a shop's files to the canonical raw tables.

A shop is a folder `recs_assets/shops/<name>/`, or one of the deployment's own (RECS_SHOPS): a `source.toml`
that declares the shop's files, one `<table>.sql` for each canonical table that those files fill (a plain
SELECT over `files.<stem>`), and what the shop wants otherwise than the code does (`OWN_FILES`). A shop whose
files are the canonical tables declares no files and has no SQL; it needs a folder only for the rest.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

import duckdb

from recs_assets.schema import RAW_TABLES, Column, SettingsError, SourceError, Table
from recs_assets.sources.declaration import KEYS, ShopWords, shop_words
from recs_assets.sources.folder import (
    canonical_names,
    is_pattern_name,
    parts_of,
    refuse_others,
    refuse_undeclared,
)
from recs_assets.sources.reader import (
    FORMATS,
    TYPES,
    DeclaredFile,
    address_error,
    holds_address,
    is_safe,
    literal,
    plain,
    promised_files,
    quote,
    read_files,
    some_of,
)
from recs_assets.sources.spellings import keys_of_person, keys_of_spelling
from recs_assets.sources.statement import FILES, tables_read

SHOPS = Path(__file__).resolve().parents[1] / "shops"
# What may lie in a shop's folder beside source.toml and SQL, named after the setting that it stands for.
OWN_FILES = ("campaigns", "texts", "gates.yaml", "sensitive.yaml", "storefront.yaml")
CANONICAL = "canonical"
AUTO = "auto"

# The name under which a source's files are attached belongs to the whole DuckDB instance.
_FILES_LOCK = threading.Lock()

# Texts for people. Those that are published are freed of addresses by staging; everything else that is text
# is an identifier or a code, and is published as it is.
_FREE_TEXT = {
    "email", "name", "brand", "category", "vertical", "url", "image_url", "description", "attributes", "title",
    "body", "query", "reason", "referrer",
}  # fmt: skip
# A withdrawal or a complaint may name a person by their address: dbt finds whose it is, and publishes neither.
_BY_ADDRESS = {("consents", "customer_id"), ("campaign_events", "customer_id")}

# Ignored, such a column would let a subscription to text messages take an unsubscribe from email back.
_TELLING = {
    "consents": (
        "*channel*", "*kanal*", "*canal*", "*kanaal*", "*medium*", "*topic*", "*purpose*", "*zweck*", "*newsletter*",
        "list", "list_*", "*_list", "*subscription*",
    )
}  # fmt: skip

# Orders dated before it are mistakes of a clock (dbt: row_checks.sql).
_OLDEST_PLAUSIBLE = datetime(1990, 1, 1)


# In place of whoever was forgotten in `consents`: that somebody said no is counted, who is not kept.
FORGOTTEN = "\u2205"


class Erased(Protocol):
    """Who was forgotten; of their ids and addresses only hashes are left."""

    def among(self, customer_ids: Iterable[str]) -> list[str]:
        """Those of the ids that were forgotten."""

    def known_by(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys (`spellings.keys_of_person`) that somebody forgotten had."""

    def addresses_of(self, customer_id: str, keys: Iterable[str]) -> set[str]:
        """Those of the keys that the forgotten customer had."""


@dataclass(frozen=True)
class Source:
    """How one shop's files become the canonical raw tables.

    `folder` is the shop's; None where there is only the data. Of the canonical source the files are the tables
    themselves, of any other the folder holds the SQL that makes them. `timezone` and `horizon_days` are the
    shop's defaults, which settings override.
    """

    name: str
    description: str
    folder: Path | None
    timezone: str
    horizon_days: int
    currency: str | None
    files: tuple[DeclaredFile, ...]
    words: ShopWords = field(default_factory=ShopWords)
    canonical: bool = False

    def sql(self, table_name: str) -> str | None:
        """The SELECT that fills a table; None where it stays empty."""
        if self.canonical:
            file = next((file for file in self.files if file.stem == table_name), None)
            return None if file is None else f"select * from {FILES}.{quote(table_name)}"
        assert self.folder is not None, "a source that is not canonical has a folder"
        path = self.folder / f"{table_name}.sql"
        return _text(path, f"source {self.name!r} ({path.name})") if path.is_file() else None


@dataclass(frozen=True)
class LandingResult:
    """What landing one table came to: rows, wall seconds, names of the files read."""

    rows: int
    seconds: float
    files: tuple[str, ...]


def load_source(folder: Path) -> Source:
    """Read `source.toml` of one shop's folder with SQL.

    Raises:
        SettingsError: the file is missing, is not TOML, or declares something unknown, or a file in the folder
            is none that is read.
    """
    where, declared = _declared(folder)
    needed = {"description", "timezone", "horizon_days", "currency", "files"}
    if set(declared) - KEYS != needed:
        raise SettingsError(
            f"{where}: it must declare {', '.join(sorted(needed))}, may declare {', '.join(sorted(KEYS))}, "
            "and nothing else."
        )
    if not isinstance(declared["files"], dict) or not declared["files"]:
        raise SettingsError(f'{where}: files must be tables like [files."orders.csv"].')
    files = [_read_declaration(where, name, entry) for name, entry in declared["files"].items()]
    words = shop_words(declared, where)
    if words.ignored_columns:
        raise SettingsError(f"{where}: ignored_columns is for canonical tables; say ignored at the file.")
    stray = sorted({sql.stem for sql in folder.glob("*.sql")} - set(RAW_TABLES))
    if stray:
        raise SettingsError(
            f"source {folder.name!r}: {stray[0]}.sql names no canonical table; rename it to one of "
            f"{', '.join(RAW_TABLES)}."
        )
    _refuse_stray_yaml(folder)
    texts = " ".join(
        _text(sql, f"source {folder.name!r} ({sql.name})").lower() for sql in folder.glob("*.sql")
    )
    for file in files:
        stem = file.stem.lower()
        if stem in RAW_TABLES and not re.search(rf'\b{FILES}"?\s*\.\s*"?{stem}\b', texts):
            raise SettingsError(
                f"{where}: file {file.name!r} is declared and no SQL reads it, so {stem} would be empty; write "
                f"{stem}.sql, or name the file in ignored_files instead."
            )
    stems = [file.stem for file in files]
    doubled = [stem for stem in stems if stems.count(stem) > 1]
    if doubled:
        raise SettingsError(
            f"{where}: two files are called {doubled[0]!r} apart from their ending; give one of them another "
            "name with as."
        )
    return Source(
        name=folder.name,
        description=str(declared["description"]),
        folder=folder,
        timezone=_zone(declared["timezone"]),
        horizon_days=_horizon(declared["horizon_days"], where),
        currency=_currency(declared["currency"], where),
        files=tuple(files),
        words=words,
    )


def _declared(folder: Path) -> tuple[str, dict[str, Any]]:
    """What errors call a shop's `source.toml`, and what it holds."""
    where = f"source {folder.name!r} (source.toml)"
    if not (folder / "source.toml").is_file():
        raise SettingsError(f"{where}: the file is missing in {folder}.")
    return where, _toml(folder / "source.toml", where)


def _refuse_stray_yaml(folder: Path) -> None:
    """Refuse a shop's folder with YAML that nobody reads: a misspelt name would leave the shipped values in force."""
    found = {
        path.relative_to(folder).parts[0] for kind in ("*.y*ml", "*/*.y*ml") for path in folder.glob(kind)
    }
    if stray := sorted(found - set(OWN_FILES)):
        raise SettingsError(
            f"source {folder.name!r}: {stray[0]} is not read; rename it to one of {', '.join(OWN_FILES)}, or remove it."
        )


def _toml(path: Path, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path, where))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where}: it is not TOML: {error}.") from None


def _text(path: Path, where: str) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise SettingsError(f"{where}: it is not UTF-8; save it as UTF-8.") from None


def _horizon(value: object, where: str) -> int:
    """The label window, as RECS_HORIZON_DAYS has it."""
    if not isinstance(value, int) or value % 7 or not 7 <= value <= 364:
        raise SettingsError(f"{where}: horizon_days is {value!r}; write whole weeks in days, from 7 to 364.")
    return value


def _currency(value: object, where: str) -> str:
    if not isinstance(value, str) or re.fullmatch("[A-Z]{3}", value) is None:
        raise SettingsError(f"{where}: currency is {value!r}; write an ISO 4217 code like EUR.")
    return value


_FILE_KEYS = {"columns", "may_be_empty", "optional", "ignored", "as"}


def _read_declaration(where: str, name: str, entry: object) -> DeclaredFile:
    """One `[files."<name>"]` of a `source.toml`."""
    if not is_pattern_name(name) or not isinstance(entry, dict) or set(entry) - _FILE_KEYS:
        raise SettingsError(
            f"{where}: file {name!r} must be a plain name ending in {', '.join(FORMATS)}, or a pattern of "
            "such names (orders_*.csv, orders/*.csv), with columns and, if need be, may_be_empty, optional, "
            "ignored, as."
        )
    columns = entry.get("columns", {})
    if not isinstance(columns, dict) or not isinstance(entry.get("may_be_empty", False), bool):
        raise SettingsError(
            f"{where}: file {name!r}: columns must be a table of names and types, may_be_empty true or false."
        )
    wrong = [column for column, type_ in columns.items() if type_ not in TYPES]
    if wrong or not columns:
        raise SettingsError(
            f"{where}: file {name!r} needs columns of the types {', '.join(TYPES)}"
            + (f" (column {wrong[0]!r} is not)." if wrong else ".")
        )
    optional = _names(where, f"file {name!r}: optional", entry.get("optional", []))
    ignored = _names(where, f"file {name!r}: ignored", entry.get("ignored", []))
    if unknown := [column for column in optional if column not in columns]:
        raise SettingsError(
            f"{where}: file {name!r}: optional names {unknown[0]!r}, which is none of its columns; declare it there too."
        )
    if both := [column for column in ignored if column in columns]:
        raise SettingsError(
            f"{where}: file {name!r}: column {both[0]!r} is declared and ignored; remove one of the two."
        )
    alias = entry.get("as")
    if alias is not None and (not isinstance(alias, str) or not alias):
        raise SettingsError(f'{where}: file {name!r}: as must be a name, like "orders".')
    file = DeclaredFile(
        name,
        tuple(
            Column(column, type_, "", required=column not in optional) for column, type_ in columns.items()
        ),
        entry.get("may_be_empty", False),
        alias=alias,
        ignored=ignored,
    )
    if not file.stem:
        raise SettingsError(
            f'{where}: file {name!r} begins with a wildcard; say what the SQL calls it (as = "orders").'
        )
    return file


def _names(where: str, what: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise SettingsError(f'{where}: {what} must be a list of names, like ["Notes", "Tags"].')
    return tuple(value)


def source_folders(sources_dir: Path = SHOPS, shops_dir: Path | None = None) -> dict[str, Path]:
    """Folders of shops by name: those that come with the code, and the deployment's own.

    Raises:
        SettingsError: `shops_dir` is no folder, or a name in it cannot be used.
    """
    found = {path.parent.name: path.parent for path in sorted(sources_dir.glob("*/source.toml"))}
    if shops_dir is None:
        return found
    if not shops_dir.is_dir() or (shops_dir / "source.toml").exists():
        raise SettingsError(
            f"RECS_SHOPS {shops_dir} must be a folder with one folder per shop, <name>/source.toml: point it there."
        )
    for folder in sorted(
        {path.parent for kind in ("source.toml", "*.sql", *OWN_FILES) for path in shops_dir.glob(f"*/{kind}")}
    ):
        name = folder.name
        if name in found or name in (CANONICAL, AUTO):
            raise SettingsError(
                f"RECS_SHOPS: {folder} has the name of a source that comes with the code; rename it."
            )
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise SettingsError(
                f"RECS_SHOPS: {folder}: the name of a source is lower-case letters, digits and _; rename it."
            )
        found[name] = folder
    return found


def source_names(sources_dir: Path = SHOPS, shops_dir: Path | None = None) -> list[str]:
    """Names that the setting `source` accepts, beside `auto`."""
    return sorted([CANONICAL, *source_folders(sources_dir, shops_dir)])


def resolve_source(
    name: str, data_dir: Path, sources_dir: Path = SHOPS, shops_dir: Path | None = None
) -> Source:
    """Find the source for a data folder.

    Args:
        name: a folder of `sources_dir` or `shops_dir`, `canonical`, or `auto`: the source whose declared
            files are all there, else canonical, of the one shop that declares no files where there is one.
        data_dir: folder with the shop's files.
        sources_dir: folder of the shops that come with the code.
        shops_dir: the deployment's own folder of shops.

    Returns:
        The source. Canonical files are resolved to the formats found in `data_dir`.

    Raises:
        SettingsError: no such source, or two sources fit equally well.
        SourceError: a canonical folder lacks a required table or holds one twice, or something lies in
            the folder that is not read.
    """
    folders = source_folders(sources_dir, shops_dir)
    if name == CANONICAL:
        return _canonical(data_dir)
    if name != AUTO:
        if name not in folders:
            names = ", ".join(source_names(sources_dir, shops_dir))
            raise SettingsError(f"RECS_SOURCE {name!r} is no source: use auto or one of {names}.")
        if _declares_no_files(folders[name]):
            return _canonical(data_dir, folders[name])
        source = load_source(folders[name])
    else:
        canonical = {name: folder for name, folder in folders.items() if _declares_no_files(folder)}
        required = {table.name for table in RAW_TABLES.values() if table.required}
        # Complete canonical folders come first: another shop's files may share the names.
        if required <= set(canonical_names(data_dir)):
            return _canonical(data_dir, _only(canonical, data_dir))
        known = {name: load_source(folder) for name, folder in folders.items() if name not in canonical}
        fitting = {
            name: source
            for name, source in known.items()
            if all(_is_there(data_dir, file) for file in source.files)
        }
        fit = _only(fitting, data_dir)
        if fit is None:
            return _canonical(data_dir)
        source = fit
    refuse_undeclared(data_dir, source.name, source.files, source.words.ignored_files)
    _refuse_missing(data_dir)
    return source


_Fit = TypeVar("_Fit")


def _only(found: Mapping[str, _Fit], data_dir: Path) -> _Fit | None:
    """The one shop that fits; None: there is none.

    Raises:
        SettingsError: several shops fit.
    """
    if len(found) > 1:
        raise SettingsError(
            f"{data_dir} holds the files of {' and '.join(sorted(found))}: say which in RECS_SOURCE."
        )
    return next(iter(found.values()), None)


def _declares_no_files(folder: Path) -> bool:
    """Whether a shop's folder has nothing to say of files: they are the canonical tables."""
    return "files" not in _declared(folder)[1] and not any(folder.glob("*.sql"))


def _is_there(data_dir: Path, file: DeclaredFile) -> bool:
    try:
        return all((data_dir / name).is_file() for name in parts_of(data_dir, file))
    except SourceError:
        return False


def _canonical(data_dir: Path, folder: Path | None = None) -> Source:
    where, declared = _canonical_words(data_dir) if folder is None else _declared(folder)
    may = {"timezone", "horizon_days", "currency", *KEYS}
    if folder is not None:
        may.add("description")
        _refuse_stray_yaml(folder)
        if (data_dir / "source.toml").is_file():
            raise SettingsError(
                f"source.toml: there is one in {folder} and one in {data_dir}; keep the first, and remove the other."
            )
    if stray := sorted(set(declared) - may):
        raise SettingsError(
            f"{where}: it declares {stray[0]!r}; beside canonical tables it may declare {', '.join(sorted(may))}."
        )
    words = shop_words(declared, where)
    source = Source(
        name=CANONICAL if folder is None else folder.name,
        description=str(
            declared.get("description", "The shop's own files in the canonical layout, one per table.")
        ),
        folder=folder,
        timezone=_zone(declared.get("timezone", "UTC")),
        horizon_days=_horizon(declared.get("horizon_days", 28), where),
        currency=_currency(declared["currency"], where) if "currency" in declared else None,
        files=_canonical_files(data_dir, words),
        words=words,
        canonical=True,
    )
    for table in RAW_TABLES.values():
        if table.required and table.name not in {file.stem for file in source.files}:
            raise SourceError(
                f"{table.name}.csv (or {', '.join(FORMATS[1:])}): this required table is missing in "
                f"{data_dir}, and "
                "the folder is not that of another source; put it there, or point RECS_DATA at the "
                "right folder."
            )
    return source


def _canonical_files(data_dir: Path, words: ShopWords) -> tuple[DeclaredFile, ...]:
    """The tables as they lie in a canonical folder now.

    Raises:
        SourceError: something lies there that is not read, a table twice, or not what the manifest promises.
    """
    refuse_others(data_dir, words.ignored_files)
    _refuse_missing(data_dir)
    files = []
    found = canonical_names(data_dir)
    for table in RAW_TABLES.values():
        names = found.get(table.name, [])
        if len(names) > 1:
            raise SourceError(f"{' and '.join(names)}: both hold the table {table.name}; keep one of them.")
        files += [
            DeclaredFile(
                name,
                table.columns,
                may_be_empty=not table.required,
                alias=table.name,
                ignored=words.ignored_columns.get(table.name, ()),
                alike=True,
                identifiers=_identifiers(table),
                telling=_TELLING.get(table.name, ()),
            )
            for name in names
        ]
    return tuple(files)


def _refuse_missing(data_dir: Path) -> None:
    """Refuse a folder that lacks a file which its manifest lists."""
    for name in promised_files(data_dir):
        if not (data_dir / name).exists():
            raise SourceError(f"{name}: manifest.json lists it but it is not in {data_dir}; copy it there.")


def _identifiers(table: Table) -> tuple[str, ...]:
    """Columns of a table that are published as they are, and so may hold no address."""
    return tuple(
        column.name
        for column in table.columns
        if column.type == "VARCHAR"
        and column.name not in _FREE_TEXT
        and (table.name, column.name) not in _BY_ADDRESS
    )


def _as_of_now(source: Source, data_dir: Path) -> Source:
    """The source with the files that are there now: it was resolved when the code was loaded, perhaps weeks ago.

    Raises:
        SourceError: something lies in the folder that is not read.
    """
    if source.canonical:
        now = _canonical_files(data_dir, source.words)
        # A table that was there and is gone is missing, not empty.
        gone = [file for file in source.files if file.stem not in {other.stem for other in now}]
        return replace(source, files=(*now, *gone))
    refuse_undeclared(data_dir, source.name, source.files, source.words.ignored_files)
    _refuse_missing(data_dir)
    return source


def _canonical_words(data_dir: Path) -> tuple[str, dict[str, Any]]:
    """What errors call the `source.toml` beside the tables, and what it holds: nothing where there is none."""
    path = data_dir / "source.toml"
    return path.name, _toml(path, path.name) if path.is_file() else {}


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
    table = RAW_TABLES[table_name]
    source = _as_of_now(source, data_dir)
    with _session(con, timezone or source.timezone) as session:
        session.execute("create schema if not exists raw")
        target = f"raw.{quote(table_name)}"
        sql = source.sql(table_name)
        if sql is None:
            columns = ", ".join(f"{quote(column.name)} {_stored(column)}" for column in table.columns)
            session.execute(f"create or replace table {target} ({columns})")
            return LandingResult(0, time.perf_counter() - begun, ())
        gone = None if erased is None else _erased_rows(session, source, table, sql, erased, data_dir, root)
        renamed: dict[str, str] = {}
        if gone is not None and (table_name, "customer_id") in _BY_ADDRESS:
            renamed = _rename_forgotten(session, source, table, sql, erased, gone[1], data_dir, root)
            # What they did is not kept; that they said no is counted.
            gone = gone[0], [] if table_name == "consents" else [FORGOTTEN]
        with _files(session, source, sql, f"{table_name}.sql", data_dir, root) as names:
            rows = _land_select(session, source, table, sql, target, names, gone, renamed)
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
    last = _order_date(con, source, data_dir, timezone, not_after, root, "max")
    if last is None:
        raise SourceError(
            f"source {source.name!r}: there is no order, so there is no week to run; export orders."
        )
    day = last.date() + timedelta(days=1)
    return day - timedelta(days=day.weekday())


def first_as_of(
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
    first = _order_date(con, source, data_dir, timezone, None, root, "min")
    return None if first is None else first.date() - timedelta(days=first.weekday())


def _order_date(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    data_dir: Path,
    timezone: str | None,
    not_after: datetime | None,
    root: Path | None,
    which: str,
) -> datetime | None:
    """The first (`min`) or last (`max`) plausible date of an order, local to the shop."""
    source = _as_of_now(source, data_dir)
    sql = source.sql("orders") or "select null::timestamp as ordered_at where false"
    with (
        _session(con, timezone or source.timezone) as session,
        _files(session, source, sql, "orders.sql", data_dir, root),
    ):
        until = (
            "" if not_after is None else f"and ordered_at <= timestamp {literal(not_after.isoformat(' '))}"
        )
        try:
            found = session.execute(
                f"select {which}(ordered_at) from (select cast(ordered_at as timestamp) as ordered_at from "
                f"({_bare(sql)}\n)) where ordered_at >= timestamp {literal(_OLDEST_PLAUSIBLE.isoformat(' '))} {until}"
            ).fetchone()
        except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
            raise _unreadable(f"source {source.name!r} (orders)", error) from None
    return found[0]  # type: ignore[index]


def fingerprint(source: Source, data_dir: Path) -> str:
    """sha256 over names, sizes and modification times of the files a source reads, as they are now."""
    if source.canonical:
        names = [name for found in canonical_names(data_dir).values() for name in found]
    else:
        names = [name for file in source.files for name in _match_files(data_dir, file)]
    digest = hashlib.sha256()
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
        return parts_of(data_dir, file)
    except SourceError:
        return []


# ---------------------------------------------------------------------------- inside


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
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
    columns = {stem: [column.name for column in file.columns] for stem, file in by_stem.items()}
    where = f"source {source.name!r} ({sql_name})"
    stems = sorted(tables_read(session, where, sql, columns))
    promised = promised_files(data_dir)
    read: list[str] = []
    with _FILES_LOCK:
        session.execute(f"attach ':memory:' as {FILES}")
        try:
            for stem in stems:
                names = parts_of(data_dir, by_stem[stem])
                paths = {name: _inside(data_dir / name, root or data_dir) for name in names}
                read_files(session, paths, by_stem[stem], f"{FILES}.{quote(stem)}", promised)
                read += names
            yield tuple(read)
        finally:
            session.execute(f"detach {FILES}")


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
            found = erased.among(one for (one,) in ids)
            values = session.execute(
                f"select distinct value from {rows} where list_contains(?, customer_id) order by 1", [found]
            ).fetchall()
        except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
            raise _unreadable(f"source {source.name!r} ({name})", error) from None
    return column, [value for (value,) in values]


def _rename_forgotten(
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
    with _files(session, source, sql, f"{table.name}.sql", data_dir, root):
        spelled = _rows(
            session, source, table.name, f"select distinct customer_id::varchar from (\n{_bare(sql)}\n)"
        )
    spellings = {name for (name,) in spelled if name is not None}
    people = source.sql("customers")
    accounts: list[tuple[str, str | None]] = []
    if people is not None:
        with _files(session, source, people, "customers.sql", data_dir, root):
            columns = {row[0] for row in _rows(session, source, "customers", f"describe {_bare(people)}")}
            email = "email::varchar" if "email" in columns else "null::varchar"
            accounts = _rows(
                session,
                source,
                "customers",
                f"select distinct customer_id::varchar, {email} from (\n{_bare(people)}\n) where customer_id is not null",
            )
    gone = set(erased.among(name for name, _ in accounts))
    theirs: dict[str, set[str]] = {}  # of the forgotten who stand in the file still
    living: dict[str, str] = {}  # key -> the first account that has it
    for name, email in sorted(accounts, key=lambda account: account[0]):
        keys = keys_of_person(name, email)
        if name in gone:
            theirs.setdefault(name, set()).update(keys)
        else:
            for key in keys:
                living.setdefault(key, name)
    known = set().union(*theirs.values()) if theirs else set()
    addresses = [key for key in living if "@" in key]
    renamed = {}
    for name in sorted(spellings):
        keys = keys_of_spelling(name)
        if name in exact:
            shared = [key for key in theirs.get(name, ()) if "@" in key and key in living]
            shared += sorted(erased.addresses_of(name, addresses))
            renamed[name] = living[min(shared)] if shared else FORGOTTEN
        elif not any(key in living for key in keys) and (keys & known or erased.known_by(keys)):
            renamed[name] = FORGOTTEN
    return renamed


def _rows(session: duckdb.DuckDBPyConnection, source: Source, table_name: str, sql: str) -> list[tuple]:
    try:
        return session.execute(sql).fetchall()
    except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
        raise _unreadable(f"source {source.name!r} ({table_name})", error) from None


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
    source = _as_of_now(source, data_dir)
    sql = source.sql(table_name)
    if sql is None:
        return {}
    with (
        _session(con, timezone or source.timezone) as session,
        _files(session, source, sql, f"{table_name}.sql", data_dir, root),
    ):
        try:
            rows = session.execute(
                f"select trim(customer_id::varchar), count(*) from (\n{_bare(sql)}\n) where customer_id is not null group by 1"
            ).fetchall()
        except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
            raise _unreadable(f"source {source.name!r} ({table_name})", error) from None
    return dict(rows)


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
    renamed: Mapping[str, str] | None = None,
) -> int:
    """Write the SELECT's rows into `target` under the declared names, types and order, but for those
    whose column (the first of `gone`) is one of the values (the second). Customers in `renamed` get the new name;
    what FORGOTTEN wanted is that they are gone."""
    where = some_of(names) if source.canonical else f"source {source.name!r} ({table.name}.sql)"
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
            rows: str = f"(\n{_bare(sql)}\n)"
            values: list[Any] = []
            if renamed:
                old, new = list(renamed), list(renamed.values())
                name = "coalesce(map_extract(map(?::varchar[], ?::varchar[]), customer_id::varchar)[1], customer_id::varchar)"
                if "state" in found:
                    # Nobody else comes back because somebody who was forgotten did.
                    back = "list_contains(?::varchar[], customer_id::varchar) and lower(trim(state::varchar)) = 'subscribed'"
                    rows, values = f"(select * from {rows} where not coalesce({back}, false))", [old]
                rows, values = f"(select * replace ({name} as customer_id) from {rows})", [old, new, *values]
                if "state" in found:
                    state = "case when customer_id = ? then 'erased' else state::varchar end"
                    rows, values = f"(select * replace ({state} as state) from {rows})", [FORGOTTEN, *values]
            session.execute(
                f"create or replace table {target} as select {select} from {rows} {kept}",
                [*values, *([] if gone is None else [gone[1]])],
            )
            if not source.canonical:  # canonical files were searched line by line
                for name in _identifiers(table):
                    count = session.execute(
                        f"select count(*) from {target} where {holds_address(name)}"
                    ).fetchone()[0]  # type: ignore[index]
                    if count:
                        raise SourceError(f"{where}, from {some_of(names)}: {address_error(name, count)}")
            # Read by the dbt tests, so that what they say of rows names the files.
            session.execute(f"comment on table {target} is {literal(some_of(names))}")
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
