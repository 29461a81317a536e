"""Sending to a real server that fails now and then: nobody is lost, nobody is doubled, everybody has a receipt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.email import MUG, make_row, make_table, write_files
from helpers.inbox import Step, open_inbox
from helpers.sending import everybody, find_receipts, send_to, write_campaign
from helpers.services import check_shape
from recs_assets.exports import email_files, receipts, sending
from recs_assets.exports.http_calls import Patience
from recs_assets.exports.rows import ExportError
from recs_assets.exports.sending import send
from recs_assets.exports.services import Access, Webhook
from recs_assets.operations.send_campaign import describe
from recs_assets.schema import WarehouseError


def test_everybody_arrives_once_with_a_receipt(tmp_path):
    write_campaign(tmp_path, 25)
    with open_inbox() as inbox:
        sent = send_to(inbox, tmp_path, key="a key of theirs")
        assert (sent.accepted, sent.requests, sent.refused, sent.before) == (25, 3, 0, 0)
        assert inbox.arrivals == everybody(25)
        for body in inbox.taken.values():
            check_shape(body, "webhook")
        assert inbox.headers[0]["Authorization"] == "Bearer a key of theirs"
        assert inbox.headers[0]["Idempotency-Key"].strip('"').isalnum()
        found = find_receipts(tmp_path)
        assert {(line["status"], line["code"], line["attempts"]) for line in found.values()} == {
            ("accepted", 200, 1)
        }
        assert set(found) == set(everybody(25))
        again = send_to(inbox, tmp_path)
        assert (again.accepted, again.requests, again.before) == (0, 0, 25)
        assert len(inbox.keys) == 3


@pytest.mark.parametrize(
    "step", [500, 503, 429, (429, {"Retry-After": "0"}), "drop", "lost", "late", "half"], ids=str
)
def test_a_request_that_fails_is_made_again_under_its_key(tmp_path, step):
    write_campaign(tmp_path, 20)
    with open_inbox(step, step, patience=1.0) as inbox:
        sent = send_to(inbox, tmp_path)
        assert sent.accepted == 20
        assert inbox.arrivals == everybody(20)
        assert len(inbox.keys) == 4
        assert len(set(inbox.keys[:3])) == 1
        found = find_receipts(tmp_path)
        assert Counter(line["attempts"] for line in found.values()) == {3: 10, 1: 10}


def test_a_service_may_say_how_long_to_wait(tmp_path):
    write_campaign(tmp_path, 10)
    with open_inbox((429, {"Retry-After": "1"})) as inbox:
        send_to(inbox, tmp_path)
        assert inbox.times[1] - inbox.times[0] >= 1


def test_a_service_may_not_ask_for_a_week(tmp_path):
    write_campaign(tmp_path, 10)
    with open_inbox((429, {"Retry-After": "604800"})) as inbox:
        begun = time.monotonic()
        assert send_to(inbox, tmp_path).accepted == 10
        assert time.monotonic() - begun < 10


def test_the_pace_is_kept(tmp_path):
    write_campaign(tmp_path, 30)
    with open_inbox() as inbox:
        send_to(inbox, tmp_path, rate=10)
        assert min(b - a for a, b in zip(inbox.times, inbox.times[1:], strict=False)) >= 0.08


def test_a_service_that_is_down_loses_nothing(tmp_path):
    """The fate of its batch is unknown, so the next sender makes the same request."""
    write_campaign(tmp_path, 35)
    with open_inbox(200, "lost", 500, 500, 500) as inbox:
        with pytest.raises(ExportError) as raised:
            send_to(inbox, tmp_path)
        assert str(raised.value) == (
            f"webhook at 127.0.0.1:{inbox.server_port} answers 500 after 4 attempts: 10 recipients have their receipts; "
            "send again, and the others follow."
        )
        assert Counter(line["status"] for line in find_receipts(tmp_path).values()) == {
            "accepted": 10, "unknown": 10,
        }  # fmt: skip
        sent = send_to(inbox, tmp_path)
        assert (sent.accepted, sent.before, sent.requests) == (25, 10, 3)
        assert inbox.arrivals == everybody(35)
        assert len(set(inbox.keys)) == 4


def test_nobody_answers(tmp_path, caplog):
    write_campaign(tmp_path, 5)
    with open_inbox() as inbox:
        pass
    with pytest.raises(ExportError, match=r"does not answer after 4 attempts: 0 recipients have") as raised:
        send_to(inbox, tmp_path)
    assert "s3cret" not in str(raised.value)
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_a_wrong_key_or_address_stops_at_once(tmp_path, status):
    write_campaign(tmp_path, 20)
    with open_inbox((status, {"Location": "http://127.0.0.1:1/"})) as inbox:
        with pytest.raises(ExportError, match=rf"answers {status}: correct its settings \(RECS_WEBHOOK_"):
            send_to(inbox, tmp_path)
        assert len(inbox.keys) == 1
        assert send_to(inbox, tmp_path).accepted == 20
        assert inbox.arrivals == everybody(20)


def test_one_bad_recipient_does_not_hold_up_the_others(tmp_path):
    write_campaign(tmp_path, 20)
    with open_inbox() as inbox:
        inbox.refuse = lambda body: 422 if "c0007" in json.dumps(body) else None
        sent = send_to(inbox, tmp_path)
        assert (sent.accepted, sent.refused) == (19, 1)
        assert inbox.arrivals == everybody(20) - Counter(["c0007"])
        found = find_receipts(tmp_path)
        assert (found["c0007"]["status"], found["c0007"]["code"]) == ("refused", 422)
        inbox.refuse = lambda body: None
        assert send_to(inbox, tmp_path).accepted == 1
        assert inbox.arrivals == everybody(20)


def test_a_dry_run_writes_and_sends_nothing(tmp_path):
    write_campaign(tmp_path, 25)
    with open_inbox() as inbox:
        sent = send_to(inbox, tmp_path, dry=True, withdrawn={"c0000"})
        assert (sent.accepted, sent.requests, sent.withdrawn) == (24, 3, 1)
        assert inbox.keys == []
    assert not (tmp_path / "receipts").exists()


def test_whoever_withdrew_since_is_not_sent(tmp_path):
    write_campaign(tmp_path, 12)
    with open_inbox() as inbox:
        sent = send_to(inbox, tmp_path, withdrawn={"c0003", "stranger"})
        assert (sent.accepted, sent.withdrawn) == (11, 1)
        assert inbox.arrivals == everybody(12) - Counter(["c0003"])


def test_what_has_expired_is_sent_to_nobody(tmp_path):
    """Neither to a new service nor after a request that failed nor where something has changed."""
    write_campaign(tmp_path, 10)
    late = pd.Timestamp("2025-07-28", tz="UTC")
    with open_inbox("lost", 500, 500, 500) as inbox:
        for _ in range(2):
            with pytest.raises(ExportError) as raised:
                send_to(inbox, tmp_path, now=late)
            assert str(raised.value) == (
                "The emails of the campaign weekly_email of the week 2025-06-30 expired on 2025-07-28 (UTC), and nothing was sent: "
                "make a newer week (python -m recs_assets run), then send."
            )
        assert inbox.keys == []
        assert find_receipts(tmp_path) == {}
        with pytest.raises(ExportError, match="answers 500"):
            send_to(inbox, tmp_path)
        for more in ({}, {"changed": True}, {"dry": True}):
            with pytest.raises(ExportError, match="expired on 2025-07-28"):
                send_to(inbox, tmp_path, now=late, **more)
        with pytest.raises(ExportError, match="expired on 2025-07-28"):
            send(tmp_path, "weekly_email", Webhook(Access(url=inbox.url)))
        assert len(inbox.keys) == 4


def test_whoever_has_a_row_that_expired_is_not_sent(tmp_path):
    """The offer of one product of two is over."""
    over = make_row("c2", 2, MUG, expires_at=pd.Timestamp("2025-07-02", tz="UTC"))
    write_files(tmp_path, make_table(make_row("c1"), make_row("c2"), over), exports=["webhook"])
    with open_inbox() as inbox:
        sent = send_to(inbox, tmp_path, now=pd.Timestamp("2025-07-02", tz="UTC"))
        assert (sent.accepted, sent.expired) == (1, 1)
        assert inbox.arrivals == Counter(["c1"])
        assert "1 not sent, because something of their email has expired" in describe(sent)


def test_files_that_do_not_say_until_when_they_hold_are_made_again(tmp_path):
    write_campaign(tmp_path, 1)
    path = tmp_path / "current/webhook_messages.jsonl"
    line = json.loads(path.read_bytes())
    del line["expires_at"]
    path.write_text(json.dumps(line) + "\n")
    with (
        open_inbox() as inbox,
        pytest.raises(ExportError, match=r"earlier version .* run the campaign again\.$"),
    ):
        send_to(inbox, tmp_path)


def test_a_week_that_is_made_again_is_not_sent_again(tmp_path):
    write_campaign(tmp_path, 3)
    with open_inbox() as inbox:
        send_to(inbox, tmp_path)
        write_campaign(tmp_path, 4, run_id="r2")
        assert send_to(inbox, tmp_path).accepted == 1, "the run is no part of what is sent"
        write_campaign(tmp_path, 4, run_id="r3", reason_text="Another reason")
        sent = send_to(inbox, tmp_path)
        assert (sent.accepted, sent.before, sent.changed) == (0, 4, 4)
        sent = send_to(inbox, tmp_path, changed=True)
        assert (sent.accepted, sent.before, sent.changed) == (4, 0, 4)
        assert set(inbox.arrivals.values()) == {2}
        assert len({message["message_id"] for message in inbox.messages}) == 4


def test_the_file_is_read_once(tmp_path, monkeypatch):
    """Also where an earlier request is open."""
    write_campaign(tmp_path, 25)
    read, paths = sending._read_lines, []
    monkeypatch.setattr(sending, "_read_lines", lambda path: paths.append(path) or read(path))
    with open_inbox(200, "lost", 500, 500, 500) as inbox:
        with pytest.raises(ExportError, match="answers 500"):
            send_to(inbox, tmp_path)
        sent = send_to(inbox, tmp_path)
        assert (sent.accepted, sent.before, sent.requests) == (15, 10, 2)
        assert inbox.arrivals == everybody(25)
    assert len(paths) == 2


def test_a_request_that_cannot_be_made_again_is_said(tmp_path):
    """Its receiver may have it; who is in it is told by message_id."""
    write_campaign(tmp_path, 10)
    with open_inbox("lost", 500, 500, 500) as inbox:
        with pytest.raises(ExportError):
            send_to(inbox, tmp_path)
        sent = send_to(inbox, tmp_path, withdrawn={"c0002"})
        assert (sent.accepted, sent.uncertain, sent.withdrawn) == (9, 9, 1)
        assert inbox.arrivals["c0002"] == 1
        assert send_to(inbox, tmp_path, withdrawn={"c0002"}).accepted == 0
        assert send_to(inbox, tmp_path).accepted == 1, "whoever comes back is sent"


def test_lines_that_were_cut_off_were_never_sent(tmp_path):
    write_campaign(tmp_path, 10)
    with open_inbox() as inbox:
        send_to(inbox, tmp_path)
        path = tmp_path / "receipts/2025-06-30-webhook.jsonl"
        text = path.read_bytes()
        inbox.taken.clear()
        # Killed while it wrote who is in the request: it had not gone out.
        path.write_bytes(b"".join(text.splitlines(keepends=True)[:4]) + b'{"customer_id": "c0')
        sent = send_to(inbox, tmp_path)
        assert (sent.accepted, sent.uncertain) == (10, 0)
        assert inbox.arrivals == everybody(10)
        # Killed while it wrote that the request was accepted: the same request, which the receiver knows.
        path.write_bytes(b"".join(text.splitlines(keepends=True)[:13]) + b'{"customer_id"')
        assert send_to(inbox, tmp_path).accepted == 10
        assert inbox.arrivals == everybody(10)
        assert all(json.loads(line) for line in path.read_bytes().splitlines())


KILLED = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from recs_assets.exports.http_calls import Patience
from recs_assets.exports.jobs import check_jobs
from recs_assets.exports.sending import send
from recs_assets.exports.services import Access, Webhook
Webhook.most = 10
NOW = datetime(2025, 6, 30, tzinfo=UTC)
send(Path(sys.argv[1]), "weekly_email", Webhook(Access(url=sys.argv[2])), rate=10_000, patience=Patience(4, 0.001), now=NOW)
"""


