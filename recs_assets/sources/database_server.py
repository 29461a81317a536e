"""A connection to a shop's Postgres or MySQL, to read only, by DuckDB's extensions.

The extensions come in wheels (`pip install 'recs-assets[postgres]'`, `[mysql]`), are signed by DuckDB's makers and
loaded from their file, so nothing is fetched. The address stands in the environment alone (`RECS_DATABASE_<NAME>`).
DuckDB's own messages are never passed on: they may quote the address or a row.
"""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import duckdb

from recs_assets.schema import SettingsError, SourceError
from recs_assets.sql_text import quote, quote_text
from recs_assets.store.connect import NO_DOWNLOADS

PREFIX = "RECS_DATABASE_"
# By what an address begins with: DuckDB's name for the kind of server.
_KINDS = {"postgresql": "postgres", "postgres": "postgres", "mysql": "mysql", "mariadb": "mysql"}
_PORTS = {"postgres": 5432, "mysql": 3306}
# What may stand behind the `?` of an address.
_OPTIONS = {
    "postgres": ("sslmode", "sslrootcert", "sslcert", "sslkey"),
    "mysql": ("ssl_mode", "ssl_ca", "ssl_cert", "ssl_key"),
}
_SECONDS = 10
_SERVER = "server"

# What a message of a server or of DuckDB means to whoever runs the week.
_REFUSED = r"password authentication failed|no password supplied|Access denied for user .*using password|authentication"
_NO_DATABASE = r"FATAL:  database |Unknown database|Access denied for user .* to database"
_FORBIDDEN = r"permission denied|command denied|access denied"
_NO_TABLE = (
    r"relation \"[^\"\n]*\" does not exist|Table '[^'\n]*' doesn't exist|schema \"[^\"\n]*\" does not exist"
)
_BROKEN = (
    r"server closed|terminating connection|Lost connection|gone away|SSL SYSCALL|could not receive|Connection reset|"
    r"connection .*(lost|closed|broken)|no connection to the server|is aborted|end of file|out of sync|Can't connect|"
    r"Connection refused|shutting down|starting up|Server shutdown|read packet"
)
# Words of the server about the query alone: what it says of values might quote them.
_ABOUT_THE_QUERY = re.compile(
    r"(?:ERROR:\s+|\": )((?:column|relation|function|operator|schema|syntax error|missing FROM|aggregate|canceling|cannot execute|WITH clause|division|"
    r"Unknown column|You have an error in your SQL|FUNCTION|Unknown table|Duplicate column|Table)[^\n]*)"
)


@dataclass(frozen=True)
class Address:
    """Where a database is; nothing of it is ever shown."""

    kind: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    options: Mapping[str, str]


def find_address(name: str) -> Address | None:
    """The address of a database; None where the environment has none.

    Raises:
        SettingsError: it is no address of Postgres or MySQL.
    """
    variable = PREFIX + name.upper()
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    try:
        url = urlsplit(text)
        port, host = url.port, unquote(url.hostname or "")
    except ValueError:
        url, port, host = urlsplit(""), None, ""
    kind = _KINDS.get(url.scheme)
    database = unquote(url.path.removeprefix("/"))
    if kind is None or not host or not database or "/" in database:
        raise SettingsError(
            f"{variable} must look like postgresql://user:password@host:5432/database or mysql://user:password@"
            "host:3306/database (write %40 for an @ and %2F for a / in a password)."
        )
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    if stray := sorted(set(options) - set(_OPTIONS[kind])):
        raise SettingsError(
            f"{variable}: the option {stray[0]!r} is not known; it may have {', '.join(_OPTIONS[kind])}."
        )
    return Address(
        kind,
        host,
        port or _PORTS[kind],
        unquote(url.username or ""),
        unquote(url.password or ""),
        database,
        options,
    )


def require_address(name: str, where: str) -> Address:
    """The address of a database.

    Args:
        name: of the database.
        where: begins the error.

    Raises:
        SettingsError: the environment has none, or it is no address.
    """
    found = find_address(name)
    if found is None:
        raise SettingsError(
            f"{where}: {PREFIX}{name.upper()} is not set: set it to the database's address, like "
            "postgresql://user:password@host:5432/database or mysql://user:password@host:3306/database."
        )
    return found


