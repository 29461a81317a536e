"""Telling somebody: an alert as JSON to an address of HTTP(S)."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import date

import pandas as pd

from recs_assets.monitoring.figures import ALL
from recs_assets.monitoring.judge import ALERT

TIMEOUT_SECONDS = 10
# Seconds before the second and the third attempt.
WAITS = (1.0, 4.0)
# Sentences in a message: whoever wants all of them reads recs.monitor.
MOST_SENTENCES = 20


def write_message(rows: pd.DataFrame, as_of: date) -> dict | None:
    """The body: week, verdict, advice and sentences; None where nothing is an alert. It says nothing of a customer."""
    alerts = rows[((rows["verdict"] == ALERT) & (rows["area"] != ALL)).to_numpy()]
    if alerts.empty:
        return None
    [overall] = rows[(rows["area"] == ALL).to_numpy()].to_dict("records")
    return {
        "week": as_of.isoformat(),
        "verdict": overall["verdict"],
        "advice": overall["advice"],
        "text": overall["sentence"],
        "alerts": len(alerts),
        "sentences": alerts["sentence"].head(MOST_SENTENCES).tolist(),
    }


def send(
    url: str, message: dict, timeout: float = TIMEOUT_SECONDS, wait: Callable[[float], None] = time.sleep
) -> str | None:
    """Post a message, three times at most; why it did not arrive, None where it did.

    The address is a secret: no sentence repeats it.
    """
    if not url.startswith(("https://", "http://")):
        return "RECS_ALERT_URL is no address of HTTP or HTTPS"
    body = json.dumps(message).encode()
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        url, body, {"Content-Type": "application/json", "User-Agent": "recs_assets"}, method="POST"
    )
    problem = None
    for pause in (0.0, *WAITS):
        wait(pause)
        try:
            with urllib.request.urlopen(request, timeout=timeout):  # noqa: S310
                return None
        except urllib.error.HTTPError as error:
            problem = f"the receiver answered {error.code}"
            error.close()
        except (OSError, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            problem = f"no answer ({type(reason).__name__})"
    return problem
