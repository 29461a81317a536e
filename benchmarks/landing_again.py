"""What a week's landing takes the first and the second time, by the format of the files.

    python -m benchmarks.landing_again WEEK_FOLDER [csv jsonl parquet]    # weeks/<as_of> of a home that has run

The raw tables of the week are written as a canonical folder of CSV, of JSON lines and of Parquet, and landed twice each,
with a home that keeps what was read and one that does not. The demo's own files are landed, too. Seconds
are the processor's, which other work on the machine changes little.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import duckdb

from recs_assets.schema import RAW_TABLES
from recs_assets.settings import Settings
from recs_assets.sources import land, resolve_source

FORMATS = {"csv": "(header, nullstr '')", "jsonl": "(format json)", "parquet": ""}


def write(build: Path, folder: Path, ending: str) -> None:
    """Write the raw tables of a build file into a canonical folder."""
    folder.mkdir()
    with duckdb.connect(str(build), read_only=True) as con:
        there = {
            name
            for (name,) in con.execute(
                "select table_name from duckdb_tables() where schema_name = 'raw'"
            ).fetchall()
        }
        for table in there & set(RAW_TABLES):
            [(count,)] = con.execute(f'select count(*) from raw."{table}"').fetchall()
            if count:
                con.execute(f"copy raw.\"{table}\" to '{folder / table}.{ending}' {FORMATS[ending]}")


def land_all(folder: Path, name: str, kept: Path | None) -> tuple[float, int]:
    """Land every table; seconds of the processor, and rows."""
    source = replace(resolve_source(name, folder), kept=kept)
    begun, rows = time.process_time(), 0
    with duckdb.connect(config={"threads": 2}) as con:
        for table in RAW_TABLES:
            rows += land(con, source, table, folder).rows
    return time.process_time() - begun, rows


def main() -> None:
    week = Path(sys.argv[1])
    sys.stdout.write("| files | rows | MB | nothing kept | first time | second time | kept, MB |" + "\n")
    sys.stdout.write("|---|---|---|---|---|---|---|" + "\n")
    with tempfile.TemporaryDirectory() as scratch:
        shops = {} if sys.argv[2:] else {"the demo's own (Parquet)": (Settings().data_dir(), "auto")}
        for ending in sys.argv[2:] or FORMATS:
            write(week / "build.duckdb", Path(scratch) / ending, ending)
            shops[ending] = Path(scratch) / ending, "canonical"
        time.sleep(2.5)  # what was just written is not kept
        for name, (folder, source) in shops.items():
            kept = Path(scratch) / f"kept_{folder.name}"
            plain, rows = land_all(folder, source, None)
            first, _ = land_all(folder, source, kept)
            second, again = land_all(folder, source, kept)
            assert rows == again, (rows, again)
            size, own = (
                sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) / 1e6
                for place in (folder, kept)
            )
            sys.stdout.write(
                f"| {name} | {rows:,} | {size:.0f} | {plain:.1f} s | {first:.1f} s | {second:.1f} s | {own:.0f} |\n"
            )


if __name__ == "__main__":
    main()
