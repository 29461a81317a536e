"""Files in object storage, of a real server of moto's and of fsspec's memory."""

from __future__ import annotations

from pathlib import Path

import duckdb
import fsspec
import pytest

from helpers.object_store import make_bucket, start_s3
from helpers.sources import CUSTOMERS, ITEMS, ORDERS, PRODUCTS, Gone
from recs_assets.schema import RAW_TABLES, SettingsError, SourceError
from recs_assets.settings import Settings
from recs_assets.shop import Shop, open_source
from recs_assets.sources import Mirror, fingerprint, land, object_storage

FILES = {
    "customers.csv": CUSTOMERS,
    "products.jsonl": PRODUCTS,
    "orders/1.csv": ORDERS,
    "order_items.csv": ITEMS,
}


@pytest.fixture(scope="module")
def s3_server():
    with start_s3() as server:
        yield server


@pytest.fixture
def store(request, s3_server, monkeypatch, tmp_path):
    """A bucket of the test's own with the smallest shop: the URL, and what writes and removes files there."""
    bucket = make_bucket(s3_server, monkeypatch, request.node.nodeid)
    fs = fsspec.filesystem("s3", skip_instance_cache=True)
    write = lambda name, text: fs.pipe(f"{bucket}/export/{name}", text.encode())  # noqa: E731
    for name, text in FILES.items():
        write(name, text)
    fsspec.filesystem("s3").clear_instance_cache()
    return f"s3://{bucket}/export", write, lambda name: fs.rm(f"{bucket}/export/{name}")


def open_shop(url: str, home: Path) -> Shop:
    return Shop.from_settings(Settings(data=url, home=home))


def rows(shop: Shop, table: str) -> list[tuple]:
    with duckdb.connect() as con:
        shop.land(con, table)
        return con.execute(f'select * from raw."{table}"').fetchall()


def test_a_bucket_is_read_like_a_folder(store, tmp_path):
    url, write, _ = store
    write("README.md", "about these files")
    write("orders/2.csv", ORDERS.replace("o1", "o2"))
    shop = open_shop(url, tmp_path / "home")
    assert shop.source.name == "canonical"
    landed = {table: len(rows(shop, table)) for table in RAW_TABLES}
    assert {table: count for table, count in landed.items() if count} == {
        "customers": 1, "products": 1, "orders": 2, "order_items": 1,
    }  # fmt: skip
    assert shop.find_newest_week().isoformat() == "2024-04-29"
    write("consent.csv", "customer_id\n")
    with pytest.raises(SourceError, match=r"^consent.csv: it is no canonical table"):
        rows(shop, "consents")


def test_a_file_is_fetched_when_it_is_read_and_again_when_it_changed(store, tmp_path, monkeypatch):
    url, write, remove = store
    fetched = []
    fetch = Mirror.fetch
    monkeypatch.setattr(Mirror, "fetch", lambda self, names: fetch(self, note(names)))

    def note(names):
        state = mirror._read_state()
        names = list(names)
        fetched.extend(name for name in names if name not in state)
        return names

    mirror = Mirror(url, tmp_path / "home" / "landed")
    shop = open_shop(url, tmp_path / "home")
    assert fetched == []
    before = fingerprint(shop.source, shop.data_dir)
    rows(shop, "orders")
    rows(shop, "orders")
    assert fetched == ["orders/1.csv"]
    assert fingerprint(shop.source, shop.data_dir) == before
    write("orders/1.csv", ORDERS.replace("o1", "o7"))  # of the same size
    assert rows(shop, "orders")[0][0] == "o7"
    assert fetched == ["orders/1.csv"] * 2
    write("orders/2.csv", ORDERS)
    assert fingerprint(shop.source, shop.data_dir) != before
    remove("orders/1.csv")
    assert [row[0] for row in rows(shop, "orders")] == ["o1"]
    assert not (shop.data_dir / "orders" / "1.csv").exists()


def test_somebody_forgotten_is_in_no_file_of_the_home(store, tmp_path):
    url, write, _ = store
    write("customers.csv", f"{CUSTOMERS}c2,2024-01-01,true\n")
    home = tmp_path / "home"
    shop = open_shop(url, home)
    rows(shop, "customers")
    assert (shop.data_dir / "customers.csv").read_text().endswith("c2,2024-01-01,true\n")
    before = fingerprint(shop.source, shop.data_dir)
    with duckdb.connect() as con:
        assert land(con, shop.source, "customers", shop.data_dir, erased=Gone("c2")).rows == 1
        assert not (shop.data_dir / "customers.csv").exists()
        assert land(con, shop.source, "orders", shop.data_dir, erased=Gone("c2")).rows == 1
    assert fingerprint(shop.source, shop.data_dir) == before
    held = [path for path in home.rglob("*") if path.is_file() and b"c2" in path.read_bytes()]
    assert held == []


