"""Forgetting a customer: what holds rows of theirs is written again or deleted, and stays that way.

`forget` searches every file under RECS_HOME and DAGSTER_HOME. An id that nothing holds is refused, and nothing
is touched. Of a customer, only the files that hold them go: what can be made again (the folder of a week, a
backtest) is deleted whole, because a model or a product's figures cannot be unlearned row by row; what cannot
(snapshots, caches, the campaigns' files, events, Dagster's records) is written again without them. Then every file is
searched again, and a manifest says what was found before and after.

What remains are keyed hashes in `suppressed.parquet`: whoever has theirs there is not landed again, even
where the raw files still hold them, and a withdrawal that means them under another spelling is known to be theirs.
"""

from __future__ import annotations

import difflib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from recs_assets.exports import email_files, embeddings, receipts, versions
from recs_assets.locations import find_absent, find_away, is_within
from recs_assets.operations.copy_files import copy_campaigns, list_folders
from recs_assets.operations.nightly import purge_nights
from recs_assets.operations.rollback import servers, serving_servers
from recs_assets.operations.search import load_customer_ids, load_person
from recs_assets.operations.traces import (
    Matches,
    Traces,
    describe_search,
    load_traces,
    purge_sqlite,
    search_files,
)
from recs_assets.operations.unfinished import FOLDER, drop_unfinished, load_unfinished, write_unfinished
from recs_assets.schema import RecsError, WarehouseError
from recs_assets.serving import publish
from recs_assets.settings import Settings
from recs_assets.shop import open_source, open_warehouse
from recs_assets.sources import EVENTS, LANDED, customers_in
from recs_assets.sources.acknowledged import LOCK, list_all_event_files, purge_events
from recs_assets.sources.spellings import id_core
from recs_assets.sources.suppression import SUPPRESSED, Suppression
from recs_assets.store.deployment import FILE, list_lakes
from recs_assets.store.lock import writer_lock
from recs_assets.store.warehouse import Warehouse

if TYPE_CHECKING:
    from recs_assets.locations import Location

MANIFESTS = "erasures"
# Written again, because readers open it: a match there that stays is reported, not deleted.
READ = ("published", "cache", "exports", "serving", "nights", EVENTS)
# Folders that are made again by a run, so deleted whole where anything in them holds the customer.
WHOLE = ("weeks/*", "backtest", "tmp", LANDED)


class ErasureError(RecsError):
    """A customer could not be forgotten completely."""


@dataclass(frozen=True)
class Forgotten:
    """What `forget` did.

    Attributes:
        digest: the customer's keyed hash.
        since: when they were forgotten before, and nothing was left to do; None where something was.
        rewritten: new file by old one: snapshots, versions of the cache and of the campaigns' files, lists of days, files
            of events.
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
            f"Customer {self.digest[:12]} is forgotten: {len(self.rewritten)} files of snapshot, cache, campaigns "
            f"and events written again, {len(self.deleted)} files and folders deleted, {sum(self.rows.values())} rows of "
            f"Dagster's events deleted, no match left in {self.searched} files ({self.manifest}); every other file is "
            f"as it was.{own}{again}\n{raw}"
        )


def forget(settings: Settings, customer_id: str, dagster_home: Path, version: str) -> Forgotten:
    """Purge a person from everything under `settings.home` and `dagster_home`, under all of their ids, and prove it.

    May be repeated, also after it was interrupted, under any of the ids: addresses and orders are looked up in the build files,
    which go last, and of a person with several ids written down before (`unfinished.py`). Whoever only the shop's own files hold is kept from being landed.

    Args:
        settings: of the deployment; `hash_key` is needed.
        customer_id: any of theirs, as the source has it.
        dagster_home: folder of Dagster's SQLite databases and step logs.
        version: of recs_assets, for the log.

    Raises:
        SettingsError: there is no key, or another one than before.
        WarehouseError: a run holds the writer lock, a file cannot be written, or files of the lake are not there, and nothing
            was touched.
        ExportError: a cache in a server, or what holds copies of the campaigns' files, cannot be reached.
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
        lakes = _find_lakes(warehouse)
        now = datetime.now(UTC).replace(tzinfo=None)
        suppression = Suppression(home, settings.hash_key)
        # Before the first week goes, which knows whose profiles they are.
        unfinished, traces = load_unfinished(home, customer_id)
        begun = [own.customer_id for own in traces]
        ids = list(dict.fromkeys([*begun, *load_person(warehouse, customer_id)]))
        since = {name: suppression.since(name) for name in ids}
        traces += [load_traces(warehouse, name, ids, settings.hash_key) for name in ids if name not in begun]
        warehouse.drop_unnamed_files()  # half files of a killed build, which nobody can search
        if len(ids) > 1:
            unfinished.append(write_unfinished(home, suppression.hash(ids[0]), traces))
            for own in traces:
                suppression.add(own.customer_id, now, own.addresses, own.visitors)
        places = [home.resolve(), dagster_home.resolve(), *lakes]
        done = [
            _forget_id(settings, warehouse, suppression, own, since, places, now, version) for own in traces
        ]
        copy_campaigns(list_folders(home), settings)
        drop_unfinished(home, unfinished)
    return _join(done, suppression.hash(customer_id))


