"""Signals that the ranker does not have, as SQL over a week's build file: what `benchmarks.gains --tried` measures.

Each gives some columns for the rows of `pairs` (row, customer_id, product_id) at `$as_of`, out of what was known strictly before it.
What gained moved into the dbt models and left this file; what is here was tried and is off (docs/gains.md#signals).
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

# Purchases before the anchor with age in days, the rows with category and brand, and how much a customer bought.
BOUGHT = """
with bought as (
    select
        lines.customer_id, lines.product_id, lines.order_id, lines.ordered_at, products.category, products.brand,
        date_diff('day', lines.ordered_at::date, $as_of) as age
    from marts.order_lines as lines join marts.products as products using (product_id)
    where lines.ordered_at < $as_of and lines.learned_from and lines.customer_id is not null
),
asked as (select pairs.*, products.category, products.brand from pairs join marts.products as products using (product_id)),
totals as (
    select customer_id, count(*) as n, count(*) filter (age <= 91) as n_91, count(*) filter (age <= 182) as n_182
    from bought group by all
)
"""
TREND = """,
shares as (
    select customer_id, {key}, count(*) as n, count(*) filter (age <= 91) as n_91, count(*) filter (age <= 182) as n_182
    from bought where {key} is not null group by all
)
select
    row,
    (shares.n_91 + shares.n / totals.n) / (totals.n_91 + 1) / (shares.n / totals.n) as of_91,
    (shares.n_182 + shares.n / totals.n) / (totals.n_182 + 1) / (shares.n / totals.n) as of_182
from asked join shares using (customer_id, {key}) join totals using (customer_id)
"""
# The shop's purchases in the label window one year earlier, as a share of all, and whether it was open then.
YEAR_BEFORE = """,
shop as (select count(*) filter (age between 337 and 364) / count(*) as share, max(age) >= 364 as has_year from bought)"""
# Facets of a product: every attribute, its band of prices within the category, its brand within the category.
FACETS = """,
facets as (
    select product_id, key, json_extract_string(attributes, '$."' || key || '"') as value
    from (
        select product_id, attributes, unnest(json_keys(attributes)) as key
        from marts.products where attributes is not null
    )
    where value is not null and key not in ('sku', 'slug')
    union all
    select product_id, 'band', category || '/' || floor(log2(greatest(price, 0.01)))::varchar
    from marts.products where price is not null and category is not null
    union all
    select product_id, 'brand', brand || '/' || category from marts.products where brand is not null and category is not null
),
faceted as (select bought.customer_id, age, key, value from bought join facets using (product_id)),
by_key as (select customer_id, key, sum(0.5 ** (age / 90)) as weight from faceted group by all),
by_value as (select customer_id, key, value, sum(0.5 ** (age / 90)) as weight, min(age) as age from faceted group by all),
shop_key as (select key, count(*) as n from faceted group by all),
shop_value as (select key, value, count(*) as n from faceted group by all),
compared as (
    select
        row, coalesce(by_value.weight, 0) / by_key.weight as share, by_value.age, shop_value.n / shop_key.n as shop_share
    from pairs
    join facets using (product_id)
    join by_key using (customer_id, key)
    join shop_key using (key)
    left join by_value using (customer_id, key, value)
    left join shop_value using (key, value)
)
select
    row, avg(share) as mean_share, max(share) as max_share, min(share) as min_share,
    count(*) filter (share > 0) as shared, min(age) as newest,
    avg(ln((share + 0.02) / (coalesce(shop_share, 0) + 0.02))) as lift
