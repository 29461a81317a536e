-- What was bought per week, through a recommendation and otherwise, and how much of it outside the week's 20 best sellers.
with lines as (

    select
        cast(date_trunc('week', lines.ordered_at) as date) as week,
        lines.product_id,
        won.order_id is not null as is_recommended,
        lines.net_quantity,
        cast(lines.net_amount as decimal(38, 6)) as net_amount
    from marts.order_lines as lines
    left join won on lines.order_id = won.order_id and lines.line_id = won.line_id
    left join goods on lines.product_id = goods.product_id
    where
        lines.ordered_at >= getvariable('since')
        and lines.ordered_at < getvariable('as_of')
        and coalesce(goods.is_product, true)

),

best_sellers as (

    select
        week,
        product_id
    from lines
    group by week, product_id
    qualify row_number() over (partition by week order by sum(net_amount) desc nulls last, product_id) <= 20

),

added_up as (

    select
        lines.week,
        case
            when grouping(lines.is_recommended) = 1 then 'all'
            when lines.is_recommended then 'recommended'
            else 'other'
        end as purchases,
        count(*) as order_lines,
        cast(sum(cast(lines.net_quantity as decimal(38, 6))) as double) as units,
        cast(sum(lines.net_amount) as double) as revenue,
        cast(
            sum(lines.net_amount) filter (where best_sellers.product_id is null) as double
        ) as long_tail_revenue,
        cast(
            sum(cast(lines.net_quantity as decimal(38, 6))) filter (where best_sellers.product_id is null) as double
        ) as long_tail_units
    from lines
    left join best_sellers on lines.week = best_sellers.week and lines.product_id = best_sellers.product_id
    group by grouping sets ((lines.week), (lines.week, lines.is_recommended))

)

select
    week,
    purchases,
    order_lines,
    units,
    revenue,
    round(revenue / nullif(max(revenue) filter (where purchases = 'all') over (partition by week), 0), 6)
        as share_of_revenue,
    round(coalesce(long_tail_revenue, 0) / nullif(revenue, 0), 6) as long_tail_share,
    round(coalesce(long_tail_units, 0) / nullif(units, 0), 6) as long_tail_unit_share
from added_up
order by week, purchases;