@pytest.mark.parametrize("kill_at", [1, 5, 9, 16])
def test_a_sender_that_is_killed_is_carried_on(tmp_path, kill_at):
    """SIGKILL while the server has a request: it may or may not have taken it."""
    write_campaign(tmp_path, 200)
    steps = [200] * (kill_at - 1) + ["late", 500, "lost", (429, {"Retry-After": "0"})]
    with open_inbox(*steps, patience=3.0) as inbox:
        command = [sys.executable, "-c", KILLED, str(tmp_path), inbox.url]
        sender = subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2])
        deadline = time.monotonic() + 60
        while len(inbox.keys) < kill_at and time.monotonic() < deadline:
            time.sleep(0.002)
        sender.send_signal(signal.SIGKILL)
        sender.wait()
        assert len(inbox.keys) == kill_at
        before = len(find_receipts(tmp_path))
        assert before == kill_at * 10
        sent = send_to(inbox, tmp_path)
        assert sent.accepted == 200 - (kill_at - 1) * 10
        assert inbox.arrivals == everybody(200)
        assert set(inbox.arrivals.values()) == {1}
        assert Counter(line["status"] for line in find_receipts(tmp_path).values()) == {"accepted": 200}
        assert send_to(inbox, tmp_path).requests == 0


def test_two_senders_at_once(tmp_path):
    write_campaign(tmp_path, 5)
    with (
        open_inbox() as inbox,
        receipts.open_receipts(tmp_path, "2025-06-30", "webhook"),
        pytest.raises(WarehouseError, match="still held by process"),
    ):
        send_to(inbox, tmp_path)


