"""From a shop's files to the canonical raw tables.

A shop is a folder `recs_assets/shops/<name>/`, or one of the deployment's own (RECS_SHOPS): a `source.toml`
that declares the shop's files, one `<table>.sql` for each canonical table that those files fill (a plain
SELECT over `files.<stem>`), and what the shop wants otherwise than the code does (`OWN_FILES`). A shop whose
files are the canonical tables declares no files and has no SQL; it needs a folder only for the rest.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from recs_assets.declared_tables.file import DeclaredTable, load_tables
from recs_assets.names import is_time_zone
from recs_assets.schema import RAW_TABLES, SettingsError, SourceError, Table
from recs_assets.sources.copies import Copies
from recs_assets.sources.database_tables import is_database_table, read_table_declaration
from recs_assets.sources.databases import is_configured
from recs_assets.sources.declaration import KEYS, ShopWords, read_currency, read_horizon, shop_words
from recs_assets.sources.declared import FORMATS, DeclaredFile
from recs_assets.sources.file_declaration import read_file_declaration
from recs_assets.sources.folder import (
    list_canonical_names,
    list_parts,
    refuse_others,
    refuse_undeclared,
)
from recs_assets.sources.identifiers import TELLING, identifiers_of
from recs_assets.sources.object_storage import Mirror
from recs_assets.sources.reader import read_manifest
from recs_assets.sources.shop_tables import find_table_files, list_read_names
from recs_assets.sources.statement import FILES
from recs_assets.sql_text import quote

SHOPS = Path(__file__).resolve().parents[1] / "shops"

# What may lie in a shop's folder beside source.toml and SQL, named after the setting that it stands for.
OWN_FILES = (
    "campaigns",
    "experiments",
    "placements",
    "tables",
    "texts",
    "gates.yaml",
    "monitor.yaml",
    "sensitive.yaml",
    "storefront.yaml",
)

CANONICAL = "canonical"

AUTO = "auto"

# What the SQL calls the rows that the API acknowledged, after the table's name.
ACKNOWLEDGED = " acknowledged"


@dataclass(frozen=True)
class Source:
    """How one shop's files become the canonical raw tables.

    `folder` is the shop's; None where there is only the data. Of the canonical source the files are the tables
    themselves, of any other the folder holds the SQL that makes them. `timezone` and `horizon_days` are the
    shop's defaults, which settings override. `events` is the home's folder of rows that the API acknowledged
    (`acknowledged`), which are landed beside the shop's. `kept` is the home's folder of what was read before;
    `mirror` is there where the files lie in object storage; `copies` are there once a landing has begun (`list_files_now`).
    `tables` are declared beside the canonical ones.
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
    events: Path | None = None
    kept: Path | None = None
    mirror: Mirror | None = None
    copies: Copies | None = None
    tables: Mapping[str, DeclaredTable] = field(default_factory=dict)

    @property
    def own_files(self) -> tuple[DeclaredFile, ...]:
        """The declared files that lie in the shop's folder; the others are tables of a database."""
        return tuple(file for file in self.files if file.database is None)

    @property
    def raw_tables(self) -> dict[str, Table]:
        """Every table that is landed, by name."""
        return RAW_TABLES | {table.name: table.raw for table in self.tables.values()}

    def sql(self, table_name: str) -> str | None:
        """The SELECT of all rows of a table; None where it stays empty."""
        if not list_event_files(self.events, table_name):
            return self._own_sql(table_name)
        return " union all by name ".join(f"select * from (\n{part}\n)" for part in self.parts(table_name))

    def parts(self, table_name: str) -> list[str]:
        """The SELECTs that fill a table: of the shop's files, and of what the API acknowledged."""
        own = self._own_sql(table_name)
        parts = [] if own is None else [own.strip().rstrip(";")]
        if list_event_files(self.events, table_name):
            parts.append(f"select * from {FILES}.{quote(table_name + ACKNOWLEDGED)}")
        return parts

    def _own_sql(self, table_name: str) -> str | None:
        declared = table_name in self.tables
        if declared and (self.folder is None or not (self.folder / f"{table_name}.sql").is_file()):
            return f"select * from {FILES}.{quote(table_name)}"
        if self.canonical:
            file = next((file for file in self.files if file.stem == table_name), None)
            return None if file is None else f"select * from {FILES}.{quote(table_name)}"
        assert self.folder is not None, "a source that is not canonical has a folder"
        path = self.folder / f"{table_name}.sql"
        return _read_text(path, f"source {self.name!r} ({path.name})") if path.is_file() else None


