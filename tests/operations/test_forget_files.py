"""Purging one customer, on files small enough to write by hand."""

from __future__ import annotations

import doctest
import json
import os
import sqlite3
import time
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from helpers.email import make_row, make_table, write_files
from helpers.forgetting import KEY, NOW, WEEKS, deployment
from recs_assets.exports import versions
from recs_assets.exports.email_files import write_predictions
from recs_assets.exports.jsonl import lookup
from recs_assets.exports.receipts import ACCEPTED, open_receipts
from recs_assets.operations import forget as erasure
from recs_assets.operations.forget import ErasureError, forget
from recs_assets.operations.rollback import drop_old_records, rollback
from recs_assets.schema import RecsError, SettingsError, WarehouseError
from recs_assets.sources.suppression import Suppression


def dagster(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    path = folder / "index.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table event_logs (id integer primary key, event text)")
        connection.executemany("insert into event_logs (event) values (?)", [(text,), ("a step began",)])
        connection.commit()
    return path


def test_every_version_is_written_again_without_her(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings, warehouse = deployment(home, ("customer-a", "customer-b"))
    events = dagster(tmp_path / "dagster", "wrote to customer-a")
    done = forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")

    assert len(done.rewritten) == 4  # two snapshots, two caches
    for version in warehouse.snapshots.versions():
        assert b"customer-a" not in version.path.read_bytes()
        assert version.path.name not in done.rewritten  # no name is used twice
        assert version.path.stat().st_mode & 0o777 == 0o444
    with warehouse.snapshot() as connection:
        assert connection.execute("select customer_id from recs.customers").fetchall() == [("customer-b",)]
        assert connection.execute("select row_key from recs.quarantine").fetchall() == [("o1|1",)]
        log = connection.execute(
            "select action, as_of, row_counts, from_file from recs.publish_log"
        ).fetchall()
    assert [row[:2] for row in log] == [("publish", WEEKS[0]), ("publish", WEEKS[1]), ("forget", WEEKS[1])]
    # The earlier week was carried over: two weeks of one customer.
    assert json.loads(log[2][2]) == {
        "customer_embeddings": 1,
        "customer_recommendations": 2,
        "customers": 1,
        "product_embeddings": 1,
        "quarantine": 1,
    }
    assert log[2][3] == "analytics-2024-03-11-run-0011.duckdb"
    assert warehouse.newest_published() == WEEKS[1]
    assert lookup(home / "cache", "customer-a") is None
    [row] = lookup(home / "cache", "customer-b")
    assert row["product_id"] == "17"
    assert not (home / "weeks").exists()
    with closing(sqlite3.connect(events)) as connection:
        assert connection.execute("select event from event_logs").fetchall() == [("a step began",)]
    assert b"customer-a" not in events.read_bytes()
    # Rolling back brings nothing back.
    assert rollback(settings, "1.2.3").startswith("Back to week 2024-03-04: ")
    with warehouse.snapshot() as connection:
        assert connection.execute("select customer_id from recs.customers").fetchall() == [("customer-b",)]
    assert lookup(home / "cache", "customer-a") is None


def test_visitors_that_are_hers_alone_and_files_of_events_go_with_her(tmp_path: Path) -> None:
    """What she did before she signed in, too; what was done at a browser that another customer uses stays."""
    settings, warehouse = deployment(tmp_path, ("customer-a", "customer-b"))
    visits = [
        ("e1", "customer-a", "v1"), ("e2", None, "v1"), ("e3", "customer-a", "shared"), ("e4", "customer-b", "shared"),
        ("e5", None, "shared"), ("e6", None, "stranger"),
    ]  # fmt: skip
    with warehouse.build(WEEKS[1]).write() as connection:
        connection.execute(
            "create table recs.campaign_events (event_id varchar, customer_id varchar, visitor_id varchar)"
        )
        connection.executemany("insert into recs.campaign_events values (?, ?, ?)", visits)
        connection.execute(
            "insert into recs.quarantine values ('browsing_events', 'x', 'bad', null, '{\"visitor_id\": \"v1\"}')"
        )
    warehouse.publish(WEEKS[1], "run-0011", NOW, "1.2.3")
    log = tmp_path / "events" / "browsing_events" / "1.jsonl"
    log.parent.mkdir(parents=True)
    lines = [
        json.dumps({"event_id": event, "customer_id": customer, "visitor_id": visitor}) + "\n"
        for event, customer, visitor in [
            *visits,
            ("e7", None, "v2"),
            ("e8", " Customer-A@Mail.example", None),
        ]
    ]
    log.write_text("".join(lines))
    named = tmp_path / "events" / "campaign_events" / "1.jsonl"
    named.parent.mkdir()
    named.write_text(json.dumps({"event_id": "f1", "customer_id": "customer-a", "visitor_id": "v2"}) + "\n")
    untouched = tmp_path / "events" / "consents" / "1.jsonl"
    untouched.parent.mkdir()
    untouched.write_text(json.dumps({"customer_id": "customer-b", "state": "unsubscribed"}) + "\n")
    os.utime(untouched, (1, 1))

    done = forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    with warehouse.snapshot() as connection:
        rows = connection.execute("select event_id from recs.campaign_events order by 1").fetchall()
        assert rows == [("e4",), ("e5",), ("e6",)]
        assert connection.execute("select count(*) from recs.quarantine where row_key = 'x'").fetchall() == [
            (0,)
        ]
    assert [json.loads(line)["event_id"] for line in log.read_text().splitlines()] == ["e4", "e5", "e6"]
    assert named.read_text() == ""
    assert untouched.stat().st_mtime == 1
    files = json.loads(done.manifest.read_text())["files"]
    assert files["events/browsing_events/1.jsonl"]["found_after"] == 0
    assert files["events/browsing_events/1.jsonl"]["became"] == "events/browsing_events/1.jsonl"
    # A file that comes later cannot bring them back.
    suppression = Suppression(tmp_path, KEY)
    assert sorted(suppression.find_erased_visitors(["v1", "v2", "shared", "stranger"])) == ["v1", "v2"]


def test_an_id_that_is_part_of_another_one_takes_nobody_else_along(tmp_path: Path) -> None:
    settings, warehouse = deployment(tmp_path, ("customer-1", "customer-12"))
    (tmp_path / "logs").mkdir()
    for name, text in {"one.log": "customer-1 was late", "twelve.log": "customer-12 was late"}.items():
        (tmp_path / "logs" / name).write_text(text)
    done = forget(settings, "customer-1", tmp_path / "dagster", "1.2.3")
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["twelve.log"]
    assert lookup(tmp_path / "cache", "customer-12") is not None
    with warehouse.snapshot() as connection:
        assert connection.execute("select customer_id from recs.customers").fetchall() == [("customer-12",)]
    assert "addresses only" in json.loads(done.manifest.read_text())["how_it_was_searched"][3]


def test_a_short_id_is_told_from_a_product_of_the_same_name(tmp_path: Path) -> None:
    settings, warehouse = deployment(tmp_path, ("17", "18"))
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text("purge_after_days: 17\n")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "x.log").write_text("customer 17 was late")
    forget(settings, "17", tmp_path / "dagster", "1.2.3")
    assert not (tmp_path / "logs" / "x.log").exists()
    assert (tmp_path / "dagster" / "dagster.yaml").exists()
    assert lookup(tmp_path / "cache", "17") is None
    [row] = lookup(tmp_path / "cache", "18")
    assert row["product_id"] == "17"
    with warehouse.snapshot() as connection:
        assert connection.execute("select customer_id from recs.customers").fetchall() == [("18",)]


