"""An event that was acknowledged is there, whatever happens to the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from recs_assets.serving.event_log import EventLog, EventLogError, cut_torn_lines, read_records
from recs_assets.serving.state import State, replay
from recs_assets.sources.acknowledged import list_all_event_files, purge_events

DAY = datetime(2024, 3, 4, 12, tzinfo=UTC)
LONG_AGO = DAY - timedelta(days=400)


def event(number, **who):
    return "campaign_events", {
        "event_id": f"e{number}", "event_type": "dismissed", "product_id": f"p{number}", "occurred_at": DAY.isoformat(),
        **(who or {"customer_id": "ada"}),
    }  # fmt: skip


def read(home, since=LONG_AGO, places=None):
    return [
        row["event_id"] for _, row in read_records(home / "events", since, {} if places is None else places)
    ]


def test_records_are_lines_of_the_raw_tables(tmp_path: Path) -> None:
    log = EventLog(tmp_path, lambda: DAY)
    log.append(
        [event(1), ("inventory", {"product_id": "p", "counted_at": DAY.isoformat(), "stock": 3.0})]
    ).result(30)
    log.close()
    [events] = (tmp_path / "events" / "campaign_events").iterdir()
    assert events.name.startswith("2024-03-04-")
    assert events.read_text().splitlines() == [
        '{"event_id":"e1","event_type":"dismissed","product_id":"p1","occurred_at":"2024-03-04T12:00:00+00:00","customer_id":"ada"}'
    ]
    [stock] = (tmp_path / "events" / "inventory").iterdir()
    assert orjson.loads(stock.read_bytes()) == {
        "product_id": "p",
        "counted_at": "2024-03-04T12:00:00+00:00",
        "stock": 3.0,
    }


def test_a_day_has_a_file_of_its_own_and_old_days_are_not_read(tmp_path: Path) -> None:
    now = [DAY]
    log = EventLog(tmp_path, lambda: now[0])
    log.append([event(1)]).result(30)
    now[0] = DAY + timedelta(days=1)
    log.append([event(2)]).result(30)
    log.close()
    assert read(tmp_path) == ["e1", "e2"]
    assert read(tmp_path, DAY + timedelta(days=1)) == ["e2"]


def test_what_was_read_is_not_read_again(tmp_path: Path) -> None:
    log, places = EventLog(tmp_path, lambda: DAY), {}
    log.append([event(1)]).result(30)
    assert read(tmp_path, places=places) == ["e1"]
    log.append([event(2)]).result(30)
    assert read(tmp_path, places=places) == ["e2"]
    log.close()


def test_a_torn_line_is_cut_off_and_was_never_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "events" / "campaign_events"
    folder.mkdir(parents=True)
    path = folder / "2024-03-04-1-aa.jsonl"
    path.write_bytes(orjson.dumps(event(1)[1]) + b'\n{"event_id":"e2","ev')
    assert read(tmp_path) == ["e1"]
    assert cut_torn_lines(tmp_path / "events") == [path]
    assert path.read_bytes().endswith(b'"customer_id":"ada"}\n')
    assert cut_torn_lines(tmp_path / "events") == []


def test_a_full_disk_is_an_error_and_the_log_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, sync = EventLog(tmp_path, lambda: DAY), os.fsync
    log.append([event(1)]).result(30)

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(EventLogError, match="No space left on device"):
        log.append([event(2)]).result(30)
    monkeypatch.setattr(os, "fsync", sync)
    log.append([event(3)]).result(30)
    log.close()
    assert read(tmp_path) == ["e1", "e3"]


def test_a_customer_is_purged_under_a_running_server(tmp_path: Path) -> None:
    log = EventLog(tmp_path, lambda: DAY)
    records = [
        event(1, visitor_id="v1"), event(2, customer_id="ada", visitor_id="v1"), event(3, customer_id="bob"),
        event(4, visitor_id="v2"),
    ]  # fmt: skip
    log.append(records).result(30)
    (path,) = list_all_event_files(tmp_path)
    assert purge_events(path, {"ada"}, {"v1"}) == 2  # with what the browser did before they signed in
    log.append([event(5, customer_id="bob")]).result(30)
    log.close()
    assert read(tmp_path) == ["e3", "e4", "e5"]
    assert purge_events(path, {"ada"}, {"v1"}) == 0


def test_a_state_is_the_same_after_a_restart(tmp_path: Path) -> None:
    log = EventLog(tmp_path, lambda: DAY)
    log.append([event(number) for number in range(5)]).result(30)
    log.close()
    state = State()
    assert replay(state, read_records(tmp_path / "events", LONG_AGO, {})) == 5
    assert sorted(state.find_people("ada", None, None).find("dismissed", 0)) == [f"p{n}" for n in range(5)]
    assert not state.is_new("e3")
    assert state.is_new("e7")


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from recs_assets.serving.event_log import EventLog
log, number = EventLog(Path(sys.argv[1])), 0
while True:
    waiting = [log.append([("campaign_events", {"event_id": f"{sys.argv[2]}-{number + i}"})]) for i in range(20)]
    for i, done in enumerate(waiting):
        done.result()
        print(f"{sys.argv[2]}-{number + i}", flush=True)
    number += 20
"""


def test_no_acknowledged_event_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for number in range(3):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(200 + 37 * number):
                acknowledged.append(process.stdout.readline().strip())
            process.send_signal(signal.SIGKILL)
            acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    EventLog(tmp_path).close()  # a start cuts off what was torn
    there = read(tmp_path)
    assert len(there) == len(set(there))
    assert set(acknowledged) <= set(there)
    assert len(acknowledged) >= 700
