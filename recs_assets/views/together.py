"""What is bought together with a product or a cart, how surely, and how many days apart."""

from __future__ import annotations

from recs_assets.views.desk import Look, Row

# Further apart, two purchases have little to do with each other.
MOST_DAYS = 91
# Order lines that are read for it; of a shop with more, a sample of blocks, which are whole customers but for two each.
MOST_LINES = 4_000_000


def list_together(look: Look, cart: list[str], most: int = 20) -> list[Row]:
    """What follows from products of a cart by association rules, one row per product, of its best rule.

    Rows have product_id, product_name, category, because (names), because_ids, baskets, support, confidence, lift,
    p_value, p_adjusted, customers; the largest confidence x log lift first.
    """
    return look.rows(
        f"""
        select
            consequent_product_id as product_id, consequent_name as product_name, products.category,
            antecedent_names as because, antecedent_product_ids as because_ids,
            baskets, customers, support, confidence, lift, p_value, p_adjusted
        from recs.association_rules as rules
        left join recs.products as products on products.product_id = rules.consequent_product_id
        where list_has_all($cart::varchar[], antecedent_product_ids)
            and not list_contains($cart::varchar[], consequent_product_id)
        qualify row_number() over (
            partition by consequent_product_id order by confidence * ln(greatest(lift, 1)) desc, antecedent_product_ids
        ) = 1
        order by confidence * ln(greatest(lift, 1)) desc, product_id
        limit {most}
        """,
        {"cart": cart},
    )


def list_gaps(look: Look, cart: list[str], products: list[str]) -> dict[str, Row]:
    """How many days apart customers bought a product of the cart and each product, over the nearest two purchases
    of every customer who bought both within `MOST_DAYS` days.

    Returns:
        product_id -> same_day (share), median_days, later (share of those on another day where the product came
        after the cart's), customers.
    """
    asked, parameters = look.list_values([*cart, *products])
    [count] = look.rows("select count(*) as lines from recs.order_lines")
    share = min(1.0, MOST_LINES / max(1, count["lines"]))
    found = look.rows(
        f"""
        with lines as (
            select distinct customer_id, product_id, ordered_at::date as day
            from recs.order_lines {"" if share == 1 else f"tablesample system({100 * share:.3f} percent)"}
            where customer_id is not null and product_id in ({asked})
        ),
        pairs as (
            select other.product_id, other.customer_id, other.day - own.day as days
            from lines as own
            join lines as other using (customer_id)
            where list_contains($cart, own.product_id) and list_contains($products, other.product_id)
                and abs(other.day - own.day) <= {MOST_DAYS}
        ),
        nearest as (
            select product_id, customer_id, arg_min(days, (abs(days), days)) as days
            from pairs
            group by all
        )
        select
            product_id, count(*) as customers, avg((days = 0)::int) as same_day, median(abs(days)) as median_days,
            avg((days > 0)::int) filter (days <> 0) as later
        from nearest
        group by product_id
        """,
        {"cart": cart, "products": products, **parameters},
    )
    return {row.pop("product_id"): row for row in found}
