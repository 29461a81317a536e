-- Units of refunds; of an order that was refunded as a whole orders.sql says so.
select
    items.id as return_id,
    refunds.order_id,
    coalesce(products.parent_id, lines.product_id, 'name-' || md5(lines.name)) as product_id,
    items.qty as quantity,
    refunds.created_at as returned_at
from files.refund_items as items
inner join files.refunds as refunds on items.refund_id = refunds.id
inner join files.orders as orders on refunds.order_id = orders.id and orders.status <> 'closed'
inner join files.order_items as lines on items.order_item_id = lines.id and lines.parent_id is null
left join files.products as products on lines.product_id = products.id
where items.qty > 0
order by return_id
