"""Object storage on this machine: moto's S3, and a bucket with what its clients look for in the environment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import duckdb
import fsspec
import pytest
from moto.server import ThreadedMotoServer
from upath import UPath

from helpers import shops
from recs_assets.locations import list_files


@contextmanager
def start_s3() -> Iterator[ThreadedMotoServer]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        server.start()
        yield server
        server.stop()


def make_bucket(server: ThreadedMotoServer, monkeypatch: pytest.MonkeyPatch, test: str) -> str:
    """The name of a bucket of the test's own."""
    host, port = server.get_host_and_port()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "open")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    bucket = f"test-{abs(hash(test)) % 10**9}"
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir(bucket)
    fsspec.filesystem("s3").clear_instance_cache()
    return bucket


def copy_shop_in_parts(folder: Path, place: UPath) -> None:
    """Copy the tiny shop, its lines in two files, each of which a worker lands by itself, into a new folder and into a store."""
    shutil.copytree(shops.TINY, folder)
    lines = folder / "order_items.parquet"
    (folder / "order_items").mkdir()
    with duckdb.connect() as connection:
        for number, which in enumerate(("limit 100", "offset 100")):
            part = folder / "order_items" / f"{number}.parquet"
            connection.execute(f"copy (from read_parquet('{lines}') {which}) to '{part}' (format parquet)")
    lines.unlink()
    for path in list_files(folder):
        (place / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())