def test_a_customer_is_purged_from_receipts(tmp_path):
    write_campaign(tmp_path, 5)
    assert receipts.purge(tmp_path, "c0001", 0) == []
    with open_inbox() as inbox:
        send_to(inbox, tmp_path)
        path = tmp_path / "receipts/2025-06-30-webhook.jsonl"
        assert receipts.purge(tmp_path, "c000", 0) == []
        assert receipts.purge(tmp_path, "c0001", 0) == [path]
        assert b"c0001" not in path.read_bytes()
        assert set(find_receipts(tmp_path)) == {"c0000", "c0002", "c0003", "c0004"}
        assert sorted(name.name for name in path.parent.iterdir()) == [path.name, "send.lock"]


def test_a_request_that_held_somebody_forgotten_is_not_made_again(tmp_path):
    write_campaign(tmp_path, 10)
    with open_inbox("lost", 500, 500, 500) as inbox:
        with pytest.raises(ExportError):
            send_to(inbox, tmp_path)
        email_files.purge(tmp_path, "c0004")
        receipts.purge(tmp_path, "c0004", 0)
        sent = send_to(inbox, tmp_path)
        assert (sent.accepted, sent.uncertain) == (9, 9)
        [first, second] = inbox.taken.values()
        assert {message["message_id"] for message in second["messages"]} < {
            message["message_id"] for message in first["messages"]
        }


