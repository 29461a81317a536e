"""What an experiment can be judged by: one line per metric."""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A mean per customer, or a ratio of two sums.

    Attributes:
        words: it in a sentence.
        amount: what is added up per customer and week.
        per: what it is divided by; None: the customers.
        ever: 1 for a customer with any of it, whatever the amount.
        capped: a customer counts with at most `moments.CAP`.
        less_is_better: a rise is harm.
    """

    words: str
    amount: str
    per: str | None = None
    ever: bool = False
    capped: bool = False
    less_is_better: bool = False


METRICS = {
    "revenue": Metric("revenue per customer", "revenue", capped=True),
    "margin": Metric("margin per customer", "margin", capped=True),
    "other_revenue": Metric("revenue outside recommended products", "other_revenue", capped=True),
    "orders": Metric("orders per customer", "orders"),
    "buyers": Metric("share of customers who buy", "orders", ever=True),
    "order_value": Metric("revenue per order", "revenue", per="orders"),
    "click_rate": Metric("clicks per recommendation shown", "clicks", per="shown"),
    "returns": Metric("returned share of revenue", "returned", per="revenue", less_is_better=True),
    "unsubscribes": Metric(
        "share of customers who unsubscribe", "unsubscribes", ever=True, less_is_better=True
    ),
    "complaints": Metric("share of customers who complain", "complaints", ever=True, less_is_better=True),
}


def find_problem(name: str) -> str | None:
    """What is wrong with the name of a metric; None where there is one."""
    if name in METRICS:
        return None
    near = difflib.get_close_matches(name, METRICS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the metrics are {', '.join(METRICS)}"
    return f"there is no metric {name}; {hint}"
