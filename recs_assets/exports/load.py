"""What exports and caches read: the snapshot, the shop's shelf, and who withdrew since the week."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from recs_assets.exports.last_look import OF_CATALOGUE, Floor
from recs_assets.files import read_sql
from recs_assets.names import fold
from recs_assets.rules.config import Exposure
from recs_assets.schema import GateError, WarehouseError
from recs_assets.sources.cells import ADDRESS
from recs_assets.sources.forgotten import FORGOTTEN

if TYPE_CHECKING:
    import duckdb

# Columns of the storefront's rows.
LISTED = (
    "customer_id", "rank", "product_id", "product_name", "category", "price", "price_kind", "price_from",
    "currency", "score", "p_purchase", "source", "reason_code", "reason_text", "because_product_id",
    "recommendation_id",
)  # fmt: skip
# Views of the week's build file that decide who may be written to; each reads those before it.
CONSENT_VIEWS = (
    "base.base_customers",
    "base.base_consent_changes",
    "base.base_consent_matches",
    "staging.stg_consent_changes",
    "staging.stg_customer_consents",
    "staging.stg_withdrawals_counted",
)


def load_published_lists(snapshot: duckdb.DuckDBPyConnection, week: date) -> pa.Table:
    """The storefront's rows of one week, by customer and rank: what every cache is made of. Whoever has several ids is
    found by each of them; an id that had a list of its own in that week keeps it.

    A column that the version of recs_assets that published them did not have is null.
    """
    there = load_columns(snapshot, "customer_recommendations")
    columns = ", ".join(name if name in there else f"null::varchar as {name}" for name in LISTED)
    rows = f"select {columns} from recs.customer_recommendations where as_of = $week"
    if "customer_ids" in load_columns(snapshot, "customers"):
        rows = f"""
            with lists as ({rows}), ids as (
                select customer_id, unnest(customer_ids[2:]) as id from recs.customers where len(customer_ids) > 1
            )
            from lists union all
            select lists.* replace (ids.id as customer_id) from lists join ids using (customer_id)
            where ids.id not in (select customer_id from lists)
        """
    return snapshot.execute(f"from ({rows}) order by customer_id, rank", {"week": week}).to_arrow_table()


def load_columns(snapshot: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    """Columns of a published table; none where it is not there."""
    return {
        name
        for (name,) in snapshot.execute(
            "select column_name from duckdb_columns() where schema_name = 'recs' and table_name = ?", [table]
        ).fetchall()
    }


def load_published_emails(snapshot: duckdb.DuckDBPyConnection, week: date, campaign: str) -> pa.Table:
    """A campaign's published rows of one week that are to be sent, by customer and slot."""
    return snapshot.execute(
        "select * from recs.email_recommendations where as_of = ? and campaign = ? order by customer_id, slot",
        [week, campaign],
    ).to_arrow_table()


def load_published_predictions(snapshot: duckdb.DuckDBPyConnection, week: date, campaign: str) -> pa.Table:
    """What a campaign without slots predicts of one published week, by customer and rank."""
    return snapshot.execute(
        "select * from recs.campaign_predictions where as_of = ? and campaign = ? order by customer_id, rank",
        [week, campaign],
    ).to_arrow_table()


def load_published_embeddings(snapshot: duckdb.DuckDBPyConnection, table: str, week: date) -> pa.Table:
    """The rows of recs.product_embeddings or recs.customer_embeddings of one week, by model and id."""
    return snapshot.execute(
        f"select * from recs.{table} where as_of = ? order by model, {table.replace('_embeddings', '_id')}",
        [week],
    ).to_arrow_table()


