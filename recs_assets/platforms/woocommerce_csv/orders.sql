-- The export knows a customer by their address alone; its hash is their id. Without one an order is a guest's. Of an
-- order that two files hold with different states, the one that says more of what became of it counts.
select
    "Order Number" as order_id,
    md5(nullif(lower(trim("Email (Billing)")), '')) as customer_id,
    "Order Date" as ordered_at,
    "Order Status" as status,
    "Order Currency" as currency
from files.orders
qualify
    row_number() over (
        partition by "Order Number"
        order by
            "Order Refund Amount" desc nulls last,
            lower("Order Status") in ('cancelled', 'refunded', 'failed') desc,
            lower("Order Status") in ('completed') desc,
            "Order Status",
            "Order Date",
            "Item #"
    ) = 1
order by order_id
