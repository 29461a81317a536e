-- The list as sent and the list of a shadow, customer by customer, against what each of them bought in the days that the
-- lists were about. Money is what was paid and not sent back. Sums of decimals do not depend on their order.
with shadows as (
    -- Whoever was two customers then saw what either was sent, and their shadow is what either would have been.
    select distinct campaign, shadow, as_of, window_days, customer_id, product_id
    from published.recs.shadow_recommendations
    where as_of + window_days <= $week
),

sent as (
    select lists.campaign, lists.as_of, lists.customer_id, lists.product_id, bool_and(lists.held) as held
    from sent_before as lists
    semi join shadows on lists.campaign = shadows.campaign and lists.as_of = shadows.as_of
    group by all
),

people as (
    select sent.campaign, shadows.shadow, sent.as_of, sent.customer_id, bool_and(sent.held) as held, shadows.window_days
    from sent
    join (select distinct campaign, shadow, as_of, customer_id, window_days from shadows) as shadows
        on sent.campaign = shadows.campaign and sent.as_of = shadows.as_of and sent.customer_id = shadows.customer_id
    semi join marts.customers as customers on sent.customer_id = customers.customer_id
    group by all
),

bought as (
    select people.campaign, people.shadow, people.as_of, people.customer_id, people.held, lines.product_id,
        sum(lines.net_amount::decimal(38, 6)) as money
    from people
    join marts.order_lines as lines
        on people.customer_id = lines.customer_id
        and lines.ordered_at >= people.as_of and lines.ordered_at < people.as_of + people.window_days
    where lines.net_quantity > 0
    group by all
),

hits as (
    select bought.*, shadows.product_id is not null as in_shadow, sent.product_id is not null as in_sent
    from bought
    left join shadows
        on bought.campaign = shadows.campaign and bought.shadow = shadows.shadow and bought.as_of = shadows.as_of
        and bought.customer_id = shadows.customer_id and bought.product_id = shadows.product_id
    left join sent
        on bought.campaign = sent.campaign and bought.as_of = sent.as_of
        and bought.customer_id = sent.customer_id and bought.product_id = sent.product_id
),

by_customer as (
    select people.campaign, people.shadow, strftime(people.as_of, '%Y-%m-%d') as list_week, people.customer_id, people.held,
        count(*) filter (where hits.in_shadow) as purchases_shadow,
        count(*) filter (where hits.in_sent) as purchases_sent,
        coalesce(sum(hits.money) filter (where hits.in_shadow), 0) as revenue_shadow,
        coalesce(sum(hits.money) filter (where hits.in_sent), 0) as revenue_sent
    from people
    left join hits
        on people.campaign = hits.campaign and people.shadow = hits.shadow and people.as_of = hits.as_of
        and people.customer_id = hits.customer_id
    group by all
),

every as (
    select *, 1 as weeks from by_customer
    union all
    -- All weeks together: a customer counts once, with the sum over their weeks.
    select campaign, shadow, 'all', customer_id, held, sum(purchases_shadow), sum(purchases_sent), sum(revenue_shadow),
        sum(revenue_sent), count(*)
    from by_customer group by campaign, shadow, customer_id, held
),

long as (
    select campaign, shadow, list_week, held, weeks, 'purchases' as metric, purchases_shadow::decimal(38, 6) as shadow_value,
        purchases_sent::decimal(38, 6) as sent_value
    from every
    union all
    select campaign, shadow, list_week, held, weeks, 'revenue', revenue_shadow, revenue_sent from every
)

select campaign, shadow, list_week, case when held then 'holdout' else 'sent' end as shown_to, metric,
    count(*) as customers, sum(weeks)::bigint as lists,
    count(*) filter (where shadow_value <> sent_value) as differ,
    sum(shadow_value)::double as shadow_sum, sum(sent_value)::double as sent_sum,
    sum((shadow_value - sent_value)::double * (shadow_value - sent_value)::double)::decimal(38, 6)::double as square_sum
from long
group by all
order by campaign, shadow, list_week, shown_to, metric
