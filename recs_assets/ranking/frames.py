"""The ranker's features of candidates, joined from dbt's feature tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from recs_assets.ranking.candidates import Candidates
from recs_assets.ranking.features import (
    SEARCHED,
    TABLES,
    Feature,
    build_source_frame,
    find_feature,
    find_model,
    put_columns,
)
from recs_assets.schema import WarehouseError

if TYPE_CHECKING:
    import duckdb

_SEARCHED = Path(__file__).with_name("searched.sql").read_text("utf-8")


def load_frame(
    connection: duckdb.DuckDBPyConnection, anchor: date, candidates: Candidates, names: Sequence[str]
) -> np.ndarray:
    """The ranker's features of candidates, in one join with dbt's feature tables.

    Memory beside the result is the tables' rows of these customers; give blocks of customers.

    Args:
        connection: to the build file of the week.
        anchor: for which the candidates were made; only feature rows with this `as_of` count.
        candidates: codes of the anchor's `Known`.
        names: features (`ranking.features.find_feature`), in the order of the columns.

    Returns:
        float32[n, len(names)], rows as in `candidates`; NaN where unknown.

    Raises:
        WarehouseError: an unknown feature, or a value that is infinite.
    """
    found = [find_feature(name) for name in names]
    if unknown := [name for name, feature in zip(names, found, strict=True) if feature is None]:
        raise WarehouseError(f"No such feature: {', '.join(unknown)}.")
    wanted = [feature for feature in found if feature is not None]
    X = np.empty((len(candidates), len(names)), dtype=np.float32)
    listed = [column for column, feature in enumerate(wanted) if feature.table == "source"]
    put_columns(X, listed, build_source_frame(candidates, [wanted[column] for column in listed]).T)
    joined = [column for column, feature in enumerate(wanted) if feature.table != "source"]
    if joined and len(candidates):
        _join_features(connection, anchor, candidates, [wanted[column] for column in joined], X, joined)
    if infinite := [names[column] for column in np.flatnonzero(np.isinf(X).any(axis=0))]:
        raise WarehouseError(
            f"Infinite values in {', '.join(infinite)} at {anchor}: refusing to rank by them."
        )
    return X


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
    expressions = " ".join(
        feature.column if feature.table == "derived" else f"{feature.table}.{feature.column}"
        for feature in wanted
    )
    joins = []
    for table in dict.fromkeys(
        [*TABLES, *(feature.table for feature in wanted if feature.table != "derived")]
    ):
        used = sorted(set(re.findall(rf"\b{table}\.(\w+)", expressions)))
        if not used:
            continue
        if table == SEARCHED:
            connection.execute(_SEARCHED, {"anchor": anchor})
            joins.append(
                "left join searched_now as searched "
                "on searched.customer = candidates.customer and searched.product = candidates.product"
            )
            continue
        model, keys = find_model(table)
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
        f"({one.column if one.table == 'derived' else f'{one.table}.{one.column}'})::float as f{number}"
        for number, one in enumerate(wanted)
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
        values = [column.to_numpy(zero_copy_only=False) for column in batch.columns[1:]]
        put_columns(X, columns, values, rows)
    if seen != len(candidates):
        raise WarehouseError(
            f"{seen} feature rows came back for {len(candidates)} candidates at {anchor}: a feature table holds a "
            "key twice, or the candidates' codes are not those of this week."
        )
