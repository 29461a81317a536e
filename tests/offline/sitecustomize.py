"""No test reaches a machine other than this one, and none waits for a disk to keep what Dagster logs. Python imports this
first in every process that the tests start (tests/conftest.py puts its folder on PYTHONPATH); an audit hook cannot be taken off."""

from __future__ import annotations

import ipaddress
import sqlite3
import sys
from sqlite3 import dbapi2
from typing import Any


def _local(host: object) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False


def _deny(event: str, arguments: tuple) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path: a socket of this machine
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if not _local(host):
        raise ConnectionRefusedError(f"The tests are offline: {event} to {host!r} is denied.")


sys.addaudithook(_deny)


def _connect(*arguments: Any, **more: Any) -> sqlite3.Connection:
    """As `sqlite3.connect`, without flushes: Dagster commits some 3,000 times in a week, each several milliseconds of waiting.
    The tests kill processes, which lose nothing by it, and no machines."""
    connection = _connect_safely(*arguments, **more)
    connection.execute("pragma synchronous = off")
    return connection


_connect_safely = sqlite3.connect
sqlite3.connect = dbapi2.connect = _connect