def test_an_id_that_a_product_has_too(tmp_path: Path) -> None:
    settings, warehouse = deployment(tmp_path, ("tea-green-1", "customer-b"))
    with warehouse.build(WEEKS[1]).write() as connection:
        connection.execute("create table raw.products as select 'tea-green-1' as product_id")
        connection.execute("update recs.customer_recommendations set product_id = 'tea-green-1'")
    warehouse.publish(WEEKS[1], "run-0011", NOW, "1.2.3")
    forget(settings, "tea-green-1", tmp_path / "dagster", "1.2.3")
    with warehouse.snapshot() as connection:
        assert connection.execute(
            "select customer_id, product_id from recs.customer_recommendations order by as_of"
        ).fetchall() == [("customer-b", "17"), ("customer-b", "tea-green-1")]


def test_what_cannot_be_removed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = deployment(tmp_path, ("customer-a",))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "x.log").write_text("customer-a")
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: None)
    with pytest.raises(ErasureError, match=r"The customer is still in .*logs/x\.log.*: delete what is named"):
        forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")


def test_forgetting_twice_is_one_row(tmp_path: Path) -> None:
    settings, _ = deployment(tmp_path, ("customer-a", "customer-b"))
    first = forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    second = forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    assert first.digest == second.digest
    assert pq.read_table(tmp_path / "suppressed.parquet").num_rows == 1


