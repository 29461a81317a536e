select
    customer_id,
    hour(ordered_at) as hour,
    count(*) filter (where ordered_at < $chosen) as before,
    count(*) filter (where ordered_at >= $chosen and ordered_at < $proven) as chosen,
    count(*) filter (where ordered_at >= $proven) as proven
from staging.stg_orders
where
    ordered_at < $week
    -- To the second at midnight: a day without a time of day.
    and ordered_at <> date_trunc('day', ordered_at)
group by customer_id, hour(ordered_at)
order by customer_id, hour
