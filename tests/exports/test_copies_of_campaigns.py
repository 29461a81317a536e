"""Copies of a campaign's files: in object storage, of a real server of moto's, and as rows in SQLite and Postgres."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime

import fsspec
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.email import AS_OF, MUG, TEA, make_row, make_table, write_files
from helpers.object_store import make_bucket, start_s3
from recs_assets.exports import email_files
from recs_assets.exports.email_files import write_predictions
from recs_assets.exports.rows import ExportError
from recs_assets.exports.sql_table import copy_rows
from recs_assets.exports.stored_files import copy_files
from recs_assets.schema import SettingsError
from recs_assets.settings import Settings

CAMPAIGN = "weekly_email"


@pytest.fixture(scope="module")
def s3_server():
    with start_s3() as server:
        yield server


@pytest.fixture(params=["s3", "file"])
def url(request, s3_server, monkeypatch, tmp_path):
    """Where copies go: a bucket of the test's own, or a folder."""
    if request.param == "file":
        return f"file://{tmp_path}/store"
    return f"s3://{make_bucket(s3_server, monkeypatch, request.node.nodeid)}/recs"


def read(url: str) -> tuple[dict, dict[str, bytes]]:
    """What a reader gets: the pointer, and every object below the campaign."""
    store, top = fsspec.core.url_to_fs(url)
    store.invalidate_cache()
    top = f"{store._strip_protocol(top)}/{CAMPAIGN}"
    found = {path.removeprefix(f"{top}/"): store.cat_file(path) for path in store.find(top)}
    return json.loads(found["current.json"]), found


def test_the_current_version_is_copied_and_named_last(url, tmp_path):
    folder = tmp_path / CAMPAIGN
    manifest = write_files(folder, exports=["long", "feed", "addresses", "klaviyo"])
    copied = copy_files(folder, url)
    pointer, found = read(url)
    names = {name for name in manifest["files"] if not name.startswith("restricted/")}
    assert set(found) == {
        "current.json",
        *(f"versions/2025-06-30-r1/{name}" for name in (*names, "manifest.json")),
    }
    assert (pointer["version"], pointer["folder"]) == ("2025-06-30-r1", "versions/2025-06-30-r1")
    assert set(pointer["files"]) == names, "addresses stay here"
    assert not [name for name, text in found.items() if b"@example.com" in text]
    for name in names:
        assert found[f"versions/2025-06-30-r1/{name}"] == (folder / "current" / name).read_bytes()
    assert copied == {
        "version": "2025-06-30-r1",
        "files": len(names),
        "bytes": sum(manifest["files"][name]["bytes"] for name in names),
    }
    assert copy_files(folder, url) == {"version": "2025-06-30-r1", "files": 0, "bytes": 0}


def test_versions_that_are_kept_here_no_more_go_there(url, tmp_path):
    folder = tmp_path / CAMPAIGN
    for run in ("r1", "r2", "r3"):
        write_files(folder, make_table(make_row(run_id=run)), run_id=run, exports=["long"], keep=2)
        copy_files(folder, url)
    pointer, found = read(url)
    assert pointer["version"] == "2025-06-30-r3"
    assert {name.split("/")[1] for name in found if "/" in name} == {"2025-06-30-r2", "2025-06-30-r3"}
    # Somebody is forgotten: the versions that held them have other names now.
    assert len(email_files.purge(folder, "c1")) == 2
    copy_files(folder, url)
    _, found = read(url)
    assert {name.split("/")[1] for name in found if "/" in name} == {"2025-06-30-r3-2"}
    assert not [name for name, text in found.items() if b'"c1"' in text]


def test_where_nothing_is_current_nothing_is_named(url, tmp_path):
    folder = tmp_path / CAMPAIGN
    write_files(folder, exports=["long"])
    copy_files(folder, url)
    (folder / "current").unlink()
    assert copy_files(folder, url) == {"version": None, "files": 0, "bytes": 0}
    store, top = fsspec.core.url_to_fs(url)
    store.invalidate_cache()
    assert not store.exists(f"{top}/{CAMPAIGN}/current.json")
    assert store.exists(f"{top}/{CAMPAIGN}/versions/2025-06-30-r1/long.csv")