def _join(done: list[Forgotten], digest: str) -> Forgotten:
    """What was done under all ids of a person as one."""
    return Forgotten(
        digest,
        done[-1].since if all(one.since is not None for one in done) else None,
        {old: new for one in done for old, new in one.rewritten.items()},
        [name for one in done for name in one.deleted],
        {name: sum(one.rows.get(name, 0) for one in done) for one in done for name in one.rows},
        {name: count for one in done for name, count in one.landed.items()},
        tuple(sorted({week for one in done for week in one.weeks})),
        done[-1].searched,
        next((one.manifest for one in reversed(done) if one.manifest is not None), None),
    )


def _forget_id(
    settings: Settings,
    warehouse: Warehouse,
    suppression: Suppression,
    traces: Traces,
    since_of: Mapping[str, datetime | None],
    places: list[Location],
    now: datetime,
    version: str,
) -> Forgotten:
    """Purge one of a person's ids.

    Raises:
        ErasureError: nobody has it, and the person has no other; or something was found afterwards.
    """
    home, customer_id = warehouse.home, traces.customer_id
    digest, since = suppression.hash(customer_id), since_of[customer_id]
    before, searched = search_files(places, traces, warehouse, home.resolve() / FOLDER)
    caches = {
        **servers(settings),
        **{f"serving in {name}": s for name, s in serving_servers(settings).items()},
    }
    entries = {name: server.count(customer_id) for name, server in caches.items()}
    known = any(found.by_value for found in before.values()) or any(entries.values())
    landed: dict[str, int] = {}
    if not known and since is None and len(since_of) == 1:
        landed = _count_in_shop_files(settings, warehouse, customer_id, searched)
    elif not before and not any(entries.values()):
        return Forgotten(digest, since, {}, [], {}, {}, (), searched, None)
    suppression.add(customer_id, now, traces.addresses, traces.visitors)
    for name, server in caches.items():
        if entries[name]:
            server.purge(customer_id)
    rewritten = _rewrite(warehouse, traces, before, now, version, settings.writer_wait_seconds)
    rows = {
        _shorten_path(path, places): purge_sqlite(path, traces)
        for path in before
        if isinstance(path, Path) and path.suffix == ".db"
    }
    deleted, weeks = _delete(warehouse, before, places)
    left, searched = search_files(places, traces, warehouse, home.resolve() / FOLDER)
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
        "how_it_was_searched": describe_search(traces),
        "places_searched": [str(place) for place in places],
        "files_searched": searched,
        "matches_left": {_shorten_path(path, places): found.count for path, found in left.items()},
    }
    manifest.write_text(json.dumps(about, indent=1) + "\n")
    if left:
        raise ErasureError(_explain_left(warehouse, left, places, manifest))
    return Forgotten(digest, None, rewritten, deleted, rows, landed, weeks, searched, manifest)


