-- How much there is now, and not since when: it is booked right before the newest week that the orders allow, which so
-- knows it, as no earlier week does. A product that is sold beyond its stock, or whose stock Shopify does not keep, is
-- always there.
select
    "Handle" as product_id,
    (select date_trunc('week', max("Created at") + interval 1 day) - interval 1 second from files.orders) as counted_at,
    greatest(sum("Variant Inventory Qty"), 0) as stock
from files.products
where "Variant Price" is not null
group by "Handle"
having
    bool_and(coalesce("Variant Inventory Tracker", '') = 'shopify' and coalesce("Variant Inventory Policy", '') = 'deny')
    and count("Variant Inventory Qty") = count(*)
order by "Handle"
