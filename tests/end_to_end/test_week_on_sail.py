"""The week built on Spark Connect is the week that DuckDB builds. The server is Sail, which needs no Java."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from helpers import shops
from helpers.equal_tables import count_rows, find_differences
from helpers.sail import start_sail
from helpers.servers import Server, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.own_week]


@pytest.fixture(scope="module")
def sail() -> Iterator[Server]:
    server = start_sail()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def home(sail: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny shop's first week, built on Sail, which lands the lines and works on blocks of customers, too."""
    home = tmp_path_factory.mktemp("sail") / "home"
    lake = home.parent / "lake"
    shop = lake / "shop"
    shutil.copytree(shops.TINY, shop)
    # The lines in two files of the lake, each of which a worker lands by itself.
    lines = shop / "order_items.parquet"
    (shop / "order_items").mkdir()
    with duckdb.connect() as connection:
        for number, which in enumerate(("limit 100", "offset 100")):
            part = shop / "order_items" / f"{number}.parquet"
            connection.execute(f"copy (from read_parquet('{lines}') {which}) to '{part}' (format parquet)")
    lines.unlink()
    ran = shops.run(home, shop, "2025-05-05", engine=sail.url, lake=lake, block_customers=20)
    assert ran.code == 0, ran.err
    return home


def test_workers_landed_the_lines(home: Path):
    with duckdb.connect(str(home / "weeks" / "2025-05-05" / "build.duckdb"), read_only=True) as connection:
        paths = connection.execute(
            "select path from lake.files where relation = 'raw.order_items' order by path"
        ).fetchall()
    assert [Path(path).name for (path,) in paths] == ["000000.parquet", "000001.parquet"]
    assert not list(home.parent.glob("lake/*/blocks/*"))


def test_every_published_table_is_equal(home: Path, earlier: shops.Home):
    snapshots = earlier.path / "published" / "recs.duckdb", home / "published" / "recs.duckdb"
    assert find_differences(*snapshots) == {}
    # Equal, and not for want of rows.
    assert count_rows(snapshots[1])["recs.email_recommendations"] > 100


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