class Server:
    """A connection of DuckDB, in a file of its own, to which a server is attached."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, address: Address, name: str, where: str
    ) -> None:
        self.connection, self.address, self.name, self.where = connection, address, name, where

    @property
    def is_mysql(self) -> bool:
        return self.address.kind == "mysql"

    def quote(self, identifier: str) -> str:
        """An identifier as the server writes it."""
        return "`" + identifier.replace("`", "``") + "`" if self.is_mysql else quote(identifier)

    def scan(self, sql: str) -> str:
        """What DuckDB reads of a SELECT that the server runs."""
        return f"{self.address.kind}_query('{_SERVER}', {quote_text(sql)})"

    def execute(self, sql: str) -> list[tuple]:
        """The rows of DuckDB's SQL.

        Raises:
            SourceError: the server or DuckDB refuses.
        """
        try:
            return self.connection.execute(sql).fetchall()
        except duckdb.Error as error:
            raise self._explain(error) from None

    def ask(self, sql: str) -> list[tuple]:
        """The rows of a SELECT that the server runs."""
        return self.execute(f"select * from {self.scan(sql)}")

    def _explain(self, error: Exception) -> SourceError:
        """One sentence that quotes neither the address nor a row."""
        text, variable, where = str(error), PREFIX + self.name.upper(), self.where
        if missing := re.search(_NO_TABLE, text):
            said = f"{where}: the database has no such table ({missing.group()[:200]}); correct it in source.toml."
        elif re.search(_FORBIDDEN, text):
            said = f"{where}: the user in {variable} may not read it; grant that user SELECT on it, and nothing more."
        elif re.search(_BROKEN, text, re.IGNORECASE):
            said = f"{where}: the connection to the server broke off; nothing of it was landed, run the week again."
        elif "No space left" in text:
            said = f"{where}: the disk is full; make room where RECS_HOME is, then run the week again."
        elif found := _ABOUT_THE_QUERY.search(text):
            words = "" if "@" in found.group(1) else f" ({found.group(1).rstrip('. ')[:200]})"
            said = f"{where}: the server refuses the query{words}; correct it in source.toml."
        else:
            said = (
                f"{where}: it cannot be read (the message is left out, it may quote data); run the SELECT in the "
                "database's own client to see why."
            )
        return SourceError(said)


@contextmanager
def open_server(name: str, where: str, folder: Path | None = None) -> Iterator[Server]:
    """Connect to a database, to read only.

    Args:
        name: of the database.
        where: begins errors.
        folder: in which DuckDB may keep rows for as long as the connection is open. Default: the system's.

    Raises:
        SettingsError: there is no address, or the extension is not installed.
        SourceError: the server cannot be reached or refuses.
    """
    address = require_address(name, where)
    extension = _find_extension(address.kind, where)
    variable = PREFIX + name.upper()
    try:  # DuckDB would wait for as long as the system does
        socket.create_connection((address.host, address.port), timeout=_SECONDS).close()
    except OSError:
        raise SourceError(
            f"{where}: the server cannot be reached; start it, or correct host and port in {variable}."
        ) from None
    with tempfile.TemporaryDirectory(prefix="database-", dir=folder) as scratch:
        connection = duckdb.connect(str(Path(scratch) / "rows.duckdb"), config=NO_DOWNLOADS)
        try:
            server = Server(connection, address, name, where)
            try:
                connection.execute(f"load {quote_text(str(extension))}")
                # Times without a zone must not depend on the machine's.
                connection.execute("set TimeZone = 'UTC'")
                if server.is_mysql:
                    connection.execute("set mysql_session_time_zone = '+00:00'")
                    connection.execute("set mysql_tinyint1_as_boolean = false")
                    connection.execute("set mysql_incomplete_dates_as_nulls = true")
                connection.execute(_write_secret(address))
                connection.execute(
                    f"attach {quote_text(_write_options(address))} as {_SERVER} "
                    f"(type {address.kind}, secret address, read_only)"
                )
            except duckdb.Error as error:
                text = str(error)
                if re.search(_NO_DATABASE, text):
                    said = f"the server has no such database, or the user may not open it; correct {variable}"
                elif re.search(_REFUSED, text):
                    said = f"the server refuses the user or the password; correct {variable}"
                else:
                    said = f"no connection to the server can be made (see the server's own log); correct {variable}"
                raise SourceError(f"{where}: {said}.") from None
            yield server
        finally:
            connection.close()


def _find_extension(kind: str, where: str) -> Path:
    """The extension's file in its wheel.

    Raises:
        SettingsError: the wheel is not installed, or is another DuckDB's.
    """
    package = importlib.util.find_spec(f"duckdb_extension_{kind}_scanner")
    folders = (package.submodule_search_locations if package else None) or ()
    for folder in folders:
        path = Path(folder) / "extensions" / f"v{duckdb.__version__}" / f"{kind}_scanner.duckdb_extension"
        if path.is_file():
            return path
    raise SettingsError(
        f"{where}: DuckDB's extension for this server is not installed; run pip install 'recs-assets[{kind}]'."
    )


def _write_secret(address: Address) -> str:
    values = {
        "host": address.host,
        "port": str(address.port),
        "user": address.user,
        "password": address.password,
        "database": address.database,
        **(address.options if address.kind == "mysql" else {}),
    }
    written = ", ".join(f"{key} {quote_text(value)}" for key, value in values.items())
    return f"create secret address (type {address.kind}, {written})"


def _write_options(address: Address) -> str:
    if address.kind == "mysql":
        return ""
    options = {"connect_timeout": str(_SECONDS), "application_name": "recs_assets", **address.options}
    written = []
    for key, value in options.items():
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        written.append(f"{key}='{escaped}'")
    return " ".join(written)
