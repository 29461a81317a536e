"""What customers ordered before a day, in the few figures that every way of predicting their spend starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

YEAR_DAYS, QUARTER_DAYS, MONTH_DAYS = 364, 91, 28


@dataclass(frozen=True)
class History:
    """Customers with an order before the anchor, in ascending order.

    Attributes:
        watched_days: from the shop's first order to the anchor.
        rows: customer, orders (distinct order-days), since_first and since_last (days to the anchor), spend, paid (order-days of an
            amount above 0), and orders and spend of the last 28, 91 and 364 days: orders_28, spend_28, ...; float64 but for
            the customer.
    """

    watched_days: int
    rows: pd.DataFrame

    def __getitem__(self, name: str) -> np.ndarray:
        return self.rows[name].to_numpy(dtype=np.float64)

    def __len__(self) -> int:
        return len(self.rows)


def summarise(orders: pd.DataFrame, anchor_day: int, first_day: int | None = None) -> History:
    """The history of every customer who ordered before the anchor.

    Args:
        orders: customer, day (days since 1970-01-01), amount (NaN: in a foreign currency); the order of the rows does not matter.
        anchor_day: of what is known: everything before it.
        first_day: of the shop's first order, which some of its customers cannot know; None: these are all.

    Raises:
        ValueError: no order before the anchor.
    """
    known = orders[orders["day"] < anchor_day].sort_values(["customer", "day", "amount"], kind="stable")
    if known.empty:
        raise ValueError("Nobody ordered before the anchor.")
    daily = known.groupby(["customer", "day"], sort=True)["amount"].sum().reset_index()
    daily["paid"] = daily["amount"] > 0
    by_customer = daily.groupby("customer", sort=True)
    rows = pd.DataFrame(
        {
            "orders": by_customer["day"].size(),
            "since_first": anchor_day - by_customer["day"].min(),
            "since_last": anchor_day - by_customer["day"].max(),
            "spend": by_customer["amount"].sum(),
            "paid": by_customer["paid"].sum(),
        }
    )
    for days in (MONTH_DAYS, QUARTER_DAYS, YEAR_DAYS):
        lately = daily[daily["day"] >= anchor_day - days].groupby("customer", sort=True)
        rows[f"orders_{days}"] = lately["day"].size()
        rows[f"spend_{days}"] = lately["amount"].sum()
    rows = rows.fillna(0.0).astype(np.float64).reset_index()
    first = int(daily["day"].min()) if first_day is None else first_day
    return History(anchor_day - first, rows)


def sum_spend(orders: pd.DataFrame, history: History, first_day: int, days: int) -> np.ndarray:
    """float64[n]: what the customers of a history paid in `days` from `first_day` on."""
    inside = orders[(orders["day"] >= first_day) & (orders["day"] < first_day + days)]
    inside = inside.sort_values(["customer", "day", "amount"], kind="stable")
    spend = inside.groupby("customer", sort=True)["amount"].sum()
    return spend.reindex(history.rows["customer"]).fillna(0.0).to_numpy(dtype=np.float64)
