"""The tables of a folder: which files are one table, how they are written, and what they hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import duckdb

from recs_assets.discovery.found import FoundColumn, FoundTable
from recs_assets.discovery.text_files import find_csv_dialect, find_encoding, find_json_dialect
from recs_assets.discovery.value_types import infer_types, refine_columns
from recs_assets.discovery.words import score_entities
from recs_assets.discovery.workbooks import agree, look_at_spreadsheet
from recs_assets.schema import Column, SourceError
from recs_assets.sources.cells import is_safe, write_cast
from recs_assets.sources.declared import TYPES, DeclaredFile, file_format
from recs_assets.sources.dialect import Dialect
from recs_assets.sources.encoding import transcode
from recs_assets.sources.folder import is_harmless
from recs_assets.sources.reader import read_files, unzip
from recs_assets.sources.reader_csv import find_csv_layout
from recs_assets.sources.reader_feed import list_items
from recs_assets.sources.reader_json import list_records
from recs_assets.sources.reader_parquet import lands_as_json
from recs_assets.sources.reader_spreadsheet import ISO_OF_CELLS
from recs_assets.sql_text import quote, quote_text

Say = Callable[[str], None]

# What a stored type of Parquet is declared as.
_DECLARED = ("BOOLEAN", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR")
# What is in no shop's data.
_ROW_NUMBERS = re.compile(r"__index_level_\d+__")


def list_files(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the files of a folder and of the folders in it, those that can be read and the others."""
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
        and not any(is_harmless(piece) for piece in path.relative_to(folder).parts)
        and path.name not in ("manifest.json", "source.toml")
    )
    readable = [name for name in names if file_format(name)[1] is not None]
    return readable, [name for name in names if name not in readable]