from compared group by row
"""
WORDS = {
    "quality": "quality|build",
    "delivery": "ship|deliver",
    "value": "value|price",
    "use": "batter|perform",
}


@dataclass(frozen=True)
class Signal:
    """Columns of a signal and the SQL that gives them, with `row`."""

    columns: tuple[str, ...]
    sql: str


SIGNALS: dict[str, Signal] = {
    "brand_trend": Signal(("of_91", "of_182"), BOUGHT + TREND.format(key="brand")),
    "category_trend": Signal(("of_91", "of_182"), BOUGHT + TREND.format(key="category")),
    # The category's purchases in the label window one year earlier against the shop's, smoothed.
    "category_season": Signal(
        ("season",),
        BOUGHT
        + YEAR_BEFORE
        + """,
        seasons as (
            select category, count(*) as n, count(*) filter (age between 337 and 364) as n_then from bought group by all
        )
        select row, case when has_year then (n_then + 5 * share) / (n + 5) / nullif(share, 0) end as season
        from asked join seasons using (category), shop
        """,
    ),
    # The same among the customers of one country, drawn towards the category's own season.
    "region_season": Signal(
        ("season",),
        BOUGHT
        + YEAR_BEFORE
        + """,
        seasons as (
            select category, (count(*) filter (age between 337 and 364) + 5 * any_value(share)) / (count(*) + 5) as share
            from bought, shop group by all
        ),
        by_country as (
            select country, category, count(*) as n, count(*) filter (age between 337 and 364) as n_then
            from bought join marts.customers using (customer_id) where country is not null group by all
        )
        select row, case when has_year then (n_then + 5 * seasons.share) / (n + 5) / nullif(shop.share, 0) end as season
        from asked join marts.customers using (customer_id)
        join by_country using (country, category) join seasons using (category), shop
        """,
    ),
    # The share of weekends and the mean hour, of the customer, of the product, and how far apart they are.
    "weekday_hour": Signal(
        ("weekend", "product_weekend", "weekend_apart", "hour", "product_hour", "hour_apart"),
        BOUGHT
        + """,
        mine as (
            select
                customer_id, (count(*) filter (isodow(ordered_at) >= 6) + 0.6) / (count(*) + 2) as weekend,
                avg(hour(ordered_at)) as hour
            from bought group by all
        ),
        its as (
            select
                product_id, (count(*) filter (isodow(ordered_at) >= 6) + 6) / (count(*) + 20) as product_weekend,
                (sum(hour(ordered_at)) + 70) / (count(*) + 5) as product_hour
            from bought group by all
        )
        select *, abs(weekend - product_weekend) as weekend_apart, abs(hour - product_hour) as hour_apart
        from pairs left join mine using (customer_id) left join its using (product_id)
        """,
    ),
    "facets": Signal(("mean_share", "max_share", "min_share", "shared", "newest", "lift"), BOUGHT + FACETS),
    # From the categories that the customer bought, newer ones weighing more, to the candidate's, by what is in one basket.
    "category_rules": Signal(
        ("confidence", "lift", "sum"),
        BOUGHT
        + """,
        filled as (select distinct order_id, customer_id, category, age from bought where category is not null),
        baskets as (select order_id from filled group by order_id having count(*) <= 40),
        counts as (select category, count(*) as n from filled group by all),
        shop as (select count(distinct order_id) as n from filled),
        met as (
            select a.category as a, b.category as b, count(*) as n
            from filled as a join baskets using (order_id) join filled as b on a.order_id = b.order_id
            where a.category != b.category group by all having count(*) >= 3
        ),
        rules as (
            select a, b, met.n / (of_a.n + 10) as confidence, met.n / (of_a.n + 10) / (of_b.n / shop.n) as lift
            from met join counts as of_a on of_a.category = a join counts as of_b on of_b.category = b, shop
        ),
        mine as (select customer_id, category as a, max(0.5 ** (age / 28)) as weight from filled group by all),
        scores as (
            select
                customer_id, category, max(confidence * weight) as confidence, max(lift * weight) as lift,
                sum(confidence * weight) as "sum"
            from (select distinct customer_id, category from asked)
            join mine using (customer_id) join rules on rules.a = mine.a and rules.b = category
            group by all
        )
        select row, confidence, lift, "sum" from asked join scores using (customer_id, category)
        """,
    ),
    # Recent against long-run rate, beside the trends that the ranker has.
    "trending": Signal(
        ("of_14", "of_28", "category_of_28"),
        BOUGHT
        + """,
        shop as (
            select count(*) filter (age <= 14) as n_14, count(*) filter (age <= 28) as n_28, count(*) filter (age <= 182) as n
            from bought
        ),
        its as (
            select
                product_id, count(*) filter (age <= 14) as n_14, count(*) filter (age <= 28) as n_28,
                count(*) filter (age <= 182) as n
            from bought group by all
        ),
        of_category as (
            select category, count(*) filter (age <= 28) as n_28, count(*) filter (age <= 182) as n from bought group by all
        )
        select
            row, ln((its.n_14 + 1) / (its.n + 13) / (shop.n_14 / shop.n)) as of_14,
            ln((its.n_28 + 1) / (its.n + 6.5) / (shop.n_28 / shop.n)) as of_28,
            ln((of_category.n_28 + 1) / (of_category.n + 6.5) / (shop.n_28 / shop.n)) as category_of_28
        from asked left join its using (product_id) left join of_category using (category), shop
        """,
    ),
    # Stars of the reviews that name a facet, drawn towards the shop's mean.
    "review_facets": Signal(
        (*WORDS, "bad"),
        """
        with reviews as (
            select product_id, rating, lower(concat_ws(' ', title, body)) as text
            from staging.stg_reviews where reviewed_at < $as_of and rating is not null
        ),
        shop as (select avg(rating) as mean from reviews)
        select pairs.row, by_product.* from pairs join (
            select product_id, avg((rating <= 2)::int) as bad, """
        + ", ".join(
            f"(coalesce(sum(rating) filter (regexp_matches(text, '{words}')), 0) + 3 * any_value(mean)) "
            f"/ (count(*) filter (regexp_matches(text, '{words}')) + 3) as {name}"
            for name, words in WORDS.items()
        )
        + """ from reviews, shop group by product_id
        ) as by_product using (product_id)
        """,
    ),
    # What the customer sent back of the brand and the category, drawn towards what everybody sends back.
    "returns": Signal(
        ("brand", "category", "brand_days"),
        BOUGHT
        + """,
        back as (
            select
                returns.customer_id, brand, category, min(date_diff('day', returned_at::date, $as_of)) as days,
                sum(returns.quantity) as units
            from intermediate.int_returns_allocated_to_lines as returns
            join marts.products as products using (product_id)
            where returned_at < $as_of and returns.learned_from group by all
        ),
        shop as (select (select sum(units) from back) / greatest(count(*), 1) as share from bought),
        brands as (select customer_id, brand, count(*) as n from bought group by all),
        categories as (select customer_id, category, count(*) as n from bought group by all),
        back_brand as (select customer_id, brand, sum(units) as units, min(days) as days from back group by all),
        back_category as (select customer_id, category, sum(units) as units from back group by all)
        select
            row, (coalesce(back_brand.units, 0) + 5 * share) / (coalesce(brands.n, 0) + 5) as brand,
            (coalesce(back_category.units, 0) + 5 * share) / (coalesce(categories.n, 0) + 5) as category,
            back_brand.days as brand_days
        from asked
        left join back_brand using (customer_id, brand) left join brands using (customer_id, brand)
        left join back_category using (customer_id, category) left join categories using (customer_id, category), shop
        """,
    ),
    # Views of the last 28 days in the candidate's category: how many, how long, how long ago.
    "category_path": Signal(
        ("views", "seconds", "seconds_14", "newest"),
        """
        with views as (
            select
                customer_id, category, duration_seconds as seconds,
                date_diff('day', occurred_at::date, $as_of) as age
            from marts.interactions join marts.products using (product_id)
            where event_type = 'view' and known_from < $as_of and occurred_at < $as_of
        ),
        by_category as (
            select
                customer_id, category, count(*) as views, sum(seconds) as seconds, min(age) as newest,
                coalesce(sum(seconds) filter (age <= 14), 0) as seconds_14
            from views where age <= 28 group by all
        )
        select row, views, seconds, seconds_14, newest
        from (select pairs.*, category from pairs join marts.products using (product_id))
        join by_category using (customer_id, category)
        """,
    ),
    # Among siblings (variants of one product): the customer's share of the candidate's attribute values.
    "variant": Signal(
        ("share",),
        BOUGHT
        + """,
        siblings as (
            select product_id, attributes from marts.products
            where attributes is not null
            and (parent_id is not null or product_id in (select parent_id from marts.products))
        ),
        facets as (
            select product_id, key, json_extract_string(attributes, '$."' || key || '"') as value
            from (select product_id, attributes, unnest(json_keys(attributes)) as key from siblings)
        ),
        faceted as (select bought.customer_id, age, key, value from bought join facets using (product_id)),
        by_key as (select customer_id, key, sum(0.5 ** (age / 90)) as weight from faceted group by all),
        by_value as (select customer_id, key, value, sum(0.5 ** (age / 90)) as weight from faceted group by all)
        select row, avg(coalesce(by_value.weight, 0) / by_key.weight) as share
        from pairs join facets using (product_id) join by_key using (customer_id, key)
        left join by_value using (customer_id, key, value) group by row
        """,
    ),
}


def load_signal(
    connection: duckdb.DuckDBPyConnection, name: str, as_of: str, customers: np.ndarray, products: np.ndarray
) -> np.ndarray:
    """float32[n, columns]: a signal of pairs, NaN where unknown.

    Args:
        connection: to the week's build file.
        name: of the signal.
        as_of: the anchor.
        customers: object[n], ids.
        products: object[n], ids.
    """
    signal = SIGNALS[name]
    pairs = {
        "row": np.arange(len(customers), dtype=np.int64),
        "customer_id": pa.array(customers, pa.string()),
        "product_id": pa.array(products, pa.string()),
    }
    connection.register("pairs", pa.table(pairs))
    columns = ", ".join(f'"{column}"' for column in signal.columns)
    sql = signal.sql.replace("$as_of", f"date '{as_of}'")
    found = connection.execute(f"select row, {columns} from ({sql})").df()
    values = np.full((len(customers), len(signal.columns)), np.nan, dtype=np.float32)
    values[found["row"].to_numpy()] = found[list(signal.columns)].to_numpy(dtype=np.float32)
    return values
