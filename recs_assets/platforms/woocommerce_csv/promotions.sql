-- A price for some time. When it was planned is not said: it counts from its first day on.
select
    'sale-' || products."ID" as promotion_id,
    coalesce(parents."ID", products."ID") as product_id,
    'price' as kind,
    products."Date sale price starts" as announced_at,
    products."Date sale price starts" as start_at,
    -- The last day is part of it.
    products."Date sale price ends" + interval 1 day as end_at
from files.products as products
left join files.products as parents
    on
        products."Type" like '%variation%'
        and (products."Parent" = 'id:' || parents."ID" or products."Parent" = nullif(parents."SKU", ''))
where
    products."Sale price" < products."Regular price"
    and products."Date sale price starts" is not null
    and products."Date sale price ends" is not null
order by promotion_id
