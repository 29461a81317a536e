select customer_id, email_eligible, coalesce(address_group, -1) as address,
    coalesce(last_order_at::date - date '1970-01-01', -1) as last_day
from marts.customers left join intermediate.int_customer_addresses using (customer_id)
order by customer_id
