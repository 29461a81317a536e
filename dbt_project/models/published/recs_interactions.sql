select * from {{ ref('interactions') }}
order by customer_id, occurred_at, product_id, event_type, order_id, weight
