-- Statuses pass through: 'canceled' and 'pending' are no purchases, which staging decides.
select
    order_id::varchar as order_id,
    customer_id::varchar as customer_id,
    order_date as ordered_at,
    status,
    'USD' as currency
from files.orders