def contents(*folders: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of every file but the lock's."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name != "writer.lock"
    }


def test_an_id_that_nobody_has_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings, _ = deployment(home, ("customer-a", "customer-b"))
    dagster(tmp_path / "dagster", "analytics of customer-c took 17 s")
    (home / "logs").mkdir()
    (home / "logs" / "x.log").write_text("analytics took 17 s")
    before = contents(home, tmp_path / "dagster")
    for given, said in {
        "Customer-A.0": "The nearest ids are customer-a: give the id as the source has it.",
        "c01.0": "The nearest ids are c01: give the id as the source has it.",
        "customer-c": "The nearest ids are customer-b, customer-a: give the id as the source has it.",
        "customer-a@mail.example": "An address is no customer id: look up the id.",
        "analytics": "Give the id as the source has it.",  # a word of many files, and nobody's id
        "17": "nothing was touched.",  # a product's id, and a number in a log
    }.items():
        with pytest.raises(ErasureError) as error:
            forget(settings, given, tmp_path / "dagster", "1.2.3")
        assert said in str(error.value)
        assert str(error.value).startswith("Nobody has this customer id, neither in the ")
        assert "@" not in str(error.value)
    assert contents(home, tmp_path / "dagster") == before


def test_only_what_holds_the_customer_goes(tmp_path: Path) -> None:
    """A newcomer of the second week: the first week's folder, snapshot and cache keep every byte and their time."""
    home = tmp_path / "home"
    settings, warehouse = deployment(home, ("customer-a", "customer-b"), ("newcomer-1",))
    dagster(tmp_path / "dagster", "wrote to somebody")
    (home / "dbt").mkdir()
    (home / "dbt" / "manifest.json").write_text("{}")
    before = contents(home, tmp_path / "dagster")
    done = forget(settings, "newcomer-1", tmp_path / "dagster", "1.2.3")
    after = contents(home, tmp_path / "dagster")
    gone = {name.removeprefix(f"{home}/") for name in before if name not in after}
    assert {name.rpartition("/")[0] for name in gone} == {
        "weeks/2024-03-11",
        "published",
        "cache/versions/2024-03-11-run-0011",
        "cache/versions/2024-03-11-run-0011/shards",
    }
    assert {name for name in gone if name.startswith("published")} == {
        "published/analytics-2024-03-11-run-0011.duckdb"
    }
    assert all(after[name] == before[name] for name in before if name in after)
    assert (done.weeks, done.deleted) == ((WEEKS[1],), ["weeks/2024-03-11"])
    assert "The week 2024-03-11 held them and is deleted: until it is run again" in str(done)
    # What was found before and after, by file, and no id in clear.
    proof = done.manifest.read_text()
    assert "newcomer-1" not in proof
    files = json.loads(proof)["files"]
    assert files["published/analytics-2024-03-11-run-0011.duckdb"] | {"found_before": 0} == {
        "found_before": 0,
        "found_after": 0,
        "became": "published/analytics-2024-03-11-run-0011-2.duckdb",
    }
    assert files["published/analytics-2024-03-11-run-0011.duckdb"]["found_before"] >= 3
    assert files["weeks/2024-03-11/build.duckdb"]["became"] == "deleted"
    assert files["cache/versions/2024-03-11-run-0011/recommendations.parquet"]["became"] == (
        "cache/versions/2024-03-11-run-0011-2/recommendations.parquet"
    )
    assert not [name for name in files if "2024-03-04" in name]
    # The new file is as old as the one it replaces, so that "before" stays what it was.
    assert [one.week for one in warehouse.snapshots.versions()] == WEEKS
    assert rollback(settings, "1.2.3").startswith("Back to week 2024-03-04: ")


