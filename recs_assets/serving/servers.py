"""The store in Redis or Postgres: a copy of the file's rows under the version's name, for servers on other machines.

    Redis       <prefix>:current                      <version>#<times purged>
                <prefix>:version:<version>:<kind>     hash: key -> JSON
    Postgres    storefront.serving_rows               version, kind, key, value
                storefront.serving_current            version, purged

Kinds are about, facts, product, segment and customer. The version before the current one stays until the next is written:
a request that began with it ends with it. Whatever cuts a copy short, the old version is the current one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import orjson

from recs_assets.exports.rows import ExportError
from recs_assets.serving.store import FILE, Customer, FileStore, ServingError

PREFIX = "recs:serving"
SCHEMA = "storefront"
BATCH = 1_000
TIMEOUT_SECONDS = 10
KINDS = ("about", "facts", "product", "segment", "customer")

Entry = tuple[str, str, bytes]  # kind, key, value


class Server(Protocol):
    """A server that keeps values by version, kind and key."""

    def write(self, version: str, entries: Iterable[Entry]) -> None:
        """Put a whole version beside the current one and make it current; of the others only the last current one stays."""
        ...

    def get(self, version: str, kind: str, key: str) -> bytes | None: ...

    def find_current(self) -> str | None:
        """The current version and how often it was purged, as `<version>#<times>`."""
        ...

    def purge(self, customer_id: str) -> int:
        """Delete a customer from every version; in how many they were."""
        ...

    def count(self, customer_id: str) -> int:
        """In how many versions a customer is."""
        ...


def list_entries(path: Path) -> Iterator[Entry]:
    """Every row of a store's file."""
    store = FileStore(path)
    yield "about", "about", orjson.dumps(store.about)
    for number, columns in enumerate(store.read_facts()):
        yield "facts", str(number), orjson.dumps(columns)
    for code, *values in store.read_rows("products"):
        yield "product", str(code), orjson.dumps([_read(value) for value in values])
    for name, products in store.read_rows("segments"):
        yield "segment", name, _read(products).encode()
    for customer_id, *values in store.read_rows("customers"):
        yield "customer", customer_id, orjson.dumps([_read(value) for value in values])
    store.close()


def _read(value: str | bytes | None) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def copy_version(folder: Path, name: str, server: Server) -> None:
    """Copy a version of the files to a server and make it current there.

    Raises:
        ExportError: the server cannot be reached, or refuses.
    """
    server.write(name, list_entries(folder / "versions" / name / FILE))


class ServerStore:
    """One version in a server, as `store.ServingStore`."""

    def __init__(self, server: Server, version: str) -> None:
        self._server, self._version = server, version
        about = self._get("about", "about")
        if about is None:
            raise ServingError(
                f"The server has no version {version}: materialise exports/serving_store again."
            )
        self.about: dict[str, Any] = orjson.loads(about)

    def _get(self, kind: str, key: str) -> bytes | None:
        try:
            return self._server.get(self._version, kind, key)
        except ExportError as error:
            raise ServingError(str(error)) from error

    def read_customer(self, customer_id: str) -> Customer | None:
        text = self._get("customer", customer_id)
        if text is None:
            return None
        country, segment, listed, _, tastes, withdrawn, person = orjson.loads(text)
        return Customer(country, segment, listed, tastes, bool(withdrawn), person)

    def read_again(self, customer_id: str) -> bytes | None:
        text = self._get("customer", customer_id)
        return None if text is None else orjson.loads(text)[3]

    def _product(self, code: int) -> list[Any]:
        text = self._get("product", str(code))
        if text is None:
            raise ServingError("The server lost a product: materialise exports/serving_store again.")
        return orjson.loads(text)

    def read_neighbours(self, code: int) -> tuple[bytes | None, bytes | None]:
        _, similar, together = self._product(code)
        return similar, together

    def read_card(self, code: int) -> bytes:
        return self._product(code)[0].encode()

    def read_segment(self, name: str) -> bytes | None:
        return self._get("segment", name)

    def read_facts(self) -> Iterator[dict[str, list[Any]]]:
        number = 0
        while (text := self._get("facts", str(number))) is not None:
            yield orjson.loads(text)
            number += 1


