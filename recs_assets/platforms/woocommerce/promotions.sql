-- A price for some time. When it was planned is not said: it counts from its first day on.
with meta as (
    select
        post_id,
        max(case when meta_key = '_sale_price' then try_cast(nullif(meta_value, '') as double) end) as sale_price,
        max(case when meta_key = '_regular_price' then try_cast(nullif(meta_value, '') as double) end) as regular_price,
        max(case when meta_key = '_sale_price_dates_from' then try_cast(nullif(meta_value, '') as bigint) end) as start_at,
        max(case when meta_key = '_sale_price_dates_to' then try_cast(nullif(meta_value, '') as bigint) end) as end_at
    from files.postmeta
    where meta_key in ('_sale_price', '_regular_price', '_sale_price_dates_from', '_sale_price_dates_to')
    group by post_id
)

select
    'sale-' || posts."ID" as promotion_id,
    case when posts.post_type = 'product' then posts."ID" else posts.post_parent end as product_id,
    'price' as kind,
    to_timestamp(meta.start_at) as announced_at,
    to_timestamp(meta.start_at) as start_at,
    to_timestamp(meta.end_at + 1) as end_at -- the last second is part of it
from files.posts as posts
inner join meta on posts."ID" = meta.post_id
where
    posts.post_type in ('product', 'product_variation')
    and meta.sale_price < meta.regular_price
    and meta.start_at is not null
    and meta.end_at is not null
order by promotion_id
