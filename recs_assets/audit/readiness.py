"""Whether there is enough to recommend from, and which approach fits what there is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from recs_assets.audit.findings import READINESS, SHOP, Finding, Verdict
from recs_assets.audit.purchases import PURCHASES
from recs_assets.audit.words import count, share

if TYPE_CHECKING:
    import duckdb

RECENT_DAYS = 91
# Below the first a list says nothing; below the second it can be had, and little can be proven of it.
LEAST = {"interactions": 1_000, "customers": 100, "products": 50}
ENOUGH = {"interactions": 10_000, "customers": 1_000}
LEVELS: tuple[Verdict, ...] = ("stop", "look", "good")
NOUNS = {
    "interactions": "purchases (one product in one order of a known customer)",
    "customers": "customers who bought",
    "products": "products that were bought",
}


@dataclass(frozen=True)
class Amount:
    """How much there is to learn from.

    Attributes:
        interactions: purchases, one product in one order, of customers from whom models may learn.
        customers: who made them.
        products: that were bought, by guests too.
    """

    interactions: int
    customers: int
    products: int


def count_amount(connection: duckdb.DuckDBPyConnection, as_of: date) -> Amount:
    """How much there is to learn from before a date."""
    [row] = connection.execute(
        f"""
        select count(*) filter (customer_id is not null), count(distinct customer_id), count(distinct product_id)
        from ({PURCHASES})
        """,
        {"as_of": as_of},
    ).fetchall()
    return Amount(*row)


def judge_readiness(amount: Amount) -> list[Finding]:
    """The verdict on the shop, and the three figures that it rests upon.

    The verdict's value is 0 (no), 1 (yes, within limits) or 2 (yes).
    """
    values = {name: getattr(amount, name) for name in LEAST}
    short = [name for name, least in LEAST.items() if values[name] < least]
    few = [name for name, enough in ENOUGH.items() if values[name] < enough]
    level = 0 if short else 1 if few else 2
    has = f"{count(amount.interactions, 'purchase')} of {count(amount.customers, 'customer')} and {count(amount.products, 'product')}"
    if level == 0:
        *others, last = [f"{LEAST[name]:,} {NOUNS[name]}" for name in short]
        missing = f"{', '.join(others)} and {last}" if others else last
        sentence = f"No: {has} are too few to recommend from. It takes at least {missing}; until then show what sells most."
    elif level == 1:
        limits = " and ".join(f"{ENOUGH[name]:,} {NOUNS[name]}" for name in few)
        sentence = (
            f"Yes, within limits: there are {has}. Below {limits} expect lists that lean on popular products, categories and what is "
            "bought together, personal ones for those who order often, and tests whose intervals are too wide to prove small gains."
        )
    else:
        sentence = f"Yes: {has} are enough for learned, personal lists."
    findings = [Finding(*READINESS, level, "level", LEVELS[level], sentence)]
    for name, value in values.items():
        enough = ENOUGH.get(name, LEAST[name])
        verdict: Verdict = "stop" if name in short else "look" if name in few else "good"
        text = f"{value:,} {NOUNS[name]}; it takes {LEAST[name]:,}"
        text += f", and {enough:,} for lists that can be proven to be better." if name in ENOUGH else "."
        findings.append(Finding("readiness", SHOP, name, value, name, verdict, text))
    return findings


def judge_approaches(connection: duckdb.DuckDBPyConnection, as_of: date, amount: Amount) -> list[Finding]:
    """Which approaches fit the data: neighbours, buying again, content, the learned ranker; and what serves newcomers."""
    if not amount.customers:
        return []
    [(median, several)] = connection.execute(
        f"""
        with customers as (select count(distinct product_id) as products, count(*) as purchases
            from ({PURCHASES}) where customer_id is not null group by customer_id)
        select median(purchases), count(*) filter (products >= 3) / count(*) from customers
        """,
        {"as_of": as_of},
    ).fetchall()
    [(known,)] = connection.execute(
        f"""
        with products as (select count(distinct customer_id) as buyers, count(*) as purchases from ({PURCHASES}) group by product_id)
        select sum(purchases) filter (buyers >= 5) / sum(purchases) from products
        """,
        {"as_of": as_of},
    ).fetchall()
    [(again,)] = connection.execute(
        f"""
        with purchases as (
            select row_number() over (partition by customer_id, product_id order by occurred_at, order_id) as place
            from ({PURCHASES}) where customer_id is not null
        )
        select count(*) filter (place > 1) / count(*) from purchases
        """,
        {"as_of": as_of},
    ).fetchall()
    [(new,)] = connection.execute(
        f"""
        with firsts as (select *, min(occurred_at) over (partition by product_id) as first_at from ({PURCHASES}))
        select count(*) filter (first_at >= $since) / count(*) from firsts where occurred_at >= $since
        """,
        {"as_of": as_of, "since": as_of - timedelta(days=RECENT_DAYS)},
    ).fetchall()
    [(described,)] = connection.execute(
        """
        select count(*) filter (category is not null or brand is not null or description is not null) / count(*)
        from marts.products where is_product
        """
    ).fetchall()
    known, new, described = known or 0.0, new or 0.0, described or 0.0
    return [
        _judge_neighbours(median, several, known),
        _judge_repeats(again),
        _judge_content(new, described),
        _judge_ranker(amount),
    ]


def _judge_neighbours(median: float, several: float, known: float) -> Finding:
    fits = median >= 3 and known >= 0.5
    sentence = (
        f"Neighbours (customers and products that are alike) {'fit' if fits else 'have little to go by'}: half of the customers have at most "
        f"{count(median, 'purchase')}, {share(several)} bought three different products, and {share(known)} of all purchases are of products "
        "with at least five buyers."
    )
    return Finding(
        "approach", "neighbours", "median_purchases", median, "purchases per customer", "good" if fits else "look", sentence
    )  # fmt: skip


def _judge_repeats(again: float) -> Finding:
    fits = again >= 0.1
    sentence = f"{share(again)} of all purchases are of a product that the customer had bought before: "
    sentence += (
        "lists of what they buy again are the first thing to offer."
        if fits
        else "people seldom buy the same again, so lists should show what is new to them."
    )
    return Finding("approach", "buying again", "repeat_share", again, "share", "good", sentence)


def _judge_content(new: float, described: float) -> Finding:
    needed, possible = new >= 0.05, described >= 0.5
    sentence = (
        f"{share(new)} of the purchases of the last {RECENT_DAYS} days are of products first sold in them, and {share(described)} of the "
        "products have a category, a brand or a description: "
    )
    if possible:
        sentence += (
            "content (products that read alike) is what brings new ones into lists."
            if needed
            else "content helps products without sales and customers with one order; the rest is served by what people buy."
        )
    else:
        sentence += "content has nothing to read, so that new products wait for their first sales."
    return Finding(
        "approach", "content", "new_products_share", new, "share", "good" if possible or not needed else "look", sentence
    )  # fmt: skip


def _judge_ranker(amount: Amount) -> Finding:
    fits = amount.interactions >= ENOUGH["interactions"] and amount.customers >= ENOUGH["customers"]
    sentence = f"With {count(amount.interactions, 'purchase')} of {count(amount.customers, 'customer')} "
    sentence += (
        "a learned ranker over all lists can be trained and tested; every week keeps the simplest model that none is proven to beat."
        if fits
        else "a learned ranker will seldom be proven to be better: expect a simple list or the hand-weighted blend to be published."
    )
    return Finding(
        "approach", "learned ranker", "interactions", amount.interactions, "interactions", "good", sentence
    )  # fmt: skip
