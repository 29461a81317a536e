"""Tables of a shop's MySQL database: on a server, and as Parquet files of the types that they are read with from one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from helpers.servers import MariaDB

Value = str | int | float | bool | datetime | None


@dataclass(frozen=True)
class Table:
    """Columns with their MySQL types, and rows; a row may leave out columns, which are null then."""

    columns: Mapping[str, str]
    rows: list[dict[str, Value]] = field(default_factory=list)


Tables = Mapping[str, Table]


def write_parquet(folder: Path, tables: Tables) -> None:
    """One file `<table>.parquet` each."""
    for name, table in tables.items():
        schema = pa.schema([(column, _find_arrow_type(kind)) for column, kind in table.columns.items()])
        rows = [
            {column: _convert(row.get(column), schema.field(column).type) for column in table.columns}
            for row in table.rows
        ]
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / f"{name}.parquet")


def copy_for_parquet(platform: Path, shops: Path) -> Path:
    """A copy of the platform's folder that reads `<table>.parquet` where it reads a table of the database `shop`."""
    folder = shops / platform.name
    shutil.copytree(platform, folder)
    declared = folder / "source.toml"
    text, count = re.subn(
        r'\[files\."shop:([a-z_]+)"(\]\n)?',
        # Of a table only what is declared is asked for; of a file all columns are there.
        lambda found: f'[files."{found[1]}.parquet"' + (']\nignored = ["*"]\n' if found[2] else ""),
        declared.read_text("utf-8"),
    )
    assert count, "the platform reads no database"
    text = re.sub(r"(?m)^incremental = .*\n", "", text)  # a file is read whole
    declared.write_text(text, "utf-8")
    return folder


def write_database(server: MariaDB, database: str, tables: Tables) -> None:
    """The same tables on a server, in a new database."""
    server.run(f"create database {database} character set utf8mb4")
    server.run(write_statements(tables), database)


def write_statements(tables: Tables) -> str:
    """The SQL that makes the tables."""
    statements = ["set time_zone = '+00:00'"]
    for name, table in tables.items():
        columns = ", ".join(f"`{column}` {kind}" for column, kind in table.columns.items())
        statements.append(f"create table `{name}` ({columns})")
        for begin in range(0, len(table.rows), 500):
            rows = ",\n".join(
                f"({', '.join(_write_literal(row.get(column)) for column in table.columns)})"
                for row in table.rows[begin : begin + 500]
            )
            statements.append(f"insert into `{name}` values {rows}")
    return ";\n".join(statements) + ";\n"


def _find_arrow_type(kind: str) -> pa.DataType:
    kind = kind.lower().removesuffix(" not null")
    if kind == "tinyint(1)":
        return pa.bool_()
    if decimal := re.fullmatch(r"decimal\((\d+),(\d+)\)", kind):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    whole = {"bigint": pa.int64(), "int": pa.int32(), "smallint": pa.int16()}
    unsigned = {"bigint unsigned": pa.uint64(), "int unsigned": pa.uint32(), "smallint unsigned": pa.uint16()}
    times = {
        "datetime": pa.timestamp("us"),
        "timestamp null": pa.timestamp("us", "UTC"),
        "date": pa.date32(),
    }
    return (whole | unsigned | times).get(kind, pa.string())


def _convert(value: Value, kind: pa.DataType) -> object:
    if value is None:
        return None
    if pa.types.is_decimal(kind):
        return Decimal(str(value)).quantize(Decimal(1).scaleb(-kind.scale))
    if pa.types.is_string(kind):
        return str(value)
    if pa.types.is_timestamp(kind) and kind.tz and isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return value


def _write_literal(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return str(int(value) if isinstance(value, bool) else value)
    text = str(value).replace("\\", "\\\\").replace("'", "''")
    return f"'{text}'"
