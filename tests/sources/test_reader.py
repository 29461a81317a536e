"""Every way a file can differ from its declaration, and the sentence that says so."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.broken_files import CSV_FAILURES, HEADER, ITEMS, JSON_FAILURES, ROW
from recs_assets.schema import RAW_TABLES, Column, SourceError
from recs_assets.sources.cells import ADDRESS
from recs_assets.sources.declared import DeclaredFile, list_some
from recs_assets.sources.describe import DOC
from recs_assets.sources.reader import read_file


@pytest.fixture
def con():
    con = duckdb.connect()
    con.execute("attach ':memory:' as files")
    con.execute("set TimeZone='Europe/Berlin'")
    yield con
    con.close()


def read(con, folder, name: str, content: bytes | str | None = None) -> list[tuple]:
    """Read a canonical file; its rows without the columns that the file does not have."""
    path = folder / name
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    table = RAW_TABLES[path.name.split(".")[0]]
    declared = DeclaredFile(name, table.columns, may_be_empty=not table.required)
    con.execute("drop schema if exists files.s cascade; create schema files.s")
    rows = read_file(con, path, declared, "files.s.t")
    found = con.execute("select * from files.s.t").fetchall()
    assert len(found) == rows
    return found


@pytest.mark.parametrize(("name", "content", "sentence"), CSV_FAILURES.values(), ids=CSV_FAILURES)
def test_csv_failure(con, tmp_path, name, content, sentence):
    with pytest.raises(SourceError) as error:
        read(con, tmp_path, name, content)
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value)
    assert "example.com" not in str(error.value)


@pytest.mark.parametrize(("name", "content", "sentence"), JSON_FAILURES.values(), ids=JSON_FAILURES)
def test_json_failure(con, tmp_path, name, content, sentence):
    with pytest.raises(SourceError) as error:
        read(con, tmp_path, name, content)
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value)


def items(**columns) -> pa.Table:
    base = {
        "order_id": ["o1", "o2"],
        "line_id": ["1", "1"],
        "product_id": ["p1", "p1"],
        "quantity": [1.0, 2.0],
        "amount": [2.5, 5.0],
    }
    return pa.table({key: value for key, value in {**base, **columns}.items() if value is not None})


PARQUET_FAILURES = {
    "missing column": (
        items(amount=None),
        "order_items.parquet: column 'amount' is missing "
        "(found: order_id, line_id, product_id, quantity); add it to the export.",
    ),
    "renamed column": (
        items(amount=None, amonut=[1.0, 2.0]),
        "order_items.parquet: column 'amount' is missing and 'amonut' is not declared: rename "
        "'amonut' to 'amount' if that is what it holds.",
    ),
    "text for a number": (
        items(amount=["2.5", "5.0"]),
        "order_items.parquet: column 'amount' is stored as VARCHAR in 2 rows where DOUBLE is declared; "
        "write it as declared.",
    ),
    "float ids": (
        items(product_id=[17.0, None]),
        "order_items.parquet: column 'product_id' is stored as DOUBLE in 1 rows where VARCHAR is declared; "
        "write ids as text or whole numbers (17.0 is not the id 17).",
    ),
    "NaN": (
        items(amount=[1.0, float("nan")]),
        "order_items.parquet row 2: column 'amount' holds NaN or Infinity in 1 rows, which is not a number; "
        "write null where the value is unknown.",
    ),
    "no rows": (
        items().slice(0, 0),
        "order_items.parquet: it declares columns but holds 0 rows; export it again with its rows.",
    ),
}


@pytest.mark.parametrize(("table", "sentence"), PARQUET_FAILURES.values(), ids=PARQUET_FAILURES)
def test_parquet_failure(con, tmp_path, table, sentence):
    pq.write_table(table, tmp_path / "order_items.parquet")
    with pytest.raises(SourceError) as error:
        read(con, tmp_path, "order_items.parquet")
    assert str(error.value).startswith(sentence)


def test_parquet_cut_off_or_not_parquet(con, tmp_path):
    path = tmp_path / "order_items.parquet"
    pq.write_table(items(), path)
    whole = path.read_bytes()
    with pytest.raises(SourceError, match=r"parquet: its end is missing, so it was cut off"):
        read(con, tmp_path, path.name, whole[:-20])
    with pytest.raises(SourceError, match=r"parquet: it is not a Parquet file"):
        read(con, tmp_path, path.name, ITEMS)
    with pytest.raises(SourceError, match=r"^order_items.parquet: it cannot be read \(Invalid Input Error"):
        read(con, tmp_path, path.name, b"PAR1" + b"x" * 60 + b"PAR1")


def test_parquet_safe_widenings(con, tmp_path):
    table = items(
        order_id=pa.array([1, 2], pa.int64()),
        product_id=pa.array(["a", "b"]).dictionary_encode(),
        quantity=pa.array([1, 2], pa.int64()),
        amount=pa.array([250, 500], pa.decimal128(9, 2)),
        discount=pa.nulls(2),
    )
    pq.write_table(table, tmp_path / "order_items.parquet")
    assert read(con, tmp_path, "order_items.parquet") == [
        ("1", "1", "a", 1.0, 250.0, None),
        ("2", "1", "b", 2.0, 500.0, None),
    ]


def test_whole_decimals_are_ids_and_the_index_of_pandas_is_no_column(con, tmp_path):
    """Snowflake and Oracle write NUMBER(38,0); pandas writes its row numbers."""
    table = items(
        order_id=pa.array([12345678901234567890123456789012345678, 2], pa.decimal128(38, 0)),
        product_id=pa.array([7, None], pa.decimal128(10, 0)),
        __index_level_0__=[0, 1],
    )
    pq.write_table(table, tmp_path / "order_items.parquet")
    assert [(row[0], row[2]) for row in read(con, tmp_path, "order_items.parquet")] == [
        ("12345678901234567890123456789012345678", "7"),
        ("2", None),
    ]
    pq.write_table(
        items(product_id=pa.array([7, None], pa.decimal128(10, 1))), tmp_path / "order_items.parquet"
    )
    with pytest.raises(SourceError, match=r"column 'product_id' is stored as DECIMAL\(10,1\) in 1 rows"):
        read(con, tmp_path, "order_items.parquet")


@pytest.mark.parametrize(
    "content",
    [
        "sep=,\nmerchant_id,name\nm1,x\n",
        "\ufeffSEP=;\r\nmerchant_id;name\r\nm1;x\r\n",
        '"sep=,"\nname,merchant_id\nx,m1\n',
        "sep=\t\nmerchant_id\tname\nm1\tx\n",
        "sep=|\nmerchant_id|name\nm1|x\n",
    ],
)
def test_the_line_that_excel_writes_above_the_header_says_the_separator(con, tmp_path, content):
    assert read(con, tmp_path, "merchants.csv", content) == [("m1", "x", None)]


def test_offsets_as_exports_write_them(con, tmp_path):
    """In Berlin it is 10:00, 14:30 and 17:00 on 1 June 2025."""
    times = {
        "2025-06-01 10:00:00 +0200": "2025-06-01 10:00:00",
        "2025-06-01 10:00:00 +02": "2025-06-01 10:00:00",
        "2025-06-01 10:00:00 +02:00": "2025-06-01 10:00:00",
        "2025-06-01 10:00:00.25 +02:00": "2025-06-01 10:00:00.25",
        "2025-06-01T10:00:00+0200": "2025-06-01 10:00:00",
        "2025-06-01 10:00 +0200": "2025-06-01 10:00:00",
        "2025-06-01T10:00+02:00": "2025-06-01 10:00:00",
        "2025-06-01 18:00:00 +0530": "2025-06-01 14:30:00",
        "2025-06-01 08:00:00 -0700": "2025-06-01 17:00:00",
        "2025-06-01 08:00:00 Z": "2025-06-01 10:00:00",
        "2025-06-01T08:00Z": "2025-06-01 10:00:00",
        "2025-06-01 08:00:00 UTC": "2025-06-01 10:00:00",
        " 2025-06-01 10:00:00 +0200 ": "2025-06-01 10:00:00",
        "2025-06-01 10:00:00": "2025-06-01 10:00:00",
        "2025-06-01 10:00": "2025-06-01 10:00:00",
        "2025-12-31": "2025-12-31 00:00:00",
    }
    lines = "".join(f"o{place},c1,{text},x\n" for place, text in enumerate(times))
    read(con, tmp_path, "orders.csv", HEADER + lines)
    rows = con.execute("select cast(ordered_at as timestamp)::varchar from files.s.t").fetchall()
    assert [value for (value,) in rows] == list(times.values())
    records = [{"order_id": text, "customer_id": "c", "ordered_at": text, "status": "x"} for text in times]
    read(con, tmp_path, "orders.json", json.dumps(records))
    assert con.execute("select cast(ordered_at as timestamp)::varchar from files.s.t").fetchall() == rows


def test_columns_that_are_ignored_and_columns_that_may_be_absent(con, tmp_path):
    """Shopify's export has 79 columns, of which a shop wants five."""
    columns = (
        Column("Name", "VARCHAR", "", True),
        Column("Total", "DOUBLE", "", True),
        Column("Tags", "VARCHAR", "", False),
    )
    declared = DeclaredFile("f.csv", columns, ignored=("*",))
    wide = ",".join(f"Column {number}" for number in range(76))
    path = tmp_path / "f.csv"
    path.write_text(f"{wide},Name,name,name,Total\n{',' * 76}#1,a,b,2.5\n{',' * 76}#2,a,b,3\n")
    assert read_file(con, path, declared, "files.t") == 2
    assert con.execute("from files.t").fetchall() == [("#1", 2.5, None), ("#2", 3.0, None)]
    path.write_text(path.read_text() + f"{',' * 70}#3\n")
    with pytest.raises(
        SourceError, match=r"^f.csv line 4: it has 71 fields where the header has 80 \(column 'Column 71' and"
    ):
        read_file(con, path, declared, "files.t")
    # A column that must be there is missed although every other one is ignored.
    path.write_text("Name,Totl,Tags\n#1,2,x\n")
    with pytest.raises(
        SourceError, match=r"line 1: column 'Total' is missing and 'Totl' is not declared: rename"
    ):
        read_file(con, path, declared, "files.t")
    some = DeclaredFile("f.csv", columns, ignored=("Tot?", "Note*"))
    path.write_text("Name,Total,Totl,Notes,Phone\n#1,2,3,x,y\n")
    with pytest.raises(SourceError, match=r"line 1: column 'Phone' is not declared"):
        read_file(con, path, some, "files.t")
    for name, content in (
        ("f.jsonl", '{"Name": "#1", "Total": 2, "Phone": "x"}\n{"Name": "#2", "Total": 3}\n'),
        ("f.json", '[{"Name": "#1", "Total": 2}, {"Name": "#2", "Total": 3, "Phone": {"a": 1}}]'),
    ):
        (tmp_path / name).write_text(content)
        declared = DeclaredFile(name, columns, ignored=("*",))
        assert read_file(con, tmp_path / name, declared, "files.t") == 2
        assert con.execute("from files.t").fetchall() == [("#1", 2.0, None), ("#2", 3.0, None)]


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("orders.csv", HEADER + ROW + "o2,Ann.Probe@example.com,2024-05-01,x\no3,bob@example.org,2024-05-01,x\n", "line 3"),
        ("orders.csv", "sep=,\n" + HEADER + ROW + "o2,mail:ann@example.com,2024-05-01,x\no3,b@c.de,2024-05-01,x\n", "line 4"),
        ("orders.jsonl", '\n{"order_id": "o1", "customer_id": "a@example.com", "ordered_at": "2024-05-01", "status": "x"}\n' * 2, "line 2"),
        ("orders.json", '[' + ', '.join(['{"order_id": "o1", "customer_id": "a@b.de", "ordered_at": "2024-05-01", "status": "x"}'] * 2) + ']', "record 1"),
    ],
)  # fmt: skip
def test_an_address_is_no_id(con, tmp_path, name, content, where):
    path = tmp_path / name
    path.write_text(content)
    declared = DeclaredFile(name, RAW_TABLES["orders"].columns, identifiers=("order_id", "customer_id"))
    con.execute("create schema if not exists files.s")
    with pytest.raises(SourceError) as error:
        read_file(con, path, declared, "files.s.t")
    assert str(error.value) == (
        f"{name} {where}: column 'customer_id' holds an email address (2 rows of this column do), and this column "
        "is published as it is; write the shop's own number of whom or what it means there."
    )


