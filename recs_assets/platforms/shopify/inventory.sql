-- The export says how much there is and not when: it was not before the last order that the export has. A product that
-- is sold beyond its stock, or whose stock Shopify does not keep, is always there.
select
    "Handle" as product_id,
    (select max("Created at") from files.orders) as counted_at,
    greatest(sum("Variant Inventory Qty"), 0) as stock
from files.products
where "Variant Price" is not null
group by "Handle"
having
    bool_and(coalesce("Variant Inventory Tracker", '') = 'shopify' and coalesce("Variant Inventory Policy", '') = 'deny')
    and count("Variant Inventory Qty") = count(*)
order by "Handle"
