select * from {{ ref('customers') }}
order by customer_id