def test_whoever_only_the_shops_files_know_is_kept_from_being_landed(tmp_path: Path) -> None:
    settings, _ = deployment(tmp_path, ("customer-a",))
    before = contents(tmp_path)
    done = forget(settings, " c01 ", tmp_path / "dagster", "1.2.3")
    assert done.landed == {
        "customers": 1, "orders": 10, "reviews": 1, "browsing_events": 11, "campaign_events": 1,
    }  # fmt: skip
    assert "the shop's own files do (rows: 1 in customers, 10 in orders," in str(done)
    assert {name: value for name, value in contents(tmp_path).items() if name in before} == before
    assert Suppression(tmp_path, KEY).find_erased(["c01", "c02"]) == ["c01"]
    assert json.loads(done.manifest.read_text())["rows_in_the_shops_files"]["orders"] == 10


def test_somebody_forgotten_already_is_said_so(tmp_path: Path) -> None:
    settings, _ = deployment(tmp_path, ("customer-a", "customer-b"))
    forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    before = contents(tmp_path)
    again = forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    assert f"was forgotten already, on {day}: none of the" in str(again)
    assert "nothing was touched" in str(again)
    assert contents(tmp_path) == before
    # A copy that was put back is purged all the same.
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "x.log").write_text("customer-a")
    assert forget(settings, "customer-a", tmp_path / "dagster", "1.2.3").deleted == ["logs/x.log"]


def test_an_address_that_two_customers_share_stays_with_the_other(tmp_path: Path) -> None:
    settings, warehouse = deployment(tmp_path, ("customer-a", "customer-b"))
    for week in WEEKS:
        with warehouse.build(week).write() as connection:
            connection.execute("update raw.customers set email = ' Both@mail.example'")
    (tmp_path / "quality").mkdir()
    (tmp_path / "quality" / "x.json").write_text("both@mail.example")
    forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    assert (tmp_path / "quality" / "x.json").exists()


def test_the_examples_of_the_docstrings() -> None:
    assert doctest.testmod(erasure).attempted == 1


def test_without_a_key_nothing_is_touched(tmp_path: Path) -> None:
    settings, warehouse = deployment(tmp_path, ("customer-a",))
    before = warehouse.snapshot_path.read_bytes()
    with pytest.raises(SettingsError, match="RECS_HASH_KEY is not set: set it to a secret of 16 characters"):
        forget(settings.model_copy(update={"hash_key": None}), "customer-a", tmp_path / "dagster", "1.2.3")
    assert warehouse.snapshot_path.read_bytes() == before


def test_the_suppression_knows_its_own(tmp_path: Path) -> None:
    one = Suppression(tmp_path, KEY)
    assert one.filter is None
    # echo -n c1 | openssl dgst -sha256 -hmac "a secret for tests only"
    assert one.add("c1", NOW) == "8bef9ad1488ffa7e84c570f4ad333f89328bbb3ecb1cda0ec63f242ee4a8e0fe"
    assert Suppression(tmp_path, KEY).find_erased(["c0", "c1", "c11"]) == ["c1"]
    assert b"c1" not in (tmp_path / "suppressed.parquet").read_bytes().replace(
        b"8bef9ad1488ffa7e84c570f4ad333f89328bbb3ecb1cda0ec63f242ee4a8e0fe", b""
    )
    with pytest.raises(SettingsError, match="is not the key that"):
        Suppression(tmp_path, SecretStr("another secret, long enough"))
    with pytest.raises(SettingsError, match=r"RECS_HASH_KEY is not set and .* lists erased customers"):
        Suppression(tmp_path, None)


def test_a_lost_cache_version_is_made_again_by_a_rollback(tmp_path: Path) -> None:
    import shutil

    settings, _ = deployment(tmp_path, ("customer-a",))
    shutil.rmtree(tmp_path / "cache" / "versions" / "2024-03-04-run-0004")
    said = rollback(settings, "1.2.3")
    assert said == (
        f"Back to week 2024-03-04: {tmp_path}/published/recs.duckdb -> analytics-2024-03-04-run-0004-2.duckdb, "
        "cache -> 2024-03-04-run-0004 (before: week 2024-03-11, analytics-2024-03-11-run-0011.duckdb)."
    )
    manifest = json.loads((tmp_path / "cache" / "current" / "manifest.json").read_text())
    assert (manifest["as_of"], manifest["rows"]) == ("2024-03-04", 1)


