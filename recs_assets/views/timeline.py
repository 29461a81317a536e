"""A customer's orders over time, and how the lists evolved with them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from recs_assets.views.desk import Look, Row
from recs_assets.views.lists import PUBLISHED, list_weeks, load_lists

# How long after an anchor a purchase counts as one that the list foresaw.
WINDOW = timedelta(days=28)


def list_orders(look: Look, customer_id: str) -> list[Row]:
    """Every order day of a customer: ordered_on, orders, products, amount, currency."""
    return look.rows(
        """
        select
            ordered_at::date as ordered_on, count(distinct order_id) as orders,
            count(distinct product_id) as products, sum(amount) as amount, any_value(currency) as currency
        from recs.order_lines
        where customer_id = $customer_id
        group by ordered_on
        order by ordered_on
        """,
        {"customer_id": customer_id},
    )


def list_models(look: Look) -> list[str]:
    """Models with lists at every kept anchor, then the others."""
    kept = look.files_by_day
    count = {
        model: sum(model in files.lists(day, "all") for day, files in kept.items())
        for model in look.kept.lists(look.week, "all")
    }
    return sorted(count, key=lambda model: (-count[model], model))


def load_evolution(look: Look, customer_id: str, model: str, k: int = 8) -> dict[str, Any]:
    """The lists of a model over the days at which some are kept.

    Returns:
        days: ascending, with `hits` of the first k that were bought within `WINDOW` (None where that is not over);
        products: product_id, product_name, category, and per day `places`: rank and whether it was bought within the
        window; by the first day, then by rank.
    """
    days = [week["day"] for week in list_weeks(look)][::-1]
    lists: dict[date, list[Row]] = {}
    for day in days:
        found = load_lists(look, customer_id, day, "all", k, model)
        if rows := found.get(model) or (found.get(PUBLISHED) if model == "ranker" else None):
            lists[day] = rows
    bought: dict[str, list[date]] = {}
    for row in look.rows(
        "select distinct product_id, ordered_at::date as day from recs.order_lines where customer_id = $customer_id",
        {"customer_id": customer_id},
    ):
        bought.setdefault(row["product_id"], []).append(row["day"])

    def was_bought(product: str, day: date) -> bool:
        return any(day <= other < day + WINDOW for other in bought.get(product, ()))

    last = look.row("select max(ordered_at)::date as day from recs.baskets")
    known_until = last["day"] if last and last["day"] else look.week
    products: dict[str, Row] = {}
    for day, rows in lists.items():
        for row in rows:
            product = products.setdefault(
                row["product_id"],
                {name: row[name] for name in ("product_id", "product_name", "category")} | {"places": {}},
            )
            product["places"][day] = {"rank": row["rank"], "bought": was_bought(row["product_id"], day)}
    return {
        "days": [
            {
                "day": day,
                "hits": sum(was_bought(row["product_id"], day) for row in rows)
                if day < known_until
                else None,
                "length": len(rows),
            }
            for day, rows in lists.items()
        ],
        "products": list(products.values()),
    }


def evolution_as_table(evolution: dict[str, Any]) -> list[Row]:
    """One row per day and product, for a download."""
    return [
        {
            "day": day,
            "rank": place["rank"],
            "product_id": product["product_id"],
            "product_name": product["product_name"],
            "bought_within_28_days": place["bought"],
        }
        for product in evolution["products"]
        for day, place in product["places"].items()
    ]
