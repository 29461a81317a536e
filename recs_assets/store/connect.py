"""Opening DuckDB: never an extension from the network, never more memory than the deployment allows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from recs_assets.locations import list_stores
from recs_assets.schema import WarehouseError

if TYPE_CHECKING:
    from recs_assets.locations import Location

# What a query raises where a table, a column or a file is not what it was.
_CHANGED = (duckdb.CatalogException, duckdb.BinderException, duckdb.IOException, duckdb.InvalidInputException)
# What DuckDB says of a Parquet file that a view names and that is not there.
MISSING = "No files found that match the pattern"


# Extensions come with DuckDB or not at all.
NO_DOWNLOADS = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}


@dataclass(frozen=True)
class Connect:
    """Opens databases with the limits of a deployment.

    Attributes:
        threads: of DuckDB.
        memory_limit: such as "4GB".
        temp: folder for what does not fit.
        lakes: says which lakes the databases may read.
    """

    threads: int
    memory_limit: str
    temp: Path
    lakes: Callable[[], Sequence[Location]]

    def __call__(self, database: str, read_only: bool) -> duckdb.DuckDBPyConnection:
        """A connection.

        Raises:
            WarehouseError: DuckDB refuses.
        """
        try:
            connection = duckdb.connect(
                database,
                read_only=read_only,
                config={
                    "threads": self.threads,
                    "memory_limit": self.memory_limit,
                    "temp_directory": str(self.temp),
                    **NO_DOWNLOADS,
                },
            )
        except duckdb.Error as error:
            raise WarehouseError(
                f"DuckDB cannot open {database}: {str(error).splitlines()[0]} "
                "Close whatever holds the file, or delete it and run the week again."
            ) from error
        read_stores(connection, self.lakes())
        return connection

    @contextmanager
    def read(self, path: Path) -> Generator[duckdb.DuckDBPyConnection]:
        """A short read-only connection to a file.

        Raises:
            WarehouseError: DuckDB refuses, or a file of the lake that is asked for is not there.
        """
        connection = self(str(path), read_only=True)
        try:
            yield connection
        except duckdb.Error as error:
            if not is_missing(error):
                raise
            raise explain_missing(path, error) from error
        finally:
            connection.close()


def read_stores(connection: duckdb.DuckDBPyConnection, lakes: Sequence[Location]) -> None:
    """Let a database read lakes in object stores, without an extension of DuckDB."""
    for store in list_stores(lakes):
        from recs_assets.store.objects import Objects

        with suppress(duckdb.InvalidInputException):  # another connection to the same database did it
            connection.register_filesystem(Objects(store))


def is_missing(error: Exception) -> bool:
    """Whether DuckDB says that a file which a view names is not there, or that its store refuses."""
    return MISSING in str(error) or _is_refused(error)


def _is_refused(error: Exception) -> bool:
    """Whether an object store refuses, or nothing reads it."""
    # What Python raised is an error without a kind of its own, and says where; so is the extension that is not there.
    text = str(error)
    return type(error) is duckdb.Error and ("\nAt:\n" in text or "extension httpfs" in text)


def is_changed(error: Exception) -> bool:
    """Whether a query failed because a table, a column or a file is not what it was, or a store refuses."""
    return isinstance(error, _CHANGED) or _is_refused(error)


def explain_missing(path: Path, missing: duckdb.Error | Location) -> WarehouseError:
    """That a view of a file reads another one which is not there: what DuckDB says of it, or what is not there."""
    what = str(missing).splitlines()[0]
    advice = (
        "see that RECS_LAKE is what it was when the week was built, and that the store answers (AWS_ENDPOINT_URL, credentials)"
        if "://" in what or (isinstance(missing, duckdb.Error) and _is_refused(missing))
        else "make RECS_LAKE's folder available under the path that it had when the week was built"
    )
    return WarehouseError(f"{path} reads files that are not there ({what}): {advice}, or run the week again.")
