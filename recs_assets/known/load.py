"""Everything before an anchor, read from the build file of a week."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.files import read_sql
from recs_assets.known.interactions import (
    EVENT_TYPES,
    NO_PREFERENCES,
    WANTING,
    BackInStock,
    Events,
    GuestPurchases,
    Known,
    TableRows,
)
from recs_assets.schema import WarehouseError

if TYPE_CHECKING:
    import duckdb

# Wanting a product is remembered so long.
WANTED_DAYS = 180


def _read_sql(name: str) -> str:
    return read_sql(__file__, f"sql/{name}")


def load_known(connection: duckdb.DuckDBPyConnection, anchor: date) -> Known:
    """Everything known before `anchor`.

    Args:
        connection: to the build file of a week that has features of the anchor.
        anchor: midnight of it, in the shop's time zone, is the wall.

    Raises:
        WarehouseError: the features hold no such anchor.
    """
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
    connection.execute(_read_sql("customers"), parameters)
    connection.execute(_read_sql("products"), parameters)
    events = connection.execute(_read_sql("events"), {**parameters, "kinds": list(EVENT_TYPES)}).fetchnumpy()
    guests = connection.execute(_read_sql("guests"), parameters).fetchnumpy()
    customers = connection.execute("select * exclude (code) from known_customers order by code").df()
    products = connection.execute("select * exclude (code) from known_products order by code").df()
    return Known(
        as_of=anchor,
        customers=customers,
        products=products,
        events=Events(**_make_contiguous(events)),
        guests=GuestPurchases(**_make_contiguous(guests)),
        own_tables=_load_own_tables(connection, anchor),
        preferences=_load_preferences(connection, anchor),
        back_in_stock=_load_back_in_stock(connection, anchor),
    )


def _load_back_in_stock(connection: duckdb.DuckDBPyConnection, anchor: date) -> BackInStock:
    """Who wanted what was sold out then and is in stock again; needs what `load_known` made of customers and products."""
    [(counted, again, gone)] = connection.execute(
        """
        select count(*), count(*) filter (counts > 1), count(*) filter (was_sold_out)
        from (
            select count(*) as counts, bool_or(stock < 1) as was_sold_out
            from staging.stg_inventory where counted_at < $anchor and isfinite(stock) group by product_id
        )
        """,
        {"anchor": anchor},
    ).fetchall()
    if not again:
        why = "has no counts of stock" if not counted else "counts the stock of every product once"
        return BackInStock(
            problem=f"The shop {why} (raw table inventory), so nobody can tell what was sold out and is back: land counts of "
            "several days."
        )
    if not gone:
        return BackInStock()
    parameters = {"anchor": anchor, "days": WANTED_DAYS, "kinds": list(WANTING)}
    rows = _make_contiguous(connection.execute(_read_sql("back_in_stock"), parameters).fetchnumpy())
    return BackInStock(rows["customer"], rows["product"], rows["wanted"], rows["day"], rows["kind"])


def _is_there(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    return bool(
        connection.execute(
            "select 1 from information_schema.tables where table_schema = $schema and table_name = $table",
            {"schema": schema, "table": table},
        ).fetchall()
    )


def _load_preferences(connection: duckdb.DuckDBPyConnection, anchor: date) -> pd.DataFrame:
    """What customers answered that they like; see `Known.preferences`. None in a week that was built before the table was."""
    if not _is_there(connection, "staging", "stg_preferences"):
        return NO_PREFERENCES
    rows = connection.execute(_read_sql("codes") + _read_sql("preferences"), {"anchor": anchor}).df()
    return rows.astype({"customer": np.int32, "facet": object, "value": object})


def _load_own_tables(connection: duckdb.DuckDBPyConnection, anchor: date) -> dict[str, TableRows]:
    """What sentences may say of the shop's own tables; empty where it declares none."""
    if not _is_there(connection, "intermediate", "int_declared_evidence"):
        return {}
    rows = connection.execute(_read_sql("codes") + _read_sql("own_tables"), {"anchor": anchor}).df()
    return {
        str(name): TableRows(*(part[column].to_numpy(np.int32) for column in ("customer", "product", "day")))
        for name, part in rows.groupby("source_table", sort=True)
    }


def _make_contiguous(columns: Mapping[str, np.ndarray | pd.Categorical]) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(np.ma.getdata(values)) for name, values in columns.items()}


def load_truth(connection: duckdb.DuckDBPyConnection, known: Known, horizon_days: int) -> sparse.csr_matrix:
    """float32 csr[n_customers, n_products] of ones: what was bought in the label window.

    The window is `[as_of, as_of + horizon_days)` of `known`; what was wholly returned in it does not count.
    Rows of customers who objected are empty: nothing is learned from them, and nothing measured. Neither
    count bulk orders and tills (`learned_from` of order_lines), nor what is no product.
    """
    end = known.as_of + timedelta(days=horizon_days)
    rows = connection.execute(
        _read_sql("codes") + _read_sql("truth"), {"anchor": known.as_of, "end": end}
    ).fetchnumpy()
    return sparse.csr_matrix(
        (np.ones(len(rows["customer"]), dtype=np.float32), (rows["customer"], rows["product"])),
        shape=(known.n_customers, known.n_products),
    )


def load_purchases(connection: duckdb.DuckDBPyConnection, before: date) -> dict[str, np.ndarray]:
    """Purchase days, for features at any anchor up to `before`.

    Args:
        connection: to the build file of a week.
        before: purchases on this day or later stay out.

    Returns:
        Arrays of equal length, one row per customer, product, day and day of the whole return, sorted:
        customer and product int32 (position by id among the customers known at `before`, and among all
        products), day int32 (days since 1970-01-01), gone int32 (day of the whole return, the largest int32
        where it was kept), lines float64, amount float64 (0 where unknown).
    """
    columns = connection.execute(_read_sql("codes") + _read_sql("purchases"), {"anchor": before}).fetchnumpy()
    return _make_contiguous(columns)


def load_listed(
    connection: duckdb.DuckDBPyConnection, anchor: date, table: str, place: str, campaign: str | None = None
) -> pd.DataFrame:
    """Rows of `model.<table>`, of one campaign or of a table without, in codes of `load_known(anchor)`.

    Args:
        connection: to the build file of a week.
        anchor: the week.
        table: in schema `model`.
        place: the column that holds the rank.
        campaign: whose rows; None where the table has no such column.

    Returns:
        Columns customer int32, product int32, rank int32, score float64 (NaN where it is null); by customer
        and rank.
    """
    return connection.execute(
        f"""
        {_read_sql("codes")}
        select customers.code::integer as customer, products.code::integer as product,
            "{place}"::integer as rank, score::double as score
        from model."{table}"
        join customers using (customer_id)
        join products using (product_id)
        {"where campaign = $campaign" if campaign else ""}
        order by 1, 3
        """,
        {"anchor": anchor} | ({"campaign": campaign} if campaign else {}),
    ).df()


def load_planned_offers(connection: duckdb.DuckDBPyConnection) -> dict[date, dict[str, float]]:
    """Anchor -> kind of offer -> weeks of it in the label window, over all products, as known then."""
    kinds = ("mailer", "display", "coupon", "price", "other")
    sums = ", ".join(f"sum({kind}_weeks)::double" for kind in kinds)
    rows = connection.execute(
        f"select as_of, {sums} from features.product_promotions group by as_of"
    ).fetchall()
    return {anchor: dict(zip(kinds, weeks, strict=True)) for anchor, *weeks in rows}
