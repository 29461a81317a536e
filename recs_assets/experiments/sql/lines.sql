-- What the customers of an experiment bought, per week since its start; weeks before it count from -1 down. A line whose
-- product has no known cost has no margin. Sums of decimals do not depend on their order.
select customers.customer,
    cast(floor(date_diff('day', $starts, lines.ordered_at::date) / 7) as integer) as week,
    sum(lines.net_amount::decimal(38, 6))::double as revenue,
    coalesce(sum((lines.net_amount - products.cost * lines.net_quantity)::decimal(38, 6)), 0)::double as margin,
    sum(lines.amount::decimal(38, 6))::double as gross,
    sum((lines.amount - lines.net_amount)::decimal(38, 6))::double as returned,
    count(distinct lines.order_id) filter (where lines.net_quantity > 0)::double as orders,
    coalesce(
        sum(lines.net_amount::decimal(38, 6)) filter (where not exists (
            from sent_before as lists
            where lists.campaign = $campaign and lists.customer_id = lines.customer_id
              and lists.product_id = lines.product_id and lists.as_of >= $starts
              and lines.ordered_at >= lists.as_of and lines.ordered_at < lists.as_of + lists.window_days
        )), 0
    )::double as other_revenue
from marts.order_lines as lines
join experiment_customers as customers on lines.customer_id = customers.customer_id
left join marts.products as products on lines.product_id = products.product_id
where lines.ordered_at >= $begin and lines.ordered_at < $until
group by all order by all
