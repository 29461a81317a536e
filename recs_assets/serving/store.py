"""The store that answers are read from: one read-only SQLite file per published version, found in microseconds.

    about(key, value)                             what the version is, as JSON under "about"
    facts(block, columns)                         what rules look at, `FACTS` by columns, `BLOCK` products each
    products(code, card, similar, together)       by product: its card, and the lists of its neighbours
    segments(name, products)                      codes of a segment's most popular products
    customers(id, country, segment, list, again, tastes, withdrawn, person)
                                                  withdrawn: 1 for who objected or was erased, of whom there is nothing else;
                                                  a row for every id of a person, who is called by one of them

Products have numbers (codes) that hold within one file. Values are JSON, so that a card goes into an answer as it is.
No address is in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson

from recs_assets.schema import RecsError

FILE = "serving.sqlite"
FORMAT = 3
FACTS = (
    "product_id", "name", "category", "vertical", "brand", "merchant_id", "parent_id", "url", "image_url", "price", "cost",
    "stock", "start_at", "end_at", "countries", "popularity", "never_offer", "never_discover",
)  # fmt: skip
BLOCK = 4096
SCHEMA = """
create table about (key text primary key, value blob not null);
create table facts (block integer primary key, columns blob not null);
create table products (code integer primary key, card blob not null, similar blob, together blob);
create table segments (name text primary key, products blob not null);
create table customers (
    id text not null, country text, segment text, list blob, again blob, tastes blob, withdrawn integer not null,
    person text not null
);
"""
# After the rows: a tree that is filled in order is dense.
INDEX = "create unique index customers_by_id on customers (id)"


class ServingError(RecsError):
    """There is no store to answer from, or it cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Customer:
    """What the store knows of a customer; lists as JSON, None where there is none.

    Attributes:
        country: ISO code in capitals.
        segment: its name.
        list: [code, score, p_purchase, source, reason_code, reason_text, because_product_id,
            recommendation_id] by rank.
        tastes: [category's number, share of purchase days], the largest first; every category they bought from.
        withdrawn: they objected, or were erased: answered like a stranger, and nothing of theirs is written down.
        person: the id that all their ids stand for.
    """

    country: str | None
    segment: str | None
    list: bytes | None
    tastes: bytes | None
    withdrawn: bool
    person: str


class ServingStore(Protocol):
    """One published version; answers of one request come from one of these."""

    about: dict[str, Any]

    def read_customer(self, customer_id: str) -> Customer | None: ...

    def read_again(self, customer_id: str) -> bytes | None:
        """[code, score, p_purchase, reason_code, reason_text, recommendation_id] by rank."""
        ...

    def read_neighbours(self, code: int) -> tuple[bytes | None, bytes | None]:
        """Similar, bought together: [code, score, reason_text, recommendation_id] by rank."""
        ...

    def read_card(self, code: int) -> bytes: ...

    def read_segment(self, name: str) -> bytes | None: ...

    def read_facts(self) -> Iterator[dict[str, list[Any]]]:
        """`FACTS` by column, block by block."""
        ...


class FileStore:
    """The store in a file.

    Args:
        path: of the file. It may be deleted while the store is open.

    Raises:
        ServingError: it cannot be read, or another version of recs_assets wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
            # Not mapped: every page that was ever read would count as this process's memory.
            self._connection.execute("pragma cache_size = -16000")
            (about,) = self._connection.execute("select value from about where key = 'about'").fetchone()
        except (sqlite3.Error, TypeError) as error:
            raise ServingError(
                f"{path} cannot be read ({error}): materialise exports/serving_store again."
            ) from error
        self.about = orjson.loads(about)
        if self.about["format"] != FORMAT:
            raise ServingError(
                f"{path} was written by another version of recs_assets: materialise exports/serving_store again."
            )

    def close(self) -> None:
        self._connection.close()

    def read_customer(self, customer_id: str) -> Customer | None:
        row = self._connection.execute(
            "select country, segment, list, tastes, withdrawn, person from customers where id = ?",
            (customer_id,),
        ).fetchone()
        return None if row is None else Customer(*row[:4], bool(row[4]), row[5])

    def read_again(self, customer_id: str) -> bytes | None:
        row = self._connection.execute("select again from customers where id = ?", (customer_id,)).fetchone()
        return None if row is None else row[0]

    def read_neighbours(self, code: int) -> tuple[bytes | None, bytes | None]:
        return self._connection.execute(
            "select similar, together from products where code = ?", (code,)
        ).fetchone()

    def read_card(self, code: int) -> bytes:
        return self._connection.execute("select card from products where code = ?", (code,)).fetchone()[0]

    def read_segment(self, name: str) -> bytes | None:
        row = self._connection.execute("select products from segments where name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def read_facts(self) -> Iterator[dict[str, list[Any]]]:
        for (columns,) in self._connection.execute("select columns from facts order by block"):
            yield orjson.loads(columns)

    def read_rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        """Every row of a table, in the order written."""
        yield from self._connection.execute(f"select * from {table} order by rowid")


def count_customer(path: Path, customer_id: str) -> int:
    """How many rows of a file are a customer's."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        return connection.execute("select count(*) from customers where id = ?", (customer_id,)).fetchone()[0]