def test_a_copy_that_is_cut_off_changes_nothing_for_readers(tmp_path, monkeypatch):
    folder, url = tmp_path / CAMPAIGN, f"file://{tmp_path}/store"
    write_files(folder, exports=["long"])
    copy_files(folder, url)
    before, _ = read(url)
    write_files(folder, make_table(make_row(run_id="r2")), run_id="r2", exports=["long"])
    place = tmp_path / "store" / CAMPAIGN / "versions" / "2025-06-30-r2"
    place.mkdir()
    (place / "long.csv").mkdir()  # there, a file cannot be written
    with pytest.raises(
        ExportError, match=r"^RECS_EXPORT_STORAGE file://.* Readers keep the version they had\.$"
    ):
        copy_files(folder, url)
    assert read(url)[0] == before
    (place / "long.csv").rmdir()
    copy_files(folder, url)
    assert read(url)[0]["version"] == "2025-06-30-r2"


def test_a_bucket_that_is_not_there(url, tmp_path):
    if url.startswith("file"):
        pytest.skip("a folder is made")
    folder = tmp_path / CAMPAIGN
    write_files(folder, exports=["long"])
    with pytest.raises(
        ExportError, match=r"^RECS_EXPORT_STORAGE s3://none-such/x: .*there is no such bucket"
    ):
        copy_files(folder, "s3://none-such/x")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("exports", "it is no address of object storage"),
        ("s3://me:secret@bucket", "may hold no user or password"),
    ],
)
def test_where_copies_may_go(value, said):
    with pytest.raises(SettingsError, match=said):
        Settings(export_storage=value)


# -- rows in a database --------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/rows.db"
    server = request.getfixturevalue("postgres_server")
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("drop database if exists copies")
        connection.execute("create database copies")
    return f"{server.url.rpartition('/')[0]}/copies"


def ask(database: str, query: str) -> list[tuple]:
    if database.startswith("sqlite"):
        with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
            return connection.execute(query).fetchall()
    with psycopg.connect(database) as connection:
        return connection.execute(query).fetchall()


def test_rows_of_campaigns_are_in_a_database(database, tmp_path):
    folder, other = tmp_path / CAMPAIGN, tmp_path / "win_back"
    write_files(folder, exports=["long"])
    assert copy_rows(folder, database) == {"version": "2025-06-30-r1", "rows": 3}
    write_files(other, make_table(make_row("c9", campaign="win_back")), exports=["long"])
    assert copy_rows(other, database) == {"version": "2025-06-30-r1", "rows": 1}
    query = "select campaign, customer_id, slot, product_id, price, bought_before from email_recommendations order by 1, 2, 3"
    assert ask(database, query) == [
        (CAMPAIGN, "c1", 1, "tea-01", 6.5, False),
        (CAMPAIGN, "c1", 2, "mug-01", 12.9, False),
        (CAMPAIGN, "c2", 1, "mug-01", 12.9, False),
        ("win_back", "c9", 1, "tea-01", 6.5, False),
    ]
    assert ask(database, "select title, margin from email_recommendations where customer_id = 'c2'") == [
        ('Mug "Big" 🍵', None)
    ]
    [(sent, because)] = ask(
        database, "select distinct send_at, because_at from email_recommendations where campaign = 'win_back'"
    )
    if database.startswith("sqlite"):
        assert (sent, because) == ("2025-06-30 04:00:00.000000", "2025-06-28")
    else:
        assert (sent, because) == (datetime(2025, 6, 30, 4, tzinfo=UTC), date(2025, 6, 28))
    # A new version takes the place of the old one, and of that campaign's rows alone.
    write_files(folder, make_table(make_row("c7", 1, MUG, run_id="r2")), run_id="r2", exports=["long"])
    assert copy_rows(folder, database)["rows"] == 1
    assert ask(database, "select customer_id from email_recommendations order by 1") == [("c7",), ("c9",)]
    assert ask(database, "select campaign, version, row_count from campaign_versions order by 1") == [
        (CAMPAIGN, "2025-06-30-r2", 1),
        ("win_back", "2025-06-30-r1", 1),
    ]


