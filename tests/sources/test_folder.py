"""Whatever the name of a file: it is read, or the landing stops with a sentence; nothing is left out in silence."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recs_assets.schema import RAW_TABLES, SettingsError, SourceError
from recs_assets.sources import fingerprint, land, resolve_source

TINY = Path(__file__).resolve().parents[2] / "examples" / "tiny_shop"
WITHDRAWN = "customer_id,state,effective_at\nc34,erased,2025-06-01\nc36,unsubscribed,2025-06-01\n"
TABBED = WITHDRAWN.replace(",", "\t")
RECORDS = [
    {"customer_id": "c34", "state": "erased", "effective_at": "2025-06-01"},
    {"customer_id": "c36", "state": "unsubscribed", "effective_at": "2025-06-01"},
]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS)


@pytest.fixture
def shop(tmp_path) -> Path:
    """The tiny shop without anybody's withdrawal."""
    shutil.copytree(TINY, tmp_path / "shop")
    (tmp_path / "shop" / "consents.csv").unlink()
    return tmp_path / "shop"


@pytest.fixture
def con():
    with duckdb.connect() as con:
        yield con


def parquet(path: Path, records: list[dict] = RECORDS) -> None:
    table = pa.Table.from_pylist(records)
    column = table["effective_at"].cast(pa.timestamp("us"))
    pq.write_table(table.set_column(2, "effective_at", column), path)


def write(path: Path, content: str | bytes | None) -> None:
    path.parent.mkdir(exist_ok=True)
    if content is None:
        parquet(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def landed(con, shop: Path, table: str = "consents") -> list[tuple]:
    land(con, resolve_source("auto", shop), table, shop)
    return con.execute(f"select customer_id, state from raw.{table} order by 1").fetchall()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("consents.csv", WITHDRAWN),
        ("consents.CSV", WITHDRAWN),
        ("Consents.Csv", WITHDRAWN),
        ("CONSENTS.csv", WITHDRAWN),
        ("consents.csv.gz", gzip.compress(WITHDRAWN.encode(), mtime=0)),
        ("consents.CSV.GZ", gzip.compress(WITHDRAWN.encode(), mtime=0)),
        ("consents.tsv", TABBED),
        ("consents.tsv.gz", gzip.compress(TABBED.encode(), mtime=0)),
        ("consents.txt", WITHDRAWN),
        ("consents.TXT", TABBED),
        ("consents.pq", None),
        ("consents.parq", None),
        ("Consents.PARQUET", None),
        ("consents.json", json.dumps(RECORDS)),
        ("consents.JSON.gz", gzip.compress(json.dumps(RECORDS).encode(), mtime=0)),
        ("consents.ndjson.gz", gzip.compress(LINES.encode(), mtime=0)),
        ("consents.jsonl.gz", gzip.compress(b"\xef\xbb\xbf" + LINES.encode(), mtime=0)),
        ("consents/part-0.csv", WITHDRAWN),
        ("consents/part-0.csv.gz", gzip.compress(WITHDRAWN.encode(), mtime=0)),
        ("consents/part-0.parquet", None),
        ("consents.parquet/part-00000-9f.snappy.parquet", None),
        ("Consents/0.jsonl", LINES),
    ],
    ids=lambda value: value if isinstance(value, str) and value.lower().startswith("consents") else "",
)
def test_who_said_no_is_landed_whatever_the_file_is_called(con, shop, name, content):
    write(shop / name, content)
    assert landed(con, shop) == [("c34", "erased"), ("c36", "unsubscribed")]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("consents.xlsx", "consents.xlsx: it is not read under this name; save the table as consents.csv (or "),
        ("consents.csv.zip", "consents.csv.zip: it is not read under this name; save the table as consents.csv"),
        ("consents.csv.zst", "consents.csv.zst: it is not read under this name"),
        ("consents.parquet.gz", "consents.parquet.gz: it is not read under this name"),
        ("consents.csv.bak", "consents.csv.bak: it is not read under this name"),
        ("consents.2025.csv", "consents.2025.csv: it is not read under this name; save the table as consents.csv"),
        ("consents", "consents: it is not read under this name"),
        ("consents.sqlite", "consents.sqlite: it is not read under this name"),
        ("products.feather", "products.feather: it is not read under this name; save the table as products.csv"),
        ("consent.csv", "consent.csv: it is no canonical table; name it after one of customers, "),
        ("consent.xlsx", "consent.xlsx: it is no canonical table; name it after one of customers, "),
        ("consents_1.csv", "consents_1.csv: it is no canonical table"),
        ("unsubscribed.csv", "unsubscribed.csv: it is no canonical table"),
        ("export.zip", "export.zip: it is no canonical table"),
        ("readme.csv", "readme.csv: it is no canonical table"),
        ("archive/consents.csv", "archive: it is no canonical table"),
        ("notes", "notes: it is no canonical table"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_stops_the_landing(shop, name, sentence):
    write(shop / name, WITHDRAWN)
    with pytest.raises(SourceError) as error:
        resolve_source("auto", shop)
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


def test_names_like_a_table_say_what_they_look_like(shop):
    for name, hint in (
        ("consent.csv", "(it looks like consents)"),
        ("orders_2.csv", "into a folder orders/)"),
    ):
        (shop / name).write_text(WITHDRAWN)
        with pytest.raises(SourceError) as error:
            resolve_source("auto", shop)
        assert hint in str(error.value)
        (shop / name).unlink()


@pytest.mark.parametrize(
    "name",
    ["README.md", "readme.txt", "LICENSE", ".DS_Store", "_SUCCESS", "orders.csv.crc", "Thumbs.db", ".orders.csv.swp"],
)  # fmt: skip
def test_what_explains_files_or_was_left_by_a_writer_is_no_data(shop, name):
    (shop / name).write_text("x")
    assert resolve_source("auto", shop).name == "canonical"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("consents.csv", "consents.csv.gz"), "consents.csv and consents.csv.gz: both hold the table consents"),
        (("Consents.CSV", "consents.csv"), "Consents.CSV and consents.csv: both hold the table consents"),
        (("consents.csv", "consents/part-0.csv"), "consents and consents.csv: both hold the table consents"),
    ],
)  # fmt: skip
def test_two_files_of_one_table(shop, names, sentence):
    for name in names:
        write(shop / name, gzip.compress(WITHDRAWN.encode(), mtime=0) if name.endswith("gz") else WITHDRAWN)
    with pytest.raises(SourceError, match=f"^{sentence}; keep one of them"):
        resolve_source("auto", shop)


