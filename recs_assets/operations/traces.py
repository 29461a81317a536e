"""Find every trace of a customer in the files that are kept, by value and in their bytes."""

from __future__ import annotations

import html
import json
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from recs_assets.delivery import hash_addresses
from recs_assets.locations import list_files
from recs_assets.operations.search import count_rows, load_personal, load_visitors
from recs_assets.schema import WarehouseError
from recs_assets.serving.store import count_customer
from recs_assets.sources.acknowledged import EVENTS, is_row_of, list_rows
from recs_assets.store.text import quote
from recs_assets.store.warehouse import Warehouse

if TYPE_CHECKING:
    from recs_assets.locations import Location

# A shorter id occurs by chance: some 3 bytes long ones are in any file of 16 MB.
PLAIN_BYTES = 6
# Folders of text that runs wrote about rows; in other texts a number is a count or a setting.
RECORDS = {"logs", "quality", "storage"}
# Of Dagster's tables, those that hold what steps said.
EVENT_TABLES = ("event_logs", "asset_keys")
BINARY = {".duckdb", ".parquet", ".db", ".sqlite", ".npz", ".png", ".index", ".msgpack", ".gpickle"}


@dataclass(frozen=True)
class Traces:
    """What a customer can be found by.

    Attributes:
        customer_id: the id.
        emails: addresses in the build files' raw customers that nobody else has.
        addresses: all of theirs there.
        hashes: keyed hashes of these, as the email table has them.
        orders: ids of their orders.
        visitors: under whom they, and nobody else, signed in on the shop's pages.
        plain: the id is long enough, and no part of anybody's or anything's else, to be searched in any bytes.
    """

    customer_id: str
    emails: tuple[str, ...]
    addresses: tuple[str, ...]
    hashes: tuple[str, ...]
    orders: tuple[str, ...]
    visitors: tuple[str, ...]
    plain: bool

    @property
    def words(self) -> str:
        """Regular expression (Python's and RE2's) of id, addresses and their hashes as they are written in text."""
        ids = "|".join(re.escape(spelling) for spelling in _list_spellings(self.customer_id))
        own = f"(?:{ids})" if self.plain else rf"(?:^|[^\w-])(?:{ids})(?:[^\w-]|$)"
        if self.plain and self.is_hexadecimal:
            own = f"(?:^|[^0-9a-f])(?:{ids})(?:[^0-9a-f]|$)"
        return "|".join([own, *filter(None, [self._addresses])])

    @property
    def is_hexadecimal(self) -> bool:
        """Whether the id may be a part of a hash by chance: six digits are one of 20 hexadecimal digits once in a million."""
        return re.fullmatch("[0-9a-f]+", self.customer_id) is not None

    @property
    def bytes_(self) -> str | None:
        """What is searched in the bytes of binary files; None where that says nothing."""
        return self.words if self.plain else self._addresses

    @property
    def rejected(self) -> str:
        """SQL condition of the customer's rows of the quarantine."""
        return select_rejected(self.customer_id, self.orders, self.visitors, self.bytes_)

    @property
    def names(self) -> frozenset[str]:
        """What a row of the files of events may call the customer."""
        return frozenset({self.customer_id, *self.emails})

    @property
    def _addresses(self) -> str | None:
        addresses = [
            f"(?i:{re.escape(spelling)})" for email in self.emails for spelling in _list_spellings(email)
        ]
        return "|".join([*addresses, *self.hashes]) or None


def _list_spellings(text: str) -> list[str]:
    """A text as it is, and as JSON and HTML write it."""
    return list(
        dict.fromkeys(
            [text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], html.escape(text)]
        )
    )


@dataclass(frozen=True)
class Matches:
    """Matches in one file: of the id as a customer's, and of id, addresses and hashes anywhere in it."""

    by_value: int
    elsewhere: int

    @property
    def count(self) -> int:
        return self.by_value + self.elsewhere


def describe_search(traces: Traces) -> list[str]:
    """What the search did, for the reader of the manifest."""
    known = (
        "every address in raw.customers of the build files that nobody else has, and its keyed hash"
        if traces.emails
        else "no address: no build file held one of theirs alone"
    )
    return [
        f"Searched for: the id, {known}; as they are and as JSON and HTML write them"
        + ("; the id not as a part of more hexadecimal digits." if traces.is_hexadecimal else "."),
        "DuckDB and Parquet files, and the files of events: every column customer_id by value, and visitor_id by the "
        f"{len(traces.visitors)} visitors under whom nobody else signed in; the quarantine by the customer and their orders"
        + ("; every value of every other text column." if traces.plain else "."),
        "Text files and the cells of Dagster's SQLite databases: "
        + (
            "anywhere in them."
            if traces.plain
            else "as a whole word, in logs, gate results, step logs and the tables of events only."
        ),
        "The bytes of every file, compressed content not unpacked: "
        + (
            "id, addresses and hashes."
            if traces.plain
            else f"addresses only, as they are and hashed; the id has fewer than {PLAIN_BYTES} bytes or is part of another id, "
            "so that its bytes prove nothing."
        ),
    ]


