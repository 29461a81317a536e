"""Rows of a JSON file, as declared."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from recs_assets.schema import SourceError
from recs_assets.sources.cells import check_columns, explain_value, refuse_addresses, write_cast
from recs_assets.sources.declared import DeclaredFile, file_format
from recs_assets.sql_text import quote_text


def read_json(
    con: duckdb.DuckDBPyConnection, path: Path, name: str, lines: bool, declared: DeclaredFile, target: str
) -> tuple[int, list[str]]:
    dialect = declared.dialect
    within = dialect.records
    lines = lines or within is not None

    def place(row: int) -> str:
        return f"line {_json_line(path, row)}" if lines and within is None else f"record {row}"

    with _drop_bom(path, lines) if within is None else list_records(path, name, within) as readable:
        options = f"{quote_text(str(readable))}, format='{'newline_delimited' if lines else 'array'}'"
        options += ", compression='uncompressed', hive_partitioning=false"
        try:
            keys = dict(
                con.execute(
                    f"select k, count(*) from (select unnest(list_distinct(json_keys(json))) as k "
                    f"from read_json_objects({options})) group by k order by k"
                ).fetchall()
            )
            total = con.execute(f"select count(*) from read_json_objects({options})").fetchone()[0]
        except duckdb.InvalidInputException:
            raise _json_error(path, name, lines) from None
        known = {column.name for column in declared.columns}
        required = [column.name for column in declared.columns if column.required]
        if total:
            # A key that no record has is missing or renamed; one that some lack names its first such record.
            check_columns(name, "", list(keys), declared)
        for key in [key for key in required if keys.get(key, 0) < total]:
            number = con.execute(
                f"select min(n) from (select row_number() over () as n, "
                f"coalesce(list_contains(json_keys(json), {quote_text(key)}), false) as has "
                f"from read_json_objects({options})) where not has"
            ).fetchone()[0]
            raise SourceError(
                f"{name} {place(number)}: {key!r} is missing "
                f"({total - keys.get(key, 0)} of {total} records lack it); write it in every record, "
                f"null where unknown."
            )
        present = [key for key in keys if key in known]
        if not present:
            present = [column.name for column in declared.columns]
        text = f"{target.split('.')[0]}._text"
        struct = ", ".join(f"{quote_text(key)}: 'VARCHAR'" for key in present)
        try:
            con.execute(
                f"create or replace table {text} as select {dialect.select_texts()} from read_json({options}, columns={{{struct}}})"
            )
        except duckdb.InvalidInputException:
            raise _json_error(path, name, lines) from None
        try:
            result = write_cast(con, text, declared.columns, present, target, dialect)
        finally:
            con.execute(f"drop table if exists {text}")
    if not isinstance(result, int):
        row, column, count, value = result
        raise explain_value(name, place(row), column, count, value, dialect)
    refuse_addresses(con, target, name, declared, place)
    # A record may leave an optional key out, so that none tells whether the file has the column.
    return result, [column.name for column in declared.columns]


@contextmanager
def list_records(path: Path, name: str, within: str) -> Iterator[Path]:
    """A copy with one record per line of the records that are inside an object.

    Args:
        path: of the file.
        name: of the file, for errors.
        within: keys to them, as `Dialect.records` says.

    Raises:
        SourceError: they are not there.
    """
    try:
        found: Any = json.loads(path.read_text("utf-8-sig"))
    except ValueError:
        raise _json_error(path, name, False) from None
    keys = within.split(".")
    for key in keys[:-1] if keys[-1] == "*" else keys:
        if not isinstance(found, dict) or key not in found:
            raise SourceError(
                f"{name}: it has no {key!r} where records = {within!r} says that the records are; correct it in "
                "source.toml."
            )
        found = found[key]
    if keys[-1] == "*" and isinstance(found, dict):
        found = [{"key": key, "value": value} for key, value in found.items()]
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise SourceError(
            f"{name}: records = {within!r} leads to no array of objects; correct it in source.toml."
        )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "records.jsonl"
        with copy.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in found)
        yield copy


@contextmanager
def _drop_bom(path: Path, lines: bool) -> Iterator[Path]:
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

    def refuse_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
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
                value = json.loads(document, object_pairs_hook=refuse_doubles)
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