def test_an_address_is_no_id_in_parquet(con, tmp_path):
    pq.write_table(items(product_id=["p1", "ann@example.com"]), tmp_path / "f.parquet")
    declared = DeclaredFile("f.parquet", RAW_TABLES["order_items"].columns, identifiers=("product_id",))
    with pytest.raises(
        SourceError, match=r"^f.parquet row 2: column 'product_id' holds an email address, and this"
    ):
        read_file(con, tmp_path / "f.parquet", declared, "files.t")


def test_what_only_looks_like_an_address_is_an_id(con, tmp_path):
    content = HEADER + "".join(
        f"o1,{value},2024-05-01,x\n" for value in ("a@b", "@ann.com", "ann@", "a b@c", "x@y.z1")
    )
    path = tmp_path / "orders.csv"
    path.write_text(content)
    declared = DeclaredFile("orders.csv", RAW_TABLES["orders"].columns, identifiers=("customer_id",))
    assert read_file(con, path, declared, "files.t") == 5


def test_an_address_is_the_same_to_landing_and_to_dbt():
    macro = (Path(__file__).resolve().parents[2] / "dbt_project/macros/text.sql").read_text("utf-8")
    pattern = re.search(r"macro email_pattern\(\) -%\}\s*'([^']+)'", macro)
    assert pattern is not None
    assert pattern[1] == ADDRESS