def load_traces(warehouse: Warehouse, customer_id: str, ids: Collection[str], hash_key: SecretStr) -> Traces:
    """What the build files know of a customer, all of whose ids are `ids`, with the hashes of their addresses."""
    emails, shared, orders, others = load_personal(warehouse, customer_id, ids)
    key = hash_key.get_secret_value().encode()
    plain = len(customer_id.encode()) >= PLAIN_BYTES and not others
    own = tuple(sorted(emails))
    hashes = tuple(hash_addresses(own, key))
    return Traces(
        customer_id,
        own,
        tuple(sorted(emails | shared)),
        hashes,
        tuple(sorted(orders)),
        tuple(sorted(load_visitors(warehouse, ids))),
        plain,
    )


def search_files(
    places: list[Location], traces: Traces, warehouse: Warehouse, but: Path
) -> tuple[dict[Location, Matches], int]:
    """The files that hold the customer, and how many were searched; those in the folder `but` are not. Reads only."""
    files = sorted(
        {
            path
            for place in places
            for path in list_files(place)
            if not (isinstance(path, Path) and (path.is_symlink() or but in path.parents))
        },
        key=str,
    )
    matches = {path: _search_file(path, traces, warehouse) for path in files}
    return {path: match for path, match in matches.items() if match.count}, len(files)


def _search_file(path: Location, traces: Traces, warehouse: Warehouse) -> Matches:
    """Matches in one file, by value where its format is known and in its bytes."""
    by_value, elsewhere = 0, 0
    if path.suffix in (".duckdb", ".parquet"):
        words = traces.words if traces.plain else None
        by_value, elsewhere = count_rows(
            warehouse, path, traces.customer_id, traces.rejected, words, traces.visitors
        )
    elif not isinstance(path, Path):
        pass  # in a store there is nothing else
    elif path.suffix == ".db":
        elsewhere = sum(1 for _ in _find_rows(path, traces))
    elif path.suffix == ".jsonl" and (warehouse.home / EVENTS).resolve() in path.resolve().parents:
        by_value = sum(is_row_of(row, traces.names, traces.visitors) for _, row in list_rows(path))
    elif path.suffix == ".jsonl":
        key = json.dumps({"customer_id": traces.customer_id})[1:-1]
        by_value = len(re.findall(re.escape(key).encode(), path.read_bytes()))
    elif path.suffix == ".sqlite":
        by_value = count_customer(path, traces.customer_id)
    text = path.suffix not in BINARY and RECORDS & set(path.parts)
    expression = traces.words if text else traces.bytes_
    if expression is not None:
        elsewhere += len(re.findall(expression.encode(), path.read_bytes()))
    return Matches(by_value, elsewhere)


def _find_rows(path: Path, traces: Traces) -> Iterator[tuple[str, int]]:
    """Table and rowid of every row of an SQLite database with a matching text."""
    words = re.compile(traces.words)
    log = Path(f"{path}-wal")
    # A database in which nothing waits to be written is opened without making files beside it.
    quiet = not log.exists() or not log.stat().st_size
    address = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if quiet else ''}"
    with closing(sqlite3.connect(address, uri=True, timeout=30)) as connection:
        tables = [
            name
            for (name,) in connection.execute(
                "select name from sqlite_master where type = 'table' order by 1"
            )
            if traces.plain or name in EVENT_TABLES
        ]
        for table in tables:
            for rowid, *cells in connection.execute(f'select rowid, * from "{table}"'):
                texts = [cell for cell in cells if isinstance(cell, str)]
                if any(words.search(text) for text in texts):
                    yield table, rowid


def purge_sqlite(path: Path, traces: Traces) -> int:
    """Delete matching rows and write the file again, so that no freed page holds them."""
    try:
        rows = list(_find_rows(path, traces))
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
            connection.execute("pragma secure_delete = on")
            for table, rowid in rows:
                connection.execute(f'delete from "{table}" where rowid = ?', [rowid])
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)")
    except sqlite3.Error as error:
        raise WarehouseError(
            f"{path} cannot be written ({error}): stop Dagster's web server and daemon, then forget the "
            "customer again."
        ) from error
    return len(rows)


def select_rejected(
    customer_id: str, orders: Iterable[str], visitors: Iterable[str], words: str | None
) -> str:
    """SQL condition of a customer's rows of the quarantine: never null.

    Args:
        customer_id: whose rows, by the id that a row has.
        orders: ids of the customer's orders, by which their lines and returns are found.
        visitors: of the customer, by whom events are found that name nobody.
        words: RE2 expression of what else is theirs, anywhere in a row; None: nothing else.
    """

    def list_texts(texts: Iterable[str]) -> str:
        return ", ".join(f"'{quote(text)}'" for text in sorted(texts)) or "null"

    conditions = [
        f"trim(json_extract_string(row_json, '$.customer_id')) = '{quote(customer_id)}'",
        f"json_extract_string(row_json, '$.order_id') in ({list_texts(orders)})",
        f"trim(json_extract_string(row_json, '$.visitor_id')) in ({list_texts(visitors)})",
    ]
    if words is not None:
        conditions.append(f"regexp_matches(row_json || ' ' || row_key, '{quote(words)}')")
    return " or ".join(f"coalesce({condition}, false)" for condition in conditions)
