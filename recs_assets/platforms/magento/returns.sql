-- Units of credit memos; of an order that was refunded as a whole orders.sql says so.
with variants as (
    select product_id, min(parent_id) as parent_id from files.catalog_product_super_link group by product_id
)

select
    items.entity_id as return_id,
    memos.order_id,
    coalesce(variants.parent_id, lines.product_id, 'name-' || md5(lines.name)) as product_id,
    items.qty as quantity,
    memos.created_at as returned_at
from files.sales_creditmemo_item as items
inner join files.sales_creditmemo as memos on items.parent_id = memos.entity_id
inner join files.sales_order as orders on memos.order_id = orders.entity_id and orders.state <> 'closed'
inner join files.sales_order_item as lines on items.order_item_id = lines.item_id and lines.parent_item_id is null
left join variants on lines.product_id = variants.product_id
where items.qty > 0
order by return_id
