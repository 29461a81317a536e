"""Purging one customer of weeks that an engine made: their rows lie in the Parquet files of the lake."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.forgetting import WEEKS, deployment
from helpers.lake import list_lake, move_to_lake
from recs_assets.operations.forget import forget
from recs_assets.operations.rollback import rollback
from recs_assets.schema import WarehouseError
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
    file = proof["files"]["weeks/2024-03-11/1/made/recs.customers/0.parquet"]
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
    whole = next(warehouse.lake.glob("weeks/*/1/made/raw.customers/*")).read_bytes()
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


@pytest.mark.parametrize("away", ["", "weeks/2024-03-11/1/made/raw.customers/0.parquet"])
def test_nothing_is_touched_while_files_of_the_lake_are_away(tmp_path: Path, away: str) -> None:
    settings, warehouse = deployment(tmp_path / "home", NAMES, lake=tmp_path / "lake")
    left = warehouse.prepare_lake(warehouse.build(WEEKS[1])) / "part-0.parquet"
    left.write_bytes(b"PAR1 half")
    moved = warehouse.lake / away if away else tmp_path / "lake"
    moved.rename(tmp_path / "elsewhere")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(WarehouseError) as caught:
        forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    reader = tmp_path / "home" / "published" if not away else tmp_path / "home" / "weeks"
    said = str(caught.value)
    assert said.startswith(str(reader))
    assert (
        f".duckdb reads files that are not there ({moved}), and they may hold the customer, so nothing was touched: make "
        "RECS_LAKE's folder available under the path that it had when the week was built, then forget the customer again."
    ) in said
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert {path: time for path, time in after.items() if path.name != "writer.lock"} == before
    (tmp_path / "elsewhere").rename(moved)
    forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    assert "customer-a" not in read_lake(warehouse)
    assert not left.exists()
