"""Forgetting a customer: what holds rows of theirs is written again or deleted, and stays that way.

`forget` searches every file under RECS_HOME and DAGSTER_HOME. An id that nothing holds is refused, and nothing
is touched. Of a customer, only the files that hold them go: what can be made again (the folder of a week, a
backtest) is deleted whole, because a model or a product's figures cannot be unlearned row by row; what cannot
(snapshots, caches, the campaigns' files, Dagster's events) is written again without them. Then every file is
searched again, and a manifest says what was found before and after.

What remains are keyed hashes in `suppressed.parquet`: whoever has theirs there is not landed again, even
where the raw files still hold them, and a withdrawal that means them under another spelling is known to be theirs.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import html
import json
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import SecretStr

from recs_assets.delivery import hash_addresses
from recs_assets.exports import email_files, versions
from recs_assets.operations.rollback import servers
from recs_assets.schema import RAW_TABLES, RecsError, SettingsError, WarehouseError
from recs_assets.settings import Settings
from recs_assets.shop import open_warehouse
from recs_assets.sources import customers_in, resolve_source
from recs_assets.sources.spellings import id_core, keys_of_person
from recs_assets.store.snapshots import rejected_rows
from recs_assets.store.warehouse import Warehouse, writer_lock

SUPPRESSED = "suppressed.parquet"
MANIFESTS = "erasures"
# Written again, because readers open it: a match there that stays is reported, not deleted.
READ = ("published", "cache", "exports")
# Folders that are made again by a run, so deleted whole where anything in them holds the customer.
WHOLE = ("weeks/*", "backtest", "tmp")
# A shorter id occurs by chance: some 3 bytes long ones are in any file of 16 MB.
PLAIN_BYTES = 6
# Folders of text that runs wrote about rows; in other texts a number is a count or a setting.
RECORDS = {"logs", "quality", "storage"}
# Of Dagster's tables, those that hold what steps said.
EVENT_TABLES = ("event_logs", "asset_keys")
BINARY = {".duckdb", ".parquet", ".db", ".npz", ".png", ".index", ".msgpack", ".gpickle"}
_KEY_CHECK = "recs_assets: which key"
_ALSO = "recs_assets: also known as "


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
        # Per customer the hashes of their other spellings and of their addresses.
        self._others: dict[str, tuple[str, ...]] = {}
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
        for row in table.to_pylist():
            self._erased[row["customer_hash"]] = row["erased_at"]
            self._others[row["customer_hash"]] = tuple(row.get("other_hashes") or ())

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
        return hmac.new(self._key, customer_id.strip().encode(), hashlib.sha256).hexdigest()

    def _other(self, key: str) -> str:
        """The hash of a key: not that of the same text as an id, nor an `email_hash`, which readers of the tables have."""
        return self.hash(f"{_ALSO}{key}")

    def since(self, customer_id: str) -> datetime | None:
        """When the customer was erased; None where they were not."""
        return self._erased.get(self.hash(customer_id))

    def among(self, customer_ids: Iterable[str]) -> list[str]:
        """Those of the ids that were erased."""
        if not self._erased:
            return []
        return [one for one in customer_ids if self.hash(one) in self._erased]

    def known_by(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys (`spellings.keys_of_person`) that somebody erased had."""
        known = {digest for others in self._others.values() for digest in others}
        return {key for key in keys if known and self._other(key) in known}

    def addresses_of(self, customer_id: str, keys: Iterable[str]) -> set[str]:
        """Those of the keys that the erased customer had."""
        own = self._others.get(self.hash(customer_id), ())
        return {key for key in keys if own and self._other(key) in own}

    @property
    def filter(self) -> Suppression | None:
        """Itself, or None where nobody was erased, so that landing need not ask."""
        return self if self._erased else None

    def add(self, customer_id: str, now: datetime, addresses: Iterable[str] = ()) -> str:
        """Remember an erased customer, and by what a later file may mean them; the hash. Written aside and renamed."""
        digest = self.hash(customer_id)
        self._erased.setdefault(digest, now)
        keys = {key for address in (None, *addresses) for key in keys_of_person(customer_id, address)}
        self._others[digest] = tuple(sorted({*self._others.get(digest, ()), *map(self._other, keys)}))
        table = pa.table(
            {
                "customer_hash": pa.array(sorted(self._erased), pa.string()),
                "erased_at": pa.array(
                    [self._erased[one] for one in sorted(self._erased)], pa.timestamp("us")
                ),
                "other_hashes": pa.array(
                    [self._others.get(one, ()) for one in sorted(self._erased)], pa.list_(pa.string())
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
        emails: addresses in the build files' raw customers that nobody else has.
        addresses: all of theirs there.
        hashes: keyed hashes of these, as the email table has them.
        orders: ids of their orders.
        plain: the id is long enough, and no part of anybody's or anything's else, to be searched in any bytes.
    """

    customer_id: str
    emails: tuple[str, ...]
    addresses: tuple[str, ...]
    hashes: tuple[str, ...]
    orders: tuple[str, ...]
    plain: bool

    @property
    def words(self) -> str:
        """Regular expression (Python's and RE2's) of id, addresses and their hashes as they are written in text."""
        ids = "|".join(re.escape(one) for one in _spellings(self.customer_id))
        own = f"(?:{ids})" if self.plain else rf"(?:^|[^\w-])(?:{ids})(?:[^\w-]|$)"
        return "|".join([own, *filter(None, [self._addresses])])

    @property
    def bytes_(self) -> str | None:
        """What is searched in the bytes of binary files; None where that says nothing."""
        return self.words if self.plain else self._addresses

    @property
    def rejected(self) -> str:
        """SQL condition of the customer's rows of the quarantine."""
        return rejected_rows(self.customer_id, self.orders, self.bytes_)

    @property
    def _addresses(self) -> str | None:
        found = [f"(?i:{re.escape(one)})" for email in self.emails for one in _spellings(email)]
        return "|".join([*found, *self.hashes]) or None


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
        since: when they were forgotten before, and nothing was left to do; None where something was.
        rewritten: new file by old one: snapshots, versions of the cache and of the campaigns' files.
        deleted: files and folders deleted.
        rows: rows deleted per database of Dagster.
        landed: rows per raw table that the shop's own files hold; looked up where nothing else held the customer.
        weeks: weeks whose folder was deleted, which have to be run again.
        searched: files searched afterwards.
        manifest: the proof.
    """

    digest: str
    since: datetime | None
    rewritten: dict[str, str]
    deleted: list[str]
    rows: dict[str, int]
    landed: dict[str, int]
    weeks: tuple[date, ...]
    searched: int
    manifest: Path | None

    def __str__(self) -> str:
        raw = (
            "The raw files are the shop's own: take the customer out of them too; until then the hash in "
            f"{SUPPRESSED} keeps them from being landed."
        )
        if self.since is not None:
            return (
                f"Customer {self.digest[:12]} was forgotten already, on {self.since:%Y-%m-%d}: none of the "
                f"{self.searched} files holds them, and nothing was touched.\n{raw}"
            )
        own = ""
        if self.landed:
            tables = ", ".join(f"{count} in {table}" for table, count in self.landed.items())
            own = f"\nNothing here knew them; the shop's own files do (rows: {tables}), and are not landed any more."
        again = "".join(
            f"\nThe week {week} held them and is deleted: until it is run again (python -m recs_assets run --as-of {week}), "
            "queries and campaigns cannot ask it."
            for week in self.weeks
        )
        return (
            f"Customer {self.digest[:12]} is forgotten: {len(self.rewritten)} versions of snapshot, cache and campaigns' "
            f"files written again, {len(self.deleted)} files and folders deleted, {sum(self.rows.values())} rows of "
            f"Dagster's events deleted, no match left in {self.searched} files ({self.manifest}); every other file is "
            f"as it was.{own}{again}\n{raw}"
        )


@dataclass(frozen=True)
class _Found:
    """Matches in one file: of the id as a customer's, and of id, addresses and hashes anywhere in it."""

    by_value: int
    elsewhere: int

    @property
    def count(self) -> int:
        return self.by_value + self.elsewhere


def forget(settings: Settings, customer_id: str, dagster_home: Path, version: str) -> Forgotten:
    """Purge a customer from everything under `settings.home` and `dagster_home`, and prove it.

    May be repeated, also after it was interrupted: addresses and orders are looked up in the build files,
    which go last. Whoever only the shop's own files hold is kept from being landed.

    Args:
        settings: of the deployment; `hash_key` is needed.
        customer_id: as the source has it.
        dagster_home: folder of Dagster's SQLite databases and step logs.
        version: of recs_assets, for the log.

    Raises:
        SettingsError: there is no key, or another one than before.
        WarehouseError: a run holds the writer lock, or a file cannot be written.
        ExportError: a cache in a server cannot be reached.
        ErasureError: nobody has the id, and nothing was touched; or something was found afterwards, and the
            manifest says where.
    """
    customer_id = customer_id.strip()
    if not customer_id:
        raise ErasureError("The customer id is empty: give the id as it is in the raw files.")
    warehouse = open_warehouse(settings)
    home = warehouse.home
    home.mkdir(parents=True, exist_ok=True)
    with writer_lock(warehouse.lock_path, settings.writer_wait_seconds):
        now = datetime.now(UTC).replace(tzinfo=None)
        suppression = Suppression(home, settings.hash_key)
        digest, since = suppression.hash(customer_id), suppression.since(customer_id)
        traces = _traces(warehouse, customer_id, settings)
        places = list(dict.fromkeys([home.resolve(), dagster_home.resolve()]))
        before, searched = _search(places, traces, warehouse)
        caches = servers(settings)
        entries = {name: server.count(customer_id) for name, server in caches.items()}
        known = any(found.by_value for found in before.values()) or any(entries.values())
        landed: dict[str, int] = {}
        if not known and since is None:
            landed = _count_in_shop_files(settings, warehouse, customer_id, searched)
        elif not before and not any(entries.values()):
            return Forgotten(digest, since, {}, [], {}, {}, (), searched, None)
        suppression.add(customer_id, now, traces.addresses)
        for name, server in caches.items():
            if entries[name]:
                server.purge(customer_id)
        rewritten = _rewrite(warehouse, traces, before, now, version)
        rows = {_shown(path, places): _purge_sqlite(path, traces) for path in before if path.suffix == ".db"}
        deleted, weeks = _delete(home, before, places)
        left, searched = _search(places, traces, warehouse)
        manifest = home / MANIFESTS / f"{now:%Y-%m-%dT%H%M%S}-{digest[:12]}.json"
        manifest.parent.mkdir(exist_ok=True)
        about = {
            "format": 2,
            "customer_hash": digest,
            "erased_at": f"{now:%Y-%m-%d %H:%M:%S} UTC",
            "addresses_known": len(traces.emails),
            "files": _compare(before, left, rewritten, places),
            "rows_deleted_in_dagster": rows,
            "deleted": sorted(deleted),
            "weeks_to_be_run_again": [week.isoformat() for week in weeks],
            "entries_deleted_in_servers": entries,
            "rows_in_the_shops_files": landed,
            "how_it_was_searched": _how(traces),
            "places_searched": [str(place) for place in places],
            "files_searched": searched,
            "matches_left": {_shown(path, places): found.count for path, found in left.items()},
        }
        manifest.write_text(json.dumps(about, indent=1) + "\n")
    if left:
        raise ErasureError(
            f"The customer is still in {', '.join(sorted(about['matches_left']))}: delete what is named there, then "
            f"forget the customer again ({manifest})."
        )
    return Forgotten(digest, None, rewritten, deleted, rows, landed, weeks, searched, manifest)


def _count_in_shop_files(
    settings: Settings, warehouse: Warehouse, customer_id: str, searched: int
) -> dict[str, int]:
    """Rows per raw table that the shop's own files hold of a customer whom nothing else knows.

    Raises:
        ErasureError: they hold none either; the nearest ids are named.
    """
    ids, landed, problem = warehouse.customer_ids(), {}, ""
    try:
        data = settings.data_dir()
        source = resolve_source(settings.source, data, shops_dir=settings.shops)
        for table in RAW_TABLES.values():
            if "customer_id" in table.column_names:
                with warehouse.scratch() as connection:
                    found = customers_in(
                        connection, source, table.name, data, settings.timezone, settings.data_root
                    )
                ids |= set(found)
                if customer_id in found:
                    landed[table.name] = found[customer_id]
    except RecsError as error:
        problem = f" The shop's own files could not be read to their end ({str(error).rstrip('.')})."
    if landed:
        return landed
    near = nearest(customer_id, ids)
    if "@" in customer_id:
        advice = "An address is no customer id: look up the id"
    elif near:
        advice = f"The nearest ids are {', '.join(near)}: give the id as the source has it"
    else:
        advice = "Give the id as the source has it"
    raise ErasureError(
        f"Nobody has this customer id, neither in the {searched} files that are kept nor in the shop's own, so there is "
        f"nothing to forget and nothing was touched. {advice}.{problem}"
    )


def nearest(customer_id: str, ids: Iterable[str]) -> list[str]:
    """At most three ids that may have been meant, none of them an address: those that differ in case, blanks,
    signs, a trailing .0 or zeros before a number alone, else the most similar ones.

    >>> nearest("17850.0", ["17850", "17851"]), nearest(" C4", ["c04", "c40"]), nearest("c341", ["c34", "d9"])
    (['17850'], ['c04'], ['c34'])
    """
    named: dict[str, list[str]] = {}
    for one in sorted(ids):
        if "@" not in one:
            named.setdefault(id_core(one), []).append(one)
    core = id_core(customer_id)
    alike = [core] if core in named else difflib.get_close_matches(core, named, 3, 0.6)
    return [one for name in alike for one in named[name]][:3]


def _rewrite(
    warehouse: Warehouse, traces: Traces, before: dict[Path, _Found], now: datetime, version: str
) -> dict[str, str]:
    """Write again what readers open and what held the customer: new path by old one, below the home."""
    home, customer_id = warehouse.home, traces.customer_id
    held = [one.path for one in warehouse.snapshots.versions() if one.path.resolve() in before]
    parts = {
        "published": warehouse.snapshots.purge(held, customer_id, traces.rejected, now, version),
        "cache/versions": versions.purge(home / "cache", customer_id),
        **{
            f"exports/{folder.name}/versions": email_files.purge(folder, customer_id)
            for folder in sorted((home / "exports").glob("*"))
        },
    }
    return {f"{part}/{old}": f"{part}/{new}" for part, names in parts.items() for old, new in names.items()}


def _delete(home: Path, before: dict[Path, _Found], places: list[Path]) -> tuple[list[str], tuple[date, ...]]:
    """Delete what is made again and the records that name the customer: what, and the weeks among it."""
    deleted, weeks = [], []
    for folder in (one.resolve() for pattern in WHOLE for one in sorted(home.glob(pattern))):
        # What DuckDB spilled and a killed run left is compressed: no search can tell whose it is.
        if folder.name == "tmp" or any(folder in path.parents for path in before):
            shutil.rmtree(folder)
            deleted.append(_shown(folder, places))
            if folder.parent.name == "weeks":
                weeks.append(date.fromisoformat(folder.name))
    if weeks and not any((home / "weeks").iterdir()):
        (home / "weeks").rmdir()
    read = [(home / folder).resolve() for folder in READ]
    for path in before:
        kept = path.suffix == ".db" or any(folder in path.parents for folder in read)
        if path.exists() and not kept:
            path.unlink()
            deleted.append(_shown(path, places))
    return deleted, tuple(weeks)


def _compare(
    before: dict[Path, _Found], left: dict[Path, _Found], rewritten: dict[str, str], places: list[Path]
) -> dict[str, dict[str, int | str]]:
    """Per file what was found before and after, and what became of it."""
    after = {_shown(path, places): found.count for path, found in left.items()}
    compared: dict[str, dict[str, int | str]] = {}
    for path, found in before.items():
        shown = name = _shown(path, places)
        for old, new in rewritten.items():
            if f"{shown}/".startswith(f"{old}/"):
                name = new + shown.removeprefix(old)
        there = any((place / name).exists() for place in places)
        compared[shown] = {
            "found_before": found.count,
            "found_after": after.get(name, 0),
            "became": name if there else "deleted",
        }
    return compared


def _how(traces: Traces) -> list[str]:
    """What the search did, for the reader of the manifest."""
    known = (
        "every address in raw.customers of the build files that nobody else has, and its keyed hash"
        if traces.emails
        else "no address: no build file held one of theirs alone"
    )
    return [
        f"Searched for: the id, {known}; as they are and as JSON and HTML write them.",
        "DuckDB and Parquet files: every column customer_id by value; the quarantine by the customer and their orders"
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


def _traces(warehouse: Warehouse, customer_id: str, settings: Settings) -> Traces:
    emails, shared, orders, others = warehouse.personal(customer_id)
    key = settings.hash_key.get_secret_value().encode()
    plain = len(customer_id.encode()) >= PLAIN_BYTES and not others
    own = tuple(sorted(emails))
    hashes = tuple(hash_addresses(own, key))
    return Traces(customer_id, own, tuple(sorted(emails | shared)), hashes, tuple(sorted(orders)), plain)


def _search(places: list[Path], traces: Traces, warehouse: Warehouse) -> tuple[dict[Path, _Found], int]:
    """The files that hold the customer, and how many were searched. Reads only."""
    files = sorted(
        {path for place in places for path in place.rglob("*") if path.is_file() and not path.is_symlink()}
    )
    found = {path: _search_file(path, traces, warehouse) for path in files}
    return {path: one for path, one in found.items() if one.count}, len(files)


def _shown(path: Path, places: list[Path]) -> str:
    return next(str(path.relative_to(place)) for place in places if place in path.parents)


def _search_file(path: Path, traces: Traces, warehouse: Warehouse) -> _Found:
    """Matches in one file, by value where its format is known and in its bytes."""
    by_value, elsewhere = 0, 0
    if path.suffix == ".duckdb":
        words = traces.words if traces.plain else None
        by_value, elsewhere = warehouse.occurrences(path, traces.customer_id, traces.rejected, words)
    elif path.suffix == ".parquet":
        by_value, elsewhere = _in_parquet(path, traces)
    elif path.suffix == ".db":
        elsewhere = sum(1 for _ in _matching_rows(path, traces))
    elif path.suffix == ".jsonl":
        key = json.dumps({"customer_id": traces.customer_id})[1:-1]
        by_value = len(re.findall(re.escape(key).encode(), path.read_bytes()))
    text = path.suffix not in BINARY and RECORDS & set(path.parts)
    expression = traces.words if text else traces.bytes_
    if expression is not None:
        elsewhere += len(re.findall(expression.encode(), path.read_bytes()))
    return _Found(by_value, elsewhere)


def _in_parquet(path: Path, traces: Traces) -> tuple[int, int]:
    """Rows with the id as the customer's, and other texts that name them."""
    table = pq.read_table(path)
    by_value, elsewhere = 0, 0
    words = re.compile(traces.words)
    for name in table.column_names:
        if name == "customer_id":
            by_value += sum(value == traces.customer_id for value in table[name].to_pylist())
        elif traces.plain and pa.types.is_string(table[name].type):
            elsewhere += sum(
                value is not None and words.search(value) is not None
                for value in table[name].unique().to_pylist()
            )
    return by_value, elsewhere


def _matching_rows(path: Path, traces: Traces) -> Iterator[tuple[str, int]]:
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
