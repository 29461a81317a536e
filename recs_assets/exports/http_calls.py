"""Calls of a service over HTTP: at its pace, again where it asks for that, and quiet about its address."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import urllib3
from urllib3.util import Retry, Timeout

from recs_assets.exports.services import Request

# Answers that say to come again.
AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Patience:
    """How long a service is waited for.

    Attributes:
        attempts: requests per batch.
        backoff: seconds before the third attempt, doubled before each further one; the second follows at once.
        longest: seconds that an answer's Retry-After may ask for.
        connect, answer: seconds for a connection and for an answer.
    """

    attempts: int = 7
    backoff: float = 1.0
    longest: int = 300
    connect: float = 10.0
    answer: float = 120.0

    def retries(self) -> Retry:
        """As urllib3 has it, for any method: the requests here may be made twice."""
        return Retry(
            total=self.attempts - 1,
            redirect=False,
            status_forcelist=AGAIN,
            allowed_methods=None,
            backoff_factor=self.backoff,
            backoff_jitter=self.backoff / 4,
            raise_on_status=False,
            retry_after_max=self.longest,
        )


class Caller:
    """Makes requests, one after the other; from `open_caller`."""

    def __init__(self, pool: urllib3.PoolManager, rate: float, patience: Patience) -> None:
        self._pool, self._pause, self._patience, self._next = pool, 1 / rate, patience, 0.0

    def call(self, request: Request) -> tuple[int | None, int, Any]:
        """Status, attempts and JSON of the last answer; no status without one."""
        time.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + self._pause
        try:
            response = self._pool.request(
                request.method,
                request.url,
                body=request.body or None,
                headers=dict(request.headers),
                retries=self._patience.retries(),
                timeout=Timeout(connect=self._patience.connect, read=self._patience.answer),
            )
        except urllib3.exceptions.HTTPError:
            # What it says may name the address, which is a secret.
            return None, self._patience.attempts, None
        attempts = 1 + (len(response.retries.history) if response.retries else 0)
        try:
            return response.status, attempts, orjson.loads(response.data)
        except ValueError:
            return response.status, attempts, None


@contextmanager
def open_caller(rate: float, patience: Patience) -> Iterator[Caller]:
    """What makes requests.

    Args:
        rate: per second.
        patience: with failures.
    """
    # The address of a webhook may be its secret, and urllib3 logs it with each attempt.
    logger = logging.getLogger("urllib3.connectionpool")
    logger.addFilter(_refuse_record)
    try:
        with urllib3.PoolManager(num_pools=1) as pool:
            yield Caller(pool, rate, patience)
    finally:
        logger.removeFilter(_refuse_record)


def _refuse_record(record: logging.LogRecord) -> bool:
    return False
