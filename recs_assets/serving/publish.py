"""Make the store of a published version from the snapshot, and keep its versions as those of the other caches."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pandas as pd

from recs_assets.exports import versions
from recs_assets.files import read_sql
from recs_assets.rules.context import POPULARITY_HALF_LIFE_DAYS, number_names
from recs_assets.rules.sensitive import SensitiveGoods
from recs_assets.serving.store import BLOCK, FACTS, FILE, FORMAT, INDEX, SCHEMA, count_customer

if TYPE_CHECKING:
    import duckdb

FOLDER = "serving"
# Products of a segment that its step of the ladder can offer.
SEGMENT_PRODUCTS = 200
ROWS = 10_000
# Customers whose rows are made at once: DuckDB keeps the lists that it puts together in memory, some 20 KB of each.
PART = 20_000
FIRSTS = """
    select customer_id from (select customer_id, row_number() over (order by customer_id) as number from recs.customers)
    where (number - 1) % $size = 0 order by customer_id
"""
LISTS = ("customer_recommendations", "buy_it_again", "similar_products", "frequently_bought_together")
WITH_IDS = (
    "select table_name from duckdb_columns() where schema_name = 'recs' and column_name = 'recommendation_id'"
)
WITH_PEOPLE = (
    "select 1 from duckdb_columns() where schema_name = 'recs' and table_name = 'customers' "
    "and column_name = 'customer_ids'"
)
# What the page shows of a product.
CARD = (
    "title",
    "url",
    "image_url",
    "price",
    "price_kind",
    "price_from",
    "currency",
    "category",
    "brand",
    "merchant_id",
)


def publish(
    snapshot: duckdb.DuckDBPyConnection,
    shelf: pd.DataFrame,
    sensitive: SensitiveGoods,
    folder: Path,
    *,
    as_of: date,
    run_id: str,
    version: str,
    timezone: str,
    keep: int,
    now: datetime,
    refreshes: date | None = None,
    erased: Collection[str] = (),
) -> dict[str, Any]:
    """Write the store of the published week, or of a day after it, and make it the current one.

    Args:
        snapshot: whose tables of schema `recs` hold `as_of`.
        shelf: product_id and stock at the newest count (null: never counted), start_at and end_at by now.
        sensitive: the shop's sensitive goods.
        folder: of all versions.
        as_of: the week, or the day.
        run_id: of the run that made it.
        version: of recs_assets.
        timezone: of the shop, in which as_of begins and times without a zone are.
        keep: versions kept, the current one included.
        now: when the shelf was looked at, with a zone.
        refreshes: the week whose models made the lists of a day; None where `as_of` is a week.
        erased: ids of whom the shop's files say so; they are withdrawn, like those who objected.

    Returns:
        The manifest (`exports.versions.publish`).

    Raises:
        ExportError: run_id or keep is refused.
        OSError: the disk.
    """
    products = _load_products(snapshot, as_of, shelf, sensitive, timezone)
    about = {
        "format": FORMAT,
        "as_of": as_of.isoformat(),
        "run_id": run_id,
        "model_version": _find_model(snapshot, as_of, version),
        "begins_at": pd.Timestamp(as_of, tz=timezone).timestamp(),
        "counted_at": now.astimezone(UTC).timestamp(),
        "monitor": _count_verdicts(snapshot, as_of),
    }

    def write(aside: Path) -> dict[str, int]:
        with closing(sqlite3.connect(aside / FILE, isolation_level=None)) as store:
            return {FILE: _fill(store, snapshot, products, about, erased)}

    facts = {"products": len(products), "model_version": about["model_version"]}
    if refreshes is not None:
        facts[versions.REFRESHES] = refreshes.isoformat()
    manifest = versions.switch_in(folder, as_of=as_of, run_id=run_id, keep=keep, write=write, about=facts)
    return {**manifest, "rows": manifest["files"][FILE]["rows"]}


def _count_verdicts(snapshot: duckdb.DuckDBPyConnection, as_of: date) -> list[tuple[str, str, int]]:
    """Area, verdict and figures of the newest week of the monitor; none where a snapshot has no such table."""
    there = snapshot.execute(
        "select count(*) from information_schema.tables where table_schema = 'recs' and table_name = 'monitor'"
    ).fetchall()[0][0]
    if not there:
        return []
    return snapshot.execute(
        """
        select area, verdict, count(*) from recs.monitor
        where area <> 'all' and as_of = (select max(as_of) from recs.monitor where as_of <= ?) group by all order by all
        """,
        [as_of],
    ).fetchall()


def write_store(
    store: sqlite3.Connection,
    about: Mapping[str, Any],
    facts: Iterable[Mapping[str, list[Any]]],
    products: Iterable[tuple[int, bytes, bytes | None, bytes | None]],
    segments: Iterable[tuple[str, bytes]],
    customers: Iterable[
        tuple[str, str | None, str | None, bytes | None, bytes | None, bytes | None, int, str]
    ],
) -> int:
    """Fill an empty database; the number of customers."""
    store.execute("pragma journal_mode = off")
    store.execute("pragma synchronous = off")  # the file is flushed as a whole before it gets its name
    store.executescript(SCHEMA)
    store.execute("begin")
    store.execute("insert into about values ('about', ?)", (orjson.dumps(about),))
    for number, columns in enumerate(facts):
        store.execute("insert into facts values (?, ?)", (number, orjson.dumps(columns)))
    store.executemany("insert into products values (?, ?, ?, ?)", products)
    store.executemany("insert into segments values (?, ?)", segments)
    store.executemany("insert into customers values (?, ?, ?, ?, ?, ?, ?, ?)", customers)
    store.execute(INDEX)
    store.execute("commit")
    return store.execute("select count(*) from customers").fetchone()[0]


def _fill(
    store: sqlite3.Connection,
    snapshot: duckdb.DuckDBPyConnection,
    products: pd.DataFrame,
    about: Mapping[str, Any],
    erased: Collection[str],
) -> int:
    as_of = date.fromisoformat(about["as_of"])
    served = products[["code", "product_id"]].assign(category=number_names(products["category"])[0])
    snapshot.register("served", served)
    snapshot.register("erased", pd.DataFrame({"id": pd.Series(sorted(set(erased)), dtype="string")}))

    tables = {name for (name,) in snapshot.execute(WITH_IDS).fetchall()}
    # A version of recs_assets before 0.4 published no ids in these tables.
    ids = "recommendation_id" if set(LISTS) <= tables else "null"
    # Nor did a version before 0.9 know several ids of one person.
    people = "customer_ids" if snapshot.execute(WITH_PEOPLE).fetchall() else "[customer_id]"

    def read(name: str, **more: Any) -> Iterable[tuple[Any, ...]]:
        sql = (
            read_sql(__file__, f"sql/{name}")
            .replace("recommendation_id", ids)
            .replace("customer_ids", people)
        )
        given = {"as_of": as_of, "half_life": POPULARITY_HALF_LIFE_DAYS, **more}
        result = snapshot.execute(sql, {key: value for key, value in given.items() if f"${key}" in sql})
        while rows := result.fetchmany(ROWS):
            yield from rows

    def read_customers() -> Iterable[tuple[Any, ...]]:
        firsts = [first for (first,) in snapshot.execute(FIRSTS, {"size": PART}).fetchall()]
        for first, last in pairwise([*firsts, None]):
            yield from read("customers", first=first, last=last)
        yield from read("erased")

    neighbours = {code: (similar, together) for code, similar, together in read("neighbours")}
    shown = _without_gaps(products.rename(columns={"name": "title"})[list(CARD)])
    cards = zip(*(shown[name] for name in CARD), strict=True)
    try:
        return write_store(
            store,
            about,
            _split_facts(products),
            (
                (code, orjson.dumps(dict(zip(CARD, card, strict=True))), *neighbours.get(code, (None, None)))
                for code, card in enumerate(cards)
            ),
            read("segments", most=SEGMENT_PRODUCTS),
            read_customers(),
        )
    finally:
        snapshot.unregister("served")
        snapshot.unregister("erased")


def _without_gaps(table: pd.DataFrame) -> pd.DataFrame:
    """None in place of NaN, NaT and NA."""
    table = table.astype(object)
    return table.where(table.notna(), None)


def _split_facts(products: pd.DataFrame) -> Iterable[dict[str, list[Any]]]:
    table = _without_gaps(products[list(FACTS)])
    for start in range(0, len(table), BLOCK):
        yield {name: values.tolist() for name, values in table.iloc[start : start + BLOCK].items()}


def _load_products(
    snapshot: duckdb.DuckDBPyConnection,
    as_of: date,
    shelf: pd.DataFrame,
    sensitive: SensitiveGoods,
    timezone: str,
) -> pd.DataFrame:
    """The products by id with everything a card and the rules need; sale windows in seconds since 1970."""
    sql = read_sql(__file__, "sql/products")
    products = snapshot.execute(sql, {"as_of": as_of, "half_life": POPULARITY_HALF_LIFE_DAYS}).df()
    now = shelf.set_index("product_id").reindex(products["product_id"]).set_index(products.index)
    topics = sensitive.classify(products)
    products["stock"] = now["stock"].astype(float)
    for name in ("start_at", "end_at"):
        products[name] = _to_seconds(now[name].fillna(products[name]), timezone)
    return products.assign(never_offer=topics.never_offer, never_discover=topics.never_discover)


def _to_seconds(times: pd.Series, timezone: str) -> np.ndarray:
    first = np.ones(len(times), dtype=bool)
    zoned = pd.to_datetime(times).dt.tz_localize(timezone, nonexistent="shift_forward", ambiguous=first)
    seconds = zoned.dt.tz_convert("UTC").dt.as_unit("us").astype("int64") / 1e6
    return np.where(times.isna(), np.nan, seconds)


def _find_model(snapshot: duckdb.DuckDBPyConnection, as_of: date, version: str) -> str:
    """The model that made the week's lists, with the version of recs_assets, as the email's rows have it."""
    row = snapshot.execute(
        "select chosen from recs.model_decisions where as_of = ? order by step desc limit 1", [as_of]
    ).fetchone()
    return f"{row[0]} {version}" if row and row[0] else version


def switch(folder: Path, as_of: date, run_id: str) -> str | None:
    """Make the newest version of a week and run current; its name, or None where none is kept."""
    return versions.switch(folder, as_of, run_id)


def purge(folder: Path, customer_id: str) -> dict[str, str]:
    """Write every version that holds a customer again without them and delete the folder that did.

    Returns:
        New name by old name, in the order written.
    """
    renamed = {}
    for path, manifest in versions.list_versions(folder):
        if count_customer(path / FILE, customer_id):
            about = {name: value for name, value in manifest.items() if name not in versions.OWN}
            renamed[path.name] = versions.rewrite(
                folder, path, manifest, _copy_without(path / FILE, customer_id), about
            )
    return renamed


def _copy_without(old: Path, customer_id: str) -> Callable[[Path], dict[str, int]]:
    def write(aside: Path) -> dict[str, int]:
        shutil.copyfile(old, aside / FILE)
        with closing(sqlite3.connect(aside / FILE, isolation_level=None)) as store:
            store.execute("pragma secure_delete = on")
            store.execute("delete from customers where id = ?", (customer_id,))
            store.execute("vacuum")
            return {FILE: store.execute("select count(*) from customers").fetchone()[0]}

    return write
