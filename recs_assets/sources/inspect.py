"""What lies in a folder that no source declares: files, sizes, and of those that can be opened rows and columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from recs_assets.sources.declared import file_format, quote_text, shorten_error
from recs_assets.sources.folder import is_harmless

MOST_FILES = 200
READERS = {
    "csv": "read_csv({}, all_varchar = true, sample_size = 20000)",
    "tsv": "read_csv({}, all_varchar = true, sample_size = 20000)",
    "txt": "read_csv({}, all_varchar = true, sample_size = 20000)",
    "parquet": "read_parquet({})",
    "json": "read_json({}, maximum_object_size = 268435456)",
    "jsonl": "read_json({}, format = 'newline_delimited')",
}


@dataclass(frozen=True)
class FoundFile:
    """One file of a folder.

    Attributes:
        name: below the folder.
        bytes: its size.
        rows: None where it was not read.
        columns: their names.
        problem: why it was not read; empty where it was.
    """

    name: str
    bytes: int
    rows: int | None
    columns: tuple[str, ...]
    problem: str = ""


def list_files(folder: Path) -> list[Path]:
    """The files below a folder that are data by their names, by name; hidden ones are left out."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not is_harmless(path.name)
    ][:MOST_FILES]


def inspect_file(connection: duckdb.DuckDBPyConnection, folder: Path, path: Path) -> FoundFile:
    """Open a file as DuckDB guesses it to be and count its rows; what cannot be opened says why."""
    name, size = path.relative_to(folder).as_posix(), path.stat().st_size
    kind = file_format(path.name)[1]
    if kind is None:
        return FoundFile(name, size, None, (), "it is of a kind that is not read here")
    reader = READERS[kind].format(quote_text(str(path)))
    try:
        columns = [row[0] for row in connection.execute(f"describe select * from {reader}").fetchall()]
        [(rows,)] = connection.execute(f"select count(*) from {reader}").fetchall()
    except duckdb.Error as error:
        return FoundFile(name, size, None, (), f"it cannot be read ({shorten_error(error)})")
    return FoundFile(name, size, rows, tuple(columns))
