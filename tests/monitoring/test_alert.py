"""Alerts to a real server of this machine, also one that fails."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest

from helpers.monitoring import LIMITS, WEEK, make_history
from helpers.receiver import Receiver, receive
from recs_assets.monitoring.alert import send, write_message
from recs_assets.monitoring.figures import Figure
from recs_assets.monitoring.judge import judge


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receive() as server:
        yield server


def rows(value: float) -> pd.DataFrame:
    history = make_history(*((f"2025-06-{day}", "rows", "orders", 100, 100) for day in ("16", "23")))
    return judge([Figure("rows", "orders", value, 1_000)], history, LIMITS, WEEK)


def test_an_alert_is_week_verdict_and_sentences(receiver: Receiver) -> None:
    receiver.statuses = [200]
    message = write_message(rows(1_000.0), WEEK)
    assert send(receiver.url, message) is None
    [body] = receiver.bodies
    assert body == {
        "week": "2025-06-30",
        "verdict": "alert",
        "advice": "look at the data",
        "text": message["text"],
        "alerts": 1,
        "sentences": [
            "orders has 1,000 rows, against 100 in the 2 published weeks before (watched below 50 and above 200)."
        ],
    }


def test_without_an_alert_there_is_no_message() -> None:
    assert write_message(rows(300.0), WEEK) is None  # to watch


def test_a_receiver_that_fails_twice_gets_it_at_the_third_attempt(receiver: Receiver) -> None:
    receiver.statuses, waits = [500, 503, 204], []
    assert send(receiver.url, {"week": "2025-06-30"}, wait=waits.append) is None
    assert receiver.bodies == [{"week": "2025-06-30"}] * 3
    assert waits == [0, 1, 4]


def test_a_receiver_that_always_fails_is_one_phrase_without_the_address(receiver: Receiver) -> None:
    receiver.statuses = [500] * 3
    assert send(receiver.url, {}, wait=lambda _: None) == "the receiver answered 500"
    assert len(receiver.bodies) == 3


def test_nobody_there_and_no_address() -> None:
    assert send("http://127.0.0.1:9/s3cret", {}, wait=lambda _: None) == "no answer (ConnectionRefusedError)"
    assert send("file:///etc/passwd", {}) == "RECS_ALERT_URL is no address of HTTP or HTTPS"
