-- What is on somebody's wishlist now.
select
    'wishlist-' || items.id as event_id,
    items.customer_id,
    coalesce(products.parent_id, items.product_id) as product_id,
    'add_to_wishlist' as event_type,
    items.created_at as occurred_at
from files.wishlist_items as items
left join files.products as products on items.product_id = products.id
order by event_id
