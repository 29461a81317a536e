"""The code that opens DuckDB: short connections, one writer, one atomic publish.

Two kinds of file live under `home`:

* `weeks/<as_of>/build.duckdb`, private to the run of that week, written and read here and
  by dbt. Nobody else opens it.
* `published/`, the versions of the snapshot and the link to the current one (`snapshots.py`).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import sparse

from recs_assets.known.interactions import EVENT_TYPES, Events, GuestPurchases, Known
from recs_assets.ranking.candidates import Candidates
from recs_assets.ranking.features import BY_NAME, TABLES, Feature, put_columns, source_frame
from recs_assets.reasons.evidence import Offers
from recs_assets.schema import RAW_TABLES, GateError, WarehouseError
from recs_assets.store.snapshots import Published, Snapshots, quoted

# What the rules of a campaign need to know of the days before an anchor.
CART_DAYS = 28
# A week's highest list price below this share of the last one's is a price drop.
PRICE_DROP = 0.95
# Kinds of promotions that make a product cheaper, by a word of their name; a display or a mailer shows it only.
PRICE_WORDS = "|".join(
    """
    price|prices|pricecut|priceoff|discount|discounts|discounted|coupon|coupons|voucher|vouchers|rebate|sale|sales|offer|offers
    deal|deals|markdown|clearance|reduced|reduction|bogo|bogof|multibuy|cashback|special|rabatt|preis|preissenkung
    angebot|aktion|sonderangebot|gutschein|solde|soldes|remise|prix|promo|descuento|oferta|rebaja|rebajas|precio|cupon
    korting|aanbieding|actie|prijs|kortingscode|sconto|offerta|saldi|prezzo|buono
    """.replace("|", " ").split()
)


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


# Ids of other customers that hold a customer's.
BESIDE = "contains(customer_id, $1) and trim(customer_id) <> $1"


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
        self.snapshots = Snapshots(self.published_dir, self._connect, retention)
        self._known: dict[tuple[date, date], Known] = {}
        self._held: dict[date, duckdb.DuckDBPyConnection] = {}

    # -- places ---------------------------------------------------------------------------

    def week_dir(self, week: date) -> Path:
        return self.home / "weeks" / week.isoformat()

    def build_path(self, week: date) -> Path:
        return self.week_dir(week) / "build.duckdb"

    def builds(self) -> list[date]:
        """The weeks that have a build file, in order."""
        return sorted(
            date.fromisoformat(path.parent.name) for path in (self.home / "weeks").glob("*-*-*/build.duckdb")
        )

    @property
    def published_dir(self) -> Path:
        return self.home / "published"

    @property
    def snapshot_path(self) -> Path:
        return self.snapshots.link

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
        """A short read-only connection to the week's build file.

        Raises:
            WarehouseError: no build file, or one that lacks what is asked of it: an earlier version's.
        """
        if not self.build_path(week).exists():
            raise WarehouseError(
                f"The week {week} has no build file ({self.build_path(week)}): materialise its raw tables first."
            )
        held = self._held.get(week)
        connection = (
            self._connect(str(self.build_path(week)), read_only=True) if held is None else held.cursor()
        )
        try:
            yield connection
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            # A table or a column that is not there.
            raise WarehouseError(
                f"The build file of {week} is not complete, or an earlier version of recs_assets made it "
                f"({str(error).splitlines()[0]}): run the week again (python -m recs_assets run --as-of {week})."
            ) from error
        finally:
            connection.close()

    @contextmanager
    def held(self, week: date) -> Iterator[None]:
        """Keep one read-only connection to the week's build file, which `read` shares meanwhile: opening the file
        costs more than many a question."""
        if week in self._held:
            yield
            return
        with self.read(week) as connection:
            self._held[week] = connection
            try:
                yield
            finally:
                del self._held[week]

    @contextmanager
    def snapshot(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A short read-only connection to the published snapshot."""
        connection = self._connect(str(self.snapshots.current().path), read_only=True)
        try:
            yield connection
        finally:
            connection.close()

    def ask(self, sql: str) -> tuple[list[str], list[tuple[object, ...]]]:
        """Names of the columns and rows of a query on the published snapshot; it can write and read nothing else.

        Raises:
            WarehouseError: nothing is published, or DuckDB refuses the query.
        """
        with self.snapshot() as connection:
            connection.execute("set enable_external_access = false")
            try:
                answer = connection.execute(sql)
                return [column[0] for column in answer.description or []], answer.fetchall()
            except duckdb.Error as error:
                said = " ".join(str(error).split("LINE ")[0].split()).rstrip(".")
                raise WarehouseError(
                    f"The query cannot be answered ({said}): correct it; the tables are those of schema recs."
                ) from None

    @contextmanager
    def scratch(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """An in-memory database, for looking at a shop's files without writing anything."""
        connection = self._connect(":memory:", read_only=False)
        try:
            yield connection
        finally:
            connection.close()

    def newest_published(self) -> date:
        """The newest week that the snapshot describes."""
        return self.snapshots.current().week

    def published_lists(self, week: date) -> pa.Table:
        """The storefront's rows of one week, by customer and rank: what every cache is made of.

        A column that the version of recs_assets that published them did not have is null.
        """
        names = (
            "customer_id", "rank", "product_id", "product_name", "category", "price", "price_kind", "price_from",
            "currency", "score", "p_purchase", "source", "reason_code", "reason_text", "because_product_id",
        )  # fmt: skip
        with self.snapshot() as connection:
            there = {
                name
                for (name,) in connection.execute(
                    "select column_name from duckdb_columns() where schema_name = 'recs' "
                    "and table_name = 'customer_recommendations'"
                ).fetchall()
            }
            columns = ", ".join(name if name in there else f"null::varchar as {name}" for name in names)
            return connection.execute(
                f"select {columns} from recs.customer_recommendations where as_of = ? order by customer_id, rank",
                [week],
            ).to_arrow_table()

    def published_emails(self, week: date, campaign: str) -> pa.Table:
        """A campaign's published rows of one week that are to be sent, by customer and slot."""
        with self.snapshot() as connection:
            return connection.execute(
                """
                select * from recs.email_recommendations
                where as_of = ? and campaign = ? order by customer_id, slot
                """,
                [week, campaign],
            ).to_arrow_table()

    def published_predictions(self, week: date, campaign: str) -> pa.Table:
        """What a campaign without slots predicts of one published week, by customer and rank."""
        with self.snapshot() as connection:
            return connection.execute(
                """
                select * from recs.campaign_predictions where as_of = ? and campaign = ?
                order by customer_id, rank
                """,
                [week, campaign],
            ).to_arrow_table()

    def addresses(self, week: date) -> pd.DataFrame:
        """Addresses (customer_id, email), for hashes and the restricted export alone."""
        with self.read(week) as connection:
            return connection.execute(
                "select customer_id, email from staging.stg_customers order by customer_id"
            ).df()

    def pages_and_ends(self, week: date, at: datetime) -> pd.DataFrame:
        """Per product_id its url, sale_end and offer_end: when it may no longer be sold, and when the
        offer that runs at `at`, if it is known at the week, is over; null where unknown.

        Args:
            week: whose build file.
            at: when the email goes out, on the shop's clock and without time zone, as everything is landed.
        """
        with self.read(week) as connection:
            return connection.execute(
                """
                select product_id, any_value(products.url) as url, any_value(products.end_at) as sale_end,
                    min(offers.end_at) as offer_end
                from marts.products as products
                left join (
                    select product_id, end_at from staging.stg_promotions
                    where announced_at < $week and start_at <= $at and end_at > $at
                ) as offers using (product_id)
                group by product_id order by product_id
                """,
                {"week": week, "at": at},
            ).df()

    def shown_products(self) -> pd.DataFrame:
        """What an email shows of every published product (`exports.last_look.OF_PRODUCT`), by product_id."""
        with self.snapshot() as connection:
            return connection.execute(
                """
                select product_id, product_name as title, image_url, price, list_price, price_kind, price_from,
                    round(price - cost, 6) as margin, currency, category, brand
                from recs.products order by product_id
                """
            ).df()

    def shelf(
        self, landed: Callable[[duckdb.DuckDBPyConnection, str], object], now: datetime
    ) -> pd.DataFrame:
        """What the shop's files say of every product at a moment, whatever a week knows.

        Args:
            landed: lands one raw table on a connection.
            now: on the shop's clock, without time zone; later counts do not count.

        Returns:
            product_id, stock (at the newest count, the lower of two at one moment; null: never counted),
            start_at, end_at (null: unknown), by product_id.

        Raises:
            SourceError, SettingsError: a file cannot be read.
        """
        with self.scratch() as connection:
            landed(connection, "products")
            landed(connection, "inventory")
            return connection.execute(
                """
                with counts as (
                    select trim(product_id) as product_id, stock, row_number() over (
                        partition by trim(product_id) order by counted_at desc, stock
                    ) as newest_first
                    from raw.inventory where counted_at <= $now and isfinite(stock)
                )
                select products.product_id, counts.stock, products.start_at, products.end_at
                from (
                    select trim(product_id) as product_id, max(start_at) as start_at, min(end_at) as end_at
                    from raw.products where trim(product_id) <> '' group by trim(product_id)
                ) as products
                left join counts on counts.product_id = products.product_id and counts.newest_first = 1
                order by products.product_id
                """,
                {"now": now},
            ).df()

    # -- who said no ----------------------------------------------------------------------

    def withdrawal_counts(self, week: date) -> dict[str, int]:
        """Of the week: withdrawals, those that match no customer (unmatched), those of erased people who
        are in no file any more (gone), as many as may be unmatched (allowed); and customers with a usable
        address, None where the shop keeps no addresses in its files (addresses)."""
        with self.read(week) as connection:
            counts = connection.execute(
                "select withdrawals, unmatched, gone, allowed from staging.stg_withdrawals_counted"
            ).df()
            addresses = connection.execute(
                """
                select count(*) filter (where address_kind = 'usable'), count(*)
                from intermediate.int_customer_addresses
                """
            ).fetchall()[0]
        return {name: int(count) for name, count in counts.iloc[0].items()} | {
            "addresses": addresses[0] if addresses[1] else None
        }

    def unknown_event_types(self, week: date) -> dict[str, int]:
        """Types of the week's campaign events that are not known -> rows, the most frequent first. What
        does not look like a word is counted as "other"."""
        with self.read(week) as connection:
            return dict(
                connection.execute(
                    """
                    with types as (
                        select json_extract_string(row_json, '$.event_type') as type
                        from intermediate.int_rows_rejected
                        where source_table = 'campaign_events' and reason = 'unknown_event_type'
                          and event_at < $week
                    )
                    select case when regexp_matches(type, '^[a-z_]{1,40}$') then type else 'other' end, count(*)
                    from types group by 1 order by 2 desc, 1
                    """,
                    {"week": week},
                ).fetchall()
            )

    def consent_sentences(self, week: date) -> list[str]:
        """What the published week says of everybody who said no: how many match no customer, 0 too."""
        with self.snapshot() as connection:
            rows = connection.execute(
                "select sentence from recs.gates where as_of = ? and gate = 'consent' order by subject desc",
                [week],
            ).fetchall()
        return [sentence for (sentence,) in rows]

    def newest_consents(
        self,
        week: date,
        land: Callable[[duckdb.DuckDBPyConnection, str], object],
        newest: datetime,
        unmatched_allowed: int,
    ) -> pd.DataFrame:
        """Who said no by now: the week's own views of consent, on files that are read anew.

        An account is looked for among the newest customers and those of the week, under the addresses
        of both: the week's are written to. Whose flag is false by now counts as unsubscribed.

        Args:
            week: whose views and customers.
            land: reads a raw table of the shop into `raw` of a connection, given its name.
            newest: latest shop-local time at which somebody can have come back; a withdrawal counts
                whatever its date.
            unmatched_allowed: withdrawals that may match no customer.

        Returns:
            customer_id and consent_state (erased, objected, unsubscribed) of those who may not be
            written to, by id.

        Raises:
            GateError: more withdrawals match no customer than may.
            WarehouseError: no build file, or one that lacks the views.
        """
        names = ("stg_consent_changes", "stg_customer_consents", "stg_withdrawals_counted")
        with self.read(week) as connection:
            views = dict(
                connection.execute(
                    "select view_name, sql from duckdb_views() where schema_name = 'staging'"
                ).fetchall()
            )
            if missing := [name for name in names if name not in views]:
                raise WarehouseError(
                    f"The build file of {week} has no view staging.{missing[0]}: run the week again."
                )
            then = connection.execute(
                "select customer_id, joined_at, email, email_eligible from staging.stg_customers"
            ).to_arrow_table()
        with self.scratch() as connection:
            # The views name their tables with the build file's own name.
            connection.execute("attach ':memory:' as build")
            connection.execute("create schema build.raw; create schema build.staging")
            for table in ("customers", "consents", "campaign_events"):
                land(connection, table)
                connection.execute(f"create table build.raw.{table} as from raw.{table}")
            connection.register("customers_then", then)
            connection.execute("insert into build.raw.customers by name from customers_then")
            connection.execute("use build")
            connection.execute("set variable consents_until = timestamp 'infinity'")
            connection.execute("set variable newest_consent = ?::timestamp", [newest])
            connection.execute("set variable unmatched_withdrawals = ?::bigint", [unmatched_allowed])
            for name in names:
                connection.execute(views[name])
            refused = connection.execute(
                "select sentence from staging.stg_withdrawals_counted where unmatched > allowed"
            ).fetchall()
            if refused:
                raise GateError(f"No file is written. {refused[0][0]}")
            return connection.execute(
                """
                with withdrew as (
                    from staging.stg_customer_consents where consent_state <> 'subscribed'
                )
                from withdrew
                union all
                select distinct trim(customer_id), 'unsubscribed' from memory.raw.customers
                where email_eligible is distinct from true
                  and trim(customer_id) not in (select customer_id from withdrew)
                order by customer_id
                """
            ).df()

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
        `[anchor, anchor + horizon)` and not wholly returned in it, in codes of `known(anchor)`. Rows of
        customers who objected are empty: nothing is learned from them, and nothing measured. Nor is
        from bulk orders and tills (`learned_from` of order_lines), nor from what is no product."""
        known = self.known(week, anchor)
        end = anchor + timedelta(days=horizon_days)
        with self.read(week) as connection:
            rows = connection.execute(
                f"""
                with {_CODES}
                select distinct customers.code::integer as customer, products.code::integer as product
                from marts.order_lines
                join customers using (customer_id)
                join products using (product_id)
                where ordered_at >= $anchor and ordered_at < $end and learned_from
                  and product_id in (select product_id from marts.products where is_product)
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
        put_columns(X, lists, source_frame(candidates, [wanted[column] for column in lists]).T)
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

    def purchases(self, week: date, before: date) -> dict[str, np.ndarray]:
        """Purchase days from the build file of `week`, for features at any anchor up to `before`.

        Args:
            week: whose build file.
            before: purchases on this day or later stay out.

        Returns:
            Arrays of equal length, one row per customer, product, day and day of the whole return, sorted:
            customer and product int32 (position by id among the customers known at `before`, and among all
            products), day int32 (days since 1970-01-01), gone int32 (day of the whole return, the largest int32
            where it was kept), lines float64, amount float64 (0 where unknown).
        """
        with self.read(week) as connection:
            return connection.execute(
                f"""
                with {_CODES}
                select customers.code::integer as customer, products.code::integer as product,
                    (ordered_at::date - date '1970-01-01')::integer as day,
                    coalesce(fully_returned_at::date - date '1970-01-01', 2147483647)::integer as gone,
                    count(*)::double as lines, coalesce(sum(amount::decimal(38, 6)), 0)::double as amount
                from marts.order_lines
                join customers using (customer_id)
                join products using (product_id)
                where ordered_at < $anchor and learned_from
                  and product_id in (select product_id from marts.products where is_product)
                group by all order by all
                """,
                {"anchor": before},
            ).fetchnumpy()

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
            return connection.execute(sql, dict(parameters)).df()

    def people_and_products(self, week: date) -> tuple[pd.DataFrame, set[str], int]:
        """What is so at the week: customers (customer_id, email_eligible, address: a number that accounts
        with one address share, -1 none; last_day of an order as days since 1970-01-01, -1 none) by id, the
        products that may be sold, and how many customers were erased."""
        with self.read(week) as connection:
            customers = connection.execute(
                """
                select customer_id, email_eligible, coalesce(address_group, -1) as address,
                    coalesce(last_order_at::date - date '1970-01-01', -1) as last_day
                from marts.customers left join intermediate.int_customer_addresses using (customer_id)
                order by customer_id
                """
            ).df()
            products = connection.execute(
                "select product_id from features.product_features where as_of = ? and available", [week]
            ).fetchall()
            known = connection.execute("select count(*) from staging.stg_customers").fetchall()[0][0]
        return customers, {product for (product,) in products}, known - len(customers)

    def planned_offers(self, week: date) -> dict[date, dict[str, float]]:
        """Anchor -> kind of offer -> weeks of it in the label window, over all products, as known then."""
        kinds = ("mailer", "display", "coupon", "price", "other")
        sums = ", ".join(f"sum({kind}_weeks)::double" for kind in kinds)
        with self.read(week) as connection:
            rows = connection.execute(
                f"select as_of, {sums} from features.product_promotions group by as_of"
            ).fetchall()
        return {anchor: dict(zip(kinds, weeks, strict=True)) for anchor, *weeks in rows}

    def past_forecasts(self, week: date) -> pd.DataFrame:
        """What the published campaigns of earlier weeks were predicted to sell, and what was bought.

        Only lists whose window (`window_days`) was over by `week`, and people who are customers still: rows of
        the erased leave the snapshot, and the same week again must count the same. Revenue counts each product once, at the
        price that the email showed.

        Returns:
            Columns campaign, forecast_as_of date, window_end date, customers, rows, forecast_purchases,
            actual_purchases, forecast_revenue, actual_revenue; no row without a snapshot.
        """
        with self.read(week) as connection:
            connection.execute(self._sent_before(connection, week))
            return connection.execute(
                """
                with judged as (
                    select emails.campaign, emails.as_of, window_days, emails.customer_id, p_purchase,
                        coalesce(price, 0) as price,
                        exists (
                            from marts.order_lines as lines
                            where lines.customer_id = emails.customer_id
                              and lines.product_id = emails.product_id
                              and lines.ordered_at >= emails.as_of
                              and lines.ordered_at < emails.as_of + window_days
                              and (
                                  lines.fully_returned_at is null
                                  or lines.fully_returned_at >= emails.as_of + window_days
                              )
                        ) as bought
                    from sent_before as emails
                    where not held and p_purchase is not null and emails.as_of + window_days <= $week
                      and emails.customer_id in (select customer_id from marts.customers)
                )
                select campaign, as_of as forecast_as_of, (as_of + window_days)::date as window_end,
                    count(distinct customer_id) as customers, count(*) as rows,
                    sum(p_purchase)::decimal(38, 9)::double as forecast_purchases,
                    count(*) filter (where bought) as actual_purchases,
                    sum(p_purchase * price)::decimal(38, 9)::double as forecast_revenue,
                    coalesce(sum(price) filter (where bought), 0)::double as actual_revenue
                from judged group by campaign, as_of, window_days order by as_of, campaign
                """,
                {"week": week},
            ).df()

    def _sent_before(self, connection: duckdb.DuckDBPyConnection, anchor: date) -> str:
        """SQL of the temporary view `sent_before`: published email rows of the weeks before `anchor`, and
        whether they were `held` out, which is not sent."""
        types = {
            "campaign": "varchar", "as_of": "date", "window_days": "integer", "customer_id": "varchar",
            "product_id": "varchar", "p_purchase": "double", "price": "double",
        }  # fmt: skip
        columns = ", ".join(types)
        nothing = ", ".join(f"null::{kind} as {name}" for name, kind in types.items())
        sources = [f"select {nothing}, false as held where false"]
        if self.snapshot_path.exists():
            connection.execute(f"attach '{quoted(self.snapshot_path.resolve())}' as published (read_only)")
            for table, held in (("email_recommendations", False), ("email_holdout", True)):
                there = connection.execute(
                    f"""
                    select count(*) from duckdb_columns() where database_name = 'published'
                    and table_name = '{table}' and column_name in ({", ".join(f"'{name}'" for name in types)})
                    """
                ).fetchall()[0][0]
                if there == len(types):
                    sources.append(
                        f"select {columns}, {held} as held from published.recs.{table} where as_of < date '{anchor}'"
                    )
        return f"create temp view sent_before as {' union all '.join(sources)}"

    def rule_frames(
        self, week: date, anchor: date, campaign: str, names: Collection[str] | None = None
    ) -> dict[str, pd.DataFrame]:
        """What the rules of a campaign look at, known before `anchor`: arguments of `Context.of_frames`.

        Args:
            week: whose build file.
            anchor: everything dated on it or later stays out, but for consent: who withdrew by the
                week is not judged at an earlier anchor either.
            campaign: whose sends count for repeats.
            names: of the frames that are wanted; all if None.

        Returns:
            products: product_id, url, image_url, cost, parent_id, countries (of JSON attributes).
            customers: customer_id, consent_state, bounced (after the last sign of life),
                test_account (of the segment "test", or with a test's address), wholesale, no_address,
                unusable_address, address (a number that accounts with one usable address share; null without).
            carts: pairs put into the cart within 28 days and not bought since.
            rejected: pairs of which a unit came back (the correction of a till is no such thing), or whose
                latest rating is 2 or lower; none of customers who objected: nothing of theirs shapes a list.
            sends: customer_id, product_id, day (Monday of the week of the send), from the shop's campaign_events and
                from published weeks. contacts: customer_id, day, of any campaign; once per campaign
                and week, though both may know of it. To its own holdout the campaign counts as sent, so that
                the arms stay alike; to other campaigns it does not.
            price_drops: product_id, day: Monday of a week whose highest list price was below 95 % of
                that of the week sold before (bulk orders and what is sold by weight aside), and the start of offers of kind "price".

        Raises:
            WarehouseError: no build file.
        """
        queries = {
            "products": """
                select product_id, url, image_url, cost, parent_id, regexp_replace(
                    case when json_valid(attributes) then json_extract_string(attributes, '$.countries') end,
                    '[^A-Za-z]+', ' ', 'g'
                ) as countries
                from marts.products order by product_id
            """,
            "customers": """
                with signs as (
                    select customer_id,
                        max(occurred_at) filter (where event_type = 'bounced') as bounced_at,
                        max(occurred_at) filter (where event_type in ('opened', 'clicked', 'purchased')) as alive_at
                    from staging.stg_campaign_events where occurred_at < $anchor group by customer_id
                )
                select customer_id, consent_state,
                    coalesce(bounced_at > coalesce(alive_at, timestamp '1970-01-01'), false) as bounced,
                    coalesce(lower(trim(segment)) = 'test', false) or coalesce(address_kind = 'test', false)
                        as test_account,
                    coalesce(not_learned_from_reason = 'wholesale', false) as wholesale,
                    coalesce(address_kind = 'none', false) as no_address,
                    coalesce(address_kind = 'unusable', false) as unusable_address,
                    address_group as address
                from marts.customers left join signs using (customer_id)
                left join intermediate.int_customer_addresses using (customer_id) order by customer_id
            """,
            "carts": f"""
                select customer_id, product_id from intermediate.int_interactions_anchored
                where as_of = $anchor and event_type in ('add_to_cart', 'purchase')
                group by customer_id, product_id
                having max(occurred_at) filter (where event_type = 'add_to_cart') >= $anchor - interval {CART_DAYS} day
                   and max(occurred_at) filter (where event_type = 'add_to_cart')
                       > coalesce(max(occurred_at) filter (where event_type = 'purchase'), timestamp '1970-01-01')
                order by all
            """,
            "rejected": """
                select customer_id, product_id from intermediate.int_interactions_anchored
                where as_of = $anchor and event_type = 'review'
                group by customer_id, product_id having arg_max(rating, (occurred_at, -rating)) <= 2
                union
                select customer_id, product_id from intermediate.int_returns_allocated_to_lines
                where returned_at < $anchor and kind in ('return', 'credit') and customer_id is not null
                    and customer_id not in (select customer_id from marts.customers where consent_state = 'objected')
                order by all
            """,
            "sends": """
                select customer_id, product_id, date_trunc('week', occurred_at)::date as day
                from staging.stg_campaign_events
                where event_type = 'sent' and product_id is not null and campaign = $campaign
                  and date_trunc('week', occurred_at) < $anchor
                union
                select customer_id, product_id, as_of from sent_before where campaign = $campaign
                order by all
            """,
            "contacts": """
                select customer_id, min(day) as day
                from (
                    select customer_id, campaign, occurred_at::date as day
                    from staging.stg_campaign_events where event_type = 'sent' and occurred_at < $anchor
                    union all
                    select customer_id, campaign, as_of from sent_before where not held or campaign = $campaign
                )
                group by customer_id, campaign, date_trunc('week', day) order by all
            """,
            "price_drops": f"""
                with weekly as (
                    select product_id, date_trunc('week', ordered_at)::date as day,
                        max((amount + discount) / quantity) as list_price
                    from marts.order_lines
                    join intermediate.int_product_prices_anchored as prices using (product_id)
                    where ordered_at < $anchor and learned_from and as_of = $anchor
                      and price_kind is distinct from 'varies'
                    group by all
                ),
                beside as (
                    select product_id, day, list_price,
                        lag(list_price) over (partition by product_id order by day) as before
                    from weekly
                )
                select product_id, day from beside where list_price < {PRICE_DROP} * before
                union
                select product_id, start_at::date from staging.stg_promotions
                where kind = 'price' and announced_at < $anchor and start_at < $anchor
                order by all
            """,
        }
        with self.read(week) as connection:
            connection.execute(self._sent_before(connection, anchor))
            return {
                name: connection.execute(
                    sql, {key: value for key, value in values.items() if f"${key}" in sql}
                ).df()
                for values in [{"anchor": anchor, "campaign": campaign}]
                for name, sql in queries.items()
                if names is None or name in names
            }

    def offers(self, week: date, sent: date, end: date, kinds: Collection[str] = ()) -> Offers:
        """Price advantages of the products of `known(week, week)`: announced before the week, for everybody,
        and on at some time from the day of sending to the end of the window.

        Of several the one that lasts longest of those that run when the email is sent, else the one that
        begins first.

        Args:
            week: of the build file.
            sent: day on which the list reaches customers; an offer that ends on it may be over.
            end: first day after the window.
            kinds: kinds of promotions that are a price advantage, beside those whose name says so.
        """
        own = [re.sub(r"[\s-]", "_", kind.strip().lower()) for kind in kinds]
        with self.read(week) as connection:
            found = connection.execute(
                f"""
                with products as (
                    select product_id, row_number() over (order by product_id) - 1 as code from marts.products
                )
                select code, greatest(start_at::date, $sent) - date '1970-01-01' as first,
                    (end_at - interval 1 microsecond)::date - date '1970-01-01' as last
                from staging.stg_promotions join products using (product_id)
                where announced_at < $week and end_at >= $sent + interval 1 day and start_at < $end
                  and end_at > start_at and coalesce(reach, 1) >= 1
                  and (list_contains($own, kind) or regexp_matches(kind, '(^|_)({PRICE_WORDS})(_|$)'))
                order by code, first desc, last
                """,
                {"week": week, "sent": sent, "end": end, "own": own},
            ).fetchnumpy()
            products = connection.execute("select count(*) from marts.products").fetchall()[0][0]
        first, last = np.full((2, products), -1, dtype=np.int64)
        # The last row of a product wins.
        first[found["code"]], last[found["code"]] = found["first"], found["last"]
        return Offers(first, last, (sent - date(1970, 1, 1)).days)

    # -- what the gates judge -------------------------------------------------------------

    def raw_volumes(self, week: date) -> dict[str, int]:
        """Raw rows known before the week, per table, and those of its last 7 days ("<table>, last 7
        days") where rows have a time. A line of an order has the order's."""
        counts = {}
        with self.read(week) as connection:
            for table in RAW_TABLES.values():
                at, source = table.event_at, f'raw."{table.name}"'
                if table.name == "order_items":
                    # The file may hold an order twice; its lines count once.
                    source = f"{source} join (select order_id, min(ordered_at) as ordered_at from raw.orders group by order_id) using (order_id)"
                    at = "ordered_at"
                begin, end = f"date '{week - timedelta(days=7)}'", f"date '{week}'"
                recent = f"{at} >= {begin} and {at} < {end}" if at else "false"
                known = f"{at} is null or {at} < {end}" if at else "true"
                total, last = connection.execute(
                    f"select count(*) filter (where {known}), count(*) filter (where {recent}) from {source}"
                ).fetchall()[0]
                counts[table.name] = total
                if at:
                    counts[f"{table.name}, last 7 days"] = last
        return counts

    def newest_order(self, week: date) -> tuple[datetime | None, int]:
        """Time of the newest raw order before the week, None without any; and how many there are."""
        with self.read(week) as connection:
            return connection.execute(
                "select max(ordered_at), count(*) from raw.orders where ordered_at < $week", {"week": week}
            ).fetchall()[0]

    def listed(self, week: date, table: str, place: str, campaign: str | None = None) -> pd.DataFrame:
        """Rows of `model.<table>`, of one campaign or of a table without, in codes of `known(week, week)`.

        Returns:
            Columns customer int32, product int32, rank int32 (column `place` of the table), score
            float64, NaN where it is null; by customer and rank.
        """
        with self.read(week) as connection:
            return connection.execute(
                f"""
                with {_CODES}
                select customers.code::integer as customer, products.code::integer as product,
                    "{place}"::integer as rank, score::double as score
                from model."{table}"
                join customers using (customer_id)
                join products using (product_id)
                {"where campaign = $campaign" if campaign else ""}
                order by 1, 3
                """,
                {"anchor": week} | ({"campaign": campaign} if campaign else {}),
            ).df()

    def model_table(self, week: date, name: str) -> pd.DataFrame:
        """All rows of `model.<name>` of the week's build file.

        Raises:
            WarehouseError: no build file, or one without the table.
        """
        with self.read(week) as connection:
            try:
                return connection.execute(f'select * from model."{name}"').df()
            except duckdb.CatalogException as error:
                raise WarehouseError(
                    f"The build file of {week} has no table model.{name}: run the week again."
                ) from error

    def verdicts_before(self, week: date) -> tuple[date | None, pd.DataFrame]:
        """The newest published week before this one that has verdicts, and its rows of `recs.gates`.

        None, and no rows, where there is no such week in the snapshot.
        """
        none = pd.DataFrame(columns=["gate", "subject", "value"])
        if not self.snapshot_path.exists():
            return None, none
        with self.snapshot() as connection:
            there = connection.execute(
                "select count(*) from duckdb_tables() where schema_name = 'recs' and table_name = 'gates'"
            ).fetchall()[0][0]
            if not there:
                return None, none
            rows = connection.execute(
                """
                select as_of, gate, subject, value from recs.gates
                where as_of = (select max(as_of) from recs.gates where as_of < $week) order by gate, subject
                """,
                {"week": week},
            ).fetchall()
        if not rows:
            return None, none
        return rows[0][0], pd.DataFrame([row[1:] for row in rows], columns=list(none.columns))

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

    # -- forgetting -----------------------------------------------------------------------

    def personal(self, customer_id: str) -> tuple[set[str], set[str], set[str], set[str]]:
        """What else a customer can be found by, from the build files and the snapshots.

        Returns:
            Their addresses that are nobody else's too, those that others have, too, the ids of their orders, and the ids of others
            (customers, products, orders of other customers) that are equal to theirs or have it as a part.
        """
        emails, shared, orders, others = set(), set(), set(), set()
        queries = [
            (emails, "raw.customers", "lower(trim(email))", "trim(customer_id) = ?"),
            (shared, "raw.customers", "lower(trim(email))", "trim(customer_id) <> ?"),
            *(
                (orders, table, "order_id", "trim(customer_id) = ?")
                for table in ("raw.orders", "recs.order_lines")
            ),
            *((others, f"{schema}.customers", "customer_id", BESIDE) for schema in ("raw", "recs")),
            *(
                (others, f"{schema}.products", "product_id", "contains(product_id, ?)")
                for schema in ("raw", "recs")
            ),
            *(
                (others, table, "order_id", "contains(order_id, ?)")
                for table in ("raw.orders", "recs.order_lines")
            ),
        ]
        for connection, tables in self._databases():
            for found, table, column, where in queries:
                if table in tables:
                    rows = connection.execute(
                        f"select distinct {column} as one from {table} where one is not null and {where}",
                        [customer_id],
                    )
                    found |= {text for (text,) in rows.fetchall()}
        return emails - shared - {""}, emails & shared - {""}, orders, others - orders

    def customer_ids(self) -> set[str]:
        """Every customer's id in the build files and the snapshots."""
        found: set[str] = set()
        for connection, tables in self._databases():
            for table in ("raw.customers", "recs.customers"):
                if table in tables:
                    rows = connection.execute(
                        f"select customer_id from {table} where customer_id is not null"
                    )
                    found |= {one for (one,) in rows.fetchall()}
        return found

    def _databases(self) -> Iterator[tuple[duckdb.DuckDBPyConnection, set[str]]]:
        """Every build file and every version of the snapshot, with the names of its tables."""
        builds = sorted(self.home.rglob("build.duckdb"))
        for path in [*builds, *sorted(self.published_dir.glob("analytics-*.duckdb"))]:
            connection = self._connect(str(path), read_only=True)
            try:
                tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
                yield connection, {f"{schema}.{table}" for schema, table in tables}
            finally:
                connection.close()

    def occurrences(self, path: Path, customer_id: str, rejected: str, words: str | None) -> tuple[int, int]:
        """Rows of a DuckDB file that are a customer's.

        Args:
            path: the file.
            customer_id: looked for in columns customer_id.
            rejected: condition of the customer's rows of the quarantine (`snapshots.rejected_rows`).
            words: RE2 expression that is looked for in every other text column; None: they are not searched.

        Returns:
            Rows by the id as a value, and matches of `words` elsewhere.
        """
        connection = self._connect(str(path), read_only=True)
        try:
            by_value, elsewhere = 0, 0
            for schema, table, column, kind in connection.execute(
                """
                select schema_name, table_name, column_name, data_type from duckdb_columns()
                join duckdb_tables() using (database_name, schema_name, table_name)
                """
            ).fetchall():
                relation = f'select count(*) from "{schema}"."{table}" where'
                if column == "customer_id":
                    found = connection.execute(f'{relation} trim("{column}") = ?', [customer_id])
                    by_value += found.fetchall()[0][0]
                elif (table, column) == ("quarantine", "row_json"):
                    by_value += connection.execute(f"{relation} {rejected}").fetchall()[0][0]
                elif words is not None and re.search("VARCHAR|JSON|BLOB", kind):
                    found = connection.execute(f'{relation} regexp_matches("{column}"::varchar, ?)', [words])
                    elsewhere += found.fetchall()[0][0]
            return by_value, elsewhere
        finally:
            connection.close()

    # -- publish --------------------------------------------------------------------------

    def publish(self, week: date, run_id: str, now: datetime, version: str) -> Published:
        """Publish schema `recs` of the week's build file (`Snapshots.publish`) and drop build folders
        that are neither of the two newest weeks nor of this one.

        Raises:
            WarehouseError: when there is nothing to publish, the disk refuses, or the written copy differs.
        """
        if not self.build_path(week).exists():
            raise WarehouseError(
                f"The week {week} has no build file ({self.build_path(week)}): materialise its raw tables first."
            )
        published = self.snapshots.publish(self.build_path(week), week, run_id, now, version)
        weeks = sorted(path for path in (self.home / "weeks").iterdir() if path.is_dir())
        for folder in weeks[:-2]:
            if folder != self.week_dir(week):
                shutil.rmtree(folder)
        return published


# Rows of `known(week, $anchor)` by number.
_CODES = """customers as (
    select customer_id, row_number() over (order by customer_id) - 1 as code
    from marts.customers where joined_at is null or joined_at < $anchor
),
products as (
    select product_id, row_number() over (order by product_id) - 1 as code from marts.products
)"""


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
        select customer_id, email_eligible, learned_from, country, locale, segment, joined_at,
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
               features.price, products.start_at, products.parent_id, features.stock,
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
    guests = connection.execute(
        """
        with baskets as (
            select order_id, (row_number() over (order by order_id) - 1)::integer as code from marts.baskets
        )
        select products.code as product, baskets.code as basket,
               (interactions.occurred_on - date '1970-01-01')::integer as day
        from intermediate.int_interactions_anchored as interactions
        join known_products as products using (product_id)
        join baskets using (order_id)
        where interactions.as_of = $anchor and interactions.customer_id is null
        order by day, product, basket
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
        guests=GuestPurchases(
            **{name: np.ascontiguousarray(np.ma.getdata(values)) for name, values in guests.items()}
        ),
    )


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
    # A relation, because it writes Arrow on all threads; what `execute` holds is turned into Arrow on one.
    joined = connection.query(
        f"""
        select candidates.number, {selected}
        from incoming_candidates as candidates
        join coded_products as products on products.code = candidates.product
        {" ".join(joins)}
        """
    )
    seen = 0
    for batch in joined.to_arrow_table().to_batches():
        rows = batch.column(0).to_numpy()
        seen += len(rows)
        values = [one.to_numpy(zero_copy_only=False) for one in batch.columns[1:]]
        put_columns(X, columns, values, rows)
    if seen != len(candidates):
        raise WarehouseError(
            f"{seen} feature rows came back for {len(candidates)} candidates at {anchor}: a feature table holds a "
            "key twice, or the candidates' codes are not those of this week."
        )
