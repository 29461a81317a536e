"""Products to look at: found by name or id, and by category."""

from __future__ import annotations

from recs_assets.views.desk import Look, Row


def search_products(look: Look, text: str, most: int = 20) -> list[Row]:
    """Products whose id this is or whose name has all words of a text, the most sold first."""
    words = text.lower().split()[:8]
    if not words:
        return []
    return look.rows(
        f"""
        with found as (
            select product_id, product_name, category
            from recs.products
            where product_id = $text or list_bool_and([contains(lower(coalesce(product_name, '')), word) for word in $words])
        ),
        sold as (
            select product_id, max(antecedent_baskets) as baskets
            from (select antecedent_product_ids[1] as product_id, antecedent_baskets from recs.association_rules
                where len(antecedent_product_ids) = 1)
            group by product_id
        )
        select found.*, coalesce(sold.baskets, 0) as baskets
        from found
        left join sold using (product_id)
        order by product_id = $text desc, baskets desc, product_id
        limit {most}
        """,
        {"text": text, "words": words},
    )


def list_categories(look: Look) -> list[str]:
    """The categories of products that are bought together with others, by name."""
    sql = (
        "select distinct category from recs.products semi join (select product_id "
        "from recs.frequently_bought_together where as_of = $week) using (product_id) "
        "where category is not null order by category"
    )
    return look.remember(
        "categories", lambda: [row["category"] for row in look.rows(sql, {"week": look.week})]
    )


def draw_product(look: Look) -> str | None:
    """A product that many others are bought with: the one of the rule with the most baskets."""
    found = look.row(
        "select product_id from recs.frequently_bought_together where as_of = $week "
        "order by baskets desc, product_id limit 1",
        {"week": look.week},
    )
    return None if found is None else found["product_id"]
