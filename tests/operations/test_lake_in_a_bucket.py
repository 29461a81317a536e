"""A lake that is a part of an object store, here moto's S3: it is read, written again and cleared as a folder is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from helpers.forgetting import WEEKS, deployment
from helpers.lake import list_lake, list_own_tables
from helpers.object_store import copy_shop_in_parts, make_bucket, start_s3
from recs_assets.engine.lake import Lake
from recs_assets.locations import fill_folder, list_files, locate, open_folder, read_text, write_whole_text
from recs_assets.operations.forget import ErasureError, forget
from recs_assets.operations.rollback import rollback
from recs_assets.schema import RAW_TABLES, SettingsError, WarehouseError
from recs_assets.settings import Settings
from recs_assets.shop import Shop
from recs_assets.sources import land_part, read_landed
from recs_assets.store.lake import read_files
from recs_assets.store.warehouse import Warehouse

pytestmark = pytest.mark.slow
NAMES = ("customer-a", "customer-b")


@pytest.fixture(scope="module")
def s3_server() -> Iterator[ThreadedMotoServer]:
    with start_s3() as server:
        yield server


@pytest.fixture
def bucket(
    s3_server: ThreadedMotoServer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> str:
    return f"s3://{make_bucket(s3_server, monkeypatch, request.node.nodeid)}"


def read_lake(warehouse: Warehouse) -> str:
    """Every value of every file of the lake."""
    text = ""
    for name in list_lake(warehouse):
        with (warehouse.lake / name).open("rb") as file:
            text += str(pq.read_table(file).to_pylist())
    return text


def find_times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix == ".duckdb"}


# One deployment for all of it: a lake in a store takes many requests.
def test_somebody_is_forgotten_and_weeks_go_back_and_end(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, warehouse = deployment(tmp_path / "home", NAMES, lake=f"{bucket}/recs")
    assert str(warehouse.lake).startswith(f"{bucket}/recs/recs_")
    assert list_own_tables(warehouse.snapshot_path) == ["files", "publish_log"]
    assert warehouse.ask("select customer_id from recs.customers order by 1")[1] == [
        (name,) for name in NAMES
    ]
    assert "customer-a" in read_lake(warehouse)
    before, versions = list_lake(warehouse), find_times(tmp_path)

    # Nothing is touched while files are away.
    refused = rf"reads files that are not there \({bucket}/recs/recs_.*, so nothing was touched"
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        type(warehouse.lake.fs).clear_instance_cache()
        away = Warehouse(tmp_path / "home")
        with pytest.raises(WarehouseError, match=refused):
            forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
        assert away.drop_unnamed_files() == []
        with pytest.raises(WarehouseError, match=r"recs\.duckdb reads files that are not there"):
            away.ask("from recs.customers")
    type(warehouse.lake.fs).clear_instance_cache()
    lost = next(
        warehouse.lake / name for name in before if re.search(r"2024-03-11/1-\w+/made/recs.customers/", name)
    )
    content = lost.read_bytes()
    lost.unlink()
    with pytest.raises(WarehouseError, match=refused):
        forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    lost.write_bytes(content)
    assert list_lake(warehouse) == before
    assert find_times(tmp_path) == versions

    done = forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    assert done.weeks == tuple(WEEKS)
    text = read_lake(warehouse)
    assert "customer-a" not in text
    assert "customer-b" in text
    assert {name.split("/")[-2] for name in list_lake(warehouse)} == {
        "recs.customer_embeddings", "recs.customer_recommendations", "recs.customers", "recs.product_embeddings",
        "recs.quarantine",
    }  # fmt: skip
    assert rollback(settings, "1.2.3").startswith("Back to week 2024-03-04: ")
    # A reader without the setting finds the lake by what the home knows.
    reader = Warehouse(tmp_path / "home")
    assert reader.ask("select distinct customer_id from recs.customer_recommendations")[1] == [
        ("customer-b",)
    ]
    with pytest.raises(WarehouseError, match="file system operations are disabled"):
        reader.ask(f"from read_parquet('{bucket}/other.parquet')")
    # What no version names any more goes.
    for version in warehouse.snapshots.versions():
        version.path.unlink()
    warehouse.drop_unnamed_files()
    assert list_files(locate(bucket)) == []


def test_files_that_a_version_reads_stay_where_rows_of_others_name_her(tmp_path: Path, bucket: str) -> None:
    settings, warehouse = deployment(
        tmp_path / "home",
        NAMES,
        lake=f"{bucket}/recs",
        change="update recs.customer_recommendations set reason_text = 'as customer-a said' where customer_id = 'customer-b'",
    )
    for _ in range(2):
        with pytest.raises(ErasureError, match="which hold everybody: take the customer out of"):
            forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
        assert warehouse.ask("select distinct customer_id from recs.customer_recommendations")[1] == [
            ("customer-b",)
        ]


def test_a_store_that_cannot_be_used_is_a_sentence(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(lake: str) -> str:
        with pytest.raises((WarehouseError, SettingsError)) as raised:
            Warehouse(tmp_path / "home", lake=lake).require_lake()
        type(locate(bucket).fs).clear_instance_cache()
        return re.sub("recs_[0-9a-f]+", "recs_1", str(raised.value))

    Warehouse(tmp_path / "home", lake=f"{bucket}/recs").require_lake()
    assert list_files(locate(bucket)) == []
    assert refuse("s3://no-such-bucket/recs") == (
        "The lake s3://no-such-bucket/recs/recs_1 cannot be used: there is no such bucket; make it, or name another "
        "(RECS_LAKE)."
    )
    assert (
        refuse("nosuch://x")
        == "RECS_LAKE nosuch://x: nosuch:// is unknown; use s3://, gs://, az:// or a folder."
    )
    assert refuse("gs://bucket/recs") == (
        "RECS_LAKE gs://bucket/recs: what reads such a store is not installed; run pip install gcsfs."
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert refuse(f"{bucket}/recs") == (
        f"The lake {bucket}/recs/recs_1 cannot be used: the store cannot be reached or refuses (EndpointConnectionError); "
        "look at AWS_ENDPOINT_URL and the network (RECS_LAKE)."
    )


def test_parts_in_the_bucket_land_as_those_of_a_folder(tmp_path: Path, bucket: str) -> None:
    shop, lake = tmp_path / "shop", locate(f"{bucket}/recs")
    copy_shop_in_parts(shop, lake / "shop")
    table, landed = RAW_TABLES["order_items"], []
    for data, shared in ((shop, shop), (f"{bucket}/recs/shop", lake)):
        settings = Settings(home=tmp_path / "home", data=data, source="canonical", lake=str(shared))
        here = Shop.from_settings(settings)
        with here.warehouse().scratch() as connection:
            parts = here.find_parts(connection, table, shared)
            assert parts is not None
            targets = [shared / "landed" / f"{number}.parquet" for number in (0, 1)]
            for number, target in enumerate(targets):
                land_part(parts, number, target)
            landed.append(connection.execute(f"from {read_files(targets)} order by file_row").fetchall())
            assert sum(len(frame) for target in targets for frame in read_landed(target, 1000)) == len(
                landed[0]
            )
    assert len(landed[0]) > 100
    assert landed[0] == landed[1]


def test_a_folder_is_there_in_whole_or_not_at_all(tmp_path: Path, bucket: str) -> None:
    place = locate(f"{bucket}/recs/results/1")

    def end_half_way() -> None:
        with fill_folder(place, tmp_path) as folder:
            (folder / "half").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        end_half_way()
    assert list_files(locate(bucket)) == []
    with fill_folder(place, tmp_path) as folder:
        (folder / "a" / "b").mkdir(parents=True)
        (folder / "a" / "b" / "c.txt").write_text("whole")
    with open_folder(place, tmp_path) as folder:
        assert [path.relative_to(folder).as_posix() for path in list_files(folder)] == ["a/b/c.txt"]
        assert (folder / "a" / "b" / "c.txt").read_text() == "whole"
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_refuses_in_the_middle_of_a_week_is_a_sentence(bucket: str) -> None:
    place = locate(f"{bucket}-gone/recs/1")
    sentence = r"^The lake s3://test-\d+-gone/recs/1.* cannot be used: there is no such bucket; make it, or name another \(RECS_LAKE\)\.$"
    for use in (
        lambda: Lake(place).give({}, []),
        lambda: Lake(place).given,
        lambda: read_text(place / "job.json"),
        lambda: write_whole_text(place / "job.json", "{}"),
    ):
        with pytest.raises(WarehouseError, match=sentence):
            use()
