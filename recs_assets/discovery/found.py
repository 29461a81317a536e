"""What a folder was found to hold: tables, their columns, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from recs_assets.sources.declared import file_format
from recs_assets.sql_text import quote


@dataclass
class FoundColumn:
    """A column, and what its values look like.

    `type` is as `source.toml` declares it. `filled` and `distinct` count values of `rows`. `least` and `most` are of
    numbers and times. `samples` are its most frequent values as text, of codes of which there are few. `sure` is from
    0 to 1, `how` says by what, and `question` what only a person knows; empty: nothing. `is_address`: it stands for an id,
    and an address is none.
    """

    name: str
    type: str
    rows: int = 0
    filled: int = 0
    distinct: int = 0
    least: Any = None
    most: Any = None
    samples: tuple[str, ...] = ()
    whole: bool = False
    sure: float = 1.0
    how: str = ""
    question: str = ""
    is_address: bool = False

    @property
    def is_unique(self) -> bool:
        return self.rows > 0 and self.filled == self.rows == self.distinct

    @property
    def is_number(self) -> bool:
        return self.type in ("BIGINT", "DOUBLE")

    @property
    def is_time(self) -> bool:
        return self.type in ("DATE", "TIMESTAMP", "TIMESTAMPTZ")


@dataclass
class FoundTable:
    """A file, or files that hold one table, or what is embedded in another table.

    `name` is as `source.toml` declares it, `stem` what SQL calls it. `entry` has the keys of its dialect, `notes` and
    `questions` what a person is told. `relation` is how SQL reads it, and `cte` the SELECT behind it where it is
    made of a file or of its `owner`, the table that it is embedded in. `header` has all columns of the files, also those that are not read, and
    `stored` the declared types of those that `cte` makes something else of. `declared` are the columns of the files where `cte`
    takes some of them apart. `part` is there where the file holds other tables, too: the name of its sheet. `parts` are
    the tables of one kind that it is put together of.
    """

    name: str
    stem: str
    files: list[str]
    columns: list[FoundColumn] = field(default_factory=list)
    rows: int = 0
    entry: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    cte: str | None = None
    owner: FoundTable | None = None
    header: tuple[str, ...] = ()
    stored: dict[str, str] = field(default_factory=dict)
    declared: list[FoundColumn] = field(default_factory=list)
    part: str = ""
    parts: list[FoundTable] = field(default_factory=list)

    @property
    def format(self) -> str | None:
        """Of its files (`file_format`); None of a table of a database."""
        return file_format(self.files[0])[1] if self.files else None

    @property
    def relation(self) -> str:
        return quote(self.stem) if self.cte is not None else self.file_relation

    @property
    def file_relation(self) -> str:
        return f"files.{quote(self.stem)}"

    def column(self, name: str) -> FoundColumn:
        return next(column for column in self.columns if column.name == name)
