"""Reading one declared table strictly, from a file or from several: CSV, Parquet, JSON (array) or JSON lines.

Columns and types are declared, never guessed. Whatever does not fit its declaration is a
`SourceError` of one plain sentence with file, column and line (or row) and what to do. A
value is quoted in it only where it cannot be an email address.

CSV and JSON are read as text first and cast by one set of rules, because DuckDB's own casts
are lenient where a shop's export must not be ('1.5' becomes the integer 2, '1_000' becomes
1000, a CSV reader and a JSON reader differ). Parquet carries its types, so it is checked
by its schema and stays a view: nothing is copied before the one landing step.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import hashlib
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import duckdb

from recs_assets.schema import Column, SourceError

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
}

TYPES = ("VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMPTZ")

_MEANING = {
    "BIGINT": "a whole number",
    "DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "DATE": "a date like 2024-12-31",
    "TIMESTAMP": "a time like 2024-12-31 23:59:59",
    "TIMESTAMPTZ": "a time like 2024-12-31 23:59:59 or 2024-12-31T23:59:59+01:00",
}

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
_ANY_INTEGER = _INTEGERS | {"UBIGINT", "HUGEINT", "UHUGEINT"}
_NAIVE_TIMES = {"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
_AWARE_TIMES = {"TIMESTAMP WITH TIME ZONE"}
# What a stored type may become without a loss that a person would notice. A DOUBLE id is not
# text here: pandas turns the id 17 into 17.0 as soon as one is missing, which joins nothing.
_SAFE_FROM = {
    "VARCHAR": _ANY_INTEGER | {"UUID"},
    "BIGINT": _INTEGERS,
    "DOUBLE": _ANY_INTEGER | {"FLOAT"},
    "BOOLEAN": set(),
    "DATE": set(),
    "TIMESTAMP": _NAIVE_TIMES,
    "TIMESTAMPTZ": _NAIVE_TIMES | _AWARE_TIMES,
}

# The same as `email_pattern` of dbt_project/macros/text.sql, which judges what is published.
ADDRESS = r"""[^\s"@,;:<>\\]+@[^\s"@,;:<>\\]+\.[A-Za-z]{2,}"""

# A time with an offset: DuckDB wants seconds before it and no blank between them.
_UTC = r" ?(UTC|GMT)$"
_NO_SECONDS = r"^(\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2})( ?[+-]\d{2}(:?\d{2})?| ?Z)$"
_BLANK_BEFORE_OFFSET = r"^(\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d+)?) +([+-]\d{2}(:?\d{2})?|Z)$"
# A time with the name of a zone is refused: DuckDB 1.5.5 reads the rows after it, which have none, in that
# zone too.
_ZONE_NAME = r"[A-Za-z]{2}"

_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
_WHOLE = r"[+-]?[0-9]+"


@dataclass(frozen=True)
class DeclaredFile:
    """One table that a source reads: the file, its columns, and whether it may hold no rows.

    `name` is a file, a folder of parts, or a pattern of several files. `alias` is the table's name where it
    is not that of the file. `ignored` are columns that may be there and are not read, as names or patterns.
    `alike` asks every part for the same columns. `identifiers` are columns that may hold no address. `telling`
    are patterns of columns that say what a row is about, and so cannot be ignored.
    """

    name: str
    columns: tuple[Column, ...]
    may_be_empty: bool = False
    alias: str | None = None
    ignored: tuple[str, ...] = ()
    alike: bool = False
    identifiers: tuple[str, ...] = ()
    telling: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """The table's name: of a file without its ending, of a pattern what stands before the first wildcard."""
        if self.alias is not None:
            return self.alias
        path = PurePosixPath(self.name)
        if not self.is_pattern:
            return file_format(path.name)[0]
        before = re.split(r"[*?\[]", path.name)[0].rstrip("_-. ")
        return before or path.parent.name

    @property
    def is_pattern(self) -> bool:
        return bool(re.search(r"[*?\[]", self.name))

    def ignores(self, column: str) -> bool:
        return any(fnmatchcase(column, pattern) for pattern in self.ignored)


def file_format(name: str) -> tuple[str, str | None, bool]:
    """Of a file's name: what stands before its endings, its format, and whether it is a gzip file.

    The format is csv, tsv, txt, parquet, json or jsonl; None where such a file cannot be read.
    """
    path = PurePosixPath(name)
    zipped = path.suffix.lower() == ".gz"
    plain_name = PurePosixPath(path.stem) if zipped else path
    kind = _FORMAT_OF.get(plain_name.suffix.lower())
    if kind is None or (zipped and kind == "parquet"):
        return path.name, None, zipped
    return plain_name.stem, kind, zipped