def load_source(folder: Path, tables: Path | None = None) -> Source:
    """Read `source.toml` of one shop's folder with SQL.

    Args:
        folder: of the shop.
        tables: folder of its declared tables; None: `tables/` in it.

    Raises:
        SettingsError: the file is missing, is not TOML, or declares something unknown, or a file in the folder
            is none that is read.
    """
    where, declared = _read_folder(folder)
    needed = {"description", "timezone", "horizon_days", "currency", "files"}
    if set(declared) - KEYS != needed:
        raise SettingsError(
            f"{where}: it must declare {', '.join(sorted(needed))}, may declare {', '.join(sorted(KEYS))}, "
            "and nothing else."
        )
    if not isinstance(declared["files"], dict) or not declared["files"]:
        raise SettingsError(f'{where}: files must be tables like [files."orders.csv"].')
    files = [
        (read_table_declaration if is_database_table(name) else read_file_declaration)(where, name, entry)
        for name, entry in declared["files"].items()
    ]
    words = shop_words(declared, where)
    if words.ignored_columns:
        raise SettingsError(f"{where}: ignored_columns is for canonical tables; say ignored at the file.")
    declared_tables = load_tables(tables or _find_tables(folder))
    stray = sorted({sql.stem for sql in folder.glob("*.sql")} - set(RAW_TABLES) - set(declared_tables))
    if stray:
        raise SettingsError(
            f"source {folder.name!r}: {stray[0]}.sql names no canonical table; rename it to one of "
            f"{', '.join(RAW_TABLES)}, or declare the table in tables/{stray[0]}.yaml."
        )
    _refuse_stray_yaml(folder)
    texts = " ".join(
        _read_text(sql, f"source {folder.name!r} ({sql.name})").lower() for sql in folder.glob("*.sql")
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
        timezone=check_zone(declared["timezone"]),
        horizon_days=read_horizon(declared["horizon_days"], where),
        currency=read_currency(declared["currency"], where),
        files=tuple(files),
        words=words,
        tables=declared_tables,
    )


def _find_tables(folder: Path | None) -> Path | None:
    """The folder of a shop's declared tables; None where it has none."""
    own = None if folder is None else folder / "tables"
    return own if own is not None and own.is_dir() else None


def _read_folder(folder: Path) -> tuple[str, dict[str, Any]]:
    """What errors call a shop's `source.toml`, and what it holds."""
    where = f"source {folder.name!r} (source.toml)"
    if not (folder / "source.toml").is_file():
        raise SettingsError(f"{where}: the file is missing in {folder}.")
    return where, _read_toml(folder / "source.toml", where)


def _refuse_stray_yaml(folder: Path) -> None:
    """Refuse a shop's folder with YAML that nobody reads: a misspelt name would leave the shipped values in force."""
    found = {
        path.relative_to(folder).parts[0] for kind in ("*.y*ml", "*/*.y*ml") for path in folder.glob(kind)
    }
    if stray := sorted(found - set(OWN_FILES)):
        raise SettingsError(
            f"source {folder.name!r}: {stray[0]} is not read; rename it to one of {', '.join(OWN_FILES)}, or remove it."
        )


def _read_toml(path: Path, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_read_text(path, where))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where}: it is not TOML: {error}.") from None


def _read_text(path: Path, where: str) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise SettingsError(f"{where}: it is not UTF-8; save it as UTF-8.") from None


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