def test_nothing_current_is_no_row(database, tmp_path):
    folder = tmp_path / CAMPAIGN
    write_files(folder, exports=["long"])
    copy_rows(folder, database)
    (folder / "current").unlink()
    assert copy_rows(folder, database) == {"version": None, "rows": 0}
    assert ask(database, "select count(*) from email_recommendations") == [(0,)]
    assert ask(database, "select count(*) from campaign_versions") == [(0,)]


def test_a_version_that_is_there_is_not_written_again(database, tmp_path):
    folder = tmp_path / CAMPAIGN
    write_files(folder, exports=["long"])
    copy_rows(folder, database)
    (folder / "current/long.parquet").write_bytes(b"not read")
    assert copy_rows(folder, database) == {"version": "2025-06-30-r1", "rows": 3}


def test_a_copy_that_fails_leaves_the_rows(database, tmp_path):
    folder = tmp_path / CAMPAIGN
    write_files(folder, exports=["long"])
    copy_rows(folder, database)
    before = ask(database, "select customer_id, slot from email_recommendations order by 1, 2")
    write_files(folder, make_table(make_row("c7", run_id="r2")), run_id="r2", exports=["long"])
    path = folder / "current/long.parquet"
    rows = pq.read_table(path)
    double = pa.concat_tables([rows, rows.set_column(0, "campaign", pa.array(["other"]))])
    pq.write_table(double, path)
    with pytest.raises(ExportError, match=r"holds 1 rows of weekly_email and not 2; nothing was changed"):
        copy_rows(folder, database)
    assert ask(database, "select customer_id, slot from email_recommendations order by 1, 2") == before
    assert ask(database, "select version from campaign_versions") == [("2025-06-30-r1",)]


def test_a_column_that_a_table_lacks_is_added(database, tmp_path):
    folder = tmp_path / CAMPAIGN
    write_files(folder, exports=["long"])
    path = folder / "current/long.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["propensity", "because_at"]), path)
    copy_rows(folder, database)
    write_files(folder, make_table(make_row("c7", 1, TEA, run_id="r2")), run_id="r2", exports=["long"])
    copy_rows(folder, database)
    assert ask(database, "select customer_id, propensity from email_recommendations") == [("c7", 1.0)]


def test_predictions_have_a_table_of_their_own(database, tmp_path):
    folder = tmp_path / "category_affinity"
    rows = pa.table(
        {
            "campaign": ["category_affinity"] * 2,
            "as_of": [AS_OF] * 2,
            "customer_id": ["c1", "c2"],
            "probability": [0.25, None],
        }
    )
    write_predictions(folder, rows, as_of=AS_OF, run_id="r1")
    assert copy_rows(folder, database)["rows"] == 2
    assert ask(database, "select customer_id, probability from campaign_predictions order by 1") == [
        ("c1", 0.25),
        ("c2", None),
    ]


def test_whoever_was_forgotten_goes_with_the_next_copy(database, tmp_path):
    folder = tmp_path / CAMPAIGN
    write_files(folder, exports=["long"])
    copy_rows(folder, database)
    email_files.purge(folder, "c1")
    copy_rows(folder, database)
    assert ask(database, "select distinct customer_id from email_recommendations") == [("c2",)]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:s3cret@127.0.0.1:1/x", r"the database at 127.0.0.1 refused or went away \(OperationalError\)"),
        ("nosuch://x", "SQLAlchemy knows no such database"),
        ("s3cret", "is no address of a database"),
        ("oracle+oracledb://me:s3cret@db.example/x", "the driver oracledb is not installed"),
        ("sqlite:////no/such/folder/s3cret.db", r"the database at sqlite refused or went away \(OperationalError\)"),
    ],
)  # fmt: skip
def test_no_error_names_a_password(tmp_path, url, said):
    write_files(tmp_path / CAMPAIGN, exports=["long"])
    with pytest.raises(ExportError, match=f"^RECS_EXPORT_DATABASE:? ?.*{said}") as raised:
        copy_rows(tmp_path / CAMPAIGN, url)
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None
