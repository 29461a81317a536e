"""How often a product at a place of a model's lists was bought: the probability of models that give scores alone."""

from __future__ import annotations

from recs_assets.views.desk import Look
from recs_assets.views.kept import Kept

# Places of a list that are counted; views show no more.
PLACES = 50
# Customers who are counted at most, so that the first look takes less than a second.
MOST = 4_000


def load_chances(look: Look, kept: Kept, view: str) -> dict[str, list[float]]:
    """Model -> the share of its products at each place, from the first on, that were bought within the horizon.

    Counted at the week's test anchor, over customers who were evaluated there, and never rising with the place. Empty where
    the week keeps no lists at it.
    """
    return look.remember(f"chances {kept.week} {view}", lambda: _count(look, kept, view))


def _count(look: Look, kept: Kept, view: str) -> dict[str, list[float]]:
    earlier = [anchor for anchor in kept.anchors() if anchor < kept.week]
    if not earlier:
        return {}
    anchor = max(earlier)  # one horizon before the week
    files = {str(path): model for model, path in kept.lists(anchor, view).items()}
    if not files:
        return {}
    [size] = look.rows(
        "select count(*) as customers from read_parquet($path) where rank = 1", {"path": next(iter(files))}
    )
    rows = look.rows(
        f"""
        with customers as (
            select customer_id, file_row_number as customer from read_parquet($customers, file_row_number = true)
        ),
        products as (
            select product_id, file_row_number as product from read_parquet($products, file_row_number = true)
            semi join (select product_id from recs.products where is_product) using (product_id)
        ),
        bought as (
            select distinct customer, product, true as hit
            from recs.order_lines
            join customers using (customer_id)
            join products using (product_id)
            where ordered_at >= $anchor and ordered_at < $week and learned_from
                and (fully_returned_at is null or fully_returned_at >= $week)
        )
        select filename, rank, count(*) as rows, count(hit) as hits
        from read_parquet($files, filename = true) as lists
        left join bought using (customer, product)
        where rank <= {PLACES} and customer % $step = 0
        group by all
        order by filename, rank
        """,
        {
            "customers": str(kept.ids("customer", anchor)),
            "products": str(kept.ids("product", anchor)),
            "anchor": anchor,
            "week": kept.week,
            "files": list(files),
            "step": max(1, -(-size["customers"] // MOST)),
        },
    )
    counts: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        counts.setdefault(files[row["filename"]], []).append((row["hits"], row["rows"]))
    return {model: fit_falling(places) for model, places in counts.items()}


def fit_falling(counts: list[tuple[int, int]]) -> list[float]:
    """The non-increasing shares nearest to hits / rows, least squares by rows (pool adjacent violators).

    >>> fit_falling([(5, 10), (1, 10), (3, 10), (0, 10)])
    [0.5, 0.2, 0.2, 0.0]
    """
    pools: list[tuple[int, int, int]] = []
    for hits, rows in counts:
        pool = hits, rows, 1
        while pools and pools[-1][0] * pool[1] < pool[0] * pools[-1][1]:
            before = pools.pop()
            pool = before[0] + pool[0], before[1] + pool[1], before[2] + pool[2]
        pools.append(pool)
    return [hits / rows for hits, rows, places in pools for _ in range(places)]