def _explain_left(
    warehouse: Warehouse, left: Mapping[Location, Matches], places: list[Location], manifest: Path
) -> str:
    """What still names the customer, and what to do: what everybody's tables are read from is not to be deleted."""
    naming = warehouse.list_lake_files()
    read: set[Location] = set()
    other: set[Location] = set()
    published = [(warehouse.home / folder).resolve() for folder in READ]
    for path in left:
        if readers := naming.get(path):
            read |= {reader.resolve() for reader in readers}
        else:
            (read if any(is_within(path, folder) for folder in published) else other).add(path)
    said = []
    for paths, advice in (
        (
            read,
            "which hold everybody: take the customer out of what the shop's files say of others, run the newest week again and delete "
            "the older versions that are named here",
        ),
        (other, "delete what is named there"),
    ):
        if paths:
            names = ", ".join(sorted(_shorten_path(path, places) for path in paths))
            said.append(f"{names}{', ' if paths is read else ': '}{advice}")
    return f"The customer is still in {'; and in '.join(said)}; then forget the customer again ({manifest})."


def _count_in_shop_files(
    settings: Settings, warehouse: Warehouse, customer_id: str, searched: int
) -> dict[str, int]:
    """Rows per raw table that the shop's own files hold of a customer whom nothing else knows.

    Raises:
        ErasureError: they hold none either; the nearest ids are named.
    """
    ids, landed, problem = load_customer_ids(warehouse), {}, ""
    try:
        data, source = open_source(settings)
        root = None if source.mirror is not None else settings.data_root
        for table in source.raw_tables.values():
            if "customer_id" in table.column_names:
                with warehouse.scratch() as connection:
                    found = customers_in(connection, source, table.name, data, settings.timezone, root)
                ids |= set(found)
                if customer_id in found:
                    landed[table.name] = found[customer_id]
    except RecsError as error:
        problem = f" The shop's own files could not be read to their end ({str(error).rstrip('.')})."
    finally:
        shutil.rmtree(warehouse.home / LANDED, ignore_errors=True)
    if landed:
        return landed
    near = suggest_ids(customer_id, ids)
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


def suggest_ids(customer_id: str, ids: Iterable[str]) -> list[str]:
    """At most three ids that may have been meant, none of them an address: those that differ in case, blanks,
    signs, a trailing .0 or zeros before a number alone, else the most similar ones.

    >>> suggest_ids("17850.0", ["17850", "17851"]), suggest_ids(" C4", ["c04", "c40"]), suggest_ids("c341", ["c34", "d9"])
    (['17850'], ['c04'], ['c34'])
    """
    named: dict[str, list[str]] = {}
    for identifier in sorted(ids):
        if "@" not in identifier:
            named.setdefault(id_core(identifier), []).append(identifier)
    core = id_core(customer_id)
    alike = [core] if core in named else difflib.get_close_matches(core, named, 3, 0.6)
    return [identifier for name in alike for identifier in named[name]][:3]


def _rewrite(
    warehouse: Warehouse,
    traces: Traces,
    before: dict[Location, Matches],
    now: datetime,
    version: str,
    wait_seconds: float,
) -> dict[str, str]:
    """Write again what readers open and what held the customer: new path by old one, below the home."""
    home, customer_id = warehouse.home, traces.customer_id
    parts = {
        "published": warehouse.snapshots.purge(
            before.keys(), customer_id, traces.visitors, traces.rejected, now, version
        ),
        "cache/versions": versions.purge(home / "cache", customer_id),
        "serving/versions": publish.purge(home / publish.FOLDER, customer_id),
        **{
            f"exports/{folder.name}/versions": (
                embeddings if folder.name == embeddings.FOLDER else email_files
            ).purge(folder, customer_id)
            for folder in sorted((home / "exports").glob("*"))
        },
    }
    renamed = {
        f"{part}/{old}": f"{part}/{new}" for part, names in parts.items() for old, new in names.items()
    }
    logs = [path for path in list_all_event_files(home) if path.resolve() in before]
    if logs:
        with writer_lock(home / EVENTS / LOCK, wait_seconds):
            for path in logs:
                purge_events(path, traces.names, traces.visitors)
    nights = purge_nights(warehouse, customer_id)
    sent = [
        path
        for folder in sorted((home / "exports").glob("*"))
        for path in receipts.purge(folder, customer_id, wait_seconds)
    ]
    return renamed | {
        name: name for name in (str(path.relative_to(home)) for path in (*logs, *nights, *sent))
    }


