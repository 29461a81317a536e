"""The week built on Spark Connect is the week that DuckDB builds. The server is Sail, which needs no Java.

The first week's lake is a bucket, in which the shop's files lie, too; the second one's a folder.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from upath import UPath

from helpers import shops
from helpers.equal_tables import count_rows, find_differences
from helpers.object_store import copy_shop_in_parts, make_bucket, start_s3
from helpers.sail import start_sail
from helpers.servers import Server, wait_until
from recs_assets.locations import list_files

pytestmark = [pytest.mark.slow, pytest.mark.own_week]


@pytest.fixture(scope="module")
def lake() -> Iterator[UPath]:
    """In a bucket of moto's S3, which this process's children find by what is in the environment."""
    with start_s3() as server, pytest.MonkeyPatch.context() as patch:
        bucket = make_bucket(server, patch, __name__)
        patch.setenv("AWS_ALLOW_HTTP", "true")  # Sail
        yield UPath(f"s3://{bucket}/recs", use_listings_cache=False)


@pytest.fixture(scope="module")
def sail(lake: UPath) -> Iterator[Server]:
    server = start_sail()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def home(sail: Server, lake: UPath, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny shop's first week, built on Sail, which lands the lines and works on blocks of customers, too."""
    home = tmp_path_factory.mktemp("sail") / "home"
    copy_shop_in_parts(home.parent / "shop", lake / "shop")
    ran = shops.run(home, lake / "shop", "2025-05-05", engine=sail.url, lake=lake, block_customers=20)
    assert ran.code == 0, ran.err
    return home


def test_workers_landed_the_lines(home: Path, lake: UPath):
    with duckdb.connect(str(home / "weeks" / "2025-05-05" / "build.duckdb"), read_only=True) as connection:
        paths = connection.execute(
            "select path from lake.files where relation = 'raw.order_items' order by path"
        ).fetchall()
    assert [path.rpartition("/")[2] for (path,) in paths] == ["000000.parquet", "000001.parquet"]
    assert all(path.startswith(f"{lake}/recs_") for (path,) in paths)
    assert not [path for path in list_files(lake) if "blocks" in path.parts]


def test_every_published_table_is_equal(home: Path, lake: UPath, earlier: shops.Home):
    snapshots = earlier.path / "published" / "recs.duckdb", home / "published" / "recs.duckdb"
    assert find_differences(*snapshots, stores=[lake]) == {}
    # Equal, and not for want of rows.
    assert count_rows(snapshots[1], stores=[lake])["recs.email_recommendations"] > 100


def test_a_week_whose_engine_ends_fails_in_a_sentence_and_leaves_the_published_one(home: Path, sail: Server):
    before = (home / "published" / "recs.duckdb").resolve()
    process = shops.start(home, shops.TINY, "2025-06-30", engine=sail.url)
    wait_until(lambda: next(home.glob("lake/weeks/2025-06-30/*/made/*.*/*.parquet")), 900)
    sail.kill()
    ran = shops.finish(process)
    assert ran.code != 0
    [error] = [line for line in (ran.out + ran.err).splitlines() if line.startswith("Error: ")]
    assert error.startswith(
        f"Error: prepare_features: dbt stopped: No Spark Connect server answers at 127.0.0.1:{sail.port} ("
    )
    assert (home / "published" / "recs.duckdb").resolve() == before
    # What the engine read and wrote holds names and addresses.
    assert not list(home.glob("lake/weeks/2025-06-30/*"))
    for path in (home / "logs").iterdir():
        assert "secret-of-the-engine" not in path.read_text("utf-8")


def test_without_an_engine_nothing_of_it_is_imported():
    code = (
        "import sys, recs_assets.definitions\n"
        "print({'pyspark', 'pysail', 'dbt.adapters.spark', 'recs_assets.engine'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