def some_of(names: Iterable[str], most: int = 5) -> str:
    """`a, b, c`, and of a longer list the first few and how many more there are."""
    names = list(names)
    more = "" if len(names) <= most else f" and {len(names) - most} more"
    return ", ".join(names[:most]) + more


def quote(identifier: str) -> str:
    """An SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def is_safe(stored: str, declared: str) -> bool:
    """Whether a column stored as `stored` may be read as `declared` without loss."""
    if stored == declared or (declared == "TIMESTAMPTZ" and stored in _AWARE_TIMES):
        return True
    if decimal := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", stored):
        digits, places = map(int, decimal.groups())
        # How Oracle and Snowflake write whole numbers: DECIMAL(38,0).
        whole = declared == "VARCHAR" or (declared == "BIGINT" and digits <= 18)
        return declared == "DOUBLE" or (whole and places == 0)
    if stored.startswith("ENUM"):
        return declared == "VARCHAR"
    return stored in _SAFE_FROM[declared]


def promised_files(folder: Path) -> dict[str, dict]:
    """Entries of `manifest.json` by file name; none where there is no manifest.

    Raises:
        SourceError: it is not an object of objects.
    """
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return {}
    try:
        entries = json.loads(manifest.read_text("utf-8-sig"))
    except ValueError:
        entries = None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise SourceError(
            'manifest.json must look like {"orders.csv": {"rows": 123, "sha256": "..."}}: '
            "write it again or remove it."
        )
    return entries


def check_manifest(entry: Mapping[str, object], name: str, path: Path, rows: int | None = None) -> bool:
    """Compare a file with its entry in `manifest.json`.

    A file cut off exactly at the end of a row looks whole; only a promise made by whoever
    wrote it can tell. Without `rows` the sha256 is compared, with `rows` the row count.

    Args:
        entry: of the file; empty where the manifest does not list it.
        name: of the file, for errors.
        path: the file.
        rows: rows read from it.

    Returns:
        Whether the manifest vouches for the file (by either figure).

    Raises:
        SourceError: the entry is not as it must be, or the file does not keep its promise.
    """
    promised_rows, promised_hash = entry.get("rows"), entry.get("sha256")
    unknown = set(entry) - {"rows", "sha256"}
    if unknown or not isinstance(promised_rows, int | None) or not isinstance(promised_hash, str | None):
        raise SourceError(
            f"manifest.json: the entry of {name} may hold only rows (a whole number) and sha256 (text)."
        )
    if rows is None and promised_hash is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != promised_hash.lower():
            raise SourceError(
                f"{name}: its sha256 is {found[:12]}..., manifest.json says {promised_hash[:12]}...: "
                "the file changed or was cut off on its way; copy it again."
            )
    if rows is not None and promised_rows is not None and rows != promised_rows:
        raise SourceError(
            f"{name}: it holds {rows} rows, manifest.json says {promised_rows}: "
            "the file was cut off or written again; copy it again, or correct the manifest."
        )
    return promised_rows is not None or promised_hash is not None


def read_file(con: duckdb.DuckDBPyConnection, path: Path, declared: DeclaredFile, target: str) -> int:
    """Read a table that is one file; its manifest is `manifest.json` in the same folder (`read_files`)."""
    return read_files(con, {declared.name: path}, declared, target, promised_files(path.parent))


def read_files(
    con: duckdb.DuckDBPyConnection,
    files: Mapping[str, Path],
    declared: DeclaredFile,
    target: str,
    promised: Mapping[str, Mapping[str, object]],
) -> int:
    """Read the files of one declared table, one after the other, into the table or view `target`.

    Times without an offset are local to the session's `TimeZone`; the caller sets it.

    Args:
        con: connection whose `target` schema exists.
        files: where each file is, by the name that errors and the manifest give it; the caller has made
            sure that they may be read.
        declared: their columns and types.
        target: qualified SQL name to create.
        promised: the manifest's entries by file name.

    Returns:
        Number of rows.

    Raises:
        SourceError: a file is missing, empty, cut off, or not as declared.
    """
    schema, total = target.split(".")[0], 0
    first: tuple[str, list[str]] | None = None
    parts = []
    for number, (name, path) in enumerate(files.items()):
        part = target if len(files) == 1 else f"{schema}.{quote(f'_{declared.stem}_{number}')}"
        rows, present = _read_one(con, path, name, declared, part, promised.get(name, {}))
        if first is None:
            first = name, present
        if declared.alike and set(present) != set(first[1]):
            column = min(set(present) ^ set(first[1]))
            lacks, has = (name, first[0]) if column in first[1] else (first[0], name)
            raise SourceError(
                f"{lacks}: column {column!r} is missing, which {has} has; write all parts of "
                f"{declared.name} with the same columns."
            )
        total += rows
        parts.append(part)
    if len(parts) > 1:
        union = " union all ".join(f"select * from {part}" for part in parts)
        con.execute(f"create or replace view {target} as {union}")
    if total == 0 and not declared.may_be_empty:
        raise SourceError(
            f"{declared.name}: it declares columns but holds 0 rows; export it again with its rows."
        )
    return total


def _read_one(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    name: str,
    declared: DeclaredFile,
    target: str,
    promise: Mapping[str, object],
) -> tuple[int, list[str]]:
    """Read one file; its rows, and which of the declared columns it has."""
    _, kind, zipped = file_format(name)
    if not path.is_file():
        raise SourceError(f"{name}: the file is missing in {path.parent}; put it there.")
    if path.stat().st_size == 0:
        raise SourceError(f"{name}: the file is empty (0 bytes); export it again.")
    vouched = check_manifest(promise, name, path)
    try:
        with _unzipped(path, name) if zipped else nullcontext(path) as readable:
            if kind == "parquet":
                rows, present = _read_parquet(con, readable, name, declared, target)
            else:
                _check_encoding(readable, name)
                if kind in ("json", "jsonl"):
                    rows, present = _read_json(con, readable, name, kind == "jsonl", declared, target)
                else:
                    rows, present = _read_csv(con, readable, name, str(kind), declared, target, vouched)
    except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
        raise SourceError(f"{name}: it cannot be read ({plain(error)}); export it again.") from None
    check_manifest(promise, name, path, rows)
    return rows, present


@contextmanager
def _unzipped(path: Path, name: str) -> Iterator[Path]:
    """A copy of a gzip file as the text it holds: errors name its lines."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "unzipped"
        try:
            with gzip.open(path) as packed, copy.open("wb") as out:
                shutil.copyfileobj(packed, out, 1 << 22)
        except EOFError:
            raise SourceError(
                f"{name}: the gzip file is cut off (its end is missing); copy it again."
            ) from None
        except gzip.BadGzipFile:
            raise SourceError(
                f"{name}: it is not a gzip file, or is damaged; compress it again, or leave out .gz."
            ) from None
        except zlib.error:
            raise SourceError(f"{name}: the gzip file is damaged; copy it again.") from None
        if copy.stat().st_size == 0:
            raise SourceError(f"{name}: the file is empty (0 bytes once unpacked); export it again.")
        yield copy