def load_shown_products(snapshot: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """What an email shows of every published product (`exports.last_look.OF_CATALOGUE`), by product_id."""
    shown = snapshot.execute(read_sql(__file__, "sql/shown_products")).df()
    return shown[["product_id", *OF_CATALOGUE]]


def load_floors(snapshot: duckdb.DuckDBPyConnection, exposure: Sequence[Exposure]) -> list[Floor]:
    """The floors of a campaign, with the published products that count for each."""
    if not exposure:
        return []
    products = snapshot.execute(
        "select product_id, category, brand, merchant_id as merchant from recs.products"
    ).df()
    floors = []
    for floor in exposure:
        group, name = floor.group
        wanted = fold(name)
        inside = [isinstance(label, str) and fold(label) == wanted for label in products[group]]
        floors.append(Floor(f"{group} {name}", frozenset(products.loc[inside, "product_id"]), floor.share))
    return floors


def load_addresses(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Addresses (customer_id, email) of a week's build file, for hashes and the restricted export alone."""
    return connection.execute(
        "select customer_id, email from staging.stg_customers order by customer_id"
    ).df()


def load_shelf(
    scratch: duckdb.DuckDBPyConnection,
    land: Callable[[duckdb.DuckDBPyConnection, str], object],
    now: datetime,
) -> pd.DataFrame:
    """What the shop's files say of every product at a moment, whatever a week knows.

    Args:
        scratch: to an empty database.
        land: lands a raw table of the shop on a connection, given its name.
        now: on the shop's clock, without time zone; later counts do not count.

    Returns:
        product_id, stock (at the newest count, the lower of two at one moment; null: never counted),
        start_at, end_at (null: unknown), by product_id.

    Raises:
        SourceError, SettingsError: a file cannot be read.
    """
    land(scratch, "products")
    land(scratch, "inventory")
    return scratch.execute(read_sql(__file__, "sql/shelf"), {"now": now}).df()


def load_erased(
    scratch: duckdb.DuckDBPyConnection, land: Callable[[duckdb.DuckDBPyConnection, str], object]
) -> set[str]:
    """Ids of whom the shop's files say that they were erased, whatever the date; no addresses, which are nobody's id.

    Args:
        scratch: to an empty database, or one with other raw tables.
        land: lands a raw table of the shop on a connection, given its name.

    Raises:
        SourceError, SettingsError: a file cannot be read.
    """
    land(scratch, "consents")
    rows = scratch.execute(
        """
        select distinct trim(customer_id) from raw.consents
        where lower(trim(state)) = 'erased' and trim(customer_id) not in ('', ?)
    """,
        [FORGOTTEN],
    ).fetchall()
    return _drop_addresses(rows)


def load_erased_accounts(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Ids of everybody who is erased at a week, with the other accounts of their address and person, from its build file;
    nobody where it does not keep them."""
    there = connection.execute(
        "select 1 from information_schema.tables where table_schema || '.' || table_name = 'intermediate.int_consents_resolved'"
    ).fetchall()
    if not there:
        return set()
    return _drop_addresses(
        connection.execute(
            "select customer_id from intermediate.int_consents_resolved where consent_state = 'erased'"
        ).fetchall()
    )


def _drop_addresses(rows: Iterable[tuple[str | None]]) -> set[str]:
    return {name for (name,) in rows if name and not re.search(ADDRESS, name)}


def load_withdrawn_now(
    connection: duckdb.DuckDBPyConnection,
    scratch: duckdb.DuckDBPyConnection,
    land: Callable[[duckdb.DuckDBPyConnection, str], object],
    newest: datetime,
    unmatched_allowed: int,
) -> pd.DataFrame:
    """Who may not be written to by now: the week's own views of consent, on files that are read anew.

    An account is looked for among the newest customers and those of the week, under the addresses
    of both: the week's are written to. Whose flag is false by now counts as unsubscribed.

    Args:
        connection: to the week's build file, for its views and customers.
        scratch: to an empty database.
        land: lands a raw table of the shop on a connection, given its name.
        newest: latest shop-local time at which somebody can have come back; a withdrawal counts
            whatever its date.
        unmatched_allowed: withdrawals that may match no customer.

    Returns:
        customer_id and consent_state (erased, objected, unsubscribed), by id.

    Raises:
        GateError: more withdrawals match no customer than may.
        WarehouseError: the build file lacks the views.
    """
    views = dict(
        connection.execute(
            "select schema_name || '.' || view_name, sql from duckdb_views() where not internal"
        ).fetchall()
    )
    if missing := [name for name in CONSENT_VIEWS if name not in views]:
        raise WarehouseError(f"The week's build file has no view {missing[0]}: run the week again.")
    of_the_week = connection.execute(
        "select customer_id, joined_at, email, email_eligible from staging.stg_customers union all "
        "select unnest(customer_ids[2:]), joined_at, null, email_eligible from staging.stg_customers"
    ).to_arrow_table()
    people = {
        name: connection.execute(f"from base.{name}").to_arrow_table()
        for name in ("base_customer_identities", "base_customer_partings")
    }
    # The views name their tables with the build file's own name.
    scratch.execute("attach ':memory:' as build")
    scratch.execute("create schema build.raw; create schema build.base; create schema build.staging")
    for name, rows in people.items():
        scratch.register("rows_of_the_week", rows)
        scratch.execute(f"create table build.base.{name} as from rows_of_the_week")
    for table in ("customers", "consents", "campaign_events"):
        land(scratch, table)
        scratch.execute(f"create table build.raw.{table} as from raw.{table}")
    scratch.register("customers_of_the_week", of_the_week)
    scratch.execute("insert into build.raw.customers by name from customers_of_the_week")
    scratch.execute("use build")
    scratch.execute("set variable consents_until = timestamp 'infinity'")
    scratch.execute("set variable newest_consent = ?::timestamp", [newest])
    scratch.execute("set variable unmatched_withdrawals = ?::bigint", [unmatched_allowed])
    for name in CONSENT_VIEWS:
        scratch.execute(views[name])
    refused = scratch.execute(
        "select sentence from staging.stg_withdrawals_counted where unmatched > allowed"
    ).fetchall()
    if refused:
        raise GateError(f"No file is written. {refused[0][0]}")
    return scratch.execute(read_sql(__file__, "sql/withdrawn_now")).df()