def _find_lakes(warehouse: Warehouse) -> list[Location]:
    """The lakes that weeks of the home were built in, as far as they are beside it.

    Raises:
        WarehouseError: a file that a build file or a version of the snapshot names is not there: it may hold the customer, and
            come back.
        ErasureError: a lake is not there, or one that files are read from is another home's.
    """
    lakes, naming = list_lakes(warehouse.home), warehouse.list_lake_files()
    strange = [path for path in naming if not any(is_within(path, lake) for lake in lakes)]
    if strange:
        readers = _list_readers(naming, strange)
        raise ErasureError(
            f"{strange[0]} lies in no lake of this home and is read, so nothing was touched: where the home is a copy of another one, "
            f"forget the customer there and delete what reads it here ({readers}); where it was moved, make "
            f"{warehouse.home.resolve()} the 'home' and null the 'place' in {warehouse.home / FILE}; then forget the customer again."
        )
    if absent := find_absent(naming):
        readers = _list_readers(naming, [path for path in naming if is_within(path, absent)])
        raise WarehouseError(
            f"{readers.partition(', ')[0]} reads files that are not there ({absent}), and they may hold the customer, so nothing was "
            "touched: make RECS_LAKE's folder available under the path that it had when the week was built, or, where it is gone for "
            f"good, delete what reads it ({readers}); then forget the customer again."
        )
    if away := find_away(lakes):
        raise ErasureError(
            f"The lake {away}, in which weeks of this home were built, is not there, and it may hold the customer, so nothing was "
            f"touched: make it available under the path that it had; where it is gone for good, take it out of {warehouse.home / FILE}."
        )
    outside = [path for path in sorted(set(lakes), key=str) if not is_within(path, warehouse.home.resolve())]
    return [
        path for path in outside if not any(other != path and is_within(path, other) for other in outside)
    ]


def _list_readers(naming: Mapping[Location, list[Path]], paths: Iterable[Location]) -> str:
    """The build files and versions that name files of the lake."""
    return ", ".join(sorted({str(reader) for path in paths for reader in naming[path]}))


def _delete(
    warehouse: Warehouse, before: dict[Location, Matches], places: list[Location]
) -> tuple[list[str], tuple[date, ...]]:
    """Delete what is made again and the records that name the customer: what, and the weeks among it."""
    home, deleted, weeks = warehouse.home, [], []
    # A week that reads a file of the lake with their rows holds them, too.
    naming = warehouse.list_lake_files()
    held = {build.resolve() for path in before for build in naming.get(path, [])} | before.keys()
    for folder in (path.resolve() for pattern in WHOLE for path in sorted(home.glob(pattern))):
        # What DuckDB spilled and a killed run left is compressed, and what was read of the shop's files has columns of the
        # shop's: no search can tell whose it is.
        if folder.name in ("tmp", LANDED) or any(folder in path.parents for path in held):
            shutil.rmtree(folder)
            deleted.append(_shorten_path(folder, places))
            if folder.parent.name == "weeks":
                weeks.append(date.fromisoformat(folder.name))
    if weeks and not any((home / "weeks").iterdir()):
        (home / "weeks").rmdir()
    # After their week is gone, and the versions read others.
    dropped = warehouse.drop_unnamed_files()
    deleted += [_shorten_path(path, places) for path in dropped if path in before]
    read = [(home / folder).resolve() for folder in READ]
    # Of the lakes nothing else goes: what a version still reads is everybody's.
    named = {path.resolve() for path in warehouse.list_lake_files()}
    for path in before:
        own = any(is_within(path, place) for place in places[:2])
        kept = path.suffix == ".db" or any(folder in path.parents for folder in read)
        if own and not kept and path.resolve() not in named and path.exists():
            path.unlink()
            deleted.append(_shorten_path(path, places))
    return deleted, tuple(weeks)


def _compare(
    before: dict[Location, Matches],
    left: dict[Location, Matches],
    rewritten: dict[str, str],
    places: list[Location],
) -> dict[str, dict[str, int | str]]:
    """Per file what was found before and after, and what became of it."""
    after = {_shorten_path(path, places): found.count for path, found in left.items()}
    compared: dict[str, dict[str, int | str]] = {}
    for path, found in before.items():
        shown = name = _shorten_path(path, places)
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


def _shorten_path(path: Location, places: list[Location]) -> str:
    return next(str(path).removeprefix(str(place)).lstrip("/") for place in places if is_within(path, place))