def plain(error: Exception) -> str:
    """First sentence of a DuckDB message, unless it quotes what could be an address."""
    first = str(error).strip().splitlines()[0].rstrip(".")
    return "DuckDB's message quotes data and is left out" if "@" in first else first


def _check_columns(name: str, where: str, found: Sequence[str], declared: DeclaredFile) -> None:
    """Refuse missing, unknown and doubled columns; name the likeliest rename."""
    known = [column.name for column in declared.columns]
    missing = [column.name for column in declared.columns if column.required and column.name not in found]
    others = [column for column in found if column not in known]
    unknown = [column for column in others if not declared.ignores(column)]
    if missing:
        column = missing[0]
        near = difflib.get_close_matches(column.lower(), [item.lower() for item in others], 1, 0.5)
        if near or len(others) == len(missing) == 1:
            seen = next(item for item in others if not near or item.lower() == near[0])
            raise SourceError(
                f"{name}{where}: column {column!r} is missing and {seen!r} is not declared: rename {seen!r} "
                f"to {column!r} if that is what it holds."
            )
        raise SourceError(
            f"{name}{where}: column {column!r} is missing (found: {some_of(found, 12)}); add it "
            f"to the export."
        )
    for column in others:
        if any(fnmatchcase(column.lower(), pattern) for pattern in declared.telling):
            raise SourceError(
                f"{name}{where}: column {column!r} tells which of several things a row is about, and {declared.stem} "
                "are about email alone; export only the rows about email, and the column not."
            )
    if unknown:
        column = unknown[0]
        absent = [item for item in known if item not in found]
        near = difflib.get_close_matches(column.lower(), absent, 1, 0.5)
        near = near or difflib.get_close_matches(column.lower(), known, 1, 0.75)
        hint = f"rename it to {near[0]!r}" if near else "leave it out of the export"
        raise SourceError(
            f"{name}{where}: column {column!r} is not declared: {hint} "
            f"(declared columns: {some_of(known, 12)})."
        )
    doubled = [column for column in known if list(found).count(column) > 1]
    if doubled:
        raise SourceError(f"{name}{where}: column {doubled[0]!r} stands there twice; keep one of them.")


