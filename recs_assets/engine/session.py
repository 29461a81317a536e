"""The session of Spark Connect in which dbt builds, and its one function of SQL.

Nothing else of the project imports pyspark. dbt's own process opens the session (recs_assets/dbt_process.py).
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING

import pyarrow

from recs_assets.engine.address import FORM, find_server
from recs_assets.engine.lake import Lake, write_parquet
from recs_assets.locations import list_parquet, locate
from recs_assets.plain_text import plain_text
from recs_assets.schema import EngineError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Finish = Callable[[Iterable[str]], None]
LAYERS = ("raw", "model", "base", "staging", "intermediate", "marts", "features", "recs", "main")
# Times of the shop are wall clock times, as DuckDB has them: no zone, whatever the cluster's is.
OPTIONS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
}
_SECONDS_TO_CONNECT = 10
# How long a server that does not answer is waited for, and after how long without failure the next one is waited for again.
_SECONDS_TO_WAIT, _SECONDS_UNTIL_FORGOTTEN = 4, 60


@contextlib.contextmanager
def connect(address: str) -> Iterator[SparkSession]:
    """A session of its own.

    Raises:
        EngineError: pyspark is not installed, nothing answers at the address, or the engine ends at work.
    """
    require_engine(address)
    from pyspark.errors import PySparkException

    session = _configure(address).create()
    _limit_retries(session)
    try:
        yield session
    except (PySparkException, OSError) as error:
        require_engine(address)
        raise EngineError(
            f"The engine failed at work ({type(error).__name__}): its log says why; run the week again."
        ) from None
    finally:
        with contextlib.suppress(Exception):  # the engine is gone, and what went wrong is said already
            session.stop()


def _configure(address: str) -> SparkSession.Builder:
    """What makes a session with the project's options."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.remote(address)
    for name, value in OPTIONS.items():
        builder = builder.config(name, value)
    return builder


def _limit_retries(session: SparkSession) -> None:
    """Give up a server that is gone after some four seconds in all: Spark's client waits ten minutes, and with each statement
    of dbt anew."""
    from pyspark.sql.connect.client.retries import DefaultPolicy

    class OncePatient(DefaultPolicy):
        def __init__(self) -> None:
            super().__init__()
            self._first = self._latest = float("-inf")

        def can_retry(self, e: BaseException) -> bool:
            if not super().can_retry(e):
                return False
            now = time.monotonic()
            if now - self._latest > _SECONDS_UNTIL_FORGOTTEN:
                self._first = now
            self._latest = now
            return now - self._first < _SECONDS_TO_WAIT

    session.client.set_retry_policies([OncePatient()])


@contextlib.contextmanager
def open_session(address: str, lake: Lake, schemas: str) -> Iterator[Finish]:
    """The session of this process, with the tables of a lake and the functions that the dbt project calls.

    dbt-spark finds it as the active one. Tables are names for files: they are made for the session and dropped with
    it, and the files stay. Gives a function that is called with the tables made, `<schema>.<table>`.

    Args:
        address: sc://host:port.
        lake: whose tables are registered.
        schemas: what the names of schemas begin with.

    Raises:
        EngineError: pyspark is not installed, nothing answers at the address, or the engine ends at work.
    """
    require_engine(address)
    from pyspark import cloudpickle
    from pyspark.sql.functions import arrow_udf
    from pyspark.sql.types import StringType

    session = _configure(address).getOrCreate()
    _limit_retries(session)
    # dbt-spark asks for Hive, which a session over Connect cannot choose.
    warnings.filterwarnings("ignore", "Failed to set spark.sql.catalogImplementation")
    ship_functions(cloudpickle)
    session.udf.register("in_duckdb", arrow_udf(in_duckdb, StringType()))
    _drop_schemas(session, schemas)
    for layer in LAYERS:
        session.sql(f"create schema {schemas}{layer}")
    for relation, folder in lake.given.items():
        fields = session.read.parquet(str(folder)).schema
        columns = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in fields)
        session.sql(
            f"create table {schemas}{relation} ({columns}) using parquet location {quote_literal(folder)}"
        )
    try:
        yield lambda relations: _write_empty_tables(session, lake, schemas, relations)
    finally:
        with contextlib.suppress(Exception):  # the engine is gone, which is said next
            _drop_schemas(session, schemas)
        # Whatever else failed, an engine that is gone is why.
        require_engine(address)


def quote_literal(text: object) -> str:
    """A literal of Spark's SQL: it reads backslashes, and two quotes are the end of one text and the start of another."""
    escaped = str(text).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def ship_whole(module: ModuleType) -> None:
    """Let the functions of a module travel whole: workers need not have it."""
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(module)


def ship_functions(cloudpickle: ModuleType) -> None:
    """Let `in_duckdb` travel whole, so that workers need duckdb and pyarrow and not this project."""
    for function in (in_duckdb, plain_text):
        cloudpickle.register_pickle_by_value(sys.modules[function.__module__])


def _drop_schemas(session: SparkSession, schemas: str) -> None:
    for layer in LAYERS:
        session.sql(f"drop schema if exists {schemas}{layer} cascade")


def _write_empty_tables(session: SparkSession, lake: Lake, schemas: str, relations: Iterable[str]) -> None:
    """A file for each table that has none: Sail writes nothing where there are no rows."""
    for relation in relations:
        folder = lake.find_made(relation)
        if not list_parquet(folder):
            write_parquet(session.table(f"{schemas}{relation}").toArrow(), folder / "0.parquet")


def require_engine(address: str) -> None:
    """Raise an EngineError where no engine answers, at once: Spark's own client tries for ten minutes."""
    place = find_server(address)
    if place is None:
        raise EngineError(f"RECS_ENGINE is no address of Spark Connect: write {FORM}.")
    host, port = place
    try:
        import dbt.adapters.spark  # noqa: F401
        import pyspark  # noqa: F401

        socket.create_connection((host, port), _SECONDS_TO_CONNECT).close()
    except ImportError as error:
        raise EngineError(
            f"RECS_ENGINE is set, and the package {error.name} is not installed: pip install 'recs-assets[spark]'."
        ) from None
    except (OSError, UnicodeError) as error:  # the second: of a host that can be none
        raise EngineError(
            f"No Spark Connect server answers at {host}:{port} ({error}): start it, or "
            "correct RECS_ENGINE, and run the week again."
        ) from None


def open_session_of_environment() -> contextlib.AbstractContextManager[Finish]:
    """The session that the variables of dbt's process name."""
    lake = Lake(locate(os.environ["RECS_DBT_LAKE"]))
    return open_session(os.environ["RECS_DBT_ENGINE"], lake, os.environ["RECS_DBT_SCHEMAS"])


def in_duckdb(expression: pyarrow.Array, value: pyarrow.Array) -> pyarrow.Array:
    """Values of an expression of DuckDB's SQL over a column x, as text.

    Args:
        expression: the same text in every row, as Spark passes a literal.
        value: of any type.
    """
    import duckdb

    if not len(value):
        return pyarrow.array([], pyarrow.string())
    rows = pyarrow.table({"x": value})
    # Of one of many workers of a machine.
    limits = {"threads": 1, "autoinstall_known_extensions": False, "autoload_known_extensions": False}
    with duckdb.connect(config=limits) as connection:
        connection.create_function("plain_text", plain_text, ["VARCHAR"], "VARCHAR")
        connection.register("rows", rows)
        text = expression[0].as_py()
        found = connection.execute(f"select cast({text} as varchar) as y from rows").to_arrow_table()
    return found["y"].combine_chunks()
