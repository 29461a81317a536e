"""Forgetting a customer: what holds rows of theirs is written again or deleted, and stays that way.

`forget` works on everything under RECS_HOME and DAGSTER_HOME. What can be made again (build files,
candidates, models, dbt's target folder, backtests) is deleted whole, because a model or a product's
figures cannot be unlearned row by row. What cannot (snapshots, caches, Dagster's events) is written again
without the customer. Then every file is searched, and a manifest says where and what was left.

What remains is one keyed hash in `suppressed.parquet`: whoever has it there is not landed again, even
where the raw files still hold them.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import SecretStr

from recs_assets.exports import versions
from recs_assets.schema import RecsError, SettingsError, WarehouseError
from recs_assets.settings import Settings
from recs_assets.upkeep import open_warehouse, servers
from recs_assets.warehouse import Warehouse, writer_lock

SUPPRESSED = "suppressed.parquet"
MANIFESTS = "erasures"
# What readers open.
READ = ("published", "cache")
# Made again by the next run, so deleted whole.
DERIVED = ("weeks", "backtest", "exports", "tmp", "dbt")
# A shorter id occurs by chance: some 3 bytes long ones are in any file of 16 MB.
PLAIN_BYTES = 6
# Folders of text that runs wrote about rows; in other texts a number is a count or a setting.
RECORDS = {"logs", "quality", "storage"}
# Of Dagster's tables, those that hold what steps said.
EVENT_TABLES = ("event_logs", "asset_keys")
BINARY = {".duckdb", ".parquet", ".db", ".npz", ".png", ".index", ".msgpack", ".gpickle"}
_KEY_CHECK = "recs_assets: which key"


class ErasureError(RecsError):
    """A customer could not be forgotten completely."""


class Suppression:
    """The keyed hashes (HMAC-SHA256) of erased customers.

    Args:
        home: folder with `suppressed.parquet`, which may be absent.
        key: RECS_HASH_KEY.

    Raises:
        SettingsError: the file is there and the key is not, or it is another one.
    """

    def __init__(self, home: Path, key: SecretStr | None) -> None:
        self.path = home / SUPPRESSED
        self._key = None if key is None else key.get_secret_value().encode()
        self._erased: dict[str, datetime] = {}
        if not self.path.exists():
            return
        if self._key is None:
            raise SettingsError(
                f"RECS_HASH_KEY is not set and {self.path} lists erased customers: set the key it was "
                "written with, or they would be landed again."
            )
        table = pq.read_table(self.path)
        if (table.schema.metadata or {}).get(b"key_check", b"").decode() != self.hash(_KEY_CHECK):
            raise SettingsError(
                f"RECS_HASH_KEY is not the key that {self.path} was written with: set that one, or the erased "
                "customers would be landed again."
            )
        self._erased = {row["customer_hash"]: row["erased_at"] for row in table.to_pylist()}

    def hash(self, customer_id: str) -> str:
        """The hex HMAC of an id.

        Raises:
            SettingsError: there is no key.
        """
        if self._key is None:
            raise SettingsError(
                "RECS_HASH_KEY is not set: set it to a secret of 16 characters or more and keep it; erased "
                "customers are remembered by it."
            )
        return hmac.new(self._key, customer_id.encode(), hashlib.sha256).hexdigest()

    def among(self, customer_ids: Iterable[str]) -> list[str]:
        """Those of the ids that were erased."""
        if not self._erased:
            return []
        return [one for one in customer_ids if self.hash(one) in self._erased]

    @property
    def filter(self) -> Callable[[Iterable[str]], list[str]] | None:
        """`among`, or None where nobody was erased, so that landing need not ask."""
        return self.among if self._erased else None

    def add(self, customer_id: str, now: datetime) -> str:
        """Remember an erased customer; the hash. Written aside and renamed."""
        digest = self.hash(customer_id)
        self._erased.setdefault(digest, now)
        table = pa.table(
            {
                "customer_hash": pa.array(sorted(self._erased), pa.string()),
                "erased_at": pa.array(
                    [self._erased[one] for one in sorted(self._erased)], pa.timestamp("us")
                ),
            }
        ).replace_schema_metadata({"key_check": self.hash(_KEY_CHECK)})
        aside = self.path.with_suffix(".next")
        pq.write_table(table, aside)
        aside.replace(self.path)
        return digest


@dataclass(frozen=True)
class Traces:
    """What a customer can be found by.

    Attributes:
        customer_id: the id.
        emails: addresses in the build files' raw customers.
        orders: ids of their orders.
        plain: the id is long enough, and no part of anybody's or anything's else, to be searched in any bytes.
    """

    customer_id: str
    emails: tuple[str, ...]
    orders: tuple[str, ...]
    plain: bool

    @property
    def words(self) -> str:
        """Regular expression (Python's and RE2's) of id and addresses as they are written in text."""
        ids = "|".join(re.escape(one) for one in _spellings(self.customer_id))
        return "|".join(
            [f"(?:{ids})" if self.plain else rf"(?:^|[^\w-])(?:{ids})(?:[^\w-]|$)", *self._emails]
        )

    @property
    def _emails(self) -> list[str]:
        return [f"(?i:{re.escape(one)})" for email in self.emails for one in _spellings(email)]

    @property
    def bytes_(self) -> str | None:
        """What is searched in the bytes of binary files; None where that says nothing."""
        return self.words if self.plain else "|".join(self._emails) or None


def _spellings(text: str) -> list[str]:
    """A text as it is, and as JSON and HTML write it."""
    return list(
        dict.fromkeys(
            [text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], html.escape(text)]
        )
    )


@dataclass(frozen=True)
class Forgotten:
    """What `forget` did.

    Attributes:
        digest: the customer's keyed hash.
        rewritten: new file by old one, snapshots and cache versions.
        deleted: files and folders deleted.
        rows: rows deleted per database of Dagster.
        searched: files searched afterwards.
        manifest: the proof.
    """

    digest: str
    rewritten: dict[str, str]
    deleted: list[str]
    rows: dict[str, int]
    searched: int
    manifest: Path

    def __str__(self) -> str:
        return (
            f"Customer {self.digest[:12]} is forgotten: {len(self.rewritten)} versions of snapshot and cache "
            f"written again, {len(self.deleted)} files and folders deleted, {sum(self.rows.values())} rows of "
            f"Dagster's events deleted, no match left in {self.searched} files ({self.manifest}).\n"
            "The raw files are the shop's own: take the customer out of them too; until then the hash in "
            f"{SUPPRESSED} keeps them from being landed."
        )


def forget(settings: Settings, customer_id: str, dagster_home: Path, version: str) -> Forgotten:
    """Purge a customer from everything under `settings.home` and `dagster_home`, and prove it.

    May be repeated, also after it was interrupted: addresses and orders are looked up in the build files,
    which go last.

    Args:
        settings: of the deployment; `hash_key` is needed.
        customer_id: as in the raw files.
        dagster_home: folder of Dagster's SQLite databases and step logs.
        version: of recs_assets, for the log.

    Raises:
        SettingsError: there is no key, or another one than before.
        WarehouseError: a run holds the writer lock, or a file cannot be written.
        ExportError: a cache in a server cannot be reached.
        ErasureError: something was found afterwards; the manifest says where.
    """
    if not customer_id.strip():
        raise ErasureError("The customer id is empty: give the id as it is in the raw files.")
    warehouse = open_warehouse(settings)
    home = warehouse.home
    home.mkdir(parents=True, exist_ok=True)
    with writer_lock(warehouse.lock_path, settings.writer_wait_seconds):
        now = datetime.now(UTC).replace(tzinfo=None)
        digest = Suppression(home, settings.hash_key).add(customer_id, now)
        purged = {name: server.purge(customer_id) for name, server in servers(settings).items()}
        traces = _traces(warehouse, customer_id)
        rewritten = {
            **warehouse.snapshots.purge(customer_id, traces.orders, traces.words, now, version),
            **versions.purge(home / "cache", customer_id),
        }
        rows = {}
        for path in sorted(dagster_home.rglob("*.db")):
            if deleted_rows := _purge_sqlite(path, traces):
                rows[str(path.relative_to(dagster_home))] = deleted_rows
        places = list(dict.fromkeys([home.resolve(), dagster_home.resolve()]))
        deleted = []
        for folder in DERIVED:
            if (home / folder).exists():
                # Searched no more; deleted below, when nothing needs the build files any longer.
                deleted.append(folder)
        for path in _files(places):
            # What readers hold on to was written again above; a match there is reported, not deleted.
            kept = any((home / folder).resolve() in path.parents for folder in (*DERIVED, *READ))
            if not kept and path.suffix != ".db" and _found_in(path, traces, warehouse):
                path.unlink()
                deleted.append(_shown(path, places))
        for folder in DERIVED:
            shutil.rmtree(home / folder, ignore_errors=True)
        left, searched = {}, 0
        for path in _files(places):
            searched += 1
            if count := _found_in(path, traces, warehouse):
                left[_shown(path, places)] = count
        manifest = home / MANIFESTS / f"{now:%Y-%m-%dT%H%M%S}-{digest[:12]}.json"
        manifest.parent.mkdir(exist_ok=True)
        manifest.write_text(
            json.dumps(
                {
                    "format": 1,
                    "customer_hash": digest,
                    "erased_at": f"{now:%Y-%m-%d %H:%M:%S} UTC",
                    "addresses_known": len(traces.emails),
                    "rewritten": rewritten,
                    "deleted": sorted(deleted),
                    "rows_deleted_in_dagster": rows,
                    "entries_deleted_in_servers": purged,
                    "how_it_was_searched": _how(traces),
                    "places_searched": [str(place) for place in places],
                    "files_searched": searched,
                    "matches_left": left,
                },
                indent=1,
            )
            + "\n"
        )
    if left:
        raise ErasureError(
            f"The customer is still in {', '.join(sorted(left))}: delete what is named there, then forget the "
            f"customer again ({manifest})."
        )
    return Forgotten(digest, rewritten, deleted, rows, searched, manifest)


def _how(traces: Traces) -> list[str]:
    """What the search did, for the reader of the manifest."""
    known = "every address in raw.customers of the build files" if traces.emails else (
        "no address: no build file held one"
    )  # fmt: skip
    return [
        f"Searched for: the id, {known}; as they are and as JSON and HTML write them.",
        "DuckDB and Parquet files: every column customer_id by value"
        + (", and every value of every other text column." if traces.plain else "."),
        "Text files and the cells of Dagster's SQLite databases: "
        + (
            "anywhere in them."
            if traces.plain
            else "as a whole word, in logs, gate results, step logs and the tables of events only."
        ),
        "The bytes of every file, compressed content not unpacked: "
        + (
            "id and addresses."
            if traces.plain
            else f"addresses only; the id has fewer than {PLAIN_BYTES} bytes or is part of another id, "
            "so that its bytes prove nothing."
        ),
    ]


def _traces(warehouse: Warehouse, customer_id: str) -> Traces:
    emails, orders, others = warehouse.personal(customer_id)
    plain = len(customer_id.encode()) >= PLAIN_BYTES and not others
    return Traces(customer_id, tuple(sorted(emails)), tuple(sorted(orders)), plain)


def _files(places: list[Path]) -> list[Path]:
    """Every regular file, once."""
    return sorted(
        {path for place in places for path in place.rglob("*") if path.is_file() and not path.is_symlink()}
    )


def _shown(path: Path, places: list[Path]) -> str:
    return next(str(path.relative_to(place)) for place in places if place in path.parents)


def _found_in(path: Path, traces: Traces, warehouse: Warehouse) -> int:
    """Matches in one file, by value where its format is known and in its bytes."""
    found = 0
    if path.suffix == ".duckdb":
        found += warehouse.occurrences(path, traces.customer_id, traces.words if traces.plain else None)
    elif path.suffix == ".parquet":
        found += _in_parquet(path, traces)
    elif path.suffix == ".db":
        found += sum(1 for _ in _matching_rows(path, traces))
    if path.suffix == ".jsonl":
        key = json.dumps({"customer_id": traces.customer_id})[1:-1]
        expression = "|".join([re.escape(key), *filter(None, [traces.bytes_])])
    elif path.suffix not in BINARY and RECORDS & set(path.parts):
        expression = traces.words
    else:
        expression = traces.bytes_
    if expression is not None:
        found += len(re.findall(expression.encode(), path.read_bytes()))
    return found


def _in_parquet(path: Path, traces: Traces) -> int:
    table = pq.read_table(path)
    found = 0
    words = re.compile(traces.words)
    for name in table.column_names:
        if name == "customer_id":
            found += sum(value == traces.customer_id for value in table[name].to_pylist())
        elif traces.plain and pa.types.is_string(table[name].type):
            found += sum(
                value is not None and words.search(value) is not None
                for value in table[name].unique().to_pylist()
            )
    return found


def _matching_rows(path: Path, traces: Traces) -> Iterator[tuple[str, int]]:
    """Table and rowid of every row of an SQLite database with a matching text."""
    words = re.compile(traces.words)
    with closing(sqlite3.connect(path, timeout=30)) as connection:
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


def _purge_sqlite(path: Path, traces: Traces) -> int:
    """Delete matching rows and write the file again, so that no freed page holds them."""
    try:
        rows = list(_matching_rows(path, traces))
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
