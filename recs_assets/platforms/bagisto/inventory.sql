-- How much there is now, and not since when: it is booked right before the newest week that the orders allow, which so
-- knows it, as no earlier week does. All warehouses together.
select
    coalesce(products.parent_id, products.id) as product_id,
    (select date_trunc('week', max(created_at) + interval 1 day) - interval 1 second from files.orders) as counted_at,
    greatest(sum(stock.qty), 0) as stock
from files.product_inventories as stock
inner join files.products as products on stock.product_id = products.id
group by 1
order by product_id
