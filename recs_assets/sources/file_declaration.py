"""What `source.toml` declares of one file: its columns, what may be missing, and how its values are written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from recs_assets.schema import Column, SettingsError
from recs_assets.sources.declared import FORMATS, TYPES, DeclaredFile, file_format
from recs_assets.sources.dialect import DIALECT_KEYS, Dialect
from recs_assets.sources.folder import is_pattern_name

_FILE_KEYS = {"columns", "may_be_empty", "optional", "ignored", "as", "file", *DIALECT_KEYS}
_CSV = {"csv", "tsv", "txt"}
# Of which formats a key of a dialect says something.
_TEXTS = {*_CSV, "json", "jsonl", "sheet", "xml"}
_KINDS_OF = {
    **dict.fromkeys(("delimiter", "quote", "escape", "header", "open_end"), _CSV),
    "skip": {*_CSV, "sheet"},
    "encoding": {*_CSV, "json", "jsonl"},
    "sheet": {"sheet"},
    "lines": {"json"},
    "records": {"json"},
    "partitions": {*_TEXTS, "parquet"},
}


def read_file_declaration(where: str, name: str, entry: object) -> DeclaredFile:
    """One `[files."<name>"]` of a `source.toml`.

    Args:
        where: names the file in errors.
        name: of the file; of a part of one that says `file`, what the SQL calls it.
        entry: what stands below it.

    Raises:
        SettingsError: it declares something unknown, or something that cannot be.
    """
    alias = entry.get("as") if isinstance(entry, dict) else None
    if isinstance(entry, dict) and "file" in entry:
        alias, name = alias or name, str(entry["file"])
    if not is_pattern_name(name) or not isinstance(entry, dict) or set(entry) - _FILE_KEYS:
        raise SettingsError(
            f"{where}: file {name!r} must be a plain name ending in {', '.join(FORMATS)}, or a pattern of "
            "such names (orders_*.csv, orders/*.csv), with columns and, if need be, "
            f"{', '.join(sorted(_FILE_KEYS - {'columns'}))}."
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
    optional = _read_names(where, f"file {name!r}: optional", entry.get("optional", []))
    ignored = _read_names(where, f"file {name!r}: ignored", entry.get("ignored", []))
    if unknown := [column for column in optional if column not in columns]:
        raise SettingsError(
            f"{where}: file {name!r}: optional names {unknown[0]!r}, which is none of its columns; declare it there too."
        )
    if both := [column for column in ignored if column in columns]:
        raise SettingsError(
            f"{where}: file {name!r}: column {both[0]!r} is declared and ignored; remove one of the two."
        )
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
        dialect=_read_dialect(where, name, entry, columns),
    )
    if not file.stem:
        raise SettingsError(
            f'{where}: file {name!r} begins with a wildcard; say what the SQL calls it (as = "orders").'
        )
    return file


def _read_dialect(where: str, name: str, entry: dict[str, Any], columns: Iterable[str]) -> Dialect:
    try:
        dialect = Dialect.model_validate({key: entry[key] for key in DIALECT_KEYS & set(entry)})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the keys"
        raise SettingsError(
            f"{where}: file {name!r}: {key}: {first['msg'].removeprefix('Value error, ')}."
        ) from None
    kind = file_format(name)[1]
    stray = sorted(key for key in DIALECT_KEYS & set(entry) if kind not in _KINDS_OF.get(key, _TEXTS))
    if stray:
        raise SettingsError(f"{where}: file {name!r}: {stray[0]} says nothing of such a file; remove it.")
    if unknown := [column for column in dialect.partitions if column not in columns]:
        raise SettingsError(
            f"{where}: file {name!r}: partitions names {unknown[0]!r}, which is none of its columns; declare it there too."
        )
    return dialect


def _read_names(where: str, what: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f'{where}: {what} must be a list of names, like ["Notes", "Tags"].')
    return tuple(value)
