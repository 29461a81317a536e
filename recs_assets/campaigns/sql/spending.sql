-- What `audit.segments` looks at, before $anchor: a line that was sent back in whole since counts as bought. At the week itself
-- these are the figures of recs.customer_segments.
with lines as (

    select
        customer_id,
        order_id,
        ordered_at,
        case when fully_returned_at >= $anchor then quantity else net_quantity end as units,
        case when fully_returned_at >= $anchor then amount else net_amount end as amount
    from marts.order_lines
    where ordered_at < $anchor and customer_id is not null

),

orders as (

    select customer_id, order_id, ordered_at, sum(units::decimal(38, 6)) as units from lines group by all

),

rhythm as (

    select
        customer_id,
        count(*) as orders,
        $anchor::date - min(ordered_at)::date as days_since_first,
        $anchor::date - max(ordered_at)::date as days_since_last
    from orders
    where units > 0
    group by customer_id

),

revenue as (

    select customer_id, sum(amount::decimal(38, 6))::double as revenue from lines group by customer_id

)

select
    customer_id,
    learned_from,
    coalesce(orders, 0) as orders,
    days_since_first,
    days_since_last,
    case when orders > 0 then coalesce(revenue, 0) end as revenue
from marts.customers
left join rhythm using (customer_id)
left join revenue using (customer_id)
order by customer_id
