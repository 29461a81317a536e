"""Going back to a version that was published before."""

from __future__ import annotations

import stat
from datetime import date

import pytest

from helpers.warehouse import (
    FIRST,
    FOURTH,
    FULL_DISK,
    NOW,
    SECOND,
    THIRD,
    assert_old_clients_open,
    build,
    emails,
    publish,
    rows,
    start_python,
)
from recs_assets.schema import WarehouseError
from recs_assets.store.warehouse import Warehouse


def read_first_slots(house: Warehouse) -> dict[date, str]:
    """Week -> product of customer c1's slot 1."""
    return {week: product for week, customer, slot, product in emails(house) if (customer, slot) == ("c1", 1)}


def publish_three_weeks(house: Warehouse) -> None:
    house.snapshots.retention = 5
    for number, week in enumerate((FIRST, SECOND, THIRD)):
        build(house, week, [("c1", 1, f"p{number}")], products=number + 1)
        publish(house, week, f"run-000{number}")


def test_only_a_week_that_is_published_is_made_anything_of(house: Warehouse) -> None:
    build(house, FIRST)
    with pytest.raises(WarehouseError, match="Nothing is published yet"):
        house.require_published(FIRST)
    publish(house, FIRST)
    build(house, THIRD)
    house.require_published(FIRST)
    said = (
        rf"The week {THIRD} is not published in .*: run it first \(python -m recs_assets run --as-of {THIRD}\), or ask for a week "
        rf"that is; the newest is {FIRST}\."
    )
    with pytest.raises(WarehouseError, match=said):
        house.require_published(THIRD)
    publish(house, THIRD)
    house.require_published(THIRD)
    with pytest.raises(WarehouseError, match=f"The week {SECOND} is not published"):
        house.require_published(SECOND)
    house.snapshots.rollback(None, NOW, "1.2.3")
    house.require_published(FIRST)
    with pytest.raises(WarehouseError, match=said):
        house.require_published(THIRD)


def test_a_rollback_brings_the_week_before_back_and_says_so(house: Warehouse) -> None:
    publish_three_weeks(house)
    second = next(version for version in house.snapshots.versions() if version.week == SECOND)
    left, back = house.snapshots.rollback(None, NOW, "1.2.3")
    assert (left.week, back.week, back.run_id) == (THIRD, SECOND, "run-0001")
    assert back.path.name == "analytics-2024-03-11-run-0001-2.duckdb"
    assert house.snapshot_path.resolve() == back.path
    assert stat.S_IMODE(back.path.stat().st_mode) == 0o444
    assert second.path.exists()
    assert read_first_slots(house) == {FIRST: "p0", SECOND: "p1"}
    assert rows(house, "select count(*), max(seen_on) from recs.products") == [(2, SECOND)]
    assert house.newest_published() == SECOND
    log = rows(house, "select action, as_of, snapshot_file, from_file, copy_of from recs.publish_log")
    assert [row[:2] for row in log] == [
        ("publish", FIRST),
        ("publish", SECOND),
        ("publish", THIRD),
        ("rollback", SECOND),
    ]
    assert log[3][2:] == (back.path.name, left.path.name, second.path.name)
    hashes = rows(house, "select content_hashes from recs.publish_log")
    assert hashes[3] == hashes[1]
    # Once more, and then there is nothing left.
    assert house.snapshots.rollback(None, NOW, "1.2.3")[1].week == FIRST
    with pytest.raises(WarehouseError) as raised:
        house.snapshots.rollback(None, NOW, "1.2.3")
    assert str(raised.value) == (
        "There is nothing to go back to: week 2024-03-04 is published (analytics-2024-03-04-run-0000-2.duckdb) "
        f"and {house.published_dir} keeps no other version of an earlier week; run the week you want again "
        "with --as-of."
    )
    assert house.newest_published() == FIRST


def test_the_copy_opens_in_old_clients_too(house: Warehouse) -> None:
    publish_three_weeks(house)
    house.snapshots.rollback(None, NOW, "1.2.3")
    assert_old_clients_open(house)


def test_the_first_version_of_the_same_week_can_be_had_back(house: Warehouse) -> None:
    publish_three_weeks(house)
    build(house, THIRD, [("c1", 1, "p-wrong")])
    publish(house, THIRD, "run-wrong")
    assert read_first_slots(house)[THIRD] == "p-wrong"
    assert house.snapshots.rollback(THIRD, NOW, "1.2.3")[1].run_id == "run-0002"
    assert read_first_slots(house)[THIRD] == "p2"


def test_the_next_week_after_a_rollback_loses_no_week(house: Warehouse) -> None:
    publish_three_weeks(house)
    house.snapshots.rollback(FIRST, NOW, "1.2.3")
    assert read_first_slots(house) == {FIRST: "p0"}
    build(house, FOURTH, [("c1", 1, "p3")])
    publish(house, FOURTH, "run-0003")
    assert read_first_slots(house) == {FIRST: "p0", SECOND: "p1", THIRD: "p2", FOURTH: "p3"}
    assert rows(house, "select action from recs.publish_log")[-2:] == [("rollback",), ("publish",)]


def test_the_week_that_was_rolled_back_is_replaced_when_it_is_run_again(house: Warehouse) -> None:
    publish_three_weeks(house)
    house.snapshots.rollback(FIRST, NOW, "1.2.3")
    build(house, SECOND, [("c1", 1, "p-right")])
    publish(house, SECOND, "run-right")
    # Week three was taken back and lies ahead again.
    assert read_first_slots(house) == {FIRST: "p0", SECOND: "p-right"}
    build(house, THIRD, [("c1", 1, "p-right-too")])
    publish(house, THIRD, "run-right-too")
    assert read_first_slots(house) == {FIRST: "p0", SECOND: "p-right", THIRD: "p-right-too"}


def test_a_backfill_after_a_rollback_keeps_the_week_gone_back_to(house: Warehouse) -> None:
    publish_three_weeks(house)
    house.snapshots.rollback(None, NOW, "1.2.3")
    build(house, FIRST, [("c1", 1, "p-again")])
    publish(house, FIRST, "run-again")
    assert read_first_slots(house) == {FIRST: "p-again", SECOND: "p1"}
    assert house.newest_published() == SECOND
    assert rows(house, "select action from recs.publish_log")[-1:] == [("backfill",)]


def test_a_rollback_on_a_full_disk_changes_nothing(published_house: Warehouse) -> None:
    build(published_house, SECOND)
    house = published_house
    publish(house, SECOND, "run-0001")
    before, link = house.snapshot_path.read_bytes(), house.snapshot_path.readlink()
    process = start_python(
        FULL_DISK.replace("600_000, 600_000", "100_000, 100_000").replace(
            'house.publish(date(2024, 3, 11), "run-full", datetime(2024, 3, 25), "1.2.3")',
            'house.snapshots.rollback(None, datetime(2024, 3, 25), "1.2.3")',
        ),
        house.home,
    )
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.startswith("The copy of analytics-2024-03-04-run-0000.duckdb could not be written")
    assert (house.snapshot_path.read_bytes(), house.snapshot_path.readlink()) == (before, link)
    # The fixture's own look at the first version.
    house.snapshots.rollback(None, NOW, "1.2.3")
    house.snapshots._switch(house.published_dir / "analytics-2024-03-04-run-0000.duckdb")
