-- How many customers each segment has, what they paid so far, and how long ago they ordered.
select
    segment,
    count(*) as customers,
    round(sum(revenue), 2) as revenue,
    round(sum(revenue) / sum(sum(revenue)) over (), 4) as share_of_revenue,
    median(days_since_last) as median_days_since_last,
    round(avg(orders), 1) as mean_orders
from recs.customer_segments
group by segment
order by revenue desc nulls last, segment asc
