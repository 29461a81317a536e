"""Real servers, started for the tests on this machine from Debian's packages redis-server and postgresql."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest


def free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def program(name: str, folders: str = "/usr/lib/postgresql") -> str:
    """Where a server's program is; Debian keeps Postgres's beside no PATH."""
    found = shutil.which(name) or next(
        (str(path) for path in sorted(Path(folders).glob(f"*/bin/{name}"), reverse=True)), None
    )
    if found is None:
        pytest.fail(f"{name} is not installed: apt-get install redis-server postgresql (as .ci/run does).")
    return found


def wait_until(there: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with suppress(Exception):
            there()
            return
        if time.monotonic() > deadline:
            there()
        time.sleep(0.05)


class Server:
    """A server that can be killed as by a power cut, and started again on what it had written."""

    def __init__(self, command: list[str], port: int, url: str, ready: Callable[[], object]) -> None:
        self.command, self.port, self.url, self._ready = command, port, url, ready
        self.start()

    def start(self) -> None:
        self._spawn()

        def up() -> None:
            if self.process.poll() is not None:  # what a killed one left is still going down
                self._spawn()
            self._ready()

        wait_until(up)

    def _spawn(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",  # the tests' folder may be closed to the server's user
        )

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


class Cut:
    """A way to a server that ends after so many bytes of what the client says; then `then` is called."""

    def __init__(self, port: int, size: int, then: Callable[[], None] = lambda: None) -> None:
        self._target, self._left, self._then, self._once = port, size, then, threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.passed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            threading.Thread(target=self._there, args=(client, server), daemon=True).start()
            threading.Thread(target=self._back, args=(client, server), daemon=True).start()

    def _there(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65_536):
                with self._once:
                    whole, data = len(data), data[: self._left]
                    self._left -= len(data)
                    self.passed += len(data)
                server.sendall(data)
                if len(data) < whole:
                    self._then()
                    break
        for one in (client, server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _back(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                client.sendall(data)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """With a password, and every write on the disk before it is answered."""
    import redis

    port = free_port()
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        url = f"redis://:open-sesame@127.0.0.1:{port}/0"
        command = [
            program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder,
            "--requirepass", "open-sesame", "--save", "", "--appendonly", "yes", "--appendfsync", "always",
        ]  # fmt: skip
        server = Server(command, port, url, lambda: redis.Redis.from_url(url).ping())
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A cluster of its own; as user postgres where the tests run as root, which Postgres refuses to."""
    import psycopg

    port = free_port()
    as_user = (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    )
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp") as folder:
        if as_user:
            shutil.chown(folder, "postgres", "postgres")
        password = Path(folder) / "password"
        password.write_text("open-sesame")
        password.chmod(0o644)
        data = f"{folder}/data"
        made = subprocess.run(
            [
                *as_user, program("initdb"), "-D", data, "-U", "shop", "-A", "scram-sha-256",
                f"--pwfile={password}", "-E", "UTF8", "--no-locale",
            ],
            capture_output=True,
            text=True,
            cwd=folder,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        url = f"postgresql://shop:open-sesame@127.0.0.1:{port}/postgres"
        command = [
            *as_user, program("postgres"), "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1",
            "-c", f"unix_socket_directories={folder}",
        ]  # fmt: skip
        server = Server(command, port, url, lambda: psycopg.connect(url).close())
        yield server
        server.stop()
