"""The build file of one week, private to the run of that week: written and read here and by dbt."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from recs_assets.schema import WarehouseError
from recs_assets.store.connect import Connect, explain_missing, is_missing
from recs_assets.store.lake import drop_view


class Build:
    """One week's build file.

    Args:
        week: its Monday.
        folder: of the week's files.
        connect: opens a database.

    Attributes:
        path: of the file, whether or not it exists.
        cache: what was read from it and is needed again; `forget_cached` drops it.
    """

    def __init__(self, week: date, folder: Path, connect: Connect) -> None:
        self.week, self.folder = week, folder
        self.path = folder / "build.duckdb"
        self.cache: dict[Any, Any] = {}
        self._connect = connect
        self._held: duckdb.DuckDBPyConnection | None = None

    def forget_cached(self) -> None:
        """Drop what was read; called when the tables underneath were made again."""
        self.cache.clear()

    @contextmanager
    def write(self) -> Generator[duckdb.DuckDBPyConnection]:
        """A short read-write connection."""
        self.folder.mkdir(parents=True, exist_ok=True)
        connection = self._connect(str(self.path), read_only=False)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def read(self) -> Generator[duckdb.DuckDBPyConnection]:
        """A short read-only connection.

        Raises:
            WarehouseError: no build file, or one that lacks what is asked of it: an earlier version's.
        """
        self.require()
        held = self._held
        connection = self._connect(str(self.path), read_only=True) if held is None else held.cursor()
        try:
            yield connection
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            # A table or a column that is not there.
            raise WarehouseError(
                f"The build file of {self.week} is not complete, or an earlier version of recs_assets made it "
                f"({str(error).splitlines()[0]}): run the week again (python -m recs_assets run --as-of {self.week})."
            ) from error
        except duckdb.Error as error:
            if not is_missing(error):
                raise
            raise explain_missing(self.path, error) from error
        finally:
            connection.close()

    def require(self) -> None:
        """Raise a WarehouseError where there is no build file."""
        if not self.path.exists():
            raise WarehouseError(
                f"The week {self.week} has no build file ({self.path}): materialise its raw tables first."
            )

    @contextmanager
    def hold(self) -> Generator[None]:
        """Keep one read-only connection open, which `read` shares meanwhile: opening the file costs more than
        many a question."""
        if self._held is not None:
            yield
            return
        with self.read() as connection:
            self._held = connection
            try:
                yield
            finally:
                self._held = None

    def query(self, sql: str, parameters: Mapping[str, object]) -> pd.DataFrame:
        """Rows of compiled SQL (`queries.compiler`).

        Args:
            sql: identifiers from the catalogue; values only as `$name`.
            parameters: the values by name.

        Raises:
            WarehouseError: no build file, or one that lacks what the SQL reads.
        """
        with self.read() as connection:
            return connection.execute(sql, dict(parameters)).df()

    def table(self, name: str) -> pd.DataFrame:
        """All rows of `model.<name>`.

        Raises:
            WarehouseError: no build file, or one without the table.
        """
        with self.read() as connection:
            try:
                return connection.execute(f'select * from model."{name}"').df()
            except duckdb.CatalogException as error:
                raise WarehouseError(
                    f"The build file of {self.week} has no table model.{name}: run the week again."
                ) from error

    def read_frames(self, relation: str, size: int, together: str | None = None) -> Iterator[pd.DataFrame]:
        """The rows of a relation, `<schema>."<table>"`; see `read_frames`."""
        with self.read() as connection:
            yield from read_frames(connection, relation, size, together)

    def replace_table(
        self, name: str, rows: pd.DataFrame | pa.RecordBatchReader, columns: Mapping[str, str]
    ) -> int:
        """Replace `model.<name>` by `rows`; see `replace_table`."""
        with self.write() as connection:
            return replace_table(connection, name, rows, columns)


def replace_table(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    rows: pd.DataFrame | pa.RecordBatchReader,
    columns: Mapping[str, str],
) -> int:
    """Replace `model.<name>` by `rows`, cast to the declared column types, in one transaction; how many they are.

    Raises:
        WarehouseError: when a number is infinite. NaN is a missing value and lands as null.
    """
    selected = ", ".join(f'"{column}"::{type_} as "{column}"' for column, type_ in columns.items())
    connection.register("incoming_rows", rows)
    connection.execute("begin")
    connection.execute("create schema if not exists model")
    drop_view(connection, "model", name)
    connection.execute(f'create or replace table model."{name}" as select {selected} from incoming_rows')
    doubles = [column for column, type_ in columns.items() if type_.lower() in ("double", "float", "real")]
    figures = ", ".join(["count(*)", *(f'bool_or(isinf("{column}"))' for column in doubles)])
    [(count, *infinite)] = connection.execute(f'select {figures} from model."{name}"').fetchall()
    for column, found in zip(doubles, infinite, strict=True):
        if found:
            connection.execute("rollback")
            raise WarehouseError(f"model.{name}.{column} holds an infinite number: refusing to write it.")
    connection.execute("commit")
    return count


def read_frames(
    connection: duckdb.DuckDBPyConnection, relation: str, size: int, together: str | None = None
) -> Iterator[pd.DataFrame]:
    """The rows of a relation as frames of some `size` rows, one after the other; at least one frame.

    Args:
        connection: nothing is written to it.
        relation: what stands behind `from`.
        size: rows of a frame.
        together: column whose equal values must be in one frame; None: any rows may be apart.
    """
    [(rows,)] = connection.execute(f"select count(*) from {relation}").fetchall()
    if rows <= size:
        yield connection.execute(f"select * from {relation}").to_arrow_table().to_pandas(date_as_object=False)
        return
    order = f'order by "{together}"' if together else ""
    held: list[pd.DataFrame] = []
    for batch in connection.execute(f"select * from {relation} {order}").to_arrow_reader(size):
        frame = pd.concat([*held, batch.to_pandas(date_as_object=False)], ignore_index=True)
        if not together:
            yield frame
            continue
        # The last value may go on in the next batch.
        goes_on = frame[together] == frame[together].iloc[-1]
        held = [frame[goes_on]]
        if not goes_on.all():
            yield frame[~goes_on]
    yield from held