# ---------------------------------------------------------------------------- text


# How files begin that were renamed and not unpacked.
_PACKED = {
    b"\x1f\x8b": "a gzip file (.gz)",
    b"PK\x03\x04": "a zip file or a spreadsheet",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"PAR1": "a Parquet file",
}


def _check_encoding(path: Path, name: str) -> None:
    """Refuse UTF-16 by its byte order mark and anything else that is not UTF-8, by line."""
    line = 1
    rest = b""
    with path.open("rb") as file:
        start = file.read(4)
        for magic, what in _PACKED.items():
            if start.startswith(magic):
                raise SourceError(
                    f"{name}: it is {what}, not text; unpack or export it, or correct its name."
                )
        # By its byte order mark, or by every other byte being zero.
        unmarked = len(start) == 4 and 0 in (start[0], start[1]) and start[2:].count(0)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff") or start == b"\x00\x00\xfe\xff" or unmarked:
            raise SourceError(f"{name}: it is written in UTF-16 or UTF-32; save it as UTF-8.")
        file.seek(0)
        offset = 0
        while block := file.read(1 << 22):
            data = rest + block
            try:
                data.decode("utf-8")
                rest = b""
            except UnicodeDecodeError as error:
                # A character may straddle two blocks: only that is carried over.
                if error.reason != "unexpected end of data" or error.end != len(data):
                    bad = error.start
                    bad_line = line + data[:bad].count(b"\n")
                    raise SourceError(
                        f"{name} line {bad_line}: byte {offset - len(rest) + bad + 1} of the "
                        f"file (0x{data[bad]:02x}) is not UTF-8; save the file as UTF-8 (it may be Latin-1)."
                    ) from None
                rest = data[error.start :]
                data = data[: error.start]
            line += data.count(b"\n")
            offset += len(block)
    if rest:
        raise SourceError(
            f"{name} line {line}: the file ends inside a character; it was cut off, copy it again."
        )


def _text(column: Column) -> str:
    """SQL of a field's text, as DuckDB can cast it."""
    text = f"trim({quote(column.name)})"
    if column.type == "TIMESTAMPTZ":
        text = f"regexp_replace({text}, {literal(_UTC)}, 'Z')"
        text = f"regexp_replace({text}, {literal(_NO_SECONDS)}, '\\1:00\\2')"
        text = f"regexp_replace({text}, {literal(_BLANK_BEFORE_OFFSET)}, '\\1\\3')"
    return text


def _bad(column: Column) -> str:
    """SQL condition: this text is there but is no value of the declared type."""
    text = _text(column)
    cast = f"try_cast({text} as {column.type})"
    if column.type == "BIGINT":
        wrong = f"not regexp_full_match({text}, {literal(_WHOLE)}) or {cast} is null"
    elif column.type == "DOUBLE":
        wrong = f"not regexp_full_match({text}, {literal(_NUMBER)}) or not coalesce(isfinite({cast}), false)"
    elif column.type == "BOOLEAN":
        wrong = f"{cast} is null"
    else:
        named = f"regexp_matches({text}, {literal(_ZONE_NAME)}) or " if column.type == "TIMESTAMPTZ" else ""
        wrong = f"{named}not coalesce(isfinite({cast}), false)"
    return f"{quote(column.name)} is not null and ({wrong})"


