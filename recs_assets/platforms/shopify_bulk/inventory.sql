-- The export says how much there is and not when: it was not before the last change that it has. A product that is sold
-- beyond its stock, or whose stock Shopify does not keep, is always there.
select
    regexp_extract(__parentId, '[0-9]+$') as product_id,
    (select max(updatedAt) from files.orders) as counted_at,
    greatest(sum(inventoryQuantity), 0) as stock
from files.products
where id like 'gid://shopify/ProductVariant/%'
group by __parentId
having
    bool_and(inventoryPolicy = 'DENY' and coalesce((inventoryItem ->> '$.tracked')::boolean, false))
    and count(inventoryQuantity) = count(*)
order by product_id
