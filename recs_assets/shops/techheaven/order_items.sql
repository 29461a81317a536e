-- A line's price is per unit; a product stands in an order once (15,000 of 15,000). List prices
-- are unknown for the day of the order, hence no discount. The order's grand_total is not the
-- sum of its lines and is left out.
select
    order_id::varchar as order_id,
    product_id::varchar as line_id,
    product_id::varchar as product_id,
    qty::double as quantity,
    round(qty * price, 2) as amount
from files.order_items