def _cast_text(
    con: duckdb.DuckDBPyConnection,
    text: str,
    columns: Sequence[Column],
    present: Sequence[str],
    target: str,
) -> tuple[int, Column, int, str] | int:
    """Cast the text table `text` into `target`; the row count, or the first value that fails.

    A failure is (row number from 1, column, number of such values in the column, value).
    """
    typed = [column for column in columns if column.type != "VARCHAR" and column.name in present]
    counts = con.execute(
        f"select count(*){''.join(f', count(*) filter ({_bad(column)})' for column in typed)} from {text}"
    ).fetchone()
    assert counts is not None
    for column, count in zip(typed, counts[1:], strict=True):
        if count:
            found = con.execute(
                f"select n, v from (select row_number() over () as n, {quote(column.name)} as v, "
                f"({_bad(column)}) as bad from {text}) where bad order by n limit 1"
            ).fetchone()
            assert found is not None
            return found[0], column, count, found[1]
    select = ", ".join(_cast(column, present) for column in columns)
    con.execute(f"create or replace table {target} as select {select} from {text}")
    return counts[0]


def _cast(column: Column, present: Sequence[str]) -> str:
    name = quote(column.name)
    if column.name not in present:
        return f"cast(null as {column.type}) as {name}"
    if column.type == "VARCHAR":
        return name
    return f"cast({_text(column)} as {column.type}) as {name}"


def _value_error(name: str, where: str, column: Column, count: int, value: str) -> SourceError:
    shown = "a value" if "@" in value or "email" in column.name else repr(value[:40])
    more = "" if count == 1 else f" ({count} rows of this column are wrong)"
    hint = "correct the export"
    if column.type == "DOUBLE" and re.fullmatch(r"\s*[+-]?\d+,\d+\s*", value):
        hint = "write decimals with a point"
    return SourceError(
        f"{name} {where}: column {column.name!r} holds {shown}, which is not "
        f"{_MEANING[column.type]}{more}; {hint}."
    )


def _refuse_addresses(
    con: duckdb.DuckDBPyConnection,
    target: str,
    name: str,
    declared: DeclaredFile,
    where: Callable[[int], str],
) -> None:
    """Identifiers and codes are published as they are; an address among them would leave the house.

    Args:
        con: the connection.
        target: what was read.
        name: of the file.
        declared: whose `identifiers` are looked at.
        where: says the place of a row (from 1).
    """
    if not declared.identifiers:
        return
    counts = con.execute(
        f"select {', '.join(f'count(*) filter ({holds_address(column)})' for column in declared.identifiers)} "
        f"from {target}"
    ).fetchone()
    assert counts is not None
    for column, count in zip(declared.identifiers, counts, strict=True):
        if count:
            row = con.execute(
                f"select min(n) from (select row_number() over () as n, {quote(column)} from {target}) "
                f"where {holds_address(column)}"
            ).fetchone()
            raise SourceError(f"{name} {where(row[0])}: {address_error(column, count)}")  # type: ignore[index]


def holds_address(column: str) -> str:
    """SQL condition: the text holds an email address."""
    name = quote(column)
    return f"contains({name}, '@') and regexp_matches({name}, {literal(ADDRESS)})"


def address_error(column: str, count: int) -> str:
    """What is said of an address where an identifier belongs; the address itself is not."""
    rows = "" if count == 1 else f" ({count} rows of this column do)"
    instead = "the shop's own number of whom or what it means" if column.endswith("_id") else "a code"
    return (
        f"column {column!r} holds an email address{rows}, and this column is published as it is; write "
        f"{instead} there."
    )


# ---------------------------------------------------------------------------- CSV