def test_long_lists_are_shortened():
    assert list_some(["a"]) == "a"
    assert list_some([f"f{number}.csv" for number in range(305)]) == (
        "f0.csv, f1.csv, f2.csv, f3.csv, f4.csv and 300 more"
    )


def test_missing_file(con, tmp_path):
    with pytest.raises(SourceError) as error:
        read(con, tmp_path, "orders.csv")
    assert str(error.value) == f"orders.csv: the file is missing in {tmp_path}; put it there."


def test_optional_table_may_hold_a_header_only(con, tmp_path):
    assert read(con, tmp_path, "searches.csv", "search_id,customer_id,query,searched_at\n") == []
    assert read(con, tmp_path, "searches.csv", "search_id,customer_id,query,searched_at") == []
    assert read(con, tmp_path, "searches.json", "[]") == []


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
@pytest.mark.parametrize("ending", ["csv", "json", "jsonl"])
def test_byte_order_mark_changes_nothing(con, tmp_path, bom, ending):
    content = {
        "csv": "merchant_id,name\nm1,Zoë\n",
        "json": '[{"merchant_id": "m1", "name": "Zoë"}]',
        "jsonl": '{"merchant_id": "m1", "name": "Zoë"}\n',
    }[ending]
    assert read(con, tmp_path, f"merchants.{ending}", bom + content.encode()) == [("m1", "Zoë", None)]


