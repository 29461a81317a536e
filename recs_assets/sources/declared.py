"""What a file is declared to hold, and the words in which errors speak of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from recs_assets.schema import Column
from recs_assets.sources.dialect import CANONICAL_DIALECT, Dialect

if TYPE_CHECKING:
    from recs_assets.sources.database_tables import DatabaseTable

# The endings that the documents name first; `file_format` knows them all.
FORMATS = (".csv", ".parquet", ".json", ".jsonl", ".ndjson")

_FORMAT_OF = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "txt",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".parq": "parquet",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "sheet",
    ".xlsm": "sheet",
    ".xlsb": "sheet",
    ".xls": "sheet",
    ".ods": "sheet",
    ".xml": "xml",
}

TYPES = ("VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMPTZ")

MEANING = {
    "BIGINT": "a whole number",
    "DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "DATE": "a date like 2024-12-31",
    "TIMESTAMP": "a time like 2024-12-31 23:59:59",
    "TIMESTAMPTZ": "a time like 2024-12-31 23:59:59 or 2024-12-31T23:59:59+01:00",
}


@dataclass(frozen=True)
class DeclaredFile:
    """One table that a source reads: the file, its columns, and whether it may hold no rows.

    `name` is a file, a folder of parts, or a pattern of several files. `alias` is the table's name where it
    is not that of the file. `ignored` are columns that may be there and are not read, as names or patterns.
    `alike` asks every part for the same columns. `identifiers` are columns that may hold no address. `telling`
    are patterns of columns that say what a row is about, and so cannot be ignored. `dialect` is how its values are
    written. `database` is there where it is no file but a table in a database.
    """

    name: str
    columns: tuple[Column, ...]
    may_be_empty: bool = False
    alias: str | None = None
    ignored: tuple[str, ...] = ()
    alike: bool = False
    identifiers: tuple[str, ...] = ()
    telling: tuple[str, ...] = ()
    dialect: Dialect = CANONICAL_DIALECT
    database: DatabaseTable | None = None

    @property
    def stem(self) -> str:
        """The table's name: of a file without its ending, of a pattern what stands before the first wildcard."""
        if self.alias is not None:
            return self.alias
        path = PurePosixPath(self.name)
        if not self.is_pattern:
            return file_format(path.name)[0]
        before = re.split(r"[*?\[]", path.name)[0].rstrip("_-. ")
        # Folders of partitions (`year=2024`) name no table.
        plain = [piece for piece in path.parts[:-1] if not re.search(r"[*?\[=]", piece)]
        return before or (plain[-1] if plain else "")

    @property
    def key(self) -> str:
        """What tells it from others: one file may hold several tables, such as the sheets of a workbook."""
        return self.name if self.alias is None else f"{self.name} as {self.alias}"

    @property
    def is_pattern(self) -> bool:
        return bool(re.search(r"[*?\[]", self.name))

    def matches(self, name: str) -> bool:
        """Whether a file of this name is one of the declared: `*` stands for no slash."""
        pieces, patterns = name.split("/"), self.name.split("/")
        return len(pieces) == len(patterns) and all(map(fnmatchcase, pieces, patterns))

    def ignores(self, column: str) -> bool:
        return any(fnmatchcase(column, pattern) for pattern in self.ignored)


def file_format(name: str) -> tuple[str, str | None, bool]:
    """Of a file's name: what stands before its endings, its format, and whether it is a gzip file.

    The format is csv, tsv, txt, parquet, json, jsonl, sheet (a spreadsheet) or xml (a feed); None where such a file cannot be read.
    """
    path = PurePosixPath(name)
    zipped = path.suffix.lower() == ".gz"
    plain_name = PurePosixPath(path.stem) if zipped else path
    kind = _FORMAT_OF.get(plain_name.suffix.lower())
    if kind is None or (zipped and kind in ("parquet", "sheet")):
        return path.name, None, zipped
    return plain_name.stem, kind, zipped


def list_some(names: Iterable[str], most: int = 5) -> str:
    """`a, b, c`, and of a longer list the first few and how many more there are."""
    names = list(names)
    more = "" if len(names) <= most else f" and {len(names) - most} more"
    return ", ".join(names[:most]) + more


def shorten_error(error: Exception) -> str:
    """First sentence of a DuckDB message, unless it quotes what could be an address."""
    first = str(error).strip().splitlines()[0].rstrip(".")
    return "DuckDB's message quotes data and is left out" if "@" in first else first