def test_parts_of_a_table_are_read_in_the_order_of_their_names(con, shop):
    head, first, second = WITHDRAWN.splitlines(keepends=True)
    write(shop / "consents/part-1.csv", head + first)
    write(shop / "consents/part-0.csv.gz", gzip.compress((head + second).encode(), mtime=0))
    write(shop / "consents/_SUCCESS", "")
    source = resolve_source("auto", shop)
    result = land(con, source, "consents", shop)
    assert (result.rows, result.files) == (2, ("consents/part-0.csv.gz", "consents/part-1.csv"))
    assert con.execute("select customer_id from raw.consents").fetchall() == [("c36",), ("c34",)]


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (
            {"a.csv": WITHDRAWN, "b.csv": WITHDRAWN.replace("2025-06-01", "soon")},
            "consents/b.csv line 2: column 'effective_at' holds 'soon', which is not a time",
        ),
        ({"a.csv": WITHDRAWN, "b.jsonl": LINES}, "consents/a.csv and consents/b.jsonl: the parts of a table have"),
        ({"a.csv": WITHDRAWN, "b.xlsx": "x"}, "consents/b.xlsx: it is no part of a table; write parts as .csv, "),
        ({"a.json": "[]", "manifest.json": "{}"}, "consents/manifest.json: it is no part of a table"),
        ({".hidden": "x"}, "consents: the folder holds no file; put the table's parts there, or remove it."),
        ({"a.csv": WITHDRAWN, "b.csv": ""}, "consents/b.csv: the file is empty (0 bytes); export it again."),
    ],
)  # fmt: skip
def test_parts_that_are_not_alike(con, shop, parts, sentence):
    for name, content in parts.items():
        write(shop / "consents" / name, content)
    with pytest.raises(SourceError) as error:
        landed(con, shop)
    assert str(error.value).startswith(sentence)


def test_a_folder_among_the_parts_is_refused(con, shop):
    write(shop / "consents/part-0.csv", WITHDRAWN)
    (shop / "consents" / "_delta_log").mkdir()
    with pytest.raises(
        SourceError, match=r"^consents/_delta_log: a folder among the parts of a table is not read"
    ):
        landed(con, shop)


def test_parts_have_the_same_columns(con, shop):
    write(shop / "merchants/a.csv", "merchant_id,name,country\nm1,Ann's,DE\n")
    write(shop / "merchants/b.csv", "merchant_id,name\nm2,Bob's\n")
    with pytest.raises(SourceError) as error:
        land(con, resolve_source("auto", shop), "merchants", shop)
    assert str(error.value) == (
        "merchants/b.csv: column 'country' is missing, which merchants/a.csv has; write all parts of merchants "
        "with the same columns."
    )


def test_the_manifest_knows_parts_and_packed_files(con, shop):
    manifest = json.loads((shop / "manifest.json").read_text())
    write(shop / "consents/part-0.csv", WITHDRAWN)
    (shop / "manifest.json").write_text(json.dumps(manifest | {"consents/part-0.csv": {"rows": 3}}))
    with pytest.raises(SourceError, match=r"^consents/part-0.csv: it holds 2 rows, manifest.json says 3"):
        landed(con, shop)
    (shop / "manifest.json").write_text(json.dumps(manifest | {"consents/part-1.csv": {"rows": 2}}))
    with pytest.raises(SourceError, match=r"^consents/part-1.csv: manifest.json lists it but it is not in"):
        landed(con, shop)
    shutil.rmtree(shop / "consents")
    write(shop / "consents.csv.gz", gzip.compress(WITHDRAWN.encode(), mtime=0))
    (shop / "manifest.json").write_text(json.dumps(manifest | {"consents.csv.gz": {"rows": 2}}))
    assert len(landed(con, shop)) == 2


