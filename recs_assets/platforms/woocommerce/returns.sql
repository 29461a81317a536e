-- A refund is an order of its own, with lines of negative units.
with meta as (
    select
        order_item_id,
        max(case when meta_key = '_product_id' then meta_value end) as product_id,
        max(case when meta_key = '_qty' then try_cast(meta_value as double) end) as quantity
    from files.woocommerce_order_itemmeta
    where meta_key in ('_product_id', '_qty')
    group by order_item_id
)

select
    items.order_item_id as return_id,
    refunds.parent_order_id as order_id,
    coalesce(nullif(meta.product_id, '0'), 'name-' || md5(items.order_item_name)) as product_id,
    -meta.quantity as quantity,
    timezone('UTC', refunds.date_created_gmt) as returned_at
from files.wc_orders as refunds
inner join files.wc_orders as orders on refunds.parent_order_id = orders.id and orders.status <> 'wc-refunded'
inner join files.woocommerce_order_items as items
    on refunds.id = items.order_id and items.order_item_type = 'line_item'
inner join meta on items.order_item_id = meta.order_item_id
where refunds.type = 'shop_order_refund' and meta.quantity < 0
order by return_id
