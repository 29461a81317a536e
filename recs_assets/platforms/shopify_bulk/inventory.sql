-- How much there is now, and not since when: it is booked right before the newest week that the orders allow, which so
-- knows it, as no earlier week does. A product that is sold beyond its stock, or whose stock Shopify does not keep, is
-- always there.
select
    regexp_extract(__parentId, '[0-9]+$') as product_id,
    (
        select date_trunc('week', max(createdAt) + interval 1 day) - interval 1 second
        from files.orders where __parentId is null
    ) as counted_at,
    greatest(sum(inventoryQuantity), 0) as stock
from files.products
where id like 'gid://shopify/ProductVariant/%'
group by __parentId
having
    bool_and(inventoryPolicy = 'DENY' and coalesce((inventoryItem ->> '$.tracked')::boolean, false))
    and count(inventoryQuantity) = count(*)
order by product_id
