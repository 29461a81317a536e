-- A price for some time. When it was planned is not said: it counts from its first day on.
with flat as (
    select * from files.product_flat
    qualify row_number() over (partition by product_id order by locale <> 'en', locale, channel) = 1
)

select
    'special-' || flat.product_id as promotion_id,
    coalesce(products.parent_id, flat.product_id) as product_id,
    'price' as kind,
    flat.special_price_from as announced_at,
    flat.special_price_from as start_at,
    flat.special_price_to + 1 as end_at -- the last day is part of it
from flat
inner join files.products as products on flat.product_id = products.id
where
    flat.special_price < flat.price
    and flat.special_price_from is not null
    and flat.special_price_to is not null
order by promotion_id
