"""Rows of a feed in XML, as declared: an RSS feed (`item`) or an Atom feed (`entry`) with Google's attributes (`g:id`).

An attribute gets the text that Google's own text feed has for it: one that is repeated is joined with commas, one that has
parts (`g:shipping`) with colons. A feed is read in blocks; one with a DOCTYPE is refused, because entities of its own are
how a small file becomes a large one, and a file read that nobody declared.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

import duckdb

from recs_assets.schema import SourceError
from recs_assets.sources.cells import check_columns, explain_value, refuse_addresses, write_cast
from recs_assets.sources.declared import DeclaredFile

_FEEDS = ("rss", "feed", "RDF")
_ITEMS = ("item", "entry")
_GOOGLE = "base.google.com/ns/1.0"
# Of elements without Google's prefix those of RSS and Atom are read, and no other vocabulary's.
_PLAIN = ("", "http://www.w3.org/2005/Atom", "http://purl.org/rss/1.0/")
_MOST_ROWS_AT_ONCE = 20_000


def read_feed(
    con: duckdb.DuckDBPyConnection, path: Path, name: str, declared: DeclaredFile, target: str
) -> tuple[int, list[str]]:
    """Read the items of a feed into the table `target`; rows, and which of the declared columns there are.

    Raises:
        SourceError: it is no feed, is cut off, has a DOCTYPE, or a value is not as declared.
    """
    import pyarrow as pa

    names = [column.name for column in declared.columns]
    nulls = {"", *declared.dialect.nulls}
    found: dict[str, None] = {}
    lines: list[int] = []
    parts: list[pa.Table] = []
    block: list[dict[str, str]] = []

    def make_table() -> pa.Table:
        texts = [
            [text if (text := item.get(name, "")) not in nulls else None for item in block] for name in names
        ]
        return pa.table(dict(zip(names, [pa.array(column, pa.string()) for column in texts], strict=True)))

    for line, item in list_items(path, name):
        found |= dict.fromkeys(item)
        lines.append(line)
        block.append(item)
        if len(block) == _MOST_ROWS_AT_ONCE:
            parts.append(make_table())
            block = []
    parts.append(make_table())
    if lines:
        check_columns(name, "", list(found), declared)
    present = [name for name in names if name in found] or names
    text = f"{target.split('.')[0]}._text"
    con.register("_feed", pa.concat_tables(parts))
    try:
        con.execute(f"create or replace table {text} as select * from _feed")
        result = write_cast(con, text, declared.columns, present, target, declared.dialect)
    finally:
        con.unregister("_feed")
        con.execute(f"drop table if exists {text}")

    def place(row: int) -> str:
        return f"line {lines[row - 1]}"

    if not isinstance(result, int):
        row, column, count, value = result
        raise explain_value(name, place(row), column, count, value, declared.dialect)
    refuse_addresses(con, target, name, declared, place)
    return result, present


def list_items(path: Path, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The items of a feed: the line where each begins, and its texts by attribute.

    Args:
        path: of the file.
        name: of the file, for errors.

    Raises:
        SourceError: it is no feed, is cut off, or has a DOCTYPE.
    """
    feed = _Feed(name)
    try:
        with path.open("rb") as file:
            while data := file.read(1 << 20):
                feed.parser.Parse(data, False)
                yield from feed.items
                feed.items.clear()
        feed.parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise SourceError(
            f"{name} line {error.lineno}: this is not XML ({expat.ErrorString(error.code)}); the file is cut off or damaged there, "
            "export it again."
        ) from None
    yield from feed.items


class _Feed:
    """Collects `items` while its `parser` is fed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.items: list[tuple[int, dict[str, str]]] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._add_text
        self._depth = 0
        self._line = 0
        # Depth of the item that is open; 0: none is.
        self._item = 0
        # Texts by attribute, of the item's own vocabulary and of Google's, which counts more.
        self._plain: dict[str, list[str]] = {}
        self._google: dict[str, list[str]] = {}
        # Of the attribute that is open: its finished parts, and the text since then.
        self._parts: list[str] = []
        self._text: list[str] = []

    def _refuse_doctype(self, *_: Any) -> None:
        raise SourceError(
            f"{self._name} line {self.parser.CurrentLineNumber}: it has a DOCTYPE, and such a file is not read; a feed needs "
            "none: remove it."
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        vocabulary, _, local = tag.rpartition(" ")
        self._depth += 1
        if self._depth == 1 and local not in _FEEDS:
            raise SourceError(
                f"{self._name}: it is XML, but neither an RSS nor an Atom feed; export it as CSV, JSON or Parquet."
            )
        if not self._item:
            if local in _ITEMS and self._depth > 1:
                self._item, self._line = self._depth, self.parser.CurrentLineNumber
                self._plain, self._google = {}, {}
        elif self._depth == self._item + 1:
            self._parts, self._text = [], []
            # Atom's links have their address in an attribute.
            if local == "link" and attributes.get("rel", "alternate") == "alternate":
                self._text.append(attributes.get("href", ""))
        elif _is_google(vocabulary):
            self._finish_part()

    def _add_text(self, text: str) -> None:
        if self._item and self._depth > self._item:
            self._text.append(text)

    def _end(self, tag: str) -> None:
        vocabulary, _, local = tag.rpartition(" ")
        if self._item and self._depth == self._item:
            plain, google = self._plain, self._google
            for name in ("summary", "content"):  # what Atom has for it
                plain.setdefault("description", plain.get(name, []))
            texts = {key: ",".join(google.get(key) or plain.get(key, [])) for key in [*plain, *google]}
            self.items.append((self._line, texts))
            self._item = 0
        elif self._item and self._depth == self._item + 1:
            self._finish_part()
            texts = [":".join(self._parts)] if self._parts else []
            if _is_google(vocabulary):
                self._google.setdefault(local, []).extend(texts)
            elif vocabulary in _PLAIN:
                self._plain.setdefault(local, []).extend(texts)
        elif self._item and _is_google(vocabulary):
            self._finish_part()
        self._depth -= 1

    def _finish_part(self) -> None:
        if text := "".join(self._text).strip():
            self._parts.append(text)
        self._text = []


def _is_google(vocabulary: str) -> bool:
    return vocabulary.rpartition("//")[2].rstrip("/") == _GOOGLE
