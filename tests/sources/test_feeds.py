"""Feeds in XML: what is read of an item, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import pytest

from recs_assets.schema import Column, SourceError
from recs_assets.sources.declared import DeclaredFile
from recs_assets.sources.reader import read_file

HEAD = '<rss xmlns:g="http://base.google.com/ns/1.0" xmlns:c="http://base.google.com/cns/1.0"><channel><title>Shop</title>\n'
END = "</channel></rss>"


def read(con: duckdb.DuckDBPyConnection, path: Path, **types: str) -> list[tuple]:
    columns = tuple(Column(name, type_, "", required=True) for name, type_ in types.items())
    con.execute("create schema if not exists files")
    read_file(con, path, DeclaredFile(path.name, columns, ignored=("*",)), "files.feed")
    return con.execute("select * from files.feed").fetchall()


def write(folder: Path, text: str, name: str = "feed.xml", encoding: str = "utf-8") -> Path:
    path = folder / name
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def test_an_attribute_has_the_text_of_googles_text_feed(con, tmp_path):
    items = (
        "<item><g:id> 1 </g:id><title>Plain</title><g:title>Tea &amp; <![CDATA[<b>]]></g:title><g:link>a</g:link><g:link>b</g:link>"
        "<g:tax><g:country>US</g:country>\n<g:region>CA</g:region>\n<g:rate>5</g:rate></g:tax><c:id>7</c:id></item>\n"
        "<item><g:id>2</g:id><title>Plain <i>cup</i></title><g:link/><g:tax></g:tax></item>"
    )
    assert read(con, write(tmp_path, HEAD + items + END), id="BIGINT", title="VARCHAR", link="VARCHAR", tax="VARCHAR") == [
        (1, "Tea & <b>", "a,b", "US:CA:5"),
        (2, "Plain cup", None, None),
    ]  # fmt: skip


def test_a_feed_may_be_packed_and_in_another_encoding(con, tmp_path):
    text = f'<?xml version="1.0" encoding="windows-1252"?>{HEAD}<item><g:id>Müller €</g:id></item>{END}'
    assert read(con, write(tmp_path, text, "feed.xml.gz", "cp1252"), id="VARCHAR") == [("Müller €",)]


def test_a_value_that_does_not_fit_is_named_by_the_line_of_its_item(con, tmp_path):
    path = write(tmp_path, f"{HEAD}<item><g:id>1</g:id></item>\n<item>\n<g:id>one</g:id></item>{END}")
    with pytest.raises(SourceError, match=r"^feed.xml line 3: .*'one'"):
        read(con, path, id="BIGINT")


def test_entities_are_not_expanded_and_no_file_is_read(con, tmp_path):
    (tmp_path / "secret").write_text("open-sesame")
    for declared in ('<!ENTITY x "xxxxxxxxxx">', f'<!ENTITY x SYSTEM "file://{tmp_path}/secret">'):
        path = write(tmp_path, f"<!DOCTYPE rss [{declared}]>{HEAD}<item><g:id>&x;</g:id></item>{END}")
        with pytest.raises(
            SourceError, match=r"^feed.xml line 1: it has a DOCTYPE, and such a file is not read"
        ):
            read(con, path, id="VARCHAR")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{HEAD}<item><g:id>1</g:id></item>", r"feed.xml line 2: this is not XML \(no element found\)"),
        (f"{HEAD}<item><g:id>1</g:id></itm>", r"feed.xml line 2: this is not XML \(mismatched tag\)"),
        ("<rss><item><g:id>1</g:id></item></rss>", r"feed.xml line 1: this is not XML \(unbound prefix\)"),
        (
            "<orders><item><id>1</id></item></orders>",
            "feed.xml: it is XML, but neither an RSS nor an Atom feed",
        ),
        (f"{HEAD}<item><g:title>1</g:title></item>{END}", "feed.xml: column 'id' is missing"),
        (f"{HEAD}{END}", "feed.xml: it declares columns but holds 0 rows"),
    ],
)
def test_what_is_no_whole_feed_is_refused(con, tmp_path, text, says):
    with pytest.raises(SourceError, match=says):
        read(con, write(tmp_path, text), id="VARCHAR")