def needs_folder(name: str, sources_dir: Path = SHOPS, shops_dir: Path | None = None) -> bool:
    """Whether a source reads files at all: False of a shop, named and not `auto`, whose tables are all in databases.

    Raises:
        SettingsError: as `load_source`.
    """
    folder = source_folders(sources_dir, shops_dir).get(name)
    return folder is None or _declares_no_files(folder) or bool(load_source(folder).own_files)


def source_names(sources_dir: Path = SHOPS, shops_dir: Path | None = None) -> list[str]:
    """Names that the setting `source` accepts, beside `auto`."""
    return sorted([CANONICAL, *source_folders(sources_dir, shops_dir)])


def resolve_source(
    name: str,
    data_dir: Path,
    sources_dir: Path = SHOPS,
    shops_dir: Path | None = None,
    tables: Path | None = None,
) -> Source:
    """Find the source for a data folder.

    Args:
        name: a folder of `sources_dir` or `shops_dir`, `canonical`, or `auto`: the source whose declared
            files are all there, else canonical, of the one shop that declares no files where there is one.
        data_dir: folder with the shop's files.
        sources_dir: folder of the shops that come with the code.
        shops_dir: the deployment's own folder of shops.
        tables: folder of the declared tables; None: `tables/` of the shop's folder.

    Returns:
        The source. Canonical files are resolved to the formats found in `data_dir`.

    Raises:
        SettingsError: no such source, or two sources fit equally well.
        SourceError: a canonical folder lacks a required table or holds one twice, or something lies in
            the folder that is not read.
    """
    folders = source_folders(sources_dir, shops_dir)
    if name == CANONICAL:
        return _make_canonical(data_dir, tables=tables)
    if name != AUTO:
        if name not in folders:
            names = ", ".join(source_names(sources_dir, shops_dir))
            raise SettingsError(f"RECS_SOURCE {name!r} is no source: use auto or one of {names}.")
        if _declares_no_files(folders[name]):
            return _make_canonical(data_dir, folders[name], tables)
        source = load_source(folders[name], tables)
    else:
        canonical = {name: folder for name, folder in folders.items() if _declares_no_files(folder)}
        required = {table.name for table in RAW_TABLES.values() if table.required}
        # Complete canonical folders come first: another shop's files may share the names.
        if required <= set(list_canonical_names(data_dir)):
            return _make_canonical(data_dir, _choose_only(canonical, data_dir), tables)
        known = {name: load_source(folder) for name, folder in folders.items() if name not in canonical}
        fitting = {
            name: source
            for name, source in known.items()
            if all(_is_there(data_dir, file) for file in source.files)
        }
        fit = _choose_only(fitting, data_dir)
        if fit is None:
            return _make_canonical(data_dir, tables=tables)
        source = fit if tables is None else replace(fit, tables=load_tables(tables))
    source = _add_table_files(source, data_dir)
    _refuse_others(source, data_dir)
    return source


def _add_table_files(source: Source, data_dir: Path) -> Source:
    """A source of SQL with the files of its declared tables as they lie there now."""
    declared = find_table_files(data_dir, source.tables, source.folder)
    stems = {file.stem for file in declared}
    return replace(source, files=(*(file for file in source.files if file.stem not in stems), *declared))


def _refuse_others(source: Source, data_dir: Path) -> None:
    """Refuse what lies in the folder of a source of SQL and is not read; nobody looks at it where all is in databases."""
    if source.own_files:
        refuse_undeclared(data_dir, source.name, source.own_files, source.words.ignored_files)
        _refuse_missing(data_dir)


_Fit = TypeVar("_Fit")


def _choose_only(found: Mapping[str, _Fit], data_dir: Path) -> _Fit | None:
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
    return "files" not in _read_folder(folder)[1] and not any(folder.glob("*.sql"))


def _is_there(data_dir: Path, file: DeclaredFile) -> bool:
    if file.database is not None:
        return is_configured(file)
    try:
        return all((data_dir / name).is_file() for name in list_parts(data_dir, file))
    except SourceError:
        return False


