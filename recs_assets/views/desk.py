"""One look at what is published: a short connection to the snapshot, and the kept files of its week."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import date
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from recs_assets.locations import find_absent
from recs_assets.schema import RecsError, WarehouseError
from recs_assets.store.connect import explain_missing, is_changed
from recs_assets.store.lake import load_files
from recs_assets.store.warehouse import Warehouse
from recs_assets.views.kept import Kept
from recs_assets.views.pseudonyms import Pseudonyms

Row = dict[str, Any]


class MissingError(RecsError):
    """What a view would show is not there; the sentence says what, and what makes it."""


class AwayError(MissingError):
    """Files that the snapshot reads are not there, so nobody can be answered until they are."""


class Desk:
    """Where views are looked at.

    Args:
        warehouse: the deployment's files.
        pseudonyms: what customers are called.
    """

    def __init__(self, warehouse: Warehouse, pseudonyms: Pseudonyms) -> None:
        self.warehouse, self.pseudonyms = warehouse, pseudonyms
        self._lock, self._held = Lock(), ExitStack()
        self._path: Path | None = None
        self._remembered: dict[str, Any] = {}
        self._connection: Any = None

    @contextmanager
    def look(self) -> Generator[Look]:
        """A look at the version that is published now, however long it takes.

        Raises:
            MissingError: nothing is published.
        """
        link = self.warehouse.snapshot_path
        if not link.exists():
            raise MissingError(
                "Nothing is published yet. Run a week (make demo, or python -m recs_assets run) and look again."
            )
        path = link.resolve()
        cursor, remembered = self._open(path)
        try:
            yield Look(self, cursor, path.name, remembered)
        finally:
            cursor.close()

    def _open(self, path: Path) -> tuple[Any, dict[str, Any]]:
        """A cursor of the connection to a version, which stays open (opening costs more than most questions), and
        what is remembered of the version."""
        with self._lock:
            if self._path != path:
                self._held.close()
                try:
                    connection = self._held.enter_context(self.warehouse.open(path))
                except WarehouseError as error:
                    raise MissingError(str(error)) from error
                connection.execute("set parquet_metadata_cache = true")
                self._path, self._connection = path, connection
                self._remembered = {}
            return self._connection.cursor(), self._remembered

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._held.close()
            self._path = None


class Look:
    """What can be read of one version.

    Attributes:
        version: name of the snapshot's file.
        week: the newest week it describes.
    """

    def __init__(self, desk: Desk, connection: Any, version: str, remembered: dict[str, Any]) -> None:
        self._connection, self.version, self._remembered = connection, version, remembered
        self.pseudonyms = desk.pseudonyms
        found = self.row(
            "select as_of from recs.publish_log where action in ('publish', 'rollback') order by rowid desc limit 1"
        )
        if found is None:
            raise MissingError(f"{version} does not say which week it describes. Run the week again.")
        self.week: date = found["as_of"]
        self._weeks = desk.warehouse.home / "weeks"
        self.kept = self._keep(self.week)

    def _keep(self, week: date) -> Kept:
        return Kept(self._weeks / week.isoformat(), week)

    def list_published(self) -> set[date]:
        """The weeks whose lists the snapshot holds."""
        sql = "select distinct as_of from recs.customer_recommendations"
        return self.remember("published weeks", lambda: {row["as_of"] for row in self.rows(sql)})

    @cached_property
    def files_by_day(self) -> dict[date, Kept]:
        """Day -> the files of the week it is, else of the newest published week that keeps lists at it, latest day first."""
        found: dict[date, Kept] = {}
        for week in sorted({self.week, *self.list_published()}, reverse=True):
            kept = self._keep(week)
            for day in kept.anchors():
                found[day] = kept if day == week else found.get(day, kept)
        return dict(sorted(found.items(), reverse=True))

    def rows(self, sql: str, parameters: dict[str, object] | None = None) -> list[Row]:
        """Rows of a query on the snapshot and the kept files."""
        answer = self._execute(sql, parameters or {})
        names = [column[0] for column in answer.description or []]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def _execute(self, sql: str, parameters: dict[str, object]) -> Any:
        try:
            return self._connection.execute(sql, parameters)
        except Exception as error:
            if not is_changed(error):
                raise
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> MissingError:
        files = load_files(self._connection).values()
        if absent := find_absent(file.path for of_table in files for file in of_table):
            return AwayError(str(explain_missing(Path(self.version), absent)))
        return MissingError(
            f"{self.version} or its week lacks what this view reads, because an earlier version made it or files "
            f"have just been replaced ({str(error).splitlines()[0]}). Load the page again, or run the week again."
        )

    def remember(self, name: str, read: Callable[[], Any]) -> Any:
        """What every page asks of a version, which does not change: read once. Nobody may change it."""
        if name not in self._remembered:
            self._remembered[name] = read()
        return self._remembered[name]

    def row(self, sql: str, parameters: dict[str, object] | None = None) -> Row | None:
        """The first row of a query; None where there is none."""
        return next(iter(self.rows(sql, parameters)), None)

    def arrow(self, sql: str, parameters: dict[str, object]) -> Any:
        """Rows of a query as an Arrow table."""
        return self._execute(sql, parameters).to_arrow_table()

    def list_columns(self, path: Path) -> set[str]:
        """The columns of a Parquet file; none where it is not there."""
        if not path.exists():
            return set()
        return {
            row["name"] for row in self.rows("select name from parquet_schema($path)", {"path": str(path)})
        }

    def list_values(self, values: list[str]) -> tuple[str, dict[str, str]]:
        """Placeholders for the values of an `in`, and the parameters that fill them."""
        parameters = {f"value_{number}": value for number, value in enumerate(values)}
        return ", ".join(f"${name}" for name in parameters) or "null", parameters

    def name(self, customer_id: str) -> str:
        """What a customer is called here."""
        return self.pseudonyms.name(customer_id)

    def find_customer(self, text: str) -> str | None:
        """The id that a pseudonym or an id stands for; None for nobody."""
        try:
            return self.pseudonyms.find(text, self._connection, self.version)
        except Exception as error:
            if not is_changed(error):
                raise
            raise self._explain(error) from error

    def products(self, ids: list[str]) -> dict[str, Row]:
        """Name, category, brand and price of products, by id; an id alone where the catalogue has none."""
        found = self.rows(
            "select product_id, product_name, category, brand, price, currency from recs.products "
            "where list_contains($ids, product_id)",
            {"ids": ids},
        )
        return {row["product_id"]: row for row in found}
