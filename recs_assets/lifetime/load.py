"""Orders of a build file, as `history.summarise` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import duckdb

# An order in a foreign currency counts as an order of an unknown amount.
_ORDERS = """
    select customer_id, ordered_at::date - date '1970-01-01' as day, amount
    from marts.baskets join marts.customers using (customer_id)
    where units > 0 and learned_from
"""


def load_orders(
    connection: duckdb.DuckDBPyConnection, customer_ids: Sequence[str] | np.ndarray
) -> pd.DataFrame:
    """Kept orders of customers whom models may learn from: customer (place in `customer_ids`), day (days since 1970-01-01),
    amount (NaN: in a foreign currency). Returns that the week knows are taken off at every earlier day, too."""
    ids = pd.DataFrame(
        {"customer_id": pd.Series(customer_ids, dtype=object), "customer": np.arange(len(customer_ids))}
    )
    connection.register("asked_customers", ids)
    try:
        orders = connection.execute(
            f"select customer, day, amount from ({_ORDERS}) join asked_customers using (customer_id) order by all"
        ).df()
    finally:
        connection.unregister("asked_customers")
    return orders.astype({"customer": np.int64, "day": np.int64, "amount": np.float64})


def list_customers(connection: duckdb.DuckDBPyConnection, anchor_day: int) -> np.ndarray:
    """object[n]: ids of the customers whom models may learn from and who ordered before the anchor (days since 1970-01-01), ascending."""
    rows = connection.execute(
        f"select distinct customer_id from ({_ORDERS}) where day < $1 order by 1", [anchor_day]
    ).fetchnumpy()
    return np.asarray(rows["customer_id"], dtype=object)