def _make_canonical(data_dir: Path, folder: Path | None = None, tables: Path | None = None) -> Source:
    where, declared = _read_canonical_words(data_dir) if folder is None else _read_folder(folder)
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
    own_tables = load_tables(tables or _find_tables(folder))
    source = Source(
        name=CANONICAL if folder is None else folder.name,
        description=str(
            declared.get("description", "The shop's own files in the canonical layout, one per table.")
        ),
        folder=folder,
        timezone=check_zone(declared.get("timezone", "UTC")),
        horizon_days=read_horizon(declared.get("horizon_days", 28), where),
        currency=read_currency(declared["currency"], where) if "currency" in declared else None,
        files=_list_canonical_files(data_dir, words, find_table_files(data_dir, own_tables, folder)),
        words=words,
        canonical=True,
        tables=own_tables,
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


def _list_canonical_files(
    data_dir: Path, words: ShopWords, declared: tuple[DeclaredFile, ...]
) -> tuple[DeclaredFile, ...]:
    """The tables as they lie in a canonical folder now; `declared` are files of the shop's other tables.

    Raises:
        SourceError: something lies there that is not read, a table twice, or not what the manifest promises.
    """
    refuse_others(data_dir, (*words.ignored_files, *list_read_names(declared)))
    _refuse_missing(data_dir)
    files = list(declared)
    found = list_canonical_names(data_dir)
    for table in RAW_TABLES.values():
        names = found.get(table.name, [])
        if len(names) > 1:
            raise SourceError(f"{' and '.join(names)}: both hold the table {table.name}; keep one of them.")
        files += [declare_canonical(name, table, words.ignored_columns.get(table.name, ())) for name in names]
    return tuple(files)


def declare_canonical(name: str, table: Table, ignored: tuple[str, ...]) -> DeclaredFile:
    """A file or a folder of parts that holds a canonical table; `ignored` are columns that may be there."""
    return DeclaredFile(
        name,
        table.columns,
        may_be_empty=not table.required,
        alias=table.name,
        ignored=ignored,
        alike=True,
        identifiers=identifiers_of(table),
        telling=TELLING.get(table.name, ()),
    )


def _refuse_missing(data_dir: Path) -> None:
    """Refuse a folder that lacks a file which its manifest lists."""
    for name in read_manifest(data_dir):
        if not (data_dir / name).exists():
            raise SourceError(f"{name}: manifest.json lists it but it is not in {data_dir}; copy it there.")


def list_event_files(folder: Path | None, table_name: str) -> list[Path]:
    """Files of acknowledged rows of a table, by name; none without a folder."""
    return [] if folder is None else sorted((folder / table_name).glob("*.jsonl"))


def list_files_now(source: Source, data_dir: Path, *, keeps: bool = False) -> Source:
    """The source with the files that are there now: it was resolved when the code was loaded, perhaps weeks ago.

    Args:
        source: as resolved.
        data_dir: folder with the files.
        keeps: whether the home may keep what is read (`Copies`).

    Raises:
        SourceError: something lies in the folder that is not read.
    """
    if source.mirror is not None:
        source.mirror.refresh()
    if source.canonical:
        declared = find_table_files(data_dir, source.tables, source.folder)
        now = _list_canonical_files(data_dir, source.words, declared)
        # A table that was there and is gone is missing, not empty.
        gone = [file for file in source.files if file.stem not in {other.stem for other in now}]
        return replace(source, files=(*now, *gone), copies=Copies(source.kept, (*now, *gone), keeps=keeps))
    source = _add_table_files(source, data_dir)
    _refuse_others(source, data_dir)
    return replace(source, copies=Copies(source.kept, source.files, keeps=keeps))


def _read_canonical_words(data_dir: Path) -> tuple[str, dict[str, Any]]:
    """What errors call the `source.toml` beside the tables, and what it holds: nothing where there is none."""
    path = data_dir / "source.toml"
    return path.name, _read_toml(path, path.name) if path.is_file() else {}


def check_zone(name: str) -> str:
    if not is_time_zone(name):
        raise SettingsError(f"time zone {name!r} is not known; use an IANA name like Europe/Berlin.")
    return name
