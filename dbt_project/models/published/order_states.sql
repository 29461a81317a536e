select * from {{ ref('int_order_states') }}
order by status