class ServerVersions:
    """Where versions are (`service.Versions`): in a server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def find_current(self) -> str | None:
        try:
            return self._server.find_current()
        except ExportError:  # the version that is open is answered from until it is back
            return None

    def open(self, name: str) -> ServerStore:
        return ServerStore(self._server, name.rsplit("#", 1)[0])


class Redis:
    """Versions in Redis; one connection is kept."""

    def __init__(self, url: str, prefix: str = PREFIX) -> None:
        import redis

        self._prefix, self._error = prefix, redis.RedisError
        with _say_what_failed("Redis", (redis.RedisError, ValueError)):
            self._client = redis.Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS)

    def _key(self, version: str, kind: str) -> str:
        return f"{self._prefix}:version:{version}:{kind}"

    def _list_versions(self) -> set[str]:
        return {name.decode() for name in self._client.smembers(f"{self._prefix}:versions")}

    def write(self, version: str, entries: Iterable[Entry]) -> None:
        with _say_what_failed("Redis", (self._error,)):
            before = self._current()
            same = before == version
            # Read by nobody under this name until it is whole.
            aside = f"{version}.next"
            self._drop([aside])
            self._client.sadd(f"{self._prefix}:versions", aside, version)
            pending: dict[str, dict[str, bytes]] = {}
            size = 0
            for kind, key, value in entries:
                pending.setdefault(kind, {})[key] = value
                size += 1
                if size == BATCH:
                    self._put(aside, pending)
                    pending, size = {}, 0
            self._put(aside, pending)
            with self._client.pipeline(transaction=True) as together:
                for kind in KINDS:
                    if kind in ("segment", "customer") and not self._client.exists(self._key(aside, kind)):
                        together.delete(self._key(version, kind))
                        continue
                    together.rename(self._key(aside, kind), self._key(version, kind))
                purged = self._purged() + 1 if same else 0
                together.set(f"{self._prefix}:current", f"{version}#{purged}")
                together.srem(f"{self._prefix}:versions", aside)
                together.execute()
            self._drop(self._list_versions() - {version, before})

    def _put(self, version: str, pending: dict[str, dict[str, bytes]]) -> None:
        for kind, values in pending.items():
            self._client.hset(self._key(version, kind), mapping=values)

    def _drop(self, versions: Iterable[str]) -> None:
        for version in versions:
            self._client.unlink(*(self._key(version, kind) for kind in KINDS))
            self._client.srem(f"{self._prefix}:versions", version)

    def get(self, version: str, kind: str, key: str) -> bytes | None:
        with _say_what_failed("Redis", (self._error,)):
            return self._client.hget(self._key(version, kind), key)

    def find_current(self) -> str | None:
        with _say_what_failed("Redis", (self._error,)):
            named = self._client.get(f"{self._prefix}:current")
            return None if named is None else named.decode()

    def _current(self) -> str | None:
        named = self.find_current()
        return None if named is None else named.rsplit("#", 1)[0]

    def _purged(self) -> int:
        named = self.find_current()
        return 0 if named is None else int(named.rsplit("#", 1)[1])

    def purge(self, customer_id: str) -> int:
        with _say_what_failed("Redis", (self._error,)):
            gone = sum(
                self._client.hdel(self._key(name, "customer"), customer_id) for name in self._list_versions()
            )
            if gone and (current := self._current()):
                # A server that answers from it reads the log again, without them.
                self._client.set(f"{self._prefix}:current", f"{current}#{self._purged() + 1}")
            return gone

    def count(self, customer_id: str) -> int:
        with _say_what_failed("Redis", (self._error,)):
            return sum(
                self._client.hexists(self._key(name, "customer"), customer_id)
                for name in self._list_versions()
            )


class Postgres:
    """Versions in Postgres; one connection is kept for reading."""

    TABLES = f"""
    create schema if not exists {SCHEMA};
    create table if not exists {SCHEMA}.serving_rows (
        version text not null, kind text not null, key text not null, value bytea not null, primary key (version, kind, key)
    );
    create table if not exists {SCHEMA}.serving_current (version text not null, purged integer not null);
    """

    def __init__(self, url: str) -> None:
        import psycopg

        self._url, self._module = url, psycopg
        self._reader: Any = None

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with (
            _say_what_failed("Postgres", (self._module.Error, OSError)),
            self._module.connect(self._url, connect_timeout=TIMEOUT_SECONDS) as connection,
        ):
            connection.execute(self.TABLES)
            yield connection

    def write(self, version: str, entries: Iterable[Entry]) -> None:
        with self._transaction() as connection:
            connection.execute(f"lock table {SCHEMA}.serving_current in exclusive mode")
            row = connection.execute(f"select version, purged from {SCHEMA}.serving_current").fetchone()
            before, purged = row or (None, 0)
            connection.execute(
                f"delete from {SCHEMA}.serving_rows where version = %s or version is distinct from %s",
                [version, before],
            )
            with connection.cursor().copy(
                f"copy {SCHEMA}.serving_rows (version, kind, key, value) from stdin"
            ) as copy:
                for kind, key, value in entries:
                    copy.write_row((version, kind, key, value))
            connection.execute(f"delete from {SCHEMA}.serving_current")
            connection.execute(
                f"insert into {SCHEMA}.serving_current values (%s, %s)",
                [version, purged + 1 if before == version else 0],
            )

    def _query(self, sql: str, parameters: list[str]) -> Any:
        with _say_what_failed("Postgres", (self._module.Error, OSError)):
            for last in (False, True):
                try:
                    if self._reader is None or self._reader.closed:
                        self._reader = self._module.connect(
                            self._url, connect_timeout=TIMEOUT_SECONDS, autocommit=True
                        )
                    return self._reader.execute(sql, parameters).fetchone()
                except self._module.errors.UndefinedTable:
                    return None  # nothing was ever written
                except self._module.OperationalError:
                    self.close()
                    self._reader = None
                    if last:
                        raise
        return None

    def get(self, version: str, kind: str, key: str) -> bytes | None:
        row = self._query(
            f"select value from {SCHEMA}.serving_rows where version = %s and kind = %s and key = %s",
            [version, kind, key],
        )
        return None if row is None else bytes(row[0])

    def find_current(self) -> str | None:
        row = self._query(f"select version, purged from {SCHEMA}.serving_current", [])
        return None if row is None else f"{row[0]}#{row[1]}"

    def purge(self, customer_id: str) -> int:
        with self._transaction() as connection:
            gone = connection.execute(
                f"delete from {SCHEMA}.serving_rows where kind = 'customer' and key = %s", [customer_id]
            ).rowcount
            if gone:
                connection.execute(f"update {SCHEMA}.serving_current set purged = purged + 1")
            return gone

    def count(self, customer_id: str) -> int:
        row = self._query(
            f"select count(*) from {SCHEMA}.serving_rows where kind = 'customer' and key = %s", [customer_id]
        )
        return 0 if row is None else row[0]

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


@contextmanager
def _say_what_failed(name: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """An error of a server as one sentence; what it quotes may be an address with a password, or a row."""
    try:
        yield
    except errors as error:
        raise ExportError(
            f"{name} refused or went away ({type(error).__name__}); what it had is still current: repair it, then "
            "materialise exports/serving_store again."
        ) from error


def open_servers(redis_url: str | None, postgres_url: str | None) -> dict[str, Server]:
    """The servers that have an address, in the order in which `serve` asks for one."""
    servers: dict[str, Server] = {}
    if redis_url is not None:
        servers["redis"] = Redis(redis_url)
    if postgres_url is not None:
        servers["postgres"] = Postgres(postgres_url)
    return servers
