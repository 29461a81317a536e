with counts as (
    select trim(product_id) as product_id, stock, row_number() over (
        partition by trim(product_id) order by counted_at desc, stock
    ) as newest_first
    from raw.inventory where counted_at <= $now and isfinite(stock)
)
select products.product_id, counts.stock, products.start_at, products.end_at
from (
    select trim(product_id) as product_id, max(start_at) as start_at, min(end_at) as end_at
    from raw.products where trim(product_id) <> '' group by trim(product_id)
) as products
left join counts on counts.product_id = products.product_id and counts.newest_first = 1
order by products.product_id
