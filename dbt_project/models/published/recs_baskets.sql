select * from {{ ref('baskets') }}
order by order_id
