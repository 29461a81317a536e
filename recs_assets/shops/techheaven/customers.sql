-- There is no customer file: a customer is whoever ordered or reviewed, known from the first
-- time. No addresses, no opt-outs.
with seen as (
    select customer_id, order_date as seen_on from files.orders
    union all
    select customer_id, review_date as seen_on from files.reviews
)

select
    customer_id::varchar as customer_id,
    min(seen_on) as joined_at,
    true as email_eligible,
    'USD' as currency
from seen
group by customer_id
order by seen.customer_id
