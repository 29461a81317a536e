select * from {{ ref('order_lines') }}
order by order_id, line_id