def group_files(names: Sequence[str], headers: dict[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Files that are one table, by the name or pattern that `source.toml` declares.

    Names that differ in digits alone are one table if at least four in five of their columns agree; so are all files of
    one folder, and those of the folders of a partition.

    Args:
        names: of the files, with their folders.
        headers: the columns of each.
    """
    groups: dict[tuple[str, str], list[list[str]]] = {}
    for name in names:
        path = PurePosixPath(name)
        folder = "/".join(f"{piece.split('=')[0]}=*" if "=" in piece else piece for piece in path.parts[:-1])
        ending = path.name[len(file_format(path.name)[0]) :]
        shape = (
            f"*{ending}" if folder else re.sub(r"\d[\d_\-.T]*\d|\d", "*", file_format(path.name)[0]) + ending
        )
        for group in groups.setdefault((folder, shape), []):
            if agree(headers[group[0]], headers[name]):
                group.append(name)
                break
        else:
            groups[folder, shape].append([name])
    found: dict[str, list[str]] = {}
    for (folder, shape), parts in groups.items():
        for group in parts:
            alone = len(group) == 1 and "=" not in folder
            # Two tables of one shape cannot share a pattern.
            pattern = f"{folder}/{shape}" if folder else shape
            if alone or len(parts) > 1:
                found.update({name: [name] for name in group})
            else:
                found[pattern] = group
    return dict(sorted(found.items()))


def name_stem(pattern: str, taken: Sequence[str]) -> str:
    """What SQL calls a table: letters and digits of its name, unlike those that are there."""
    path = PurePosixPath(pattern)
    own = file_format(path.name)[0] if not re.search(r"[*?]", path.name) else re.split(r"[*?]", path.name)[0]
    folders = [piece for piece in path.parts[:-1] if "=" not in piece]
    stem = re.sub(r"\W+", "_", own).strip("_").lower() or (folders[-1].lower() if folders else "data")
    stem = re.sub(r"\W+", "_", stem)
    place = 2
    base = stem
    while stem in taken:
        stem, place = f"{base}_{place}", place + 1
    return stem


def read_folder(
    con: duckdb.DuckDBPyConnection, folder: Path, say: Say = lambda sentence: None
) -> tuple[list[FoundTable], list[str]]:
    """Read every file of a folder into the database `files`, each table under its stem.

    Args:
        con: connection with the database `files` attached.
        folder: with the export.
        say: is told what is being read.

    Returns:
        The tables, also those without rows, and sentences about the files that are none.
    """
    readable, others = list_files(folder)
    problems = [f"{name}: files of this kind are not read; it is named in ignored_files." for name in others]
    drafts: dict[str, dict[str, Any]] = {}
    headers: dict[str, tuple[str, ...]] = {}
    parts: list[tuple[str, dict[str, Any]]] = []
    for name in readable:
        try:
            found = _look_at_file(con, folder / name, name)
        except SourceError as error:
            problems.append(f"{error} Until then it is named in ignored_files.")
            continue
        if len(found) > 1:
            parts += [(name, draft) for draft in found]
        else:
            drafts[name] = found[0]
            headers[name] = found[0]["columns"]
    groups = [
        (pattern, names, [drafts[name] for name in names])
        for pattern, names in group_files([name for name in readable if name in headers], headers).items()
    ]
    groups += [(name, [name], [draft]) for name, draft in parts]
    tables: list[FoundTable] = []
    for pattern, names, own in groups:
        part = own[0].get("part", "")
        shown = f"{pattern} ({part})" if part else pattern
        say(f"Reading {shown} ({len(names)} files)." if len(names) > 1 else f"Reading {shown}.")
        table = FoundTable(
            shown, _choose_stem(pattern, own[0], [table.stem for table in tables]), names, part=part
        )
        try:
            _read_table(con, folder, table, own, [draft["columns"] for draft in own])
        except SourceError as error:
            if part:  # the others of the file are read
                tables[-1].questions.append(f"what is wrong with {shown}? It is not read: {error}")
            else:
                problems.append(f"{error} Until then it is named in ignored_files.")
            continue
        tables.append(table)
    return tables, problems


def _choose_stem(pattern: str, draft: dict[str, Any], taken: Sequence[str]) -> str:
    """What SQL calls a table: `{"orders": [...]}` and a sheet `Orders` say more than export.json and shop.xlsx do."""
    within = draft.get("part") or draft["entry"].get("records", "").rpartition(".")[2]
    stem = name_stem(pattern, taken)
    if draft.get("part") or (_tells_nothing(stem) and not _tells_nothing(within)):
        return name_stem(within, taken)
    return stem


def _tells_nothing(name: str) -> bool:
    """Whether a name does not say what rows are about."""
    return max(score_entities(name).values()) < 0.5


def _look_at_file(con: duckdb.DuckDBPyConnection, path: Path, name: str) -> list[dict[str, Any]]:
    """How a file is written, and its columns; of a file with several tables, each."""
    _, kind, zipped = file_format(name)
    if path.stat().st_size == 0:
        raise SourceError(f"{name}: the file is empty (0 bytes); export it again.")
    draft: dict[str, Any] = {"entry": {}, "notes": [], "questions": []}
    if kind in ("csv", "tsv", "txt"):
        draft["entry"], draft["notes"], draft["questions"] = find_csv_dialect(path, zipped, kind)
        dialect = Dialect.model_validate(draft["entry"])
        with (
            unzip(path, name) if zipped else nullcontext(path) as plain,
            transcode(plain, name, dialect.encoding) as text,
        ):
            draft["columns"] = tuple(find_csv_layout(text, name, kind, dialect)[2])
    elif kind in ("json", "jsonl"):
        if kind == "json":
            entries = find_json_dialect(path, zipped)
            if len(entries) > 1:
                return [_look_at_records(con, path, name, entry) for entry in entries]
            [draft["entry"]] = entries
        else:
            encoding, _ = find_encoding(path, zipped)
            draft["entry"] = {} if encoding == "utf-8" else {"encoding": encoding}
        draft["columns"], draft["lacking"] = _list_keys(con, path, name, draft["entry"])
    elif kind == "parquet":
        scan = f"read_parquet({quote_text(str(path))}, hive_partitioning=false)"
        try:
            stored = con.execute(f"describe select * from {scan}").fetchall()
        except duckdb.Error:
            raise SourceError(f"{name}: it is no Parquet file, or is cut off; export it again.") from None
        draft["columns"] = tuple(row[0] for row in stored if not _ROW_NUMBERS.fullmatch(row[0]))
        draft["stored"] = {row[0]: row[1] for row in stored}
    elif kind == "xml":
        with unzip(path, name) if zipped else nullcontext(path) as plain:
            draft["columns"] = tuple(
                dict.fromkeys(key for _, item in list_items(plain, name) for key in item)
            )
    else:
        return look_at_spreadsheet(path, name)
    return [draft]


def _look_at_records(
    con: duckdb.DuckDBPyConnection, path: Path, name: str, entry: dict[str, Any]
) -> dict[str, Any]:
    """One of the lists of records in a JSON file."""
    columns, lacking = _list_keys(con, path, name, entry)
    part = entry["records"].rpartition(".")[2]
    return {
        "entry": entry,
        "notes": [],
        "questions": [],
        "columns": columns,
        "lacking": lacking,
        "part": part,
    }


def _list_keys(
    con: duckdb.DuckDBPyConnection, path: Path, name: str, entry: dict[str, Any]
) -> tuple[tuple[str, ...], set[str]]:
    """The keys of the records of a JSON file, in the order in which they first come, and those that some records lack."""
    if entry.get("records", "").endswith("*"):
        return ("key", "value"), set()
    dialect = Dialect.model_validate(entry)
    kind, zipped = file_format(name)[1:]
    lines = kind == "jsonl" or dialect.lines or dialect.records is not None
    with (
        unzip(path, name) if zipped else nullcontext(path) as plain,
        transcode(plain, name, dialect.encoding) as text,
        list_records(text, name, dialect.records) if dialect.records else nullcontext(text) as readable,
    ):
        how = "newline_delimited" if lines else "array"
        try:
            found = con.execute(
                f"select k, min(n * 1000 + place), count(distinct n) < any_value(total) from "
                f"(select n, total, unnest(ks) as k, unnest(range(len(ks))) as place from "
                f"(select row_number() over () as n, count(*) over () as total, json_keys(json) as ks "
                f"from read_json_objects({quote_text(str(readable))}, format='{how}', compression='uncompressed'))) "
                "group by k order by 2"
            ).fetchall()
        except duckdb.Error:
            raise SourceError(f"{name}: it is not regular JSON; export it again.") from None
    if not found:
        raise SourceError(
            f"{name}: it holds no record, so nothing can be said of it; export it again with its rows."
        )
    return tuple(row[0] for row in found), {row[0] for row in found if row[2]}


def _read_table(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    table: FoundTable,
    drafts: Sequence[dict[str, Any]],
    headers: Sequence[Sequence[str]],
) -> None:
    """Read the files of a table, find the types, and keep the rows as `files.<stem>`."""
    table.entry = dict(drafts[0]["entry"])
    for draft in drafts[1:]:
        for key, value in draft["entry"].items():
            if table.entry.setdefault(key, value) != value:
                raise SourceError(
                    f"{table.name}: its files are written in several ways ({key}: {table.entry[key]!r}, {value!r}); export them "
                    "in one, or into folders of their own."
                )
    table.notes = list(dict.fromkeys(note for draft in drafts for note in draft["notes"]))
    table.questions = list(dict.fromkeys(question for draft in drafts for question in draft["questions"]))
    names = list(dict.fromkeys(name for header in headers for name in header if name))
    table.header = tuple(names)
    doubled = {name for header in headers for name in header if list(header).count(name) > 1}
    optional = {name for name in names if not all(name in header for header in headers)}
    optional |= {name for draft in drafts for name in draft.get("lacking", ())}
    partitions = [piece.split("=")[0] for piece in table.name.split("/")[:-1] if "=" in piece]
    ignored = sorted(doubled | ({""} if any("" in header for header in headers) else set()))
    kept = [name for name in names if name not in doubled]
    if partitions:
        table.entry["partitions"] = partitions
        kept = [*[name for name in partitions if name not in kept], *kept]
    if optional:
        table.entry["optional"] = [name for name in kept if name in optional]
    if ignored:
        table.entry["ignored"] = ignored
        table.notes.append(
            f"columns without a name, or with one that is there twice, are not read: {', '.join(map(repr, ignored))}"
        )
    stored: dict[str, str] = {}
    for draft in drafts:
        stored |= draft.get("stored", {})
    types = {name: _declare(stored[name]) if name in stored else "VARCHAR" for name in kept}
    types |= {name: _find_partition_type(table.files, name) for name in partitions}
    for name in [name for name, type_ in types.items() if type_ is None]:
        del types[name]
        table.entry.setdefault("ignored", []).append(name)
        table.notes.append(f"{name} is stored as {stored[name]} and is not read")
    declared = DeclaredFile(
        table.name,
        tuple(Column(name, type_ or "VARCHAR", "", name not in optional) for name, type_ in types.items()),
        may_be_empty=True,
        alias=table.stem,
        ignored=tuple(table.entry.get("ignored", ())),
        dialect=_make_dialect(table.entry),
    )
    paths = {name: folder / name for name in table.files}
    if stored:
        table.rows = read_files(con, paths, declared, table.relation, {})
        table.columns = [
            FoundColumn(column.name, column.type, how="as it is stored") for column in declared.columns
        ]
        for column in table.columns:
            if column.name in partitions:
                column.how = "from the names of the folders"
    else:
        text = f"files.{quote(f'_text of {table.stem}')}"
        table.rows = _read_text(con, paths, declared, text, table)
        if table.rows:
            found = infer_types(
                con, text, [column.name for column in declared.columns], table.entry.get("delimiter", ",")
            )
            table.columns = found.columns
            table.entry |= found.entry
            table.questions += found.questions
            _cast(con, table, text)
    if table.rows:
        refine_columns(con, table.relation, table.columns)


def _make_dialect(entry: dict[str, Any]) -> Dialect:
    return Dialect.model_validate({key: value for key, value in entry.items() if key in Dialect.model_fields})


def _find_partition_type(names: Sequence[str], column: str) -> str:
    """Whole numbers where the names of all folders say so."""
    said = {
        piece.split("=", 1)[1]
        for name in names
        for piece in name.split("/")
        if piece.startswith(f"{column}=")
    }
    return (
        "BIGINT"
        if all(re.fullmatch(r"\d{1,18}|__HIVE_DEFAULT_PARTITION__", text) for text in said)
        else "VARCHAR"
    )


def _read_text(
    con: duckdb.DuckDBPyConnection,
    paths: dict[str, Path],
    declared: DeclaredFile,
    text: str,
    table: FoundTable,
) -> int:
    """Read all columns as text, as strictly as a landing does; where quotes are characters, the entry says so."""
    try:
        return read_files(con, paths, declared, text, {})
    except SourceError as error:
        if table.format not in ("csv", "tsv", "txt"):
            raise
        plain = replace(declared, dialect=declared.dialect.model_copy(update={"quote": ""}))
        try:
            rows = read_files(con, paths, plain, text, {})
        except SourceError:
            raise error from None
        table.entry["quote"] = ""
        table.notes.append("double quotes in it do not close, so they are taken as characters")
        return rows


def _cast(con: duckdb.DuckDBPyConnection, table: FoundTable, text: str) -> None:
    """From the texts to the types that were found: no value may be lost on the way."""
    columns = tuple(Column(column.name, column.type, "", True) for column in table.columns)
    dialect = _make_dialect(table.entry)
    if table.format == "sheet" and dialect.dates:
        dialect = dialect.model_copy(update={"dates": (*dialect.dates, *ISO_OF_CELLS)})
    if dialect.nulls:
        words = ", ".join(map(quote_text, dialect.nulls))
        select = ", ".join(
            f"case when {quote(c.name)} not in ({words}) then {quote(c.name)} end as {quote(c.name)}"
            for c in columns
        )
        con.execute(f"create or replace table files._plain as select {select} from {text}")
        text = "files._plain"
    result = write_cast(con, text, columns, [column.name for column in columns], table.relation, dialect)
    if not isinstance(result, int):
        row, column, count, _ = result
        raise SourceError(
            f"{table.name}: {count} values of column {column.name!r} are none of the type {column.type} that the others "
            f"have (first in row {row}); correct the export."
        )


def _declare(stored: str) -> str | None:
    """The declared type of a stored one; None where there is none."""
    if stored in TYPES:
        return stored
    if stored in ("UBIGINT", "HUGEINT", "UHUGEINT") or lands_as_json(stored):  # ids that are no BIGINT
        return "VARCHAR"
    return next((type_ for type_ in _DECLARED if is_safe(stored, type_)), None)
