"""Files that are written otherwise than the canonical ones, as their declaration says."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.spreadsheets import write_xlsx
from recs_assets.schema import Column, SettingsError, SourceError
from recs_assets.sources.declared import DeclaredFile
from recs_assets.sources.dialect import Dialect
from recs_assets.sources.file_declaration import read_file_declaration
from recs_assets.sources.reader import read_file, read_files


@pytest.fixture
def con():
    con = duckdb.connect()
    con.execute("attach ':memory:' as files")
    con.execute("set TimeZone='Europe/Berlin'")
    yield con
    con.close()


def columns(**types: str) -> tuple[Column, ...]:
    return tuple(Column(name, type_, "", required=True) for name, type_ in types.items())


def read(con, path: Path, types: dict[str, str], **dialect) -> list[tuple]:
    declared = DeclaredFile(path.name, columns(**types), dialect=Dialect.model_validate(dialect))
    read_file(con, path, declared, "files.t")
    return con.execute("select * from files.t").fetchall()


GERMAN = {"Beleg": "VARCHAR", "Datum": "TIMESTAMP", "Menge": "BIGINT", "Preis": "DOUBLE"}


def test_german_export(con, tmp_path):
    path = tmp_path / "belege.csv"
    text = "Beleg;Datum;Menge;Preis\r\nR-1;01.12.2010 08:26;6;2,55\r\nGrün;31.12.2010 9:05;1.200;1.234,50 €\r\nR-3;1.2.2011;-1;12,50-\r\n"
    path.write_bytes(text.encode("cp1252"))
    rows = read(
        con, path, GERMAN, delimiter=";", encoding="cp1252", decimal=",", thousands=".", units=["€"],
        dates=["%d.%m.%Y %H:%M", "%d.%m.%Y"],
    )  # fmt: skip
    assert rows == [
        ("R-1", datetime(2010, 12, 1, 8, 26), 6, 2.55),
        ("Grün", datetime(2010, 12, 31, 9, 5), 1200, 1234.5),
        ("R-3", datetime(2011, 2, 1), -1, -12.5),
    ]


WRONG = {
    "a point where a comma is declared": (
        "R-1;01.12.2010;6;2.55\n",
        "belege.csv line 2: column 'Preis' holds '2.55', which is not a number with decimal = ',' and thousands = '.'; "
        "correct the export, or declare how it is written.",
    ),
    "thousands in the wrong place": (
        "R-1;01.12.2010;6;2.5555,0\n",
        "belege.csv line 2: column 'Preis' holds '2.5555,0', which is not a number",
    ),
    "another date": (
        "R-1;01.12.2010;6;1,0\nR-2;2010-12-01;6;1,0\n",
        "belege.csv line 3: column 'Datum' holds '2010-12-01', which is not a time as dates declares them (%d.%m.%Y); "
        "correct the export, or declare how it is written.",
    ),
    "a year of two digits": (
        "R-1;01.12.10;6;1,0\n",
        "belege.csv line 2: column 'Datum' holds '01.12.10', which is not a time",
    ),
    "a day that is none": (
        "R-1;31.02.2010;6;1,0\n",
        "belege.csv line 2: column 'Datum' holds '31.02.2010', which is not a time",
    ),
    "too few columns": (
        "R-1;01.12.2010;6\n",
        "belege.csv line 2: it has 3 fields where the header has 4",
    ),
}


@pytest.mark.parametrize(("rows", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_declared_is_checked(con, tmp_path, rows, sentence):
    path = tmp_path / "belege.csv"
    path.write_text(f"Beleg;Datum;Menge;Preis\n{rows}")
    with pytest.raises(SourceError) as error:
        read(con, path, GERMAN, delimiter=";", decimal=",", thousands=".", dates="%d.%m.%Y")
    assert str(error.value).startswith(sentence)


def test_a_date_keeps_no_time(con, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("d\n1.2.2024 10:00\n")
    with pytest.raises(
        SourceError, match=r"^d.csv line 2: column 'd' holds '1.2.2024 10:00', which is not a date as"
    ):
        read(con, path, {"d": "DATE"}, dates=["%d.%m.%Y %H:%M"])


def test_wrong_encoding_names_the_line(con, tmp_path):
    path = tmp_path / "n.csv"
    path.write_bytes(b"n\nfine\n\x81\n")
    with pytest.raises(
        SourceError, match=r"^n.csv line 3: a byte \(0x81\) is no character in cp1252, in which"
    ):
        read(con, path, {"n": "VARCHAR"}, encoding="cp1252")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1", "cp850", "utf-8-sig"])
def test_encodings(con, tmp_path, encoding):
    path = tmp_path / "n.tsv"
    path.write_bytes("n\tm\nMüller\tÉté\n".encode(encoding))
    assert read(con, path, {"n": "VARCHAR", "m": "VARCHAR"}, encoding=encoding) == [("Müller", "Été")]


def test_quotes_nulls_lines_above_and_an_open_end(con, tmp_path):
    path = tmp_path / "report.csv"
    path.write_text('Sales report\nof May\nname|size\n5" pipe|NULL\nrod|7')
    rows = read(
        con, path, {"name": "VARCHAR", "size": "BIGINT"}, delimiter="|", quote="", nulls=["NULL"], skip=2, open_end=True
    )  # fmt: skip
    assert rows == [('5" pipe', None), ("rod", 7)]
    path.write_text('name,size\n"5\\" pipe, long",\\N\n')
    assert read(con, path, {"name": "VARCHAR", "size": "BIGINT"}, escape="\\", nulls="\\N") == [
        ('5" pipe, long', None)
    ]


def test_without_a_header(con, tmp_path):
    path = tmp_path / "h.csv"
    path.write_text("a,1\nb,2\n")
    types = {"name": "VARCHAR", "size": "BIGINT"}
    assert read(con, path, types, header=["name", "size"]) == [("a", 1), ("b", 2)]
    path.write_text("a,1\nb,x\n")
    with pytest.raises(
        SourceError, match=r"^h.csv line 2: column 'size' holds 'x', which is not a whole number"
    ):
        read(con, path, types, header=["name", "size"])


def test_packed_and_with_blanks_in_the_header(con, tmp_path):
    path = tmp_path / "b.csv.gz"
    path.write_bytes(gzip.compress("Order ID ;,;x\nä;1;2\n".encode("cp1252")))
    declared = DeclaredFile(
        path.name, columns(**{"Order ID ": "VARCHAR", "x": "BIGINT"}), ignored=(",",),
        dialect=Dialect(delimiter=";", encoding="cp1252"),
    )  # fmt: skip
    read_file(con, path, declared, "files.t")
    assert con.execute('select "Order ID ", x from files.t').fetchall() == [("ä", 2)]


def test_json(con, tmp_path):
    path = tmp_path / "j.json"
    orders = [{"id": 1, "when": "1.2.2024", "total": "1,5"}, {"id": 2, "when": "n/a", "total": None}]
    types = {"id": "VARCHAR", "when": "DATE", "total": "DOUBLE"}
    dialect = {"decimal": ",", "dates": "%d.%m.%Y", "nulls": "n/a"}
    path.write_text(json.dumps(orders))
    expected = [("1", date(2024, 2, 1), 1.5), ("2", None, None)]
    assert read(con, path, types, **dialect) == expected
    path.write_text(json.dumps({"page": 1, "data": {"orders": orders}}))
    assert read(con, path, types, records="data.orders", **dialect) == expected
    path.write_text("\n".join(json.dumps(order) for order in orders))
    assert read(con, path, types, lines=True, **dialect) == expected
    path.write_text(json.dumps({"page": 1, "data": {"orders": orders}}))
    with pytest.raises(SourceError, match=r"^j.json: it has no 'items' where records = 'data.items' says"):
        read(con, path, types, records="data.items", **dialect)
    path.write_text('{"7": [[1, 2], [3]], "8": []}')
    assert read(con, path, {"key": "VARCHAR", "value": "VARCHAR"}, records="*") == [
        ("7", "[[1,2],[3]]"),
        ("8", "[]"),
    ]


def test_spreadsheet(con, tmp_path):
    head = ["Invoice", "When", "Units", "Price", "Note"]
    path = write_xlsx(
        tmp_path / "sales.xlsx",
        {
            "2010": [
                head,
                [536365, datetime(2010, 12, 1, 8, 26), 6, 2.55, "x"],
                [None, None, None, None, None],
            ],
            "2011": [
                head,
                ["C536366", "3.1.2011 09:00", -1, "2,5", None],
                [536367.0, date(2011, 1, 4), 1, 1.0, "#"],
            ],
            "About": [["Exported by Ann"]],
        },
    )
    types = {
        "Invoice": "VARCHAR",
        "When": "TIMESTAMP",
        "Units": "BIGINT",
        "Price": "DOUBLE",
        "Note": "VARCHAR",
    }
    dialect = {"sheet": ["2010", "2011"], "dates": "%d.%m.%Y %H:%M", "decimal": ",", "nulls": "#"}
    assert read(con, path, types, **dialect) == [
        ("536365", datetime(2010, 12, 1, 8, 26), 6, 2.55, "x"),
        ("C536366", datetime(2011, 1, 3, 9), -1, 2.5, None),
        ("536367", datetime(2011, 1, 4), 1, 1.0, None),
    ]
    with pytest.raises(
        SourceError, match=r"^sales.xlsx sheet '2011' row 2: column 'Invoice' holds 'C536366', which is"
    ):
        read(con, path, types | {"Invoice": "BIGINT"}, **dialect)
    with pytest.raises(
        SourceError, match=r"^sales.xlsx: it has 3 sheets \(2010, 2011, About\); say in source.toml"
    ):
        read(con, path, types)
    with pytest.raises(
        SourceError, match=r"^sales.xlsx: it has no sheet '2012' \(its sheets: 2010, 2011, About\)"
    ):
        read(con, path, types, sheet="2012")
    with pytest.raises(SourceError, match=r"^sales.xlsx sheet '2010' row 1: column 'Total' is missing"):
        read(con, path, types | {"Total": "DOUBLE"}, **dialect)
    (tmp_path / "no.xlsx").write_text("a,b\n")
    with pytest.raises(SourceError, match=r"^no.xlsx: it is no spreadsheet, is protected"):
        read(con, tmp_path / "no.xlsx", types)


def test_partitions(con, tmp_path):
    types = {"year": "BIGINT", "shop": "VARCHAR", "id": "BIGINT"}
    names = ["o/year=2024/shop=K%C3%B6ln/p.parquet", "o/year=2025/shop=__HIVE_DEFAULT_PARTITION__/p.parquet"]
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True)
        pq.write_table(pa.table({"id": [number]}), tmp_path / name)
    declared = DeclaredFile(
        "o/year=*/shop=*/*.parquet", columns(**types), dialect=Dialect(partitions=("year", "shop"))
    )
    assert declared.stem == "o"
    read_files(con, {name: tmp_path / name for name in names}, declared, "files.t", {})
    assert con.execute("select * from files.t").fetchall() == [(2024, "Köln", 0), (2025, None, 1)]
    wrong = {"o/year=x/shop=y/p.parquet": tmp_path / names[0]}
    with pytest.raises(
        SourceError, match=r"^o/year=x/shop=y/p.parquet: the folder says year = 'x', which is not a whole"
    ):
        read_files(con, wrong, declared, "files.t", {})


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"delimiter": ";;"}, "delimiter: one character, which is no quote"),
        ({"encoding": "klingon"}, "encoding: 'klingon' is no encoding"),
        ({"encoding": "base64"}, "encoding: 'base64' is no encoding"),
        ({"decimal": ",", "thousands": ","}, "the keys: decimal and thousands are the same sign"),
        ({"dates": "DD.MM.YYYY"}, "dates.0: 'DD.MM.YYYY' is no format of a date"),
        ({"sheet": "A"}, "sheet says nothing of such a file"),
        ({"partitions": ["b"]}, "partitions names 'b', which is none of its columns"),
    ],
)
def test_dialects_are_checked(entry, sentence):
    with pytest.raises(SettingsError) as error:
        read_file_declaration("source.toml", "a.csv", {"columns": {"a": "VARCHAR"}, **entry})
    assert str(error.value).startswith(f"source.toml: file 'a.csv': {sentence}")


cell = st.text(
    st.characters(codec="cp1252", exclude_characters="\r\n\x00", exclude_categories=["Cc"]), max_size=12
)


@given(
    rows=st.lists(
        st.tuples(
            cell,
            st.integers(-(10**9), 10**9),
            st.integers(-(10**9), 10**9).map(lambda cents: cents / 100),
            st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda when: when.replace(microsecond=0)),
        ),
        min_size=1,
        max_size=12,
    ),
    delimiter=st.sampled_from(";|\t~"),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-16"]),
    signs=st.sampled_from([(".", ""), (",", ""), (",", "."), (".", "'"), (",", " ")]),
    when=st.sampled_from(["%d.%m.%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%Y%m%d %H%M%S"]),
    escape=st.sampled_from([None, "\\"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_what_is_written_in_a_dialect_is_read_back(
    tmp_path_factory, rows, delimiter, encoding, signs, when, escape, line_end
):
    decimal, thousands = signs

    def number(text: str) -> str:
        return text.replace(",", "\0").replace(".", decimal).replace("\0", thousands)

    out = io.StringIO()
    writer = csv.writer(
        out, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL, doublequote=escape is None,
        escapechar=escape,
    )  # fmt: skip
    writer.writerow(["a", "b", "c", "d"])
    for text, whole, money, moment in rows:
        writer.writerow([text, number(f"{whole:,}"), number(f"{money:,.2f}"), moment.strftime(when)])
    path = tmp_path_factory.mktemp("dialect") / "x.csv"
    path.write_bytes(out.getvalue().encode(encoding))
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as files")
        found = read(
            connection, path, {"a": "VARCHAR", "b": "BIGINT", "c": "DOUBLE", "d": "TIMESTAMP"},
            delimiter=delimiter, encoding=encoding, decimal=decimal, thousands=thousands, dates=when, escape=escape,
        )  # fmt: skip
    assert found == [(text or None, whole, money, moment) for text, whole, money, moment in rows]
