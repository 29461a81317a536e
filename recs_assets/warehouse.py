"""The only code that opens DuckDB: short connections, one writer, one atomic publish.

Two kinds of file live under `home`:

* `weeks/<as_of>/build.duckdb`, private to the run of that week, written and read here and
  by dbt. Nobody else opens it.
* `published/analytics-<as_of>-<run>.duckdb`, read-only, and the symlink `recs.duckdb` that
  names the current one. A publish writes a whole new file and then swaps the link, so a
  reader sees either the old snapshot or the new one, and an analyst who holds the old one
  open keeps it. A plain `os.replace` over an open file would leave a stale `.wal` beside it
  and show old data to a second connection of one process.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import sparse

from recs_assets.interactions import EVENT_TYPES, Events, Known
from recs_assets.ranking.candidates import Candidates
from recs_assets.ranking.features import BY_NAME, TABLES, Feature, source_frame
from recs_assets.schema import WarehouseError

# Clients from 1.0 on can open the snapshot; newer storage features would lock them out.
STORAGE_VERSION = "v1.0.0"

# Tables of schema `recs` that keep earlier weeks; all others describe the newest week only.
WEEKLY_TABLES = (
    "email_recommendations",
    "buy_it_again",
    "customer_recommendations",
    "model_metrics",
    "model_decisions",
    "rule_outcomes",
)
SNAPSHOT_LINK = "recs.duckdb"


@dataclass(frozen=True)
class Published:
    """What one publish did.

    Attributes:
        path: the new snapshot file.
        rows: row count per table of schema `recs`.
        hashes: content hash per table, equal for equal rows in any order.
        seconds: wall time of the publish.
    """

    path: Path
    rows: dict[str, int]
    hashes: dict[str, str]
    seconds: float


@contextmanager
def writer_lock(
    path: Path, wait_seconds: float, on_wait: Callable[[str], None] = lambda message: None
) -> Iterator[None]:
    """Hold the one-writer lock, an OS file lock that a killed process frees at once.

    A Dagster pool slot stays taken after `kill -9`; `flock` does not. The file's text names
    the holder for the message only, the lock itself is the kernel's.

    Raises:
        WarehouseError: when another process still holds it after `wait_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        told = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
                if time.monotonic() >= deadline:
                    raise WarehouseError(
                        f"The writer lock {path} is still held by {holder} after {wait_seconds:.0f} s: "
                        "let that run finish or stop it, then start this one again."
                    ) from None
                if not told:
                    on_wait(f"Waiting for {holder}, which holds {path}.")
                    told = True
                time.sleep(0.2)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} since {datetime.now():%Y-%m-%d %H:%M:%S}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


class Warehouse:
    """The files of one deployment.

    Args:
        home: folder of build files, snapshots and locks.
        threads: DuckDB threads.
        memory_limit: DuckDB memory limit, such as "4GB".
        retention: weeks and snapshot versions kept.
    """

    def __init__(self, home: Path, threads: int = 2, memory_limit: str = "4GB", retention: int = 8) -> None:
        self.home = Path(home)
        self.threads = threads
        self.memory_limit = memory_limit
        self.retention = retention
        self._known: dict[tuple[date, date], Known] = {}

    # -- places ---------------------------------------------------------------------------

    def week_dir(self, week: date) -> Path:
        return self.home / "weeks" / week.isoformat()

    def build_path(self, week: date) -> Path:
        return self.week_dir(week) / "build.duckdb"

    @property
    def published_dir(self) -> Path:
        return self.home / "published"

    @property
    def snapshot_path(self) -> Path:
        return self.published_dir / SNAPSHOT_LINK

    @property
    def lock_path(self) -> Path:
        return self.home / "writer.lock"

    # -- connections ----------------------------------------------------------------------

    def _connect(self, database: str, read_only: bool) -> duckdb.DuckDBPyConnection:
        try:
            return duckdb.connect(
                database,
                read_only=read_only,
                config={
                    "threads": self.threads,
                    "memory_limit": self.memory_limit,
                    "temp_directory": str(self.home / "tmp"),
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                },
            )
        except duckdb.Error as error:
            raise WarehouseError(
                f"DuckDB cannot open {database}: {str(error).splitlines()[0]} "
                "Close whatever holds the file, or delete it and run the week again."
            ) from error

    @contextmanager
    def write(self, week: date) -> Iterator[duckdb.DuckDBPyConnection]:
        """A short read-write connection to the week's build file."""
        self.week_dir(week).mkdir(parents=True, exist_ok=True)
        connection = self._connect(str(self.build_path(week)), read_only=False)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def read(self, week: date) -> Iterator[duckdb.DuckDBPyConnection]:
        """A short read-only connection to the week's build file."""
        if not self.build_path(week).exists():
            raise WarehouseError(
                f"The week {week} has no build file ({self.build_path(week)}): materialise its raw tables first."
            )
        connection = self._connect(str(self.build_path(week)), read_only=True)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def snapshot(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A short read-only connection to the published snapshot."""
        if not self.snapshot_path.exists():
            raise WarehouseError(f"Nothing is published yet at {self.snapshot_path}: run a week first.")
        connection = self._connect(str(self.snapshot_path.resolve()), read_only=True)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def scratch(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """An in-memory database, for looking at a shop's files without writing anything."""
        connection = self._connect(":memory:", read_only=False)
        try:
            yield connection
        finally:
            connection.close()

    def newest_published(self) -> date:
        """The newest week the snapshot was published for."""
        with self.snapshot() as connection:
            return connection.execute("select max(as_of) from recs.publish_log").fetchall()[0][0]

    def published_lists(self, week: date) -> pa.Table:
        """The storefront's rows of one week, by customer and rank: what every cache is made of."""
        with self.snapshot() as connection:
            return connection.execute(
                """
                select customer_id, rank, product_id, product_name, category, price, score, p_purchase, source, reason_code,
                       reason_text, because_product_id
                from recs.customer_recommendations where as_of = ? order by customer_id, rank
                """,
                [week],
            ).to_arrow_table()

    # -- what the models read -------------------------------------------------------------

    def forget_cached(self) -> None:
        """Drop loaded `Known`s; called when the marts underneath were rebuilt."""
        self._known.clear()

    def known(self, week: date, anchor: date) -> Known:
        """Everything known before `anchor`, from the build file of `week`.

        Raises:
            WarehouseError: when the week's features hold no such anchor.
        """
        if (week, anchor) not in self._known:
            with self.read(week) as connection:
                self._known[week, anchor] = _load_known(connection, anchor)
        return self._known[week, anchor]

    def truth(self, week: date, anchor: date, horizon_days: int) -> sparse.csr_matrix:
        """float32 csr[n_customers, n_products] of ones: what was bought in
        `[anchor, anchor + horizon)` and not wholly returned in it, in codes of `known(anchor)`."""
        known = self.known(week, anchor)
        end = anchor + timedelta(days=horizon_days)
        with self.read(week) as connection:
            rows = connection.execute(
                """
                with customers as (
                    select customer_id, row_number() over (order by customer_id) - 1 as code
                    from marts.customers where joined_at is null or joined_at < $anchor
                ),
                products as (
                    select product_id, row_number() over (order by product_id) - 1 as code from marts.products
                )
                select distinct customers.code::integer as customer, products.code::integer as product
                from marts.order_lines
                join customers using (customer_id)
                join products using (product_id)
                where ordered_at >= $anchor and ordered_at < $end
                  and (fully_returned_at is null or fully_returned_at >= $end)
                order by 1, 2
                """,
                {"anchor": anchor, "end": end},
            ).fetchnumpy()
        return sparse.csr_matrix(
            (np.ones(len(rows["customer"]), dtype=np.float32), (rows["customer"], rows["product"])),
            shape=(known.n_customers, known.n_products),
        )

    def frame(self, week: date, anchor: date, candidates: Candidates, names: Sequence[str]) -> np.ndarray:
        """The ranker's features of candidates, in one join with dbt's feature tables.

        Memory beside the result is the tables' rows of these customers; give blocks of customers.

        Args:
            week: whose build file.
            anchor: for which the candidates were made; only feature rows with this `as_of` count.
            candidates: codes of `known(week, anchor)`.
            names: features (`ranking.features.FEATURES`), in the order of the columns.

        Returns:
            float32[n, len(names)], rows as in `candidates`; NaN where unknown.

        Raises:
            WarehouseError: an unknown feature, or a value that is infinite.
        """
        if unknown := [name for name in names if name not in BY_NAME]:
            raise WarehouseError(f"No such feature: {', '.join(unknown)}.")
        wanted = [BY_NAME[name] for name in names]
        X = np.empty((len(candidates), len(names)), dtype=np.float32)
        lists = [column for column, one in enumerate(wanted) if one.table == "source"]
        X[:, lists] = source_frame(candidates, [wanted[column] for column in lists])
        joined = [column for column, one in enumerate(wanted) if one.table != "source"]
        if joined and len(candidates):
            with self.read(week) as connection:
                _join_features(
                    connection, anchor, candidates, [wanted[column] for column in joined], X, joined
                )
        if infinite := [name for name, bad in zip(names, np.isinf(X).any(axis=0), strict=True) if bad]:
            raise WarehouseError(
                f"Infinite values in {', '.join(infinite)} at {anchor}: refusing to rank by them."
            )
        return X

    def answer(self, week: date, sql: str, parameters: Mapping[str, object]) -> pd.DataFrame:
        """Rows of compiled SQL (`campaigns.compiler`) over the week's build file.

        Args:
            week: whose build file.
            sql: identifiers from the catalogue; values only as `$name`.
            parameters: the values by name.

        Raises:
            WarehouseError: no build file, or one that lacks what the SQL reads.
        """
        with self.read(week) as connection:
            try:
                return connection.execute(sql, dict(parameters)).df()
            except duckdb.CatalogException as error:
                raise WarehouseError(
                    f"The build file of {week} is not complete ({str(error).splitlines()[0]}): run the week again."
                ) from error

    def planned_offers(self, week: date) -> dict[date, dict[str, float]]:
        """Anchor -> kind of offer -> weeks of it in the label window, over all products, as known then."""
        kinds = ("mailer", "display", "coupon", "price", "other")
        sums = ", ".join(f"sum({kind}_weeks)::double" for kind in kinds)
        with self.read(week) as connection:
            rows = connection.execute(
                f"select as_of, {sums} from features.product_promotions group by as_of"
            ).fetchall()
        return {anchor: dict(zip(kinds, weeks, strict=True)) for anchor, *weeks in rows}

    def past_forecasts(self, week: date, horizon_days: int) -> pd.DataFrame:
        """What the published emails of earlier weeks were predicted to sell, and what was bought.

        Only weeks whose label window was over by `week`, and people who are customers still: rows of
        the erased leave the snapshot, and the same week again must count the same. Revenue counts each product once, at the
        price that the email showed.

        Returns:
            Columns forecast_as_of date, window_end date, customers, rows, forecast_purchases,
            actual_purchases, forecast_revenue, actual_revenue; no row without a snapshot.
        """
        empty = not self.snapshot_path.exists()
        with self.read(week) as connection:
            if not empty:
                connection.execute(
                    f"attach '{_quoted(self.snapshot_path.resolve())}' as published (read_only)"
                )
                empty = not connection.execute(
                    """
                    select count(*) from duckdb_columns() where database_name = 'published'
                    and table_name = 'email_recommendations' and column_name = 'p_purchase'
                    """
                ).fetchall()[0][0]
            source = (
                "select null::date as as_of, null as customer_id, null as product_id, 0.0 as p_purchase, "
                "0.0 as price where false"
                if empty
                else "select as_of, customer_id, product_id, p_purchase, price "
                "from published.recs.email_recommendations"
            )
            return connection.execute(
                f"""
                with emails as ({source}),
                judged as (
                    select emails.as_of, emails.customer_id, p_purchase, coalesce(price, 0) as price,
                        exists (
                            from marts.order_lines as lines
                            where lines.customer_id = emails.customer_id
                              and lines.product_id = emails.product_id
                              and lines.ordered_at >= emails.as_of
                              and lines.ordered_at < emails.as_of + $days
                              and (
                                  lines.fully_returned_at is null
                                  or lines.fully_returned_at >= emails.as_of + $days
                              )
                        ) as bought
                    from emails
                    where p_purchase is not null and emails.as_of + $days <= $week
                      and emails.customer_id in (select customer_id from marts.customers)
                )
                select as_of as forecast_as_of, (as_of + $days)::date as window_end,
                    count(distinct customer_id) as customers, count(*) as rows,
                    sum(p_purchase)::decimal(38, 9)::double as forecast_purchases,
                    count(*) filter (where bought) as actual_purchases,
                    sum(p_purchase * price)::decimal(38, 9)::double as forecast_revenue,
                    coalesce(sum(price) filter (where bought), 0)::double as actual_revenue
                from judged group by as_of order by as_of
                """,
                {"week": week, "days": horizon_days},
            ).df()

    # -- what the models write ------------------------------------------------------------

    def replace_table(self, week: date, name: str, rows: pd.DataFrame, columns: dict[str, str]) -> int:
        """Replace `model.<name>` by `rows`, cast to the declared column types, in one transaction.

        Raises:
            WarehouseError: when a number is infinite. NaN is a missing value and lands as null.
        """
        for column in rows.columns:
            values = rows[column]
            if values.dtype.kind == "f" and not np.isfinite(values.to_numpy(dtype=float, na_value=0.0)).all():
                raise WarehouseError(f"model.{name}.{column} holds an infinite number: refusing to write it.")
        selected = ", ".join(f'"{column}"::{type_} as "{column}"' for column, type_ in columns.items())
        with self.write(week) as connection:
            connection.register("incoming_rows", rows)
            connection.execute("begin")
            connection.execute("create schema if not exists model")
            connection.execute(
                f'create or replace table model."{name}" as select {selected} from incoming_rows'
            )
            connection.execute("commit")
        return len(rows)

    # -- publish --------------------------------------------------------------------------

    def publish(self, week: date, run_id: str, now: datetime, version: str) -> Published:
        """Write schema `recs` of the week's build file as the new snapshot and switch to it.

        Earlier weeks of `WEEKLY_TABLES` are carried over from the current snapshot. A
        backfill of a week older than the current one replaces that week's rows only. Whoever the
        newest week no longer has as a customer (erased since) is in none of them.

        Raises:
            WarehouseError: when there is nothing to publish, the disk refuses, or the written copy differs.
        """
        started = time.monotonic()
        self.published_dir.mkdir(parents=True, exist_ok=True)
        target = self.published_dir / f"analytics-{week.isoformat()}-{run_id[:8]}.duckdb"
        unfinished = target.with_suffix(".tmp")
        for leftover in self.published_dir.glob("*.tmp*"):
            leftover.unlink()
        previous = self.snapshot_path.resolve() if self.snapshot_path.exists() else None
        with self.read(week) as check:
            tables = [
                name
                for (name,) in check.execute(
                    "select table_name from duckdb_tables() where schema_name = 'recs' order by 1"
                ).fetchall()
            ]
        if not tables:
            raise WarehouseError(
                f"The build file of {week} has no tables in schema recs: run dbt's published models first."
            )

        connection = self._connect(":memory:", read_only=False)
        try:
            connection.execute(
                f"attach '{_quoted(unfinished)}' as snapshot (storage_version '{STORAGE_VERSION}')"
            )
            connection.execute(f"attach '{_quoted(self.build_path(week))}' as build (read_only)")
            newest = True
            old_tables: set[str] = set()
            if previous is not None:
                connection.execute(f"attach '{_quoted(previous)}' as previous (read_only)")
                old_tables = {
                    name
                    for (name,) in connection.execute(
                        "select table_name from duckdb_tables() where database_name = 'previous' and schema_name = 'recs'"
                    ).fetchall()
                }
                latest = connection.execute("select max(as_of) from previous.recs.publish_log").fetchone()
                newest = latest is None or latest[0] is None or week >= latest[0]
            connection.execute("create schema snapshot.recs")
            customers = None
            if "customers" in (tables if newest else old_tables):
                customers = f"{'build' if newest else 'previous'}.recs.customers"
            for table in tables:
                weekly = table in WEEKLY_TABLES
                origin = "build" if newest or weekly or table not in old_tables else "previous"
                _copy_table(connection, origin, table, customers if weekly else None)
                if weekly and table in old_tables:
                    # A backfilled week comes on top: it must not push a newer one out.
                    others = self.retention - 1 if newest else self.retention
                    self._carry_over(connection, table, week, others, customers)
            rows, hashes = _describe(connection, "snapshot", tables)
            self._log(
                connection,
                "publish" if newest else "backfill",
                week,
                run_id,
                now,
                version,
                target.name,
                rows,
                hashes,
                keep="publish_log" in old_tables,
            )
            connection.execute("checkpoint snapshot")
            connection.execute("detach snapshot")
        except duckdb.Error as error:
            raise WarehouseError(
                f"The snapshot of {week} could not be written ({str(error).splitlines()[0]}): "
                "what was published before is untouched; make room on the disk or repair the cause and run again."
            ) from error
        finally:
            connection.close()
        if Path(f"{unfinished}.wal").exists():
            raise WarehouseError(
                f"{unfinished} still has a write-ahead log after its checkpoint: not publishing it."
            )
        self._verify(unfinished, rows)
        unfinished.chmod(0o444)
        _fsync(unfinished)
        unfinished.replace(target)
        self._switch(target)
        self._prune(target, week)
        return Published(target, rows, hashes, time.monotonic() - started)

    def _carry_over(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: str,
        week: date,
        others: int,
        customers: str | None,
    ) -> None:
        shared = [
            name
            for (name,) in connection.execute(
                """
                select column_name from duckdb_columns()
                where schema_name = 'recs' and table_name = ? and database_name in ('snapshot', 'previous')
                group by 1 having count(distinct database_name) = 2 order by min(column_index)
                """,
                [table],
            ).fetchall()
        ]
        columns = ", ".join(f'"{name}"' for name in shared)
        still = f"and {_still(customers)}" if customers and "customer_id" in shared else ""
        connection.execute(
            f"""
            insert into snapshot.recs."{table}" by name
            select {columns} from previous.recs."{table}"
            where as_of <> $week and as_of in (
                select as_of from (select distinct as_of from previous.recs."{table}" where as_of <> $week)
                order by as_of desc limit $others
            )
            {still}
            """,
            {"week": week, "others": others},
        )

    def _log(
        self,
        connection: duckdb.DuckDBPyConnection,
        action: str,
        week: date,
        run_id: str,
        now: datetime,
        version: str,
        file: str,
        rows: dict[str, int],
        hashes: dict[str, str],
        keep: bool,
    ) -> None:
        connection.execute(
            """
            create table snapshot.recs.publish_log (
                published_at timestamp, action varchar, as_of date, run_id varchar, version varchar,
                snapshot_file varchar, row_counts varchar, content_hashes varchar
            )
            """
        )
        if keep:
            connection.execute(
                "insert into snapshot.recs.publish_log by name select * from previous.recs.publish_log"
            )
        connection.execute(
            "insert into snapshot.recs.publish_log values (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                now,
                action,
                week,
                run_id,
                version,
                file,
                json.dumps(rows, sort_keys=True),
                json.dumps(hashes, sort_keys=True),
            ],
        )
        for column, text in {
            None: "One row per switch of the published snapshot: what was published, when and by which run.",
            "published_at": "Wall-clock time of the switch, in UTC.",
            "action": "publish (newest week), backfill (an older week) or rollback.",
            "as_of": "Monday of the week that was published.",
            "run_id": "Dagster run.",
            "version": "Version of recs_assets.",
            "snapshot_file": "File the link recs.duckdb pointed to from then on.",
            "row_counts": "Rows per table, JSON.",
            "content_hashes": "Content hash per table, JSON; equal hashes mean equal rows.",
        }.items():
            name = (
                "table snapshot.recs.publish_log"
                if column is None
                else f"column snapshot.recs.publish_log.{column}"
            )
            connection.execute(f"comment on {name} is '{text}'")

    def _verify(self, path: Path, rows: dict[str, int]) -> None:
        connection = self._connect(str(path), read_only=True)
        try:
            for table, expected in rows.items():
                found = connection.execute(f'select count(*) from recs."{table}"').fetchone()
                if found is None or found[0] != expected:
                    raise WarehouseError(
                        f"{path} holds {found} rows in recs.{table} where {expected} were written: not publishing it."
                    )
        finally:
            connection.close()

    def _switch(self, target: Path) -> None:
        link = self.published_dir / f".{SNAPSHOT_LINK}.next"
        link.unlink(missing_ok=True)
        link.symlink_to(target.name)
        link.replace(self.snapshot_path)
        _fsync(self.published_dir)

    def _prune(self, current: Path, week: date) -> None:
        """Drop the oldest versions and build folders beyond retention, never the current ones."""
        versions = sorted(
            self.published_dir.glob("analytics-*.duckdb"), key=lambda path: path.stat().st_mtime_ns
        )
        for version in versions[: -self.retention]:
            if version != current:
                version.unlink()
        weeks = sorted(path for path in (self.home / "weeks").iterdir() if path.is_dir())
        for folder in weeks[:-2]:
            if folder != self.week_dir(week):
                shutil.rmtree(folder)


def _load_known(connection: duckdb.DuckDBPyConnection, anchor: date) -> Known:
    anchors = {
        row[0]
        for row in connection.execute("select distinct as_of from features.product_features").fetchall()
    }
    if anchor not in anchors:
        raise WarehouseError(
            f"The features hold no anchor {anchor} (they hold {', '.join(map(str, sorted(anchors))) or 'none'}): "
            "materialise the dbt features of this week first."
        )
    parameters = {"anchor": anchor}
    connection.execute(
        """
        create temp table known_customers as
        select customer_id, email_eligible, country, locale, segment, joined_at,
               case when first_referred_at < $anchor then first_referrer end as referrer,
               (row_number() over (order by customer_id) - 1)::integer as code
        from marts.customers where joined_at is null or joined_at < $anchor
        """,
        parameters,
    )
    connection.execute(
        """
        create temp table known_products as
        select products.product_id, name, brand, category, vertical, attributes, description,
               coalesce(features.price, products.price) as price, products.start_at, products.parent_id, features.stock,
               features.available,
               (row_number() over (order by products.product_id) - 1)::integer as code
        from marts.products
        join features.product_features as features
          on features.product_id = products.product_id and features.as_of = $anchor
        """,
        parameters,
    )
    kinds = " ".join(f"when '{name}' then {number}" for number, name in enumerate(EVENT_TYPES))
    events = connection.execute(
        f"""
        with baskets as (
            select order_id, (row_number() over (order by order_id) - 1)::integer as code from marts.baskets
        )
        select customers.code as customer, products.code as product,
               coalesce(baskets.code, -1)::integer as basket,
               (interactions.occurred_on - date '1970-01-01')::integer as day,
               (case interactions.event_type {kinds} end)::tinyint as kind,
               interactions.quantity::float as quantity, interactions.weight::float as weight
        from intermediate.int_interactions_anchored as interactions
        join known_customers as customers using (customer_id)
        join known_products as products using (product_id)
        left join baskets using (order_id)
        where interactions.as_of = $anchor
        order by day, customer, product, kind, basket, quantity, weight
        """,
        parameters,
    ).fetchnumpy()
    customers = connection.execute("select * exclude (code) from known_customers order by code").df()
    products = connection.execute("select * exclude (code) from known_products order by code").df()
    return Known(
        as_of=anchor,
        customers=customers,
        products=products,
        events=Events(
            **{name: np.ascontiguousarray(np.ma.getdata(values)) for name, values in events.items()}
        ),
    )


def _still(customers: str) -> str:
    """Condition that a row's customer has not been erased since the row's own week."""
    return f"customer_id in (select customer_id from {customers})"


def _join_features(
    connection: duckdb.DuckDBPyConnection,
    anchor: date,
    candidates: Candidates,
    wanted: Sequence[Feature],
    X: np.ndarray,
    columns: Sequence[int],
) -> None:
    """Write the wanted features into `columns` of X.

    Each table is first cut to the anchor and these customers and keyed by codes, so that the join
    itself compares integers; rows come back in any order, with their number.
    """
    place = {
        "anchor": anchor,
        "first": int(candidates.customer.min()),
        "last": int(candidates.customer.max()),
    }
    connection.execute(
        """
        create temp table coded_customers as
        select * from (
            select customer_id, (row_number() over (order by customer_id) - 1)::integer as code
            from marts.customers where joined_at is null or joined_at < $anchor
        ) where code between $first and $last
        """,
        place,
    )
    connection.execute(
        """
        create temp table coded_products as
        select product_id, (row_number() over (order by product_id) - 1)::integer as code, category, brand
        from marts.products
        """
    )
    expressions = " ".join(
        f"{one.table}.{one.column}" if one.table in TABLES else one.column for one in wanted
    )
    joins = []
    for table, (model, keys) in TABLES.items():
        used = sorted(set(re.findall(rf"\b{table}\.(\w+)", expressions)))
        if not used:
            continue
        coded = {
            "customer": (
                "customers.code as customer",
                "join coded_customers as customers using (customer_id)",
            ),
            "product": ("products.code as product", "join coded_products as products using (product_id)"),
            "category": ("category", ""),
            "brand": ("brand", ""),
        }
        selected = ", ".join([coded[key][0] for key in keys] + [f'"{name}"' for name in used])
        # Ids in order, so that blocks of customers skip what they do not need.
        between = (
            "and customer_id between (select min(customer_id) from coded_customers) "
            "and (select max(customer_id) from coded_customers)"
            if "customer" in keys
            else ""
        )
        connection.execute(
            f"""
            create temp table "{table}_now" as
            select {selected} from features."{model}" {" ".join(coded[key][1] for key in keys)}
            where as_of = $anchor {between}
            """,
            {"anchor": anchor},
        )
        on = " and ".join(
            f"{table}.{key} = {f'products.{key}' if key in ('category', 'brand') else f'candidates.{key}'}"
            for key in keys
        )
        joins.append(f'left join "{table}_now" as {table} on {on}')
    selected = ", ".join(
        f"({f'{one.table}.{one.column}' if one.table in TABLES else one.column})::float as f{number}"
        for number, one in enumerate(wanted)
    )
    connection.register(
        "incoming_candidates",
        pa.table(
            {
                "number": np.arange(len(candidates), dtype=np.int64),
                "customer": candidates.customer,
                "product": candidates.product,
            }
        ),
    )
    reader = connection.execute(
        f"""
        select candidates.number, {selected}
        from incoming_candidates as candidates
        join coded_products as products on products.code = candidates.product
        {" ".join(joins)}
        """
    ).to_arrow_reader(500_000)
    seen = 0
    for batch in reader:
        rows = batch.column(0).to_numpy()
        seen += len(rows)
        for number, column in enumerate(columns):
            X[rows, column] = batch.column(number + 1).to_numpy(zero_copy_only=False)
    if seen != len(candidates):
        raise WarehouseError(
            f"{seen} feature rows came back for {len(candidates)} candidates at {anchor}: a feature table holds a "
            "key twice, or the candidates' codes are not those of this week."
        )


def _copy_table(
    connection: duckdb.DuckDBPyConnection, origin: str, table: str, customers: str | None
) -> None:
    """Copy one table of schema recs into the snapshot with its comments.

    Rows of people that are not in the table `customers` stay behind: they are never written, since
    a row that is deleted afterwards may survive in the file's free blocks.
    """
    personal = connection.execute(
        """
        select count(*) from duckdb_columns()
        where database_name = ? and schema_name = 'recs' and table_name = ? and column_name = 'customer_id'
        """,
        [origin, table],
    ).fetchall()[0][0]
    where = f"where {_still(customers)}" if customers and personal else ""
    connection.execute(f'create table snapshot.recs."{table}" as from {origin}.recs."{table}" {where}')
    comments = connection.execute(
        """
        select null, comment from duckdb_tables()
        where database_name = $origin and schema_name = 'recs' and table_name = $table
        union all
        select column_name, comment from duckdb_columns()
        where database_name = $origin and schema_name = 'recs' and table_name = $table
        """,
        {"origin": origin, "table": table},
    ).fetchall()
    for column, text in comments:
        if text:
            place = (
                f'table snapshot.recs."{table}"'
                if column is None
                else f'column snapshot.recs."{table}"."{column}"'
            )
            connection.execute(f"comment on {place} is '{_quoted(text)}'")


def _describe(
    connection: duckdb.DuckDBPyConnection, database: str, tables: list[str]
) -> tuple[dict[str, int], dict[str, str]]:
    """Row count and content hash per table.

    The hash is the row count and the sum of each row's MD5 (64 bits of it), so it does not
    depend on row order and notices a row that is there twice.
    """
    rows: dict[str, int] = {}
    hashes: dict[str, str] = {}
    for table in tables:
        count, total = connection.execute(
            f'select count(*), sum(md5_number_lower(t::varchar)::hugeint) from {database}.recs."{table}" as t'
        ).fetchall()[0]
        rows[table] = count
        hashes[table] = f"{count}:{total if total is not None else 0:x}"
    return rows, hashes


def _quoted(text: object) -> str:
    """Text for use between single quotes in SQL."""
    return str(text).replace("'", "''")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