def test_a_store_that_is_down_does_not_keep_the_code_from_loading(store, tmp_path, monkeypatch):
    url, *_ = store
    with pytest.raises(SourceError) as error:
        open_shop(f"{url}-nosuch", tmp_path / "other")
    assert (
        str(error.value)
        == f"{url}-nosuch: there is no file; correct RECS_DATA, or put the shop's files there."
    )
    open_shop(url, tmp_path / "home")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    fsspec.filesystem("s3").clear_instance_cache()
    shop = open_shop(url, tmp_path / "home")
    with pytest.raises(SourceError) as error:
        rows(shop, "orders")
    assert str(error.value) == (
        f"{url}: the store cannot be reached or refuses (EndpointConnectionError); look at AWS_ENDPOINT_URL and the network."
    )


def test_missing_buckets_and_credentials(store, tmp_path, monkeypatch):
    url, *_ = store
    with pytest.raises(SourceError) as error:
        open_shop("s3://nosuch-bucket/export", tmp_path)
    assert str(error.value) == (
        "s3://nosuch-bucket/export: there is no such bucket or folder; correct RECS_DATA."
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    fsspec.filesystem("s3").clear_instance_cache()
    with pytest.raises(SettingsError) as refused:
        open_shop(url, tmp_path)
    assert str(refused.value) == (
        f"{url}: there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what the store's own tools read."
    )


def test_a_file_that_vanishes_or_comes_short(store, tmp_path, monkeypatch):
    url, write, remove = store
    shop = open_shop(url, tmp_path / "home")
    rows(shop, "customers")
    write("customers.csv", CUSTOMERS.replace("c1", "c9"))
    shop.source.mirror.refresh()
    remove("customers.csv")
    with pytest.raises(SourceError) as error:
        shop.source.mirror.fetch(["customers.csv"])
    assert str(error.value) == (
        f"customers.csv: {url} lists it no more: it was removed while it was read; run the week again."
    )
    with pytest.raises(
        SourceError, match=r"^customers.csv \(or .parquet, .json, .jsonl, .ndjson\): this required|is missing"
    ):
        rows(shop, "customers")


def test_a_download_that_comes_short(tmp_path, monkeypatch):
    memory = fsspec.filesystem("memory")
    for name, text in FILES.items():
        memory.pipe(f"/short/export/{name}", text.encode())
    shop = open_shop("memory://short/export", tmp_path)
    whole = type(memory).info
    monkeypatch.setattr(
        type(memory), "info", lambda self, path, **more: {**whole(self, path, **more), "size": 99}
    )
    with pytest.raises(SourceError) as error:
        rows(shop, "customers")
    assert str(error.value) == (
        f"customers.csv: {len(CUSTOMERS)} of its 99 bytes came from memory://short/export; the file was cut off on its way or "
        "is being written, run the week again."
    )
    monkeypatch.undo()
    assert rows(shop, "customers")[0][0] == "c1"


def test_other_stores(tmp_path, monkeypatch):
    memory = fsspec.filesystem("memory")
    for name, text in FILES.items():
        memory.pipe(f"/shop/export/{name}", text.encode())
    folder = tmp_path / "files"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for place, url in enumerate(("memory://shop/export", f"file://{folder}")):
        assert rows(open_shop(url, tmp_path / str(place)), "orders")[0][0] == "o1"
    with pytest.raises(SettingsError) as error:
        open_source(Settings(data="nosuch://x/y", home=tmp_path))
    assert (
        str(error.value)
        == "RECS_DATA nosuch://x/y: nosuch:// is unknown; use s3://, gs://, az:// or a folder."
    )
    with pytest.raises(SettingsError) as error:
        open_source(Settings(data="gs://x/y", home=tmp_path))
    assert str(error.value) == (
        "RECS_DATA gs://x/y: what reads such a store is not installed; run pip install gcsfs."
    )
    with pytest.raises(SettingsError, match=r"^RECS_DATA: an address in it may hold no user or password"):
        Settings(data="ftp://me:open-sesame@example.com/x")


def test_keys_that_are_no_paths_are_left_out():
    found = {
        name: {"type": "file"}
        for name in ("b/x/a.csv", "b/x/../c.csv", "b/x//d.csv", "b/x/e/", "b/x/.f", "b/x/g/h.csv")
    }
    assert list(object_storage._list_files(found, "b/x")) == ["a.csv", "g/h.csv"]