# More of them: RECS_STATES=1000 python -m pytest tests/exports/test_send_to_services.py -k whatever
EXAMPLES = int(os.environ.get("RECS_STATES", "40"))
WHATEVER: list[Step] = [
    200, 500, 503, 408, 429, (429, {"Retry-After": "0"}), "drop", "lost", "half", 401, 404, 413, 422,
]  # fmt: skip


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.sampled_from(WHATEVER), max_size=14), st.integers(1, 23), st.integers(1, 3))
def test_whatever_a_service_does_everybody_arrives_once(tmp_path_factory, steps, recipients, attempts):
    """Sent again until nothing is left, as an operator would."""
    folder = tmp_path_factory.mktemp("files")
    write_campaign(folder, recipients)
    with open_inbox(*steps) as inbox:
        for _ in range(len(steps) + 2):
            try:
                sent = send_to(inbox, folder, patience=Patience(attempts, backoff=0.001, answer=2))
            except ExportError:
                continue
            if not sent.refused:
                break
        assert inbox.arrivals == everybody(recipients)
        assert {line["status"] for line in find_receipts(folder).values()} == {"accepted"}
        assert send_to(inbox, folder).requests == 0


def test_receipts_go_with_the_weeks(tmp_path):
    write_campaign(tmp_path, 2)
    (tmp_path / "receipts").mkdir()
    old = tmp_path / "receipts/2025-06-02-webhook.jsonl"
    old.write_text("")
    with open_inbox() as inbox:
        send_to(inbox, tmp_path)
    assert not old.exists()


def test_what_was_not_exported_cannot_be_sent(tmp_path):
    with pytest.raises(ExportError, match=r"^The campaign weekly_email has no files yet: run it first"):
        send(tmp_path, "weekly_email", Webhook(Access(url="http://127.0.0.1:1")))
    write_files(tmp_path, exports=["long"])
    with pytest.raises(ExportError, match=r"hold nothing for webhook: add webhook to exports in its file"):
        send(tmp_path, "weekly_email", Webhook(Access(url="http://127.0.0.1:1")))