def test_files_of_the_campaigns_go_back_too_or_are_withdrawn(tmp_path: Path) -> None:
    """Back to 4 March: mail is written again, news cannot be, offers were of the week left, old stays as it is."""
    settings, _ = deployment(tmp_path, ("customer-a",))
    for campaign, week in {
        "mail": WEEKS[1],
        "news": WEEKS[1],
        "offers": WEEKS[1],
        "old": date(2024, 2, 26),
    }.items():
        rows = pa.table({"as_of": [week], "customer_id": ["customer-a"]})
        write_predictions(tmp_path / "exports" / campaign, rows, as_of=week, run_id="r1")
    asked = []

    def export(week: date, run_id: str) -> dict[str, str | RecsError]:
        asked.append((week, run_id, sorted(path.parent.name for path in tmp_path.glob("exports/*/current"))))
        return {"mail": "2024-03-04-run-0004", "news": WarehouseError("The week has no build file.")}

    said = rollback(settings, "1.2.3", export=export).splitlines()
    assert asked == [(WEEKS[0], "run-0004", ["old"])]  # withdrawn before anything is written
    assert said[1:] == [
        "Files of mail -> 2024-03-04-run-0004, without whoever withdrew since.",
        "Files of news: none are current any more. The week has no build file.",
        "Files of offers: none are current any more. The campaign was not made of the week 2024-03-04.",
    ]
    assert len(list(tmp_path.glob("exports/*/versions/*"))) == 4


def test_old_records_are_dropped(tmp_path: Path) -> None:
    now = time.time()
    for name, age in {"logs/new.log": 13, "logs/old.log": 15, "quality/new": 13, "quality/old": 15}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.mkdir() if path.suffix == "" else path.write_text("x")
        os.utime(path, (now - age * 86_400,) * 2)
    dropped = drop_old_records(tmp_path, weeks=2, now=now)
    assert [str(path.relative_to(tmp_path)) for path in dropped] == ["logs/old.log", "quality/old"]
    assert sorted(path.name for path in tmp_path.rglob("*.log")) == ["new.log"]


def test_a_cache_without_versions(tmp_path: Path) -> None:
    assert versions.purge(tmp_path, "c1") == {}
    assert versions.switch(tmp_path, WEEKS[0], "r1") is None
    versions.publish(
        pd.DataFrame({"customer_id": ["c1"], "rank": [1]}), tmp_path, as_of=WEEKS[0], run_id="r1", shards=1
    )
    assert versions.purge(tmp_path, "c1") == {"2024-03-04-r1": "2024-03-04-r1-2"}
    assert lookup(tmp_path, "c1") is None
    assert versions.switch(tmp_path, WEEKS[0], "r1") == "2024-03-04-r1-2"


def test_payloads_and_receipts_go_with_her(tmp_path: Path) -> None:
    """The others keep their receipts, so that nobody is sent twice."""
    settings, _ = deployment(tmp_path / "home", ("customer-a", "customer-b"))
    folder = tmp_path / "home/exports/weekly_email"
    table = make_table(make_row("customer-a"), make_row("customer-b"))
    write_files(folder, table, exports=["webhook"])
    with open_receipts(folder, "2025-06-30", "webhook") as receipts:
        members = [("customer-a", "1"), ("customer-b", "2")]
        receipts.begin("k", members)
        receipts.end("k", members, ACCEPTED, attempts=1, code=200)
    done = forget(settings, "customer-a", tmp_path / "dagster", "1.2.3")
    path = folder / "receipts/2025-06-30-webhook.jsonl"
    assert "exports/weekly_email/receipts/2025-06-30-webhook.jsonl" in done.rewritten
    for file in folder.rglob("*.jsonl"):
        assert b"customer-a" not in file.read_bytes()
    assert [json.loads(line)["status"] for line in path.read_text().splitlines()] == ["sending", "accepted"]
    with open_receipts(folder, "2025-06-30", "webhook") as receipts:
        assert receipts.find_digest("customer-b") == "2"
        assert receipts.list_open() == []
