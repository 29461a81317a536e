"""The whole suite runs without a way out; see offline/sitecustomize.py."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request

import pytest

# 192.0.2.1 is nobody's (RFC 5737).
OUT = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"


def test_no_test_reaches_another_machine() -> None:
    with (
        socket.socket() as one,
        pytest.raises(
            ConnectionRefusedError, match=r"The tests are offline: socket\.connect to '192\.0\.2\.1'"
        ),
    ):
        one.connect(("192.0.2.1", 80))
    with pytest.raises(OSError, match=r"The tests are offline: socket\.getaddrinfo to 'example\.com'"):
        urllib.request.urlopen("http://example.com")


def test_nor_does_a_process_that_a_test_starts() -> None:
    done = subprocess.run([sys.executable, "-c", OUT], capture_output=True, text=True)
    assert done.returncode == 1
    assert "The tests are offline" in done.stderr


def test_this_machine_may_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
