-- The tables say how much there is now and not since when: it was not before the last order. All warehouses together.
select
    coalesce(products.parent_id, products.id) as product_id,
    (select max(created_at) from files.orders) as counted_at,
    greatest(sum(stock.qty), 0) as stock
from files.product_inventories as stock
inner join files.products as products on stock.product_id = products.id
group by 1
order by product_id
