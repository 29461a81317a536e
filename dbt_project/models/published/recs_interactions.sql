select
    customer_id,
    product_id,
    order_id,
    event_type,
    occurred_at,
    quantity,
    weight,
    voided_at
from {{ ref('interactions') }}
where customer_id is not null
order by customer_id, occurred_at, product_id, event_type, order_id, weight
