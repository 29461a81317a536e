select * from {{ ref('order_lines') }}
-- One customer's lines lie together: the views read them in milliseconds.
order by customer_id, ordered_at, order_id, line_id
