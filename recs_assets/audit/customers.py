"""Who buys: how often, how many of them are new, what they are worth, and which segments they are in."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from recs_assets.audit.findings import SHOP, Finding
from recs_assets.audit.segments import SEGMENTS, segment_customers
from recs_assets.audit.words import count, share

if TYPE_CHECKING:
    import duckdb

RECENT_DAYS = 91
MANY_NEW = 0.40
REPEAT_ORDERS = 3
YEAR_DAYS = 365

# Of the customers that models may learn from. Orders that were wholly returned do not count.
_ORDERS = """
    select customer_id, ordered_at from marts.baskets
    where units > 0 and customer_id in (select customer_id from marts.customers where learned_from)
"""


def judge_customers(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[Finding]:
    """Repeat customers, new ones, frequency, value so far."""
    [(buyers, repeat, everybody)] = connection.execute(
        f"""
        select count(*) filter (learned_from and order_count > 0),
            count(*) filter (learned_from and order_count >= {REPEAT_ORDERS}), count(*)
        from marts.customers
        """
    ).fetchall()
    findings = [
        Finding(
            "customers", SHOP, "customers", everybody, "customers", "good",
            f"{count(everybody, 'customer')}; {buyers:,} of them ordered and may be learned from.",
        )
    ]  # fmt: skip
    if not buyers:
        return findings
    part = repeat / buyers
    findings.append(
        Finding(
            "customers", SHOP, "repeat_customers", part, "share", "look" if part < 0.10 else "good",
            f"{repeat:,} of {buyers:,} customers ({share(part)}) ordered at least {REPEAT_ORDERS} times"
            + ("." if part >= 0.10 else ": for most people there is little to learn from but what others like them bought."),
        )
    )  # fmt: skip
    return [
        *findings,
        *_judge_new(connection, as_of),
        *_judge_frequency(connection, as_of),
        *_judge_value(connection),
    ]


def _judge_new(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[Finding]:
    """How many of those who ordered lately ordered for the first time: a warning from 40 % on."""
    since = as_of - timedelta(days=RECENT_DAYS)
    [(recent, new, first)] = connection.execute(
        f"""
        with firsts as (select customer_id, min(ordered_at) as first_at, max(ordered_at) as last_at from ({_ORDERS}) group by all)
        select count(*) filter (last_at >= $since), count(*) filter (first_at >= $since), min(first_at)::date from firsts
        """,
        {"since": since},
    ).fetchall()
    if not recent:
        sentence = f"Nobody ordered in the {RECENT_DAYS} days before {as_of}."
        return [Finding("customers", SHOP, "new_customers", None, "share", "look", sentence)]
    part = new / recent
    sentence = f"{new:,} of {recent:,} customers who ordered in the last {RECENT_DAYS} days ({share(part)}) did so for the first time"
    if part >= MANY_NEW:
        sentence += ": lists of popular and of similar products matter more to them than their history"
    if first > since - timedelta(days=RECENT_DAYS):
        sentence += f" (orders go back to {first} only, so that some of them may be older customers)"
    return [
        Finding(
            "customers", SHOP, "new_customers", part, "share", "look" if part >= MANY_NEW else "good", f"{sentence}."
        )
    ]  # fmt: skip


def _judge_frequency(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[Finding]:
    """Orders per customer in the last year, and the days between two of them."""
    [(orders, customers)] = connection.execute(
        f"select count(*), count(distinct customer_id) from ({_ORDERS}) where ordered_at >= $since",
        {"since": as_of - timedelta(days=YEAR_DAYS)},
    ).fetchall()
    [(gap, pairs)] = connection.execute(
        f"""
        with days as (select distinct customer_id, ordered_at::date as day from ({_ORDERS})),
        gaps as (
            select day - lag(day) over (partition by customer_id order by day) as days from days
        )
        select median(days), count(days) from gaps
        """
    ).fetchall()
    findings = []
    if customers:
        findings.append(
            Finding(
                "customers", SHOP, "orders_per_year", orders / customers, "orders per customer", "good",
                f"Customers who ordered in the last {YEAR_DAYS} days did so {orders / customers:.1f} times on average.",
            )
        )  # fmt: skip
    if pairs:
        findings.append(
            Finding(
                "customers", SHOP, "median_gap", gap, "days", "good",
                f"Half of the time a customer's next order comes within {count(gap, 'day')}.",
            )
        )  # fmt: skip
    return findings


def _judge_value(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """What customers have paid so far; nothing is predicted."""
    values = connection.execute(
        """
        select lines.customer_id, sum(net_amount::decimal(38, 6))::double as revenue
        from marts.order_lines as lines join marts.customers using (customer_id)
        where customers.learned_from and net_amount is not null group by all order by revenue desc, lines.customer_id
        """
    ).df()["revenue"]
    total = float(values.sum())
    if not len(values) or total <= 0:
        sentence = "No amount counts, so nobody's value is known."
        return [Finding("customers", SHOP, "value_mean", None, "money", "look", sentence)]
    currency = connection.execute("select max(currency) from marts.products").fetchall()[0][0]
    top = float(values.head(-(-len(values) // 10)).sum()) / total
    mean, median = float(values.mean()), float(values.median())
    money = f" {currency}" if currency else ""
    return [
        Finding(
            "customers", SHOP, "value_mean", mean, "money", "good",
            f"A customer has paid {mean:,.2f}{money} so far on average; this is what was observed, not a forecast.",
        ),
        Finding(
            "customers", SHOP, "value_median", median, "money", "good",
            f"Half of the customers have paid at most {median:,.2f}{money} so far.",
        ),
        Finding(
            "customers", SHOP, "value_top_decile", top, "share", "good",
            f"The best tenth of the customers paid {share(top)} of all revenue.",
        ),
    ]  # fmt: skip


def load_segments(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """The segment of every customer (`segment_customers`)."""
    customers = connection.execute(
        """
        with revenue as (
            select customer_id, sum(net_amount::decimal(38, 6))::double as revenue from marts.order_lines group by all
        )
        select customer_id, learned_from, order_count as orders, $as_of::date - first_order_at::date as days_since_first,
            $as_of::date - last_order_at::date as days_since_last,
            case when order_count > 0 then coalesce(revenue, 0) end as revenue
        from marts.customers left join revenue using (customer_id) order by customer_id
        """,
        {"as_of": as_of},
    ).df()
    return segment_customers(customers)


def describe_segments(segments: pd.DataFrame) -> list[Finding]:
    """How many customers each segment has, and what they paid."""
    findings = []
    total = segments["revenue"].sum()
    for name, text in SEGMENTS.items():
        members = segments[segments["segment"] == name]
        if not len(members):
            continue
        part = len(members) / len(segments)
        paid = f", {share(max(0.0, members['revenue'].sum() / total))} of the revenue" if total > 0 else ""
        findings.append(
            Finding(
                "segments", name, "customers", part, "share", "good",
                f"{name.replace('_', ' ').capitalize()}: {count(len(members), 'customer')} ({share(part)}{paid}); they {text}.",
            )
        )  # fmt: skip
    return findings
