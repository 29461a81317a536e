"""Purging one customer of weeks that an engine made: their rows lie in the Parquet files of the lake."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.forgetting import WEEKS, deployment
from helpers.lake import list_lake, move_to_lake
from recs_assets.operations.forget import ErasureError, forget
from recs_assets.operations.rollback import rollback
from recs_assets.schema import WarehouseError
from recs_assets.store.deployment import FILE
from recs_assets.store.snapshots import Snapshots
from recs_assets.store.warehouse import Warehouse

NAMES = ("customer-a", "customer-b")


def read_lake(warehouse: Warehouse) -> str:
    """Every value of every file of the lake."""
    return "".join(str(pq.read_table(warehouse.lake / name).to_pylist()) for name in list_lake(warehouse))


def test_every_file_is_written_again_without_her(tmp_path: Path) -> None:
    settings, warehouse = deployment(tmp_path / "home", NAMES, lake=tmp_path / "lake")
    assert not warehouse.lake.is_relative_to(tmp_path / "home")
    assert "customer-a" in read_lake(warehouse)
    done = forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")

    text = read_lake(warehouse)
    assert "customer-a" not in text
    assert "customer-b" in text
    # Both weeks' raw tables held her, and are made again by a run.
    assert done.weeks == tuple(WEEKS)
    assert {Path(name).parent.name for name in list_lake(warehouse)} == {
        "recs.customer_embeddings", "recs.customer_recommendations", "recs.customers", "recs.product_embeddings",
        "recs.quarantine",
    }  # fmt: skip
    for version in warehouse.snapshots.versions():
        with warehouse.open(version.path) as connection:
            assert connection.execute("select customer_id from recs.customers").fetchall() == [
                ("customer-b",)
            ]
            assert connection.execute("select row_key from recs.quarantine").fetchall() == [("o1|1",)]
            [log] = connection.execute(
                "select row_counts from recs.publish_log where action = 'forget'"
            ).fetchall()
            [(rows,)] = connection.execute("select count(*) from recs.customer_recommendations").fetchall()
            assert json.loads(log[0])["customer_recommendations"] == rows
    proof = json.loads(done.manifest.read_text())
    assert proof["matches_left"] == {}
    place = r"weeks/2024-03-11/1-\w+/made/recs.customers/0.parquet"
    [file] = [found for name, found in proof["files"].items() if re.fullmatch(place, name)]
    assert (file["found_before"] > 0, file["found_after"], file["became"]) == (True, 0, "deleted")
    assert "nothing was touched" in str(forget(settings, "customer-a", tmp_path / "dagster", "1.2.3"))
    assert rollback(settings, "1.2.3").startswith("Back to week 2024-03-04: ")


def test_files_that_do_not_hold_her_stay_as_they_are(tmp_path: Path) -> None:
    settings, warehouse = deployment(tmp_path / "home", NAMES, ("newcomer-1",), tmp_path / "lake")
    before = {name: (warehouse.lake / name).stat().st_mtime_ns for name in list_lake(warehouse)}
    done = forget(settings, "newcomer-1", tmp_path / "dagster", "1.2.3")
    assert done.weeks == (WEEKS[1],)
    after = {name: (warehouse.lake / name).stat().st_mtime_ns for name in list_lake(warehouse)}
    assert {name: time for name, time in before.items() if "2024-03-04" in name}.items() <= after.items()
    assert "newcomer-1" not in read_lake(warehouse)


@pytest.mark.parametrize("at", ["first version", "before the files go"])
def test_a_killed_one_ends_when_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    settings, warehouse = deployment(tmp_path / "home", NAMES, lake=tmp_path / "lake")
    with monkeypatch.context() as patch:
        if at == "first version":
            patch.setattr(Snapshots, "_switch", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        else:
            patch.setattr(
                Warehouse, "drop_unnamed_files", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
            )
        with pytest.raises(KeyboardInterrupt):
            forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    # Whoever reads meanwhile reads a whole version.
    with warehouse.snapshot() as connection:
        assert connection.execute("select count(*) from recs.customer_recommendations").fetchall()[0][0] in (
            2,
            4,
        )
    forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    assert "customer-a" not in read_lake(warehouse)
    with warehouse.snapshot() as connection:
        assert connection.execute(
            "select distinct customer_id from recs.customer_recommendations"
        ).fetchall() == [("customer-b",)]


def test_what_a_killed_build_left_in_the_lake_is_hers_too(tmp_path: Path) -> None:
    settings, warehouse = deployment(tmp_path / "home", NAMES, lake=tmp_path / "lake")
    left = warehouse.prepare_lake(warehouse.build(WEEKS[1])) / "made" / "marts.customers" / "part-0.parquet"
    left.parent.mkdir(parents=True)
    whole = next(warehouse.lake.glob("weeks/*/1-*/made/raw.customers/*")).read_bytes()
    left.write_bytes(whole)
    left.with_name("part-1.parquet").write_bytes(whole[: len(whole) // 2])
    forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    assert not left.parent.exists()


def test_visitors_of_a_week_in_the_lake_are_found_and_a_file_without_columns_is_passed_over(
    tmp_path: Path,
) -> None:
    settings, warehouse = deployment(tmp_path / "home", NAMES)
    with warehouse.build(WEEKS[1]).write() as connection:
        connection.execute(
            "create table raw.browsing_events as select 'v-of-a-1' as visitor_id, 'customer-a' as customer_id union all "
            "select 'v-of-a-1', null union all select 'v-of-b-1', 'customer-b'"
        )
    move_to_lake(warehouse, WEEKS[1])
    pq.write_table(pa.table({}), tmp_path / "home" / "weeks" / "2024-03-11" / "empty.parquet")
    done = forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    assert "visitor_id by the 1 visitors" in " ".join(
        json.loads(done.manifest.read_text())["how_it_was_searched"]
    )
    assert "v-of-a-1" not in read_lake(warehouse)


@pytest.mark.parametrize("away", ["", "weeks/2024-03-11/1-*/made/raw.customers/0.parquet"])
def test_nothing_is_touched_while_files_of_the_lake_are_away(tmp_path: Path, away: str) -> None:
    settings, warehouse = deployment(tmp_path / "home", NAMES, lake=tmp_path / "lake")
    left = warehouse.prepare_lake(warehouse.build(WEEKS[1])) / "part-0.parquet"
    left.write_bytes(b"PAR1 half")
    moved = next(warehouse.lake.glob(away)) if away else tmp_path / "lake"
    moved.rename(tmp_path / "elsewhere")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(WarehouseError) as caught:
        forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    said = str(caught.value)
    assert (
        f".duckdb reads files that are not there ({moved}), and they may hold the customer, so nothing was touched: make "
        "RECS_LAKE's folder available under the path that it had when the week was built, or, where it is gone for good, "
        "delete what reads it ("
    ) in said
    readers = re.findall(r"[^ (]+\.duckdb(?=[,)])", said)
    assert [Path(path).parent.name for path in readers] == (
        ["2024-03-11"] if away else ["published", "published", "2024-03-04", "2024-03-11"]
    )
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert {path: time for path, time in after.items() if path.name != "writer.lock"} == before
    (tmp_path / "elsewhere").rename(moved)
    forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    assert "customer-a" not in read_lake(warehouse)
    assert not left.exists()


def test_where_a_lake_is_gone_for_good_the_sentences_lead_out(tmp_path: Path) -> None:
    settings, warehouse = deployment(tmp_path / "home", NAMES, lake=tmp_path / "lake")
    shutil.rmtree(tmp_path / "lake")
    with pytest.raises(WarehouseError, match="gone for good, delete what reads it") as caught:
        forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    for path in re.findall(r"[^ (]+\.duckdb(?=[,)])", str(caught.value)):
        Path(path).unlink()
    with pytest.raises(ErasureError, match="where it is gone for good, take it out of"):
        forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    about = json.loads((warehouse.home / FILE).read_text())
    (warehouse.home / FILE).write_text(json.dumps(about | {"lakes": []}))
    forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    assert "customer-a" not in str(
        pq.read_table(warehouse.home / "cache/current/recommendations.parquet").to_pylist()
    )


def test_an_id_with_blanks_around_it_is_written_out_too(tmp_path: Path) -> None:
    settings, warehouse = deployment(
        tmp_path / "home", ("customer-a\u00a0", "customer-b"), lake=tmp_path / "lake"
    )
    forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    assert "customer-a" not in read_lake(warehouse)
    assert warehouse.ask("select customer_id from recs.customers")[1] == [("customer-b",)]


@pytest.mark.parametrize("in_lake", [False, True])
def test_tables_of_everybody_stay_where_rows_of_others_name_her(tmp_path: Path, in_lake: bool) -> None:
    settings, warehouse = deployment(
        tmp_path / "home",
        NAMES,
        lake=tmp_path / "lake" if in_lake else None,
        change="update recs.customer_recommendations set reason_text = 'as customer-a said' where customer_id = 'customer-b'",
    )
    for _ in range(2):
        with pytest.raises(ErasureError) as caught:
            forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
        assert re.search(
            r"is still in cache/.* published/analytics-2024-03-04.*, which hold everybody: take the customer out of what",
            str(caught.value),
        )
        assert warehouse.ask("select distinct customer_id, reason_text from recs.customer_recommendations")[
            1
        ] == [("customer-b", "as customer-a said")]
        assert warehouse.ask("select customer_id from recs.customers")[1] == [("customer-b",)]


@pytest.mark.parametrize("in_lake", [False, True])
def test_a_hash_that_has_her_digits_is_not_hers(tmp_path: Path, in_lake: bool) -> None:
    settings, _ = deployment(
        tmp_path / "home",
        ("123456", "customer-b"),
        lake=tmp_path / "lake" if in_lake else None,
        change="alter table recs.customer_recommendations add column recommendation_id varchar default '0f12345678abc0123456'",
    )
    assert forget(settings, "123456", tmp_path / "dagster", "1.2.3").weeks == tuple(WEEKS)


def test_a_copied_home_forgets_nobody_in_the_lake_of_the_first(tmp_path: Path) -> None:
    settings, warehouse = deployment(tmp_path / "home", NAMES, lake=tmp_path / "lake")
    shutil.copytree(tmp_path / "home", tmp_path / "copy", symlinks=True)
    copied = settings.model_copy(update={"home": tmp_path / "copy"})
    before = {name: (warehouse.lake / name).read_bytes() for name in list_lake(warehouse)}
    with pytest.raises(
        ErasureError,
        match="lies in no lake of this home and is read, so nothing was touched: where the home is a copy",
    ):
        forget(copied, "customer-a", tmp_path / "dagster", "1.2.3")
    assert {name: (warehouse.lake / name).read_bytes() for name in list_lake(warehouse)} == before
    assert warehouse.ask("select customer_id from recs.customers order by 1")[1] == [
        (name,) for name in NAMES
    ]

    lake = warehouse.lake
    # The same home at another place goes on as soon as its file says so.
    shutil.rmtree(tmp_path / "home")
    about = json.loads((tmp_path / "copy" / FILE).read_text())
    (tmp_path / "copy" / FILE).write_text(json.dumps(about | {"home": str(tmp_path / "copy"), "place": None}))
    forget(copied, "customer-a", tmp_path / "dagster", "1.2.3")
    moved = Warehouse(tmp_path / "copy", lake=tmp_path / "lake")
    assert moved.lake == lake
    assert "customer-a" not in read_lake(moved)
