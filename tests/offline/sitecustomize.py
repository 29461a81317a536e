"""No test reaches a machine other than this one. Python imports this first in every process that the
tests start (tests/conftest.py puts its folder on PYTHONPATH); an audit hook cannot be taken off."""

from __future__ import annotations

import ipaddress
import sys


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