def test_a_file_that_comes_after_the_code_was_loaded_is_seen(con, shop):
    source = resolve_source("auto", shop)
    before = fingerprint(source, shop)
    assert land(con, source, "consents", shop).rows == 0
    write(shop / "consents/part-0.csv", WITHDRAWN)
    one = fingerprint(source, shop)
    assert land(con, source, "consents", shop).rows == 2
    write(shop / "consents/part-1.csv", WITHDRAWN.replace("c3", "c1"))
    assert len({before, one, fingerprint(source, shop)}) == 3
    assert land(con, source, "consents", shop).rows == 4
    (shop / "consents.xlsx").touch()
    with pytest.raises(SourceError, match=r"^consents.xlsx: it is not read under this name"):
        land(con, source, "consents", shop)


def test_a_file_that_goes_after_the_code_was_loaded_is_missing(con, shop):
    write(shop / "consents.csv", WITHDRAWN)
    source = resolve_source("auto", shop)
    (shop / "consents.csv").unlink()
    with pytest.raises(SourceError, match=r"^consents.csv: the file is missing in "):
        land(con, source, "consents", shop)


def test_a_shop_says_what_it_ignores(con, shop):
    toml = shop / "source.toml"
    (shop / "notes.pdf").touch()
    (shop / "old orders.csv").touch()
    toml.write_text('ignored_files = ["*.pdf", "old*"]')
    assert resolve_source("auto", shop).name == "canonical"
    # No pattern hides a table, and none is ignored by its name.
    toml.write_text('ignored_files = ["*"]')
    write(shop / "consents.csv", WITHDRAWN)
    assert len(landed(con, shop)) == 2
    toml.write_text('ignored_files = ["consents.csv", "*"]')
    with pytest.raises(
        SettingsError, match=r"^source.toml: ignored_files names consents.csv, which holds the table"
    ):
        resolve_source("auto", shop)
    (shop / "consents.csv").rename(shop / "consents.xlsx")
    toml.write_text('ignored_files = ["*"]')
    with pytest.raises(SourceError, match=r"^consents.xlsx: it is not read under this name"):
        resolve_source("auto", shop)
    toml.write_text('ignored_files = ["*", "consents.xlsx"]')
    assert resolve_source("auto", shop).name == "canonical"


def test_a_table_may_have_columns_that_nobody_reads(con, shop):
    write(
        shop / "consents.csv",
        "Customer_ID,customer_id,state,note,note,effective_at,\nx,c34,erased,,,2025-06-01,\n",
    )
    with pytest.raises(SourceError, match=r"^consents.csv line 1: column 'Customer_ID' is not declared"):
        landed(con, shop)
    (shop / "source.toml").write_text('[ignored_columns]\nconsents = ["*"]\n')
    assert landed(con, shop) == [("c34", "erased")]
    (shop / "source.toml").write_text('[ignored_columns]\nconsent = ["*"]\n')
    with pytest.raises(SettingsError, match=r"^source.toml: ignored_columns"):
        resolve_source("auto", shop)


@pytest.mark.parametrize("column", ["channel", "Kanal", "consent_channel", "newsletter_topic", "list_id"])
def test_a_column_that_tells_channels_apart_is_not_ignored(con, shop, column):
    """c36 unsubscribed from email and subscribed to text messages; without the column they came back."""
    write(
        shop / "consents.csv",
        f"customer_id,state,effective_at,{column}\nc36,unsubscribed,2025-06-01,email\nc36,subscribed,2025-06-02,sms\n",
    )
    (shop / "source.toml").write_text('[ignored_columns]\nconsents = ["*"]\n')
    with pytest.raises(SourceError) as refused:
        landed(con, shop)
    assert str(refused.value) == (
        f"consents.csv line 1: column {column!r} tells which of several things a row is about, and consents are about "
        "email alone; export only the rows about email, and the column not."
    )


def test_a_link_to_nowhere_is_a_missing_file(con, shop):
    (shop / "consents.csv").symlink_to(shop / "nowhere.csv")
    with pytest.raises(SourceError, match=r"^consents.csv: the file is missing in "):
        landed(con, shop)


def test_every_table_of_the_shop_may_be_packed(con, shop):
    """All of the tiny shop's text files as gzip: the rows are the same."""
    plain = {name: land(con, resolve_source("auto", shop), name, shop).rows for name in RAW_TABLES}
    (shop / "manifest.json").unlink()
    for path in list(shop.iterdir()):
        if path.suffix in (".csv", ".json", ".jsonl"):
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
            path.unlink()
    assert {name: land(con, resolve_source("auto", shop), name, shop).rows for name in RAW_TABLES} == plain
