-- Do the weekly emails show the categories that earn the money? Share of slots next to share of revenue.
with slots as (

    select
        coalesce(category, '(none)') as category,
        count(*) as slots
    from recs.email_recommendations
    where campaign = 'weekly_email' and as_of = (select max(as_of) from recs.email_recommendations)
    group by 1

),

revenue as (

    select
        coalesce(products.category, '(none)') as category,
        sum(lines.net_amount) as revenue
    from recs.order_lines as lines
    inner join recs.products on lines.product_id = products.product_id
    group by 1

)

select
    coalesce(slots.category, revenue.category) as category,
    coalesce(slots.slots, 0) as slots,
    round(100.0 * coalesce(slots.slots, 0) / sum(slots.slots) over (), 2) as percent_of_slots,
    round(coalesce(revenue.revenue, 0), 2) as revenue,
    round(100.0 * coalesce(revenue.revenue, 0) / sum(revenue.revenue) over (), 2) as percent_of_revenue
from slots
full outer join revenue on slots.category = revenue.category
order by slots desc, revenue desc, category;