HARD = [
    "😀",
    "it's",
    'say "hi"',
    "'; drop table raw.orders; --",
    "a,b;c\td",
    "x" * 300,
    "line\nbreak",
    "nul\0inside",
]


def test_hard_values_are_read_unchanged_from_every_format(con, tmp_path):
    quoted = "".join(f'"{value.replace(chr(34), chr(34) * 2)}",n\n' for value in HARD)
    records = [{"merchant_id": value, "name": "n"} for value in HARD]
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "merchants.parquet")
    expected = [(value, "n", None) for value in HARD]
    assert read(con, tmp_path, "merchants.csv", "merchant_id,name\n" + quoted) == expected
    assert read(con, tmp_path, "merchants.json", json.dumps(records)) == expected
    assert read(con, tmp_path, "merchants.jsonl", "".join(json.dumps(r) + "\n" for r in records)) == expected
    assert read(con, tmp_path, "merchants.parquet") == expected


def test_windows_line_breaks_and_empty_fields(con, tmp_path):
    rows = read(con, tmp_path, "merchants.csv", 'merchant_id,name,country\r\nm1,,"DE"\r\nm2,x,\r\n')
    assert rows == [("m1", None, "DE"), ("m2", "x", None)]


def test_columns_may_come_in_any_order_and_optional_ones_may_be_absent(con, tmp_path):
    assert read(con, tmp_path, "merchants.csv", "name,merchant_id\nx,m1\n") == [("m1", "x", None)]


def test_whole_numbers_are_not_rounded(con, tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("n\n1.5\n")
    with pytest.raises(
        SourceError, match=r"f.csv line 2: column 'n' holds '1.5', which is not a whole number"
    ):
        read_file(con, path, DeclaredFile("f.csv", (Column("n", "BIGINT", "", True),)), "files.t")


def test_nested_json_becomes_text(con, tmp_path):
    line = '{"product_id": 1, "name": "x", "attributes": {"size": "L"}}\n'
    row = read(con, tmp_path, "products.jsonl", line)[0]
    assert (row[0], row[13]) == ("1", '{"size":"L"}')


def test_manifest_tells_a_file_cut_off_at_the_end_of_a_row(con, tmp_path):
    manifest = tmp_path / "manifest.json"
    manifest.write_text('{"orders.csv": {"rows": 2}}')
    with pytest.raises(SourceError) as error:
        read(con, tmp_path, "orders.csv", HEADER + ROW)
    assert str(error.value) == (
        "orders.csv: it holds 1 rows, manifest.json says 2: the file was cut off or written again; "
        "copy it again, or correct the manifest."
    )
    assert len(read(con, tmp_path, "orders.csv", HEADER + ROW + ROW)) == 2
    # The manifest vouches for a last line without a line break.
    assert len(read(con, tmp_path, "orders.csv", HEADER + ROW + ROW.rstrip())) == 2


def test_manifest_sha256_and_malformed_manifest(con, tmp_path):
    good = hashlib.sha256((HEADER + ROW).encode()).hexdigest()
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"orders.csv": {"sha256": good}}))
    assert len(read(con, tmp_path, "orders.csv", HEADER + ROW)) == 1
    with pytest.raises(
        SourceError, match=r"orders.csv: its sha256 is [0-9a-f]{12}\.\.\., manifest.json says"
    ):
        read(con, tmp_path, "orders.csv", HEADER + ROW.replace("c1", "c2"))
    for text in ("[]", "{", '{"orders.csv": 3}'):
        manifest.write_text(text)
        with pytest.raises(SourceError, match=r"manifest.json must look like"):
            read(con, tmp_path, "orders.csv", HEADER + ROW)
    manifest.write_text('{"orders.csv": {"rows": "2"}}')
    with pytest.raises(SourceError, match=r"manifest.json: the entry of orders.csv may hold only"):
        read(con, tmp_path, "orders.csv", HEADER + ROW)


