"""What one build on an engine reads and writes: folders with the Parquet files of tables (docs/scale.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from pyarrow import Table, parquet

from recs_assets.locations import explain_refusal, locate, make_folder, read_text, write_whole_text

if TYPE_CHECKING:
    from recs_assets.locations import Location

# Beside the raw tables: the files that each of them was landed from, for the sentences of the gates.
LANDED_FROM = "landed_from"
# Written into the folder of a build: where the tables are that it reads.
_GIVEN = "given.json"


@dataclass(frozen=True)
class Lake:
    """The tables that one build reads and writes.

    Args:
        folder: of the build, a path or URL under which this machine and every worker of the engine find the same files.
    """

    folder: Location

    @property
    def given(self) -> dict[str, Location]:
        """`<schema>.<table>` -> its folder, of what the build can read."""
        named = json.loads(read_text(self.folder / _GIVEN))
        return {relation: locate(folder) for relation, folder in named.items()}

    def give(self, tables: Mapping[str, Location], landed_from: Iterable[tuple[str, str]]) -> None:
        """Say which tables the build can read.

        Args:
            tables: `<schema>.<table>` -> its folder.
            landed_from: raw table, and the names of the files that it was landed from.
        """
        names = [(table, files or None) for table, files in landed_from]
        folder = self.folder / "given" / f"raw.{LANDED_FROM}"
        columns = {"source_table": [table for table, _ in names], "names": [files for _, files in names]}
        write_parquet(Table.from_pydict(columns), folder / "0.parquet")
        given = {**tables, f"raw.{LANDED_FROM}": folder}
        write_whole_text(self.folder / _GIVEN, json.dumps({name: str(given[name]) for name in sorted(given)}))

    def find_made(self, relation: str) -> Location:
        """The folder into which the build writes a table, `<schema>.<table>`."""
        return self.folder / "made" / relation


def write_parquet(table: Table, path: Location) -> None:
    """Write a small table as a file of the lake."""
    content = BytesIO()
    parquet.write_table(table, content)
    with explain_refusal(path):
        make_folder(path.parent)
        path.write_bytes(content.getvalue())