_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def _csv_layout(path: Path, name: str, kind: str) -> tuple[str, int, list[str]]:
    """Delimiter, lines before the header, and the header.

    Excel may write `sep=;` above the header, which says the delimiter; else the file's ending does, and a
    .txt file is one or the other by its header.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = file.readline()
    declared = re.fullmatch(r'"?sep=(.)"?\r?\n?', line, re.IGNORECASE)
    skip = 1 if declared else 0
    if declared:
        delimiter = declared.group(1)
        if delimiter not in _DELIMITERS:
            raise SourceError(
                f"{name} line 1: it declares {delimiter!r} as the separator; save the file with commas."
            )
    elif kind == "txt":
        found = [mark for mark in (",", "\t") if mark in line]
        if len(found) != 1:
            raise SourceError(
                f"{name} line 1: it cannot be told whether commas or tabs separate the columns of a .txt file; "
                "save it as .csv or .tsv."
            )
        delimiter = found[0]
    else:
        delimiter = "\t" if kind == "tsv" else ","
    with path.open(encoding="utf-8-sig", newline="") as file:
        for _ in range(skip):
            file.readline()
        header = next(csv.reader(file, delimiter=delimiter), [])
    if len(header) == 1:
        for mark, word in _DELIMITERS.items():
            if mark != delimiter and mark in header[0]:
                raise SourceError(
                    f"{name} line {skip + 1}: the columns are separated by {word}; save the file with "
                    f"{_DELIMITERS[delimiter]}."
                )
    return delimiter, skip, header


def _read_csv(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    name: str,
    kind: str,
    declared: DeclaredFile,
    target: str,
    vouched: bool,
) -> tuple[int, list[str]]:
    delimiter, skip, header = _csv_layout(path, name, kind)
    _check_columns(name, f" line {skip + 1}", header, declared)
    with path.open("rb") as file:
        file.seek(-1, 2)
        ended = file.read(1) in (b"\n", b"\r")
    if not ended and not vouched and path.stat().st_size > len(",".join(header)) + 3:
        raise SourceError(
            f"{name}: its last line has no line break, so it may be cut off; export it again, or end "
            f"the line, or vouch for the file in manifest.json."
        )
    text = f"{target.split('.')[0]}._text"
    known = {column.name for column in declared.columns}
    # What is ignored may have any name, a known one in capitals or the same one twice too.
    names = [column if column in known else f"_ignored_{place}" for place, column in enumerate(header)]
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in names)
    # DuckDB creates the two reject tables in the temporary schema, under these names.
    con.execute("drop table if exists temp._rejects; drop table if exists temp._scans")
    try:
        con.execute(
            f"create or replace table {text} as select * from read_csv({literal(str(path))}, "
            f"auto_detect=false, "
            f"header=true, skip={skip}, columns={{{columns}}}, delim={literal(delimiter)}, quote='\"', escape='\"', "
            "nullstr='', "
            f"strict_mode=true, encoding='utf-8', compression='uncompressed', hive_partitioning=false, "
            "store_rejects=true, rejects_limit=1000, rejects_table='_rejects', rejects_scan='_scans')"
        )
    except duckdb.InvalidInputException as error:
        mixed = _first_other_line_end(path)
        if mixed:
            raise SourceError(
                f"{name} line {mixed}: it ends differently from the first line (Windows and Unix line "
                f"breaks are mixed); save the file with one kind."
            ) from None
        raise SourceError(
            f"{name}: it is not a regular CSV file ({plain(error)}); export it again."
        ) from None
    try:
        rejected = con.execute(
            "select line, column_name, error_type, error_message from _rejects order by line, "
            "column_idx limit 1"
        ).fetchone()
        if rejected is not None:
            number, column, problem, message = rejected
            column = header[names.index(column)] if column in names else column
            raise _csv_error(name, header, number, column, problem, message, _DELIMITERS[delimiter])
        present = [column for column in header if column in known]
        result = _cast_text(con, text, declared.columns, present, target)

        def line(row: int) -> str:
            return f"line {_csv_line(path, row, delimiter, skip)}"

        if not isinstance(result, int):
            row, column, count, value = result
            raise _value_error(name, line(row), column, count, value)
        _refuse_addresses(con, target, name, declared, line)
        return result, present
    finally:
        con.execute(f"drop table if exists {text}")
        con.execute("drop table if exists temp._rejects; drop table if exists temp._scans")


def _csv_error(
    name: str, header: Sequence[str], line: int, column: str, kind: str, message: str, delimiters: str
) -> SourceError:
    if kind in ("MISSING COLUMNS", "TOO MANY COLUMNS"):
        found = re.search(r"Found: (\d+)", message)
        fields = found.group(1) if found else "another number of"
        if kind == "MISSING COLUMNS":
            return SourceError(
                f"{name} line {line}: it has {fields} fields where the header has {len(header)} "
                f"(column {column!r} "
                "and what follows are not there); the line is cut off, export the file again."
            )
        comma, point = (
            (" (decimal commas too)", ", or write decimals with a point")
            if delimiters == "commas"
            else ("", "")
        )
        return SourceError(
            f"{name} line {line}: it has {fields} fields where the header has {len(header)}; put values that "
            f"hold {delimiters}{comma} in double quotes{point}."
        )
    if kind == "UNQUOTED VALUE":
        return SourceError(
            f"{name} line {line}: a double quote in column {column!r} is not closed; the file is cut "
            f"off there, or a quote inside a value is not doubled."
        )
    return SourceError(
        f"{name} line {line}: column {column!r} cannot be read ({kind.lower()}); export it again."
    )


def _first_other_line_end(path: Path) -> int | None:
    """Number of the first line whose line break is of another kind than the first line's."""
    with path.open("rb") as file:
        first = file.readline().endswith(b"\r\n")
        for number, line in enumerate(file, start=2):
            if line.endswith(b"\n") and line.endswith(b"\r\n") != first:
                return number
    return None