def test_times_are_local_unless_they_say_otherwise(con, tmp_path):
    rows = read(
        con,
        tmp_path,
        "orders.csv",
        HEADER
        + "o1,c1,2024-07-01 00:30:00,x\no2,c1,2024-07-01T00:30:00Z,x\no3,c1,2024-01-01T00:30:00+05:00,x\n"
        + "o4,c1,2024-07-01,x\n",
    )
    assert len(rows) == 4
    # The session is in Berlin: +2 in summer, +1 in winter.
    assert con.execute(
        "select order_id, cast(ordered_at as timestamp)::varchar from files.s.t"
    ).fetchall() == [
        ("o1", "2024-07-01 00:30:00"),
        ("o2", "2024-07-01 02:30:00"),
        ("o3", "2023-12-31 20:30:00"),
        ("o4", "2024-07-01 00:00:00"),
    ]


def test_a_character_across_two_blocks_of_the_encoding_check(con, tmp_path):
    # The check reads 4 MiB at a time; with an odd offset a two-byte character straddles the border.
    lines = "".join(f"m{number},{'é' * 500}\n" for number in range(4200))
    assert len(read(con, tmp_path, "merchants.csv", "merchant_id,name\n" + lines)) == 4200
    broken = ("merchant_id,name\n" + lines).encode() + b"m,\xe9\n"
    with pytest.raises(SourceError, match=r"^merchants.csv line 4202: byte 4\d+ of the file \(0xe9\)"):
        read(con, tmp_path, "merchants.csv", broken)


def test_quoted_errors_are_real():
    """Every error sentence quoted in the document is one that a test provokes."""
    text = DOC.with_name("sources.md").read_text("utf-8").split("## Errors")[1]
    quoted = re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    assert len(quoted) == 9
    tables = [CSV_FAILURES, JSON_FAILURES]
    provoked = {case[2] for table in tables for case in table.values()}
    provoked |= {case[1] for case in PARQUET_FAILURES.values()}
    assert set(quoted) <= provoked


def test_parquet_nested_values_land_as_json_where_text_is_declared(con, tmp_path):
    table = pa.table(
        {
            "params": pa.array([[{"key": "a", "value": 1}], [], None], pa.list_(pa.struct([("key", pa.string()), ("value", pa.int64())]))),
            "device": pa.array([{"kind": "mobile"}, {"kind": None}, None], pa.struct([("kind", pa.string())])),
            "tags": pa.array([[("x", 1)], [], None], pa.map_(pa.string(), pa.int64())),
        }
    )  # fmt: skip
    pq.write_table(table, tmp_path / "events.parquet")
    columns = tuple(Column(name, "VARCHAR", "") for name in ("params", "device", "tags"))
    read_file(con, tmp_path / "events.parquet", DeclaredFile("events.parquet", columns), "files.events")
    assert con.execute("select * from files.events").fetchall() == [
        ('[{"key":"a","value":1}]', '{"kind":"mobile"}', '{"x":1}'),
        ("[]", '{"kind":null}', "{}"),
        (None, None, None),
    ]
    with pytest.raises(
        SourceError,
        match=r"column 'device' is stored as STRUCT\(kind VARCHAR\) in 2 rows where BIGINT is declared",
    ):
        read_file(
            con, tmp_path / "events.parquet",
            DeclaredFile("events.parquet", (Column("device", "BIGINT", ""),), ignored=("*",)), "files.events",
        )  # fmt: skip
