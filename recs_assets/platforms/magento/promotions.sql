-- A price for some time. When it was planned is not said: it counts from its first day on. Its dates are the shop's.
with dates as (
    select
        found.entity_id,
        max(case when codes.attribute_code = 'special_from_date' then found.value end) as start_at,
        max(case when codes.attribute_code = 'special_to_date' then found.value end) as end_at
    from files.catalog_product_entity_datetime as found
    inner join files.eav_attribute as codes on found.attribute_id = codes.attribute_id
    where found.store_id = 0 and codes.attribute_code in ('special_from_date', 'special_to_date')
    group by found.entity_id
),

prices as (
    select
        found.entity_id,
        max(case when codes.attribute_code = 'price' then found.value end) as price,
        max(case when codes.attribute_code = 'special_price' then found.value end) as special_price
    from files.catalog_product_entity_decimal as found
    inner join files.eav_attribute as codes on found.attribute_id = codes.attribute_id
    where found.store_id = 0 and codes.attribute_code in ('price', 'special_price')
    group by found.entity_id
),

variants as (
    select product_id, min(parent_id) as parent_id from files.catalog_product_super_link group by product_id
)

select
    'special-' || dates.entity_id as promotion_id,
    coalesce(variants.parent_id, dates.entity_id) as product_id,
    'price' as kind,
    dates.start_at as announced_at,
    dates.start_at,
    dates.end_at + interval 1 day as end_at -- the last day is part of it
from dates
inner join prices on dates.entity_id = prices.entity_id
left join variants on dates.entity_id = variants.product_id
where prices.special_price < prices.price and dates.start_at is not null and dates.end_at is not null
order by promotion_id