def _csv_line(path: Path, row: int, delimiter: str, skip: int) -> int:
    """Line on which data row `row` (from 1) begins: values may hold line breaks."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for _ in range(skip):
            file.readline()
        reader = csv.reader(file, delimiter=delimiter)
        next(reader)
        start, seen = reader.line_num + 1 + skip, 0
        for record in reader:
            if record:
                seen += 1
            if seen == row:
                return start
            start = reader.line_num + 1 + skip
    return row + 1 + skip


# ---------------------------------------------------------------------------- JSON


def _read_json(
    con: duckdb.DuckDBPyConnection, path: Path, name: str, lines: bool, declared: DeclaredFile, target: str
) -> tuple[int, list[str]]:
    def place(row: int) -> str:
        return f"line {_json_line(path, row)}" if lines else f"record {row}"

    with _without_bom(path, lines) as readable:
        options = f"{literal(str(readable))}, format='{'newline_delimited' if lines else 'array'}'"
        options += ", compression='uncompressed', hive_partitioning=false"
        try:
            keys = dict(
                con.execute(
                    f"select k, count(*) from (select unnest(list_distinct(json_keys(json))) as k "
                    f"from read_json_objects({options})) group by k order by k"
                ).fetchall()
            )
            total = con.execute(f"select count(*) from read_json_objects({options})").fetchone()[0]  # type: ignore[index]
        except duckdb.InvalidInputException:
            raise _json_error(path, name, lines) from None
        known = {column.name for column in declared.columns}
        required = [column.name for column in declared.columns if column.required]
        if total:
            # A key that no record has is missing or renamed; one that some lack names its first such record.
            _check_columns(name, "", list(keys), declared)
        for key in [key for key in required if keys.get(key, 0) < total]:
            number = con.execute(
                f"select min(n) from (select row_number() over () as n, "
                f"coalesce(list_contains(json_keys(json), {literal(key)}), false) as has "
                f"from read_json_objects({options})) where not has"
            ).fetchone()[0]  # type: ignore[index]
            raise SourceError(
                f"{name} {place(number)}: {key!r} is missing "
                f"({total - keys.get(key, 0)} of {total} records lack it); write it in every record, "
                f"null where unknown."
            )
        present = [key for key in keys if key in known]
        if not present:
            present = [column.name for column in declared.columns]
        text = f"{target.split('.')[0]}._text"
        struct = ", ".join(f"{literal(key)}: 'VARCHAR'" for key in present)
        try:
            con.execute(
                f"create or replace table {text} as select * from read_json({options}, columns={{{struct}}})"
            )
        except duckdb.InvalidInputException:
            raise _json_error(path, name, lines) from None
        try:
            result = _cast_text(con, text, declared.columns, present, target)
        finally:
            con.execute(f"drop table if exists {text}")
    if not isinstance(result, int):
        row, column, count, value = result
        raise _value_error(name, place(row), column, count, value)
    _refuse_addresses(con, target, name, declared, place)
    # A record may leave an optional key out, so that none tells whether the file has the column.
    return result, [column.name for column in declared.columns]


@contextmanager
def _without_bom(path: Path, lines: bool) -> Iterator[Path]:
    """The file itself, or a copy without its byte order mark (DuckDB refuses one in JSON lines)."""
    with path.open("rb") as file:
        if not lines or file.read(3) != b"\xef\xbb\xbf":
            yield path
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "without_bom.jsonl"
            with copy.open("wb") as out:
                while block := file.read(1 << 22):
                    out.write(block)
            yield copy


def _json_error(path: Path, name: str, lines: bool) -> SourceError:
    """Find where JSON stops being JSON; DuckDB's own line numbers are one off (seen in 1.5.5)."""

    def no_double(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise KeyError(key)
        return dict(pairs)

    with path.open(encoding="utf-8-sig", newline="\n") as file:
        # One line is one document in JSON lines; in a .json file the whole file is.
        documents = enumerate(file, start=1) if lines else [(1, file.read())]
        for number, document in documents:
            if not document.strip():
                continue
            try:
                value = json.loads(document, object_pairs_hook=no_double)
            except json.JSONDecodeError as error:
                if not lines and document.lstrip().startswith("{") and error.msg == "Extra data":
                    return SourceError(
                        f"{name} line 1: it holds one record per line instead of one array; name it "
                        f"{file_format(name)[0]}.jsonl, or write an array."
                    )
                where = number if lines else error.lineno
                return SourceError(
                    f"{name} line {where} character {error.colno}: this is not JSON "
                    f"({error.msg.lower()}); the file is cut off or damaged there, export it again."
                )
            except KeyError as error:
                return SourceError(
                    f"{name} line {number}: the key {error.args[0]!r} stands in one record twice; keep one."
                )
            if lines and not isinstance(value, dict):
                kind = "an array" if isinstance(value, list) else "a single value"
                return SourceError(
                    f"{name} line {number}: it holds {kind} where one record per line belongs; name the file "
                    f"{file_format(name)[0]}.json if it is one array, or write one object per line."
                )
            if not lines and not isinstance(value, list):
                return SourceError(
                    f"{name} line 1: it holds one object where an array of records belongs; write "
                    f"[{{...}}, {{...}}]."
                )
            if not lines:
                for position, record in enumerate(value, start=1):
                    if not isinstance(record, dict):
                        return SourceError(
                            f"{name} record {position}: it is not an object; write an array of objects."
                        )
    return SourceError(f"{name}: it is not regular JSON; export it again.")


def _json_line(path: Path, row: int) -> int:
    """Line of record `row` (from 1) in a JSON lines file: blank lines count as lines, not as records."""
    seen = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            seen += bool(line.strip())
            if seen == row:
                return number
    return row


# ---------------------------------------------------------------------------- Parquet


def _read_parquet(
    con: duckdb.DuckDBPyConnection, path: Path, name: str, declared: DeclaredFile, target: str
) -> tuple[int, list[str]]:
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(-min(4, path.stat().st_size), 2)
        tail = file.read(4)
    if head != b"PAR1":
        raise SourceError(f"{name}: it is not a Parquet file (it does not begin with PAR1); export it again.")
    if tail != b"PAR1" or path.stat().st_size < 12:
        raise SourceError(f"{name}: its end is missing, so it was cut off; copy or export it again.")
    scan = f"read_parquet({literal(str(path))}, hive_partitioning=false)"
    stored = {row[0]: row[1] for row in con.execute(f"describe select * from {scan}").fetchall()}
    # The row numbers of a pandas frame are in no shop's data.
    seen = [column for column in stored if not re.fullmatch(r"__index_level_\d+__", column)]
    _check_columns(name, "", seen, declared)
    for column in declared.columns:
        found = stored.get(column.name)
        if found is None or is_safe(found, column.type):
            continue
        # A column without any value carries no usable type (pandas writes an all-None column as integers).
        filled = con.execute(f"select count({quote(column.name)}) from {scan}").fetchone()[0]  # type: ignore[index]
        if filled:
            hint = "write it as declared"
            if column.type == "VARCHAR" and found in ("DOUBLE", "FLOAT"):
                hint = "write ids as text or whole numbers (17.0 is not the id 17)"
            raise SourceError(
                f"{name}: column {column.name!r} is stored as {found} in {filled} rows where "
                f"{column.type} is declared; {hint}."
            )
    select = ", ".join(
        f"cast({quote(column.name)} as {column.type}) as {quote(column.name)}"
        if column.name in stored and (is_safe(stored[column.name], column.type))
        else f"cast(null as {column.type}) as {quote(column.name)}"
        for column in declared.columns
    )
    con.execute(f"create or replace view {target} as select {select} from {scan}")
    checked = [
        column
        for column in declared.columns
        if column.type in ("DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMPTZ") and column.name in stored
    ]
    infinite = "".join(f", count(*) filter (not isfinite({quote(column.name)}))" for column in checked)
    counts = con.execute(f"select count(*){infinite} from {target}").fetchone()
    assert counts is not None
    for column, count in zip(checked, counts[1:], strict=True):
        if count:
            row = con.execute(
                f"select min(n) from (select row_number() over () as n, {quote(column.name)} as v "
                f"from {target}) where not isfinite(v)"
            ).fetchone()[0]  # type: ignore[index]
            raise SourceError(
                f"{name} row {row}: column {column.name!r} holds NaN or Infinity in {count} rows, "
                f"which is not {_MEANING[column.type]}; write null where the value is unknown."
            )
    _refuse_addresses(con, target, name, declared, lambda row: f"row {row}")
    return counts[0], [column.name for column in declared.columns if column.name in stored]
